"""The pull towards the source's coefficients: its minimum, its limits, and when it stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.utils.estimator_checks import check_estimator

from headstart.core.errors import OptionError
from headstart.strategies.adaptation import BiasedRegularization, SourceOnly
from headstart.strategies.adaptation.biased import moved
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.held_out import better, row_losses, splits


def domains(
    m: int, seed: int = 0, change: float = 1.0, d: int = 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rule = rng.normal(size=d)
    other = rule + change * rng.normal(size=d)
    X, T = rng.normal(size=(200, d)), rng.normal(size=(m, d))
    return X, (X @ rule > 0).astype(int), T, (T @ other > 0).astype(int)


def test_adapt_biased_is_the_minimum_that_a_general_optimiser_finds() -> None:
    rng = np.random.default_rng(0)
    source = LinearForm(rng.normal(size=(3, 3)), rng.normal(size=3))
    rows, codes = rng.normal(size=(12, 3)) + 1.0, np.arange(12) % 3

    def objective(flat: np.ndarray) -> float:
        change = flat.reshape(4, 3)
        scores = rows @ (source.coef + change[:3]) + source.intercept + change[3]
        fit = -log_softmax(scores, axis=1)[np.arange(12), codes].sum()
        return float(fit + (flat**2).sum() / (2 * 0.7))

    theirs = minimize(objective, np.zeros(12), tol=1e-12).x.reshape(4, 3)
    ours = moved(source, rows, codes, [0.01, 0.7])[1]
    np.testing.assert_allclose(ours.coef - source.coef, theirs[:3], atol=1e-4)
    np.testing.assert_allclose(ours.intercept - source.intercept, theirs[3], atol=1e-4)


def test_adapt_biased_without_freedom_is_the_source_and_with_much_the_target() -> None:
    X, y, T, t = domains(60)
    source = SourceOnly().fit(X, y, T)
    none = BiasedRegularization(freedoms=[1e-9]).fit(X, y, T, t)
    np.testing.assert_allclose(none.form_.coef, source.form_.coef, atol=1e-6)
    much = BiasedRegularization(freedoms=[1e4]).fit(X, y, T, t)
    assert (much.predict(T) == t).mean() == 1.0
    assert (none.freedom_, much.freedom_) == (1e-9, 1e4)


def test_adapt_biased_moves_only_where_the_rule_has_changed() -> None:
    gains, stays = [], 0
    for seed in range(4):
        X, y, T, t = domains(440, seed, change=1.5)
        known = np.array([None] * 440, dtype=object)
        known[:40] = t[:40]
        model, source = (
            BiasedRegularization().fit(X, y, T, known),
            SourceOnly().fit(X, y, T),
        )
        gains.append((model.predict(T[40:]) == t[40:]).mean())
        gains[-1] -= (source.predict(T[40:]) == t[40:]).mean()
        X, y, T, t = domains(440, seed, change=0.0)
        t = np.where(np.random.default_rng(seed).random(440) < 0.2, 1 - t, t)
        known[:40] = t[:40]
        y = np.where(np.random.default_rng(seed).random(200) < 0.2, 1 - y, y)
        stays += BiasedRegularization().fit(X, y, T, known).freedom_ == 0.0
    assert np.mean(gains) > 0.05
    assert min(gains) > -0.01
    assert stays >= 3


@pytest.mark.parametrize("labels", [0, 1, 4])
def test_adapt_biased_stays_at_the_source_with_next_to_no_labels(labels: int) -> None:
    X, y, T, t = domains(10)
    known = [*t[:labels], *([None] * (10 - labels))]
    model = BiasedRegularization().fit(X, y, T, known)
    source = SourceOnly().fit(X, y, T)
    assert model.freedom_ == 0.0
    assert (model.predict_proba(T) == source.predict_proba(T)).all()
    assert model.decisions_[0].what == "source-only"


def test_adapt_biased_state_edges_and_faults() -> None:
    X, y, T, t = domains(6, d=30)
    names = np.array(["no", "yes"])[y]
    model = BiasedRegularization(freedoms=[1.0]).fit(
        X, names, T[:3], np.array(["no", "yes"])[t[:3]]
    )
    again = BiasedRegularization.from_state(model.to_state())
    assert (again.predict_proba(T) == model.predict_proba(T)).all()
    flat = BiasedRegularization().fit(np.ones((4, 2)), [0, 1, 0, 1], np.ones((3, 2)), [0, 1, None])
    assert np.isfinite(flat.predict_proba(np.ones((1, 2)))).all()
    with pytest.raises(OptionError, match="freedoms must be positive"):
        BiasedRegularization(freedoms=[0.0, 1.0]).fit(X, y)
    with pytest.raises(OptionError, match="freedoms must be positive"):
        BiasedRegularization(freedoms=[]).fit(X, y)


def test_adapt_held_out_losses_are_judged_with_their_uncertainty() -> None:
    base = np.ones(20)
    assert better(base - 0.1, base)
    assert not better(base, base)
    assert not better(base + 0.1, base)
    assert not better(np.zeros(4), np.ones(4))  # four rows prove nothing
    noisy = base - 0.1 + np.where(np.arange(20) % 2, 2.0, -2.0)
    assert not better(noisy, base)
    p = np.array([[0.25, 0.75], [0.0, 1.0]])
    np.testing.assert_allclose(row_losses(p, np.array([1, 0])), [-np.log(0.75), 6 * np.log(10)])


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 12))
def test_adapt_held_out_every_row_once(codes: list[int], most: int) -> None:
    parts = list(splits(np.array(codes), 0, most))
    assert sorted(np.concatenate([test for _, test in parts])) == list(range(len(codes)))
    assert len(parts) == min(most, len(codes))
    for train, test in parts:
        assert sorted([*train, *test]) == list(range(len(codes)))


@pytest.mark.filterwarnings("ignore")
def test_adapt_biased_keeps_the_contract_of_scikit_learn() -> None:
    check_estimator(BiasedRegularization())
