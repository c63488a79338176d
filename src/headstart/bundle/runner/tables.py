"""Rows of a table as the numbers that trees and linear models take, without pandas."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.missing import is_missing
from headstart.core.names import class_name
from headstart.core.types import AnyArray, FloatArray
from headstart.data.cells import FLAGS, MISSING_NAMES, blank, date_like, plain_commas

FEW = 10  # trees get a column for each of so many categories, else rank and frequency
ONE_HOT = 50  # linear models get a column for each of the so many most frequent categories
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(inf|infinity)", re.IGNORECASE)
_DAY = 86_400.0
Cells = Mapping[str, Any]
"""Columns by name: float64 arrays, or lists of text and None."""


def read_rows(items: Any, columns: Sequence[Mapping[str, str]]) -> tuple[int, dict[str, Any]]:
    """Return the number of rows, and their columns as the model was taught to read them.

    Parameters
    ----------
    items : sequence of dict, or a data frame
        Columns beyond ``columns`` are not looked at.
    columns : sequence of mapping
        ``name`` and ``type`` ("number", "flag", "date" or "category") of each.

    Raises
    ------
    OptionError
        ``items`` is one row instead of a sequence of rows.
    DataError
        A column is missing, or a cell is not of its column's type; says which.
    """
    if hasattr(items, "to_dict") and hasattr(items, "columns"):
        items = items.to_dict("records")
    if isinstance(items, Mapping | str | bytes):
        raise OptionError(
            "one row was given where a table is needed",
            got=type(items).__name__,
            allowed="a list of dicts",
            hint="put it into a list: [row]",
        )
    rows = list(items)
    for position, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(
                "a row is not a dict of column: value",
                where=f"item {position}",
                got=type(row).__name__,
            )
    rows = [{str(key): value for key, value in row.items()} for row in rows]
    there = {key for row in rows for key in row}
    missing = [column["name"] for column in columns if column["name"] not in there]
    if rows and missing:
        raise DataError(
            f"columns are missing: {', '.join(missing[:10])}",
            where="items",
            got=", ".join(sorted(there)[:20]),
            allowed=[column["name"] for column in columns],
        )
    found = {}
    for column in columns:
        name = column["name"]
        found[name] = _column([row.get(name) for row in rows], name, column["type"])
    return len(rows), found


def _column(cells: list[Any], name: str, wanted: str) -> Any:
    if wanted == "category":
        texts = ["" if is_missing(cell) else class_name(cell) for cell in cells]
        return [None if text in MISSING_NAMES else text for text in texts]
    read = _READERS[wanted](cells)
    if read is not None:
        return read
    alone = (i for i, cell in enumerate(cells) if _READERS[wanted]([cell]) is None)
    joined = (i for i in range(len(cells)) if _READERS[wanted](cells[: i + 1]) is None)
    bad = next(alone, next(joined, 0))
    raise DataError(
        f"column {name!r} held a {wanted} in the training data, but not here",
        where=f"items, row {bad + 1}",
        got=cells[bad],
    )


def _numbers(cells: list[Any]) -> FloatArray | None:
    """Return cells as numbers, NaN where empty or infinite; None if one is no number."""
    gone = [blank(cell) for cell in cells]
    cells, _ = plain_commas([None if empty else c for c, empty in zip(cells, gone, strict=True)])
    found = np.full(len(cells), np.nan)
    for place, cell in enumerate(cells):
        if gone[place]:
            continue
        value = _number(cell)
        if value is None:
            return None
        found[place] = value if math.isfinite(value) else math.nan
    return found


def _number(cell: Any) -> float | None:
    if isinstance(cell, str):
        text = cell.strip()
        known = _NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text)
        return float(text) if known else None
    try:
        return None if isinstance(cell, bytes | complex) else float(cell)
    except (TypeError, ValueError, OverflowError):
        return None


def _flags(cells: list[Any]) -> FloatArray | None:
    """Return cells as 1 and 0; numbers are taken too."""
    found = np.full(len(cells), np.nan)
    for place, cell in enumerate(cells):
        if isinstance(cell, bool | np.bool_):
            found[place] = float(cell)
        elif isinstance(cell, str) and cell.strip().lower() in FLAGS:
            found[place] = FLAGS[cell.strip().lower()]
        elif not blank(cell):
            return _numbers(cells)
    return found


def _dates(cells: list[Any]) -> FloatArray | None:
    """Return cells as days since 1970; None if one is no date.

    What was read as a date before, and is a number of days now, is taken as it is.
    """
    if any(isinstance(cell, float | int) for cell in cells if not blank(cell)):
        return _numbers(cells)
    found = np.full(len(cells), np.nan)
    for place, cell in enumerate(cells):
        if blank(cell):
            continue
        text = cell if isinstance(cell, str) else str(cell)
        if not date_like(text) or not (isinstance(cell, str) or hasattr(cell, "isoformat")):
            return None
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            return None
        zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        found[place] = (zoned - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / _DAY
    return found


_READERS = {"number": _numbers, "flag": _flags, "date": _dates}


def _codes(cells: Sequence[str | None], categories: Sequence[str]) -> FloatArray:
    """Return the rank of each category; NaN where missing or unknown."""
    rank = {category: float(place) for place, category in enumerate(categories)}
    return np.array([math.nan if cell is None else rank.get(cell, math.nan) for cell in cells])


def for_trees(cells: Cells, columns: Sequence[Mapping[str, Any]], n: int) -> FloatArray:
    """Return (n, d) float64 numbers for trees; what is missing stays NaN.

    Parameters
    ----------
    cells : mapping
        From :func:`read_rows`.
    columns : sequence of mapping
        ``name``, ``kind`` and, of categories, ``categories`` and ``counts``.
    n : int
    """
    parts: list[FloatArray] = [np.zeros((n, 0))]
    for column in columns:
        if column["kind"] == "number":
            parts.append(np.asarray(cells[column["name"]])[:, None])
        elif column["kind"] == "category":
            known = column["categories"]
            codes = _codes(cells[column["name"]], known)
            if len(known) <= FEW:
                parts.append((codes[:, None] == np.arange(len(known))).astype(np.float64))
            else:
                counts = np.append(np.array(column["counts"], dtype=np.float64), 0.0)
                place = np.where(np.isnan(codes), len(known), codes).astype(np.int64)
                parts.append(np.column_stack([codes, counts[place]]))
    return np.hstack(parts)


def for_linear(
    cells: Cells,
    columns: Sequence[Mapping[str, Any]],
    scaling: Mapping[str, AnyArray],
    n: int,
) -> FloatArray:
    """Return (n, d) standardised numbers: medians for gaps, which are marked; categories one-hot.

    Parameters
    ----------
    cells, columns, n
        As for :func:`for_trees`.
    scaling : mapping of name to ndarray
        ``median`` and ``missing`` of the numbers; ``mean`` and ``spread`` of all.
    """
    numbers: list[FloatArray] = [np.zeros((n, 0))]
    hot: list[FloatArray] = [np.zeros((n, 0))]
    for column in columns:
        if column["kind"] == "number":
            numbers.append(np.asarray(cells[column["name"]])[:, None])
        elif column["kind"] == "category":
            order = np.argsort(-np.array(column["counts"]), kind="stable")[:ONE_HOT]
            codes = _codes(cells[column["name"]], column["categories"])
            hot.append((codes[:, None] == np.sort(order)).astype(np.float64))
    plain = np.hstack(numbers)
    gone = np.isnan(plain)
    marked = gone[:, scaling["missing"] > 0]
    whole = np.hstack([np.where(gone, scaling["median"], plain), marked, *hot])
    varies = max(int(np.isfinite(scaling["spread"]).sum()), 1)
    result: FloatArray = (whole - scaling["mean"]) / scaling["spread"] / math.sqrt(varies)
    return result
