"""headstart's adapters beside skada 0.6 on the same rows: accuracy on the target, and seconds.

    python benchmarks/adaptation_peers.py --peers VENV

VENV holds skada (``pip install skada==0.6.0 POT==0.9.7``). Simulated shifts at 300 rows a domain,
5 seeds, for accuracy; 4,000 rows of 384 features for time: fit and predict, the median of three,
one thread, both in one run. Writes ``results/adaptation_peers.{jsonl,md}``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from common import RESULTS, machine
from headstart.strategies.adaptation import make
from simulated_shifts import SHIFTS

METHODS = ("linear-ot", "coral", "subspace-alignment")
SEEDS, ROWS, MANY, WIDE = 5, 300, 4000, 384


def cases() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Return the source's rows and labels, the target's rows and labels, by name."""
    found = {
        f"{shift} {seed}": SHIFTS[shift](ROWS, seed) for shift in SHIFTS for seed in range(SEEDS)
    }
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 10, MANY), rng.integers(0, 10, MANY)
    centres = rng.normal(size=(10, WIDE))
    X = centres[y] + 2.0 * rng.normal(size=(MANY, WIDE))
    Z = (centres[z] + 2.0 * rng.normal(size=(MANY, WIDE))) * rng.uniform(0.5, 2.0, WIDE) + 1.0
    return found | {"large 0": (X, y, Z, z)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name, (X, y, target, truth) in cases().items():
            path = Path(folder) / f"{name.replace(' ', '_')}.npz"
            np.savez(path, X=X, y=y, target=target)
            files[str(path)] = (name, X, y, target, truth)
        script = Path(__file__).with_name("adaptation_peers_skada.py")
        command = [str(given.peers / "bin" / "python"), str(script), *files]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peers = {(one["file"], one["method"]): one for one in map(json.loads, told.splitlines())}
        for path, (name, X, y, target, truth) in files.items():
            for method in METHODS:
                took = []
                for _ in range(3):
                    began = time.perf_counter()
                    said = make(method).fit(X, y, target).predict(target)
                    took.append(time.perf_counter() - began)
                peer = peers[path, method]
                rows.append(
                    {
                        "case": name,
                        "method": method,
                        "ours": float((said == truth).mean()),
                        "skada": float((np.array(peer["said"]) == truth).mean()),
                        "seconds": round(float(np.median(took)), 4),
                        "skada seconds": round(peer["seconds"], 4),
                    }
                )
    (RESULTS / "adaptation_peers.jsonl").write_text(
        "".join(json.dumps(one) + "\n" for one in ({"machine": machine()}, *rows))
    )
    text = table(rows)
    (RESULTS / "adaptation_peers.md").write_text(text)
    print(text)


def table(rows: list[dict[str, object]]) -> str:
    """Return accuracy by shift and method, and how long 4,000 rows take."""
    lines = [
        "# Beside skada 0.6",
        "",
        "`python benchmarks/adaptation_peers.py --peers VENV`; one thread. Accuracy on the target "
        f"in percent, mean of {SEEDS} seeds, {ROWS} rows a domain; the difference with a 95 % "
        "interval over seeds. skada: StandardScaler, the adapter with its defaults, and "
        "LogisticRegression.",
        "",
        "| shift | method | headstart | skada | difference |",
        "|---|---|---|---|---|",
    ]
    for shift in SHIFTS:
        for method in METHODS:
            some = [r for r in rows if r["method"] == method and str(r["case"])[:-2] == shift]
            ours, peer = (100 * np.array([r[key] for r in some]) for key in ("ours", "skada"))
            gap = ours - peer
            half = 2.776 * gap.std(ddof=1) / np.sqrt(len(gap))
            lines.append(
                f"| {shift} | {method} | {ours.mean():.1f} | {peer.mean():.1f} | "
                f"{gap.mean():+.1f} [{gap.mean() - half:+.1f}, {gap.mean() + half:+.1f}] |"
            )
    lines += [
        "",
        f"Fit and predict at {MANY:,} rows of {WIDE} features a domain, seconds:",
        "",
        "| method | headstart | skada | ratio | accuracy (skada's) |",
        "|---|---|---|---|---|",
    ]
    for one in rows:
        if one["case"] == "large 0":
            ratio = float(one["seconds"]) / float(one["skada seconds"])  # type: ignore[arg-type]
            lines.append(
                f"| {one['method']} | {one['seconds']:.2f} | {one['skada seconds']:.2f} | "
                f"{ratio:.2f} | {100 * float(one['ours']):.1f} ({100 * float(one['skada']):.1f}) |"  # type: ignore[arg-type]
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
