"""Two bundles on the same items: both scores, the paired difference, and what may mislead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_models import CLASSES, contents_of, items_of, known

from headstart import bundle
from headstart.core.errors import BundleError, DataError, OptionError
from headstart.core.types import Task
from headstart.evaluate import gain, labels_to_settle

SCRATCH = ("scratch", "classification", "text")
MAJORITY = ("majority", "classification", "text")
BY_TABLE = ("majority", "classification", "table")
OF_NUMBERS = ("majority", "regression", "text")


def loaded(case, **changes):
    contents = known(case) if not changes else replace(known(case), **changes)
    return bundle.in_memory(contents)


def a_task(n=12, seed=2, **changes):
    items = items_of("text", n, seed)
    labels = np.array([CLASSES[i % 2] for i in range(n)], dtype=object)
    return replace(
        Task("text", "classification", items, labels, tuple(map(str, range(n))), np.arange(n)),
        **changes,
    )


def test_a_comparison_is_the_two_evaluations_and_the_paired_gain(saved):
    one, other, task = bundle.load(saved), loaded(MAJORITY), a_task(30)
    found = one.compare(other, task, seed=3)
    assert {key: found[key] for key in one.evaluate(task, seed=3)} == one.evaluate(task, seed=3)
    against = dict(found["against"])
    assert against.pop("model") == "majority"
    assert against == other.evaluate(task, seed=3)
    direct = gain(
        "accuracy",
        task.labels,
        one.predictions(task.items),
        other.predictions(task.items),
        seed=3,
    )
    assert (found["gain"]["estimate"], found["gain"]["low"], found["gain"]["high"]) == (
        direct.estimate,
        direct.low,
        direct.high,
    )
    assert found["gain"]["baseline"] == "majority"
    assert found["gain"]["labels_to_settle"] == labels_to_settle(direct)
    back = other.compare(one, task, seed=3)["gain"]
    assert back["estimate"] == -direct.estimate
    assert back["baseline"] == str(saved)
    assert found["warnings"] == []


def test_groups_widen_the_difference():
    task = a_task(24)
    one, other = loaded(SCRATCH), loaded(MAJORITY)
    alone = one.compare(other, task)["gain"]
    grouped = one.compare(other, replace(task, groups=np.arange(24) // 8))["gain"]
    assert grouped["high"] - grouped["low"] > 1.2 * (alone["high"] - alone["low"])


def test_a_path_is_opened_and_has_to_be_a_model(saved, tmp_path):
    one, task = loaded(MAJORITY), a_task()
    assert one.compare(saved, task)["against"]["model"] == str(saved)
    with pytest.raises(BundleError, match="nothing"):
        one.compare(tmp_path / "nothing", task)


@pytest.mark.parametrize(
    ("other", "what"), [(BY_TABLE, "items.*'table'"), (OF_NUMBERS, "labels.*'regression'")]
)
def test_models_of_other_kinds_are_not_compared(other, what):
    with pytest.raises(OptionError, match=f"different kinds of {what}"):
        loaded(MAJORITY).compare(loaded(other), a_task())


def test_another_metric_is_told():
    found = loaded(MAJORITY).compare(loaded(MAJORITY, metric="macro_f1"), a_task())
    assert found["against"]["metric"] == "accuracy"
    assert found["warnings"] == [
        "majority was chosen by macro_f1; both are judged by accuracy here"
    ]


def fruits(names):
    """A majority model of these classes."""
    contents = contents_of(MAJORITY)
    meta = {**contents.state.meta}
    meta["classes"] = list(names) if "classes" in meta else names
    return bundle.in_memory(
        replace(contents, classes=names, state=replace(contents.state, meta=meta))
    )


def test_other_classes_are_told_where_all_labels_are_known_to_both():
    more = fruits(("birnen", "pflaumen", "q,uitten"))
    found = loaded(MAJORITY).compare(more, a_task())
    assert found["warnings"] == [
        "majority alone knows 1 class(es): äpfel",
        "majority alone knows 1 class(es): pflaumen",
    ]
    assert found["gain"]["verdict"] in ("none", "inconclusive", "positive", "negative")


def test_labels_that_one_of_the_two_does_not_know_are_refused():
    labels = np.array([CLASSES[2], CLASSES[0]] * 6, dtype=object)
    more = fruits(("birnen", "pflaumen", "q,uitten"))
    task = a_task(labels=labels)
    with pytest.raises(DataError, match=r"majority: 1 label\(s\) that the model does not know"):
        loaded(MAJORITY).compare(more, task)
    with pytest.raises(DataError, match="does not know"):
        more.compare(loaded(MAJORITY), task)


def test_the_data_of_the_training_flatter():
    one = loaded(MAJORITY, fingerprint="e" * 64)
    task = a_task(fingerprint="e" * 64)
    told = one.compare(loaded(SCRATCH), task)["warnings"]
    assert len(told) == 1
    assert told[0].startswith("these are the data that majority was fitted to")
    assert one.compare(loaded(SCRATCH), a_task(fingerprint="0" * 64))["warnings"] == []
    unknown = loaded(MAJORITY, fingerprint="")
    assert unknown.compare(loaded(SCRATCH), a_task())["warnings"] == []


def test_there_is_a_label_for_each_item():
    with pytest.raises(DataError, match="a label for each item"):
        loaded(MAJORITY).compare(loaded(SCRATCH), (["a", "b"], [CLASSES[0]]))
