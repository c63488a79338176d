"""Whether a blend of scratch and a transfer strategy pays: both alone, and blended.

    python benchmarks/blend.py --data ../../shared/data clinc150 --shots 3 10 --seeds 0 1 2

The members race on five folds of the labels, as in ``fit``; the weights of the blend are learnt on
those out-of-fold predictions. Items that took no part judge. ``--table`` sums the runs up in
``results/blend.md``. What members predicted is kept in ``--keep``: a run that is there is read.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.model_selection import StratifiedKFold

from common import RESULTS, machine
from headstart import encode, select, sources
from headstart.evaluate import Predictions
from headstart.select import Entry, Field, Outcome
from headstart.select.blend import blend_outcome
from headstart.strategies.pooling import PULL, learn_weights, pooled, share_of
from tuning import DATA, SOURCES

FOLDS = 5
OUT = RESULTS / "blend.json"
MODELS = ("scratch", "transfer", "blend", "linear", "mean")
FLOOR = 1e-15


def members(root: Path, name: str, shots: int, strategies: list[str], seed: int) -> dict[str, Any]:
    """Let scratch and transfer strategies predict out of fold, and the judging items."""
    modality, train, labels, test, truth = DATA[name](root, shots, seed)
    y, truth = (np.asarray(part).astype(str).astype(object) for part in (labels, truth))
    backbone = sources.load(SOURCES[modality])
    X, Z = (encode.features(part, backbone).array for part in (train, test))
    raw, plain = (train, test) if modality == "text" else map(encode.pixels, (train, test))
    classes = tuple(sorted(set(y)))
    field = Field({None: raw, "source": X}, y, classes, "classification", modality, seed, train)
    n_folds = min(FOLDS, shots)
    folds = list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y))
    entries = [Entry("scratch"), *(Entry(each, "source") for each in strategies)]
    found: dict[str, Any] = {
        "labels": y.astype(str),
        "truth": truth.astype(str),
        "classes": np.array(classes),
        "fold": np.empty(len(y), dtype=np.int64),
    }
    for number, (_, held_out) in enumerate(folds):
        found["fold"][held_out] = number
    for entry, outcome in zip(entries, select.race(entries, field, folds), strict=True):
        assert outcome.predictions is not None, outcome.failure
        found[f"{entry.strategy} seconds"] = outcome.seconds
        found[f"{entry.strategy} oof"] = outcome.predictions.probabilities
        model = select.fit_one(entry, field)
        inputs = plain if entry.strategy == "scratch" else Z
        found[f"{entry.strategy} test"] = select.predict_one(model, inputs, classes).probabilities
    return found


def linear_share(scratch: np.ndarray, transfer: np.ndarray, codes: np.ndarray) -> float:
    """Return the weight of scratch in a linear pool, learnt with the pull of the other pool."""
    one, other = (p[np.arange(len(codes)), codes] for p in (scratch, transfer))

    def loss(share: float) -> float:
        mixed = np.maximum(share * one + (1 - share) * other, FLOOR)
        return float(-np.log(mixed).sum() + 2 * PULL * (share - 0.5) ** 2)

    return float(minimize_scalar(loss, bounds=(0, 1), method="bounded").x)


def run(found: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
    """Blend scratch with a strategy, and judge all."""
    classes, labels = tuple(found["classes"].tolist()), found["labels"].astype(object)
    every = np.arange(len(labels))
    folds = [
        (every[found["fold"] != f], every[found["fold"] == f]) for f in np.unique(found["fold"])
    ]
    names = np.array(classes, dtype=object)

    def outcome(entry: Entry) -> Outcome:
        p = found[f"{entry.strategy} oof"]
        return Outcome(entry, Predictions(names[p.argmax(axis=1)], p, classes), 0.0)

    started = time.perf_counter()
    one, other = outcome(Entry("scratch")), outcome(Entry(key["strategy"], "source"))
    blend = blend_outcome(one, other, labels, folds)
    place = {name: column for column, name in enumerate(classes)}
    rows = np.concatenate([test for _, test in folds])
    codes = np.array([place[name] for name in labels[rows]])
    seen = (one.predictions.probabilities, other.predictions.probabilities)
    weights = learn_weights(*seen, codes)
    seconds = time.perf_counter() - started
    share = linear_share(*seen, codes)
    judged = np.array([place[name] for name in found["truth"]])
    scratch, transfer = found["scratch test"], found[f"{key['strategy']} test"]
    made = {
        "scratch": scratch,
        "transfer": transfer,
        "blend": pooled(scratch, transfer, weights),
        "linear": share * scratch + (1 - share) * transfer,
        "mean": (scratch + transfer) / 2,
    }
    right = {name: p.argmax(axis=1) == judged for name, p in made.items()}
    loss = {
        name: -np.log(np.maximum(p[np.arange(len(judged)), judged], FLOOR))
        for name, p in made.items()
    }
    oof = {"scratch": one, "transfer": other, "blend": blend}
    return key | {
        "n_train": len(labels),
        "n_test": len(judged),
        "weight_of_scratch": round(share_of(weights), 3),
        "sharpness": round(float(weights.sum()), 3),
        "seconds_to_blend": round(seconds, 2),
        "out_of_fold": {
            name: float((o.predictions.labels == labels[rows]).mean()) for name, o in oof.items()
        },
        "accuracy": {name: float(one.mean()) for name, one in right.items()},
        "log_loss": {name: float(one.mean()) for name, one in loss.items()},
        "_right": right,
        "_loss": loss,
    }


def paired(runs: list[dict[str, Any]], what: str, base: str) -> tuple[float, float, float]:
    """Return the mean difference of the blend to another over seeds, with its 95 % interval.

    A hierarchical bootstrap: seeds are drawn with replacement, then the judged items of each.
    """
    apart = [one[what]["blend"].astype(float) - one[what][base] for one in runs]
    rng = np.random.default_rng(0)
    means = []
    for _ in range(2000):
        seeds = rng.integers(0, len(apart), len(apart))
        means.append(np.mean([rng.choice(apart[s], len(apart[s])).mean() for s in seeds]))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(np.mean([one.mean() for one in apart])), float(low), float(high)


def main() -> int:
    """Measure what is asked for, and sum it up beside what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(DATA))
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--shots", type=int, nargs="+", default=[10])
    parser.add_argument("--strategy", nargs="+", default=["probe"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--keep", type=Path, default=Path("blend-members"))
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    groups = json.loads(OUT.read_text())["groups"] if OUT.exists() else []
    for name in given.names:
        for shots in given.shots:
            kept = []
            for seed in given.seeds:
                file = given.keep / f"{name}-{shots}-{seed}.npz"
                if not file.exists():
                    np.savez(file, **members(given.data, name, shots, given.strategy, seed))
                kept.append((seed, dict(np.load(file))))
            for strategy in given.strategy:
                key = {"data": name, "shots": shots, "strategy": strategy}
                runs = [run(found, key | {"seed": seed}) for seed, found in kept]
                groups = [g for g in groups if any(g[k] != v for k, v in key.items())]
                groups.append(key | summed(runs))
                sys.stdout.write(row(groups[-1]) + "\n")
                sys.stdout.flush()
    groups.sort(key=lambda g: (g["data"], g["shots"], g["strategy"]))
    write(groups)
    return 0


def summed(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the runs of several seeds as means, with paired differences."""
    return {
        "accuracy": {n: float(np.mean([r["accuracy"][n] for r in runs])) for n in MODELS},
        "log_loss": {n: float(np.mean([r["log_loss"][n] for r in runs])) for n in MODELS},
        "accuracy_of_blend_less": {n: paired(runs, "_right", n) for n in MODELS if n != "blend"},
        "log_loss_of_blend_less": {n: paired(runs, "_loss", n) for n in MODELS if n != "blend"},
        "runs": [{k: v for k, v in r.items() if not k.startswith("_")} for r in runs],
    }


def row(group: dict[str, Any]) -> str:
    """Return a line of the table."""
    right, loss = group["accuracy"], group["log_loss"]
    gain, less = (
        "{:+.4f} [{:+.4f}, {:+.4f}]".format(*group[f"{what}_of_blend_less"][better])
        for what, better in (
            ("accuracy", max(MODELS[:2], key=right.__getitem__)),
            ("log_loss", min(MODELS[:2], key=loss.__getitem__)),
        )
    )
    shares = ", ".join(f"{one['weight_of_scratch']:.2f}" for one in group["runs"])
    cells = [
        group["data"],
        str(group["shots"]),
        group["strategy"],
        str(len(group["runs"])),
        *(f"{right[name]:.4f}" for name in MODELS),
        gain,
        *(f"{loss[name]:.3f}" for name in MODELS),
        less,
        shares,
    ]
    return f"| {' | '.join(cells)} |"


def write(groups: list[dict[str, Any]]) -> None:
    """Write the results as JSON and as a table."""
    words = [
        "python",
        *(Path(word).name if Path(word).is_absolute() else word for word in sys.argv),
    ]
    whole = {"command": " ".join(words), "machine": machine(), "groups": groups}
    OUT.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    heads = ["data", "labels a class", "transfer", "seeds"]
    heads += [*MODELS, "blend less the better member"] * 2 + ["weight of scratch"]
    text = [
        "# Whether a blend of scratch and a transfer strategy pays",
        "",
        "`make bench-blend`. Accuracy, then log loss (less is better), on judging items that took",
        "no part; means over seeds. `blend` is what headstart ships: probabilities multiplied,",
        "each raised to a learnt weight; `linear` adds them with one learnt weight, `mean` with",
        "equal ones. The better member is the one that the judging items themselves prefer.",
        "Differences are paired, with 95 % intervals (bootstrap over seeds, then items; with",
        "two or three seeds what seeds have to do with it is a guess).",
        "",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
        *map(row, groups),
    ]
    (RESULTS / "blend.md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
