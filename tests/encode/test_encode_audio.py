"""Sounds to features: the same alone and in company, whatever they come as."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from tiny_audio import RATE, sound, tiny_ge2e, tiny_musicnn, tiny_whisper

from headstart import encode
from headstart.core.errors import DataError
from headstart.encode import audio
from headstart.encode import device as devices
from headstart.encode.mel import front_end

MAKERS = {"whisper": tiny_whisper, "ge2e": tiny_ge2e, "musicnn": tiny_musicnn}
LENGTHS = (0.31, 0.9, 0.02, 0.55, 0.9, 0.56)


def as_items(lengths=LENGTHS):
    return [(sound(length, seed), RATE) for seed, length in enumerate(lengths)]


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def alone(backbone, wave):
    """The features of one sound, by the backbone itself, row by row."""
    rows = front_end(backbone.card.input)(wave)
    with torch.inference_mode():
        made = [
            backbone((frames[None], mask[None]))[0].numpy()
            for frames, mask in zip(*rows, strict=True)
        ]
    mean = np.average(made, axis=0, weights=[int((mask == 1).sum()) for mask in rows.mask])
    return mean / np.linalg.norm(mean) if backbone.card.input["normalise"] else mean


@pytest.mark.parametrize("name", MAKERS)
def test_company_does_not_matter(name, own_cache, two_threads):
    long = 1.7 if name == "ge2e" else 0  # at the end of silence a random LSTM remembers nothing
    backbone, items = MAKERS[name](), as_items([length + long for length in LENGTHS])
    found = encode.features(items, backbone).array
    assert found.dtype == np.float32
    assert found.shape == (6, backbone.card.dim)
    close(found, np.stack([alone(backbone, wave) for wave, _ in items]))
    assert np.linalg.norm(found[0] - found[1]) > 1e-3 * np.linalg.norm(found[0])


def test_what_pads_a_batch_takes_part_in_nothing():
    backbone = tiny_whisper()
    rows = [front_end(backbone.card.input)(wave) for wave, _ in as_items()]
    batch, mask = audio.collate([(row.frames[0], row.mask[0]) for row in rows])
    noise = torch.randn(batch.shape) * (mask == 0)[..., None]
    with torch.inference_mode():
        torch.testing.assert_close(backbone((batch + 9 * noise, mask)), backbone((batch, mask)))


def test_paths_bytes_and_samples_give_the_same(tmp_path, own_cache):
    soundfile = pytest.importorskip("soundfile")
    wave = (sound(0.5) * 32767).astype(np.int16)
    path = tmp_path / "a.wav"
    soundfile.write(path, wave, RATE, subtype="PCM_16")
    stream = io.BytesIO()
    soundfile.write(stream, wave, RATE, format="FLAC")
    items = [path, str(path), path.read_bytes(), stream.getvalue(), (wave, RATE)]
    found = encode.features(items, tiny_whisper(), cache=False).array
    close(found, np.repeat(found[:1], 5, axis=0))
    again = encode.features(items, tiny_whisper()).array
    np.testing.assert_array_equal(encode.features(items, tiny_whisper()).array, again)
    assert len(list(own_cache.iterdir())) > 0


def test_a_long_sound_is_heard_in_windows(own_cache, recorder):
    backbone = tiny_whisper(seconds=1.0)
    wave = sound(3.0)
    found = encode.features([(wave, RATE), (wave[:RATE], RATE)], backbone, reporter=recorder).array
    windows = [alone(backbone, wave[i * RATE : (i + 1) * RATE]) for i in range(3)]
    close(found[0], np.mean(windows, axis=0))
    close(found[1], windows[0])
    assert any("1 of the sounds embedded now are longer than the 1 s" in s for s in recorder.said)
    assert not any("evenly spread" in text for text in recorder.said)


def test_of_a_very_long_sound_windows_are_spread(own_cache, recorder, monkeypatch):
    monkeypatch.setattr(audio, "MOST_WINDOWS", 3)
    wave = sound(9.5)
    found = encode.features([(wave, RATE)], tiny_whisper(), reporter=recorder).array
    starts = [0, 68000, 9.5 * RATE - RATE]
    parts = [alone(tiny_whisper(), wave[int(at) : int(at) + RATE]) for at in starts]
    close(found[0], np.mean(parts, axis=0))
    assert any("3 evenly spread windows" in text for text in recorder.said)


def test_all_that_was_heard_is_not_called_left_out(own_cache, recorder, monkeypatch):
    monkeypatch.setattr(audio, "MOST_WINDOWS", 3)
    encode.features([(sound(3.0), RATE)], tiny_whisper(), reporter=recorder)
    assert any("heard in windows" in text for text in recorder.said)
    assert not any("evenly spread" in text for text in recorder.said)


def test_no_more_is_held_than_allowed(own_cache, monkeypatch):
    items = as_items((0.9,) * 7)
    whole = encode.features(items, tiny_whisper(), cache=False).array
    monkeypatch.setattr(audio, "_HELD_VALUES", 15_000)
    encoder = encode.windows.make_encoder(
        tiny_whisper(), device="cpu", precision="float32", reporter=encode.windows.SILENT
    )
    parts = list(encoder.encode(items, range(7)))
    assert len(parts) > 2
    assert np.concatenate([index for index, _ in parts]).tolist() == list(range(7))
    close(np.concatenate([made for _, made in parts]), whole)


def test_telephone_sound_is_taken(own_cache):
    found = encode.features([(sound(0.5, rate=8000), 8000)], tiny_whisper()).array
    assert np.isfinite(found).all()


@pytest.mark.parametrize("cache", [True, False])
def test_an_unreadable_sound_is_named(tmp_path, own_cache, cache):
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    items = [(sound(0.1), RATE), str(bad)]
    with pytest.raises(DataError, match=r"items\[1\] .*bad\.wav"):
        encode.features(items, tiny_whisper(), cache=cache)
    with pytest.raises(DataError, match=r"items\[0\] .*gone\.wav"):
        encode.features([tmp_path / "gone.wav"], tiny_whisper(), cache=cache)


def test_bfloat16_is_taken_where_the_cpu_has_it_and_it_stays_true(recorder, monkeypatch):
    monkeypatch.setattr(devices, "native_bf16", lambda: True)
    how = {"device": "cpu", "precision": "auto", "reporter": recorder}
    monkeypatch.setattr(devices, "DRIFT_COSINE", 0.9)
    encoder = audio.AudioEncoder(tiny_whisper(), **how)
    assert encoder.precision == "bf16"
    items = as_items((0.5, 0.6))
    ((_, half),) = encoder.encode(items, range(2))
    plain = audio.AudioEncoder(tiny_whisper(), **{**how, "precision": "float32"})
    ((_, full),) = plain.encode(items, range(2))
    assert plain.precision == "float32"
    np.testing.assert_allclose(half, full, atol=0.1 * np.abs(full).max())
    monkeypatch.setattr(devices, "DRIFT_COSINE", 1.1)
    assert audio.AudioEncoder(tiny_whisper(), **how).precision == "float32"
    assert any("bfloat16 strays" in text for text in recorder.said)


def test_the_end_of_music_weighs_as_much_as_it_lasts():
    backbone, wave = tiny_musicnn(), sound(4.5)
    close(encode.features([(wave, RATE)], backbone, cache=False).array[0], alone(backbone, wave))
    quiet = wave.copy()
    quiet[-RATE:] = 0
    both = encode.features([(wave, RATE), (quiet, RATE)], backbone, cache=False).array
    assert np.linalg.norm(both[0] - both[1]) > 1e-3 * np.linalg.norm(both[0])
