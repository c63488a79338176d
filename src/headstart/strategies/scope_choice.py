"""Which score tells items out of scope, and from where on: learnt from the training rows alone.

Which score holds up differs by data. So some classes are left out in turn, as if they were what
nobody has thought of, and the score is taken that tells their items best from held-out items of
the other classes; or the average of the ranks of two. The threshold is a quantile of the scores of
training rows, each by a reference that had not seen its fold.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.ridge import decompose
from headstart.strategies.scope import LONE_SHARPNESS, METHODS, Reference, Scope, mean_rank
from headstart.strategies.temper import sharpness
from headstart.strategies.unit import class_sums, unit_rows

REFERENCE = 2000
"""Training rows that are kept at most, as many of each class as there are."""
AXES = 256
"""Principal axes in which Mahalanobis distances are measured, at most."""
SHRINK = 0.5
"""How far covariances are drawn to a sphere."""
TURNS = 5
"""How many times classes are left out."""
MOST_ROWS = 4000
"""Training rows that choose, at most."""
QUANTILES = 101
CLEAR = 0.002
"""By how much two scores together must beat the best one to be taken."""
SHARE = 0.05
"""Share of the in-scope items that may be taken for out of scope."""

Folds = Sequence[tuple[IntArray, IntArray]]


def find_scope(
    X: AnyArray,
    codes: IntArray,
    folds: Folds,
    *,
    share: float = SHARE,
    seed: int = 0,
    methods: Sequence[str] = METHODS,
) -> tuple[Scope, FloatArray]:
    """Find the score that holds up, and the threshold that takes few in-scope items for foreign.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features of the training items.
    codes : ndarray of shape (n,), int
    folds : sequence of (train, test) index arrays
        At least one.
    share : float
        Share of the in-scope items that may be taken for out of scope.
    seed : int
        Of the order in which classes are left out, and of draws of large data.
    methods : sequence of str
        Those that take part.

    Returns
    -------
    Scope
    ndarray of shape (m,)
        The score of each item that the folds hold out, fold after fold, by rows of other folds.
    """
    auroc = _left_out(X, codes, folds, methods, seed) if len(np.unique(codes)) > 2 else {}
    chosen = _choose(auroc)
    held = [
        _scores(reference(X[train], codes[train], chosen, seed), X[test], chosen)
        for train, test in folds
    ]
    scores = np.concatenate(held)
    ranks = np.quantile(scores, np.linspace(0, 1, QUANTILES), axis=0).T.astype(np.float32)
    found = mean_rank(scores, ranks)
    threshold = float(np.quantile(found, share, method="lower"))
    scope = Scope(chosen, reference(X, codes, chosen, seed), ranks, threshold, auroc)
    return scope, found


def reference(X: AnyArray, codes: IntArray, methods: Sequence[str], seed: int = 0) -> Reference:
    """Learn what scores compare with.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    codes : ndarray of shape (n,), int
        The class of each row; any numbers.
    methods : sequence of str
        Of ``METHODS``.
    seed : int
        Of the draw, where there are more than ``REFERENCE`` rows.
    """
    codes = np.unique(codes, return_inverse=True)[1]
    rows = np.asarray(X, dtype=np.float64)
    counts = np.bincount(codes)
    centre = (
        (class_sums(rows, codes, len(counts)) / counts[:, None]).mean(axis=0).astype(np.float32)
    )
    rows = rows - centre
    parts: dict[str, Any] = {}
    if set(methods) - {"mahalanobis"}:
        unit = unit_rows(rows, np.zeros(rows.shape[1]))
        if "neighbours" in methods:
            kept = balanced(codes, REFERENCE, seed)
            parts["rows"] = unit[kept].astype(np.float16)
        if set(methods) & {"prototype", "energy", "probability"}:
            parts |= _means(unit, codes, counts)
    if "mahalanobis" in methods:
        parts |= _spheres(rows, codes, counts)
    return Reference(centre, **parts)


def _means(unit: FloatArray, codes: IntArray, counts: IntArray) -> dict[str, Any]:
    """Return the class means, and the sharpness by which rows left out of theirs are judged."""
    sums = class_sums(unit, codes, len(counts))
    means = _unit(sums)
    judged = np.flatnonzero(counts[codes] > 1)
    sharp = LONE_SHARPNESS
    if len(judged) and len(counts) > 1:
        judged = judged[:: max(1, len(judged) // MOST_ROWS)]
        close = unit[judged] @ means.T
        without = _unit(sums[codes[judged]] - unit[judged])
        close[np.arange(len(judged)), codes[judged]] = (without * unit[judged]).sum(axis=1)
        sharp = sharpness(close, codes[judged])
    return {"means": means.astype(np.float32), "sharpness": sharp}


def _unit(rows: FloatArray) -> FloatArray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    result: FloatArray = rows / np.where(length > 0.0, length, 1.0)
    return result


def _spheres(rows: FloatArray, codes: IntArray, counts: IntArray) -> dict[str, Any]:
    """Return the principal axes, and in them what makes both covariances a sphere."""
    spectrum = decompose(rows)
    axes = spectrum.axes[:, np.argsort(-spectrum.values, kind="stable")[:AXES]]
    if not axes.shape[1]:  # all rows are equal
        axes = np.eye(rows.shape[1], 1)
    axes = axes.astype(np.float16)
    turned = rows @ axes.astype(np.float64)
    means = class_sums(turned, codes, len(counts)) / counts[:, None]
    within, overall = _whiten(turned - means[codes]), _whiten(turned)
    return {
        "axes": axes,
        "within": within.astype(np.float32),
        "overall": overall.astype(np.float32),
        "spheres": (means @ within).astype(np.float32),
    }


def _whiten(rows: FloatArray) -> FloatArray:
    """Return the factor that makes the covariance of rows, drawn to a sphere, the identity."""
    r = rows.shape[1]
    covariance = rows.T @ rows / len(rows)
    size = float(np.trace(covariance)) / r
    covariance = (1.0 - SHRINK) * covariance + (SHRINK * size + 1e-9) * np.eye(r)
    values, vectors = np.linalg.eigh(covariance)
    result: FloatArray = vectors / np.sqrt(np.maximum(values, 1e-12))
    return result


def balanced(codes: IntArray, most: int, seed: int) -> IntArray:
    """Return places of at most ``most`` rows, as evenly over the classes as they allow."""
    if len(codes) <= most:
        return np.arange(len(codes))
    shuffled = np.random.default_rng(seed).permutation(len(codes))
    order = shuffled[np.argsort(codes[shuffled], kind="stable")]
    starts = np.searchsorted(codes[order], np.unique(codes))
    turn = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    return np.sort(order[np.argsort(turn, kind="stable")[:most]])


def _scores(known: Reference, X: AnyArray, methods: Sequence[str]) -> FloatArray:
    return np.column_stack([known.score(X, method) for method in methods])


def _choose(auroc: Mapping[str, float]) -> tuple[str, ...]:
    """Return the best score, or the best two where they are clearly better together."""
    if not auroc:
        return ("neighbours",)
    alone = {name: value for name, value in auroc.items() if " + " not in name}
    best = max(alone, key=lambda name: alone[name])
    two = max(auroc, key=lambda name: auroc[name])
    return tuple(two.split(" + ")) if auroc[two] > alone[best] + CLEAR else (best,)


def _left_out(
    X: AnyArray, codes: IntArray, folds: Folds, methods: Sequence[str], seed: int
) -> dict[str, float]:
    """Return how well each score, and each two, tell the items of left-out classes apart."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(np.unique(codes))
    turns = min(TURNS, len(names))
    rows = balanced(codes, MOST_ROWS, seed)
    use = np.zeros(len(codes), dtype=bool)
    use[rows] = True
    found: dict[str, list[float]] = {}
    for turn in range(turns):
        foreign = np.isin(codes, names[turn::turns])
        train, test = folds[turn % len(folds)]
        learnt = train[~foreign[train] & use[train]]
        inside, outside = test[~foreign[test]], np.flatnonzero(foreign & use)
        if len(np.unique(codes[learnt])) < 2 or not len(inside):
            continue
        known = reference(X[learnt], codes[learnt], methods, seed)
        scores = _scores(known, X[np.concatenate([inside, outside])], methods)
        ranks = np.quantile(scores[: len(inside)], np.linspace(0, 1, QUANTILES), axis=0).T
        for size in (1, 2):
            for pair in itertools.combinations(range(len(methods)), size):
                some = list(pair)
                together = mean_rank(scores[:, some], ranks[some])
                value = auroc_of(together[: len(inside)], together[len(inside) :])
                found.setdefault(" + ".join(methods[j] for j in some), []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def auroc_of(inside: FloatArray, outside: FloatArray) -> float:
    """Return how often an item in scope scores higher than one out of scope; a tie is a half.

    Examples
    --------
    >>> auroc_of(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    0.875
    """
    both = np.concatenate([inside, outside])
    _, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2.0
    total = rank[inverse[: len(inside)]].sum() - len(inside) * (len(inside) + 1) / 2.0
    return float(total / (len(inside) * len(outside)))
