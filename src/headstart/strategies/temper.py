"""Temperature scaling: scores become probabilities that mean what they say."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from headstart.core.types import FloatArray, IntArray
from headstart.strategies.unit import LONE_SHARPNESS, UnitMeans


def sharpness(scores: FloatArray, codes: IntArray, weights: FloatArray | None = None) -> float:
    """Return the factor on held-out scores whose softmax has the least log loss.

    One number, so the ranking of the classes stays (Guo et al., ICML 2017). The truth is smoothed
    by one part in n + 2 (Platt 1999): n rows without an error do not make the model certain.

    Parameters
    ----------
    scores : ndarray of shape (n, k)
        Of rows that were not fitted to.
    codes : ndarray of shape (n,), int
        The true columns.
    weights : ndarray of shape (n,), optional
    """
    if scores.shape[1] < 2 or not len(scores):
        return 1.0
    centred = scores - scores.mean(axis=1, keepdims=True)
    spread = float(np.sqrt((centred**2).mean()))
    if not spread > 0.0:
        return 1.0
    smooth = 1.0 / (len(codes) + 2.0)

    def loss(log_factor: float) -> float:
        return log_loss(float(np.exp(log_factor) / spread) * centred, codes, weights, smooth=smooth)

    found = minimize_scalar(loss, bounds=(-5.0, 6.0), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x) / spread)


def means_sharpness(found: UnitMeans) -> float:
    """Return the sharpness of class means, each row left out of its own; one where none can be."""
    judged = found.judged
    if not len(judged):
        return LONE_SHARPNESS
    return sharpness(found.left_out(), found.codes[judged])


def log_loss(
    scores: FloatArray,
    codes: IntArray,
    weights: FloatArray | None = None,
    *,
    smooth: float = 0.0,
) -> float:
    """Return the (weighted) mean log loss of the softmax of scores, in nats."""
    losses = log_losses(scores, codes, smooth=smooth)
    return float(np.average(losses.astype(np.float64), weights=weights))


def log_losses(scores: FloatArray, codes: IntArray, *, smooth: float = 0.0) -> FloatArray:
    """Return the n log losses of the softmax of scores, in nats."""
    true = scores[np.arange(len(codes)), codes]
    top = scores.max(axis=1)
    losses: FloatArray = np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top
    losses -= (1.0 - smooth) * true
    if smooth:
        losses -= smooth * scores.mean(axis=1)
    return losses
