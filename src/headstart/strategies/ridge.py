"""Ridge regression with exact leave-one-out over a path of penalties, in one eigendecomposition.

With rows centred by their weighted mean and rotated onto the eigenvectors of the covariance, the
coefficients for every penalty are a division away, and so is each row's leverage ``h``. The
residual of row i under the model fitted without it is ``e_i / (1 - h_i)``: exact, with the
intercept unpenalised (Golub, Heath & Wahba, Technometrics 1979; Rifkin & Lippert, MIT 2007).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.types import AnyArray, FloatArray

BLOCK = 8192
LARGE = 2**27  # numbers; above it the rotated rows are kept in float32


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The weighted, centred rows of a matrix, rotated onto their principal axes.

    ``rotated`` is (n, r), ``axes`` (d, r) orthonormal, ``values`` (r,) the positive eigenvalues of
    the weighted scatter, r at most min(n - 1, d). Float64, but for very many ``rotated`` rows.
    """

    mean: FloatArray
    axes: FloatArray
    values: FloatArray
    rotated: FloatArray
    weights: FloatArray

    def linear(self, slopes: FloatArray, offset: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return coefficients (d, k) and intercepts (k,) on the original features.

        Parameters
        ----------
        slopes : ndarray of shape (r, k)
            On the principal axes.
        offset : ndarray of shape (k,)
            The prediction at the mean row.
        """
        coef = np.ascontiguousarray(self.axes @ slopes)
        return coef, offset - self.mean @ coef


def decompose(X: FloatArray, weights: FloatArray | None = None, *, dtype: Any = None) -> Spectrum:
    """Rotate rows onto the principal axes of their weighted scatter.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,), optional
        Positive; 1 by default.
    dtype : {float32, float64}, optional
        Of the rotated rows; by default float64 unless they are very many.

    Returns
    -------
    Spectrum
        Through the d x d scatter where n > d, else through the n x n Gram matrix.
    """
    n, d = X.shape
    weights = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    mean = np.zeros(d)
    for rows in _blocks(n):
        mean += weights[rows] @ X[rows]
    mean /= weights.sum()
    if n > d:
        scatter = np.zeros((d, d))
        for rows in _blocks(n):
            centred = (X[rows] - mean) * np.sqrt(weights[rows, None])
            scatter += centred.T @ centred
        values, axes = np.linalg.eigh(scatter)
        keep = _significant(values, n)
        values, axes = values[keep], np.ascontiguousarray(axes[:, keep])
    else:
        centred = (X - mean) * np.sqrt(weights[:, None])
        values, left = np.linalg.eigh(centred @ centred.T)
        keep = _significant(values, d)
        values = values[keep]
        axes = centred.T @ (left[:, keep] / np.sqrt(values))
    if dtype is None:
        dtype = np.float64 if n * d <= LARGE else np.float32
    rotated = np.empty((n, len(values)), dtype=dtype)
    for rows in _blocks(n):
        rotated[rows] = (X[rows] - mean) @ axes
    return Spectrum(mean, axes, values, rotated, weights)


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, n, BLOCK))


def _significant(values: FloatArray, size: int) -> AnyArray:
    top = max(float(values[-1]), 0.0)
    return values > max(top * max(size, len(values)) * np.finfo(float).eps, 1e-300)


class Ridge:
    """Ridge regression of targets (n, k) on a spectrum, for any penalty.

    Parameters
    ----------
    spectrum : Spectrum
    targets : ndarray of shape (n, k)
    """

    def __init__(self, spectrum: Spectrum, targets: FloatArray) -> None:
        self.spectrum, self.targets = spectrum, targets
        weights = spectrum.weights
        self.offset: FloatArray = (weights @ targets) / weights.sum()
        self._cross = spectrum.rotated.T @ (weights[:, None] * (targets - self.offset))

    def slopes(self, alpha: float) -> FloatArray:
        """Return coefficients (r, k) on the principal axes."""
        return self._cross / (self.spectrum.values + alpha)[:, None]

    def held_out(self, alpha: float) -> FloatArray:
        """Return (n, k) predictions, each row's by the model fitted without that row.

        A row whose removal leaves nothing to fit (leverage 1) gets the mean of the targets.
        """
        s = self.spectrum
        total = s.weights.sum()
        slopes, inverse = self.slopes(alpha), 1.0 / (s.values + alpha)
        result = np.empty(self.targets.shape)
        for rows in _blocks(len(result)):
            z, truth = s.rotated[rows], self.targets[rows]
            leverage = s.weights[rows] * ((z * z) @ inverse + 1.0 / total)
            left = 1.0 - leverage
            usable = left > 1e-10
            residual = (truth - (z @ slopes + self.offset)) / np.where(usable, left, 1.0)[:, None]
            result[rows] = np.where(usable[:, None], truth - residual, self.offset)
        return result

    def loo_error(self, alpha: float) -> float:
        """Return the weighted mean of the squared leave-one-out errors, summed over targets."""
        errors = ((self.held_out(alpha) - self.targets) ** 2).sum(axis=1)
        weights = self.spectrum.weights
        return float(weights @ errors / weights.sum())

    def best_alpha(self, alphas: FloatArray, *, decades: float | None = None) -> float:
        """Return the penalty with the least leave-one-out error; of a tie, the larger one.

        Parameters
        ----------
        alphas : array of float > 0
        decades : float > 0, optional
            How far, in powers of ten, the penalty is expected to lie from the mean eigenvalue: the
            standard deviation of a normal prior, which few rows heed and many do not.
        """
        ordered = np.sort(np.asarray(alphas, dtype=np.float64))[::-1]
        errors = np.array([self.loo_error(float(alpha)) for alpha in ordered])
        if decades is not None and len(self.spectrum.values):
            away = np.log10(ordered / self.spectrum.values.mean()) / decades
            tiny = np.finfo(np.float64).tiny
            errors = 0.5 * len(self.targets) * np.log(np.maximum(errors, tiny)) + 0.5 * away**2
        return float(ordered[int(np.argmin(errors))])

    def left_out(self, alpha: float, out: AnyArray) -> FloatArray:
        """Return predictions of the rows in ``out`` (a mask) by the fit to all other rows."""
        s = self.spectrum
        z, weights = s.rotated[~out], s.weights[~out]
        mean = weights @ z / weights.sum()
        offset = weights @ self.targets[~out] / weights.sum()
        z = z - mean
        scatter = (z * weights[:, None]).T @ z
        scatter[np.diag_indices_from(scatter)] += alpha
        cross = (z * weights[:, None]).T @ (self.targets[~out] - offset)
        return (s.rotated[out] - mean) @ np.linalg.solve(scatter, cross) + offset

    def linear(self, alpha: float) -> tuple[FloatArray, FloatArray]:
        """Return coefficients (d, k) and intercepts (k,) on the original features."""
        return self.spectrum.linear(self.slopes(alpha), self.offset)


def default_alphas(spectrum: Spectrum, n_alphas: int = 15) -> FloatArray:
    """Return penalties from 1e-4 to 1e3 times the mean eigenvalue: the scale of X is no matter."""
    scale = float(spectrum.values.mean()) if len(spectrum.values) else 1.0
    return scale * np.logspace(-4, 3, n_alphas)
