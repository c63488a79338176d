"""Small audio backbones of headstart's own making: random weights, nothing to download."""

from __future__ import annotations

import numpy as np
import torch
from tiny_sources import filled, make_card

from headstart.sources import ge2e, musicnn, whisper

RATE = 16000


def tiny_whisper(*, seed=0, seconds=1.0):
    positions = round(seconds * 50)
    config = {"mels": 80, "hidden": 16, "layers": 2, "heads": 2, "intermediate": 24}
    spec = {"rate": RATE, "seconds": seconds, "front": "whisper", "mels": 80, "normalise": False}
    spec |= {"silence": [0.1, 0.2], "floor": 40}
    card = make_card(
        "tiny-whisper", "audio", "whisper", 16, {**config, "positions": positions}, spec
    )
    return filled(whisper.build(card), seed)


def tiny_ge2e(*, seed=0):
    spec = {"rate": RATE, "seconds": 30.0, "front": "ge2e", "mels": 40, "normalise": True}
    config = {"mels": 40, "hidden": 12, "layers": 3, "dim": 8}
    backbone = filled(ge2e.build(make_card("tiny-ge2e", "audio", "ge2e", 8, config, spec)), seed)
    with torch.no_grad():
        backbone.blocks[0].lstm.weight_ih_l0.mul_(100)  # mel power is small: it would hear nothing
    return backbone


def tiny_musicnn(*, seed=0):
    spec = {"rate": RATE, "seconds": 30.0, "front": "musicnn", "mels": 96, "normalise": False}
    config = {"timbre": 4, "rhythm": 3, "mid": 6, "dim": 10, "classes": 5}
    return filled(
        musicnn.build(make_card("tiny-music", "audio", "musicnn", 10, config, spec)), seed
    )


def sound(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A few tones that come and go over a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * f * time + f) for f in rng.uniform(100, 3000, 4))
    loud = 0.1 + 0.1 * np.sin(2 * np.pi * rng.uniform(1, 4) * time)
    return (loud * tones / 2 + 0.01 * rng.standard_normal(len(time))).astype(np.float32)
