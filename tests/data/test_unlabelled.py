"""Rows without a label: not learnt from, kept as the pool of what to label next."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headstart.core.errors import DataError
from headstart.data import read

TEXTS = ["good film", "bad film", "fine play", "dull play", "an odd one", "who knows", "good play"]
LABELS = ["y", "n", "y", "n", None, "", "y"]


def test_texts_without_a_label_are_the_pool():
    task = read(pd.DataFrame({"text": TEXTS, "label": LABELS}))
    assert task.n == 5
    pool = task.unlabelled
    assert (pool.items, pool.ids) == (["an odd one", "who knows"], ("row 5", "row 6"))
    assert (pool.labels, pool.classes, pool.modality) == (None, ("n", "y"), "text")
    assert [s.reason for s in task.skipped] == ["no label"] * 2
    assert any("2 items have no label" in str(one) for one in task.decisions)
    assert task.take([0, 1]).unlabelled is None


def test_without_such_rows_there_is_no_pool():
    full = pd.DataFrame({"text": TEXTS[:4], "label": LABELS[:4]})
    assert read(full).unlabelled is None
    assert read(full.drop(columns="label"), labelled=False).unlabelled is None
    with pytest.raises(DataError, match="no item is left"):
        read(TEXTS, label=[None] * 7)


def test_rows_of_a_table_keep_the_types_of_the_columns():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=40).round(3),
            "town": rng.choice(["Ulm", "Bonn"], 40),
            "label": ["a", "b"] * 20,
        }
    )
    frame.loc[[3, 9], "label"] = np.nan
    task = read(frame)
    assert list(task.unlabelled.items.columns) == list(task.items.columns)
    assert task.unlabelled.items.dtypes.tolist() == task.items.dtypes.tolist()
    assert task.unlabelled.ids == ("row 4", "row 10")


def test_numbers_have_a_pool():
    frame = pd.DataFrame({"text": [f"text {i}" for i in range(20)], "price": np.arange(20) + 0.5})
    frame.loc[7, "price"] = np.nan
    task = read(frame, text="text", label="price")
    assert task.kind == "regression"
    assert task.unlabelled.ids == ("row 8",)


def test_images_that_cannot_be_read_are_not_in_the_pool(tmp_path):
    rows = []
    for i in range(8):
        Image.new("RGB", (8, 8), (30 * i, 0, 9)).save(tmp_path / f"{i}.png")
        rows.append((f"{i}.png", "ab"[i % 2] if i < 5 else None))
    (tmp_path / "6.png").write_bytes(b"no picture")
    pd.DataFrame(rows, columns=["file", "label"]).to_csv(tmp_path / "all.csv", index=False)
    task = read(tmp_path / "all.csv", path="file", label="label", duplicates=False)
    assert [item.name for item in task.unlabelled.items] == ["5.png", "7.png"]
    (tmp_path / "5.png").write_bytes(b"no picture")
    (tmp_path / "7.png").write_bytes(b"no picture")
    left = read(tmp_path / "all.csv", path="file", label="label", duplicates=False)
    assert left.unlabelled is None
