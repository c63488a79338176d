"""The whole Whisper against transformers' own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tiny_whisper import whisper
from transformers import WhisperForConditionalGeneration

from headstart.core.errors import IntegrityError, SourceError
from headstart.sequences.speech_hear import Ear, mels_of
from headstart.sequences.speech_write import languages_of, loop_of, write
from headstart.sources import names, store
from headstart.sources.speech_model import SpeechSource, load_speech


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def source(folder: Path) -> SpeechSource:
    return load_speech(str(folder))


@pytest.fixture(scope="module")
def oracle(folder: Path) -> WhisperForConditionalGeneration:
    return WhisperForConditionalGeneration.from_pretrained(folder).eval()


def mels(seed: int, frames: int = 3000) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(2, frames, 8))).float()


def test_states_and_logits_are_those_of_transformers(
    source: SpeechSource, oracle: WhisperForConditionalGeneration
) -> None:
    given, ids = mels(0), torch.randint(0, 30, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs = oracle(input_features=given.transpose(1, 2), decoder_input_ids=ids)
        states, _ = source.network.encode(given, torch.ones(given.shape[:2]))
        heard = source.network.heard(states)
        logits, _ = source.network.write(ids, heard, None)
        first, memory = source.network.write(ids[:, :4], heard, None)
        steps = [first]
        for i in range(4, 9):
            step, memory = source.network.write(ids[:, i : i + 1], heard, None, memory)
            steps.append(step)
    assert torch.allclose(states, theirs.encoder_last_hidden_state, atol=1e-4)
    assert torch.allclose(logits, theirs.logits, atol=1e-4)
    assert torch.allclose(torch.cat(steps, 1), logits, atol=1e-4)


@pytest.mark.parametrize("language", ["it", "en"])
def test_greedy_text_is_that_of_generate(
    source: SpeechSource, oracle: WhisperForConditionalGeneration, language: str
) -> None:
    given = mels(1)
    with torch.inference_mode():
        states, _ = source.network.encode(given, torch.ones(given.shape[:2]))
        theirs = oracle.generate(
            input_features=given.transpose(1, 2),
            language=language,
            task="transcribe",
            num_beams=1,
            do_sample=False,
            max_new_tokens=24,
        )
    ours = write(source, states, [30.0, 30.0], language)
    prompt = source.tokens.prompt(language)
    for row, one in zip(theirs.tolist(), ours, strict=True):
        row = row[len(prompt) :] if row[: len(prompt)] == prompt else row
        until = row.index(source.tokens.end) if source.tokens.end in row else len(row)
        assert loop_of(row[:until]) or list(one.ids) == row[: len(one.ids)]
        assert loop_of(row[:until]) or min(len(one.ids), until) in (until, 24)


def test_mel_frames_of_a_padded_sound_are_those_of_transformers(source: SpeechSource) -> None:
    from transformers import WhisperFeatureExtractor

    samples = np.random.default_rng(0).normal(size=16000 * 29).astype(np.float32) / 4
    extractor = WhisperFeatureExtractor(feature_size=8, sampling_rate=16000)
    theirs = extractor(samples, sampling_rate=16000, return_tensors="np").input_features[0].T
    assert np.allclose(mels_of(source, samples).numpy(), theirs, atol=1e-4)


def test_languages_are_told_by_what_follows_the_start(
    source: SpeechSource, oracle: WhisperForConditionalGeneration
) -> None:
    given = mels(2)
    start = torch.full((2, 1), source.tokens.start)
    with torch.inference_mode():
        states, _ = source.network.encode(given, torch.ones(given.shape[:2]))
        logits = oracle(input_features=given.transpose(1, 2), decoder_input_ids=start).logits
    wanted = torch.softmax(logits[:, -1, list(source.tokens.languages.values())].double(), 1)
    assert list(source.tokens.languages) == ["en", "it"]
    assert torch.allclose(languages_of(source, states), wanted, atol=1e-5)


def test_tokens_that_are_no_speech_are_never_said(source: SpeechSource) -> None:
    tokens = source.tokens
    assert tokens.end not in tokens.never
    assert {tokens.start, tokens.plain, *tokens.languages.values()} <= set(tokens.never)
    assert source.network.tokens.num_embeddings - 1 in tokens.never
    assert source.text(source.ids("una <|it|> mano")) == source.text(source.ids("una < |it| mano"))


def changed(folder: Path, target: Path, **config: object) -> Path:
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    own = json.loads((target / "config.json").read_text()) | config
    (target / "config.json").write_text(json.dumps(own))
    return target


def test_what_is_no_whisper_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="only a whole Whisper"):
        load_speech("minilm")
    with pytest.raises(SourceError, match="another make"):
        load_speech(str(changed(folder, tmp_path / "relu", activation_function="relu")))
    bare = changed(folder, tmp_path / "bare")
    (bare / "tokenizer.json").unlink()
    with pytest.raises(SourceError, match=r"no tokenizer\.json"):
        load_speech(str(bare))
    (bare / "tokenizer.json").write_text("{}")
    with pytest.raises(SourceError, match="tokenizer cannot be read"):
        load_speech(str(bare))
    text = (folder / "tokenizer.json").read_text().replace("<|notimestamps|>", "<|other|>")
    (bare / "tokenizer.json").write_text(text)
    with pytest.raises(SourceError, match="lacks a special token"):
        load_speech(str(bare))


def test_other_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    lone = {name: one for name, one in tensors.items() if "encoder." in name}
    encoder = changed(folder, tmp_path / "encoder")
    save_file(lone, encoder / "model.safetensors", {"format": "pt"})
    with pytest.raises(SourceError, match="no decoder"):
        load_speech(str(encoder))
    less = {name: one for name, one in tensors.items() if "layers.1.fc1.bias" not in name}
    save_file(less, encoder / "model.safetensors", {"format": "pt"})
    with pytest.raises(SourceError, match="not those of a Whisper"):
        load_speech(str(encoder))
    untied = {"proj_out.weight": torch.zeros_like(tensors["model.decoder.embed_tokens.weight"])}
    save_file(tensors | untied, encoder / "model.safetensors", {"format": "pt"})
    with pytest.raises(SourceError, match="not tied"):
        load_speech(str(encoder))


def test_a_source_that_changed_is_not_the_one_of_the_card(folder: Path, tmp_path: Path) -> None:
    own = changed(folder, tmp_path / "own")
    card = names.card(str(own))
    tensors = load_file(own / "model.safetensors")
    save_file({n: one + 1 for n, one in tensors.items()}, own / "model.safetensors")
    with pytest.raises(IntegrityError, match="not the one that was tuned"):
        load_speech(card)


@pytest.mark.weights
@pytest.mark.skipif(not store.is_installed(names.card("whisper-base")), reason="not installed")
def test_the_packaged_whisper_suppresses_what_openai_does() -> None:
    source = load_speech("whisper-base")
    said = [one for one in source.tokens.never if one < source.tokens.end]
    assert (len(said), said[:4], said[-2:]) == (83, [1, 2, 7, 8], [49870, 50254])
    assert source.tokens.not_first == (220, 50257)
    assert source.tokens.prompt("it") == [50258, 50274, 50359, 50363]
    assert len(source.tokens.languages) == 99
    tone = (np.sin(np.arange(16000) / 20) / 2).astype(np.float32)
    assert next(Ear(source).windows((tone, 16000))).states.shape[1] == 512
