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
from headstart.select.choose import SAME, choose
from headstart.select.corrected import corrected
from headstart.select.guard import guard
from headstart.select.measured import Judge, Measured, measured_of, runners_of, telling
from headstart.select.plan import MAJORITY, SCRATCH, Plan
from headstart.select.prior import priors_of
from headstart.select.race import Entry, Folds, Outcome, held_rows

FORCE = "--strategy and --source force another"
WITHOUT = "--strategy NAME takes one without scratch in it"


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
    return telling(task.groups)


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
        folds: Folds,
        metric: str,
        seed: int,
    ) -> None:
        self.rows = held_rows(folds)
        assert train.labels is not None
        self.outcomes = outcomes
        self.labels: AnyArray = train.labels
        self.groups, self.modality = groups_of(train), train.modality
        self.metric, self.seed = metric, seed
        self.judge = Judge(train.labels, self.groups, metric, seed)
        self.runners = runners_of(outcomes, folds) if len(self.rows) else {}
        self.measured: dict[str, Measured] = {
            outcome.entry.name: measured_of(outcome, folds)
            for outcome in outcomes
            if outcome.predictions is not None and len(self.rows)
        }

    def pick(self, plan: Plan) -> Pick:
        """Return the best transfer candidate and whether the guard advises to ship it."""
        runners = self.runners
        if not plan.transfers:
            return Pick(None, False)
        if not runners and not len(self.rows):
            return Pick(self._known_best(plan), True)
        if not runners:
            failed = "; ".join(o.failure or o.dropped for o in self.outcomes if o.entry.source)
            return Pick(None, False, (Decision("no transfer could be measured", failed),))
        pure = {entry: one for entry, one in runners.items() if not entry.member}
        best, decisions = self._best(pure, plan.known)
        if plan.untrained in pure and best != plan.untrained:
            best, decisions = self._kept(plan.untrained, best, pure, decisions)
        ship, advice = self._guarded(best, pure)
        if not plan.guarded:
            advice = [advised(each) for each in advice]
        pick = Pick(best, ship, (*decisions, *advice))
        blends = [entry for entry in runners if entry.member]
        if blends and plan.blend and not plan.guarded:
            return Pick(blends[0], True, pick.decisions)
        kept = best == plan.untrained
        return self._blended(blends[0], runners[blends[0]], pick, kept) if blends else pick

    def _kept(
        self,
        untrained: Entry,
        best: Entry,
        runners: Mapping[Entry, Measured],
        decisions: list[Decision],
    ) -> tuple[Entry, list[Decision]]:
        """Keep what needs no training unless the best of the trained is surely better."""
        lead = self.judge.lead(runners[best], runners[untrained])
        if lead is None:
            return best, decisions
        numbers = (
            f"{best.name} against it: {lead.estimate:+.3f} [{lead.low:.3f}, {lead.high:.3f}] "
            f"{self.metric} on {lead.n:,} items that neither learnt from"
        )
        if lead.low > SAME:
            why = (
                f"it is surely better than {untrained.name}, which learns from no label; {numbers}"
            )
            return best, [*decisions, Decision(best.name, why, FORCE)]
        why = f"it learns from no label, and no trained candidate is surely better; {numbers}"
        return untrained, [*decisions, Decision(untrained.name, why, FORCE)]

    def _known_best(self, plan: Plan) -> Entry:
        """Return what is taken where nothing was measured: the probe of the best known source.

        Or what needs no training, where the classes are described.
        """
        ready = [one.entry for one in self.outcomes if one.entry.source and not one.dropped]
        if plan.untrained in ready:
            return plan.untrained
        probes = [entry for entry in ready if entry.strategy == plan.default.strategy]
        return max(probes, key=lambda e: plan.known.get(str(e.source)) or 0.0, default=plan.default)

    def _guarded(
        self, best: Entry, runners: Mapping[Entry, Measured]
    ) -> tuple[bool, list[Decision]]:
        """Ask the guard whether the best transfer or scratch is handed back."""
        known = {SCRATCH.name: self.measured[SCRATCH.name], best.name: runners[best]}
        rows = np.intersect1d(known[SCRATCH.name].rows, known[best.name].rows)
        if not len(rows):
            return True, []
        rivals = {e.name: one for e, one in runners.items() if np.isin(rows, one.rows).all()}
        advice = guard(
            best.name,
            {name: one.on(rows) for name, one in (known | rivals).items()},
            self.labels[rows],
            self.metric,
            groups=None if self.groups is None else self.groups[rows],
            seed=self.seed,
        )
        return advice.ship == "transfer", [advice.decision]

    def _blended(self, blend: Entry, one: Measured, pick: Pick, kept: bool) -> Pick:
        """Take the blend where it beats what would be handed back without it.

        Surely, where that is scratch, or is ``kept`` for it needs no training.
        """
        assert pick.best is not None
        rival = pick.best.name if pick.ship else SCRATCH.name
        lead = self.judge.lead(one, self.measured[rival])
        # two transfers that may be equal are told apart by the estimate; scratch is left for more
        if lead is None or (lead.estimate if pick.ship and not kept else lead.low) <= SAME:
            return pick
        why = (
            f"it beats {rival}: {lead.estimate:+.3f} [{lead.low:.3f}, {lead.high:.3f}] "
            f"{self.metric} on {lead.n:,} items that neither learnt from"
        )
        before = tuple(each for each in pick.decisions if not each.what.startswith("ship "))
        return Pick(blend, True, (*before, Decision(f"ship {blend.name}", why, WITHOUT)))

    def _best(
        self, runners: Mapping[Entry, Measured], known: Mapping[str, float | None]
    ) -> tuple[Entry, list[Decision]]:
        """Return the best: of those that all folds measured, then against each of the others."""
        full = {e: one.on(self.rows) for e, one in runners.items() if self._is_full(one)}
        decisions: list[Decision] = []
        best: Entry | None = None
        if full:
            groups = None if self.groups is None else self.groups[self.rows]
            choice = choose(
                {entry.name: found for entry, found in full.items()},
                self.labels[self.rows],
                self.metric,
                priors={
                    e.name: prior for e, prior in priors_of(full, known, self.modality).items()
                },
                groups=groups,
                seed=self.seed,
            )
            best = next(entry for entry in full if entry.name == choice.name)
            decisions += choice.decisions
        for entry, one in runners.items():
            if entry in full:
                continue
            if best is None:
                best = entry
                continue
            lead = self.judge.lead(one, runners[best])
            if lead is None:
                continue
            numbers = (
                f"{lead.estimate:+.3f} [{lead.low:.3f}, {lead.high:.3f}] {self.metric} against "
                f"{best.name} on {lead.n:,} items that neither learnt from"
            )
            expected = priors_of((entry, best), known, self.modality)
            if self.judge.better(one, runners[best], priors=(expected[entry], expected[best])):
                why = "it is better" if lead.estimate > 0 else "known of other data to be better"
                decisions.append(Decision(entry.name, f"{why}: {numbers}", FORCE))
                best = entry
            else:
                why = "known of other data to be worse" if lead.estimate > 0 else "it is no better"
                decisions.append(Decision(f"not {entry.name}", f"{why}: {numbers}", FORCE))
        assert best is not None
        return best, decisions

    def _is_full(self, one: Measured) -> bool:
        return len(one.rows) == len(self.rows)

    def judged(self, plan: Plan, best: Entry | None) -> Judged:
        """Judge by the out-of-fold predictions themselves, corrected for having chosen on them."""
        scores = {entry.name: self._score(entry.name) for entry in (MAJORITY, SCRATCH)}
        by = f"{len(self.rows):,} out-of-fold predictions, corrected for having chosen on them"
        if best is None:
            return Judged(scores, no_gain(len(self.rows), self.metric), by)
        raced = {e: one for e, one in self.runners.items() if not e.member or e == best}
        runners = {entry.name: one.on(self.rows) for entry, one in raced.items()}
        honest = corrected(
            {SCRATCH.name: self.measured[SCRATCH.name].on(self.rows), **runners},
            self.labels[self.rows],
            self.metric,
            chosen=best.name,
            transfers=list(runners),
            groups=None if self.groups is None else self.groups[self.rows],
            seed=self.seed,
        )
        return Judged({**scores, best.name: honest.score}, honest.gain, by)

    def candidates(self, shipped: Entry) -> tuple[Candidate, ...]:
        """Return every candidate with its out-of-fold score."""
        return tuple(
            Candidate(
                outcome.entry.strategy,
                outcome.entry.source,
                self._score(outcome.entry.name) if outcome.entry.name in self.measured else None,
                outcome.seconds,
                _status(outcome, shipped),
                outcome.failure or outcome.dropped,
                outcome.entry.member,
            )
            for outcome in self.outcomes
        )

    def _score(self, name: str) -> Score:
        one = self.measured[name]
        return evaluate.score(
            self.metric,
            self.labels[one.rows],
            one.predictions,
            groups=None if self.groups is None else self.groups[one.rows],
            seed=self.seed,
            out_of_fold=True,
        )


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


def advised(decision: Decision) -> Decision:
    """Return a decision of the guard as the advice that it is where the user named a strategy."""
    if decision.what != f"ship {SCRATCH.name}":
        return decision
    return Decision(
        f"the guard would hand back {SCRATCH.name}", decision.why, f"--strategy {SCRATCH.name}"
    )


def no_gain(n: int, metric: str) -> Gain:
    """Return the gain of handing back scratch where no transfer took part: none at all."""
    return Gain(0.0, 0.0, 0.0, n, metric=metric, verdict="none")


def _status(outcome: Outcome, shipped: Entry) -> CandidateStatus:
    if outcome.entry == shipped:
        return "chosen"
    if outcome.failure:
        return "failed"
    return "left out" if outcome.dropped and outcome.predictions is None else "lost"
