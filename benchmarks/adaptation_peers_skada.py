"""skada's adapters in an environment of its own: ``adaptation_peers.py`` runs this file.

Reads an ``.npz`` with X, y, target; writes predictions and seconds of each method as one JSON line.
Importing skada changes scikit-learn's global configuration, hence the process of its own.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")


def main() -> None:
    from skada import (
        CORALAdapter,
        LinearOTMappingAdapter,
        SubspaceAlignmentAdapter,
        make_da_pipeline,
        source_target_split,
    )
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    del source_target_split
    methods = {
        "linear-ot": LinearOTMappingAdapter,
        "coral": CORALAdapter,
        "subspace-alignment": SubspaceAlignmentAdapter,
    }
    for path in sys.argv[1:]:
        given = np.load(path)
        X, y, target = given["X"], given["y"], given["target"]
        rows = np.vstack([X, target])
        labels = np.concatenate([y, np.full(len(target), -1)])
        domain = np.concatenate([np.ones(len(X)), -np.ones(len(target))])
        for name, adapter in methods.items():
            best = []
            for _ in range(3):
                began = time.perf_counter()
                model = make_da_pipeline(
                    StandardScaler(), adapter(), LogisticRegression(max_iter=1000)
                )
                model.fit(rows, labels, sample_domain=domain)
                said = model.predict(target, sample_domain=np.full(len(target), -1))
                best.append(time.perf_counter() - began)
            line = {"file": path, "method": name, "seconds": float(np.median(best))}
            print(json.dumps(line | {"said": np.asarray(said).astype(int).tolist()}), flush=True)


if __name__ == "__main__":
    main()
