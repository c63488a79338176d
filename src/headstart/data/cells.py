"""How the cells of a table are read: what is missing, a flag, a number or a date. No pandas."""

from __future__ import annotations

import re
from typing import Any

from headstart.core.missing import is_missing

MISSING_NUMBERS = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", "nil", "#n/a"})
MISSING_NAMES = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "?", "#N/A", "<NA>"})
FLAGS = {"true": 1.0, "false": 0.0, "t": 1.0, "f": 0.0}
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


def blank(value: Any) -> bool:
    """Say whether a cell of a column of numbers, flags or dates is empty."""
    return is_missing(value) or (
        isinstance(value, str) and value.strip().lower() in MISSING_NUMBERS
    )


def plain_commas(cells: list[Any]) -> tuple[list[Any], str]:
    """Read 1,200,000 as grouped thousands and 3,14 as a decimal comma, where all cells agree."""
    with_comma = [c.strip() for c in cells if isinstance(c, str) and "," in c]
    if not with_comma:
        return cells, ""
    if all(THOUSANDS.fullmatch(cell) for cell in with_comma):
        return [c.replace(",", "") if isinstance(c, str) else c for c in cells], "thousands"
    if any("." in c for c in cells if isinstance(c, str)):
        return cells, ""
    return [c.replace(",", ".", 1) if isinstance(c, str) else c for c in cells], "comma"


def date_like(text: str) -> bool:
    """Say whether a text begins like an ISO date."""
    text = text.strip()
    return len(text) >= 10 and text[4] == "-" and text[7] == "-" and text[:4].isdigit()
