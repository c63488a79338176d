"""What the terminal sees: results on stdout, the rest on stderr, errors without tracebacks."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, RenderableType
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

from headstart.core.errors import HeadstartError, Interrupted

BAD_INPUT = 2
INTERRUPTED = 130
STOPPED = 75
"""The exit code after SIGTERM: stopped in good order, ``--resume`` goes on."""


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
        if self.quiet:
            return
        line = f"· {text}"
        if self.console.is_terminal:
            line = textwrap.fill(
                line,
                self.console.width,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        self.console.print(line, markup=False, soft_wrap=True)

    def progress(
        self, stage: str, done: int, total: int | None, unit: str = "items", detail: str = ""
    ) -> None:
        """Draw or move the bar of a stage."""
        if self.quiet or not self.console.is_terminal:
            return
        if self.bars is None:
            self.bars = self._start(unit)
        if stage not in self.tasks:
            self.tasks[stage] = self.bars.add_task(stage, total=total, unit=unit, detail="")
        self.bars.update(self.tasks[stage], completed=done, total=total, detail=detail)
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
            TextColumn("{task.fields[detail]}"),
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
    if sys.stdout.isatty():
        return Console(highlight=False)
    # with a height too, or a missing TERM would make rich take 80 columns
    return Console(highlight=False, width=int(os.environ.get("COLUMNS", "110")), height=25)


def show(*blocks: RenderableType) -> None:
    """Print results on stdout, one below another, without blanks at the ends of lines."""
    console = out()
    for block in blocks:
        with console.capture() as captured:
            console.print(block)
        sys.stdout.write(re.sub(r" +$", "", captured.get(), flags=re.MULTILINE))


def line(text: str) -> None:
    """Print one line on stdout just as it is, however long."""
    sys.stdout.write(f"{text}\n")


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


def guarded(action: Callable[[], int], *, as_json: bool) -> int:
    """Run ``action``; turn errors of the user's making into one message and exit code 2."""
    try:
        code = action()
    except HeadstartError as error:
        return _refused(error.lines(), type(error).__name__, as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a cache that may not be written
        where = f"{error.filename}: " if error.filename else ""
        return _refused([f"{where}{error.strerror or error}"], type(error).__name__, as_json)
    except Stopped as error:
        return _stopped(error.cause)
    except (KeyboardInterrupt, typer.Abort):
        return _stopped(None)
    except Exception as error:
        message = _misused(error)
        if message is None:
            raise
        return _refused(message, "UsageError", as_json)
    if code == INTERRUPTED:
        return _stopped(None)
    return code


class Stopped(Exception):  # noqa: N818
    """Carries an ``Interrupted`` past typer, which makes of it an interrupt like any other."""

    def __init__(self, cause: Interrupted) -> None:
        self.cause = cause
        super().__init__(str(cause))


def _stopped(cause: Interrupted | None) -> int:
    """Say what is kept of what was stopped; return the exit code."""
    if cause is None:
        sys.stderr.write("interrupted; what was computed is cached, run the same command again\n")
        return INTERRUPTED
    if cause.checkpoint:
        sys.stderr.write(f"what was done is kept: {cause.checkpoint}\n")
        sys.stderr.write("stopped; the same command with --resume goes on from there\n")
    else:
        sys.stderr.write("stopped; what was computed is cached, run the same command again\n")
    return STOPPED if cause.number == signal.SIGTERM else INTERRUPTED


@contextlib.contextmanager
def stopping_in_order(kept: Path) -> Iterator[None]:
    """Let SIGTERM end what is run as Ctrl-C does, with an exit code of its own.

    While a source is tuned, the training loop notes the signal itself, to write a checkpoint. What
    else was kept until then lies in the folder ``kept``.
    """

    def stop(number: int, frame: object) -> None:
        raise Interrupted(number)

    in_main = threading.current_thread() is threading.main_thread()  # elsewhere none can be set
    before = signal.signal(signal.SIGTERM, stop) if in_main else None
    try:
        yield
    except KeyboardInterrupt as error:
        cause = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        if not cause.checkpoint and any(kept.glob("*.safetensors")):
            cause = Interrupted(cause.number, str(kept))
        raise Stopped(cause) from error
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)


def _refused(lines: list[str], kind: str, as_json: bool) -> int:
    if as_json:
        emit_json({"error": {"type": kind, "message": ". ".join(lines)}})
    sys.stderr.write("error: " + "\n  ".join(lines) + "\n")
    return BAD_INPUT


def _misused(error: Exception) -> list[str] | None:
    """Return what typer says of options and arguments that cannot be; None for other errors."""
    told = getattr(error, "format_message", None)
    if told is None:
        return None
    command = getattr(getattr(error, "ctx", None), "command_path", "headstart")
    return [str(told()).rstrip("."), f"`{command} --help` lists arguments and options"]
