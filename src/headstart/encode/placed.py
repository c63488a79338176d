"""Items that are files or content in memory: their hashes, and where among the items one fails."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart import parallel
from headstart.core.errors import DataError
from headstart.data.content import content_hash


def hashes_of(items: Sequence[Any], first: int, *, cached: bool) -> list[bytes]:
    """Return a hash of each item's content, read in threads; of its position if none is cached.

    Parameters
    ----------
    items : sequence of length n
        Paths (``str`` or ``Path``), or what ``content_hash`` takes.
    first : int
        The position of the first of them among all items.
    cached : bool

    Raises
    ------
    DataError
        An item cannot be read; it names the item's position, and its file.
    """
    if not cached:
        return [position.to_bytes(8) for position in range(first, first + len(items))]
    located_items = zip(items, range(first, first + len(items)), strict=True)
    return list(parallel.map(lambda pair: _hash_at(*pair), located_items))


def file_of(item: Any) -> Any:
    """Return an item with a path for the name of a file."""
    return Path(item) if isinstance(item, str) else item


def located(error: DataError, item: Any, position: int) -> DataError:
    """Return an error that names an item's position among the items, and its file."""
    where = f"items[{position}]"
    if isinstance(item, (str, os.PathLike)):
        where = f"{where} ({os.fspath(item)})"
    return DataError(error.what, where=where, got=error.got, allowed=error.allowed, hint=error.hint)


def _hash_at(item: Any, position: int) -> bytes:
    try:
        return content_hash(file_of(item))
    except DataError as error:
        raise located(error, item, position) from error
