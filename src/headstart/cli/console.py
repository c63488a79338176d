"""What the terminal sees: results on stdout, the rest on stderr, errors without tracebacks."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import ProgressColumn as Column
from rich.progress import Task as RichTask
from rich.text import Text

from headstart.core.errors import HeadstartError

BAD_INPUT = 2
INTERRUPTED = 130


class _Rate(Column):
    """Items a second."""

    def render(self, task: RichTask) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {task.fields.get('unit', '')}/s" if speed else "")


class ConsoleReporter:
    """Says lines and draws progress bars on stderr; bars only on a terminal.

    Parameters
    ----------
    quiet : bool
        Say nothing at all.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False)
        self.bars: Progress | None = None
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> ConsoleReporter:
        return self

    def __exit__(self, *unused: object) -> None:
        self._stop()

    def say(self, text: str) -> None:
        """Print one line."""
        if not self.quiet:
            self.console.print(f"· {text}", markup=False, soft_wrap=True)

    def progress(self, stage: str, done: int, total: int | None, unit: str = "items") -> None:
        """Draw or move the bar of a stage."""
        if self.quiet or not self.console.is_terminal:
            return
        if self.bars is None:
            self.bars = self._start(unit)
        if stage not in self.tasks:
            self.tasks[stage] = self.bars.add_task(stage, total=total, unit=unit)
        self.bars.update(self.tasks[stage], completed=done, total=total)
        if total is not None and done >= total:
            self._stop()

    def _start(self, unit: str) -> Progress:
        amount: list[Column] = (
            [DownloadColumn(), TransferSpeedColumn()]
            if unit == "bytes"
            else [MofNCompleteColumn(), _Rate()]
        )
        bars = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            *amount,
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        bars.start()
        return bars

    def _stop(self) -> None:
        if self.bars is not None:
            self.bars.stop()
        self.bars, self.tasks = None, {}


def out() -> Console:
    """Return the console of results: stdout, never wrapped when it is not a terminal."""
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "110"))
    return Console(highlight=False, width=width)


def emit_json(value: Any) -> None:
    """Print one JSON object on stdout; numbers that are not finite become null."""
    sys.stdout.write(json.dumps(_finite(value), ensure_ascii=False, indent=2) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value


def guarded(action: Callable[[], None], *, as_json: bool) -> int:
    """Run ``action``; turn errors of the user's making into one message and exit code 2."""
    try:
        action()
    except HeadstartError as error:
        if as_json:
            emit_json({"error": {"type": type(error).__name__, "message": str(error)}})
        sys.stderr.write(f"error: {error}\n")
        return BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was computed is cached, run the same command again\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
