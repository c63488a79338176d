"""Batch prediction: tables written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tests import samples

import headstart as hs
from headstart import serve
from headstart.core.errors import DataError, OptionError, UnknownNameError

pytestmark = pytest.mark.weights


@pytest.fixture
def model(weights, tmp_path):
    result = hs.fit(samples.topics(4), label="topic", strategy="probe")
    return result.save(tmp_path / "model")


def test_csv_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    frame = pd.DataFrame({"input": ["a,b", 'say "c"'], "label": ["x", "ä"]})
    place = serve.write_csv(frame, tmp_path / "out.csv")
    pd.testing.assert_frame_equal(pd.read_csv(place), frame)

    def full(*unused: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    before = place.read_bytes()
    with pytest.raises(OptionError, match="No space left"):
        serve.write_csv(frame, place)
    assert place.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(OptionError, match="cannot be written"):
        serve.write_csv(pd.DataFrame(), tmp_path / "none" / "out.csv")
    with pytest.raises(OptionError, match="it is a directory"):
        serve.write_csv(pd.DataFrame(), tmp_path)


def test_a_place_without_permission_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(OptionError, match="not permitted"):
        serve.check_csv_target(tmp_path / "out.csv")


def test_a_device_is_written_to_and_not_replaced():
    before = Path("/dev/null").stat().st_rdev
    serve.write_csv(pd.DataFrame({"input": ["a"]}), "/dev/null")
    assert Path("/dev/null").stat().st_rdev == before


def test_the_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "other").touch()
    place = serve.write_csv(pd.DataFrame({"input": ["a"]}), tmp_path / "out.csv")
    assert place.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_evaluate_takes_frames_and_names_the_trained_label(model):
    frame = samples.topics(4)
    found = serve.evaluate_model(model, frame)
    assert found["n"] == 12
    renamed = frame.rename(columns={"topic": "truth"})
    assert serve.evaluate_model(model, renamed, label="truth")["estimate"] == found["estimate"]
    with pytest.raises(DataError, match="no column 'topic', the label"):
        serve.evaluate_model(model, renamed)
    with pytest.raises(UnknownNameError, match="unknown column 'nope'"):
        serve.evaluate_model(model, frame, label="nope")
    with pytest.raises(UnknownNameError, match="unknown column 'nope'"):
        serve.evaluate_model(model, frame, text="nope")


def test_predict_inputs_leaves_out_and_names(model):
    frame, skipped = serve.predict_inputs(model, ["a goat", ""])
    assert frame["input"].tolist() == ["a goat"]
    assert [item.reason for item in skipped] == ["empty text"]
    with pytest.raises(DataError, match="nothing could be read"):
        serve.predict_inputs(model, [""])


def test_the_label_column_is_no_input(model, tmp_path):
    frame = samples.topics(4).assign(topic=lambda f: "what is said of " + f["topic"])
    frame.to_csv(tmp_path / "long.csv", index=False)
    found, _ = serve.predict_inputs(model, [str(tmp_path / "long.csv")])
    again, _ = serve.predict_inputs(model, samples.topics(4)["text"].tolist())
    assert found["label"].tolist() == again["label"].tolist()
