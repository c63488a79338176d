"""Repeated splits: Nadeau and Bengio's corrected t interval, by hand and by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import t as student

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.evaluate import repeated_gain, repeated_score

RUNS = 400


def test_the_interval_by_hand():
    """r2 is taken as it comes: the mean, give or take t times the corrected standard error."""
    values = np.array([0.61, 0.58, 0.66, 0.63, 0.57])
    found = repeated_score("r2", values, n_train=160, n_test=40)
    spread = np.sum((values - values.mean()) ** 2) / 4
    half = student.ppf(0.975, 4) * math.sqrt((1 / 5 + 40 / 160) * spread)
    assert found.estimate == pytest.approx(0.61)
    assert (found.low, found.high) == pytest.approx((0.61 - half, 0.61 + half))
    assert found.n == 200
    assert repeated_score("r2", values, n_train=960, n_test=40).n == 200
    wider = repeated_score("r2", values, n_train=160, n_test=40, level=0.99)
    assert wider.high - wider.low == pytest.approx(
        2 * half * student.ppf(0.995, 4) / student.ppf(0.975, 4)
    )


def test_the_gain_by_hand():
    one = np.array([2.0, 2.2, 1.9, 2.1, 2.3, 2.0])
    other = np.array([2.4, 2.5, 2.5, 2.2, 2.6, 2.5])
    found = repeated_gain("rmse", one, other, n_train=90, n_test=10, name="other")
    ahead = other - one
    half = student.ppf(0.975, 5) * ahead.std(ddof=1) * math.sqrt(1 / 6 + 10 / 90)
    assert found.estimate == pytest.approx(ahead.mean())
    assert (found.low, found.high) == pytest.approx((ahead.mean() - half, ahead.mean() + half))
    assert (found.verdict, found.baseline, found.metric) == ("positive", "other", "rmse")
    back = repeated_gain("rmse", other, one, n_train=90, n_test=10)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))


def test_of_shares_intervals_stay_within_bounds_and_never_close_up():
    perfect = repeated_score("accuracy", [1.0] * 10, n_train=40, n_test=10)
    assert perfect.high == 1.0
    assert 0.8 < perfect.low < 0.95
    equal = repeated_gain("accuracy", [0.9] * 10, [0.9] * 10, n_train=40, n_test=10)
    assert equal.verdict == "inconclusive"
    assert equal.low < -0.01 < 0.01 < equal.high


def classifiers(n, share, j, apart, d, runs, seed):
    """Accuracy of centroids and 3-NN on j random splits of each of many data sets, (runs, 2, j)."""
    rng = np.random.default_rng(seed)
    test = round(n * share)
    out = np.empty((runs, 2, j))
    for run in range(runs):
        y = rng.integers(2, size=n) * 2.0 - 1
        x = rng.standard_normal((n, d))
        x[:, 0] += apart * y
        distance = (x**2).sum(axis=1)[:, None] + (x**2).sum(axis=1) - 2 * x @ x.T
        for split in range(j):
            order = rng.permutation(n)
            held, train = order[:test], order[test:]
            up, down = x[train][y[train] > 0].mean(axis=0), x[train][y[train] < 0].mean(axis=0)
            margin = (x[held] - (up + down) / 2) @ (up - down)
            out[run, 0, split] = (margin * y[held] > 0).mean()
            near = np.argpartition(distance[np.ix_(held, train)], 2, axis=1)[:, :3]
            out[run, 1, split] = (y[train][near].sum(axis=1) * y[held] > 0).mean()
    return out, n - test, test


@pytest.mark.parametrize(
    ("n", "share", "j", "apart", "d"),
    [(100, 0.2, 10, 0.6, 5), (100, 0.2, 5, 0.6, 5), (200, 0.1, 10, 0.4, 20), (60, 0.2, 10, 1.0, 5)],
)
def test_coverage_on_real_classifiers(n, share, j, apart, d):
    """Truth: the mean over all data sets. Of 400 intervals 95 % give or take 1.1 %."""
    values, n_train, n_test = classifiers(n, share, j, apart, d, RUNS, seed=0)
    sizes = {"n_train": n_train, "n_test": n_test}
    true, ahead = values[:, 0].mean(), (values[:, 0] - values[:, 1]).mean()
    scores = [repeated_score("accuracy", row[0], **sizes) for row in values]
    gains = [repeated_gain("accuracy", *row, **sizes) for row in values]
    assert 0.92 <= np.mean([one.low <= true <= one.high for one in scores]) <= 0.985
    assert 0.92 <= np.mean([one.low <= ahead <= one.high for one in gains]) <= 0.985
    plain = values[:, 0].std(axis=1, ddof=1) / math.sqrt(j) * student.ppf(0.975, j - 1)
    uncorrected = np.mean(np.abs(values[:, 0].mean(axis=1) - true) <= plain)
    assert uncorrected < 0.9


def test_what_cannot_be_measured_is_refused():
    sizes = {"n_train": 80, "n_test": 20}
    with pytest.raises(UnknownNameError, match="'acuracy'"):
        repeated_score("acuracy", [0.5, 0.6], **sizes)
    with pytest.raises(OptionError, match="score of each split"):
        repeated_score("accuracy", [0.5], **sizes)
    with pytest.raises(OptionError, match="score of each split"):
        repeated_score("accuracy", [[0.5, 0.6]], **sizes)
    with pytest.raises(OptionError, match="level"):
        repeated_score("accuracy", [0.5, 0.6], **sizes, level=0.3)
    with pytest.raises(DataError, match="finite"):
        repeated_score("accuracy", [0.5, math.nan], **sizes)
    with pytest.raises(DataError, match="both parts"):
        repeated_score("accuracy", [0.5, 0.6], n_train=80, n_test=0)
    with pytest.raises(DataError, match="same splits"):
        repeated_gain("accuracy", [0.5, 0.6], [0.5, 0.6, 0.7], **sizes)
    with pytest.raises(OptionError, match="margin"):
        repeated_gain("accuracy", [0.5, 0.6], [0.5, 0.6], **sizes, margin=-1)
