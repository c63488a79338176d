"""The result of zero-shot where nothing was trained: measured on few labels, or on none."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from headstart import bundle, select, sources
from headstart.core.types import Candidate, Decision, Gain, Score, Task
from headstart.result import Result

METRIC = "accuracy"
MOST_TOLD = 100_000
"""Characters of what is said of the classes that a bundle keeps word by word."""


@dataclass(frozen=True, eq=False)
class ZeroShotResult(Result):
    """A model that learnt from no label: what it is, and what labels say of it, if there are any.

    What was not measured is NaN, of 0 items; ``to_json`` makes null of it.
    """

    @property
    def measured(self) -> bool:
        """Whether any labelled item told how good the model is."""
        return self.score.n > 0

    def sentences(self) -> tuple[str, ...]:
        """Return what matters: how good the model is as far as that is known, and what you get."""
        k = len(self.task.classes)
        n, close = select.labels_to_tell()
        told = f"About {n} labels would tell how good it is, to {100 * close:.0f} points or so"
        end = f"You get {self.chosen.name}, which learnt from no label."
        if self.chosen.strategy == "eszsl":
            end = f"You get {self.chosen.name}: classes without a label by their attributes, too."
        if not self.measured:
            return (f"Nothing is measured: {self.judged_by}. {told}.", end)
        s = self.score
        shown = f"{s.metric} {s.estimate:.3f} [{s.low:.3f}, {s.high:.3f}]"
        first = f"{shown} on {self.judged_by}."
        if s.n < n:
            first += f" That is a rough measure. {told}."
        if s.metric == METRIC and s.low <= 1 / k:
            first += f" It may be no better than a guess among {k} classes ({1 / k:.3f})."
        return first, end

    def judged_scores(self) -> list[tuple[str, Score]]:
        """Return what was judged, by name: nothing where there are no labels."""
        rows = [(self.chosen.name, self.score), ("majority", self.majority)]
        return [(name, score) for name, score in rows if score.n]

    def advice(self) -> list[str]:
        """Return what to try next, one line each."""
        if self.measured:
            return ["with a few labels of each class, what learns from them competes, too"]
        name = self.task.label_name
        return [
            f"write some labels into a column {name!r} of DATA and fit again: it measures itself "
            "on them, and what learns from them competes"
        ]

    def explanation(self) -> str:
        """Return how far to trust the model."""
        return self.sentences()[0]

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values, with the keys of an ordinary one."""
        said = super().to_json()
        unknown: dict[str, Any] = {"majority": None, "scratch": None}
        if self.measured:
            unknown["majority"] = asdict(self.majority)
        said |= {"score": asdict(self.score) if self.measured else None, "gain": None}
        said |= {"baselines": unknown, "transfer": None}
        for one in said["candidates"]:  # NaN is no JSON
            one |= {key: None for key in ("estimate", "low", "high") if one[key] != one[key]}
        return said


@dataclass(frozen=True, eq=False)
class Verdict:
    """What labels say of a model that nobody trained.

    Parameters
    ----------
    score, majority : Score
        Of the model and of the constant guess; of 0 items where there are no labels.
    by : str
        Which items judged, in words; or why none did.
    """

    score: Score
    majority: Score
    by: str


def unmeasured(metric: str) -> Score:
    """Return the score of what was not measured: NaN, on no items."""
    return Score(metric, np.nan, np.nan, np.nan, 0)


def put_together(
    *,
    task: Task,
    begun: select.Start,
    fitted: Any,
    verdict: Verdict,
    told: dict[str, Any],
    decisions: tuple[Decision, ...],
    seconds: float,
    seed: int,
) -> ZeroShotResult:
    """Put together what ``zero_shot`` hands back where no trained candidate took part.

    Parameters
    ----------
    task : Task
        The items that were there; its classes are those that may be predicted.
    begun : Start
    fitted : estimator
    verdict : Verdict
    told : dict
        What was said of the classes, as the bundle keeps it.
    decisions : tuple of Decision
    seconds : float
    seed : int
    """
    score = verdict.score
    measured = score if score.n else None
    entry = begun.entry
    candidate = Candidate(entry.strategy, entry.source, measured, seconds, "chosen")
    contents = bundle.BundleContents(
        modality=task.modality,
        kind="classification",
        strategy=entry.strategy,
        state=fitted.to_state(),
        metric=score.metric,
        classes=task.classes,
        label_name=task.label_name,
        source=sources.card(str(entry.source)),
        score=measured,
        baselines={"majority": verdict.majority} if measured else {},
        decisions=decisions,
        candidates=(candidate,),
        extra={"judged_by": verdict.by, "seed": seed, "zero_shot": _short(told)},
        fingerprint=task.fingerprint,
        n=task.n,
    )
    return ZeroShotResult(
        task=task,
        metric=score.metric,
        judged_by=verdict.by,
        chosen=replace(candidate, score=None, seconds=0.0),
        score=score,
        majority=verdict.majority,
        scratch=unmeasured(score.metric),
        gain=Gain(np.nan, np.nan, np.nan, 0, metric=score.metric),
        transfer=None,
        transfer_score=None,
        candidates=(candidate,),
        decisions=decisions,
        seconds=seconds,
        seed=seed,
        contents=contents,
        skipped=task.skipped,
    )


def _short(told: dict[str, Any]) -> dict[str, Any]:
    """Return what was said of the classes; of very much only how much, and its sha256."""
    text = json.dumps(told, sort_keys=True)
    if len(text) <= MOST_TOLD:
        return told
    return {
        "classes": len(told["classes"]),
        "characters": len(text),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
