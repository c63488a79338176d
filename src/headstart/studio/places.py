"""Which folders and files may be chosen, and what stands in a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError
from headstart.data.folders import hidden
from headstart.data.tables import table_ending

ARCHIVE = ".zip"


@dataclass(frozen=True)
class Places:
    """The folders below which data may be chosen.

    Parameters
    ----------
    roots : sequence of Path
        Resolved; the first is where choosing begins.
    """

    roots: Sequence[Path]

    def allowed(self, path: str) -> Path:
        """Return the file or folder of this name, links resolved.

        Raises
        ------
        DataError
            It does not exist, or lies outside the folders that may be chosen from.
        """
        if "\0" in path or not path.strip():
            raise DataError("this is no path", where="path", got=path[:80])
        try:
            found = Path(path).expanduser().resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise DataError(
                "there is no such file or folder", where=path[:200], hint="choose another one"
            ) from error
        if not any(found == root or root in found.parents for root in self.roots):
            raise DataError(
                "this lies outside the folder that may be chosen from",
                where=path[:200],
                allowed=str(self.roots[0]),
                hint="`headstart studio --root DIR` allows another folder",
            )
        return found

    def listing(self, path: str | None, most: int) -> dict[str, Any]:
        """Return what stands in a folder: sub-folders and files that may be data.

        Parameters
        ----------
        path : str or None
            The folder; None for the first root.
        most : int
            How many entries at most.

        Returns
        -------
        dict
            ``path``, ``parent`` (None at a root), ``trail`` (name and path of the folders above),
            ``entries`` (``name``, ``path``, ``kind``: "folder" or "file", ``usable``, ``bytes``),
            ``more`` (how many are not listed).

        Raises
        ------
        DataError
        """
        folder = self.allowed(path) if path else self.roots[0]
        if not folder.is_dir():
            raise DataError("this is a file, not a folder", where=str(folder))
        try:
            with os.scandir(folder) as found:
                entries = [entry for entry in found if not hidden(entry.name)]
        except OSError as error:
            raise DataError(
                f"this folder cannot be read: {error.strerror or error}", where=str(folder)
            ) from error
        entries.sort(key=lambda one: (not _is_dir(one), one.name.casefold()))
        root = next(root for root in self.roots if folder == root or root in folder.parents)
        above = [folder, *folder.parents][: len(folder.relative_to(root).parts) + 1]
        return {
            "path": str(folder),
            "parent": None if folder == root else str(folder.parent),
            "trail": [{"name": one.name or str(one), "path": str(one)} for one in reversed(above)],
            "entries": [_entry(one) for one in entries[:most]],
            "more": max(0, len(entries) - most),
        }


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entry(entry: os.DirEntry[str]) -> dict[str, Any]:
    folder = _is_dir(entry)
    try:
        size = None if folder else entry.stat().st_size
    except OSError:
        size = None
    return {
        "name": printable(entry.name),
        "path": printable(entry.path),
        "kind": "folder" if folder else "file",
        "usable": folder or table_ending(Path(entry.name)) is not None,
        "bytes": size,
    }


def printable(name: str) -> str:
    """Return a name of a file as text that JSON can carry, whatever bytes it is made of."""
    return os.fsencode(name).decode("utf-8", errors="replace")
