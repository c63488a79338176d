"""Temperature and bias against independent oracles; nothing is changed where nothing helps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from headstart.evaluate import Predictions
from headstart.evaluate.calibration import (
    calibrate,
    expected_calibration_error,
    fit_bias,
    fit_temperature,
    measure,
)
from headstart.strategies.calibrated import Calibration


def drawn(n: int, k: int, factor: float, seed: int = 0, shift: np.ndarray | None = None):
    """Return probabilities that are ``factor`` times too sharp, and labels by the true ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, k))
    true = softmax(logits + (0 if shift is None else shift), axis=1)
    codes = np.array([rng.choice(k, p=row) for row in true])
    return softmax(factor * logits, axis=1), codes


def predicted(known: np.ndarray) -> Predictions:
    names = tuple(f"c{j}" for j in range(known.shape[1]))
    return Predictions(np.array(names, dtype=object)[known.argmax(axis=1)], known, names)


def named(codes: np.ndarray) -> np.ndarray:
    return np.array([f"c{code}" for code in codes], dtype=object)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_temperature_is_that_of_a_plain_search(factor):
    known, codes = drawn(3000, 4, factor)
    logs, n = np.log(known), len(codes)

    def loss(log_t: float) -> float:
        scores = log_softmax(logs / np.exp(log_t), axis=1)
        target = np.full(logs.shape, 1 / (n + 2) / 4)
        target[np.arange(n), codes] += 1 - 1 / (n + 2)
        return float(-(target * scores).sum(axis=1).mean())

    oracle = float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))
    assert fit_temperature(known, codes) == pytest.approx(oracle, rel=5e-3)
    assert oracle == pytest.approx(factor, rel=0.15)


def test_bias_is_that_of_a_search_without_gradients():
    shift = np.array([1.0, 0.0, -1.0])
    known, codes = drawn(1500, 3, 2.0, shift=shift)
    logs = np.log(known)

    def loss(free: np.ndarray) -> float:
        bias = np.array([free[1], free[2], 0.0])
        scores = log_softmax(logs * np.exp(free[0]) + bias, axis=1)
        return float(-scores[np.arange(len(codes)), codes].mean())

    oracle = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"maxiter": 4000})
    found = fit_bias(known, codes)
    assert found.bias is not None
    assert 1 / found.temperature == pytest.approx(np.exp(oracle.x[0]), rel=0.03)
    np.testing.assert_allclose(found.bias - found.bias[2], [*oracle.x[1:], 0.0], atol=0.05)


def test_an_overconfident_model_is_calibrated():
    known, codes = drawn(2000, 5, 3.0)
    found = calibrate(named(codes), predicted(known))
    assert found.method == "temperature"
    assert found.calibration is not None
    assert found.calibration.temperature == pytest.approx(3.0, rel=0.15)
    assert found.ece_before is not None
    assert found.ece_after is not None
    assert found.ece_after.high < found.ece_before.low
    assert found.brier_after.estimate < found.brier_before.estimate


def test_a_bias_is_taken_where_it_clearly_helps_and_no_label_changes():
    known, codes = drawn(3000, 3, 1.0, shift=np.array([2.0, 0.0, -2.0]))
    found = calibrate(named(codes), predicted(known))
    assert found.method == "bias-corrected temperature"
    made = found.calibration.apply(known)
    np.testing.assert_array_equal(made.argmax(axis=1), known.argmax(axis=1))
    np.testing.assert_allclose(made.sum(axis=1), 1)


def test_what_is_calibrated_stays():
    known, codes = drawn(2000, 4, 1.0)
    found = calibrate(named(codes), predicted(known))
    assert found.calibration is None
    assert "does not fall" in found.why
    assert found.ece_before == found.ece_after


def test_too_few_items_change_nothing():
    known, codes = drawn(39, 3, 5.0)
    found = calibrate(named(codes), predicted(known))
    assert found.calibration is None
    assert found.why == "39 out-of-fold items are too few, 40 are needed"


def test_without_probabilities_or_with_one_class_there_is_nothing_to_do():
    labels = named(np.zeros(50, dtype=int))
    assert calibrate(labels, Predictions(labels)).calibration is None
    assert calibrate(labels, predicted(np.ones((50, 1)))).calibration is None
    np.testing.assert_array_equal(Calibration(3.0).apply(np.ones((2, 1))), np.ones((2, 1)))


def test_a_class_that_a_fold_did_not_know_does_not_heat_the_model():
    known, codes = drawn(600, 3, 2.0)
    with_zero = np.column_stack([known, np.zeros(600)])
    lost = np.arange(600) % 50 == 0
    codes_with = np.where(lost, 3, codes)
    alone = fit_temperature(known[~lost], codes[~lost])
    assert fit_temperature(with_zero, codes_with) == pytest.approx(alone, rel=0.02)
    found = calibrate(named(codes_with), predicted(with_zero))
    assert found.calibration is not None
    assert found.calibration.bias is None
    assert np.isfinite(found.calibration.apply(with_zero)).all()
    assert fit_temperature(with_zero[:3], np.full(3, 3)) == 1.0


def test_constant_probabilities_stay_constant():
    known = np.tile([0.5, 0.3, 0.2], (100, 1))
    found = calibrate(named(np.arange(100) % 3), predicted(known))
    made = found.calibration.apply(known) if found.calibration else known
    assert (made == made[0]).all()


def test_permuting_items_changes_nothing():
    known, codes = drawn(500, 4, 2.5)
    order = np.random.default_rng(1).permutation(500)
    one = calibrate(named(codes), predicted(known))
    other = calibrate(named(codes[order]), predicted(known[order]))
    assert one.calibration.temperature == pytest.approx(other.calibration.temperature, rel=1e-9)
    assert one.ece_after.estimate == pytest.approx(other.ece_after.estimate, abs=1e-9)


def test_groups_and_folds_are_kept_together():
    known, codes = drawn(300, 3, 3.0)
    groups = np.arange(300) // 3
    by_group = calibrate(named(codes), predicted(known), groups=groups)
    by_fold = calibrate(named(codes), predicted(known), parts=np.arange(300) % 4)
    assert by_group.method == by_fold.method == "temperature"
    assert by_group.ece_before.high > by_fold.ece_before.high - 0.02


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(2, 6), st.floats(0.2, 5.0), st.integers(0, 100))
def test_no_label_ever_changes(k, temperature, seed):
    rng = np.random.default_rng(seed)
    known = rng.dirichlet(np.full(k, 0.3), 20)
    known[0] = np.eye(k)[0]
    made = Calibration(temperature, rng.normal(0, 2, k)).apply(known)
    np.testing.assert_array_equal(made.argmax(axis=1), known.argmax(axis=1))
    np.testing.assert_allclose(made.sum(axis=1), 1)


def test_a_bias_of_other_classes_is_left_out():
    known = np.array([[0.6, 0.3, 0.1]])
    biased = Calibration(2.0, np.array([1.0, -1.0]))
    np.testing.assert_array_equal(biased.apply(known), Calibration(2.0).apply(known))


def test_ece_counts_bins_of_equal_mass_and_ties_share_one():
    confidence = np.array([0.9] * 6 + [0.6] * 4)
    right = np.array([1, 1, 1, 1, 1, 0, 1, 0, 0, 0], dtype=bool)
    expected = 0.6 * abs(5 / 6 - 0.9) + 0.4 * abs(0.25 - 0.6)
    assert expected_calibration_error(confidence, right) == pytest.approx(expected)
    order = np.random.default_rng(0).permutation(10)
    assert expected_calibration_error(confidence[order], right[order]) == pytest.approx(expected)
    found = measure(confidence, right, "ece")
    assert found.estimate == pytest.approx(expected)
    assert found.low <= found.estimate <= found.high


def test_brier_is_scikit_learns():
    from sklearn.metrics import brier_score_loss

    known, codes = drawn(200, 2, 1.0)
    oracle = brier_score_loss(codes, known[:, 1])
    assert measure(known, codes, "brier").estimate == pytest.approx(2 * oracle)
