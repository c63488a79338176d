"""The feature columns of a table: their names and types, and rows that fit them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headstart.core.errors import DataError, OptionError

if TYPE_CHECKING:
    import pandas as pd

ColumnType = Literal["number", "category", "time"]
COLUMN_TYPES: tuple[ColumnType, ...] = ("number", "category", "time")
_LISTED = 5


@dataclass(frozen=True)
class Column:
    """A feature column: its name, its type, and for numbers the mean and the spread in training.

    Parameters
    ----------
    name : str
    type : {"number", "category", "time"}
        Truth values count as numbers; all text counts as category.
    mean, spread : float
        Mean and standard deviation (0 where there is none); the golden rows are made from them.
    """

    name: str
    type: ColumnType
    mean: float = 0.0
    spread: float = 0.0


def columns_of(frame: pd.DataFrame) -> tuple[Column, ...]:
    """Describe the columns of a data frame of features.

    Parameters
    ----------
    frame : DataFrame of shape (n, d)

    Returns
    -------
    tuple of Column, length d
    """
    from pandas.api import types

    columns = []
    for name in frame.columns:
        values = frame[name]
        if types.is_bool_dtype(values) or types.is_numeric_dtype(values):
            numbers = values.astype("float64")
            mean, spread = float(numbers.mean()), float(numbers.std(ddof=0))
            finite = math.isfinite(mean) and math.isfinite(spread)
            columns.append(
                Column(str(name), "number", mean if finite else 0.0, spread if finite else 0.0)
            )
        elif types.is_datetime64_any_dtype(values):
            columns.append(Column(str(name), "time"))
        else:
            columns.append(Column(str(name), "category"))
    return tuple(columns)


def to_frame(items: Any, columns: Sequence[Column]) -> pd.DataFrame:
    """Return rows as a data frame with exactly these columns, in order, each of its type.

    Parameters
    ----------
    items : DataFrame or sequence of dict
        Columns beyond ``columns`` are not looked at.
    columns : sequence of Column

    Raises
    ------
    DataError
        A column is missing, or a value is not of its column's type; says which.
    OptionError
        ``items`` is one row instead of a sequence of rows.
    """
    import pandas as pd

    if isinstance(items, dict | str | pd.Series):
        raise OptionError(
            "one row was given where a table is needed",
            got=type(items).__name__,
            allowed="a DataFrame, or a list of dicts",
            hint="put it into a list: [row]",
        )
    if not isinstance(items, pd.DataFrame):
        rows = list(items)
        for position, row in enumerate(rows):
            if not isinstance(row, dict):
                raise DataError(
                    "a row is not a dict of column: value",
                    where=f"item {position}",
                    got=type(row).__name__,
                )
        items = pd.DataFrame(rows, columns=None if rows else [c.name for c in columns])
    given = {str(name): name for name in items.columns}
    missing = [column.name for column in columns if column.name not in given]
    if missing:
        raise DataError(
            f"the model needs {len(missing)} column(s) that are not here",
            where=", ".join(missing[:_LISTED]),
            allowed=[column.name for column in columns],
        )
    return pd.DataFrame(
        {column.name: _typed(items[given[column.name]], column) for column in columns},
        columns=[column.name for column in columns],
    ).reset_index(drop=True)


def _typed(values: pd.Series[Any], column: Column) -> pd.Series[Any]:
    import pandas as pd
    from pandas.api import types

    if column.type == "category":
        return values.map(_category).astype(object)
    convert = pd.to_numeric if column.type == "number" else pd.to_datetime
    if types.is_object_dtype(values) or types.is_string_dtype(values):
        blank = values.isna() | (values.astype(str).str.strip() == "")
        values = values.mask(blank, None)
        result = convert(values, errors="coerce")
        wrong = (result.isna() & ~blank).to_numpy().nonzero()[0]
        if len(wrong):
            raise DataError(
                f"not a {column.type} in column {column.name!r}",
                where=f"item {int(wrong[0])}",
                got=values.iloc[int(wrong[0])],
                allowed=f"a {column.type}, or nothing",
            )
        values = result
    if column.type == "number":
        if types.is_datetime64_any_dtype(values):
            raise DataError("a column of times where numbers belong", where=column.name)
        return values.astype("float64")
    return values


def _category(value: Any) -> str | None:
    if value is None or value != value:  # only not-a-number and its like differ from themselves
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a gap elsewhere made a column of whole numbers into floats
    return str(value)


def golden_rows(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Make rows that look like the table without showing any of its rows or values.

    Numbers stand at, above and below their mean, and are missing once; categories are missing or
    one that was never seen.
    """
    rows: list[dict[str, Any]] = []
    for step in (0.0, 1.0, -1.0, 0.5, None):
        row: dict[str, Any] = {}
        for column in columns:
            if column.type == "number":
                row[column.name] = None if step is None else column.mean + step * column.spread
            elif column.type == "time":
                row[column.name] = None if step is None else "2020-02-29T12:00:00"
            else:
                row[column.name] = None if step is None else "(golden)"
        rows.append(row)
    return rows
