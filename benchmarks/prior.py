"""What should choose among transfers on few labels: the items alone, or what is known besides?

``python prior.py DATA...`` draws few labels many times, cross-validates probe, k-NN and class means
on each source, and keeps what each is worth on the other items (a line a draw, in
``results/prior.jsonl``; what is there is not drawn again). ``--table`` compares rules by their
regret: how much worse than the best candidate in hindsight, in points. DATA are folders of images
or files of texts, with all labels.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common import RESULTS, machine
from headstart import data, encode, evaluate, select, sources, strategies
from headstart.core.errors import DataError
from headstart.core.types import SILENT, Task
from headstart.evaluate import Predictions, assemble
from headstart.select.prior import HEADS, PRIOR_ITEMS, prior_of, weighed

HEADS_TRIED = ("probe", "knn", "prototypes")
ITEMS, TEST = 2600, 800
FILE = RESULTS / "prior.jsonl"
Row = dict[str, Any]


def candidates(task: Task, names: list[str]) -> dict[str, np.ndarray]:
    """Return the features of all items, by source."""
    return {
        name: np.asarray(encode.features(task.items, sources.load(name)).array) for name in names
    }


def predicted(head: str, X: np.ndarray, y: np.ndarray, new: np.ndarray, task: Task) -> Predictions:
    """Fit a head, and predict."""
    made = strategies.make(head, kind="classification", modality=task.modality, random_state=0)
    return select.predict_one(made.fit(X, y), new, task.classes)


def draw(task: Task, X: dict[str, np.ndarray], shots: int, seed: int) -> Row:
    """Return what each candidate scores out of fold on few labels, and on other items."""
    assert task.labels is not None
    few, rest, _ = data.shots(task, shots, seed)
    rest = np.random.default_rng(seed).choice(rest, min(TEST, len(rest)), replace=False)
    part = task.take(few)
    try:
        folds = data.split(part, n_splits=5, seed=seed) if shots > 1 else []
    except DataError:  # too few groups
        folds = []
    found, chances = {}, defaultdict(list)
    for source, features in X.items():
        for head in HEADS_TRIED:
            mine, labels = features[few], task.labels[few]
            made = predicted(head, mine, labels, features[rest], task)
            one = {"test": evaluate.value("accuracy", task.labels[rest], made)}
            assert made.probabilities is not None
            chances[head].append(np.log(np.maximum(made.probabilities, 1e-6)))
            if folds:
                pieces = [
                    (test, predicted(head, mine[train], labels[train], mine[test], task))
                    for train, test in folds
                ]
                held = assemble(len(few), pieces)
                one["accuracy"] = evaluate.value("accuracy", labels, held)
                one["log_loss"] = evaluate.value("log_loss", labels, held)
            found[f"{source} + {head}"] = one
    for head, several in chances.items():
        guess = np.array(task.classes, dtype=object)[np.mean(several, axis=0).argmax(axis=1)]
        share = evaluate.value("accuracy", task.labels[rest], Predictions(guess))
        found[f"all sources + {head}"] = {"test": share}
    return {"shots": shots, "seed": seed, "n": len(few), "found": found}


def rules() -> dict[str, Callable[[Row, dict[str, Row]], str]]:
    """Return the rules that are compared: each names a candidate."""

    def known(name: str, quality: bool = True, heads: bool = True) -> float:
        source, head = name.split(" + ")
        own = prior_of(sources.card(source)) or 0.0
        return quality * own + heads * HEADS.get(head, 0.0)

    def measured(row: Row, own: dict[str, Row], **which: bool) -> str:
        names = list(own)
        if "accuracy" not in own[names[0]]:
            return max(names, key=lambda name: (known(name, **which), name.endswith("probe")))
        values = np.array([own[name]["accuracy"] for name in names])
        weight = [known(name, **which) for name in names]
        total = weighed(values, weight, row["n"]) if which else values
        smooth = [-own[name]["log_loss"] for name in names]
        return names[int(np.lexsort((smooth, np.round(total, 9)))[-1])]

    def loss(row: Row, own: dict[str, Row]) -> str:
        first = next(iter(own))
        return min(own, key=lambda n: own[n]["log_loss"]) if "log_loss" in own[first] else first

    both = {"quality": True, "heads": True}
    return {
        "best out of fold": lambda row, own: measured(row, own),
        "least log loss out of fold": loss,
        f"weighed with quality and head ({PRIOR_ITEMS} items)": lambda row, own: measured(
            row, own, **both
        ),
        "weighed with quality alone": lambda row, own: measured(
            row, own, quality=True, heads=False
        ),
        "quality alone, probe": lambda row, own: max(
            own, key=lambda name: (known(name, heads=False), name.endswith("probe"))
        ),
    }


def table(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of the table."""
    regret: dict[str, dict[tuple[str, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        own = {k: v for k, v in row["found"].items() if not k.startswith("all sources")}
        best = max(one["test"] for one in own.values())
        key = (row["data"], row["shots"])
        for name, rule in rules().items():
            regret[name][key].append(100 * (best - own[rule(row, own)]["test"]))
        for name, one in row["found"].items():
            if name.startswith("all sources"):
                regret[f"{name}, pooled"][key].append(100 * (best - one["test"]))
    keys = sorted({(row["data"], row["shots"]) for row in rows})
    yield f"| rule | {' | '.join(f'{name} {n}' for name, n in keys)} | mean |"
    yield f"|---|{'---|' * (len(keys) + 1)}"
    for name, found in regret.items():
        means = [float(np.mean(found[key])) for key in keys]
        cells = " | ".join(f"{one:.1f}" for one in means)
        yield f"| {name} | {cells} | **{np.mean(means):.2f}** |"
    draws = {key: len([r for r in rows if (r["data"], r["shots"]) == key]) for key in keys}
    yield ""
    yield f"Draws: {', '.join(f'{name} {n}: {count}' for (name, n), count in draws.items())}."


def main() -> int:
    """Draw, or make the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*")
    parser.add_argument("--shots", type=int, nargs="*", default=[1, 2, 4, 8, 16])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    rows = [json.loads(ln) for ln in FILE.read_text("utf-8").splitlines()] if FILE.exists() else []
    done = {(row["data"], row["shots"], row["seed"]) for row in rows}
    for place in given.data:
        task = data.read(place, reporter=SILENT)
        some = np.random.default_rng(0).choice(task.n, min(ITEMS, task.n), replace=False)
        task = task.take(np.sort(some))
        names = [c.name for c in sources.search(modality=task.modality, installed=True)]
        X = candidates(task, names)
        for shots in given.shots:
            for seed in range(100, 100 + given.draws):
                if (Path(place).stem, shots, seed) in done:
                    continue
                row = {"data": Path(place).stem, **draw(task, X, shots, seed)}
                with FILE.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    if given.table:
        rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
        head = [__doc__.split("\n")[0], "", "Regret in points; `python prior.py --table`."]
        about = f"Machine: {json.dumps(machine())}"
        text = "\n".join(["# " + head[0], *head[1:], "", *table(rows), "", about, ""])
        (RESULTS / "prior.md").write_text(text, encoding="utf-8")
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
