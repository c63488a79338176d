"""Several processes on one socket: started, replaced when one dies, stopped in order."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from headstart.core.errors import HeadstartError, OptionError
from headstart.core.types import SILENT, Reporter
from headstart.serve.settings import Settings

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
DEATHS = 5
"""Workers that may die in a minute before the service gives up."""


def run_workers(model: str | Path, settings: Settings, reporter: Reporter) -> int:
    """Serve a model in ``settings.workers`` processes; return the exit code.

    Raises
    ------
    OptionError
        The address cannot be listened on, or this system has no such processes.
    """
    from headstart.serve.server import listen, url_of

    if os.name != "posix":
        raise OptionError("several workers need a POSIX system", where="--workers", allowed="1")
    with contextlib.closing(listen(settings)) as sock:
        folder = tempfile.mkdtemp(prefix="headstart-metrics-")
        os.environ[FOLDER] = folder
        try:
            return _Workers(model, settings, sock, reporter).run(url_of(settings, sock))
        finally:
            del os.environ[FOLDER]
            shutil.rmtree(folder, ignore_errors=True)


class _Workers:
    """The processes and what to do with them."""

    def __init__(
        self, model: str | Path, settings: Settings, sock: socket.socket, reporter: Reporter
    ) -> None:
        self.model, self.settings, self.sock, self.reporter = model, settings, sock, reporter
        self.context = multiprocessing.get_context("spawn")
        self.processes: list[BaseProcess] = []
        self.ready: dict[int | None, Any] = {}
        self.stopping = threading.Event()
        self.deaths: list[float] = []

    def run(self, url: str) -> int:
        before = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        said = False
        try:
            for _ in range(self.settings.workers):
                self._start()
            while not self.stopping.wait(0.1):
                if not said and all(ready.is_set() for ready in self.ready.values()):
                    said = True
                    self.reporter.say(
                        f"{self.settings.name} is served at {url} by {self.settings.workers} "
                        "processes (Ctrl-C stops it)"
                    )
                if not self._keep_up():
                    self._end()
                    return 1
            return self._end()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self) -> None:
        ready = self.context.Event()
        process = self.context.Process(
            target=_worker,
            args=(str(self.model), self.settings, self.sock, ready),
            name="headstart-worker",
        )
        process.start()
        self.processes.append(process)
        self.ready[process.pid] = ready

    def _keep_up(self) -> bool:
        """Replace who has died; say whether that still makes sense."""
        for process in [one for one in self.processes if not one.is_alive()]:
            self.processes.remove(process)
            del self.ready[process.pid]
            _forget(process.pid)
            if process.exitcode == _REFUSED:
                return False  # it has said why: the next one could say nothing else
            now = time.monotonic()
            self.deaths = [at for at in self.deaths if now - at < 60] + [now]
            self.reporter.say(f"a worker died (exit code {process.exitcode})")
            if len(self.deaths) > DEATHS:
                self.reporter.say("workers die again and again: the service stops")
                return False
            self._start()
        return True

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()

    def _end(self) -> int:
        self.sock.close()
        for process in self.processes:
            process.terminate()
        last = time.monotonic() + self.settings.limits.drain_seconds + 10
        for process in self.processes:
            process.join(max(0.1, last - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        return 0 if all(process.exitcode == 0 for process in self.processes) else 1


def _forget(pid: int | None) -> None:
    from prometheus_client.multiprocess import mark_process_dead

    if pid is not None:
        mark_process_dead(pid)


_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_REFUSED = 2


def _worker(model: str, settings: Settings, sock: socket.socket, ready: Any) -> None:
    """Serve in this process; errors are said once and end it with 2."""
    from headstart.serve.server import serve_here

    share_cores(settings.workers)
    threading.Thread(
        target=_end_with, args=(multiprocessing.parent_process(),), name="parent", daemon=True
    ).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent tells us
    try:
        code = serve_here(model, settings, sock, SILENT, ready=ready.set)
    except HeadstartError as error:
        sys.stderr.write("error: " + "\n  ".join(error.lines()) + "\n")
        code = _REFUSED
    sys.exit(code)


def _end_with(parent: BaseProcess | None) -> None:
    """End in order when the parent has gone without a word: nobody else would end this process."""
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def share_cores(workers: int) -> None:
    """Give each process its share of the cores, before torch or onnxruntime looks for them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (cores or 1) // workers)))
