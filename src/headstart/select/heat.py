"""A candidate on its way through the folds, and the plain race in which all go to the end.

Nothing is chosen here; the predictions are what ``choose``, ``guard`` and ``corrected`` look at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from headstart import strategies
from headstart.core.errors import OutOfTimeError
from headstart.core.types import SILENT, IntArray, Reporter
from headstart.evaluate import Predictions, joined
from headstart.select.measured import Measured
from headstart.select.plan import MAJORITY, SCRATCH
from headstart.select.race import FAILURES, Entry, Field, Folds, Outcome, held_out, held_rows

Predict = Callable[[Entry], tuple[Predictions, float]]
"""Fits a candidate without a fold; returns what it predicts for the fold, and the seconds taken."""


class Heat:
    """A candidate on its way through the folds.

    Parameters
    ----------
    entry : Entry

    Attributes
    ----------
    pieces : list of Predictions
        For the folds so far.
    seconds : float
    failure, dropped : str
        Why it does not go on; empty while it does.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.pieces: list[Predictions] = []
        self.seconds = 0.0
        self.failure = self.dropped = ""

    @property
    def ended(self) -> bool:
        """Whether it takes no part any more."""
        return bool(self.dropped or (self.failure and self.entry != SCRATCH))

    def hold_out(self, predict: Predict) -> None:
        """Predict the next fold, or note why that cannot be."""
        try:
            found, seconds = predict(self.entry)
        except OutOfTimeError as error:
            self.dropped = late(error)
            return
        except FAILURES as error:
            self.failure = said(error)
            if self.entry != SCRATCH:
                return
            # the opponent cannot be missing: where it cannot be trained it can only guess
            found, seconds = predict(MAJORITY)
        self.pieces.append(found)
        self.seconds += seconds

    def measured(self, folds: Folds) -> Measured:
        """Return what was measured on the folds so far."""
        return Measured(held_rows(folds[: len(self.pieces)]), joined(self.pieces))

    def outcome(self, folds: Folds) -> Outcome:
        """Return what the race saw of it."""
        failed = bool(self.failure and self.entry != SCRATCH)
        if failed or not self.pieces:
            return Outcome(self.entry, None, self.seconds, self.failure, dropped=self.dropped)
        found = self.measured(folds)
        rows = None if len(self.pieces) == len(folds) else found.rows
        return Outcome(
            self.entry, found.predictions, self.seconds, self.failure, rows, self.dropped
        )


def late(error: OutOfTimeError) -> str:
    """Return why a candidate was not measured to the end."""
    return f"not finished: {error.what}"


def said(error: Exception) -> str:
    """Return what a candidate failed with."""
    return f"{type(error).__name__}: {error}"


def race(
    entries: Sequence[Entry], field: Field, folds: Folds, *, reporter: Reporter = SILENT
) -> list[Outcome]:
    """Return each candidate's out-of-fold predictions, in the order of the folds' test items.

    Parameters
    ----------
    entries : sequence of Entry
    field : Field
    folds : sequence of (train, test) index arrays
        The same for every candidate, so that comparisons are paired.

    Returns
    -------
    list of Outcome
        Row ``i`` of each predictions object belongs to item ``held_rows(folds)[i]``.
    """
    for entry in entries:  # loads what it needs before the clock starts
        strategies.make(entry.strategy, kind=field.kind, modality=field.modality)
    outcomes: list[Outcome] = []
    total = len(entries) * len(folds)
    for position, entry in enumerate(entries):
        heat = Heat(entry)
        for number, (train, test) in enumerate(folds):

            def predict(
                one: Entry, train: IntArray = train, test: IntArray = test
            ) -> tuple[Predictions, float]:
                started = time.perf_counter()
                return held_out(one, field, train, test), time.perf_counter() - started

            heat.hold_out(predict)
            if heat.ended:
                break
            reporter.progress(
                "racing candidates", position * len(folds) + number + 1, total, "fits"
            )
        outcomes.append(heat.outcome(folds))
    return outcomes
