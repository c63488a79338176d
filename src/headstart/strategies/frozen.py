"""What estimators on frozen features share: encoding, checking, classes as plain data."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, Features, FloatArray, IntArray, State


def as_features(X: Any, source: Any) -> Any:
    """Return ``X`` itself, or its features where a source is named.

    Parameters
    ----------
    X : array, Features or sequence of items
        Without a source (n, d) features; with one, raw items.
    source : str, Backbone or None
        The name of a source (loaded, and installed at first use), or a loaded backbone.
    """
    if source is not None:
        from headstart import encode

        if isinstance(source, str):
            from headstart import sources

            source = sources.load(source)
        X = encode.features(X, source)
    return X.array if isinstance(X, Features) else X


def pack_classes(classes: AnyArray) -> dict[str, Any]:
    """Return class names as something JSON can hold; :func:`unpack_classes` reverses it."""
    kind = "object" if classes.dtype == object else classes.dtype.str
    return {"classes": classes.tolist(), "classes_dtype": kind}


def unpack_classes(meta: dict[str, Any]) -> AnyArray:
    """Return the array of class names that :func:`pack_classes` packed."""
    return np.array(meta["classes"], dtype=np.dtype(meta["classes_dtype"]))


def encode_classes(y: AnyArray) -> tuple[AnyArray, IntArray]:
    """Return the sorted classes and the position of each label among them.

    Raises
    ------
    DataError
        The labels cannot be sorted, as when texts and numbers are mixed.
    """
    try:
        classes, codes = np.unique(y, return_inverse=True)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in y})
        raise DataError(
            "labels of different types cannot be sorted", got=kinds, hint="make all of them text"
        ) from error
    return classes, codes


def one_hot(codes: IntArray, n_classes: int) -> FloatArray:
    """Return an (n, n_classes) float64 indicator matrix."""
    target = np.zeros((len(codes), n_classes))
    target[np.arange(len(codes)), codes] = 1.0
    return target


class FrozenEstimator(BaseEstimator):
    """Base of estimators that take (n, d) features, or items together with ``source``."""

    source: Any

    def _check(self, X: Any, y: Any = None) -> tuple[FloatArray, AnyArray]:
        """Encode and check what ``fit`` was given."""
        if y is None:
            # scikit-learn's own words for a missing y
            validate_data(self, as_features(X, self.source), y)
        return validate_data(
            self,
            as_features(X, self.source),
            y,
            dtype=[np.float64, np.float32],
            y_numeric=isinstance(self, RegressorMixin),
        )

    def _check_new(self, X: Any) -> FloatArray:
        """Encode and check what ``predict`` was given."""
        check_is_fitted(self)
        return validate_data(
            self, as_features(X, self.source), dtype=[np.float64, np.float32], reset=False
        )

    def _new_from(self, state: State, **params: Any) -> None:
        self.n_features_in_ = int(state.meta["n_features"])

    def _base_meta(self) -> dict[str, Any]:
        check_is_fitted(self)
        source = self.source
        if source is not None and not isinstance(source, str):
            source = source.card.name
        return {"source": source, "n_features": int(self.n_features_in_)}


class FrozenClassifier(ClassifierMixin, FrozenEstimator):
    """Base of classifiers on frozen features; a subclass has ``_fit`` and ``_probabilities``."""

    classes_: AnyArray

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to features (n, d), or items where ``source`` is set, and n labels."""
        X, y = self._check(X, y)
        check_classification_targets(y)
        self.classes_, codes = encode_classes(y)
        self._fit(X, codes)
        return self

    def _fit(self, X: FloatArray, codes: IntArray) -> None:
        raise NotImplementedError

    def _probabilities(self, X: FloatArray) -> FloatArray:
        raise NotImplementedError

    def predict_proba(self, X: Any) -> FloatArray:
        """Return (n, n_classes) probabilities; columns in the order of ``classes_``."""
        return self._probabilities(self._check_new(X))

    def predict(self, X: Any) -> AnyArray:
        """Return the n most probable labels."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]
