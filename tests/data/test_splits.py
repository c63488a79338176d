"""`split` and `shots`: every item judged once, no group astride, n labels a class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import DataError, OptionError
from headstart.core.types import Task
from headstart.data import shots, split


def task_of(
    labels: list[object], groups: list[int] | None = None, *, grouped: bool = False
) -> Task:
    n = len(labels)
    numeric = all(isinstance(label, float) for label in labels)
    array = np.array(labels, dtype=np.float64 if numeric else object)
    return Task(
        modality="text",
        kind="regression" if numeric else "classification",
        items=[str(i) for i in range(n)],
        labels=array,
        ids=tuple(f"row {i + 1}" for i in range(n)),
        groups=np.array(groups if groups is not None else range(n), dtype=np.int64),
        classes=() if numeric else tuple(sorted(set(map(str, labels)))),
        grouped=grouped,
    )


SOME = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 12)), min_size=6, max_size=60)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(SOME, st.integers(2, 7), st.integers(0, 5))
def test_test_parts_partition_and_groups_never_straddle(
    rows: list[tuple[str, int]], n_splits: int, seed: int
) -> None:
    rows = [*rows, ("a", 90), ("b", 91), ("a", 92), ("b", 93), ("a", 94), ("b", 95)]
    task = task_of([label for label, _ in rows], [group for _, group in rows])
    folds = split(task, n_splits=n_splits, seed=seed)
    assert 2 <= len(folds) <= n_splits
    judged = np.concatenate([test for _, test in folds])
    assert sorted(judged.tolist()) == list(range(task.n))
    for train, test in folds:
        assert len(test)
        assert sorted([*train, *test]) == list(range(task.n))
        assert not np.isin(task.groups[train], task.groups[test]).any()
    again = split(task, n_splits=n_splits, seed=seed)
    assert all((a[1] == b[1]).all() for a, b in zip(folds, again, strict=True))


@pytest.mark.parametrize("k", [2, 3, 5])
def test_classes_are_even_without_groups(k: int) -> None:
    task = task_of(["a"] * 50 + ["b"] * 23 + ["c"] * 7)
    for _, test in split(task, n_splits=k, seed=3):
        for name, size in (("a", 50), ("b", 23), ("c", 7)):
            count = sum(task.labels[test] == name)  # type: ignore[index]
            assert size // k <= count <= -(-size // k)
    assert split(task, n_splits=k, seed=3)[0][1].tolist() != split(task, n_splits=k)[0][1].tolist()


def test_large_groups_are_dealt_evenly() -> None:
    groups = [0] * 20 + [1] * 20 + [2] * 10 + [3] * 10 + list(range(4, 24))
    task = task_of(list("ab") * 40, groups, grouped=True)
    sizes = sorted(len(test) for _, test in split(task, n_splits=4))
    assert sizes == [20, 20, 20, 20]


def test_folds_are_lowered_to_the_median_class() -> None:
    assert len(split(task_of(list("aaabbbccc")), n_splits=5)) == 3
    assert len(split(task_of(["a"] * 9 + ["b"] * 9 + ["c"]), n_splits=5)) == 5
    assert len(split(task_of(list("aaabbb"), [0, 0, 1, 2, 3, 4]), n_splits=5)) == 2


def test_a_single_member_is_judged_once() -> None:
    folds = split(task_of([*"aaaaabbbbb", "c"]), n_splits=5)
    assert sum(10 in test for _, test in folds) == 1


def test_regression_folds_cover_the_range() -> None:
    task = task_of([float(i) for i in range(100)])
    for _, test in split(task, n_splits=5):
        assert len(test) == 20
        assert task.labels[test].min() < 15  # type: ignore[index]
        assert task.labels[test].max() > 84  # type: ignore[index]


@pytest.mark.parametrize(
    ("task", "n_splits", "error", "message"),
    [
        (task_of(list("aabb")), 1, OptionError, "2 folds"),
        (task_of(list("aabb"), [0] * 4), 5, DataError, "everything is one group"),
        (task_of(list("aabb"), [0, 0, 1, 1]), 2, DataError, "one class only to learn from"),
    ],
)
def test_splits_that_cannot_be(
    task: Task, n_splits: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        split(task, n_splits=n_splits)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SOME, st.integers(1, 6), st.booleans(), st.integers(0, 3))
def test_chosen_and_rest_share_no_group(
    rows: list[tuple[str, int]], n: int, grouped: bool, seed: int
) -> None:
    task = task_of([a for a, _ in rows], [g for _, g in rows], grouped=grouped)
    chosen, rest, decisions = shots(task, n, seed)
    labels = task.labels
    assert labels is not None
    for name in task.classes:
        assert sum(labels[chosen] == name) == min(n, sum(labels == name))
    assert not np.isin(task.groups[chosen], task.groups[rest]).any()
    left_out = set(range(task.n)) - set(chosen.tolist()) - set(rest.tolist())
    assert all(task.groups[i] in task.groups[chosen] for i in left_out)
    assert f"{len(rest)} other items are left to judge" in str(decisions[0])
    assert shots(task, n, seed)[0].tolist() == chosen.tolist()


def test_shots_are_distinct_items_where_duplicates_exist() -> None:
    task = task_of(["a"] * 10 + ["b"] * 10, [0] * 7 + [1, 2, 3] + list(range(4, 14)))
    for seed in range(5):
        chosen, _, _ = shots(task, 4, seed)
        assert len(set(task.groups[chosen].tolist())) == 8


def test_many_slides_leave_enough_to_judge() -> None:
    rng = np.random.default_rng(0)
    labels = [name for name in "abc" for _ in range(120)]
    task = task_of(labels, rng.integers(0, 100, size=360).tolist(), grouped=True)
    chosen, rest, decisions = shots(task, 10)
    assert len(chosen) == 30
    assert len(rest) > 200
    assert f"{360 - 30 - len(rest)} are in neither part" in str(decisions[0])


def test_shots_say_what_runs_short() -> None:
    task = task_of([*"aaaaaa", "b", "b"])
    chosen, rest, decisions = shots(task, 3)
    assert (len(chosen), len(rest)) == (5, 3)
    told = "\n".join(map(str, decisions))
    assert "1 classes have fewer than 3 items: 'b'" in told
    assert "1 classes have no item left to judge: 'b'" in told
    numbers, left, decisions = shots(task_of([float(i) for i in range(9)]), 20)
    assert (len(numbers), len(left)) == (9, 0)
    assert "only 9 labels exist" in str(decisions[1])
    assert len(shots(task_of([float(i) for i in range(9)]), 4)[0]) == 4


def test_shots_that_cannot_be() -> None:
    with pytest.raises(OptionError, match="at least 1 label"):
        shots(task_of(list("ab")), 0)
    task = task_of(list("ab"))
    bare = Task("text", "classification", task.items, None, task.ids, task.groups)
    with pytest.raises(DataError, match="need labels"):
        shots(bare, 1)
