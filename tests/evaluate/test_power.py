"""Power: as computed, by hand and by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from headstart.core.errors import OptionError
from headstart.core.types import Gain
from headstart.evaluate import Predictions, gain, labels_to_settle, power_of

RUNS = 500


def unpaired(p, q, n):
    """Half the width of the 95 % interval of a gain between independent models."""
    return norm.ppf(0.975) * math.sqrt((p * (1 - p) + q * (1 - q)) / n)


def settled(rng, p, q, n, runs=RUNS):
    """Share of simulated comparisons on n items that are called positive."""
    truth = np.array(["a"] * n)
    found = 0
    for right in rng.random((runs, 2, n)) < np.array([p, q])[:, None]:
        models = [Predictions(np.where(row, "a", "b")) for row in right]
        found += gain("accuracy", truth, *models, n_boot=150).verdict == "positive"
    return found / runs


@pytest.mark.parametrize(("p", "q"), [(0.78, 0.70), (0.95, 0.90)])
@pytest.mark.parametrize("n", [150, 300, 600])
def test_power_is_as_computed(p, q, n):
    """Within 0.07: chance is 3 x 0.022, and the two extra items take up to 0.01 at 150."""
    half = unpaired(p, q, 100)
    pilot = Gain(p - q, p - q - half, p - q + half, 100)
    computed = power_of(pilot, n=n)
    assert settled(np.random.default_rng(n), p, q, n) == pytest.approx(computed, abs=0.07)


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_that_many_items_settle_so_many_comparisons(power):
    """Within 0.06: chance is 3 x 0.018 at 0.8, and 0.022 at 0.5."""
    half = unpaired(0.78, 0.70, 100)
    needed = labels_to_settle(Gain(0.08, 0.08 - half, 0.08 + half, 100), power=power)
    assert needed is not None
    found = settled(np.random.default_rng(0), 0.78, 0.70, needed)
    assert found == pytest.approx(power, abs=0.06)


def test_power_by_hand():
    measured = Gain(0.02, -0.03, 0.07, 200)
    se = 0.05 / norm.ppf(0.975)
    for effect, n in ((0.02, 200), (0.05, 200), (0.03, 1000)):
        want = norm.cdf(effect / (se * math.sqrt(200 / n)) - norm.ppf(0.975))
        assert power_of(measured, effect=effect, n=n) == pytest.approx(want, abs=1e-12)
        assert power_of(measured, effect=-effect, n=n) == pytest.approx(want, abs=1e-12)
    assert power_of(measured) == power_of(measured, effect=0.02, n=200)
    wide = Gain(0.02, -0.045, 0.085, 200)
    assert power_of(wide, level=0.99) == pytest.approx(
        norm.cdf(norm.ppf(0.995) * (0.02 / 0.065 - 1)), abs=1e-12
    )


def test_there_is_no_power_without_an_effect_or_an_interval():
    assert power_of(Gain(0.0, -0.04, 0.04, 100)) == 0.0
    assert power_of(Gain(0.1, -math.inf, math.inf, 1)) == 0.0
    assert power_of(Gain(0.1, 0.1, 0.1, 5)) == 1.0


def test_the_labels_reach_the_power_and_one_less_does_not():
    measured = Gain(0.02, -0.02, 0.06, 100)
    for power in (0.5, 0.8, 0.9):
        needed = labels_to_settle(measured, power=power)
        assert power_of(measured, n=needed) >= power
        assert power_of(measured, n=needed - 1) < power + 1e-9
    assert labels_to_settle(measured) == 818
    assert labels_to_settle(Gain(-0.02, -0.06, 0.02, 100)) == 818
    assert labels_to_settle(measured, power=0.5) == 400
    assert labels_to_settle(measured, effect=0.04, power=0.5) == 101


def test_nothing_is_guessed_where_nothing_can_be_said():
    assert labels_to_settle(Gain(0.0, -0.04, 0.04, 100)) is None
    assert labels_to_settle(Gain(0.0001, -0.1, 0.1, 1000)) is None
    assert labels_to_settle(Gain(0.0002, -0.9, 0.9, 1000)) is None
    assert labels_to_settle(Gain(0.1, -math.inf, math.inf, 1)) is None
    assert labels_to_settle(Gain(0.1, 0.05, 0.15, 100, verdict="positive")) is None


def test_options_out_of_range_are_refused():
    measured = Gain(0.1, -0.1, 0.3, 10)
    for bad in (0.4, 1.0, math.nan):
        with pytest.raises(OptionError, match="power"):
            labels_to_settle(measured, power=bad)
    with pytest.raises(OptionError, match="level"):
        labels_to_settle(measured, level=1.0)
    with pytest.raises(OptionError, match="level"):
        power_of(measured, level=0.4)
    with pytest.raises(OptionError, match="judged items"):
        power_of(measured, n=0)
