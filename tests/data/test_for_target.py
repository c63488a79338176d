"""Reading the target of a transfer: labels for all of it, some, or none, wherever they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headstart.core.errors import DataError
from headstart.core.types import Task
from headstart.data import read, read_target

TEXTS = ["good film", "fine film", "bad film", "poor film", "great play", "awful play"]
LABELS = ["y", "y", "n", "n", "y", "n"]


@pytest.fixture
def source(tmp_path: Path) -> Task:
    path = tmp_path / "source.csv"
    pd.DataFrame({"text": TEXTS, "mood": LABELS}).to_csv(path, index=False)
    return read(path, label="mood")


def table(tmp_path: Path, **columns: list[object]) -> Path:
    path = tmp_path / "target.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def test_a_column_of_labels_of_which_some_are_empty(tmp_path: Path, source: Task) -> None:
    path = table(tmp_path, text=["one", "two", "three"], mood=["y", None, "n"])
    target = read_target(str(path), source)
    by_text = dict(zip(target.task.items, target.labels, strict=True))
    assert by_text == {"one": "y", "two": None, "three": "n"}
    assert sorted(np.array(target.task.ids)[target.known]) == ["row 1", "row 3"]
    assert not target.task.skipped


@pytest.mark.parametrize("column", ["mood", "other"])
def test_no_labels_at_all(tmp_path: Path, source: Task, column: str) -> None:
    path = table(tmp_path, text=["one a", "two b", "three c"], **{column: [None, None, None]})
    target = read_target(path, source, text="text")
    assert target.task.items == ["one a", "two b", "three c"]
    assert not len(target.known)
    assert target.task.classes == ("n", "y")


@pytest.mark.parametrize("name", ["2", "row 2", "two"])
def test_labels_come_by_row_or_by_text(tmp_path: Path, source: Task, name: str) -> None:
    path = table(tmp_path, text=["one", "two", "three"])
    labels = tmp_path / "labels.csv"
    pd.DataFrame({"item": [name, "3"], "label": ["n", None]}).to_csv(labels, index=False)
    for given in (labels, {name: "n"}, pd.DataFrame({"item": [name], "label": ["n"]})):
        target = read_target(path, source, text="text", labels=given)
        assert target.labels.tolist() == [None, "n", None]
    assert "1 labels of the target" in str(target.decisions[-1])


def test_labels_given_apart_replace_those_in_the_data_and_that_is_said(
    tmp_path: Path, source: Task
) -> None:
    path = table(tmp_path, text=["one", "two"], mood=["y", "n"])
    target = read_target(path, source, labels={"1": "n", "2": "n"})
    assert target.labels.tolist() == ["n", "n"]
    assert "1 labels of the target are replaced" in str(target.decisions[-1])


def test_labels_of_items_that_are_not_there_name_the_row(tmp_path: Path, source: Task) -> None:
    path = table(tmp_path, text=["one", "two"])
    labels = tmp_path / "labels.csv"
    pd.DataFrame({"item": ["1", "9"], "label": ["n", "y"]}).to_csv(labels, index=False)
    with pytest.raises(DataError, match=r"labels.csv, row 2.*does not have.*'9'"):
        read_target(path, source, text="text", labels=labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"1": None}, "no label"),
        (pd.DataFrame({"a": [1], "b": [2], "c": [3]}), "two columns"),
        ("nowhere.csv", "no such file"),
        ({"1": "maybe"}, "row 1: a class that the source has not .got 'maybe'"),
        ({"1": "Y"}, "Did you mean 'y'"),
        (pd.DataFrame({"a": [1, 1], "b": ["y", "n"]}), "row 2: two labels for one item"),
    ],
)
def test_labels_that_cannot_be_used(
    tmp_path: Path, source: Task, labels: object, message: str
) -> None:
    path = table(tmp_path, text=["one", "two"])
    with pytest.raises(DataError, match=message):
        read_target(path, source, text="text", labels=labels)


def test_foreign_classes_are_named_with_their_row(tmp_path: Path, source: Task) -> None:
    path = table(tmp_path, text=["one", "two"], mood=["y", "perhaps"])
    with pytest.raises(DataError, match=r"target.csv, row 2.*perhaps|'perhaps'"):
        read_target(path, source)


def pictures(folder: Path, names: list[str]) -> Path:
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / name)
    return folder


def test_folders_called_after_classes_are_labels_and_others_are_not(tmp_path: Path) -> None:
    source = read(pictures(tmp_path / "s", [f"{k}/{i}.png" for k in "ab" for i in range(3)]))
    labelled = read_target(pictures(tmp_path / "t", ["a/1.png", "b/2.png"]), source)
    assert sorted(labelled.labels) == ["a", "b"]
    plain = read_target(pictures(tmp_path / "u", ["1.png", "2.png"]), source)
    assert plain.labels.tolist() == [None, None]
    named = read_target(tmp_path / "u", source, labels={"2.png": "b"})
    assert [str(label) for label in named.labels] == ["None", "b"]


def test_a_target_with_a_test_part_is_refused(tmp_path: Path) -> None:
    source = read(pictures(tmp_path / "s", [f"{k}/{i}.png" for k in "ab" for i in range(3)]))
    names = [f"{part}/{k}/{i}.png" for part in ("train", "test") for k in "ab" for i in range(3)]
    both = pictures(tmp_path / "t", names)
    with pytest.raises(DataError, match="test part"):
        read_target(both, source)


def test_columns_of_a_table_are_kept_though_they_hold_one_value(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": range(8), "b": [1, 2] * 4, "label": ["x", "y"] * 4})
    source = read(frame, label="label", modality="table")
    target = read_target(
        pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [5, 5, 5], "label": ["x", None, "y"]}), source
    )
    assert list(target.task.items.columns) == ["a", "b"]
    assert target.task.items.loc[[0, 1, 2], "a"].tolist() == [1.0, 3.0, 2.0]
    assert target.labels.tolist() == ["x", "y", None]


def test_a_table_is_read_once(
    tmp_path: Path, source: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.data import tables

    path, seen = table(tmp_path, text=["one", "two"], mood=["y", None]), []
    unpacked = tables._unpacked
    monkeypatch.setattr(tables, "_unpacked", lambda path: seen.append(path) or unpacked(path))
    assert read_target(path, source, labels={"2": "n"}).labels.tolist() == ["y", "n"]
    assert seen == [path]


def test_a_first_line_that_looks_like_data_is_still_refused(tmp_path: Path) -> None:
    rows = pd.DataFrame({"a": [0.5, 1.5], "b": [2.5, 3.5]})
    ours = read(pd.concat([rows] * 4).assign(kind=["x", "y"] * 4), label="kind")
    path = tmp_path / "bare.csv"
    path.write_text("0.5,2.5\n1.5,3.5\n")
    with pytest.raises(DataError, match="looks like data"):
        read_target(path, ours)


def test_a_file_that_the_system_does_not_give_is_told(
    tmp_path: Path, source: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.data import tables

    def refused(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = table(tmp_path, text=["one", "two"])
    monkeypatch.setattr(tables, "_unpacked", refused)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        read_target(path, source)
