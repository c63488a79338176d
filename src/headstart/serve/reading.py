"""The body of a request -> items, each of them checked before the model sees any."""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from headstart.core.errors import DataError
from headstart.serve.problems import Problem, of_data
from headstart.serve.settings import Limits

PARTS = 300_000
"""Brackets, braces and commas in a JSON body: what a small body may become in memory."""

KEYS = ("items", "item", "text")
NOUNS = {"text": "text", "table": "row", "image": "picture", "audio": "recording"}


@dataclass(frozen=True)
class Wanted:
    """What items a model takes, and how much of them a request may bring.

    Parameters
    ----------
    modality : {"text", "image", "audio", "table"}
    columns : tuple of (name, type)
        Of a table.
    limits : Limits
    """

    modality: str
    columns: tuple[tuple[str, str], ...]
    limits: Limits

    def samples(self, n: int) -> list[Any]:
        """Return items like those that will come, no two texts alike."""
        if self.modality == "text":
            text = "This is text number {} of a few, neither very short nor as long as a page."
            return [text.format(place) for place in range(n)]
        if self.modality == "table":
            return [dict.fromkeys((name for name, _ in self.columns), None) for _ in range(n)]
        return [_picture() if self.modality == "image" else _sound()] * n


@dataclass(frozen=True)
class Asked:
    """What a request asks.

    Parameters
    ----------
    items : list
        Texts, rows, or bytes of files.
    names : list of str or None
        What the caller called them; None where they have no names.
    fields : mapping
        What else the body held: ``label`` and ``predicted`` of a correction.
    """

    items: list[Any]
    names: list[str] | None
    fields: Mapping[str, Any]


def parse_json(body: bytes) -> Any:
    """Return what a JSON body holds.

    Raises
    ------
    Problem
        400: it is not JSON, is nested too deeply, or holds a number that is not finite.
        413: it has too many parts.
    """
    check_parts(body)
    try:
        return json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise Problem(400, "the JSON is nested too deeply", where="body") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise Problem(
            400,
            f"the body is not JSON: {error}"[:200],
            where="body",
            hint='send {"items": [...]}',
        ) from None


def check_parts(body: bytes | str) -> None:
    """Refuse JSON that would become far more in memory than it is.

    Raises
    ------
    Problem
        413.
    """
    if len(body) > PARTS:
        signs: Any = (b",", b"{", b"[") if isinstance(body, bytes) else (",", "{", "[")
        parts = sum(body.count(sign) for sign in signs)
        if parts > PARTS:
            raise Problem(413, f"the body has {parts:,} parts, and may have {PARTS:,}")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def read_json(body: bytes, wanted: Wanted, *, more: Sequence[str] = ()) -> Asked:
    """Return the items of a JSON body.

    Parameters
    ----------
    body : bytes
        ``{"items": [...]}``, or ``{"item": ...}`` or ``{"text": ...}`` for one.
    wanted : Wanted
    more : sequence of str
        Further keys that the body may hold.

    Raises
    ------
    Problem
        400, 413, 422: what is wrong, and with which item.
    """
    held = parse_json(body)
    if not isinstance(held, dict):
        raise Problem(422, "the body is not a JSON object", hint='send {"items": [...]}')
    given = [key for key in KEYS if key in held]
    foreign = sorted(set(held) - set(KEYS) - set(more))
    if foreign:
        raise Problem(
            422,
            "the body holds a key that is not known",
            where=foreign[0][:80],
            hint=f"known: {', '.join((*KEYS, *more))}",
        )
    if len(given) != 1:
        raise Problem(
            422,
            "the body must hold one of items, item and text",
            where=", ".join(given) or None,
            hint='send {"items": [...]}',
        )
    if given[0] == "items":
        items = held["items"]
        if not isinstance(items, list):
            raise Problem(422, "this is not a list", where="items")
    else:
        items = [held[given[0]]]
    fields = {key: held[key] for key in more if key in held}
    return Asked(checked(items, wanted), None, fields)


def checked(items: list[Any], wanted: Wanted) -> list[Any]:
    """Return items as the model takes them: texts, rows, or bytes out of base64.

    Raises
    ------
    Problem
        413, 422.
    """
    count(len(items), wanted)
    check = _CHECKS[wanted.modality]
    return [check(item, wanted, place) for place, item in enumerate(items)]


def count(n: int, wanted: Wanted) -> None:
    """Refuse no items, and too many.

    Raises
    ------
    Problem
        413, 422.
    """
    if n == 0:
        raise Problem(422, "there is no item", where="items")
    if n > wanted.limits.items:
        raise Problem(
            413,
            f"there are {n:,} items, and there may be {wanted.limits.items:,} in one request",
            where="items",
            hint="send them in several requests",
        )


def text_item(item: Any, wanted: Wanted, place: int) -> str:
    """Return a text.

    Raises
    ------
    Problem
        413, 422.
    """
    if not isinstance(item, str):
        raise Problem(422, "this item is not a text", where=_at(place), hint="send a string")
    _check_text(item, wanted, _at(place))
    return item


def _check_text(text: str, wanted: Wanted, where: str) -> None:
    if len(text) > wanted.limits.characters:
        raise Problem(
            413,
            f"the text has {len(text):,} characters, and may have {wanted.limits.characters:,}",
            where=where,
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Problem(422, "the text holds half a character", where=where) from None


def row_item(item: Any, wanted: Wanted, place: int) -> dict[str, Any]:
    """Return a row: column -> value.

    Raises
    ------
    Problem
        413, 422.
    """
    if not isinstance(item, dict):
        raise Problem(
            422, "this item is not a row", where=_at(place), hint='send {"column": value, ...}'
        )
    if len(item) > wanted.limits.columns:
        raise Problem(
            413,
            f"the row has {len(item):,} columns, and may have {wanted.limits.columns:,}",
            where=_at(place),
        )
    for name, _ in wanted.columns:
        if name not in item:
            raise Problem(
                422,
                f"there is no column {name!r}",
                where=_at(place),
                hint="send null for a value that is not known",
            )
    row = {name: item[name] for name, _ in wanted.columns} if wanted.columns else item
    for name, value in row.items():
        _check_cell(value, wanted, f"{_at(place)}, column {name[:80]!r}")
    return row


def _check_cell(value: Any, wanted: Wanted, where: str) -> None:
    if isinstance(value, str):
        _check_text(value, wanted, where)
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > 2**63:
            raise Problem(422, "this number is too large", where=where)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Problem(422, "this number is not finite", where=where)
    elif value is not None and not isinstance(value, bool):
        raise Problem(422, "this is no value of a table", where=where, hint="send a number or text")


def bytes_item(item: Any, wanted: Wanted, place: int) -> bytes:
    """Return the bytes of a file out of ``{"b64": ...}`` or base64 text.

    Raises
    ------
    Problem
        413, 422.
    """
    noun = NOUNS[wanted.modality]
    coded = item.get("b64") if isinstance(item, dict) and set(item) == {"b64"} else item
    if not isinstance(coded, str):
        raise Problem(
            422,
            f"this item is not a {noun}",
            where=_at(place),
            hint='send {"b64": the bytes of the file in base64}, or the file in a form',
        )
    try:
        found = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(
            422,
            "this is not base64",
            where=_at(place),
            hint="paths and addresses are not read: send the bytes of the file",
        ) from None
    return file_item(found, wanted, _at(place))


def file_item(found: bytes, wanted: Wanted, where: str) -> bytes:
    """Check the header of a picture or a recording; nothing is decoded.

    Raises
    ------
    Problem
        413, 422.
    """
    if not found:
        raise Problem(422, "the file is empty", where=where)
    try:
        if wanted.modality == "image":
            _check_picture(found, wanted.limits, where)
        else:
            _check_sound(found, wanted.limits, where)
    except DataError as error:
        problem = of_data(error)
        problem.where = where
        raise problem from None
    return found


def _check_picture(found: bytes, limits: Limits, where: str) -> None:
    from headstart.data.images import image_facts

    facts = image_facts(found)
    pixels = facts.width * facts.height
    most = limits.pixels if facts.format in ("JPEG", "MPO") else limits.pixels // 2
    if pixels > most:
        raise Problem(
            413,
            f"the picture has {pixels / 1e6:.1f} megapixels, and may have {most / 1e6:.1f}",
            where=where,
            hint="shrink it first; of JPEG pictures larger ones are taken",
        )


def _check_sound(found: bytes, limits: Limits, where: str) -> None:
    from headstart.data.sound_file import opened

    with opened(found) as sound:
        seconds = sound.seconds
    if seconds > limits.seconds_of_sound:
        raise Problem(
            413,
            f"the recording is {seconds:.0f} s long, and may be {limits.seconds_of_sound:.0f} s",
            where=where,
        )


def _picture() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def _sound() -> bytes:
    """Return a second of a tone as the bytes of a wav file."""
    rate = 16000
    wave = [round(8000 * math.sin(440 * 2 * math.pi * at / rate)) for at in range(rate)]
    data = struct.pack(f"<{rate}h", *wave)
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16),
        *(b"data", len(data)),
    )
    return head + data


def _at(place: int) -> str:
    return f"items[{place}]"


_CHECKS: dict[str, Any] = {
    "text": text_item,
    "table": row_item,
    "image": bytes_item,
    "audio": bytes_item,
}
