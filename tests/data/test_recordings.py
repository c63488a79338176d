"""Recordings in folders, tables and lists are items; what is odd about them is said."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from PIL import Image
from tests.sounds import KINDS, folder, sound

from headstart.core.errors import DataError, UnreadableError
from headstart.data import audio, check, read, read_inputs
from headstart.data.recordings import said_of, seconds


def said(task) -> str:
    return "\n".join(map(str, task.decisions))


def test_folder_of_recordings_and_what_is_said_of_them(tmp_path):
    task = read(folder(tmp_path, 4))
    assert (task.modality, task.n, task.classes) == ("audio", 12, tuple(sorted(KINDS)))
    assert "modality is audio: 12 of 12 files are recordings" in said(task)
    assert "3 of 12 recordings are stereo: mixed down" in said(task)
    assert "6 at 16,000 Hz, 3 at 44,100 Hz, 3 at 8,000 Hz: resampled" in said(task)
    assert "recordings of 0." in said(task)
    assert task.fingerprint == read(tmp_path).fingerprint


def test_train_and_test_folders_and_repeats_in_another_format(tmp_path):
    folder(tmp_path / "train", 4)
    folder(tmp_path / "test", 2, first=50)
    samples, rate = sf.read(tmp_path / "test" / "hiss" / "1.flac", dtype="int16")
    sf.write(tmp_path / "train" / "hiss" / "copy.wav", samples, rate)
    task = read(tmp_path)
    assert task.test is not None
    assert (task.n, task.test.n) == (12, 6)
    assert [(one.item, one.reason) for one in task.skipped] == [
        ("train/hiss/copy.wav", "repeats the test item test/hiss/1.flac")
    ]


def test_each_recording_is_decoded_once(tmp_path, monkeypatch):
    folder(tmp_path / "train", 4)
    folder(tmp_path / "test", 2, first=50)
    copy = tmp_path / "train" / "hiss" / "copy.wav"
    samples, rate = sf.read(tmp_path / "train" / "hiss" / "1.flac", dtype="int16")
    sf.write(copy, samples, rate)
    (tmp_path / "train" / "hiss" / "0.broken.wav").write_bytes(b"no sound")
    opens: list[str] = []
    real = audio.opened
    monkeypatch.setattr(audio, "opened", lambda item: (opens.append(str(item)), real(item))[1])
    task = read(tmp_path, allow_unreadable=0.5)
    assert len(opens) == len(set(opens)) == 12 + 1 + 1 + 6
    pair = [task.ids.index(f"train/hiss/{name}") for name in ("1.flac", "copy.wav")]
    assert len(set(task.groups[pair])) == 1
    assert len(set(task.groups)) == task.n - 1


def test_table_of_paths_and_lists(tmp_path):
    folder(tmp_path / "sounds", 3)
    files = sorted((tmp_path / "sounds").rglob("*.*"))
    rows = [(str(file.relative_to(tmp_path)), file.parent.name) for file in files]
    pd.DataFrame(rows, columns=["clip", "word"]).to_csv(tmp_path / "clips.csv", index=False)
    task = read(tmp_path / "clips.csv", label="word")
    assert (task.modality, task.items[0]) == ("audio", files[0])
    words = [word for _, word in rows]
    assert read([str(file) for file in files], label=words).modality == "audio"
    memory = [(sound(kind, i), 16000) for kind in KINDS for i in range(3)]
    made = read(memory, label=np.repeat(KINDS, 3))
    assert "modality is audio: the items are arrays of samples, each with its rate" in said(made)
    assert "the items are sound files" in said(read(files, label=words))
    assert read(memory, label=np.repeat(KINDS, 3), modality="audio").n == 9
    held = [file.read_bytes() for file in files]
    assert read(held, label=words, modality="audio").modality == "audio"
    frame = pd.DataFrame({"clip": pd.Series(memory, dtype=object), "word": np.repeat(KINDS, 3)})
    assert read(frame, label="word").modality == "audio"


def test_hugging_face_sets_are_read_as_they_are_stored(tmp_path):
    files = sorted(folder(tmp_path, 2).rglob("*.*"))
    stored = [{"bytes": file.read_bytes(), "path": None} for file in files[:-1]]
    stored.append({"bytes": None, "path": str(files[-1])})

    class Audio:
        def __init__(self, decode=True):
            self.decode = decode

    class Stored(dict):
        features = {"clip": Audio(), "word": SimpleNamespace()}  # noqa: RUF012

        def to_pandas(self):
            raise AssertionError("this would decode")

        def cast_column(self, name, feature):
            assert not feature.decode
            return {name: stored}

    data = Stored(word=[file.parent.name for file in files])
    task = read(data, label="word")
    assert (task.modality, task.n) == ("audio", 6)


@pytest.mark.parametrize("data", [np.zeros((4, 900)), [np.zeros(900), np.zeros(800)], [[0.0] * 9]])
def test_samples_without_a_rate_are_refused(data):
    with pytest.raises(DataError, match="without its rate"):
        read(data, label=list("abab")[: len(data)], modality="audio")


def test_unreadable_recordings_are_left_out_or_too_many(tmp_path):
    folder(tmp_path, 4)
    (tmp_path / "hiss" / "text.wav").write_text("hello")
    (tmp_path / "hiss" / "notes.txt").write_text("hello")
    sf.write(tmp_path / "rise" / "zero.wav", np.zeros(0), 16000)
    with pytest.raises(UnreadableError, match="2 of 14 recordings cannot be read"):
        read(tmp_path)
    task = read(tmp_path, allow_unreadable=0.2)
    assert [(one.item, one.reason) for one in task.skipped] == [
        ("hiss/notes.txt", "not a recording"),
        ("hiss/text.wav", "this is not a sound file of a known format"),
        ("rise/zero.wav", "the recording holds no samples"),
    ]


def test_folders_without_recordings_of_a_class(tmp_path):
    folder(tmp_path, 2)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.txt").write_text("x")
    with pytest.raises(DataError, match="class folders without any recording: 'none'"):
        read(tmp_path)
    with pytest.raises(DataError, match="no image was found"):
        read(tmp_path, modality="image")


def test_bytes_of_images_are_images_and_others_recordings():
    drawn, files = [], []
    for i in range(8):
        picture, recording = io.BytesIO(), io.BytesIO()
        ending = ("PNG", "JPEG", "WEBP", "GIF")[i % 4]
        Image.new("RGB", (9 + i, 9), (20 * i, 0, 0)).save(picture, ending)
        sf.write(recording, sound("hiss", i), 16000, format="WAV")
        drawn.append(picture.getvalue())
        files.append(recording.getvalue())
    for items, modality in ((drawn, "image"), (files, "audio")):
        frame = pd.DataFrame({"item": items, "label": list("ab") * 4})
        assert read(frame, label="label").modality == modality


def test_check_names_odd_recordings(tmp_path):
    folder(tmp_path, 4)
    loud = np.clip(9 * sound("rise", 99), -1, 1)
    sf.write(tmp_path / "rise" / "loud.wav", loud, 16000)
    sf.write(tmp_path / "rise" / "over.wav", 3 * sound("rise", 95), 16000, subtype="FLOAT")
    sf.write(tmp_path / "hiss" / "nothing.wav", np.zeros(9000), 16000)
    sf.write(tmp_path / "hiss" / "short.wav", sound("hiss", 98)[:300], 16000)
    sf.write(tmp_path / "hiss" / "slow.wav", sound("hiss", 97, rate=4000), 4000)
    sf.write(tmp_path / "hiss" / "long.wav", sound("hiss", 96, rate=8000, seconds=99), 8000)
    task = read(tmp_path)
    assert "1 of 18 recordings is silent: kept, but nothing" in said(task)
    assert "1 of 18 recordings is clipped" in said(task)
    assert "1 of 18 recordings is longer than 60 s: heard in windows" in said(task)
    assert "1 of 18 recordings is louder than full scale: cut off at full scale" in said(task)
    found = {finding.kind: finding for finding in check(task).findings}
    assert found["loud-recordings"].items == ("rise/over.wav",)
    assert found["silent-recordings"].items == ("hiss/nothing.wav",)
    assert found["silent-recordings"].severity == "warning"
    assert found["clipped-recordings"].items == ("rise/loud.wav",)
    assert found["short-recordings"].notes == ("19 ms",)
    assert found["long-recordings"].items == ("hiss/long.wav",)
    assert found["low-rates"].notes == ("4,000 Hz",)
    assert found["other-rates"].count == 8
    (tmp_path / "hiss" / "slow.wav").unlink()  # gone since it was read
    assert "low-rates" not in {finding.kind for finding in check(task).findings}


def test_inputs_of_a_prediction(tmp_path):
    folder(tmp_path, 2)
    sf.write(tmp_path / "rise" / "nothing.wav", np.zeros(900), 8000)
    (tmp_path / "rise" / "bad.wav").write_text("x")
    (tmp_path / "rise" / "notes.md").write_text("x")
    heard: list[str] = []
    reporter = SimpleNamespace(say=heard.append, progress=lambda *_, **__: None)
    items, ids, skipped = read_inputs([tmp_path / "rise"], modality="audio", reporter=reporter)
    assert [one.rsplit("/", 1)[1] for one in ids] == ["0.wav", "1.flac", "nothing.wav"]
    assert [one.reason for one in skipped] == [
        "not a recording",
        "this is not a sound file of a known format",
    ]
    assert len(items) == 3
    assert heard == [f"without a sound: '{tmp_path / 'rise' / 'nothing.wav'}'"]
    assert read_inputs([(np.ones(90), 8000)], modality="audio")[1] == ("recording",)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no recording was found"):
        read_inputs([tmp_path / "none"], modality="audio")


def test_lengths_are_said_as_people_say_them():
    assert [seconds(one) for one in (0.4, 59.94, 125, 7200)] == [
        "0.40 s", "59.9 s", "2 min 5 s", "2 h 0 min",
    ]  # fmt: skip
    assert said_of([], []) == []
