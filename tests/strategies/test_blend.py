"""The blend: its weights against an oracle, what must hold for any members, and what it refuses."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from headstart import strategies
from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, Pair, State
from headstart.strategies.blend import Blend, BlendRegressor
from headstart.strategies.pooling import (
    FLOOR,
    PULL,
    learn_shares,
    learn_weights,
    mixed,
    pooled,
    share_of,
)

SLACK = PULL / 2.0  # nats in total, the pull at one member alone


def member(codes: AnyArray, k: int, skill: float, seed: int) -> AnyArray:
    """Return probabilities that know the truth as well as ``skill`` says."""
    scores = np.random.default_rng(seed).normal(size=(len(codes), k))
    scores[np.arange(len(codes)), codes] += skill
    shares = np.exp(scores)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def rows(n: int, k: int, one: float, other: float, seed: int = 0) -> tuple[Any, Any, Any]:
    codes = np.random.default_rng(seed).integers(0, k, n)
    return member(codes, k, one, seed + 1), member(codes, k, other, seed + 2), codes


def total(probabilities: AnyArray, codes: AnyArray) -> float:
    k = probabilities.shape[1]
    return float(log_loss(codes, probabilities, labels=range(k), normalize=False))


def objective(weights: Any, scratch: AnyArray, transfer: AnyArray, codes: AnyArray) -> float:
    """What is minimised, written anew: scipy's softmax, scikit-learn's log loss."""
    a, b = weights
    scores = a * np.log(np.clip(scratch, FLOOR, None)) + b * np.log(np.clip(transfer, FLOOR, None))
    loss = total(np.exp(log_softmax(scores, axis=1)), codes)
    return loss + PULL * ((a - 0.5) ** 2 + (b - 0.5) ** 2)


# ------------------------------------------------------------------ the weights


@pytest.mark.parametrize(
    ("n", "k", "one", "other"),
    [(20, 3, 1.0, 2.0), (200, 5, 0.0, 3.0), (60, 2, 2.0, 2.0), (500, 10, 3.0, 0.5)],
)
def test_the_weights_are_the_minimum(n: int, k: int, one: float, other: float) -> None:
    scratch, transfer, codes = rows(n, k, one, other)
    found = learn_weights(scratch, transfer, codes)
    args = (scratch, transfer, codes)
    oracle = minimize(
        objective,
        [0.7, 0.2],
        args,
        method="SLSQP",
        bounds=[(0, 20)] * 2,
        options={"ftol": 1e-12},
    )
    np.testing.assert_allclose(found, oracle.x, atol=1e-3)
    assert objective(found, *args) <= oracle.fun + 1e-9
    grid = np.linspace(0, 2.5, 11)
    best = min(objective((a, b), *args) for a in grid for b in grid)
    assert objective(found, *args) <= best + 1e-9


def test_the_share_of_numbers_is_the_minimum() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=30) * 5
    scratch, transfer = truth + rng.normal(size=30) * 2, truth + rng.normal(size=30)
    found = learn_shares(scratch, transfer, truth)
    unit = min(np.mean((truth - scratch) ** 2), np.mean((truth - transfer) ** 2))
    shares = np.linspace(0, 1, 100_001)
    errors = ((truth - np.outer(shares, scratch) - np.outer(1 - shares, transfer)) ** 2).sum(axis=1)
    best = shares[(errors / (2 * unit) + 2 * PULL * (shares - 0.5) ** 2).argmin()]
    assert found[0] == pytest.approx(best, abs=2e-5)
    assert found.sum() == pytest.approx(1.0)
    moved = learn_shares(scratch * 1000 + 7, transfer * 1000 + 7, truth * 1000 + 7)
    np.testing.assert_allclose(moved, found, atol=1e-9)  # whatever the unit of the numbers


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    n=st.integers(1, 80),
    k=st.integers(2, 6),
    one=st.floats(-2, 6),
    other=st.floats(-2, 6),
    seed=st.integers(0, 99),
)
def test_no_worse_than_the_better_member_beyond_the_pull(
    n: int, k: int, one: float, other: float, seed: int
) -> None:
    scratch, transfer, codes = rows(n, k, one, other, seed)
    found = learn_weights(scratch, transfer, codes)
    assert (found >= 0).all()
    better = min(
        total(pooled(scratch, transfer, alone), codes) for alone in ((1.0, 0.0), (0.0, 1.0))
    )
    assert total(pooled(scratch, transfer, found), codes) <= better + SLACK + 1e-6
    truth = codes * 1.0
    numbers = scratch @ np.arange(k), transfer @ np.arange(k)
    squares = [((truth - one) ** 2).sum() for one in numbers]
    made = ((truth - mixed(*numbers, learn_shares(*numbers, truth))) ** 2).sum()
    assert made <= min(squares) * (1 + 2 * SLACK / n) + 1e-9


def test_a_useless_member_gets_no_weight() -> None:
    scratch, transfer, codes = rows(2000, 5, 0.0, 4.0)
    for one, other, place in ((scratch, transfer, 0), (transfer, scratch, 1)):
        found = learn_weights(one, other, codes)
        share = (share_of(found), 1 - share_of(found))
        assert share[place] < 0.03
    harmful = learn_weights(member(codes, 5, -2.0, 7), transfer, codes)
    assert harmful[0] == 0.0
    truth = codes * 1.0
    found = learn_shares(np.random.default_rng(0).normal(size=2000) * 9, truth + 0.1, truth)
    assert found[0] < 0.01


def test_equal_members_predict_as_each_does() -> None:
    scratch, _, codes = rows(40, 4, 2.0, 0.0)
    a, b = learn_weights(scratch, scratch, codes)
    assert a == pytest.approx(b, abs=1e-6)
    np.testing.assert_allclose(pooled(scratch, scratch, (0.5, 0.5)), scratch, atol=1e-12)
    made = pooled(scratch, scratch, (a, b))
    assert np.array_equal(made.argmax(axis=1), scratch.argmax(axis=1))
    assert learn_shares(codes + 1.0, codes + 1.0, codes * 1.0).tolist() == [0.5, 0.5]


def test_the_order_of_classes_does_not_matter() -> None:
    scratch, transfer, codes = rows(50, 4, 1.0, 2.0)
    turn = np.array([2, 0, 3, 1])
    found = learn_weights(scratch, transfer, codes)
    turned = learn_weights(scratch[:, turn], transfer[:, turn], np.argsort(turn)[codes])
    np.testing.assert_allclose(turned, found, atol=1e-6)
    made = pooled(scratch, transfer, found)
    np.testing.assert_allclose(pooled(scratch[:, turn], transfer[:, turn], found), made[:, turn])


def test_few_rows_move_the_weights_little_and_none_not_at_all() -> None:
    scratch, transfer, codes = rows(4, 3, 5.0, 0.0)
    few = learn_weights(scratch, transfer, codes)
    assert np.linalg.norm(few - 0.5) < 0.5
    empty = np.empty((0, 3)), np.empty((0, 3)), np.empty(0, dtype=int)
    assert learn_weights(*empty).tolist() == [0.5, 0.5]
    assert learn_weights(np.ones((3, 1)), np.ones((3, 1)), np.zeros(3, int)).tolist() == [0.5, 0.5]
    assert learn_shares(np.empty(0), np.empty(0), np.empty(0)).tolist() == [0.5, 0.5]


def test_a_probability_of_zero_vetoes_nothing() -> None:
    scratch, transfer = np.array([[0.0, 1.0]]), np.array([[0.999, 0.001]])
    assert np.isfinite(pooled(scratch, transfer, (0.5, 0.5))).all()
    codes = np.zeros(30, dtype=int)
    found = learn_weights(np.repeat(scratch, 30, axis=0), np.repeat(transfer, 30, axis=0), codes)
    assert found[0] < 0.05
    assert share_of((0.0, 0.0)) == 0.5


def test_one_member_that_is_never_wrong_gets_all() -> None:
    truth = np.arange(20.0)
    assert learn_shares(truth + 1.0, truth, truth).tolist() == [0.0, 1.0]
    assert learn_shares(truth, truth + 1.0, truth).tolist() == [1.0, 0.0]


# ------------------------------------------------------------------ the estimators


@functools.cache
def data(n: int = 36) -> tuple[Pair, Any, Any]:
    rng = np.random.default_rng(0)
    codes = np.arange(n) % 3
    words = np.array(["sun warm", "rain cold", "sea salt"])
    texts = [f"{words[c]} {w}" for c, w in zip(codes, rng.integers(0, 9, n), strict=True)]
    features = rng.normal(size=(3, 6))[codes] * 2 + rng.normal(size=(n, 6))
    return Pair(texts, features), np.array(["b", "a", "c"], dtype=object)[codes], codes * 1.5


def test_the_blend_is_the_pool_of_its_members() -> None:
    X, y, numbers = data()
    model = Blend(transfer="knn", n_folds=3).fit(X, y)
    made = pooled(
        model.scratch_.predict_proba(X.scratch),
        model.transfer_.predict_proba(X.transfer),
        model.weights_,
    )
    np.testing.assert_array_equal(model.predict_proba(X), made)
    assert model.decisions_[0].what.startswith("blend of scratch (weight 0.")
    assert "knn" in model.decisions_[0].what
    regressor = BlendRegressor(n_folds=3).fit(X, numbers)
    found = (regressor.scratch_.predict(X.scratch), regressor.transfer_.predict(X.transfer))
    np.testing.assert_array_equal(regressor.predict(X), mixed(*found, regressor.weights_))


def test_members_whose_classes_stand_in_another_order() -> None:
    X, y, _ = data()
    model = Blend(transfer="prototypes", n_folds=3).fit(X, y)
    made = model.predict_proba(X)
    turn = [2, 0, 1]
    scratch = model.scratch_

    class Turned:
        classes_ = scratch.classes_[turn]

        def predict_proba(self, texts: Any) -> AnyArray:
            probabilities: AnyArray = scratch.predict_proba(texts)[:, turn]
            return probabilities

    other = Blend.of(
        Turned(), model.transfer_, model.weights_, name="prototypes", modality="text", source="tiny"
    )
    np.testing.assert_array_equal(other.predict_proba(X), made)
    assert "tiny + prototypes" in other.decisions_[0].what


def test_a_row_a_class_leaves_equal_weights() -> None:
    X, y, numbers = data()
    three = Pair(X.scratch[:3], X.transfer[:3])
    assert Blend().fit(three, y[:3]).weights_.tolist() == [0.5, 0.5]
    one = Pair(X.scratch[:1], X.transfer[:1])
    assert BlendRegressor().fit(one, numbers[:1]).weights_.tolist() == [0.5, 0.5]


def test_what_cannot_be_blended_is_refused() -> None:
    X, y, numbers = data()
    for name in ("scratch", "blend", "majority", "no such thing"):
        with pytest.raises(OptionError, match="needs a strategy that transfers"):
            Blend(transfer=name).fit(X, y)
    with pytest.raises(OptionError, match="does not do regression"):
        BlendRegressor(transfer="prototypes").fit(X, numbers)
    with pytest.raises(OptionError, match="too few folds"):
        Blend(n_folds=1).fit(X, y)
    with pytest.raises(DataError, match="takes a pair"):
        Blend().fit(X.scratch, y)
    with pytest.raises(DataError, match="different numbers of items"):
        Blend().fit(Pair(X.scratch[:3], X.transfer), y)
    with pytest.raises(DataError, match="differ in length"):
        Blend().fit(X, y[:3])
    model = Blend(n_folds=2).fit(X, y)
    with pytest.raises(DataError, match="takes a pair"):
        model.predict(X.transfer)
    with pytest.raises(DataError, match="takes a pair"):
        BlendRegressor(n_folds=2).fit(X, numbers).predict(X.transfer)


@pytest.mark.parametrize("weights", [[1.0], [-1.0, 1.0], [np.nan, 1.0], [np.inf, 1.0], 0.5])
def test_weights_that_are_none_are_refused(weights: Any) -> None:
    X, y, _ = data()
    model = Blend(n_folds=2).fit(X, y)
    with pytest.raises(DataError, match="not the weights"):
        Blend.of(model.scratch_, model.transfer_, weights, name="probe", modality="text")


def test_members_of_different_classes_are_refused() -> None:
    X, y, _ = data()
    whole = Blend(n_folds=2).fit(X, y)
    kept = np.flatnonzero(y != "a")
    part = strategies.make("probe", kind="classification", modality="text")
    part.fit(X.transfer[kept], y[kept])
    with pytest.raises(DataError, match="different classes"):
        Blend.of(whole.scratch_, part, (0.5, 0.5), name="probe", modality="text")


def test_a_state_cannot_name_what_is_no_member() -> None:
    X, y, _ = data()
    state = Blend(n_folds=2).fit(X, y).to_state()
    for name in ("blend", "scratch", "os:system"):
        with pytest.raises(OptionError, match="needs a strategy that transfers"):
            Blend.from_state(State(state.arrays, state.meta | {"transfer": name}))
