"""Gradient-boosted trees as plain arrays.

scikit-learn grows them; what is kept is a table of nodes, which needs no pickle to be saved and no
scikit-learn to predict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from headstart.core.types import AnyArray, FloatArray, IntArray

CELLS = 2_000_000  # rows x trees walked at once


@dataclass(frozen=True, eq=False)
class Forest:
    """The nodes of all trees, in the order in which they are added up.

    Parameters
    ----------
    feature, left, right : ndarray of shape (nodes,), int32
        The column tested and the two children; a leaf is its own child.
    threshold : ndarray of shape (nodes,), float64
        To the left go values at most this.
    missing_left : ndarray of shape (nodes,), bool
        Where NaN goes.
    value : ndarray of shape (nodes,), float64
        What a leaf adds.
    roots : ndarray of shape (iterations, k), int32
    baseline : ndarray of shape (k,), float64
    depth : ndarray of shape (1,), int32
        The longest way from a root to a leaf.
    """

    feature: IntArray
    threshold: FloatArray
    missing_left: AnyArray
    left: IntArray
    right: IntArray
    value: FloatArray
    roots: IntArray
    baseline: FloatArray
    depth: IntArray

    def arrays(self) -> dict[str, AnyArray]:
        """Return the trees as named arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Forest:
        """Rebuild trees from :meth:`arrays`."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def raw(self, X: FloatArray) -> FloatArray:
        """Return the summed scores of shape (n, k) for float64 X of shape (n, d)."""
        iterations, k = self.roots.shape
        result = np.tile(self.baseline.astype(np.float64), (len(X), 1))
        size = max(1, CELLS // max(1, iterations * k))
        for start in range(0, len(X), size):
            part = np.asarray(X[start : start + size], dtype=np.float64)
            node = np.tile(self.roots.ravel(), (len(part), 1))
            rows = np.arange(len(part))[:, None]
            for _ in range(int(self.depth[0])):
                value = part[rows, self.feature[node]]
                goes_left = np.where(
                    np.isnan(value), self.missing_left[node], value <= self.threshold[node]
                )
                node = np.where(goes_left, self.left[node], self.right[node])
            added = self.value[node].reshape(len(part), iterations, k)
            total = result[start : start + size]
            for iteration in range(iterations):  # one by one: the sum has one order
                total += added[:, iteration]
        return result


def export(model: Any) -> Forest:
    """Take the trees out of a fitted ``HistGradientBoostingClassifier`` or ``...Regressor``.

    Parameters
    ----------
    model : estimator
        Fitted without categorical features.
    """
    trees = [[tree.nodes for tree in iteration] for iteration in model._predictors]
    flat = [nodes for iteration in trees for nodes in iteration]
    baseline = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)
    offsets = np.concatenate([[0], np.cumsum([len(nodes) for nodes in flat])]).astype(np.int64)
    nodes = np.concatenate(flat)
    shift = np.repeat(offsets[:-1], [len(part) for part in flat])
    leaf = nodes["is_leaf"].astype(bool)
    own = np.arange(len(nodes))
    return Forest(
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
        threshold=np.where(leaf, 0.0, nodes["num_threshold"]).astype(np.float64),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        left=np.where(leaf, own, nodes["left"] + shift).astype(np.int32),
        right=np.where(leaf, own, nodes["right"] + shift).astype(np.int32),
        value=nodes["value"].astype(np.float64),
        roots=offsets[:-1].reshape(len(trees), -1).astype(np.int32),
        baseline=baseline,
        depth=np.array([int(nodes["depth"].max())], dtype=np.int32),
    )
