"""A folder of recordings from check to predict, with no source on the machine."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import soundfile as sf
from tests.sounds import KINDS, folder, sound

import headstart as hs
from headstart.core.errors import BundleCorruptError, DataError, OptionError
from headstart.strategies import small_cnn


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("sounds") / "words", 5)


@pytest.fixture(scope="module")
def model(place, terminal, tmp_path_factory):
    """Return the folder of a model, and what fitting it said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HEADSTART_OFFLINE", "1")
        patch.setattr(small_cnn, "FEWEST_STEPS", 4)
        patch.setattr(small_cnn, "EPOCHS", 1)
        where = place.parent / "model"
        ran = terminal("fit", place, "-o", where, "--no-curve")
        checked = terminal("check", place, "--json")
    return where, ran, checked


def test_fit_without_a_source_trains_from_scratch_and_says_so(model):
    _, ran, checked = model
    assert ran.code == 0, ran.err
    assert "no transfer is tried: no pretrained source for audio data" in ran.err
    assert "headstart sources install" in ran.err
    assert "You get scratch" in ran.out or "you get scratch" in ran.out
    assert checked.code == 0
    assert "other-rates" in {one["kind"] for one in checked.json["findings"]}


def test_predict_and_evaluate(model, terminal, tmp_path):
    where, _, _ = model
    new = folder(tmp_path / "new", 3, first=70)
    ran = terminal("predict", where, new / "hiss", new / "rise" / "0.wav")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [row["label"] for row in rows] == ["hiss"] * 3 + ["rise"]
    judged = terminal("evaluate", where, new, "--json")
    assert judged.code == 0, judged.err
    assert "0.9" in judged.out or "1.0" in judged.out


def test_items_in_memory_and_what_is_none(model):
    bundle = hs.load(model[0])
    assert bundle.info["modality"] == "audio"
    given = [(sound(kind, 80), 16000) for kind in KINDS]
    assert bundle.predict(given).tolist() == list(KINDS)
    assert bundle.predict_proba([]).shape == (0, 3)
    with pytest.raises(OptionError, match="single audio"):
        bundle.predict(given[0])
    with pytest.raises(DataError, match="not a recording"):
        bundle.predict([np.zeros(900)])
    with pytest.raises(DataError, match="known format"):
        bundle.predict([b"no sound"])


def test_golden_sounds_are_verified(model, tmp_path):
    from headstart.bundle import golden
    from headstart.bundle.manifest import parse

    manifest = parse((model[0] / "manifest.json").read_bytes())
    files = [(model[0] / name).read_bytes() for name in ("golden.json", "golden.safetensors")]
    held = golden.from_files(*files, manifest)
    assert held.sounds is not None
    np.testing.assert_array_equal(held.sounds, golden.made_sounds())
    from safetensors.numpy import load, save

    arrays = load(files[1])
    for wrong in (arrays["sounds"].astype(np.int32), arrays["sounds"][:, :0]):
        with pytest.raises(BundleCorruptError, match="golden sounds"):
            golden.from_files(files[0], save(arrays | {"sounds": wrong}), manifest)


@pytest.mark.parametrize("name", ["finetune", "lp-ft", "contrastive"])
def test_strategies_that_tune_are_refused_where_no_source_hears(weights, place, terminal, name):
    out = place.parent / "refused"
    ran = terminal("fit", place, "-o", out, "--strategy", name, "--json")
    assert ran.code == 2
    said = json.loads(ran.out)["error"]["message"]
    assert name in said
    assert "audio" in said


def test_long_and_odd_files_are_predicted_or_named(model, terminal, tmp_path):
    sf.write(tmp_path / "long.wav", np.tile(sound("hiss", 3, rate=8000), 200), 8000)
    sf.write(tmp_path / "deep.wav", sound("rise", 3, rate=192000), 192000, subtype="PCM_24")
    (tmp_path / "text.wav").write_text("hello")
    ran = terminal("predict", model[0], tmp_path, "--json")
    assert [row["label"] for row in ran.json["predictions"]] == ["rise", "hiss"]
    assert [one["reason"] for one in ran.json["skipped"]] == [
        "this is not a sound file of a known format"
    ]
