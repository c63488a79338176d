"""Mel spectrograms against those of transformers, and the parts that sounds are cut into."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_audio import sound

from headstart.core.errors import SourceError
from headstart.encode.mel import front_end, mel_filters, mel_power

WHISPER = {"front": "whisper", "rate": 16000, "mels": 80, "seconds": 30.0, "floor": 40}
WHISPER["silence"] = [0.0, 0.5]
GE2E = {"front": "ge2e", "rate": 16000, "mels": 40}
MUSICNN = {"front": "musicnn", "rate": 16000, "mels": 96}


def theirs(wave: np.ndarray, *, n_fft: int, hop: int, bands: int, pad: str) -> np.ndarray:
    utils = pytest.importorskip("transformers.audio_utils")
    filters = utils.mel_filter_bank(
        n_fft // 2 + 1, bands, 0.0, 8000.0, 16000, norm="slaney", mel_scale="slaney"
    )
    window = utils.window_function(n_fft, "hann")
    return utils.spectrogram(
        wave.astype(np.float64),
        window,
        n_fft,
        hop,
        power=2.0,
        pad_mode=pad,
        mel_filters=filters,
        mel_floor=0.0,
    ).T


@pytest.mark.parametrize(("n_fft", "bands"), [(400, 80), (400, 40), (512, 96)])
def test_filters_are_those_of_transformers(n_fft: int, bands: int) -> None:
    utils = pytest.importorskip("transformers.audio_utils")
    expected = utils.mel_filter_bank(
        n_fft // 2 + 1, bands, 0.0, 8000.0, 16000, norm="slaney", mel_scale="slaney"
    )
    found = mel_filters(rate=16000, n_fft=n_fft, bands=bands).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("n_fft", "hop", "bands", "pad"),
    [(400, 160, 80, "reflect"), (400, 160, 40, "constant"), (512, 256, 96, "constant")],
)
def test_power_is_that_of_transformers(n_fft: int, hop: int, bands: int, pad: str) -> None:
    wave = sound(1.3)
    found = mel_power(
        torch.from_numpy(wave),
        rate=16000,
        n_fft=n_fft,
        hop=hop,
        bands=bands,
        reflect=pad == "reflect",
    )
    expected = theirs(wave, n_fft=n_fft, hop=hop, bands=bands, pad=pad)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_sounds_of_one_length_go_together() -> None:
    waves = torch.from_numpy(np.stack([sound(0.5, seed) for seed in range(3)]))
    how = {"rate": 16000, "n_fft": 400, "hop": 160, "bands": 80}
    together = mel_power(waves, **how)
    assert together.shape == (3, 51, 80)
    for one, wave in zip(together, waves, strict=True):
        torch.testing.assert_close(one, mel_power(wave, **how))


def test_thirty_seconds_are_what_transformers_gives_whisper() -> None:
    transformers = pytest.importorskip("transformers")
    wave = sound(30)
    expected = transformers.WhisperFeatureExtractor()(
        wave, sampling_rate=16000, return_tensors="pt"
    ).input_features[0]
    rows = front_end(WHISPER)(wave)
    assert (rows.mask == 1).all()
    torch.testing.assert_close(rows.frames[0], expected.T, atol=1e-5, rtol=0)


def test_a_short_sound_is_the_beginning_of_its_padded_self() -> None:
    transformers = pytest.importorskip("transformers")
    wave = sound(1.01)
    padded = transformers.WhisperFeatureExtractor()(
        wave, sampling_rate=16000, return_tensors="pt"
    ).input_features[0]
    rows = front_end(WHISPER)(wave)
    assert rows.frames.shape == (1, 152, 80)  # pairs of 10 ms, and half a second of silence
    torch.testing.assert_close(rows.frames[0], padded.T[:152], atol=1e-5, rtol=0)
    assert rows.mask.tolist() == [[1] * 102 + [2] * 50]


@pytest.mark.parametrize(
    ("silence", "seconds", "mask"),
    [
        ([0.1, 0.2], 30.0, [(2, 10), (1, 50), (2, 20)]),
        ([0.1, 0.2], 0.6, [(1, 50), (2, 10)]),
        ([0.1, 0.06], 0.6, [(2, 4), (1, 50), (2, 6)]),
        ([0.0, 0.0], 0.5, [(1, 50)]),
    ],
)
def test_silence_is_cut_off_and_put_around_what_sounds(silence, seconds, mask) -> None:
    spec = {**WHISPER, "silence": silence, "seconds": seconds}
    wave = np.concatenate([np.full(3200, 1e-4, np.float32), sound(0.5), np.zeros(1600, np.float32)])
    rows = front_end(spec)(wave)
    assert rows.mask[0].tolist() == [value for value, count in mask for _ in range(count)]
    bare = front_end(spec)(sound(0.5))
    torch.testing.assert_close(rows.frames, bare.frames)


def test_of_digital_silence_all_is_heard() -> None:
    rows = front_end(WHISPER)(np.zeros(16000, np.float32))
    assert (rows.mask == 1).sum() == 100


def test_parts_for_the_speaker_encoder_are_those_of_resemblyzer() -> None:
    quiet = 0.001 * sound(4.0)
    rows = front_end(GE2E)(quiet)
    # written down from Resemblyzer 0.1.4: rate 1.3, min_coverage .75
    assert rows.frames.shape == (4, 160, 40)
    louder = quiet * (10 ** (-30 / 20) / np.sqrt(np.mean(quiet.astype(np.float64) ** 2)))
    padded = np.pad(louder, (0, max(0, (77 * 3 + 160) * 160 - len(louder))))
    mels = theirs(padded, n_fft=400, hop=160, bands=40, pad="constant")
    expected = np.stack([mels[i * 77 : i * 77 + 160] for i in range(4)])
    np.testing.assert_allclose(rows.frames.numpy(), expected, rtol=1e-3, atol=1e-5 * expected.max())
    loud = front_end(GE2E)(sound(1.0)).frames
    assert len(loud) == 1  # made louder only, never softer
    short = theirs(np.pad(sound(1.0), (0, 9600)), n_fft=400, hop=160, bands=40, pad="constant")
    np.testing.assert_allclose(loud[0].numpy(), short[:160], rtol=1e-3, atol=1e-5 * short.max())


def test_music_is_cut_into_patches_and_short_music_repeated() -> None:
    wave = sound(7.0)
    rows = front_end(MUSICNN)(wave)
    assert rows.frames.shape == (3, 187, 96)
    mels = np.log10(10_000 * theirs(wave, n_fft=512, hop=256, bands=96, pad="constant") + 1)
    expected = np.concatenate([mels[:374], mels[-187:]])  # to the end: nothing is lost
    np.testing.assert_allclose(rows.frames.numpy().reshape(561, 96), expected, atol=1e-4)
    left = len(mels) - 374
    assert rows.mask.tolist() == [[1] * 187, [1] * 187, [2] * (187 - left) + [1] * left]
    assert (rows.mask == 1).sum() == len(mels)  # each frame counts once
    whole = front_end(MUSICNN)(wave[: 373 * 256])
    assert whole.frames.shape == (2, 187, 96)
    assert (whole.mask == 1).all()
    short = front_end(MUSICNN)(wave[:16000]).frames[0]
    frames = 1 + 16000 // 256
    torch.testing.assert_close(short[frames : 2 * frames], short[:frames])
    torch.testing.assert_close(short[: frames - 2], rows.frames[0][: frames - 2])


@pytest.mark.parametrize("spec", [WHISPER, GE2E, MUSICNN], ids=lambda spec: spec["front"])
@given(n=st.integers(1, 60_000), silent=st.booleans())
@settings(deadline=None, derandomize=True, max_examples=12)
def test_any_length_gives_finite_rows(spec: dict, n: int, silent: bool) -> None:
    wave = np.zeros(n, np.float32) if silent else sound(n / 16000 + 0.01)[:n]
    frames, mask = front_end(spec)(wave)
    assert torch.isfinite(frames).all()
    assert frames.dtype == torch.float32
    assert mask.shape == frames.shape[:2]
    assert frames.shape[2] == spec["mels"]
    assert ((mask == 1).sum(dim=1) > 0).all()


def test_an_unknown_front_end_is_refused() -> None:
    with pytest.raises(SourceError, match=r"unknown front end.*whisper"):
        front_end({"front": "ear"})
