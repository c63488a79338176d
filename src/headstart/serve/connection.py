"""Connections that cannot be held open for nothing: uvicorn's, with a clock on every part."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headstart.serve.problems import CODES
from headstart.serve.settings import Limits

HEADERS = 64 * 1024
"""Bytes of the line and the headers of a request."""

GRACE = 2.0
"""Seconds after a limit in which the application may still answer for itself."""


class Connection(HttpToolsProtocol):
    """One connection; ``limits`` is set on a subclass by ``connection_with``.

    A connection is closed when a request's headers have not come whole, or its body, within
    ``receive_seconds``; when headers are too large; when an answer is not taken; and when there
    are too many connections.
    """

    limits = Limits()
    _clock: asyncio.TimerHandle | None = None
    _write_clock: asyncio.TimerHandle | None = None
    _in_headers = True
    _header_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Start the clock."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._end(503, "there are too many connections")
            return
        self._start(self.limits.receive_seconds, self._headers_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._stop()
        if self._write_clock is not None:
            self._write_clock.cancel()
            self._write_clock = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, but no endless headers."""
        if self.transport.is_closing():
            return
        if self._in_headers:
            self._header_bytes += len(data)
            if self._clock is None:
                self._start(self.limits.receive_seconds, self._headers_late)
        super().data_received(data)
        if self._in_headers and self._header_bytes > HEADERS and not self.transport.is_closing():
            self._end(431, "the headers are too large")

    def on_headers_complete(self) -> None:
        """Give the body its time."""
        self._in_headers, self._header_bytes = False, 0
        self._start(self.limits.receive_seconds + GRACE, self._abort)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the next request."""
        self._in_headers = True
        self._stop()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with the error that every answer has."""
        self._end(400, "this is not a request of HTTP/1.1")

    def pause_writing(self) -> None:
        """Give a caller that does not read its answer some time, then break off."""
        super().pause_writing()
        if self._write_clock is None:
            seconds = self.limits.receive_seconds + GRACE
            self._write_clock = self.loop.call_later(seconds, self._abort)

    def resume_writing(self) -> None:
        """Stop that clock."""
        super().resume_writing()
        if self._write_clock is not None:
            self._write_clock.cancel()
            self._write_clock = None

    def _start(self, seconds: float, what: Any) -> None:
        self._stop()
        self._clock = self.loop.call_later(seconds, what)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _headers_late(self) -> None:
        if self._header_bytes:
            self._end(408, "the request did not come in time")
        elif not self.transport.is_closing():
            self.transport.close()

    def _abort(self) -> None:
        self.transport.abort()

    def _end(self, status: int, message: str) -> None:
        """Answer in place of the application, and close."""
        code = CODES.get(status, "headers_too_large")
        error = {"code": code, "message": message, "where": None, "hint": None}
        body = json.dumps({"error": error}).encode()
        again = b"retry-after: 1\r\n" if status == 503 else b""
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
                b"%sconnection: close\r\n\r\n%s" % (status, code.encode(), len(body), again, body)
            )
            self.transport.close()


def connection_with(limits: Limits) -> type[Connection]:
    """Return the protocol with these limits."""
    return type("Connection", (Connection,), {"limits": limits})
