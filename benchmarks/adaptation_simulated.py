"""Every shallow adapter on every simulated shift: mean gain over source-only, harm, worst case.

    OMP_NUM_THREADS=1 python benchmarks/adaptation_simulated.py --seeds 30 --rows 300

Writes `benchmarks/results/adaptation_simulated.jsonl`, one line a method and shift, and
`adaptation_simulated.md`. Adapters run as they are, without a guard that chooses among them;
`guarded` is what `headstart transfer` does by itself, without a label of the target. The last shift
is that of the subspace with the source's labels shuffled: there is nothing to transfer.
`--only NAME ...` measures some again and leaves the lines of the others as they are.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from scipy.stats import t as student

from common import RESULTS, machine
from headstart import evaluate, select
from headstart.strategies.adaptation import ADAPTERS, make
from simulated_shifts import SHIFTS, several

FAMILIES = (
    "reweighting",
    "label shift",
    "alignment",
    "transport",
    "self-training",
    "several sources",
)
GUARDED = "guarded"
METHODS = [GUARDED] + [name for name, spec in ADAPTERS.items() if spec.family in FAMILIES]
HARM = 0.01
SHUFFLED = "shuffled labels"


def guarded(
    Xs: np.ndarray, ys: np.ndarray, Xt: np.ndarray, domain: np.ndarray | None, seed: int
) -> Any:
    """Return the adapter that `headstart transfer` hands back, fitted."""
    plan = select.plan_domains(None, n_labels=0, several=domain is not None, alike=True, seed=seed)
    shift = evaluate.measure_shift(Xs, ys, Xt, seed=seed)
    none = np.full(len(Xt), None, dtype=object)
    return select.choose_domain(
        plan, Xs, ys, Xt, none, shift=shift, domain=domain, seed=seed
    ).adapter


def runs(
    shift: str, rows: int, seeds: int, methods: list[str]
) -> dict[str, dict[str, list[float]]]:
    """Return gains, seconds and whether the model of the source was handed back, by method."""
    found = {name: {"gain": [], "seconds": [], "back": []} for name in methods}
    found["source-only"] = {"accuracy": []}
    for seed in range(seeds):
        domain = None
        if shift == "several":
            Xs, ys, Xt, yt, domain = several(rows, seed)
        else:
            Xs, ys, Xt, yt = SHIFTS["subspace" if shift == SHUFFLED else shift](rows, seed)
        if shift == SHUFFLED:
            ys = np.random.default_rng(seed).permutation(ys)
        base = make("source-only").fit(Xs, ys, Xt)
        before = base.score(Xt, yt)
        found["source-only"]["accuracy"].append(before)
        for name in methods:
            if name != GUARDED and (
                shift == SHUFFLED or (ADAPTERS[name].several and domain is None)
            ):
                continue
            start = time.perf_counter()
            if name == GUARDED:
                model = guarded(Xs, ys, Xt, domain, seed)
            else:
                model = make(name).fit(Xs, ys, Xt, domain=domain)
            found[name]["seconds"].append(time.perf_counter() - start)
            found[name]["gain"].append(model.score(Xt, yt) - before)
            same = np.allclose(model.predict_proba(Xt), base.predict_proba(Xt), atol=1e-9)
            found[name]["back"].append(float(same))
    return found


def line(shift: str, name: str, got: dict[str, list[float]], before: float) -> dict[str, object]:
    gain = np.array(got["gain"])
    n = len(gain)
    half = float(student.ppf(0.975, n - 1) * gain.std(ddof=1) / np.sqrt(n))
    return {
        "shift": shift,
        "method": name,
        "source_only": round(before, 4),
        "gain": round(float(gain.mean()), 4),
        "low": round(float(gain.mean()) - half, 4),
        "high": round(float(gain.mean()) + half, 4),
        "harm_rate": round(float((gain < -HARM).mean()), 3),
        "worst": round(float(gain.min()), 4),
        "handed_back": round(float(np.mean(got["back"])), 3),
        "seconds": round(float(np.median(got["seconds"])), 3),
        "runs": n,
    }


def table(lines: list[dict[str, object]], rows: int, seeds: int) -> str:
    text = [
        "# Simulated shifts: what each adapter does",
        "",
        f"{seeds} seeds, {rows} rows a domain, one thread. Gain: accuracy in the target less that "
        "of source-only, in points, mean [95 % interval over seeds]. Harm: share of runs more than "
        "1 point below source-only. Handed back: share of runs in which the adapter's own guard "
        "left the model of the source as it was. `guarded` is what `headstart transfer` does by "
        "itself without a label of the target; no guard chooses among the others.",
        "",
        f"Made by `python benchmarks/adaptation_simulated.py --seeds {seeds} --rows {rows}`.",
    ]
    for shift in dict.fromkeys(entry["shift"] for entry in lines):
        of_shift = [entry for entry in lines if entry["shift"] == shift]
        before = 100 * float(of_shift[0]["source_only"])  # type: ignore[arg-type]
        text += [
            "",
            f"## {shift} (source-only {before:.1f} %)",
            "",
            "| adapter | gain, points | harm | worst | handed back | seconds |",
            "|---|---|---|---|---|---|",
        ]
        for e in of_shift:
            gain, low, high, worst = (
                100 * float(e[key]) for key in ("gain", "low", "high", "worst")
            )
            text.append(
                f"| {e['method']} | {gain:+.1f} [{low:+.1f}, {high:+.1f}] | "
                f"{100 * float(e['harm_rate']):.0f} % | {worst:+.1f} | "
                f"{100 * float(e['handed_back']):.0f} % | {float(e['seconds']):.2f} |"
            )
    return "\n".join(text) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--only", nargs="+", choices=METHODS, default=METHODS)
    options = parser.parse_args()
    lines: list[dict[str, object]] = []
    for shift in (*SHIFTS, "several", SHUFFLED):
        found = runs(shift, options.rows, options.seeds, options.only)
        before = float(np.mean(found.pop("source-only")["accuracy"]))
        lines += [line(shift, name, got, before) for name, got in found.items() if got["gain"]]
        print(f"{shift}: done", flush=True)
    if options.only != METHODS:
        kept = (RESULTS / "adaptation_simulated.jsonl").read_text().splitlines()[1:]
        lines += [e for e in map(json.loads, kept) if e["method"] not in options.only]
        shifts = [*SHIFTS, "several", SHUFFLED]
        lines.sort(key=lambda e: (shifts.index(e["shift"]), METHODS.index(e["method"])))
    RESULTS.mkdir(exist_ok=True)
    head = {"machine": machine(), "seeds": options.seeds, "rows": options.rows}
    shown = [json.dumps(entry) for entry in (head, *lines)]
    (RESULTS / "adaptation_simulated.jsonl").write_text("\n".join(shown) + "\n")
    text = table(lines, options.rows, options.seeds)
    (RESULTS / "adaptation_simulated.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
