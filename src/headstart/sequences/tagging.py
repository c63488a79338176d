"""Token classification: a tag for each word of a sentence, as names of people or parts of speech.

Spans count first: a name is right where all its words and its type are. A word with a plain tag is
a span of one word, so for parts of speech the F1 of spans is the share of words that are right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from headstart.core.errors import BundleCorruptError, DataError, OptionError
from headstart.core.types import SILENT, Decision, Modality, Reporter, Skipped, State
from headstart.data.decoding import decode
from headstart.data.tables import table_ending
from headstart.evaluate.spans import SPAN_F1, TOKEN_ACCURACY
from headstart.sequences.base import (
    Examples,
    Model,
    Plan,
    Reading,
    SequenceKind,
    copies,
    fingerprint,
    without_judged,
)
from headstart.sequences.columns import straddling
from headstart.sequences.contenders import TRANSFERS, planned
from headstart.sequences.tag_files import Tagged, read_tagged, tidy

if TYPE_CHECKING:
    from headstart.sources.cards import SourceCard

TUNED_FROM = 300
"""Sentences: on 25 and 75 tuning lost 8 to 27 points of F1 to a probe and to scratch."""
_CONLL = (".conll", ".conllu", ".iob", ".iob2", ".bio", ".txt")
_WORD = re.compile(r"\w+(?:[-'\u2019.]\w+)*|[^\w\s]")


def words_of(text: str) -> tuple[str, ...]:
    """Cut a text into words and signs.

    Examples
    --------
    >>> words_of("Dr. No isn't here.")
    ('Dr', '.', 'No', "isn't", 'here', '.')
    """
    return tuple(_WORD.findall(text))


class TokenClassification(SequenceKind):
    """Tags of words: IOB, IOBES and BILOU spans, or plain tags."""

    name: ClassVar[str] = "token-classification"
    modality: ClassVar[Modality] = "text"
    measures = (SPAN_F1, TOKEN_ACCURACY)
    strategies: ClassVar[tuple[str, ...]] = ("scratch", *TRANSFERS)

    def read(
        self,
        data: Any,
        *,
        label: str | None = None,
        text: str | None = None,
        path: str | None = None,
        group: str | None = None,
        test: Any = None,
        columns: Mapping[str, str] | None = None,
        allow_unreadable: float = 0.05,
        reporter: Reporter = SILENT,
    ) -> Reading:
        """Read tagged sentences; see ``SequenceKind.read``."""
        if path is not None:
            raise OptionError("words are read from the file itself", where="--path", got=path)
        found = tidy(read_tagged(data, label=label, text=text, group=group, columns=columns))
        decisions = list(found.decisions)
        train, held = _examples(found), None
        if test is not None:
            role = dict(found.columns)
            apart = read_tagged(test, label=label, text=text, group=group, columns=role)
            apart = tidy(apart, bare=any("B-span" in tags for tags in found.tags))
            held = _examples(apart)
            decisions += straddling(found.groups, apart.groups) if group is not None else ()
            train, lost = without_judged(train, held, noun="sentences")
            decisions += lost
        count = len({tag for tags in train.targets for tag in tags})
        what = f"{train.n:,} sentences, {sum(map(len, train.inputs)):,} words, {count} tags"
        decisions.append(Decision(what, "a sentence is an example: it is held out as a whole"))
        return Reading(
            train=train,
            test=held,
            origin="DataFrame" if hasattr(data, "iloc") else str(data),
            label_name=found.columns.get("tags", "tags"),
            columns=found.columns,
            fingerprint=fingerprint(
                ["\x1f".join(one).encode("utf-8", "replace") for one in train.inputs],
                ["\x1f".join(one) for one in train.targets],
            ),
            decisions=tuple(decisions),
        )

    def read_inputs(
        self,
        inputs: Sequence[str],
        *,
        text: str | None = None,
        path: str | None = None,
        columns: Mapping[str, str] | None = None,
        reporter: Reporter = SILENT,
    ) -> tuple[tuple[Any, ...], tuple[str, ...], tuple[Skipped, ...]]:
        """Read sentences: files as in training, ``.txt`` files of a text a line, or texts."""
        if hasattr(inputs, "iloc"):
            inputs = [inputs]  # type: ignore[list-item]
        made: list[Any] = []
        ids: list[str] = []
        for one in inputs:
            file = None if hasattr(one, "iloc") else _file(one)
            if file is None and not hasattr(one, "iloc"):
                made.append(words_of(one))
                ids.append(one)
            elif file is not None and file.suffix == ".txt":
                lines = decode(file.read_bytes(), str(file))[0].splitlines()
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        made.append(words_of(line))
                        ids.append(f"line {number}")
            else:
                found = read_tagged(file or one, text=text, columns=columns, tagged=False)
                made += found.words
                ids += found.ids
        if not made:
            raise DataError("there is no sentence to tag", where="INPUT")
        return tuple(made), tuple(ids), ()

    def items(self, items: Any) -> tuple[Any, ...]:
        """Take sentences: texts, which are cut into words, or lists of words."""
        if isinstance(items, str):
            raise OptionError("expected a list of sentences", where="items", got=items[:80])
        found = []
        for at, one in enumerate(items):
            if isinstance(one, str):
                found.append(words_of(one))
            elif isinstance(one, list | tuple) and all(isinstance(word, str) for word in one):
                found.append(tuple(one))
            else:
                raise DataError(
                    "this item is no sentence",
                    where=f"items[{at}]",
                    got=type(one).__name__,
                    allowed="a text, or a list of words",
                )
        return tuple(found)

    def plan(
        self,
        train: Examples,
        *,
        source: Sequence[str] = (),
        strategy: Sequence[str] = (),
        budget: float = 600.0,
    ) -> Plan:
        """Compare a conditional random field without a source with transfers; cheapest first."""
        from headstart.sequences.taggers import cut_words, fit_chain_tagger, fit_tuned_tagger

        if not any(train.targets):
            raise DataError("no sentence has a tag to learn from", got=f"{train.n} sentences")
        return planned(
            self.strategies,
            source,
            strategy,
            scratch=fit_chain_tagger,
            probe=fit_chain_tagger,
            tuned=fit_tuned_tagger,
            cut=cut_words,
            n=train.n,
            tuned_from=TUNED_FROM,
        )

    def open(
        self, strategy: str, source: SourceCard | None, weights_sha256: str, state: State
    ) -> Model:
        """Open a saved tagger; see ``SequenceKind.open``."""
        from headstart.sequences.encoder import Frozen, opened
        from headstart.sequences.taggers import cut_words, open_chain, open_tuned

        if strategy not in self.strategies or (strategy == "scratch") != (source is None):
            raise BundleCorruptError("no strategy of token classification", got=strategy)
        if source is None:
            return open_chain(state, None)
        backbone = opened(source, weights_sha256)
        if strategy == "probe":
            return open_chain(state, Frozen(backbone, cut_words))
        return open_tuned(state, backbone, strategy)

    def shown(self, value: Any) -> str:
        """Return tags as they stand in the column ``label``, parted by blanks."""
        return " ".join(value)


def _examples(found: Tagged) -> Examples:
    import numpy as np

    own = None if found.groups is None else np.asarray(found.groups)
    return Examples(
        inputs=tuple(found.words),
        targets=tuple(found.tags),
        ids=tuple(found.ids),
        groups=copies(found.words, own),
        grouped=own is not None,
    )


def _file(one: Any) -> Path | None:
    """Return the file that an input names, or None for a text."""
    if not isinstance(one, str | Path) or len(str(one)) > 1000 or "\n" in str(one):
        return None
    path = Path(one).expanduser()
    named = table_ending(path) is not None or path.suffix in _CONLL
    try:
        there = path.is_file()
    except (OSError, ValueError):
        return None
    if named and not there and " " not in str(one):
        raise DataError("there is no such file", where=str(one))
    return path if there else None
