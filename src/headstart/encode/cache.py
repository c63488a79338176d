"""The cache of features on disk: what was encoded once is not encoded again.

One SQLite database for each key (weights, preprocessing, precision), in
``<cache>/features``. A row holds the hash of an item's content, its float32 features and a
checksum over both: a damaged row counts as missing, a damaged file is thrown away and rebuilt,
and no failure of the cache ever reaches the user as an error or as a wrong number. SQLite's
write-ahead log makes it safe against two processes and against being killed at any moment.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import filelock
import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import SILENT, AnyArray, FloatArray, Reporter

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (id INTEGER PRIMARY KEY, used REAL, bytes INTEGER);
CREATE TABLE IF NOT EXISTS features (
    item BLOB PRIMARY KEY, batch INTEGER, row BLOB, checksum BLOB);
CREATE INDEX IF NOT EXISTS by_batch ON features (batch);
"""
_LOOKUP = 500  # items a query
_STAMP_SECONDS = 600.0  # a use is noted at most this often, so that reading seldom writes
_WAIT_SECONDS = 30.0  # for another process that writes
_ROW_OVERHEAD = 64  # bytes SQLite spends on a row beside its features, about


@dataclass(frozen=True)
class CacheInfo:
    """What the cache of features holds.

    Parameters
    ----------
    path : Path
        The folder.
    entries : int
        Items whose features are cached, summed over sources.
    bytes : int
        Size on disk.
    limit : int
        Size limit in bytes; the least recently used features go first.
    by_source : dict of str to int
        Bytes on disk for each source.
    """

    path: Path
    entries: int
    bytes: int
    limit: int
    by_source: dict[str, int] = field(default_factory=dict)


def folder() -> Path:
    """Return the folder that holds the cache of features."""
    from headstart.fetch import cache_root

    return cache_root() / "features"


def limit_bytes() -> int:
    """Return the size limit: ``HEADSTART_CACHE_GB`` gigabytes, 5 by default, 0 to cache nothing.

    Raises
    ------
    OptionError
        If the variable is no number of at least 0.
    """
    text = os.environ.get("HEADSTART_CACHE_GB", "5")
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = -1.0
    if not 0 <= gigabytes < 1e9:
        raise OptionError(
            "the size limit of the cache is not a number of gigabytes",
            where="HEADSTART_CACHE_GB",
            got=text,
            allowed="a number of at least 0",
        )
    return int(gigabytes * 1e9)


class Store:
    """Cached features of one source with one preprocessing.

    Parameters
    ----------
    path : Path
        The database; made when it is not there.
    source : str
        Name of the source, for ``cache_info``.
    dim : int
        Width of a row.
    reporter : Reporter
        Told once when the cache cannot be used.

    Nothing here raises for a cache that cannot be read or written: items are then encoded anew.
    """

    def __init__(self, path: Path, *, source: str, dim: int, reporter: Reporter = SILENT) -> None:
        self._path, self._source, self._dim, self._reporter = path, source, dim, reporter
        self._connection: sqlite3.Connection | None = None
        self._usable = True
        self._rebuilt = False

    def get(self, items: Sequence[bytes]) -> dict[bytes, FloatArray]:
        """Return the rows that are cached, by item hash; damaged ones are left out."""
        return self._safely(lambda connection: self._read(connection, list(items))) or {}

    def put(self, items: Sequence[bytes], rows: AnyArray) -> None:
        """Store rows in one transaction."""
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        self._safely(lambda connection: self._write(connection, list(items), rows))

    def close(self) -> None:
        """Close the database."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _read(self, connection: sqlite3.Connection, items: list[bytes]) -> dict[bytes, FloatArray]:
        rows: dict[bytes, FloatArray] = {}
        batches: set[int] = set()
        for start in range(0, len(items), _LOOKUP):
            part = items[start : start + _LOOKUP]
            query = "SELECT item, batch, row, checksum FROM features WHERE item IN ({})"
            for item, batch, row, checksum in connection.execute(
                query.format(",".join("?" * len(part))), part
            ):
                if self._sound(item, row, checksum):
                    rows[item] = np.frombuffer(row, dtype="<f4")
                    batches.add(batch)
        if batches:
            now = time.time()
            with connection:
                connection.executemany(
                    "UPDATE batches SET used = ? WHERE id = ? AND used < ?",
                    [(now, batch, now - _STAMP_SECONDS) for batch in batches],
                )
        return rows

    def _sound(self, item: object, row: object, checksum: object) -> bool:
        return (
            isinstance(item, bytes)
            and isinstance(row, bytes)
            and len(row) == 4 * self._dim
            and checksum == _checksum(item, row)
        )

    def _write(self, connection: sqlite3.Connection, items: list[bytes], rows: AnyArray) -> None:
        blobs = [row.astype("<f4", copy=False).tobytes() for row in rows]
        size = sum(len(blob) + _ROW_OVERHEAD for blob in blobs)
        with connection:
            batch = connection.execute(
                "INSERT INTO batches (used, bytes) VALUES (?, ?)", (time.time(), size)
            ).lastrowid
            connection.executemany(
                "INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)",
                [
                    (item, batch, blob, _checksum(item, blob))
                    for item, blob in zip(items, blobs, strict=True)
                ],
            )

    def _safely(self, operation: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do something with the database; None where that fails. Failures end here."""
        if not self._usable:
            return None
        try:
            if self._connection is None:
                self._connection = _open(self._path, self._source)
            return operation(self._connection)
        except (sqlite3.Error, OSError) as error:
            self.close()
            if _damaged(error) and not self._rebuilt:
                self._rebuilt = True
                self._usable = _discard(self._path)
            else:
                self._usable = False
            if not self._usable:
                self._reporter.say(
                    f"The cache of features at {self._path.parent} cannot be used ({error}): "
                    "features are computed and not kept."
                )
        return None


def _checksum(item: bytes, row: bytes) -> bytes:
    return blake2b(row, digest_size=8, key=item).digest()


def _open(path: Path, source: str | None = None) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # SQLite waits for a lock on rows, but not for the one that turns a new file to write-ahead:
    # two processes that open the same new database together need a lock of their own.
    try:
        with filelock.FileLock(path.parent / ".opening.lock", timeout=_WAIT_SECONDS):
            return _prepared(path, source)
    except NotImplementedError:  # so says older filelock of a file system without locks
        return _prepared(path, source)


def _prepared(path: Path, source: str | None) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, check_same_thread=False)
    try:
        connection.execute("PRAGMA page_size = 16384")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
        if source is not None:
            with connection:
                connection.execute("INSERT OR IGNORE INTO about VALUES ('source', ?)", (source,))
    except BaseException:
        connection.close()
        raise
    return connection


def _damaged(error: Exception) -> bool:
    """Tell a damaged file from one that is locked, read-only or on a full disk."""
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    passing = ("locked", "readonly", "read-only", "full", "unable to open", "permission")
    return not any(word in str(error).lower() for word in passing)


def _discard(path: Path) -> bool:
    """Remove a database with its side files; False when that is not possible."""
    try:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    except OSError:
        return False
    return True


def open_store(*, source: str, key: str, dim: int, reporter: Reporter = SILENT) -> Store:
    """Return the store of a source under a key (a hexadecimal digest)."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", source)[-48:]
    path = folder() / f"{name}-{key}.sqlite"
    return Store(path, source=source, dim=dim, reporter=reporter)


def _databases() -> list[Path]:
    place = folder()
    return sorted(place.glob("*.sqlite")) if place.is_dir() else []


def _on_disk(path: Path) -> int:
    size = 0
    for suffix in ("", "-wal"):
        with contextlib.suppress(OSError):
            size += Path(f"{path}{suffix}").stat().st_size
    return size


def cache_info() -> CacheInfo:
    """Return what the cache of features holds.

    Returns
    -------
    CacheInfo
        With ``path``, ``entries``, ``bytes``, ``limit`` and ``by_source``. A damaged database
        counts with its size and no entries.

    Raises
    ------
    OptionError
        If ``HEADSTART_CACHE_GB`` is not a number.
    """
    entries = 0
    by_source: dict[str, int] = {}
    for path in _databases():
        source = path.stem.rpartition("-")[0]
        with contextlib.suppress(sqlite3.Error, OSError):
            connection = _open(path)
            try:
                count = connection.execute("SELECT count(*) FROM features").fetchone()[0]
                name = connection.execute("SELECT value FROM about WHERE name = 'source'")
                source = name.fetchone()[0]
                entries += int(count)
            finally:
                connection.close()
        by_source[source] = by_source.get(source, 0) + _on_disk(path)
    return CacheInfo(folder(), entries, sum(by_source.values()), limit_bytes(), by_source)


def cache_clear(source: str | None = None) -> int:
    """Remove cached features and return the bytes that were freed.

    Parameters
    ----------
    source : str, optional
        Only those of this source; all by default.
    """
    freed = 0
    for path in _databases():
        if source is not None and _source_of(path) != source:
            continue
        size = _on_disk(path)
        if _discard(path):
            freed += size
    return freed


def _source_of(path: Path) -> str | None:
    with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(_open(path)) as found:
        row = found.execute("SELECT value FROM about WHERE name = 'source'").fetchone()
        return str(row[0])
    return None


def evict(limit: int) -> int:
    """Drop the least recently used features until the cache takes at most ``limit`` bytes.

    Returns the bytes that were freed. It stops at 80 % of the limit, so that it seldom runs.
    """
    total = sum(_on_disk(path) for path in _databases())
    if total <= limit:
        return 0
    batches: list[tuple[float, int, int, Path]] = []
    for path in _databases():
        try:
            with contextlib.closing(_open(path)) as database:
                found = database.execute("SELECT used, bytes, id FROM batches").fetchall()
            batches += [(float(used), int(size), int(batch), path) for used, size, batch in found]
        except (sqlite3.Error, TypeError, ValueError) as error:
            if _damaged(error):
                _discard(path)
    batches.sort(key=lambda batch: batch[:3])
    doomed: dict[Path, list[int]] = {}
    excess = sum(batch[1] for batch in batches) * (1 - 0.8 * limit / total)
    for _, size, batch, path in batches:
        if excess <= 0:
            break
        doomed.setdefault(path, []).append(batch)
        excess -= size
    for path, ids in doomed.items():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_open(path)) as database:
            _drop(database, ids)
    return total - sum(_on_disk(path) for path in _databases())


def _drop(database: sqlite3.Connection, batches: list[int]) -> None:
    with database:
        for batch in batches:
            database.execute("DELETE FROM features WHERE batch = ?", (batch,))
            database.execute("DELETE FROM batches WHERE id = ?", (batch,))
    # a script, because execute() stops the vacuum after its first page
    database.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
