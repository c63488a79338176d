"""Out-of-scope scores: what is chosen tells left-out classes, whatever the data look like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from headstart.core.types import State
from headstart.strategies.answers import Answers
from headstart.strategies.calibrated import Calibration
from headstart.strategies.scope import METHODS, Scope, mean_rank
from headstart.strategies.scope_choice import (
    REFERENCE,
    auroc_of,
    balanced,
    find_scope,
    reference,
)


def blobs(k: int, each: int, d: int = 12, seed: int = 0, spread: float = 0.6):
    """Return features of k classes, their codes, and as many rows of classes nobody knows."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (2 * k, d))
    codes = np.repeat(np.arange(2 * k), each)
    X = centres[codes] + rng.normal(0, spread, (len(codes), d))
    known = codes < k
    return X[known].astype(np.float32), codes[known], X[~known].astype(np.float32)


def folds_of(X, codes, n: int = 4):
    return list(StratifiedKFold(n, shuffle=True, random_state=0).split(X, codes))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30), st.lists(st.integers(0, 6), min_size=1)
)
def test_auroc_is_scikit_learns(inside, outside):
    truth = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    expected = roc_auc_score(truth, np.r_[inside, outside])
    found = auroc_of(np.array(inside, dtype=float), np.array(outside, dtype=float))
    assert found == pytest.approx(expected)


def test_what_is_chosen_tells_unknown_classes_and_keeps_the_known_ones():
    X, codes, foreign = blobs(8, 40)
    scope, oof = find_scope(X, codes, folds_of(X, codes))
    assert set(scope.methods) <= set(METHODS)
    assert auroc_of(oof, scope.score(foreign)) > 0.9
    assert np.mean(oof < scope.threshold) == pytest.approx(0.05, abs=0.01)
    assert scope.outside(foreign).mean() > 0.5
    assert scope.outside(X).mean() < 0.1
    best = max(scope.auroc.values())
    assert scope.auroc[" + ".join(scope.methods)] >= best - 0.002


def test_the_score_that_holds_up_is_taken():
    """Classes of two opposite heaps have no mean to be near to; neighbours they have."""
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(16, 16)))[0][:6] * 3
    codes = np.repeat(np.arange(6), 40)
    side = np.where(np.arange(240) % 2, 1.0, -1.0)[:, None]
    X = (side * directions[codes] + rng.normal(0, 0.5, (240, 16))).astype(np.float32)
    scope, _ = find_scope(X, codes, folds_of(X, codes))
    assert "neighbours" in scope.methods
    assert scope.auroc["neighbours"] > scope.auroc["prototype"] + 0.1


def test_two_classes_leave_none_to_try():
    X, codes, foreign = blobs(2, 40)
    scope, oof = find_scope(X, codes, folds_of(X, codes))
    assert scope.methods == ("neighbours",)
    assert scope.auroc == {}
    assert auroc_of(oof, scope.score(foreign)) > 0.8


def test_a_class_missing_from_the_training_side_of_a_fold():
    X, codes, _ = blobs(4, 20)
    folds = [(np.flatnonzero(codes != 0), np.flatnonzero(codes == 0))]
    folds += [(np.flatnonzero(codes != 1), np.flatnonzero(codes == 1))]
    scope, oof = find_scope(X, codes, folds)
    assert len(oof) == 40
    assert np.isfinite(oof).all()
    assert np.isfinite(scope.threshold)


@pytest.mark.parametrize("method", METHODS)
def test_equal_rows_and_lone_rows_break_nothing(method):
    X = np.ones((6, 3), dtype=np.float32)
    found = reference(X, np.array([0, 0, 1, 1, 2, 2]), [method])
    assert np.isfinite(found.score(X, method)).all()
    lone = reference(np.eye(4, dtype=np.float32), np.arange(4), [method])
    assert np.isfinite(lone.score(np.zeros((2, 4), dtype=np.float32), method)).all()


def test_constant_features_put_nothing_out_of_scope():
    X, codes = np.ones((60, 4), dtype=np.float32), np.arange(60) % 3
    scope, _ = find_scope(X, codes, folds_of(X, codes))
    assert not scope.outside(X).any()


@pytest.mark.parametrize("methods", [*((name,) for name in METHODS), ("energy", "mahalanobis")])
def test_round_trip_scores_the_same_to_the_bit(methods):
    X, codes, foreign = blobs(5, 12)
    scope, _ = find_scope(X, codes, folds_of(X, codes), methods=methods)
    state = scope.to_state()
    assert {array.dtype.name for array in state.arrays.values()} <= {"float16", "float32"}
    again = Scope.from_state(State(dict(state.arrays), dict(state.meta)))
    np.testing.assert_array_equal(again.score(foreign), scope.score(foreign))
    assert again.threshold == scope.threshold


def test_the_state_is_bounded():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, REFERENCE + 500)
    X = rng.normal(size=(len(codes), 8)).astype(np.float32)
    kept = reference(X, codes, ["neighbours"])
    assert kept.rows is not None
    assert kept.rows.shape == (REFERENCE, 8)
    uneven = np.r_[np.zeros(900, dtype=int), np.ones(10, dtype=int)]
    places = balanced(uneven, 100, seed=0)
    assert np.bincount(uneven[places]).tolist() == [90, 10]
    assert balanced(uneven[:5], 100, seed=0).tolist() == [0, 1, 2, 3, 4]


def test_permuting_rows_changes_nothing():
    X, codes, foreign = blobs(5, 30)
    order = np.random.default_rng(1).permutation(len(X))
    back = np.argsort(order)
    folds = folds_of(X, codes)
    one, _ = find_scope(X, codes, folds)
    moved = [(back[train], back[test]) for train, test in folds]
    other, _ = find_scope(X[order], codes[order], moved)
    assert one.methods == other.methods
    np.testing.assert_allclose(one.score(foreign), other.score(foreign), atol=2e-3)


def test_ranks_go_on_below_the_lowest():
    ranks = np.linspace(10, 20, 11)[None, :]
    found = mean_rank(np.array([[5.0], [10.0], [15.0], [99.0]]), ranks)
    assert found.tolist() == [-1.0, 0.0, 0.5, 1.0]


def test_answers_round_trip_and_refuse_what_is_none():
    X, codes, foreign = blobs(4, 12)
    scope, _ = find_scope(X, codes, folds_of(X, codes))
    answers = Answers(Calibration(1.5, np.array([0.1, 0.0, 0.2, -0.3])), 0.4, scope)
    again = Answers.from_state(answers.to_state())
    known = np.random.default_rng(0).dirichlet(np.ones(4), len(foreign))
    made = answers.probabilities(known)
    np.testing.assert_array_equal(again.probabilities(known), made)
    sure = made.max(axis=1)
    silent = again.abstains(sure, foreign)
    np.testing.assert_array_equal(silent, answers.abstains(sure, foreign))
    assert (silent >= (sure <= 0.4)).all()
    assert Answers().always
    assert not again.always
    state = answers.to_state()
    for meta in (
        state.meta | {"temperature": 0.0},
        state.meta | {"threshold": float("nan")},
        state.meta | {"scope": None},
        state.meta | {"scope": state.meta["scope"] | {"methods": ["luck"]}},
    ):
        with pytest.raises(ValueError, match=r"no sound|nobody knows|no such score"):
            Answers.from_state(State(dict(state.arrays), meta))
