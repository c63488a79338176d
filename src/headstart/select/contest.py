"""The contest: candidates race fold by fold, and who cannot win any more stops.

Cheapest first. All see the same folds, so that comparisons are paired; after each fold a candidate
is dropped where the paired bootstrap says that it is very unlikely to win (a race in the sense of
Maron & Moore, "Hoeffding races", NIPS 1993, with intervals from the data). Strategies that tune a
source come last, on the source that is best by then, if labels and time allow.

Nothing here judges: what is handed back is measured on items that this contest has not seen, or
corrected for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from headstart import sources, strategies
from headstart.core.errors import DataError, OutOfTimeError
from headstart.core.types import SILENT, Decision, IntArray, Reporter, subset
from headstart.data import split
from headstart.evaluate import METRICS, Predictions
from headstart.select import gate, live
from headstart.select.blend import blend_entry, blend_outcome, blended
from headstart.select.clock import Clock, Deadline, spoken
from headstart.select.heat import Heat, late, said
from headstart.select.journal import Journal
from headstart.select.measured import Judge, Measured, measured_of, runners_of, telling
from headstart.select.plan import BASELINES, SCRATCH, Plan
from headstart.select.race import (
    FAILURES,
    Entry,
    Field,
    Folds,
    Once,
    Outcome,
    fit_one,
    held_out,
    part_of,
    predict_one,
    seconds_to_fit,
    valid_part,
)

SURE = 0.98
"""Confidence of the interval that must lie below zero for a candidate to be dropped."""
FEWEST_ROWS = 20
"""Held-out items below which none is dropped."""
TO_TIME = 10.0
"""Seconds that must be left for trying how long tuning takes."""
FEWEST_TO_BLEND = 40
"""Items predicted out of fold by scratch and by transfer, below which they are not blended."""
ROOM = 0.005
"""How much must be left to win for a source to be tuned, of metrics that end at 1."""


@dataclass(frozen=True)
class Rules:
    """What binds a contest.

    Parameters
    ----------
    metric : str
    judged : bool
        Whether a part of its own judges afterwards: then fewer folds are enough for what is dear.
    named : bool
        Whether the user named the strategies: then all take part, whatever they take.
    """

    metric: str
    judged: bool = False
    named: bool = False


class Contest:
    """The race of all candidates on one task.

    Parameters
    ----------
    field : Field
        Its ``inputs`` may grow while the contest runs.
    folds : sequence of (train, test) index arrays
        Empty where nothing can be held out.
    rules : Rules
    clock : Clock
    journal : Journal, optional
    reporter : Reporter

    Attributes
    ----------
    outcomes : dict of Entry to Outcome
        In the order in which they took part.
    fitted : dict of Entry to estimator
        Those that were measured without folds, fitted on the items that they may learn from.
    decisions : list of Decision
    """

    def __init__(
        self,
        field: Field,
        folds: Folds,
        rules: Rules,
        *,
        clock: Clock,
        journal: Journal | None = None,
        reporter: Reporter = SILENT,
    ) -> None:
        self.field, self.folds, self.rules, self.clock = field, list(folds), rules, clock
        self.journal, self.reporter = journal or Journal(), reporter
        self.judge = Judge(field.labels, telling(field.groups), rules.metric, field.seed)
        self.outcomes: dict[Entry, Outcome] = {}
        self.fitted: dict[Entry, Any] = {}
        self.decisions: list[Decision] = []
        self._scratch_fit = 0.0
        self._said: set[str] = set()  # by what is fitted more than once

    def run(self, entries: Sequence[Entry]) -> None:
        """Let candidates on frozen features, and the baselines, predict fold by fold."""
        for entry in entries:  # loads what it needs before the clock starts
            strategies.make(entry.strategy, kind=self.field.kind, modality=self.field.modality)
        runs = {entry: Heat(entry) for entry in entries}
        few = gate.fewer_folds(len(self.field.labels), len(self.folds))
        total, done = len(runs) * len(self.folds), 0
        live.racing(self, entries)
        for number, fold in enumerate(self.folds):
            for run in runs.values():
                dear = run.entry == SCRATCH and self.rules.judged and number >= few
                if not run.ended and not dear:
                    self._hold_out(run, *fold)
                done += 1
                self.reporter.progress("racing candidates", done, total, "fits")
            if number + 1 < len(self.folds):
                self._drop(list(runs.values()))
        for run in runs.values():
            self.note(run.outcome(self.folds))

    def _hold_out(self, run: Heat, train: IntArray, test: IntArray) -> None:
        """Fit a candidate without a fold, and predict the fold."""

        def predict(entry: Entry) -> tuple[Predictions, float]:
            make = partial(self._timed, entry, train, test)
            return self.journal.predictions(entry, train, test, make)

        before = run.seconds
        run.hold_out(predict)
        if run.entry == SCRATCH:
            self._scratch_fit = max(self._scratch_fit, run.seconds - before)
        live.fold_done(self, run)

    def _timed(self, entry: Entry, train: IntArray, test: IntArray) -> tuple[Predictions, float]:
        started = time.perf_counter()
        return held_out(entry, self.field, train, test), time.perf_counter() - started

    def _drop(self, runs: Sequence[Heat]) -> None:
        """Drop who is surely behind the best so far; baselines are never dropped."""
        racing = [run for run in runs if not run.ended and run.entry not in BASELINES]
        if not racing:
            return
        measured = {run.entry: run.measured(self.folds) for run in racing}
        rivals = self._measured() | measured
        best = self._best(rivals)
        if best is None or min(len(one.rows) for one in measured.values()) < FEWEST_ROWS:
            return
        for run in racing:
            if run.entry == best:
                continue
            lead = self.judge.lead(measured[run.entry], rivals[best], level=SURE, n_boot=200)
            if lead is not None and lead.high < 0:
                run.dropped = (
                    f"dropped after {len(run.pieces)} of {len(self.folds)} folds: "
                    f"{lead.estimate:+.3f} [{lead.low:.3f}, {lead.high:.3f}] against {best.name}"
                )

    def _measured(self) -> dict[Entry, Measured]:
        """Return what was measured of the transfer candidates that may still win."""
        return runners_of(self.outcomes.values(), self.folds)

    def measured(self, entry: Entry) -> Measured:
        """Return what was measured of a candidate that has predictions."""
        return measured_of(self.outcomes[entry], self.folds)

    def leader(self) -> Entry | None:
        """Return the transfer candidate that is best so far; None where there is none."""
        return self._best(self._measured())

    def _best(self, found: Mapping[Entry, Measured]) -> Entry | None:
        best: Entry | None = None
        for entry, one in found.items():
            if best is None or self.judge.better(one, found[best]):
                best = entry
        return best

    def note(self, outcome: Outcome) -> None:
        """Keep an outcome, and say it as it comes."""
        self.outcomes[outcome.entry] = outcome
        live.ended(self, outcome)
        name = outcome.entry.name
        if outcome.failure or outcome.dropped:
            self.reporter.say(f"{name}: {outcome.failure or outcome.dropped}")
        elif outcome.predictions is not None and self.folds:
            one = self.measured(outcome.entry)
            score = f"{self.rules.metric} {self.judge.score(one):.3f}"
            self.reporter.say(
                f"{name}: {score} on {len(one.rows):,} held-out items, {outcome.seconds:.1f} s"
            )

    def final(self, entry: Entry) -> Any:
        """Return the estimator of a candidate, fitted on all items that it may learn from."""
        if entry not in self.fitted:
            field = self.field.told(Once(self.reporter, self._said))
            self.fitted[entry] = self._blended(entry) if entry.member else fit_one(entry, field)
        return self.fitted[entry]

    def _blended(self, entry: Entry) -> Any:
        member = Entry(str(entry.member), entry.source)
        return blended(
            self.final(SCRATCH),
            self.final(member),
            self.outcomes[SCRATCH],
            self.outcomes[member],
            self.field.labels,
            self.folds,
            modality=self.field.modality,
        )

    def decide(self, what: str, why: str, override: str) -> None:
        """Note a decision, and say it."""
        self.decisions.append(Decision(what, why, override))
        self.reporter.say(str(self.decisions[-1]))

    def leave_out(self, entries: Sequence[Entry], what: str, why: str, override: str) -> None:
        """Leave candidates out, and say why."""
        self.decide(f"{what} left out", why, override)
        live.left_out(self.reporter, entries, why)
        for entry in entries:
            self.outcomes[entry] = Outcome(entry, None, 0.0, dropped=why)

    @property
    def spare(self) -> float:
        """Seconds that must be left: for fitting scratch again, and for judging."""
        return 1.5 * self._scratch_fit

    @property
    def left(self) -> float:
        """Seconds that candidates may still use."""
        return self.clock.left - self.spare

    def time_left(self) -> str:
        """Return in words how much time candidates may still use."""
        return f"there are {spoken(self.left)}" if self.left >= 1 else "no time is left"

    def until_late(self) -> Reporter:
        """Return the reporter that work reports to which must stop when the time is up."""
        return (
            self.reporter if self.rules.named else Deadline(self.reporter, self.clock, self.spare)
        )

    def tune(self, plan: Plan) -> None:
        """Let the strategies that tune a source take part, on the source that is best so far."""
        entries = self._tunable(plan)
        for entry in entries:
            valid, compared = self._parts(entry.strategy)
            if self.left < TO_TIME and not self.rules.named:
                self._no_time(entry)
                continue
            each = seconds_to_fit(entry, self.field)
            folds = self._few_folds(each) if self.rules.judged else self.folds
            needed = each * (1 if len(valid) else len(folds) + 1)
            if needed > self.left and not self.rules.named:
                self._no_time(entry, needed)
                continue
            override = "" if self.rules.named else "--strategy probe leaves it out"
            self.decide(f"{entry.strategy} tunes {entry.source}", self._suits(), override)
            self.reporter.say(f"{entry.name} takes about {spoken(needed)} in all")
            if len(valid):
                self._tune_once(entry, valid, compared)
            elif folds:
                self._tune_folds(entry, folds)

    def _suits(self) -> str:
        return "it was named" if self.rules.named else "it suits so many labels"

    def _no_time(self, entry: Entry, needed: float = 0.0) -> None:
        """Leave a candidate out that tunes its source, for want of time."""
        takes = f"it would take about {spoken(needed)} more" if needed else "it takes long"
        minutes = gate.round_up(1.2 * needed + self.clock.passed + self.spare + TO_TIME)
        self.leave_out(
            [entry],
            entry.name,
            f"{takes}, and {self.time_left()}",
            f"--budget {minutes}m, or --strategy {entry.strategy}",
        )

    def _few_folds(self, each: float) -> Folds:
        """Return the folds that are enough for what tunes a source, where a part judges.

        One where there is no time for more, if a fit takes ``each`` seconds.
        """
        few = min(gate.TUNED_FOLDS, gate.fewer_folds(len(self.field.labels), len(self.folds)))
        short = not self.rules.named and (few + 1) * each > self.left
        return self.folds[: 1 if short else few]

    def _parts(self, strategy: str) -> tuple[IntArray, IntArray]:
        """Return the items that validate what is tuned once, and those that compare it.

        Both are held out by the first fold, and apart, for training stops where it does best on the
        former; of few labels, where the fold is needed whole, the same. None where no part judges
        afterwards, or where there are too few to spare any.
        """
        none = np.zeros(0, dtype=np.int64)
        wanted = len(valid_part(self.field, np.arange(len(self.field.labels)), strategy))
        if not (self.rules.judged and self.folds and wanted):
            return none, none
        held = self.folds[0][1]
        parts = round(len(held) / wanted)
        if parts < 2:
            return held, held
        try:
            folds = split(part_of(self.field, held), n_splits=parts, seed=self.field.seed)
        except DataError:  # too few groups to part them
            return none, none
        return held[folds[0][1]], held[folds[1][1]]

    def blend(self, plan: Plan) -> None:
        """Let the blend of scratch and the best transfer take part."""
        best = self.leader()
        if best is None or not (plan.blend or (plan.guarded and not self.rules.named)):
            return
        common = np.intersect1d(self.measured(SCRATCH).rows, self.measured(best).rows)
        if len(common) < FEWEST_TO_BLEND and not plan.blend:
            n = len(common)
            why = f"{n} items that both predicted, below {FEWEST_TO_BLEND}, teach no weights"
            self.leave_out([blend_entry(best)], "blend", why, "label more items")
            return
        self.note(
            blend_outcome(
                self.outcomes[SCRATCH],
                self.outcomes[best],
                self.field.labels,
                self.folds,
                groups=self.field.groups,
            )
        )

    def _tunable(self, plan: Plan) -> list[Entry]:
        """Return who tunes a source, and say who does not and why."""
        entries = [entry for entry in gate.tuners(plan) if entry not in self.outcomes]
        leader = self.leader()
        if self.rules.named or leader is None or not entries:
            return entries
        best_source = str(leader.source)
        if all(entry.source != best_source for entry in entries):
            best_source = sources.base_of(best_source)  # a part stands for the whole
        for entry in entries:
            if entry.source != best_source:
                why = f"{leader.source} is the better source with frozen features"
                self.leave_out([entry], entry.name, why, f"--source {entry.source}")
        own = [entry for entry in entries if entry.source == best_source]
        rivals = [leader, *([SCRATCH] if SCRATCH in self.outcomes else [])]
        values = {entry.name: self.judge.value(self.measured(entry)) for entry in rivals}
        ahead, best = max(values.items(), key=lambda pair: pair[1])
        if own and METRICS[self.rules.metric].bounded and best > 1 - ROOM:
            why = f"{ahead} has {self.rules.metric} {best:.3f} out of fold: little to win"
            names = ", ".join(entry.strategy for entry in own)
            self.leave_out(own, names, why, f"--strategy {own[0].strategy}")
            return []
        return own

    def _tune_once(self, entry: Entry, valid: IntArray, compared: IntArray) -> None:
        """Tune on all items but those that compare it with the others."""
        field, started = self.field.told(Once(self.until_late(), self._said)), time.perf_counter()
        kept = np.setdiff1d(compared, valid)
        learnt = np.setdiff1d(np.arange(len(field.labels)), kept)
        try:
            model = fit_one(entry, field, learnt, valid=np.searchsorted(learnt, valid))
            found = predict_one(model, subset(field.of(entry), compared), field.classes)
        except OutOfTimeError as error:
            self.note(Outcome(entry, None, time.perf_counter() - started, dropped=late(error)))
        except FAILURES as error:
            self.note(Outcome(entry, None, time.perf_counter() - started, said(error)))
        else:
            self.fitted[entry] = model
            self.note(Outcome(entry, found, time.perf_counter() - started, rows=compared))

    def _tune_folds(self, entry: Entry, folds: Folds) -> None:
        """Tune once for each fold, as long as it may still win."""
        field, run = self.field, Heat(entry)
        self.field = field.told(Once(self.until_late(), self._said))
        try:
            for number, fold in enumerate(folds):
                self._hold_out(run, *fold)
                if run.ended:
                    break
                if number + 1 < len(folds):
                    self._drop([run])
        finally:
            self.field = field
        self.note(run.outcome(self.folds))
