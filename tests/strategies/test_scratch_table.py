"""Scratch for tables: trees as arrays against scikit-learn, columns, and the estimators."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from headstart.core.errors import DataError
from headstart.core.types import State
from headstart.strategies import scratch_table
from headstart.strategies.columns import as_frame, fit_scaling, for_linear, for_trees, learn
from headstart.strategies.scratch_table import ScratchTable, ScratchTableRegressor
from headstart.strategies.softmax import probabilities
from headstart.strategies.trees import Forest, export


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(scratch_table, "CHECKPOINTS", (5, 20))
    monkeypatch.setattr(
        scratch_table,
        "TREES",
        {"shallow": {"learning_rate": 0.2, "max_leaf_nodes": 6, "min_samples_leaf": 3}},
    )


def _holes(X, seed=0):
    X = X.astype(float).copy()
    X[np.random.default_rng(seed).random(X.shape) < 0.1] = np.nan
    return X


@pytest.mark.parametrize("data", [load_iris, load_breast_cancer])
@pytest.mark.parametrize("missing", [False, True])
def test_exported_trees_are_scikit_learns(data, missing):
    X, y = data(return_X_y=True)
    train = _holes(X) if missing else X
    model = HistGradientBoostingClassifier(max_iter=15, early_stopping=False).fit(train, y)
    forest = export(model)
    for rows in (X, _holes(X, seed=1)):
        assert np.abs(probabilities(forest.raw(rows)) - model.predict_proba(rows)).max() < 1e-12
    again = Forest.from_arrays(forest.arrays())
    assert np.array_equal(again.raw(X), forest.raw(X))


def test_exported_regression_trees_are_scikit_learns(monkeypatch):
    X, y = load_diabetes(return_X_y=True)
    model = HistGradientBoostingRegressor(max_iter=30, early_stopping=False).fit(_holes(X), y)
    forest = export(model)
    rows = _holes(X, seed=2)
    assert np.abs(forest.raw(rows)[:, 0] - model.predict(rows)).max() < 1e-9
    whole = forest.raw(rows)
    monkeypatch.setattr("headstart.strategies.trees.CELLS", 100)
    assert np.array_equal(forest.raw(rows), whole)


def _frame(n=60, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "count": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "flag": rng.random(n) < 0.5,
            "colour": rng.choice(["red", "green", "blue"], n),
            "city": [f"city {i}" for i in rng.integers(0, 25, n)],
            "day": pd.date_range("2024-01-01", periods=n, freq="D").astype(str),
            "when": pd.date_range("2024-01-01", periods=n, freq="7h"),
            "same": "x",
        }
    )
    frame.loc[::7, "size"] = np.nan
    frame.loc[::5, "colour"] = None
    frame.loc[3, "when"] = pd.NaT
    frame.loc[4, "count"] = pd.NA
    y = np.where((frame["colour"] == "red") ^ frame["flag"], "yes", "no")
    return frame, y


def _reload(model):
    state = model.to_state()
    assert all(
        isinstance(part, np.ndarray) and part.dtype != object for part in state.arrays.values()
    )
    return type(model).from_state(State(dict(state.arrays), json.loads(json.dumps(state.meta))))


def test_columns_are_recognised():
    frame, _ = _frame()
    kinds = {column.name: column.kind for column in learn(as_frame(frame))}
    assert kinds == {
        "size": "number",
        "count": "number",
        "flag": "number",
        "colour": "category",
        "city": "category",
        "day": "date",
        "when": "date",
        "same": "constant",
    }
    trees = for_trees(frame, learn(frame))
    assert trees.shape == (60, 3 + 3 + 2 + 5 + 5)
    linear = for_linear(frame, learn(frame), fit_scaling(frame, learn(frame)))
    assert np.isfinite(linear).all()
    assert (linear**2).sum(axis=1).mean() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("force", ["linear", "trees"])
def test_round_trip_order_batch_and_column_order(force, monkeypatch):
    choice = ("linear", 10.0) if force == "linear" else ("shallow", 20.0)
    monkeypatch.setattr(
        scratch_table,
        "_tune_classes",
        lambda *_: scratch_table._Choice(*choice, {}, "forced"),
    )
    frame, y = _frame()
    model = ScratchTable().fit(frame, y)
    p = model.predict_proba(frame)
    assert (model.predict(frame) == y).mean() > 0.7
    assert np.array_equal(_reload(model).predict_proba(frame), p)
    assert np.array_equal(ScratchTable().fit(frame, y).predict_proba(frame), p)
    assert np.array_equal(model.predict_proba(frame[::-1])[::-1], p)
    single = [model.predict_proba(frame.iloc[[row]]) for row in range(len(frame))]
    assert np.array_equal(np.concatenate(single), p)
    shuffled = frame[list(frame.columns[::-1])].assign(extra=1)
    assert np.array_equal(model.predict_proba(shuffled), p)
    odd = frame.assign(colour="violet", size=np.nan)
    assert np.isfinite(model.predict_proba(odd)).all()


def test_trees_win_where_columns_interact():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    model = ScratchTable().fit(X, y)
    assert "gradient boosting" in model.chosen_
    fresh = rng.normal(size=(300, 3))
    assert model.score(fresh, (fresh[:, 0] * fresh[:, 1] > 0).astype(int)) > 0.85


def test_linear_wins_where_the_truth_is_linear():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 12))
    y = X @ rng.normal(size=12)
    model = ScratchTableRegressor().fit(X, y)
    assert "linear model" in model.chosen_
    assert model.score(X, y) > 0.99
    assert np.array_equal(_reload(model).predict(X), model.predict(X))
    assert ScratchTable().fit(X, y > 0).chosen_.startswith("linear model")


def test_regression_by_trees_round_trip():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 2))
    y = 3.0 * (X[:, 0] > 0) * (X[:, 1] > 0)
    model = ScratchTableRegressor().fit(X, y)
    assert "gradient boosting" in model.chosen_
    assert np.array_equal(_reload(model).predict(X), model.predict(X))
    assert np.array_equal(model.predict(X[::-1])[::-1], model.predict(X))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("kind", ["distinct", "one", "two"])
def test_tiny_data_never_crash(n, kind):
    frame = pd.DataFrame({"a": np.arange(n) * 1.0, "b": list("xyzxyzxy")[:n]})
    y = {"distinct": list(range(n)), "one": [0] * n, "two": list("abababab")[:n]}[kind]
    model = _reload(ScratchTable().fit(frame, y))
    assert np.abs(model.predict_proba(frame).sum(axis=1) - 1).max() < 1e-9
    numbers = ScratchTableRegressor().fit(frame, np.arange(n))
    assert np.isfinite(_reload(numbers).predict(frame)).all()


def test_a_constant_target_is_predicted():
    X = np.arange(12.0).reshape(-1, 2)
    assert ScratchTableRegressor().fit(X, [5.0] * 6).predict(X) == pytest.approx([5.0] * 6)


def test_rare_classes_and_many_rows(monkeypatch):
    monkeypatch.setattr(scratch_table, "TUNING_ROWS", 50)
    rng = np.random.default_rng(0)
    y = np.array([0] * 150 + [1] * 49 + [2])
    X = rng.normal(size=(200, 2)) + 3 * y[:, None]
    model = ScratchTable().fit(X, y)
    assert "on 51 rows" in model.chosen_
    assert model.score(X, y) > 0.9


def test_missing_columns_are_named():
    frame, y = _frame()
    model = ScratchTable().fit(frame, y)
    with pytest.raises(DataError, match="city"):
        model.predict(frame.drop(columns=["city", "size"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "tall"}, "row 1.*not a number"),
        ({"size": np.inf}, "row 1.*infinite"),
        ({"day": "soon"}, "row 1.*not a date"),
    ],
)
def test_bad_cells_are_named(change, message):
    frame, y = _frame()
    model = ScratchTable().fit(frame, y)
    with pytest.raises(DataError, match=message):
        model.predict(frame.assign(**change))


def test_what_is_not_a_table_is_refused():
    with pytest.raises(DataError, match="not a table"):
        ScratchTable().fit(np.zeros(4), [0, 1, 0, 1])
    with pytest.raises(DataError, match="no column of the table varies"):
        ScratchTable().fit(np.zeros((4, 2)), [0, 1, 0, 1])
    twice = pd.DataFrame(np.eye(4), columns=["a", "a", "b", "c"])
    with pytest.raises(DataError, match="share a name"):
        ScratchTable().fit(twice, [0, 1, 0, 1])


def test_clone_keeps_parameters():
    assert clone(ScratchTable(cv=4)).get_params() == {"cv": 4, "random_state": 0}
