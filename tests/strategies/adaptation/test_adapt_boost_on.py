"""Trees boosted on: exported nodes against scikit-learn, Newton steps by hand, when it stays."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import check_estimator

from headstart.core.errors import OptionError
from headstart.strategies.adaptation import BoostOn
from headstart.strategies.adaptation.boost_on import _Rounds, probabilities
from headstart.strategies.adaptation.boosted_forms import TreesForm, single
from headstart.strategies.adaptation.forms import AdaptedHead
from headstart.strategies.adaptation.tree_arrays import added, from_trees, scaled
from headstart.strategies.trees import export


def corner(rows: np.ndarray, at: float) -> np.ndarray:
    return ((rows[:, 0] > at) & (rows[:, 1] > 0)).astype(int)


def domains(m: int, at: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    X, T = rng.normal(size=(300, 3)), rng.normal(size=(m, 3))
    return X, corner(X, 0.0), T, corner(T, at)


def test_adapt_boost_on_without_further_rounds_is_the_source_forest() -> None:
    X, y, T, t = domains(50, -1.0)
    model = BoostOn(source_rounds=20, most_rounds=0).fit(X, y, T, t)
    theirs = HistGradientBoostingClassifier(
        max_iter=20, max_leaf_nodes=15, min_samples_leaf=10, early_stopping=False, random_state=0
    ).fit(single(X), y)
    np.testing.assert_allclose(model.predict_proba(T), theirs.predict_proba(single(T)), atol=1e-12)
    assert model.rounds_ == 0
    assert model.decisions_[0].what == "source-only"


def test_adapt_boost_on_trees_are_those_of_scikit_learn_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    X = single(rng.normal(size=(80, 4)))
    trees = [DecisionTreeRegressor(max_depth=4).fit(X, rng.normal(size=80)) for _ in range(6)]
    forest = from_trees(trees, [one.tree_.value[:, 0, 0] for one in trees], np.zeros(2), 2)
    new = single(rng.normal(size=(500, 4)))
    theirs = np.stack([one.predict(new) for one in trees], axis=1).reshape(500, 3, 2)
    np.testing.assert_allclose(forest.raw(new), theirs.sum(axis=1), atol=1e-12)
    double = added(forest, scaled(forest, 2.0))
    np.testing.assert_allclose(double.raw(new), 3 * theirs.sum(axis=1), atol=1e-12)
    stump = DecisionTreeRegressor().fit(X, np.ones(80))  # a root alone
    flat = from_trees([stump], [stump.tree_.value[:, 0, 0]], np.zeros(1), 1)
    assert flat.raw(new)[:, 0].tolist() == [1.0] * 500


@pytest.mark.parametrize("k", [1, 3])
def test_adapt_boost_on_leaves_are_newton_steps_of_the_log_loss(k: int) -> None:
    rng = np.random.default_rng(0)
    rows, codes = single(rng.normal(size=(40, 2))), np.arange(40) % max(k, 2)
    raw = rng.normal(size=(40, k))
    further = _Rounds(rows, codes, raw, 0.3)
    step = further.grow(1, rows)
    p = probabilities(raw)
    for column in range(k):
        which = column if k > 1 else 1
        leaf = further.trees[column].apply(rows)
        for one in np.unique(leaf):
            at = leaf == one
            slope = sum(p[i, which] - (codes[i] == which) for i in np.flatnonzero(at))
            bend = sum(p[i, which] * (1 - p[i, which]) for i in np.flatnonzero(at))
            np.testing.assert_allclose(step[at, column], -0.3 * slope / (bend + 1.0))
    np.testing.assert_allclose(further.raw, raw + step)


def test_adapt_boost_on_learns_a_border_that_moved() -> None:
    X, y, T, t = domains(500, -1.0)
    known = np.array([None] * 500, dtype=object)
    known[:60] = t[:60]
    model = BoostOn(source_rounds=30, most_rounds=20).fit(X, y, T, known)
    source = BoostOn(source_rounds=30, most_rounds=0).fit(X, y, T, known)
    right = [(one.predict(T[60:]) == t[60:]).mean() for one in (model, source)]
    assert model.rounds_ > 0
    assert right[0] > right[1] + 0.05
    state = model.to_state()
    assert (BoostOn.from_state(state).predict_proba(T) == model.predict_proba(T)).all()
    assert (AdaptedHead.from_state(state).predict(T) == model.predict(T)).all()
    same = clone(model).fit(X, y, T, known)
    assert (same.predict_proba(T) == model.predict_proba(T)).all()


def test_adapt_boost_on_several_classes_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(150, 2)), rng.normal(size=(60, 2))
    y, t = np.digitize(X[:, 0], [-0.5, 0.5]), np.digitize(T[:, 0], [0.0, 1.0])
    model = BoostOn(source_rounds=10, most_rounds=10).fit(X, y, T, t)
    assert model.form_.forest.roots.shape == (10 + model.rounds_, 3)
    np.testing.assert_allclose(model.predict_proba(T).sum(axis=1), 1.0)


def test_adapt_boost_on_stays_at_the_source_trees_without_evidence() -> None:
    X, y, T, t = domains(30, 0.0)
    for labels in (0, 1, 3):
        known = [*t[:labels], *([None] * (30 - labels))]
        model = BoostOn(source_rounds=10).fit(X, y, T, known)
        assert model.rounds_ == 0, labels
    with pytest.raises(OptionError, match="learning_rate: must be positive"):
        BoostOn(learning_rate=0.0).fit(X, y)


def test_adapt_boost_on_form_reads_features_in_float32() -> None:
    X, y, T, _ = domains(20, 0.0)
    grown = HistGradientBoostingClassifier(max_iter=5, early_stopping=False).fit(single(X), y)
    form = TreesForm(export(grown))
    assert (form.probabilities(T) == form.probabilities(T.astype(np.float32))).all()


@pytest.mark.filterwarnings("ignore")
def test_adapt_boost_on_keeps_the_contract_of_scikit_learn() -> None:
    check_estimator(BoostOn(source_rounds=10, most_rounds=2))
