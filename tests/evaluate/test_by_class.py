"""Measures by class against scikit-learn, statsmodels' formula for shares, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from headstart.core.errors import DataError
from headstart.evaluate.by_class import class_scores, confusion, reliability, share


def drawn(n, k, seed):
    rng = np.random.default_rng(seed)
    names = np.array([f"c{i}" for i in range(k)], object)
    truth = names[rng.integers(k, size=n)]
    said = np.where(rng.random(n) < 0.7, truth, names[rng.integers(k, size=n)])
    return names, truth, said


@pytest.mark.parametrize(("n", "k"), [(1, 2), (30, 2), (500, 7), (40, 30)])
def test_measures_are_those_of_scikit_learn(n, k):
    names, truth, said = drawn(n, k, n)
    found = class_scores(truth, said, names)
    wanted = precision_recall_fscore_support(truth, said, labels=list(names), zero_division=np.nan)
    for i, one in enumerate(found):
        for held, theirs in zip((one.precision, one.recall, one.f1), wanted[:3], strict=True):
            if held is None:
                assert np.isnan(theirs[i])
            else:
                assert held[0] == pytest.approx(theirs[i])
                assert 0 <= held[1] <= held[0] <= held[2] <= 1
        assert one.n == wanted[3][i]
        assert one.predicted == (said == one.name).sum()
    oracle = confusion_matrix(truth, said, labels=list(names))
    assert confusion(truth, said, names).tolist() == oracle.tolist()


def test_the_interval_of_f1_holds_the_truth():
    """95 % of 600 samples: between 92.5 and 97.5 % (2.8 standard errors of .0089)."""
    rng, held = np.random.default_rng(0), 0
    names = np.array(["a", "b"], object)
    for _ in range(600):
        truth = np.where(rng.random(80) < 0.4, "a", "b").astype(object)
        flip = rng.random(80) < np.where(truth == "a", 0.2, 0.1)
        said = np.where(flip, np.where(truth == "a", "b", "a"), truth).astype(object)
        _, low, high = class_scores(truth, said, names)[0].f1
        tp, fp, fn = 0.4 * 0.8, 0.6 * 0.1, 0.4 * 0.2
        held += low <= 2 * tp / (2 * tp + fp + fn) <= high
    assert 0.925 <= held / 600 <= 0.985


def test_items_of_one_group_count_once():
    right = np.array([True, True, True, False] * 5)
    alone, together = share(right), share(right, np.repeat(np.arange(4), 5))
    assert alone[0] == together[0]
    assert together[1] < alone[1] < alone[2] < together[2]


def test_reliability_bins_hold_every_item():
    rng = np.random.default_rng(1)
    confidence = rng.random(997)
    bins, error = reliability(confidence, rng.random(997) < confidence)
    assert sum(one.n for one in bins) == 997
    assert len(bins) == 10
    assert all(one.low <= one.confidence <= one.high for one in bins)
    assert sum(one.accuracy_low <= one.confidence <= one.accuracy_high for one in bins) >= 8
    assert error < 0.06
    assert reliability(np.zeros(0), np.zeros(0, bool)) == ([], 0.0)
    assert len(reliability(np.ones(9), np.ones(9, bool))[0]) == 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="a prediction for each item"):
        class_scores(np.array(["a"]), np.array([]), ["a"])
    with pytest.raises(DataError, match="no items"):
        class_scores(np.array([]), np.array([]), ["a"])
    with pytest.raises(DataError, match="no items"):
        share(np.zeros(0, bool))
