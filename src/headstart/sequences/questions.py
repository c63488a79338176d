"""Question answering: the part of a text that answers a question, or that there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.core.errors import BundleCorruptError, DataError, OptionError
from headstart.core.types import SILENT, Decision, Modality, Reporter, Skipped, State
from headstart.evaluate.answers import ANSWER_F1, EXACT_MATCH
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
from headstart.sequences.question_files import Asked, Question, read_asked

if TYPE_CHECKING:
    from headstart.sources.cards import SourceCard


class QuestionAnswering(SequenceKind):
    """Extractive question answering, judged by the rules of SQuAD."""

    name: ClassVar[str] = "question-answering"
    modality: ClassVar[Modality] = "text"
    measures = (ANSWER_F1, EXACT_MATCH)
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
        """Read questions with contexts and answers; see ``SequenceKind.read``."""
        if path is not None:
            raise OptionError("texts are read from the file itself", where="--path", got=path)
        named: dict[str, Any] = {"label": label, "text": text, "group": group}
        named["allow_unreadable"] = allow_unreadable
        found = read_asked(data, columns=columns, **named)
        train, held = _examples(found), None
        decisions, skipped = list(found.decisions), list(found.skipped)
        if test is not None:
            apart = read_asked(test, columns=found.columns, **named)
            held = _examples(apart)
            decisions += straddling(found.groups, apart.groups)
            skipped += apart.skipped
            train, lost = without_judged(
                train,
                held,
                noun="questions",
                because="their contexts",
                key=lambda one: one.context,
            )
            decisions += lost
        none = sum(not gold for gold in train.targets)
        contexts = len({one.context for one in train.inputs})
        what = f"{train.n:,} questions about {contexts:,} contexts, {none:,} without an answer"
        decisions.append(Decision(what, "questions about one context are held out together"))
        return Reading(
            train=train,
            test=held,
            origin="DataFrame" if hasattr(data, "iloc") else str(data),
            label_name=found.columns.get("answers", "answers"),
            columns=found.columns,
            fingerprint=fingerprint(
                ["\x1f".join(one).encode("utf-8", "replace") for one in train.inputs],
                [repr(one) for one in train.targets],
            ),
            decisions=tuple(decisions),
            skipped=tuple(skipped),
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
        """Read files of questions with contexts."""
        if hasattr(inputs, "iloc"):
            inputs = [inputs]  # type: ignore[list-item]
        made: list[Question] = []
        ids: list[str] = []
        for one in inputs:
            found = read_asked(one, text=text, columns=columns, answered=False)
            made += found.questions
            ids += found.ids
        if not made:
            raise DataError("there is no question", where="INPUT")
        return tuple(made), tuple(ids), ()

    def items(self, items: Any) -> tuple[Any, ...]:
        """Take questions: pairs of (question, context), or dicts with these keys."""
        made = []
        for at, one in enumerate(items):
            if isinstance(one, Mapping) and {"question", "context"} <= set(one):
                one = (one["question"], one["context"])
            pair = isinstance(one, tuple | list) and len(one) == 2
            if not pair or not all(isinstance(text, str) for text in one):
                raise DataError(
                    "this item is no question with its context",
                    where=f"items[{at}]",
                    got=str(one)[:80],
                    allowed="(question, context), or a dict of both",
                )
            made.append(Question(*one))
        return tuple(made)

    def plan(
        self,
        train: Examples,
        *,
        source: Sequence[str] = (),
        strategy: Sequence[str] = (),
        budget: float = 600.0,
    ) -> Plan:
        """Compare a log-linear model over candidate answers with transfers; cheapest first."""
        from headstart.sequences.readers import cut_text, fit_reader

        if not any(train.targets):
            raise DataError("no question has an answer to learn from", got=f"{train.n} questions")
        return planned(
            self.strategies,
            source,
            strategy,
            scratch=fit_reader,
            probe=fit_reader,
            tuned=_fit_tuned,
            cut=cut_text,
            n=train.n,
        )

    def open(
        self, strategy: str, source: SourceCard | None, weights_sha256: str, state: State
    ) -> Model:
        """Open a saved reader; see ``SequenceKind.open``."""
        from headstart.sequences.encoder import Frozen, opened
        from headstart.sequences.readers import cut_text, open_reader

        if strategy not in self.strategies or (strategy == "scratch") != (source is None):
            raise BundleCorruptError("no strategy of question answering", got=strategy)
        if source is None:
            return open_reader(state, None)
        backbone = opened(source, weights_sha256)
        if strategy == "probe":
            return open_reader(state, Frozen(backbone, cut_text))
        from headstart.sequences.tuned_reader import open_tuned_reader

        return open_tuned_reader(state, backbone, strategy)


def _fit_tuned(*args: Any, **named: Any) -> Model:
    from headstart.sequences.tuned_reader import fit_tuned_reader

    return fit_tuned_reader(*args, **named)


def _examples(found: Asked) -> Examples:
    contexts = [one.context for one in found.questions]
    own = None if found.groups is None else np.asarray(found.groups)
    return Examples(
        inputs=tuple(found.questions),
        targets=tuple(found.golds),
        ids=tuple(found.ids),
        groups=copies(contexts, own),
        grouped=own is not None or len(set(contexts)) < len(contexts),
    )
