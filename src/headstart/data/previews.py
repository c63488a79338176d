"""Items as people see them at a glance: a small picture, the text, a few seconds, the values."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import Modality
from headstart.data.audio import audio_facts, read_audio
from headstart.data.images import read_image

SMALL_SIDE, LARGE_SIDE = 56, 224
"""Pixels of the longer side."""
SMALL_TEXT, LARGE_TEXT = 280, 2_000
"""Characters."""
SMALL_SECONDS, LARGE_SECONDS = 1.5, 6.0
RATE = 16_000
SMALL_COLUMNS, LARGE_COLUMNS = 12, 40
QUALITY = 72
_CELL = 120


def preview(item: Any, modality: Modality, *, large: bool = False) -> dict[str, Any] | None:
    """Return what of an item is shown, as JSON holds it.

    Parameters
    ----------
    item : item
        A text; what ``read_image`` or ``read_audio`` takes; a row of a table as a dict.
    modality : {"image", "text", "audio", "table"}
    large : bool
        More of it: 224 pixels instead of 56, 2,000 characters instead of 280, 6 seconds instead
        of 1.5.

    Returns
    -------
    dict or None
        ``kind`` ("image", "text", "sound" or "row") and what goes with it: ``src`` (a data URL),
        ``width`` and ``height``; ``text``; ``src`` and ``seconds`` (of the whole recording); or
        ``values``. None where the item cannot be read.

    Examples
    --------
    >>> preview("a warm film", "text")
    {'kind': 'text', 'text': 'a warm film'}
    """
    try:
        return _SHOWN[modality](item, large)
    except (DataError, OSError):
        return None


def _picture(item: Any, large: bool) -> dict[str, Any]:
    side = LARGE_SIDE if large else SMALL_SIDE
    picture = read_image(item, max_side=side)
    if max(picture.size) > side:
        scale = side / max(picture.size)
        width, height = (max(1, round(length * scale)) for length in picture.size)
        picture = picture.resize((width, height), reducing_gap=2.0)
    held = io.BytesIO()
    picture.save(held, "WEBP", quality=QUALITY, method=4)
    src = _url("image/webp", held.getvalue())
    return {"kind": "image", "src": src, "width": picture.width, "height": picture.height}


def _text(item: Any, large: bool) -> dict[str, Any]:
    text, most = str(item), LARGE_TEXT if large else SMALL_TEXT
    return {"kind": "text", "text": text if len(text) <= most else text[: most - 1] + "…"}


def _sound(item: Any, large: bool) -> dict[str, Any]:
    import soundfile

    samples = read_audio(item, rate=RATE, seconds=LARGE_SECONDS if large else SMALL_SECONDS)
    loudest = float(np.abs(samples).max(initial=0.0))
    if 0 < loudest < 0.1:  # loud enough to be heard through a laptop
        samples = samples * (0.5 / loudest)
    held = io.BytesIO()
    soundfile.write(held, samples, RATE, format="MP3", compression_level=0.6)
    seconds = round(audio_facts(item).seconds, 2)
    return {"kind": "sound", "src": _url("audio/mpeg", held.getvalue()), "seconds": seconds}


def _row(item: Any, large: bool) -> dict[str, Any]:
    most = LARGE_COLUMNS if large else SMALL_COLUMNS
    values = {str(name): _cell(value) for name, value in list(item.items())[:most]}
    return {"kind": "row", "values": values}


def _cell(value: Any) -> str | float | None:
    if value is None or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, int | float | np.number):
        number = float(f"{float(value):.6g}")
        return number if math.isfinite(number) else str(number)
    return str(short_cell(str(value)))


def short_cell(value: Any) -> Any:
    """Return a value of a table, cut where it is a long text."""
    long = isinstance(value, str) and len(value) > _CELL
    return value[: _CELL - 1] + "…" if long else value


def _url(media: str, raw: bytes) -> str:
    return f"data:{media};base64,{base64.b64encode(raw).decode()}"


_SHOWN = {"image": _picture, "text": _text, "audio": _sound, "table": _row}
