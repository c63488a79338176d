"""Recordings with transcripts: tables, folders, speakers, and every kind of damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from tests.tiny_whisper import spoken

from headstart.core.errors import DataError, OptionError, UnknownNameError, UnreadableError
from headstart.sequences import Reading, kind_of

KIND = kind_of("speech-to-text")


def table(folder: Path, rows: list[dict[str, object]], name: str = "data.csv") -> Path:
    path = folder / name
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def rows(files: list[Path], texts: list[str], **more: list[str]) -> list[dict[str, object]]:
    found = [
        {"audio": file.name, "transcript": text} for file, text in zip(files, texts, strict=True)
    ]
    for name, values in more.items():
        for row, value in zip(found, values, strict=True):
            row[name] = value
    return found


def reasons(reading: Reading) -> dict[str, str]:
    return {one.item: one.reason for one in reading.skipped}


def test_a_table_of_paths_and_transcripts(tmp_path: Path) -> None:
    texts = ["mano", "tela", "oro"]
    files = spoken(tmp_path, texts)
    reading = KIND.read(table(tmp_path, rows(files, texts)))
    assert reading.train.inputs == tuple(map(str, files))
    assert reading.train.targets == ("mano", "tela", "oro")
    assert (reading.label_name, dict(reading.columns)) == (
        "transcript",
        {"recordings": "audio", "transcripts": "transcript"},
    )
    assert (reading.train.grouped, reading.test) == (False, None)
    again = KIND.read(table(tmp_path, rows(files, ["mano", "tela", "altro"])))
    assert len(reading.fingerprint) == 64
    assert again.fingerprint != reading.fingerprint


def test_speakers_are_found_and_held_together_and_said(tmp_path: Path) -> None:
    texts = ["mano", "tela", "oro", "ubi"]
    files = spoken(tmp_path, texts)
    own = rows(files, texts, client_id=["a", "b", "a", "b"])
    reading = KIND.read(table(tmp_path, own))
    assert reading.train.grouped
    assert reading.train.groups[0] == reading.train.groups[2] != reading.train.groups[1]
    said = [one for one in reading.decisions if "held together" in one.what]
    assert "'client_id'" in said[0].what
    assert "--group" in said[0].override
    lone = KIND.read(table(tmp_path, rows(files, texts, speaker=["a"] * 4)))
    assert (lone.train.grouped, len(set(lone.train.groups))) == (False, 4)
    assert any("one speaker only" in one.why for one in lone.decisions)
    with pytest.raises(UnknownNameError, match="room"):
        KIND.read(table(tmp_path, own), group="room")


def test_copies_of_a_sound_are_of_one_group(tmp_path: Path) -> None:
    files = spoken(tmp_path, ["mano", "tela"])
    samples, rate = sf.read(files[0])
    sf.write(tmp_path / "copy.flac", samples, rate)
    texts = ["mano", "tela", "mano"]
    reading = KIND.read(table(tmp_path, rows([*files, tmp_path / "copy.flac"], texts)))
    groups = reading.train.groups
    assert groups[0] == groups[2] != groups[1]


def test_a_test_part_with_the_same_columns_and_no_copy_of_it_in_training(tmp_path: Path) -> None:
    texts = ["mano", "tela", "oro"]
    files = spoken(tmp_path, texts)
    train = table(tmp_path, rows(files, texts))
    test = table(tmp_path, rows(files[2:], texts[2:]), "test.csv")
    reading = KIND.read(train, test=test)
    assert reading.test is not None
    assert (reading.train.targets, reading.test.targets) == (("mano", "tela"), ("oro",))


def test_what_cannot_be_used_is_named_with_its_row(tmp_path: Path) -> None:
    files = spoken(tmp_path, ["mano"] * 3)
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "empty.wav").write_bytes(b"")
    sf.write(tmp_path / "nan.wav", np.full(800, np.nan, np.float32), 8000, subtype="FLOAT")
    names = [*files, *(tmp_path / name for name in ("text.wav", "empty.wav", "nan.wav", "no.wav"))]
    path = table(tmp_path, rows(names, ["mano"] * 7))
    found = reasons(KIND.read(path, allow_unreadable=0.6))
    assert set(found) == {"text.wav", "empty.wav", "nan.wav", "no.wav"}
    assert found["no.wav"] == "the file does not exist"
    with pytest.raises(UnreadableError, match=r"4 of 7 recordings cannot be read.*text\.wav"):
        KIND.read(path)


def test_missing_transcripts_are_left_out_or_refused(tmp_path: Path) -> None:
    files = spoken(tmp_path, ["mano", "tela", "oro"])
    path = table(tmp_path, rows(files, ["mano", "", "oro"]))
    with pytest.raises(UnreadableError, match="1 of 3 recordings have no transcript") as caught:
        KIND.read(path)
    assert "--allow-unreadable 0.34" in str(caught.value)
    reading = KIND.read(path, allow_unreadable=0.34)
    assert reasons(reading) == {"1.wav": "no transcript"}
    assert reading.train.n == 2
    with pytest.raises(DataError, match="no recording is left"):
        KIND.read(table(tmp_path, rows(files, ["", "", ""])), allow_unreadable=1.0)


def test_a_folder_of_sounds_with_texts_beside_them(tmp_path: Path) -> None:
    for part, texts in (("train", ["mano", "tela"]), ("test", ["oro"])):
        for file, text in zip(spoken(tmp_path / part, texts), texts, strict=True):
            file.with_suffix(".txt").write_text(f"{text}\n")
    reading = KIND.read(tmp_path)
    assert reading.test is not None
    assert (reading.train.targets, reading.test.targets) == (("mano", "tela"), ("oro",))
    assert reading.train.ids == ("0.wav", "1.wav")
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="no recording was found"):
        KIND.read(tmp_path / "bare")


def test_the_layout_of_librispeech_and_a_listed_folder(tmp_path: Path) -> None:
    files = spoken(tmp_path / "a", ["mano", "tela"])
    for file, name in zip(files, ("19-198-0000.wav", "26-495-0000.wav"), strict=True):
        file.rename(file.with_name(name))
    (tmp_path / "a" / "19-198.trans.txt").write_text("19-198-0000 MANO\n26-495-0000 TELA\n")
    reading = KIND.read(tmp_path / "a")
    assert (reading.train.targets, reading.train.grouped) == (("MANO", "TELA"), True)
    listed = spoken(tmp_path / "b", ["oro", "ubi"])
    (tmp_path / "b" / "metadata.csv").write_text(
        "file_name,transcription\n" + "".join(f"{one.name},{one.stem}\n" for one in listed)
    )
    assert KIND.read(tmp_path / "b").train.targets == ("0", "1")


def test_what_is_neither_table_nor_folder_is_refused(tmp_path: Path) -> None:
    [file] = spoken(tmp_path, ["mano"])
    with pytest.raises(DataError, match="come in a table or as texts"):
        KIND.read(file)
    with pytest.raises(OptionError, match="--text"):
        KIND.read(tmp_path, text="words")


def test_long_recordings_are_not_said_to_be_heard_in_part(tmp_path: Path) -> None:
    long = np.random.default_rng(0).normal(size=70 * 1000).astype(np.float32) / 10
    files = spoken(tmp_path, ["mano"])
    sf.write(tmp_path / "long.wav", long, 1000)
    reading = KIND.read(table(tmp_path, rows([*files, tmp_path / "long.wav"], ["a", "b"])))
    assert not any("evenly spread" in str(one) for one in reading.decisions)


def test_inputs_of_predict(tmp_path: Path) -> None:
    files = spoken(tmp_path, ["mano", "tela"])
    (tmp_path / "text.wav").write_text("hello")
    found, ids, skipped = KIND.read_inputs([str(tmp_path)])
    assert found == tuple(map(str, files))
    assert len(ids) == 2
    assert [Path(one.item).name for one in skipped] == ["text.wav"]
    path = table(tmp_path, rows(files, ["x", "y"]))
    columns = {"recordings": "audio", "transcripts": "transcript"}
    assert KIND.read_inputs([str(path)], columns=columns)[0] == tuple(map(str, files))
