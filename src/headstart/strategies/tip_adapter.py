"""A zero-shot head and a cache of labelled rows, weighted (Tip-Adapter)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from headstart.core.types import FloatArray, IntArray, State
from headstart.strategies.class_rows import rows_of
from headstart.strategies.frozen import FrozenClassifier, pack_classes
from headstart.strategies.heads import softmax_rows
from headstart.strategies.temper import log_loss, sharpness
from headstart.strategies.unit import LONE_SHARPNESS, unit_means, unit_rows

ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
BETAS = (1.0, 3.0, 5.5, 10.0, 20.0)
LONE = (1.0, 5.5)  # alpha and beta where no class has two rows: the paper's
MOST_JUDGED = 2000  # rows that are left out to choose
BLOCK = 2**22  # affinities held at a time


class TipAdapter(FrozenClassifier):
    """Classify by a zero-shot head, and by what labelled rows that are close say.

    The scores are those of the zero-shot head plus ``alpha`` times the sum, over the rows of each
    class, of ``exp(-beta (1 - cosine))``. Both numbers are chosen by exact leave-one-out on the
    labelled rows (of classes with two or more; with one row a class they are 1 and 5.5), and so is
    the temperature. The zero-shot head is the cosine to ``class_features``. Where there are none,
    the class means of centred rows stand for them.

    Parameters
    ----------
    class_features : mapping of label to ndarray of shape (d,), optional
        The features of each class, as embeddings of its name.
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    centre_ : ndarray of shape (d,)
        Zero where there are class features.
    alpha_, beta_ : float
    sharpness_ : float

    Raises
    ------
    OptionError
        A class without features, or features that do not fit.
    DataError
        The labels cannot be sorted.

    References
    ----------
    Tip-Adapter: Zhang et al., ECCV 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies import TipAdapter
    >>> names = {"up": np.array([0.0, 1.0]), "right": np.array([1.0, 0.0])}
    >>> X = [[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.1]]
    >>> model = TipAdapter(class_features=names).fit(X, ["up", "up", "right", "right"])
    >>> model.predict([[0.2, 2.0]]).tolist()
    ['up']
    """

    def __init__(
        self, *, class_features: Mapping[Any, Any] | None = None, source: Any = None
    ) -> None:
        self.class_features = class_features
        self.source = source

    def _fit(self, X: FloatArray, codes: IntArray) -> None:
        k = len(self.classes_)
        means = unit_means(X, codes, k)
        self.codes_ = codes.astype(np.int64)
        judged = means.judged[:: max(1, -(-len(means.judged) // MOST_JUDGED))]
        own = codes[judged]
        if self.class_features is None:
            self.centre_, self.rows_, self.named_ = means.centre, means.rows, means.means
            self.scale_ = LONE_SHARPNESS
            rows = self.rows_[judged]
            zero = rows @ self.named_.T
            without = (means.sums[own] - rows) / np.maximum(means.counts[own][:, None] - 1, 1)
            zero[np.arange(len(own)), own] = (rows * without).sum(axis=1)
        else:
            self.centre_ = np.zeros(X.shape[1])
            self.rows_ = unit_rows(X, self.centre_)
            self.named_ = rows_of(self.class_features, self.classes_, X.shape[1])
            every = self.rows_ @ self.named_.T
            self.scale_, zero = sharpness(every, codes), every[judged]
        if self.class_features is None and len(judged):
            self.scale_ = sharpness(zero, own)
        (self.alpha_, self.beta_), self.sharpness_ = LONE, 1.0
        if len(judged) and k > 1:
            self._choose(self.scale_ * zero, judged)

    def _choose(self, zero: FloatArray, judged: IntArray) -> None:
        """Take the alpha and beta whose tempered leave-one-out log loss is least."""
        own = self.codes_[judged]
        best = np.inf
        caches = self._caches(self.rows_[judged], BETAS, without=judged)
        for beta, cache in zip(BETAS, caches, strict=True):
            for alpha in ALPHAS:
                scores = zero + alpha * cache
                factor = sharpness(scores, own)
                loss = log_loss(factor * scores, own)
                if loss < best:
                    best = loss
                    self.alpha_, self.beta_, self.sharpness_ = alpha, beta, factor

    def _probabilities(self, X: FloatArray) -> FloatArray:
        queries = unit_rows(X, self.centre_)
        scores = self.scale_ * queries @ self.named_.T
        scores += self.alpha_ * self._caches(queries, (self.beta_,))[0]
        return softmax_rows(self.sharpness_ * scores)

    def _caches(
        self, queries: FloatArray, betas: Sequence[float], without: IntArray | None = None
    ) -> FloatArray:
        """Return the (b, n, k) sums of affinities to the rows of each class, a block at a time.

        Parameters
        ----------
        queries : ndarray of shape (n, d)
            Unit rows.
        betas : sequence of float, length b
        without : ndarray of shape (n,), int, optional
            The place of the row that each query leaves out: itself.
        """
        order = np.argsort(self.codes_, kind="stable")
        known, codes = self.rows_[order], self.codes_[order]
        starts = np.searchsorted(codes, np.arange(len(self.classes_)))
        place = np.argsort(order)
        result = np.empty((len(betas), len(queries), len(self.classes_)))
        step = max(1, BLOCK // len(known))
        for start in range(0, len(queries), step):
            close = queries[start : start + step] @ known.T
            if without is not None:
                left = place[without[start : start + step]]
                close[np.arange(len(left)), left] = -np.inf
            close -= 1.0
            for beta, found in zip(betas, result, strict=True):
                near = np.exp(close * beta)
                found[start : start + step] = np.add.reduceat(near, starts, axis=1)
        return result

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data; holds the features of all rows."""
        meta = self._base_meta() | pack_classes(self.classes_)
        meta["numbers"] = [self.alpha_, self.beta_, self.scale_, self.sharpness_]
        arrays = {"rows": self.rows_, "codes": self.codes_}
        return State(arrays | {"named": self.named_, "centre": self.centre_}, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls._opened(state)
        model.rows_, model.codes_ = state.arrays["rows"], state.arrays["codes"]
        model.named_, model.centre_ = state.arrays["named"], state.arrays["centre"]
        numbers = [float(number) for number in state.meta["numbers"]]
        model.alpha_, model.beta_, model.scale_, model.sharpness_ = numbers
        return model
