"""Running a studio until it is asked to stop."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from headstart.core.errors import MissingExtraError, OptionError

LOCAL = ("127.0.0.1", "localhost", "::1")


def default_home() -> Path:
    """Return where a studio keeps things unless it is told: the user's own data folder."""
    import platformdirs

    return platformdirs.user_data_path("headstart") / "studio"


def run(
    *,
    host: str = "127.0.0.1",
    port: int = 8100,
    home: str | Path | None = None,
    root: str | Path | None = None,
    say: Callable[[str], None],
    opened: Callable[[str], object] | None = None,
) -> None:
    """Run a studio until SIGINT or SIGTERM; work that runs goes on without it.

    Parameters
    ----------
    host : str
        An address of this machine that no other can reach: 127.0.0.1, ::1 or localhost.
    port : int
        0 for any that is free.
    home : path, optional
        Where uploads, work and models are kept.
    root : path, optional
        The folder that data may be chosen from; the user's home by default.
    say : callable
        Takes the lines that tell where the studio is.
    opened : callable, optional
        Opens the address, as ``webbrowser.open``.

    Raises
    ------
    MissingExtraError
        The extra ``serve`` is not installed.
    OptionError
        The address can be reached from elsewhere or is taken, or a folder cannot be used.
    """
    _check_local(host)
    kept = _folder(Path(home).expanduser() if home else default_home(), "--home", make=True)
    below = _folder(Path(root).expanduser() if root else Path.home(), "--root", make=False)
    try:
        import uvicorn

        from headstart.studio.app import Settings, create_app
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "serve", "the studio") from error
    from headstart.studio.guard import new_token

    listening = _listening(host, port)
    taken = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    hosts = tuple(f"{name}:{taken}" for name in (shown, "127.0.0.1", "localhost", "[::1]"))
    token, once = new_token(), new_token()

    class Server(uvicorn.Server):
        """Lets pages that read along go before it waits for what is left."""

        def handle_exit(self, sig: int, frame: object) -> None:
            leaving.append(sig)
            super().handle_exit(sig, frame)  # type: ignore[arg-type]

    leaving: list[int] = []
    app = create_app(
        Settings(
            kept,
            below,
            token,
            tuple(dict.fromkeys(hosts)),
            closing=lambda: bool(leaving),
            once=once,
        )
    )
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=30,
        limit_concurrency=200,
    )
    address = f"http://{shown}:{taken}/?token="
    say(f"the studio is open at {address}{token}")
    say(f"what it keeps is in {kept}; Ctrl-C closes it, work that runs goes on")
    if opened is not None:
        opened(address + once)
    with listening:
        Server(config).run(sockets=[listening])


def _check_local(host: str) -> None:
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise OptionError(
            "a studio answers to this machine alone",
            where="--host",
            got=host,
            allowed=LOCAL,
            hint="it reads your files: to use it from elsewhere, tunnel to it (ssh -L 8100:...)",
        )


def _folder(path: Path, option: str, *, make: bool) -> Path:
    try:
        if make:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = path.resolve(strict=True)
        usable = found.is_dir() and os.access(found, os.W_OK if make else os.R_OK)
    except OSError:
        usable = False
    if not usable:
        raise OptionError(
            "this folder cannot be used", where=option, got=str(path), hint="name another one"
        )
    return found


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    if sys.platform != "win32":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        raise OptionError(
            "the studio cannot listen here",
            where="--port",
            got=port,
            hint="another studio may be open; --port 0 takes any that is free",
        ) from error
    return listening
