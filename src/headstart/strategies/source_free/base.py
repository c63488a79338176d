"""What changes a fitted linear head for a target shares: checks, and stepping back."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, Decision, FloatArray
from headstart.strategies.adaptation.collapse import collapsed
from headstart.strategies.heads import LinearHead, linear_probabilities

STAYS = "the model stays as it was"
FEWEST_TARGET = 10  # rows of the target from which on a model is changed


class Fitted(Protocol):
    """A fitted linear classifier: ``softmax(X @ coef_ + intercept_)``."""

    coef_: FloatArray
    intercept_: FloatArray
    classes_: AnyArray


class HeadChange:
    """Base of what changes a linear head; a subclass has ``_adapt``.

    Attributes
    ----------
    decisions_ : tuple of Decision
        Among them whether the model was left as it was, and why.
    """

    decisions_: tuple[Decision, ...] = ()

    def fit(self, model: Fitted, X_target: Any) -> LinearHead:
        """Return the head for the target; the model itself is not changed.

        Parameters
        ----------
        model : LinearHead, or a fitted classifier with ``coef_``, ``intercept_``, ``classes_``
            coef (d, k), intercept (k,).
        X_target : array of shape (m, d)
            Features of the target, without labels.

        Raises
        ------
        DataError
            The features are not those of the model, or hold NaN or infinity.
        """
        X = checked_rows(X_target, len(model.coef_))
        self.decisions_ = ()
        same = LinearHead(model.coef_.copy(), model.intercept_.copy(), model.classes_)
        k = len(model.intercept_)
        if len(X) < FEWEST_TARGET or k < 2:
            return self._stay(same, f"{len(X)} rows and {k} classes are too few to adapt by")
        coef, intercept = self._adapt(model, X)
        before = linear_probabilities(X, model.coef_, model.intercept_)
        after = linear_probabilities(X, coef, intercept)
        why = collapsed(before, after)
        return self._stay(same, why) if why else LinearHead(coef, intercept, model.classes_)

    def _adapt(self, model: Fitted, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return coef (d, k) and intercept (k,)."""
        raise NotImplementedError

    def _stay(self, model: LinearHead, why: str) -> LinearHead:
        self.decisions_ = (
            *self.decisions_,
            Decision(STAYS, why, "another way, or labels of the target"),
        )
        return model


def checked_rows(X_target: Any, d: int) -> FloatArray:
    """Return rows as float64 of shape (m, d).

    Raises
    ------
    DataError
        There are none, or they are of another shape, or not finite.
    """
    X = np.asarray(X_target, dtype=np.float64)
    if X.ndim != 2 or X.shape[1] != d or not len(X):
        raise DataError(
            "not features as the model takes them",
            where="X_target",
            got=f"shape {X.shape}",
            allowed=f"(m, {d})",
        )
    if not np.isfinite(X).all():
        raise DataError("NaN or infinity", where="X_target")
    return X


def mean_entropy(probabilities: FloatArray) -> float:
    """Return the mean entropy in nats of rows of probabilities (m, k).

    Examples
    --------
    >>> round(mean_entropy(np.array([[0.5, 0.5], [1.0, 0.0]])), 4)
    0.3466
    """
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return float(-(probabilities * logs).sum(axis=1).mean())
