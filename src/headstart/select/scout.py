"""Scouting: further sources are looked at on a sample before all items are encoded with them.

The first step of successive halving (Jamieson & Talwalkar, AISTATS 2016): a probe on the sample
tells who is surely behind, and at most half of the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from headstart.core.errors import DataError, OutOfTimeError
from headstart.core.types import FloatArray, IntArray, Reporter
from headstart.data import split
from headstart.evaluate.intervals import margin_scale
from headstart.select import gate
from headstart.select.clock import spoken
from headstart.select.contest import Contest
from headstart.select.heat import race
from headstart.select.measured import Judge, Measured
from headstart.select.plan import Plan
from headstart.select.prior import weighed
from headstart.select.race import Entry, held_rows, part_of
from headstart.select.sample import sample

LOOK = "probe"
"""The strategy that they are looked at with."""
FEW = 24
"""Items that tell how long encoding takes."""
BEHIND = 0.9
"""Confidence of the interval that must lie below zero for a source to be left out."""

Encode = Callable[[str, IntArray, Reporter], FloatArray]


def scout(
    contest: Contest,
    plan: Plan,
    encode: Encode,
    timed: Callable[[str, IntArray], object],
    *,
    n_judge: int = 0,
) -> list[str]:
    """Return which sources race beside the first: at most half, best first, if there is time.

    Parameters
    ----------
    contest : Contest
        Who is left out is noted there, with the reason.
    plan : Plan
        The features of its first source lie in the contest's field; those of others may.
    encode : callable
        ``encode(source, places, reporter)`` returns the features of the items at places.
    timed : callable
        ``timed(source, places)`` encodes items although they may be cached, to see how long it
        takes: what was cached by an earlier run must not change what is chosen.
    n_judge : int
        Items that are encoded beside the training items when a source goes on.
    """
    others = list(plan.sources[1:])
    if plan.sources_named or not others:
        return others
    first = plan.sources[0]
    field = contest.field
    places, _ = sample(field.labels, field.kind, seed=field.seed)
    total = len(field.labels) + n_judge
    if not contest.folds:
        cost = {name: _seconds(contest, timed, name, places, total) for name in others}
        return _best_known(contest, plan, cost)
    looks: dict[str | None, Any] = {first: field.inputs[first][places]}
    seconds: dict[str, float] = {}
    for name in others:
        seconds[name] = _seconds(contest, timed, name, places, total)
        if name in field.inputs:
            looks[name] = field.inputs[name][places]
            continue
        if not _affordable(contest, plan, name, seconds[name]):
            continue
        try:
            looks[name] = encode(name, places, contest.until_late())
        except OutOfTimeError as error:
            _leave_out(contest, plan, name, str(error.what), f"--source {name}")
    kept = _halved(contest, plan, places, looks) if len(looks) > 1 else []
    promised, found = 0.0, []
    for name in kept:
        if _affordable(contest, plan, name, promised + seconds[name]):
            promised += seconds[name]
            found.append(name)
    return found


def _seconds(
    contest: Contest,
    timed: Callable[[str, IntArray], object],
    name: str,
    places: IntArray,
    total: int,
) -> float:
    """Return about how many seconds it takes to encode ``total`` items with a source.

    0 where all are encoded already, in one run with a view of the same source.
    """
    if name in contest.field.inputs:
        return 0.0
    few = places[:FEW]
    timed(name, few)  # the first time loads what is needed
    started = contest.clock.passed
    timed(name, few)
    return (contest.clock.passed - started) / len(few) * total


def _best_known(contest: Contest, plan: Plan, seconds: Mapping[str, float]) -> list[str]:
    """Return the source of the best published quality, where nothing can be measured.

    None where that is the first, or where there is no time for a better one.
    """
    known = {name: plan.known.get(name) or 0.0 for name in plan.sources}
    best = plan.sources[0]
    for name in sorted(plan.sources[1:], key=lambda name: -known[name]):
        if known[name] <= known[best]:
            why = f"nothing is held out to tell it from {best}, which is known to be as good"
            _leave_out(contest, plan, name, why, f"--source {name}")
        elif _affordable(contest, plan, name, seconds[name]):
            best = name
    return [best] if best != plan.sources[0] else []


def _halved(
    contest: Contest, plan: Plan, places: IntArray, looks: dict[str | None, Any]
) -> list[str]:
    """Return the sources, best first, that may be the best on the sample; at most half of them."""
    whole, metric = contest.field, contest.rules.metric
    field = whole.taken(places, looks)
    others = [str(name) for name in looks if name != plan.sources[0]]
    try:
        folds = split(part_of(whole, places), n_splits=5, seed=whole.seed)
    except DataError:  # too few groups: nothing to tell them apart by
        return others
    held = held_rows(folds)
    found = {
        str(outcome.entry.source): Measured(held, outcome.predictions)
        for outcome in race([Entry(LOOK, name) for name in looks], field, folds)
        if outcome.predictions is not None
    }
    groups = None if contest.judge.groups is None else contest.judge.groups[places]
    judge = Judge(field.labels, groups, metric, field.seed)
    scores = {name: judge.score(one) for name, one in found.items()}
    values = np.array([judge.value(one) for one in found.values()])
    priors = [plan.known.get(name) for name in found]
    size = len(places) if groups is None else len(np.unique(groups))
    unit = margin_scale(metric, float(np.mean(np.abs(values)))) if len(values) else 1.0
    worth = dict(zip(found, weighed(values, priors, size, unit=unit), strict=True))
    order = sorted(found, key=lambda name: -worth[name])
    kept: list[str] = []
    for name in [name for name in order if name in others]:
        lead = judge.lead(found[name], found[order[0]], level=BEHIND, n_boot=400)
        behind = lead is not None and lead.high < 0
        if not behind and len(kept) < -(-len(others) // 2):
            kept.append(name)
            continue
        why = (
            f"{'it is behind' if behind else 'others look better'} on {len(places):,} items "
            f"({metric} {scores[name]:.3f}; {order[0]} {scores[order[0]]:.3f})"
        )
        _leave_out(contest, plan, name, why, f"--source {name}")
    for name in others:
        if name not in found:
            _leave_out(contest, plan, name, f"a {LOOK} on it failed", f"--source {name}")
    return kept


def _affordable(contest: Contest, plan: Plan, name: str, seconds: float) -> bool:
    """Say whether there is time to encode all items with a source."""
    ready = name in contest.field.inputs
    if ready or seconds <= contest.left or contest.rules.named:
        return True
    minutes = gate.round_up(1.2 * seconds + contest.clock.passed + contest.spare)
    _leave_out(
        contest,
        plan,
        name,
        f"encoding all items would take about {spoken(seconds)} more, and {contest.time_left()}",
        f"--budget {minutes}m",
    )
    return False


def _leave_out(contest: Contest, plan: Plan, source: str, why: str, override: str) -> None:
    entries = [entry for entry in plan.transfers if entry.source == source]
    contest.leave_out(entries, source, why, override)
