"""Several runs: items and runs both vary; coverage by simulation, the parts by hand."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import t as student

from headstart.core.errors import DataError, OptionError
from headstart.evaluate import Predictions, gain_over_runs, score, score_over_runs

SETS = 250
BOOT = 100
CLASSES = np.array(["b", "a"])


def hits(right):
    return Predictions(CLASSES[right.astype(int)])


def drawn(rng, j, n, p, runs, items, same, shift=0.0):
    """Who is right, (j, n): a probit with spread ``runs`` between runs and ``items`` of items."""
    cut = NormalDist().inv_cdf(p) * math.sqrt(1 + runs**2 + items**2)
    hard = items * rng.standard_normal((1 if same else j, n))
    each = runs * rng.standard_normal((j, 1))
    return hard + each + rng.standard_normal((j, n)) < cut + shift


def covered(intervals, truth):
    return np.mean([one.low <= truth <= one.high for one in intervals])


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(
    ("j", "runs", "items"), [(3, 0.1, 1.0), (3, 0.5, 1.0), (5, 0.3, 0.5), (10, 0.5, 1.0)]
)
def test_coverage_of_scores_and_gains(same, j, runs, items):
    """Of 250 intervals 95 % give or take 1.4 %."""
    rng = np.random.default_rng(j)
    truth = [np.array(["a"] * 80)] * j
    scores, gains = [], []
    for _ in range(SETS):
        right = drawn(rng, j, 80, 0.8, runs, items, same)
        other = drawn(rng, j, 80, 0.8, runs, items, same)
        models = [hits(row) for row in right], [hits(row) for row in other]
        options = {"same_items": same, "n_boot": BOOT}
        scores.append(score_over_runs("accuracy", truth, models[0], **options))
        gains.append(gain_over_runs("accuracy", truth, *models, **options))
    assert 0.92 <= covered(scores, 0.8) <= 0.99
    assert 0.92 <= covered(gains, 0.0) <= 0.99


def test_one_run_or_a_plain_two_stage_bootstrap_would_not_do():
    rng = np.random.default_rng(0)
    alone, percentiles = 0, 0
    for _ in range(SETS):
        right = drawn(rng, 3, 200, 0.8, 0.5, 0.5, True)
        found = score("accuracy", np.array(["a"] * 200), hits(right[0]), n_boot=BOOT)
        alone += found.low <= 0.8 <= found.high
        runs, items = rng.integers(3, size=(200, 3)), rng.integers(200, size=(200, 200))
        means = right[runs[:, :, None], items[:, None, :]].mean(axis=(1, 2))
        low, high = np.quantile(means, [0.025, 0.975])
        percentiles += low <= 0.8 <= high
    assert alone / SETS < 0.7
    assert percentiles / SETS < 0.9


@pytest.mark.parametrize("same", [True, False])
def test_groups_are_drawn_whole(same):
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(20), 6)
    truth = [np.array(["a"] * 120)] * 4
    found, naive = [], []
    for _ in range(SETS):
        hard = 1.5 * rng.standard_normal((1 if same else 4, 20))[:, groups]
        each = 0.1 * rng.standard_normal((4, 1))
        cut = NormalDist().inv_cdf(0.75) * math.sqrt(1 + 1.5**2 + 0.1**2)
        models = [hits(row) for row in hard + each + rng.standard_normal((4, 120)) < cut]
        options = {"same_items": same, "n_boot": BOOT}
        found.append(score_over_runs("accuracy", truth, models, groups=[groups] * 4, **options))
        naive.append(score_over_runs("accuracy", truth, models, **options))
    assert 0.92 <= covered(found, 0.75) <= 0.99
    assert covered(naive, 0.75) < (0.8 if same else 0.96)


@pytest.mark.parametrize("same", [True, False])
def test_regression(same):
    """Errors of runs that differ by a factor; the true mean of the runs' RMSE is known."""
    rng = np.random.default_rng(2)
    scores, gains = [], []
    for _ in range(SETS):
        size = np.exp(0.1 * rng.standard_normal((5, 1)))
        truths = [rng.standard_normal(60)] * 5 if same else list(rng.standard_normal((5, 60)))
        errors = size * rng.standard_normal((5, 60))
        other = np.exp(0.1 * rng.standard_normal((5, 1))) * rng.standard_normal((5, 60))
        one = [Predictions(t + e) for t, e in zip(truths, errors, strict=True)]
        two = [Predictions(t + e) for t, e in zip(truths, other, strict=True)]
        options = {"same_items": same, "n_boot": BOOT}
        scores.append(score_over_runs("rmse", truths, one, **options))
        gains.append(gain_over_runs("rmse", truths, one, two, **options))
    assert 0.92 <= covered(scores, math.exp(0.005) * (1 - 1 / 240)) <= 0.99
    assert 0.92 <= covered(gains, 0.0) <= 0.99


def test_by_hand_where_runs_differ_and_items_do_not():
    """On other items the spread between runs is all, once it is the larger part."""
    truths = [np.linspace(1, 2, 40) + shift for shift in range(4)]
    off = np.array([1.0, 2.0, 1.5, 2.5])
    base = [Predictions(t + 3.0) for t in truths]
    runs = [Predictions(t + e) for t, e in zip(truths, off, strict=True)]
    found = gain_over_runs("mae", truths, runs, base, same_items=False, n_boot=100)
    ahead = 3.0 - off
    half = student.ppf(0.975, 3) * ahead.std(ddof=1) / 2
    assert found.estimate == pytest.approx(ahead.mean())
    assert (found.low, found.high) == pytest.approx((ahead.mean() - half, ahead.mean() + half))
    assert found.n == 160
    again = gain_over_runs("mae", [truths[0]] * 4, [runs[0]] * 4, [base[0]] * 4, same_items=True)
    assert again.n == 40
    assert (again.low, again.high) == pytest.approx((2.0, 2.0))


def test_equal_runs_say_what_one_run_says():
    """The same predictions four times are no more than once, on the same items."""
    rng = np.random.default_rng(3)
    truth, right = np.array(["a"] * 90), rng.random(90) < 0.8
    once = score("accuracy", truth, hits(right), n_boot=1000)
    four = score_over_runs("accuracy", [truth] * 4, [hits(right)] * 4, same_items=True)
    assert (four.low, four.high) == pytest.approx((once.low, once.high), abs=1e-12)
    more = score_over_runs("accuracy", [truth] * 4, [hits(right)] * 4, same_items=False)
    assert more.high - more.low < 0.6 * (once.high - once.low)
    assert more.n == 360


def test_a_single_group_gives_no_information():
    truth, models = [np.array(["a"] * 9)] * 3, [hits(np.ones(9))] * 3
    found = score_over_runs(
        "accuracy", truth, models, same_items=True, groups=[np.zeros(9)] * 3, n_boot=100
    )
    assert (found.low, found.high) == (0.0, 1.0)


def test_what_does_not_belong_together_is_refused():
    truth, model = np.array(["a", "b"] * 5), hits(np.ones(10))
    with pytest.raises(OptionError, match="too few runs"):
        score_over_runs("accuracy", [truth] * 2, [model] * 2, same_items=True)
    with pytest.raises(DataError, match="predictions: each run needs its own"):
        score_over_runs("accuracy", [truth] * 3, [model] * 2, same_items=True)
    with pytest.raises(DataError, match="groups: each run needs its own"):
        score_over_runs(
            "accuracy", [truth] * 3, [model] * 3, same_items=True, groups=[np.arange(10)]
        )
    with pytest.raises(DataError, match="baselines: each run needs its own"):
        gain_over_runs("accuracy", [truth] * 3, [model] * 3, [model], same_items=True)
    with pytest.raises(DataError, match="not judged on the same items"):
        score_over_runs("accuracy", [truth, truth, truth[::-1]], [model] * 3, same_items=True)
    with pytest.raises(OptionError, match="margin"):
        gain_over_runs(
            "accuracy", [truth] * 3, [model] * 3, [model] * 3, same_items=True, margin=-1
        )
