"""Feature columns of a table: what each holds, and the columns as numbers and categories."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, Decision
from headstart.data.cells import (
    FLAGS,
    MISSING_NAMES,
    blank,
    date_like,
    plain_commas,
)
from headstart.data.labels import class_name
from headstart.data.part import is_missing, shown

ColumnType = Literal["number", "flag", "date", "category"]
_ID_NAMES = frozenset(
    {"id", "index", "idx", "uuid", "guid", "row", "rowid", "row_id", "unnamed: 0"}
)
_ID_ROWS = 20


@dataclass(frozen=True)
class _Read:
    type: ColumnType
    values: AnyArray
    note: str = ""


def column_types(frame: Any) -> dict[str, ColumnType]:
    """Return what each column of a task's items holds, as `read_inputs` takes it.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``Task.items`` of a table.

    Examples
    --------
    >>> import pandas as pd
    >>> from headstart.data import column_types
    >>> column_types(pd.DataFrame({"age": [31.0, 8.0], "town": ["Ulm", "Bonn"]}))
    {'age': 'number', 'town': 'category'}
    """
    types: dict[str, ColumnType] = {}
    known, kinds = frame.attrs.get("column_types", {}), dict(frame.dtypes)
    for name in frame.columns:
        stored = known.get(name)
        numeric = kinds[name].kind in "fiub"
        types[str(name)] = stored or ("number" if numeric else "category")
    return types


def bare(frame: Any) -> Any:
    """Return a view of a data frame without its ``attrs``, which pandas copies with each column."""
    frame = frame.copy(deep=False)
    frame.attrs = {}
    return frame


def fit_columns(
    frame: Any, names: tuple[str, ...], keep: Collection[str], where: str
) -> tuple[Any, tuple[Decision, ...]]:
    """Read feature columns: numbers, true/false and dates as float64, the rest as categories.

    Columns that hold one value only, or that number the rows, are left out, said so.

    Parameters
    ----------
    frame : pandas.DataFrame
        Cells as they stand in the file.
    names : tuple of str
        The feature columns.
    keep : collection of str
        Columns never to leave out.

    Raises
    ------
    DataError
        No column is left.
    """
    import pandas as pd

    frame = bare(frame)
    read = {name: _read(frame[name]) for name in names}
    dropped: dict[str, str] = {}
    for name, column in read.items():
        reason = _useless(name, column)
        if reason and name not in keep:
            dropped[name] = reason
    decisions = [
        Decision(f"column {name!r} is left out", reason, f"keep=[{name!r}] in Python keeps it")
        for name, reason in dropped.items()
    ]
    left = {name: column for name, column in read.items() if name not in dropped}
    if not left:
        raise DataError(
            "no usable feature column",
            where=where,
            got="; ".join(f"{name}: {reason}" for name, reason in dropped.items()),
        )
    decisions += _said(left)
    out = pd.DataFrame({name: column.values for name, column in left.items()})
    out.attrs["column_types"] = {name: column.type for name, column in left.items()}
    return out, tuple(decisions)


def plain_name(name: str) -> str:
    """Return what is left of a name without case, spaces and signs."""
    return re.sub(r"[\W_]+", "", name).casefold()


def _called_otherwise(missing: list[str], there: list[str]) -> str | None:
    """Say which missing columns stand there under a name with other case, spaces or signs."""
    found = {plain_name(name): name for name in there if plain_name(name)}
    pairs = [(name, found.get(plain_name(name))) for name in missing]
    named = [f"{other!r} {name!r}" for name, other in pairs if other is not None]
    return f"Call {', '.join(named[:5])}" if named else None


def apply_columns(frame: Any, types: Mapping[str, str | None], where: str) -> tuple[Any, list[str]]:
    """Read the same columns of another table in the same way.

    Parameters
    ----------
    types : mapping of str to {"number", "flag", "date", "category"} or None
        What each column holds; None infers it from its values.

    Returns
    -------
    tuple of DataFrame and list of str
        The columns, in the order of ``types``; and the columns that were ignored.

    Raises
    ------
    DataError
        Columns are missing, or cells of a number column are not numbers.
    """
    import pandas as pd

    missing = [name for name in types if name not in frame.columns]
    if missing:
        raise DataError(
            f"columns are missing: {shown(missing, 10)}",
            where=where,
            got=", ".join(map(str, frame.columns)),
            allowed=list(types),
            hint=_called_otherwise(missing, [str(name) for name in frame.columns]),
        )
    frame = bare(frame)
    out: dict[str, AnyArray] = {}
    found: dict[str, str] = {}
    for name, wanted in types.items():
        series = frame[name]
        column = _read(series) if wanted is None else _read_as(series, wanted)
        if column is None:
            values = list(series)
            bad = _first_bad(values, str(wanted))
            raise DataError(
                f"column {name!r} held a {wanted} in the training data, but not here",
                where=f"{where}, row {bad + 1}",
                got=values[bad],
            )
        out[name] = column.values
        found[name] = column.type
    result = pd.DataFrame(out)
    result.attrs["column_types"] = found
    return result, [str(name) for name in frame.columns if name not in types]


def _first_bad(values: list[Any], wanted: str) -> int:
    """Return the first cell that is none of its column, or that does not go with those before."""
    alone = (i for i, value in enumerate(values) if _as([value], wanted) is None)
    joined = (i for i in range(len(values)) if _as(values[: i + 1], wanted) is None)
    return next(alone, next(joined, 0))


def _as(values: list[Any], wanted: str) -> _Read | None:
    if wanted == "category":
        return _categories(values)
    if all(blank(value) for value in values):
        return _Read(wanted, np.full(len(values), np.nan))  # type: ignore[arg-type]
    if wanted == "flag":
        return _flags(values) or _numbers(values)
    return _dates(values) if wanted == "date" else _numbers(values)


def _plain_numbers(series: Any) -> bool:
    """Whether a column is of numbers of the machine, so that none of its cells is to be judged."""
    kind = series.dtype
    plain = isinstance(kind, np.dtype) and kind.kind in "fiub" and kind.itemsize <= 8
    return plain and len(series) > 0


def _at_once(series: Any) -> _Read | None:
    """Read a whole column as `_flags` and `_numbers` do cell by cell; None where those must."""
    import pandas as pd

    if _plain_numbers(series):
        out = series.to_numpy().astype(np.float64)
        if series.dtype.kind == "b":
            return _Read("flag", out)
    else:
        cells = series.to_numpy(dtype=object)
        if pd.api.types.infer_dtype(cells, skipna=False) != "string":
            return None
        try:
            numbers = pd.to_numeric(pd.Series(cells, dtype=object))
        except (TypeError, ValueError):
            return None
        if numbers.dtype.kind not in "fiu":
            return None
        out = numbers.to_numpy().astype(np.float64)
        if not all(blank(cells[place]) for place in np.flatnonzero(np.isnan(out))):
            return None
    infinite = np.isinf(out)
    out[infinite | np.isnan(out)] = np.nan
    return _Read("number", out, "infinite" if infinite.any() else "")


def _read_as(series: Any, wanted: str) -> _Read | None:
    read = _at_once(series) if wanted in ("number", "flag") else None
    if read is None:
        return _as(list(series), wanted)
    if wanted == "number":
        return replace(read, type="number")
    blank = not read.note and bool(np.isnan(read.values).all())
    return replace(read, type="flag") if blank else read


def _read(series: Any) -> _Read:
    read = _at_once(series)
    if read is not None:
        return read
    values = list(series)
    if series.dtype.kind == "M":
        return _dates(values) or _categories(values)
    return _flags(values) or _numbers(values) or _dates(values) or _categories(values)


def _flags(values: list[Any]) -> _Read | None:
    out = np.full(len(values), np.nan)
    for i, value in enumerate(values):
        if isinstance(value, bool | np.bool_):
            out[i] = float(value)
        elif isinstance(value, str) and value.strip().lower() in FLAGS:
            out[i] = FLAGS[value.strip().lower()]
        elif not blank(value):
            return None
    return None if np.isnan(out).all() else _Read("flag", out)


def _numbers(values: list[Any]) -> _Read | None:
    import pandas as pd

    gone = [blank(value) for value in values]
    cells = [np.nan if empty else v for v, empty in zip(values, gone, strict=True)]
    cells, note = plain_commas(cells)
    numbers = pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce")
    out = numbers.to_numpy(dtype=np.float64, na_value=np.nan).copy()
    if bool(np.any(np.isnan(out) & ~np.array(gone, dtype=bool))):
        return None
    infinite = np.isinf(out)
    if infinite.any():
        out[infinite] = np.nan
        note = "infinite"
    return _Read("number", out, note)


def _dates(values: list[Any]) -> _Read | None:
    """Days since 1970 where every cell is an ISO-like date (2024-05-31, with a time or not)."""
    import pandas as pd

    present = [value for value in values if not blank(value)]
    texts = [v for v in present if isinstance(v, str)]
    if not present or any(not date_like(text) for text in texts):
        return None
    if any(not isinstance(v, str) and not hasattr(v, "isoformat") for v in present):
        return None
    cells = [None if blank(v) else str(v) for v in values]
    times = pd.to_datetime(
        pd.Series(cells, dtype=object), errors="coerce", format="ISO8601", utc=True
    )
    if int(times.isna().sum()) > len(values) - len(present):
        return None
    days = (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    return _Read("date", days.to_numpy(dtype=np.float64, na_value=np.nan))


def _categories(values: list[Any]) -> _Read:
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        text = "" if is_missing(value) else class_name(value)
        out[i] = np.nan if text in MISSING_NAMES else text
    return _Read("category", out)


def _useless(name: str, column: _Read) -> str:
    """Return why a column can tell nothing about the label, or "" where it can."""
    if column.type != "category":
        return _useless_numbers(name, column)
    present = [value for value in column.values if isinstance(value, str)]
    distinct = len(set(present))
    if distinct <= 1:
        return "it holds one value only" if distinct else "it is empty"
    if distinct < len(column.values) or distinct < _ID_ROWS:
        return ""
    return "each row has a value of its own, so it names rows and tells nothing about new ones"


def _useless_numbers(name: str, column: _Read) -> str:
    numbers = column.values[~np.isnan(column.values)]
    if not len(numbers):
        return "it is empty"
    if numbers.min() == numbers.max():
        return "it holds one value only"
    if column.type != "number" or len(numbers) < len(column.values) or len(numbers) < _ID_ROWS:
        return ""
    if not bool(np.all(numbers == np.round(numbers))) or len(np.unique(numbers)) < len(numbers):
        return ""
    if np.all(np.diff(numbers) == 1) or name.strip().lower() in _ID_NAMES:
        return "it numbers the rows, and the order of rows can betray the label"
    return ""


def _said(columns: dict[str, _Read]) -> list[Decision]:
    def names(type_: str, note: str = "") -> list[str]:
        return [n for n, c in columns.items() if c.type == type_ and (not note or c.note == note)]

    decisions = []
    if dates := names("date"):
        decisions.append(
            Decision(f"dates are read as days since 1970: {shown(dates)}", "models take numbers")
        )
    if flags := names("flag"):
        decisions.append(
            Decision(f"true and false are read as 1 and 0: {shown(flags)}", "as numbers")
        )
    if categories := names("category"):
        decisions.append(
            Decision(f"columns are read as categories: {shown(categories)}", "they are not numbers")
        )
    if commas := names("number", "comma"):
        decisions.append(
            Decision(f"commas are read as decimal points: {shown(commas)}", "no cell holds a point")
        )
    if thousands := names("number", "thousands"):
        decisions.append(
            Decision(
                f"commas are read as grouping thousands: {shown(thousands)}", "three digits each"
            )
        )
    if infinite := names("number", "infinite"):
        decisions.append(
            Decision(
                f"infinite numbers are read as missing: {shown(infinite)}", "none can be learnt"
            )
        )
    return decisions
