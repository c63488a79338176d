"""The constant guess: what a model must beat to have learned anything."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import (
    _num_samples,
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from headstart.core.types import AnyArray, FloatArray, State
from headstart.strategies.frozen import encode_classes, pack_classes
from headstart.strategies.saved_classes import unpack_classes


class Majority(ClassifierMixin, BaseEstimator):
    """Guess the most frequent class; its probabilities are the class frequencies.

    ``X`` may be anything with a length: it is not looked at.

    Examples
    --------
    >>> from headstart.strategies import Majority
    >>> Majority().fit(["a", "b", "c"], ["no", "yes", "no"]).predict(["d"]).tolist()
    ['no']
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Count the n labels."""
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        self.classes_, codes = encode_classes(y)
        self.class_prior_ = np.bincount(codes, minlength=len(self.classes_)) / len(codes)
        return self

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the class frequencies, once for each item: (n, n_classes)."""
        check_is_fitted(self)
        return np.tile(self.class_prior_, (_num_samples(X), 1))

    def predict(self, X: Any) -> AnyArray:
        """Return the most frequent class, once for each item; of a tie, the first in order."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        check_is_fitted(self)
        return State({"class_prior": self.class_prior_}, pack_classes(self.classes_))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls()
        model.classes_ = unpack_classes(state.meta)
        model.class_prior_ = state.arrays["class_prior"]
        return model

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        tags.no_validation = True
        tags.input_tags.sparse = True
        return tags


class MeanRegressor(RegressorMixin, BaseEstimator):
    """Guess the mean of the numbers it was fitted to.

    ``X`` may be anything with a length: it is not looked at.

    Examples
    --------
    >>> from headstart.strategies import MeanRegressor
    >>> MeanRegressor().fit(["a", "b"], [1.0, 2.0]).predict(["c"]).tolist()
    [1.5]
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Average the n numbers."""
        y = column_or_1d(y, dtype=np.float64, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(X, y)
        self.mean_ = float(y.mean())
        return self

    def predict(self, X: Any) -> FloatArray:
        """Return the mean, once for each item."""
        check_is_fitted(self)
        return np.full(_num_samples(X), self.mean_)

    def to_state(self) -> State:
        """Return the fitted model as plain data."""
        check_is_fitted(self)
        return State({}, {"mean": self.mean_})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls()
        model.mean_ = float(state.meta["mean"])
        return model

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        tags.no_validation = True
        tags.input_tags.sparse = True
        return tags
