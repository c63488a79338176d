"""The board: the race's out-of-fold predictions beside the truth. All that choosing may look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headstart import evaluate
from headstart.core.types import (
    AnyArray,
    Candidate,
    CandidateStatus,
    Decision,
    Gain,
    IntArray,
    Score,
    Task,
)
from headstart.evaluate import Predictions
from headstart.select.choose import choose
from headstart.select.corrected import corrected
from headstart.select.guard import guard
from headstart.select.plan import MAJORITY, SCRATCH, Plan
from headstart.select.race import Entry, Outcome


@dataclass(frozen=True)
class Pick:
    """The best transfer candidate (None where none took part) and the guard's advice."""

    best: Entry | None
    ship: bool
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True)
class Judged:
    """What the judging items said.

    Parameters
    ----------
    scores : mapping of candidate name to Score
    gain : Gain
        Of the best transfer candidate over scratch.
    by : str
        Which items judged, in words.
    """

    scores: Mapping[str, Score]
    gain: Gain
    by: str


def groups_of(task: Task) -> IntArray | None:
    """Return the groups, or None where every item stands for itself."""
    return None if len(np.unique(task.groups)) == task.n else task.groups


class Board:
    """What the race measured.

    Parameters
    ----------
    outcomes : sequence of Outcome
    train : Task
        The training part.
    folds : sequence of (train, test) index arrays
        The folds of the race; empty where nothing could be cross-validated.
    metric : str
    seed : int
    """

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        train: Task,
        folds: Sequence[tuple[IntArray, IntArray]],
        *,
        metric: str,
        seed: int,
    ) -> None:
        held_out = [test for _, test in folds]
        covered = np.concatenate(held_out) if held_out else np.zeros(0, dtype=np.int64)
        part = train.take(covered)
        assert part.labels is not None
        self.outcomes = outcomes
        self.truth: AnyArray = part.labels
        self.groups = groups_of(part)
        self.metric, self.seed = metric, seed
        self.predictions: dict[str, Predictions] = {
            outcome.entry.name: outcome.predictions
            for outcome in outcomes
            if outcome.predictions is not None and len(part.labels)
        }

    def pick(self, plan: Plan) -> Pick:
        """Return the best transfer candidate and whether the guard advises to ship it."""
        runners = self._runners(plan)
        if not plan.transfers:
            return Pick(None, False)
        if not runners and not len(self.truth):
            return Pick(plan.default, True)
        if not runners:
            failed = "; ".join(o.failure for o in self.outcomes if o.entry in plan.transfers)
            return Pick(None, False, (Decision("no transfer could be measured", failed),))
        choice = choose(runners, self.truth, self.metric, groups=self.groups, seed=self.seed)
        best = next(entry for entry in plan.transfers if entry.name == choice.name)
        advice = guard(best.name, self.predictions, self.truth, self.metric)
        return Pick(best, advice.ship == "transfer", (*choice.decisions, advice.decision))

    def judged(self, plan: Plan, best: Entry | None) -> Judged:
        """Judge by the out-of-fold predictions themselves, corrected for having chosen on them."""
        scores = {entry.name: self._score(entry.name) for entry in (MAJORITY, SCRATCH)}
        by = f"{len(self.truth):,} out-of-fold predictions, corrected for having chosen on them"
        if best is None:
            return Judged(scores, no_gain(len(self.truth), self.metric), by)
        runners = self._runners(plan)
        raced = {SCRATCH.name: self.predictions[SCRATCH.name], **runners}
        honest = corrected(
            raced,
            self.truth,
            self.metric,
            transfers=list(runners),
            groups=self.groups,
            seed=self.seed,
        )
        return Judged({**scores, best.name: honest.score}, honest.gain, by)

    def candidates(self, shipped: Entry) -> tuple[Candidate, ...]:
        """Return every candidate with its out-of-fold score."""
        return tuple(
            Candidate(
                outcome.entry.strategy,
                outcome.entry.source,
                self._score(outcome.entry.name) if outcome.entry.name in self.predictions else None,
                outcome.seconds,
                _status(outcome, shipped),
                outcome.failure,
            )
            for outcome in self.outcomes
        )

    def _score(self, name: str) -> Score:
        return evaluate.score(
            self.metric,
            self.truth,
            self.predictions[name],
            groups=self.groups,
            seed=self.seed,
            out_of_fold=True,
        )

    def _runners(self, plan: Plan) -> dict[str, Predictions]:
        return {
            entry.name: self.predictions[entry.name]
            for entry in plan.transfers
            if entry.name in self.predictions
        }


def judge(
    predictions: Mapping[str, Predictions],
    best: Entry | None,
    part: Task,
    *,
    metric: str,
    seed: int,
) -> Judged:
    """Judge finalists on items that took no part in training or choosing.

    Parameters
    ----------
    predictions : mapping of candidate name to Predictions
        For the items of ``part``; scratch, majority and the best transfer candidate.
    best : Entry or None
    part : Task
        The judging part.
    metric : str
    seed : int
    """
    assert part.labels is not None
    groups = groups_of(part)
    scores = {
        name: evaluate.score(metric, part.labels, found, groups=groups, seed=seed)
        for name, found in predictions.items()
    }
    by = f"{part.n:,} items that took no part in training or choosing"
    if best is None:
        return Judged(scores, no_gain(part.n, metric), by)
    gain = evaluate.gain(
        metric,
        part.labels,
        predictions[best.name],
        predictions[SCRATCH.name],
        groups=groups,
        seed=seed,
    )
    return Judged(scores, gain, by)


def no_gain(n: int, metric: str) -> Gain:
    """Return the gain of handing back scratch where no transfer took part: none at all."""
    return Gain(0.0, 0.0, 0.0, n, metric=metric, verdict="none")


def _status(outcome: Outcome, shipped: Entry) -> CandidateStatus:
    if outcome.entry == shipped:
        return "chosen"
    return "failed" if outcome.failure else "lost"
