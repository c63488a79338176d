"""Fitted linear models as a bundle holds them: they predict with numpy alone.

Importing scikit-learn takes longer than everything else that a first prediction needs, so a saved
probe is opened as one of these. They predict what the estimator predicts, to the bit.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from headstart.core.types import AnyArray, FloatArray, State
from headstart.strategies.saved_classes import unpack_classes
from headstart.strategies.tuned import split_state
from headstart.strategies.unit import unit_rows


def softmax_rows(scores: FloatArray) -> FloatArray:
    """Return the softmax of each row of (n, k) scores."""
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: FloatArray = shares / shares.sum(axis=1, keepdims=True)
    return result


def sigmoid(scores: FloatArray) -> FloatArray:
    """Return the logistic function of scores of any shape; no score is too large."""
    result: FloatArray = np.exp(-np.logaddexp(0.0, -scores))
    return result


def linear_probabilities(X: AnyArray, coef: FloatArray, intercept: FloatArray) -> FloatArray:
    """Return the (n, k) class probabilities of a linear model on (n, d) features."""
    return softmax_rows(np.ascontiguousarray(X) @ coef + intercept)


class LinearHead:
    """A fitted linear probe for classes, without scikit-learn.

    Parameters
    ----------
    coef : ndarray of shape (d, k)
    intercept : ndarray of shape (k,)
    classes : ndarray of shape (k,)
    """

    def __init__(self, coef: FloatArray, intercept: FloatArray, classes: AnyArray) -> None:
        self.coef_, self.intercept_, self.classes_ = coef, intercept, classes

    def predict_proba(self, X: Any) -> FloatArray:
        """Return (n, k) probabilities; columns in the order of ``classes_``."""
        return linear_probabilities(np.asarray(X), self.coef_, self.intercept_)

    def predict(self, X: Any) -> AnyArray:
        """Return the n most probable labels."""
        labels: AnyArray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what ``LinearProbe.to_state`` returned."""
        classes = unpack_classes(state.meta)
        return cls(state.arrays["coef"], state.arrays["intercept"], classes)


class UnitHead(LinearHead):
    """A linear head for classes on centred rows scaled to length 1, without scikit-learn.

    Parameters
    ----------
    coef, intercept, classes
        As for :class:`LinearHead`.
    centre : ndarray of shape (d,)
    """

    def __init__(
        self, coef: FloatArray, intercept: FloatArray, classes: AnyArray, centre: FloatArray
    ) -> None:
        super().__init__(coef, intercept, classes)
        self.centre_ = centre

    def predict_proba(self, X: Any) -> FloatArray:
        """Return (n, k) probabilities; columns in the order of ``classes_``."""
        return linear_probabilities(unit_rows(X, self.centre_), self.coef_, self.intercept_)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what the ``to_state`` of ``Anchored`` or ``FewShot`` returned."""
        head = LinearHead.from_state(state)
        return cls(head.coef_, head.intercept_, head.classes_, state.arrays["centre"])


class LinearRegressorHead:
    """A fitted linear probe for numbers, without scikit-learn.

    Parameters
    ----------
    coef : ndarray of shape (d,)
    intercept : float
    """

    def __init__(self, coef: FloatArray, intercept: float) -> None:
        self.coef_, self.intercept_ = coef, intercept

    def predict(self, X: Any) -> FloatArray:
        """Return n numbers."""
        numbers: FloatArray = np.ascontiguousarray(X) @ self.coef_ + self.intercept_
        return numbers

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what ``LinearProbeRegressor.to_state`` returned."""
        return cls(state.arrays["coef"], float(state.meta["intercept"]))


class TunedHead(LinearHead):
    """A linear head for classes or sets of labels, and what was tuned in the source below it.

    Parameters
    ----------
    coef, intercept, classes
        As for :class:`LinearHead`.
    tuned : dict of str to ndarray
        See :func:`headstart.strategies.tuned.tuned_backbone`.
    given : dict
        What differs in the source's input.
    sets : bool
        Any number of labels at once, not one class.
    """

    def __init__(
        self,
        coef: FloatArray,
        intercept: FloatArray,
        classes: AnyArray,
        tuned: dict[str, AnyArray],
        given: dict[str, Any],
        *,
        sets: bool = False,
    ) -> None:
        super().__init__(coef, intercept, classes)
        self.tuned, self.given, self.sets = tuned, given, sets

    def predict_proba(self, X: Any) -> FloatArray:
        """Return (n, k) probabilities; those of sets do not sum to 1."""
        if not self.sets:
            return super().predict_proba(X)
        return sigmoid(np.ascontiguousarray(X) @ self.coef_ + self.intercept_)

    def predict(self, X: Any) -> AnyArray:
        """Return the n most probable labels; for sets indicators (n, k)."""
        if not self.sets:
            return super().predict(X)
        return (self.predict_proba(X) > 0.5).astype(np.int64)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what the ``to_state`` of a fine-tuned classifier returned."""
        classes = unpack_classes(state.meta)
        tuned, given = split_state(state.arrays), dict(state.meta["given"])
        coef, intercept = state.arrays["coef"], state.arrays["intercept"]
        sets = state.meta["target"] == "sets"
        return cls(coef, intercept, classes, tuned, given, sets=sets)


class TunedRegressorHead(LinearRegressorHead):
    """A linear head for numbers, and what was tuned in the source below it.

    Parameters
    ----------
    coef, intercept
        As for :class:`LinearRegressorHead`.
    tuned, given
        As for :class:`TunedHead`.
    """

    def __init__(
        self,
        coef: FloatArray,
        intercept: float,
        tuned: dict[str, AnyArray],
        given: dict[str, Any],
    ) -> None:
        super().__init__(coef, intercept)
        self.tuned, self.given = tuned, given

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what the ``to_state`` of a fine-tuned regressor returned."""
        tuned, given = split_state(state.arrays), dict(state.meta["given"])
        coef, intercept = state.arrays["coef"], state.arrays["intercept"]
        return cls(coef[:, 0], float(intercept[0]), tuned, given)
