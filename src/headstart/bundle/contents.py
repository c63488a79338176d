"""What goes into a bundle: the fitted model and the facts about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headstart.bundle.columns import Column
from headstart.bundle.examples import Evidence
from headstart.core.types import Candidate, Decision, Gain, Kind, Modality, Score, State
from headstart.strategies.answers import Answers
from headstart.strategies.gallery import Gallery

if TYPE_CHECKING:
    from headstart.sources import Backbone, SourceCard


@dataclass(frozen=True, eq=False)
class BundleContents:
    """A fitted model and what was measured of it, ready to be saved.

    Parameters
    ----------
    modality : {"image", "text", "audio", "table"}
    kind : {"classification", "regression"}
    strategy : str
        A name in ``STRATEGIES``.
    state : State
        The fitted estimator's ``to_state()``.
    metric : str
        The metric that judged.
    classes : tuple of str
        In the order of the estimator's ``classes_``; empty for regression.
    label_name : str
        What the label was called in DATA.
    columns : tuple of Column
        The feature columns of a table, from ``columns_of(task.items)``; empty otherwise.
    side : int
        Pixels of a side of the square images a strategy without a source takes.
    source : SourceCard or None
        The source the strategy's features come from; None where it uses none.
    backbone : Backbone or None
        The loaded source; None loads it by its name.
    standalone : bool
        Put the source's weights into the bundle, so that it needs nothing else.
    score, gain : Score, Gain or None
    baselines : mapping of name to Score
    decisions : tuple of Decision
    candidates : tuple of Candidate
        Without the seconds they took: a bundle of the same data, seed and versions is the same
        bytes.
    extra : mapping
        Anything else worth keeping that JSON can hold (no times).
    fingerprint : str
        ``Task.fingerprint`` of the training data.
    n : int
        Number of training items.
    answers : Answers or None
        What calibrates the probabilities, and when the model abstains.
    gallery : Gallery or None
        The means of the classes: for classes that are enrolled later, and for pairs of items.
    evidence : Evidence or None
        What judged the model, for reports, and examples to compare new items with.
    """

    modality: Modality
    kind: Kind
    strategy: str
    state: State
    metric: str
    classes: tuple[str, ...] = ()
    label_name: str = "label"
    columns: tuple[Column, ...] = ()
    side: int = 64
    source: SourceCard | None = None
    backbone: Backbone | None = None
    standalone: bool = False
    score: Score | None = None
    gain: Gain | None = None
    baselines: Mapping[str, Score] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    n: int = 0
    answers: Answers | None = None
    gallery: Gallery | None = None
    evidence: Evidence | None = None


def result_of(contents: BundleContents) -> dict[str, Any]:
    """Return what was measured as plain values, without anything that differs between two runs."""
    return {
        "score": _measured(contents.score),
        "gain": _measured(contents.gain),
        "baselines": {name: _measured(score) for name, score in contents.baselines.items()},
        "decisions": [
            {"what": decision.what, "why": decision.why, "override": decision.override}
            for decision in contents.decisions
        ],
        "candidates": [
            {
                "strategy": candidate.strategy,
                "source": candidate.source,
                "score": _measured(candidate.score),
                "status": candidate.status,
                "reason": candidate.reason,
            }
            for candidate in contents.candidates
        ],
        "extra": dict(contents.extra),
    }


def _measured(value: Score | Gain | None) -> dict[str, Any] | None:
    return None if value is None else dict(vars(value))
