"""Transport plans between samples of two domains, through POT, capped and blocked by memory."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from headstart.core.errors import MissingExtraError
from headstart.core.types import FloatArray, IntArray

BLOCK = 2048
APART = 10.0
"""Cost between rows of which the labels are known to differ, times the largest cost."""


def optimal_transport() -> Any:
    """Import POT.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its docstrings are compiled at the first import
            import ot
    except ImportError as error:
        raise MissingExtraError("POT", "ot", "optimal transport") from error
    return ot


def cost(X: FloatArray, target: FloatArray, codes: IntArray, target_codes: IntArray) -> FloatArray:
    """Return squared distances over the largest, float64; known labels that differ cost 10."""
    found: FloatArray = cdist(X, target, "sqeuclidean")
    top = float(found.max())
    if top > 0:
        found /= top
    known = np.flatnonzero(target_codes >= 0)
    found[:, known] += APART * (codes[:, None] != target_codes[known][None])
    return found


def entropic_plan(costs: FloatArray, reg: float) -> FloatArray:
    """Return the plan with the least cost less entropy, rows and columns weighing the same."""
    ot = optimal_transport()
    n, m = costs.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no convergence, which the caller sees in the marginals
        found: FloatArray = ot.sinkhorn(
            np.full(n, 1.0 / n),
            np.full(m, 1.0 / m),
            costs,
            reg,
            method="sinkhorn" if costs.max() / reg < 500 else "sinkhorn_log",
            numItermax=1000,
            stopThr=1e-8,
        )
    return found


def class_plan(costs: FloatArray, codes: IntArray, reg: float, reg_class: float) -> FloatArray:
    """Return an entropic plan in which a target row draws from few classes (Lp-L1 penalty)."""
    ot = optimal_transport()
    n, m = costs.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: FloatArray = ot.da.sinkhorn_lpl1_mm(
            np.full(n, 1.0 / n),
            codes,
            np.full(m, 1.0 / m),
            costs,
            reg,
            eta=reg_class,
            numItermax=10,
            numInnerItermax=200,
            stopInnerThr=1e-8,
        )
    return found


def barycentres(plan: FloatArray, target: FloatArray) -> FloatArray:
    """Return where the mass of each row of the plan goes on average, shape (n, d)."""
    mass = plan.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.nan_to_num(plan / mass, nan=0.0, posinf=0.0, neginf=0.0)
    result: FloatArray = shares @ target
    return result


def sampled(codes: IntArray | None, n: int, most: int, rng: np.random.Generator) -> IntArray:
    """Return at most ``most`` of n places in order, each class by its share."""
    if n <= most:
        return np.arange(n)
    order = rng.permutation(n)
    if codes is not None:
        order = order[np.argsort(codes[order], kind="stable")]
    start = rng.random()
    picks = np.floor((start + np.arange(most)) * n / most).astype(np.int64)
    return np.sort(order[np.minimum(picks, n - 1)])


def carried(X: FloatArray, some: IntArray, images: FloatArray) -> FloatArray:
    """Return all rows mapped: those in ``some`` to their images, others moved like the nearest.

    References
    ----------
    Ferradans, Papadakis, Peyre & Aujol, SIAM Journal on Imaging Sciences 7, 2014.
    """
    result = np.empty(X.shape, dtype=X.dtype)
    anchors = X[some]
    moves = images - anchors
    for start in range(0, len(X), BLOCK):
        rows = X[start : start + BLOCK]
        nearest = cdist(rows, anchors, "sqeuclidean").argmin(axis=1)
        result[start : start + BLOCK] = rows + moves[nearest]
    result[some] = images
    return result
