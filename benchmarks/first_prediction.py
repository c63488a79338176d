"""First prediction of a saved text model, from a cold process, against sentence-transformers.

Each run is a process of its own: start Python, load a saved model, predict one sentence. The peer
loads the same MiniLM weights with sentence-transformers and a logistic regression head with joblib
(what a user would have saved). Runs alternate; the ratio is of the medians, its interval is a
bootstrap over the runs.

    python benchmarks/first_prediction.py --runs 9
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import headstart as hs
from common import machine, ratio_interval, write_result
from headstart import sources

TEXTS = ["a warm and funny film", "two dull hours", "a joy from start to end", "a waste of time"]
LABELS = ["fresh", "rotten", "fresh", "rotten"]

OURS = """
import sys
import headstart as hs
print(hs.load(sys.argv[1]).predict(["an hour well spent"])[0])
"""

THEIRS = """
import sys, joblib
from sentence_transformers import SentenceTransformer
encoder = SentenceTransformer(sys.argv[1], device="cpu")
print(joblib.load(sys.argv[1] + "/head.joblib").predict(encoder.encode(["an hour well spent"]))[0])
"""


def peer_model(folder: Path) -> None:
    """Save MiniLM in the layout of sentence-transformers, and a head beside it."""
    import joblib
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from sklearn.linear_model import LogisticRegression

    from peers import hugging_face_layout

    raw = hugging_face_layout(folder / "raw")
    body = Transformer(str(raw), max_seq_length=256)
    pooling = Pooling(body.get_word_embedding_dimension(), "mean")
    model = SentenceTransformer(modules=[body, pooling, Normalize()], device="cpu")
    model.save(str(folder / "peer"))
    head = LogisticRegression(C=10).fit(model.encode(TEXTS), LABELS)
    joblib.dump(head, folder / "peer" / "head.joblib")


def seconds(code: str, argument: Path) -> float:
    """Return the wall seconds of one cold process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, str(argument)], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    sources.install("minilm")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer_model(folder)
        texts = [f"{text} {i}" for i in range(8) for text in TEXTS]
        result = hs.fit(texts, label=LABELS * 8, strategy="probe")
        result.save(folder / "ours")
        ours, theirs = [], []
        for _ in range(runs + 1):  # the first pair warms the disk cache and is not counted
            ours.append(seconds(OURS, folder / "ours"))
            theirs.append(seconds(THEIRS, folder / "peer"))
    ours, theirs = np.array(ours[1:]), np.array(theirs[1:])
    low, high = ratio_interval(theirs, ours)
    write_result(
        "first_prediction",
        {
            "what": "cold process to the first prediction, seconds (median)",
            "headstart": float(np.median(ours)),
            "sentence-transformers": float(np.median(theirs)),
            "ratio": float(np.median(theirs) / np.median(ours)),
            "ratio_interval": [low, high],
            "goal": 4.0,
            "runs": runs,
            "machine": machine(),
        },
    )


if __name__ == "__main__":
    main()
