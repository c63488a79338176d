"""Runs the service: one process or several, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.core.errors import MissingExtraError, OptionError
from headstart.core.types import SILENT, Reporter
from headstart.serve.settings import Settings

if TYPE_CHECKING:
    from headstart.serve.predictor import Predictor

BACKLOG = 1024
IDLE = 10
"""Seconds a connection may stay open between two requests."""


def run(model: str | Path, settings: Settings, *, reporter: Reporter = SILENT) -> int:
    """Serve a model until SIGTERM or SIGINT; return the exit code.

    Parameters
    ----------
    model : path
        A bundle, or the directory of an export.
    settings : Settings
    reporter : Reporter
        Told where the service listens, and what it decided.

    Raises
    ------
    BundleError, SourceError
        The model cannot be opened.
    OptionError
        The address cannot be listened on.
    MissingExtraError
        What a service needs is not installed.
    """
    check_installed()
    if settings.workers > 1:
        from headstart.serve.workers import run_workers

        return run_workers(model, settings, reporter)
    with contextlib.closing(listen(settings)) as sock:
        return serve_here(model, settings, sock, reporter)


def check_installed() -> None:
    """Say which package is missing, before anything is opened.

    Raises
    ------
    MissingExtraError
    """
    from importlib.util import find_spec

    for package in ("fastapi", "uvicorn", "httptools", "prometheus_client", "python_multipart"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "serve", "a service")


def listen(settings: Settings) -> socket.socket:
    """Return a socket that is bound to the address of the settings, not listening yet.

    Raises
    ------
    OptionError
        The address is taken, or none of this machine.
    """
    host = settings.host.strip("[]")
    try:
        found = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _not_listening(settings, error) from error
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise _not_listening(settings, error) from error
    return sock


def _not_listening(settings: Settings, error: OSError) -> OptionError:
    return OptionError(
        f"the service cannot listen there: {error.strerror or error}",
        where=f"{settings.host}:{settings.port}",
        hint="--port takes another port; 0 takes any that is free",
    )


def url_of(settings: Settings, sock: socket.socket) -> str:
    """Return the address that a browser takes."""
    host = settings.host.strip("[]")
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{sock.getsockname()[1]}"


def serve_here(
    model: str | Path,
    settings: Settings,
    sock: socket.socket,
    reporter: Reporter = SILENT,
    *,
    ready: Callable[[], object] | None = None,
) -> int:
    """Serve a model in this process, on a socket that is bound; return the exit code.

    Parameters
    ----------
    model, settings, reporter
        As for ``run``.
    sock : socket
    ready : callable, optional
        Called once requests are taken.

    Raises
    ------
    BundleError, SourceError, OptionError
        As ``run``.
    """
    from headstart.serve.predictor import open_predictor

    predictor = open_predictor(model, reporter=reporter)
    return serve_predictor(predictor, settings, sock, reporter, ready=ready)


def serve_predictor(
    predictor: Predictor,
    settings: Settings,
    sock: socket.socket,
    reporter: Reporter = SILENT,
    *,
    ready: Callable[[], object] | None = None,
) -> int:
    """Serve a predictor in this process; as ``serve_here``."""
    import uvicorn

    from headstart.serve.app import create_app
    from headstart.serve.connection import connection_with
    from headstart.serve.logs import Logs

    logs = Logs()
    app = create_app(predictor, settings, logs=logs)
    config = uvicorn.Config(
        app,
        http=connection_with(settings.limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=int(settings.limits.drain_seconds),
    )
    with _server_logs(logs):
        server = _server(config, app.state.service, sock)
        url = url_of(settings, sock)
        server.said = ready or (
            lambda: reporter.say(f"{settings.name} is served at {url} (Ctrl-C stops it)")
        )
        server.run(sockets=[sock])
    return 0 if server.started else 1


@contextlib.contextmanager
def _server_logs(logs: Any) -> Iterator[None]:
    from headstart.serve.logs import LinesOfServer

    logger = logging.getLogger("uvicorn")
    handler = LinesOfServer(logs)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def _server(config: Any, service: Any, sock: socket.socket) -> Any:
    """Return uvicorn's server with an ending in which nothing that was accepted is lost."""
    import uvicorn

    class Server(uvicorn.Server):
        said: Any = None

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started and self.said is not None:
                self.said()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Take in who is connected already, answer all, then stop."""
            service.drain()
            await self._take_in(sockets or [])
            await self._let_idle_end()
            await super().shutdown(None)

        async def _take_in(self, sockets: list[socket.socket]) -> None:
            loop = asyncio.get_running_loop()
            held = [sock.dup() for sock in sockets]
            for server in self.servers:
                server.close()
            await asyncio.sleep(0)
            for listening in held:
                listening.setblocking(False)
                while True:
                    try:
                        accepted, _ = listening.accept()
                    except OSError:
                        break
                    await loop.connect_accepted_socket(self._protocol, accepted)
                listening.close()
            for sock in sockets:
                sock.close()

        def _protocol(self) -> Any:
            make: Any = self.config.http_protocol_class
            return make(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        async def _let_idle_end(self) -> None:
            """Give connections without a request a moment: one may be on its way."""
            for _ in range(10):
                if not self.server_state.connections:
                    return
                await asyncio.sleep(0.05)

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """As uvicorn does, but without ending by the signal: a stop in order exits with 0."""
            with super().capture_signals():
                yield
                self._captured_signals.clear()

    return Server(config)
