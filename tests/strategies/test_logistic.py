"""Logistic regression against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from headstart.strategies.logistic import fit_logistic
from headstart.strategies.ridge import decompose


def problem(n: int, d: int, k: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + d + k)
    codes = np.arange(n) % k
    scale = np.logspace(0, -spread, d)
    return (rng.normal(size=(k, d))[codes] + rng.normal(size=(n, d))) * scale + 3.0, codes


@pytest.mark.parametrize("shape", [(90, 6, 3), (40, 70, 4), (64, 12, 2)])
@pytest.mark.parametrize("C", [0.05, 1.0, 30.0])
def test_coefficients_are_scikit_learns(shape: tuple[int, int, int], C: float) -> None:
    X, codes = problem(*shape)
    k = shape[2]
    s = decompose(X)
    fit = fit_logistic(s.rotated, s.values, codes, k, C, tol=1e-6, dtype=np.float64)
    assert fit.converged
    coef, intercept = s.linear(fit.slopes, fit.offset)
    # two classes: the softmax of +-w / 2 has half the squared norm of one column w
    theirs = LogisticRegression(C=2 * C if k == 2 else C, tol=1e-10, max_iter=9000).fit(X, codes)
    if k == 2:
        found, known = coef[:, 1] - coef[:, 0], theirs.coef_[0]
    else:
        found, known = coef, (theirs.coef_ - theirs.coef_.mean(axis=0)).T
    np.testing.assert_allclose(found, known, rtol=1e-3, atol=1e-3 * np.abs(known).max())
    fresh = problem(*shape)[0][::-1] + 0.1
    assert np.array_equal((fresh @ coef + intercept).argmax(axis=1), theirs.predict(fresh))


def test_weights_count_rows() -> None:
    X, codes = problem(60, 5, 3)
    counts = np.random.default_rng(0).integers(1, 4, size=60)
    s = decompose(X)
    weighted = fit_logistic(
        s.rotated, s.values, codes, 3, 2.0, weights=counts.astype(float), tol=1e-7, dtype=np.float64
    )
    again = np.repeat(np.arange(60), counts)
    repeated = fit_logistic(
        s.rotated[again], s.values, codes[again], 3, 2.0, tol=1e-7, dtype=np.float64
    )
    np.testing.assert_allclose(weighted.slopes, repeated.slopes, rtol=1e-4, atol=1e-5)


def test_float32_and_warm_starts_reach_the_same_place() -> None:
    X, codes = problem(120, 10, 4, spread=3.0)
    s = decompose(X)
    exact = fit_logistic(s.rotated, s.values, codes, 4, 10.0, tol=1e-8, dtype=np.float64)
    narrow = fit_logistic(s.rotated, s.values, codes, 4, 10.0, tol=1e-4)
    near = fit_logistic(s.rotated, s.values, codes, 4, 8.0, tol=1e-4)
    warm = fit_logistic(s.rotated, s.values, codes, 4, 10.0, start=near, tol=1e-4)
    scores = s.rotated @ exact.slopes
    for fit in (narrow, warm):
        np.testing.assert_allclose(s.rotated @ fit.slopes, scores, atol=2e-2)
    assert warm.n_iter <= narrow.n_iter


def test_the_scale_of_the_axes_steers_speed_not_the_result() -> None:
    X, codes = problem(100, 12, 3, spread=4.0)
    s = decompose(X * 100.0)
    good = fit_logistic(s.rotated, s.values, codes, 3, 1.0, tol=1e-7, dtype=np.float64)
    flat = np.ones_like(s.values)
    plain = fit_logistic(s.rotated, flat, codes, 3, 1.0, tol=1e-7, max_iter=5000, dtype=np.float64)
    assert good.n_iter < plain.n_iter
    np.testing.assert_allclose(
        s.rotated @ good.slopes + good.offset, s.rotated @ plain.slopes + plain.offset, atol=1e-2
    )


def test_an_unfinished_fit_says_so() -> None:
    X, codes = problem(100, 12, 3)
    s = decompose(X)
    fit = fit_logistic(s.rotated, s.values, codes, 3, 100.0, max_iter=1)
    assert not fit.converged
    assert fit.n_iter == 1


def test_nothing_to_learn_from() -> None:
    codes = np.array([0, 0, 0, 1])
    flat = fit_logistic(np.zeros((4, 0)), np.zeros(0), codes, 2, 1.0, tol=1e-8, dtype=np.float64)
    odds = np.exp(flat.offset[0] - flat.offset[1])
    np.testing.assert_allclose(odds, 3.0, rtol=1e-4)
    balanced = fit_logistic(np.zeros((2, 0)), np.zeros(0), np.array([0, 1]), 2, 1.0)
    assert balanced.offset.tolist() == [0.0, 0.0]
