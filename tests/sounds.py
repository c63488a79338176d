"""Recordings made by the tests: kinds of sound that differ as spoken words and noises do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf

KINDS = ("rise", "hiss", "clicks")


def sound(kind: str, seed: int, *, rate: int = 16000, seconds: float = 0.4) -> np.ndarray:
    """Make a recording: a rising tone, noise, or clicks; each seed another one."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(rate * seconds * rng.uniform(0.7, 1.3))) / rate
    pitch = rng.uniform(300, 500)
    waves = {
        "rise": np.sin(2 * np.pi * pitch * (time + time**2)),
        "hiss": 0.5 * rng.normal(size=len(time)),
        "clicks": np.exp(-40 * (time * 9 % 1)) * np.sin(2 * np.pi * 4 * pitch * time),
    }
    noisy = waves[kind] * rng.uniform(0.2, 0.6) + 0.005 * rng.normal(size=len(time))
    return np.clip(noisy, -1, 1)


def folder(root: Path, each: int, *, first: int = 0) -> Path:
    """Write a sub-folder a kind, of wav, flac and ogg files at three rates, some in stereo."""
    for kind in KINDS:
        (root / kind).mkdir(parents=True)
        for i in range(each):
            rate, ending = [(16000, "wav"), (44100, "flac"), (8000, "ogg")][i % 3]
            samples = sound(kind, first + i, rate=rate)
            if i % 4 == 3:
                samples = np.stack([samples, samples / 2], axis=1)
            sf.write(root / kind / f"{i}.{ending}", samples, rate)
    return root
