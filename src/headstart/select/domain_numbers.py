"""Numbers to predict in another domain: who takes part, and who is handed back.

Without labels of the target nobody is: what judges adapters of classes, going to the target and
back, cannot see numbers. The source's line predicts the target, and a line fitted to what it
predicts is that line again, wherever the (sufficiently many) rows lie; so the source's model comes
back as well as it went under every shift, and no adapter rises above it
(``benchmarks/adaptation_numbers.py`` measures that).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.core.types import AnyArray, Decision, FloatArray, Gain, Modality
from headstart.evaluate import Predictions, default_metric, gain, in_units, score
from headstart.evaluate.shift import Shift
from headstart.evaluate.shift_words import p_words
from headstart.select.adapting import MOST_SOURCE, drawn_labelled
from headstart.select.adapting_labels import (
    FEWEST,
    Comparison,
    compare_on_labels,
    cross_predictions,
    distinct,
)
from headstart.select.circular import split
from headstart.select.domain_outcome import (
    BY_NOBODY,
    DomainChoice,
    advice,
    by_labels,
    candidates_of,
    judged_by_labels,
    reason_of,
    unjudged,
)
from headstart.select.domain_plan import BASELINES, SOURCE_ONLY, DomainPlan, freely
from headstart.strategies.adaptation import ADAPTERS, NUMBER_ADAPTERS, make_for_numbers

METRIC = default_metric("regression", np.zeros(1))[0]
BOOSTED = "tradaboost-r2"
CELLS = 500_000
"""Rows times columns above which boosting takes part only where it is named: it fits hundreds."""
UNPROVEN = (
    "the target has no label, and without one nothing can be proven for numbers: a line comes back "
    "from the target as it went there, whatever the shift"
)


def plan_numbers(
    strategy: str | Sequence[str] | None,
    *,
    n_labels: int,
    several: bool,
    alike: bool,
    modality: Modality = "table",
    cells: int = 0,
    seed: int = 0,
) -> DomainPlan:
    """Return the adapters of numbers that take part.

    Parameters
    ----------
    strategy, n_labels, several, alike, modality, seed
        As for ``plan_domains``.
    cells : int
        Rows times columns that candidates learn from.

    Raises
    ------
    UnknownNameError
        A name that does not exist.
    OptionError
        What was named is for classes, or needs labels that there are not.
    DataError
        The tables have no column in common.
    """
    if not alike:
        raise DataError(
            "the tables have no column in common, and numbers are carried over between like "
            "columns only",
            where="TARGET_DATA",
            hint="name columns alike, or fit the target's own labels: headstart fit",
        )
    named = (strategy,) if isinstance(strategy, str) else tuple(dict.fromkeys(strategy or ()))
    for name in named:
        if name not in NUMBER_ADAPTERS and name in ADAPTERS:
            raise OptionError(
                f"{name} carries classes over, and these labels are numbers",
                where="--strategy",
                allowed=list(NUMBER_ADAPTERS),
            )
        if name not in NUMBER_ADAPTERS:
            raise UnknownNameError("strategy", name, NUMBER_ADAPTERS)
        if NUMBER_ADAPTERS[name].needs_labels and not n_labels:
            raise OptionError(
                f"{name} needs labels of some target items: --target-labels FILE",
                where="--strategy",
            )
    wanted = named[0] if len(named) == 1 and named[0] != SOURCE_ONLY else None
    decisions = [] if wanted is None else [freely(wanted)]
    if several:
        what = "the source domains are taken together"
        decisions.append(Decision(what, "only classes have adapters for several of them"))
    every: Sequence[str] = named
    if named != (SOURCE_ONLY,):
        every = (SOURCE_ONLY, *(named or _raced(n_labels, cells, decisions)))
        every = (*every, *(name for name in BASELINES if n_labels))
    made = {name: make_for_numbers(name, random_state=seed) for name in dict.fromkeys(every)}
    return DomainPlan(made, wanted, True, tuple(decisions))


def _raced(n_labels: int, cells: int, decisions: list[Decision]) -> list[str]:
    """Return who takes part where nobody is named."""
    if not n_labels:
        return []
    names = [name for name, spec in NUMBER_ADAPTERS.items() if spec.raced]
    if cells > CELLS:
        names.remove(BOOSTED)
        why = f"{cells:,} cells are more than {CELLS:,}, and it fits hundreds of models"
        decisions.append(Decision(f"{BOOSTED} takes no part", why, f"--strategy {BOOSTED}"))
    return names


def choose_numbers(
    plan: DomainPlan,
    X: FloatArray,
    y: AnyArray,
    X_target: FloatArray,
    y_target: AnyArray,
    *,
    shift: Shift | None = None,
    seed: int = 0,
) -> DomainChoice:
    """Choose among the adapters of numbers, and fit the chosen one to everything there is.

    Parameters
    ----------
    plan : DomainPlan
        By ``plan_numbers``.
    X, y : the source
    X_target : array of shape (m, d)
    y_target : array of m objects
        A number, or None.
    shift : Shift, optional
        Where it finds none, that is the reason given for not adapting without labels.
    seed : int
    """
    known = np.flatnonzero([one is not None for one in y_target])
    decisions = _learnt(plan, X, y, seed)
    compared = None
    name, decision = SOURCE_ONLY, _unlabelled(len(known), shift)
    if list(plan.candidates) == [SOURCE_ONLY]:
        if len(known):
            decision = Decision(SOURCE_ONLY, "nothing else was asked for")
    elif len(known) >= FEWEST:
        compared, why = _compared(plan, X, y, X_target, y_target, known, seed)
        decision = Decision("target labels not used to choose", why)
        if compared is not None:
            name, decision = _decided(compared)
    decisions = (*decisions, decision)
    if plan.wanted is not None:
        name, decisions = plan.wanted, tuple(advice(one) for one in decisions)
    adapter = clone(plan.candidates[name]).fit(X, y, X_target, y_target)
    scores = {} if compared is None else {one.name: one.score for one in compared.candidates}
    whole = DomainChoice(
        name,
        adapter,
        decisions,
        candidates_of(plan, name, scores),
        BY_NOBODY if compared is None else by_labels(compared),
        METRIC,
        unjudged(y_target),
        why=reason_of(decisions),
    )
    if list(plan.candidates) == [SOURCE_ONLY]:
        return _alone(whole, X, X_target, y_target, known, seed)
    return judged_by_labels(whole, compared, SOURCE_ONLY)


def _unlabelled(n_labels: int, shift: Shift | None) -> Decision:
    """Return why nothing is adapted where labels do not say."""
    why = UNPROVEN
    if n_labels:
        why = f"{n_labels} labels of the target are too few to compare by ({FEWEST} are needed)"
    elif shift is not None and shift.verdict == "none":
        why = "no test finds a shift between source and target"
    return Decision("no adaptation", why, "--strategy NAME adapts all the same")


def _learnt(plan: DomainPlan, X: FloatArray, y: AnyArray, seed: int) -> tuple[Decision, ...]:
    """Say where the source's rows teach nothing about its own numbers."""
    found = beats_mean(plan.candidates[SOURCE_ONLY], X, y, seed=seed)
    if found.low > 0:
        return ()
    why = (
        "on held-out source rows the source model is no better than the mean "
        f"({METRIC} better by {_amount(found)})"
    )
    return (Decision("the source may have nothing to transfer", why),)


def beats_mean(make: Any, X: FloatArray, y: AnyArray, *, seed: int = 0) -> Gain:
    """Return the gain of the source model over the mean on held-out source rows.

    Parameters
    ----------
    make : unfitted adapter of numbers
    X, y : the source
        At most 4,000 rows are looked at, in 5 folds; the interval is one of 99 %.
    seed : int
    """
    rows = _some(len(X), MOST_SOURCE, seed)
    truth = np.asarray(y, np.float64)[rows]
    said, mean = np.empty(len(rows)), np.empty(len(rows))
    for train, held in split(truth, min(5, len(rows)), seed):
        said[held] = clone(make).fit(X[rows[train]], truth[train]).predict(X[rows[held]])
        mean[held] = truth[train].mean()
    return gain(
        METRIC,
        truth,
        Predictions(said),
        Predictions(mean),
        name="mean",
        level=0.99,
        out_of_fold=True,
        seed=seed,
        n_boot=500,
    )


def _some(n: int, most: int, seed: int) -> AnyArray:
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _compared(
    plan: DomainPlan,
    X: FloatArray,
    y: AnyArray,
    X_target: FloatArray,
    y_target: AnyArray,
    known: AnyArray,
    seed: int,
) -> tuple[Comparison | None, str]:
    """Let the labels of the target compare the candidates; or say why they cannot."""
    drawn, given, seen = drawn_labelled(X_target, list(y_target), known, seed, MOST_SOURCE)
    once = distinct(drawn[seen], learnt=X)
    if len(once) < FEWEST:
        return None, (
            f"{len(once)} labelled rows that are neither copies nor in the source are too few to "
            f"compare by ({FEWEST} are needed)"
        )
    rows = _some(len(X), MOST_SOURCE, seed)
    makers: dict[str, Callable[[], Any]] = {
        name: partial(clone, one) for name, one in plan.candidates.items()
    }
    said = cross_predictions(makers, X[rows], y[rows], drawn, given, seen, seed=seed, numbers=True)
    truth = [given[int(at)] for at in seen[once]]
    said = {name: one[once] for name, one in said.items()}
    return compare_on_labels(said, truth, metric=METRIC, seed=seed), ""


def _decided(compared: Comparison) -> tuple[str, Decision]:
    """Return what the labels of the target decide, and why."""
    others = len(compared.candidates) - 1
    if compared.settled is None:
        more = compared.labels_to_settle
        why = f"{compared.n} target labels settle nothing (best: {compared.best})"
        return SOURCE_ONLY, Decision(
            f"{SOURCE_ONLY} stays", why + (f"; about {more:,} would" if more else "")
        )
    one = compared.of(compared.settled)
    why = (
        f"{compared.n} target labels: {METRIC} {in_units(one.score.estimate)}, better by "
        f"{_amount(one.gain)} than source-only "
        f"(sign-flip test of squared errors, corrected for {others} candidates, "
        f"{p_words(one.p_adjusted)})"
    )
    if one.name == SOURCE_ONLY:
        why = f"{compared.n} target labels: every candidate is worse than source-only"
    return one.name, Decision(f"{one.name} by the target's labels", why)


def _amount(found: Gain) -> str:
    size, low, high = (in_units(x, signed=True) for x in (found.estimate, found.low, found.high))
    return f"{size} [{low}, {high}]"


def _alone(
    choice: DomainChoice,
    X: FloatArray,
    X_target: FloatArray,
    y_target: AnyArray,
    known: AnyArray,
    seed: int,
) -> DomainChoice:
    """Score the model of the source, which has seen no label of the target, on all there are."""
    known = known[distinct(X_target[known], learnt=X)]
    if len(known) < FEWEST:
        return choice
    truth = np.array([float(y_target[place]) for place in known])
    found = score(METRIC, truth, Predictions(choice.adapter.predict(X_target[known])), seed=seed)
    words = f"{len(known):,} labelled items of the target"
    return replace(choice, score=found, baselines={SOURCE_ONLY: found}, judged_by=words)
