"""Whose spread scales the features of both domains, and what that does to the baseline.

    python benchmarks/adaptation_scaling.py --data FOLDER

``transfer`` standardises features by both domains together, for source-only as for every adapter.
Here source-only is also fitted on features standardised by the source alone, and on features as
they are; linear OT likewise. The pairs are those of ``adaptation.py``; half of the target is seen
without labels, the other half judges. Results go to ``results/adaptation_scaling.md``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import adaptation_data
from common import RESULTS, machine
from headstart.strategies.adaptation import make

MOST = 1000  # source rows
COLUMNS = (
    "source-only, both",
    "source-only, source alone",
    "source-only, as they are",
    "linear-ot, both",
    "linear-ot, as they are",
)


def measured(pair: adaptation_data.Pair, seed: int) -> list[float]:
    """Return the accuracy of each column on the half of the target that judges."""
    (X, y), (Z, z) = pair
    rng = np.random.default_rng(seed)
    ours, theirs = rng.permutation(len(X))[:MOST], rng.permutation(len(Z))
    seen, judges = np.array_split(theirs, 2)
    X, y = X[ours], y[ours]
    scaler = StandardScaler().fit(X)
    alone = LogisticRegression(max_iter=2000).fit(scaler.transform(X), y)
    found = {"source-only, source alone": alone.predict(scaler.transform(Z[judges]))}
    for method in ("source-only", "linear-ot"):
        for scale, told in ((True, "both"), (False, "as they are")):
            model = make(method).set_params(scale=scale).fit(X, y, Z[seen])
            found[f"{method}, {told}"] = model.predict(Z[judges])
    return [float(np.mean(found[name] == z[judges])) for name in COLUMNS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    adaptation_data.fetch(given.data)
    rows = {}
    for name, read in adaptation_data.pairs(given.data).items():
        pair = read()
        rows[name] = np.mean([measured(pair, seed) for seed in range(given.seeds)], axis=0)
    text = [
        "# Whose spread scales the features",
        "",
        f"Written by `python benchmarks/adaptation_scaling.py`, whose head says what is compared. "
        f"Accuracy, mean of {given.seeds} seeds. Machine: {json.dumps(machine())}.",
        "",
        f"| pair | {' | '.join(COLUMNS)} |",
        f"|---|{'---|' * len(COLUMNS)}",
    ]
    rows["mean"] = np.mean(list(rows.values()), axis=0)
    text += [
        f"| {name} | " + " | ".join(f"{x:.3f}" for x in row) + " |" for name, row in rows.items()
    ]
    (RESULTS / "adaptation_scaling.md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
