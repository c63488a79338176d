"""What a stranger wrote, made harmless to read: names, labels and texts of the user's data.

Escaping is the template's work. This is about what escaping lets through: control characters,
letters that turn the reading direction round, halves of a character, and texts without an end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

LONGEST = 4000
"""Characters of a text that are kept."""
NAME = 120
"""Characters of a name (a class, a file, a column) that are shown."""
MARK = "\N{REPLACEMENT CHARACTER}"
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters, but tab and new lines
    "\u202a-\u202e\u2066-\u2069"  # what turns the reading direction round
    "\u2028\u2029\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
_DATA = re.compile(
    r"data:(?:image/(?:png|jpeg|webp|gif)|audio/(?:mpeg|wav|x-wav|ogg|flac|mp4));base64,"
    r"[A-Za-z0-9+/]+={0,2}"
)


def cleaned(value: Any) -> Any:
    """Return plain values in which every text can be shown; numbers that are none become None.

    Parameters
    ----------
    value : JSON value
        Texts, numbers, lists and mappings, nested.
    """
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {
            text(str(key)): (data_uri(inner) if key == "src" else cleaned(inner))
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [cleaned(inner) for inner in value]
    return value


def text(value: str) -> str:
    """Return a text without what cannot be seen, cut where it is very long."""
    cut = value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
    return _UNSEEN.sub(MARK, cut.replace("\r\n", "\n").replace("\r", "\n"))


def data_uri(value: Any) -> str | None:
    """Return a picture or a sound that carries its own bytes; None for any other address."""
    if isinstance(value, str) and _DATA.fullmatch(value):
        return value
    return None


def name(value: Any, longest: int = NAME) -> str:
    """Return a name on one line, cut in its middle where it is long."""
    told = " ".join(text(str(value)).split()) or "(empty)"
    if len(told) <= longest:
        return told
    head = (longest - 1) * 2 // 3
    return f"{told[:head]}…{told[len(told) - (longest - 1 - head) :]}"
