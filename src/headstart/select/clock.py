"""Time: how much is left of the budget, and what stops those who may not use more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from headstart.core.errors import OutOfTimeError
from headstart.core.events import tell
from headstart.core.types import Reporter


class Clock:
    """Counts a budget down.

    Parameters
    ----------
    budget : float
        Seconds, from now on.
    now : callable
        The clock that is read.
    """

    def __init__(self, budget: float, now: Callable[[], float] = time.perf_counter) -> None:
        self.budget, self._now = budget, now
        self._start = now()

    @property
    def passed(self) -> float:
        """Seconds since the beginning."""
        return self._now() - self._start

    @property
    def left(self) -> float:
        """Seconds that are left; below zero when there are none."""
        return self.budget - self.passed


class Deadline:
    """Passes everything on to a reporter until the time is up: then progress raises.

    Work that tells its progress is so stopped between two steps, wherever it is done.

    Parameters
    ----------
    reporter : Reporter
    clock : Clock
    spare : float
        Seconds of the budget that others need afterwards.
    """

    def __init__(self, reporter: Reporter, clock: Clock, spare: float = 0.0) -> None:
        self._reporter, self._clock, self._spare = reporter, clock, spare

    def say(self, text: str) -> None:
        """Pass a line on."""
        self._reporter.say(text)

    def event(self, name: str, **facts: Any) -> None:
        """Pass a fact on."""
        tell(self._reporter, name, **facts)

    def progress(
        self, stage: str, done: int, total: int | None, unit: str = "items", detail: str = ""
    ) -> None:
        """Pass progress on.

        Raises
        ------
        OutOfTimeError
            The time is up.
        """
        self._reporter.progress(stage, done, total, unit, detail)
        if self._clock.left < self._spare:
            raise OutOfTimeError(
                f"the budget of {spoken(self._clock.budget)} is used up",
                where=stage,
                hint="--budget gives more",
            )


def spoken(seconds: float) -> str:
    """Return a length of time in words.

    Examples
    --------
    >>> [spoken(s) for s in (0.2, 42, 89, 150, 3600)]
    ['1 s', '42 s', '89 s', '2.5 min', '60 min']
    """
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 10 and round(minutes, 1) % 1 else f"{minutes:.0f} min"
