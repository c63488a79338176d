"""Scores and gains from several runs of the same way to train: other seeds, other draws of labels.

Every run has a training of its own and is judged on the same items or on other ones. Two things
vary, and a new run on new items would vary by both: which items judge (a bootstrap over items or
groups, within the runs) and which run it is (the spread between the runs). Plain percentiles of a
two-stage bootstrap (runs, then items) are too narrow with a handful of runs, and count the items
twice where every run has its own. Here the two levels are measured apart and put together:
the variance of the mean over runs by the items that were drawn, plus what the runs differ by more
than items explain (the components of variance of a two-way or a nested layout: Owen, "The
pigeonhole bootstrap", Annals of Applied Statistics 1, 2007). On other items for every run that is
the larger of the two.

The degrees of freedom are the number of runs minus one where the runs vary more than the items,
so that three seeds are told apart from thirty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, FloatArray, Gain, Score
from headstart.evaluate.basis import Basis, basis, discordant
from headstart.evaluate.compiled import Compiled, compiled
from headstart.evaluate.intervals import check_options, judged, score_interval
from headstart.evaluate.metrics import METRICS
from headstart.evaluate.predictions import Predictions
from headstart.evaluate.resample import resamples

FEWEST_RUNS = 3
"""Runs below which their spread cannot be told: intervals over two cover as little as 87 %."""


def score_over_runs(
    metric: str,
    truths: Sequence[AnyArray],
    predictions: Sequence[Predictions],
    *,
    same_items: bool,
    groups: Sequence[AnyArray] | None = None,
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
) -> Score:
    """Measure a way to train over several runs of it, with the interval of a new run on new items.

    Parameters
    ----------
    metric : str
        A key of ``METRICS``.
    truths : sequence of J arrays of shape (n_j,)
        True classes, or values, of the items that judge each run; J at least 3.
    predictions : sequence of J Predictions
        Of each run for its items.
    same_items : bool
        Whether all runs are judged on the same items, in the same order. False: on other ones.
    groups : sequence of J arrays of shape (n_j,), optional
        Items of one group are drawn together.
    seed : int
    n_boot : int
        Number of bootstrap samples, at least 100.
    level : float
        Confidence of the interval, between 0.5 and 1.

    Returns
    -------
    Score
        The mean over the runs; ``n`` is the number of different items.

    Raises
    ------
    UnknownNameError, OptionError, DataError
        As ``score``; also if there are fewer than 3 runs, or what belongs together differs.

    Examples
    --------
    >>> truth = np.array(["a"] * 50)
    >>> runs = [Predictions(np.array(["a"] * k + ["b"] * (50 - k))) for k in (40, 42, 44, 42)]
    >>> print(score_over_runs("accuracy", [truth] * 4, runs, same_items=True))
    0.840 [0.717, 0.916]
    """
    check_options(n_boot, level)
    _check_runs(truths, {"predictions": predictions}, groups, same_items=same_items)
    parts = [compiled(metric, *pair) for pair in zip(truths, predictions, strict=True)]
    values = np.array([float(part(_ones(t))[0]) for part, t in zip(parts, truths, strict=True)])
    rests = _joined(metric, truths, groups, same_items=same_items)
    boots = _boots(parts, truths, groups, seed, n_boot, same_items=same_items)
    se, freedom = _combined(metric, values, boots, truths, groups, rests, same_items=same_items)
    estimate = float(values.mean())
    low, high = score_interval(metric, estimate, se, replace(rests, freedom=freedom), level)
    return Score(metric, estimate, low, high, len(rests.drawn.of_item))


def gain_over_runs(
    metric: str,
    truths: Sequence[AnyArray],
    transfers: Sequence[Predictions],
    baselines: Sequence[Predictions],
    *,
    same_items: bool,
    groups: Sequence[AnyArray] | None = None,
    seed: int = 0,
    n_boot: int = 1000,
    name: str = "scratch",
    margin: float = 0.01,
    level: float = 0.95,
) -> Gain:
    """Measure how much better one way to train is than another, over several runs of both.

    Parameters
    ----------
    metric : str
        A key of ``METRICS``.
    truths : sequence of J arrays of shape (n_j,)
        As in ``score_over_runs``.
    transfers, baselines : sequence of J Predictions
        Of the two in each run, for the same items.
    same_items, groups, seed, n_boot, level
        As in ``score_over_runs``.
    name : str
        What the baseline is called.
    margin : float
        As in ``gain``.

    Returns
    -------
    Gain
        The mean over the runs; its interval is that of the mean, for new runs on new items.

    Raises
    ------
    UnknownNameError, OptionError, DataError
        As ``score_over_runs``; also if ``margin`` is negative.

    Examples
    --------
    >>> truth = np.array(["a"] * 50)
    >>> hits = [Predictions(np.array(["a"] * k + ["b"] * (50 - k))) for k in (44, 46, 45)]
    >>> poor = Predictions(np.array(["a"] * 30 + ["b"] * 20))
    >>> print(gain_over_runs("accuracy", [truth] * 3, hits, [poor] * 3, same_items=True))
    +0.300 [0.148, 0.429] over scratch: positive transfer
    """
    check_options(n_boot, level, margin)
    both = {"transfers": transfers, "baselines": baselines}
    _check_runs(truths, both, groups, same_items=same_items)
    first = [compiled(metric, *pair) for pair in zip(truths, transfers, strict=True)]
    second = [compiled(metric, *pair) for pair in zip(truths, baselines, strict=True)]
    sign = METRICS[metric].sign
    reference = np.array([float(f(_ones(t))[0]) for f, t in zip(second, truths, strict=True)])
    values = np.array([float(f(_ones(t))[0]) for f, t in zip(first, truths, strict=True)])
    values = sign * (values - reference)
    rests = _joined(metric, truths, groups, same_items=same_items)
    boots = _boots(first, truths, groups, seed, n_boot, same_items=same_items)
    boots = boots - _boots(second, truths, groups, seed, n_boot, same_items=same_items)
    se, freedom = _combined(metric, values, boots, truths, groups, rests, same_items=same_items)
    differing = [
        discordant(metric, t, a, b, basis(metric, t, g).drawn)
        for t, a, b, g in zip(truths, transfers, baselines, _each(groups, truths), strict=True)
    ]
    return judged(
        metric,
        float(values.mean()),
        se,
        replace(rests, freedom=freedom),
        level,
        differing=max(differing) if same_items else sum(differing),
        reference=float(reference.mean()),
        margin=margin,
        name=name,
    )


def _check_runs(
    truths: Sequence[AnyArray],
    models: dict[str, Sequence[Predictions]],
    groups: Sequence[AnyArray] | None,
    *,
    same_items: bool,
) -> None:
    """Refuse too few runs, and runs that do not belong together.

    Raises
    ------
    OptionError, DataError
        If so.
    """
    if len(truths) < FEWEST_RUNS:
        raise OptionError(
            "too few runs to tell how much they differ",
            got=len(truths),
            allowed=f"at least {FEWEST_RUNS}",
            hint="judge one run by `score` or `gain`",
        )
    given = {**models, **({} if groups is None else {"groups": groups})}
    for what, each in given.items():
        if len(each) != len(truths):
            raise DataError(
                "each run needs its own", where=what, got=len(each), allowed=[len(truths)]
            )
    if same_items and any(not np.array_equal(truths[0], truth) for truth in truths[1:]):
        raise DataError(
            "the runs were not judged on the same items: their true labels differ",
            hint="same_items=False, or bring the items into the same order",
        )


def _each(
    groups: Sequence[AnyArray] | None, truths: Sequence[AnyArray]
) -> Sequence[AnyArray | None]:
    return [None] * len(truths) if groups is None else list(groups)


def _ones(truth: AnyArray) -> FloatArray:
    return np.ones((len(truth), 1))


def _joined(
    metric: str, truths: Sequence[AnyArray], groups: Sequence[AnyArray] | None, *, same_items: bool
) -> Basis:
    """Return what all runs together rest on."""
    if same_items:
        return basis(metric, truths[0], None if groups is None else groups[0])
    codes, start = [], 0
    for truth, group in zip(truths, _each(groups, truths), strict=True):
        own = np.arange(len(truth)) if group is None else np.unique(group, return_inverse=True)[1]
        codes.append(own + start)
        start += int(own.max(initial=-1)) + 1
    return basis(metric, np.concatenate(list(truths)), np.concatenate(codes))


def _boots(
    parts: Sequence[Compiled],
    truths: Sequence[AnyArray],
    groups: Sequence[AnyArray] | None,
    seed: int,
    n_boot: int,
    *,
    same_items: bool,
) -> FloatArray:
    """Return bootstrap values of each run, (J, n_boot); the same draws where items are the same."""
    rows = []
    for number, (part, truth, group) in enumerate(
        zip(parts, truths, _each(groups, truths), strict=True)
    ):
        drawn = basis("accuracy", truth, group).drawn
        draws = resamples(drawn, n_boot, seed if same_items else seed + number)
        rows.append(np.concatenate([part(weights) for weights in draws]))
    return np.stack(rows)


def _combined(
    metric: str,
    values: FloatArray,
    boots: FloatArray,
    truths: Sequence[AnyArray],
    groups: Sequence[AnyArray] | None,
    rests: Basis,
    *,
    same_items: bool,
) -> tuple[float, float]:
    """Return the standard error of the mean over runs, and its degrees of freedom."""
    j = len(values)
    own = [basis(metric, t, g) for t, g in zip(truths, _each(groups, truths), strict=True)]
    errors = [one.standard_error(boot) for one, boot in zip(own, boots, strict=True)]
    alone = float(np.square(errors).mean())
    items = rests.standard_error(boots.mean(axis=0)) ** 2 if same_items else alone / j
    between = float(values.var(ddof=1)) / j
    # what items do to each run alone is seen between the runs, too: it counts once
    extra = max(0.0, between - max(0.0, alone - items) / (j - 1))
    total = items + extra
    if between > items:
        return float(np.sqrt(total)), j - 1.0
    if not total > 0 or rests.df <= 0:
        return float(np.sqrt(total)), rests.df
    freedom = total**2 / (items**2 / rests.df + extra**2 / (j - 1))
    # on other items a spread that is not seen may be there all the same
    return float(np.sqrt(total)), freedom if same_items else min(freedom, 3.0 * (j - 1))
