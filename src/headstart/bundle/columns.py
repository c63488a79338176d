"""The feature columns of a table: their names and types, and rows that fit them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from headstart.core.errors import DataError, OptionError

if TYPE_CHECKING:
    import pandas as pd

ColumnType = Literal["number", "flag", "date", "category"]
COLUMN_TYPES: tuple[ColumnType, ...] = ("number", "flag", "date", "category")
_STEPS = (0.0, 1.0, -1.0, 0.5, None)


@dataclass(frozen=True)
class Column:
    """A feature column: its name, its type, and for numbers the mean and the spread in training.

    Parameters
    ----------
    name : str
    type : {"number", "flag", "date", "category"}
    mean, spread : float
        Mean and standard deviation (0 where there is none); the golden rows are made from them.
    """

    name: str
    type: ColumnType
    mean: float = 0.0
    spread: float = 0.0


def columns_of(frame: pd.DataFrame) -> tuple[Column, ...]:
    """Describe the columns of a table's items.

    Parameters
    ----------
    frame : DataFrame of shape (n, d)
        ``Task.items`` of a table.

    Returns
    -------
    tuple of Column, length d
    """
    from headstart.data import column_types
    from headstart.data.columns import bare

    columns = []
    types = column_types(frame)
    frame = bare(frame)
    for position, (name, held) in enumerate(types.items()):
        mean = spread = 0.0
        if held == "number":
            values = frame.iloc[:, position].astype("float64")
            mean, spread = float(values.mean()), float(values.std(ddof=0))
        sound = math.isfinite(mean) and math.isfinite(spread)
        columns.append(Column(name, held, mean if sound else 0.0, spread if sound else 0.0))
    return tuple(columns)


def to_frame(items: Any, columns: Sequence[Column]) -> pd.DataFrame:
    """Return rows as a data frame with exactly these columns, in order, each of its type.

    Parameters
    ----------
    items : DataFrame, sequence of dict, or 2-D array
        For models that were fitted to an array. Columns beyond ``columns`` are not looked at.
    columns : sequence of Column

    Raises
    ------
    DataError
        A column is missing, or a value is not of its column's type; says which.
    OptionError
        ``items`` is one row instead of a sequence of rows.
    """
    import pandas as pd

    from headstart.data.columns import apply_columns

    if isinstance(items, dict | str | pd.Series):
        raise OptionError(
            "one row was given where a table is needed",
            got=type(items).__name__,
            allowed="a DataFrame, or a list of dicts",
            hint="put it into a list: [row]",
        )
    if isinstance(items, np.ndarray) and items.ndim == 2:
        # as arrays are read in training: the columns are called x0, x1, ...
        items = pd.DataFrame(items, columns=[f"x{place}" for place in range(items.shape[1])])
    frame = items if isinstance(items, pd.DataFrame) else _frame_of(list(items))
    names = [column.name for column in columns]
    if not len(frame):
        return pd.DataFrame({name: [] for name in names})
    frame = frame.rename(columns=str)
    twice = [name for name in names if list(frame.columns).count(name) > 1]
    if twice:
        raise DataError("a column stands twice", where="items", got=twice)
    types: dict[str, str | None] = {}
    for column in columns:
        types[column.name] = column.type
        if column.name in frame.columns and frame[column.name].dtype.kind == "f":
            if column.type == "category":
                cells = [_whole(value) for value in frame[column.name]]
                frame[column.name] = pd.Series(cells, dtype=object, index=frame.index)
            else:
                types[column.name] = "number"  # dates and flags that were read before
    return apply_columns(frame, types, "items")[0]


def _frame_of(rows: list[Any]) -> pd.DataFrame:
    import pandas as pd

    for position, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DataError(
                "a row is not a dict of column: value",
                where=f"item {position}",
                got=type(row).__name__,
            )
    return pd.DataFrame(rows, dtype=object)


def _whole(value: float) -> Any:
    """Return 3.0 as 3: a gap elsewhere made a column of whole numbers into floats."""
    return int(value) if float(value).is_integer() else value


def golden_rows(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Make rows that look like the table without showing any of its rows or values.

    Numbers stand at, above and below their mean; categories are ones that were never seen; the
    last row is empty.
    """
    return [{column.name: _golden(column, step) for column in columns} for step in _STEPS]


def _golden(column: Column, step: float | None) -> Any:
    if step is None:
        return None
    if column.type == "number":
        return column.mean + step * column.spread
    return {"flag": step > 0, "date": "2020-02-29", "category": "(golden)"}[column.type]
