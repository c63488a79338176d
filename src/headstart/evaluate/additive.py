"""Measures of sequence tasks: what each example adds, and the value that sums of it give.

Word error rate is errors over words, F1 twice the hits over what was said and what is true, BLEU
a function of n-gram counts: all are functions of sums over examples. So a bootstrap needs the
statistics of each example once, and a matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, FloatArray, Gain, Score
from headstart.evaluate.basis import Basis, basis_of
from headstart.evaluate.compiled import Compiled
from headstart.evaluate.intervals import judged, score_interval
from headstart.evaluate.metrics import Metric
from headstart.evaluate.resample import resamples

MARGIN = 0.01


@dataclass(frozen=True)
class Measure:
    """A measure that is a function of sums over examples.

    Parameters
    ----------
    metric : Metric
        Its name, direction and range.
    statistics : callable
        ``statistics(truth, said)`` of one example: k numbers that are summed.
    value : callable
        From sums of shape (k, b) to b values; NaN where they leave it undefined.
    """

    metric: Metric
    statistics: Callable[[Any, Any], Sequence[float]]
    value: Callable[[FloatArray], FloatArray]

    @property
    def name(self) -> str:
        """The name of the metric."""
        return self.metric.name

    @property
    def sign(self) -> float:
        """+1.0 where more is better, -1.0 where less is."""
        return self.metric.sign

    def of(self, truth: Sequence[Any], said: Sequence[Any]) -> FloatArray:
        """Return the statistics of n examples, (n, k) float64.

        Raises
        ------
        DataError
            The two differ in length, or there is no example.
        """
        if len(truth) != len(said):
            raise DataError(
                "truth and predictions differ in length", got=len(said), allowed=[len(truth)]
            )
        if not len(truth):
            raise DataError("there are no items to measure on", got=0, allowed="at least 1 item")
        rows = [self.statistics(one, other) for one, other in zip(truth, said, strict=True)]
        return np.asarray(rows, dtype=np.float64)

    def compiled(self, statistics: FloatArray) -> Compiled:
        """Return the function from weights (n, b) to b values."""
        turned = statistics.T

        def values(weights: FloatArray) -> FloatArray:
            return np.asarray(self.value(turned @ weights), dtype=np.float64)

        return values

    def total(self, statistics: FloatArray) -> float:
        """Return the value of all examples together."""
        return float(self.value(statistics.sum(axis=0)[:, None])[0])


def additive_score(
    measure: Measure,
    statistics: FloatArray,
    *,
    groups: AnyArray | None = None,
    seed: int = 0,
    n_boot: int = 2000,
    level: float = 0.95,
    out_of_fold: bool = False,
) -> Score:
    """Measure predictions, with an interval; as ``evaluate.score``.

    Parameters
    ----------
    measure : Measure
    statistics : ndarray of shape (n, k)
        Of ``measure.of``.
    groups, seed, n_boot, level, out_of_fold
        As ``evaluate.score``.

    Raises
    ------
    DataError
        ``groups`` has another length.
    """
    values = measure.compiled(statistics)
    rests = basis_of(len(statistics), groups, out_of_fold=out_of_fold)
    boot = np.concatenate([values(w) for w in resamples(rests.drawn, n_boot, seed)])
    estimate = measure.total(statistics)
    low, high = score_interval(measure.name, estimate, rests.standard_error(boot), rests, level)
    return Score(measure.name, estimate, low, high, len(statistics))


def additive_gain(
    measure: Measure,
    transfer: FloatArray,
    baseline: FloatArray,
    *,
    groups: AnyArray | None = None,
    seed: int = 0,
    n_boot: int = 2000,
    name: str = "scratch",
    margin: float = MARGIN,
    level: float = 0.95,
    out_of_fold: bool = False,
) -> Gain:
    """Measure how much better one model is than another on the same examples; positive is better.

    Parameters
    ----------
    measure : Measure
    transfer, baseline : ndarray of shape (n, k)
        Their statistics.
    name : str
        What the baseline is called.
    margin : float
        As ``evaluate.gain``.
    groups, seed, n_boot, level, out_of_fold
        As ``evaluate.score``.

    Raises
    ------
    DataError
        ``groups`` has another length.
    """
    rests = basis_of(len(transfer), groups, out_of_fold=out_of_fold)
    return _gain(
        measure,
        transfer,
        baseline,
        rests,
        estimate=measure.sign * (measure.total(transfer) - measure.total(baseline)),
        seed=seed,
        n_boot=n_boot,
        name=name,
        margin=margin,
        level=level,
    )


def additive_choice(
    measure: Measure,
    transfers: Mapping[str, FloatArray],
    baseline: FloatArray,
    *,
    groups: AnyArray | None = None,
    seed: int = 0,
    n_boot: int = 1000,
    name: str = "scratch",
    margin: float = MARGIN,
    level: float = 0.95,
) -> tuple[str, Score, Gain]:
    """Choose the best of some transfers out of fold, and measure it free of selection bias.

    Every bootstrap sample chooses on the examples it drew and scores on those it did not; what
    that loses against the winner of all is taken off (Tsamardinos et al., Machine Learning 2018;
    the intervals are as in ``select.corrected``).

    Parameters
    ----------
    measure : Measure
    transfers : mapping of name to ndarray of shape (n, k)
        Out-of-fold statistics, cheapest first.
    baseline : ndarray of shape (n, k)
    name : str
        What the baseline is called.
    groups, seed, n_boot, margin, level
        As ``evaluate.gain``.

    Returns
    -------
    tuple of (name, Score, Gain)

    Raises
    ------
    DataError
        ``groups`` has another length.
    """
    names, tables = list(transfers), list(transfers.values())
    values = [measure.compiled(table) for table in tables]
    totals = [measure.sign * measure.total(table) for table in tables]
    best = int(np.argmax(np.nan_to_num(totals, nan=-np.inf)))
    rests = basis_of(len(baseline), groups, out_of_fold=True)
    lost, boot = [], []
    for weights in resamples(rests.drawn, n_boot, seed):
        inside = np.stack([one(weights) for one in values])
        boot.append(inside[best])
        if len(names) == 1:
            continue
        outside = np.stack([one((weights == 0).astype(np.float64)) for one in values])
        picked = np.nan_to_num(measure.sign * inside, nan=-np.inf).argmax(axis=0)
        lost.append(outside[picked, np.arange(len(picked))] - outside[best])
    known = np.concatenate(lost) if lost else np.zeros(1)
    known = known[~np.isnan(known)]
    bias = float(known.mean()) if len(known) else 0.0
    estimate = measure.total(tables[best]) + bias
    se = rests.standard_error(np.concatenate(boot))
    low, high = score_interval(measure.name, estimate, se, rests, level)
    gain = _gain(
        measure,
        tables[best],
        baseline,
        rests,
        estimate=measure.sign * (estimate - measure.total(baseline)),
        seed=seed,
        n_boot=n_boot,
        name=name,
        margin=margin,
        level=level,
    )
    return names[best], Score(measure.name, estimate, low, high, len(baseline)), gain


def _gain(
    measure: Measure,
    transfer: FloatArray,
    baseline: FloatArray,
    rests: Basis,
    *,
    estimate: float,
    seed: int,
    n_boot: int,
    name: str,
    margin: float,
    level: float,
) -> Gain:
    first, second = measure.compiled(transfer), measure.compiled(baseline)
    boot = [first(w) - second(w) for w in resamples(rests.drawn, n_boot, seed)]
    differ = (transfer != baseline).any(axis=1)
    return judged(
        measure.name,
        estimate,
        rests.standard_error(np.concatenate(boot)),
        rests,
        level,
        differing=len(np.unique(rests.drawn.of_item[differ])),
        reference=measure.total(baseline),
        margin=margin,
        name=name,
    )
