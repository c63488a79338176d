"""What ``fit --task`` hands back: the better model, and what is known about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart import bundle
from headstart.bundle.sequence_disk import SequenceContents, save_sequence, sequence_in_memory
from headstart.core.types import Candidate, Decision, Gain, Score
from headstart.evaluate.metrics import known_metric
from headstart.sequences import Contender, Model, Reading, SequenceKind


@dataclass(frozen=True, eq=False)
class SequenceResult:
    """A model of a sequence task with its measured gain.

    Parameters
    ----------
    kind : SequenceKind
    reading : Reading
        What it learnt from.
    metric : str
        The measure that counts.
    judged_by : str
        Which examples judged, in words.
    shipped, baseline : Contender
        What is handed back, and what transfer is compared with.
    transfer : Contender or None
        The best transfer; None where none took part.
    fitted : Model
        What is handed back, fitted on all examples.
    scores : mapping of name to Score
        Of the baseline and the best transfer.
    gain : Gain or None
        Of the best transfer over the baseline, paired on the same examples.
    others : mapping of name to (mapping of measure to Score)
        All measures of the task.
    candidates : tuple of Candidate
    decisions : tuple of Decision
    seconds : float
    seed : int
    """

    kind: SequenceKind
    reading: Reading
    metric: str
    judged_by: str
    shipped: Contender
    baseline: Contender
    transfer: Contender | None
    fitted: Model
    scores: Mapping[str, Score]
    gain: Gain | None
    others: Mapping[str, Mapping[str, Score]]
    candidates: tuple[Candidate, ...]
    decisions: tuple[Decision, ...]
    seconds: float
    seed: int

    @property
    def score(self) -> Score:
        """The score of what is handed back."""
        return self.scores[self.shipped.name]

    @cached_property
    def model(self) -> bundle.SequenceBundle:
        """The model, ready to answer."""
        return sequence_in_memory(self._contents(), self.fitted)

    def predict(self, items: Any) -> list[Any]:
        """Return the answer to each item."""
        return self.model.predict(items)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the model as a bundle: a directory of JSON and safetensors.

        Parameters
        ----------
        path : path
            The directory; it appears whole or not at all.
        overwrite : bool
            Replace a bundle that is there. Another kind of file or directory is never replaced.

        Raises
        ------
        OptionError, BundleError
            Where the path is taken.
        """
        return save_sequence(path, self._contents(), self.fitted, overwrite=overwrite)

    def _contents(self) -> SequenceContents:
        return SequenceContents(
            task=self.kind.name,
            modality=self.kind.modality,
            metric=self.metric,
            label_name=self.reading.label_name,
            columns=self.reading.columns,
            result=self._facts(),
            fingerprint=self.reading.fingerprint,
            n=self.reading.train.n,
        )

    def _facts(self) -> dict[str, Any]:
        """Return what was measured, without anything that differs between two runs."""
        return {
            "score": asdict(self.score),
            "gain": None if self.gain is None else asdict(self.gain),
            "baselines": {self.baseline.strategy: asdict(self.scores[self.baseline.name])},
            "measures": self._measures(self.shipped.name),
            "judged_by": self.judged_by,
            "seed": self.seed,
            "decisions": [asdict(one) for one in self.decisions],
            "candidates": [
                {
                    "strategy": one.strategy,
                    "source": one.source,
                    "score": None if one.score is None else asdict(one.score),
                    "status": one.status,
                    "reason": one.reason,
                }
                for one in self.candidates
            ],
        }

    def _measures(self, name: str) -> dict[str, Any]:
        return {measure: asdict(score) for measure, score in self.others.get(name, {}).items()}

    def sentences(self) -> tuple[str, ...]:
        """Return the headline in its sentences: what transfer is worth, and what you get."""
        if self.transfer is None or self.gain is None:
            return (f"No transfer was tried: you get {self.shipped.name}.",)
        name, over, gain = self.transfer.name, self.baseline.name, self.gain
        size, ends = _points(gain.estimate, gain.low, gain.high, gain.metric)
        worth = {
            "positive": f"Positive transfer: {name} is worth {size} {ends} over {over}.",
            "negative": f"Negative transfer: {name} costs {size} {ends} against {over}.",
            "none": f"No difference that matters: {name} against {over} is {size} {ends}.",
            "inconclusive": f"Inconclusive: {name} against {over} is {size} {ends}.",
        }
        if not known_metric(gain.metric).greater_is_better:  # a gain is what errors fall by
            size, ends = _points(-gain.estimate, -gain.high, -gain.low, gain.metric)
            changes = f"{name} changes what {over} has by {size} {ends}"
            worth = {
                "positive": f"Positive transfer: {changes}.",
                "negative": f"Negative transfer: {changes}.",
                "none": f"No difference that matters: {changes}.",
                "inconclusive": f"Inconclusive: {changes}.",
            }
        return worth[self.gain.verdict], f"You get {self.shipped.name}."

    def headline(self) -> str:
        """Return what matters in one line: what transfer is worth here, and what you get."""
        return " ".join(self.sentences())

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values: what ``headstart fit --json`` prints."""
        transfer = self.transfer
        return {
            "task": {
                "modality": self.kind.modality,
                "kind": self.kind.name,
                "n": self.reading.train.n,
                "classes": [],
                "label": self.reading.label_name,
                "skipped": [asdict(item) for item in self.reading.skipped],
            },
            "judged_by": self.judged_by,
            "chosen": {"source": self.shipped.source, "strategy": self.shipped.strategy},
            "score": asdict(self.score),
            "baselines": {self.baseline.strategy: asdict(self.scores[self.baseline.name])},
            "measures": {name: self._measures(name) for name in self.others},
            "transfer": None
            if transfer is None
            else {
                "source": transfer.source,
                "strategy": transfer.strategy,
                **asdict(self.scores[transfer.name]),
            },
            "gain": None if self.gain is None else asdict(self.gain),
            "candidates": [_candidate(one) for one in self.candidates],
            "curve": [],
            "label_multiplier": None,
            "decisions": [str(decision) for decision in self.decisions],
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
        }

    def __str__(self) -> str:
        """Return the headline."""
        return self.headline()


def _points(estimate: float, low: float, high: float, metric: str) -> tuple[str, str]:
    shown = [f"{100 * value:+.1f}" for value in (estimate, low, high)]
    return f"{shown[0]} points of {metric}", f"[{shown[1]}, {shown[2]}]"


def _candidate(candidate: Candidate) -> dict[str, Any]:
    score = candidate.score
    return {
        "source": candidate.source,
        "strategy": candidate.strategy,
        "estimate": math.nan if score is None else score.estimate,
        "low": math.nan if score is None else score.low,
        "high": math.nan if score is None else score.high,
        "seconds": round(candidate.seconds, 3),
        "status": candidate.status,
        "reason": candidate.reason,
    }
