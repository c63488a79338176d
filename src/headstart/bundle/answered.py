"""What a model says of items, all of it made in one pass over them."""

from __future__ import annotations

from typing import NamedTuple

from headstart.core.types import AnyArray, FloatArray


class Answered(NamedTuple):
    """Answers to n items.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Classes as ``str`` objects, or float64 values.
    probabilities : ndarray of shape (n, k), or (n,) of values for regression
        Calibrated, where that was found to help.
    confidence : ndarray of shape (n,)
        The probability of the label; nan for regression.
    abstained : ndarray of shape (n,), bool
        The model does not know.
    features : ndarray of shape (n, d), or None
        Of the (tuned) source; None where the model uses none.
    """

    labels: AnyArray
    probabilities: FloatArray
    confidence: FloatArray
    abstained: AnyArray
    features: FloatArray | None
