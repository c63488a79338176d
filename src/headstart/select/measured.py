"""What was measured of candidates, and how two of them compare on the items that both have seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.core.types import AnyArray, Gain, IntArray
from headstart.evaluate import METRICS, Predictions, gain, value
from headstart.select.choose import SAME, tie_breakers
from headstart.select.race import Outcome


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

    def value(self, one: Measured) -> float:
        """Return the score of a candidate, higher is better, on the items that it has seen."""
        return METRICS[self.metric].sign * value(self.metric, self.truth[one.rows], one.predictions)

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

    def better(self, one: Measured, other: Measured) -> bool:
        """Say whether one is better than another on their common items; ties go to log loss."""
        found = self.lead(one, other, n_boot=100)
        if found is None:
            return False
        if abs(found.estimate) > SAME:
            return found.estimate > 0
        rows = np.intersect1d(one.rows, other.rows)
        pair = {"one": one.on(rows), "other": other.on(rows)}
        smooth = tie_breakers(pair, self.truth[rows], self.metric)
        return bool(smooth[0] > smooth[1])


def measured_of(outcome: Outcome, folds: Sequence[tuple[IntArray, IntArray]]) -> Measured:
    """Return what was measured of a candidate that has predictions."""
    assert outcome.predictions is not None
    rows = outcome.rows
    if rows is None:
        held = [test for _, test in folds]
        rows = np.concatenate(held) if held else np.zeros(0, dtype=np.int64)
    return Measured(rows, outcome.predictions)
