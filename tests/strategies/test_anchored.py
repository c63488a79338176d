"""The anchored head against a general optimiser, its prior, and the edges of what it is given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax

from headstart.core.errors import OptionError
from headstart.strategies import Anchored, Prototypes
from headstart.strategies.heads import UnitHead
from headstart.strategies.logistic import fit_logistic
from headstart.strategies.shots import Line, Shots, class_means_prior, mean_line
from headstart.strategies.unit import closeness, unit_means


def problem(n: int = 40, d: int = 6, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % k
    return rng.normal(size=(k, d))[codes] + rng.normal(size=(n, d)) + 3.0, codes


def test_the_fit_is_the_minimum_that_a_general_optimiser_finds() -> None:
    X, codes = problem()
    found = unit_means(X, codes, 3)
    prior, C = mean_line(found.means, 4.0), 2.5

    def objective(flat: np.ndarray) -> float:
        scores = prior.scores(found.rows) + (found.rows - found.rows.mean(axis=0)) @ flat.reshape(
            6, 3
        )
        fit = -log_softmax(scores, axis=1)[np.arange(40), codes].sum()
        return float(fit + (flat**2).sum() / (2 * C))

    theirs = minimize(objective, np.zeros(18), tol=1e-12).x.reshape(6, 3)
    shots = Shots(found.rows, codes, 3, random_state=0)
    base = prior.scores(found.rows)
    spectrum = shots.spectrum
    fit = fit_logistic(
        spectrum.rotated, spectrum.values, codes, 3, C, base=base, tol=1e-9, dtype=np.float64
    )
    np.testing.assert_allclose(spectrum.axes @ fit.slopes, theirs, atol=2e-5)
    assert not fit.offset.any()  # the intercept is the prior's
    ours = shots.line(C, prior).coef - prior.coef
    np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_the_pull_takes_it_from_the_prior_to_the_data() -> None:
    X, codes = problem(seed=1)
    found = unit_means(X, codes, 3)
    shots = Shots(found.rows, codes, 3, random_state=0)
    prior = class_means_prior(found)(np.ones(40, dtype=bool))
    away = [np.abs(shots.line(C, prior).coef - prior.coef).max() for C in (0.0, 1e-4, 1e-1, 1e2)]
    assert away[0] == 0.0
    assert away[1] < 1e-3
    assert away == sorted(away)


def test_the_prior_of_class_means_is_that_of_prototypes() -> None:
    X, codes = problem()
    found, model = unit_means(X, codes, 3), Prototypes().fit(X, codes)
    line = class_means_prior(found)(np.ones(40, dtype=bool))
    scores = model.sharpness_ * closeness(found.rows, model.prototypes_)
    away = line.scores(found.rows) - scores
    np.testing.assert_allclose(away, away[:, :1] * np.ones(3), atol=1e-9)


def test_one_row_a_class_leaves_the_prior() -> None:
    X = np.random.default_rng(3).normal(size=(9, 12))
    model = Anchored().fit(X, np.arange(9))
    assert model.C_ == 0.0
    assert "nothing can be held out" in str(model.decision_)
    fresh = np.random.default_rng(4).normal(size=(50, 12))
    expected = Prototypes().fit(X, np.arange(9)).predict_proba(fresh)
    np.testing.assert_allclose(model.predict_proba(fresh), expected, rtol=1e-9)


def test_rows_that_class_means_cannot_part_are_parted() -> None:
    # one direction separates, another of much larger spread drowns the class means
    rng = np.random.default_rng(0)
    codes = np.arange(60) % 2
    X = rng.normal(size=(60, 5)) * np.array([0.1, 5, 5, 5, 5]) + codes[:, None] * np.eye(5)[0]
    fresh_codes = np.arange(400) % 2
    fresh = rng.normal(size=(400, 5)) * np.array([0.1, 5, 5, 5, 5])
    fresh += fresh_codes[:, None] * np.eye(5)[0]
    own = (Anchored().fit(X, codes).predict(fresh) == fresh_codes).mean()
    prior = (Prototypes().fit(X, codes).predict(fresh) == fresh_codes).mean()
    assert own > prior + 0.1


def test_never_clearly_worse_than_its_prior() -> None:
    lead = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        centres, codes = rng.normal(size=(4, 20)), np.arange(16) % 4
        X = centres[codes] + rng.normal(size=(16, 20)) * 1.5
        truth = np.arange(400) % 4
        fresh = centres[truth] + rng.normal(size=(400, 20)) * 1.5
        own = (Anchored().fit(X, codes).predict(fresh) == truth).mean()
        lead.append(own - (Prototypes().fit(X, codes).predict(fresh) == truth).mean())
    assert np.mean(lead) > -0.01
    assert min(lead) > -0.06


def named(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return class directions, and rows near those of the given labels."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(16, 16)))[0][:5]
    codes = np.arange(400) % 5
    return directions, directions[codes] + rng.normal(size=(400, 16)) * 0.45, codes


def test_class_features_count_most_where_there_are_few_rows() -> None:
    directions, X, codes = named()
    labels = np.array([f"c{code}" for code in codes])
    given_features = {f"c{code}": row for code, row in enumerate(directions)}
    model = Anchored(class_features=given_features).fit(X[:5], labels[:5])
    assert not model.centre_.any()
    with_names = (model.predict(X[5:]) == labels[5:]).mean()
    without = (Anchored().fit(X[:5], labels[:5]).predict(X[5:]) == labels[5:]).mean()
    assert with_names > without + 0.05


def test_wrong_class_features_are_overruled_by_the_rows() -> None:
    directions, X, codes = named()
    swapped = {code: directions[(code + 1) % 5] for code in range(5)}
    model = Anchored(class_features=swapped).fit(X[:200], codes[:200])
    assert model.C_ > 0
    assert (model.predict(X[200:]) == codes[200:]).mean() > 0.8


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({0: np.ones(3)}, "classes without features"),
        ({0: np.ones(3), 1: np.ones(4)}, "features of class 1 are not 3"),
        ({0: np.ones(3), 1: np.full(3, np.nan)}, "features of class 1 are not 3"),
    ],
)
def test_class_features_that_do_not_fit(features: dict[int, np.ndarray], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Anchored(class_features=features).fit(np.eye(3)[:2], [0, 1])
    with pytest.raises(OptionError, match="not a list of penalties"):
        Anchored(Cs=[-1.0]).fit(np.eye(3)[:2], [0, 1])


@settings(deadline=None, derandomize=True, max_examples=15)
@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-5, 5), seed=st.integers(0, 50))
def test_scale_and_shift_do_not_matter(scale: float, shift: float, seed: int) -> None:
    X, codes = problem(n=18, seed=seed)
    one, other = Anchored().fit(X, codes), Anchored().fit(X * scale + shift, codes)
    np.testing.assert_allclose(
        other.predict_proba(X * scale + shift), one.predict_proba(X), atol=2e-3
    )


def test_it_opens_without_scikit_learn_to_the_same_bits() -> None:
    X, codes = problem()
    model = Anchored().fit(X, codes)
    head = UnitHead.from_state(model.to_state())
    assert head.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert head.predict(X).tolist() == model.predict(X).tolist()


def test_lines_add_and_scale() -> None:
    one, other = Line(np.eye(2), np.ones(2)), Line(np.ones((2, 2)), np.zeros(2))
    rows = np.array([[1.0, 2.0]])
    both = one.plus(other).times(2.0)
    np.testing.assert_allclose(both.scores(rows), 2 * (one.scores(rows) + other.scores(rows)))
