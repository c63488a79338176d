"""The power law: known laws are found again, another solver agrees, forecasts hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from headstart.core.errors import OptionError
from headstart.evaluate import forecast, limit_gain, power_law
from headstart.evaluate.curve import SCRATCH, assembled
from headstart.evaluate.power_law import PRIOR_MEAN, PRIOR_SD, _weights

SIZES = np.array([1.0, 2, 4, 8, 16])


def curve(errors, other=None, *, noise=0.0, sizes=SIZES, metric="accuracy", seed=0):
    rng = np.random.default_rng(seed)
    means = 1 - np.stack([errors, errors if other is None else other], axis=1)
    draws = means + rng.normal(size=(400, len(sizes), 2)) * noise
    return assembled(metric, np.asarray(sizes, float), list(means[:, None]), draws)


@pytest.mark.parametrize(("a", "b", "c"), [(0.6, 0.5, 0.1), (0.5, 0.3, 0.0), (0.4, 1.2, 0.2)])
def test_a_known_law_is_found_again(a, b, c):
    found = power_law(curve(a * SIZES**-b + c))
    assert (found.a, found.b, found.c) == pytest.approx((a, b, c), abs=0.05)
    assert found.error(32) == pytest.approx(a * 32**-b + c, abs=2e-3)


def test_no_other_solver_finds_a_better_fit():
    rng = np.random.default_rng(0)
    errors = 0.5 * SIZES**-0.6 + 0.1 + rng.normal(size=5) * 0.004
    asked = curve(errors)
    found, weights = power_law(asked), _weights(asked, 0)

    def left(p):
        a, b, c = p
        off = np.sqrt(weights) * (a * SIZES**-b + c - errors)
        return np.append(off, (b - PRIOR_MEAN) / PRIOR_SD)

    starts = [(0.3, 0.5, 0.05), (0.5, 1.0, 0.0), (0.4, 0.2, 0.1)]
    limits = ([0, 0.02, 0], [5, 1.5, 1])
    best = min(2 * least_squares(left, start, bounds=limits).cost for start in starts)
    assert np.sum(left((found.a, found.b, found.c)) ** 2) <= 1.01 * best


def test_the_law_of_scratch_is_its_own():
    found = curve(0.5 * SIZES**-0.5, 0.8 * SIZES**-0.9 + 0.1)
    assert power_law(found, SCRATCH).c == pytest.approx(0.1, abs=0.02)


def test_a_flat_curve_promises_nothing():
    found = forecast(curve(0.3 + 0 * SIZES, noise=1e-4))
    assert found.gain.estimate == pytest.approx(0, abs=1e-3)


def test_a_forecast_says_how_far_it_reaches():
    found = curve(0.6 * SIZES**-0.5 + 0.1, noise=0.005)
    usual = forecast(found)
    assert (usual.n, usual.more) == (16, 16)
    true = 0.6 * (16**-0.5 - 32**-0.5)
    assert usual.gain.low < true < usual.gain.high
    assert usual.gain.estimate == pytest.approx(true, abs=0.005)
    assert forecast(found, 48).gain.estimate > usual.gain.estimate
    for more in (49, 0, -1):
        with pytest.raises(OptionError, match="at most 4 times"):
            forecast(found, more)


def test_too_few_points_are_refused():
    two = curve(np.array([0.5, 0.4]), sizes=[1, 2])
    for ask in (forecast, power_law, limit_gain):
        with pytest.raises(OptionError, match="at least 3 points"):
            ask(two)


def test_what_follows_no_power_law_is_not_forecast():
    with pytest.raises(OptionError, match="not follow a power law"):
        forecast(curve(np.array([0.1, 0.5, 0.1, 0.5, 0.1]), noise=0.005))


def test_rmse_is_an_error_as_it_is():
    means = np.stack([2 * SIZES**-0.5 + 0.3, 3 * SIZES**-0.5 + 0.5], axis=1)
    found = assembled("rmse", SIZES, list(means[:, None]), means[None].repeat(5, axis=0))
    assert power_law(found).c == pytest.approx(0.3, abs=0.05)
    assert forecast(found).gain.estimate == pytest.approx(2 * (16**-0.5 - 32**-0.5), rel=0.05)
    assert limit_gain(found).estimate == pytest.approx(0.2, abs=0.08)


def test_the_limit_is_the_difference_of_the_two_laws():
    found = limit_gain(curve(0.5 * SIZES**-0.8 + 0.05, 0.6 * SIZES**-0.8 + 0.15, noise=0.003))
    assert found.estimate == pytest.approx(0.1, abs=0.03)
    assert found.low < 0.1 < found.high


def test_forecasts_hold_what_comes_in_simulation():
    sizes, counts = np.array([1.0, 2, 4, 8, 16, 20]), [5, 4, 3, 2, 2, 1]
    held = []
    for a, b, c in [(0.6, 0.5, 0.05), (0.5, 0.3, 0.0), (0.7, 1.0, 0.1), (0.5, 0.8, 0.02)]:
        for seed in range(40):
            rng = np.random.default_rng(seed)
            true = 1 - np.stack([a * sizes**-b + c] * 2, axis=1)
            item = rng.normal(size=2) * np.sqrt(true * (1 - true) / 500)
            drawn = rng.normal(size=2) * 0.05 / np.sqrt(20)
            repeats = [
                true[k] + item[k] + drawn + rng.normal(size=(r, 2)) * 0.05 * (1 / n - 0.05) ** 0.5
                for k, (n, r) in enumerate(zip(sizes, counts, strict=True))
            ]
            means = np.array([r.mean(axis=0) for r in repeats])
            spread = np.sqrt(np.clip(means * (1 - means), 0, 1) / 500)
            draws = means + rng.normal(size=(300, 1, 2)) * spread
            gain = forecast(assembled("accuracy", sizes, repeats, draws, seed=seed), 20).gain
            held.append(gain.low <= a * (20**-b - 40**-b) <= gain.high)
    assert 0.90 <= np.mean(held) <= 0.99
