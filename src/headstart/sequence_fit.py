"""The front door of sequence tasks: speech to text, question answering, tags, text to text.

Read -> say who takes part -> let each answer what it has not seen -> choose -> judge against not
transferring -> result. No algorithm lives here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headstart import select
from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.core.types import SILENT, Candidate, Decision, FloatArray, Gain, IntArray, Reporter
from headstart.evaluate.additive import Measure, additive_choice, additive_gain, additive_score
from headstart.log import Log
from headstart.select.choose import SAME
from headstart.select.clock import Deadline
from headstart.sequence_result import SequenceResult
from headstart.sequences import Contender, Examples, Model, Plan, SequenceKind, kind_of
from headstart.sequences.contest import Outcome, answered, folds_of, one_fold

BUDGET = 600.0
"""Seconds, where none is named: sequence models train longer than heads."""


def fit_sequences(
    data: Any,
    *,
    task: str,
    label: str | None = None,
    text: str | None = None,
    path: str | None = None,
    group: str | None = None,
    test: Any = None,
    source: str | Sequence[str] | None = None,
    strategy: str | Sequence[str] | None = None,
    metric: str | None = None,
    budget: str | float | None = None,
    seed: int = 0,
    allow_unreadable: float = 0.05,
    reporter: Reporter = SILENT,
) -> SequenceResult:
    """Find out whether tuning a source on these examples helps, and return the better model.

    ``headstart.fit(..., task=...)`` calls it.

    Parameters
    ----------
    data : path or DataFrame
        Examples with what should be answered; see ``docs``.
    task : str
        One of ``headstart.sequences.SEQUENCE_TASKS``.
    label, text, path, group : str, optional
        Columns.
    test : like ``data``, optional
        The part that judges; without it out-of-fold answers judge.
    source, strategy : str or sequence of str, optional
        The candidates. A strategy named here is what you get, whatever the guard advises.
    metric : str, optional
        One of the measures of the task; the others are told beside it.
    budget : str or float, optional
        Time that all of it may take; 10 minutes by default.
    seed : int
    allow_unreadable : float
        Share of unreadable examples, 0 to 1, above which reading fails.
    reporter : Reporter

    Returns
    -------
    SequenceResult

    Raises
    ------
    DataError, OptionError, SourceError, MissingExtraError
        Each names what is wrong, where, and what to do next.
    """
    started = time.perf_counter()
    log, seed = Log(reporter), int(seed)
    clock = select.Clock(BUDGET if budget is None else select.seconds_of(budget))
    kind = kind_of(task)
    measure = measure_of(kind, metric)

    # Read the examples, and say who takes part.
    reading = kind.read(
        data,
        label=label,
        text=text,
        path=path,
        group=group,
        test=test,
        allow_unreadable=allow_unreadable,
        reporter=reporter,
    )
    log.add(*reading.decisions)
    train, judge = reading.train, reading.test
    plan = kind.plan(train, source=_names(source), strategy=_names(strategy), budget=clock.left)
    log.add(*plan.decisions)

    # Let each answer what it has not seen.
    folds = folds_of(train, seed=seed) if judge is None else one_fold(train, seed=seed)
    outcomes = []
    for contender in (plan.baseline, *plan.transfers):
        reporter.say(f"{contender.name} answers what it has not seen")
        hurried = plan.guarded and contender is not plan.baseline
        given: dict[str, Any] = {}
        if hurried:
            given["left"] = lambda: clock.left
            given["limited"] = lambda spare: Deadline(reporter, clock, spare)
        outcomes.append(answered(contender, train, folds, seed=seed, reporter=reporter, **given))
        _stopped(outcomes, plan)

    # Choose, and judge on what did not choose.
    chosen = _choose(measure, train, outcomes, seed=seed)
    log.add(*chosen.decisions)
    finalists = [plan.baseline, *([chosen.best] if chosen.best else [])]
    models = {}
    for one in finalists:
        reporter.say(f"{one.name} learns from all {train.n:,} examples")
        models[one.name] = one.fit(train, seed=seed, reporter=reporter)
        log.add(*models[one.name].decisions)
    plan = _as_fitted(plan, outcomes, chosen, models)
    gain, scores, judged_by = chosen.gain, chosen.scores, _by_folds(chosen.n, train.n)
    others = chosen.others(kind, train, seed)
    if judge is not None:
        said = {
            name: [one.value for one in model.predict(judge.inputs, reporter=reporter)]
            for name, model in models.items()
        }
        scores, gain = _on_test(measure, judge, said, plan.baseline.name, chosen.best, seed)
        judged_by = f"the test part ({judge.n:,} examples)"
        others = _others(kind, judge, said, seed)
    shipped = _ship(plan, chosen, gain, log, apart=judge is not None)
    return SequenceResult(
        kind=kind,
        reading=reading,
        metric=measure.name,
        judged_by=judged_by,
        shipped=shipped,
        baseline=plan.baseline,
        transfer=chosen.best,
        fitted=models[shipped.name],
        scores=scores,
        gain=gain,
        others=others,
        candidates=_candidates(measure, train, outcomes, shipped, seed),
        decisions=tuple(log.decisions),
        seconds=time.perf_counter() - started,
        seed=seed,
    )


def measure_of(kind: SequenceKind, name: str | None) -> Measure:
    """Return the measure that counts: the one named, or the first of the task.

    Raises
    ------
    UnknownNameError
    """
    known = {one.name: one for one in kind.measures}
    if name is not None and name not in known:
        raise UnknownNameError(f"measure of {kind.name}", name, known)
    return known[name] if name else kind.measures[0]


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _stopped(outcomes: Sequence[Outcome], plan: Plan) -> None:
    """Refuse to go on where what is needed could not be fitted."""
    baseline = outcomes[0]
    if baseline.reason:
        raise DataError(
            f"{baseline.contender.name}, what transfer is compared with, failed: {baseline.reason}"
        )
    done = len(outcomes) == 1 + len(plan.transfers)
    if done and not plan.guarded and plan.transfers and all(one.reason for one in outcomes[1:]):
        raise OptionError(
            "what was named could not be fitted",
            where="--strategy",
            got="; ".join(one.reason for one in outcomes[1:]),
            hint="name another, or none",
        )


def _as_fitted(
    plan: Plan, outcomes: Sequence[Outcome], chosen: _Chosen, models: dict[str, Model]
) -> Plan:
    """Call the baseline what it is, where the fit chose one of several."""
    old = plan.baseline
    model = models[old.name]
    if model.strategy == old.strategy:
        return plan
    new = replace(old, strategy=model.strategy, source=model.source.name if model.source else None)
    outcomes[0].contender = new
    models[new.name] = models.pop(old.name)
    chosen.said = {new.name if n == old.name else n: one for n, one in chosen.said.items()}
    chosen.scores = {new.name if n == old.name else n: one for n, one in chosen.scores.items()}
    if chosen.gain is not None:
        chosen.gain = replace(chosen.gain, baseline=new.strategy)
    return replace(plan, baseline=new)


class _Chosen:
    """What out-of-fold answers chose, and what they measured."""

    def __init__(
        self, examples: Examples, outcomes: Sequence[Outcome], shared: IntArray, measure: Measure
    ) -> None:
        self.measure, self.n = measure, len(shared)
        self.truth = [examples.targets[i] for i in shared]
        self.groups = examples.groups[shared] if examples.grouped else None
        self.shared = shared
        self.said = {
            one.contender.name: [one.answers[int(i)].value for i in shared] for one in outcomes
        }
        self.best: Contender | None = None
        self.lead = 0.0
        self.decisions: tuple[Decision, ...] = ()
        self.scores: dict[str, Any] = {}
        self.gain: Gain | None = None

    def table(self, name: str) -> FloatArray:
        """Return the statistics of a contender's answers."""
        return self.measure.of(self.truth, self.said[name])

    def others(self, kind: SequenceKind, train: Examples, seed: int) -> dict[str, Any]:
        """Return all measures of the two that count."""
        names = [next(iter(self.said)), *([self.best.name] if self.best else [])]
        said = {name: self.said[name] for name in names}
        part = train.take(self.shared)
        return _others(kind, part, said, seed, out_of_fold=True)


def _choose(
    measure: Measure, train: Examples, outcomes: Sequence[Outcome], *, seed: int
) -> _Chosen:
    """Choose the best transfer by what it answered out of fold."""
    baseline, *rest = outcomes
    running = [one for one in rest if not one.reason and one.answers]
    shared = set(baseline.answers)
    for one in running:
        shared &= set(one.answers)
    chosen = _Chosen(train, [baseline, *running], np.array(sorted(shared)), measure)
    base = chosen.table(baseline.contender.name)
    chosen.scores[baseline.contender.name] = additive_score(
        measure, base, groups=chosen.groups, seed=seed, out_of_fold=True
    )
    if not running:
        return chosen
    tables = {one.contender.name: chosen.table(one.contender.name) for one in running}
    name, score, gain = additive_choice(
        measure, tables, base, groups=chosen.groups, seed=seed, name=baseline.contender.strategy
    )
    chosen.best = next(one.contender for one in running if one.contender.name == name)
    chosen.scores[name], chosen.gain, chosen.lead = score, gain, gain.estimate
    return chosen


def _on_test(
    measure: Measure,
    judge: Examples,
    said: dict[str, list[Any]],
    baseline: str,
    best: Contender | None,
    seed: int,
) -> tuple[dict[str, Any], Gain | None]:
    groups = judge.groups if judge.grouped else None
    tables = {name: measure.of(judge.targets, answers) for name, answers in said.items()}
    scores = {
        name: additive_score(measure, table, groups=groups, seed=seed)
        for name, table in tables.items()
    }
    if best is None:
        return scores, None
    called = baseline.split(" + ")[-1]
    gain = additive_gain(
        measure, tables[best.name], tables[baseline], groups=groups, seed=seed, name=called
    )
    return scores, gain


def _others(
    kind: SequenceKind,
    part: Examples,
    said: dict[str, list[Any]],
    seed: int,
    *,
    out_of_fold: bool = False,
) -> dict[str, Any]:
    """Return every measure of the task, by contender."""
    groups = part.groups if part.grouped else None
    return {
        name: {
            one.name: additive_score(
                one,
                one.of(part.targets, answers),
                groups=groups,
                seed=seed,
                out_of_fold=out_of_fold,
            )
            for one in kind.measures
        }
        for name, answers in said.items()
    }


def _ship(plan: Plan, chosen: _Chosen, gain: Gain | None, log: Log, *, apart: bool) -> Contender:
    """Return what the user gets: transfer where it leads, unless they named what they want."""
    best = chosen.best
    if best is None:
        return plan.baseline
    if not plan.guarded:
        overruled = select.veto(gain) if gain is not None else None
        if overruled is not None:
            log.add(select.advised(overruled))
        return best
    lead = f"{chosen.measure.name}, lead out of fold {chosen.lead:+.3f}"
    keep = chosen.lead > SAME
    log.add(
        Decision(
            f"ship {best.name}" if keep else f"ship {plan.baseline.name}",
            f"it beats {plan.baseline.name} ({lead})"
            if keep
            else f"{best.name}, the best transfer, does not beat it ({lead})",
            f"--strategy {plan.baseline.strategy}" if keep else "--strategy NAME forces transfer",
        )
    )
    if apart and gain is not None:
        overruled = select.veto(gain) if keep else select.rescue(gain, best.name)
        if overruled is not None:
            log.add(overruled)
            keep = not keep
    return best if keep else plan.baseline


def _candidates(
    measure: Measure,
    train: Examples,
    outcomes: Sequence[Outcome],
    shipped: Contender,
    seed: int,
) -> tuple[Candidate, ...]:
    found = []
    for one in outcomes:
        score = None
        if one.answers and not one.reason:
            held = np.array(sorted(one.answers))
            part = train.take(held)
            table = measure.of(part.targets, [one.answers[int(i)].value for i in held])
            groups = part.groups if part.grouped else None
            score = additive_score(measure, table, groups=groups, seed=seed, out_of_fold=True)
        status: Any = "failed" if one.failed else ("left out" if one.reason else "lost")
        if one.contender is shipped:
            status = "chosen"
        found.append(
            Candidate(
                one.contender.strategy,
                one.contender.source,
                score=score,
                seconds=one.seconds,
                status=status,
                reason=one.reason,
            )
        )
    return tuple(found)


def _by_folds(n: int, total: int) -> str:
    part = f"{n:,} of the {total:,}" if n < total else f"the {total:,}"
    return f"out-of-fold answers to {part} examples"
