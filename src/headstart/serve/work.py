"""The line of requests before the model: bounded, fair, with deadlines, one call at a time.

The event loop puts jobs into the line and awaits their answers; one thread takes them out and asks
the model. Long jobs are cut into slices, and other jobs come in between; short jobs that wait are
asked together where that pays. What nobody waits for any more is not computed. Items that are read
together (cells of a column) are neither cut nor put beside those of others.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.core.errors import DataError
from headstart.serve.problems import Problem, busy

SLICE = 64
"""Items of one request that are computed before others have their turn."""

Call = Callable[[Sequence[Any]], list[Any]]


@dataclass(eq=False)
class Job:
    """Items that wait for their answers.

    Parameters
    ----------
    items : sequence of length n
    call : callable or None
        What is asked; None asks the model for predictions, and only such jobs go together.
    deadline : float
        In seconds of ``time.monotonic``.
    future : asyncio.Future
    made : list
        The answers so far.
    whole : bool
        All items are asked in one call, and no others with them.
    """

    items: Sequence[Any]
    call: Call | None
    deadline: float
    future: asyncio.Future[list[Any]]
    loop: asyncio.AbstractEventLoop
    made: list[Any] = field(default_factory=list)
    whole: bool = False

    @property
    def left(self) -> int:
        """How many items have no answer yet."""
        return len(self.items) - len(self.made)

    @property
    def dead(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.future.done() or time.monotonic() > self.deadline


class Work:
    """The line before a model, and the thread that asks it.

    Parameters
    ----------
    predict : callable
        Items to answers.
    queue : int
        Jobs that wait or are computed; more are refused.
    seconds : float
        Until a job is given up.
    together : int
        Items of several requests that are asked in one call; 1 asks each request alone.
    watch : callable, optional
        Told the number of items and of jobs of each call.
    count : callable, optional
        Told how many jobs wait or are computed, when that changes.
    whole : callable, optional
        Says of items whether the answer to one depends on which others are asked with it.
    """

    def __init__(
        self,
        predict: Call,
        *,
        queue: int,
        seconds: float,
        together: int = 1,
        watch: Callable[[int, int], None] | None = None,
        count: Callable[[int], None] | None = None,
        whole: Callable[[Sequence[Any]], bool] | None = None,
    ) -> None:
        self.predict, self.queue, self.seconds, self.together = predict, queue, seconds, together
        self.watch, self.count, self.whole = watch, count, whole
        self.waiting: deque[Job] = deque()
        self.inside = 0
        self._ready = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; does nothing where it runs."""
        if self._thread is None:
            self._closed = False
            self._thread = threading.Thread(target=self._run, name="model", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Let the thread end when the line is empty, and wait for that."""
        with self._ready:
            self._closed = True
            self._ready.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    async def ask(
        self, items: Sequence[Any], call: Call | None = None, *, seconds: float | None = None
    ) -> list[Any]:
        """Return the answer to each item.

        Parameters
        ----------
        items : sequence of length n
        call : callable, optional
            What to ask in place of the model's predictions.
        seconds : float, optional
            Until it is given up; as for all requests where it is not given.

        Raises
        ------
        Problem
            503: the line is full. 504: it took too long.
        DataError
            The model cannot read an item.
        """
        if self.inside >= self.queue:
            raise busy("the service has more to do than it can")
        self.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        seconds = self.seconds if seconds is None else seconds
        job = Job(items, call, time.monotonic() + seconds, future, loop)
        job.whole = call is not None or (self.whole is not None and self.whole(items))
        late = loop.call_later(seconds, _give_up, future, seconds)
        self._inside(1)
        try:
            with self._ready:
                self.waiting.append(job)
                self._ready.notify()
            return await future
        finally:
            self._inside(-1)
            late.cancel()
            future.cancel()

    def _inside(self, more: int) -> None:
        self.inside += more
        if self.count is not None:
            self.count(self.inside)

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self.waiting and not self._closed:
                    self._ready.wait()
                if not self.waiting:
                    return
                jobs = self._next()
            if jobs:
                self._compute(jobs)

    def _next(self) -> list[Job]:
        """Take the first job, and those behind it that fit beside it."""
        jobs: list[Job] = []
        room = 0
        while self.waiting:
            job = self.waiting[0]
            if job.dead:
                self.waiting.popleft()
                continue
            fits = not job.whole and job.left <= room
            if jobs and not fits:
                break
            self.waiting.popleft()
            jobs.append(job)
            if job.whole:
                break
            room = (room if len(jobs) > 1 else self.together) - job.left
        return jobs

    def _compute(self, jobs: list[Job]) -> None:
        if len(jobs) == 1:
            self._alone(jobs[0])
            return
        items = [item for job in jobs for item in job.items[len(job.made) :]]
        try:
            found = self._asked(self.predict, items, len(jobs))
        except Exception:  # one of them has a bad item: which one is found out alone
            for job in jobs:
                if not job.dead:
                    self._alone(job)
            return
        at = 0
        for job in jobs:
            n = job.left
            job.made += found[at : at + n]
            at += n
            self._done(job)

    def _alone(self, job: Job) -> None:
        begin = len(job.made)
        part = job.items if job.whole else job.items[begin : begin + SLICE]
        try:
            job.made += self._asked(job.call or self.predict, part, 1)
        except Exception as error:
            self._failed(job, _shifted(error, begin))
            return
        if job.left and job.call is None:
            with self._ready:
                self.waiting.append(job)
        else:
            self._done(job)

    def _asked(self, call: Call, items: Sequence[Any], jobs: int) -> list[Any]:
        if self.watch is not None and call is self.predict:
            self.watch(len(items), jobs)
        found = call(items)
        if call is self.predict and len(found) != len(items):
            raise RuntimeError(f"{len(found)} answers to {len(items)} items")
        return found

    def _done(self, job: Job) -> None:
        _tell(job, lambda: None if job.future.done() else job.future.set_result(job.made))

    def _failed(self, job: Job, error: Exception) -> None:
        _tell(job, lambda: None if job.future.done() else job.future.set_exception(error))


def _tell(job: Job, what: Callable[[], object]) -> None:
    try:
        job.loop.call_soon_threadsafe(what)
    except RuntimeError:  # the loop has ended, and with it whoever waited
        return


def _give_up(future: asyncio.Future[list[Any]], seconds: float) -> None:
    if not future.done():
        future.set_exception(
            Problem(
                504,
                f"there was no answer within {seconds:g} s",
                hint="send fewer items in one request, or try again later",
            )
        )


def _shifted(error: Exception, begin: int) -> Exception:
    """Return an error of a slice with the place that the item has in the request."""
    if not begin or not isinstance(error, DataError) or not error.where:
        return error
    import re

    where = re.sub(
        r"(items?(?:[ \[]|, row ))(\d+)",
        lambda m: f"{m[1]}{int(m[2]) + begin}",
        error.where,
        count=1,
    )
    return DataError(error.what, where=where, got=error.got, allowed=error.allowed, hint=error.hint)
