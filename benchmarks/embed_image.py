"""Image embedding against the eager loop that a user would write, the same EfficientNet-Lite0.

The loop: PIL opens and converts, resizes the shorter side to 256, cuts the centre, NumPy
normalises, batches of 32 in NCHW order through the eager network under ``torch.no_grad``.
"decoded" starts from RGB arrays in memory; "jpeg" from files of 3, 6 and 12 megapixels, made of
scikit-learn's china.jpg: enlarged, mirrored, with noise, the same on every machine. Both run in
one process, by turns, with the cache of headstart off and as many threads as cores.

    python benchmarks/embed_image.py [--runs 7]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from common import machine, ratio_interval, write_result
from headstart import encode, sources

GOALS = {"decoded": 8.0, "jpeg": 5.0}
SIZES = {3: (2048, 1536), 6: (2828, 2121), 12: (4000, 3000)}


def photographs(n: int, size: tuple[int, int], seed: int) -> list[np.ndarray]:
    """Return photographs that differ: crops of one, mirrored, enlarged, with noise."""
    rng = np.random.default_rng(seed)
    china = load_sample_image("china.jpg")
    found = []
    for i in range(n):
        left, top = int(rng.integers(0, 120)), int(rng.integers(0, 80))
        part = china[top : top + 340, left : left + 500]
        part = part[:, ::-1] if i % 2 else part
        image = Image.fromarray(np.ascontiguousarray(part)).resize(size, Image.Resampling.BICUBIC)
        coarse = rng.normal(0, 6, (size[1] // 2, size[0] // 2, 1)).repeat(2, 0).repeat(2, 1)
        pixels = np.asarray(image)[: coarse.shape[0], : coarse.shape[1]] + coarse
        found.append(np.clip(pixels, 0, 255).astype(np.uint8))
    return found


def prepare(item: Any) -> np.ndarray:
    image = Image.fromarray(item) if isinstance(item, np.ndarray) else Image.open(item)
    image = image.convert("RGB")
    scale = 256 / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - 224) // 2, (height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), dtype=np.float32)
    return ((pixels / 255 - 0.5) / 0.5).transpose(2, 0, 1)


def eager_loop(items: list[Any], model: Any) -> np.ndarray:
    rows = []
    with torch.no_grad():
        for start in range(0, len(items), 32):
            batch = np.stack([prepare(item) for item in items[start : start + 32]])
            rows.append(model(torch.from_numpy(batch)).numpy())
    return np.concatenate(rows)


def timed(function: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Return (wall seconds, CPU seconds), result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return (time.perf_counter() - wall, time.process_time() - cpu), result


def measure(items: list[Any], backbone: Any, runs: int) -> dict[str, Any]:
    ours, theirs = [], []

    def own() -> Any:
        return encode.features(items, backbone, cache=False).array

    def other() -> Any:
        return eager_loop(items, backbone)

    own(), other()
    for _ in range(runs):
        seconds, expected = timed(other)
        theirs.append(seconds)
        seconds, found = timed(own)
        ours.append(seconds)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    (a, cpu_a), (b, cpu_b) = np.array(theirs).T, np.array(ours).T
    low, high = ratio_interval(a, b)
    return {
        "images": len(items),
        "eager_images_per_s": round(len(items) / float(np.median(a)), 2),
        "headstart_images_per_s": round(len(items) / float(np.median(b)), 2),
        "ratio": round(float(np.median(a) / np.median(b)), 2),
        "low": round(low, 2),
        "high": round(high, 2),
        "cosine_min": round(float(((found * expected).sum(axis=1) / norms).min()), 5),
        "cpu_ratio": round(float(np.median(cpu_a) / np.median(cpu_b)), 2),
        "seconds": {"eager": a.round(3).tolist(), "headstart": b.round(3).tolist()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--decoded", type=int, default=64)
    parser.add_argument("--each", type=int, default=8, help="JPEG files of each size")
    options = parser.parse_args()
    backbone = sources.load("efficientnet-lite0")
    result = {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "goals": GOALS,
        "load_average_before": os.getloadavg()[0],
        "decoded": measure(photographs(options.decoded, (500, 375), 0), backbone, options.runs),
    }
    with tempfile.TemporaryDirectory() as scratch:
        files: list[Path] = []
        for megapixels, size in SIZES.items():
            for i, pixels in enumerate(photographs(options.each, size, megapixels)):
                files.append(Path(scratch) / f"{megapixels}mp-{i}.jpg")
                Image.fromarray(pixels).save(files[-1], quality=90)
        result["jpeg"] = measure(files, backbone, options.runs)
    write_result("embed_image", result)


if __name__ == "__main__":
    main()
