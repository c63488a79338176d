"""Reweighting: ratios against the truth and a numerical minimiser, and what keeps them sane."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import norm
from shifts import covariate, gains, none

from headstart.core.errors import OptionError
from headstart.strategies.adaptation import LogisticWeights, RuLSIF, SourceOnly
from headstart.strategies.adaptation.ratio import (
    closed_form,
    effective,
    flattened,
    kernel,
    logistic_ratio,
    relative_ratio,
)


def ratio_of(X, target, **params):
    given = {"alpha": 0.1, "n_centres": 100, "width": None, "ridge": None, "random_state": 0}
    return relative_ratio(X, target, **(given | params))


def test_rulsif_is_the_minimiser():
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(80, 2)), rng.normal(0.5, 1, size=(60, 2))
    here, there = kernel(X, T[:7], 1.3), kernel(T, T[:7], 1.3)
    alpha, ridge = 0.3, 0.05

    def objective(theta):
        square = alpha * ((there @ theta) ** 2).mean() + (1 - alpha) * ((here @ theta) ** 2).mean()
        return square / 2 - (there @ theta).mean() + ridge * theta @ theta / 2

    oracle = minimize(objective, np.zeros(7), method="BFGS", options={"gtol": 1e-10}).x
    assert np.allclose(closed_form(here, there, alpha, ridge), oracle, atol=1e-6)


def test_the_kernel_is_the_gaussian():
    X, centres = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0]])
    assert np.allclose(kernel(X, centres, 5.0), [[1.0], [np.exp(-0.5)]])


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5])
def test_rulsif_finds_the_true_relative_ratio(alpha):
    rng = np.random.default_rng(1)
    X, T = rng.normal(size=(2000, 1)), rng.normal(0.5, 0.7, size=(2000, 1))
    p, q = norm.pdf(X[:, 0], 0.5, 0.7), norm.pdf(X[:, 0])
    truth = p / (alpha * p + (1 - alpha) * q)
    found = ratio_of(X, T, alpha=alpha)(X)
    assert np.corrcoef(found, truth)[0, 1] > 0.98
    assert np.abs(found - truth).mean() < 0.12


def test_the_logistic_ratio_finds_the_true_ratio():
    rng = np.random.default_rng(2)
    X, T = rng.normal(size=(3000, 2)), rng.normal([0.6, 0.0], 1, size=(1500, 2))
    truth = norm.pdf(X[:, 0], 0.6) / norm.pdf(X[:, 0])
    found = logistic_ratio(X, T, None, 0)
    assert np.median(np.abs(found.ratio / truth - 1)) < 0.06
    assert found.ratio.mean() == pytest.approx(1.0, abs=0.05)  # however many rows either side has
    assert found.loss < found.constant


def test_a_row_is_weighed_by_a_classifier_that_has_not_seen_it():
    """With more features than rows, one that has seen them would tell the domains apart."""
    rng = np.random.default_rng(3)
    X, T = rng.normal(size=(30, 100)), rng.normal(size=(30, 100))
    assert not logistic_ratio(X, T, 1.0, 0).loss < np.log(2) * 0.9
    model = LogisticWeights().fit(X, np.arange(30) % 2, T)
    assert model.ess_ > 25


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.1, 8.0), st.floats(0.05, 0.9))
def test_flattening_keeps_enough_rows_of_all_and_of_each_class(seed, sharp, share):
    rng = np.random.default_rng(seed)
    raw, codes = np.exp(sharp * rng.normal(size=60)), rng.integers(0, 3, 60)
    flat, power = flattened(raw, codes, share * 60)
    assert flat.mean() == pytest.approx(1.0)
    assert effective(flat) >= share * 60 - 1e-6
    for code in np.unique(codes):
        of_class = flat[codes == code]
        assert effective(of_class) >= min(5, len(of_class)) - 1e-6
    assert (np.diff(flat[np.argsort(raw)]) >= 0).all()
    if power < 1:  # and no flatter than needed
        less, _ = flattened(raw ** min(1.0, power + 0.01), codes, 0.0, fewest=0.0)
        short = effective(less) < share * 60 or any(
            effective(less[codes == c]) < min(5, (codes == c).sum()) for c in np.unique(codes)
        )
        assert short


def test_effective_rows():
    assert effective(np.ones(7)) == 7
    assert effective(np.array([1.0, 0.0, 0.0])) == 1
    assert effective(np.zeros(3)) == 0


@pytest.mark.parametrize("adapter", [LogisticWeights, RuLSIF])
def test_it_helps_under_covariate_shift_and_does_nothing_without(adapter):
    assert gains(adapter, covariate).min() > 0.05
    assert np.abs(gains(adapter, none)).max() < 0.015


@pytest.mark.parametrize("adapter", [LogisticWeights, RuLSIF])
def test_domains_that_hardly_overlap_weigh_nothing(adapter):
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(1000, 2)), rng.normal(12, 1, size=(200, 2))
    X[0] = 11.0  # the only row that is where the target is
    y = np.arange(1000) % 2
    params = {"alpha": 0.0, "width": 0.3} if adapter is RuLSIF else {"domain_C": 1e4}
    model = adapter(scale=False, **params).fit(X, y, T)
    assert (model.weights_ == 1).all()
    assert "hardly overlap" in model.decisions_[0].why
    plain = SourceOnly(scale=False).fit(X, y, T)
    assert np.allclose(model.predict_proba(T), plain.predict_proba(T))


def test_weights_are_flattened_and_it_is_said():
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(300, 1)), rng.normal(2, 1, size=(300, 1))
    model = LogisticWeights(min_ess=0.6).fit(X, np.arange(300) % 2, T)
    assert model.ess_ >= 0.6 * 300 - 1e-6
    assert "flattened to the power" in model.decisions_[0].why


def test_no_shift_means_no_weights():
    Xs, ys, Xt, _ = none(300, 1)
    model = LogisticWeights().fit(Xs, ys, Xt)
    assert (model.weights_ == 1).all()
    assert "weigh the same" in model.decisions_[0].what


@pytest.mark.parametrize(
    ("model", "where"),
    [
        (LogisticWeights(min_ess=0.0), "min_ess"),
        (LogisticWeights(domain_C=-1.0), "domain_C"),
        (RuLSIF(alpha=1.0), "alpha"),
        (RuLSIF(n_centres=0), "n_centres"),
        (RuLSIF(width=0.0), "width"),
        (RuLSIF(ridge=-1.0), "ridge"),
    ],
)
def test_parameters_out_of_range(model, where):
    Xs, ys, Xt, _ = none(30, 0)
    with pytest.raises(OptionError) as caught:
        model.fit(Xs, ys, Xt)
    assert caught.value.where == where
