"""Text embedding against sentence-transformers: the same MiniLM weights, texts to vectors.

Both run in one process, by turns, with the cache of headstart off and as many threads as cores.
"short" texts are about 10 words, "long" ones about 180 tokens, made of the same sentences. The
result also gives the ceiling of this machine: how much faster than sentence-transformers a
forward pass could be that does nothing but its matrix multiplications, at the best rate torch
reaches here in float32.

    python benchmarks/embed_text.py [--texts FILE.csv] [--runs 7]

``--texts`` (or HEADSTART_BENCH_TEXTS) is a CSV with a column ``text``; by default the example
reviews, fetched through pip.
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
import pandas as pd
import torch

from common import machine, ratio_interval, write_result
from headstart import encode, sources
from headstart.data import fetch_example
from headstart.encode.lanes import side_by_side
from peers import hugging_face_layout

GOALS = {"short": 4.0, "long": 3.5, "cosine": 0.9999}
LONG_WORDS = 140


def read_sentences(path: str | None, scratch: Path) -> list[str]:
    if path is None:
        path = str(next(fetch_example("reviews", scratch / "reviews").glob("*.csv")))
    return list(dict.fromkeys(pd.read_csv(path)["text"].astype(str)))


def short_texts(sentences: list[str], n: int) -> list[str]:
    cut = [" ".join(text.split()[:12]) for text in sentences]
    return list(dict.fromkeys(cut))[:n]


def long_texts(sentences: list[str], n: int) -> list[str]:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(n):
        words: list[str] = []
        goal = rng.integers(LONG_WORDS - 60, LONG_WORDS + 60)
        while len(words) < goal:
            words += sentences[rng.integers(len(sentences))].split()
        found.append(" ".join(words[:goal]))
    return found


def matmul_rate() -> float:
    """Return the best float32 rate of the largest multiplication of the model, FLOP/s."""
    x, weight = torch.randn(512, 384), torch.randn(1536, 384)
    flops = 2 * x.shape[0] * weight.numel()
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        count = sum(1 for _ in side_by_side(lambda _: _multiply(x, weight), range(16)))
        rates.append(10 * count * flops / (time.perf_counter() - start))
    return max(rates)


def _multiply(x: torch.Tensor, weight: torch.Tensor) -> None:
    for _ in range(10):
        torch.nn.functional.linear(x, weight)


def floating_operations(lengths: np.ndarray) -> float:
    """Return what MiniLM's matrix multiplications cost for texts of these lengths in tokens."""
    linear = 2 * (4 * 384 * 384 + 2 * 384 * 1536)
    return float(6 * (linear * lengths + 4 * 384 * lengths.astype(float) ** 2).sum())


def timed(function: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Return (wall seconds, CPU seconds), result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return (time.perf_counter() - wall, time.process_time() - cpu), result


def measure(texts: list[str], backbone: Any, peer: Any, runs: int) -> dict[str, Any]:
    ours, theirs = [], []

    def own() -> Any:
        return encode.features(texts, backbone, cache=False).array

    def other() -> Any:
        return peer.encode(texts, normalize_embeddings=True)

    own(), other()
    for _ in range(runs):
        seconds, expected = timed(other)
        theirs.append(seconds)
        seconds, found = timed(own)
        ours.append(seconds)
    tokens = np.array([len(e.ids) for e in backbone.tokenizer.encode_batch(texts)])
    (a, cpu_a), (b, cpu_b) = np.array(theirs).T, np.array(ours).T
    least = floating_operations(tokens) / matmul_rate()
    low, high = ratio_interval(a, b)
    return {
        "texts": len(texts),
        "mean_tokens": round(float(tokens.mean()), 1),
        "sentence_transformers_texts_per_s": round(len(texts) / float(np.median(a)), 1),
        "headstart_texts_per_s": round(len(texts) / float(np.median(b)), 1),
        "ratio": round(float(np.median(a) / np.median(b)), 2),
        "low": round(low, 2),
        "high": round(high, 2),
        "ceiling_ratio_float32": round(float(np.median(a)) / least, 2),
        "cosine_min": round(float((found * expected).sum(axis=1).min()), 6),
        "cpu_ratio": round(float(np.median(cpu_a) / np.median(cpu_b)), 2),
        "seconds": {"sentence_transformers": a.round(3).tolist(), "headstart": b.round(3).tolist()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", default=os.environ.get("HEADSTART_BENCH_TEXTS"))
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--short", type=int, default=1000)
    parser.add_argument("--long", type=int, default=64)
    options = parser.parse_args()
    from sentence_transformers import SentenceTransformer

    with tempfile.TemporaryDirectory() as scratch:
        sentences = read_sentences(options.texts, Path(scratch))
        backbone = sources.load("minilm")
        peer = SentenceTransformer(str(hugging_face_layout(Path(scratch) / "peer")), device="cpu")
    peer.max_seq_length = 256
    texts = {
        "short": short_texts(sentences, options.short),
        "long": long_texts(sentences, options.long),
    }
    result = {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "texts": "example reviews" if options.texts is None else Path(options.texts).name,
        "goals": GOALS,
        "load_average_before": os.getloadavg()[0],
    }
    for name, chosen in texts.items():
        result[name] = measure(chosen, backbone, peer, options.runs)
    write_result("embed_text", result)


if __name__ == "__main__":
    main()
