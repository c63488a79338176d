"""Which strategy wins with how many labels: accuracy of each on the same judging items.

    python benchmarks/tuning.py --data ../../shared/data clinc150 --shots 50 100 --strategy lp-ft

Every run is a line of ``results/tuning.jsonl``; a run that is there is not done again. ``--table``
sums the lines up, with intervals over seeds and judged items, in ``results/tuning.md``. Baselines:
``probe``, ``scratch`` and a plain logistic regression on frozen features.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from common import RESULTS, machine
from headstart import encode, sources, strategies

LINES = RESULTS / "tuning.jsonl"
MOST_JUDGES = 1000  # images that judge: predicting more costs minutes
SOURCES = {"text": "minilm", "image": "efficientnet-lite0"}


def clinc150(root: Path, shots: int, seed: int) -> tuple[str, Any, Any, Any, Any]:
    """Return shots a class of the training part, and the official test part."""
    train, test = (pd.read_csv(root / "clinc150" / f"{p}.csv") for p in ("train", "test"))
    chosen = drawn(train["intent"].to_numpy(), shots, seed)
    part = train.iloc[chosen]
    return (
        "text",
        part["text"].tolist(),
        part["intent"].to_numpy(),
        test["text"].tolist(),
        test["intent"].to_numpy(),
    )


def sign_digits(root: Path, shots: int, seed: int) -> tuple[str, Any, Any, Any, Any]:
    """Return shots a class, and at most MOST_JUDGES of the others."""
    paths = sorted(p for p in (root / "sign-digits").rglob("*") if p.suffix.lower() == ".jpg")
    labels = np.array([p.parent.name for p in paths])
    return _rest(paths, labels, drawn(labels, shots, seed), seed)


def blood_cells(root: Path, shots: int, seed: int) -> tuple[str, Any, Any, Any, Any]:
    """Return shots a class, and cells of other slides."""
    paths = sorted(p for p in (root / "blood-cells").rglob("*") if p.suffix.lower() in _IMAGES)
    labels = np.array([p.parent.name for p in paths])
    slides = np.array([re.search(r"BloodImage_\d+", p.name)[0] for p in paths])
    turn = np.random.default_rng(seed).permutation(np.unique(slides))
    own = np.isin(slides, turn[: len(turn) // 3])
    at = np.flatnonzero(own)
    chosen = at[drawn(labels[at], shots, seed)]
    others = np.flatnonzero(~own)
    return (
        "image",
        [str(paths[i]) for i in chosen],
        labels[chosen],
        [str(paths[i]) for i in others],
        labels[others],
    )


_IMAGES = (".jpg", ".jpeg", ".png")
DATA = {"clinc150": clinc150, "sign-digits": sign_digits, "blood-cells": blood_cells}


def _rest(paths: list[Path], labels: Any, chosen: Any, seed: int) -> tuple[str, Any, Any, Any, Any]:
    rest = np.setdiff1d(np.arange(len(paths)), chosen)
    rest = np.sort(np.random.default_rng(seed).permutation(rest)[:MOST_JUDGES])
    return (
        "image",
        [str(paths[i]) for i in chosen],
        labels[chosen],
        [str(paths[i]) for i in rest],
        labels[rest],
    )


def drawn(labels: Any, shots: int, seed: int) -> Any:
    """Return the places of ``shots`` items of each class."""
    rng = np.random.default_rng(seed)
    picks = [rng.permutation(np.flatnonzero(labels == c))[:shots] for c in np.unique(labels)]
    return np.concatenate(picks)


def run(
    name: str, modality: Any, train: Any, labels: Any, test: Any, seed: int
) -> tuple[Any, dict]:
    """Return the predicted labels of the judging items, and what was used."""
    if name in ("probe", "logistic"):
        backbone = sources.load(SOURCES[modality])
        X, Z = (encode.features(part, backbone).array for part in (train, test))
        if name == "logistic":
            model: Any = LogisticRegression(C=10, max_iter=2000)
        else:
            model = strategies.make("probe", kind="classification", modality=modality)
        return model.fit(X, labels).predict(Z), {}
    model = strategies.make(name, kind="classification", modality=modality, random_state=seed)
    if name == "scratch":
        if modality == "image":
            train, test = encode.pixels(train), encode.pixels(test)
        return model.fit(train, labels).predict(test), {}
    model.fit(train, labels)
    used = {key: model.settings_[key] for key in ("epochs", "rate", "size", "depth", "flip")}
    return model.predict(test), used | {"wise": model.wise_, "gb": model.memory_.total / 1e9}


def main() -> int:
    """Do the runs that are asked for and not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(DATA))
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--shots", type=int, nargs="+", default=[10, 20, 50])
    parser.add_argument("--strategy", nargs="+", default=["lp-ft"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table", action="store_true", help="only sum up what is there")
    given = parser.parse_args()
    for name in given.names:
        for shots in given.shots:
            for strategy in given.strategy:
                for seed in given.seeds:
                    measure(given.data, name, shots, strategy, seed)
    if given.table:
        table()
    return 0


def measure(root: Path, name: str, shots: int, strategy: str, seed: int) -> None:
    """Do one run, unless its line is there."""
    key = {"data": name, "shots": shots, "strategy": strategy, "seed": seed}
    if any(all(line[k] == v for k, v in key.items()) for line in lines()):
        return
    modality, train, labels, test, truth = DATA[name](root, shots, seed)
    started = time.perf_counter()
    found, used = run(strategy, modality, train, labels, test, seed)
    right = np.asarray(found) == truth
    line = key | {
        "accuracy": float(right.mean()),
        "n_train": len(labels),
        "n_test": len(truth),
        "seconds": round(time.perf_counter() - started, 1),
        "used": used,
        "right": "".join("01"[int(one)] for one in right),
    }
    with LINES.open("a") as file:
        file.write(json.dumps(line) + "\n")
    sys.stdout.write(f"{key} {line['accuracy']:.4f} in {line['seconds']} s {used}\n")
    sys.stdout.flush()


def lines() -> list[dict[str, Any]]:
    """Return the lines that are there."""
    if not LINES.exists():
        return []
    return [json.loads(line) for line in LINES.read_text().splitlines()]


def difference(first: list[dict], second: list[dict], seed: int = 0) -> tuple[float, float, float]:
    """Return the mean paired difference over seeds, with its 95 % interval.

    A hierarchical bootstrap: seeds are drawn with replacement, then the judged items of each.
    """
    pairs = []
    for one in first:
        other = next((line for line in second if line["seed"] == one["seed"]), None)
        if other is not None:
            a, b = (np.array(list(line["right"]), dtype=int) for line in (one, other))
            pairs.append(a - b)
    if not pairs:
        return float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(2000):
        seeds = rng.integers(0, len(pairs), len(pairs))
        means.append(np.mean([rng.choice(pairs[s], len(pairs[s])).mean() for s in seeds]))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(np.mean([pair.mean() for pair in pairs])), float(low), float(high)


def table() -> None:
    """Write ``results/tuning.md`` from the lines."""
    every = lines()
    text = [
        "# Which strategy wins with how many labels",
        "",
        "`python benchmarks/tuning.py --table`, from the runs in `tuning.jsonl`;",
        f"{json.dumps(machine())}",
        "",
        "Accuracy on the judging items, mean over seeds. In brackets the paired difference to the "
        "baseline that heads the table, with its 95 % interval (bootstrap over seeds, then items). "
        "Seconds: the median of one fit with its predictions, by one thread on a machine that had "
        "other work; they compare nothing.",
    ]
    names = list(dict.fromkeys(line["strategy"] for line in every))
    for data in dict.fromkeys(line["data"] for line in every):
        shots = sorted({line["shots"] for line in every if line["data"] == data})
        for base in ("logistic", "probe"):
            text += ["", f"## {data}: difference to `{base}`", ""]
            text += [
                "| strategy | " + " | ".join(f"{s} a class" for s in shots) + " |",
                "|---" * (len(shots) + 1) + "|",
            ]
            for name in names:
                cells = [cell(every, data, count, name, base) for count in shots]
                if any(cells):
                    text.append(f"| {name} | " + " | ".join(cells) + " |")
    (RESULTS / "tuning.md").write_text("\n".join(text) + "\n")


def cell(every: list[dict], data: str, shots: int, name: str, base: str) -> str:
    """Return what a cell of the table says."""
    own, plain = (
        [ln for ln in every if (ln["data"], ln["shots"], ln["strategy"]) == (data, shots, who)]
        for who in (name, base)
    )
    if not own:
        return ""
    told = f"{np.mean([line['accuracy'] for line in own]):.4f}"
    if name != base and plain:
        gain, low, high = difference(own, plain)
        told += f" ({gain:+.4f} [{low:+.4f}, {high:+.4f}])"
    seconds = np.median([line["seconds"] for line in own])
    return f"{told}, {len(own)} seed{'s' if len(own) > 1 else ''}, {seconds:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
