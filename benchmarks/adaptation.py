"""Real shifts: what each adapter gains over the source alone, and whether the guard keeps harm out.

    python benchmarks/adaptation.py --fetch --data /tmp/adaptwork
    python benchmarks/adaptation.py --data /tmp/adaptwork
    python benchmarks/adaptation.py --table

Of each pair of domains a random half of the source is learnt from; a random half of the target is
there without labels, and the other half judges. Seeds are other halves. Every run is a line of
``results/adaptation.jsonl``; a run that is there is not done again. ``--table`` sums up.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import adaptation_data
from common import RESULTS, machine
from headstart.select.adapting import choose_adapter
from headstart.select.adapting_committee import committee
from headstart.strategies import adaptation

LINES = RESULTS / "adaptation.jsonl"
METHODS = (
    "source-only",
    "linear-ot",
    "coral",
    "subspace-alignment",
    "logistic-weights",
    "rulsif",
    "label-shift-em",
    "bbse",
    "pseudo-labels",
    "entropic-ot",
    "class-ot",
)
GUARDED, ALONE, AGREED = "guarded", "guarded, linear-ot alone", "committee"
CHOSEN_FROM = {
    # what `headstart transfer` chooses from without a label of the target
    GUARDED: tuple(
        name
        for name, spec in adaptation.ADAPTERS.items()
        if spec.raced and not spec.needs_labels and not spec.several
    ),
    ALONE: ("source-only", "linear-ot"),
}
MEMBERS = ("linear-ot", "coral", "subspace-alignment", "class-ot", "pseudo-labels")
MOST = 600
"""Rows of the source, of the target to adapt to and of the target that judge."""
HARM = 0.01


def halves(pair: Any, seed: int) -> tuple[Any, Any, Any, Any, Any]:
    """Return half of the source with labels, half of the target without, and the other half."""
    (X, y), (Z, z) = pair
    rng = np.random.default_rng(seed)
    ours = rng.permutation(len(X))[: min(MOST, len(X) // 2)]
    theirs = rng.permutation(len(Z))
    here, there = theirs[: len(Z) // 2][:MOST], theirs[len(Z) // 2 :][:MOST]
    return X[ours], y[ours], Z[here], Z[there], z[there]


def run(
    name: str,
    seed: int,
    pair: Any,
    done: set[tuple[str, int, str]],
    methods: tuple[str, ...],
    guards: tuple[str, ...],
) -> None:
    """Fit what is missing of one pair and seed, and write its lines."""
    X, y, here, there, truth = halves(pair, seed)

    models: dict[str, Any] = {}

    def fitted(method: str) -> Any:
        if method not in models:
            models[method] = adaptation.make(method, random_state=seed).fit(X, y, here)
        return models[method]

    def keep(method: str, right: float, seconds: float, **more: Any) -> None:
        line = {"pair": name, "seed": seed, "method": method, "accuracy": round(right, 5)}
        line |= {"n": len(X), "judged": len(truth), "seconds": round(seconds, 2), **more}
        with LINES.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        sys.stderr.write(f"{name} {seed} {method} {right:.3f} {seconds:.1f} s\n")

    for method in methods:
        if (name, seed, method) in done:
            continue
        began = time.process_time()
        try:
            model = fitted(method)
            right = float((model.predict(there) == truth).mean())
        except Exception as error:  # a method that fails is a finding, not the end of the run
            keep(method, float("nan"), time.process_time() - began, error=str(error)[:200])
            continue
        keep(method, right, time.process_time() - began, why=[str(d) for d in model.decisions_])
    for guard, names in CHOSEN_FROM.items():
        if guard not in guards or (name, seed, guard) in done:
            continue
        began = time.process_time()
        makes: dict[str, Callable[[], Any]] = {
            one: lambda one=one: adaptation.make(one, random_state=seed) for one in names
        }
        choice = choose_adapter(makes, X, y, here, seed=seed)
        seconds = time.process_time() - began
        right = float((fitted(choice.name).predict(there) == truth).mean())
        keep(
            guard,
            right,
            seconds,
            chosen=choice.name,
            why=[str(d) for d in choice.decisions],
            circular={key: round(one.estimate, 4) for key, one in choice.scores.items()},
            shift=choice.shift.verdict if choice.shift else "",
        )
    if AGREED in guards and (name, seed, AGREED) not in done:
        began = time.process_time()
        plain = fitted("source-only")
        said = {one: fitted(one).predict(here) for one in MEMBERS}
        found = committee(said, plain.predict(here), y)
        model = fitted(found.name) if found.name else plain
        right = float((model.predict(there) == truth).mean())
        keep(
            AGREED,
            right,
            time.process_time() - began,
            chosen=found.name or "source-only",
            why=[found.why],
            agreement={key: round(one, 3) for key, one in found.agreement.items()},
        )


def lines() -> list[dict[str, Any]]:
    """Return every run there is."""
    if not LINES.exists():
        return []
    return [json.loads(line) for line in LINES.read_text(encoding="utf-8").splitlines()]


def table() -> str:
    """Sum the runs up: the mean gain of each method, how often it harms, the worst case."""
    runs = [one for one in lines() if one["accuracy"] == one["accuracy"]]
    at = {(one["pair"], one["seed"], one["method"]): one for one in runs}
    pairs = list(dict.fromkeys(one["pair"] for one in runs))
    methods = [m for m in (*METHODS, GUARDED, ALONE, AGREED) if any(r["method"] == m for r in runs)]
    text = [
        "# Real shifts",
        "",
        "Accuracy on rows of the target that nothing was fitted to, in points over source-only;",
        "harm: more than one point worse; the interval is a bootstrap over pairs of domains.",
        f"{machine()['cpu']}, one core.",
        "",
        "| method | runs | mean gain | 95 % interval | harm | worst | CPU s, median |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    gains: dict[str, dict[str, list[float]]] = {}
    for method in methods[1:]:
        for pair in pairs:
            for (p, seed, m), one in at.items():
                plain = at.get((pair, seed, "source-only"))
                if p == pair and m == method and plain:
                    change = 100 * (one["accuracy"] - plain["accuracy"])
                    gains.setdefault(method, {}).setdefault(pair, []).append(change)
        each = gains.get(method, {})
        if not each:
            continue
        low, high = _interval(each)
        flat = np.concatenate(list(each.values()))
        took = np.median([one["seconds"] for one in runs if one["method"] == method])
        text.append(
            f"| {method} | {len(flat)} | {flat.mean():+.1f} | [{low:+.1f}, {high:+.1f}] | "
            f"{(flat < -100 * HARM).mean():.0%} | {flat.min():+.1f} | {took:.1f} |"
        )
    shown = [m for m in methods[1:] if m in gains]
    text += ["", "Mean gain by pair, points:", ""]
    text += ["| pair | source-only | " + " | ".join(shown) + " | guard adapts | verdict |"]
    text += ["|---|---:|" + "---:|" * (len(shown) + 1) + "---|"]
    for pair in pairs:
        plain = [
            one["accuracy"] for (p, _, m), one in at.items() if (p, m) == (pair, "source-only")
        ]
        own = [one for (p, _, m), one in at.items() if (p, m) == (pair, GUARDED)]
        cells = [f"{np.mean(gains[m][pair]):+.1f}" if pair in gains[m] else "" for m in shown]
        took_part = sum(one["chosen"] != "source-only" for one in own)
        kinds = ", ".join(sorted({one["shift"] for one in own}))
        text.append(
            f"| {pair} | {100 * np.mean(plain):.1f} | "
            + " | ".join(cells)
            + f" | {took_part} of {len(own)} | {kinds} |"
        )
    return "\n".join([*text, ""])


def _interval(each: dict[str, list[float]]) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = np.array([np.mean(values) for values in each.values()])
    draws = means[rng.integers(0, len(means), (2000, len(means)))].mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("adaptation-data"))
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pair", action="append")
    parser.add_argument("--method", action="append")
    parser.add_argument("--guard", action="append", choices=(GUARDED, ALONE, AGREED))
    given = parser.parse_args()
    if given.fetch:
        adaptation_data.fetch(given.data)
        return
    if not given.table:
        done = {(one["pair"], one["seed"], one["method"]) for one in lines()}
        methods = tuple(given.method or [m for m in METHODS if m in adaptation.ADAPTERS])
        guards = tuple(given.guard or (GUARDED, ALONE, AGREED))
        for seed in range(given.seeds):
            for name, read in adaptation_data.pairs(given.data).items():
                if not given.pair or name in given.pair:
                    run(name, seed, read(), done, methods, guards)
    text = table()
    (RESULTS / "adaptation.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
