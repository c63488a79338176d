"""Tagged sentences: CoNLL files, JSON Lines with lists, tables of a word a row -> examples."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import Decision
from headstart.data.decoding import decode
from headstart.data.part import is_missing
from headstart.evaluate.spans import BEGINS, INSIDE, OUTSIDE, split_tag
from headstart.sequences.columns import Table, column, group_names, open_table, without_columns

WORDS = ("tokens", "words", "token", "word", "form", "text")
TAGS = ("ner_tags", "tags", "labels", "ner", "tag", "label", "pos_tags", "pos", "chunk_tags")
SENTENCES = ("sentence_id", "sentence", "sent_id", "sent", "sentence #", "doc", "document", "id")
GROUPS = ("document", "document_id", "doc", "doc_id", "speaker")
_DOCUMENT = "-DOCSTART-"
_TYPELESS = frozenset("BIESLUO")


@dataclass(frozen=True, eq=False)
class Tagged:
    """Sentences as they stand in a file.

    Parameters
    ----------
    words, tags : list of tuples of str
        ``tags`` is empty where none were asked for.
    ids : list of str
    where : str
        The file, for messages.
    rows : list of sequences of int
        The row (or line) of each word; of a sentence in one row, that row.
    unit : str
        What ``rows`` count.
    groups : list of str or None
    columns : mapping of role to column name
    decisions : tuple of Decision
    """

    words: list[tuple[str, ...]]
    tags: list[tuple[str, ...]]
    ids: list[str]
    where: str
    rows: Sequence[Sequence[int]]
    groups: list[str] | None
    columns: Mapping[str, str]
    decisions: tuple[Decision, ...] = ()
    unit: str = "row"

    def place(self, sentence: int, word: int) -> str:
        """Return where a word stands, for messages."""
        rows = self.rows[sentence]
        if len(rows) == len(self.words[sentence]):
            return f"{self.where}, {self.unit} {rows[word]}"
        return f"{self.where}, {self.unit} {rows[0]}, word {word + 1}"


def read_tagged(
    data: Any,
    *,
    label: str | None = None,
    text: str | None = None,
    group: str | None = None,
    columns: Mapping[str, str] | None = None,
    tagged: bool = True,
) -> Tagged:
    """Read sentences, with their tags.

    Parameters
    ----------
    data : path or DataFrame
    label, text, group : str, optional
        Columns of tags, of words, and of what no split may straddle.
    columns : mapping of role to name, optional
        Of training.
    tagged : bool
        False: tags are not looked for.

    Raises
    ------
    DataError
        Words and tags differ in number, a cell is empty, a tag cannot be understood.
    OptionError
        A column is named of a file that has none.
    """
    table = open_table(data)
    if table is None:
        # a part that judges, or is tagged, may be of another form than what was learnt from
        named = {"--label": label, "--text": text} if columns is None else {}
        without_columns(data, {**named, "--group": group})
        return _conll(Path(data).expanduser(), tagged)
    words, said = column(table, "words", WORDS, named=text, columns=columns, option="--text")
    tags: str | None = None
    more: tuple[Decision, ...] = ()
    if tagged:
        tags, more = column(
            table,
            "tags",
            TAGS,
            named=label,
            columns=columns,
            option="--label",
            taken=[str(words)],
        )
    known = {"words": str(words)} | ({"tags": str(tags)} if tags else {})
    found = Tagged([], [], [], table.where, [], None, known, (*table.decisions, *said, *more))
    if _is_list(table.cells(str(words))):
        return _lists(table, found, group)
    return _rows(table, found, group, columns)


def _listed(cell: Any) -> list[Any] | None:
    """Return a cell that holds a list, as JSON, as Python writes it, or as an array."""
    if isinstance(cell, list | tuple | np.ndarray):
        return list(cell)
    if not isinstance(cell, str) or not cell.lstrip().startswith("["):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(cell)
        except (ValueError, SyntaxError):
            continue
        return found if isinstance(found, list) else None
    return None


def _is_list(cells: Sequence[Any]) -> bool:
    present = [cell for cell in cells if cell is not None][:20]
    return bool(present) and all(_listed(cell) is not None for cell in present)


def _lists(table: Table, found: Tagged, group: str | None) -> Tagged:
    words, tags = [], []
    role = found.columns
    targets = table.cells(role["tags"]) if "tags" in role else [None] * len(table.frame)
    for row, (cell, target) in enumerate(
        zip(table.cells(role["words"]), targets, strict=True), start=1
    ):
        where = f"{table.where}, row {row}"
        listed = _listed(cell)
        if listed is None:
            raise DataError("this row has no list of words", where=where, got=cell)
        words.append(_texts(listed, "word", where))
        if "tags" not in role:
            continue
        named = _listed(target)
        if named is None:
            raise DataError("this row has no list of tags", where=where, got=target)
        if len(named) != len(listed):
            raise DataError(
                "words and tags differ in number",
                where=where,
                got=f"{len(listed)} words, {len(named)} tags",
            )
        tags.append(_texts(named, "tag", where))
    groups = None if group is None else group_names(table, group)
    rows = [range(row, row + 1) for row in range(1, len(words) + 1)]
    return replace(found, words=words, tags=tags, ids=list(table.ids), rows=rows, groups=groups)


def _texts(listed: Sequence[Any], what: str, where: str) -> tuple[str, ...]:
    """Return the words or tags of a row."""
    for at, one in enumerate(listed, start=1):
        if is_missing(one) or isinstance(one, list | tuple | dict):
            raise DataError(f"this is no {what}", where=f"{where}, word {at}", got=repr(one))
    return tuple(str(one) for one in listed)


def _rows(
    table: Table, found: Tagged, group: str | None, columns: Mapping[str, str] | None
) -> Tagged:
    """Read a table of one word a row: a new sentence where the sentence column changes."""
    role = dict(found.columns)
    numbering = [str(one) for one in table.frame.columns if _numbers_rows(table, str(one))]
    name, said = column(
        table,
        "sentences",
        SENTENCES,
        columns=columns,
        option="",
        required=False,
        taken=[*role.values(), *numbering],
    )
    if name is None:
        raise DataError(
            "no column tells which sentence a word belongs to",
            where=table.where,
            got=", ".join(str(one) for one in table.frame.columns),
            allowed=f"a usual name: {', '.join(SENTENCES)}; a number for each row is none",
            hint="or write lists of words as JSON Lines, or a CoNLL file with a blank line "
            "between sentences",
        )
    role["sentences"] = name
    words = table.cells(role["words"])
    tags = table.cells(role["tags"]) if "tags" in role else [OUTSIDE] * len(words)
    marks = table.cells(name)
    owners = None if group is None else group_names(table, group)
    starts: list[int] = []
    current: Any = None
    for row, mark in enumerate(marks):
        filled = mark is not None and mark != current
        if not starts or filled:  # blank cells go on: some write the number on the first row only
            starts.append(row)
            current = mark if mark is not None else current
        if words[row] is None:
            raise DataError("this row has no word", where=f"{table.where}, row {row + 1}")
        if tags[row] is None:
            raise DataError("this row has no tag", where=f"{table.where}, row {row + 1}")
    ends = [*starts[1:], len(words)]
    pairs = list(zip(starts, ends, strict=True))
    return replace(
        found,
        words=[tuple(str(one) for one in words[a:b]) for a, b in pairs],
        tags=[tuple(str(one).strip() for one in tags[a:b]) for a, b in pairs]
        if "tags" in role
        else [],
        ids=[f"row {a + 1}" for a, _ in pairs],
        rows=[range(a + 1, b + 1) for a, b in pairs],
        groups=[owners[a] for a, _ in pairs] if owners is not None else None,
        columns=role,
        decisions=(*found.decisions, *said),
    )


def _numbers_rows(table: Table, name: str) -> bool:
    """Say whether a column has another value in every row, as a row's number has."""
    cells = table.cells(name)
    return len(cells) > 1 and None not in cells and len(set(map(str, cells))) == len(cells)


def _conll(path: Path, tagged: bool) -> Tagged:
    """Read words and tags parted by blanks or tabs: the first and the last of each line."""
    if path.is_dir():
        raise DataError("this task reads a file, not a folder", where=str(path))
    text, decisions = decode(path.read_bytes(), str(path))
    found = Tagged([], [], [], str(path), [], None, {}, decisions, "line")
    groups: list[str] = []
    words: list[str] = []
    tags: list[str] = []
    lines: list[int] = []
    rows: list[Sequence[int]] = []
    document, width, tabbed = 0, 0, False

    def close() -> None:
        if words:
            found.words.append(tuple(words))
            found.tags.append(tuple(tags))
            found.ids.append(f"line {lines[0]}")
            rows.append(tuple(lines))
            groups.append(f"document {document}" if document else f"line {lines[0]}")
        words.clear()
        tags.clear()
        lines.clear()

    for number, line in enumerate(text.splitlines(), start=1):
        parts = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            close()
            continue
        if parts[0] == _DOCUMENT:
            close()
            document += 1
            continue
        alike = len(parts) == width and ("\t" in line) == tabbed
        if line.startswith("# ") and not (alike and (words or " = " not in line)):
            continue  # a remark; a word "#" looks like the words before it
        if _is_conllu(parts):
            raise DataError(
                "the first part of this line is a number, not a word: CoNLL-U",
                where=f"{path}, line {number}",
                got=line[:80],
                hint="write the words and the column of tags you mean as WORD and TAG",
            )
        parts = [part.strip() for part in parts]
        ends = parts[0] and (parts[-1] or not tagged)
        if not ends or (tagged and (len(parts) < 2 or (width and len(parts) != width))):
            raise DataError(
                "expected a word and its tag on this line",
                where=f"{path}, line {number}",
                got=line[:80],
                allowed=f"{width or 2} parts",
            )
        width, tabbed = len(parts), "\t" in line
        words.append(parts[0])
        tags.append(parts[-1])
        lines.append(number)
    close()
    if not found.words:
        raise DataError("the file has no sentence", where=str(path))
    many = document > 1
    said = (Decision("documents are not parted", "-DOCSTART- lines say where each begins"),)
    return replace(
        found,
        tags=found.tags if tagged else [],
        rows=rows,
        groups=groups if many else None,
        decisions=decisions + (said if many else ()),
    )


def _is_conllu(parts: Sequence[str]) -> bool:
    """Tell whether a line is of CoNLL-U: ten parts, a number first, and the number of its head."""
    return len(parts) == 10 and parts[0] == "1" and parts[6].isdigit()


def tidy(found: Tagged, *, bare: bool = False) -> Tagged:
    """Return tags as models take them: well formed, types named, or an error with its place.

    ``I-`` that begins a span becomes ``B-``; ``L-`` and ``U-`` become ``E-`` and ``S-``; bare ``B``
    and ``I`` become ``B-span`` and ``I-span``.

    Parameters
    ----------
    found : Tagged
    bare : bool
        Whether a ``B`` without an ``I`` is bare as well: it was where the model learnt.

    Raises
    ------
    DataError
        A tag has a prefix that no scheme has, among tags that have one.
    """
    counts = Counter(tag for tags in found.tags for tag in tags)
    tags, decisions = found.tags, list(found.decisions)
    if counts and all(tag.isdigit() for tag in counts):
        why = "what they stand for is not known; with names, as B-PER and O, spans are judged"
        decisions.append(Decision("tags are numbers: each is a plain tag, of one word", why))
    if set(counts) <= _TYPELESS and (bare or {"B", "I"} <= set(counts)):
        tags = [tuple(t if t == OUTSIDE else f"{t}-span" for t in one) for one in tags]
        decisions.append(Decision("tags B and I are of one type, span", "they name none"))
        counts = Counter(tag for one in tags for tag in one)
    prefixed = any(split_tag(tag)[0] in BEGINS for tag in counts)
    if not prefixed and not any(split_tag(tag)[0] in INSIDE for tag in counts):
        return replace(found, tags=list(tags), decisions=tuple(decisions))
    letters = dict(zip("LU", "ES", strict=True))
    made, changed = [], 0
    for sentence, one in enumerate(tags):
        row: list[str] = []
        before = (OUTSIDE, "")
        for word, tag in enumerate(one):
            prefix, kind = split_tag(tag)
            if not prefix:
                raise DataError(
                    "this tag has no prefix of IOB, IOBES or BILOU, while others have",
                    where=found.place(sentence, word),
                    got=tag,
                    allowed=f"{OUTSIDE}, B-TYPE, I-TYPE, E-TYPE, S-TYPE, L-TYPE, U-TYPE",
                )
            prefix = letters.get(prefix, prefix)
            goes_on = before[0] in ("B", "I") and before[1] == kind
            if prefix in ("I", "E") and not goes_on:
                changed += 1
                prefix = "B" if prefix == "I" else "S"
            before = (prefix, kind)
            row.append(tag if prefix == OUTSIDE else f"{prefix}-{kind}")
        made.append(tuple(row))
    if changed:
        why = "as conlleval reads them: no B- stands before them"
        decisions.append(Decision(f"{changed} tags that begin a span are read so", why))
    if any(tag[:2] in ("L-", "U-") for tag in counts):
        decisions.append(Decision("L- and U- are called E- and S-", "BILOU and IOBES are one"))
    return replace(found, tags=made, decisions=tuple(decisions))


def may_follow(tags: Sequence[str]) -> tuple[Any, Any]:
    """Return which tags may follow which, (k, k) bool, and which may come first, (k,) bool.

    Parameters
    ----------
    tags : sequence of str, length k
        Plain ones may follow any other. ``I-`` and ``E-`` only follow ``B-`` and ``I-`` of their
        type; where the tags have ``E-`` or ``S-``, a span that is begun has to go on.
    """
    split = [split_tag(tag) for tag in tags]
    strict = any(prefix in ("E", "S") for prefix, _ in split)
    k = len(tags)
    allowed = np.ones((k, k), dtype=bool)
    first = np.array([prefix not in ("I", "E") for prefix, _ in split])
    for i, (before, kind) in enumerate(split):
        for j, (after, other) in enumerate(split):
            inside = after in ("I", "E")
            begun = before in ("B", "I")
            if inside:
                allowed[i, j] = begun and kind == other
            elif strict and before == "I":
                allowed[i, j] = False
    # a tag that nothing may follow, as I- of a type whose E- was never seen, frees its row
    allowed[~allowed.any(axis=1)] = True
    return allowed, first if first.any() else np.ones(k, dtype=bool)
