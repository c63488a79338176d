"""Questions with contexts and answers: SQuAD files and tables -> examples."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.core.errors import DataError, UnreadableError
from headstart.core.types import Decision, Skipped
from headstart.data.decoding import decode
from headstart.sequences.columns import Table, column, group_names, open_table, without_columns

QUESTIONS = ("question", "questions", "query")
CONTEXTS = ("context", "contexts", "passage", "paragraph", "document", "text", "body")
ANSWERS = ("answers", "answer", "answer_text", "label", "target")
STARTS = ("answer_start", "answer_starts", "start", "answer_begin")


class Question(NamedTuple):
    """A question and the text that may answer it."""

    question: str
    context: str


Gold = tuple[tuple[str, int], ...]


@dataclass(eq=False)
class Asked:
    """Questions as they stand in a file.

    Parameters
    ----------
    questions : list of Question
    golds : list of tuples of (answer, first character)
        Empty where a question has no answer, and everywhere where none were asked for.
    ids : list of str
    groups : list of str or None
    columns : mapping of role to column name
    decisions : list of Decision
    skipped : list of Skipped
    """

    questions: list[Question] = field(default_factory=list)
    golds: list[Gold] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    groups: list[str] | None = None
    columns: dict[str, str] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def read_asked(
    data: Any,
    *,
    label: str | None = None,
    text: str | None = None,
    group: str | None = None,
    columns: Mapping[str, str] | None = None,
    answered: bool = True,
    allow_unreadable: float = 0.05,
) -> Asked:
    """Read questions, with their answers.

    Parameters
    ----------
    data : path or DataFrame
    label, text, group : str, optional
        Columns of answers, of contexts, and of what no split may straddle.
    columns : mapping of role to name, optional
        Of training.
    answered : bool
        False: answers are not looked for.
    allow_unreadable : float
        Share of answers, 0 to 1, that may not stand in their context: those are left out.

    Raises
    ------
    DataError
        No question, or a cell that cannot be understood.
    UnreadableError
        Too many answers do not stand in their context.
    OptionError
        A column is named of a SQuAD file.
    """
    squad = _squad(data)
    if squad is not None:
        named = {"--label": label, "--text": text} if columns is None else {}
        without_columns(data, {**named, "--group": group})
        found = _from_squad(squad, str(data), answered)
    else:
        table = open_table(data)
        if table is None:
            raise DataError(
                "questions are read from a SQuAD file or a table",
                where=str(data),
                allowed=".json, .csv, .tsv, .jsonl, .parquet, a DataFrame",
            )
        found = _from_table(table, label, text, group, columns, answered)
    where = "DataFrame" if hasattr(data, "iloc") else str(data)
    if not found.questions and not found.skipped:
        raise DataError("there is no question", where=where)
    total = len(found.questions) + len(found.skipped)
    if len(found.skipped) > allow_unreadable * total:
        first = found.skipped[0]
        raise UnreadableError(
            f"{len(found.skipped)} of {total} answers do not stand in their context",
            where=f"{where}, {first.item}",
            got=first.reason,
            allowed=f"at most {allow_unreadable:.0%}",
            hint="an answer of this task is a part of its context, letter by letter",
        )
    return found


def _squad(data: Any) -> Any:
    """Return the content of a SQuAD file, or None for anything else."""
    if not isinstance(data, str | Path) or Path(data).suffix.lower() != ".json":
        return None
    path = Path(data).expanduser()
    if not path.is_file():
        return None
    try:
        found = json.loads(decode(path.read_bytes(), str(path))[0])
    except ValueError:
        return None
    if isinstance(found, dict) and isinstance(found.get("data"), list):
        return found
    return None


def _from_squad(content: Any, where: str, answered: bool) -> Asked:
    made = Asked()
    for number, article in enumerate(content["data"], start=1):
        try:
            for paragraph in article["paragraphs"]:
                for asked in paragraph["qas"]:
                    name = f"question {asked.get('id', len(made.ids) + 1)}"
                    golds = [] if asked.get("is_impossible") else asked.get("answers", [])
                    pairs = [(str(one["text"]), int(one["answer_start"])) for one in golds]
                    one = Question(str(asked["question"]), str(paragraph["context"]))
                    _add(made, one, pairs if answered else [], name)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"not as SQuAD files are written: {type(error).__name__} {error}",
                where=f"{where}, article {number}",
                allowed="data > paragraphs > context, qas > question, answers > text, answer_start",
            ) from error
    return made


def _from_table(
    table: Table,
    label: str | None,
    text: str | None,
    group: str | None,
    columns: Mapping[str, str] | None,
    answered: bool,
) -> Asked:
    made = Asked(decisions=list(table.decisions))

    def find(role: str, usual: Sequence[str], named: str | None, option: str, need: bool) -> Any:
        name, said = column(
            table,
            role,
            usual,
            named=named,
            columns=columns,
            option=option,
            required=need,
            taken=list(made.columns.values()),
        )
        made.decisions.extend(said)
        if name is not None:
            made.columns[role] = name
        return name

    if label is not None:
        find("answers", ANSWERS, label, "--label", True)
    questions = find("questions", QUESTIONS, None, "", True)
    contexts = find("contexts", CONTEXTS, text, "--text", True)
    if answered and label is None:
        find("answers", ANSWERS, None, "--label", True)
    starts = find("starts", STARTS, None, "", False) if answered else None
    n = len(table.frame)
    cells = table.cells(made.columns["answers"]) if answered else [None] * n
    firsts = table.cells(starts) if starts else [None] * n
    owners = None
    if group is not None:
        owners, made.groups = group_names(table, group), []
    rows = zip(table.cells(questions), table.cells(contexts), cells, firsts, strict=True)
    for row, (question, context, cell, first) in enumerate(rows):
        where = f"{table.where}, row {row + 1}"
        if question is None or context is None:
            raise DataError("this row has no question or no context", where=where)
        pairs = _golds(cell, first, where)
        if _add(made, Question(str(question), str(context)), pairs, table.ids[row]) and owners:
            assert made.groups is not None
            made.groups.append(owners[row])
    return made


def _golds(cell: Any, first: Any, where: str) -> list[tuple[str, int]]:
    """Return (answer, start) of a cell: a text, a list of texts, or both as SQuAD's tables hold."""
    if cell is None:
        return []
    if isinstance(cell, str) and cell[:1] in "[{":
        with contextlib.suppress(ValueError):
            read = json.loads(cell)
            if isinstance(read, dict) or all(isinstance(one, str) for one in read):
                cell = read  # else brackets are a part of the answer
    starts: Any = first
    if isinstance(cell, dict):
        if "text" not in cell:
            raise DataError("answers have no text", where=where, got=sorted(cell))
        cell, starts = cell["text"], cell.get("answer_start", first)
    texts = list(cell) if isinstance(cell, list | tuple | np.ndarray) else [cell]
    # pandas makes 1901.0 of 1901 where another cell of the column is empty
    texts = [int(x) if isinstance(x, float) and x.is_integer() else x for x in texts]
    listed = (
        list(starts) if isinstance(starts, list | tuple | np.ndarray) else [starts] * len(texts)
    )
    if len(listed) != len(texts):
        raise DataError("answers and their starts differ in number", where=where, got=len(listed))
    made = []
    for text, start in zip(texts, listed, strict=True):
        try:
            made.append((str(text), -1 if start is None else int(float(start))))
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(
                "the start of an answer is a number of characters", where=where, got=start
            ) from error
    return [one for one in made if one[0].strip()]


def _add(made: Asked, one: Question, pairs: Sequence[tuple[str, int]], name: str) -> bool:
    """Keep a question, its answers where they stand in the context; or say why it is left out."""
    golds = []
    for text, start in pairs:
        if not (start >= 0 and one.context[start : start + len(text)] == text):
            places = _places(one.context, text)
            if not places:
                reason = f"the answer {text[:60]!r} does not stand in its context"
                made.skipped.append(Skipped(name, reason))
                return False
            start = min(places, key=lambda at: abs(at - start)) if start >= 0 else places[0]
        golds.append((text, start))
    made.questions.append(one)
    made.golds.append(tuple(golds))
    made.ids.append(name)
    return True


def _places(context: str, text: str) -> list[int]:
    found, at = [], context.find(text)
    while at >= 0:
        found.append(at)
        at = context.find(text, at + 1)
    return found
