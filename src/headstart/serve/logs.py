"""Logs of a service: one JSON object a line on stderr, without keys and without what users sent."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from typing import Any, TextIO


class Logs:
    """Writes lines.

    Parameters
    ----------
    stream : file, optional
        Standard error by default.
    quiet : bool
        Leave out requests that were answered well.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self.stream, self.quiet = stream, quiet

    def write(self, event: str, **fields: Any) -> None:
        """Write one line with the time and the event."""
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{now % 1 * 1000:03.0f}Z"
        line = json.dumps({"time": stamp, "event": event, **fields}, ensure_ascii=True, default=str)
        stream = self.stream or sys.stderr
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):  # nobody reads the log any more: the service goes on
            return

    def request(
        self, rid: str, method: str, route: str, status: int, ms: float, items: int | None
    ) -> None:
        """Write the line of a request."""
        if self.quiet and status < 400:
            return
        self.write(
            "request",
            id=rid,
            method=method,
            route=route,
            status=status,
            ms=round(ms, 2),
            items=items,
        )

    def failure(self, rid: str, error: BaseException) -> None:
        """Write where an error that nobody expected arose; its message may hold what users sent."""
        frames = traceback.extract_tb(error.__traceback__)
        at = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-6:]]
        self.write("failure", id=rid, error=type(error).__name__, at=at)


class LinesOfServer(logging.Handler):
    """Hands what uvicorn says to ``Logs``."""

    def __init__(self, logs: Logs) -> None:
        super().__init__(logging.INFO)
        self.logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as a line."""
        fields: dict[str, Any] = {"level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__name__
        self.logs.write("server", **fields)
