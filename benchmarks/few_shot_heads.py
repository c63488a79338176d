"""Which head for few labels? Heads on the same frozen features, 1 to 16 labels a class.

    python benchmarks/few_shot_heads.py --data ../../shared/data --reviews reviews.csv

CLINC150 (official test), film reviews (1000 fixed ones of other films), blood cells and hand signs
(all other pictures, at most 1000). Each item is encoded once, with ``minilm`` or
``efficientnet-lite0``. Every run is a line of ``results/few_shot_heads.jsonl``; a run that is
there is not done again; ``results/few_shot_heads.md`` sums them up. ``logistic`` is
scikit-learn's LogisticRegression as it comes, the usual head on sentence embeddings.

The defaults of ``few-shot`` (which heads, when they are averaged, what one label a class gets) were
chosen on CLINC150 and the pictures; the reviews only check them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import RESULTS, machine
from headstart import encode, sources, strategies

LINES = RESULTS / "few_shot_heads.jsonl"
HEADS = ("few-shot", "anchored", "probe", "prototypes", "knn", "logistic")
SHOTS = (1, 2, 4, 8, 16)
DRAWS = {"clinc150": 5, "blood-cells": 5, "sign-digits": 5, "reviews": 20}
MOST_JUDGES = 1000
Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def clinc(given: Any) -> Callable[[int, int], Parts]:
    """Return how to draw shots a class of the training part; the test part judges."""
    parts = [pd.read_csv(given.data / "clinc150" / f"{name}.csv") for name in ("train", "test")]
    X, Z = (encoded(part["text"].tolist(), "minilm") for part in parts)
    y, truth = (part["intent"].to_numpy(str) for part in parts)
    return lambda shots, seed: (*taken(X, y, drawn(y, shots, seed)), Z, truth)


def reviews(given: Any) -> Callable[[int, int], Parts]:
    """Return how to draw reviews of half of the films; 1000 fixed ones of the others judge."""
    frame = pd.read_csv(given.reviews)
    X, y = encoded(frame["text"].tolist(), "minilm"), frame["label"].to_numpy(str)
    films = np.random.default_rng(0).permutation(frame["movie"].unique())
    own = frame["movie"].isin(films[: len(films) // 2]).to_numpy()
    judges = np.random.default_rng(0).permutation(np.flatnonzero(~own))[:MOST_JUDGES]
    places = np.flatnonzero(own)

    def draw(shots: int, seed: int) -> Parts:
        return (*taken(X, y, places[drawn(y[places], shots, seed)]), X[judges], y[judges])

    return draw


def pictures(given: Any, name: str) -> Callable[[int, int], Parts]:
    """Return how to draw pictures of class folders; others judge."""
    files = sorted(path for path in (given.data / name).glob("*/*") if path.is_file())
    X = encoded([str(path) for path in files], "efficientnet-lite0")
    y = np.array([path.parent.name for path in files])

    def draw(shots: int, seed: int) -> Parts:
        chosen = drawn(y, shots, seed)
        rest = np.setdiff1d(np.arange(len(y)), chosen)
        rest = np.random.default_rng(seed).permutation(rest)[:MOST_JUDGES]
        return (*taken(X, y, chosen), X[rest], y[rest])

    return draw


def encoded(items: list[str], name: str) -> np.ndarray:
    """Return the features of items by a source."""
    return np.asarray(encode.features(items, sources.load(name)).array)


def drawn(labels: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Return the places of as many items of each class."""
    rng = np.random.default_rng(seed)
    each = [rng.permutation(np.flatnonzero(labels == name))[:shots] for name in np.unique(labels)]
    return np.concatenate(each)


def taken(X: np.ndarray, y: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows at some places."""
    return X[places], y[places]


def fitted(head: str, X: np.ndarray, y: np.ndarray) -> Any:
    """Return a head fitted to features."""
    if head == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1000).fit(X, y)
    return strategies.make(head, kind="classification", modality="text").fit(X, y)


def measure(name: str, draw: Callable[[int, int], Parts]) -> None:
    """Do all runs of a data set that have no line yet."""
    done = {(line["data"], line["shots"], line["seed"], line["head"]) for line in lines()}
    for shots in SHOTS:
        for seed in range(DRAWS[name]):
            X, y, Z, truth = draw(shots, seed)
            for head in HEADS:
                if (name, shots, seed, head) in done:
                    continue
                started = time.perf_counter()
                model = fitted(head, X, y)
                line = {"data": name, "shots": shots, "seed": seed, "head": head}
                line["seconds"] = round(time.perf_counter() - started, 3)
                line["accuracy"] = round(float((model.predict(Z) == truth).mean()), 5)
                with LINES.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")


def lines() -> list[dict[str, Any]]:
    """Return the runs that were made."""
    if not LINES.exists():
        return []
    return [json.loads(line) for line in LINES.read_text(encoding="utf-8").splitlines()]


def together(wide: pd.DataFrame, others: tuple[str, ...]) -> str:
    """Return the mean difference over data sets and labels a class, draws paired."""
    found = []
    for name in others:
        cells = (wide["few-shot"] - wide[name]).groupby(level=[0, 1])
        spread = np.sqrt((cells.var(ddof=1) / cells.size()).sum()) / cells.ngroups
        mean = cells.mean().mean()
        low, high = mean - 1.96 * spread, mean + 1.96 * spread
        found.append(f"{100 * mean:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]")
    return "| all, evenly | | " + " | ".join(found) + " |"


def interval(differences: np.ndarray) -> str:
    """Return the mean of paired differences with its 95 % t interval, in points."""
    from scipy.stats import t

    n = len(differences)
    half = t.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    mean = differences.mean()
    return f"{100 * mean:+.1f} [{100 * (mean - half):+.1f}, {100 * (mean + half):+.1f}]"


def table() -> None:
    """Write the runs as tables."""
    frame = pd.DataFrame(lines())
    wide = frame.pivot_table(index=["data", "shots", "seed"], columns="head", values="accuracy")
    wide = wide[list(HEADS)]
    out = ["# Heads on frozen features, few labels a class", ""]
    cpu = machine()
    out += [f"`python benchmarks/few_shot_heads.py`; one thread, {cpu['cpu']}.", ""]
    out += [
        "Mean accuracy in percent over draws (5; reviews 20). `logistic` is scikit-learn's.",
        "",
    ]
    out += [
        "The defaults of `few-shot` were chosen on CLINC150 and the pictures; reviews check them."
    ]
    out += [""]
    out += [
        "| data | labels a class | " + " | ".join(HEADS) + " |",
        "|---" * (len(HEADS) + 2) + "|",
    ]
    for (data, shots), part in wide.groupby(level=[0, 1]):
        means = [f"{100 * value:.1f}" for value in part.mean()]
        out.append(f"| {data} | {shots} | " + " | ".join(means) + " |")
    means = [f"{100 * value:.1f}" for value in wide.groupby(level=[0, 1]).mean().mean()]
    out += ["| all, evenly | | " + " | ".join(means) + " |", ""]
    out += [
        "`few-shot` less each other head, paired over draws, in points with 95 % intervals.",
        "",
    ]
    others = HEADS[1:]
    out += ["| data | labels a class | " + " | ".join(others) + " |"]
    out += ["|---" * (len(others) + 2) + "|"]
    for (data, shots), part in wide.groupby(level=[0, 1]):
        found = [interval((part["few-shot"] - part[name]).to_numpy()) for name in others]
        out.append(f"| {data} | {shots} | " + " | ".join(found) + " |")
    out += [together(wide, others)]
    out += ["", "Median seconds to fit on CLINC150, on a machine with other work: rough.", ""]
    slow = frame[frame["data"] == "clinc150"].pivot_table(
        index="shots", columns="head", values="seconds", aggfunc="median"
    )[list(HEADS)]
    out += ["| labels a class | " + " | ".join(HEADS) + " |", "|---" * (len(HEADS) + 1) + "|"]
    out += [
        f"| {shots} | " + " | ".join(f"{value:.2f}" for value in row) + " |"
        for shots, row in zip(slow.index, slow.to_numpy(), strict=True)
    ]
    text = "\n".join(out) + "\n"
    (RESULTS / "few_shot_heads.md").write_text(text, encoding="utf-8")


def main() -> None:
    """Measure, or sum up."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="a folder with clinc150 and the pictures")
    parser.add_argument("--reviews", type=Path, help="the CSV of `headstart examples reviews`")
    given = parser.parse_args()
    if given.reviews:
        measure("reviews", reviews(given))
    if given.data:
        for name in ("blood-cells", "sign-digits"):
            measure(name, pictures(given, name))
        measure("clinc150", clinc(given))
    table()


if __name__ == "__main__":
    main()
