"""The solver and the tuning that the scratch estimators share."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from headstart.core.errors import DataError
from headstart.strategies import views
from headstart.strategies.softmax import fit_softmax, probabilities
from headstart.strategies.targets import labels_of, seed_of, targets_of


def _data(n=90, d=12, k=4, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return rng.normal(size=(n, d)) + 1.5 * rng.normal(size=(k, d))[y], y


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("C", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_solver_agrees_with_scikit_learn(k, C, form):
    X, y = _data(k=k)
    ours = fit_softmax(form(X), y, k, C, tol=1e-7, max_iter=2000)
    theirs = LogisticRegression(C=C, tol=1e-8, max_iter=10_000).fit(X, y)
    assert ours.converged
    p = probabilities(X @ ours.coef + ours.intercept)
    assert np.abs(p - theirs.predict_proba(X)).max() < 1e-4
    assert np.abs(ours.coef.T - theirs.coef_).max() < 1e-3 * np.abs(theirs.coef_).max() + 1e-4


def test_solver_says_when_it_did_not_converge():
    X, y = _data()
    found = fit_softmax(X, y, 4, 1e4, tol=1e-9, max_iter=3)
    assert not found.converged
    assert found.n_iter == 3


def test_warm_start_reaches_the_same_solution_sooner():
    X, y = _data()
    near = fit_softmax(X, y, 4, 1.0, tol=1e-7)
    cold = fit_softmax(X, y, 4, 1.2, tol=1e-7)
    warm = fit_softmax(X, y, 4, 1.2, tol=1e-7, start=near)
    assert warm.n_iter < cold.n_iter
    assert np.abs(warm.coef - cold.coef).max() < 1e-4


@pytest.mark.parametrize("k", [2, 4])
def test_row_space_model_is_the_model(k):
    X, y = _data(n=40, d=300, k=k)
    dual = views.fit_classifier(X.astype(np.float32), y, k, 0.01, tol=1e-6)
    theirs = LogisticRegression(C=0.01, tol=1e-8, max_iter=10_000).fit(X, y)
    assert np.abs(dual.coef.T - theirs.coef_).max() < 2e-3 * np.abs(theirs.coef_).max()


def test_sparse_rows_are_kept_where_they_are_smaller_than_the_coefficients():
    rng = np.random.default_rng(0)
    X = sparse.random(30, 5000, density=0.002, random_state=1, dtype=np.float32, format="csr")
    y = rng.permutation(np.arange(30) % 10)
    kept = views.fit_classifier(X, y, 10, 8.0)
    assert kept.rows is not None
    primal = views.fit_classifier(sparse.csr_matrix(X), y, 10, 8.0)
    assert np.abs(kept.scores(X) - primal.scores(X)).max() < 1e-6
    again = views.Linear.from_arrays(kept.arrays())
    assert np.array_equal(again.scores(X), kept.scores(X))
    theirs = LogisticRegression(C=8.0, tol=1e-8, max_iter=10_000).fit(X.toarray(), y)
    assert np.abs(probabilities(kept.scores(X)) - theirs.predict_proba(X.toarray())).max() < 2e-3


def test_duplicated_rows_do_not_break_the_gram_matrix():
    X, y = _data(n=20, d=50, k=2)
    twice = np.repeat(X, 2, axis=0).astype(np.float32)
    model = views.fit_classifier(twice, np.repeat(y, 2), 2, 10.0)
    assert np.isfinite(model.coef).all()


@pytest.mark.parametrize("shape", [(25, 80), (80, 6)])
def test_ridge_agrees_with_scikit_learn(shape):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=shape), rng.normal(size=shape[0]) + 5
    ours = views.fit_regressor(X, y, 0.5)
    theirs = Ridge(alpha=2.0).fit(X, y)
    assert np.abs(ours.scores(X)[:, 0] - theirs.predict(X)).max() < 1e-6


def test_leave_one_out_is_exact():
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(15, 30)), rng.normal(size=15) + 3
    ours, _ = views.leave_one_out(views.gram(X), y, (0.1, 2.0))
    for place, strength in enumerate((0.1, 2.0)):
        for left in range(15):
            rest = np.arange(15) != left
            theirs = Ridge(alpha=1 / strength).fit(X[rest], y[rest]).predict(X[[left]])[0]
            assert ours[place, left] == pytest.approx(theirs, abs=1e-8)


def test_ridge_out_of_fold_is_ridge_on_the_other_folds():
    rng = np.random.default_rng(5)
    X, y, folds = rng.normal(size=(30, 5)), rng.normal(size=30), np.arange(30) % 3
    ours = views.ridge_out_of_fold(X, y, folds, (0.5,))[0]
    model = Ridge(alpha=2.0).fit(X[folds != 1], y[folds != 1])
    assert np.abs(ours[folds == 1] - model.predict(X[folds == 1])).max() < 1e-9


def test_both_forms_of_out_of_fold_agree():
    X, y = _data(n=60, d=100)
    folds = views.stratified_folds(y, 3, 0)
    by_gram = views.out_of_fold(views.gram(X), y, 4, folds, (0.01, 1.0))
    by_rows = views.out_of_fold_rows(X, y, 4, folds, (0.01, 1.0))
    assert np.abs(by_gram - by_rows).max() < 0.02


def test_folds_spread_every_class_and_tolerate_single_members():
    y = np.array([0] * 7 + [1] * 5 + [2])
    folds = views.stratified_folds(y, 3, 0)
    assert np.bincount(folds).max() - np.bincount(folds).min() <= 1
    for label in (0, 1):
        per_fold = np.bincount(folds[y == label], minlength=3)
        assert per_fold.max() - per_fold.min() <= 1
    assert np.array_equal(folds, views.stratified_folds(y, 3, 0))


def test_sample_keeps_every_class():
    y = np.array([0] * 500 + [1] * 3 + [2])
    rows = views.stratified_sample(y, 50, 0)
    assert set(y[rows]) == {0, 1, 2}
    assert len(rows) <= 54


def test_best_of_prefers_accuracy_and_breaks_near_ties_by_loss():
    assert views.best_of({"a": (0.9, 9.0), "b": (0.5, 0.1)}, 100) == "a"
    assert views.best_of({"a": (0.90, 0.5), "b": (0.89, 0.3)}, 100) == "b"


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([], "no items"),
        ([1], "differ in length"),
        ([[1], [2]], "one-dimensional"),
        (np.array(["a", None], dtype=object), "missing label"),
        ([1.0, np.nan], "missing label"),
    ],
)
def test_labels_are_checked(y, message):
    with pytest.raises(DataError, match=message):
        labels_of(y, 0 if len(y) == 0 else 2)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "b"], "not numbers"),
        ([1.0, np.inf], "finite"),
        ([[1.0], [2.0]], "one-dimensional"),
        ([1.0], "differ in length"),
    ],
)
def test_targets_are_checked(y, message):
    with pytest.raises(DataError, match=message):
        targets_of(y, 2)


def test_no_seed_draws_one():
    assert seed_of(7) == 7
    assert seed_of(None) != seed_of(None)
