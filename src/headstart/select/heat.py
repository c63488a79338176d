"""A candidate on its way through the folds of a race."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.core.types import IntArray
from headstart.evaluate import Predictions, assemble
from headstart.select.measured import Measured
from headstart.select.plan import SCRATCH
from headstart.select.race import Entry, Outcome


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

    def measured(self, folds: Sequence[tuple[IntArray, IntArray]]) -> Measured:
        """Return what was measured on the folds so far."""
        rows = np.concatenate([test for _, test in folds[: len(self.pieces)]])
        sizes = np.cumsum([len(piece) for piece in self.pieces])[:-1]
        places = np.split(np.arange(len(rows)), sizes)
        return Measured(rows, assemble(len(rows), zip(places, self.pieces, strict=True)))

    def outcome(self, folds: Sequence[tuple[IntArray, IntArray]]) -> Outcome:
        """Return what the race saw of it."""
        failed = bool(self.failure and self.entry != SCRATCH)
        if failed or not self.pieces:
            return Outcome(self.entry, None, self.seconds, self.failure, dropped=self.dropped)
        found = self.measured(folds)
        rows = None if len(self.pieces) == len(folds) else found.rows
        return Outcome(
            self.entry, found.predictions, self.seconds, self.failure, rows, self.dropped
        )
