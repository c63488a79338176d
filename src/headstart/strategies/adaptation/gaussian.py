"""Maps between two clouds of points by their means and covariances, in float64.

A domain is summed up by its mean and covariance; both maps here are affine and send the one summary
to the other: the optimal transport map between normal distributions, and whitening followed by
colouring.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from headstart.core.types import FloatArray

BLOCK = 8192
FEWEST = 10
"""Rows below which a cloud is not described by its moments."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (d,) and covariance (d, d) of n rows, float64; the covariance divides by n."""

    mean: FloatArray
    covariance: FloatArray
    n: int


def blocks(n: int) -> Iterator[slice]:
    """Yield slices of at most ``BLOCK`` rows that cover n rows."""
    return (slice(start, start + BLOCK) for start in range(0, n, BLOCK))


def moments(X: FloatArray, reg: float | None = None) -> Moments:
    """Return mean and regularised covariance of rows.

    Parameters
    ----------
    X : array of shape (n, d)
    reg : float, >= 0, optional
        Added to the diagonal; by default the covariance is shrunk as Ledoit & Wolf (Journal of
        Multivariate Analysis 88, 2004) do.
    """
    n, d = X.shape
    mean = X.mean(axis=0, dtype=np.float64)
    scatter, fourth = np.zeros((d, d)), 0.0
    for rows in blocks(n):
        centred = X[rows] - mean
        scatter += centred.T @ centred
        fourth += float(((centred**2).sum(axis=1) ** 2).sum())
    covariance = scatter / n
    if reg is None:
        covariance = _shrunk(covariance, fourth / n, n)
    else:
        covariance[np.diag_indices(d)] += reg
    return Moments(mean, covariance, n)


def _shrunk(covariance: FloatArray, fourth: float, n: int) -> FloatArray:
    """Return the covariance drawn to a multiple of the identity, as far as n rows are too few."""
    d = len(covariance)
    level = float(np.trace(covariance)) / d
    apart = float((covariance**2).sum()) / d - level**2
    noise = (fourth - float((covariance**2).sum())) / (n * d)
    share = 1.0 if apart <= 0 else min(max(noise, 0.0) / apart, 1.0)
    result: FloatArray = (1.0 - share) * covariance
    result[np.diag_indices(d)] += share * level
    return result


def powers(covariance: FloatArray, *exponents: float) -> list[FloatArray]:
    """Return powers of a symmetric matrix; eigenvalues below rounding error count as that."""
    values, axes = np.linalg.eigh(covariance)
    top = float(values[-1])
    floor = top * len(values) * np.finfo(np.float64).eps if top > 0 else 1.0
    values = np.maximum(values, floor)
    return [(axes * values**exponent) @ axes.T for exponent in exponents]


def gaussian_map(source: Moments, target: Moments) -> tuple[FloatArray, FloatArray]:
    """Return the optimal transport map between two normal distributions.

    Parameters
    ----------
    source, target : Moments

    Returns
    -------
    tuple of ndarray of shape (d, d) and ndarray of shape (d,)
        A row x of the source becomes ``x @ matrix + offset``.

    References
    ----------
    Peyre & Cuturi, Computational Optimal Transport, 2019, remark 2.31.
    """
    root, inverse = powers(source.covariance, 0.5, -0.5)
    (middle,) = powers(root @ target.covariance @ root, 0.5)
    matrix = inverse @ middle @ inverse
    return matrix, target.mean - source.mean @ matrix


def recolouring(source: Moments, target: Moments) -> tuple[FloatArray, FloatArray]:
    """Return the map that whitens the source and gives it the covariance of the target.

    Returns
    -------
    tuple of ndarray of shape (d, d) and ndarray of shape (d,)
        A row x of the source becomes ``x @ matrix + offset``.
    """
    (white,) = powers(source.covariance, -0.5)
    (colour,) = powers(target.covariance, 0.5)
    matrix = white @ colour
    return matrix, target.mean - source.mean @ matrix


def moved(X: FloatArray, matrix: FloatArray, offset: FloatArray) -> FloatArray:
    """Return ``X @ matrix + offset`` in the type of X."""
    result = np.empty((len(X), matrix.shape[1]), dtype=X.dtype)
    for rows in blocks(len(X)):
        result[rows] = X[rows] @ matrix + offset
    return result
