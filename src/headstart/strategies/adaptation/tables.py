"""Tables of two domains as numbers, and an adapter for such a table as a bundle holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import pandas as pd

from headstart.core.types import AnyArray, FloatArray, State
from headstart.strategies.adaptation.forms import AdaptedHead
from headstart.strategies.columns import (
    Column,
    Scaling,
    as_frame,
    fit_scaling,
    for_linear,
    from_json,
    learn,
    plain_numbers,
    to_json,
)

FORM, SCALING = "form.", "scaling."


@dataclass(frozen=True, eq=False)
class Numbers:
    """How rows of a table become numbers, learnt from both domains together.

    Parameters
    ----------
    columns : list of Column
    scaling : Scaling
    """

    columns: list[Column]
    scaling: Scaling

    @classmethod
    def learnt(cls, source: pd.DataFrame, target: pd.DataFrame) -> Self:
        """Learn categories, medians and spreads from tables with the same columns.

        Raises
        ------
        DataError
            No column varies.
        """
        frame = as_frame(pd.concat([source, target[list(source.columns)]], ignore_index=True))
        columns = learn(frame)
        return cls(columns, fit_scaling(frame, columns))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what :func:`table_state` put into a state."""
        return cls(from_json(state.meta["columns"]), Scaling(**parts(state, SCALING)))

    def __call__(self, frame: Any) -> FloatArray:
        """Return (n, d) numbers: imputed, standardised, categories as indicators."""
        return for_linear(as_frame(frame), self.columns, self.scaling)

    def plain(self, frame: Any) -> pd.DataFrame:
        """Return each column once: numbers and dates as numbers, categories as they are.

        Columns that are numbers already are no copy: large tables would stand in memory twice.
        """
        frame = as_frame(frame)
        names = [column.name for column in self.columns]
        if names == list(frame.columns) and all(plain_numbers(frame[name]) for name in names):
            return frame
        found: dict[str, Any] = {}
        for column in self.columns:
            cells = frame[column.name]
            if column.kind == "number":
                cells = pd.to_numeric(cells).astype("Float64")
            elif column.kind == "date":
                cells = pd.to_datetime(cells, utc=True, format="ISO8601")
            found[column.name] = cells
        return pd.DataFrame(found)


class AdaptedTable:
    """A fitted adapter for the rows of a table.

    Parameters
    ----------
    head : AdaptedHead
    numbers : Numbers
    """

    def __init__(self, head: AdaptedHead, numbers: Numbers) -> None:
        self.head_, self.numbers_ = head, numbers
        self.classes_: AnyArray = head.classes_

    def predict_proba(self, X: Any) -> FloatArray:
        """Return (n, k) probabilities; columns in the order of ``classes_``."""
        return self.head_.predict_proba(self.numbers_(X))

    def predict(self, X: Any) -> AnyArray:
        """Return the n most probable labels."""
        labels: AnyArray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what :func:`table_state` returned."""
        head = AdaptedHead.from_state(State(parts(state, FORM), state.meta))
        return cls(head, Numbers.from_state(state))


def parts(state: State, prefix: str) -> dict[str, AnyArray]:
    """Return the arrays of a state whose names have a prefix, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in state.arrays.items()
        if name.startswith(prefix)
    }


def table_state(state: State, numbers: Numbers) -> State:
    """Return the state of a fitted adapter together with how rows become numbers.

    Parameters
    ----------
    state : State
        Of an adapter fitted to ``numbers(table)``.
    numbers : Numbers
    """
    arrays = {FORM + name: array for name, array in state.arrays.items()}
    arrays |= {SCALING + name: array for name, array in vars(numbers.scaling).items()}
    return State(arrays, dict(state.meta) | {"columns": to_json(numbers.columns)})
