"""Columns of a table as numbers: what trees and linear models are given.

Nothing here sees a label. Columns are found by name, so their order does not matter.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, FloatArray

ONE_HOT = 50  # a linear model gets a column for each of the so many most frequent categories
FEW = 10  # trees get one-hot columns up to so many categories, else rank and frequency
CHUNK = 32  # columns that become numbers at a time
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")
DATE_PARTS = ("days since 1970", "month", "day", "weekday", "hour")

ColumnKind = Literal["number", "date", "category", "constant"]


@dataclass(frozen=True)
class Column:
    """What was learned about one column.

    Parameters
    ----------
    name : str
    kind : {"number", "date", "category", "constant"}
        A constant column (one value, or none) is left out.
    categories : list of str
        Sorted.
    counts : list of int
        How often each category occurred.
    """

    name: str
    kind: ColumnKind
    categories: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


def as_frame(X: Any) -> pd.DataFrame:
    """Return a table (data frame or 2-D array) as a data frame with text column names.

    Raises
    ------
    DataError
        It is not two-dimensional, or two columns share a name.
    """
    if not isinstance(X, pd.DataFrame):
        array = np.asarray(X)
        if array.ndim != 2:
            raise DataError(
                "not a table", where="X", got=f"shape {array.shape}", allowed="(rows, columns)"
            )
        X = pd.DataFrame(array)
    frame = X.copy(deep=False)  # no cell is copied, nor, with each column, what ``attrs`` hold
    frame.attrs = {}
    frame.columns = pd.Index([str(name) for name in X.columns])
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError("two columns share a name", where="X", got=twice)
    frame.index = pd.RangeIndex(len(frame))
    return frame


def learn(frame: pd.DataFrame) -> list[Column]:
    """Decide what each column is.

    Raises
    ------
    DataError
        No column varies.
    """
    columns = [_learn_one(frame[name], name) for name in frame.columns]
    if all(column.kind == "constant" for column in columns):
        raise DataError("no column of the table varies", where="X", got=list(frame.columns)[:10])
    return columns


def plain_numbers(values: pd.Series[Any]) -> bool:
    """Whether a column is of numbers of the machine, so that none of its cells is to be judged."""
    kind: Any = values.dtype
    return isinstance(kind, np.dtype) and kind.kind in "fiub" and kind.itemsize <= 8


def _one_value(numbers: AnyArray) -> bool:
    """Whether all numbers are written alike (0.0 and -0.0 are not), or all are NaN."""
    if numbers.dtype.kind == "f":
        gone = np.isnan(numbers)
        if gone.any():
            return bool(gone.all())
        numbers = np.ascontiguousarray(numbers).view(f"u{numbers.dtype.itemsize}")
    return bool((numbers == numbers[:1]).all())


def _learn_one(values: pd.Series[Any], name: str) -> Column:
    if plain_numbers(values):
        return Column(name, "constant" if _one_value(values.to_numpy()) else "number")
    present = values.dropna()
    if values.isna().all() or (len(present) == len(values) and present.astype(str).nunique() == 1):
        return Column(name, "constant")
    if _is_number(values):
        return Column(name, "number")
    if pd.api.types.is_datetime64_any_dtype(values) or _all_dates(present):
        return Column(name, "date")
    counts = present.astype(str).value_counts().sort_index()
    return Column(name, "category", [str(key) for key in counts.index], counts.astype(int).tolist())


def _is_number(values: pd.Series[Any]) -> bool:
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return not pd.api.types.is_complex_dtype(values)
    if values.dtype != object:
        return False
    present = values.dropna()
    return all(isinstance(value, (int, float, np.number, np.bool_)) for value in present)


def _all_dates(present: pd.Series[Any]) -> bool:
    return all(
        isinstance(value, pd.Timestamp) or (isinstance(value, str) and DATE.fullmatch(value))
        for value in present
    )


def require(frame: pd.DataFrame, columns: list[Column]) -> None:
    """Raise a DataError naming the learned columns that ``frame`` lacks."""
    missing = [column.name for column in columns if column.name not in frame.columns]
    if missing:
        raise DataError(
            "columns are missing that the model was fitted on",
            where="X",
            got=", ".join(map(str, frame.columns[:20])),
            hint="missing: " + ", ".join(missing),
        )


def _numbers(frame: pd.DataFrame, column: Column) -> FloatArray:
    values = frame[column.name]
    try:
        if plain_numbers(values):
            numbers: FloatArray = values.to_numpy().astype(np.float64)
            numbers[np.isnan(numbers)] = math.nan  # one NaN like another
        else:
            wide = pd.to_numeric(values).astype("Float64")
            numbers = wide.to_numpy(np.float64, na_value=math.nan)
    except (TypeError, ValueError):
        text = pd.to_numeric(values, errors="coerce").isna() & values.notna()
        place = int(np.argmax(text.to_numpy()))
        raise DataError(
            "not a number in a column of numbers",
            where=f"column {column.name!r}, row {place + 1}",
            got=str(values.iloc[place]),
        ) from None
    if np.isinf(numbers).any():
        place = int(np.isinf(numbers).argmax())
        raise DataError(
            "an infinite number",
            where=f"column {column.name!r}, row {place + 1}",
            got=float(numbers[place]),
            hint="leave the cell empty if the value is not known",
        )
    return numbers[:, None]


def _dates(frame: pd.DataFrame, column: Column) -> FloatArray:
    values = frame[column.name]
    try:
        dates = pd.to_datetime(values, utc=True, format="ISO8601")
    except (TypeError, ValueError):
        failed = pd.to_datetime(values, utc=True, format="ISO8601", errors="coerce").isna()
        place = int(np.argmax((failed & values.notna()).to_numpy()))
        raise DataError(
            "not a date in a column of dates",
            where=f"column {column.name!r}, row {place + 1}",
            got=str(values.iloc[place]),
            allowed="ISO dates such as 2024-01-31",
        ) from None
    parts = dates.dt
    days = (dates - pd.Timestamp("1970-01-01", tz="UTC")) / pd.Timedelta(days=1)
    wide = [days, parts.month, parts.day, parts.day_of_week, parts.hour]
    return np.column_stack([np.asarray(part, dtype=np.float64) for part in wide])


def _codes(frame: pd.DataFrame, column: Column) -> FloatArray:
    """Rank of each category; NaN where missing or unknown."""
    values = frame[column.name]
    rank = {category: place for place, category in enumerate(column.categories)}
    texts = values.astype(object).where(values.notna(), None)
    return np.array([rank.get(str(v), np.nan) if v is not None else np.nan for v in texts])


def for_trees(frame: pd.DataFrame, columns: list[Column]) -> FloatArray:
    """Return float64 columns for trees; what is missing stays NaN.

    Categories: one column each up to FEW of them, else their rank and their frequency.
    """
    require(frame, columns)
    blocks: list[FloatArray] = []
    for column in columns:
        if column.kind == "number":
            blocks.append(_numbers(frame, column))
        elif column.kind == "date":
            blocks.append(_dates(frame, column))
        elif column.kind == "category":
            codes = _codes(frame, column)
            if len(column.categories) <= FEW:
                blocks.append((codes[:, None] == np.arange(len(column.categories))).astype(float))
            else:
                counts = np.append(np.array(column.counts, dtype=np.float64), 0.0)
                place = np.where(np.isnan(codes), len(column.categories), codes).astype(int)
                blocks.append(np.column_stack([codes, counts[place]]))
    return np.hstack(blocks)


@dataclass(frozen=True, eq=False)
class Scaling:
    """Medians, means and spreads of the columns a linear model gets."""

    median: FloatArray
    missing: FloatArray  # 1 where the column had missing values: it gets an indicator
    mean: FloatArray
    spread: FloatArray


def _plain(frame: pd.DataFrame, columns: list[Column]) -> tuple[FloatArray, FloatArray]:
    """Numbers and dates (with NaN), and one-hot columns of the frequent categories."""
    require(frame, columns)
    numbers: list[FloatArray] = [np.zeros((len(frame), 0))]
    hot: list[FloatArray] = [np.zeros((len(frame), 0))]
    for column in columns:
        if column.kind == "number":
            numbers.append(_numbers(frame, column))
        elif column.kind == "date":
            numbers.append(_dates(frame, column))
        elif column.kind == "category":
            order = np.argsort(-np.array(column.counts), kind="stable")[:ONE_HOT]
            hot.append((_codes(frame, column)[:, None] == np.sort(order)).astype(np.float64))
    return np.hstack(numbers), np.hstack(hot)


def _chunks(columns: list[Column]) -> list[list[Column]]:
    """Return the columns that vary, a few at a time: whole tables take much memory."""
    used = [column for column in columns if column.kind != "constant"]
    return [used[start : start + CHUNK] for start in range(0, max(len(used), 1), CHUNK)]


def fit_scaling(frame: pd.DataFrame, columns: list[Column]) -> Scaling:
    """Learn imputation (medians) and standardisation from a table."""
    require(frame, columns)
    chunks = _chunks(columns)
    parts = [_fit_chunk(frame, chunk, whole=len(chunks) == 1) for chunk in chunks]
    median, missing = (np.concatenate([part[at] for part in parts]) for at in range(2))
    # numbers of all chunks, then their indicators, then categories
    mean, spread = (
        np.concatenate([part[at][place] for place in range(3) for part in parts]) for at in (2, 3)
    )
    return Scaling(median, missing, mean, np.where(spread > 1e-12, spread, np.inf))


def _fit_chunk(
    frame: pd.DataFrame, columns: list[Column], *, whole: bool
) -> tuple[FloatArray, FloatArray, list[FloatArray], list[FloatArray]]:
    """Return medians, what was missing; means and spreads of numbers, indicators, categories."""
    numbers, hot = _plain(frame, columns)
    gone = np.isnan(numbers)
    median = np.zeros(numbers.shape[1])
    for place in range(numbers.shape[1]):
        present = numbers[~gone[:, place], place]
        median[place] = float(np.median(present)) if len(present) else 0.0
    missing: FloatArray = np.asarray(gone.any(axis=0), dtype=np.float64)
    complete = _complete(numbers, hot, median, missing)
    width = complete.shape[1]
    if width == 1 and not whole:  # numpy sums a single column in another order than several
        complete = np.repeat(complete, 2, axis=1)
    ends = [numbers.shape[1], width - hot.shape[1]]
    mean, spread = complete.mean(axis=0)[:width], complete.std(axis=0)[:width]
    return median, missing, np.split(mean, ends), np.split(spread, ends)


def _complete(
    numbers: FloatArray, hot: FloatArray, median: FloatArray, missing: FloatArray
) -> FloatArray:
    gone = np.isnan(numbers)
    return np.hstack([np.where(gone, median, numbers), gone[:, missing > 0], hot])


def for_linear(frame: pd.DataFrame, columns: list[Column], scaling: Scaling) -> FloatArray:
    """Return standardised float64 columns: imputed numbers, missing indicators, one-hot.

    Rows have a mean squared norm of about 1, so that one grid of penalties suits any width.
    """
    require(frame, columns)
    result = np.empty((len(frame), len(scaling.mean)))
    varies = max(int(np.isfinite(scaling.spread).sum()), 1)
    n, m = 0, 0  # numbers and indicators so far; categories stand behind all of those
    k = len(scaling.median) + int((scaling.missing > 0).sum())
    for chunk in _chunks(columns):
        numbers, hot = _plain(frame, chunk)
        width = numbers.shape[1]
        own = slice(n, n + width)
        missing = scaling.missing[own]
        gone = int((missing > 0).sum())
        first = len(scaling.median) + m
        places = np.r_[own, first : first + gone, k : k + hot.shape[1]]
        complete = _complete(numbers, hot, scaling.median[own], missing)
        complete -= scaling.mean[places]
        complete /= scaling.spread[places]
        complete /= np.sqrt(varies)
        result[:, places] = complete
        n, m, k = n + width, m + gone, k + hot.shape[1]
    return result


def to_json(columns: list[Column]) -> list[dict[str, Any]]:
    """Return the columns as JSON."""
    return [asdict(column) for column in columns]


def from_json(rows: list[dict[str, Any]]) -> list[Column]:
    """Rebuild columns from :func:`to_json`."""
    return [Column(**row) for row in rows]
