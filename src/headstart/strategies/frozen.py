"""What estimators on frozen features share: encoding, checking, classes as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, Decision, Features, FloatArray, IntArray, State
from headstart.strategies.saved_classes import unpack_classes


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


def pack_decision(decision: Decision) -> dict[str, Any]:
    """Return a decision as something JSON can hold; what opens a state reverses it."""
    return {"decision": [decision.what, decision.why, decision.override]}


def encode_classes(y: AnyArray) -> tuple[AnyArray, IntArray]:
    """Return the sorted classes and the position of each label among them.

    Raises
    ------
    DataError
        The labels cannot be sorted, as when texts and numbers are mixed.
    ValueError
        The labels are fractions: numbers to predict, not classes (scikit-learn's own message).
    """
    try:
        classes, codes = np.unique(y, return_inverse=True)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in y})
        raise DataError(
            "labels of different types cannot be sorted", got=kinds, hint="make all of them text"
        ) from error
    if classes.dtype.kind == "f":
        check_classification_targets(y)
    return classes, codes


def one_hot(codes: IntArray, n_classes: int) -> FloatArray:
    """Return an (n, n_classes) float64 indicator matrix."""
    target = np.zeros((len(codes), n_classes))
    target[np.arange(len(codes)), codes] = 1.0
    return target


def row_weights(
    codes: IntArray, classes: AnyArray, class_weight: str | Mapping[Any, float] | None
) -> FloatArray:
    """Return a weight for each row: 1, what gives every class the same total, or as given.

    Raises
    ------
    OptionError
        ``class_weight`` is not None, "balanced" or a mapping of classes to positive weights.
    """
    if class_weight is None:
        return np.ones(len(codes))
    if isinstance(class_weight, Mapping):
        of_class = np.array([float(class_weight.get(name, 1.0)) for name in classes.tolist()])
        if (np.isfinite(of_class) & (of_class > 0)).all():
            return of_class[codes]
    elif class_weight == "balanced":
        counts = np.bincount(codes, minlength=len(classes))
        return (len(codes) / (len(classes) * counts))[codes]
    raise OptionError(
        "not a weighting of classes",
        where="class_weight",
        got=class_weight,
        allowed='None, "balanced" or a dict of class to positive weight',
    )


def stratified_folds(codes: IntArray, n_folds: int, random_state: int | None) -> IntArray:
    """Return the fold of each row, each class spread evenly; -1 for the only row of a class.

    A lone row is in the training part of every fold: held out, its class would be unknown.
    """
    rng = np.random.default_rng(random_state)
    folds = np.empty(len(codes), dtype=np.int64)
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    counts = np.bincount(codes)
    within = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    turn = np.repeat(rng.integers(n_folds, size=len(counts)), counts)
    folds[order] = (within + turn) % n_folds
    folds[counts[codes] == 1] = -1
    return folds


def positive_list(values: Any, where: str) -> FloatArray:
    """Return penalties as an array.

    Raises
    ------
    OptionError
        They are not one or more positive, finite numbers.
    """
    array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if array.ndim != 1 or not array.size or not (np.isfinite(array) & (array > 0)).all():
        raise OptionError(
            "not a list of penalties", where=where, got=values, allowed="positive finite numbers"
        )
    return array


class FrozenEstimator(BaseEstimator):
    """Base of estimators that take (n, d) features, or items together with ``source``."""

    source: Any
    classes_: AnyArray
    decision_: Decision

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
            order="C",
            y_numeric=isinstance(self, RegressorMixin),
        )

    def _check_new(self, X: Any) -> FloatArray:
        """Encode and check what ``predict`` was given."""
        check_is_fitted(self)
        # rows in C order: products of other strides differ in the last bit
        return validate_data(
            self,
            as_features(X, self.source),
            dtype=[np.float64, np.float32],
            order="C",
            reset=False,
        )

    def _base_meta(self) -> dict[str, Any]:
        check_is_fitted(self)
        source = self.source
        if source is not None and not isinstance(source, str):
            source = source.card.name
        return {"source": source, "n_features": int(self.n_features_in_)}

    @classmethod
    def _opened(cls, state: State, **params: Any) -> Self:
        """Return an estimator with what every state holds: source, width, classes, decision."""
        model = cls(source=state.meta["source"], **params)
        model.n_features_in_ = int(state.meta["n_features"])
        if "classes" in state.meta:
            model.classes_ = unpack_classes(state.meta)
        if "decision" in state.meta:
            model.decision_ = Decision(*state.meta["decision"])
        return model


class FrozenClassifier(ClassifierMixin, FrozenEstimator):
    """Base of classifiers on frozen features; a subclass has ``_fit`` and ``_probabilities``."""

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to features (n, d), or items where ``source`` is set, and n labels."""
        X, y = self._check(X, y)
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
