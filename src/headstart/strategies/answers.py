"""What a saved model makes of its probabilities before it answers, and when it does not answer.

Plain numpy, so that a saved model opens fast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from headstart.core.types import AnyArray, FloatArray, State
from headstart.strategies.calibrated import Calibration
from headstart.strategies.scope import METHODS, Scope

_SCOPE = "scope."


@dataclass(frozen=True, eq=False)
class Answers:
    """Calibrated probabilities, and when the model abstains.

    Parameters
    ----------
    calibration : Calibration or None
        None leaves probabilities as they are.
    threshold : float
        The model answers where its confidence is above it; ``-inf`` answers always.
    scope : Scope or None
        Items out of scope are not answered either.

    Examples
    --------
    >>> Answers(threshold=0.8).abstains(np.array([0.7, 0.9])).tolist()
    [True, False]
    """

    calibration: Calibration | None = None
    threshold: float = -math.inf
    scope: Scope | None = None

    @property
    def always(self) -> bool:
        """Whether it never abstains."""
        return self.scope is None and self.threshold == -math.inf

    def probabilities(self, found: FloatArray) -> FloatArray:
        """Return (n, k) probabilities, calibrated."""
        return found if self.calibration is None else self.calibration.apply(found)

    def abstains(self, confidence: FloatArray, features: AnyArray | None = None) -> AnyArray:
        """Return which items are not answered.

        Parameters
        ----------
        confidence : ndarray of shape (n,)
            Calibrated.
        features : ndarray of shape (n, d)
            Needed where there is a scope.
        """
        silent: AnyArray = ~(np.asarray(confidence) > self.threshold)
        if self.scope is not None and features is not None and len(silent):
            silent |= self.scope.outside(features)
        return silent

    def to_state(self) -> State:
        """Return it as arrays and plain data."""
        arrays: dict[str, AnyArray] = {}
        meta: dict[str, Any] = {"threshold": self.threshold, "temperature": None, "scope": None}
        if self.calibration is not None:
            meta["temperature"] = self.calibration.temperature
            if self.calibration.bias is not None:
                arrays["bias"] = self.calibration.bias
        if self.scope is not None:
            state = self.scope.to_state()
            meta["scope"] = state.meta
            arrays |= {_SCOPE + name: array for name, array in state.arrays.items()}
        return State(arrays, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild it from :meth:`to_state`.

        Raises
        ------
        ValueError, KeyError, TypeError
            The state is none of it.
        """
        arrays, meta = dict(state.arrays), state.meta
        bias = arrays.pop("bias", None)
        calibration = scope = None
        if meta["temperature"] is not None:
            calibration = Calibration(_number(meta, "temperature"), bias)
        own = {name.removeprefix(_SCOPE): array for name, array in arrays.items()}
        if meta["scope"] is not None:
            scope = Scope.from_state(State(own, meta["scope"]))
            if not scope.methods or set(scope.methods) - set(METHODS):
                raise ValueError(f"no such score: {scope.methods}")
        elif own:
            raise ValueError(f"arrays that nobody knows: {sorted(own)}")
        return cls(calibration, _number(meta, "threshold"), scope)


def _number(meta: Mapping[str, Any], name: str) -> float:
    value = float(meta[name])
    if math.isnan(value) or (name == "temperature" and not 0.0 < value < math.inf):
        raise ValueError(f"no sound {name}: {value}")
    return value
