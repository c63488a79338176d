"""The nearest labelled row as a form: what few labels of a target leave best at times."""

from __future__ import annotations

from typing import Self

import numpy as np

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.heads import softmax_rows

BLOCK = 1024
NEVER = -1e6  # the score of a class that has no row


class NearestForm:
    """The class of the nearest row; the sharper the nearer it is than that of any other class.

    Parameters
    ----------
    rows : ndarray of shape (m, d)
    codes : ndarray of shape (m,)
        Classes 0 to k - 1.
    n_classes : int
    spread : ndarray of shape (d,)
        What differences of each feature are divided by.
    """

    name = "nearest"

    def __init__(
        self, rows: FloatArray, codes: IntArray, n_classes: int, spread: FloatArray
    ) -> None:
        self.rows, self.codes, self.n_classes, self.spread = rows, codes, n_classes, spread

    def probabilities(self, X: FloatArray) -> FloatArray:
        """Return (n, k) class probabilities."""
        rows = self.rows / self.spread
        squares = (rows**2).sum(axis=1)
        result = np.empty((len(X), self.n_classes))
        for start in range(0, len(X), BLOCK):
            part = np.asarray(X[start : start + BLOCK], dtype=np.float64) / self.spread
            far = squares - 2.0 * part @ rows.T  # less the square of the row itself
            scores = np.full((len(part), self.n_classes), NEVER)
            for code in np.unique(self.codes):
                nearest = far[:, self.codes == code].min(axis=1)
                scores[:, code] = -0.5 * nearest / np.sqrt(rows.shape[1])
            result[start : start + BLOCK] = softmax_rows(scores)
        return result

    def arrays(self) -> dict[str, AnyArray]:
        """Return the rows and their classes."""
        size = np.array([self.n_classes], dtype=np.int64)
        return {"rows": self.rows, "codes": self.codes, "size": size, "spread": self.spread}

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray]) -> Self:
        """Rebuild from :meth:`arrays`."""
        return cls(arrays["rows"], arrays["codes"], int(arrays["size"][0]), arrays["spread"])

    def scaled(self, mean: FloatArray, spread: FloatArray) -> NearestForm:
        """Return the form that takes rows x where this one takes ``(x - mean) / spread``."""
        rows = self.rows * spread + mean
        return NearestForm(rows, self.codes, self.n_classes, self.spread * spread)
