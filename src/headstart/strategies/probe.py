"""The linear probe: a linear model on frozen features."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import RegressorMixin

from headstart.core.types import AnyArray, FloatArray, IntArray, State
from headstart.strategies.frozen import (
    FrozenClassifier,
    FrozenEstimator,
    one_hot,
    pack_classes,
    unpack_classes,
)
from headstart.strategies.ridge import RidgePath, decompose, default_alphas


class LinearProbe(FrozenClassifier):
    """Classify with a linear model on frozen features.

    Parameters
    ----------
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.
    random_state : int or None, default 0
        The seed of the folds.
    """

    def __init__(self, *, source: Any = None, random_state: int | None = 0) -> None:
        self.source = source
        self.random_state = random_state

    def _fit(self, X: FloatArray, codes: IntArray) -> None:
        path = RidgePath(decompose(X), one_hot(codes, len(self.classes_)), np.empty(0))
        alphas = default_alphas(path.spectrum)
        hits = [(path.held_out(alpha).argmax(axis=1) == codes).mean() for alpha in alphas]
        best = len(alphas) - 1 - int(np.argmax(hits[::-1]))
        coef, intercept = path.linear(alphas[best])
        sharpness = temper(path.held_out(alphas[best]), codes)
        self.coef_ = np.ascontiguousarray(coef * sharpness)
        self.intercept_ = intercept * sharpness

    def _probabilities(self, X: FloatArray) -> FloatArray:
        return softmax(X @ self.coef_ + self.intercept_, axis=1)

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | pack_classes(self.classes_)
        return State({"coef": self.coef_, "intercept": self.intercept_}, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls(source=state.meta["source"])
        model.n_features_in_ = int(state.meta["n_features"])
        model.classes_ = unpack_classes(state.meta)
        model.coef_, model.intercept_ = state.arrays["coef"], state.arrays["intercept"]
        return model


def temper(scores: FloatArray, codes: IntArray) -> float:
    """Return the factor on the scores whose softmax has the least log loss."""
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(codes))

    def loss(log_sharpness: float) -> float:
        scaled = scores * np.exp(log_sharpness)
        top = scaled.max(axis=1)
        return float(
            (np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top - scaled[rows, codes]).mean()
        )

    return float(np.exp(minimize_scalar(loss, bounds=(-6.0, 6.0), method="bounded").x))


class LinearProbeRegressor(RegressorMixin, FrozenEstimator):
    """Predict a number with ridge regression on frozen features.

    Parameters
    ----------
    alphas : sequence of float, optional
        Penalties to choose from by leave-one-out; by default 15 around the scale of X.
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.
    """

    def __init__(self, *, alphas: Any = None, source: Any = None) -> None:
        self.alphas = alphas
        self.source = source

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to features (n, d), or items where ``source`` is set, and n numbers."""
        X, y = self._check(X, y)
        spectrum = decompose(X)
        alphas = default_alphas(spectrum) if self.alphas is None else np.asarray(self.alphas)
        path = RidgePath(spectrum, np.asarray(y, dtype=np.float64)[:, None], alphas)
        errors = [((path.held_out(a)[:, 0] - y) ** 2).mean() for a in alphas]
        self.alpha_ = float(alphas[int(np.argmin(errors))])
        coef, intercept = path.linear(self.alpha_)
        self.coef_, self.intercept_ = np.ascontiguousarray(coef[:, 0]), float(intercept[0])
        return self

    def predict(self, X: Any) -> AnyArray:
        """Return n numbers."""
        return self._check_new(X) @ self.coef_ + self.intercept_

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | {"alpha": self.alpha_, "intercept": self.intercept_}
        return State({"coef": self.coef_}, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls(source=state.meta["source"])
        model.n_features_in_ = int(state.meta["n_features"])
        model.coef_, model.intercept_ = state.arrays["coef"], float(state.meta["intercept"])
        model.alpha_ = float(state.meta["alpha"])
        return model
