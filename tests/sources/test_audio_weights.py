"""The packaged weights of sources for sounds, where they are installed.

The golden values were made when independent readers agreed with ours to the last bit: transformers'
WhisperModel with the same file, torch's own three-layer LSTM with resemblyzer's checkpoint, and
another reader of TensorFlow's checkpoint with another network for musicnn.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.conftest import INSTALLED

from headstart import encode, sources
from headstart.sources import whisper

pytestmark = pytest.mark.weights
RATE = 16000
GOLDEN = {
    "whisper-base": (1.5, -0.022094, 1.184874, [-0.98614, -1.12159, 0.23223, -1.11444, 0.27428]),
    "whisper-base@norm:3": (
        1.5,
        -0.022094,
        1.257372,
        [-1.34809, -1.62431, -0.1913, -1.65358, 0.58395],
    ),
    "ge2e": (3.0, 0.037964, 0.049648, [0.0, 0.02294, 0.0, 0.0, 0.07797]),
    "musicnn": (2.976, 0.345501, 0.895125, [2.2008, -0.2253, 0.88525, -0.06163, 2.04408]),
}


def chirp(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    loud = 0.3 * (0.6 + 0.4 * np.sin(12 * time))
    return (loud * np.sin(2 * np.pi * (200 + 400 * time) * time)).astype(np.float32)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return what loads an installed source from a cache of the test's own."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    (tmp_path / "sources").mkdir()

    def load(name: str) -> sources.Backbone:
        base = sources.base_of(name)
        if not (INSTALLED / "sources" / base).is_dir():
            pytest.skip(f"{base} is not installed")
        link = tmp_path / "sources" / base
        link.symlink_to(INSTALLED / "sources" / base, target_is_directory=True)
        return sources.load(name)

    return load


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_features(name: str, installed) -> None:
    seconds, mean, deviation, values = GOLDEN[name]
    backbone = installed(name)
    found = encode.features(
        [(chirp(seconds), RATE)], backbone, cache=False, device="cpu", precision="float32"
    ).array[0]
    assert found.mean() == pytest.approx(mean, abs=1e-4)
    assert found.std() == pytest.approx(deviation, abs=1e-4)
    assert found[[0, 7, 50, 101, 199]].tolist() == pytest.approx(values, abs=1e-3)


def test_whisper_on_thirty_seconds_is_that_of_transformers(installed) -> None:
    transformers = pytest.importorskip("transformers")
    backbone = installed("whisper-base")
    tensors, tokenizer = whisper.whole("whisper-base")
    assert '"<|startoftranscript|>"' in tokenizer
    config = transformers.WhisperConfig(
        vocab_size=51865,
        d_model=512,
        encoder_layers=6,
        decoder_layers=6,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
    )
    with torch.device("meta"):
        model = transformers.WhisperForConditionalGeneration(config).eval()
    own = {name: tensor.float() for name, tensor in tensors.items()}
    own["proj_out.weight"] = own["model.decoder.embed_tokens.weight"]
    model.load_state_dict(own, strict=True, assign=True)
    sound = np.tile(chirp(2.0), 15)
    given = transformers.WhisperFeatureExtractor()(sound, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        hidden = model.model.encoder(given.input_features).last_hidden_state[0]
    found = encode.features(
        [(sound, RATE)], backbone, cache=False, device="cpu", precision="float32"
    ).array[0]
    np.testing.assert_allclose(found, hidden.mean(dim=0).numpy(), atol=1e-4)
