"""Do 95 % intervals hold the truth 95 % of the time?

Each case simulates data sets of which the true score is known. Of 300 data sets 95 % cover give or
take 1.26 % (one standard deviation); cases pass from 92 % up, which an interval of 95 % misses by
chance in 1 of 100 cases, and the seeds are fixed. Discrete cases (few items, few errors) are
allowed to cover more than 98 %: an interval that never covers less does so somewhere.
"""

from statistics import NormalDist

import numpy as np
import pytest

from headstart.evaluate import Predictions, gain, score

RUNS, BOOT = 300, 200


def marked(right):
    """Truth, and predictions that are right where ``right`` says so."""
    return np.array(["a"] * len(right)), Predictions(np.where(right, "a", "b"))


def coverage(intervals, truth):
    return np.mean([one.low <= truth <= one.high for one in intervals])


@pytest.mark.parametrize(
    ("p", "n"), [(0.5, 30), (0.8, 30), (0.97, 50), (0.97, 100), (0.7, 200), (0.99, 200)]
)
def test_accuracy_of_items(p, n):
    rng = np.random.default_rng(0)
    found = [score("accuracy", *marked(rng.random(n) < p), n_boot=BOOT) for _ in range(RUNS)]
    assert 0.92 <= coverage(found, p) <= 0.985


def test_the_percentile_bootstrap_would_not_do():
    rng = np.random.default_rng(0)
    right = rng.random((RUNS, 50)) < 0.97
    covered = 0
    for row in right:
        means = row[rng.integers(50, size=(BOOT, 50))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        covered += low <= 0.97 <= high
    assert covered / RUNS < 0.85


@pytest.mark.parametrize(
    ("first", "second", "shared", "n", "most"),
    [
        (0.8, 0.8, 0.5, 30, 1.0),
        (0.97, 0.97, 0.5, 50, 1.0),
        (0.9, 0.8, 0.5, 50, 0.985),
        (0.8, 0.75, 0.9, 200, 0.985),
    ],
)
def test_gain_over_items(first, second, shared, n, most):
    rng = np.random.default_rng(1)
    cuts = [NormalDist().inv_cdf(p) for p in (first, second)]
    found = []
    for _ in range(RUNS):
        common = shared**0.5 * rng.standard_normal(n)
        both = [common + (1 - shared) ** 0.5 * rng.standard_normal(n) < cut for cut in cuts]
        (truth, one), (_, other) = marked(both[0]), marked(both[1])
        found.append(gain("accuracy", truth, one, other, n_boot=BOOT))
    assert 0.92 <= coverage(found, first - second) <= most


@pytest.mark.parametrize(
    ("p", "alike", "count", "size", "unequal"),
    [
        (0.8, 0.2, 20, 10, False),
        (0.8, 0.1, 100, 10, True),
        (0.7, 0.3, 5, 20, False),
        (0.9, 0.3, 40, 5, False),
    ],
)
def test_score_and_gain_over_groups(p, alike, count, size, unequal):
    rng = np.random.default_rng(2)
    strength = (1 - alike) / alike
    scores, gains, naive = [], [], []
    for _ in range(RUNS):
        sizes = rng.integers(1, 2 * size, size=count) if unequal else np.full(count, size)
        groups = np.repeat(np.arange(count), sizes)
        drawn = [rng.beta(p * strength, (1 - p) * strength, count)[groups] for _ in range(2)]
        both = [marked(rng.random(len(groups)) < each) for each in drawn]
        (truth, one), (_, other) = both
        scores.append(score("accuracy", truth, one, groups=groups, n_boot=BOOT))
        naive.append(score("accuracy", truth, one, n_boot=100))
        gains.append(gain("accuracy", truth, one, other, groups=groups, n_boot=BOOT))
    assert 0.92 <= coverage(scores, p) <= 0.985
    assert 0.92 <= coverage(gains, 0.0) <= (1.0 if count < 20 else 0.99)
    assert coverage(naive, p) < 0.88


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
@pytest.mark.parametrize(("k", "n", "right"), [(2, 50, 0.95), (5, 50, 0.8), (10, 100, 0.95)])
def test_averages_over_unequal_classes(metric, k, n, right):
    rng = np.random.default_rng(3)
    names = np.array(list("abcdefghij"))
    shares = np.linspace(1, 4, k) / np.linspace(1, 4, k).sum()
    recall = np.full(k, right)
    recall[0] -= 0.2
    confusion = np.repeat((shares * (1 - recall) / (k - 1))[:, None], k, axis=1)
    confusion[np.arange(k), np.arange(k)] = shares * recall
    true = recall.mean()
    if metric == "macro_f1":
        true = (2 * np.diag(confusion) / (confusion.sum(axis=0) + shares)).mean()
    found = []
    for _ in range(RUNS):
        codes = rng.choice(k, n, p=shares)
        said = np.where(rng.random(n) < recall[codes], codes, (codes + rng.integers(1, k, n)) % k)
        found.append(score(metric, names[codes], Predictions(names[said]), n_boot=BOOT))
    assert 0.92 <= coverage(found, true) <= 0.99


@pytest.mark.parametrize(("apart", "yes", "no"), [(1.0, 10, 40), (3.0, 15, 15), (1.5, 50, 50)])
def test_roc_auc(apart, yes, no):
    rng = np.random.default_rng(4)
    truth = np.repeat(["a", "b"], [no, yes])
    found = []
    for _ in range(RUNS):
        p = 1 / (1 + np.exp(-rng.standard_normal(yes + no) - apart * (truth == "b")))
        model = Predictions(np.where(p > 0.5, "b", "a"), np.stack([1 - p, p], axis=1), ("a", "b"))
        found.append(score("roc_auc", truth, model, n_boot=BOOT))
    assert 0.92 <= coverage(found, NormalDist().cdf(apart / 2**0.5)) <= 0.99


@pytest.mark.parametrize("n", [30, 200])
def test_regression_with_normal_errors(n):
    rng = np.random.default_rng(5)
    true = {"rmse": 1.0, "mae": (2 / np.pi) ** 0.5, "r2": 0.75}
    scores = {metric: [] for metric in true}
    gains = {"rmse": [], "mae": []}
    for _ in range(RUNS):
        truth = 2 * rng.standard_normal(n)
        error = rng.standard_normal(n)
        other = np.where(rng.random(n) < 0.5, error, rng.standard_normal(n))
        one, two = Predictions(truth + error), Predictions(truth + other)
        for metric, found in scores.items():
            found.append(score(metric, truth, one, n_boot=BOOT))
        for metric, found in gains.items():
            found.append(gain(metric, truth, one, two, n_boot=BOOT))
    for metric, found in scores.items():
        assert 0.92 <= coverage(found, true[metric]) <= 0.985, metric
    for metric, found in gains.items():
        assert 0.92 <= coverage(found, 0.0) <= 0.985, metric
