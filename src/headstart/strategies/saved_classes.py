"""What the three scratch classifiers share: labels from probabilities, and their classes saved."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from headstart.core.types import AnyArray, State

MOST_CHARACTERS = 50_000_000
"""Of an array of names: numpy gives each the room of the longest."""


def unpack_classes(meta: dict[str, Any]) -> AnyArray:
    """Return the array of class names that ``pack_classes`` packed.

    Raises
    ------
    ValueError
        Their type would take far more room than they need.
    """
    names, kind = meta["classes"], np.dtype(meta["classes_dtype"])
    _longest(names)
    if kind.kind not in "OUSbiuf" or kind.itemsize * len(names) > 4 * MOST_CHARACTERS:
        raise ValueError(f"classes of type {meta['classes_dtype']!r}")
    return np.array(names, dtype=kind)


def _longest(names: list[Any]) -> int:
    """Return the length of the longest name; names that would not fit into memory are refused."""
    longest = max((len(str(name)) for name in names), default=0)
    if longest * len(names) > MOST_CHARACTERS:
        raise ValueError("class names too long to be held side by side")
    return longest


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
        _longest(state.meta["classes"])
        self.classes_ = np.array(state.meta["classes"])
        self._restore(state)
        return self
