"""Cosines with class directions as a saved model needs them: numpy alone.

A head of k directions and offsets: ``softmax(sharpness * (unit(x - centre) @ directions.T +
offsets))``. Zero-shot directions are the features of class names; self-training moves them.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from headstart.core.types import AnyArray, FloatArray, State
from headstart.strategies.heads import softmax_rows
from headstart.strategies.saved_classes import unpack_classes
from headstart.strategies.unit import unit_rows


class CosineHead:
    """Class directions with a temperature, ready to predict.

    Parameters
    ----------
    directions : ndarray of shape (k, d)
        Of length 1.
    centre : ndarray of shape (d,)
        What is taken off an item's features first.
    offsets : ndarray of shape (k,)
        Added to the cosines: more for frequent classes.
    sharpness : float
        Times the scores, the logits.
    classes : ndarray of shape (k,)
    """

    def __init__(
        self,
        directions: FloatArray,
        centre: FloatArray,
        offsets: FloatArray,
        sharpness: float,
        classes: AnyArray,
    ) -> None:
        self.directions_, self.centre_, self.offsets_ = directions, centre, offsets
        self.sharpness_, self.classes_ = sharpness, classes

    def scores(self, X: Any) -> FloatArray:
        """Return the (n, k) cosines of (n, d) features with the classes, and offsets, float64."""
        rows = unit_rows(np.asarray(X), self.centre_)
        found: FloatArray = rows @ self.directions_.T + self.offsets_
        return found

    def predict_proba(self, X: Any) -> FloatArray:
        """Return (n, k) probabilities; columns in the order of ``classes_``."""
        return softmax_rows(self.sharpness_ * self.scores(X))

    def predict(self, X: Any) -> AnyArray:
        """Return the n most probable labels."""
        labels: AnyArray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what ``ZeroShot.to_state`` returned."""
        classes = unpack_classes(state.meta)
        arrays = state.arrays
        return cls(
            arrays["directions"],
            arrays["centre"],
            arrays["offsets"],
            float(state.meta["sharpness"]),
            classes,
        )
