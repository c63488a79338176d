"""The statistics, proven by simulation: false verdicts, coverage of intervals, the guard's losses.

    make bench-statistics

Everything here is simulated, so that the truth is known. Tests hold smaller versions of it; the
results in `benchmarks/results/statistics.json` and `statistics.md` are what the docs quote.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any

import numpy as np

from common import RESULTS, machine, write_result
from headstart.evaluate import (
    Predictions,
    gain,
    gain_over_runs,
    repeated_gain,
    repeated_score,
    score,
    score_over_runs,
    value,
)
from headstart.select import corrected, guard, veto

CLASSES = np.array(["b", "a"])
BOOT = 100


def hits(right: np.ndarray) -> Predictions:
    """Return predictions that are right (class "a") where `right` says so."""
    return Predictions(CLASSES[right.astype(int)])


def truth_of(n: int) -> np.ndarray:
    return np.array(["a"] * n)


def races(
    n: int, p: float, behind: float, shared: float, runs: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield races of scratch and 20 transfers that are truly `behind` it, on two sets of n items.

    Each is a (21, n) table of who is right, scratch first. `shared` is how alike the models are.
    """
    rng = np.random.default_rng(seed)
    normal = NormalDist()
    cut = np.full((21, 1), normal.inv_cdf(p - behind))
    cut[0] = normal.inv_cdf(p)
    for _ in range(runs):
        common = math.sqrt(shared) * rng.standard_normal((2, 1, n))
        both = common + math.sqrt(1 - shared) * rng.standard_normal((2, 21, n)) < cut
        yield both[0], both[1]


def named(right: np.ndarray) -> dict[str, Predictions]:
    return {("scratch" if i == 0 else f"transfer {i}"): hits(row) for i, row in enumerate(right)}


def best_of(candidates: dict[str, Predictions], truth: np.ndarray) -> str:
    names = [name for name in candidates if name != "scratch"]
    return max(names, key=lambda name: value("accuracy", truth, candidates[name]))


def judged(choosing: np.ndarray, judging: np.ndarray | None) -> tuple[str, bool, Any]:
    """Choose, judge and guard as `fit` does: (verdict, transfer shipped, verdict of the naive way).

    Without a judging part the out-of-fold predictions judge, corrected for having chosen.
    """
    truth, candidates = truth_of(choosing.shape[1]), named(choosing)
    best = best_of(candidates, truth)
    naive = gain("accuracy", truth, candidates[best], candidates["scratch"], n_boot=BOOT)
    ships = guard(best, candidates, truth, "accuracy").ship == "transfer"
    if judging is None:
        found = corrected(candidates, truth, "accuracy", n_boot=BOOT).gain
        ships = ships and found.estimate > 0
    else:
        rows = list(candidates).index(best)
        found = gain(
            "accuracy",
            truth_of(judging.shape[1]),
            hits(judging[rows]),
            hits(judging[0]),
            n_boot=BOOT,
        )
    return found.verdict, ships and veto(found) is None, naive.verdict


def false_verdicts(runs: int) -> list[dict[str, Any]]:
    """Races of 20 candidates that are exactly as good as scratch."""
    rows = []
    for n, p, shared in ((50, 0.7, 0.0), (100, 0.7, 0.5), (100, 0.9, 0.5), (400, 0.8, 0.7)):
        for locked in (False, True):
            counts = {"ours": 0, "naive": 0}
            for choosing, judging in races(n, p, 0.0, shared, runs, seed=0):
                ours, _, naive = judged(choosing, judging if locked else None)
                counts["ours"] += ours == "positive"
                counts["naive"] += naive == "positive"
            rows.append(
                {
                    "items": n,
                    "accuracy": p,
                    "models alike": shared,
                    "judged": "test part" if locked else "out of fold, corrected",
                    "races": runs,
                    "false positives": counts["ours"] / runs,
                    "naive false positives": counts["naive"] / runs,
                }
            )
    return rows


def guarded(runs: int) -> list[dict[str, Any]]:
    """Races in which every transfer is truly worse: how often is one shipped, and what is lost."""
    rows = []
    for behind in (0.0, 0.01, 0.02, 0.05, 0.1):
        for n in (50, 100, 400):
            for locked in (False, True):
                shipped = naive = called = 0
                for choosing, judging in races(n, 0.8, behind, 0.5, runs, seed=1):
                    verdict, ships, _ = judged(choosing, judging if locked else None)
                    shipped += ships
                    called += verdict == "positive"
                    naive += choosing[1:].mean(axis=1).max() > choosing[0].mean()
                rows.append(
                    {
                        "truly behind, points": 100 * behind,
                        "items": n,
                        "judged": "test part" if locked else "out of fold, corrected",
                        "races": runs,
                        "shipped": shipped / runs,
                        "mean loss, points": 100 * behind * shipped / runs,
                        "called positive": called / runs,
                        "shipped by the best score alone": naive / runs,
                    }
                )
    return rows


def covers(found: list[Any], truth: float) -> float:
    return float(np.mean([one.low <= truth <= one.high for one in found]))


def pair(rng: np.random.Generator, p: float, q: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return who is right, of two models that are alike by half."""
    common, normal = math.sqrt(0.5) * rng.standard_normal(n), NormalDist()
    one, two = (
        common + math.sqrt(0.5) * rng.standard_normal(n) < normal.inv_cdf(share) for share in (p, q)
    )
    return one, two


def of_items(runs: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    for p, n in ((0.8, 30), (0.8, 200), (0.97, 100)):
        both = [pair(rng, p, p - 0.05, n) for _ in range(runs)]
        scores = [score("accuracy", truth_of(n), hits(one), n_boot=BOOT) for one, _ in both]
        gains = [
            gain("accuracy", truth_of(n), hits(one), hits(two), n_boot=BOOT) for one, two in both
        ]
        yield f"accuracy {p}, {n} items", covers(scores, p), covers(gains, 0.05)


def of_macro_f1(runs: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    """Five classes of unequal size; the truth of both models from their confusion matrices."""
    k, names = 5, np.array(list("abcde"))
    shares = np.linspace(1, 4, k) / np.linspace(1, 4, k).sum()

    def true(recall: float) -> float:
        confusion = np.repeat((shares * (1 - recall) / (k - 1))[:, None], k, axis=1)
        np.fill_diagonal(confusion, shares * recall)
        return float((2 * np.diag(confusion) / (confusion.sum(axis=0) + shares)).mean())

    def says(codes: np.ndarray, recall: float) -> Predictions:
        other = (codes + rng.integers(1, k, len(codes))) % k
        return Predictions(names[np.where(rng.random(len(codes)) < recall, codes, other)])

    for n in (60, 200):
        scores, gains = [], []
        for _ in range(runs):
            codes = rng.choice(k, n, p=shares)
            one, two = says(codes, 0.85), says(codes, 0.75)
            scores.append(score("macro_f1", names[codes], one, n_boot=BOOT))
            gains.append(gain("macro_f1", names[codes], one, two, n_boot=BOOT))
        wanted = true(0.85), true(0.85) - true(0.75)
        yield f"macro F1, 5 classes, {n} items", covers(scores, wanted[0]), covers(gains, wanted[1])


def of_probabilities(runs: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    """Log loss and ROC AUC of two normal scores; the truth from a million items."""

    def model(yes: np.ndarray, apart: float) -> np.ndarray:
        return 1 / (1 + np.exp(-rng.standard_normal(len(yes)) - apart * (2 * yes - 1)))

    many = rng.random(1_000_000) < 0.5
    loss = [
        float(-np.log(np.where(many, p, 1 - p)).mean())
        for p in (model(many, 1.0), model(many, 0.7))
    ]
    area = [NormalDist().cdf(2 * apart / math.sqrt(2)) for apart in (1.0, 0.7)]
    for metric, (one, two), sign in (("log_loss", loss, -1), ("roc_auc", area, 1)):
        scores, gains = [], []
        for _ in range(runs):
            yes = rng.random(100) < 0.5
            truth = CLASSES[yes.astype(int)]
            both = []
            for apart in (1.0, 0.7):
                p = model(yes, apart)
                both.append(
                    Predictions(
                        CLASSES[(p > 0.5).astype(int)], np.stack([p, 1 - p], axis=1), ("a", "b")
                    )
                )
            scores.append(score(metric, truth, both[0], n_boot=BOOT))
            gains.append(gain(metric, truth, *both, n_boot=BOOT))
        yield f"{metric}, 100 items", covers(scores, one), covers(gains, sign * (one - two))


def of_numbers(runs: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    """Regression with normal errors of size 1 and 1.2, 100 items."""
    mean = math.sqrt(2 / math.pi)
    true = {"rmse": (1.0, 0.2), "mae": (mean, 0.2 * mean), "r2": (0.75, 0.44 / 4)}
    for metric, wanted in true.items():
        scores, gains = [], []
        for _ in range(runs):
            truth, errors = 2 * rng.standard_normal(100), rng.standard_normal((2, 100))
            one = Predictions(truth + errors[0])
            two = Predictions(truth + 1.2 * (errors[0] + errors[1]) / math.sqrt(2))
            scores.append(score(metric, truth, one, n_boot=BOOT))
            gains.append(gain(metric, truth, one, two, n_boot=BOOT))
        yield f"{metric}, 100 items", covers(scores, wanted[0]), covers(gains, wanted[1])


def of_groups(runs: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    for count, size, alike in ((20, 10, 0.2), (100, 10, 0.1), (8, 20, 0.3)):
        groups = np.repeat(np.arange(count), size)
        strength = (1 - alike) / alike
        scores, gains = [], []
        for _ in range(runs):
            drawn = rng.beta(0.8 * strength, 0.2 * strength, (2, count))[:, groups]
            right = rng.random(drawn.shape) < drawn
            truth = truth_of(len(groups))
            both = [hits(row) for row in right]
            scores.append(score("accuracy", truth, both[0], groups=groups, n_boot=BOOT))
            gains.append(gain("accuracy", truth, *both, groups=groups, n_boot=BOOT))
        yield f"{count} groups of {size}, accuracy 0.8", covers(scores, 0.8), covers(gains, 0.0)


def of_splits(runs: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    """Nearest centroids and 3-NN on J random splits of each data set; truth: the mean over all."""
    for n, share, j in ((100, 0.2, 10), (100, 0.2, 5), (200, 0.1, 10), (60, 0.2, 10)):
        test = round(n * share)
        rows = np.empty((runs, 2, j))
        for run in range(runs):
            y = rng.integers(2, size=n) * 2.0 - 1
            x = rng.standard_normal((n, 5))
            x[:, 0] += 0.6 * y
            distance = (x**2).sum(axis=1)[:, None] + (x**2).sum(axis=1) - 2 * x @ x.T
            for split in range(j):
                order = rng.permutation(n)
                held, train = order[:test], order[test:]
                up, down = x[train][y[train] > 0].mean(axis=0), x[train][y[train] < 0].mean(axis=0)
                rows[run, 0, split] = (
                    (x[held] - (up + down) / 2) @ (up - down) * y[held] > 0
                ).mean()
                near = np.argpartition(distance[np.ix_(held, train)], 2, axis=1)[:, :3]
                rows[run, 1, split] = (y[train][near].sum(axis=1) * y[held] > 0).mean()
        sizes = {"n_train": n - test, "n_test": test}
        scores = [repeated_score("accuracy", row[0], **sizes) for row in rows]
        gains = [repeated_gain("accuracy", *row, **sizes) for row in rows]
        wanted = rows[:, 0].mean(), (rows[:, 0] - rows[:, 1]).mean()
        yield (
            f"{j} splits of {n} items, {test} judge",
            covers(scores, wanted[0]),
            covers(gains, wanted[1]),
        )


def of_runs(runs: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    for same in (True, False):
        for j in (3, 5, 10):
            cut = NormalDist().inv_cdf(0.8) * math.sqrt(1 + 0.09 + 1)
            truth = [truth_of(80)] * j
            scores, gains = [], []
            for _ in range(runs):
                hard = rng.standard_normal((2, 1 if same else j, 80))
                each = 0.3 * rng.standard_normal((2, j, 1))
                right = hard + each + rng.standard_normal((2, j, 80)) < cut
                both = [[hits(row) for row in one] for one in right]
                options: dict[str, Any] = {"same_items": same, "n_boot": BOOT}
                scores.append(score_over_runs("accuracy", truth, both[0], **options))
                gains.append(gain_over_runs("accuracy", truth, *both, **options))
            what = "the same" if same else "other"
            yield f"{j} seeds on {what} 80 items", covers(scores, 0.8), covers(gains, 0.0)


KINDS = (of_items, of_macro_f1, of_probabilities, of_numbers, of_groups, of_splits, of_runs)


def coverage(runs: int) -> list[dict[str, Any]]:
    """How often 95 % intervals hold the truth."""
    rows = []
    for number, kind in enumerate(KINDS):
        for what, of_score, of_gain in kind(runs, np.random.default_rng(number)):
            rows.append({"case": what, "score": of_score, "gain": of_gain, "data sets": runs})
            sys.stderr.write(f"{rows[-1]}\n")
    return rows


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def markdown(false: list[Any], cover: list[Any], guards: list[Any]) -> str:
    """Return the tables."""
    lines = [
        "# The statistics, by simulation",
        "",
        "Made by `make bench-statistics`.",
        "",
        f"## False positive verdicts: {false[0]['races']:,} races of 20 candidates, none better",
        "",
        "*Naive*: the best of 20 is compared with scratch on the very predictions that chose it.",
        "",
        "| items | accuracy | models alike | judged by | ours | naive |",
        "|--:|--:|--:|---|--:|--:|",
    ]
    lines += [
        f"| {row['items']} | {row['accuracy']} | {row['models alike']} | {row['judged']} "
        f"| {percent(row['false positives'])} | {percent(row['naive false positives'])} |"
        for row in false
    ]
    lines += [
        "",
        f"## How often 95 % intervals hold the truth ({cover[0]['data sets']:,} data sets each)",
        "",
        "| case | score | gain |",
        "|---|--:|--:|",
    ]
    lines += [f"| {r['case']} | {percent(r['score'])} | {percent(r['gain'])} |" for r in cover]
    lines += [
        "",
        "## The guard, where all 20 transfers are truly worse than scratch (accuracy 0.8, "
        f"{guards[0]['races']:,} races each)",
        "",
        "| truly behind, points | items | judged by | shipped | mean loss, points "
        "| called positive | shipped by the best score alone |",
        "|--:|--:|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['truly behind, points']:.0f} | {row['items']} | {row['judged']} "
        f"| {percent(row['shipped'])} | {row['mean loss, points']:.2f} "
        f"| {percent(row['called positive'])} "
        f"| {percent(row['shipped by the best score alone'])} |"
        for row in guards
    ]
    return "\n".join([*lines, ""])


PARTS = {"false positives": false_verdicts, "coverage": coverage, "guard": guarded}


def main() -> None:
    """Simulate, and write the results; with --part the others stay as they were."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="of a case; half of the guard's")
    parser.add_argument("--part", choices=list(PARTS), action="append", help="only this part")
    options = parser.parse_args()
    known = RESULTS / "statistics.json"
    found: dict[str, Any] = {}
    if options.part and known.exists():
        found = {name: json.loads(known.read_text(encoding="utf-8"))[name] for name in PARTS}
    for name in options.part or PARTS:
        found[name] = PARTS[name](options.runs // 2 if name == "guard" else options.runs)
    write_result("statistics", {**found, "machine": machine()})
    text = markdown(found["false positives"], found["coverage"], found["guard"])
    (RESULTS / "statistics.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
