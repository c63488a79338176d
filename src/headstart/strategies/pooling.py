"""Two predictions of the same items become one: pools of opinions, and weights learnt for them.

Class probabilities are pooled as logarithms: softmax of ``a log p_scratch + b log p_transfer`` (a
logarithmic opinion pool: Genest & Zidek, Statistical Science 1986; a product of experts). ``a`` and
``b`` minimise log loss on rows that neither member was fitted to, pulled towards (1/2, 1/2), the
geometric mean. Their sum sharpens, as a temperature does. Numbers are pooled as they are, with
weights that sum to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize

from headstart.core.types import FloatArray, IntArray
from headstart.strategies.heads import softmax_rows

FLOOR = 1e-6
"""Probabilities below this count as this: a class that a fold did not know vetoes nothing."""
PULL = 6.0
"""Nats for a squared distance of 1 from (1/2, 1/2): 3 for one member alone, over all rows."""
EQUAL = (0.5, 0.5)


def pooled(scratch: FloatArray, transfer: FloatArray, weights: Any) -> FloatArray:
    """Return the logarithmic pool of two (n, k) arrays of probabilities.

    Parameters
    ----------
    scratch, transfer : ndarray of shape (n, k)
        Columns in the same order.
    weights : pair of float, >= 0
        Exponents of the two.

    Returns
    -------
    ndarray of shape (n, k), float64
        Rows sum to 1.

    Examples
    --------
    >>> pooled(np.array([[0.5, 0.5]]), np.array([[0.1, 0.9]]), (0.0, 1.0)).round(3).tolist()
    [[0.1, 0.9]]
    """
    a, b = float(weights[0]), float(weights[1])
    return softmax_rows(a * _logs(scratch) + b * _logs(transfer))


def learn_weights(scratch: FloatArray, transfer: FloatArray, codes: IntArray) -> FloatArray:
    """Return the exponents of a logarithmic pool, learnt from out-of-fold probabilities.

    They minimise the summed log loss plus ``PULL`` times their squared distance from (1/2, 1/2), a
    convex problem. One member alone lies at distance 1/2 squared from there, so on these rows the
    log loss of the blend, in total, is at most 3 nats above that of the better member; the pull
    settles what a few rows cannot, and many rows overrule it.

    Parameters
    ----------
    scratch, transfer : ndarray of shape (n, k)
        Of rows that neither member was fitted to.
    codes : ndarray of shape (n,), int
        The true columns.

    Returns
    -------
    ndarray of shape (2,), float64, >= 0

    References
    ----------
    Wolpert, Stacked generalization, Neural Networks 1992; Breiman, Stacked regressions, Machine
    Learning 1996.

    Examples
    --------
    >>> sure, unsure = np.array([[0.9, 0.1]] * 50), np.array([[0.5, 0.5]] * 50)
    >>> codes = np.array([0] * 45 + [1] * 5)
    >>> learn_weights(unsure, sure, codes).round(2).tolist()
    [0.5, 0.84]
    """
    n = len(codes)
    if not n or scratch.shape[1] < 2:
        return np.array(EQUAL)
    logs = np.stack([_centred(_logs(scratch)), _centred(_logs(transfer))])
    rows = np.arange(n)
    own = logs[:, rows, codes].sum(axis=1)

    def objective(weights: FloatArray) -> tuple[float, FloatArray]:
        scores = np.tensordot(weights, logs, axes=1)
        top = scores.max(axis=1, keepdims=True)
        shares = np.exp(scores - top)
        sums = shares.sum(axis=1, keepdims=True)
        away = weights - EQUAL
        loss = float((np.log(sums) + top).sum() - weights @ own + PULL * (away @ away))
        slope = np.einsum("mij,ij->m", logs, shares / sums) - own + 2.0 * PULL * away
        return loss / n, slope / n

    found = minimize(
        objective,
        np.array(EQUAL),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * 2,
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    return np.asarray(found.x, dtype=np.float64)


def mixed(scratch: FloatArray, transfer: FloatArray, weights: Any) -> FloatArray:
    """Return the weighted sum of two arrays of n predicted numbers.

    Parameters
    ----------
    scratch, transfer : ndarray of shape (n,)
    weights : two numbers, or ndarray of shape (2, n)
    """
    made: FloatArray = weights[0] * scratch + weights[1] * transfer
    return made


def learn_shares(scratch: FloatArray, transfer: FloatArray, truth: FloatArray) -> FloatArray:
    """Return the weights of a linear pool of numbers, learnt from out-of-fold predictions.

    Least squares for one weight in [0, 1], in units of the better member's squared error (nats of
    a normal error), with the pull of :func:`learn_weights`.

    Parameters
    ----------
    scratch, transfer, truth : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (2,), float64
        Non-negative; they sum to 1.

    Examples
    --------
    >>> truth = np.arange(40.0)
    >>> learn_shares(truth + 10, truth - 1, truth).round(2).tolist()
    [0.09, 0.91]
    """
    apart, left = scratch - transfer, truth - transfer
    if not len(truth) or not apart.any():
        return np.array(EQUAL)
    unit = min(float(np.mean((truth - scratch) ** 2)), float(np.mean(left**2)))
    strength = 4.0 * PULL * unit  # of the pull, once both weights move together
    share = (float(apart @ left) + strength / 2.0) / (float(apart @ apart) + strength)
    share = min(max(share, 0.0), 1.0)
    return np.array([share, 1.0 - share])


def _logs(probabilities: FloatArray) -> FloatArray:
    logs: FloatArray = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), FLOOR))
    return logs


def _centred(logs: FloatArray) -> FloatArray:
    centred: FloatArray = logs - logs.mean(axis=1, keepdims=True)
    return centred


def share_of(weights: Any) -> float:
    """Return the weight of scratch as people see it, 0 to 1: its share of both."""
    a, b = float(weights[0]), float(weights[1])
    return a / (a + b) if a + b > 0 else 0.5
