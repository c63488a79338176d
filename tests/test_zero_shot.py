"""Zero-shot from the classes' names to a saved model, with no label, some, and many."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

import headstart as hs
from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.zero_result import ZeroShotResult
from tests import samples

pytestmark = pytest.mark.weights

CLASSES = "animal, food, vehicle"


@pytest.fixture
def topics() -> pd.DataFrame:
    return samples.topics(24).sample(frac=1.0, random_state=0).reset_index(drop=True)


def some_labels(frame: pd.DataFrame, n: int) -> pd.DataFrame:
    return frame.assign(topic=[t if i < n else "" for i, t in enumerate(frame.topic)])


def test_names_alone_make_a_model(weights, topics, tmp_path):
    result = hs.zero_shot(CLASSES)
    assert isinstance(result, ZeroShotResult)
    assert not result.measured
    assert (result.predict(list(topics.text)) == topics.topic).mean() > 0.8
    assert "Nothing is measured" in str(result)
    assert "About 30 labels would tell" in str(result)
    loaded = hs.load(result.save(tmp_path / "model"))
    texts = list(topics.text[:9])
    assert loaded.predict_proba(texts).tobytes() == result.predict_proba(texts).tobytes()
    assert loaded.info["score"] is None
    assert loaded.info["extra"]["zero_shot"]["classes"] == {n: [] for n in loaded.classes}


def test_what_is_not_measured_is_null_in_json(weights):
    found = json.loads(json.dumps(hs.zero_shot(CLASSES).to_json(), allow_nan=False))
    assert found["score"] is found["gain"] is None
    assert found["baselines"] == {"majority": None, "scratch": None}
    chosen = {"source": "minilm", "strategy": "zero-shot", "member": None}
    assert found["chosen"] == chosen
    assert found["task"]["classes"] == ["animal", "food", "vehicle"]


def test_the_same_bytes_every_time(weights, topics, tmp_path):
    texts = list(topics.text)
    for name in ("one", "two"):
        hs.zero_shot(CLASSES, texts, seed=3).save(tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_unlabelled_items_help(weights, topics):
    result = hs.zero_shot(CLASSES, list(topics.text))
    assert any("self-training" in str(decision) for decision in result.decisions)
    plain = hs.zero_shot(CLASSES)
    right = [(r.predict(list(topics.text)) == topics.topic).mean() for r in (result, plain)]
    assert right[0] >= right[1] - 0.02
    assert 0 < len(result.label_these) <= 50


def test_few_unlabelled_items_are_left_alone(weights, topics):
    result = hs.zero_shot(CLASSES, list(topics.text[:10]))
    assert any("no self-training" in str(decision) for decision in result.decisions)


def test_items_that_fall_into_other_groups_change_nothing(weights):
    codes = samples.codes(60)
    result = hs.zero_shot("kindness, anger, mathematics, sports", list(codes.iloc[:, 0]))
    plain = hs.zero_shot("kindness, anger, mathematics, sports")
    if any("self-training not adopted" in str(decision) for decision in result.decisions):
        assert np.array_equal(result.contents.state.arrays["directions"],
                              plain.contents.state.arrays["directions"])  # fmt: skip


def test_two_labels_a_class_measure_it(weights, topics):
    frame = some_labels(topics.sort_values("text").reset_index(drop=True), 8)
    result = hs.zero_shot(CLASSES, frame, strategy="zero-shot")
    assert isinstance(result, ZeroShotResult)
    assert result.score.n == 8
    assert 0.0 < result.score.low < result.score.high <= 1.0
    assert "from none of which it learnt" in result.judged_by
    assert "rough measure" in str(result)
    told = result.to_json()
    assert told["score"]["n"] == 8
    assert told["baselines"]["majority"]["n"] == 8
    assert told["task"]["skipped"] == []


def test_with_labels_of_all_classes_trained_candidates_compete(weights, topics):
    result = hs.fit(topics, classes=CLASSES, label="topic", curve=False, budget="1s")
    assert not isinstance(result, ZeroShotResult)
    raced = {candidate.strategy for candidate in result.candidates}
    assert {"zero-shot", "probe", "scratch"} <= raced
    alone = [str(d) for d in result.decisions if "by itself" in str(d)]
    assert "72 labelled items, from none of which it learnt" in alone[0]
    assert result.contents.decisions == result.decisions
    kept = any("no trained candidate is surely better" in str(d) for d in result.decisions)
    assert (result.chosen.strategy == "zero-shot") == kept
    assert math.isfinite(result.gain.estimate)


def test_labels_that_contradict_the_names_make_training_win(weights, topics):
    turn = {"animal": "food", "food": "vehicle", "vehicle": "animal"}
    frame = topics.assign(topic=topics.topic.map(turn))
    result = hs.zero_shot(CLASSES, frame, curve=False, budget="1s")
    assert result.chosen.strategy != "zero-shot"
    alone = [str(d) for d in result.decisions if "by itself" in str(d)]
    assert "accuracy 0.0" in alone[0]


def test_a_class_without_a_label_stays_with_zero_shot(weights, topics):
    frame = topics[topics.topic != "food"].reset_index(drop=True)
    result = hs.zero_shot(CLASSES, frame)
    assert isinstance(result, ZeroShotResult)
    assert any("there are no labels of 'food'" in str(d) for d in result.decisions)
    assert result.score.n == 48
    assert result.predict(["a bowl of soup with bread"]).tolist() == ["food"]


def test_one_label_in_all_measures_what_it_can(weights, topics):
    result = hs.zero_shot(CLASSES, some_labels(topics, 1))
    assert isinstance(result, ZeroShotResult)
    assert result.score.n == 1


def test_too_few_labels_to_train_are_said(weights, topics):
    one_each = topics.drop_duplicates("topic").reset_index(drop=True)
    result = hs.zero_shot(CLASSES, one_each)
    assert isinstance(result, ZeroShotResult)
    assert any("no trained candidate takes part" in str(d) for d in result.decisions)
    assert result.score.n == 3


def test_a_test_part_judges(weights, topics):
    frame, held = topics.iloc[:30].reset_index(drop=True), topics.iloc[30:].reset_index(drop=True)
    result = hs.zero_shot(CLASSES, frame, label="topic", test=held, strategy="zero-shot")
    assert result.score.n == 42


def test_five_hundred_classes(weights):
    names = [f"topic number {i}" for i in range(500)]
    result = hs.zero_shot(names, templates=["{}"])
    assert result.predict_proba(["topic number 7"]).shape == (1, 500)
    assert result.predict(["topic number 7"]).tolist() == ["topic number 7"]


def test_attributes_need_labels_and_then_reach_further(weights, topics, tmp_path):
    table = pd.DataFrame(
        {"class": ["animal", "food", "vehicle"], "alive": [1, 0, 0], "moves": [1, 0, 1]}
    )
    with pytest.raises(DataError, match="attributes say nothing without labels"):
        hs.zero_shot(table)
    with pytest.raises(DataError, match="attributes say nothing without labels"):
        hs.zero_shot(table, list(topics.text))
    some = topics[topics.topic != "food"].reset_index(drop=True)
    result = hs.zero_shot(table, some)
    assert result.chosen.strategy == "eszsl"
    assert result.score.n == 48
    loaded = hs.load(result.save(tmp_path / "model"))
    assert loaded.classes == ("animal", "food", "vehicle")
    assert np.array_equal(loaded.predict(list(some.text)), result.predict(list(some.text)))
    few = some.drop_duplicates("topic").reset_index(drop=True)
    assert not hs.zero_shot(table, few).measured
    held = hs.zero_shot(table, some.iloc[:30].reset_index(drop=True), label="topic",
                        test=some.iloc[30:].reset_index(drop=True))  # fmt: skip
    assert held.score.n == 18


def test_conse_is_the_default_for_images(weights, tmp_path):
    result = hs.zero_shot("a cat, a palace, an espresso", modality="image")
    assert (result.chosen.source, result.chosen.strategy) == ("efficientnet-lite0", "conse")
    samples.pictures(tmp_path / "pictures", 2)
    loaded = hs.load(result.save(tmp_path / "model"))
    items = sorted((tmp_path / "pictures").rglob("*.png"))
    assert loaded.predict_proba(items).tobytes() == result.predict_proba(items).tobytes()
    again = hs.zero_shot("a cat, a palace, an espresso", tmp_path / "pictures")
    assert any("has no directions" in str(decision) for decision in again.decisions)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"classes": "food"}, DataError, "at least two classes"),
        ({"classes": "food, food"}, DataError, "given twice"),
        ({"classes": "none.csv"}, DataError, "no such file"),
        ({"classes": CLASSES, "modality": "table"}, OptionError, "cannot be known by their names"),
        ({"classes": CLASSES, "max_risk": 0.05}, OptionError, "no risk can be promised"),
        ({"classes": CLASSES, "templates": ["x"]}, OptionError, "place for the class"),
        ({"classes": CLASSES, "modality": "image", "source": "minilm"}, OptionError, "text data"),
        ({"classes": CLASSES, "source": "efficientnet-lite0"}, OptionError, "image data"),
        ({"classes": {"a": [1], "b": [2]}, "modality": "table"}, OptionError, "no pretrained"),
    ],
)
def test_what_cannot_be_is_refused(given, error, message, weights):
    with pytest.raises(error, match=message):
        hs.zero_shot(**given)


def test_options_that_fit_does_not_have_are_refused(weights):
    with pytest.raises(UnknownNameError, match="budgt"):
        hs.zero_shot("refund, card lost", budgt="10s")
    with pytest.raises(OptionError, match="at least 1"):
        hs.zero_shot("refund, card lost", shots=-3)


def test_shots_are_not_used_where_nothing_learns(weights, topics):
    result = hs.zero_shot(["animal", "food", "vehicle"], topics, strategy="zero-shot", shots=1)
    assert any("--shots is not used" in str(one) for one in result.decisions)


def test_what_is_known_of_the_classes_stays_where_nothing_is_held_out(weights, topics):
    result = hs.fit(topics, classes=["animal", "food", "vehicle"], shots=1, curve=False)
    assert result.chosen.strategy == "zero-shot"


def test_a_strategy_by_classes_must_be_told_of_them(weights, topics):
    with pytest.raises(OptionError, match="must be told of the classes"):
        hs.fit(topics, strategy="zero-shot")


def test_names_of_classes_may_be_numbers(weights):
    words = {"0": "cat dog horse", "0.5": "bread soup cheese"}
    rows = [
        (f"a {word} here", float(name)) for name, line in words.items() for word in line.split()
    ]
    frame = pd.DataFrame(rows * 2, columns=["text", "label"])
    result = hs.zero_shot({"0": "an animal", "0.5": "food"}, frame, curve=False)
    assert set(result.task.classes) == {"0", "0.5"}


def test_very_much_said_of_the_classes_is_kept_as_its_hash(weights, tmp_path):
    told = {"one": "first " * 10_000, "two": "second " * 10_000}
    result = hs.zero_shot(told)
    kept = hs.load(result.save(tmp_path / "model")).info["extra"]["zero_shot"]
    assert kept["classes"] == 2
    assert len(kept["sha256"]) == 64
