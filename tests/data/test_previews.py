"""Previews: small, decodable, the same bytes each time, and nothing where nothing can be read."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from headstart.data.previews import preview


def bytes_of(shown):
    return io.BytesIO(base64.b64decode(shown["src"].split(",", 1)[1]))


@pytest.mark.parametrize(
    ("size", "large", "wanted"),
    [((900, 300), False, (56, 19)), ((40, 30), False, (40, 30)), ((900, 300), True, (224, 75))],
)
def test_a_picture_fits_and_keeps_its_shape(size, large, wanted):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
    shown = preview(picture, "image", large=large)
    assert (shown["width"], shown["height"]) == wanted
    assert Image.open(bytes_of(shown)).size == wanted
    assert preview(picture, "image", large=large) == shown


def test_a_sound_can_be_heard_and_is_as_long_as_it_says(tmp_path):
    rate = 8_000
    wave = 0.01 * np.sin(np.arange(rate * 3) / 5).astype(np.float32)
    sf.write(tmp_path / "quiet.wav", wave, rate)
    shown = preview(tmp_path / "quiet.wav", "audio")
    heard, found_rate = sf.read(bytes_of(shown))
    assert shown["seconds"] == 3.0
    assert len(heard) / found_rate == pytest.approx(1.5, abs=0.2)
    assert 0.3 < np.abs(heard).max() < 0.8
    assert preview((np.zeros(100, np.float32), rate), "audio")["seconds"] == 0.01


def test_a_text_is_cut_where_it_is_long():
    assert preview("short", "text") == {"kind": "text", "text": "short"}
    cut = preview("word " * 200, "text")["text"]
    assert len(cut) == 280
    assert cut.endswith("…")
    assert len(preview("word " * 2_000, "text", large=True)["text"]) == 2_000


def test_the_values_of_a_row_are_what_json_holds():
    row = {
        "a": np.float64(3.14159265),
        "b": None,
        "c": np.True_,
        "d": np.nan,
        "e": "x" * 500,
        "f": np.inf,
        7: 2,
    }
    shown = preview(row, "table", large=True)
    assert json.loads(json.dumps(shown)) == shown
    values = shown["values"]
    assert values["a"] == 3.14159
    assert values["b"] is values["d"] is None
    assert values["c"] == "true"
    assert len(values["e"]) == 120
    assert values["f"] == "inf"
    assert values["7"] == 2.0
    wide = {f"c{i}": i for i in range(99)}
    assert [len(preview(wide, "table", large=one)["values"]) for one in (False, True)] == [12, 40]


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_what_cannot_be_read_has_no_preview(tmp_path, modality):
    (tmp_path / "bad").write_bytes(b"nothing")
    assert preview(tmp_path / "bad", modality) is None
    assert preview(tmp_path / "missing", modality) is None
