"""Weighted medians of lines or of trees: what boosted regression leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np

from headstart.core.types import AnyArray, FloatArray
from headstart.strategies.adaptation.boosted_forms import single
from headstart.strategies.adaptation.tree_arrays import from_trees
from headstart.strategies.trees import Forest


class Median(Protocol):
    """A fitted boosted regressor."""

    name: str

    def __call__(self, X: FloatArray) -> FloatArray:
        """Return n numbers."""

    def arrays(self) -> dict[str, AnyArray]:
        """Return all there is to keep."""


def weighted_median(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted median of each row of (n, t) values.

    It is the least value at which the weights of it and of those below reach half of the total.
    """
    order = np.argsort(values, axis=1, kind="stable")
    reached = np.cumsum(weights[order], axis=1) >= 0.5 * weights.sum()
    picked = order[np.arange(len(values)), reached.argmax(axis=1)]
    result: FloatArray = values[np.arange(len(values)), picked]
    return result


class LineMedian:
    """Lines with coefs (t, d), intercepts (t,) and the weights (t,) of their votes."""

    name = "ridge"

    def __init__(self, coefs: FloatArray, intercepts: FloatArray, weights: FloatArray) -> None:
        self.coefs, self.intercepts, self.weights = coefs, intercepts, weights

    def __call__(self, X: FloatArray) -> FloatArray:
        """Return n numbers."""
        return weighted_median(X @ self.coefs.T + self.intercepts, self.weights)

    def arrays(self) -> dict[str, AnyArray]:
        """Return the lines."""
        return {"coefs": self.coefs, "intercepts": self.intercepts, "weights": self.weights}

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray]) -> Self:
        """Rebuild from :meth:`arrays`."""
        return cls(arrays["coefs"], arrays["intercepts"], arrays["weights"])

    def scaled(self, mean: FloatArray, spread: FloatArray) -> LineMedian:
        """Return the median that takes rows x where this one takes ``(x - mean) / spread``."""
        coefs = self.coefs / spread
        return LineMedian(coefs, self.intercepts - coefs @ mean, self.weights)

    @classmethod
    def joined(cls, parts: Sequence[LineMedian], weights: FloatArray) -> Self:
        """Return one of all lines."""
        coefs = np.vstack([part.coefs for part in parts])
        return cls(coefs, np.concatenate([part.intercepts for part in parts]), weights)


class TreeMedian:
    """Trees, as the columns of a forest of one round, and the weights (t,) of their votes."""

    name = "tree"

    def __init__(
        self, forest: Forest, weights: FloatArray, trees: Sequence[Any] | None = None
    ) -> None:
        self.forest, self.weights, self._trees = forest, weights, trees

    @classmethod
    def of(cls, trees: Sequence[Any], weights: FloatArray) -> Self:
        """Return one of fitted ``DecisionTreeRegressor`` objects."""
        values = [tree.tree_.value[:, 0, 0] for tree in trees]
        return cls(from_trees(trees, values, np.zeros(len(trees)), len(trees)), weights, trees)

    def __call__(self, X: FloatArray) -> FloatArray:
        """Return n numbers."""
        return weighted_median(self.forest.raw(single(X)), self.weights)

    def arrays(self) -> dict[str, AnyArray]:
        """Return nodes and weights."""
        return self.forest.arrays() | {"weights": self.weights}

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray]) -> Self:
        """Rebuild from :meth:`arrays`."""
        nodes = {name: array for name, array in arrays.items() if name != "weights"}
        return cls(Forest.from_arrays(nodes), arrays["weights"])

    @classmethod
    def joined(cls, parts: Sequence[TreeMedian], weights: FloatArray) -> Self:
        """Return one of all trees just grown."""
        return cls.of([tree for part in parts for tree in part._trees or ()], weights)
