"""Honesty, measured: permuted labels must not look like transfer, and digits must go to scratch.

python benchmarks/honesty.py --seeds 20
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

import headstart as hs
from common import machine, write_result

TOPICS = {
    "animal": "horse wolf rabbit eagle salmon beetle tiger goat falcon otter mouse whale",
    "food": "bread soup cheese noodles pancake salad omelette sausage pudding risotto butter curry",
    "vehicle": "lorry bicycle tractor tram ferry glider motorbike van submarine canoe bus yacht",
}
PHRASES = ("yesterday I saw a {} near the town", "my neighbour told me about his {}")


def permuted(seeds: int) -> list[dict]:
    """Fit a small text set whose labels are permuted, once for each seed."""
    texts = [p.format(w) for words in TOPICS.values() for w in words.split() for p in PHRASES]
    labels = [t for t, words in TOPICS.items() for _ in words.split() for _ in PHRASES]
    rows = []
    for seed in range(seeds):
        mixed = np.random.default_rng(seed).permutation(labels).tolist()
        result = hs.fit(texts, label=mixed, seed=seed)
        gain = result.gain
        rows.append(
            {
                "seed": seed,
                "gain": gain.estimate,
                "low": gain.low,
                "high": gain.high,
                "verdict": gain.verdict,
                "chosen": result.chosen.name,
            }
        )
    return rows


def digits(seeds: int) -> list[dict]:
    """Fit scikit-learn's digits as pictures, ten a class: frozen photo features lose there."""
    data = load_digits()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for i, (pixels, label) in enumerate(zip(data.images, data.target, strict=True)):
            folder = Path(name) / str(label)
            folder.mkdir(exist_ok=True)
            Image.fromarray((pixels * 255 / 16).astype(np.uint8)).save(folder / f"{i:04d}.png")
        for seed in range(seeds):
            result = hs.fit(name, shots=10, seed=seed)
            rows.append(
                {
                    "seed": seed,
                    "chosen": result.chosen.name,
                    "scratch": result.scratch.estimate,
                    "best transfer": result.transfer_score.estimate,
                    "gain": result.gain.estimate,
                    "low": result.gain.low,
                    "high": result.gain.high,
                    "verdict": result.gain.verdict,
                }
            )
    return rows


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--digit-seeds", type=int, default=3)
    options = parser.parse_args()
    null, hard = permuted(options.seeds), digits(options.digit_seeds)
    write_result(
        "honesty",
        {
            "permuted labels": {
                "positive verdicts": sum(row["verdict"] == "positive" for row in null),
                "of": len(null),
                "goal": "at most 1 of 20",
                "runs": null,
            },
            "digits as pictures, 10 a class": {
                "handed to scratch": sum(row["chosen"] == "scratch" for row in hard),
                "of": len(hard),
                "goal": "all",
                "runs": hard,
            },
            "machine": machine(),
        },
    )


if __name__ == "__main__":
    main()
