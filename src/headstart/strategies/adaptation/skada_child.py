"""What runs in a process of its own: one fit by skada, from arrays in a file to a linear model.

``skada_door`` starts this file by its path, in an interpreter that has skada; it imports nothing of
headstart. Importing skada switches on scikit-learn's metadata routing for the whole process.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LACKS = 3
"""How the process ends where a package is missing; its name is the last line of what it says."""


def main(folder: Path) -> None:
    """Fit what ``given.npz`` and ``given.json`` say, and write ``found.npz``."""
    warnings.filterwarnings("ignore")
    asked = json.loads((folder / "given.json").read_text())
    with np.load(folder / "given.npz", allow_pickle=False) as given:
        X, codes, target = given["X"], given["codes"], given["target"]
    try:
        skada = importlib.import_module("skada")
        coef, intercept = METHODS[asked["method"]](skada, X, codes, target, **asked["params"])
    except ImportError as error:
        lacking = error.name or ("torch" if "pytorch" in str(error) else "skada")
        sys.stderr.write(f"{lacking}\n")
        sys.exit(LACKS)
    if coef.shape[1] == 1:  # two classes: the score of the second
        coef = np.hstack([np.zeros_like(coef), coef])
        intercept = np.append(0.0, intercept)
    np.savez(folder / "found.npz", coef=coef, intercept=intercept)


def _both(X: Any, codes: Any, target: Any) -> tuple[Any, Any, Any]:
    """Return rows, classes (-1 for the target's) and domains (1, and -2 for the target)."""
    rows = np.vstack([X, target])
    labels = np.concatenate([codes, np.full(len(target), -1)])
    return rows, labels, np.repeat([1, -2], [len(X), len(target)])


def _logistic(C: float) -> Any:
    linear = importlib.import_module("sklearn.linear_model")
    return linear.LogisticRegression(C=C, max_iter=1000)


def _jdot(skada: Any, X: Any, codes: Any, target: Any, *, C: float, alpha: float) -> Any:
    rows, labels, domain = _both(X, codes, target)
    model = skada.JDOTClassifier(_logistic(C), alpha=alpha)
    model.fit(rows, labels, sample_domain=domain)  # it returns nothing
    fitted = model.estimator_
    return fitted.coef_.T, fitted.intercept_


def _tsl(skada: Any, X: Any, codes: Any, target: Any, *, C: float, mu: float) -> Any:
    rows, labels, domain = _both(X, codes, target)
    found = skada.TransferSubspaceLearningAdapter(mu=mu).fit(rows, labels, sample_domain=domain)
    axes = np.asarray(found.W_)
    fitted = _logistic(C).fit(X @ axes, codes)
    return axes @ fitted.coef_.T, fitted.intercept_


def _mmd_ls(skada: Any, X: Any, codes: Any, target: Any, *, C: float, gamma: float) -> Any:
    rows, labels, domain = _both(X, codes, target)
    adapter = skada.MMDLSConSMappingAdapter(gamma=gamma)
    moved = adapter.fit_transform(rows, labels, sample_domain=domain)[: len(X)]
    fitted = _logistic(C).fit(np.asarray(moved), codes)
    return fitted.coef_.T, fitted.intercept_


def _dasvm(skada: Any, X: Any, codes: Any, target: Any, *, C: float, k: int) -> Any:
    machines = importlib.import_module("sklearn.svm")
    rows, labels, domain = _both(X, codes, target)
    model = skada.DASVMClassifier(machines.SVC(kernel="linear", C=C), k=k)
    fitted = model.fit(rows, labels, sample_domain=domain).base_estimator_
    return fitted.coef_.T, fitted.intercept_


METHODS: dict[str, Callable[..., Any]] = {
    "jdot": _jdot,
    "tsl": _tsl,
    "mmd-ls": _mmd_ls,
    "dasvm": _dasvm,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
