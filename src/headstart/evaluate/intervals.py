"""A score and a gain with their intervals, and the verdict.

The bootstrap over items, or over groups, gives the standard error; the interval is then built
around the estimate from the t distribution. Percentiles of the bootstrap are not used: they are
too narrow for few items, collapse to a point where nothing is wrong, and for metrics that average
over classes they are biased downwards (rare classes vanish from resamples).

* Metrics between 0 and 1: Wilson's score interval with the effective number of items that the
  standard error implies (Korn & Graubard 1998; Wilson 1927); averages over classes cannot rest on
  more items than their small classes allow. A perfect score so keeps an interval.
* Gains of such metrics: the standard error gets the share of two more items, one won and one lost
  (Bonett & Price 2012), so that two models without a difference on 50 items are not called
  equal. In groups such a pair is worth what the groups that differ are worth.
* Error rates, which may exceed 1, are treated as shares as long as they do not.
* Metrics without bounds: plain t intervals, of RMSE, MAE and log loss on the log scale.

The degrees of freedom are the effective number of groups minus one: a handful of groups gives a
wide interval, and a single one gives no information at all: the whole range.
"""

from __future__ import annotations

import math

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, Gain, Score, Verdict
from headstart.evaluate.basis import Basis, basis, discordant
from headstart.evaluate.compiled import compiled
from headstart.evaluate.metrics import METRICS, known_metric
from headstart.evaluate.predictions import Predictions
from headstart.evaluate.resample import resamples


def score(
    metric: str,
    truth: AnyArray,
    predictions: Predictions,
    *,
    groups: AnyArray | None = None,
    seed: int = 0,
    n_boot: int = 2000,
    level: float = 0.95,
    out_of_fold: bool = False,
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
    out_of_fold : bool
        Whether these are out-of-fold predictions; they are not independent of one another, and
        the interval is wider by the root of two (see ``basis.OUT_OF_FOLD``).

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
    rests = basis(metric, truth, groups, out_of_fold=out_of_fold)
    estimate = float(evaluate(np.ones((len(truth), 1)))[0])
    boot = np.concatenate([evaluate(w) for w in resamples(rests.drawn, n_boot, seed)])
    low, high = score_interval(metric, estimate, rests.standard_error(boot), rests, level)
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
    out_of_fold: bool = False,
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
    out_of_fold : bool
        Whether these are out-of-fold predictions; they are not independent of one another, and
        the interval is wider by the root of two (see ``basis.OUT_OF_FOLD``).

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
    sign, once = METRICS[metric].sign, np.ones((len(truth), 1))
    rests = basis(metric, truth, groups, out_of_fold=out_of_fold)
    reference = float(second(once)[0])
    boot = [first(w) - second(w) for w in resamples(rests.drawn, n_boot, seed)]
    return judged(
        metric,
        sign * (float(first(once)[0]) - reference),
        rests.standard_error(np.concatenate(boot)),
        rests,
        level,
        differing=discordant(metric, truth, transfer, baseline, rests.drawn),
        reference=reference,
        margin=margin,
        name=name,
    )


def judged(
    metric: str,
    estimate: float,
    se: float,
    rests: Basis,
    level: float,
    *,
    differing: int,
    reference: float,
    margin: float,
    name: str,
) -> Gain:
    """Return a gain with its interval and verdict, from its estimate and standard error.

    Parameters
    ----------
    metric : str
        A key of ``METRICS``.
    estimate, se, rests, level, differing
        As ``gain_interval``.
    reference : float
        The baseline's score.
    margin, name
        As ``gain``.
    """
    scale = margin_scale(metric, reference)
    low, high = gain_interval(metric, estimate, se, rests, level, differing=differing, scale=scale)
    return Gain(
        estimate,
        low,
        high,
        len(rests.drawn.of_item),
        baseline=name,
        metric=metric,
        verdict=verdict(low, high, margin * scale),
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


def score_interval(
    metric: str, estimate: float, se: float, rests: Basis, level: float
) -> tuple[float, float]:
    """Return the interval of a score; see the head of this file.

    Parameters
    ----------
    metric : str
        A key of ``METRICS``.
    estimate, se : float
        The score and its standard error, by ``Basis.standard_error``.
    rests : Basis
    level : float
        Confidence.
    """
    found = known_metric(metric)
    if math.isnan(se) or rests.df <= 0:
        low = 0.0 if found.bounded or not found.greater_is_better else -math.inf
        return low, (1.0 if found.greater_is_better else math.inf)
    t = _quantile(rests.df, level)
    if found.bounded or (found.rate and estimate <= 1):
        return _wilson(estimate, se, rests, t)
    half = t * se * rests.dependence
    if metric == "r2" or estimate <= 0:
        return estimate - half, min(estimate + half, 1.0 if metric == "r2" else math.inf)
    if metric == "rmse":  # a variance: Bonett's (2006) small-sample correction
        half *= rests.size / max(rests.size - t, rests.size / 2)
    factor = math.exp(min(half / estimate, 700.0))
    return estimate / factor, estimate * factor


def _wilson(p: float, se: float, rests: Basis, t: float) -> tuple[float, float]:
    """Return Wilson's interval for as many items as give p the standard error se."""
    spread = p * (1 - p)
    n = min(spread / se**2, rests.ceiling) if se > 0 and spread > 0 else rests.size
    n /= rests.dependence**2
    centre = (p + t**2 / (2 * n)) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * math.sqrt(spread / n + t**2 / (4 * n**2))
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def gain_interval(
    metric: str,
    estimate: float,
    se: float,
    rests: Basis,
    level: float,
    *,
    differing: int,
    scale: float,
) -> tuple[float, float]:
    """Return the interval of a gain; see the head of this file.

    Parameters
    ----------
    metric : str
        A key of ``METRICS``.
    estimate, se : float
        The gain and its standard error, by ``Basis.standard_error``.
    rests : Basis
    level : float
        Confidence.
    differing : int
        Number of units in which the two models differ, by ``discordant``.
    scale : float
        By ``margin_scale``.
    """
    found = known_metric(metric)
    if math.isnan(se) or rests.df <= 0:
        return (-1.0, 1.0) if found.bounded else (-math.inf, math.inf)
    # two more units, one won and one lost, each worth as much as those that were seen to differ
    worth = 1.0
    if found.share and differing:
        count = rests.drawn.count
        worth = min(1.0, math.sqrt((se**2 * count + estimate**2) * count / differing))
    two_more = (
        math.sqrt(2) * worth * scale / (rests.size + 2) if found.share or not differing else 0.0
    )
    half = _quantile(rests.df, level) * rests.dependence * math.hypot(se, two_more)
    centre = estimate * rests.size / (rests.size + 2) if found.share else estimate
    low, high = min(centre - half, estimate), max(centre + half, estimate)
    return (max(low, -1.0), min(high, 1.0)) if found.bounded else (low, high)


def margin_scale(metric: str, reference: float) -> float:
    """Return the score that margins of metrics without bounds are a share of."""
    if known_metric(metric).share or metric == "r2":
        return 1.0
    return abs(reference)


def _quantile(df: float, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + level) / 2))
