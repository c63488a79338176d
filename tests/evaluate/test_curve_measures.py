"""Taylor & Stone's measures and the label multiplier, against computations of another kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from headstart.core.errors import OptionError
from headstart.evaluate import (
    area_ratio,
    asymptote,
    jumpstart,
    label_multiplier,
    multiplier_at,
    time_to_threshold,
)
from headstart.evaluate.curve import assembled
from headstart.evaluate.curve_measures import _monotone, as_plain

SIZES = np.array([1.0, 2, 4, 8, 16])


def curve(transfer, scratch, *, sizes=SIZES, noise=0.0, metric="accuracy", seed=0, draws=300):
    rng = np.random.default_rng(seed)
    means = np.stack([transfer, scratch], axis=1).astype(float)
    moved = means + rng.normal(size=(draws, len(sizes), 2)) * noise
    return assembled(metric, np.asarray(sizes, float), list(means[:, None]), moved, seed=seed)


def rising(n):
    return 0.95 - 0.5 * np.asarray(n, float) ** -0.7


def test_scratch_that_needs_four_times_the_labels_needs_four_times_the_labels():
    found = label_multiplier(curve(rising(4 * SIZES), rising(SIZES), noise=0.01))
    assert found.estimate == pytest.approx(4.0)
    assert (found.n_transfer, found.n_scratch) == pytest.approx((4.0, 16.0))
    assert found.low < 4 < found.high
    assert found.censored == ""


def test_transfer_that_needs_four_times_the_labels_is_worth_a_quarter():
    found = label_multiplier(curve(rising(SIZES), rising(4 * SIZES), noise=0.01))
    assert found.estimate == pytest.approx(0.25)
    assert found.low < 0.25 < found.high < 1


def test_equal_curves_are_worth_the_same():
    found = label_multiplier(curve(rising(SIZES), rising(SIZES), noise=0.01))
    assert found.estimate == pytest.approx(1.0)
    assert found.low < 1 < found.high


def test_scratch_that_never_gets_there_is_censored():
    found = label_multiplier(curve(0.8 + 0 * SIZES, 0.3 + 0 * SIZES, noise=0.01))
    assert found.censored == "above"
    assert (found.estimate, found.low, found.high) == (16.0, 16.0, None)
    other = label_multiplier(curve(0.3 + 0 * SIZES, 0.8 + 0 * SIZES, noise=0.01))
    assert other.censored == "below"
    assert (other.estimate, other.low, other.high) == (1 / 16, None, 1 / 16)


def test_an_upper_end_beyond_what_was_measured_is_left_open():
    found = label_multiplier(curve(rising(14 * SIZES), rising(SIZES), noise=0.02))
    assert found.censored == ""
    assert found.high is None
    assert 1 < found.low < found.estimate < 16


def test_less_is_better_turns_the_sign_not_the_meaning():
    up = curve(rising(4 * SIZES), rising(SIZES))
    down = curve(1 - rising(4 * SIZES), 1 - rising(SIZES), metric="rmse")
    assert label_multiplier(down).estimate == pytest.approx(label_multiplier(up).estimate)
    assert jumpstart(down).estimate == pytest.approx(jumpstart(up).estimate)
    assert area_ratio(down).estimate > 0


def test_the_multiplier_at_a_point_is_read_off_there():
    found = curve(rising(4 * SIZES), rising(SIZES), noise=0.001)
    assert multiplier_at(found, 2.0).estimate == pytest.approx(4.0)
    assert multiplier_at(found, 4.0).estimate == pytest.approx(4.0)
    last = multiplier_at(found, 16.0)
    assert (last.censored, last.estimate, last.high) == ("above", 1.0, None)
    with pytest.raises(OptionError, match="no such point"):
        multiplier_at(found, 3.0)


def test_a_single_point_has_no_multiplier_and_no_area():
    alone = curve([0.8], [0.6], sizes=[5])
    assert label_multiplier(alone) is None
    assert area_ratio(alone) is None
    assert jumpstart(alone) == asymptote(alone)


def test_jumpstart_asymptote_and_area_by_hand():
    transfer, scratch = np.array([0.5, 0.6, 0.8]), np.array([0.2, 0.4, 0.7])
    found = curve(transfer, scratch, sizes=[1, 2, 6], noise=0.01)
    assert jumpstart(found).estimate == pytest.approx(0.3)
    assert asymptote(found).estimate == pytest.approx(0.1)
    areas = [np.trapezoid(y, [1, 2, 6]) for y in (transfer, scratch)]
    measured = area_ratio(found)
    assert measured.estimate == pytest.approx((areas[0] - areas[1]) / areas[1])
    assert measured.low < measured.estimate < measured.high
    assert area_ratio(curve(transfer, 0 * scratch, sizes=[1, 2, 6])) is None


def test_time_to_threshold():
    found = curve([0.5, 0.6, 0.8], [0.2, 0.4, 0.6], sizes=[1, 2, 4])
    usual = time_to_threshold(found)
    assert usual.threshold == pytest.approx(0.6)
    assert usual.transfer.estimate == pytest.approx(2.0)
    assert usual.scratch.estimate == pytest.approx(4.0)
    high = time_to_threshold(found, 0.7)
    assert high.transfer.estimate == pytest.approx(2 * 2**0.5)
    assert (high.scratch.censored, high.scratch.estimate) == ("above", 4.0)
    low = time_to_threshold(found, 0.45)
    assert (low.transfer.censored, low.transfer.estimate) == ("below", 1.0)
    with pytest.raises(OptionError, match="must be a number"):
        time_to_threshold(found, float("nan"))


def test_as_plain():
    assert as_plain(None) is None
    found = as_plain(label_multiplier(curve(rising(4 * SIZES), rising(SIZES))))
    assert set(found) == {"estimate", "low", "high", "censored", "n_transfer", "n_scratch"}
    assert found["censored"] is None


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_monotone_is_isotonic_regression(values):
    mine = _monotone(np.array(values)[None, :, None])[0, :, 0]
    theirs = IsotonicRegression().fit_transform(np.arange(len(values)), values)
    assert mine == pytest.approx(theirs, abs=1e-9)


def test_the_multiplier_holds_the_truth_in_simulation():
    held = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        true = np.stack([rising(4 * SIZES), rising(SIZES)], axis=1)
        means = true + rng.normal(size=(len(SIZES), 2)) * 0.02
        draws = means + rng.normal(size=(400, len(SIZES), 2)) * 0.02
        found = label_multiplier(assembled("accuracy", SIZES, list(means[:, None]), draws))
        held.append((found.low or 0) <= 4 <= (found.high or np.inf))
    assert 0.90 <= np.mean(held) <= 1.0
