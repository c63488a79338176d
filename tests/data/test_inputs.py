"""`read_inputs`: whatever `predict` is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headstart.core.errors import AmbiguousDataError, DataError, OptionError
from headstart.data import column_types, read, read_inputs


class Heard:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, stage: str, done: int, total: int | None, unit: str = "items") -> None:
        assert total is None or done <= total


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((40, 40, 3), 99, dtype=np.uint8)).save(path)
    return path


def test_literal_texts() -> None:
    items, ids, skipped = read_inputs(["it is fine.", "", "a.b.c?", "two\nlines"], modality="text")
    assert items == list(ids) == ["it is fine.", "a.b.c?", "two\nlines"]
    assert [entry.reason for entry in skipped] == ["empty text"]
    assert read_inputs("x" * 9000, modality="text")[0] == ["x" * 9000]
    assert read_inputs("see data.csv for more", modality="text")[0] == ["see data.csv for more"]


def test_text_files(tmp_path: Path) -> None:
    lines = tmp_path / "a.txt"
    lines.write_text("first line\n\nthird line\n")
    items, ids, skipped = read_inputs(str(lines), modality="text")
    assert (items, ids) == (["first line", "third line"], ("line 1", "line 3"))
    assert [(s.item, s.reason) for s in skipped] == [("line 2", "empty text")]
    table = tmp_path / "b.csv"
    table.write_text("text,label\nhello there,x\n,y\n")
    items, ids, skipped = read_inputs([lines, table], modality="text", text="text", label="label")
    assert items == ["first line", "third line", "hello there"]
    assert ids == (f"{lines} line 1", f"{lines} line 3", f"{table} row 1")
    assert skipped[-1].item == f"{table} row 2"


@pytest.mark.parametrize("content", ["body\na b c d\n", "text,intent\na b c d,x\n"])
def test_the_only_column_is_the_text_whatever_its_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "b.csv"
    path.write_text(content)
    assert read_inputs(path, modality="text", text=None, label="intent")[0] == ["a b c d"]
    if "," not in content:
        assert read_inputs(path, modality="text", text="text")[0] == ["a b c d"]


def test_text_column_that_cannot_be_found(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text(
        "a,b\nthe first text,the other text\nmore of it again,once more of it\nx y z,u v w\n"
    )
    with pytest.raises(DataError, match="no column 'text'"):
        read_inputs(path, modality="text", text="text")
    with pytest.raises(AmbiguousDataError, match="--text a"):
        read_inputs(path, modality="text")
    path.write_text("label\nx\ny\n")
    with pytest.raises(DataError, match="no column holds the texts"):
        read_inputs(path, modality="text", label="label")


@pytest.mark.parametrize(
    ("given", "modality", "message"),
    [
        ("none.csv", "text", "no such file"),
        ("none.txt", "text", "no such file"),
        (Path("none"), "text", "no such file"),
        (3, "text", "expected a text"),
        ("none.png", "image", "no such file or folder"),
        ("none.csv", "image", "no such file"),
        ("x", "audio", "no such file or folder"),
    ],
)
def test_inputs_that_do_not_exist(given: object, modality: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_inputs([given], modality=modality)  # type: ignore[arg-type]


def test_images(tmp_path: Path) -> None:
    one = picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "a" / "b" / "2.png")
    (tmp_path / "a" / "notes.md").write_text("x")
    (tmp_path / "a" / "3.jpg").write_bytes(b"broken")
    items, ids, skipped = read_inputs([str(one), tmp_path / "a"], modality="image")
    assert items == [one, one, tmp_path / "a" / "b" / "2.png"]
    assert ids[0] == str(one)
    assert {Path(s.item).name for s in skipped} == {"notes.md", "3.jpg"}
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    assert len(read_inputs([pixels, pixels], modality="image")[0]) == 2
    (tmp_path / "list.csv").write_text("file\na/1.png\na/none.png\n")
    items, ids, skipped = read_inputs(tmp_path / "list.csv", modality="image", path="file")
    assert items == [one]
    assert ids == ("a/1.png",)
    assert skipped[0].reason == "the file does not exist"


def test_folders_of_nothing_useful(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image was found"):
        read_inputs(tmp_path, modality="image")
    with pytest.raises(DataError, match="reads no folder"):
        read_inputs(str(tmp_path), modality="text")
    with pytest.raises(DataError, match="reads tables"):
        read_inputs(str(tmp_path), modality="table", columns=["x"])


def test_tables_are_read_as_in_training(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{i * 0.5},{'12'[i % 2]}x,{'ab'[i % 2]}\n" for i in range(8)]
    path.write_text("size,code,label\n" + "".join(rows))
    task = read(path, duplicates=False)
    types = column_types(task.items)
    assert types == {"size": "number", "code": "category"}
    new = tmp_path / "new.csv"
    new.write_text("code,extra,size\n7,z,1.5\n8,z,\n")
    heard = Heard()
    items, ids, skipped = read_inputs(new, modality="table", columns=types, reporter=heard)
    assert list(items.columns) == ["size", "code"]
    assert items["code"].tolist() == ["7", "8"]
    assert items["size"].dtype == np.float64
    assert ids == ("row 1", "row 2")
    assert skipped == ()
    assert "columns not used: 'extra'" in heard.lines[0]
    by_name = read_inputs(new, modality="table", columns=["size", "code"])[0]
    assert by_name["code"].tolist() == [7.0, 8.0]
    both = read_inputs([new, new], modality="table", columns=types)
    assert both[1][2] == f"{new} row 1"
    assert len(both[0]) == 4
    frame = pd.DataFrame({"size": [1.0], "code": ["1x"]})
    assert read_inputs(frame, modality="table", columns=types)[0]["code"].tolist() == ["1x"]


def test_tables_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("size\n1.5\nwide\n")
    with pytest.raises(DataError, match="columns are missing: 'code', 'x'"):
        read_inputs(path, modality="table", columns=["size", "code", "x"])
    with pytest.raises(DataError, match=r"row 2: column 'size' held a number"):
        read_inputs(path, modality="table", columns={"size": "number"})
    with pytest.raises(OptionError, match="needs the training columns"):
        read_inputs(path, modality="table")
    with pytest.raises(OptionError, match="no input"):
        read_inputs([], modality="text")
