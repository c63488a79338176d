"""The scripts of examples/ run, on small data made here, and say what transfer was worth."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image
from tests import samples

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GAIN = re.compile(r"^[+-]\d\.\d{3} \[-?\d\.\d{3}, -?\d\.\d{3}\] over scratch: ", re.MULTILINE)
pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("weights")]


def script(name: str):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sentiment(tmp_path, capsys):
    frame = samples.topics(20).rename(columns={"topic": "label"})
    frame["movie"] = [f"film {i % 25}" for i in range(len(frame))]
    frame.to_csv(tmp_path / "reviews.csv", index=False)
    script("sentiment").main(
        str(tmp_path / "reviews.csv"), shots=6, budget="1s", model=str(tmp_path / "model")
    )
    told = capsys.readouterr().out
    assert GAIN.search(told)
    assert "clumsy" in told.lower()
    assert (tmp_path / "model" / "manifest.json").is_file()


def test_spam(tmp_path, capsys):
    ham, junk = (part["text"].tolist() for _, part in list(samples.topics(24).groupby("topic"))[:2])
    kinds = {"easy-ham-1": ham[:8], "easy-ham-2": ham[8:16], "spam-1": junk[:16]}
    kinds |= {"hard-ham-1": ham[16:], "spam-2": junk[16:]}
    for folder, texts in kinds.items():
        (tmp_path / folder).mkdir()
        for i, text in enumerate(texts):
            mail = f"From: someone\nSubject: number {i}\n\n{text}"
            (tmp_path / folder / f"{i}.json").write_text(json.dumps({"text": mail}))
    spam = script("spam")
    frame = spam.mails(tmp_path, spam.EASY, 10)
    assert frame["label"].value_counts().to_dict() == {"ham": 10, "spam": 10}
    assert frame["text"].str.startswith("number").all()
    spam.main(str(tmp_path), each=16, risk=0.3, budget="1s")
    told = capsys.readouterr().out
    assert GAIN.search(told)
    assert "on 16 hard mails: accuracy" in told


def test_blood_cells(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for kind, colour in {"red": (200, 60, 70), "white": (90, 60, 190)}.items():
        (tmp_path / "cells" / kind).mkdir(parents=True)
        for i in range(12):
            pixels = np.clip(rng.normal(colour, 25, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "cells" / kind / f"BloodImage_{i:05d}_{i}.png")
    script("blood_cells").main(str(tmp_path / "cells"), shots=4, budget="1s")
    told = capsys.readouterr().out
    assert GAIN.search(told)
    assert re.search(r"red: \d\.\d{3} of 8", told)


def test_spoken_words(tmp_path, capsys):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        vocab_size=60, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24,
        max_source_positions=100, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=3,
    )  # fmt: skip
    source = tmp_path / "whisper"
    transformers.WhisperForConditionalGeneration(config).save_pretrained(source)
    transformers.WhisperFeatureExtractor(chunk_length=2).save_pretrained(source)
    rng = np.random.default_rng(0)
    for voice, pitch in {"low": 1.0, "high": 1.3}.items():
        (tmp_path / voice).mkdir()
        for word in range(13):
            tones = np.random.default_rng(word).uniform(200, 1500, 3) * pitch
            time = np.arange(3200) / 16000
            wave = np.concatenate([np.sin(2 * np.pi * hertz * time) for hertz in tones])
            noisy = 0.3 * wave + 0.01 * rng.normal(size=len(wave))
            sf.write(tmp_path / voice / f"word-{word:02d}.wav", noisy, 16000)
    words = script("spoken_words")
    words.main(str(tmp_path / "low"), str(tmp_path / "high"), source=f"{source}@norm:3")
    told = capsys.readouterr().out
    assert "12 words, one recording of each; chance is 0.083" in told
    assert GAIN.search(told)
    assert "with 'word-12' taken in" in told
