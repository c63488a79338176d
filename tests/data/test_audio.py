"""Recordings are read like soundfile and scipy read them, whole or in parts, or refused by name."""

from __future__ import annotations

import io
import math
import tracemalloc

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from headstart.core.errors import DataError
from headstart.data import content_hash, read_audio
from headstart.data.audio import audio_facts, audio_windows, sound_hash, window_starts
from headstart.data.sound_file import Sound

FORMATS = [
    (44100, "wav", "PCM_24"),
    (8000, "wav", "PCM_U8"),
    (192000, "wav", "FLOAT"),
    (22050, "flac", "PCM_16"),
    (44100, "ogg", "VORBIS"),
    (44100, "mp3", "MPEG_LAYER_III"),
    (11127, "aiff", "PCM_16"),
]


def sweep(seconds: float, rate: int, channels: int = 2) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    tones = [np.sin(2 * np.pi * (200 + 90 * c) * time * (1 + time)) for c in range(channels)]
    return 0.4 * np.stack(tones, axis=1)


@pytest.mark.parametrize(("rate", "ending", "subtype"), FORMATS)
def test_any_format_is_mixed_down_and_resampled(tmp_path, rate, ending, subtype):
    path = tmp_path / f"a.{ending}"
    sf.write(path, sweep(2.3, rate), rate, subtype=subtype)
    stored, _ = sf.read(path, dtype="float32", always_2d=True)
    common = math.gcd(16000, rate)
    expected = resample_poly(stored.mean(axis=1), 16000 // common, rate // common)
    got = read_audio(path, rate=16000)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.clip(expected, -1, 1), atol=1e-6)
    np.testing.assert_array_equal(read_audio(path.read_bytes(), rate=16000), got)
    parts = [read_audio(str(path), rate=16000, start=at, seconds=0.4) for at in np.arange(6) * 0.4]
    np.testing.assert_allclose(np.concatenate(parts), got, atol=1e-6)
    facts = audio_facts(path)
    assert (facts.rate, facts.channels, facts.notes) == (rate, 2, ())
    assert facts.seconds == pytest.approx(2.3, abs=0.01)
    assert subtype in facts.format


def test_blocks_do_not_show(monkeypatch):
    item = (sweep(3.0, 11127, 1), 11127)
    whole = read_audio(item, rate=16000)
    monkeypatch.setattr("headstart.data.audio.BLOCK", 0.11)
    np.testing.assert_allclose(read_audio(item, rate=16000), whole, atol=1e-6)


def test_of_many_channels_less_is_decoded_at_a_time(monkeypatch):
    item = (sweep(2.0, 8000, 8), 8000)
    expected = read_audio(item, rate=16000), audio_facts(item), sound_hash(item)
    asked, take = [], Sound.take
    monkeypatch.setattr(
        Sound, "take", lambda self, a, b: asked.append(8 * (b - a)) or take(self, a, b)
    )
    monkeypatch.setattr("headstart.data.audio.VALUES", 8000)
    np.testing.assert_allclose(read_audio(item, rate=16000), expected[0], atol=1e-6)
    assert (audio_facts(item), sound_hash(item)) == expected[1:]
    assert max(asked) < 10_000


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64, np.float64])
def test_samples_of_any_type_have_one_scale(dtype):
    wave = sweep(0.1, 8000, 1)[:, 0]
    wave[0] = -1.0
    top = {"uint8": 127, "int8": 127, "float64": 1}.get(np.dtype(dtype).name, 32767)
    top = 2**31 - 1 if dtype is np.int32 else top
    samples = (wave * top + (128 if dtype is np.uint8 else 0)).astype(dtype)
    np.testing.assert_allclose(read_audio((samples, 8000), rate=8000), wave, atol=0.02)


def test_floats_beyond_full_scale_are_cut_and_said():
    loud = (4.0 * sweep(0.2, 8000, 1), 8000)
    assert np.abs(read_audio(loud, rate=16000)).max() == 1.0
    assert "louder than full scale" in audio_facts(loud).notes


def test_silence_and_clipping_are_noted():
    clipped = np.clip(3 * sweep(1.0, 16000, 1), -1, 1) * 0.99
    assert audio_facts((clipped, 16000)).notes == ("clipped",)
    assert audio_facts((sweep(1.0, 16000, 1) * 2.4, 16000)).notes == ()
    assert audio_facts((np.zeros(400), 16000)).notes == ("silent",)
    assert audio_facts((np.full(4000, 0.3), 16000)).notes == ()


def sound_bytes(samples, rate=16000, **more) -> bytes:
    file = io.BytesIO()
    sf.write(file, samples, rate, format=more.pop("format", "WAV"), **more)
    return file.getvalue()


NOISE = np.random.default_rng(0).normal(size=16000) * 0.1
BROKEN = sound_bytes(NOISE, format="FLAC")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"hello, I am a text\n" * 9, "known format"),
        (sound_bytes(np.zeros(0)), "holds no samples"),
        (BROKEN[: len(BROKEN) // 2], "damaged|breaks off"),
        (sound_bytes(np.where(np.arange(16000) == 800, np.nan, NOISE), subtype="FLOAT"), "finite"),
        (sound_bytes(np.where(np.arange(16000) == 800, np.inf, NOISE), subtype="FLOAT"), "finite"),
        (sound_bytes(NOISE * 1e5, subtype="FLOAT"), "far outside"),
    ],
)
def test_bad_files_are_named(tmp_path, content, message):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    for call in (lambda: read_audio(path, rate=16000), lambda: audio_facts(path)):
        with pytest.raises(DataError, match=message) as caught:
            call()
        assert "bad.wav" in str(caught.value)
    with pytest.raises(DataError, match=message):
        list(audio_windows(content, rate=16000, seconds=1))


def test_the_moment_of_a_sample_that_is_no_number_is_said():
    samples = np.where(np.arange(16000) == 8000, np.nan, NOISE)
    with pytest.raises(DataError, match=r"0\.500 s"):
        read_audio((samples, 16000), rate=8000)


def test_a_file_that_is_cut_off(monkeypatch):
    import soundfile

    read = soundfile.SoundFile.read

    def cut(self, frames, **how):
        return read(self, frames, **how)[: frames // 2]

    monkeypatch.setattr(soundfile.SoundFile, "read", cut)
    with pytest.raises(DataError, match=r"breaks off .*0\.50 s of 1\.00 s"):
        read_audio(sound_bytes(NOISE), rate=16000)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (3, "this is not a sound"),
        (np.zeros(9), r"needs its rate"),
        ((np.zeros(9),), "a tuple of ndarray"),
        ((np.zeros(9), "16000"), "this is not a sound"),
        ((np.zeros(9), 16000.5), "no whole number"),
        ((np.zeros(9), math.inf), "no whole number"),
        ((np.zeros(9), True), "this is not a sound"),
        ((np.zeros(9), 3), "no sound has this rate"),
        ((np.zeros((2, 2, 2)), 16000), "not a sound"),
        ((np.zeros(9, complex), 16000), "not a sound"),
        ((np.zeros(9, np.uint16), 16000), "not a sound"),
        ((np.array([0, 2**31]), 16000), "not a sound"),
        ((np.array([0, -(2**63)]), 16000), "not a sound"),
        ((np.zeros((2, 900)), 16000), "channels .* come first"),
        ((np.zeros(0), 16000), "no samples"),
        ("nowhere/a.wav", "cannot open"),
        (".", "no regular file"),
        ("a\0b.wav", "cannot open"),
    ],
)
def test_items_that_are_no_sound(item, message):
    with pytest.raises(DataError, match=message):
        read_audio(item, rate=16000)


def test_formats_that_are_not_decoded_are_named(tmp_path):
    path = tmp_path / "song.m4a"
    path.write_bytes(b"\0\0\0 ftypM4A " * 9)
    with pytest.raises(DataError, match=r"\.m4a files are not decoded; convert"):
        read_audio(path, rate=16000)


@pytest.mark.parametrize(
    "part", [{"start": -1}, {"seconds": 0}, {"seconds": -2}, {"start": math.nan}, {"rate": 0}]
)
def test_parts_that_cannot_be(part):
    with pytest.raises(DataError, match="no part"):
        read_audio((NOISE, 16000), **({"rate": 16000} | part))


def test_a_part_beyond_the_end():
    assert len(read_audio((NOISE, 16000), rate=16000, start=0.9, seconds=5)) == 1600
    with pytest.raises(DataError, match=r"ends before .*1\.00 s long"):
        read_audio((NOISE, 16000), rate=16000, start=1.0)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(1, 5000), st.integers(1, 900), st.none() | st.integers(1, 9))
def test_windows_cover_what_they_may(total, size, most):
    starts = window_starts(total, size, most)
    assert starts[0] == 0
    assert starts == sorted(starts)
    assert len(starts) <= (most or math.inf)
    assert starts[-1] == max(0, total - size) or most == 1
    if most is None:
        heard = np.zeros(total, bool)
        for first in starts:
            heard[first : first + size] = True
        assert heard.all()


def test_windows_are_parts_of_the_whole():
    item = (sweep(2.5, 22050), 22050)
    whole = read_audio(item, rate=16000)
    windows = list(audio_windows(item, rate=16000, seconds=1.0))
    assert [len(window) for window in windows] == [16000] * 3
    np.testing.assert_allclose(windows[0], whole[:16000], atol=1e-6)
    np.testing.assert_allclose(windows[2], whole[-16000:], atol=1e-6)
    assert [len(window) for window in audio_windows(item, rate=16000, seconds=9)] == [len(whole)]


def test_a_long_file_never_sits_in_memory(tmp_path):
    path = tmp_path / "long.wav"
    minute = np.random.default_rng(0).integers(100, 150, 8000 * 60).astype(np.uint8)
    with sf.SoundFile(path, "w", 8000, 1, "PCM_U8") as file:
        for _ in range(30):
            file.write((minute.astype(np.float32) - 128) / 128)
    tracemalloc.start()
    try:
        assert audio_facts(path).seconds == 1800
        for window in audio_windows(path, rate=16000, seconds=10, most=8):
            assert len(window) == 160000
        assert len(list(audio_windows(path, rate=8000, seconds=600, most=1))) == 1
        sound_hash(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 45e6  # the recording at 16 kHz takes 115 MB


def test_what_is_heard_and_what_is_held_have_hashes_of_their_own(tmp_path):
    wave = (NOISE * 32767).astype(np.int16)
    for name in ("a.wav", "b.flac"):
        sf.write(tmp_path / name, wave, 16000)
    assert sound_hash(tmp_path / "a.wav") == sound_hash(tmp_path / "b.flac")
    assert sound_hash((wave, 16000)) == sound_hash(tmp_path / "a.wav")
    assert sound_hash((wave, 8000)) != sound_hash((wave, 16000))
    assert content_hash((wave, 8000)) != content_hash((wave, 16000))
    assert content_hash((wave, 16000)) == content_hash((wave.copy(), 16000.0))
    assert content_hash((wave, math.nan)) != content_hash((wave, 16000))
    assert content_hash((wave[::-1], 16000)) != content_hash((wave, 16000))
    file = tmp_path / "a.wav"
    assert content_hash(file) == content_hash(file.read_bytes())


def test_odd_rates_cost_no_more_than_others():
    seconds = np.arange(44_101) / 44_101
    wave = np.sin(2 * np.pi * 440 * seconds).astype(np.float32)
    found = read_audio((wave, 44_101), rate=16_000)
    expected = np.sin(2 * np.pi * 440 * np.arange(len(found)) / 16_000)
    assert abs(len(found) - 16_000) <= 1
    assert np.abs(found - expected)[100:-100].max() < 2e-2
