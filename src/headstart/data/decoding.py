"""Bytes of a text file -> text: by byte order mark, as UTF-8, or by what they look like."""

from __future__ import annotations

import codecs

from headstart.core.errors import DataError
from headstart.core.types import Decision

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes, where: str) -> tuple[str, tuple[Decision, ...]]:
    """Decode a text file: by its byte order mark, as UTF-8, or else by what it looks like.

    Raises
    ------
    DataError
        Bytes of no known encoding, and NUL bytes (their line is named).
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _decoded(data, name, where), ()
    if b"\0" in data:
        wide = _wide(data)
        if wide is None:
            line = data[: data.index(b"\0")].count(b"\n") + 1
            raise DataError(
                "the file holds NUL bytes: it is not a text file, or damaged",
                where=f"{where}, line {line}",
                hint="Save it again as UTF-8 text",
            )
        return _decoded(data, wide, where), (_encoding(wide, "every other byte is NUL"),)
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
    guess = _guessed(data)
    if guess is None:
        raise DataError(
            "the file's text encoding is not recognised",
            where=f"{where}, line {line}",
            hint="Save it again as UTF-8 text",
        )
    return _decoded(data, guess, where), (_encoding(guess, f"line {line} is not UTF-8"),)


def _encoding(name: str, why: str) -> Decision:
    return Decision(f"text read as {name}", why, "save the file as UTF-8 if letters look wrong")


def _decoded(data: bytes, name: str, where: str) -> str:
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"the file says it is {name}, but holds bytes that are not",
            where=f"{where}, line {line}",
            hint="Save it again as UTF-8 text",
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError("the text holds NUL characters", where=f"{where}, line {line}")
    return text


def _wide(data: bytes) -> str | None:
    head = data[:4096]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > 0.4 * len(head) / 2 and even < 0.05 * len(head):
        return "utf-16-le"
    if even > 0.4 * len(head) / 2 and odd < 0.05 * len(head):
        return "utf-16-be"
    return None


_WESTERN_TWINS = ("cp1250", "cp1257", "cp1258", "mac", "iso8859", "latin", "cp4", "cp8")


def _guessed(data: bytes) -> str | None:
    """Ask charset-normalizer, and settle two near ties in which it errs on short texts."""
    from charset_normalizer import from_bytes

    for name in ("cp932", "euc_jp"):
        if _is_japanese(data, name):
            return name
    found = from_bytes(data)
    best = found.best()
    if best is None:
        return None
    western = next((match for match in found if match.encoding == "cp1252"), None)
    if western is None and best.encoding.startswith(_WESTERN_TWINS):
        western = from_bytes(data, cp_isolation=["cp1252"]).best()
    if western is not None and best.encoding.startswith(_WESTERN_TWINS):
        return "cp1252" if western.coherence >= best.coherence else str(best.encoding)
    return str(best.encoding)


def _is_japanese(data: bytes, name: str) -> bool:
    """Half or more of Japanese text is kana; other texts read as Japanese hold hardly any."""
    try:
        letters = [letter for letter in data.decode(name) if letter > "\u007f"]
    except UnicodeDecodeError:
        return False
    kana = sum("\u3041" <= letter <= "\u30ff" for letter in letters)
    return bool(letters) and kana >= 0.25 * len(letters)
