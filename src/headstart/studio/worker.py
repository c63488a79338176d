"""The process of one piece of work: ``python -m headstart.studio.worker FOLDER``.

It reads what was asked from ``job.json``, writes what happens to ``events.jsonl``, and leaves its
results in the same folder. Asked to stop (SIGTERM) it ends in good order, as ``fit`` does on the
command line; killed, it leaves what ``--resume`` goes on from.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import FileLock, Timeout

from headstart.core.errors import HeadstartError, Interrupted
from headstart.studio.events import EventFile, plain
from headstart.studio.jobs import lock_of, read_json, write_json

SECONDS_FOR_LOCK = 10.0
"""To take the lock of the folder: somebody may be looking whether it is held."""
FIT_OPTIONS: tuple[str, ...] = (
    *("label", "text", "path", "group", "modality", "shots", "metric", "budget", "max_risk"),
    *("seed", "source", "strategy", "curve"),
)
SUMMARY = (
    *("task", "judged_by", "chosen", "score", "baselines", "transfer", "gain", "candidates"),
    *("curve", "label_multiplier", "explanation", "decisions", "seconds"),
)
LOOK_OPTIONS = ("label", "text", "path", "group", "modality")


def main(arguments: list[str]) -> int:
    """Do the piece of work of a folder; return the exit code."""
    place = Path(arguments[0]).resolve()
    signal.signal(signal.SIGTERM, _stop)
    try:
        with lock_of(place).acquire(timeout=SECONDS_FOR_LOCK):
            return work(place)
    except Timeout:
        sys.stderr.write("another process is at work here\n")
        return 2


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: it ends in good order
    raise Interrupted(number)


def work(place: Path) -> int:
    """Do what the folder asks; return the exit code.

    Parameters
    ----------
    place : Path
        Its lock is held.
    """
    asked = read_json(place / "job.json")
    events = EventFile(place / "events.jsonl")
    keep: Callable[..., None] = lambda **facts: write_json(  # noqa: E731
        place / "state.json", plain({"pid": os.getpid(), "at": time.time(), **facts})
    )
    try:
        if asked.get("kind") == "look":
            keep(state="running")
            events.event("started", kind="look")
            end = _look(place, asked, events)
        else:
            with _turn(place, events, keep):
                keep(state="running")
                events.event("started", kind="fit")
                end = _fit(place, asked, events)
        end = {"state": "done", **end}
    except HeadstartError as error:
        end = {"state": "failed", "error": told(error)}
    except KeyboardInterrupt:
        end = {"state": "stopped"}
    except MemoryError:
        end = {"state": "failed", "error": {"what": "the memory of this machine is used up"}}
    except Exception as error:
        traceback.print_exc()
        end = {"state": "failed", "error": _unexpected(error, place)}
    keep(**end)
    events.event("ended", **end)
    events.close()
    return 0 if end["state"] == "done" else 1


def told(error: HeadstartError) -> dict[str, Any]:
    """Return an error as plain values for a page."""
    return {
        "what": error.what,
        "where": error.where,
        "got": None if error.got is None else repr(error.got)[:200],
        "hint": error.hint,
        "kind": type(error).__name__,
        "lines": error.lines(),
    }


def _unexpected(error: Exception, place: Path) -> dict[str, Any]:
    return {
        "what": f"something went wrong that should not: {type(error).__name__}: {error}"[:500],
        "where": str(place / "log.txt"),
        "hint": "the log tells more; please report it",
    }


@contextlib.contextmanager
def _turn(place: Path, events: EventFile, keep: Callable[..., None]) -> Any:
    """Wait until no other fit runs: two at a time would both be slower, and judged on time."""
    lock = FileLock(place.parent / "fit.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        keep(state="waiting")
        events.event("waiting")
        lock.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        lock.release()


def _options(asked: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: asked[name] for name in names if asked.get(name) is not None}


def _look(place: Path, asked: Mapping[str, Any], events: EventFile) -> dict[str, Any]:
    from headstart.studio.looking import columns_of, seen

    data, options = str(asked["data"]), _options(asked, LOOK_OPTIONS)
    columns = columns_of(Path(data))
    if columns:
        events.event("columns", **columns)
    facts = seen(data, options, place / "samples", reporter=events)
    events.event("seen", **facts)
    from headstart import inspection  # loads what the look above needs not wait for

    report = inspection.check(data, **options, reporter=events)
    events.event("checked", **report.to_json())
    return {"ok": report.ok}


def _fit(place: Path, asked: Mapping[str, Any], events: EventFile) -> dict[str, Any]:
    from headstart import transfer
    from headstart.strategies.tuning.checkpoint import clear

    checkpoints = place / "checkpoints"
    result = transfer.fit(
        asked["data"],
        **_options(asked, FIT_OPTIONS),
        checkpoint=checkpoints,
        resume=checkpoints.is_dir(),
        reporter=events,
    )
    events.event("saving")
    result.save(place / "model", overwrite=True)
    clear(checkpoints)
    found = result.to_json()
    write_json(place / "result.json", plain(found))
    events.event("result", **_summary(found), sentences=list(result.sentences()))
    _report(place, result, events)
    return {
        "headline": result.headline(),
        "score": found["score"],
        "task": {key: found["task"][key] for key in ("modality", "kind", "n")},
    }


def _summary(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in SUMMARY}


def _report(place: Path, result: Any, events: EventFile) -> None:
    """Write the report; a fit is not lost where that cannot be done."""
    from headstart import report

    timing = {one.name: one.seconds for one in result.candidates if one.score is not None}
    timing["fit"] = result.seconds
    try:
        report.write(place / "model", place / "report.html", timing=timing)
    except HeadstartError as error:
        events.say(f"no report was written: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
