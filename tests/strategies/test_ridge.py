"""Ridge against scikit-learn, and leave-one-out against leaving one out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.linear_model import RidgeClassifierCV, RidgeCV

from headstart.strategies import LinearProbeRegressor, ridge
from headstart.strategies.frozen import one_hot
from headstart.strategies.ridge import Ridge, decompose, default_alphas

TALL, WIDE, SQUARE = (60, 8), (20, 50), (12, 12)


def problem(shape: tuple[int, int], k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(shape[0])
    X = rng.normal(size=shape) * rng.uniform(0.1, 3.0, size=shape[1]) + 5.0
    return X, X @ rng.normal(size=(shape[1], k)) + rng.normal(size=(shape[0], k))


@pytest.mark.parametrize("shape", [TALL, WIDE, SQUARE])
def test_coefficients_are_scikit_learns(shape: tuple[int, int]) -> None:
    X, Y = problem(shape)
    weights = np.random.default_rng(0).uniform(0.2, 4.0, size=len(X))
    for alpha in (1e-2, 1.0, 100.0):
        coef, intercept = Ridge(decompose(X, weights), Y).linear(alpha)
        theirs = SklearnRidge(alpha=alpha).fit(X, Y, sample_weight=weights)
        np.testing.assert_allclose(coef, theirs.coef_.T, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(intercept, theirs.intercept_, rtol=1e-6, atol=1e-7)


@settings(deadline=None, derandomize=True, max_examples=12)
@given(
    n=st.integers(2, 14),
    d=st.integers(1, 20),
    alpha=st.floats(1e-2, 1e2),
    weighted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_leave_one_out_is_exact(n: int, d: int, alpha: float, weighted: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, d)) + 2.0, rng.normal(size=(n, 2))
    weights = rng.uniform(0.5, 3.0, size=n) if weighted else np.ones(n)
    quick = Ridge(decompose(X, weights), Y).held_out(alpha)
    for i in range(n):
        rest = np.arange(n) != i
        slow = SklearnRidge(alpha=alpha, solver="svd")
        slow.fit(X[rest], Y[rest], sample_weight=weights[rest])
        np.testing.assert_allclose(quick[i], slow.predict(X[i : i + 1])[0], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_left_out_rows_are_predicted_by_the_rest(shape: tuple[int, int]) -> None:
    X, Y = problem(shape)
    out = np.arange(len(X)) % 4 == 1
    rest = SklearnRidge(alpha=2.0).fit(X[~out], Y[~out])
    found = Ridge(decompose(X), Y).left_out(2.0, out)
    np.testing.assert_allclose(found, rest.predict(X[out]), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_same_alpha_and_coefficients_as_ridge_cv(shape: tuple[int, int]) -> None:
    X, Y = problem(shape, k=1)
    alphas = np.logspace(-3, 4, 15)
    ours = LinearProbeRegressor(alphas=alphas).fit(X, Y[:, 0])
    theirs = RidgeCV(alphas=alphas).fit(X, Y[:, 0])
    assert ours.alpha_ == theirs.alpha_
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6)


@pytest.mark.parametrize("shape", [TALL, WIDE])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_same_alpha_and_coefficients_as_ridge_classifier_cv(
    shape: tuple[int, int], class_weight: str | None
) -> None:
    X, Y = problem(shape)
    codes = (Y - Y.mean(axis=0)).argmax(axis=1)
    counts = np.bincount(codes)
    weights = np.ones(len(X)) if class_weight is None else (len(X) / (3 * counts))[codes]
    alphas = np.logspace(-2, 3, 11)
    ours = Ridge(decompose(X, weights), 2.0 * one_hot(codes, 3) - 1.0)
    theirs = RidgeClassifierCV(alphas=alphas, class_weight=class_weight).fit(X, codes)
    assert ours.best_alpha(alphas) == theirs.alpha_
    coef, intercept = ours.linear(theirs.alpha_)
    np.testing.assert_allclose(coef, theirs.coef_.T, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(intercept, theirs.intercept_, rtol=1e-6, atol=1e-7)


def test_both_ways_to_decompose_agree() -> None:
    X, Y = problem(SQUARE)
    wide = np.hstack([X, np.zeros((12, 5))])
    first, _ = Ridge(decompose(X[:11]), Y[:11]).linear(1.0)
    second, _ = Ridge(decompose(wide[:11]), Y[:11]).linear(1.0)
    np.testing.assert_allclose(second[:12], first, rtol=1e-7)
    tall, _ = Ridge(decompose(np.vstack([X, X])), np.vstack([Y, Y])).linear(2.0)
    short, _ = Ridge(decompose(X), Y).linear(1.0)
    np.testing.assert_allclose(tall, short, rtol=1e-6, atol=1e-9)


def test_rank_deficient_and_constant_columns() -> None:
    X, Y = problem(TALL)
    doubled = np.hstack([X, X, np.full((60, 2), 7.0)])
    spectrum = decompose(doubled)
    assert spectrum.rotated.shape == (60, 8)
    theirs = SklearnRidge(alpha=1.0).fit(doubled, Y)
    coef, _ = Ridge(spectrum, Y).linear(1.0)
    np.testing.assert_allclose(coef, theirs.coef_.T, rtol=1e-6, atol=1e-9)
    flat = decompose(np.ones((4, 3)))
    assert flat.rotated.shape == (4, 0)
    assert np.array_equal(default_alphas(flat), np.logspace(-4, 3, 15))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = problem(TALL)
    whole = Ridge(decompose(X), Y)
    monkeypatch.setattr(ridge, "BLOCK", 7)
    parts = Ridge(decompose(X), Y)
    np.testing.assert_allclose(parts.linear(1.0)[0], whole.linear(1.0)[0], rtol=1e-9)
    np.testing.assert_allclose(parts.held_out(1.0), whole.held_out(1.0), rtol=1e-9)


def test_large_inputs_are_kept_in_float32_and_still_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = problem(TALL)
    whole = Ridge(decompose(X), Y).held_out(1.0)
    monkeypatch.setattr(ridge, "LARGE", 10)
    spectrum = decompose(X)
    assert spectrum.rotated.dtype == np.float32
    np.testing.assert_allclose(Ridge(spectrum, Y).held_out(1.0), whole, rtol=1e-3, atol=1e-3)


def test_float32_features_are_summed_in_float64() -> None:
    X, Y = problem(TALL)
    X = X.astype(np.float32) + np.float32(1000.0)
    narrow, _ = Ridge(decompose(X), Y).linear(1.0)
    wide, _ = Ridge(decompose(X.astype(np.float64)), Y).linear(1.0)
    np.testing.assert_allclose(narrow, wide, rtol=1e-9)


def test_of_equal_penalties_the_larger() -> None:
    flat = Ridge(decompose(np.ones((5, 2))), np.arange(5.0)[:, None])
    assert flat.best_alpha(np.array([1.0, 10.0, 0.1])) == 10.0


def test_a_single_row_is_its_own_mean() -> None:
    one = Ridge(decompose(np.array([[1.0, 2.0]])), np.array([[3.0]]))
    assert one.held_out(1.0).tolist() == [[3.0]]
    assert LinearProbeRegressor().fit([[1.0, 2.0]], [3.0]).predict([[9.0, 9.0]]).tolist() == [3.0]


def test_few_rows_leave_the_penalty_near_the_mean_eigenvalue_and_many_do_not() -> None:
    rng = np.random.default_rng(5)

    def chosen(n: int, noise: float, decades: float | None) -> float:
        X = rng.normal(size=(n, 6))
        y = X[:, :1] + noise * rng.normal(size=(n, 1))
        spectrum = decompose(X)
        alpha = Ridge(spectrum, y).best_alpha(default_alphas(spectrum), decades=decades)
        return float(abs(np.log10(alpha / spectrum.values.mean())))

    # labels that are noise: without the prior the grid's ends are often taken, with it they are not
    free = [chosen(8, 30.0, None) for _ in range(20)]
    held = [chosen(8, 30.0, 1.0) for _ in range(20)]
    assert max(held) < max(free)
    assert np.mean(held) < np.mean(free) - 0.5
    # many clean rows say so clearly that the prior no longer counts
    assert chosen(4000, 0.01, 1.0) >= 3.0
