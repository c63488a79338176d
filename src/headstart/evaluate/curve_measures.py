"""What a learning curve says: the measures of Taylor & Stone (JMLR 2009), the label multiplier.

Where two numbers of labels are compared, both curves are first made monotone (isotonic regression:
more labels do not harm) and read off between the points on a logarithmic scale of labels.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import FloatArray
from headstart.evaluate.curve import SCRATCH, TRANSFER, Censored, Curve, Estimate


def jumpstart(curve: Curve) -> Estimate:
    """Return the gain over scratch at the fewest labels; positive is better."""
    return curve.points[0].gain


def asymptote(curve: Curve) -> Estimate:
    """Return the gain over scratch at the most labels that were there; positive is better."""
    return curve.points[-1].gain


def area_ratio(curve: Curve) -> Estimate | None:
    """Return (area under transfer - area under scratch) / area under scratch.

    Over the number of labels as it is, not its logarithm, by the trapezium rule, as Taylor & Stone
    define it; it so depends on where the curve begins and ends. The sign is turned for metrics of
    which less is better: positive is better. None where scratch has no area (a single point, or a
    score of zero throughout).

    Parameters
    ----------
    curve : Curve
    """
    n, sign = curve.n, curve.of.sign

    def ratio(scores: FloatArray) -> FloatArray:
        areas = ((scores[:, 1:] + scores[:, :-1]) / 2 * np.diff(n)[:, None]).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: FloatArray = (
                sign * (areas[:, TRANSFER] - areas[:, SCRATCH]) / np.abs(areas[:, SCRATCH])
            )
        return np.nan_to_num(found, nan=0.0)

    if len(n) < 2 or not np.isfinite(ratio(curve.scores[None])).all():
        return None
    if float(np.abs(curve.scores[:, SCRATCH]).max()) == 0.0:
        return None
    return _finite(*curve.interval(ratio))


@dataclass(frozen=True)
class TimeToThreshold:
    """How many labels transfer and scratch need to reach a score.

    Parameters
    ----------
    threshold : float
        The score.
    transfer, scratch : Estimate
        In the curve's unit; ``censored`` "above" where it is never reached, "below" where it is
        reached with the fewest labels already.
    """

    threshold: float
    transfer: Estimate
    scratch: Estimate


def time_to_threshold(curve: Curve, threshold: float | None = None) -> TimeToThreshold:
    """Return how many labels transfer and scratch need to reach a score.

    Parameters
    ----------
    curve : Curve
    threshold : float, optional
        By default the best that both reach: the worse of the two scores at the most labels.

    Raises
    ------
    OptionError
        The threshold is not a finite number.
    """
    sign = curve.of.sign
    if threshold is None:
        final = _monotone(sign * curve.scores[None])[0, -1]
        threshold = sign * float(final.min())
    elif not math.isfinite(threshold):
        raise OptionError("the score to reach must be a number", where="threshold", got=threshold)
    goal = np.array([sign * threshold])

    def needed(model: int) -> Estimate:
        def function(scores: FloatArray) -> FloatArray:
            smooth = _monotone(sign * scores)[:, :, model]
            return _reached(curve.n, smooth, np.broadcast_to(goal, len(smooth)))

        return _between(curve, *curve.interval(function), float(curve.n[0]), float(curve.n[-1]))

    return TimeToThreshold(threshold, needed(TRANSFER), needed(SCRATCH))


@dataclass(frozen=True)
class Multiplier(Estimate):
    """How many times as many labels scratch needs for the same score.

    Parameters
    ----------
    estimate, low, high, censored
        As in ``Estimate``; 1 where both need the same, below 1 where scratch needs fewer.
    n_transfer, n_scratch : float
        The numbers of labels that are compared.
    """

    n_transfer: float = math.nan
    n_scratch: float = math.nan


def label_multiplier(curve: Curve) -> Multiplier | None:
    """Return how many times as many labels scratch needs for the same score as transfer.

    It is read off at the best score that both reach, the highest at which nothing has to be
    guessed: where transfer ends higher, scratch's score with all labels, and how few of them
    transfer needs for it; where scratch ends higher, the other way round, and the multiplier is
    below 1. Where transfer is better with the fewest labels than scratch with all, the multiplier
    is larger than the ratio of the two: ``censored`` is "above", and there is no high end.

    Parameters
    ----------
    curve : Curve

    Returns
    -------
    Multiplier or None
        None for a curve of a single point.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.evaluate.curve import assembled
    >>> n = np.array([1.0, 2, 4, 8, 16])
    >>> scores = [np.array([[0.9 - 0.4 / (4 * m), 0.9 - 0.4 / m]]) for m in n]
    >>> found = assembled("accuracy", n, scores, np.array(scores).mean(axis=1)[None])
    >>> label_multiplier(found).estimate
    4.0
    """
    if len(curve.points) < 2:
        return None
    n, sign = curve.n, curve.of.sign
    widest = float(n[-1] / n[0])

    def ratio(scores: FloatArray) -> FloatArray:
        needed = _needed(n, sign * scores)
        with np.errstate(divide="ignore"):
            found: FloatArray = needed[:, SCRATCH] / needed[:, TRANSFER]
        return found

    at = _needed(n, sign * curve.scores[None])[0]
    found = _between(curve, *curve.interval(ratio), 1 / widest, widest)
    n_transfer, n_scratch = (float(max(value, n[0])) for value in at)
    return Multiplier(**asdict(found), n_transfer=n_transfer, n_scratch=n_scratch)


def multiplier_at(curve: Curve, n: float) -> Multiplier:
    """Return how many times as many labels scratch needs for what transfer reaches with n.

    Parameters
    ----------
    curve : Curve
    n : float
        Labels, one of the curve's points.

    Raises
    ------
    OptionError
        The curve has no such point.
    """
    place = np.flatnonzero(curve.n == n)
    if not len(place):
        raise OptionError(
            "the learning curve has no such point", where="n", got=n, allowed=list(curve.n)
        )
    sign, k = curve.of.sign, int(place[0])

    def ratio(scores: FloatArray) -> FloatArray:
        smooth = _monotone(sign * scores)
        return _reached(curve.n, smooth[:, :, SCRATCH], smooth[:, k, TRANSFER]) / n

    low, high = float(curve.n[0] / n), float(curve.n[-1] / n)
    found = _between(curve, *curve.interval(ratio), low, high)
    return Multiplier(**asdict(found), n_transfer=n, n_scratch=found.estimate * n)


def _needed(n: FloatArray, oriented: FloatArray) -> FloatArray:
    """Return the labels each needs for the best score both reach; 0 or less than any: below."""
    smooth = _monotone(oriented)
    goal = smooth[:, -1].min(axis=1)
    return np.stack([_reached(n, smooth[:, :, m], goal) for m in (TRANSFER, SCRATCH)], axis=1)


def _reached(n: FloatArray, rising: FloatArray, goal: FloatArray) -> FloatArray:
    """Return the least n at which rising curves (b, k) reach their goals (b,).

    Infinite where they never do; 0 where they stand above the goal from the first point on.
    """
    logs = np.log(n)
    out = np.full(len(rising), math.inf)
    slack = 1e-12
    reaches = rising >= goal[:, None] - slack
    any_, first = reaches.any(axis=1), reaches.argmax(axis=1)
    out[any_ & (first == 0)] = n[0]
    out[rising[:, 0] > goal + slack] = 0.0
    inner = np.flatnonzero(any_ & (first > 0))
    k = first[inner]
    before, after = rising[inner, k - 1], rising[inner, k]
    share = np.clip((goal[inner] - before) / (after - before), 0.0, 1.0)
    out[inner] = np.exp(logs[k - 1] + share * (logs[k] - logs[k - 1]))
    exact = np.isclose(share, 1.0, rtol=0, atol=1e-12)
    out[inner[exact]] = n[k[exact]]
    return out


def _monotone(oriented: FloatArray) -> FloatArray:
    """Return curves (b, k, 2) made rising: isotonic regression by the max-min formula."""
    k = oriented.shape[1]
    sums = np.concatenate([np.zeros_like(oriented[:, :1]), np.cumsum(oriented, axis=1)], axis=1)
    out = np.empty_like(oriented)
    for i in range(k):
        best = np.full_like(oriented[:, 0], -math.inf)
        for start in range(i + 1):
            means = [(sums[:, end] - sums[:, start]) / (end - start) for end in range(i + 1, k + 1)]
            best = np.maximum(best, np.min(means, axis=0))
        out[:, i] = best
    return out


def _between(
    curve: Curve, estimate: float, low: float, high: float, least: float, most: float
) -> Estimate:
    """Return an estimate whose ends are None beyond what was measured, and say so."""
    censored: Censored = ""
    if estimate > most * (1 + 1e-9):
        censored, estimate = "above", most
    elif estimate < least * (1 - 1e-9):
        censored, estimate = "below", least
    return Estimate(
        estimate,
        None if low < least * (1 - 1e-9) or censored == "below" else min(low, estimate),
        None if high > most * (1 + 1e-9) or censored == "above" else max(high, estimate),
        censored,
    )


def _finite(estimate: float, low: float, high: float) -> Estimate:
    return Estimate(
        estimate, low if math.isfinite(low) else None, high if math.isfinite(high) else None
    )


def as_plain(found: Estimate | None) -> dict[str, Any] | None:
    """Return an estimate as plain values: what JSON gets."""
    if found is None:
        return None
    return {**asdict(found), "censored": found.censored or None}
