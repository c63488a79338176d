"""Items as people give them -> items as encoders and estimators take them, checked one by one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from headstart.bundle.columns import Column, to_frame
from headstart.core.errors import DataError, OptionError
from headstart.core.types import Modality

_MANY = {"text": "a list of texts", "image": "a list of paths, PIL images or arrays"}


def prepared(items: Any, modality: Modality, columns: Sequence[Column] = ()) -> Any:
    """Return items as a list (texts, images) or a data frame (tables).

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
    if single or (isinstance(items, np.ndarray) and modality == "image" and items.ndim in (2, 3)):
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
    fits = _is_text if modality == "text" else _is_image
    for position, item in enumerate(result):
        if not fits(item):
            raise DataError(
                f"not {'a text' if modality == 'text' else 'an image'}",
                where=f"item {position}",
                got=type(item).__name__,
                allowed="str"
                if modality == "text"
                else "a path, a PIL image or a uint8 array (H, W[, C])",
            )
    return [str(item) for item in result] if modality == "text" else result


def _is_text(item: Any) -> bool:
    return isinstance(item, str)


def _is_image(item: Any) -> bool:
    if isinstance(item, np.ndarray):
        return item.ndim in (2, 3)
    return isinstance(item, str | os.PathLike) or hasattr(item, "convert")


def shown(items: Any) -> list[str]:
    """Return one line of text for each item, for the ``input`` column of predictions."""
    if hasattr(items, "iloc"):
        return [f"row {position + 1}" for position in range(len(items))]
    return [
        str(item) if isinstance(item, str | os.PathLike) else f"item {position + 1}"
        for position, item in enumerate(items)
    ]
