"""What was fitted, saved and loaded predicts the same, for every strategy there is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny_models import CASES, CLASSES, DIM, case_name, contents_of, items_of, known, tiny_backbone

from headstart import bundle, strategies
from headstart.core.errors import (
    BundleCorruptError,
    BundleError,
    DataError,
    IntegrityError,
    OptionError,
)
from headstart.core.types import Task


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_a_loaded_bundle_predicts_what_the_model_predicted(case, tmp_path):
    contents = known(case)
    loaded = bundle.load(bundle.save(tmp_path / "m", contents))
    fresh = bundle.in_memory(contents)
    items = items_of(case[2], 7, seed=9)

    np.testing.assert_array_equal(loaded.predict(items), fresh.predict(items))
    if case[1] == "classification":
        np.testing.assert_array_equal(loaded.predict_proba(items), fresh.predict_proba(items))
        assert loaded.predict_proba(items).shape == (7, 3)
        np.testing.assert_allclose(loaded.predict_proba(items).sum(axis=1), 1, rtol=1e-6)
        assert set(loaded.predict(items)) <= set(CLASSES)
    else:
        assert loaded.predict(items).dtype == np.float64


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_the_same_contents_give_the_same_bytes(case, tmp_path):
    one = bundle.save(tmp_path / "one", known(case))
    two = bundle.save(tmp_path / "two", known(case) if case[0] == "scratch" else contents_of(case))
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir())
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_empty_input_gives_empty_output(case, tmp_path):
    loaded = bundle.load(bundle.save(tmp_path / "m", known(case)))
    assert loaded.predict([]).shape == (0,)
    frame = loaded.predict_frame([])
    assert len(frame) == 0
    assert list(frame.columns[:4]) == ["input", "label", "confidence", "abstained"]
    if case[1] == "classification":
        assert loaded.predict_proba([]).shape == (0, 3)


def test_order_and_company_do_not_matter(saved):
    loaded = bundle.load(saved)
    items = items_of("text", 9, seed=4)
    alone = np.concatenate([loaded.predict_proba([item]) for item in items])
    np.testing.assert_allclose(loaded.predict_proba(items), alone, atol=1e-5)
    np.testing.assert_allclose(loaded.predict_proba(items[::-1])[::-1], alone, atol=1e-5)


def test_predict_frame_has_the_columns_of_the_csv(saved):
    loaded = bundle.load(saved)
    frame = loaded.predict_frame(["my order", "a film"], ids=["a", "b"])
    assert list(frame.columns) == ["input", "label", "confidence", "abstained"] + [
        f"p_{name}" for name in CLASSES
    ]
    assert list(frame["input"]) == ["a", "b"]
    assert not frame["abstained"].any()
    for _, row in frame.iterrows():
        assert row["confidence"] == row[f"p_{row['label']}"]
    assert list(loaded.predict_frame(["my order"])["input"]) == ["my order"]
    with pytest.raises(OptionError, match="an id for each item"):
        loaded.predict_frame(["my order"], ids=["a", "b"])


def test_predict_frame_of_a_regression_has_no_confidence(tmp_path):
    contents = contents_of(("majority", "regression", "table"))
    frame = bundle.load(bundle.save(tmp_path / "m", contents)).predict_frame(
        items_of("table", 3, seed=1)
    )
    assert list(frame.columns) == ["input", "label", "confidence", "abstained"]
    assert frame["confidence"].isna().all()
    assert list(frame["input"]) == ["row 1", "row 2", "row 3"]


def test_a_regression_model_has_no_probabilities():
    loaded = bundle.in_memory(contents_of(("majority", "regression", "text")))
    with pytest.raises(OptionError, match="no classes"):
        loaded.predict_proba(["a"])


def test_info_tells_everything_and_is_json(saved):
    info = bundle.load(saved).info
    json.dumps(info, allow_nan=True)
    assert info["source"]["licence"] == "CC0-1.0"
    assert info["source"]["standalone"] is True
    assert info["gain"]["estimate"] == 0.1
    assert np.isnan(info["baselines"]["majority"]["high"])
    assert info["extra"] == {"seed": 3}
    assert "seconds" not in info["candidates"][0]
    assert info["classes"] == list(CLASSES)
    assert info["versions"]["numpy"] == np.__version__
    assert info["bytes"] == sum(
        path.stat().st_size for path in saved.iterdir() if path.name != "manifest.json"
    )
    assert "probe" in repr(bundle.load(saved))


# ------------------------------------------------------------------ the source


def test_a_bundle_that_names_its_source_loads_it_by_name(probe, tmp_path, monkeypatch):
    from headstart import sources

    path = bundle.save(tmp_path / "m", replace(probe, standalone=False))
    asked = []

    def load(name, **_):
        asked.append(name)
        return probe.backbone

    monkeypatch.setattr(sources, "load", load)
    loaded = bundle.load(path)
    assert asked == []  # only when it is needed
    np.testing.assert_array_equal(
        loaded.predict_proba(["my order"]), bundle.in_memory(probe).predict_proba(["my order"])
    )
    loaded.predict(["a film"])
    assert asked == ["tiny-text"]


def test_other_weights_of_the_same_name_are_refused(probe, tmp_path, monkeypatch):
    from headstart import sources

    path = bundle.save(tmp_path / "m", replace(probe, standalone=False))
    other = tiny_backbone("text", seed=1)
    monkeypatch.setattr(sources, "load", lambda name, **_: other)
    with pytest.raises(IntegrityError, match="other weights"):
        bundle.load(path).predict(["my order"])


@pytest.mark.parametrize("cached", [False, True])
def test_a_source_that_computes_something_else_is_refused(probe, tmp_path, monkeypatch, cached):
    from headstart import sources

    path = bundle.save(tmp_path / "m", replace(probe, standalone=False))
    other = tiny_backbone("text", seed=1)
    other.weights_sha256 = probe.backbone.weights_sha256
    monkeypatch.setattr(sources, "load", lambda name, **_: other)
    with pytest.raises(BundleCorruptError, match="features it made"):
        bundle.load(path).predictions(["my order"], cache=cached)


def test_saving_loads_the_source_where_none_is_given(probe, tmp_path, monkeypatch):
    from headstart import sources

    monkeypatch.setattr(sources, "load", lambda card, **_: probe.backbone)
    one = bundle.save(tmp_path / "one", replace(probe, backbone=None))
    two = bundle.save(tmp_path / "two", probe)
    assert (one / "manifest.json").read_bytes() == (two / "manifest.json").read_bytes()


def test_empty_input_to_a_fresh_model_with_a_source(probe):
    assert bundle.in_memory(probe).predict([]).shape == (0,)
    assert bundle.in_memory(probe).backbone().card.dim == DIM


def test_a_model_without_a_source_has_no_backbone(majority):
    with pytest.raises(OptionError, match="uses no source"):
        bundle.in_memory(majority).backbone()


# ------------------------------------------------------------------ items


@pytest.mark.parametrize(
    ("modality", "items", "error", "words"),
    [
        ("text", "one text", OptionError, "a single text"),
        ("text", 7, OptionError, "not a list"),
        ("text", pd.DataFrame({"text": ["a"]}), OptionError, "not a list"),
        ("text", ["fine", 3], DataError, "item 1"),
        ("text", ["fine", None], DataError, "item 1"),
        ("image", "a.jpg", OptionError, "a single image"),
        ("image", np.zeros((4, 4, 3), np.uint8), OptionError, "a single image"),
        ("image", [np.zeros((4, 4, 3), np.uint8), 3.5], DataError, "item 1"),
        ("image", [np.zeros(4, np.uint8)], DataError, "item 0"),
        ("table", {"width": 1.0}, OptionError, "one row"),
        ("table", [["a"]], DataError, "item 0"),
        ("table", [{"width": 1.0}], DataError, "columns are missing"),
        ("table", [{"width": "wide", "weight": 1, "colour": "red"}], DataError, "row 1"),
    ],
)
def test_unfit_items_are_refused_with_their_place(modality, items, error, words):
    loaded = bundle.in_memory(contents_of(("majority", "classification", modality)))
    with pytest.raises(error, match=words):
        loaded.predict(items)


def test_tables_are_read_alike_from_frames_dicts_and_text_cells():
    from headstart.bundle.columns import Column, to_frame

    columns = (
        Column("size", "number"),
        Column("colour", "category"),
        Column("day", "date"),
        Column("new", "flag"),
    )
    typed = pd.DataFrame(
        {"new": [True, False], "colour": [1.0, None], "size": [1, 2], "more": [0, 0]}
    ).assign(day=pd.to_datetime(["2020-02-29", "2021-01-01"]))
    cells = [
        {"size": "1", "colour": "1", "day": "2020-02-29", "new": "true"},
        {"size": "2.0", "colour": "", "day": "2021-01-01", "new": "false"},
    ]
    one, two = to_frame(typed, columns), to_frame(cells, columns)
    pd.testing.assert_frame_equal(one, two)
    assert list(one.columns) == ["size", "colour", "day", "new"]
    pd.testing.assert_frame_equal(to_frame(one, columns), one)  # what was read stays as it is
    assert typed["colour"].iloc[0] == 1.0  # the caller's frame is not changed


def test_a_column_that_stands_twice_is_refused():
    from headstart.bundle.columns import Column, to_frame

    frame = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    with pytest.raises(DataError, match="stands twice"):
        to_frame(frame, (Column("a", "number"),))


def test_golden_rows_show_none_of_the_table():
    from headstart.bundle.columns import golden_rows

    frame = items_of("table", 30, seed=0)
    rows = golden_rows(bundle.columns_of(frame))
    assert {row["colour"] for row in rows} == {"(golden)", None}
    seen = set(frame["width"])
    assert not seen & {row["width"] for row in rows}


def test_columns_without_a_spread_still_make_rows():
    columns = bundle.columns_of(pd.DataFrame({"a": [np.nan, np.nan], "b": ["x", "y"]}))
    assert [(column.mean, column.spread) for column in columns] == [(0.0, 0.0), (0.0, 0.0)]


# ------------------------------------------------------------------ evaluate


def test_evaluate_equals_a_count_by_hand(saved):
    loaded = bundle.load(saved)
    items = items_of("text", 12, seed=2)
    predicted = loaded.predict(items)
    truth = predicted.copy()
    truth[:3] = [CLASSES[(CLASSES.index(name) + 1) % 3] for name in truth[:3]]
    found = loaded.evaluate((items, list(truth)))
    assert found["metric"] == "accuracy"
    assert found["n"] == 12
    assert found["estimate"] == found["accuracy"] == 0.75
    assert found["low"] < 0.75 < found["high"]
    assert 0 < found["macro_f1"] < 1


def test_evaluate_takes_a_task_and_its_groups(majority):
    loaded = bundle.in_memory(majority)
    labels = np.array([CLASSES[0]] * 6 + [CLASSES[1]] * 2, dtype=object)
    task = Task(
        "text", "classification", ["a"] * 8, labels, tuple("abcdefgh"), np.arange(8), CLASSES
    )
    alone = loaded.evaluate(task)
    grouped = loaded.evaluate(replace(task, groups=np.array([0, 0, 0, 1, 1, 1, 2, 2])))
    assert alone["estimate"] == grouped["estimate"] == 0.75
    assert (alone["low"], alone["high"]) != (grouped["low"], grouped["high"])


def test_evaluate_of_a_regression():
    loaded = bundle.in_memory(contents_of(("majority", "regression", "text")))
    mean = float(loaded.predict(["a"])[0])
    found = loaded.evaluate((["a", "b", "c", "d"], [mean + 1, mean - 1, mean + 1, mean - 1]))
    assert found["rmse"] == pytest.approx(1.0)
    assert found["r2"] == pytest.approx(0.0, abs=1e-9)
    assert found["metric"] == "rmse"


@pytest.mark.parametrize(
    ("kind", "data", "error", "words"),
    [
        ("classification", (["a"], ["kiwi"]), DataError, "does not know"),
        ("classification", (["a"], None), DataError, "no labels"),
        ("classification", (["a", "b"], [CLASSES[0]]), DataError, "a label for each item"),
        ("classification", ["a"], OptionError, "cannot be evaluated"),
        ("regression", (["a"], ["much"]), DataError, "predicts values"),
        ("regression", (["a", "b"], [1.0, np.nan]), DataError, "item 1"),
    ],
)
def test_labels_that_cannot_judge_are_refused(kind, data, error, words):
    loaded = bundle.in_memory(contents_of(("majority", kind, "text")))
    with pytest.raises(error, match=words):
        loaded.evaluate(data)


def test_a_task_of_another_modality_is_refused(majority):
    task = Task("image", "classification", [], None, (), np.arange(0))
    with pytest.raises(OptionError, match="another modality"):
        bundle.in_memory(majority).evaluate(task)


# ------------------------------------------------------------------ contents that do not fit


def test_contents_that_contradict_themselves_are_not_saved(majority, probe, tmp_path):
    table = contents_of(("majority", "classification", "table"))
    state = majority.state
    wrong = [
        (replace(probe, source=None, backbone=None, standalone=False), "needs a source"),
        (replace(majority, source=probe.source), "uses no source"),
        (replace(majority, classes=("a", "b")), "classes are not"),
        (replace(table, columns=()), "needs its columns"),
        (replace(majority, standalone=True), "no source whose weights"),
        (replace(majority, state=replace(state, meta=state.meta | {"x": {1}})), "cannot be saved"),
        (replace(majority, extra={3: "x"}), "a key cannot be saved"),
        (replace(majority, extra={"x": "y" * 1_000_000}), "larger than 1 MB"),
    ]
    for contents, words in wrong:
        with pytest.raises(BundleError, match=words):
            bundle.save(tmp_path / "m", contents)
    assert not list(tmp_path.glob("*m*"))


def test_arrays_of_objects_are_not_saved(majority, tmp_path):
    state = majority.state
    hostile = replace(state, arrays=state.arrays | {"o": np.array([{}], dtype=object)})
    with pytest.raises(BundleError, match="an array cannot be saved"):
        bundle.save(tmp_path / "m", replace(majority, state=hostile))


def test_a_model_fitted_to_an_array_predicts_arrays():
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=(30, 2)), np.ones(30)]
    columns = bundle.columns_of(pd.DataFrame(X[:, :2], columns=["x0", "x1"]))
    fitted = strategies.make("majority", kind="classification", modality="table")
    contents = bundle.BundleContents(
        modality="table",
        kind="classification",
        strategy="majority",
        state=fitted.fit(X, ["a", "b", "b"] * 10).to_state(),
        metric="accuracy",
        classes=("a", "b"),
        columns=columns,
    )
    model = bundle.in_memory(contents)
    assert model.predict(X).tolist() == ["b"] * 30
    with pytest.raises(DataError, match="x1"):
        model.predict(X[:, :1])


def test_every_strategy_is_covered():
    # those that must be told what the classes are like: tests/test_zero_shot.py
    told = {name for name, spec in strategies.STRATEGIES.items() if spec.by_classes}
    assert {case[0] for case in CASES} == set(strategies.STRATEGIES) - told
