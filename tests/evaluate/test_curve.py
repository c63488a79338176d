"""Learning curves: points against independent computation, intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.core.errors import DataError
from headstart.evaluate import Predictions, Run, curve_of, score
from headstart.evaluate.curve import assembled


def answers(rng, truth, accuracy):
    wrong = np.array(["c"] * len(truth), dtype=object)
    return Predictions(np.where(rng.random(len(truth)) < accuracy, truth, wrong))


def runs_of(seed, sizes=(1, 2, 4), repeats=3, m=200):
    rng = np.random.default_rng(seed)
    truth = np.array(["a", "b"] * (m // 2), dtype=object)
    runs = []
    for n in sizes:
        for _ in range(1 if n == sizes[-1] else repeats):
            level = 0.5 + 0.1 * np.log2(n)
            runs.append(Run(n, answers(rng, truth, level + 0.2), answers(rng, truth, level)))
    return truth, runs


def test_points_are_means_over_the_repeats():
    truth, runs = runs_of(0)
    found = curve_of("accuracy", truth, runs[::-1])
    assert found.n.tolist() == [1, 2, 4]
    for point in found.points:
        mine = [run for run in runs if run.n == point.n]
        by_hand = np.mean([(run.transfer.labels == truth).mean() for run in mine])
        assert point.transfer.estimate == pytest.approx(by_hand)
        gains = np.mean([(r.transfer.labels == truth).mean() for r in mine]) - np.mean(
            [(r.scratch.labels == truth).mean() for r in mine]
        )
        assert point.gain.estimate == pytest.approx(gains)
        for one in (point.transfer, point.scratch, point.gain):
            assert one.low <= one.estimate <= one.high


def test_the_order_of_the_runs_does_not_matter_and_the_seed_does():
    truth, runs = runs_of(1)
    first, second = (curve_of("accuracy", truth, r, seed=3) for r in (runs, runs[::-1]))
    assert first.draws == pytest.approx(second.draws)
    other = curve_of("accuracy", truth, runs, seed=4)
    assert not np.array_equal(first.draws, other.draws)


def test_without_repeats_an_interval_is_that_of_the_score():
    truth, runs = runs_of(2, repeats=1)
    found = curve_of("accuracy", truth, runs, n_boot=2000)
    for run, point in zip(runs, found.points, strict=True):
        alone = score("accuracy", truth, run.transfer)
        assert point.transfer.low == pytest.approx(alone.low, abs=1e-9)
        assert point.transfer.high == pytest.approx(alone.high, abs=1e-9)


def test_repeats_that_differ_widen_the_interval_and_so_do_groups_and_folds():
    truth, runs = runs_of(3, m=400)
    plain = curve_of("accuracy", truth, runs)
    rng = np.random.default_rng(0)
    uneven = [
        Run(run.n, answers(rng, truth, level), run.scratch)
        for run, level in zip(runs, [0.3, 0.6, 0.9, 0.4, 0.7, 0.95, 0.9], strict=True)
    ]
    wide = curve_of("accuracy", truth, uneven)
    grouped = curve_of("accuracy", truth, runs, groups=np.arange(400) // 20)
    folded = curve_of("accuracy", truth, runs, out_of_fold=True)

    def width(curve):
        return [p.transfer.high - p.transfer.low for p in curve.points]

    assert width(wide)[0] > 3 * width(plain)[0]
    assert width(wide)[-1] > 1.2 * width(plain)[-1]  # also where nothing could be repeated
    assert width(folded)[0] > 1.05 * width(plain)[0]
    assert grouped.draws.shape == plain.draws.shape


def test_a_perfect_curve_keeps_an_interval():
    truth = np.array(["a", "b"] * 20, dtype=object)
    right = Predictions(truth)
    found = curve_of("accuracy", truth, [Run(1, right, right), Run(2, right, right)])
    assert found.points[0].transfer.high == 1.0
    assert found.points[0].transfer.low < 0.95
    assert found.points[0].gain.low < 0 < found.points[0].gain.high


def test_errors_of_regression_gain_where_they_fall():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=120)
    runs = [
        Run(n, Predictions(truth + rng.normal(size=120) / n), Predictions(truth + 2 / n))
        for n in (8, 8, 16, 16, 32)
    ]
    found = curve_of("rmse", truth, runs, unit="labels")
    assert all(point.gain.estimate > 0 for point in found.points)
    assert found.draws.min() >= 0


def test_no_runs_or_no_labels_are_refused():
    truth, runs = runs_of(0)
    with pytest.raises(DataError, match="one label at least"):
        curve_of("accuracy", truth, [])
    with pytest.raises(DataError, match="one label at least"):
        curve_of("accuracy", truth, [Run(0, runs[0].transfer, runs[0].scratch)])


def test_intervals_hold_what_is_true_of_the_population_in_simulation():
    sizes, counts, m = np.array([1.0, 2, 4, 8, 10]), [5, 4, 3, 2, 1], 500
    held, gained = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        true = np.stack([1 - (0.6 * (4 * sizes) ** -0.5), 1 - (0.6 * sizes**-0.5)], axis=1)
        item = rng.normal(size=2) * np.sqrt(true * (1 - true) / m)
        drawn = rng.normal(size=2) * 0.06 / np.sqrt(10)
        repeats = [
            true[k] + item[k] + drawn + rng.normal(size=(r, 2)) * 0.06 * (1 / n - 0.1) ** 0.5
            for k, (n, r) in enumerate(zip(sizes, counts, strict=True))
        ]
        means = np.array([r.mean(axis=0) for r in repeats])
        spread = np.sqrt(np.clip(means * (1 - means), 0, 1) / m)
        found = assembled(
            "accuracy", sizes, repeats, means + rng.normal(size=(400, 1, 2)) * spread, seed=seed
        )
        for point, (ours, theirs) in zip(found.points, true, strict=True):
            held.append(point.transfer.low <= ours <= point.transfer.high)
            gained.append(point.gain.low <= ours - theirs <= point.gain.high)
    assert 0.90 <= np.mean(held) <= 0.985
    assert 0.90 <= np.mean(gained) <= 0.985
