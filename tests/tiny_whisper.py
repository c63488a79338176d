"""A tiny Whisper, random, as transformers saves one: directory, tokenizer and all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile as sf
import torch

SPECIAL = ("endoftext", "startoftranscript", "en", "it", "translate", "transcribe", "nospeech")
SPECIAL += ("notimestamps",)
LETTERS = "abcdefghilmnopqrstuvz"


def whisper(folder: Path, *, seed: int = 0) -> Path:
    """Save a Whisper of 2 layers, width 16, with 35 tokens; weights larger than at birth."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    blank = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(" ")[0][0]
    letters = {letter: i for i, letter in enumerate((*LETTERS, blank, "-", "'", "(", ")", "!"))}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([f"<|{name}|>" for name in SPECIAL])
    ids = {name: tokenizer.token_to_id(f"<|{name}|>") for name in SPECIAL}
    vocabulary = tokenizer.get_vocab_size() + 3  # timestamps, which the tokenizer does not know
    config = WhisperConfig(
        vocab_size=vocabulary,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=4,
        encoder_ffn_dim=32,
        decoder_ffn_dim=24,
        num_mel_bins=8,
        max_source_positions=1500,
        max_target_positions=48,
        decoder_start_token_id=ids["startoftranscript"],
        eos_token_id=ids["endoftext"],
        bos_token_id=ids["endoftext"],
        pad_token_id=ids["endoftext"],
    )
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "encoder.embed_positions" not in name:
                parameter.add_(0.15 * torch.randn_like(parameter))
    never = [ids[name] for name in SPECIAL[1:]] + list(range(vocabulary - 3, vocabulary))
    stated = {
        "suppress_tokens": [letters["("], *never],
        "begin_suppress_tokens": [ids["endoftext"]],
        "is_multilingual": True,
        "lang_to_id": {f"<|{name}|>": ids[name] for name in ("en", "it")},
        "task_to_id": {name: ids[name] for name in ("transcribe", "translate")},
        "no_timestamps_token_id": ids["notimestamps"],
        "max_length": 48,
        "_from_model_config": False,
    }
    for name, value in stated.items():
        setattr(model.generation_config, name, value)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    extractor = {"feature_extractor_type": "WhisperFeatureExtractor", "sampling_rate": 16000}
    spec = extractor | {"feature_size": 8, "n_fft": 400, "hop_length": 160, "chunk_length": 30}
    (folder / "preprocessor_config.json").write_text(json.dumps(spec))
    return folder


def spoken(folder: Path, words: list[str], *, seed: int = 0, rate: int = 16000) -> list[Path]:
    """Write a sound for each text: a tone a letter, so that it can be told from the sound."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    files = []
    for number, word in enumerate(words):
        time = np.arange(rate // 10) / rate
        tones = [
            0.3 * np.sin(2 * np.pi * (200 + 90 * LETTERS.find(letter)) * time) for letter in word
        ]
        wave = np.concatenate(tones) + 0.01 * rng.normal(size=len(word) * len(time))
        files.append(folder / f"{number}.wav")
        sf.write(files[-1], wave, rate)
    return files
