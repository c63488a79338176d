"""Small tasks that tests make themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

TOPICS = {
    "animal": "horse wolf rabbit eagle salmon beetle tiger goat falcon otter mouse whale "
    "lizard donkey spider monkey heron badger shark pigeon camel toad hamster leopard",
    "food": "bread soup cheese noodles pancake salad omelette sausage pudding risotto butter "
    "yoghurt lasagne dumpling curry biscuit stew porridge sandwich honey gravy muffin jam pie",
    "vehicle": "lorry bicycle tractor tram ferry glider motorbike van submarine canoe helicopter "
    "bus yacht scooter train taxi bulldozer rocket sledge minibus wagon dinghy moped airship",
}
PHRASES = (
    "yesterday I saw a {} near the town",
    "my neighbour told me about his {}",
    "there was a picture of a {} on the wall",
    "she wrote a story about the {}",
)


def topics(n_each: int = 24) -> pd.DataFrame:
    """Sentences whose class lies in the meaning of a word that occurs once: transfer must win."""
    rows = [
        (PHRASES[i % len(PHRASES)].format(word), topic)
        for topic, words in TOPICS.items()
        for i, word in enumerate(words.split()[:n_each])
    ]
    return pd.DataFrame(rows, columns=["text", "topic"])


def codes(n: int = 160, seed: int = 0) -> pd.DataFrame:
    """Strings of made-up codes whose class is one code: surface form is all, meaning is nothing."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        label = "ab"[i % 2]
        filler = ["".join(rng.choice(list("kqxzvj"), 4)) for _ in range(14)]
        filler[int(rng.integers(14))] = {"a": "zqqx", "b": "xkkz"}[label]
        rows.append((" ".join(filler), label))
    return pd.DataFrame(rows, columns=["text", "code"])


def wine_like(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """A table of numbers and a category with a class that depends on both."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)).round(3), columns=["acid", "sugar", "salt"])
    frame["cellar"] = rng.choice(["north", "south"], n)
    signal = frame["acid"] + (frame["cellar"] == "south") * 1.5 + rng.normal(size=n) * 0.3
    frame["grade"] = np.where(signal > 0.7, "good", "plain")
    return frame


def pictures(folder: Path, n_each: int = 8, seed: int = 0) -> Path:
    """Class folders of noisy pictures: stripes that run down, or across."""
    rng = np.random.default_rng(seed)
    for name in ("across", "down"):
        (folder / name).mkdir(parents=True)
        for i in range(n_each):
            wave = np.sin(np.arange(48) * rng.uniform(0.3, 0.8) + rng.uniform(0, 6))[:, None]
            field = np.tile(wave, (1, 48)) if name == "across" else np.tile(wave, (1, 48)).T
            pixels = 128 + 80 * field[..., None] + rng.normal(0, 25, (48, 48, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{i}.png")
    return folder
