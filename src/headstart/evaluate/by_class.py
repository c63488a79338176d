"""What predictions get right and wrong class by class, and how far their confidence holds.

Precision and recall are shares, and so is F1 in disguise: with J = TP / (TP + FP + FN), the share
of right ones among the items that are of the class or taken for it, F1 = 2 J / (1 + J). So all
three get the interval of a share (Wilson, JASA 1927), which stays sound where everything is right.
Items of one group count as Kish's effective number of units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.evaluate.calibration import equal_bins, expected_calibration_error
from headstart.evaluate.resample import units

RELIABILITY_BINS = 10
Share = tuple[float, float, float]
"""A share with its 95 % interval: estimate, low, high."""


@dataclass(frozen=True)
class ClassScore:
    """How well one class is told.

    Parameters
    ----------
    name : str
    n, predicted : int
        Items of the class, and items that were taken for it.
    precision, recall, f1 : (estimate, low, high) or None
        None where there is nothing to take a share of.
    """

    name: str
    n: int
    predicted: int
    precision: Share | None
    recall: Share | None
    f1: Share | None


@dataclass(frozen=True)
class Bin:
    """Items of about the same confidence.

    Parameters
    ----------
    low, high, confidence : float
        The least, the largest and the mean confidence.
    n : int
    accuracy, accuracy_low, accuracy_high : float
        The share of right answers with its 95 % interval.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


def share(right: AnyArray, groups: IntArray | None = None) -> Share:
    """Return the share of True with its 95 % interval (Wilson).

    Parameters
    ----------
    right : ndarray of shape (n,), bool; n >= 1
    groups : ndarray of shape (n,), optional
        Items of one group count together.

    Raises
    ------
    DataError
        There is no item.

    Examples
    --------
    >>> [round(value, 4) for value in share(np.array([True] * 9 + [False]))]
    [0.9, 0.5958, 0.9821]
    """
    held = np.asarray(right, dtype=float)
    p, n = float(held.mean()) if len(held) else 0.0, units(len(held), groups).effective
    z = float(ndtri(0.975))
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def class_scores(
    truth: AnyArray,
    predicted: AnyArray,
    classes: Sequence[str],
    *,
    groups: IntArray | None = None,
) -> list[ClassScore]:
    """Return precision, recall and F1 of each class, with 95 % intervals.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n,)
        Of classes.
    classes : sequence of str
    groups : ndarray of shape (n,), optional

    Returns
    -------
    list of ClassScore
        In the order of ``classes``.

    Raises
    ------
    DataError
        The two have other lengths, or there is no item.

    Examples
    --------
    >>> one = class_scores(np.array(["a", "a", "b"]), np.array(["a", "b", "b"]), ["a"])[0]
    >>> one.n, one.predicted, one.recall[0], one.precision[0], round(one.f1[0], 4)
    (2, 1, 0.5, 1.0, 0.6667)
    """
    if len(truth) != len(predicted):
        raise DataError("a prediction for each item", got=len(predicted), allowed=[len(truth)])
    units(len(truth), groups)

    def among(kept: AnyArray, right: AnyArray) -> Share | None:
        if not kept.any():
            return None
        return share(right[kept], None if groups is None else groups[kept])

    found = []
    for name in classes:
        own, taken = truth == name, predicted == name
        union = among(own | taken, own & taken)
        f1 = None if union is None else tuple(2 * j / (1 + j) for j in union)
        found.append(
            ClassScore(
                str(name),
                int(own.sum()),
                int(taken.sum()),
                among(taken, own),
                among(own, taken),
                None if f1 is None else (f1[0], f1[1], f1[2]),
            )
        )
    return found


def confusion(truth: AnyArray, predicted: AnyArray, classes: Sequence[str]) -> IntArray:
    """Return how many items of each class (rows) were taken for each class (columns).

    Labels that are none of ``classes`` are not counted.

    Examples
    --------
    >>> confusion(np.array(["a", "a", "b"]), np.array(["a", "b", "b"]), ["a", "b"]).tolist()
    [[1, 1], [0, 1]]
    """
    place = {str(name): i for i, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for own, taken in zip(truth, predicted, strict=True):
        if own in place and taken in place:
            counts[place[own], place[taken]] += 1
    return counts


def reliability(
    confidence: FloatArray, right: AnyArray, *, groups: IntArray | None = None
) -> tuple[list[Bin], float]:
    """Return confidence against the share of right answers, in bins of about as many items each.

    Parameters
    ----------
    confidence : ndarray of shape (n,)
        0 to 1.
    right : ndarray of shape (n,), bool
    groups : ndarray of shape (n,), optional

    Returns
    -------
    list of Bin
        From low to high confidence.
    float
        The expected calibration error over the same bins.
    """
    if not len(confidence):
        return [], 0.0
    of_bin = equal_bins(confidence, RELIABILITY_BINS)
    found = []
    for code in np.unique(of_bin):
        own = of_bin == code
        estimate, low, high = share(right[own], None if groups is None else groups[own])
        held = confidence[own]
        found.append(
            Bin(
                float(held.min()),
                float(held.max()),
                int(own.sum()),
                float(held.mean()),
                estimate,
                low,
                high,
            )
        )
    return found, expected_calibration_error(confidence, right, RELIABILITY_BINS)
