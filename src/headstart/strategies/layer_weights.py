"""Weights of layers, learnt together with a linear model on their weighted sum.

Each layer's features are centred and scaled to rows of mean squared length 1, so that weights tell
what a layer is worth and not how large its numbers are. The weights are a softmax: positive, and 1
in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.frozen import stratified_folds
from headstart.strategies.heads import softmax_rows

STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""C, the inverse penalty of the linear model, that are tried."""
FOLDS = 3
MOST = 2000
"""Items that learn the weights: a dozen numbers need no more."""
STEPS = 100
PRIOR = 1.0
"""Of the logits, a normal prior of this variance: a few labels do not leave one layer alone."""


class Layers(NamedTuple):
    """What was learnt: a weight for each layer, and how.

    Parameters
    ----------
    weights : ndarray of shape (layers,)
        Positive, they sum to 1; of layers scaled alike.
    factors : ndarray of shape (layers,)
        What the features of each layer are multiplied by in the sum, at the last layer's scale.
    strength : float
        The chosen C.
    losses : dict of float to float
        The held-out loss of each C that was tried; empty where nothing could be held out.
    """

    weights: FloatArray
    factors: FloatArray
    strength: float
    losses: dict[float, float]


def learn_layers(
    X: AnyArray, truth: AnyArray, n_classes: int, *, seed: int, strengths: Sequence[float]
) -> Layers:
    """Return the weights of layers.

    Parameters
    ----------
    X : ndarray of shape (n, layers, d)
        Features of each layer.
    truth : ndarray of shape (n,)
        Codes of classes; or numbers, standardised.
    n_classes : int
        0 for numbers.
    seed : int
        Draws the sample, and the folds that choose the strength.
    strengths : sequence of float > 0
        Of several the one with the least held-out loss.

    References
    ----------
    Yang et al., SUPERB: Speech processing universal performance benchmark, Interspeech 2021;
    Peters et al., Deep contextualized word representations, NAACL 2018 (scalar mix).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> codes = np.arange(60) % 2
    >>> seen = rng.normal(size=(60, 3, 4))
    >>> seen[:, 1] += 4 * codes[:, None]
    >>> found = learn_layers(seen, codes, 2, seed=0, strengths=(10.0,))
    >>> int(found.weights.argmax()), round(float(found.weights.sum()), 6)
    (1, 1.0)
    """
    n = len(truth)
    if n > MOST:
        kept = np.sort(np.random.default_rng(seed).permutation(n)[:MOST])
        X, truth = X[kept], truth[kept]
    rows = np.ascontiguousarray(np.swapaxes(X, 0, 1), dtype=np.float32)
    rows = rows - rows.mean(axis=1, keepdims=True)
    sizes = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=2).mean(axis=1))
    if sizes.max() == 0:  # all items are the same
        sizes[:] = 1.0
    sizes = np.where(sizes > 1e-6 * sizes.max(), sizes, np.inf)  # a layer that is constant: unseen
    rows /= sizes[:, None, None].astype(np.float32)
    targets = _targets(truth, n_classes)
    losses = _held_out(rows, targets, truth, n_classes, seed, strengths)
    strength = min(losses, key=lambda C: losses[C]) if losses else _middle(strengths)
    weights = _softmax(_fit(rows, targets, strength, n_classes)[0])
    last = float(sizes[np.isfinite(sizes)][-1])
    factors = np.where(np.isfinite(sizes), weights * last / sizes, 0.0)
    return Layers(weights, factors, strength, losses)


def _middle(strengths: Sequence[float]) -> float:
    return sorted(strengths)[len(strengths) // 2]


def _targets(truth: AnyArray, n_classes: int) -> FloatArray:
    if not n_classes:
        return np.asarray(truth, dtype=np.float32)[:, None]
    return np.eye(n_classes, dtype=np.float32)[truth]


def _held_out(
    rows: FloatArray,
    targets: FloatArray,
    truth: AnyArray,
    n_classes: int,
    seed: int,
    strengths: Sequence[float],
) -> dict[float, float]:
    """Return the mean held-out loss at each strength; nothing where nothing can be held out."""
    n = len(truth)
    codes: IntArray = truth if n_classes else np.zeros(n, dtype=np.int64)
    if len(strengths) < 2 or n < 2 * FOLDS or np.bincount(codes).max() < 2:
        return {}
    folds = stratified_folds(codes, FOLDS, seed)
    found = {}
    for strength in strengths:
        total = 0.0
        for fold in range(FOLDS):
            out = folds == fold
            if not out.any() or out.all():
                continue
            parts = _fit(rows[:, ~out], targets[~out], strength, n_classes)
            scores = _scores(rows[:, out], *parts)
            total += float(_losses(scores, targets[out], n_classes).sum())
        found[float(strength)] = total / n
    return found


def _fit(
    rows: FloatArray, targets: FloatArray, strength: float, n_classes: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the logits of the layers' weights, and the linear model: (d, k) and (k,).

    They minimise the mean loss plus ``|coef|^2 / (2 C n)`` and ``|logits|^2 / (2 PRIOR n)``, from
    equal weights and zeros.
    """
    layers, n, d = rows.shape
    k = targets.shape[1]
    flat = rows.reshape(layers, n * d)
    start = np.zeros(layers + d * k + k)
    start[layers + d * k :] = 0.0 if n_classes else targets.mean(axis=0)

    def objective(point: FloatArray) -> tuple[float, FloatArray]:
        weights = _softmax(point[:layers])
        coef = point[layers : layers + d * k].reshape(d, k).astype(np.float32)
        intercept = point[layers + d * k :]
        mixed = (weights.astype(np.float32) @ flat).reshape(n, d)
        scores = (mixed @ coef).astype(np.float64) + intercept
        value = float(_losses(scores, targets, n_classes).mean())
        away = (_expected(scores, n_classes) - targets) / n
        small = away.astype(np.float32)
        down = coef.astype(np.float64)
        towards = flat @ (small @ coef.T).ravel()
        slope = np.concatenate(
            [
                weights * (towards - weights @ towards) + point[:layers] / (PRIOR * n),
                ((mixed.T @ small).astype(np.float64) + down / (strength * n)).ravel(),
                away.sum(axis=0),
            ]
        )
        value += float(np.square(down).sum()) / (2 * strength * n)
        return value + float(np.square(point[:layers]).sum()) / (2 * PRIOR * n), slope

    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS, "gtol": 1e-4}
    )
    point = np.asarray(found.x, dtype=np.float64)
    return point[:layers], point[layers : layers + d * k].reshape(d, k), point[layers + d * k :]


def _scores(
    rows: FloatArray, logits: FloatArray, coef: FloatArray, intercept: FloatArray
) -> FloatArray:
    mixed = np.tensordot(_softmax(logits), rows, axes=1)
    scores: FloatArray = mixed @ coef + intercept
    return scores


def _losses(scores: FloatArray, targets: FloatArray, n_classes: int) -> FloatArray:
    """Return the loss (n,) of scores (n, k): log loss, or half the squared error of numbers."""
    if not n_classes:
        halves: FloatArray = np.square(scores - targets).sum(axis=1) / 2
        return halves
    top = scores.max(axis=1, keepdims=True)
    sums = np.log(np.exp(scores - top).sum(axis=1)) + top[:, 0]
    losses: FloatArray = sums - (scores * targets).sum(axis=1)
    return losses


def _expected(scores: FloatArray, n_classes: int) -> FloatArray:
    """Return what is predicted (n, k): probabilities, or the numbers."""
    return softmax_rows(scores) if n_classes else scores


def _softmax(logits: FloatArray) -> FloatArray:
    shares = np.exp(logits - logits.max())
    made: FloatArray = shares / shares.sum()
    return made
