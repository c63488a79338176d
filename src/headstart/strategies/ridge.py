"""Ridge regression with exact leave-one-out over a path of penalties, in one eigendecomposition.

With rows centred by their weighted mean and rotated onto the eigenvectors of the covariance, the
coefficients for every penalty are a division away, and so is each row's leverage ``h``. The
residual of row i under the model fitted without it is ``e_i / (1 - h_i)``: exact, with the
intercept unpenalised (Golub, Heath & Wahba, Technometrics 1979; Rifkin & Lippert, MIT 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.core.types import AnyArray, FloatArray

BLOCK = 8192


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The weighted, centred rows of a matrix, rotated onto their principal axes.

    ``rotated`` is (n, r), ``axes`` (d, r) orthonormal, ``values`` (r,) the positive eigenvalues of
    the weighted scatter, r at most min(n - 1, d). All float64.
    """

    mean: FloatArray
    axes: FloatArray
    values: FloatArray
    rotated: FloatArray
    weights: FloatArray

    def coefficients(self, slopes: FloatArray) -> FloatArray:
        """Return coefficients (d, k) on the original features, from (r, k) on the axes."""
        return self.axes @ slopes


def decompose(X: FloatArray, weights: FloatArray | None = None) -> Spectrum:
    """Rotate rows onto the principal axes of their weighted scatter.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,), optional
        Positive; 1 by default.

    Returns
    -------
    Spectrum
        Through the d x d scatter where n > d, else through the n x n Gram matrix.
    """
    n, d = X.shape
    weights = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    mean = (weights @ X) / weights.sum()
    if n > d:
        scatter = np.zeros((d, d))
        for start in range(0, n, BLOCK):
            rows = X[start : start + BLOCK] - mean
            rows *= np.sqrt(weights[start : start + BLOCK, None])
            scatter += rows.T @ rows
        values, axes = np.linalg.eigh(scatter)
        keep = _significant(values, n)
        values, axes = values[keep], np.ascontiguousarray(axes[:, keep])
    else:
        rows = (X - mean) * np.sqrt(weights[:, None])
        values, left = np.linalg.eigh(rows @ rows.T)
        keep = _significant(values, d)
        values, left = values[keep], left[:, keep]
        axes = rows.T @ (left / np.sqrt(values))
    rotated = np.empty((n, len(values)))
    for start in range(0, n, BLOCK):
        rotated[start : start + BLOCK] = (X[start : start + BLOCK] - mean) @ axes
    return Spectrum(mean, axes, values, rotated, weights)


def _significant(values: FloatArray, size: int) -> AnyArray:
    top = max(float(values[-1]), 0.0)
    return values > max(top * max(size, len(values)) * np.finfo(float).eps, 1e-300)


@dataclass(frozen=True, eq=False)
class RidgePath:
    """Ridge fits over a path of penalties.

    Parameters
    ----------
    spectrum : Spectrum
    targets : ndarray of shape (n, k)
    alphas : ndarray of shape (a,)
    """

    spectrum: Spectrum
    targets: FloatArray
    alphas: FloatArray

    def slopes(self, alpha: float) -> FloatArray:
        """Return coefficients (r, k) on the principal axes."""
        s = self.spectrum
        cross = s.rotated.T @ (s.weights[:, None] * (self.targets - self.intercept()))
        return cross / (s.values + alpha)[:, None]

    def intercept(self) -> FloatArray:
        """Return the weighted mean of the targets: the prediction at the mean of the rows."""
        return (self.spectrum.weights @ self.targets) / self.spectrum.weights.sum()

    def held_out(self, alpha: float) -> FloatArray:
        """Return (n, k) predictions, each row's by the model fitted without that row.

        A row whose removal leaves nothing to fit (leverage 1) gets the intercept.
        """
        s = self.spectrum
        fitted = s.rotated @ self.slopes(alpha) + self.intercept()
        leverage = (s.rotated**2) @ (1.0 / (s.values + alpha)) + 1.0 / s.weights.sum()
        left = 1.0 - s.weights * leverage
        safe = left > 1e-10
        residual = (self.targets - fitted) / np.where(safe, left, 1.0)[:, None]
        return np.where(safe[:, None], self.targets - residual, self.intercept())

    def linear(self, alpha: float) -> tuple[FloatArray, FloatArray]:
        """Return coefficients (d, k) and intercepts (k,) on the original features."""
        coef = self.spectrum.coefficients(self.slopes(alpha))
        return coef, self.intercept() - self.spectrum.mean @ coef


def default_alphas(spectrum: Spectrum, n_alphas: int = 15) -> FloatArray:
    """Return penalties from 1e-4 to 1e3 times the mean eigenvalue: no scale of X matters."""
    scale = float(spectrum.values.mean()) if len(spectrum.values) else 1.0
    return scale * np.logspace(-4, 3, n_alphas)
