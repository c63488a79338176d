"""The nearest class mean of centred, normalised features (SimpleShot's CL2N)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import softmax

from headstart.core.types import FloatArray, IntArray, State
from headstart.strategies.frozen import FrozenClassifier, pack_classes, unpack_classes
from headstart.strategies.temper import sharpness

LONE_SHARPNESS = 10.0  # of the squared distance, where no class has two rows


def unit_rows(X: FloatArray, centre: FloatArray) -> FloatArray:
    """Return centred rows scaled to length 1, float64; rows at the centre stay zero."""
    rows = X.astype(np.float64) - centre
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0.0, length, 1.0)


def _sums(X: FloatArray, codes: IntArray, n_classes: int) -> FloatArray:
    """Return the (n_classes, d) float64 sums of the rows of each class."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(n_classes))
    return np.add.reduceat(X[order], starts, axis=0, dtype=np.float64)


class Prototypes(FrozenClassifier):
    """Classify by the nearest class mean of centred features scaled to length 1.

    The centre is the mean of the class means: on balanced data SimpleShot's training mean, and on
    unbalanced data not the mean of the largest class, whose rows would then have no direction.

    Probabilities are the softmax of minus the squared distances, at the temperature that makes
    the leave-one-out log loss least (a row left out of its own class mean; the centre stays).

    Parameters
    ----------
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    centre_ : ndarray of shape (d,)
    prototypes_ : ndarray of shape (k, d)
    sharpness_ : float

    References
    ----------
    SimpleShot: Wang, Chao, Weinberger & van der Maaten, arXiv:1911.04623 (2019).

    Examples
    --------
    >>> from headstart.strategies import Prototypes
    >>> X = [[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.1]]
    >>> Prototypes().fit(X, ["up", "up", "right", "right"]).predict([[0.2, 2.0]]).tolist()
    ['up']
    """

    def __init__(self, *, source: Any = None) -> None:
        self.source = source

    def _fit(self, X: FloatArray, codes: IntArray) -> None:
        k = len(self.classes_)
        counts = np.bincount(codes, minlength=k)
        self.centre_ = (_sums(X, codes, k) / counts[:, None]).mean(axis=0)
        rows = unit_rows(X, self.centre_)
        sums = _sums(rows, codes, k)
        self.prototypes_ = sums / counts[:, None]
        judged = counts[codes] > 1
        if not judged.any():
            self.sharpness_ = LONE_SHARPNESS
            return
        scores = self._closeness(rows[judged])
        own, count = codes[judged], counts[codes[judged]][:, None]
        without = (sums[own] - rows[judged]) / (count - 1)
        scores[np.arange(len(own)), own] = -((rows[judged] - without) ** 2).sum(axis=1)
        self.sharpness_ = sharpness(scores, own)

    def _closeness(self, rows: FloatArray) -> FloatArray:
        """Return minus the squared distance to each prototype."""
        squares = (self.prototypes_**2).sum(axis=1)
        return 2.0 * rows @ self.prototypes_.T - squares - (rows**2).sum(axis=1, keepdims=True)

    def _probabilities(self, X: FloatArray) -> FloatArray:
        return softmax(self.sharpness_ * self._closeness(unit_rows(X, self.centre_)), axis=1)

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | pack_classes(self.classes_) | {"sharpness": self.sharpness_}
        return State({"prototypes": self.prototypes_, "centre": self.centre_}, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls(source=state.meta["source"])
        model.n_features_in_ = int(state.meta["n_features"])
        model.classes_ = unpack_classes(state.meta)
        model.prototypes_, model.centre_ = state.arrays["prototypes"], state.arrays["centre"]
        model.sharpness_ = float(state.meta["sharpness"])
        return model
