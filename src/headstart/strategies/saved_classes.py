"""What the three scratch classifiers share: labels from probabilities, and their classes saved."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from headstart.core.types import AnyArray, State


class SavedClasses:
    """Put before an estimator that has ``predict_proba``, ``to_state`` and ``_restore``."""

    classes_: AnyArray

    def predict(self: Any, X: Any) -> AnyArray:
        """Return the likeliest class of each item."""
        picked = self.predict_proba(X).argmax(axis=1)
        result: AnyArray = self.classes_[picked]
        return result

    def to_state(self) -> State:
        """Return what was learned as arrays and JSON."""
        state: State = super().to_state()  # type: ignore[misc]
        state.meta["classes"] = self.classes_.tolist()
        return state

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild a fitted estimator; it predicts bit-identically."""
        self: Any = cls(**state.meta["params"])
        self.classes_ = np.array(state.meta["classes"])
        self._restore(state)
        return self
