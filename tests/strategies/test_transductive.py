"""alpha-TIM: its gradient, its entropies, and what unlabelled items are worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from scipy.stats import entropy

from headstart.core.errors import DataError, OptionError
from headstart.strategies import AlphaTIM, Prototypes
from headstart.strategies.heads import UnitHead
from headstart.strategies.transductive import Objective, alpha_entropy
from headstart.strategies.unit import unit_rows


def objective(alpha: float, seed: int = 0) -> tuple[Objective, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows, queries = (unit_rows(rng.normal(size=(n, 4)), np.zeros(4)) for n in (6, 9))
    return Objective(rows, np.arange(6) % 3, queries, 3.0, alpha), rng.normal(size=12) * 0.5


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 5.0])
def test_the_gradient_is_the_numerical_derivative(alpha: float) -> None:
    for seed in range(4):
        loss, start = objective(alpha, seed)
        away = check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], start)  # noqa: B023
        assert away < 1e-5 * max(1.0, float(np.linalg.norm(loss(start)[1])))


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6))
def test_entropies(weights: list[float]) -> None:
    shares = np.array(weights) / np.sum(weights)
    assert alpha_entropy(shares, 1.0) == pytest.approx(entropy(shares))
    assert alpha_entropy(shares, 1.0 + 1e-6) == pytest.approx(entropy(shares), abs=1e-4)
    assert alpha_entropy(shares, 2.0) == pytest.approx(1.0 - (shares**2).sum())
    assert alpha_entropy(np.eye(3), 2.0).tolist() == [0.0, 0.0, 0.0]


def problem(shares: list[float], seed: int, shots: int = 1) -> tuple:
    rng = np.random.default_rng(seed)
    k = len(shares)
    centres = rng.normal(size=(k, 30))
    codes = np.tile(np.arange(k), shots)
    truth = rng.choice(k, 200, p=shares)
    X, fresh = (centres[c] + rng.normal(size=(len(c), 30)) * 1.3 for c in (codes, truth))
    return X, codes, fresh, truth


def test_unlabelled_items_help_where_classes_are_balanced() -> None:
    lead = []
    for seed in range(8):
        X, codes, fresh, truth = problem([0.2] * 5, seed)
        own = (AlphaTIM().fit_predict(X, codes, fresh) == truth).mean()
        lead.append(own - (Prototypes().fit(X, codes).predict(fresh) == truth).mean())
    assert np.mean(lead) > 0.03


def test_a_larger_alpha_bears_unbalanced_classes() -> None:
    right: dict[float, list[float]] = {1.0: [], 2.0: [], 5.0: []}
    for seed in range(8):
        X, codes, fresh, truth = problem([0.7, 0.15, 0.05, 0.05, 0.05], seed, shots=5)
        for alpha, found in right.items():
            model = AlphaTIM(alpha=alpha)
            found.append((model.fit_predict(X, codes, fresh) == truth).mean())
    means = [float(np.mean(found)) for found in right.values()]
    assert means[1] > means[0] + 0.03
    assert means[2] > means[0] + 0.03


def test_the_labelled_items_are_the_batch_where_none_is_given() -> None:
    X, codes, _, _ = problem([0.2] * 5, 0, shots=4)
    assert np.array_equal(AlphaTIM().fit_predict(X, codes), AlphaTIM().fit(X, codes, X).predict(X))


def test_without_unlabelled_items_it_is_prototypes() -> None:
    X, codes, fresh, _ = problem([0.2] * 5, 0, shots=4)
    one, other = AlphaTIM().fit(X, codes), Prototypes().fit(X, codes)
    np.testing.assert_allclose(one.predict_proba(fresh), other.predict_proba(fresh), atol=1e-9)


def test_what_it_learnt_of_the_batch_stays_for_other_items() -> None:
    X, codes, fresh, _ = problem([0.2] * 5, 1)
    model = AlphaTIM().fit(X, codes, fresh)
    plain = AlphaTIM().fit(X, codes)
    assert np.abs(model.prototypes_ - plain.prototypes_).max() > 0.01
    back = AlphaTIM.from_state(model.to_state())
    assert back.predict_proba(fresh).tobytes() == model.predict_proba(fresh).tobytes()
    head = UnitHead.from_state(model.to_state())
    assert head.predict_proba(fresh).tobytes() == model.predict_proba(fresh).tobytes()


def test_one_class_has_nothing_to_adapt() -> None:
    model = AlphaTIM().fit(np.eye(3), ["a"] * 3, np.ones((2, 3)))
    assert model.predict(np.eye(3)).tolist() == ["a"] * 3


def test_what_cannot_be_adapted_to() -> None:
    for bad in (np.ones((2, 5)), np.ones((0, 3)), np.full((1, 3), np.nan), np.ones(3)):
        with pytest.raises(DataError, match="not unlabelled items"):
            AlphaTIM().fit(np.eye(3), [0, 1, 2], bad)
    with pytest.raises(OptionError, match="out of range"):
        AlphaTIM(alpha=0.0).fit(np.eye(3), [0, 1, 2])
    with pytest.raises(OptionError, match="out of range"):
        AlphaTIM(n_iter=0).fit(np.eye(3), [0, 1, 2])
