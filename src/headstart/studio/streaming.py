"""Events as a page reads along: server-sent events, each with the place where to go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from headstart.core.errors import DataError
from headstart.studio.events import read_from
from headstart.studio.jobs import GOING, Jobs

SECONDS_BETWEEN_LOOKS = 0.15
SECONDS_ALIVE = 15.0
"""Between signs of life, where nothing happens."""


def place_of(last: str | None) -> int:
    """Return the place that the header ``Last-Event-ID`` names; 0 where it names none."""
    text = (last or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


async def stream(
    jobs: Jobs, job: str, place: int, closing: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Yield the events of a piece of work from a place on, until it has ended.

    Parameters
    ----------
    jobs : Jobs
    job : str
    place : int
        As ``place_of``.
    closing : callable
        Says whether the studio is about to end.
    """
    path, last = jobs.place(job) / "events.jsonl", time.monotonic()
    yield b"retry: 1000\n\n"
    while not closing():
        try:  # before reading, so that what comes last is not missed
            going = jobs.facts(job)["state"] in GOING
        except DataError:  # it was deleted
            return
        found = read_from(path, place)
        for place, text in found:
            yield f"id: {place}\ndata: {text}\n\n".encode()
        if found:
            last = time.monotonic()
            continue
        if not going:
            yield f"event: end\nid: {place}\ndata: {{}}\n\n".encode()
            return
        if time.monotonic() - last > SECONDS_ALIVE:
            last = time.monotonic()
            yield b": alive\n\n"
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
