"""The files of a bundle -> a directory or an archive that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from headstart.bundle import archive, disk
from headstart.bundle.codec import bounded
from headstart.bundle.manifest import (
    BESIDE,
    FORMAT,
    MANIFEST,
    MAX_BYTES,
    OPTIONAL,
    REQUIRED,
    SIZES,
)
from headstart.bundle.place import opened
from headstart.bundle.sequence_manifest import SEQUENCE_FORMAT
from headstart.core.errors import BundleError, OptionError

_LITTER = frozenset([".DS_Store", "Thumbs.db", "desktop.ini"])  # left by file managers
_OURS = frozenset([MANIFEST]) | REQUIRED | OPTIONAL | BESIDE


def is_archive(path: str | Path) -> bool:
    """Say whether a model at this path is, or shall be, one file: by the ending ``.zip``."""
    return str(path).lower().endswith(".zip")


def put(where: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files of a bundle to a path that ``check_target`` allowed.

    Parameters
    ----------
    where : Path
        Ending in ``.zip``: an archive is written; otherwise a directory.
    files : mapping of name to content

    Raises
    ------
    BundleError
        They are larger than what is read again, or writing failed.
    """
    _readable(files)
    try:
        if is_archive(where):
            with disk.staged_file(where) as file:
                ordered = sorted(files, key=lambda name: (name != MANIFEST, name))
                archive.write(file, {name: files[name] for name in ordered})
        else:
            with disk.staged(where) as fresh:
                for name, raw in files.items():
                    disk.write(fresh / name, raw)
    except OSError as error:
        raise BundleError(
            f"the model could not be saved: {error.strerror or error}", where=str(where)
        ) from error
    return where


def _readable(files: Mapping[str, bytes]) -> None:
    """Check that what is written would be read again: no file is larger than readers allow."""
    for name, raw in files.items():
        most = SIZES.get(name, MAX_BYTES)
        if len(raw) > most:
            raise BundleError(
                "too large to be saved",
                where=name,
                got=f"{len(raw):,} bytes",
                allowed=f"at most {most:,} bytes",
            )
        if name.endswith(".json") and (wrong := bounded(raw)):
            raise BundleError(f"this cannot be saved: {wrong}", where=name)


def check_target(path: str | Path, *, overwrite: bool = True) -> Path:
    """Say whether a model may be written to a path, before any work is done.

    Returns
    -------
    Path
        The path, links resolved.

    Raises
    ------
    OptionError
        Something is there that may not be replaced.
    """
    where = Path(os.path.realpath(path))
    disk.recover(where)
    if not os.path.lexists(where):
        return where
    if is_archive(where):
        _check_archive(where)
    elif not where.is_dir():
        raise OptionError("a file is in the way", where=str(where), hint="choose another name")
    else:
        present = disk.listing(where)
        if not present:
            return where
        if not _is_bundle(where, present):
            raise OptionError(
                "a directory that is no model is in the way",
                where=str(where),
                hint="choose another name; headstart replaces nothing but its own models",
            )
    if not overwrite:
        raise OptionError(
            "a model is there already", where=str(where), hint="allow to overwrite it"
        )
    return where


def _check_archive(where: Path) -> None:
    """Check that a file is a model in an archive (perhaps a damaged one)."""
    ours = False
    if where.is_file():
        try:
            with opened(where) as place:
                names = place.names()
                ours = MANIFEST in names and not names - _OURS
                ours = ours and _ours(place.read(MANIFEST, at_most=SIZES[MANIFEST])[:200])
        except BundleError:
            ours = False
    if not ours:
        raise OptionError(
            "something that is no model is in the way",
            where=str(where),
            hint="choose another name; headstart replaces nothing but its own models",
        )


def _is_bundle(directory: Path, present: set[str]) -> bool:
    """Say whether a directory holds a bundle (perhaps a damaged one) and nothing else."""
    if MANIFEST not in present or present - _OURS - _LITTER:
        return False
    if any(not (directory / name).is_file() for name in present):
        return False
    with (directory / MANIFEST).open("rb") as file:
        return _ours(file.read(200))


def _ours(head: bytes) -> bool:
    return any(form.encode() in head for form in (FORMAT, SEQUENCE_FORMAT))
