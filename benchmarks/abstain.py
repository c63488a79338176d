"""Does "I don't know" hold: the risk that was asked for, items out of scope, and calibration?

    make bench-abstain DATA=folder of clinc150 and sign-digits

Every split draws labels anew, calibrates on out-of-fold predictions of them as `headstart fit
--max-risk` does (the same code, for one strategy on one source), and looks at test items that took
no part: how many are answered, how many of the answers are wrong, and whether that is within what
was promised. CLINC150 brings 1,000 questions that belong to none of its classes. Results go to
`benchmarks/results/abstain.json` and `abstain.md`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import headstart as hs
from common import RESULTS, machine
from headstart import encode, select, sources
from headstart.core.types import Task
from headstart.data import split
from headstart.evaluate import joined
from headstart.evaluate.calibration import expected_calibration_error, measure
from headstart.select.race import Entry, Field, Outcome, fit_one, held_out, predict_one
from headstart.strategies.scope_choice import METHODS, auroc_of, reference

MOST = 4500
"""Test items of a random split."""


@dataclass
class Data:
    """Features and labels; what may train, what judges, and what is out of scope."""

    name: str
    modality: Any
    source: str
    X: np.ndarray
    y: np.ndarray
    each: int
    test: np.ndarray | None = None  # places that judge; the rest otherwise
    foreign: np.ndarray | None = None
    risks: tuple[float, ...] = (0.05,)


def embedded(items: list[Any], source: str) -> np.ndarray:
    return np.array(encode.features(items, sources.load(source)).array, dtype=np.float32)


def clinc(place: Path, official: bool) -> Data:
    """All in-scope questions, split at random; or its own split, which is not a random one."""
    parts = {name: pd.read_csv(place / f"{name}.csv") for name in ("train", "val", "test")}
    foreign = pd.read_csv(place / "out_of_scope_test.csv")
    frame = pd.concat(parts.values(), ignore_index=True)
    X = embedded([*frame["text"], *foreign["text"]], "minilm")
    n, first = len(frame), len(frame) - len(parts["test"])
    test = np.arange(first, n) if official else None
    name = "clinc150, its own test part" if official else "clinc150"
    labels = frame["intent"].to_numpy(dtype=object)
    return Data(name, "text", "minilm", X[:n], labels, 50, test, X[n:])


def reviews(place: Path) -> Data:
    frame = pd.read_csv(place).drop_duplicates("text").sample(5000, random_state=0)
    y = frame["label"].to_numpy(dtype=object)
    X = embedded(frame["text"].tolist(), "minilm")
    return Data("reviews", "text", "minilm", X, y, 500, risks=(0.05, 0.1, 0.2))


def signs(place: Path) -> Data:
    paths = sorted(path for path in place.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    y = np.array([path.parent.name for path in paths], dtype=object)
    return Data(
        "sign-digits", "image", "efficientnet-lite0", embedded(paths, "efficientnet-lite0"), y, 50
    )


def task_of(data: Data, places: np.ndarray) -> Task:
    n = len(places)
    classes = tuple(sorted(set(data.y.tolist())))
    return Task(
        data.modality,
        "classification",
        items=np.zeros(n),
        labels=data.y[places],
        ids=("",) * n,
        groups=np.arange(n),
        classes=classes,
    )


def one_split(data: Data, strategy: str, seed: int) -> list[dict[str, Any]]:
    """Draw labels, fit, and measure on test items for each risk."""
    rng = np.random.default_rng(seed)
    pool = np.arange(len(data.y))
    if data.test is not None:
        pool = np.setdiff1d(pool, data.test)
    order = rng.permutation(pool)
    drawn = [order[data.y[order] == name][: data.each] for name in sorted(set(data.y))]
    train = rng.permutation(np.concatenate(drawn))
    test = data.test
    if test is None:
        test = rng.permutation(np.setdiff1d(pool, train))[:MOST]
    part, judge = task_of(data, train), task_of(data, test)
    entry = Entry(strategy, data.source)
    field = Field(
        {data.source: data.X[train]}, part.labels, part.classes, part.kind, part.modality, seed
    )
    folds = split(part, n_splits=5, seed=seed)
    predictions = joined([held_out(entry, field, *fold) for fold in folds])
    outcome = Outcome(entry, predictions, 0.0)
    board = select.Board((outcome,), part, folds, "accuracy", seed)
    found = predict_one(fit_one(entry, field), data.X[test], part.classes)
    wrong = found.labels != judge.labels
    known = np.asarray(found.probabilities, dtype=float)
    rows = []
    for risk in data.risks:
        decided = select.answering(
            entry,
            board,
            field,
            folds,
            max_risk=risk,
            judge=judge,
            found={entry.name: found},
            inputs={data.source: data.X[test]},
        )
        assert decided.abstention is not None
        assert decided.answers is not None
        told, rule, scope = decided.abstention, decided.abstention.rule, decided.abstention.scope
        after = decided.answers.probabilities(known)
        row = {
            "data": data.name,
            "strategy": strategy,
            "seed": seed,
            "max_risk": risk,
            "accuracy": float(1 - wrong.mean()),
            "certified": rule.certified,
            "promised_coverage": rule.coverage.estimate,
            "coverage": told.coverage.estimate,
            "risk": told.risk.estimate if told.risk else 0.0,
            "ece_before": expected_calibration_error(known.max(axis=1), ~wrong),
            "ece_after": expected_calibration_error(after.max(axis=1), ~wrong),
            "log_loss_before": log_loss(known, found.classes, judge.labels),
            "log_loss_after": log_loss(after, found.classes, judge.labels),
            "brier_before": brier(known, found.classes, judge.labels),
            "brier_after": brier(after, found.classes, judge.labels),
            "calibration": decided.calibrated.method,
            "scope": "+".join(scope.methods),
            "in_scope_refused": float(scope.outside(data.X[test]).mean()),
        }
        if data.foreign is not None:
            row |= foreign(data, decided, field, judge, test, entry, train, rng)
        rows.append(row)
    return rows


def foreign(
    data: Data,
    decided: Any,
    field: Field,
    judge: Task,
    test: np.ndarray,
    entry: Entry,
    train: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Measure what happens to items out of scope; each score alone, to see what was chosen."""
    scope = decided.abstention.scope
    codes = np.unique(data.y[train], return_inverse=True)[1]
    every = reference(data.X[train], codes, METHODS)
    alone = {
        name: auroc_of(every.score(data.X[test], name), every.score(data.foreign, name))
        for name in METHODS
    }
    return {
        "auroc": auroc_of(scope.score(data.X[test]), scope.score(data.foreign)),
        "foreign_refused": float(scope.outside(data.foreign).mean()),
        "auroc_alone": alone,
        "auroc_left_out": dict(scope.auroc),
    }


def codes_of(classes: tuple[str, ...], labels: np.ndarray) -> np.ndarray:
    column = {name: j for j, name in enumerate(classes)}
    return np.array([column[name] for name in labels])


def log_loss(known: np.ndarray, classes: tuple[str, ...], labels: np.ndarray) -> float:
    own = known[np.arange(len(labels)), codes_of(classes, labels)]
    return float(-np.log(np.maximum(own, 1e-12)).mean())


def brier(known: np.ndarray, classes: tuple[str, ...], labels: np.ndarray) -> float:
    return measure(known, codes_of(classes, labels), "brier", n_boot=100).estimate


def summary(rows: list[dict[str, Any]]) -> str:
    """Return the results as a page."""
    frame = pd.DataFrame(rows)
    lines = [
        '# Saying "I don\'t know"',
        "",
        "`make bench-abstain`: each split draws labels anew; thresholds come from out-of-fold",
        "predictions of them, everything below is measured on test items that took no part.",
        "*Holds*: splits in which at most the stated share of the answers is wrong. *Certified*:",
        "splits with a certificate (90 % confidence); only those promise anything.",
        "",
        "| data | strategy | splits | accuracy | max risk | certified | holds, of the certified | "
        "risk on answers | answered |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, strategy, risk), part in frame.groupby(["data", "strategy", "max_risk"]):
        sure = part[part["certified"]]
        holds = f"{int((sure['risk'] <= risk).sum())} of {len(sure)}"
        lines.append(
            f"| {name} | {strategy} | {len(part)} | {part['accuracy'].mean():.3f} | {risk:.2f} | "
            f"{len(sure)} | {holds} | {part['risk'].mean():.4f} (largest {part['risk'].max():.4f}) "
            f"| {part['coverage'].mean():.3f} |"
        )
    lines += [
        "",
        "Calibration on test items: before -> after, means over splits.",
        "",
        "| data | strategy | method | ECE | log loss | Brier |",
        "|---|---|---|---|---|---|",
    ]
    firsts = frame.drop_duplicates(["data", "strategy", "seed"])
    for (name, strategy), part in firsts.groupby(["data", "strategy"]):
        methods = ", ".join(f"{m} {c}" for m, c in part["calibration"].value_counts().items())
        pairs = " | ".join(
            f"{part[f'{what}_before'].mean():.4f} -> {part[f'{what}_after'].mean():.4f}"
            for what in ("ece", "log_loss", "brier")
        )
        lines.append(f"| {name} | {strategy} | {methods} | {pairs} |")
    if "auroc" in firsts and (firsts["data"] == "clinc150").any():
        lines += ["", *out_of_scope(firsts[firsts["data"] == "clinc150"])]
    return "\n".join(lines) + "\n"


def out_of_scope(frame: pd.DataFrame) -> list[str]:
    scores = frame["auroc"]
    spread = 1.96 * scores.std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else float("nan")
    lines = [
        f"Out of scope, CLINC150 at 50 labels a class: AUROC of the score that is used "
        f"{scores.mean():.4f} [{scores.mean() - spread:.4f}, {scores.mean() + spread:.4f}] "
        f"(least {scores.min():.4f}, {len(scores)} splits); it leaves "
        f"{100 * frame['foreign_refused'].mean():.1f} % of the questions out of scope unanswered, "
        f"and {100 * frame['in_scope_refused'].mean():.1f} % of those in scope.",
        "",
        "| score | AUROC on left-out classes (chooses) | AUROC on the out-of-scope test | chosen |",
        "|---|---|---|---|",
    ]
    for name in METHODS:
        left = np.mean([one[name] for one in frame["auroc_left_out"]])
        real = np.mean([one[name] for one in frame["auroc_alone"]])
        chosen = int((frame["scope"] == name).sum())
        lines.append(f"| {name} | {left:.4f} | {real:.4f} | {chosen} of {len(frame)} |")
    both = int(frame["scope"].str.contains("+", regex=False).sum())
    lines.append(f"| two together | | | {both} of {len(frame)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--reviews", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--strategy", nargs="+", default=["probe", "prototypes"])
    parser.add_argument(
        "names", nargs="*", default=["sign-digits", "reviews", "clinc150", "clinc150-official"]
    )
    given = parser.parse_args()
    target = RESULTS / "abstain.json"
    kept: list[dict[str, Any]] = []
    if target.exists():
        kept = json.loads(target.read_text())["rows"]
    for name in given.names:
        if name.startswith("clinc150"):
            data = clinc(given.data / "clinc150", name.endswith("official"))
        elif name == "sign-digits":
            data = signs(given.data / "sign-digits")
        else:
            data = reviews(
                given.reviews or hs.data.fetch_example("reviews", "reviews") / "reviews.csv"
            )
        for strategy in reversed(given.strategy):
            for seed in range(given.seeds):
                started = time.perf_counter()
                rows = one_split(data, strategy, seed)
                key = (data.name, strategy, seed)
                kept = [r for r in kept if (r["data"], r["strategy"], r["seed"]) != key] + rows
                write(target, kept)
                seconds = time.perf_counter() - started
                first = rows[0]
                sys.stderr.write(
                    f"{name} {strategy} seed {seed}: {seconds:.0f} s, risk {first['risk']:.4f}, "
                    f"answered {first['coverage']:.3f}, AUROC {first.get('auroc')}\n"
                )


def write(target: Path, rows: list[dict[str, Any]]) -> None:
    target.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    target.with_suffix(".md").write_text(summary(rows))


if __name__ == "__main__":
    main()
