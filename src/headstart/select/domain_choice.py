"""From a plan of adapters to the one that is handed back, with what was measured of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from headstart.core.types import AnyArray, Candidate, Decision, FloatArray, Gain, Score, State
from headstart.evaluate import Predictions, score
from headstart.evaluate.shift import Shift
from headstart.select import domain_items
from headstart.select.adapting import LABEL_SHIFT, AdaptChoice, choose_adapter
from headstart.select.adapting_labels import (
    FEWEST,
    Comparison,
    compare_on_labels,
    cross_predictions,
    distinct,
)
from headstart.select.domain_items import OnItems, Tunable
from headstart.select.domain_plan import SOURCE_ONLY, TARGET_ONLY, DomainPlan
from headstart.strategies.adaptation import ADAPTERS, make
from headstart.strategies.adaptation.collapse import STAYED

METRIC, CIRCULAR = "accuracy", "balanced_accuracy"
BY_CIRCLE = "going to the target and back (circular validation): it needs no label of the target"
COMPARED = 500  # rows by which an adapter is told from the model of the source
BY_NOBODY = "nothing: no adapter was compared"


@dataclass(frozen=True, eq=False)
class DomainChoice:
    """Which adapter is handed back, and what was measured.

    Parameters
    ----------
    name : str
    adapter : fitted adapter
        Fitted to everything there is.
    decisions : tuple of Decision
    candidates : tuple of Candidate
        With the scores that chose.
    chose_by : str
        What those scores are.
    metric : str
        Of those scores.
    judged_by : str
        What judged on the target, in words; or why nothing did.
    score : Score or None
        Of what is handed back, on labels of the target.
    baselines : mapping of name to Score
    gain : Gain or None
        Of ``gain_of`` over not adapting.
    gain_of : str
        The best adapter: what is handed back, unless that is the baseline.
    why : str
        Why this one is handed back, in a sentence.
    corrected : bool
        What picking the best of several on the same labels costs is taken off score and gain.
    over_alone : Gain or None
        Of what is handed back over the target's labels alone, which is not to transfer at all.
    """

    name: str
    adapter: Any
    decisions: tuple[Decision, ...]
    candidates: tuple[Candidate, ...]
    chose_by: str
    metric: str
    judged_by: str
    score: Score | None = None
    baselines: Mapping[str, Score] | None = None
    gain: Gain | None = None
    gain_of: str = ""
    why: str = ""
    corrected: bool = False
    over_alone: Gain | None = None


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
        decisions = tuple(_advice(one) for one in decisions)
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
        metric, by, failed = METRIC, _by_labels(choice.comparison), {}
    whole = DomainChoice(
        name,
        adapter,
        decisions,
        _candidates(plan, name, scores, failed),
        by,
        metric,
        _unjudged(y_target),
        why=_reason(decisions),
    )
    if choice.comparison is None and list(plan.candidates) == [SOURCE_ONLY]:
        return _alone_judged(whole, X, X_target, y_target, seed)
    return _judged(whole, choice.comparison, SOURCE_ONLY)


def _reason(decisions: tuple[Decision, ...]) -> str:
    """Return why, of the last thing that was decided."""
    return f"{decisions[-1].what}: {decisions[-1].why}" if decisions else ""


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
        _candidates(plan, name, scores),
        BY_NOBODY if compared is None else _by_labels(compared),
        METRIC,
        _unjudged(y_target),
        why=_reason(tuple(decisions)),
    )
    return _judged(whole, compared, TARGET_ONLY)


def _judged(choice: DomainChoice, compared: Comparison | None, baseline: str) -> DomainChoice:
    """Return the choice with what labels of the target say of it."""
    if compared is None:
        return choice
    of = {one.name: one for one in compared.candidates}
    first = next(one.name for one in compared.candidates if one.name != baseline)
    best = choice.name if choice.name != baseline and choice.name in of else first
    own = of.get(choice.name)
    corrected = choice.name == compared.best and choice.name != baseline
    transfers = choice.name != TARGET_ONLY and own is not None and TARGET_ONLY in of
    return replace(
        choice,
        over_alone=compared.over(choice.name, TARGET_ONLY, chosen=corrected) if transfers else None,
        judged_by=_by_labels(compared),
        score=compared.corrected if corrected else (own.score if own else None),
        baselines={
            name: one.score
            for name, one in of.items()
            if name == baseline or (name in ADAPTERS and ADAPTERS[name].family == "baseline")
        },
        gain=compared.gain if best == first else of[best].gain,
        corrected=best == first,
        gain_of=best,
    )


def _by_labels(compared: Comparison) -> str:
    return f"{compared.n:,} labelled items of the target, each predicted without its label"


def _unjudged(y_target: AnyArray) -> str:
    n = sum(label is not None for label in y_target)
    return f"{n} labels of the target are too few to judge" if n else "the target has no label"


def _advice(decision: Decision) -> Decision:
    return replace(decision, what=f"the guard would say: {decision.what}", override="")


def _circular(found: Any) -> Score:
    return Score(CIRCULAR, found.estimate, np.nan, np.nan, len(found.rows))


def _candidates(
    plan: DomainPlan,
    chosen: str,
    scores: Mapping[str, Score],
    failed: Mapping[str, str] | None = None,
) -> tuple[Candidate, ...]:
    """Return what took part, the best first."""
    failed = failed or {}
    every = [
        Candidate(
            name,
            score=scores.get(name),
            status="chosen" if name == chosen else "failed" if name in failed else "lost",
            reason=failed.get(name, "" if name in scores else "not compared"),
        )
        for name in dict.fromkeys([*plan.candidates, *scores, chosen])
    ]
    return tuple(
        sorted(every, key=lambda one: np.inf if one.score is None else -one.score.estimate)
    )
