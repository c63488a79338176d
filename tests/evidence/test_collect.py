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
from headstart.evidence import collect


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


def test_items_can_be_left_out(stripes, tmp_path):
    stripes.save(tmp_path / "model", items=False)
    facts = hs.load(tmp_path / "model").evidence
    assert "data:image" not in json.dumps(facts)
    assert all(one["explanation"] is None for one in facts["mistakes"])
    assert facts["classes"] == stripes.evidence.facts["classes"]


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
