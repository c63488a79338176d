"""One way to say that a label or a cell is missing."""

from __future__ import annotations

from typing import Any


def is_missing(value: Any) -> bool:
    """Return True for None, NaN, and pandas' NA and NaT; pandas itself is not needed.

    Examples
    --------
    >>> [is_missing(value) for value in (None, float("nan"), "", 0, "nan")]
    [True, True, False, False, False]
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return False
