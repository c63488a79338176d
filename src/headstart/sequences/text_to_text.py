"""Translation and summarization: a text for a text, by a model that was trained to write.

Without transfer there is the source as it came (``untouched``), or what needs no model at all: the
first sentences of a text for a summary, the text itself for a translation. The better of the two
on the examples is the baseline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.core.errors import (
    BundleCorruptError,
    DataError,
    OptionError,
    SourceError,
    UnknownNameError,
    UnreadableError,
)
from headstart.core.types import SILENT, Decision, Modality, Reporter, Skipped, State
from headstart.evaluate.additive import Measure
from headstart.evaluate.overlap import BLEU, CHRF, ROUGE_1, ROUGE_2, ROUGE_L
from headstart.sequences.base import (
    Contender,
    Examples,
    Model,
    Plan,
    Reading,
    SequenceKind,
    copies,
    fingerprint,
    without_judged,
)
from headstart.sequences.columns import Table, column, group_names, open_table, straddling

if TYPE_CHECKING:
    from headstart.sources.cards import SourceCard

TRANSFERS = ("lora", "finetune")


class TextToText(SequenceKind):
    """What translation and summarization share.

    Attributes
    ----------
    plainly : str
        What needs no model: ``copy`` or ``lead``.
    texts, targets : tuple of str
        Usual names of columns.
    prefix : str
        The task whose prefix a source may state.
    """

    modality: ClassVar[Modality] = "text"
    plainly: ClassVar[str]
    texts: ClassVar[tuple[str, ...]]
    targets: ClassVar[tuple[str, ...]]
    prefix: ClassVar[str]

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
        """Read texts and what should be written for them; see ``SequenceKind.read``."""
        if path is not None:
            raise OptionError("texts are read from the file itself", where="--path", got=path)
        train, role, decisions, skipped, own = self._table(
            data, label, text, group, columns, allow_unreadable
        )
        held = None
        if test is not None:
            held, _, _, more, of_held = self._table(
                test, label, text, group, role, allow_unreadable
            )
            skipped += more
            decisions += straddling(own, of_held)
            train, lost = without_judged(train, held, noun="texts")
            decisions += lost
        return Reading(
            train=train,
            test=held,
            origin="DataFrame" if hasattr(data, "iloc") else str(data),
            label_name=role["targets"],
            columns=role,
            fingerprint=fingerprint(
                [one.encode("utf-8", "replace") for one in train.inputs], list(train.targets)
            ),
            decisions=tuple(decisions),
            skipped=tuple(skipped),
        )

    def _table(
        self,
        data: Any,
        label: str | None,
        text: str | None,
        group: str | None,
        columns: Mapping[str, str] | None,
        allow: float,
    ) -> tuple[Examples, dict[str, str], list[Decision], list[Skipped], list[str] | None]:
        table = _opened(data)
        taken = [one for one in (label, text) if one is not None]
        texts, said = column(
            table, "texts", self.texts, named=text, columns=columns, option="--text", taken=taken
        )
        targets, more = column(
            table,
            "targets",
            self.targets,
            named=label,
            columns=columns,
            option="--label",
            taken=[*taken, str(texts)],
        )
        owners = None if group is None else group_names(table, group)
        rows = list(zip(table.cells(str(texts)), table.cells(str(targets)), strict=True))
        kept = [i for i, (one, two) in enumerate(rows) if one is not None and two is not None]
        lost = [i for i, (one, two) in enumerate(rows) if one is None or two is None]
        skipped = [
            Skipped(table.ids[i], "no text" if rows[i][0] is None else "nothing to write")
            for i in lost
        ]
        if len(lost) > allow * len(rows) or not kept:
            raise UnreadableError(
                f"{len(lost)} of {len(rows)} rows have no text, or nothing that should be written",
                where=f"{table.where}, {skipped[0].item}",
                allowed=f"at most {allow:.0%}",
            )
        inputs = tuple(str(rows[i][0]) for i in kept)
        own = None if owners is None else [owners[i] for i in kept]
        examples = Examples(
            inputs=inputs,
            targets=tuple(str(rows[i][1]) for i in kept),
            ids=tuple(table.ids[i] for i in kept),
            groups=copies(inputs, None if own is None else np.asarray(own)),
            grouped=own is not None,
        )
        role = {"texts": str(texts), "targets": str(targets)}
        return examples, role, [*table.decisions, *said, *more], skipped, own

    def read_inputs(
        self,
        inputs: Sequence[str],
        *,
        text: str | None = None,
        path: str | None = None,
        columns: Mapping[str, str] | None = None,
        reporter: Reporter = SILENT,
    ) -> tuple[tuple[Any, ...], tuple[str, ...], tuple[Skipped, ...]]:
        """Read texts: tables, ``.txt`` files of a text a line, or texts themselves."""
        from headstart.data.inputs import read_inputs

        named = text or (columns or {}).get("texts")
        given = [inputs] if hasattr(inputs, "iloc") else list(inputs)
        made: list[str] = []
        ids: list[str] = []
        skipped: list[Skipped] = []
        for one in given:
            found, names, left = read_inputs(
                [one] if not hasattr(one, "iloc") else one,
                modality="text",
                text=named if named is not None and _has(one, named) else text,
                reporter=reporter,
            )
            made += [str(text) for text in found]
            ids += names
            skipped += left
        return tuple(made), tuple(ids), tuple(skipped)

    def items(self, items: Any) -> tuple[Any, ...]:
        """Take texts."""
        if isinstance(items, str):
            raise OptionError("expected a list of texts", where="items", got=items[:80])
        for at, one in enumerate(items):
            if not isinstance(one, str):
                raise DataError(
                    "this item is no text", where=f"items[{at}]", got=type(one).__name__
                )
        return tuple(items)

    def plan(
        self,
        train: Examples,
        *,
        source: Sequence[str] = (),
        strategy: Sequence[str] = (),
        budget: float = 600.0,
    ) -> Plan:
        """Compare the source as it came, or no model at all, with tuned ones."""
        from headstart.sequences import writers
        from headstart.sources import seq2seq

        for name in strategy:
            if name not in self.strategies:
                raise UnknownNameError("strategy", name, self.strategies, where="--strategy")
        if len(source) != 1:
            raise SourceError(
                f"{self.name} needs one source that writes texts",
                where="--source",
                got=list(source) or "none",
                hint="no package ships one: give the directory or the hub id of a T5, mT5, BART "
                "or Marian",
            )
        card = seq2seq.describe(source[0])
        shared = writers.Loaded(card, self.prefix)
        wanted = [name for name in TRANSFERS if name in (strategy or TRANSFERS)]
        measure = self.measures[0]
        named = [name for name in strategy if name not in TRANSFERS]
        only = named[0] if len(named) == 1 else ""
        baseline = partial(writers.fit_baseline, shared, self.plainly, measure, only=only)
        transfers = [
            Contender(name, card.name, partial(writers.fit_tuned, card, self.prefix, name))
            for name in wanted
        ]
        return Plan(
            Contender("untouched", card.name, baseline),
            tuple(transfers),
            not strategy or bool(named),
        )

    def open(
        self, strategy: str, source: SourceCard | None, weights_sha256: str, state: State
    ) -> Model:
        """Open a saved model; see ``SequenceKind.open``."""
        from headstart.sequences import writers

        if strategy not in self.strategies or (strategy == self.plainly) != (source is None):
            raise BundleCorruptError(f"no strategy of {self.name}", got=strategy)
        if source is None:
            return writers.open_plain(strategy, state)
        return writers.open_writer(strategy, source, weights_sha256, state)


class Translation(TextToText):
    """Texts in one language for texts in another, judged by characters (chrF) and words (BLEU)."""

    name: ClassVar[str] = "translation"
    measures: ClassVar[tuple[Measure, ...]] = (CHRF, BLEU)
    strategies: ClassVar[tuple[str, ...]] = ("untouched", "copy", *TRANSFERS)
    plainly = "copy"
    texts = ("source", "source_text", "src", "text", "input", "sentence", "from", "original")
    targets = ("target", "target_text", "tgt", "translation", "output", "label", "to", "reference")
    prefix = "translation"


class Summarization(TextToText):
    """Short texts for long ones, judged by common words (ROUGE)."""

    name: ClassVar[str] = "summarization"
    measures: ClassVar[tuple[Measure, ...]] = (ROUGE_L, ROUGE_1, ROUGE_2)
    strategies: ClassVar[tuple[str, ...]] = ("untouched", "lead", *TRANSFERS)
    plainly = "lead"
    texts = ("text", "document", "article", "dialogue", "body", "source", "input", "content")
    targets = ("summary", "highlights", "abstract", "headline", "title", "target", "label")
    prefix = "summarization"


def _opened(data: Any) -> Table:
    table = open_table(data)
    if table is None:
        raise DataError(
            "texts with what should be written are read from a table",
            where=str(data),
            allowed=".csv, .tsv, .jsonl, .parquet, a DataFrame",
        )
    return table


def _has(one: Any, name: str) -> bool:
    """Tell whether an input is a table with a column."""
    if hasattr(one, "iloc"):
        return name in one.columns
    path = Path(str(one)[:1000])
    try:
        table = open_table(path) if path.is_file() else None
    except OSError:
        return False
    return table is not None and name in table.frame.columns
