"""What boosted adapters leave: votes of linear models, and trees."""

from __future__ import annotations

from typing import Self

import numpy as np

from headstart.core.types import AnyArray, FloatArray
from headstart.strategies.heads import sigmoid, softmax_rows
from headstart.strategies.trees import Forest


class VoteForm:
    """Weighted votes of linear forms, each for its most probable class.

    Parameters
    ----------
    coefs : ndarray of shape (t, d, k)
    intercepts : ndarray of shape (t, k)
    weights : ndarray of shape (t,)
        They sum to 1.
    """

    name = "vote"

    def __init__(self, coefs: FloatArray, intercepts: FloatArray, weights: FloatArray) -> None:
        self.coefs, self.intercepts, self.weights = coefs, intercepts, weights

    def probabilities(self, X: FloatArray) -> FloatArray:
        """Return the (n, k) shares of the votes; a tie goes to the later class, as in the paper."""
        k = self.intercepts.shape[1]
        shares = np.tile(np.arange(k) * 1e-12, (len(X), 1))
        rows = np.arange(len(X))
        X = np.ascontiguousarray(X)
        for coef, intercept, weight in zip(self.coefs, self.intercepts, self.weights, strict=True):
            shares[rows, (X @ coef + intercept).argmax(axis=1)] += weight
        result: FloatArray = shares / shares.sum(axis=1, keepdims=True)
        return result

    def arrays(self) -> dict[str, AnyArray]:
        """Return coefficients and weights."""
        return {"coefs": self.coefs, "intercepts": self.intercepts, "weights": self.weights}

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray]) -> Self:
        """Rebuild from :meth:`arrays`."""
        return cls(arrays["coefs"], arrays["intercepts"], arrays["weights"])

    def scaled(self, mean: FloatArray, spread: FloatArray) -> VoteForm:
        """Return the form that takes rows x where this one takes ``(x - mean) / spread``."""
        coefs = self.coefs / spread[None, :, None]
        return VoteForm(coefs, self.intercepts - mean @ coefs, self.weights)


class TreesForm:
    """Trees whose leaves are added up: log-odds of the second class of two, or a score a class.

    Parameters
    ----------
    forest : Forest
    """

    name = "trees"

    def __init__(self, forest: Forest) -> None:
        self.forest = forest

    def probabilities(self, X: FloatArray) -> FloatArray:
        """Return (n, k) class probabilities; features are read in float32."""
        scores = self.forest.raw(single(X))
        if scores.shape[1] == 1:
            second = sigmoid(scores)
            return np.hstack([1.0 - second, second])
        return softmax_rows(scores)

    def arrays(self) -> dict[str, AnyArray]:
        """Return the nodes."""
        return self.forest.arrays()

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray]) -> Self:
        """Rebuild from :meth:`arrays`."""
        return cls(Forest.from_arrays(arrays))


def single(X: FloatArray) -> FloatArray:
    """Return rows rounded to float32, as float64: what all trees are grown on and read."""
    return np.asarray(X, dtype=np.float32).astype(np.float64)
