"""The hash of what an item holds, whatever kind of item it is."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.core.errors import DataError
from headstart.core.types import AnyArray


def content_hash(item: Any) -> bytes:
    """Return a 16-byte BLAKE2b hash of what an item holds.

    Parameters
    ----------
    item : Path, bytes, str, ndarray, PIL image, (samples, rate), or a row of a table
        ``Path``: the bytes of the file; ``bytes``: themselves (so a file and its bytes agree);
        ``str``: a text, as UTF-8 (wrap paths in ``Path``); arrays and PIL images: pixels, shape
        and type; a sound in memory: samples, shape, type and rate; a row: a mapping or sequence
        of values.

    Raises
    ------
    DataError
        The file cannot be read, or the item is of a kind that has no content.

    Examples
    --------
    >>> from headstart.data import content_hash
    >>> content_hash("a text").hex()
    '706860d9e8c7ee1c65261bc1e5b75631'
    """
    if isinstance(item, Path):
        try:
            with item.open("rb") as file:
                return hashlib.file_digest(file, _digest).digest()
        except OSError as error:
            raise DataError(
                f"cannot read the file: {error.strerror or error}", where=str(item)
            ) from None
    digest = _digest()
    if isinstance(item, bytes):
        digest.update(item)
    elif isinstance(item, str):
        digest.update(item.encode("utf-8", "surrogatepass"))
    elif isinstance(item, np.ndarray):
        _add_array(digest, item)
    elif is_sound(item):
        rate = int(item[1]) if math.isfinite(item[1]) else item[1]  # 16000.0 is 16000
        digest.update(f"sound at {rate} ".encode())
        _add_array(digest, item[0])
    elif isinstance(item, Image.Image):
        digest.update(f"image {item.size} {item.mode} ".encode())
        digest.update(item.tobytes())
    elif isinstance(item, Mapping) or hasattr(item, "items"):
        row = [(str(key), _plain(value)) for key, value in item.items()]
        digest.update(f"row {row!r}".encode("utf-8", "surrogatepass"))
    elif isinstance(item, tuple | list):
        digest.update(f"row {[_plain(value) for value in item]!r}".encode("utf-8", "surrogatepass"))
    else:
        raise DataError(
            "an item of this kind has no content to compare",
            got=type(item).__name__,
            allowed="a path, bytes, text, array, PIL image, (samples, rate) or table row",
        )
    return digest.digest()


def is_sound(item: Any) -> bool:
    """Return True for a sound in memory: a tuple of an array of samples and their rate."""
    return (
        isinstance(item, tuple)
        and len(item) == 2
        and isinstance(item[0], np.ndarray)
        and isinstance(item[1], int | float | np.number)
    )


def _add_array(digest: Any, array: AnyArray) -> None:
    if array.dtype.hasobject:
        digest.update(repr(array.tolist()).encode("utf-8", "surrogatepass"))
    else:
        digest.update(f"array {array.shape} {array.dtype.str} ".encode())
        digest.update(np.ascontiguousarray(array).data)


def _digest() -> Any:
    return hashlib.blake2b(digest_size=16)


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as the Python value that prints the same on every version."""
    return value.item() if isinstance(value, np.generic) else value
