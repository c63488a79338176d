"""Learning curves: the score of transfer and of scratch against the number of labels.

The interval of a point, and of whatever is computed from the curve, counts three things:

* the judging items are few: they are drawn again (bootstrap over items, or over groups), the same
  ones for all points and both models, so that differences are paired;
* the labels that were learnt from are one draw: the spread between repeated subsamples of the same
  size n, out of N, is that of kappa (1/n - 1/N), pooled over the points, because each of them has
  few repeats;
* all subsamples come out of the same N labels, which are a draw too: kappa / N, the same for all
  points (so that what was learnt from all N, once, has an interval as well).

The last two enter as normal noise with the tails of the t distribution of as many degrees of
freedom as there are repeats to spare. ``Curve.draws`` are curves with all three at work, and every
interval is one of percentiles of what those curves give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, FloatArray
from headstart.evaluate.basis import Basis, basis
from headstart.evaluate.compiled import Compiled, compiled
from headstart.evaluate.intervals import score_interval
from headstart.evaluate.metrics import METRICS, Metric
from headstart.evaluate.predictions import Predictions
from headstart.evaluate.resample import resamples

Censored = Literal["", "above", "below"]
TRANSFER, SCRATCH = 0, 1
PRIOR_DF = 2
"""What the pooled spread weighs in the spread of one point, in repeats."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; an end is None where what was measured does not reach.

    ``censored`` is "above" where the number itself lies beyond what was measured: it is then
    larger than ``estimate``; "below": smaller.
    """

    estimate: float
    low: float | None
    high: float | None
    censored: Censored = ""


@dataclass(frozen=True, eq=False)
class Run:
    """What two models predict for the judging items, both learnt from the same n labels.

    Parameters
    ----------
    n : float
        Labels a class; labels in all for regression.
    transfer, scratch : Predictions
    """

    n: float
    transfer: Predictions
    scratch: Predictions


@dataclass(frozen=True, eq=False)
class Point:
    """One point of a curve.

    Parameters
    ----------
    n : float
        Labels a class; labels in all for regression.
    repeats : ndarray of shape (r, 2)
        Score of each repeat: transfer, scratch.
    transfer, scratch : Estimate
    gain : Estimate
        Transfer over scratch, paired; positive is better.
    """

    n: float
    repeats: FloatArray
    transfer: Estimate
    scratch: Estimate
    gain: Estimate


@dataclass(frozen=True, eq=False)
class Curve:
    """Score against labels, of transfer and of scratch.

    Parameters
    ----------
    metric : str
    points : tuple of Point
        By number of labels, fewest first.
    draws : ndarray of shape (b, points, 2)
        Curves as they might have come out; see the head of this file.
    unit : str
        What n counts: "labels a class" or "labels".
    transfer : str
        Name of the transfer candidate.
    level : float
        Confidence of all intervals.
    """

    metric: str
    points: tuple[Point, ...]
    draws: FloatArray
    unit: str = "labels a class"
    transfer: str = "transfer"
    level: float = 0.95

    @property
    def n(self) -> FloatArray:
        """Number of labels of each point."""
        return np.array([point.n for point in self.points], dtype=np.float64)

    @property
    def scores(self) -> FloatArray:
        """Mean scores, of shape (points, 2): transfer, scratch."""
        return np.array([point.repeats.mean(axis=0) for point in self.points])

    @property
    def of(self) -> Metric:
        """The metric."""
        return METRICS[self.metric]

    def interval(self, function: Callable[[FloatArray], FloatArray]) -> tuple[float, float, float]:
        """Return what a function of curves gives here: estimate, low, high.

        Parameters
        ----------
        function : callable
            From curves of shape (b, points, 2) to b numbers; they may be infinite.
        """
        estimate = float(function(self.scores[None])[0])
        found = function(self.draws)
        tail = (1 - self.level) / 2
        # not interpolated: numbers that are infinite would make neighbours of them NaN
        low, high = np.quantile(found, [tail, 1 - tail], method="inverted_cdf")
        return estimate, min(float(low), estimate), max(float(high), estimate)


def curve_of(
    metric: str,
    truth: AnyArray,
    runs: Sequence[Run],
    *,
    groups: AnyArray | None = None,
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
    out_of_fold: bool = False,
    unit: str = "labels a class",
    transfer: str = "transfer",
) -> Curve:
    """Put repeated runs on growing subsamples together into a curve with intervals.

    Parameters
    ----------
    metric : str
        A key of ``METRICS``.
    truth : ndarray of shape (m,)
        Labels of the judging items.
    runs : sequence of Run
        In any order; several of the same n are repeats. The largest n is all there is.
    groups : array of shape (m,), optional
        Judging items of one group are not independent.
    seed : int
    n_boot : int
        Number of drawn curves.
    level : float
    out_of_fold : bool
        Whether the predictions are out-of-fold ones, as in ``score``.
    unit, transfer : str
        As in ``Curve``.

    Raises
    ------
    DataError
        There are no runs, or one is on less than no label.
    UnknownNameError, OptionError
        As ``compiled``.
    """
    if not runs or min(run.n for run in runs) <= 0:
        raise DataError("a learning curve needs runs on one label at least", got=len(runs))
    prepared = [
        (compiled(metric, truth, r.transfer), compiled(metric, truth, r.scratch)) for r in runs
    ]
    rests = basis(metric, truth, groups, out_of_fold=out_of_fold)
    once = np.ones((len(truth), 1))
    found = np.array([[float(model(once)[0]) for model in pair] for pair in prepared])
    sizes = np.array(sorted({run.n for run in runs}), dtype=np.float64)
    of_point = [np.array([i for i, run in enumerate(runs) if run.n == n]) for n in sizes]
    repeats = [found[index] for index in of_point]
    boot = _item_draws(prepared, of_point, rests, n_boot, seed)
    boot = np.where(np.isnan(boot), np.array([r.mean(axis=0) for r in repeats]), boot)
    return assembled(
        metric,
        sizes,
        repeats,
        boot,
        rests=rests,
        seed=seed,
        level=level,
        unit=unit,
        transfer=transfer,
    )


def _item_draws(
    prepared: Sequence[tuple[Compiled, Compiled]],
    of_point: Sequence[AnyArray],
    rests: Basis,
    n_boot: int,
    seed: int,
) -> FloatArray:
    """Return the mean scores on resampled judging items, of shape (n_boot, points, 2)."""
    blocks = []
    for weights in resamples(rests.drawn, n_boot, seed):
        each = np.array([[model(weights) for model in pair] for pair in prepared])
        blocks.append(np.stack([each[index].mean(axis=0) for index in of_point]))
    return np.concatenate(blocks, axis=2).transpose(2, 0, 1)


def assembled(
    metric: str,
    sizes: FloatArray,
    repeats: Sequence[FloatArray],
    item_draws: FloatArray,
    *,
    rests: Basis | None = None,
    seed: int = 0,
    level: float = 0.95,
    unit: str = "labels a class",
    transfer: str = "transfer",
) -> Curve:
    """Put scores together into a curve: the part of ``curve_of`` that needs no predictions.

    Parameters
    ----------
    metric : str
    sizes : ndarray of shape (k,)
        Numbers of labels, growing.
    repeats : sequence of k ndarrays of shape (r, 2)
        Scores of the repeats at each size: transfer, scratch.
    item_draws : ndarray of shape (b, k, 2)
        Mean scores on resampled judging items.
    rests : Basis, optional
        What the judging rests on; None where the judging items are taken as they are.
    """
    means = np.array([scores.mean(axis=0) for scores in repeats])
    spread = _spread(sizes, repeats)
    rng = np.random.default_rng([seed, 1])
    moved = item_draws - means
    if rests is not None:
        factor = rests.factor if math.isfinite(rests.factor) else 1.0
        moved = moved * factor * rests.dependence
        if METRICS[metric].bounded:  # two more items, as for gains: nobody is perfect
            two_more = math.sqrt(2) / (rests.size + 2)
            moved = moved + two_more * rng.normal(size=(len(moved), 1, 2))
    draws = means + moved + spread.noise(rng, len(moved), [len(scores) for scores in repeats])
    if METRICS[metric].bounded:
        draws = np.clip(draws, 0.0, 1.0)
    elif metric != "r2":
        draws = np.maximum(draws, 0.0)
    bare = Curve(metric, (), draws, unit, transfer, level)
    points = []
    for k, scores in enumerate(repeats):
        ends = [_ends(bare, k, model, means, item_draws, spread, rests) for model in (0, 1)]
        sign = METRICS[metric].sign
        gains = sign * (draws[:, k, TRANSFER] - draws[:, k, SCRATCH])
        gain = sign * float(means[k, TRANSFER] - means[k, SCRATCH])
        tail = (1 - level) / 2
        low, high = np.quantile(gains, [tail, 1 - tail])
        gained = Estimate(gain, min(float(low), gain), max(float(high), gain))
        points.append(Point(float(sizes[k]), scores, ends[0], ends[1], gained))
    return Curve(metric, tuple(points), draws, unit, transfer, level)


def _ends(
    bare: Curve,
    k: int,
    model: int,
    means: FloatArray,
    item_draws: FloatArray,
    spread: _Spread,
    rests: Basis | None,
) -> Estimate:
    """Return a point's score with its interval: by percentiles, or as ``score`` gives it."""
    estimate = float(means[k, model])
    if rests is None:
        tail = (1 - bare.level) / 2
        low, high = np.quantile(bare.draws[:, k, model], [tail, 1 - tail])
    else:
        items = rests.standard_error(item_draws[:, k, model])
        learnt = math.sqrt(spread.variance[k][model, model]) * spread.tails / rests.dependence
        se = math.hypot(items, learnt)
        low, high = score_interval(bare.metric, estimate, se, rests, bare.level)
    return Estimate(estimate, min(float(low), estimate), max(float(high), estimate))


@dataclass(frozen=True, eq=False)
class _Spread:
    """How far scores vary with the labels that are drawn to learn from.

    Parameters
    ----------
    sizes : ndarray of shape (k,)
    within : ndarray of shape (k, 2, 2)
        Covariance of the two scores between subsamples of the same labels.
    common : ndarray of shape (2, 2)
        Covariance that all points share: those labels are a draw themselves.
    variance : ndarray of shape (k, 2, 2)
        Covariance of the mean scores.
    df : int
        Degrees of freedom; 0 where nothing was repeated, and the spread is not known.
    """

    sizes: FloatArray
    within: FloatArray
    common: FloatArray
    variance: FloatArray
    df: int

    @property
    def tails(self) -> float:
        """By how much the t quantile exceeds the normal one."""
        from scipy.special import stdtrit

        return float(stdtrit(self.df, 0.975)) / 1.959964 if self.df else 1.0

    def noise(self, rng: np.random.Generator, count: int, repeats: Sequence[int]) -> FloatArray:
        """Draw deviations of the mean scores, of shape (count, k, 2)."""
        out = np.zeros((count, len(self.sizes), 2))
        if not self.df:
            return out
        state = rng.normal(size=(max(repeats), count, 2))
        for k, n in enumerate(self.sizes):
            if k:  # subsamples are nested: what was learnt from stays
                kept = float(self.sizes[k - 1] / n)
                fresh = rng.normal(size=state.shape)
                state = math.sqrt(kept) * state + math.sqrt(1 - kept) * fresh
            out[:, k] = state[: repeats[k]].mean(axis=0) @ _root(self.within[k]).T
        out += (rng.normal(size=(count, 2)) @ _root(self.common).T)[:, None]
        return out * np.sqrt(self.df / rng.chisquare(self.df, size=(count, 1, 1)))


def _spread(sizes: FloatArray, repeats: Sequence[FloatArray]) -> _Spread:
    whole = float(sizes[-1])
    spare = np.array([len(scores) - 1 for scores in repeats])
    raw = np.stack([np.cov(r.T, ddof=1) if len(r) > 1 else np.zeros((2, 2)) for r in repeats])
    left = 1 / sizes - 1 / whole  # kappa times this is the variance between subsamples
    usable = (spare > 0) & (left > 0)
    df = int(spare[usable].sum())
    kappa = np.zeros((2, 2))
    if df:
        each = raw[usable] / left[usable, None, None]
        kappa = np.average(each, axis=0, weights=spare[usable])
    weight = spare[:, None, None]
    within = (weight * raw + PRIOR_DF * kappa * left[:, None, None]) / (weight + PRIOR_DF)
    common = kappa / whole
    counts = np.array([len(scores) for scores in repeats])[:, None, None]
    return _Spread(sizes, within, common, within / counts + common, df)


def _root(matrix: FloatArray) -> FloatArray:
    """Return a square root of a covariance matrix that may be singular."""
    values, vectors = np.linalg.eigh(matrix)
    root: FloatArray = vectors * np.sqrt(np.maximum(values, 0.0))
    return root
