"""Measures of sums: the same numbers as the metrics of classes where both can say them."""

from __future__ import annotations

import numpy as np
import pytest

from headstart import evaluate
from headstart.core.errors import DataError
from headstart.evaluate import Predictions
from headstart.evaluate.additive import Measure, additive_choice, additive_gain, additive_score
from headstart.evaluate.metrics import METRICS, SEQUENCE_METRICS, known_metric
from headstart.select.corrected import corrected


def rate(sums):
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[0] / sums[1]


RIGHT = Measure(METRICS["accuracy"], lambda one, other: [float(one == other), 1.0], rate)
WRONG = Measure(SEQUENCE_METRICS["wer"], lambda one, other: [other, one], rate)


def drawn(n, share, seed):
    rng = np.random.default_rng(seed)
    truth = rng.choice(["a", "b"], n).astype(object)
    flipped = np.where(truth == "a", "b", "a").astype(object)
    return truth, np.where(rng.random(n) < share, truth, flipped).astype(object)


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(15), 4)])
@pytest.mark.parametrize("out_of_fold", [False, True])
def test_a_share_of_right_answers_is_accuracy(groups, out_of_fold):
    truth, good = drawn(60, 0.8, 0)
    bad = drawn(60, 0.5, 1)[1]
    table, other = RIGHT.of(truth, good), RIGHT.of(truth, bad)
    given = {"groups": groups, "seed": 3, "out_of_fold": out_of_fold}
    want = evaluate.score("accuracy", truth, Predictions(good), **given)
    assert additive_score(RIGHT, table, **given) == want
    gain = evaluate.gain("accuracy", truth, Predictions(good), Predictions(bad), **given)
    found = additive_gain(RIGHT, table, other, **given)
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (gain.estimate, gain.low, gain.high)
    )
    assert found.verdict == gain.verdict


def test_the_choice_is_corrected_as_that_of_classes():
    truth, one = drawn(80, 0.7, 2)
    said = {name: drawn(80, 0.7, seed)[1] for name, seed in (("x", 4), ("y", 5), ("z", 6))}
    for name in said:
        agree = np.random.default_rng(len(name)).random(80) < 0.7
        said[name] = np.where(agree, truth, said[name]).astype(object)
    candidates = {name: Predictions(labels) for name, labels in {"scratch": one, **said}.items()}
    want = corrected(candidates, truth, "accuracy", seed=1)
    tables = {name: RIGHT.of(truth, labels) for name, labels in said.items()}
    name, score, gain = additive_choice(RIGHT, tables, RIGHT.of(truth, one), seed=1)
    assert name == max(said, key=lambda key: (said[key] == truth).mean())
    assert score.estimate == pytest.approx(want.score.estimate)
    assert (score.low, score.high) == pytest.approx((want.score.low, want.score.high))
    assert gain.estimate == pytest.approx(want.gain.estimate)
    alone = additive_choice(RIGHT, {"x": tables["x"]}, RIGHT.of(truth, one), seed=1)
    assert alone[1].estimate == RIGHT.total(tables["x"])


def test_an_error_rate_keeps_an_interval_where_nothing_is_wrong_or_all_is():
    words = [10.0] * 12
    none, every = WRONG.of(words, [0.0] * 12), WRONG.of(words, words)
    score = additive_score(WRONG, none)
    assert score.estimate == score.low == 0
    assert 0.05 < score.high < 0.5
    assert additive_score(WRONG, every).low < 0.95
    gain = additive_gain(WRONG, none, every)
    assert gain.estimate == 1.0
    assert gain.low < 0.95
    assert gain.verdict == "positive"
    more = WRONG.of(words, [25.0, 15.0] * 6)
    beyond = additive_score(WRONG, more)
    assert 1 < beyond.low < beyond.estimate == 2.0 < beyond.high


def test_an_error_rates_interval_covers():
    rng = np.random.default_rng(0)
    truth, inside = 0.2, 0
    for _ in range(200):
        words = rng.integers(3, 12, 30)
        wrong = rng.binomial(words, truth)
        score = additive_score(WRONG, WRONG.of(words, wrong), n_boot=200)
        inside += score.low <= truth <= score.high
    assert inside >= 184  # of 200 at 95 %: below 184 comes by chance once in 60


def test_bad_input():
    with pytest.raises(DataError, match="differ in length"):
        RIGHT.of(["a"], [])
    with pytest.raises(DataError, match="no items"):
        RIGHT.of([], [])
    with pytest.raises(DataError, match="one entry for each"):
        additive_score(RIGHT, RIGHT.of(["a"], ["a"]), groups=np.array([1, 2]))
    assert known_metric("wer").share
    assert not known_metric("rmse").share
