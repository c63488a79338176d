"""Which column plays which role."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.sequences.columns import column, open_table

USUAL = ("transcript", "text")


def found(names: list[str], **more: object) -> str | None:
    table = open_table(pd.DataFrame({name: ["x"] for name in names}))
    assert table is not None
    return column(table, "transcripts", USUAL, option="--label", **more)[0]  # type: ignore[arg-type]


def test_the_named_column_that_of_training_or_a_usual_one() -> None:
    assert found(["text", "Transcript"]) == "Transcript"
    assert found(["text", "words"], named="words") == "words"
    assert found(["text", "words"], columns={"transcripts": "words"}) == "words"
    assert found(["text"], columns={"transcripts": "words"}) == "text"
    assert found(["text", "other"], taken=["text"], required=False) is None


def test_a_column_found_by_its_name_is_said() -> None:
    table = open_table(pd.DataFrame({"text": ["x"]}))
    assert table is not None
    _, decisions = column(table, "transcripts", USUAL, option="--label")
    assert "'text': transcripts" in str(decisions[0])
    assert "--label" in decisions[0].override


def test_a_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'text'"):
        found(["text"], named="texd")
    with pytest.raises(DataError, match="no column holds the transcripts"):
        found(["words"])


def test_cells_and_rows() -> None:
    table = open_table(pd.DataFrame({"text": ["x", " ", None, float("nan"), 3]}))
    assert table is not None
    assert table.cells("text") == ["x", None, None, None, 3]
    assert table.ids[-1] == "row 5"


def test_files_folders_and_what_is_neither(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("path,text\nb.wav,uno\n")
    table = open_table(str(file))
    assert table is not None
    assert table.folder == tmp_path
    assert open_table(tmp_path) is None
    with pytest.raises(DataError, match="no such file"):
        open_table(tmp_path / "b.csv")
    with pytest.raises(OptionError, match="read from a file"):
        open_table([1, 2])
