"""Files that are sent to the studio: kept below its home, an archive unpacked with care."""

from __future__ import annotations

import lzma
import secrets
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import IO

from headstart.core.errors import DataError
from headstart.data.tables import table_ending
from headstart.studio.limits import MB, Limits

_BLOCK = 256 * 1024


def safe_path(name: str, limits: Limits) -> PurePosixPath:
    """Return the path of a file within an upload, as a browser or an archive names it.

    Parameters
    ----------
    name : str
        Parts are separated by ``/``. Any characters are fine that a file can be named with; parts
        that lead elsewhere are not.
    limits : Limits

    Raises
    ------
    DataError
        The path is absolute, leads out of its folder, is too long or too deep, or holds characters
        that control something.
    """
    parts = name.split("/")
    bad = (
        not name
        or len(name) > limits.name_length
        or len(parts) > limits.depth
        or "\\" in name
        or any(
            part in ("", ".", "..") or len(part.encode(errors="replace")) > 255 for part in parts
        )
        or (len(parts[0]) > 1 and parts[0][1] == ":")
        or any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
    )
    if bad:
        raise DataError(
            "a file cannot be kept under this name",
            where="upload",
            got=name[:120],
            hint="rename the file, and send it again",
        )
    return PurePosixPath(*parts)


class Uploads:
    """The uploads below a folder.

    Parameters
    ----------
    folder : Path
    limits : Limits
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".*.part"):  # of uploads that did not come to their end
            shutil.rmtree(left, ignore_errors=True)
        self._size: dict[str, int] = {}
        self._count: dict[str, int] = {}

    def begin(self, files: int, size: int) -> str:
        """Begin an upload of so many files and bytes; return its name.

        Raises
        ------
        DataError
            Too many, too large, or the disk is too full.
        """
        if not 1 <= files <= self.limits.files:
            raise DataError("too many files", where="upload", got=files, allowed=self.limits.files)
        self._room(size)
        upload = secrets.token_hex(8)
        self._part(upload).mkdir()
        self._size[upload] = self._count[upload] = 0
        return upload

    async def receive(self, upload: str, name: str, body: AsyncIterator[bytes]) -> None:
        """Take one file of an upload in.

        Raises
        ------
        DataError
            The name or the size is not allowed, or the file was sent already.
        """
        self._known(upload)
        target = self._part(upload).joinpath(*safe_path(name, self.limits).parts)
        self._count[upload] += 1
        if self._count[upload] > self.limits.files:
            raise DataError("too many files", where="upload", allowed=self.limits.files)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = target.open("xb")
            try:
                with file:
                    await self._take(upload, name, body, file)
            except BaseException:  # half a file is none, and may be sent again
                target.unlink(missing_ok=True)
                raise
        except FileExistsError as error:
            raise DataError("this file was sent twice", where="upload", got=name[:120]) from error
        except OSError as error:
            raise DataError(
                f"the file could not be kept: {error.strerror}", where="upload", got=name[:120]
            ) from error

    async def _take(
        self, upload: str, name: str, body: AsyncIterator[bytes], file: IO[bytes]
    ) -> None:
        taken = 0
        async for block in body:
            self._known(upload)  # it may have been dropped, or ended, meanwhile
            taken += len(block)
            self._size[upload] += len(block)
            self._check(upload, taken, name)
            file.write(block)

    def end(self, upload: str) -> Path:
        """Finish an upload, unpack it if it is an archive; return what is to be read.

        Raises
        ------
        DataError
            It is empty, or an archive that is not unpacked.
        """
        self._known(upload)
        part = self._part(upload)
        try:
            alone = _alone(part)
            if alone is not None and alone.suffix.lower() == ".zip" and alone.is_file():
                unpack(alone, part / f"{alone.stem or 'data'}.folder", self.limits)
                alone.unlink()
            if _alone(part) is None and not any(part.iterdir()):
                raise DataError("nothing was sent", where="upload")
        except DataError:
            self.drop(upload)
            raise
        whole = part.rename(self.folder / upload)
        self._size.pop(upload), self._count.pop(upload)
        return data_in(whole)

    def drop(self, upload: str) -> bool:
        """Throw an upload away that has not ended; say whether there was one."""
        if upload not in self._size:
            return False
        shutil.rmtree(self._part(upload), ignore_errors=True)
        self._size.pop(upload), self._count.pop(upload)
        return True

    def _part(self, upload: str) -> Path:
        return self.folder / f".{upload}.part"

    def _known(self, upload: str) -> None:
        if upload not in self._size:
            raise DataError("there is no such upload", where="upload", hint="send the files again")

    def _check(self, upload: str, taken: int, name: str) -> None:
        if taken > self.limits.file_bytes:
            most = f"{self.limits.file_bytes // MB:,} MB"
            raise DataError("the file is too large", where=name[:120], allowed=f"at most {most}")
        if self._size[upload] > self.limits.upload_bytes:
            most = f"{self.limits.upload_bytes // MB:,} MB"
            raise DataError("the files are too large", where="upload", allowed=f"at most {most}")

    def _room(self, size: int) -> None:
        if size > self.limits.upload_bytes:
            raise DataError(
                "the files are too large",
                where="upload",
                got=f"{size // MB:,} MB",
                allowed=f"at most {self.limits.upload_bytes // MB:,} MB",
                hint="choose the folder on this machine instead of sending it",
            )
        room(self.folder, size, self.limits)


def room(folder: Path, size: int, limits: Limits) -> None:
    """Make sure that the disk has room for so many bytes.

    Raises
    ------
    DataError
    """
    if shutil.disk_usage(folder).free < size + limits.spare_bytes:
        raise DataError("the disk is too full", where=str(folder), hint="make room, and try again")


def _alone(folder: Path) -> Path | None:
    """Return the one thing that a folder holds, or None."""
    found = list(folder.iterdir())
    return found[0] if len(found) == 1 else None


def data_in(folder: Path) -> Path:
    """Return what of an upload is to be read: a table file alone, or the folder of classes.

    Folders that hold nothing but one folder are gone through, as archives tend to have them.
    """
    found = folder
    while True:
        seen = [one for one in found.iterdir() if not one.name.startswith((".", "__MACOSX"))]
        if len(seen) != 1:
            return found
        if seen[0].is_file():
            return seen[0] if table_ending(seen[0]) else found
        below = [one for one in seen[0].iterdir() if not one.name.startswith(".")]
        if not any(one.is_dir() or table_ending(one) for one in below):
            return found  # a single class, whose name must not be lost
        found = seen[0]


def unpack(archive: Path, target: Path, limits: Limits) -> None:
    """Unpack a zip archive into a new folder.

    Nothing is written before all names and sizes have been looked at; what is written is counted,
    whatever sizes were promised.

    Raises
    ------
    DataError
        It is no archive, or leads out of its folder, holds links or secrets, or is a bomb.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _members(opened, archive, limits)
            room(archive.parent, sum(info.file_size for info, _ in members), limits)
            target.mkdir()
            left = limits.unpacked_bytes
            for info, path in members:
                left -= _write(opened, info, target.joinpath(*path.parts), left)
    except _DAMAGED as error:
        raise DataError(
            f"the archive cannot be unpacked: {error}",
            where=archive.name,
            hint="pack the folder as a plain zip file, and send it again",
        ) from error
    except OSError as error:
        raise DataError(
            f"the archive cannot be unpacked: {error.strerror}", where=archive.name
        ) from error


_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(NotImplementedError, EOFError, RuntimeError, ValueError),
)
"""What reading a damaged archive raises."""


def _members(
    opened: zipfile.ZipFile, archive: Path, limits: Limits
) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    infos = opened.infolist()
    found, names = [], set()
    total = sum(info.file_size for info in infos)
    packed = max(1, archive.stat().st_size)
    if len(infos) > limits.files:
        raise _refused(archive, "it holds too many files", f"{limits.files:,}")
    if total > limits.unpacked_bytes or total > limits.ratio * packed + MB:
        raise _refused(archive, "it would unpack to too much", f"{limits.unpacked_bytes:,} bytes")
    for info in infos:
        if info.is_dir():
            safe_path(info.filename.rstrip("/"), limits)
            continue
        path = safe_path(info.filename, limits)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise _refused(archive, f"{info.filename[:80]!r} in it is no plain file", "plain files")
        if info.flag_bits & 1:
            raise _refused(archive, "it is locked with a password", "no password")
        known = str(path)
        if known in names:
            raise _refused(archive, f"it holds {info.filename[:80]!r} twice", "each name once")
        names.add(known)
        found.append((info, path))
    return found


def _refused(archive: Path, what: str, allowed: str) -> DataError:
    return DataError(f"the archive is not unpacked: {what}", where=archive.name, allowed=allowed)


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Unpack one file; return its size."""
    target.parent.mkdir(parents=True, exist_ok=True)
    taken = 0
    with opened.open(info) as source, target.open("xb") as file:
        while block := source.read(_BLOCK):
            taken += len(block)
            if taken > min(info.file_size, left):
                raise zipfile.BadZipFile("a file in it is larger than it says")
            file.write(block)
    return taken
