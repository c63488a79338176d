"""Map a function over tasks: in this process, in order, with a bounded number under way."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map(
    function: Callable[[T], R],
    tasks: Iterable[T],
    *,
    workers: int | None = None,
    window: int | None = None,
) -> Iterator[R]:
    """Yield ``function(task)`` for each task, in order, computed by threads.

    Parameters
    ----------
    function : callable
        Should release the interpreter lock for threads to help (decoding, reading, BLAS).
    tasks : iterable
        Consumed lazily: at most ``window`` tasks are read ahead, so memory stays bounded.
    workers : int, optional
        Number of threads; the number of cores by default. 1 runs in the calling thread.
    window : int, optional
        How many tasks may be under way or waiting; four for each worker by default.

    Raises
    ------
    Exception
        Whatever ``function`` raises, at the position of its task.

    Examples
    --------
    >>> from headstart import parallel
    >>> list(parallel.map(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    workers = workers or cores()
    if workers == 1:
        for task in tasks:
            yield function(task)
        return
    window = window or 4 * workers
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(function, task))
                if len(waiting) >= window:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
