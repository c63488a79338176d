"""Rows centred and scaled to length 1, their class means, and how close rows are to those.

The geometry of SimpleShot's CL2N (Wang et al., arXiv:1911.04623), for all who share it: plain
numpy, so that a saved model opens without scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.core.types import FloatArray, IntArray

LONE_SHARPNESS = 10.0  # of the squared distance, where no class has two rows


def unit_rows(X: FloatArray, centre: FloatArray) -> FloatArray:
    """Return centred rows scaled to length 1, float64; rows at the centre stay zero."""
    rows = np.asarray(X).astype(np.float64) - centre
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    result: FloatArray = rows / np.where(length > 0.0, length, 1.0)
    return result


def class_sums(X: FloatArray, codes: IntArray, n_classes: int) -> FloatArray:
    """Return the (n_classes, d) float64 sums of the rows of each class; each has a row."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(n_classes))
    return np.add.reduceat(X[order], starts, axis=0, dtype=np.float64)


def closeness(rows: FloatArray, means: FloatArray) -> FloatArray:
    """Return minus the squared distance of (n, d) rows to (k, d) means: (n, k)."""
    squares = (means**2).sum(axis=1)
    result: FloatArray = 2.0 * rows @ means.T - squares - (rows**2).sum(axis=1, keepdims=True)
    return result


@dataclass(frozen=True, eq=False)
class UnitMeans:
    """Training rows as unit rows, and their class means.

    Parameters
    ----------
    centre : ndarray of shape (d,)
        The mean of the class means: not that of the largest class, whose rows would then have no
        direction.
    rows : ndarray of shape (n, d)
    codes : ndarray of shape (n,), int
    sums : ndarray of shape (k, d)
    counts : ndarray of shape (k,), int
    """

    centre: FloatArray
    rows: FloatArray
    codes: IntArray
    sums: FloatArray
    counts: IntArray

    @property
    def means(self) -> FloatArray:
        """The (k, d) class means of the unit rows."""
        result: FloatArray = self.sums / self.counts[:, None]
        return result

    @property
    def judged(self) -> IntArray:
        """The places of the rows that can be left out: those not alone in their class."""
        return np.flatnonzero(self.counts[self.codes] > 1)

    def left_out(self) -> FloatArray:
        """Return the closeness of the judged rows, each left out of its own class mean.

        The centre stays.
        """
        judged = self.judged
        rows, own = self.rows[judged], self.codes[judged]
        scores = closeness(rows, self.means)
        without = (self.sums[own] - rows) / (self.counts[own][:, None] - 1)
        scores[np.arange(len(own)), own] = -((rows - without) ** 2).sum(axis=1)
        return scores


def unit_means(X: FloatArray, codes: IntArray, n_classes: int) -> UnitMeans:
    """Return unit rows and class means of (n, d) features; each class has a row."""
    counts = np.bincount(codes, minlength=n_classes)
    centre = (class_sums(X, codes, n_classes) / counts[:, None]).mean(axis=0)
    rows = unit_rows(X, centre)
    return UnitMeans(centre, rows, codes, class_sums(rows, codes, n_classes), counts)
