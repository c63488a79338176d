"""What was measured of candidates, and how two of them compare on the items that both have seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from headstart.core.types import AnyArray, Gain, IntArray
from headstart.evaluate import METRICS, Predictions, gain, value
from headstart.evaluate.intervals import margin_scale
from headstart.select.choose import SAME, tie_breakers
from headstart.select.plan import BASELINES
from headstart.select.prior import weighed
from headstart.select.race import Entry, Folds, Outcome, held_rows


@dataclass(frozen=True, eq=False)
class Measured:
    """Predictions for some of the training items, made by models that had not seen them.

    Parameters
    ----------
    rows : ndarray of shape (m,)
        Places of the items among the training items.
    predictions : Predictions
        Of length m.
    """

    rows: IntArray
    predictions: Predictions

    def on(self, rows: IntArray) -> Predictions:
        """Return the predictions for the items at ``rows``, all of which are among its own."""
        order = np.argsort(self.rows)
        return self.predictions.take(order[np.searchsorted(self.rows, rows, sorter=order)])


@dataclass(frozen=True, eq=False)
class Judge:
    """Compares candidates on the training items.

    Parameters
    ----------
    truth : ndarray of shape (n,)
        Of all training items.
    groups : ndarray of shape (n,) or None
    metric : str
    seed : int
    """

    truth: AnyArray
    groups: IntArray | None
    metric: str
    seed: int

    def score(self, one: Measured) -> float:
        """Return the score of a candidate on the items that it has seen."""
        return value(self.metric, self.truth[one.rows], one.predictions)

    def value(self, one: Measured) -> float:
        """Return the score of a candidate so that higher is better."""
        return METRICS[self.metric].sign * self.score(one)

    def lead(
        self, one: Measured, other: Measured, *, level: float = 0.95, n_boot: int = 1000
    ) -> Gain | None:
        """Return how much better one is than another, on their common items; None: no such item."""
        rows = np.intersect1d(one.rows, other.rows)
        if not len(rows):
            return None
        return gain(
            self.metric,
            self.truth[rows],
            one.on(rows),
            other.on(rows),
            groups=None if self.groups is None else self.groups[rows],
            seed=self.seed,
            level=level,
            n_boot=n_boot,
            out_of_fold=True,
        )

    def better(
        self, one: Measured, other: Measured, *, priors: tuple[float, float] = (0.0, 0.0)
    ) -> bool:
        """Say whether one is better than another on their common items; ties go to log loss.

        Parameters
        ----------
        one, other : Measured
        priors : (float, float)
            What they are expected to score, from other data; ``select.prior`` says what it weighs.
        """
        rows = np.intersect1d(one.rows, other.rows)
        if not len(rows):
            return False
        pair = {"one": one.on(rows), "other": other.on(rows)}
        values = np.array([self.value(Measured(rows, found)) for found in pair.values()])
        n = len(rows) if self.groups is None else len(np.unique(self.groups[rows]))
        unit = margin_scale(self.metric, float(np.mean(np.abs(values))))
        mine, its = weighed(values, priors, n, unit=unit)
        if abs(mine - its) > SAME:
            return bool(mine > its)
        smooth = tie_breakers(pair, self.truth[rows], self.metric)
        return bool(smooth[0] > smooth[1])


def rows_of(outcome: Outcome, folds: Folds) -> IntArray:
    """Return the places among the training items of the rows of an outcome."""
    return held_rows(folds) if outcome.rows is None else outcome.rows


def measured_of(outcome: Outcome, folds: Folds) -> Measured:
    """Return what was measured of a candidate that has predictions."""
    assert outcome.predictions is not None
    return Measured(rows_of(outcome, folds), outcome.predictions)


def runners_of(outcomes: Iterable[Outcome], folds: Folds) -> dict[Entry, Measured]:
    """Return what was measured of the transfer candidates that may still be chosen."""
    return {
        outcome.entry: measured_of(outcome, folds)
        for outcome in outcomes
        if outcome.predictions is not None
        and not outcome.dropped
        and outcome.entry not in BASELINES
    }


def telling(groups: IntArray | None) -> IntArray | None:
    """Return groups, or None where every item stands for itself."""
    return None if groups is None or len(np.unique(groups)) == len(groups) else groups
