"""With labels of the target: does the source model err more there than the shift accounts for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.evaluate.shift_domain import SOURCE, Sample
from headstart.evaluate.shift_labels import Scores

STRATA = 5
FEWEST = 10
"""Held-out source rows that a stratum needs to be comparable."""
LEAST_SHARE = 0.5
Z = 1.959964


@dataclass(frozen=True)
class ErrorShift:
    """Accuracy of the source model in both domains, and what the shift accounts for.

    Parameters
    ----------
    source, target : float
        Accuracy on held-out source rows and on labelled target rows.
    drop, low, high : float
        The first less the second, with a 95 % interval.
    n : int
        Labelled rows of the target.
    at_same_features : float or None
        Drop that is left among rows of equal likeness to the target and equal confidence: zero in
        a pure covariate shift. None where fewer than half of the target's rows have like ones.
    at_same_classes : float or None
        Drop that is left within classes: zero in a pure label shift.
    comparable : float
        Share of labelled target rows that have like rows in the source.
    p : float or None
        Of the hypothesis that either accounts for all of the drop (the larger of both p-values).
    """

    source: float
    target: float
    drop: float
    low: float
    high: float
    n: int
    at_same_features: float | None
    at_same_classes: float | None
    comparable: float
    p: float | None


def error_shift(
    sample: Sample, scores: Scores, likeness: FloatArray | None, rows: IntArray, truth: IntArray
) -> ErrorShift:
    """Compare the errors of the source model in both domains.

    Parameters
    ----------
    sample : Sample
    scores : Scores
    likeness : array of shape (N,), optional
        How much each row looks like the target.
    rows : int array
        Places of the labelled target rows in the sample.
    truth : int array
        Their classes.
    """
    ours = sample.of(SOURCE)
    guessed, sure = scores.guessed, scores.probabilities.max(axis=1)
    right, real = guessed[ours] == scores.codes[ours], scores.codes[ours]
    hit = guessed[rows] == truth
    drop, error = _difference(*_rate(right), *_rate(hit))
    classes, class_p, _ = _left(right, real, hit, truth)
    features, feature_p, comparable = None, None, 0.0
    if likeness is not None:
        cells = _strata(likeness, sure, rows)
        features, feature_p, comparable = _left(right, cells[ours], hit, cells[rows])
    known = feature_p is not None and class_p is not None
    return ErrorShift(
        float(right.mean()),
        float(hit.mean()),
        float(right.mean() - hit.mean()),
        max(-1.0, drop - Z * error),
        min(1.0, drop + Z * error),
        len(rows),
        features,
        classes,
        comparable,
        max(feature_p or 0.0, class_p or 0.0) if known else None,
    )


def _rate(right: AnyArray) -> tuple[float, float]:
    """Return a rate and its variance, with one hit and one miss more (Agresti & Caffo 2000)."""
    rate = (float(right.sum()) + 1) / (len(right) + 2)
    return rate, rate * (1 - rate) / (len(right) + 2)


def _difference(first: float, spread: float, second: float, other: float) -> tuple[float, float]:
    return first - second, math.sqrt(spread + other)


def _strata(likeness: FloatArray, sure: FloatArray, rows: IntArray) -> IntArray:
    """Return a cell for each row: fifths of likeness times halves of confidence."""
    edges = np.quantile(likeness[rows], np.arange(1, STRATA) / STRATA)
    outside = (likeness < likeness[rows].min()) | (likeness > likeness[rows].max())
    cells = 2 * np.searchsorted(edges, likeness) + (sure > np.median(sure[rows]))
    return np.where(outside, -1, cells)


def _left(
    right: AnyArray, cell: IntArray, hit: AnyArray, target_cell: IntArray
) -> tuple[float | None, float | None, float]:
    """Return the drop within cells weighed by the target, its p-value, and the share compared."""
    from scipy.stats import norm

    names, counts = np.unique(target_cell, return_counts=True)
    usable = [
        (name, count)
        for name, count in zip(names, counts, strict=True)
        if (cell == name).sum() >= FEWEST
    ]
    total = sum(count for _, count in usable)
    share = total / len(target_cell)
    if share < LEAST_SHARE:
        return None, None, float(share)
    expected, spread = 0.0, 0.0
    for name, count in usable:
        rate, variance = _rate(right[cell == name])
        expected += count / total * rate
        spread += (count / total) ** 2 * variance
    seen = np.isin(target_cell, [name for name, _ in usable])
    rate, variance = _rate(hit[seen])
    drop = expected - rate
    return drop, float(2 * norm.sf(abs(drop) / math.sqrt(spread + variance))), float(share)
