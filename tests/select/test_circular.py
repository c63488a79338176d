"""Circular validation: it prefers what helps, fails what collapses, and costs the same for many."""

import time

import numpy as np
import pytest

from headstart.core.errors import DataError, OptionError
from headstart.select.circular import by_class, capped, circular_score, collapse, split
from headstart.strategies.adaptation import SourceOnly
from headstart.strategies.adaptation.base import Mapped, MappingAdapter


class Moved(MappingAdapter):
    """Gives the source the mean and the spread of the target."""

    def __init__(self, *, estimator=None, C=1.0, scale=False):
        self.estimator, self.C, self.scale = estimator, C, scale

    def _map(self, domains):
        X, target = domains.X, domains.target
        return Mapped((X - X.mean(0)) / X.std(0) * target.std(0) + target.mean(0))


class Constant(SourceOnly):
    """Says one class."""

    def predict(self, X):
        return np.repeat(self.classes_[0], len(X))


class Broken(SourceOnly):
    def fit(self, *given, **more):
        raise np.linalg.LinAlgError("singular")


def pair(seed, n=150, shift=(0.0, 0.0)):
    rng = np.random.default_rng(seed)
    y, z = rng.integers(0, 2, n), rng.integers(0, 2, n)
    X = rng.normal(size=(n, 2)) + 3 * y[:, None]
    return X, y, rng.normal(size=(n, 2)) + 3 * z[:, None] + np.array(shift)


def test_the_circle_by_hand():
    X, y, target = pair(0)
    found = circular_score(SourceOnly, X, y, target, seed=5, folds=3)
    back = np.empty_like(y)
    for train, held in split(y, 3, 5):
        said = SourceOnly().fit(X[train], y[train], target).predict(target)
        back[held] = SourceOnly().fit(target, said, X[train]).predict(X[held])
    assert np.array_equal(found.labels, back)
    assert found.estimate == pytest.approx(
        np.mean([(back == y)[y == one].mean() for one in (0, 1)]), abs=1e-12
    )
    assert np.array_equal(found.correct, back == y)
    again = circular_score(SourceOnly, X, y, target, seed=5, folds=3)
    assert np.array_equal(found.labels, again.labels)
    assert np.array_equal(found.rows, again.rows)


def test_it_prefers_what_helps():
    for seed in range(3):
        X, y, target = pair(seed, shift=(4.0, 4.0))
        plain = circular_score(lambda: SourceOnly(scale=False), X, y, target)
        moved = circular_score(Moved, X, y, target)
        assert moved.estimate > plain.estimate + 0.03
        assert np.array_equal(plain.rows, moved.rows)
        assert np.array_equal(plain.truth, moved.truth)


def test_collapsed_pseudo_labels_are_a_failure():
    X, y, target = pair(0)
    found = circular_score(Constant, X, y, target)
    assert found.estimate == 0.0
    assert found.failed == 'all of the target is "0"'
    assert not found.correct.any()
    far = circular_score(lambda: SourceOnly(scale=False), X, y, target + 100)
    assert "all of the target" in far.failed
    broken = circular_score(Broken, X, y, target)
    assert "singular" in broken.failed
    assert broken.estimate == 0.0


def test_what_is_compared_with_only_loses_the_rows_of_a_class_that_is_missing():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 150)
    X = rng.normal(size=(150, 2)) + np.array([[0, 0], [4, 0], [0, 4]])[y]
    target = X[y < 2]
    strict = circular_score(SourceOnly, X, y, target)
    assert strict.estimate == 0.0
    assert 'is "2"' in strict.failed
    plain = circular_score(SourceOnly, X, y, target, strict=False)
    assert plain.failed == ""
    assert plain.estimate == pytest.approx(2 / 3, abs=0.05)
    assert circular_score(Constant, X, y, target, strict=False).estimate == 0.0


def test_a_class_may_be_missing_where_hardly_a_row_was_to_be_expected():
    labels = np.array(["a"] * 60 + ["b"] * 38 + ["c"] * 2)
    assert collapse(np.array(["a", "b"] * 50), labels) == ""
    assert "about 6" in collapse(np.array(["a", "b"] * 150), labels)
    assert "more classes" in collapse(np.array([0, 1] * 20), np.arange(4).repeat(9))
    assert collapse(np.zeros(0), labels) == "the target has no rows"


def test_many_rows_cost_what_a_few_cost():
    X, y, target = pair(0, n=60_000)
    began = time.process_time()
    found = circular_score(SourceOnly, X, y, target, cap=400)
    assert time.process_time() - began < 5.0
    assert 398 <= len(found.rows) <= 402
    assert found.estimate > 0.9


def test_rows_are_drawn_by_class_and_equal_rows_once():
    rng = np.random.default_rng(0)
    codes = np.array([0] * 900 + [1] * 95 + [2] * 5)
    kept = codes[by_class(codes, 100, rng)]
    assert np.bincount(kept).tolist() == [90, 10, 2]
    X = np.vstack([rng.normal(size=(40, 2))] * 2)[:60]
    rows = capped(X, [0, 1] * 30, X, seed=0)[3]
    assert rows.tolist() == list(range(40))
    flags = rng.integers(0, 2, (50, 2)).astype(float)
    assert len(capped(flags, [0, 1] * 25, flags, seed=0)[3]) == 50


def test_folds_hold_every_row_once_and_classes_evenly():
    labels = np.array(["a"] * 30 + ["b"] * 10)
    parts = split(labels, 5, 0)
    assert sorted(np.concatenate([held for _, held in parts]).tolist()) == list(range(40))
    assert all((labels[held] == "b").sum() == 2 for _, held in parts)


def test_what_cannot_be_scored_is_refused():
    X, y, target = pair(0, n=30)
    with pytest.raises(OptionError, match="folds"):
        circular_score(SourceOnly, X, y, target, folds=1)
    with pytest.raises(OptionError, match="few rows"):
        circular_score(SourceOnly, X, y, target, cap=3)
    with pytest.raises(DataError, match="differ in number"):
        circular_score(SourceOnly, X, y[:5], target)
    with pytest.raises(DataError, match="one class"):
        circular_score(SourceOnly, X, np.zeros(30), target)
