"""Numbers across simulated domains: what each adapter does, and what the guard hands back.

``python benchmarks/adaptation_numbers.py --seeds 30 --rows 250 --labels 40`` writes
``results/adaptation_numbers.jsonl`` and ``.md``. A line with noise is the rule of the source; the
target has other rows, another rule, or neither.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from headstart.select import choose_numbers, plan_numbers
from headstart.strategies.adaptation import make_for_numbers

RESULTS = Path(__file__).parent / "results"
D, NOISE = 6, 0.5
SLOPES = np.array([2.0, -1.0, 0.5, 0.0, 1.0, 0.3])
SHIFTS = {
    "none": "no shift at all",
    "units": "the same rows in other units: each feature stretched and moved",
    "covariate": "other rows, the same rule: the numbers move with them",
    "offset": "the same rows, all numbers 2 higher",
    "slopes": "the same rows, two slopes changed",
    "units and slopes": "both",
}
NONE_SEEDS = 4  # times as many seeds where a share of at most 5 % is to be shown


def domains(shift: str, n: int, rng: np.random.Generator) -> tuple[Any, Any, Any, Any]:
    """Return rows and numbers of the source, then of the target."""
    X, T = rng.normal(size=(2, n, D))
    slopes = SLOPES.copy()
    if shift == "covariate":
        T = 0.7 * T + rng.choice([-1.5, 1.5], D)
    if "slopes" in shift:
        slopes[:2] += rng.choice([-1.0, 1.0], 2)
    y, t = X @ SLOPES, T @ slopes + 2.0 * (shift == "offset")
    if "units" in shift:
        T = T * rng.uniform(0.4, 2.5, D) + rng.uniform(-3, 3, D)
    return X, y + NOISE * rng.normal(size=n), T, t + NOISE * rng.normal(size=n)


def circle(make: Callable[[], Any], X: Any, y: Any, T: Any) -> float:
    """Return the R2 on held-out source rows after going to the target and back (5 folds)."""
    fold, back = np.arange(len(X)) % 5, np.empty(len(X))
    for held in (fold == one for one in range(5)):
        said = make().fit(X[~held], y[~held], T).predict(T)
        back[held] = make().fit(T, said, X[~held]).predict(X[held])
    return 1.0 - float(((back - y) ** 2).mean() / y.var())


def one_run(shift: str, seed: int, n: int, labels: int) -> dict[str, Any]:
    """Return what was measured on one pair of domains."""
    rng = np.random.default_rng([seed, *shift.encode()])
    X, y, T, t = domains(shift, n, rng)
    fresh = slice(labels, None)  # rows whose labels nobody saw

    def error(model: Any) -> float:
        return float(np.sqrt(np.mean((model.predict(T[fresh]) - t[fresh]) ** 2)))

    made = {
        name: (lambda name=name: make_for_numbers(name)) for name in ("source-only", "linear-ot")
    }
    known = [*t[:labels], *[None] * (n - labels)]
    started = time.process_time()
    plan = plan_numbers(None, n_labels=labels, several=False, alike=True, cells=X.size)
    choice = choose_numbers(plan, X, y, T, np.array(known, dtype=object))
    seconds = time.process_time() - started
    every = {name: make_for_numbers(name).fit(X, y, T, known) for name in plan.candidates}
    unlabelled = {name: one().fit(X, y, T) for name, one in made.items()}
    return {
        "shift": shift,
        "seed": seed,
        "circle": {name: circle(one, X, y, T) for name, one in made.items()},
        "unlabelled": {name: error(one) for name, one in unlabelled.items()},
        "labelled": {name: error(one) for name, one in every.items()},
        "guarded": error(choice.adapter),
        "chosen": choice.name,
        "seconds": seconds,
    }


def mean(values: list[float]) -> str:
    """Return a mean with its 95 % interval over seeds."""
    half = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):+.3f} [{np.mean(values) - half:+.3f}, {np.mean(values) + half:+.3f}]"


def report(runs: list[dict[str, Any]], labels: int, n: int) -> str:
    """Return the tables."""
    lines = [
        "# Numbers across simulated domains",
        "",
        f"{n} rows a domain, {D} features, one thread; the noise has RMSE {NOISE}. Gain: RMSE "
        "saved over source-only on target rows whose labels nobody saw, mean [95 % interval over "
        "seeds].",
        "Harm: share of runs more than 1 % worse than source-only.",
        "",
        "## Without labels of the target: can going to the target and back choose?",
        "",
        "R2 on held-out source rows after the round trip (circular validation).",
        "",
        "| shift | seeds | gain of always linear-ot | harm | round trip, source-only | "
        "round trip, linear-ot | largest rise |",
        "|---|---|---|---|---|---|---|",
    ]
    by = {shift: [one for one in runs if one["shift"] == shift] for shift in SHIFTS}
    for shift, own in by.items():
        base = np.array([one["unlabelled"]["source-only"] for one in own])
        moved = np.array([one["unlabelled"]["linear-ot"] for one in own])
        trip = {name: [one["circle"][name] for one in own] for name in own[0]["circle"]}
        rise = np.subtract(trip["linear-ot"], trip["source-only"])
        lines.append(
            f"| {shift} | {len(own)} | {mean(list(base - moved))} | "
            f"{(moved > 1.01 * base).mean():.0%} | {np.mean(trip['source-only']):.3f} | "
            f"{np.mean(trip['linear-ot']):.3f} | {rise.max():+.4f} |"
        )
    lines += [
        "",
        f"## With {labels} labels of the target",
        "",
        "`guarded` is what `headstart transfer` does by itself; the others always do what they do.",
    ]
    for shift, own in by.items():
        base = np.array([one["unlabelled"]["source-only"] for one in own])
        adapts = np.mean([one["chosen"] != "source-only" for one in own])
        lines += [
            "",
            f"### {shift} ({SHIFTS[shift]}; source-only {base.mean():.3f})",
            "",
            f"Adapted in {adapts:.0%} of {len(own)} runs, "
            f"{np.mean([one['seconds'] for one in own]):.1f} processor seconds each.",
            "",
            "| adapter | gain | harm | worst |",
            "|---|---|---|---|",
        ]
        rows = {"guarded": np.array([one["guarded"] for one in own])}
        rows |= {
            name: np.array([one["labelled"][name] for one in own])
            for name in own[0]["labelled"]
            if name != "source-only"
        }
        for name, found in rows.items():
            lines.append(
                f"| {name} | {mean(list(base - found))} | {(found > 1.01 * base).mean():.0%} | "
                f"{(base - found).min():+.3f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run all shifts and seeds, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--rows", type=int, default=250)
    parser.add_argument("--labels", type=int, default=40)
    asked = parser.parse_args()
    runs = []
    with (RESULTS / "adaptation_numbers.jsonl").open("w") as out:
        for shift in SHIFTS:
            for seed in range(asked.seeds * (NONE_SEEDS if shift == "none" else 1)):
                runs.append(one_run(shift, seed, asked.rows, asked.labels))
                out.write(json.dumps(runs[-1]) + "\n")
                out.flush()
    made = f"python benchmarks/adaptation_numbers.py --seeds {asked.seeds} --rows {asked.rows}"
    text = report(runs, asked.labels, asked.rows)
    text += f"\nMade by `{made} --labels {asked.labels}`.\n"
    (RESULTS / "adaptation_numbers.md").write_text(text)


if __name__ == "__main__":
    main()
