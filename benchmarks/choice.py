"""Does ``fit`` choose well? Regret, harm and compute, beside simple rules that choose otherwise.

    python benchmarks/choice.py --data ../../shared/data --reviews reviews.csv clinc150 reviews

For each data set, number of labels a class and seed, every candidate on frozen features of every
source, and scratch, is fitted to the end and scored on judging items. ``headstart.fit`` chooses by
itself on the training part, with 400 other items as its test part. Strategies that tune a source
come from ``results/tuning.jsonl`` where the same draw was measured. Every run is a line of
``results/choice.jsonl``; a run that is there is not done again. ``--table`` sums them up in
``results/choice.md``.

*Regret* is the accuracy of the best candidate in hindsight less that of what was handed back.
*Harm*: what was handed back is transfer, and the interval of its difference to scratch on the
judging items lies below zero. *Compute* is the share of the seconds that fitting every candidate
in five folds and once more would have taken, encoding with every source included.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import tuning
from common import RESULTS, machine
from headstart import encode, evaluate, select, sources, transfer
from headstart.evaluate import Predictions
from headstart.select import MAJORITY, SCRATCH, Entry, Field

LINES = RESULTS / "choice.jsonl"
SOURCES = {
    "text": ("minilm", "e5-small"),
    "image": ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"),
}
HEADS = ("probe", "knn", "prototypes")
MOST_JUDGES, FOR_FIT = 1200, 400
FOLDS = 5
RULE = "weighed with what is known"


def reviews(file: Path, shots: int, seed: int) -> tuple[str, Any, Any, Any, Any]:
    """Return film reviews: shots a class, and reviews of other films."""
    frame = pd.read_csv(file)
    film = frame["movie"] if "movie" in frame else pd.Series(np.arange(len(frame)))
    rng = np.random.default_rng(seed)
    turn = rng.permutation(film.unique())
    own = frame[film.isin(turn[: len(turn) // 2])].reset_index(drop=True)
    rest = frame[film.isin(turn[len(turn) // 2 :])].sample(MOST_JUDGES, random_state=seed)
    label = "label" if "label" in frame else frame.columns[0]
    part = own.iloc[tuning.drawn(own[label].to_numpy(), shots, seed)]
    return (
        "text",
        part["text"].tolist(),
        part[label].to_numpy(),
        rest["text"].tolist(),
        rest[label].to_numpy(),
    )


def digits(_: Path, shots: int, seed: int) -> tuple[str, Any, Any, Any, Any]:
    """Return scikit-learn's digits as images of 8 x 8: where ImageNet does not help."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pictures = (found.images * 15.9).astype(np.uint8)
    labels = found.target.astype(str).astype(object)
    chosen = tuning.drawn(labels, shots, seed)
    rest = np.setdiff1d(np.arange(len(labels)), chosen)
    rest = np.sort(np.random.default_rng(seed).permutation(rest)[:1000])
    return (
        "image",
        [pictures[i] for i in chosen],
        labels[chosen],
        [pictures[i] for i in rest],
        (labels[rest]),
    )


def judged(found: tuple[str, Any, Any, Any, Any], seed: int) -> tuple[str, Any, Any, Any, Any]:
    """Return a task with at most MOST_JUDGES judging items."""
    modality, X, y, Z, truth = found
    keep = np.random.default_rng(seed).permutation(len(truth))[:MOST_JUDGES]
    return (
        modality,
        X,
        np.asarray(y, dtype=object),
        [Z[i] for i in keep],
        (np.asarray(truth, dtype=object)[keep]),
    )


def measure(given: Any, name: str, shots: int, seed: int) -> None:
    """Do one run, unless its line is there."""
    key = {"data": name, "shots": shots, "seed": seed}
    if any(all(line[k] == v for k, v in key.items()) for line in lines()):
        return
    if name == "reviews":
        task = reviews(given.reviews, shots, seed)
    elif name == "digits":
        task = digits(given.data, shots, seed)
    else:
        task = tuning.DATA[name](given.data, shots, seed)
    modality, X, y, Z, truth = judged(task, seed)
    if len(set(y)) < 2 or min(np.unique(y, return_counts=True)[1]) < shots:
        return
    test = (Z[:FOR_FIT], truth[:FOR_FIT])
    Z, truth = Z[FOR_FIT:], truth[FOR_FIT:]
    started = time.perf_counter()
    result = transfer.fit(
        (X, y), test=test, modality=modality, seed=seed, budget=given.budget, curve=False
    )
    took = time.perf_counter() - started
    own = np.asarray(result.predict(Z)).astype(str)
    every, seconds = exhaustive(modality, X, y, Z, seed)
    scores = {who: float((found == truth).mean()) for who, found in every.items()}
    scratch = every["scratch"]
    harm = evaluate.gain(
        "accuracy", truth.astype(str), Predictions(own), Predictions(scratch.astype(str))
    )
    line = key | {
        "chosen": result.chosen.name,
        "verdict": result.gain.verdict,
        "accuracy": float((own == truth.astype(str)).mean()),
        "over_scratch": [harm.estimate, harm.low, harm.high],
        "scores": scores,
        "logme": logme_choice(modality, X, y),
        "seconds": round(took, 1),
        "encoded": sorted({one.source for one in result.candidates if one.score and one.source}),
        "fits": round(sum(one.seconds for one in result.candidates), 2),
        "every": round(seconds, 2),
        "n_train": len(y),
        "n_test": len(truth),
        "rule": RULE,
    }
    with LINES.open("a") as file:
        file.write(json.dumps(line) + "\n")
    best = max(scores.values())
    sys.stdout.write(
        f"{key} {line['chosen']} {line['accuracy']:.4f}, best {best:.4f}, {took:.0f} s\n"
    )
    sys.stdout.flush()


def exhaustive(modality: Any, X: Any, y: Any, Z: Any, seed: int) -> tuple[dict[str, Any], float]:
    """Fit every candidate on all training items; return predictions, and the seconds of it all.

    The seconds are those of five folds and one more fit each: six times one fit.
    """
    classes = tuple(sorted(set(y)))
    inputs: dict[Any, Any] = {None: X}
    test: dict[Any, Any] = {None: Z}
    if modality == "image":
        inputs[None], test[None] = encode.pixels(X), encode.pixels(Z)
    for name in SOURCES[modality]:
        backbone = sources.load(name)
        inputs[name] = encode.features(X, backbone).array
        test[name] = encode.features(Z, backbone).array
    field = Field(inputs, y, classes, "classification", modality, seed, X)
    entries = [MAJORITY, SCRATCH]
    entries += [Entry(head, name) for name in SOURCES[modality] for head in HEADS]
    found, seconds = {}, 0.0
    for entry in entries:
        started = time.perf_counter()
        try:
            model = select.fit_one(entry, field)
        except ValueError:  # such as calibration with one item a class
            continue
        seconds += (FOLDS + 1) * (time.perf_counter() - started)
        found[entry.name] = select.predict_one(model, test[entry.source], classes).labels
    return found, seconds


def logme_choice(modality: Any, X: Any, y: Any) -> str:
    """Return the source that LogME prefers, with a probe."""
    scores = {
        name: select.logme(encode.features(X, sources.load(name)).array, y)
        for name in SOURCES[modality]
    }
    return f"{max(scores, key=lambda name: scores[name])} + probe"


def lines() -> list[dict[str, Any]]:
    """Return the lines that are there."""
    if not LINES.exists():
        return []
    return [json.loads(line) for line in LINES.read_text().splitlines()]


def _modality(line: dict[str, Any]) -> str:
    return "text" if line["data"] in ("clinc150", "reviews") else "image"


def rules(line: dict[str, Any]) -> dict[str, str]:
    """Return what simple rules choose."""
    first = SOURCES[_modality(line)][0]
    return {
        "always the probe (static order)": f"{first} + probe",
        "LogME's source, probe": line["logme"],
        "always scratch": "scratch",
        "always nearest neighbours": f"{first} + knn",
    }


def table() -> None:
    """Write ``results/choice.md`` from the lines."""
    every = lines()
    tuned = tuning.lines()
    for line in every:
        for other in tuned:
            same = all(line[k] == other[k] for k in ("data", "shots", "seed"))
            if same and other["strategy"] in ("finetune", "lp-ft", "partial", "lora", "gradual"):
                first = tuning.SOURCES["text" if line["data"] == "clinc150" else "image"]
                line["scores"][f"{first} + {other['strategy']}"] = other["accuracy"]
    text = ["# Does `fit` choose well?", "", "`python benchmarks/choice.py --table`, from the runs"]
    text += [f"in `choice.jsonl`; {json.dumps(machine())}", ""]
    text += (__doc__ or "").split("\n\n", 3)[3].strip().splitlines()
    text += ["", *overall(every), "", *by_place(every)]
    (RESULTS / "choice.md").write_text("\n".join(text) + "\n")


def overall(every: list[dict[str, Any]]) -> list[str]:
    """Return the table of rules: mean regret with its interval, the worst, and harm."""
    regrets: dict[str, list[float]] = {"headstart": []}
    harms: dict[str, int] = {}
    for line in every:
        best = max(*line["scores"].values(), line["accuracy"])
        regrets["headstart"].append(best - line["accuracy"])
        scratch = line["scores"]["scratch"]
        for rule, choice in rules(line).items():
            score = line["scores"].get(choice, scratch)
            regrets.setdefault(rule, []).append(best - score)
            margin = 2 * np.sqrt(0.25 / line["n_test"])
            harms[rule] = harms.get(rule, 0) + int(score < scratch - margin)
    harms["headstart"] = sum(
        line["chosen"] != "scratch" and line["over_scratch"][2] < 0 for line in every
    )
    shares = [line["fits"] / line["every"] for line in every]
    rows = [
        "| who chooses | mean regret, points | 95 % over tasks | worst | harmed tasks |",
        "|---|---|---|---|---|",
    ]
    rng = np.random.default_rng(0)
    for rule, found in regrets.items():
        points = 100 * np.array(found)
        means = [rng.choice(points, len(points)).mean() for _ in range(2000)]
        low, high = np.percentile(means, [2.5, 97.5])
        rows.append(
            f"| {rule} | {points.mean():.2f} | [{low:.2f}, {high:.2f}] | {points.max():.1f} | "
            f"{harms[rule]} of {len(every)} |"
        )
    full = np.mean([len(ln["encoded"]) / len(SOURCES[_modality(ln)]) for ln in every])
    earlier = sum(ln.get("rule") != RULE for ln in every)
    rows += [
        "",
        f"Of {len(every)} tasks {earlier} are from before few items left the choice to what is "
        "known (`results/prior.md`): `rule` in each line.",
        "",
        f"Encoded all items with {100 * full:.0f} % of the sources on average. Seconds of the "
        "race's fits, as a share of all candidates in full: median "
        f"{np.median(shares):.2f}, summed {sum(ln['fits'] for ln in every):.0f} of "
        f"{sum(ln['every'] for ln in every):.0f} s.",
    ]
    return rows


def by_place(every: list[dict[str, Any]]) -> list[str]:
    """Return which candidate won where, and what was chosen."""
    rows = [
        "| data | labels a class | seeds | best in hindsight | chosen | accuracy | regret |",
        "|---|---|---|---|---|---|---|",
    ]
    for data, shots in sorted({(line["data"], line["shots"]) for line in every}):
        own = [line for line in every if (line["data"], line["shots"]) == (data, shots)]
        best = [max(line["scores"], key=lambda who, one=line: one["scores"][who]) for line in own]
        regret = [
            max(*line["scores"].values(), line["accuracy"]) - line["accuracy"] for line in own
        ]
        rows.append(
            f"| {data} | {shots} | {len(own)} | {', '.join(best)} | "
            f"{', '.join(line['chosen'] for line in own)} | "
            f"{np.mean([line['accuracy'] for line in own]):.3f} | {100 * np.mean(regret):.2f} |"
        )
    return rows


def main() -> int:
    """Do the runs that are asked for and not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--reviews", type=Path, default=Path("reviews/reviews.csv"))
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 2, 4, 8, 16, 64])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budget", default="3m")
    parser.add_argument("--table", action="store_true", help="only sum up what is there")
    given = parser.parse_args()
    for name in given.names:
        for shots in given.shots:
            for seed in given.seeds:
                measure(given, name, shots, seed)
    if given.table:
        table()
    return 0


if __name__ == "__main__":
    sys.exit(main())
