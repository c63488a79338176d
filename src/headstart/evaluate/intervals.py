"""A score and a gain with their intervals, and the verdict.

The bootstrap over items, or over groups, gives the standard error; the interval is then built
around the estimate from the t distribution. Percentiles of the bootstrap are not used: they are
too narrow for few items, collapse to a point where nothing is wrong, and for metrics that average
over classes they are biased downwards (rare classes vanish from resamples).

* Metrics between 0 and 1: Wilson's score interval with the effective number of items that the
  standard error implies (Korn & Graubard 1998; Wilson 1927). A perfect score so keeps an interval.
* Gains of such metrics: the standard error gets the share of two more items, one won and one lost
  (Bonett & Price 2012), so that two models without a difference on 50 items are not called equal.
* Metrics without bounds: plain t intervals, of RMSE, MAE and log loss on the log scale.

The degrees of freedom are the effective number of groups minus one: a handful of groups gives a
wide interval, and a single one gives no information at all: the whole range.
"""

from __future__ import annotations

import math

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, FloatArray, Gain, Score, Verdict
from headstart.evaluate.compiled import compiled
from headstart.evaluate.metrics import METRICS, Metric
from headstart.evaluate.predictions import Predictions
from headstart.evaluate.resample import Units, resamples, units


def score(
    metric: str,
    truth: AnyArray,
    predictions: Predictions,
    *,
    groups: AnyArray | None = None,
    seed: int = 0,
    n_boot: int = 2000,
    level: float = 0.95,
) -> Score:
    """Measure predictions, with an interval.

    Parameters
    ----------
    metric : str
        A key of ``METRICS``.
    truth : ndarray of shape (n,)
        True classes, or float values for regression.
    predictions : Predictions
        Of length n.
    groups : array of shape (n,), optional
        Items of one group are not independent: whole groups are drawn.
    seed : int
    n_boot : int
        Number of bootstrap samples, at least 100.
    level : float
        Confidence of the interval, between 0.5 and 1.

    Returns
    -------
    Score
        ``n`` is the number of items.

    Raises
    ------
    UnknownNameError, OptionError, DataError
        As ``compiled``; also if ``n_boot`` or ``level`` is out of range.

    Examples
    --------
    >>> truth = np.array(["a"] * 50)
    >>> print(score("accuracy", truth, Predictions(truth)))
    1.000 [0.925, 1.000]
    """
    check_options(n_boot, level)
    evaluate = compiled(metric, truth, predictions)
    estimate = float(evaluate(np.ones((len(truth), 1)))[0])
    drawn = units(len(truth), groups)
    boot = np.concatenate([evaluate(weights) for weights in resamples(drawn, n_boot, seed)])
    low, high = score_interval(
        METRICS[metric],
        estimate,
        standard_error(boot, drawn),
        size=pseudo_size(METRICS[metric], truth, drawn),
        df=drawn.effective - 1,
        level=level,
    )
    return Score(metric, estimate, low, high, len(truth))


def gain(
    metric: str,
    truth: AnyArray,
    transfer: Predictions,
    baseline: Predictions,
    *,
    groups: AnyArray | None = None,
    seed: int = 0,
    n_boot: int = 2000,
    name: str = "scratch",
    margin: float = 0.01,
    level: float = 0.95,
) -> Gain:
    """Measure how much better one model is than another on the same items.

    Both are scored on the same resamples; positive means that ``transfer`` is better, also for
    metrics of which less is better.

    Parameters
    ----------
    metric : str
        A key of ``METRICS``.
    truth : ndarray of shape (n,)
    transfer, baseline : Predictions
        Of length n, for the same items.
    groups : array of shape (n,), optional
        Items of one group are not independent: whole groups are drawn.
    seed : int
    n_boot : int
        Number of bootstrap samples, at least 100.
    name : str
        What the baseline is called.
    margin : float
        Differences smaller than this do not matter; for RMSE, MAE and log loss as a share of the
        baseline's score.
    level : float
        Confidence of the interval, between 0.5 and 1.

    Returns
    -------
    Gain
        With its verdict, see ``verdict``.

    Raises
    ------
    UnknownNameError, OptionError, DataError
        As ``score``; also if ``margin`` is negative.

    Examples
    --------
    >>> truth = np.array(["a", "b"] * 50)
    >>> right, half = Predictions(truth), Predictions(np.array(["a"] * 100))
    >>> print(gain("accuracy", truth, right, half))
    +0.500 [0.386, 0.594] over scratch: positive transfer
    """
    check_options(n_boot, level, margin)
    first, second = compiled(metric, truth, transfer), compiled(metric, truth, baseline)
    found, once = METRICS[metric], np.ones((len(truth), 1))
    reference = float(second(once)[0])
    estimate = found.sign * (float(first(once)[0]) - reference)
    drawn = units(len(truth), groups)
    blocks = [first(w) - second(w) for w in resamples(drawn, n_boot, seed)]
    low, high = gain_interval(
        found,
        estimate,
        standard_error(np.concatenate(blocks), drawn),
        size=pseudo_size(found, truth, drawn),
        df=drawn.effective - 1,
        level=level,
        scale=margin_scale(found, reference),
    )
    return Gain(
        estimate,
        low,
        high,
        len(truth),
        baseline=name,
        metric=metric,
        verdict=verdict(low, high, margin * margin_scale(found, reference)),
    )


def verdict(low: float, high: float, margin: float) -> Verdict:
    """Say what an interval of a gain means.

    ``positive`` if it lies above zero, ``negative`` if below, ``none`` if all of it is within
    ``margin`` of zero, else ``inconclusive``.

    Parameters
    ----------
    low, high : float
        The ends of the interval.
    margin : float
        Differences smaller than this do not matter, at least 0.
    """
    if low > 0:
        return "positive"
    if high < 0:
        return "negative"
    return "none" if -margin <= low and high <= margin else "inconclusive"


def labels_to_settle(measured: Gain, *, level: float = 0.95) -> int | None:
    """Guess how many judged items would settle an inconclusive comparison.

    The number at which the interval, shrinking with the root of the number of items, would no
    longer contain zero if the gain stays as measured (normal approximation: the chance that it
    then does is about one half).

    Parameters
    ----------
    measured : Gain
    level : float
        Confidence of the gain's interval; the guess does not depend on it as long as the new
        interval has the same one.

    Returns
    -------
    int or None
        None if the comparison is settled, if nothing can be said (no measured difference, or an
        interval without end), or if more than 10 million would be needed.

    Raises
    ------
    OptionError
        If ``level`` is not between 0.5 and 1.

    Examples
    --------
    >>> labels_to_settle(Gain(0.02, -0.02, 0.06, 100))
    400
    """
    check_options(100, level)
    half = (measured.high - measured.low) / 2
    if measured.verdict != "inconclusive" or not math.isfinite(half):
        return None
    if abs(measured.estimate) * 1e4 <= half:
        return None
    needed = math.ceil(round(measured.n * (half / measured.estimate) ** 2, 6))
    return max(needed, measured.n + 1) if needed <= 10_000_000 else None


def check_options(n_boot: int, level: float, margin: float = 0.0) -> None:
    """Refuse options of the bootstrap that are out of range.

    Raises
    ------
    OptionError
        If one is.
    """
    if n_boot < 100:
        raise OptionError("too few bootstrap samples", where="n_boot", got=n_boot, allowed=">= 100")
    if not 0.5 < level < 1:
        raise OptionError(
            "the confidence must lie between 0.5 and 1", where="level", got=level, allowed="0.95"
        )
    if not margin >= 0:
        raise OptionError(
            "the margin cannot be negative", where="margin", got=margin, allowed=">= 0"
        )


def standard_error(boot: FloatArray, drawn: Units) -> float:
    """Return the standard error from bootstrap values, with the small-sample factor.

    The variance of a bootstrap over m units is too small by (m - 1) / m. Undefined resamples are
    left out; with a single unit there is no standard error: NaN.
    """
    known = boot[~np.isnan(boot)]
    if drawn.count < 2 or len(known) < 2:
        return math.nan
    return float(known.std()) * math.sqrt(drawn.count / (drawn.count - 1))


def pseudo_size(metric: Metric, truth: AnyArray, drawn: Units) -> float:
    """Return the number of independent items that a perfect score would rest on.

    For accuracy the (effective) number of units; for metrics that average over classes not more
    than the number of classes times the harmonic mean of their sizes.
    """
    size = drawn.effective
    if not metric.bounded or metric.name == "accuracy":
        return size
    _, counts = np.unique(np.asarray(truth).astype(str), return_counts=True)
    return min(size, len(counts) ** 2 / float((1 / counts).sum()))


def score_interval(
    metric: Metric, estimate: float, se: float, *, size: float, df: float, level: float
) -> tuple[float, float]:
    """Return the interval of a score; see the head of this file."""
    bounded = metric.bounded
    if math.isnan(se) or df <= 0:
        low = 0.0 if bounded or not metric.greater_is_better else -math.inf
        return low, (1.0 if bounded or metric.name == "r2" else math.inf)
    t = _quantile(df, level)
    if bounded:
        return _wilson(estimate, se, size, t)
    if metric.name == "r2" or estimate <= 0:
        return estimate - t * se, min(estimate + t * se, 1.0 if metric.name == "r2" else math.inf)
    factor = math.exp(t * se / estimate)
    return estimate / factor, estimate * factor


def _wilson(p: float, se: float, size: float, t: float) -> tuple[float, float]:
    """Return Wilson's interval for as many items as give p the standard error se."""
    spread = p * (1 - p)
    n = spread / se**2 if se > 0 and spread > 0 else size
    centre = (p + t**2 / (2 * n)) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * math.sqrt(spread / n + t**2 / (4 * n**2))
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def gain_interval(
    metric: Metric,
    estimate: float,
    se: float,
    *,
    size: float,
    df: float,
    level: float,
    scale: float,
) -> tuple[float, float]:
    """Return the interval of a gain; see the head of this file.

    ``scale`` is the size of a whole item won: 1 for metrics between 0 and 1, the baseline's score
    otherwise.
    """
    bounded = metric.bounded
    if math.isnan(se) or df <= 0:
        return (-1.0, 1.0) if bounded else (-math.inf, math.inf)
    floor = scale * math.sqrt(2) / (size + 2) if bounded or se == 0 else 0.0
    half = _quantile(df, level) * math.hypot(se, floor)
    centre = estimate * size / (size + 2) if bounded else estimate
    low, high = min(centre - half, estimate), max(centre + half, estimate)
    return (max(low, -1.0), min(high, 1.0)) if bounded else (low, high)


def margin_scale(metric: Metric, reference: float) -> float:
    """Return the score that margins of metrics without bounds are a share of."""
    if metric.bounded or metric.name == "r2":
        return 1.0
    return abs(reference)


def _quantile(df: float, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + level) / 2))
