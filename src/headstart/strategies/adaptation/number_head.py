"""Fitted adapters of numbers as a bundle holds them: lines, of features or of a table."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from headstart.core.types import FloatArray, State
from headstart.strategies.adaptation.medians import LineMedian
from headstart.strategies.adaptation.tables import FORM as PREFIX
from headstart.strategies.adaptation.tables import Numbers, parts

FORM = "lines"


class NumberHead:
    """A fitted adapter of numbers, without scikit-learn.

    Parameters
    ----------
    line : LineMedian
    """

    def __init__(self, line: LineMedian) -> None:
        self.line_ = line

    def predict(self, X: Any) -> FloatArray:
        """Return a number for each row."""
        return self.line_(np.asarray(X))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what the ``to_state`` of an adapter of numbers returned."""
        return cls(LineMedian.from_arrays(state.arrays))


class NumberTable:
    """A fitted adapter of numbers for the rows of a table.

    Parameters
    ----------
    head : NumberHead
    numbers : Numbers
        How rows of the table become numbers.
    """

    def __init__(self, head: NumberHead, numbers: Numbers) -> None:
        self.head_, self.numbers_ = head, numbers

    def predict(self, X: Any) -> FloatArray:
        """Return a number for each row of a table."""
        return self.head_.predict(self.numbers_(X))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what :func:`headstart.strategies.adaptation.tables.table_state` returned."""
        head = NumberHead.from_state(State(parts(state, PREFIX), state.meta))
        return cls(head, Numbers.from_state(state))
