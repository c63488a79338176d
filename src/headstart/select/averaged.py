"""The mean score of several ways to use a source, and its difference between two sources.

Both with intervals, by the same bootstrap, the same allowances for few items and for out-of-fold
predictions as every other interval (``evaluate.intervals``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from headstart.core.types import AnyArray, FloatArray, Gain, Score
from headstart.evaluate import METRICS, Predictions
from headstart.evaluate.basis import Basis, basis, discordant
from headstart.evaluate.compiled import compiled
from headstart.evaluate.intervals import judged, score_interval
from headstart.evaluate.resample import Units, resamples

N_BOOT, LEVEL, MARGIN = 1000, 0.95, 0.01


@dataclass(frozen=True, eq=False)
class Several:
    """Out-of-fold predictions of the same items, one for each way to use a source."""

    ways: Sequence[Predictions]

    def stacked(self) -> Predictions:
        """Return the predictions one below another."""
        labels = np.concatenate([way.labels for way in self.ways])
        tables = [way.probabilities for way in self.ways if way.probabilities is not None]
        if len(tables) < len(self.ways):
            return Predictions(labels)
        return Predictions(labels, np.concatenate(tables), self.ways[0].classes)


@dataclass(frozen=True, eq=False)
class Judge:
    """Scores the mean of several predictions.

    Parameters
    ----------
    metric : str
        A key of ``METRICS``.
    truth : ndarray of shape (n,)
    groups : array of shape (n,), optional
        Groups for the intervals.
    seed : int
    """

    metric: str
    truth: AnyArray
    groups: AnyArray | None
    seed: int
    _boots: dict[Several, FloatArray] = field(default_factory=dict)

    def values(self, one: Several) -> list[float]:
        """Return the score of each way."""
        once = np.ones((len(self.truth), 1))
        return [float(compiled(self.metric, self.truth, way)(once)[0]) for way in one.ways]

    def value(self, one: Several) -> float:
        """Return the mean score."""
        return float(np.mean(self.values(one)))

    def score(self, one: Several) -> Score:
        """Return the mean score with its interval."""
        estimate, rests = self.value(one), self._basis()
        error = rests.standard_error(self._boot(one))
        low, high = score_interval(self.metric, estimate, error, rests, LEVEL)
        return Score(self.metric, estimate, low, high, len(self.truth))

    def lead(self, first: Several, other: Several, name: str) -> Gain:
        """Return how much better ``first`` is than ``other``, which is called ``name``; paired."""
        rests, reference = self._basis(), self.value(other)
        both = Units(np.tile(rests.drawn.of_item, len(first.ways)), rests.drawn.count, 0.0)
        truth = np.tile(self.truth, len(first.ways))
        return judged(
            self.metric,
            METRICS[self.metric].sign * (self.value(first) - reference),
            rests.standard_error(self._boot(first) - self._boot(other)),
            rests,
            LEVEL,
            differing=discordant(self.metric, truth, first.stacked(), other.stacked(), both),
            reference=reference,
            margin=MARGIN,
            name=name,
        )

    def _basis(self) -> Basis:
        return basis(self.metric, self.truth, self.groups, out_of_fold=True)

    def _boot(self, one: Several) -> FloatArray:
        """Return the mean on every resample, the same resamples for every source."""
        if one not in self._boots:
            ways = [compiled(self.metric, self.truth, way) for way in one.ways]
            drawn = resamples(self._basis().drawn, N_BOOT, self.seed)
            found = [np.mean([way(weights) for way in ways], axis=0) for weights in drawn]
            self._boots[one] = np.concatenate(found)
        return self._boots[one]
