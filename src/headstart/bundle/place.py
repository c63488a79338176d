"""Where the files of a bundle lie: a directory or an archive, read in the same way."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Protocol

from headstart.bundle.archive import Archive, wrong_size
from headstart.bundle.manifest import BESIDE, MANIFEST, MAX_BYTES, OPTIONAL, REQUIRED
from headstart.core.errors import BundleCorruptError, BundleError
from headstart.sources.hub import download, hub_name

MOST_NAMES = 1000


class Place(Protocol):
    """Names, sizes and bytes of the files of a bundle; a context that closes it."""

    def __enter__(self) -> Place: ...

    def __exit__(self, *error: object) -> None: ...

    def names(self) -> set[str]:
        """Return the names of all that lies there."""
        ...

    def size(self, name: str) -> int:
        """Return the size of a regular file, in bytes."""
        ...

    def read(self, name: str, *, at_most: int, exactly: int | None = None) -> bytes:
        """Read a regular file once, and never more of it than expected."""
        ...


def opened(path: Path, max_bytes: int = MAX_BYTES) -> Place:
    """Open the place at a path: a directory, what must then be an archive, or one on the hub.

    Parameters
    ----------
    path : Path
        ``hf://user/name`` is fetched first, into the cache of the hub's client.
    max_bytes : int
        Nothing larger is fetched.

    Raises
    ------
    BundleError
        There is neither.
    FetchError, MissingExtraError
        It cannot be fetched from the hub.
    """
    if hub_name(path) is not None:
        return Fetched(path, max_bytes)
    try:
        found = path.stat()
    except FileNotFoundError:
        raise BundleError("there is no model here", where=str(path)) from None
    except OSError as error:
        raise BundleError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return Directory(path) if stat.S_ISDIR(found.st_mode) else Archive(path)


class Directory:
    """A directory, held open where the system can: what is moved to its path later is not read.

    Parameters
    ----------
    path : Path

    Raises
    ------
    BundleError
        It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._handle = path, None
        if os.open in os.supports_dir_fd and os.stat in os.supports_dir_fd:
            try:
                self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise _unreadable(error, path) from None

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *error: object) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def names(self) -> set[str]:
        """Return the names in it.

        Raises
        ------
        BundleError
            It cannot be read, or holds more than a model could.
        """
        found = set()
        try:
            with os.scandir(self.path if self._handle is None else self._handle) as entries:
                for entry in entries:
                    found.add(entry.name)
                    if len(found) > MOST_NAMES:
                        raise BundleError(
                            f"not a model: it holds more than {MOST_NAMES} files",
                            where=str(self.path),
                        )
        except OSError as error:
            raise _unreadable(error, self.path) from None
        return found

    def size(self, name: str) -> int:
        """Return the size of a regular file, which is no link.

        Raises
        ------
        BundleCorruptError
            It is a link, a directory, a device or a pipe, or not there.
        """
        where, handle = self._at(name)
        try:
            found = os.stat(where, dir_fd=handle, follow_symlinks=False)
        except OSError as error:
            raise BundleCorruptError(f"cannot be read: {error.strerror}", where=name) from None
        if not stat.S_ISREG(found.st_mode):
            raise BundleCorruptError("not a regular file", where=name)
        return found.st_size

    def read(self, name: str, *, at_most: int, exactly: int | None = None) -> bytes:
        """Read a regular file once, never through a link and never more than expected.

        Parameters
        ----------
        name : str
        at_most : int
            Bytes.
        exactly : int, optional
            The size it must have, in bytes.

        Raises
        ------
        BundleCorruptError
            It is a link, a directory, a device or a pipe, or of another size.
        """
        self.size(name)  # a pipe or a device is not even opened
        flags = os.O_RDONLY
        for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, flag, 0)
        where, handle = self._at(name)
        try:
            opened_at = os.open(where, flags, dir_fd=handle)
        except OSError as error:
            raise BundleCorruptError(f"cannot be read: {error.strerror}", where=name) from None
        with os.fdopen(opened_at, "rb") as file:
            found = os.fstat(opened_at)
            if not stat.S_ISREG(found.st_mode):
                raise BundleCorruptError("not a regular file", where=name)
            fits = found.st_size <= at_most and exactly in (None, found.st_size)
            raw = file.read(found.st_size + 1) if fits else b""
        if not fits or len(raw) != found.st_size:
            raise wrong_size(name, found.st_size, at_most, exactly)
        return raw

    def _at(self, name: str) -> tuple[str, int | None]:
        """Return what names a file in it: the name alone where the directory is held open."""
        if self._handle is None:
            return str(self.path / name), None
        return name, self._handle


class Fetched:
    """A repository of the hub, of which the files that a model could have were fetched.

    Parameters
    ----------
    path : Path
        ``hf://user/name``, with ``@revision`` where another than the newest is meant.
    max_bytes : int

    Raises
    ------
    FetchError, MissingExtraError
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        named = hub_name(path)
        assert named is not None
        repo, revision = named
        known = frozenset([MANIFEST]) | REQUIRED | OPTIONAL | BESIDE
        self._files, self._others = download(repo, revision, known=known, max_bytes=max_bytes)

    def __enter__(self) -> Fetched:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held open."""

    def names(self) -> set[str]:
        """Return the names of all files of the repository."""
        return set(self._files) | self._others

    def size(self, name: str) -> int:
        """Return the size of a file."""
        with Directory(self._files[name].parent) as place:
            return place.size(self._files[name].name)

    def read(self, name: str, *, at_most: int, exactly: int | None = None) -> bytes:
        """Read a file, as ``Directory.read``."""
        with Directory(self._files[name].parent) as place:
            return place.read(self._files[name].name, at_most=at_most, exactly=exactly)


def _unreadable(error: OSError, path: Path) -> BundleError:
    if isinstance(error, FileNotFoundError):
        return BundleError("there is no model here", where=str(path))
    return BundleError(f"cannot be read: {error.strerror}", where=str(path))
