"""Zero-shot: an item belongs to the class whose description its features point to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, FloatArray, State
from headstart.strategies.class_features import (
    class_rows,
    codes_of,
    told_sharpness,
    unit_length,
)
from headstart.strategies.cosine import CosineHead
from headstart.strategies.frozen import FrozenClassifier, pack_classes

SHARPNESS = 20.0
"""Times the cosine of sentence embeddings, the logit, where no label tells: measured on intents
and reviews (``benchmarks/results/zero_shot.md``)."""


class ZeroShot(FrozenClassifier):
    """Classify by the cosine of features with directions that describe the classes.

    It needs no label: ``fit()`` takes the directions as they are. Labels, where there are some, set
    the temperature alone, so that what it predicts for them is what it would predict for others.

    Parameters
    ----------
    class_features : mapping of label to (d,) numbers
        What the classes are like in the space of the features: embeddings of their names.
    centre : array of shape (d,), optional
        Taken off an item's features first; nothing by default.
    class_offsets : mapping of label to number, optional
        Added to the cosines; nothing by default.
    sharpness : float > 0, default 20
        The inverse temperature: times the cosine, the logit. Labels move it; it counts for 20 rows.
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
        All that are described, whether a label names them or not.
    directions_ : ndarray of shape (k, d)
        Of length 1.
    centre_ : ndarray of shape (d,)
    offsets_ : ndarray of shape (k,)
    sharpness_ : float

    Raises
    ------
    OptionError
        The classes are not described by d finite numbers each, or the sharpness is not positive.
    DataError
        A label is not among the classes.
    ValueError
        X holds NaN or infinity or is not of d features (scikit-learn's own message).

    References
    ----------
    Radford et al., ICML 2021 (prompts as a linear head); Guo et al., ICML 2017 (temperature).

    Examples
    --------
    >>> from headstart.strategies import ZeroShot
    >>> model = ZeroShot(class_features={"up": [0.0, 1.0], "right": [1.0, 0.0]}).fit()
    >>> model.predict([[0.2, 2.0], [1.0, 0.1]]).tolist()
    ['up', 'right']
    """

    directions_: FloatArray
    centre_: FloatArray
    offsets_: FloatArray
    sharpness_: float

    def __init__(
        self,
        *,
        class_features: Mapping[Any, Any] | None = None,
        centre: Any = None,
        class_offsets: Mapping[Any, float] | None = None,
        sharpness: float = SHARPNESS,
        source: Any = None,
    ) -> None:
        self.class_features = class_features
        self.centre = centre
        self.class_offsets = class_offsets
        self.sharpness = sharpness
        self.source = source

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Take the class directions; n labels of features (n, d), or items, set the temperature."""
        if X is None and y is None:
            self._describe()
            self.n_features_in_ = self.directions_.shape[1]
            return self
        X, y = self._check(X, y)
        self._describe(X.shape[1])
        codes = codes_of(y, self.classes_)
        if len(self.classes_) > 1:
            self.sharpness_ = told_sharpness(self._head().scores(X), codes, self.sharpness_)
        return self

    def _describe(self, width: int | None = None) -> None:
        self.classes_, rows = class_rows(self.class_features, width=width)
        self.directions_ = unit_length(rows)
        d = rows.shape[1]
        self.centre_ = np.zeros(d) if self.centre is None else np.asarray(self.centre, np.float64)
        if self.centre_.shape != (d,) or not np.isfinite(self.centre_).all():
            raise OptionError(
                f"not {d} finite numbers", where="centre", got=f"shape {self.centre_.shape}"
            )
        given = self.class_offsets or {}
        offsets = [float(given.get(name, 0.0)) for name in self.classes_.tolist()]
        self.offsets_ = np.array(offsets)
        if not np.isfinite(self.offsets_).all():
            raise OptionError("offsets must be finite numbers", where="class_offsets", got=given)
        self.sharpness_ = float(self.sharpness)
        if not 0.0 < self.sharpness_ < np.inf:
            raise OptionError("must be a positive number", where="sharpness", got=self.sharpness)

    def _head(self) -> CosineHead:
        return CosineHead(
            self.directions_, self.centre_, self.offsets_, self.sharpness_, self.classes_
        )

    def _probabilities(self, X: FloatArray) -> FloatArray:
        return self._head().predict_proba(X)

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | pack_classes(self.classes_) | {"sharpness": self.sharpness_}
        arrays: dict[str, AnyArray] = {
            "directions": self.directions_,
            "centre": self.centre_,
            "offsets": self.offsets_,
        }
        return State(arrays, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls(source=state.meta["source"])
        head = CosineHead.from_state(state)
        model.n_features_in_ = int(state.meta["n_features"])
        model.classes_, model.directions_ = head.classes_, head.directions_
        model.centre_, model.offsets_ = head.centre_, head.offsets_
        model.sharpness_ = head.sharpness_
        return model
