"""What happens in a piece of work, as JSON Lines: written by its process, read along by pages.

An event is known by the byte after it. Who reads along and is cut off says up to where it has read,
and goes on there.
"""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path
from typing import IO, Any

MOST_TEXT = 4_000
"""Characters of a line that is said; the rest is cut off."""
SECONDS_BETWEEN = 0.2
"""Between two reports of progress of the same stage."""
CHUNK = 256 * 1024
"""Bytes that are read at a time."""


class EventFile:
    """Reports as events in a file; a `headstart.core.types.Reporter` that takes facts.

    Parameters
    ----------
    path : Path
        Events are added at its end. A line that was cut off by a kill is closed first.
    """

    def __init__(self, path: Path) -> None:
        broken = path.exists() and not _ends_well(path)
        self._file: IO[bytes] = path.open("ab")
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        if broken:
            self._file.write(b"\n")

    def event(self, name: str, **facts: Any) -> None:
        """Write an event."""
        line = json.dumps(plain({"event": name, "at": round(time.time(), 3), **facts}))
        with self._lock:
            self._file.write(line.encode() + b"\n")
            self._file.flush()

    def say(self, text: str) -> None:
        """Write a line of text."""
        self.event("said", text=text[:MOST_TEXT])

    def progress(
        self, stage: str, done: int, total: int | None, unit: str = "items", detail: str = ""
    ) -> None:
        """Write how far a stage has come, a few times a second at most."""
        now = time.monotonic()
        if now - self._last.get(stage, -math.inf) < SECONDS_BETWEEN and done != total:
            return
        self._last[stage] = now
        self.event("progress", stage=stage, done=done, total=total, unit=unit)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return True
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def plain(value: Any) -> Any:
    """Return a value as JSON can carry it: what is not finite becomes None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, (bool, int)):
        return value
    return str(value).encode("utf-8", errors="replace").decode()


def read_from(path: Path, place: int) -> list[tuple[int, str]]:
    """Return the whole events of a file from a place on, each with the place after it.

    Parameters
    ----------
    path : Path
    place : int
        Byte at which an event begins. Where none does, or beyond the end, all are returned.

    Returns
    -------
    list of (int, str)
        At most about 256 kB of them; lines that are no JSON object, cut off by a kill, are left
        out.
    """
    try:
        file = path.open("rb")
    except OSError:
        return []
    with file:
        file.seek(_start(file, place))
        at, found, taken = file.tell(), [], 0
        while taken < CHUNK:
            line = file.readline()
            if not line.endswith(b"\n"):
                break
            at += len(line)
            taken += len(line)
            if _whole(line):
                found.append((at, line.decode().rstrip("\n")))
        return found


def _start(file: IO[bytes], place: int) -> int:
    """Return the place if an event begins there, else 0."""
    if place <= 0 or place > file.seek(0, 2):
        return 0
    file.seek(place - 1)
    return place if file.read(1) == b"\n" else 0


def _whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
