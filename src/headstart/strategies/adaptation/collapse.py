"""Whether an adaptation without labels went wrong: seen in what it predicts for the target.

A method that adapts without labels can end where it predicts one class for all, or where it no
longer knows the source. Both are seen without a label of the target.
"""

from __future__ import annotations

import numpy as np

from headstart.core.types import FloatArray

LEAST_SPREAD = 1 / 3  # of the classes that were in use before
MOST_LOST = 0.10  # of the accuracy on the source
MOST_UNKNOWN = 0.95  # of the target's rows

STAYED = "the source alone was learnt from"
"""What an adapter that tunes a source decides where it steps back."""


def spread_of(probabilities: FloatArray) -> float:
    """Return how many classes the mean of (n, k) probabilities uses, less 1: ``exp(entropy) - 1``.

    Examples
    --------
    >>> round(spread_of(np.array([[1.0, 0.0], [0.0, 1.0]])), 6)
    1.0
    """
    mean = probabilities.mean(axis=0)
    mean = mean[mean > 0]
    return float(np.exp(-(mean * np.log(mean)).sum()) - 1.0)


def collapsed(before: FloatArray, after: FloatArray) -> str:
    """Say why predictions for the target have collapsed; empty where they have not.

    Parameters
    ----------
    before, after : ndarray of shape (m, k)
        Probabilities for the same rows without and with adaptation.

    Examples
    --------
    >>> before = np.array([[0.9, 0.1], [0.1, 0.9]])
    >>> collapsed(before, np.array([[0.9, 0.1], [0.9, 0.1]]))
    'the target is 1 class, where without adaptation it is 2'
    """
    if not np.isfinite(after).all():
        return "the weights are no numbers any more"
    counts = [len(np.unique(part.argmax(axis=1))) for part in (before, after)]
    if counts[0] > 1 and counts[1] <= counts[0] / 2:
        named = f"{counts[1]} class" + ("es" if counts[1] > 1 else "")
        return f"the target is {named}, where without adaptation it is {counts[0]}"
    spreads = spread_of(before), spread_of(after)
    if spreads[1] < LEAST_SPREAD * spreads[0]:
        return (
            f"nearly all of the target is in few classes: {spreads[1] + 1:.2f} are in use, "
            f"{spreads[0] + 1:.2f} without adaptation"
        )
    return ""


def forgotten(right_before: float, right_after: float) -> str:
    """Say that the source is no longer known, from the accuracies on it; empty where it is."""
    if right_before - right_after > MOST_LOST:
        return (
            f"{right_after:.0%} of the source is predicted rightly, {right_before:.0%} "
            "without adaptation"
        )
    return ""


def all_unknown(share: float) -> str:
    """Say that nearly the whole target is taken for unknown; empty where it is not."""
    if share > MOST_UNKNOWN:
        return f"{share:.0%} of the target is taken for unknown"
    return ""
