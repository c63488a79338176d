"""Scratch on recordings: its mels are those of transformers, and the better of two models wins."""

from __future__ import annotations

import numpy as np
import pytest
from tests.sounds import KINDS, sound

from headstart.core.errors import DataError, OptionError
from headstart.strategies import linear_or_network, make, mel_statistics, small_cnn
from headstart.strategies.base import from_state
from headstart.strategies.mel_statistics import WIDTH, describe, log_mel, mel_filters, pictures
from headstart.strategies.plain import plain_inputs
from headstart.strategies.scratch_audio import ScratchAudio, ScratchAudioRegressor


def recordings(each: int, first: int = 0):
    items = [(sound(kind, first + i), 16000) for kind in KINDS for i in range(each)]
    return plain_inputs(items, "audio"), np.repeat(np.array(KINDS, object), each)


@pytest.mark.filterwarnings("ignore")
def test_mels_are_those_of_transformers():
    audio = pytest.importorskip("transformers.audio_utils")
    filters = audio.mel_filter_bank(257, 64, 20.0, 8000.0, 16000, norm=None, mel_scale="htk")
    np.testing.assert_allclose(mel_filters(), filters.T, atol=1e-6)
    wave = sound("rise", 0, seconds=1.0).astype(np.float32)
    window = audio.window_function(400, "hann")
    theirs = audio.spectrogram(
        wave, window, 400, 160, 512, power=2, center=False,
        mel_filters=filters, mel_floor=1e-10, log_mel="dB",
    )  # fmt: skip
    np.testing.assert_allclose(log_mel(wave), theirs.T, atol=1e-3)


def test_a_description_says_what_it_should():
    low, high = (np.sin(2 * np.pi * hertz * np.arange(16000) / 16000) for hertz in (300, 3000))
    rows = [describe([wave]) for wave in (low, high)]
    peaks = [int(row[:64].argmax()) for row in rows]
    assert peaks[0] < 15 < 40 < peaks[1]
    seen = pictures(np.stack(rows))
    assert seen.shape == (2, 32, 32, 3)
    assert seen.dtype == np.uint8
    tops = [int(each[..., 0].mean(axis=1).argmax()) for each in seen]
    assert tops[1] < tops[0]  # high tones above
    still, changing = describe([low]), describe([low * (np.arange(16000) // 2000 % 2)])
    assert changing[64:128].mean() > still[64:128].mean() + 5


@pytest.mark.parametrize("n", [1, 200, 401, 560, 1000])
def test_short_and_silent_recordings_have_a_description_too(n):
    assert np.isfinite(describe([np.zeros(n, np.float32)])).all()
    assert np.isfinite(describe([np.ones(n, np.float32), np.zeros(5, np.float32)])).all()


def test_silence_around_a_sound_does_not_move_its_course():
    wave = sound("rise", 3)
    padded = np.concatenate([np.zeros(8000), wave, np.zeros(4000)])
    course = mel_statistics.VIEWS["course"]
    one, other, foreign = (describe([each])[course] for each in (wave, padded, sound("hiss", 3)))
    assert np.linalg.norm(one - other) < 0.3 * np.linalg.norm(one - foreign)


def test_it_tells_sounds_apart_and_is_saved_to_the_bit():
    X, y = recordings(5)
    model = ScratchAudio(network=False).fit(X, y)
    other, truth = recordings(6, first=100)
    assert (model.predict(other) == truth).mean() > 0.9
    assert "logistic regression" in model.chosen_
    state = model.to_state()
    back = from_state("scratch", kind="classification", modality="audio", state=state)
    np.testing.assert_array_equal(back.predict_proba(other), model.predict_proba(other))
    np.testing.assert_array_equal(model.predict_proba(other)[:1], model.predict_proba(other[:1]))
    assert model.predict_proba(other[:0]).shape == (0, 3)


def test_the_network_learns_is_judged_and_saved(monkeypatch):
    monkeypatch.setattr(small_cnn, "FEWEST_STEPS", 30)
    monkeypatch.setattr(small_cnn, "EPOCHS", 1)
    X, y = recordings(8)
    model = ScratchAudio().fit(X, y)
    assert model.decisions_ == ()
    assert "held-out recordings" in model.chosen_
    monkeypatch.setattr(linear_or_network, "best_of", lambda *_: "network")
    monkeypatch.setattr(linear_or_network, "tune_classifier", _tuned)
    model = ScratchAudio().fit(X, y)
    assert model.chosen_.startswith("small convolutional network")
    other, truth = recordings(6, first=100)
    assert (model.predict(other) == truth).mean() > 0.6
    back = ScratchAudio.from_state(model.to_state())
    np.testing.assert_array_equal(back.predict_proba(other), model.predict_proba(other))


def test_no_network_is_trained_of_few_labels_and_that_is_said(monkeypatch):
    monkeypatch.setattr(ScratchAudio, "_trained", lambda *_: pytest.fail("a network was trained"))
    X, y = recordings(7)
    model = ScratchAudio().fit(X, y)
    assert "no network: fewer than 8 recordings a class" in model.chosen_
    (said,) = model.decisions_
    assert str(said).startswith("scratch tries no network: 7 labels a class, below 8: ")
    assert ScratchAudio(network=False).fit(X, y).decisions_ == ()


def _tuned(views, candidates, codes, k, *, n_folds, seed):
    tuned = linear_or_network.Tuned("mels", 4.0, {"mels": 0.5}, "made up")
    return tuned, np.full((len(codes), k), 1 / k), np.arange(len(codes))


def test_numbers_are_predicted(monkeypatch):
    monkeypatch.setattr(small_cnn, "FEWEST_STEPS", 5)
    monkeypatch.setattr(small_cnn, "EPOCHS", 1)
    hertz = np.linspace(300, 1500, 36)
    time = np.arange(4000) / 16000
    X = np.stack([describe([0.5 * np.sin(2 * np.pi * each * time)]) for each in hertz])
    model = ScratchAudioRegressor().fit(X, hertz)
    assert np.abs(model.predict(X) - hertz).mean() < 60
    assert "squared error" in model.chosen_
    back = ScratchAudioRegressor.from_state(model.to_state())
    np.testing.assert_array_equal(back.predict(X), model.predict(X))


@pytest.mark.parametrize(
    "X",
    [
        [np.zeros(9)],
        np.zeros((3, 9), np.float32),
        np.zeros((3, WIDTH), int),
        np.full((3, WIDTH), np.nan, np.float32),
    ],
)
def test_what_is_no_description_is_refused(X):
    with pytest.raises(DataError, match=r"described recordings|not finite"):
        ScratchAudio().fit(X, ["a", "b", "a"])


@pytest.mark.parametrize("name", ["conse"])
def test_strategies_that_do_no_audio_are_refused_by_name(name):
    with pytest.raises(OptionError, match=f"{name}.* does not do classification of audio"):
        make(name, kind="classification", modality="audio")


def test_a_recording_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.wav").write_text("x")
    with pytest.raises(DataError, match=r"a\.wav"):
        plain_inputs([tmp_path / "a.wav"], "audio")
    with pytest.raises(DataError, match="item 1"):
        plain_inputs([(np.ones(9), 8000), (np.zeros(0), 8000)], "audio")
