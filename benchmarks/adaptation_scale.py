"""Adaptation of a large table: wall and processor seconds, and memory.

Run: python benchmarks/adaptation_scale.py [--rows 100000] [--columns 384]
Three cases: what ``transfer`` does by itself where a linear map undoes the shift (it takes
``linear-ot``), the same where only the frequencies of the classes changed (``label-shift-em``), and
``pseudo-labels`` named, with the advice of the guard. Both domains have so many rows; each run is a
process of its own, so that its peak is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

import headstart as hs
from common import machine, write_result

CLASSES = 10
LIMITS = {"seconds": 120, "GB": 4.0}
CASES = {"moved": None, "other frequencies": None, "moved, pseudo-labels": "pseudo-labels"}


def domains(
    rows: int, columns: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return X, y, Z and the hidden labels of Z: the target is stretched, mixed and moved.

    Every row of the target is ``x A + b`` of a row drawn as those of the source are, with A
    symmetric and positive: covariate shift that a linear map undoes.
    """
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLASSES, columns)).astype(np.float32) * 0.2
    turn = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    stretch = (turn * rng.uniform(0.3, 3.0, columns)) @ turn.T
    moved = (rng.normal(size=columns) * 2.0).astype(np.float32)
    drawn = []
    for _ in range(2):
        y = rng.integers(0, CLASSES, rows)
        drawn += [centres[y] + rng.standard_normal((rows, columns), dtype=np.float32), y]
    X, y, Z, hidden = drawn
    Z = Z @ stretch.astype(np.float32) + moved
    return X, y, Z, hidden


def frequencies(
    rows: int, columns: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the same where classes look alike, but are up to ten times as frequent."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLASSES, columns)).astype(np.float32) * 0.2
    shares = np.arange(1, CLASSES + 1) / np.arange(1, CLASSES + 1).sum()
    drawn = []
    for one in (None, shares):
        y = rng.choice(CLASSES, rows, p=one)
        drawn += [centres[y] + rng.standard_normal((rows, columns), dtype=np.float32), y]
    X, y, Z, hidden = drawn
    return X, y, Z, hidden


def measure(rows: int, columns: int, case: str) -> dict[str, Any]:
    """Run a case once and return what it took."""
    made = frequencies if case == "other frequencies" else domains
    X, y, Z, hidden = made(rows, columns)
    labels = np.array([f"class {code}" for code in y])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    result = hs.transfer_from((X, labels), Z, strategy=CASES[case])
    took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    some = np.random.default_rng(1).choice(rows, min(rows, 5000), replace=False)
    said = result.predict(pd.DataFrame(Z[some], columns=[f"x{at}" for at in range(columns)]))
    right = said == np.array([f"class {code}" for code in hidden[some]])
    return {
        "case": case,
        "rows of each domain": rows,
        "columns": columns,
        "wall seconds": round(took["wall"], 1),
        "CPU seconds": round(took["cpu"], 1),
        "peak GB": round(peak * 1024 / 1e9, 2),
        "peak GB before, with the data": round(before * 1024 / 1e9, 2),
        "load when it ended": round(os.getloadavg()[0], 1),
        "verdict": None if result.shift is None else result.shift.verdict,
        "chosen": result.chosen.strategy,
        "accuracy on the target": round(float(right.mean()), 4),
        "decisions": [f"{one.what}: {one.why}" for one in result.decisions],
    }


def main() -> None:
    """Measure each case and size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--columns", type=int, default=384)
    parser.add_argument("--one", choices=CASES, help="measure one case here, print JSON")
    args = parser.parse_args()
    if args.one:
        json.dump(measure(args.rows[0], args.columns, args.one), sys.stdout)
        return
    runs = []
    for rows, case in product(args.rows, CASES):
        command = [sys.executable, __file__, "--one", case, "--rows", str(rows)]
        command += ["--columns", str(args.columns)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    facts = machine() | {"OMP_NUM_THREADS": threads}
    write_result("adaptation_scale", {"limits": LIMITS, "runs": runs, "machine": facts})


if __name__ == "__main__":
    main()
