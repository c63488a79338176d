"""What a service is told: where it listens, who may ask, and how much of everything."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from headstart.core.errors import OptionError

SHORTEST_KEY = 16
"""Characters a key must have at least: shorter ones can be guessed."""


@dataclass(frozen=True)
class Limits:
    """How much a request may bring and how long it may take.

    Parameters
    ----------
    body_bytes : int
        Of a request's body, however it is sent.
    memory_bytes : int
        Of all bodies that are being received or wait for an answer.
    items : int
        Texts, pictures, sounds or rows in one request.
    characters : int
        Of one text, and of one cell of a table.
    columns : int
        Of one row.
    pixels : int
        Of one JPEG picture, read from its header; of other formats, which are decoded whole,
        half as many.
    seconds_of_sound : float
        Of one recording, read from its header.
    queue : int
        Requests that wait for the model or are in it; beyond, the answer is 503.
    connections : int
        Open at once; beyond, the answer is 503.
    receive_seconds : float
        From the first byte of a request to its last, headers and body each.
    answer_seconds : float
        From when a request is read to its answer; beyond, the answer is 504.
    drain_seconds : float
        After SIGTERM, how long what was accepted may still take.
    """

    body_bytes: int = 16 * 2**20
    memory_bytes: int = 128 * 2**20
    items: int = 1000
    characters: int = 50_000
    columns: int = 2000
    pixels: int = 25_000_000
    seconds_of_sound: float = 600.0
    queue: int = 128
    connections: int = 1000
    receive_seconds: float = 10.0
    answer_seconds: float = 30.0
    drain_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise OptionError("a limit must be above 0", where=name, got=value)


@dataclass(frozen=True)
class Settings:
    """Where a service listens, who may ask, what it keeps.

    Parameters
    ----------
    host : str
        An address of this machine; another one than a loopback address needs ``api_key``.
    port : int
        0 takes a free one.
    workers : int
        Processes, each with the model in memory.
    api_key : str, optional
        What callers must show; at least 16 characters.
    corrections : Path, optional
        Directory where corrected answers are kept; without it none are taken.
    name : str
        What the model is called under ``/v2/models``.
    limits : Limits
    allowed_hosts : tuple of str
        Further names by which a service on a loopback address may be called.

    Raises
    ------
    OptionError
        An open address without a key, a key that is too short, a port or a number of workers
        that cannot be.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    api_key: str | None = field(default=None, repr=False)
    corrections: Path | None = None
    name: str = "model"
    limits: Limits = field(default_factory=Limits)
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise OptionError("no such port", where="--port", got=self.port, allowed="0 to 65535")
        if not 1 <= self.workers <= 256:
            raise OptionError(
                "no such number of workers", where="--workers", got=self.workers, allowed="1 to 256"
            )
        if self.api_key is not None:
            _check_key(self.api_key)
        elif not self.loopback:
            raise OptionError(
                "other machines could ask this service, and there is no key",
                where="--host",
                got=self.host,
                hint="set a key in the environment as HEADSTART_API_KEY, or leave the host out",
            )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Say whether a name or an address is this machine's own and nobody else's."""
    bare = host.strip("[]")
    if bare.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def _check_key(key: str) -> None:
    printable = key.isascii() and key.isprintable() and " " not in key
    if len(key) < SHORTEST_KEY or not printable:
        raise OptionError(
            "this cannot be a key",
            where="--api-key",
            allowed=f"at least {SHORTEST_KEY} letters, digits or signs, without blanks",
            hint="python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one",
        )
