"""Columns of a row, each made typical in turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.core.types import FloatArray
from headstart.explain.occlusion import Hidden, rounded


def hidden(row: Mapping[str, Any], typical: Mapping[str, Any]) -> Hidden:
    """Return a row with each column at its typical value; empty where none is typical."""
    versions = [{**row, name: typical.get(name)} for name in row]

    def told(falls: FloatArray) -> dict[str, Any]:
        return {
            "columns": [
                {"name": str(name), "value": shown(value), "weight": rounded(fall, 4)}
                for (name, value), fall in zip(row.items(), falls.tolist(), strict=True)
            ]
        }

    return Hidden(dict(row), versions, told)


def shown(value: Any) -> Any:
    """Return a value of a table as JSON holds it; None where it is missing."""
    if value is None or value != value:
        return None
    if isinstance(value, bool | str):
        return value
    try:
        return rounded(value)
    except (TypeError, ValueError):
        return str(value)
