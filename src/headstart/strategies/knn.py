"""The nearest labelled neighbours of frozen features, by cosine similarity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, FloatArray, IntArray, State
from headstart.strategies.frozen import (
    FrozenClassifier,
    FrozenEstimator,
    one_hot,
    pack_classes,
)

NEIGHBOURS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100)
BLOCK_NUMBERS = 2**23  # similarities held at a time: 64 MB
DIGITS = 7  # similarities equal to so many decimals are ties: the precision of float32


def unit_rows(X: FloatArray, centre: FloatArray) -> FloatArray:
    """Return centred rows scaled to length 1, float32; rows at the centre stay zero."""
    rows = X.astype(np.float64) - centre
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(length > 0.0, length, 1.0)).astype(np.float32)


def nearest(
    queries: FloatArray, stored: FloatArray, k: int, *, width: int = 1, leave_own: bool = False
) -> Iterator[tuple[slice, IntArray, FloatArray]]:
    """Yield blocks of rows with the positions and similarities of their k nearest, best first.

    Ties go to the row stored first, so the order and number of queries do not matter.

    Parameters
    ----------
    queries, stored : ndarray of shape (m, d) and (n, d)
        Unit rows.
    k : int
        At most n, or n - 1 with ``leave_own``.
    width : int
        Numbers that the caller holds for each neighbour; bounds the size of a block.
    leave_own : bool
        The queries are the stored rows, none of which is its own neighbour.
    """
    size = max(1, BLOCK_NUMBERS // max(len(stored), k * width))
    held = stored.astype(np.float64)
    for start in range(0, len(queries), size):
        rows = slice(start, min(start + size, len(queries)))
        similar = np.round(queries[rows].astype(np.float64) @ held.T, DIGITS)
        if leave_own:
            similar[np.arange(rows.stop - start), np.arange(start, rows.stop)] = -np.inf
        order = _top(similar, k)
        yield rows, order, np.take_along_axis(similar, order, axis=1)


def _top(similar: FloatArray, k: int) -> IntArray:
    """Return the k largest of each row, largest first, of equals the first."""
    n = similar.shape[1]
    if k < n // 4:
        # keep all that equal the k-th largest, then order them: ties fall to the first
        edge = np.partition(similar, n - k, axis=1)[:, n - k]
        result = np.empty((len(similar), k), dtype=np.int64)
        for i, (row, least) in enumerate(zip(similar, edge, strict=True)):
            near = np.flatnonzero(row >= least)
            result[i] = near[np.argsort(-row[near], kind="stable")[:k]]
        return result
    return np.argsort(-similar, axis=1, kind="stable")[:, :k]


def vote_weights(similarity: FloatArray) -> FloatArray:
    """Return the weight of neighbours: their closeness on the sphere, (1 + cosine) / 2, squared.

    Positive but for the opposite point, which gets a hair: votes always sum to something.
    """
    return ((1.0 + np.clip(similarity, -1.0, 1.0)) / 2.0) ** 2 + 1e-9


def _averages(targets: FloatArray, order: IntArray, similarity: FloatArray) -> FloatArray:
    """Return (m, t) weighted averages of the targets of the given neighbours."""
    weights = vote_weights(similarity)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("mk,mkt->mt", weights, targets[order])


def _choose_k(
    stored: FloatArray,
    targets: FloatArray,
    fixed: int | None,
    error: Callable[[FloatArray, slice], FloatArray],
) -> int:
    """Return the number of neighbours with the least leave-one-out error; of a tie, the fewest."""
    n = len(stored)
    if fixed is not None:
        if isinstance(fixed, bool) or not isinstance(fixed, int | np.integer) or fixed < 1:
            raise OptionError(
                "not a number of neighbours", where="n_neighbors", got=fixed, allowed="1 or more"
            )
        return min(int(fixed), n)
    tried = [k for k in NEIGHBOURS if k < n]
    if not tried:
        return 1
    errors = np.zeros((len(tried), 2))
    width = targets.shape[1]
    for rows, order, similarity in nearest(stored, stored, tried[-1], width=width, leave_own=True):
        weights = vote_weights(similarity)
        sums, so_far = np.zeros((len(order), width)), 0
        for i, k in enumerate(tried):
            step = slice(so_far, k)
            sums += np.einsum("mk,mkt->mt", weights[:, step], targets[order[:, step]])
            averages = sums / weights[:, :k].sum(axis=1, keepdims=True)
            errors[i] += error(averages, rows)
            so_far = k
    # first the errors, and of equals the finer measure
    return tried[min(range(len(tried)), key=lambda i: (errors[i, 0], errors[i, 1], i))]


class KNearest(FrozenClassifier):
    """Classify by the nearest labelled neighbours, each vote weighted by closeness.

    Features are centred by the training mean; closeness is the cosine. The number of neighbours
    is the one with the least exact leave-one-out error (of equals, the least squared error of the
    probabilities). Memory is bounded: similarities are computed in blocks.

    Parameters
    ----------
    n_neighbors : int >= 1, optional
        At most n is used; None: chosen from 1, 2, 3, 5, ... 100.
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    n_neighbors_ : int

    Raises
    ------
    OptionError
        ``n_neighbors`` is not a positive integer.

    References
    ----------
    Cover & Hart, IEEE Trans. Information Theory 13 (1967).

    Examples
    --------
    >>> from headstart.strategies import KNearest
    >>> X = [[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.1]]
    >>> KNearest().fit(X, ["up", "up", "right", "right"]).predict([[0.2, 2.0]]).tolist()
    ['up']
    """

    def __init__(self, *, n_neighbors: int | None = None, source: Any = None) -> None:
        self.n_neighbors = n_neighbors
        self.source = source

    def _fit(self, X: FloatArray, codes: IntArray) -> None:
        self.centre_ = X.mean(axis=0, dtype=np.float64)
        self.features_ = unit_rows(X, self.centre_)
        self.codes_ = codes.astype(np.int64)
        targets = one_hot(codes, len(self.classes_))

        def error(averages: FloatArray, rows: slice) -> AnyArray:
            wrong = (averages.argmax(axis=1) != codes[rows]).sum()
            return np.array([wrong, ((averages - targets[rows]) ** 2).sum()])

        self.n_neighbors_ = _choose_k(self.features_, targets, self.n_neighbors, error)

    def _probabilities(self, X: FloatArray) -> FloatArray:
        result = np.zeros((len(X), len(self.classes_)))
        queries = unit_rows(X, self.centre_)
        for rows, order, similarity in nearest(queries, self.features_, self.n_neighbors_):
            weights = vote_weights(similarity)
            weights /= weights.sum(axis=1, keepdims=True)
            at = np.arange(rows.start, rows.stop)[:, None]
            np.add.at(result, (at, self.codes_[order]), weights)
        return result

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data; holds the features of all rows."""
        meta = self._base_meta() | pack_classes(self.classes_)
        meta["n_neighbors"] = self.n_neighbors_
        arrays = {"features": self.features_, "codes": self.codes_, "centre": self.centre_}
        return State(arrays, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls._opened(state)
        model.n_neighbors_ = int(state.meta["n_neighbors"])
        model.features_, model.codes_ = state.arrays["features"], state.arrays["codes"]
        model.centre_ = state.arrays["centre"]
        return model


class KNearestRegressor(RegressorMixin, FrozenEstimator):
    """Predict the average of the nearest neighbours' numbers, weighted by closeness.

    The number of neighbours is the one with the least exact leave-one-out squared error.

    Parameters
    ----------
    n_neighbors : int >= 1, optional
        At most n is used; None: chosen from 1, 2, 3, 5, ... 100.
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.

    Attributes
    ----------
    n_neighbors_ : int

    Raises
    ------
    OptionError
        ``n_neighbors`` is not a positive integer.

    Examples
    --------
    >>> from headstart.strategies import KNearestRegressor
    >>> model = KNearestRegressor(n_neighbors=1).fit([[0.0, 1.0], [1.0, 0.0]], [3.0, 7.0])
    >>> model.predict([[0.9, 0.2]]).tolist()
    [7.0]
    """

    def __init__(self, *, n_neighbors: int | None = None, source: Any = None) -> None:
        self.n_neighbors = n_neighbors
        self.source = source

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to features (n, d), or items where ``source`` is set, and n numbers."""
        X, y = self._check(X, y)
        self.centre_ = X.mean(axis=0, dtype=np.float64)
        self.features_ = unit_rows(X, self.centre_)
        self.targets_ = np.array(y, dtype=np.float64)[:, None]

        def error(averages: FloatArray, rows: slice) -> AnyArray:
            return np.array([((averages - self.targets_[rows]) ** 2).sum(), 0.0])

        self.n_neighbors_ = _choose_k(self.features_, self.targets_, self.n_neighbors, error)
        return self

    def predict(self, X: Any) -> FloatArray:
        """Return n numbers."""
        X = self._check_new(X)
        result = np.empty(len(X))
        queries = unit_rows(X, self.centre_)
        for rows, order, similarity in nearest(queries, self.features_, self.n_neighbors_):
            result[rows] = _averages(self.targets_, order, similarity)[:, 0]
        return result

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data; holds the features of all rows."""
        meta = self._base_meta() | {"n_neighbors": self.n_neighbors_}
        arrays = {"features": self.features_, "targets": self.targets_, "centre": self.centre_}
        return State(arrays, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls._opened(state)
        model.n_neighbors_ = int(state.meta["n_neighbors"])
        model.features_, model.targets_ = state.arrays["features"], state.arrays["targets"]
        model.centre_ = state.arrays["centre"]
        return model
