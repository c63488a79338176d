"""Items as people give them -> items as encoders and estimators take them, checked one by one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from headstart.bundle.columns import Column, to_frame
from headstart.core.errors import DataError, OptionError
from headstart.core.types import Modality
from headstart.data.content import is_sound

_MANY = {
    "text": "a list of texts",
    "image": "a list of paths, PIL images or arrays",
    "audio": "a list of paths, bytes of sound files, or (samples, rate)",
}
_ONE = {"text": "a text", "image": "an image", "audio": "a recording"}
_ALLOWED = {
    "text": "str",
    "image": "a path, bytes of an image file, a PIL image or a uint8 array (H, W[, C])",
    "audio": "a path, the bytes of a sound file, or (samples, rate)",
}


def prepared(items: Any, modality: Modality, columns: Sequence[Column] = ()) -> Any:
    """Return items as a list (texts, images, recordings) or a data frame (tables).

    Parameters
    ----------
    items : sequence of length n, or DataFrame
    modality : {"image", "text", "audio", "table"}
    columns : sequence of Column
        Of a table.

    Raises
    ------
    OptionError
        A single item was given instead of a sequence of them.
    DataError
        An item is not of the modality; says which.
    """
    if modality == "table":
        return to_frame(items, columns)
    single = isinstance(items, str | bytes | dict | os.PathLike) or hasattr(items, "convert")
    array = isinstance(items, np.ndarray) and modality == "image" and items.ndim in (2, 3)
    if single or array or (modality == "audio" and is_sound(items)):
        raise OptionError(
            f"a single {modality} was given where several are expected",
            got=items if isinstance(items, str) else type(items).__name__,
            allowed=_MANY.get(modality, "a list"),
            hint="put it into a list: [item]",
        )
    if not isinstance(items, Iterable) or hasattr(items, "columns"):
        raise OptionError(
            "not a list of items", got=type(items).__name__, allowed=_MANY.get(modality, "a list")
        )
    result = list(items)
    fits = _FITS[modality]
    for position, item in enumerate(result):
        if not fits(item):
            raise DataError(
                f"not {_ONE[modality]}",
                where=f"item {position}",
                got=type(item).__name__,
                allowed=_ALLOWED[modality],
            )
    return [str(item) for item in result] if modality == "text" else result


def _is_text(item: Any) -> bool:
    return isinstance(item, str)


def _is_image(item: Any) -> bool:
    if isinstance(item, np.ndarray):
        return item.ndim in (2, 3)
    return isinstance(item, str | bytes | os.PathLike) or hasattr(item, "convert")


def _is_sound(item: Any) -> bool:
    return isinstance(item, str | bytes | os.PathLike) or is_sound(item)


_FITS = {"text": _is_text, "image": _is_image, "audio": _is_sound}


def shown(items: Any) -> list[str]:
    """Return one line of text for each item, for the ``input`` column of predictions."""
    if hasattr(items, "iloc"):
        return [f"row {position + 1}" for position in range(len(items))]
    return [
        str(item) if isinstance(item, str | os.PathLike) else f"item {position + 1}"
        for position, item in enumerate(items)
    ]
