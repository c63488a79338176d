"""TrAdaBoost and two-stage R2 against the recursions of their papers, written out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

from headstart.core.errors import DataError, OptionError
from headstart.strategies.adaptation import TrAdaBoost
from headstart.strategies.adaptation.forms import FORMS, AdaptedHead
from headstart.strategies.adaptation.medians import weighted_median
from headstart.strategies.adaptation.tradaboost_r2 import TrAdaBoostR2, step_weights


def shifted(n: int = 60, m: int = 15, seed: int = 0, k: int = 2) -> tuple[np.ndarray, ...]:
    """Source and target of two features whose rules are turned against each other."""
    rng = np.random.default_rng(seed)
    X, there = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 0.5

    def label(rows: np.ndarray, angle: float) -> np.ndarray:
        way = np.arctan2(rows[:, 1], rows[:, 0]) + angle + rng.normal(0, 0.4, len(rows))
        return np.floor((way % (2 * math.pi)) / (2 * math.pi) * k).astype(int)

    return X, label(X, 0.0), there, label(there, 0.8)


def by_hand(X: np.ndarray, y: np.ndarray, T: np.ndarray, t: np.ndarray, N: int) -> tuple:
    """Dai et al. 2007, figure 1, for two classes 0 and 1, row by row."""
    rows, truth = [*X, *T], [*y, *t]
    n, m = len(X), len(T)
    w = [1.0] * (n + m)
    beta = 1.0 / (1.0 + math.sqrt(2.0 * math.log(n) / N))
    learners, betas = [], []
    for _ in range(N):
        p = [one / sum(w) for one in w]
        # two columns of opposite sign have half the penalty of their difference: C doubles
        learner = LogisticRegression(C=2.0, tol=1e-10, max_iter=5000)
        learner.fit(rows, truth, sample_weight=np.array(p) * (n + m))
        h = [int(one) for one in learner.predict(rows)]
        missed = [abs(h[i] - truth[i]) for i in range(n + m)]
        eps = sum(w[i] * missed[i] for i in range(n, n + m)) / sum(w[n:])
        assert 0.0 < eps < 0.5
        betas.append(eps / (1.0 - eps))
        learners.append(learner)
        for i in range(n + m):
            w[i] *= beta ** missed[i] if i < n else betas[-1] ** (-missed[i])
    return learners, betas


def paper_rule(learners: list, betas: list[float], row: np.ndarray) -> int:
    """The final hypothesis: products over rounds ceil(N / 2) to N, counted from 1."""
    first = math.ceil(len(betas) / 2)
    left = right = 1.0
    for place in range(first, len(betas) + 1):
        vote = int(learners[place - 1].predict([row])[0])
        left *= betas[place - 1] ** (-vote)
        right *= betas[place - 1] ** (-0.5)
    return int(left >= right)


@pytest.mark.parametrize("rounds", [1, 4, 7])
def test_adapt_tradaboost_is_the_recursion_of_the_paper(rounds: int) -> None:
    X, y, T, t = shifted()
    learners, betas = by_hand(X, y, T, t, rounds)
    model = TrAdaBoost(rounds=rounds, scale=False).fit(X, y, T, t)
    np.testing.assert_allclose(model.errors_ / (1 - model.errors_), betas, rtol=1e-6)
    new = np.random.default_rng(1).normal(size=(200, 2)) * 2
    theirs = [paper_rule(learners, betas, row) for row in new]
    assert model.predict(new).tolist() == theirs
    assert 20 < sum(theirs) < 180


def test_adapt_tradaboost_of_several_classes_and_a_state_that_predicts_the_same() -> None:
    X, y, T, t = shifted(n=150, m=60, k=3, seed=3)
    names = np.array(["c", "a", "b"])
    model = TrAdaBoost(rounds=8).fit(X, names[y], T, names[t])
    assert model.form_.name == "vote"
    p = model.predict_proba(T)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    again = TrAdaBoost.from_state(model.to_state())
    assert (again.predict_proba(T) == p).all()
    assert (AdaptedHead.from_state(model.to_state()).predict(T) == model.predict(T)).all()
    assert (TrAdaBoost(rounds=8).fit(X, names[y], T, names[t]).predict_proba(T) == p).all()


def test_adapt_tradaboost_a_tie_of_votes_goes_to_the_later_class() -> None:
    coefs = np.array([[[1.0, -1.0]], [[-1.0, 1.0]]])
    form = FORMS["vote"](coefs, np.zeros((2, 2)), np.array([0.5, 0.5]))
    assert form.probabilities(np.array([[1.0], [-1.0]])).argmax(axis=1).tolist() == [1, 1]


def test_adapt_tradaboost_stays_at_the_source_where_boosting_cannot_start() -> None:
    X = np.arange(40.0).reshape(-1, 1)
    y = (X[:, 0] > 20).astype(int)
    flat = np.full((4, 1), 3.0)  # two of each class at one place: half is wrong
    model = TrAdaBoost().fit(X, y, flat, [0, 1, 0, 1])
    assert [one.what for one in model.decisions_] == ["source-only"]
    assert model.predict([[0.0], [39.0]]).tolist() == [0, 1]
    none = TrAdaBoost().fit(X, y, flat, [None] * 4)
    assert none.decisions_[0].why == "no row of the target has a label"
    with pytest.raises(OptionError, match="at least one round"):
        TrAdaBoost(rounds=0).fit(X, y)


def test_adapt_tradaboost_ignores_source_rows_that_lie() -> None:
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(200, 5)), rng.normal(size=(240, 5))
    y, t = (X[:, 0] > 0).astype(int), (T[:, 0] > 0).astype(int)
    liars = rng.random(200) < 0.45  # shifted rows of the wrong class
    X[liars, 1] += 3.0
    y[liars] = 1 - y[liars]
    known = np.array([None] * 240, dtype=object)
    known[:40] = t[:40]
    boosted = TrAdaBoost(rounds=30).fit(X, y, T, known)
    first = TrAdaBoost(rounds=1).fit(X, y, T, known)  # one round is pooling
    right = [(one.predict(T[40:]) == t[40:]).mean() for one in (boosted, first)]
    assert right[0] > right[1] + 0.03


def test_adapt_r2_steps_give_the_target_the_shares_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    weights, missed = rng.uniform(0.5, 1, 30), rng.uniform(0, 2, 30)
    share = 10 / 30
    for step in range(1, 5):
        wanted = share + step / 4 * (1 - share)
        new = step_weights(weights / weights.sum(), missed, 20, wanted)
        assert new[20:].sum() == pytest.approx(wanted, abs=1e-9)
        target = new[20:] / weights[20:]
        np.testing.assert_allclose(target, target[0])  # only normalised
        if wanted < 1:  # each source row is multiplied by beta ** error: one beta for all
            factors = np.log(new[:20] / weights[:20] / target[0]) / (missed[:20] / missed.max())
            np.testing.assert_allclose(factors, factors[0])
    stuck = step_weights(np.full(4, 0.25), np.array([0.0, 0.0, 1.0, 1.0]), 2, 0.9)
    np.testing.assert_allclose(stuck, 0.25)  # rows without error cannot be lowered


def test_adapt_r2_inner_boosting_is_drucker_with_frozen_source_weights() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(25, 2))
    y = X[:, 0] + 0.3 * rng.normal(size=25) + np.where(np.arange(25) < 15, 0.0, X[:, 1] ** 2)
    model = TrAdaBoostR2(rounds=4, estimator="ridge")
    w = np.full(25, 1 / 25)
    predictions, votes = [], []
    for _ in range(4):  # Drucker 1997 with linear loss; only rows 15 to 24 are weighted anew
        h = model._learner(X, y, w)(X)
        e = np.abs(y - h) / np.abs(y - h).max()
        eps = float(sum(w * e))
        assert 0 < eps < 0.5
        beta = eps / (1 - eps)
        predictions.append(h)
        votes.append(math.log(1 / beta))
        new = np.array([w[i] * beta ** (1 - e[i]) if i >= 15 else w[i] for i in range(25)])
        new[15:] *= w[15:].sum() / new[15:].sum()
        w = new
    theirs = []
    for row in range(25):
        order = sorted(range(4), key=lambda place, row=row: predictions[place][row])
        total, reached = sum(votes), 0.0
        for place in order:
            reached += votes[place]
            if reached >= 0.5 * total:
                theirs.append(predictions[place][row])
                break
    ours = model._boosted(X, y, np.full(25, 1 / 25), 15)
    np.testing.assert_allclose(ours(X), theirs, rtol=1e-10)


def test_adapt_r2_weighted_median() -> None:
    values = np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 0.0]])
    assert weighted_median(values, np.array([0.2, 0.2, 0.6])).tolist() == [2.0, 0.0]
    assert weighted_median(values, np.array([0.8, 0.1, 0.1])).tolist() == [3.0, 5.0]


@pytest.mark.parametrize("estimator", ["ridge", "tree"])
def test_adapt_r2_beats_both_domains_alone_and_is_saved(estimator: str) -> None:
    rng = np.random.default_rng(0)
    X, T = rng.uniform(-1, 1, (150, 3)), rng.uniform(-1, 1, (220, 3))
    truth = T @ [2.0, 1.0, 0.0] + 1.0
    y = X @ [2.0, 0.6, 0.0] + 0.1 * rng.normal(size=150)
    known = np.where(np.arange(220) < 20, truth + 0.3 * rng.normal(size=220), np.nan)
    model = TrAdaBoostR2(estimator=estimator, steps=5, rounds=4).fit(X, y, T, known)
    alone = TrAdaBoostR2(estimator=estimator).fit(X, y)

    def error(some: TrAdaBoostR2) -> float:
        return float(((some.predict(T[20:]) - truth[20:]) ** 2).mean())

    assert error(model) < 0.5 * error(alone)
    assert model.errors_.argmin() == model.step_ > 0
    again = TrAdaBoostR2.from_state(model.to_state())
    assert (again.predict(T) == model.predict(T)).all()
    same = TrAdaBoostR2(estimator=estimator, steps=5, rounds=4).fit(X, y, T, known)
    assert (same.predict(T) == model.predict(T)).all()


def test_adapt_r2_edges_and_faults() -> None:
    X, y = np.arange(12.0).reshape(-1, 2), np.arange(6.0)
    one = TrAdaBoostR2(steps=3).fit(X, y, X[:1], [4.0])
    assert np.isfinite(one.predict(X)).all()
    flat = TrAdaBoostR2(steps=2, estimator="tree").fit(np.ones((4, 2)), np.ones(4), X, y)
    assert np.isfinite(flat.predict(X)).all()
    assert TrAdaBoostR2().fit(X, y, X, [None] * 6).decisions_[0].what == "source-only"
    with pytest.raises(DataError, match="other features"):
        TrAdaBoostR2().fit(X, y, X[:, :1], y)
    with pytest.raises(DataError, match="differ in count"):
        TrAdaBoostR2().fit(X, y, X, y[:2])
    with pytest.raises(OptionError, match="unknown learner"):
        TrAdaBoostR2(estimator="forest").fit(X, y)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="folds: at least 2"):
        TrAdaBoostR2(folds=1).fit(X, y)


@pytest.mark.filterwarnings("ignore")
def test_adapt_tradaboost_keeps_the_contract_of_scikit_learn() -> None:
    check_estimator(TrAdaBoost(rounds=3))
    check_estimator(TrAdaBoostR2(steps=2, rounds=2))
