"""Stopping in good order: a signal is noted, the step finished, a checkpoint written."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Stop:
    """Which signal asked to stop; 0: none did."""

    number: int = 0


@contextlib.contextmanager
def noting_signals(active: bool) -> Iterator[Stop]:
    """Note SIGTERM and SIGINT instead of dying of them; their handlers are put back at the end.

    Parameters
    ----------
    active : bool
        False notes nothing. Nor does anything outside of the main thread, where Python does not
        let handlers be set.
    """
    stop = Stop()
    if not active or threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: object) -> None:
        stop.number = number

    before = [(number, signal.signal(number, note)) for number in _SIGNALS]
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler)
