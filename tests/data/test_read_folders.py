"""Folders of images, and tables with a column of paths."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.core.errors import (
    AmbiguousDataError,
    DataError,
    OptionError,
    UnreadableError,
)
from headstart.core.types import Task
from headstart.data import read


def picture(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, size=(40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def tree(root: Path, names: list[str]) -> Path:
    for seed, name in enumerate(names):
        picture(root / name, seed)
    return root


PETS = [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(3)]


def said(task: Task) -> str:
    return "\n".join(map(str, task.decisions))


def test_a_sub_folder_a_class(tmp_path: Path) -> None:
    tree(tmp_path, [*PETS, "dog/deep/er/x.JPG"])
    for name in (".hidden.png", "cat/Thumbs.db", "cat/.DS_Store", "__MACOSX/cat/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"no image")
    (tmp_path / "cat" / "notes.txt").write_text("not a cat")
    (tmp_path / "readme.md").write_text("loose")
    task = read(tmp_path)
    assert (task.modality, task.kind, task.label_name) == ("image", "classification", "folder")
    assert task.classes == ("cat", "dog")
    assert task.labels is not None
    assert task.labels.tolist() == ["cat"] * 3 + ["dog"] * 4
    assert task.ids == (*PETS, "dog/deep/er/x.JPG")
    assert all(isinstance(item, Path) for item in task.items)
    assert {(s.item, s.reason) for s in task.skipped} == {
        ("cat/notes.txt", "not an image"),
        ("readme.md", "lies in no class folder"),
    }
    assert read(tmp_path).fingerprint == task.fingerprint


def test_train_and_test_inside_in_any_case(tmp_path: Path) -> None:
    names = [f"{part}/{name}" for part in ("Train", "TEST", "valid") for name in PETS]
    task = read(tree(tmp_path, names))
    assert task.test is not None
    assert (task.n, task.test.n) == (12, 6)
    assert task.ids[0] == "Train/cat/0.png"
    assert task.test.ids[0] == "TEST/cat/0.png"
    assert "Train/, valid/ are joined" in said(task)
    assert "TEST/ is the test part (6 items)" in said(task)
    with pytest.raises(OptionError, match="test part of its own"):
        read(tmp_path, test=tmp_path / "TEST")
    other = read(tmp_path / "Train", test=tmp_path / "TEST")
    assert other.test is not None
    assert other.test.labels is not None
    assert other.test.labels.tolist() == task.test.labels.tolist()  # type: ignore[union-attr]
    whole = read(tmp_path / "Train", test=tmp_path)
    assert whole.test is not None
    assert whole.test.ids == task.test.ids


def test_train_may_be_a_class_but_not_beside_test(tmp_path: Path) -> None:
    assert read(tree(tmp_path / "a", ["train/1.png", "train/2.png", "car/3.png"])).classes == (
        "car",
        "train",
    )
    with pytest.raises(AmbiguousDataError, match="beside other folders \\('masks'\\)"):
        read(tree(tmp_path / "b", ["train/x/1.png", "test/x/2.png", "masks/3.png"]))
    with pytest.raises(DataError, match="no test/"):
        read(tree(tmp_path / "c", PETS), test=tree(tmp_path / "d", ["train/cat/1.png"]))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "the folder is empty"),
        ({"1.png": b""}, "no sub-folder a class"),
        ({"train.csv": b"text,label\n"}, "Did you mean the table"),
        ({"train/1.png": b""}, "no sub-folder a class"),
        ({"train/1.png": b"", "test/2.png": b""}, "no sub-folder a class"),
        ({"a/x.txt": b"", "b/y.txt": b""}, "no image or recording was found"),
        ({"a/x.wav": b"", "b/y.wav": b""}, "2 of 2 recordings cannot be read.*the file is empty"),
        ({"a/x.wav": b"", "b/y.png": b""}, "1 images and 1 recordings"),
    ],
)
def test_folders_that_are_wrong(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_empty_class_folders_are_named(tmp_path: Path) -> None:
    tree(tmp_path, PETS)
    (tmp_path / "emu").mkdir()
    with pytest.raises(DataError, match="without any file: 'emu'"):
        read(tmp_path)
    (tmp_path / "emu" / "list.txt").write_text("x")
    with pytest.raises(DataError, match="without any image: 'emu'"):
        read(tmp_path)


def test_unreadable_images_are_listed_or_refused(tmp_path: Path) -> None:
    tree(tmp_path, [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(15)])
    (tmp_path / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    task = read(tmp_path)
    assert task.n == 30
    assert [entry.item for entry in task.skipped] == ["cat/broken.jpg"]
    whole = (tmp_path / "dog" / "3.png").read_bytes()
    (tmp_path / "dog" / "3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableError) as caught:
        read(tmp_path)
    assert "2 of 31 images" in str(caught.value)
    assert "dog/3.png" in str(caught.value)
    assert "--allow-unreadable 0.07" in str(caught.value)
    assert read(tmp_path, allow_unreadable=0.07).n == 29


def test_links_to_folders_are_listed_and_closed_folders_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, PETS)
    (tmp_path / "dog" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert [entry.item for entry in read(tmp_path).skipped] == ["dog/loop"]
    scan = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match="cat: cannot be read: Permission denied"):
        read(tmp_path)
    (tmp_path / "a.csv").write_text("text,label\nsome text here,x\n")
    monkeypatch.setattr(Path, "read_bytes", lambda self: closed("cat"))
    with pytest.raises(DataError, match="cannot be read"):
        read((["a b c", "d e f"], ["x", "y"]), test=tmp_path / "a.csv")


def test_folders_named_by_numbers_are_classes(tmp_path: Path) -> None:
    tree(tmp_path, [f"{1900 + 3 * year}/{i}.png" for year in range(25) for i in range(2)])
    task = read(tmp_path, duplicates=False)
    assert (task.kind, len(task.classes)) == ("classification", 25)
    assert read(tmp_path, duplicates=False, kind="regression").kind == "regression"


def test_groups_by_expression(tmp_path: Path) -> None:
    tree(tmp_path, ["cat/s1_a.png", "cat/s2_b.png", "dog/s1_c.png", "dog/other.png"])
    task = read(tmp_path, group=r"(s\d+)_")
    assert task.grouped
    assert task.groups.tolist() == [0, 1, 2, 0]  # ids sorted: s1_a, s2_b, other, s1_c
    assert "2 groups by --group among 4 items" in said(task)
    assert "1 paths do not match" in said(task)
    with pytest.raises(OptionError, match="not a regular expression"):
        read(tmp_path, group="(")
    with pytest.raises(OptionError, match=r"matches no file's path.*cat/s1_a.png"):
        read(tmp_path, group="patient")


@pytest.mark.parametrize("options", [{"label": "a"}, {"text": "a"}, {"label": ["a"]}])
def test_a_folder_has_no_columns(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="a folder has no columns"):
        read(tree(tmp_path, PETS), **options)  # type: ignore[arg-type]


def test_a_folder_holds_no_texts(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="a folder holds images"):
        read(tree(tmp_path, PETS), modality="text")


def test_unlabelled_folder(tmp_path: Path) -> None:
    task = read(tree(tmp_path, [*PETS, "top.png"]), labelled=False)
    assert task.n == 7
    assert task.labels is None


def test_a_table_of_paths(tmp_path: Path) -> None:
    tree(tmp_path / "img", PETS)
    rows = "".join(f"img/{name},{name[:3]}\n" for name in PETS)
    table = tmp_path / "list.csv"
    table.write_text("file,animal\n" + rows)
    task = read(table)
    assert (task.modality, task.label_name, task.classes) == ("image", "animal", ("cat", "dog"))
    assert task.ids[0] == "img/cat/0.png"
    assert task.items[0] == tmp_path / "img/cat/0.png"
    table.write_text("file,animal\n" + rows + "img/none.png,cat\n,dog\n")
    with pytest.raises(
        UnreadableError, match=r"2 of 8 images.*img/none.png: the file does not exist"
    ):
        read(table)
    task = read(table, allow_unreadable=0.25)
    assert [(s.item, s.reason) for s in task.skipped] == [
        ("img/none.png", "the file does not exist"), ("row 8", "no path"),
    ]  # fmt: skip
    table.write_text("file,animal\nx/a.wav,b\ny/b.wav,c\n")
    with pytest.raises(DataError, match="2 of 2 recordings cannot be read"):
        read(table)


def test_pictures_and_paths_in_memory(tmp_path: Path) -> None:
    tree(tmp_path, PETS)
    paths = [tmp_path / name for name in PETS]
    labels = [name[:3] for name in PETS]
    by_path = read(paths, label=labels)
    by_name = read([str(path) for path in paths], label=labels)
    assert by_path.modality == by_name.modality == "image"
    assert by_path.fingerprint == by_name.fingerprint
    opened = [Image.open(path) for path in paths]
    pictures = read(opened, label=labels)
    assert (pictures.modality, pictures.n) == ("image", 6)
    for image in opened:
        image.close()
