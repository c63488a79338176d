"""Corrections: kept whole, appended, read by fit."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import threading

import numpy as np
import pytest
import soundfile
from service_fakes import Asker, Length, Number, picture

from headstart import data
from headstart.core.errors import OptionError
from headstart.serve import corrections
from headstart.serve.problems import Problem


def run(coroutine):
    return asyncio.run(coroutine)


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_texts_are_kept_and_read_by_fit(tmp_path):
    asker = Asker(Length(), corrections=tmp_path / "kept")
    for place in range(6):
        body = {"text": f"text number {place}, ü", "label": "ab"[place % 2], "predicted": "even"}
        answer = run(asker.post("/corrections", json=body))
        assert answer.status_code == 201
        assert answer.json() == {"n": place + 1}
    assert run(asker.get("/corrections")).json() == {"n": 6}
    kept = tmp_path / "kept" / "corrections.jsonl"
    assert lines(kept)[0] == {"text": "text number 0, ü", "label": "a"}
    history = lines(tmp_path / "kept" / "history.jsonl")
    assert history[0]["predicted"] == "even"
    assert history[0]["model"] == "abcdef012345"
    task = data.read(str(kept))
    assert task.modality == "text"
    assert task.classes == ("a", "b")
    assert list(task.items)[5] == "text number 5, ü"


def test_pictures_are_stored_once_by_their_sha256_and_read_by_fit(tmp_path):
    asker = Asker(Length("image"), corrections=tmp_path)
    for place in (0, 1, 0, 1):
        form = [("files", ("../x.exe", picture(seed=place))), ("label", (None, "ab"[place]))]
        assert run(asker.post("/corrections", files=form)).status_code == 201
    names = sorted(path.name for path in (tmp_path / "files").iterdir())
    sha = {hashlib.sha256(picture(seed=place)).hexdigest() + ".png" for place in (0, 1)}
    assert set(names) == sha
    task = data.read(str(tmp_path / "corrections.jsonl"))
    assert task.modality == "image"
    assert task.n == 4


def test_rows_keep_the_name_of_the_label(tmp_path):
    asker = Asker(Length("table", (("width", "number"),)), corrections=tmp_path)
    asker.service.corrections.label = "fruit"
    body = {"item": {"width": 2}, "label": "pear"}
    assert run(asker.post("/corrections", json=body)).status_code == 201
    assert lines(tmp_path / "corrections.jsonl") == [{"width": 2, "fruit": "pear"}]


def test_numbers_are_corrected_by_numbers(tmp_path):
    asker = Asker(Number(), corrections=tmp_path)
    for label, status in ((1.5, 201), ("2.5", 201), ("x", 422), (True, 422), (None, 422)):
        answer = run(asker.post("/corrections", json={"text": "a", "label": label}))
        assert answer.status_code == status, label
    assert [one["label"] for one in lines(tmp_path / "corrections.jsonl")] == [1.5, 2.5]


@pytest.mark.parametrize(
    "body",
    [
        {"text": "a"},
        {"text": "a", "label": ""},
        {"text": "a", "label": " "},
        {"text": "a", "label": 3},
        {"text": "a", "label": ["b"]},
        {"text": "a", "label": "x" * 201},
        {"text": "a", "label": "\ud800"},
        {"items": ["a", "b"], "label": "c"},
    ],
)
def test_what_is_no_correction(tmp_path, body):
    asker = Asker(Length(), corrections=tmp_path)
    content = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    assert run(asker.post("/corrections", content=content, headers=headers)).status_code == 422
    assert lines(tmp_path / "corrections.jsonl") == []


def test_a_service_without_a_place_keeps_none():
    asker = Asker(Length())
    assert run(asker.get("/corrections")).status_code == 501
    answer = run(asker.post("/corrections", json={"text": "a", "label": "b"}))
    assert answer.status_code == 501


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="cannot be kept"):
        Asker(Length(), corrections=tmp_path / "file")


def test_links_are_not_followed(tmp_path):
    asker = Asker(Length(), corrections=tmp_path / "kept")
    other = tmp_path / "other"
    other.write_text("")
    (tmp_path / "kept" / "corrections.jsonl").unlink()
    (tmp_path / "kept" / "corrections.jsonl").symlink_to(other)
    answer = run(asker.post("/corrections", json={"text": "a", "label": "b"}))
    assert answer.status_code == 503
    assert other.read_text() == ""


def test_lines_of_many_writers_never_mix(tmp_path):
    info = {"task": {"kind": "classification"}}
    stores = [corrections.Corrections(tmp_path, "text", info) for _ in range(4)]

    def write(place):
        for number in range(10):
            stores[place].add(f"{place}-{number} " + "x" * 5000, "a", None, "m", "r")

    threads = [threading.Thread(target=write, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(tmp_path / "corrections.jsonl")) == 40
    assert len(stores[0]) == 40


def test_there_is_room_for_so_much(tmp_path, monkeypatch):
    monkeypatch.setattr(corrections, "MOST_BYTES", 300)
    store = corrections.Corrections(tmp_path, "text", {"task": {"kind": "classification"}})
    store.add("a", "b", None, "m", "r")
    with pytest.raises(Problem, match="no room") as caught:
        store.add("a" * 300, "b", None, "m", "r")
    assert caught.value.status == 503


@pytest.mark.parametrize("predicted", ['"\\ud800"', "1" + 400 * "0", "1e999", "[1]"])
def test_what_cannot_be_kept_of_a_prediction_is_left_out(tmp_path, predicted):
    asker = Asker(Length(), corrections=tmp_path)
    body = f'{{"text": "a", "label": "b", "predicted": {predicted}}}'
    headers = {"Content-Type": "application/json"}
    answer = run(asker.post("/corrections", content=body, headers=headers))
    assert answer.status_code == 201
    assert lines(tmp_path / "history.jsonl")[0]["predicted"] is None
    assert lines(tmp_path / "corrections.jsonl") == [{"text": "a", "label": "b"}]


def test_only_what_came_since_the_last_time_is_counted(tmp_path, monkeypatch):
    kept = corrections.Corrections(tmp_path, "text", {})
    other = corrections.Corrections(tmp_path, "text", {})
    for place in range(3):
        other.add(f"text {place}", "a", None, "m", "r")
    assert len(kept) == 3
    held = (tmp_path / "corrections.jsonl").read_bytes()
    (tmp_path / "corrections.jsonl").write_bytes(b"x" * len(held) + b"{}\n")
    assert len(kept) == 4  # the first bytes were not read again
    (tmp_path / "corrections.jsonl").write_bytes(b"{}\n")
    assert len(kept) == 1


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "ICO", "JPEG2000", "AVIF"]
)
def test_a_picture_of_any_format_is_one_for_fit(tmp_path, kind):
    asker = Asker(Length("image"), corrections=tmp_path)
    for place in range(4):
        form = [
            ("files", ("x", picture(16, 16, kind=kind, seed=place))),
            ("label", (None, "ab"[place % 2])),
        ]
        assert run(asker.post("/corrections", files=form)).status_code == 201
    task = data.read(str(tmp_path / "corrections.jsonl"))
    assert (task.modality, task.n) == ("image", 4)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "AIFF", "AU", "CAF", "W64", "RF64", "MP3"])
def test_a_recording_of_any_format_is_one_for_fit(tmp_path, kind):
    kept = corrections.Corrections(tmp_path, "audio", {})
    for place in range(4):
        wave = np.sin(np.arange(8000) * (0.05 + 0.01 * place))
        buffer = io.BytesIO()
        soundfile.write(buffer, wave, 16000, format=kind)
        kept.add(buffer.getvalue(), "ab"[place % 2], None, "m", "r")
    task = data.read(str(tmp_path / "corrections.jsonl"))
    assert (task.modality, task.n) == ("audio", 4)
