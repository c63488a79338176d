"""A bundle as one ``.zip``: written plainly, read strictly, and never unpacked to the disk.

What is written is stored uncompressed with fixed dates, so that the same model is the same bytes.
What is read may be compressed, but nothing of what makes archives dangerous is taken: no
directories, links, paths, encryption, streams, zip64, comments, nor a byte that belongs to no
member. Reading follows PKWARE's APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from headstart.core.errors import BundleCorruptError, BundleError

MOST_MEMBERS = 64
MOST_RATIO = 100
"""Bytes that a compressed byte may become."""
LARGEST = 4_000_000_000
"""Bytes of a whole archive; a larger model stays a directory."""

_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FLAGS = 0x0800 | 0x0006  # names in UTF-8; how hard deflate tried
_EXTRAS = {0x0001: "zip64", 0x7075: "a second name", 0x9901: "encrypted", 0x0017: "encrypted"}
_MOST_EXTRA = 1000


@dataclass(frozen=True)
class Member:
    """A member as the central directory describes it."""

    name: str
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    offset: int


def write(file: IO[bytes], files: Mapping[str, bytes]) -> None:
    """Write an archive; the same files always give the same bytes.

    Parameters
    ----------
    file : binary file
    files : mapping of name to content

    Raises
    ------
    BundleError
        It would be larger than 4 GB.
    """
    whole = sum(len(content) + 300 for content in files.values())
    if whole > LARGEST:
        raise BundleError(
            "too large for an archive",
            got=f"{whole:,} bytes",
            allowed=f"at most {LARGEST:,} bytes",
            hint="save it as a directory: a name without .zip",
        )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)


class Archive:
    """An archive that is open for reading; every member is checked before one is read.

    Parameters
    ----------
    path : Path

    Raises
    ------
    BundleError
        There is no file, or none that could be a model.
    BundleCorruptError
        It is no archive that is safe to read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDONLY
        for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, name, 0)
        try:
            handle = os.open(path, flags)
        except OSError as error:
            raise BundleError(f"cannot be read: {error.strerror}", where=str(path)) from None
        self._file = os.fdopen(handle, "rb", buffering=0)
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise BundleError("not a model: neither a directory nor a file", where=str(path))
            self._size = found.st_size
            self.members = self._directory()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def names(self) -> set[str]:
        """Return the names of the members."""
        return set(self.members)

    def size(self, name: str) -> int:
        """Return the size that a member says it has, unpacked."""
        return self.members[name].size

    def read(self, name: str, *, at_most: int, exactly: int | None = None) -> bytes:
        """Read a member into memory, and never more of it than it says it holds.

        Raises
        ------
        BundleCorruptError
            It is of another size than expected, or its bytes are not what the archive promises.
        """
        one = self.members[name]
        if one.size > at_most or exactly not in (None, one.size):
            raise wrong_size(name, one.size, at_most, exactly)
        packed = self._bytes(self._start(one), one.packed)
        if one.method:
            unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                raw = unpacker.decompress(packed, one.size + 1)
            except zlib.error:
                self._refuse("cannot be unpacked", name)
            if not unpacker.eof or unpacker.unused_data or len(raw) != one.size:
                self._refuse("does not unpack to the size it says", name)
        else:
            raw = packed
        if zlib.crc32(raw) != one.crc:
            self._refuse("the content was changed: its checksum differs", name)
        return raw

    def _directory(self) -> dict[str, Member]:
        """Read the list of members at the end, and check that they fill the whole file."""
        if self._size < _END.size or self._bytes(0, 4) != b"PK\x03\x04":
            raise BundleError(
                "not a model: a model is a directory, or a .zip that headstart wrote",
                where=str(self.path),
            )
        mark, *disks, count, length, start, comment = self._unpacked(_END, self._size - _END.size)
        if mark != b"PK\x05\x06" or comment:
            self._refuse("there is something behind its end")
        if 0xFFFFFFFF in (length, start) or count == 0xFFFF:
            self._refuse("zip64 is not read")
        if disks != [0, 0, count] or not 0 < count <= MOST_MEMBERS:
            self._refuse("no such number of members", got=count)
        most = count * (_CENTRAL.size + 100 + _MOST_EXTRA)
        if start + length != self._size - _END.size or length > most:
            self._refuse("its directory does not end where its end begins")
        members: dict[str, Member] = {}
        at = start
        for _ in range(count):
            one, at = self._entry(at, start + length)
            if one.name.lower() in {name.lower() for name in members}:
                self._refuse("a member stands twice", one.name)
            members[one.name] = one
        if at != start + length:
            self._refuse("its directory is longer than its members")
        self._laid_out(members, start)
        return members

    def _entry(self, at: int, end: int) -> tuple[Member, int]:
        """Read an entry of the directory; return it, and where the next one begins."""
        if at + _CENTRAL.size > end:
            self._refuse("its directory is too short")
        found = self._unpacked(_CENTRAL, at)
        mark, _, _, flags, method, _, _, crc, packed, size, named, more, told, disk = found[:14]
        attributes, offset = found[15:]
        behind = at + _CENTRAL.size + named
        if mark != b"PK\x01\x02" or behind + more + told > end:
            self._refuse("its directory is damaged")
        raw = self._bytes(at + _CENTRAL.size, named)
        if not _NAME.fullmatch(raw):
            self._refuse(
                "a member has a name that no file of a model has",
                got=raw[:100].decode("ascii", "backslashreplace"),
                hint="zip the files of the model, not the directory they lie in",
            )
        name = raw.decode("ascii")
        self._extras(behind, more, name)
        kind = stat.S_IFMT(attributes >> 16)
        if kind not in (0, stat.S_IFREG) or attributes & 0x10:
            self._refuse("not a regular file", name)
        if flags & 1:
            self._refuse("encrypted", name)
        if flags & ~_FLAGS or method not in (0, 8) or told or disk:
            self._refuse("written in a way that is not read here", name)
        if (method == 0 and packed != size) or size > MOST_RATIO * packed + 100:
            self._refuse("unpacks to far more than it holds", name, got=f"{packed} to {size} bytes")
        return Member(name, method, flags, crc, packed, size, offset), behind + more

    def _extras(self, at: int, length: int, name: str) -> None:
        """Check the fields that may follow a name: none may change what the entry says."""
        if length > _MOST_EXTRA:
            self._refuse("too much is said of it", name)
        raw = self._bytes(at, length)
        while raw:
            if len(raw) < 4:
                self._refuse("damaged beside its name", name)
            kind, size = struct.unpack_from("<2H", raw)
            if kind in _EXTRAS:
                self._refuse(f"{_EXTRAS[kind]} is not read", name)
            if len(raw) < 4 + size:
                self._refuse("damaged beside its name", name)
            raw = raw[4 + size :]

    def _laid_out(self, members: Mapping[str, Member], end: int) -> None:
        """Check that members follow one another from the first byte on, without gaps."""
        at = 0
        for one in sorted(members.values(), key=lambda one: one.offset):
            if one.offset != at:
                self._refuse("members overlap, or something lies between them", one.name)
            at = self._start(one) + one.packed
            if at > end:
                self._refuse("longer than the archive", one.name)
        if at != end:
            self._refuse("something lies behind its members")

    def _start(self, one: Member) -> int:
        """Check the header before a member; return where its content begins."""
        found = self._unpacked(_LOCAL, one.offset)
        mark, _, flags, method, _, _, crc, packed, size, named, more = found
        same = (flags, method, crc, packed, size)
        name = self._bytes(one.offset + _LOCAL.size, named) if named <= 100 else b""
        wanted = (one.flags, one.method, one.crc, one.packed, one.size)
        if mark != b"PK\x03\x04" or same != wanted or name != one.name.encode():
            self._refuse("its header says something else than the directory", one.name)
        self._extras(one.offset + _LOCAL.size + named, more, one.name)
        return one.offset + _LOCAL.size + named + more

    def _unpacked(self, shape: struct.Struct, at: int) -> tuple[Any, ...]:
        return shape.unpack(self._bytes(at, shape.size))

    def _bytes(self, at: int, length: int) -> bytes:
        if at < 0 or at + length > self._size:
            self._refuse("it is cut off")
        self._file.seek(at)
        parts, missing = [], length
        while missing:
            part = self._file.read(min(missing, 1 << 30))
            if not part:
                self._refuse("it is cut off")
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _refuse(
        self, what: str, name: str | None = None, *, got: object = None, hint: str | None = None
    ) -> NoReturn:
        where = f"{self.path.name}: {name}" if name else self.path.name
        raise BundleCorruptError(f"not a sound archive: {what}", where=where, got=got, hint=hint)


def wrong_size(name: str, size: int, at_most: int, exactly: int | None) -> BundleCorruptError:
    """Return the error of a file that has another size than it must have."""
    return BundleCorruptError(
        "of the wrong size",
        where=name,
        got=f"{size} bytes",
        allowed=f"{exactly} bytes" if exactly is not None else f"at most {at_most} bytes",
    )
