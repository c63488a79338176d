"""The Hugging Face door for sounds, on tiny random models that the tests save themselves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart import encode, sources
from headstart.core.errors import MissingExtraError, SourceError
from headstart.sources import hf_audio

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers' own making

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
WAVES = {
    **TINY,
    "conv_dim": (8, 8),
    "conv_kernel": (10, 3),
    "conv_stride": (5, 2),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "num_feat_extract_layers": 2,
    "feat_extract_norm": "layer",
}
RATE = 16000


def wave(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in rng.uniform(100, 3000, 3))
    return (0.1 * tones + 0.01 * rng.standard_normal(len(time))).astype(np.float32)


def saved(kind: str, path: Path) -> tuple[Path, Any, Any]:
    """Save a tiny model and its feature extractor; return where, and both."""
    torch.manual_seed(0)
    if kind in ("wav2vec2", "hubert", "wavlm", "wav2vec2-group"):
        name = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}
        name = name.get(kind, "Wav2Vec2")
        config = dict(WAVES)
        if kind == "wav2vec2-group":
            config["feat_extract_norm"] = "group"
        model = getattr(transformers, f"{name}Model")(
            getattr(transformers, f"{name}Config")(**config)
        )
        masks = kind != "wav2vec2-group"
        extractor = transformers.Wav2Vec2FeatureExtractor(
            return_attention_mask=masks, do_normalize=True
        )
    elif kind == "ast":
        config = {**TINY, "num_mel_bins": 32, "max_length": 64, "patch_size": 8}
        config |= {"frequency_stride": 8, "time_stride": 8}
        model = transformers.ASTModel(transformers.ASTConfig(**config))
        extractor = transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=64)
    else:
        audio = {
            "hidden_size": 16,
            "patch_embeds_hidden_size": 8,
            "depths": [1, 1],
            "num_attention_heads": [2, 2],
            "num_hidden_layers": 2,
            "spec_size": 256,
            "num_mel_bins": 64,
            "window_size": 4,
            "patch_size": 4,
            "enable_fusion": kind == "clap-fusion",
        }
        text = {**TINY, "vocab_size": 20}
        config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=8)
        model = transformers.ClapModel(config)
        fused = "fusion" if kind == "clap-fusion" else "rand_trunc"
        extractor = transformers.ClapFeatureExtractor(truncation=fused, max_length_s=1)
    model.eval().save_pretrained(path)
    extractor.save_pretrained(path)
    return path, model, extractor


def expected(kind: str, model: Any, extractor: Any, sound: np.ndarray, rate: int) -> np.ndarray:
    """Return what transformers itself makes of one sound."""
    given = extractor(sound, sampling_rate=rate, return_tensors="pt")
    with torch.no_grad():
        if kind.startswith("clap"):
            longer = torch.zeros(1, 1, dtype=torch.bool)
            return model.audio_model(given["input_features"], longer).pooler_output[0].numpy()
        output = model(given["input_values"])
        if kind == "ast":
            return output.pooler_output[0].numpy()
        return output.last_hidden_state[0].mean(dim=0).numpy()


KINDS = ("wav2vec2", "wav2vec2-group", "hubert", "wavlm", "ast", "clap", "clap-fusion")


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_of_transformers(kind: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    path, model, extractor = saved(kind, tmp_path / kind)
    card = sources.card(str(path))
    assert (card.modality, card.family, card.dim) == ("audio", "hf", 16)
    rate = card.input["rate"]
    sounds = [wave(seconds, seed, rate) for seed, seconds in enumerate((0.3, 0.5, 0.5, 0.48))]
    backbone = sources.load(card)
    found = encode.features([(sound, rate) for sound in sounds], backbone).array
    wanted = np.stack([expected(kind, model, extractor, sound, rate) for sound in sounds])
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max() + 1e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_saved_weights_come_back(kind: str, tmp_path: Path) -> None:
    path, _, _ = saved(kind, tmp_path / kind)
    backbone = sources.load(str(path))
    card = sources.SourceCard.from_json(json.loads(json.dumps(backbone.card.to_json())))
    shutil.rmtree(path)
    again = sources.from_state(card, backbone.tensors(), None)
    batch = hf_audio.probe(card.input)
    with torch.no_grad():
        assert torch.equal(again(batch), backbone(batch))
    assert again.block_names == backbone.block_names
    broken = backbone.tensors()
    broken.popitem()
    with pytest.raises(SourceError, match="do not fit"):
        sources.from_state(card, broken, None)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "ast"])
def test_layers_are_blocks(kind: str, tmp_path: Path) -> None:
    backbone = sources.load(str(saved(kind, tmp_path / kind)[0]))
    assert backbone.block_names == ("embeddings", "layer1", "layer2", "layer3", "output")
    for parameter in backbone.blocks[0].parameters():
        parameter.requires_grad_(False)
    backbone(hf_audio.probe(backbone.card.input)).square().sum().backward()
    assert all(parameter.grad is None for parameter in backbone.blocks[0].parameters())
    assert any(parameter.grad is not None for parameter in backbone.blocks[2].parameters())


def test_a_whisper_runs_on_our_own_code(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        vocab_size=60,
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_source_positions=100,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    model = transformers.WhisperForConditionalGeneration(config).eval()
    extractor = transformers.WhisperFeatureExtractor(chunk_length=2)
    model.save_pretrained(tmp_path / "w")
    extractor.save_pretrained(tmp_path / "w")
    card = sources.card(str(tmp_path / "w"))
    assert (card.family, card.modality, card.dim) == ("whisper", "audio", 16)
    assert card.input["seconds"] == 2
    backbone = sources.load(card)
    assert sum(p.numel() for p in backbone.parameters()) == card.parameters
    sound = wave(2.0)
    found = encode.features([(sound, RATE)], backbone).array[0]
    given = extractor(sound, sampling_rate=RATE, return_tensors="pt").input_features
    with torch.no_grad():
        hidden = model.model.encoder(given).last_hidden_state[0]
    np.testing.assert_allclose(found, hidden.mean(dim=0).numpy(), atol=1e-4)
    assert sources.card(f"{tmp_path / 'w'}@layer1:2").dim == 32


def test_a_long_sound_is_heard_in_windows_of_the_model(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    path, model, extractor = saved("ast", tmp_path / "ast")
    card = sources.card(str(path))
    assert card.input["seconds"] == pytest.approx(0.64)
    sound = wave(1.28)
    found = encode.features([(sound, RATE)], sources.load(card)).array[0]
    halves = [expected("ast", model, extractor, half, RATE) for half in np.split(sound, 2)]
    np.testing.assert_allclose(found, np.mean(halves, axis=0), atol=1e-5)


def test_settings_inside_a_processor_are_found(tmp_path: Path) -> None:
    path, _, _ = saved("wav2vec2", tmp_path / "m")
    settings = path / "preprocessor_config.json"
    extractor = json.loads(settings.read_text())
    (path / "processor_config.json").write_text(json.dumps({"feature_extractor": extractor}))
    settings.unlink()
    assert sources.card(str(path)).input["rate"] == RATE


def test_what_cannot_be_used_says_why(tmp_path: Path, monkeypatch) -> None:
    path, _, _ = saved("wav2vec2", tmp_path / "m")
    settings = path / "preprocessor_config.json"
    extractor = json.loads(settings.read_text())
    settings.write_text(json.dumps({**extractor, "feature_extractor_type": ""}))
    with pytest.raises(SourceError, match="does not say what it is given"):
        sources.card(str(path))
    settings.write_text(json.dumps({**extractor, "feature_extractor_type": "AutoModel"}))
    card = sources.card(str(path))
    with pytest.raises(SourceError, match="no such feature extractor of sounds"):
        hf_audio.front(card.input)
    config = path / "config.json"
    whisper = {"model_type": "whisper", "d_model": 16}
    config.write_text(json.dumps(whisper))
    with pytest.raises(SourceError, match="lacks a dimension"):
        sources.card(str(path))
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match="transformers"):
        hf_audio.front(card.input)
