"""Prototypes adapted to a batch of unlabelled items by the information that they carry."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, FloatArray, IntArray, State
from headstart.strategies.frozen import (
    FrozenClassifier,
    as_features,
    pack_classes,
)
from headstart.strategies.heads import linear_probabilities, softmax_rows
from headstart.strategies.shots import mean_line
from headstart.strategies.temper import log_losses, means_sharpness
from headstart.strategies.unit import closeness, unit_means, unit_rows


def alpha_entropy(shares: FloatArray, alpha: float) -> FloatArray:
    """Return Tsallis' alpha-entropy of each row of probabilities; alpha 1 is Shannon's, in nats."""
    if alpha == 1.0:
        logs = np.log(np.where(shares > 0.0, shares, 1.0))
        result: FloatArray = -(shares * logs).sum(axis=-1)
        return result
    return (1.0 - (shares**alpha).sum(axis=-1)) / (alpha - 1.0)


class Objective:
    """What alpha-TIM minimises in the prototypes, with its gradient.

    The mean log loss of the labelled rows, less the alpha mutual information of the unlabelled
    rows and their classes: entropy of the mean prediction less mean entropy of the predictions.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Labelled unit rows.
    codes : ndarray of shape (n,), int
    queries : ndarray of shape (m, d)
        Unlabelled unit rows.
    sharp : float
        The factor on minus the squared distances.
    alpha : float
    """

    def __init__(
        self, rows: FloatArray, codes: IntArray, queries: FloatArray, sharp: float, alpha: float
    ) -> None:
        self.rows, self.codes, self.queries = rows, codes, queries
        self.sharp, self.alpha = sharp, alpha

    def __call__(self, flat: FloatArray) -> tuple[float, FloatArray]:
        """Return the loss and its gradient at flattened prototypes (k * d)."""
        means = flat.reshape(-1, self.rows.shape[1])
        scores = self.sharp * closeness(self.rows, means)
        loss = float(log_losses(scores, self.codes).mean())
        towards = softmax_rows(scores)
        towards[np.arange(len(self.codes)), self.codes] -= 1.0
        gradient = self._pulled(towards / len(self.codes), self.rows, means)
        shares = softmax_rows(self.sharp * closeness(self.queries, means))
        mean = shares.mean(axis=0)
        loss -= float(alpha_entropy(mean, self.alpha))
        loss += float(alpha_entropy(shares, self.alpha).mean())
        slope = (self._slope(mean) - self._slope(shares)) / len(shares)
        slope = shares * (slope - (shares * slope).sum(axis=1, keepdims=True))
        gradient -= self._pulled(slope, self.queries, means)
        return loss, gradient.ravel()

    def _slope(self, shares: FloatArray) -> FloatArray:
        """Return the derivative of the alpha-entropy in each probability."""
        if self.alpha == 1.0:
            result: FloatArray = -np.log(np.maximum(shares, 1e-300)) - 1.0
            return result
        return -self.alpha / (self.alpha - 1.0) * shares ** (self.alpha - 1.0)

    def _pulled(self, slope: FloatArray, rows: FloatArray, means: FloatArray) -> FloatArray:
        """Return the gradient in the prototypes, of that in the scores of the rows."""
        result: FloatArray = slope.T @ rows - slope.sum(axis=0)[:, None] * means
        return 2.0 * self.sharp * result


class AlphaTIM(FrozenClassifier):
    """Classify by prototypes that a batch of unlabelled items has adapted.

    From the class means of centred rows scaled to length 1, the prototypes are moved to where the
    labelled rows are predicted well and the unlabelled rows surely, as many classes among them as
    their own spread says: alpha mutual information does not ask for balanced classes. Then they
    predict any item. Without unlabelled items they stay the class means. It pays where the batch
    is balanced; on an unbalanced batch and one label a class it may harm.

    Parameters
    ----------
    alpha : float > 0, default 2.0
        1 is Shannon's information, which prefers balanced classes; larger asks for less balance.
    n_iter : int >= 1, default 30
        Steps of L-BFGS at most.
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    centre_ : ndarray of shape (d,)
    prototypes_ : ndarray of shape (k, d)
    sharpness_ : float

    Raises
    ------
    OptionError
        ``alpha`` or ``n_iter`` is out of range.
    DataError
        The unlabelled items are of another width, not finite, or none.

    References
    ----------
    Veilleux, Boudiaf, Piantanida & Ben Ayed, NeurIPS 2021.

    Examples
    --------
    >>> from headstart.strategies import AlphaTIM
    >>> X = [[0.0, 1.0], [1.0, 0.0]]
    >>> AlphaTIM().fit_predict(X, ["up", "right"], [[0.2, 2.0], [0.1, 2.0], [3.0, 0.1]]).tolist()
    ['up', 'up', 'right']
    """

    def __init__(self, *, alpha: float = 2.0, n_iter: int = 30, source: Any = None) -> None:
        self.alpha = alpha
        self.n_iter = n_iter
        self.source = source

    def fit(self, X: Any, y: Any, X_unlabelled: Any = None) -> Self:
        """Fit to features (n, d) and n labels, and adapt to unlabelled features (m, d)."""
        super().fit(X, y)
        if X_unlabelled is not None:
            self._adapt(self._unlabelled(X_unlabelled))
        return self

    def fit_predict(self, X: Any, y: Any, X_query: Any = None) -> AnyArray:
        """Fit, adapt to a batch of queries (X itself by default), and return their m labels."""
        queries = X if X_query is None else X_query
        return self.fit(X, y, queries).predict(queries)

    def _unlabelled(self, X: Any) -> FloatArray:
        found = np.asarray(as_features(X, self.source), dtype=np.float64)
        wide = found.ndim == 2 and found.shape[1] == self.n_features_in_
        if not wide or not len(found) or not np.isfinite(found).all():
            raise DataError(
                "not unlabelled items to adapt to",
                where="X_unlabelled",
                got=f"shape {found.shape}",
                allowed=f"one row or more of {self.n_features_in_} finite numbers",
            )
        return unit_rows(found, self.centre_)

    def _fit(self, X: FloatArray, codes: IntArray) -> None:
        if not 0.0 < self.alpha < np.inf:
            raise OptionError("out of range", where="alpha", got=self.alpha, allowed="above 0")
        if self.n_iter < 1:
            raise OptionError("out of range", where="n_iter", got=self.n_iter, allowed="1 or more")
        found = unit_means(X, codes, len(self.classes_))
        self.centre_, self.prototypes_ = found.centre, found.means
        self.sharpness_ = means_sharpness(found)
        self._shots = (found.rows, codes)

    def _adapt(self, queries: FloatArray) -> None:
        if len(self.classes_) < 2:
            return
        from scipy.optimize import minimize

        objective = Objective(*self._shots, queries, self.sharpness_, float(self.alpha))
        found = minimize(
            objective,
            self.prototypes_.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self.n_iter},
        )
        self.prototypes_ = found.x.reshape(self.prototypes_.shape)

    def _probabilities(self, X: FloatArray) -> FloatArray:
        line = mean_line(self.prototypes_, self.sharpness_)
        return linear_probabilities(unit_rows(X, self.centre_), line.coef, line.intercept)

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | pack_classes(self.classes_) | {"sharpness": self.sharpness_}
        line = mean_line(self.prototypes_, self.sharpness_)
        arrays = {"prototypes": self.prototypes_, "centre": self.centre_}
        return State(arrays | {"coef": line.coef, "intercept": line.intercept}, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls._opened(state)
        model.prototypes_, model.centre_ = state.arrays["prototypes"], state.arrays["centre"]
        model.sharpness_ = float(state.meta["sharpness"])
        return model
