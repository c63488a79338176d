"""Adapters of numbers: their lines against scikit-learn's, scaling, saving, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from headstart.core.errors import DataError, UnknownNameError
from headstart.strategies import adaptation
from headstart.strategies.adaptation import NUMBER_ADAPTERS, make_for_numbers
from headstart.strategies.adaptation.number_head import NumberHead
from headstart.strategies.adaptation.numbers import ridge_line, target_numbers
from headstart.strategies.ridge import decompose, default_alphas

SLOPES = np.array([2.0, -1.0, 0.5])


def two(n: int = 80, m: int = 30, seed: int = 0) -> tuple[Any, ...]:
    """Return a source, and a target of which the slopes and the offset are others."""
    rng = np.random.default_rng(seed)
    X, T = rng.normal(size=(n, 3)), rng.normal(size=(m, 3)) * [2.0, 1.0, 0.5] + 1.0
    y = X @ SLOPES + 1 + 0.3 * rng.normal(size=n)
    return X, y, T, T @ [2.5, -1.0, 0.5] + 4 + 0.3 * rng.normal(size=m)


def plain(name: str, *given: Any) -> Any:
    return make_for_numbers(name, scale=False).fit(*given)


def oracle(X: Any, y: Any) -> RidgeCV:
    """Return ridge regression whose penalty has the least exact leave-one-out error."""
    return RidgeCV(alphas=default_alphas(decompose(X))).fit(X, y)


def test_lines_are_those_of_ridge_regression() -> None:
    X, y, T, t = two()
    assert np.allclose(ridge_line(X, y)(T), oracle(X, y).predict(T))
    assert np.allclose(plain("source-only", X, y, T).predict(T), oracle(X, y).predict(T))
    assert np.allclose(plain("target-only", X, y, T, t).predict(T), oracle(T, t).predict(T))
    both = oracle(np.vstack([X, T]), np.concatenate([y, t]))
    assert np.allclose(plain("pooled", X, y, T, t).predict(T), both.predict(T))


def test_the_biased_line_is_the_source_s_and_ridge_of_what_it_leaves() -> None:
    X, y, T, t = two()
    base = oracle(X, y).predict(T)
    found = plain("biased-regularization", X, y, T, t).predict(T)
    assert np.allclose(found, base + oracle(T, t - base).predict(T))


def test_augmented_lines_are_those_of_augmented_rows() -> None:
    X, y, T, t = two()
    one, none = np.ones((len(X), 1)), np.zeros((len(X), 4))
    wide = np.hstack([X, X, one, none])
    there = np.hstack([T, np.zeros((len(T), 4)), T, np.ones((len(T), 1))])
    ridge = oracle(np.vstack([wide, there]), np.concatenate([y, t]))
    found = plain("feature-augmentation", X, y, T, t).predict(T)
    assert np.allclose(found, ridge.predict(there))


def test_linear_ot_undoes_other_units() -> None:
    X, y, _, _ = two(400)
    moved = X * [3.0, 0.2, 1.5] + [1.0, -4.0, 2.0]
    found = make_for_numbers("linear-ot").fit(X, y, moved).predict(moved)
    alone = make_for_numbers("source-only").fit(X, y, moved).predict(moved)
    assert np.mean((found - y) ** 2) < 0.1 * np.mean((alone - y) ** 2)
    few = make_for_numbers("linear-ot").fit(X, y, moved[:5])
    assert "the target has 5 rows" in few.decisions_[0].why


@pytest.mark.parametrize("name", sorted(NUMBER_ADAPTERS))
def test_units_of_a_feature_are_no_matter_and_what_is_saved_predicts_the_same(name: str) -> None:
    X, y, T, t = two()
    known = [*t[:20], *[None] * 10]
    model = make_for_numbers(name).fit(X, y, T, known)
    wide = np.array([1e3, 1e-3, 7.0])
    other = make_for_numbers(name).fit(X * wide, y, T * wide, known)
    assert np.allclose(model.predict(T), other.predict(T * wide))
    state = model.to_state()
    again = type(model).from_state(state)
    assert np.array_equal(again.predict(T), model.predict(T))
    assert np.array_equal(NumberHead.from_state(state).predict(T), model.predict(T))


def test_boosting_is_trada_boost_r2_on_scaled_rows() -> None:
    X, y, T, t = two()
    found = plain("tradaboost-r2", X, y, T, t).predict(T)
    own = adaptation.TrAdaBoostR2(steps=5, rounds=5, folds=3).fit(X, y, T, t)
    assert np.array_equal(found, own.predict(T))


def test_without_labels_only_source_only_and_linear_ot_are_anything_else() -> None:
    X, y, T, _ = two()
    base = make_for_numbers("source-only").fit(X, y, T).predict(T)
    assert np.allclose(make_for_numbers("biased-regularization").fit(X, y, T).predict(T), base)
    assert np.allclose(make_for_numbers("pooled").fit(X, y, T).predict(T), base)
    with pytest.raises(DataError, match="no row of the target has a number"):
        make_for_numbers("target-only").fit(X, y, T)
    assert make_for_numbers("source-only").fit(X, y).predict(X).shape == (80,)


def test_one_labelled_row_moves_the_offset() -> None:
    X, y, T, t = two()
    model = make_for_numbers("biased-regularization").fit(X, y, T, [t[0], *[None] * 29])
    assert model.predict(T[:1])[0] == pytest.approx(t[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [([1.0], "differ in count"), ([1.0, "many"], "not a number"), ([1.0, np.inf], "not a number")],
)
def test_bad_numbers_are_refused(given: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        target_numbers(given, 2)


def test_missing_numbers_are_left_out_and_other_features_refused() -> None:
    known, numbers = target_numbers([None, 2.5, float("nan")], 3)
    assert (known.tolist(), numbers.tolist()) == ([1], [2.5])
    X, y, T, _ = two()
    with pytest.raises(DataError, match="other features"):
        make_for_numbers("source-only").fit(X, y, T[:, :2])
    with pytest.raises(UnknownNameError, match="tradaboost-r2"):
        make_for_numbers("tradaboost")
