"""Bootstrap bias-corrected cross-validation, by simulation: no optimism, few false positives."""

from statistics import NormalDist

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.evaluate import Predictions, gain, score, value
from headstart.select import choose, corrected

RUNS = 300


def race(right):
    """Truth and candidates from a (m, n) table of who is right; the first row is scratch."""
    truth = np.array(["a"] * right.shape[1])
    names = ["scratch", *(f"candidate {i}" for i in range(1, len(right)))]
    return truth, {
        name: Predictions(np.where(row, "a", "b")) for name, row in zip(names, right, strict=True)
    }


def naive(truth, candidates):
    """Choose and judge on the same numbers: what must not be done."""
    transfers = {name: found for name, found in candidates.items() if name != "scratch"}
    best = max(transfers, key=lambda name: value("accuracy", truth, transfers[name]))
    return best, gain("accuracy", truth, candidates[best], candidates["scratch"], n_boot=100)


def equal_candidates(n, p, shared, runs, seed):
    """Races of 20 candidates that are exactly as good as scratch."""
    rng = np.random.default_rng(seed)
    cut = NormalDist().inv_cdf(p)
    for _ in range(runs):
        common = shared**0.5 * rng.standard_normal(n)
        yield common + (1 - shared) ** 0.5 * rng.standard_normal((21, n)) < cut


@pytest.mark.parametrize(("n", "p", "shared"), [(100, 0.7, 0.0), (60, 0.9, 0.5)])
def test_twenty_equal_candidates_are_not_called_better(n, p, shared):
    scores, gains, biased, false_alarms = [], [], [], 0
    for right in equal_candidates(n, p, shared, RUNS, seed=0):
        truth, candidates = race(right)
        found, ahead = corrected(candidates, truth, "accuracy", n_boot=100)
        scores.append(found)
        gains.append(ahead)
        measured = naive(truth, candidates)[1]
        biased.append(measured.estimate)
        false_alarms += measured.verdict == "positive"
    # the standard error of a mean of 300 gains is at most 0.06 / sqrt(300) = 0.0035
    assert np.mean(biased) > 0.04
    assert abs(np.mean([one.estimate for one in gains])) < 0.0105
    assert abs(np.mean([one.estimate for one in scores]) - p) < 0.0105
    assert np.mean([one.verdict == "positive" for one in gains]) <= 0.05
    assert false_alarms / RUNS > 0.05
    assert np.mean([one.low <= 0 <= one.high for one in gains]) >= 0.92
    assert np.mean([one.low <= p <= one.high for one in scores]) >= 0.92


def out_of_fold(y, spaces, folds):
    """Out-of-fold hits of 21 real classifiers, (21, n): ridge, k-NN and centroids on 4 spaces."""
    n, kernels = len(y), [space @ space.T for space in spaces]
    margin = np.zeros((21, n))
    for train, test in folds:
        said, positive = y[train], y[train] > 0
        rows = []
        for number, kernel in enumerate(kernels):
            inside, across = kernel[np.ix_(train, train)], kernel[np.ix_(test, train)]
            distance = np.diag(kernel)[train] - 2 * across
            near = np.argsort(distance, axis=1)
            ridge = [
                across @ np.linalg.solve(inside + penalty * np.eye(len(train)), said)
                for penalty in (0.01, 1.0)
            ]
            if number == 4:
                margin[0, test] = ridge[0]
                break
            knn = [said[near[:, :k]].mean(axis=1) for k in (1, 5)]
            halves = [inside[np.ix_(side, side)].mean() / 2 for side in (positive, ~positive)]
            means = [across[:, side].mean(axis=1) for side in (positive, ~positive)]
            rows += [*ridge, *knn, means[0] - halves[0] - means[1] + halves[1]]
        margin[1:, test] = rows
    return margin * y > 0


def fitted_races(n, runs, signal, seed):
    """Races of real classifiers over 5 folds; ``signal`` 0 means random labels."""
    rng = np.random.default_rng(seed)
    splitter = StratifiedKFold(5, shuffle=True, random_state=0)
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    folds = list(splitter.split(y, y))
    for _ in range(runs):
        spaces = []
        for d, decay in ((10, 0.0), (200, 0.5), (200, 1.0), (50, 0.3), (300, 0.8)):
            space = rng.standard_normal((n, d)) / np.arange(1, d + 1) ** decay
            space[:, 1] += signal * y * space[:, 1].std()
            spaces.append(space / np.sqrt((space**2).sum(axis=1).mean()))
        yield out_of_fold(y, spaces, folds)


@pytest.mark.parametrize("n", [60, 120])
def test_random_labels_are_not_called_transfer(n):
    """Of 200 races, 5 % is 10; the rate is 2 %, and the naive one 30 %."""
    positive, naively, covered = 0, 0, 0
    for right in fitted_races(n, 200, 0.0, seed=1):
        truth, candidates = race(right)
        found = corrected(candidates, truth, "accuracy", n_boot=100).gain
        positive += found.verdict == "positive"
        covered += found.low <= 0 <= found.high
        naively += naive(truth, candidates)[1].verdict == "positive"
    assert positive <= 10
    assert covered >= 0.92 * 200
    assert naively > 30


def test_the_interval_holds_the_gain_of_what_was_chosen():
    """Real classifiers with signal; the truth of each is its mean over all races."""
    races = list(fitted_races(100, 150, 0.5, seed=2))
    mean = np.mean([right.mean(axis=1) for right in races], axis=0)
    covered = 0
    for right in races:
        truth, candidates = race(right)
        best, _ = naive(truth, candidates)
        true = mean[list(candidates).index(best)] - mean[0]
        found = corrected(candidates, truth, "accuracy", n_boot=100).gain
        covered += found.low <= true <= found.high
    assert 0.92 <= covered / len(races) <= 1.0


def test_a_real_gain_is_found():
    rng = np.random.default_rng(3)
    right = rng.random((6, 150)) < np.array([[0.6], [0.85], [0.7], [0.6], [0.6], [0.5]])
    truth, candidates = race(right)
    transfers = {name: each for name, each in candidates.items() if name != "scratch"}
    assert choose(transfers, truth, "accuracy").name == "candidate 1"
    found, ahead = corrected(candidates, truth, "accuracy", seed=1)
    assert ahead.verdict == "positive"
    assert ahead.baseline == "scratch"
    assert ahead.estimate == pytest.approx(right[1].mean() - right[0].mean(), abs=0.02)
    assert found.estimate == pytest.approx(right[1].mean(), abs=0.02)
    assert corrected(candidates, truth, "accuracy", seed=1) == (found, ahead)


def test_with_one_candidate_there_is_nothing_to_correct():
    rng = np.random.default_rng(4)
    truth, candidates = race(rng.random((2, 80)) < 0.7)
    found, ahead = corrected(candidates, truth, "accuracy", n_boot=3000)
    model = candidates["candidate 1"]
    plain = score("accuracy", truth, model, out_of_fold=True)
    direct = gain("accuracy", truth, model, candidates["scratch"], out_of_fold=True)
    assert found.estimate == pytest.approx(plain.estimate, abs=0.005)
    assert (ahead.low, ahead.high) == pytest.approx((direct.low, direct.high), abs=0.015)


@pytest.mark.parametrize("metric", ["macro_f1", "log_loss", "roc_auc", "rmse", "mae", "r2"])
def test_every_metric_can_be_corrected(metric):
    rng = np.random.default_rng(5)
    n = 90
    if metric in ("rmse", "mae", "r2"):
        truth = rng.standard_normal(n)
        candidates = {"scratch": Predictions(np.zeros(n))}
        candidates |= {f"c{i}": Predictions(truth + rng.normal(0, 0.3, n)) for i in range(3)}
    else:
        names = np.array(["a", "b", "c"])
        codes = rng.integers(3, size=n)
        truth, candidates = names[codes], {}
        for i, push in enumerate((0.0, 2.0, 2.0, 2.0)):
            scores = rng.random((n, 3))
            scores[np.arange(n), codes] += push
            scores /= scores.sum(axis=1, keepdims=True)
            name = f"c{i}" if i else "scratch"
            candidates[name] = Predictions(names[scores.argmax(axis=1)], scores, ("a", "b", "c"))
    found, ahead = corrected(candidates, truth, metric, n_boot=200)
    assert ahead.verdict == "positive"
    assert found.low <= found.estimate <= found.high


def test_groups_are_left_out_whole():
    """Candidates that are right on whole groups by luck look good until groups are drawn whole."""
    groups = np.repeat(np.arange(20), 10)
    right = np.random.default_rng(6).random((21, 20))[:, groups] < 0.5
    truth, candidates = race(right)
    by_item = corrected(candidates, truth, "accuracy").gain
    by_group = corrected(candidates, truth, "accuracy", groups=groups).gain
    assert by_group.estimate < by_item.estimate - 0.03
    assert by_group.high - by_group.low > 1.5 * (by_item.high - by_item.low)
    assert by_group.verdict == "inconclusive"


def test_the_baseline_may_be_among_what_was_chosen_from():
    """Shipping whatever is best is then what the score measures."""
    rng = np.random.default_rng(7)
    truth, candidates = race(rng.random((4, 200)) < np.array([[0.9], [0.6], [0.6], [0.6]]))
    shipped = corrected(candidates, truth, "accuracy", transfers=list(candidates))
    assert shipped.score.estimate == pytest.approx(0.9, abs=0.05)
    assert shipped.gain.estimate == 0.0


def test_majority_is_no_transfer():
    truth = np.array(["a", "b", "b"] * 20)
    wrong = Predictions(np.array(["a"] * 60))
    candidates = {"majority": Predictions(truth), "scratch": wrong, "probe": wrong}
    assert corrected(candidates, truth, "accuracy").gain.estimate == 0.0
    del candidates["probe"]
    with pytest.raises(OptionError, match="no transfer"):
        corrected(candidates, truth, "accuracy")


def test_bad_arguments():
    truth, candidates = race(np.ones((3, 10), dtype=bool))
    with pytest.raises(UnknownNameError, match="'nothing'"):
        corrected(candidates, truth, "accuracy", baseline="nothing")
    with pytest.raises(UnknownNameError, match="candidate"):
        corrected(candidates, truth, "accuracy", transfers=["candidate 9"])
    with pytest.raises(DataError, match="too few"):
        corrected(candidates, truth, "accuracy", groups=np.zeros(10))


def test_the_score_is_that_of_the_one_that_was_chosen():
    rng = np.random.default_rng(0)
    truth = np.array(["a", "b"] * 100)

    def right(share):
        return Predictions(np.where(rng.random(200) < share, truth, "x"))

    both = {"scratch": right(0.6), "high": right(0.9), "low": right(0.8)}
    best = corrected(both, truth, "accuracy")
    low = corrected(both, truth, "accuracy", chosen="low")
    share = float((both["low"].labels == truth).mean())
    assert best.score.estimate > low.score.estimate
    assert low.score.estimate == pytest.approx(share, abs=0.01)
    assert corrected(both, truth, "accuracy", chosen="high") == best
    with pytest.raises(UnknownNameError, match="'lo'"):
        corrected(both, truth, "accuracy", chosen="lo")
