"""The probe against scikit-learn's LogisticRegressionCV, side by side in one run.

    python benchmarks/probe.py [--repeats 3] [--clinc FILE.npz]

Features are a Gaussian mixture of 10 classes in 384 dimensions, 10^4 rows, on axes that fade,
scaled to unit length as sentence embeddings are; accuracy is measured on 10^4 fresh rows. Both
run in this process, in turn, with the same threads; what is reported is the median of the repeats.
FILE.npz holds embedded CLINC150 (train, train_y, test, test_y): the table of accuracies by labels
a class is then made as well. Writes benchmarks/results/probe.json, probe.md, probe_clinc150.md.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, RidgeClassifierCV

from common import RESULTS, machine, ratio_interval, write_result
from headstart.strategies import KNearest, LinearProbe, Prototypes


def mixture(n: int, d: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    spectrum = np.arange(1, d + 1) ** -0.4  # axes fade as those of embeddings do
    centres = np.random.default_rng(0).normal(size=(k, d)) * 0.13
    rng = np.random.default_rng(seed)
    codes = rng.integers(k, size=n)
    X = (centres[codes] + rng.normal(size=(n, d))) * spectrum
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), codes


def timed(model: Any, X: np.ndarray, y: np.ndarray) -> float:
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LogisticRegressionCV's fits that stop at max_iter
        model.fit(X, y)
    return time.perf_counter() - start


def speed(repeats: int) -> dict[str, Any]:
    X, y = mixture(10_000, 384, 10, 1)
    fresh, truth = mixture(10_000, 384, 10, 2)
    rivals: dict[str, Callable[[], Any]] = {
        "probe": LinearProbe,
        "LogisticRegressionCV": lambda: LogisticRegressionCV(
            use_legacy_attributes=False, l1_ratios=(0,), scoring="accuracy"
        ),
        "RidgeClassifierCV (15 alphas)": lambda: RidgeClassifierCV(alphas=np.logspace(-4, 3, 15)),
        "LogisticRegression (C=1)": LogisticRegression,
    }
    rows: dict[str, Any] = {name: {"seconds": [], "accuracy": 0.0} for name in rivals}
    LinearProbe().fit(X[:500], y[:500])
    for _ in range(repeats):
        for name, make in rivals.items():
            model = make()
            rows[name]["seconds"].append(round(timed(model, X, y), 3))
            rows[name]["accuracy"] = float((model.predict(fresh) == truth).mean())
            if name == "probe":
                rows[name]["decision"] = str(model.decision_)
    slow = np.array(rows["LogisticRegressionCV"]["seconds"])
    quick = np.array(rows["probe"]["seconds"])
    low, high = ratio_interval(slow, quick)
    return {
        "n": 10_000,
        "d": 384,
        "classes": 10,
        "rows": rows,
        "ratio": float(np.median(slow) / np.median(quick)),
        "ratio_low": low,
        "ratio_high": high,
    }


def clinc(path: Path, seeds: int) -> list[dict[str, Any]]:
    data = np.load(path)
    X, Xt = data["train"], data["test"]
    classes, y = np.unique(data["train_y"], return_inverse=True)
    yt = np.searchsorted(classes, data["test_y"])
    rivals: dict[str, Callable[[], Any]] = {
        "probe": LinearProbe,
        "prototypes": Prototypes,
        "knn": KNearest,
        "LogisticRegression (C=10)": lambda: LogisticRegression(C=10, max_iter=1000),
        "RidgeClassifierCV": lambda: RidgeClassifierCV(alphas=np.logspace(-3, 3, 13)),
    }
    rows = []
    for shots in (1, 5, 10, 50, 100):
        for name, make in rivals.items():
            found, seconds = [], []
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                index = np.concatenate(
                    [rng.permutation(np.flatnonzero(y == c))[:shots] for c in range(len(classes))]
                )
                model = make()
                seconds.append(timed(model, X[index], y[index]))
                found.append(float((model.predict(Xt) == yt).mean()))
            rows.append(
                {"shots": shots, "model": name, "accuracy": found, "seconds": np.median(seconds)}
            )
            print(rows[-1], flush=True)
    return rows


def footer(about: dict[str, Any]) -> str:
    parts = {key: value for key, value in about.items() if key != "versions"}
    parts |= {name: about["versions"][name] for name in ("numpy", "scikit-learn")}
    return "\n\n" + ", ".join(f"{key} {value}" for key, value in parts.items()) + ".\n"


def write_speed(result: dict[str, Any], about: dict[str, Any]) -> None:
    write_result("probe", {"machine": about} | result)
    lines = [
        "# The probe's speed",
        "",
        f"{result['n']} rows, {result['d']} features, {result['classes']} classes (Gaussian"
        " mixture); medians; accuracy on 10,000 fresh rows.",
        "",
        "| model | seconds | accuracy |",
        "|---|---|---|",
    ]
    for name, row in result["rows"].items():
        lines.append(f"| {name} | {np.median(row['seconds']):.2f} | {row['accuracy']:.4f} |")
    lines += [
        "",
        f"The probe is {result['ratio']:.1f} times as fast as LogisticRegressionCV"
        f" (95 % interval {result['ratio_low']:.1f} to {result['ratio_high']:.1f}).",
    ]
    (RESULTS / "probe.md").write_text("\n".join(lines) + footer(about))


def write_clinc(rows: list[dict[str, Any]], about: dict[str, Any]) -> None:
    shots = sorted({row["shots"] for row in rows})
    names = list(dict.fromkeys(row["model"] for row in rows))
    seeds = len(rows[0]["accuracy"])
    lines = [
        "# CLINC150, frozen MiniLM features, official test",
        "",
        f"Accuracy by labels a class: mean over {seeds} seeds (standard deviation), and median"
        " seconds of a fit with all its choosing.",
        "",
        "| model | " + " | ".join(str(n) for n in shots) + " |",
        "|---" * (len(shots) + 1) + "|",
    ]
    cell = {(row["model"], row["shots"]): row for row in rows}
    for name in names:
        cells = [cell[name, n] for n in shots]
        texts = [
            f"{np.mean(c['accuracy']):.4f} ({np.std(c['accuracy'], ddof=1):.4f}),"
            f" {c['seconds']:.1f} s"
            for c in cells
        ]
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    (RESULTS / "probe_clinc150.md").write_text("\n".join(lines) + footer(about))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clinc", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    about = machine() | {"load": round(os.getloadavg()[0], 1)}
    result = speed(given.repeats)
    write_speed(result, about)
    if given.clinc:
        write_clinc(clinc(given.clinc, given.seeds), about)


if __name__ == "__main__":
    main()
