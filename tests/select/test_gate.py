"""The gate: what is tuned, with how many labels, in how much time, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from headstart import select
from headstart.core.errors import OptionError
from headstart.core.types import Task
from headstart.select import Entry, gate

PROBE, TUNED = Entry("probe", "minilm"), Entry("lp-ft", "minilm")


def plan_of(*entries: Entry) -> select.Plan:
    return select.Plan(entries, True, ())


def task_of(each: int, modality: str = "text", kind: str = "classification") -> Task:
    labels = np.array([name for name in "ab" for _ in range(each)], dtype=object)
    if kind == "regression":
        labels = np.arange(2.0 * each)
    n = len(labels)
    return Task(modality, kind, ["x"] * n, labels, ("i",) * n, np.arange(n), ("a", "b"))


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, 120), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("45", 45), (30, 30), (2.5, 2.5)],
)
def test_lengths_of_time(given, seconds):
    assert select.seconds_of(given) == seconds


@pytest.mark.parametrize("bad", ["", "soon", "-3m", "0", "10 minutes", "1d", 0])
def test_what_is_no_length_of_time_is_refused(bad):
    with pytest.raises(OptionError, match="not a length of time"):
        select.seconds_of(bad)


@pytest.mark.parametrize(
    ("modality", "each", "kept"),
    [("text", 29, False), ("text", 30, True), ("image", 9, False), ("image", 10, True)],
)
def test_too_few_labels_leave_tuning_out(modality, each, kept):
    found = select.enough_labels(plan_of(PROBE, TUNED), task_of(each, modality), named=False)
    assert (TUNED in found.transfers) == kept
    assert PROBE in found.transfers
    assert bool(found.decisions) != kept
    if not kept:
        assert f"{each} labels a class" in found.decisions[0].why
        assert "--strategy lp-ft" in found.decisions[0].override


@pytest.mark.parametrize(
    ("each", "kept"),
    [(9, ()), (10, ()), (499, ("lp-ft",)), (500, ("lp-ft",))],
)
def test_few_texts_in_all_are_not_tuned_on(each, kept):
    both = plan_of(PROBE, Entry("finetune", "minilm"), TUNED)
    found = select.enough_labels(both, task_of(each), named=False)
    assert tuple(entry.strategy for entry in found.transfers) == ("probe", *kept)


@pytest.mark.parametrize(
    ("each", "kept", "why"),
    [
        (1, False, "1 labels a class, below 2"),
        (3, False, "6 labels, below 8"),
        (4, True, ""),
        (31, True, ""),
        (32, False, "from 32 on lp-ft wins"),
    ],
)
def test_contrastive_tuning_takes_part_with_few_labels(each, kept, why):
    close = Entry("contrastive", "minilm")
    found = select.enough_labels(plan_of(PROBE, close), task_of(each), named=False)
    assert (close in found.transfers) == kept
    assert why in " ".join(map(str, found.decisions))


def test_ten_to_thirty_labels_of_many_classes_are_tuned_from_a_fresh_head():
    labels = np.repeat(np.arange(100).astype(str), 12).astype(object)
    n = len(labels)
    task = Task("text", "classification", ["x"] * n, labels, ("i",) * n, np.arange(n))
    both = plan_of(PROBE, Entry("finetune", "minilm"), TUNED)
    found = select.enough_labels(both, task, named=False)
    assert [entry.strategy for entry in found.transfers] == ["probe", "finetune"]
    assert "12 labels a class, below 30" in found.decisions[0].why
    many = select.enough_labels(both, task_of(40), named=False)
    assert "from 30 on lp-ft wins" in many.decisions[0].why


def test_numbers_need_two_hundred_labels():
    both = plan_of(PROBE, Entry("finetune", "minilm"), TUNED)
    found = select.enough_labels(both, task_of(100, kind="regression"), named=False)
    assert found.transfers == (PROBE, TUNED)
    few = select.enough_labels(plan_of(PROBE, TUNED), task_of(99, kind="regression"), named=False)
    many = select.enough_labels(plan_of(PROBE, TUNED), task_of(100, kind="regression"), named=False)
    assert few.transfers == (PROBE,)
    assert "198 labels" in few.decisions[0].why
    assert many.transfers == (PROBE, TUNED)


def test_a_named_strategy_stays_whatever_it_takes():
    named = select.enough_labels(plan_of(TUNED), task_of(2), named=True)
    assert named.transfers == (TUNED,)


def test_each_strategy_that_is_left_out_is_said_once():
    other = Entry("lp-ft", "e5-small")
    found = select.enough_labels(plan_of(PROBE, TUNED, other), task_of(2), named=False)
    assert found.transfers == (PROBE,)
    assert len(found.decisions) == 1


@pytest.mark.parametrize(("seconds", "minutes"), [(0.1, 1), (60, 1), (61, 2), (600, 10)])
def test_minutes_that_are_enough(seconds, minutes):
    assert gate.round_up(seconds) == minutes


@pytest.mark.parametrize(("n", "folds"), [(40, 5), (99, 5), (100, 2), (499, 2), (500, 1)])
def test_the_longer_it_takes_the_fewer_folds_choose(n, folds):
    assert gate.fewer_folds(n, 5) == folds
    assert gate.fewer_folds(n, 1) == 1
