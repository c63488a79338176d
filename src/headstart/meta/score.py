"""Accuracies of episodes as numbers with intervals."""

from __future__ import annotations

import math

import numpy as np

from headstart.core.types import FloatArray, Gain, Score, Verdict

NORMAL = 1.96


def score_of(accuracies: FloatArray) -> Score:
    """Return the mean accuracy of episodes with its 95 % interval, mean +- 1.96 sd / sqrt(n).

    The interval is the one that few-shot papers print: it says how sure the mean is over episodes
    of these classes, not over other classes or other trainings.

    Parameters
    ----------
    accuracies : ndarray of shape (n,)
        Of one method, an episode each.

    Examples
    --------
    >>> import numpy as np
    >>> print(score_of(np.array([0.5, 0.75, 1.0, 0.75])))
    0.750 [0.550, 0.950]
    """
    mean, half = _interval(accuracies)
    return Score("accuracy", mean, mean - half, mean + half, len(accuracies))


def gain_of(accuracies: FloatArray, other: FloatArray, *, baseline: str) -> Gain:
    """Return how much better one method is than another on the same episodes.

    Parameters
    ----------
    accuracies, other : ndarray of shape (n,)
        In the same order of episodes.
    baseline : str
        What the other is called.

    Examples
    --------
    >>> import numpy as np
    >>> gain_of(np.array([0.5, 0.75, 1.0]), np.array([0.25, 0.5, 0.75]), baseline="rfs").verdict
    'positive'
    """
    mean, half = _interval(accuracies - other)
    verdict: Verdict = "inconclusive"
    if mean - half > 0:
        verdict = "positive"
    elif mean + half < 0:
        verdict = "negative"
    return Gain(mean, mean - half, mean + half, len(accuracies), baseline, "accuracy", verdict)


def _interval(values: FloatArray) -> tuple[float, float]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return float(np.mean(values)), NORMAL * spread / math.sqrt(len(values))
