"""What must hold of every interval: properties, edges, the verdict."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import DataError, OptionError
from headstart.evaluate import METRICS, Predictions, gain, score, verdict
from headstart.evaluate.resample import BLOCK, resamples, units

FEW = settings(max_examples=15, deadline=None, derandomize=True)


def drawn_case(metric, n, seed, correct=0.7):
    """Truth and two models' predictions."""
    rng = np.random.default_rng(seed)
    if METRICS[metric].needs == "values":
        truth = rng.standard_normal(n)
        return truth, *(Predictions(truth + rng.standard_normal(n)) for _ in range(2))
    names = np.array(["a", "b", "c"])
    codes = np.concatenate([[0, 1, 2], rng.integers(3, size=n - 3)])
    both = []
    for _ in range(2):
        scores = rng.random((n, 3))
        scores[np.arange(n), codes] += correct
        scores /= scores.sum(axis=1, keepdims=True)
        both.append(Predictions(names[scores.argmax(axis=1)], scores, ("a", "b", "c")))
    return names[codes], *both


@FEW
@given(metric=st.sampled_from(sorted(METRICS)), n=st.integers(4, 40), seed=st.integers(0, 99))
def test_the_estimate_lies_within_and_swapping_negates(metric, n, seed):
    truth, one, other = drawn_case(metric, n, seed)
    measured = score(metric, truth, one, seed=seed, n_boot=200)
    assert measured.low <= measured.estimate <= measured.high
    assert measured.low < measured.high
    there = gain(metric, truth, one, other, seed=seed, n_boot=200, margin=0.0)
    back = gain(metric, truth, other, one, seed=seed, n_boot=200, margin=0.0)
    assert there.low <= there.estimate <= there.high
    expected = (-back.estimate, -back.high, -back.low)
    assert (there.estimate, there.low, there.high) == pytest.approx(expected, abs=1e-9)
    opposite = {"positive": "negative", "negative": "positive"}
    assert there.verdict == opposite.get(back.verdict, back.verdict)


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "rmse", "mae"])
def test_duplicated_items_change_nothing_when_grouped(metric):
    truth, one, other = drawn_case(metric, 40, seed=1)
    twice = np.concatenate([np.arange(40), np.arange(40)])
    groups = twice + 100
    alone = score(metric, truth, one, n_boot=300)
    doubled = score(metric, truth[twice], one.take(twice), groups=groups, n_boot=300)
    assert (doubled.low, doubled.high) == pytest.approx((alone.low, alone.high), abs=1e-12)
    naive = score(metric, truth[twice], one.take(twice), n_boot=300)
    assert naive.high - naive.low < 0.8 * (alone.high - alone.low)
    mine = gain(metric, truth, one, other, n_boot=300)
    theirs = gain(
        metric, truth[twice], one.take(twice), other.take(twice), groups=groups, n_boot=300
    )
    assert (theirs.low, theirs.high) == pytest.approx((mine.low, mine.high), abs=1e-12)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_the_order_of_items_does_not_matter(metric):
    truth, one, other = drawn_case(metric, 60, seed=2)
    groups = np.arange(60) // 3
    order = np.random.default_rng(0).permutation(60)
    first = gain(metric, truth, one, other, groups=groups, n_boot=300)
    again = gain(
        metric, truth[order], one.take(order), other.take(order), groups=groups[order], n_boot=300
    )
    assert (again.low, again.high) == pytest.approx((first.low, first.high), abs=1e-9)
    # without groups other items meet the same random numbers: the bootstrap's own error is left,
    # 1 / sqrt(2 * 2000) = 1.6 % of the width, five of which are allowed
    first, again = score(metric, truth, one), score(metric, truth[order], one.take(order))
    width = first.high - first.low
    assert again.estimate == pytest.approx(first.estimate, abs=1e-12)
    assert again.high - again.low == pytest.approx(width, rel=0.08)


def test_the_same_seed_gives_the_same_interval_and_another_nearly():
    truth, one, other = drawn_case("macro_f1", 50, seed=3)
    first = gain("macro_f1", truth, one, other, seed=1)
    assert gain("macro_f1", truth, one, other, seed=1) == first
    assert gain("macro_f1", truth, one, other, seed=2).low == pytest.approx(first.low, abs=0.03)


def test_perfect_and_hopeless_scores_keep_an_interval():
    truth = np.array(["a", "b"] * 25)
    right, wrong = Predictions(truth), Predictions(truth[::-1])
    perfect = score("accuracy", truth, right)
    assert perfect.high == 1.0
    assert perfect.low == pytest.approx(50 / (50 + 2.0096**2), abs=1e-3)  # Wilson, t with 49 df
    assert score("accuracy", truth, wrong).high == pytest.approx(1 - perfect.low, abs=1e-12)
    same = gain("accuracy", truth, right, right)
    assert same.estimate == 0
    assert (same.low, same.high) == pytest.approx(
        (-2.0096 * 2**0.5 / 52, 2.0096 * 2**0.5 / 52), abs=1e-5
    )
    assert same.verdict == "inconclusive"
    total = gain("accuracy", truth, right, wrong)
    assert total.estimate == total.high == 1.0
    assert 0.8 < total.low < 1.0
    grouped = score("accuracy", truth, right, groups=np.arange(50) // 10)
    assert grouped.low < perfect.low


def test_two_models_that_agree_on_very_much_do_not_differ():
    truth = np.array(["a", "b"] * 1000)
    assert gain("accuracy", truth, Predictions(truth), Predictions(truth)).verdict == "none"
    numbers = np.arange(100.0)
    found = Predictions(numbers + 1)
    alike = gain("rmse", numbers, found, found)
    assert alike.low < 0 < alike.high
    assert score("rmse", numbers, Predictions(numbers)).high == 0.0


def test_few_groups_are_honest():
    truth = np.array(["a", "b"] * 20)
    found = Predictions(np.where(np.arange(40) % 7 == 0, "a", truth))
    widths = []
    for count in (40, 5, 3, 2):
        measured = score("accuracy", truth, found, groups=np.arange(40) % count)
        widths.append(measured.high - measured.low)
    assert widths == sorted(widths)
    alone = score("accuracy", truth, found, groups=np.zeros(40))
    assert (alone.low, alone.high) == (0.0, 1.0)
    nothing = gain("accuracy", truth, found, Predictions(truth[::-1]), groups=np.zeros(40))
    assert (nothing.low, nothing.high, nothing.verdict) == (-1.0, 1.0, "inconclusive")
    numbers = np.arange(3.0)
    one = score("rmse", numbers, Predictions(numbers + 1), groups=np.zeros(3))
    assert (one.low, one.high) == (0.0, math.inf)
    both = gain("r2", numbers, Predictions(numbers), Predictions(-numbers), groups=np.zeros(3))
    assert (both.low, both.high) == (-math.inf, math.inf)


def test_out_of_fold_predictions_get_wider_intervals():
    truth, one, other = drawn_case("accuracy", 200, seed=4)
    held_out = gain("accuracy", truth, one, other)
    folds = gain("accuracy", truth, one, other, out_of_fold=True)
    ratio = (folds.high - folds.low) / (held_out.high - held_out.low)
    assert ratio == pytest.approx(2**0.5, rel=1e-6)
    assert folds.estimate == held_out.estimate
    first, second = (score("mae", *regression(), out_of_fold=flag) for flag in (False, True))
    assert math.log(second.high / second.low) == pytest.approx(
        2**0.5 * math.log(first.high / first.low)
    )


def regression():
    truth, one, _ = drawn_case("mae", 50, seed=5)
    return truth, one


def test_less_is_better_still_gives_a_positive_gain():
    truth = np.random.default_rng(0).standard_normal(100)
    close, far = Predictions(truth + 0.1), Predictions(np.zeros(100))
    for metric in ("rmse", "mae", "r2"):
        assert gain(metric, truth, close, far).verdict == "positive"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.001, 0.2, "positive"),
        (0.001, 0.002, "positive"),
        (-0.2, -0.001, "negative"),
        (-0.01, 0.01, "none"),
        (-0.01, 0.011, "inconclusive"),
        (0.0, 0.2, "inconclusive"),
        (-math.inf, math.inf, "inconclusive"),
    ],
)
def test_the_verdict(low, high, expected):
    assert verdict(low, high, 0.01) == expected


def test_options_out_of_range_are_refused():
    truth = np.array(["a", "b"])
    found = Predictions(truth)
    with pytest.raises(OptionError, match="n_boot"):
        score("accuracy", truth, found, n_boot=99)
    with pytest.raises(OptionError, match="level"):
        score("accuracy", truth, found, level=95)
    with pytest.raises(OptionError, match="margin"):
        gain("accuracy", truth, found, found, margin=-0.1)
    with pytest.raises(DataError, match="groups"):
        score("accuracy", truth, found, groups=np.zeros(3))
    with pytest.raises(DataError, match="no items"):
        score("accuracy", truth[:0], found.take(np.zeros(0, int)))


def test_resamples_come_in_blocks_and_keep_groups_whole():
    drawn = units(6, ["x", "x", "y", "y", "y", "z"])
    assert drawn.count == 3
    assert drawn.effective == pytest.approx(36 / 14)
    weights = np.concatenate(list(resamples(drawn, 50, 0)), axis=1)
    assert weights.shape == (6, 50)
    assert (weights[0] == weights[1]).all()
    assert (weights[[0, 2, 5]].sum(axis=0) == 3).all()
    blocks = [block.shape for block in resamples(units(BLOCK // 3, None), 7, 0)]
    assert blocks == [(BLOCK // 3, 3), (BLOCK // 3, 3), (BLOCK // 3, 1)]
