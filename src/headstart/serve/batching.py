"""Do several requests together cost less than one by one? Measured on this machine, at start."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

PAYS = 1.3
"""How many times more items a second a call must make for requests to go together."""

SIZES = (8, 16, 32)
LONGEST = 0.25
"""Seconds that a call of several requests may take."""

BUDGET = 3.0
"""Seconds of measuring."""


@dataclass(frozen=True)
class Batching:
    """Whether requests go together, and why.

    Parameters
    ----------
    together : int
        Items in a call at most; 1 where each request goes alone.
    why : str
    """

    together: int
    why: str

    def told(self) -> dict[str, Any]:
        """Return what ``/info`` says."""
        return {"on": self.together > 1, "items": self.together, "why": self.why}


def measured(
    predict: Callable[[Sequence[Any]], object], sample: Callable[[int], list[Any]]
) -> Batching:
    """Time a model on one item and on several.

    Parameters
    ----------
    predict : callable
        The model.
    sample : callable
        Returns so many items.
    """
    end = time.perf_counter() + BUDGET
    alone = _seconds(predict, sample(1), end, most=15)
    best, gain, tried = 1, 1.0, []
    for size in SIZES:
        if time.perf_counter() >= end:
            break
        taken = _seconds(predict, sample(size), end, most=5)
        more = alone * size / taken
        tried.append(f"{size} together {1000 * taken:.3g} ms")
        if taken > LONGEST:
            break
        if more >= PAYS and more > 1.1 * gain:
            best, gain = size, more
    said = f"one item takes {1000 * alone:.3g} ms, {', '.join(tried)}"
    if best == 1:
        return Batching(1, f"{said}: together is less than {PAYS:g} times as fast")
    return Batching(best, f"{said}: {best} are answered {gain:.1f} times as fast together")


def _seconds(
    predict: Callable[[Sequence[Any]], object], items: list[Any], end: float, *, most: int
) -> float:
    predict(items)
    times: list[float] = []
    while len(times) < 3 or (len(times) < most and time.perf_counter() < end):
        begun = time.perf_counter()
        predict(items)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)
