"""Evidence: what a report shows agrees with what judged the model."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from tests import samples

import headstart as hs
from headstart.bundle.examples import Evidence, from_files, to_files
from headstart.core.errors import BundleCorruptError, OptionError
from headstart.core.types import Skipped, Task
from headstart.evaluate.calibration import calibrate, expected_calibration_error
from headstart.evaluate.predictions import Predictions
from headstart.evidence import collect, judging
from headstart.evidence.importance import importance
from headstart.evidence.problems import problems
from headstart.select import Answering
from headstart.select.label_next import Advice
from headstart.select.measured import Measured
from headstart.strategies.answers import Answers


@pytest.fixture(scope="module")
def table():
    return hs.fit(samples.wine_like(110), label="grade", curve=False)


@pytest.fixture(scope="module")
def number():
    frame = samples.wine_like(60).drop(columns=["grade"])
    frame["salt"] = 2 * frame["acid"] + frame["salt"] / 10
    return hs.fit(frame, label="salt", curve=False)


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    folder = samples.pictures(tmp_path_factory.mktemp("data") / "stripes", 8)
    return hs.fit(folder, strategy="majority", shots=3, curve=False)


def test_evidence_agrees_with_the_score(table):
    facts = table.evidence.facts
    right = [one["predicted"] == one["label"] for one in facts["items"]]
    assert len(right) == table.score.n == facts["judged"]["n"]
    assert facts["judged"]["by"] == table.judged_by
    counts = np.array(facts["confusion"]["counts"])
    assert counts.sum() == len(right)
    assert np.trace(counts) == sum(right)
    assert sum(one["n"] for one in facts["classes"]) == len(right)
    assert sum(one["n"] for one in facts["reliability"]["bins"]) == len(right)
    assert json.loads(json.dumps(facts)) == facts


def test_mistakes_are_the_most_confident_first_and_explained(table):
    facts = table.evidence.facts
    wrong = [facts["items"][one["item"]] for one in facts["mistakes"]]
    assert wrong
    assert all(one["label"] != one["predicted"] for one in wrong)
    confidence = [one["confidence"] for one in wrong]
    assert confidence == sorted(confidence, reverse=True)
    why = facts["mistakes"][0]["explanation"]
    assert why["label"] == wrong[0]["predicted"]
    assert {one["name"] for one in why["columns"]} == {"acid", "sugar", "salt", "cellar"}


def test_the_columns_that_decide_are_the_important_ones(table):
    told = table.evidence.facts["importance"]
    assert {one["column"] for one in told[:2]} == {"acid", "cellar"}
    assert all(one["low"] <= one["estimate"] <= one["high"] for one in told)
    assert told[0]["low"] > 0.05
    useless = next(one for one in told if one["column"] == "sugar")
    assert abs(useless["estimate"]) < 0.05


def test_numbers_have_residuals_and_the_largest_errors(number):
    facts = number.evidence.facts
    truth, said = (np.array(facts["residuals"][name]) for name in ("truth", "predicted"))
    error = np.sqrt(np.mean((truth - said) ** 2))
    assert error == pytest.approx(number.score.estimate, rel=1e-3)
    worst = facts["items"][facts["mistakes"][0]["item"]]
    assert abs(worst["label"] - worst["predicted"]) == pytest.approx(np.abs(truth - said).max())
    assert "classes" not in facts
    assert facts["importance"][0]["column"] == "acid"


def test_pictures_are_shown_and_laid_out(stripes):
    facts = stripes.evidence.facts
    assert all(one["preview"]["src"].startswith("data:image/webp") for one in facts["items"])
    places = np.array([[one["x"], one["y"]] for one in facts["items"]])
    assert places.min() >= 0
    assert places.max() <= 1
    assert len(np.unique(places, axis=0)) > len(places) // 2
    assert "pixels" in facts["map"]["method"]


def test_both_domains_are_on_one_map():
    frame = samples.wine_like(70)
    moved = samples.wine_like(40, seed=1).drop(columns=["grade"])
    moved["acid"] += 1.0
    result = hs.transfer_from(frame, moved, label="grade", strategy="linear-ot")
    facts = result.evidence.facts
    parts = [one["part"] for one in facts["items"]]
    assert (parts.count("training"), parts.count("judged")) == (70, 40)
    assert all(one["label"] is None and one["predicted"] for one in facts["items"][70:])
    assert all(0 <= one["x"] <= 1 for one in facts["items"])
    assert facts["shift"]["sentences"]
    assert json.loads(json.dumps(facts)) == facts


def test_many_items_are_sampled_and_every_worst_mistake_is_kept(table):
    judging = table.judging
    many = np.arange(2_400) % judging.task.n
    ids = tuple(f"row {i}" for i in range(len(many)))
    task = replace(judging.task.take(many), ids=ids, groups=np.arange(len(many)))
    large = replace(judging, task=task, predictions=judging.predictions.take(many), apart=True)
    facts = collect(large, table.model, items=False).facts
    parts = [one["part"] for one in facts["items"]]
    assert len(parts) <= 1_000
    assert parts.count("judged") >= 600
    assert parts.count("training") == judging.train.n
    worst = [facts["items"][one["item"]] for one in facts["mistakes"]]
    assert all(one["label"] != one["predicted"] for one in worst)


def test_previews_are_bounded_together(stripes, monkeypatch):
    room = import_module("headstart.evidence.collect")  # the package has a function of that name
    monkeypatch.setattr(room, "PREVIEWS", 2_000)
    facts = collect(stripes.judging, stripes.model).facts
    kept = [one["preview"]["src"] for one in facts["items"] if one["preview"]]
    assert kept
    assert sum(map(len, kept)) <= 2_000


def test_evidence_travels_with_the_model(table, tmp_path):
    table.save(tmp_path / "model")
    bundle = hs.load(tmp_path / "model")
    assert bundle.evidence == table.evidence.facts
    bundle.save(tmp_path / "again")
    assert hs.load(tmp_path / "again").evidence == bundle.evidence
    (told,) = bundle.explain(samples.wine_like(1))
    assert told["kind"] == "row"
    assert told["label"] in bundle.classes
    assert bundle.nearest(samples.wine_like(2)) == [[], []]
    with pytest.raises(OptionError, match="at least one neighbour"):
        bundle.nearest(samples.wine_like(2), k=0)


def test_a_model_is_saved_though_its_evidence_cannot_be_made(stripes, tmp_path):
    gone = replace(stripes.judging, task=replace(stripes.judging.task, items=["gone.png"]))
    replace(stripes, judging=gone).save(tmp_path / "model")
    bundle = hs.load(tmp_path / "model")
    assert bundle.evidence is None
    said = [one["what"] for one in bundle.info["decisions"]]
    assert "the model keeps no evidence for its report" in said


def test_items_can_be_left_out(stripes, tmp_path):
    stripes.save(tmp_path / "model", items=False)
    facts = hs.load(tmp_path / "model").evidence
    assert "data:image" not in json.dumps(facts)
    assert all(one["explanation"] is None for one in facts["mistakes"])
    assert facts["classes"] == stripes.evidence.facts["classes"]


def test_without_items_it_still_says_that_nobody_looked(table):
    kept = Evidence({**SOUND, "findings": None}, np.zeros(0, np.int64), np.zeros((0, 0)))
    assert kept.without_items().facts["findings"] is None
    assert table.evidence.without_items().facts["findings"] is not None


def test_the_same_judging_makes_the_same_evidence(table):
    assert collect(table.judging, table.model).facts == table.evidence.facts


def test_neighbours_of_an_example_are_itself_first(weights):
    result = hs.fit(samples.topics(8), strategy="probe", curve=False)
    text = samples.topics(8)["text"][3]
    (near,) = result.model.nearest([text], k=4) or [[]]
    assert near == []  # a model in memory keeps no examples
    found = result.evidence.nearest(result.model.features([text]), 4)[0]
    assert found[0]["preview"]["text"] == text
    assert found[0]["similarity"] == pytest.approx(1.0, abs=2e-3)
    assert [one["similarity"] for one in found] == sorted(
        (one["similarity"] for one in found), reverse=True
    )


ITEM = {"id": "a", "label": "x"}
SOUND = {"schema": 1, "judged": {}, "items": [ITEM]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema": 2},
        {"judged": None},
        {"items": None},
        {"items": [ITEM] * 1_001},
        {"items": [{"id": "a"}]},
        {"mistakes": {}},
        {"classes": ["x"]},
    ],
)
def test_evidence_of_another_shape_is_refused(wrong, table):
    raw = to_files(Evidence({**SOUND, **wrong}, np.zeros(0, np.int64), np.zeros((0, 0))))
    with pytest.raises(BundleCorruptError, match="evidence"):
        from_files(raw, table.model.manifest)


@pytest.mark.parametrize("wrong", ["place", "dtype", "width", "nan"])
def test_examples_of_another_shape_are_refused(weights, wrong):
    bundle = hs.fit(samples.topics(4), strategy="probe", curve=False).model
    places, vectors = np.zeros(1, np.int64), np.zeros((1, 384), np.float16)
    if wrong == "place":
        places = np.ones(1, np.int64)
    elif wrong == "dtype":
        vectors = vectors.astype(np.float32)
    elif wrong == "width":
        vectors = vectors[:, :9]
    else:
        vectors[0, 0] = np.nan
    with pytest.raises(BundleCorruptError, match="examples"):
        from_files(to_files(Evidence(SOUND, places, vectors)), bundle.manifest)


def test_items_on_which_the_model_abstains_are_told(table):
    silent = np.arange(table.judging.task.n) % 3 == 0
    facts = collect(replace(table.judging, silent=silent), table.model, items=False).facts
    ids = table.judging.task.ids
    assert {one["id"] for one in facts["items"] if one["abstained"]} == {
        name for name, quiet in zip(ids, silent, strict=True) if quiet
    }


def test_a_model_that_always_answers_abstains_on_nothing(table):
    assert {one["abstained"] for one in table.evidence.facts["items"]} == {None}


def test_confidence_is_that_of_a_calibration_by_other_items(table):
    rng = np.random.default_rng(0)
    n = 110
    truth = np.asarray(table.task.labels)
    right = rng.random(n) < 0.7
    names = np.array(table.task.classes, dtype=object)
    said = np.where(right, truth, np.where(truth == names[0], names[1], names[0]))
    shares = np.where(said[:, None] == names[None, :], 0.99, 0.01)
    predictions = Predictions(said, shares, table.task.classes)
    found = calibrate(truth, predictions, parts=np.arange(n) % 5)
    assert found.held is not None
    error = expected_calibration_error(found.held.max(axis=1), right)
    assert error == pytest.approx(found.ece_after.estimate, abs=1e-9)
    told = judging(
        table.task,
        None,
        Measured(np.arange(n), predictions),
        answering=Answering(Answers(found.calibration), found),
        inputs=({}, {}),
        sources=[],
        by="out of fold",
        metric="accuracy",
        seed=0,
        about_labels=Advice(),
    )
    assert np.array_equal(told.predictions.probabilities, found.held)


def test_importance_rests_on_groups_and_is_left_out_where_it_is_not_defined(table):
    one = table.judging
    names = {"acid", "cellar"}
    alone = {x["column"]: x["high"] - x["low"] for x in importance(one, table.model)}
    few = replace(one.task, groups=np.arange(one.task.n) // 10)
    grouped = {
        x["column"]: x["high"] - x["low"] for x in importance(replace(one, task=few), table.model)
    }
    assert all(grouped[name] > alone[name] for name in names)
    same = np.flatnonzero(one.task.labels == "plain")
    narrow = replace(
        one, task=one.task.take(same), predictions=one.predictions.take(same), metric="roc_auc"
    )
    assert importance(narrow, table.model) is None


def _texts(texts, labels, groups=None):
    ids = tuple(f"row {i + 1}" for i in range(len(texts)))
    groups = np.arange(len(texts)) if groups is None else groups
    return Task(
        "text", "classification", texts, np.array(labels, object), ids, groups, classes=("x", "y")
    )


def test_a_copy_across_the_parts_is_told_once_with_the_label_of_each(table):
    train = _texts(["a cold grey morning", "the train was late", "we went home"], ["x", "x", "x"])
    judge = _texts(["something else here", "the train was late"], ["x", "y"])
    one = replace(table.judging, train=train, task=judge, apart=True)
    told = problems(one)["duplicates"]
    (pair,) = told["pairs"]
    assert {pair["a"], pair["b"]} == {"row 2", "test: row 2"}
    assert pair["across"] is True
    assert dict(zip((pair["a"], pair["b"]), pair["labels"], strict=True)) == {
        "row 2": "x",
        "test: row 2": "y",
    }
    assert told["items"] == 1


def test_a_copy_that_was_left_out_of_the_training_part_is_no_leak(table):
    train = _texts(["a cold grey morning", "we went home"], ["x", "y"])
    train = replace(train, skipped=(Skipped("row 9", "repeats the test item row 1"),))
    judge = _texts(["the train was late"], ["x"])
    one = replace(table.judging, train=train, task=judge, apart=True)
    assert problems(one)["duplicates"] == {"pairs": [], "items": 0}


def test_a_long_text_is_kept_no_longer_than_its_preview():
    room = import_module("headstart.evidence.collect")
    words = [{"text": "stone " * 100, "weight": 0.1} for _ in range(40)]
    told = room._cut({"kind": "text", "tokens": words})["tokens"]
    assert "".join(one["text"] for one in told) == ("stone " * 4_000)[:2_000]
    columns = [{"name": str(i), "value": "x" * 500, "weight": i / 100} for i in range(60)]
    kept = room._cut({"kind": "row", "columns": columns})["columns"]
    assert {one["name"] for one in kept} == {str(i) for i in range(20, 60)}
    assert all(len(one["value"]) == 120 for one in kept)


def test_what_a_model_says_of_labels_it_learnt_from_is_left_out():
    frame = samples.wine_like(70)
    moved = samples.wine_like(40, seed=1)
    moved["acid"] += 1.0
    moved.loc[20:, "grade"] = None
    result = hs.transfer_from(frame, moved, label="grade", strategy="linear-ot")
    theirs = [one for one in result.evidence.facts["items"] if one["part"] == "judged"]
    assert sum(one["label"] is not None for one in theirs) == 20
    assert all((one["predicted"] is None) == (one["label"] is not None) for one in theirs)
