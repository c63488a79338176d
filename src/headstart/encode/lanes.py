"""Batches side by side on the cores of a CPU, each computed by one thread.

Frozen networks of this size spend much of their time waiting at the end of every operation for
the other threads. One batch a core needs no waiting, keeps a batch in its core's own cache, and
lets decoding of one batch overlap with the network of another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

from headstart import parallel

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(
    function: Callable[[T], R], tasks: Iterable[T], *, count: int | None = None
) -> Iterator[R]:
    """Yield ``function(task)`` in order, as many at a time as torch may use threads.

    While it runs, torch uses one thread an operation (a setting of the process, restored at the
    end). A single task (``count`` of 1) runs in the calling thread with all of torch's threads.
    """
    threads = torch.get_num_threads()
    if threads == 1 or count == 1:
        yield from map(_without_gradients(function), tasks)
        return
    with one_thread():
        yield from parallel.map(_alone(_without_gradients(function)), tasks, workers=threads)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread an operation; its setting is restored at the end.

    Many small operations are done sooner so: with more, each waits for all threads at its end,
    which takes longer than the operation on a machine that has other work.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _alone(function: Callable[[T], R]) -> Callable[[T], R]:
    def run(task: T) -> R:
        torch.set_num_threads(1)  # OpenMP keeps the setting for each thread
        return function(task)

    return run


def _without_gradients(function: Callable[[T], R]) -> Callable[[T], R]:
    def run(task: T) -> R:
        with torch.inference_mode():
            return function(task)

    return run
