"""A client that is cheap enough to load a service on the same machine, and services to load."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Lost(Exception):  # noqa: N818
    """A request was sent and its connection ended without an answer."""


class Refused(Exception):  # noqa: N818
    """No connection was made, or it was closed before the request went out."""


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def connect(self) -> None:
        try:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError as error:
            raise Refused from error

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    async def ask(
        self,
        body: bytes,
        *,
        path: str = "/predict",
        kind: str = "application/json",
        rid: str = "",
        method: str = "POST",
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        if self.writer is None:
            await self.connect()
        assert self.reader is not None
        assert self.writer is not None
        if self.reader.at_eof() or self.writer.is_closing():
            self.close()
            raise Refused
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        head += f"X-Request-ID: {rid}\r\n" if rid else ""
        self.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            said = await self.reader.readuntil(b"\r\n\r\n")
            lines = said.decode("latin-1").split("\r\n")
            status = int(lines[0].split()[1])
            pairs = (line.split(":", 1) for line in lines[1:] if ":" in line)
            headers = {name.lower(): value.strip() for name, value in pairs}
            if headers.get("transfer-encoding") == "chunked":
                found = await self._chunks()
            else:
                found = await self.reader.readexactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.close()
            raise Lost from error
        except BaseException:
            self.close()
            raise
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, headers, found

    async def _chunks(self) -> bytes:
        assert self.reader is not None
        found = b""
        while size := int(await self.reader.readline(), 16):
            found += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return found


def body_of(items: list[Any]) -> bytes:
    return json.dumps({"items": items}).encode()


def form_of(picture: bytes) -> tuple[bytes, str]:
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    return head + picture + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


@contextlib.contextmanager
def service(model: str | Path, *options: str, log: str | Path | None = None) -> Iterator[Any]:
    """Yield (port, process) of ``headstart serve``."""
    command = [sys.executable, "-m", "headstart", "serve", str(model), "--port", "0", *options]
    process = subprocess.Popen(  # a session of its own: the kernel shares cores by sessions
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    ports: list[int] = []
    there = threading.Event()

    def read() -> None:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(Path(log).open("w")) if log else None
            for line in process.stderr or ():
                if "is served at http" in line:
                    ports.append(int(line.split("http://127.0.0.1:")[1].split()[0]))
                    there.set()
                elif file is not None:
                    file.write(line)
                elif '"event"' not in line:
                    sys.stderr.write(line)
        there.set()

    thread = threading.Thread(target=read)
    thread.start()
    there.wait(120)
    try:
        if not ports:
            raise SystemExit("the service did not start")
        yield ports[0], process
    finally:
        process.kill()
        process.wait()
        thread.join()
        if process.stderr:
            process.stderr.close()


def memory(pid: int, field: str = "VmRSS") -> float:
    """Return the memory of a process in MB."""
    text = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def forget_peak(pid: int) -> None:
    """Let the peak of a process's memory start anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Pace:
    """Times since the first request."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.begun
