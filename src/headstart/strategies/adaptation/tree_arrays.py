"""Single regression trees of scikit-learn as nodes, and trees added to trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headstart.core.types import FloatArray
from headstart.strategies.trees import Forest


def from_trees(
    trees: Sequence[Any], values: Sequence[FloatArray], baseline: FloatArray, columns: int
) -> Forest:
    """Return fitted ``DecisionTreeRegressor`` objects as one forest.

    Parameters
    ----------
    trees : sequence of r * columns estimators
        In the order of their rounds, column by column.
    values : sequence of ndarray
        What each node of each tree adds.
    baseline : ndarray of shape (columns,)
    columns : int
        Scores a row has.
    """
    nodes = [tree.tree_ for tree in trees]
    offsets = np.concatenate([[0], np.cumsum([one.node_count for one in nodes])]).astype(np.int64)

    def children(side: str) -> Any:
        found = []
        for one, offset in zip(nodes, offsets, strict=False):
            given, own = getattr(one, side), np.arange(one.node_count)
            found.append(np.where(given < 0, own, given) + offset)
        return _joined(found, np.int32)

    leaf = [one.children_left < 0 for one in nodes]
    return Forest(
        feature=_joined(
            [np.where(at, 0, one.feature) for at, one in zip(leaf, nodes, strict=True)], np.int32
        ),
        threshold=_joined(
            [np.where(at, 0.0, one.threshold) for at, one in zip(leaf, nodes, strict=True)], float
        ),
        missing_left=np.zeros(int(offsets[-1]), dtype=bool),
        left=children("children_left"),
        right=children("children_right"),
        value=_joined(list(values), float),
        roots=offsets[:-1].reshape(-1, columns).astype(np.int32),
        baseline=np.asarray(baseline, dtype=np.float64),
        depth=np.array([max((one.max_depth for one in nodes), default=0)], dtype=np.int32),
    )


def _joined(parts: Sequence[Any], dtype: Any) -> Any:
    return np.concatenate(parts).astype(dtype) if len(parts) else np.zeros(0, dtype)


def scaled(forest: Forest, factor: float) -> Forest:
    """Return a forest whose scores are a multiple of those given."""
    return replace(forest, value=forest.value * factor, baseline=forest.baseline * factor)


def added(first: Forest, more: Forest) -> Forest:
    """Return a forest whose scores are those of both together; ``first`` comes first."""
    shift = len(first.feature)

    def both(name: str, by: int = 0) -> Any:
        return np.concatenate([getattr(first, name), getattr(more, name) + by])

    return Forest(
        feature=both("feature"),
        threshold=both("threshold"),
        missing_left=np.concatenate([first.missing_left, more.missing_left]),
        left=both("left", shift).astype(np.int32),
        right=both("right", shift).astype(np.int32),
        value=both("value"),
        roots=both("roots", shift).astype(np.int32),
        baseline=first.baseline + more.baseline,
        depth=np.maximum(first.depth, more.depth),
    )
