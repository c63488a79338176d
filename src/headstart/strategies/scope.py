"""Out of scope: how foreign an item is to all that a model was trained on.

A classifier names one of its classes for anything at all. Five scores of frozen features say how
well an item fits in: the similarity to its nearest training rows (Sun et al., ICML 2022), to the
nearest class mean, the energy (Liu et al., NeurIPS 2020) and the largest probability (Hendrycks &
Gimpel, ICLR 2017) of a softmax over the class means, and the relative Mahalanobis distance (Ren et
al., 2021). Which of them is used is chosen by ``scope_choice``.

Plain numpy, so that a saved model opens fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from headstart.core.types import AnyArray, FloatArray, State
from headstart.strategies.calibrated import softmax

METHODS = ("neighbours", "prototype", "energy", "probability", "mahalanobis")
WORDS = {
    "neighbours": "similarity to the nearest labelled items",
    "prototype": "similarity to the nearest class mean",
    "energy": "energy",
    "probability": "largest probability",
    "mahalanobis": "relative Mahalanobis distance",
}
NEIGHBOURS = 5
LONE_SHARPNESS = 10.0
BLOCK = 2048


@dataclass(frozen=True, eq=False)
class Reference:
    """What the scores compare an item with; what a score does not need is None.

    Parameters
    ----------
    centre : ndarray of shape (d,), float32
    rows : ndarray of shape (m, d), float16
        Training rows, centred, of length 1.
    means : ndarray of shape (k, d), float32
        Class means of such rows, of length 1.
    sharpness : float
        Of the softmax over the similarities to the means.
    axes : ndarray of shape (d, r), float16
        Principal axes.
    within, overall : ndarray of shape (r, r), float32
        What makes the covariance within the classes, and of all rows, a sphere.
    spheres : ndarray of shape (k, r), float32
        Class means in that sphere.
    """

    centre: FloatArray
    rows: FloatArray | None = None
    means: FloatArray | None = None
    sharpness: float = LONE_SHARPNESS
    axes: FloatArray | None = None
    within: FloatArray | None = None
    overall: FloatArray | None = None
    spheres: FloatArray | None = None

    @cached_property
    def _near(self) -> FloatArray:
        assert self.rows is not None
        return self.rows.astype(np.float32)

    def score(self, X: AnyArray, method: str) -> FloatArray:
        """Return how well each of n rows fits in, by one of ``METHODS``; higher is better."""
        found = np.empty(len(X))
        for start in range(0, len(X), BLOCK):
            part = slice(start, start + BLOCK)
            found[part] = self._score(np.asarray(X[part], dtype=np.float32), method)
        return found

    def _score(self, X: FloatArray, method: str) -> FloatArray:
        rows = X - self.centre
        if method == "mahalanobis":
            return self._relative(rows)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(length > 0.0, length, 1.0)
        if method == "neighbours":
            close = rows @ self._near.T
            count = min(NEIGHBOURS, close.shape[1])
            nearest: FloatArray = np.partition(close, -count, axis=1)[:, -count:]
            return nearest.mean(axis=1, dtype=np.float64)
        assert self.means is not None
        close = (rows @ self.means.T).astype(np.float64)
        if method == "prototype":
            result: FloatArray = close.max(axis=1)
            return result
        scores = self.sharpness * close
        top = scores.max(axis=1)
        if method == "energy":
            result = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
        else:
            result = softmax(scores).max(axis=1)
        return result

    def _relative(self, rows: FloatArray) -> FloatArray:
        """Return minus the distance to the nearest class, less that to all rows together."""
        assert self.axes is not None
        assert self.within is not None
        assert self.overall is not None
        assert self.spheres is not None
        turned = rows @ self.axes.astype(np.float32)
        own = (turned @ self.within).astype(np.float64)
        means = self.spheres.astype(np.float64)
        squares = (own**2).sum(axis=1)[:, None] - 2.0 * own @ means.T + (means**2).sum(axis=1)
        overall = ((turned @ self.overall).astype(np.float64) ** 2).sum(axis=1)
        result: FloatArray = overall - squares.min(axis=1)
        return result


@dataclass(frozen=True, eq=False)
class Scope:
    """Says which items are out of scope.

    Parameters
    ----------
    methods : tuple of str
        The score, or the two whose ranks are averaged.
    reference : Reference
    ranks : ndarray of shape (len(methods), q), float32
        Quantiles of the scores of in-scope items that were held out.
    threshold : float
        An item whose rank is below it is out of scope.
    auroc : mapping of str to float
        How well each score told left-out classes apart; empty where that could not be tried.
    """

    methods: tuple[str, ...]
    reference: Reference
    ranks: FloatArray
    threshold: float
    auroc: Mapping[str, float]

    @property
    def name(self) -> str:
        """The score in words."""
        return " and ".join(WORDS[method] for method in self.methods)

    def score(self, X: AnyArray) -> FloatArray:
        """Return how well each row fits in: its rank among in-scope items, below 0 if below all."""
        scores = np.column_stack([self.reference.score(X, method) for method in self.methods])
        return mean_rank(scores, self.ranks)

    def outside(self, X: AnyArray) -> AnyArray:
        """Return which rows are out of scope."""
        result: AnyArray = self.score(X) < self.threshold
        return result

    def to_state(self) -> State:
        """Return it as arrays and plain data."""
        arrays: dict[str, AnyArray] = {"ranks": self.ranks}
        for name, value in vars(self.reference).items():
            if isinstance(value, np.ndarray) and not name.startswith("_"):
                arrays[name] = value
        meta = {
            "methods": list(self.methods),
            "threshold": self.threshold,
            "sharpness": self.reference.sharpness,
            "auroc": dict(self.auroc),
        }
        return State(arrays, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild it from :meth:`to_state`."""
        arrays, meta = dict(state.arrays), state.meta
        ranks = arrays.pop("ranks")
        kept = Reference(sharpness=float(meta["sharpness"]), **arrays)
        threshold = float(meta["threshold"])
        return cls(tuple(meta["methods"]), kept, ranks, threshold, dict(meta["auroc"]))


def mean_rank(scores: FloatArray, ranks: FloatArray) -> FloatArray:
    """Return the mean rank of (n, m) scores among (m, q) quantiles, 0 to 1.

    Below the lowest quantile it goes on below 0, by the distance to the median: the most foreign
    items are still told apart.
    """
    grid = np.linspace(0.0, 1.0, ranks.shape[1])
    total = np.zeros(len(scores))
    for column, known in zip(scores.T, ranks.astype(np.float64), strict=True):
        low, middle = known[0], known[len(known) // 2]
        width = middle - low if middle > low else max(abs(low), 1.0)
        total += np.interp(column, known, grid) + np.minimum(0.0, (column - low) / width)
    result: FloatArray = total / scores.shape[1]
    return result
