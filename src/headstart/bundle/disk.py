"""Directories that are replaced whole: at a path lies the old bundle or the new, never half.

New files are written into a hidden sibling, flushed to the disk and moved in place by one rename.
Over an existing bundle the two are exchanged in one step where the system can (Linux); elsewhere
the old one steps aside first, and whoever next saves or loads puts it back if a kill fell between.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from headstart.core.errors import BundleError

_OLD = ".headstart-old"
_NEW = ".headstart-new"
_STALE_SECONDS = 3600
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}{_OLD}")


def recover(target: Path) -> None:
    """Put the old bundle back if a kill fell between the two renames of ``replace``."""
    with contextlib.suppress(OSError):
        if not os.path.lexists(target) and _aside(target).is_dir():
            _aside(target).rename(target)


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Give a fresh directory beside ``target`` that takes its place when the block succeeds.

    Parameters
    ----------
    target : Path
        Its missing parents are made. A directory that lies there is replaced.

    Raises
    ------
    OSError
        Writing failed; ``target`` is as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    fresh = target.with_name(f".{target.name}{_NEW}-{secrets.token_hex(8)}")
    fresh.mkdir()
    try:
        yield fresh
        _flush(fresh)
        replace(fresh, target)
        _flush(target.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextlib.contextmanager
def staged_file(target: Path, home: Path | None = None) -> Iterator[IO[bytes]]:
    """Give a fresh file that takes the place of ``target`` when the block succeeds.

    Parameters
    ----------
    target : Path
        Its missing parents are made. A file that lies there is replaced.
    home : Path, optional
        Where the fresh file lies meanwhile: on the same disk; beside ``target`` by default.

    Raises
    ------
    OSError
        Writing failed; ``target`` is as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    fresh = (home or target.parent) / f".{target.name}{_NEW}-{secrets.token_hex(8)}"
    try:
        with fresh.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
        _flush(target.parent)
    finally:
        fresh.unlink(missing_ok=True)


def replace(fresh: Path, target: Path) -> None:
    """Move ``fresh`` to ``target``; what lay there is removed once the new one is in place."""
    aside = _aside(target)
    if not os.path.lexists(target):
        fresh.rename(target)
    elif not _exchange(fresh, target):
        shutil.rmtree(aside, ignore_errors=True)
        target.rename(aside)
        try:
            fresh.rename(target)
        except OSError:
            recover(target)
            raise
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two directories in one step; False where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    names = os.fsencode(one), os.fsencode(other)
    done: int = call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    if done == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def write(path: Path, raw: bytes) -> None:
    """Write a new file and flush it to the disk."""
    with path.open("xb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def _flush(directory: Path) -> None:
    """Flush a directory's entries to the disk (Windows has no such call)."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(target: Path) -> None:
    """Remove what saves that were killed left behind, once no save can still be at work on it."""
    for left in target.parent.glob(f".{glob.escape(target.name)}{_NEW}-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)


def listing(directory: Path) -> set[str]:
    """Return the names in a directory.

    Raises
    ------
    BundleError
        There is none.
    """
    try:
        return {entry.name for entry in directory.iterdir()}
    except FileNotFoundError:
        raise BundleError("there is no model here", where=str(directory)) from None
    except NotADirectoryError:
        raise BundleError("not a model: a model is a directory", where=str(directory)) from None
    except OSError as error:
        raise BundleError(f"cannot be read: {error.strerror}", where=str(directory)) from None
