"""From a plan of adapters to the one that is handed back, with what was measured of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from headstart.core.types import AnyArray, Decision, FloatArray, Score, State
from headstart.evaluate import Predictions, score
from headstart.evaluate.shift import Shift
from headstart.select import domain_items
from headstart.select.adapting import LABEL_SHIFT, AdaptChoice, choose_adapter
from headstart.select.adapting_labels import (
    FEWEST,
    compare_on_labels,
    cross_predictions,
    distinct,
)
from headstart.select.domain_items import OnItems, Tunable
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
from headstart.select.domain_plan import SOURCE_ONLY, TARGET_ONLY, DomainPlan
from headstart.strategies.adaptation import ADAPTERS, make
from headstart.strategies.adaptation.collapse import STAYED

METRIC, CIRCULAR = "accuracy", "balanced_accuracy"
BY_CIRCLE = "going to the target and back (circular validation): it needs no label of the target"
COMPARED = 500  # rows by which an adapter is told from the model of the source


def choose_domain(
    plan: DomainPlan,
    X: FloatArray,
    y: AnyArray,
    X_target: FloatArray,
    y_target: AnyArray,
    *,
    shift: Shift | None,
    domain: AnyArray | None = None,
    tunable: Tunable | None = None,
    seed: int = 0,
) -> DomainChoice:
    """Choose among the adapters of a plan, and fit the chosen one to everything there is.

    Parameters
    ----------
    plan : DomainPlan
    X, y : the source
    X_target : array of shape (m, e)
    y_target : array of m objects
        A label, or None.
    shift : Shift or None
        None where the features are different ones.
    domain : array of shape (n,), optional
        The source domain of each row.
    tunable : Tunable, optional
        The items themselves and their source, for adapters that tune it.
    seed : int
    """
    if not plan.alike or shift is None:
        return _different(plan, X, y, X_target, y_target, seed)
    choice = _chosen(plan, X, y, X_target, y_target, shift, domain, tunable, seed)
    name, decisions = choice.name, choice.decisions
    if plan.wanted is not None:
        name = plan.wanted
        decisions = tuple(advice(one) for one in decisions)
    if ADAPTERS[name].tunes and tunable is not None:
        adapter = tunable.made(plan.candidates[name])
        adapter.fit(tunable.source, y, tunable.target, y_target)
        what = f"{name} is the source tuned on labelled items alone"
        stayed = [Decision(what, one.why) for one in adapter.decisions_ if one.what == STAYED]
        decisions = (*decisions, *stayed)
    else:
        adapter = clone(plan.candidates[name])
        adapter.fit(X, y, X_target, y_target, domain=domain)
    if _stepped_back(name, adapter, plan, X, y, X_target, domain):
        why = f"{name} stepped back by itself: it is the model of the source alone"
        back = Decision("no adaptation", why)
        decisions = (*decisions, *adapter.decisions_, back)
        name = SOURCE_ONLY
    scores = {one: _circular(found) for one, found in choice.scores.items() if not found.failed}
    failed = {one: found.failed for one, found in choice.scores.items() if found.failed}
    if scores and LABEL_SHIFT in plan.candidates and LABEL_SHIFT not in scores:
        failed[LABEL_SHIFT] = "other class shares do not explain the shift"
    by = BY_CIRCLE if scores else BY_NOBODY
    metric = CIRCULAR
    if choice.comparison is not None:
        scores = {one.name: one.score for one in choice.comparison.candidates}
        metric, by, failed = METRIC, by_labels(choice.comparison), {}
    whole = DomainChoice(
        name,
        adapter,
        decisions,
        candidates_of(plan, name, scores, failed),
        by,
        metric,
        unjudged(y_target),
        why=reason_of(decisions),
    )
    if choice.comparison is None and list(plan.candidates) == [SOURCE_ONLY]:
        return _alone_judged(whole, X, X_target, y_target, seed)
    return judged_by_labels(whole, choice.comparison, SOURCE_ONLY)


def _alone_judged(
    choice: DomainChoice, X: FloatArray, X_target: FloatArray, y_target: AnyArray, seed: int
) -> DomainChoice:
    """Score the model of the source, which has seen no label of the target, on all there are."""
    known = np.flatnonzero([label is not None for label in y_target])
    known = known[distinct(X_target[known], learnt=X)]
    if len(known) < FEWEST:
        return choice
    truth = np.array([str(y_target[place]) for place in known])
    said = Predictions(choice.adapter.predict(X_target[known]).astype(str))
    found = score(METRIC, truth, said, seed=seed)
    words = f"{len(known):,} labelled items of the target"
    return replace(choice, score=found, baselines={SOURCE_ONLY: found}, judged_by=words)


def _stepped_back(
    name: str,
    adapter: Any,
    plan: DomainPlan,
    X: FloatArray,
    y: AnyArray,
    X_target: FloatArray,
    domain: AnyArray | None,
) -> bool:
    """Say whether an adapter is nothing but the model of the source, as its own guard can make it.

    Baselines never are; and what steps back says so.
    """
    if not adapter.decisions_ or ADAPTERS[name].tunes:
        return False
    if ADAPTERS[name].family == "baseline" or list(adapter.classes_) != sorted(set(y.tolist())):
        return False
    alone = clone(plan.candidates[SOURCE_ONLY]).fit(X, y, X_target, domain=domain)
    rows = X_target[:COMPARED]
    return bool(np.allclose(adapter.predict_proba(rows), alone.predict_proba(rows), atol=1e-9))


def _chosen(
    plan: DomainPlan,
    X: FloatArray,
    y: AnyArray,
    X_target: FloatArray,
    y_target: AnyArray,
    shift: Shift,
    domain: AnyArray | None,
    tunable: Tunable | None,
    seed: int,
) -> AdaptChoice:
    """Let the guard choose; what it must know beside features stands in further columns."""
    makers = {name: partial(clone, one) for name, one in plan.candidates.items()}
    tuned = [name for name in makers if ADAPTERS[name].tunes] if tunable is not None else []
    more: list[tuple[AnyArray, AnyArray]] = []
    if domain is not None:
        codes = np.append(np.unique(domain, return_inverse=True)[1], np.zeros(len(X_target), int))
        codes = codes[domain_items.first_equal(X, X_target)]  # copies stay equal, and judge once
        more.append((codes[: len(X)], codes[len(X) :]))
    effort: dict[str, int] = {}
    if tuned and tunable is not None:
        more.append(tunable.places(X, X_target))
        effort = {"cap": domain_items.CAP, "folds": domain_items.FOLDS}
        effort |= {"most": domain_items.MOST, "label_folds": domain_items.LABEL_FOLDS}
    wrapped: dict[str, Callable[[], Any]] = dict(makers)
    if more:
        width = X.shape[1]
        X = np.column_stack([X, *(one for one, _ in more)])
        X_target = np.column_stack([X_target, *(one for _, one in more)])
        by = None if domain is None else width
        wrapped = {name: partial(_ByColumn, one, width, by) for name, one in makers.items()}
        for name in tuned:
            assert tunable is not None
            make_one = partial(tunable.made, plan.candidates[name])
            wrapped[name] = partial(OnItems, make_one, tunable)
    free = {name: one for name, one in wrapped.items() if not ADAPTERS[name].needs_labels}
    bound = {name: one for name, one in wrapped.items() if ADAPTERS[name].needs_labels}
    choice = choose_adapter(
        free, X, y, X_target, list(y_target), with_labels=bound, seed=seed, shift=shift, **effort
    )
    compared = bool(tuned) and (choice.comparison is not None or bool(choice.scores))
    said = (domain_items.costly(tuned),) if compared else ()
    return replace(choice, decisions=(*said, *choice.decisions))


class _ByColumn:
    """An adapter of features, given rows with further columns: the source domain may be one."""

    def __init__(self, make_one: Callable[[], Any], width: int, by: int | None) -> None:
        self._model, self._width, self._by = make_one(), width, by

    def fit(self, X: Any, y: Any, X_target: Any = None, y_target: Any = None) -> Self:
        rows = None if X_target is None else X_target[:, : self._width]
        domain = None if self._by is None else X[:, self._by]
        self._model.fit(X[:, : self._width], y, rows, y_target, domain=domain)
        return self

    def predict(self, X: Any) -> AnyArray:
        return self._model.predict(X[:, : self._width])


class _Alone:
    """The target's labels alone, for a target with other features than the source."""

    def fit(self, X: Any, y: Any, X_target: Any, y_target: Any) -> Self:
        at = [place for place, label in enumerate(y_target) if label is not None]
        known = [y_target[place] for place in at]
        self._model = make(SOURCE_ONLY).fit(X_target[at], known)
        self.decisions_: tuple[Decision, ...] = ()
        return self

    def predict(self, X: Any) -> AnyArray:
        return self._model.predict(X)

    def to_state(self) -> State:
        return self._model.to_state()

    @property
    def classes_(self) -> AnyArray:
        return self._model.classes_


def _different(
    plan: DomainPlan,
    X: FloatArray,
    y: AnyArray,
    X_target: FloatArray,
    y_target: AnyArray,
    seed: int,
) -> DomainChoice:
    """Choose where the features are different ones: by the target's labels, against those alone."""
    known = np.flatnonzero([label is not None for label in y_target])
    names = list(plan.candidates)
    name, compared, decisions = names[0], None, list(plan.decisions)
    if len(known) >= FEWEST:
        makers: dict[str, Callable[[], Any]] = {
            one: partial(clone, adapter) for one, adapter in plan.candidates.items()
        }
        makers[TARGET_ONLY] = _Alone
        said = cross_predictions(makers, X, y, X_target, list(y_target), known, seed=seed)
        once = distinct(X_target[known])
        if TARGET_ONLY in said and len(said) > 1 and len(once) >= FEWEST:
            truth = [y_target[place] for place in known[once]]
            said = {one: labels[once] for one, labels in said.items()}
            compared = compare_on_labels(said, truth, baseline=TARGET_ONLY, seed=seed)
    if plan.guarded:
        settled = None if compared is None else compared.settled
        name = TARGET_ONLY if settled is None else settled
        why = "better than the target's own labels beyond chance"
        if name == TARGET_ONLY:
            why = "nothing is better than the target's own labels beyond chance"
        decisions.append(Decision(name, why, "--strategy NAME adapts all the same"))
    adapter = _Alone() if name == TARGET_ONLY else clone(plan.candidates[name])
    adapter.fit(X, y, X_target, list(y_target))
    if not getattr(adapter, "adapted_", True):  # its own guard handed back the labels alone
        name = TARGET_ONLY
    scores = {} if compared is None else {one.name: one.score for one in compared.candidates}
    whole = DomainChoice(
        name,
        adapter,
        tuple(decisions),
        candidates_of(plan, name, scores),
        BY_NOBODY if compared is None else by_labels(compared),
        METRIC,
        unjudged(y_target),
        why=reason_of(tuple(decisions)),
    )
    return judged_by_labels(whole, compared, TARGET_ONLY)


def _circular(found: Any) -> Score:
    return Score(CIRCULAR, found.estimate, np.nan, np.nan, len(found.rows))
