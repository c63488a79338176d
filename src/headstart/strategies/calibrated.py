"""Probabilities that mean what they say: a temperature and, where it helps, a bias for each class.

Plain numpy, so that a saved model opens fast. What it is fitted by stands in
``headstart.evaluate.calibration``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.core.types import FloatArray

LEAST = 1e-12
"""A probability below this counts as this: its logarithm exists."""


def log_probabilities(probabilities: FloatArray) -> FloatArray:
    """Return the logarithms of (n, k) probabilities, float64; none below that of ``LEAST``."""
    result: FloatArray = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), LEAST))
    return result


@dataclass(frozen=True, eq=False)
class Calibration:
    """What turns a model's probabilities into calibrated ones; the label stays.

    The temperature divides the logarithms (Guo et al., ICML 2017). A bias for each class is added
    after that (bias-corrected temperature scaling: Alexandari et al., ICML 2020); a row whose most
    probable class the bias would change takes the temperature alone.

    Parameters
    ----------
    temperature : float
        Above 0; above 1 makes the model less sure.
    bias : ndarray of shape (k,), optional
        Left out where there are more or fewer classes, as after another was enrolled.

    Examples
    --------
    >>> Calibration(2.0).apply(np.array([[0.9, 0.1]])).round(2).tolist()
    [[0.75, 0.25]]
    """

    temperature: float = 1.0
    bias: FloatArray | None = None

    def apply(self, probabilities: FloatArray) -> FloatArray:
        """Return (n, k) calibrated probabilities; each row keeps its most probable class."""
        known = np.asarray(probabilities, dtype=np.float64)
        if known.size == 0 or known.shape[1] < 2:
            return known
        scores = log_probabilities(known) / self.temperature
        plain = softmax(scores)
        if self.bias is None or len(self.bias) != known.shape[1]:
            return plain
        shifted = softmax(scores + self.bias)
        kept = shifted.argmax(axis=1) == known.argmax(axis=1)
        result: FloatArray = np.where(kept[:, None], shifted, plain)
        return result


def softmax(scores: FloatArray) -> FloatArray:
    """Return the softmax of each row of (n, k) scores."""
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: FloatArray = shares / shares.sum(axis=1, keepdims=True)
    return result
