"""Text of anybody's, made safe for YAML and Markdown: it is shown, and never means anything."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LONGEST = 200
"""Characters of a name or a sentence of the user's that a card shows."""
_JOINERS = frozenset("\u200c\u200d")
_HIDDEN = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])


def visible(text: str, longest: int = LONGEST) -> str:
    """Return a text in one line, of bounded length, with no character that cannot be seen.

    Line breaks and tabs become blanks; what steers the direction of writing, and what is no
    character at all, is written as its number.

    Examples
    --------
    >>> visible("a\\tb" + chr(0x202E))
    'a b(U+202E)'
    """
    parts = []
    for char in text[: longest + 1]:
        if char.isspace():
            parts.append(" ")
        elif unicodedata.category(char) in _HIDDEN and char not in _JOINERS:
            parts.append(f"(U+{ord(char):04X})")
        else:
            parts.append(char)
    shown = " ".join("".join(parts[:longest]).split())
    return f"{shown}…" if len(text) > longest else shown


def escaped(value: Any, longest: int = LONGEST) -> str:
    """Return a value as Markdown that shows it and does nothing else.

    Every ASCII character that could mean something in Markdown, in a table or in HTML is written
    as a numeric character reference, which is never structure (CommonMark 0.31, section 2.5).

    Examples
    --------
    >>> escaped("a|b <i>")
    'a&#124;b &#60;i&#62;'
    """
    text = visible(value if isinstance(value, str) else str(value), longest)
    made = [char if _harmless(text, at) else f"&#{ord(char)};" for at, char in enumerate(text)]
    return "".join(made) or "(nothing)"


def _harmless(text: str, at: int) -> bool:
    """Say whether the character at a place of a line means nothing there in Markdown."""
    char, before, after = text[at], text[:at], text[at + 1 : at + 2]
    if char.isalnum() or ord(char) > 127 or char in " ,'(":
        return True
    if not before or (before.isdigit() and not after.isdigit()):
        return False  # a bullet, or the number of a list
    if char == ".":
        return after in ("", " ", ",", ";", ")") or (after.isdigit() and before[-1].isdigit())
    if char in ":;?!%":
        return after in ("", " ", ".", ",")
    return char in "+-)"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; its cells are Markdown already."""
    found = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return found + ["| " + " | ".join(row) + " |" for row in rows]


def quoted(text: str) -> str:
    """Return a text as a double-quoted YAML scalar in ASCII, which YAML reads as just that text.

    Examples
    --------
    >>> quoted('no: "yes"')
    '"no: \\\\"yes\\\\""'
    """
    made = []
    for char in text:
        code = ord(char)
        if char in '"\\':
            made.append("\\" + char)
        elif 32 <= code < 127:
            made.append(char)
        elif 0xD800 <= code < 0xE000:  # no character: YAML could not read it
            made.append("\\uFFFD")
        else:
            form = "\\x%02X" if code < 0x100 else "\\u%04X" if code < 0x10000 else "\\U%08X"
            made.append(form % code)
    return '"' + "".join(made) + '"'


def yaml_lines(value: Any, indent: int = 0) -> list[str]:
    """Return dicts, lists, texts, numbers and booleans as the lines of a YAML block.

    Keys are ours. Numbers that are not finite, None and what is empty are left out by whoever
    calls.
    """
    pad = " " * indent
    lines: list[str] = []
    if isinstance(value, Mapping):
        for key, part in value.items():
            if isinstance(part, Mapping | list):
                lines += [f"{pad}{key}:", *yaml_lines(part, indent + 2)]
            else:
                lines.append(f"{pad}{key}: {_scalar(part)}")
        return lines
    for part in value:
        if isinstance(part, Mapping | list):
            first, *rest = yaml_lines(part, indent + 2)
            lines += [f"{pad}- {first.strip()}", *rest]
        else:
            lines.append(f"{pad}- {_scalar(part)}")
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        assert math.isfinite(value)
        return repr(value)
    return quoted(str(value))
