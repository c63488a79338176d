"""Intervals over episodes."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.meta.score import gain_of, score_of


def test_the_interval_is_that_of_few_shot_papers():
    values = np.random.default_rng(0).uniform(0.2, 1, size=600)
    score = score_of(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(600)
    assert (score.estimate, score.n) == (pytest.approx(values.mean()), 600)
    assert (score.low, score.high) == (
        pytest.approx(values.mean() - half),
        pytest.approx(values.mean() + half),
    )


def test_it_covers_the_truth_19_times_of_20():
    rng = np.random.default_rng(0)
    found = [score_of(rng.binomial(75, 0.6, size=100) / 75) for _ in range(1000)]
    assert 0.92 <= np.mean([one.low <= 0.6 <= one.high for one in found]) <= 0.97


def test_pairing_over_episodes_makes_differences_sure():
    hard = np.random.default_rng(0).uniform(0, 1, size=200)
    better = gain_of(hard + 0.01, hard, baseline="rfs")
    assert better.verdict == "positive"
    assert better.high - better.low < 1e-6
    assert score_of(hard).high - score_of(hard).low > 0.05
    assert gain_of(hard, hard + 0.01, baseline="rfs").verdict == "negative"
    assert gain_of(hard, hard[::-1], baseline="rfs").verdict == "inconclusive"
