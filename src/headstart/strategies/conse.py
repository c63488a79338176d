"""ConSE: what a classifier of other classes sees, put into words, and compared with class names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import FloatArray, State
from headstart.strategies.class_features import (
    class_rows,
    codes_of,
    told_sharpness,
    unit_length,
)
from headstart.strategies.frozen import FrozenClassifier, pack_classes
from headstart.strategies.heads import softmax_rows

TOP = 10
SHARPNESS = 12.0
"""Times the cosine of sentence embeddings, the logit, where no label tells."""


class ConSE(FrozenClassifier):
    """Classify images into classes that no image was labelled with, through those of a classifier.

    The source's own classifier names what it sees; the embeddings of the ``top`` likeliest names,
    weighted by their probabilities, are added up; the class is the one whose embedding has the
    largest cosine with that sum. All embeddings are taken less the mean of the classifier's names,
    which they share and which says nothing (not in the paper). Labels, where there are some, set
    the temperature alone.

    Parameters
    ----------
    class_features : mapping of label to (e,) numbers
        Embeddings of the classes' names.
    name_features : array of shape (c, e)
        Embeddings of the names of the classifier's c classes, by the same source of texts.
    classifier : pair of arrays (d, c) and (c,)
        The classifier's weights and offsets, on features (n, d).
    top : int, default 10
        How many of its classes are combined; all where it has fewer.
    sharpness : float > 0, default 12
        Times the cosine, the logit. Labels move it; it counts for 20 rows.
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    directions_ : ndarray of shape (k, e)
        Less the mean of the names, of length 1; so are the names.
    names_ : ndarray of shape (c, e)
    weights_ : ndarray of shape (d, c)
    bias_ : ndarray of shape (c,)
    sharpness_ : float

    Raises
    ------
    OptionError
        What the classes are like, or the classifier, is missing or does not fit together.
    DataError
        A label is not among the classes.
    ValueError
        X holds NaN or infinity or is not of d features (scikit-learn's own message).

    References
    ----------
    Norouzi et al., Zero-shot learning by convex combination of semantic embeddings, ICLR 2014.

    Examples
    --------
    >>> from headstart.strategies import ConSE
    >>> names = {"pet": [1.0, 0.2], "fruit": [0.1, 1.0]}
    >>> model = ConSE(
    ...     class_features=names,
    ...     name_features=[[1.0, 0.0], [0.0, 1.0]],  # a cat, an apple
    ...     classifier=([[2.0, 0.0], [0.0, 2.0]], [0.0, 0.0]),
    ... ).fit()
    >>> model.predict([[3.0, 0.0], [0.0, 3.0]]).tolist()
    ['pet', 'fruit']
    """

    sharpness_: float

    def __init__(
        self,
        *,
        class_features: Mapping[Any, Any] | None = None,
        name_features: Any = None,
        classifier: Any = None,
        top: int = TOP,
        sharpness: float = SHARPNESS,
        source: Any = None,
    ) -> None:
        self.class_features = class_features
        self.name_features = name_features
        self.classifier = classifier
        self.top = top
        self.sharpness = sharpness
        self.source = source

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Take the classes as described; labels of features, or items, set the temperature."""
        self._describe()
        if X is None and y is None:
            self.n_features_in_ = len(self.weights_)
            return self
        X, y = self._check(X, y)
        codes = codes_of(y, self.classes_)
        if X.shape[1] != len(self.weights_):
            raise OptionError(
                "the classifier is for features of another length",
                where="classifier",
                got=self.weights_.shape,
                allowed=f"({X.shape[1]}, c)",
            )
        if len(self.classes_) > 1:
            self.sharpness_ = told_sharpness(self._cosines(X), codes, self.sharpness_)
        return self

    def _describe(self) -> None:
        if self.classifier is None or self.name_features is None:
            raise OptionError(
                "ConSE needs the classifier of a source, and embeddings of its classes' names",
                where="classifier, name_features",
                hint="`headstart fit --classes` takes those of an EfficientNet-Lite",
            )
        self.weights_, self.bias_ = (_as_saved(part) for part in self.classifier)
        names = unit_length(np.asarray(self.name_features, dtype=np.float64))
        centre = names.mean(axis=0)
        self.names_ = _as_saved(unit_length(names - centre))
        c = len(self.names_)
        if self.weights_.ndim != 2 or self.weights_.shape[1] != c or self.bias_.shape != (c,):
            raise OptionError(
                "there must be a name for each class of the classifier",
                where="classifier, name_features",
                got=(self.weights_.shape, self.bias_.shape, self.names_.shape),
                allowed="(d, c), (c,) and (c, e)",
            )
        self.classes_, rows = class_rows(self.class_features, width=self.names_.shape[1])
        self.directions_ = _as_saved(unit_length(unit_length(rows) - centre))
        if self.top < 1:
            raise OptionError("at least one class must count", where="top", got=self.top)
        self.top_ = min(int(self.top), c)
        self.sharpness_ = float(self.sharpness)
        if not 0.0 < self.sharpness_ < np.inf:
            raise OptionError("must be a positive number", where="sharpness", got=self.sharpness)

    def _cosines(self, X: FloatArray) -> FloatArray:
        """Return the cosines (n, k) of what is seen with the classes."""
        seen = softmax_rows(np.asarray(X, dtype=np.float64) @ self.weights_ + self.bias_)
        if self.top_ < seen.shape[1]:
            least = np.partition(seen, -self.top_, axis=1)[:, -self.top_][:, None]
            seen = np.where(seen >= least, seen, 0.0)
        found: FloatArray = unit_length(seen @ self.names_) @ self.directions_.T
        return found

    def _probabilities(self, X: FloatArray) -> FloatArray:
        return softmax_rows(self.sharpness_ * self._cosines(X))

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | pack_classes(self.classes_)
        meta |= {"sharpness": self.sharpness_, "top": self.top_}
        arrays = {
            "directions": self.directions_,
            "names": self.names_,
            "weights": self.weights_,
            "bias": self.bias_,
        }
        return State({name: array.astype(np.float32) for name, array in arrays.items()}, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls._opened(state, top=int(state.meta["top"]))
        arrays = {name: array.astype(np.float64) for name, array in state.arrays.items()}
        model.directions_, model.names_ = arrays["directions"], arrays["names"]
        model.weights_, model.bias_ = arrays["weights"], arrays["bias"]
        model.sharpness_, model.top_ = float(state.meta["sharpness"]), int(state.meta["top"])
        return model


def _as_saved(values: Any) -> FloatArray:
    """Return numbers as float64 that are exact in the float32 of a saved model."""
    exact: FloatArray = np.asarray(values, dtype=np.float32).astype(np.float64)
    return exact
