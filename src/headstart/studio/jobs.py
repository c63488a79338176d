"""Pieces of work, each a folder and a process of its own: started, found again, stopped, resumed.

What is known of a piece of work lies in its folder alone, so that nothing is lost with the studio:
``job.json`` (what was asked), ``state.json`` (where it stands), ``events.jsonl`` (what happened),
``log.txt``, ``model/`` and ``report.html``. While its process lives it holds a lock on ``lock``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from headstart.core.errors import DataError, OptionError

Kind = Literal["look", "fit"]
KINDS: tuple[Kind, ...] = ("look", "fit")
GOING = ("starting", "waiting", "running")
MOST_WAITING = 20
"""How many fits may run or wait for their turn."""
MOST_LOOKING = 3
"""How many looks run at a time; the oldest is stopped for a newer one."""
KEPT_LOOKS = 20
"""How many looks into data are kept."""
_ID = re.compile(r"[a-z]+-\d{8}-\d{6}-[0-9a-f]{8}")


class Jobs:
    """The pieces of work below a folder.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, kind: Kind, asked: Mapping[str, Any]) -> str:
        """Start a piece of work; return its name.

        Parameters
        ----------
        kind : {"look", "fit"}
        asked : mapping
            What ``worker`` reads: ``data``, ``name`` and options.

        Raises
        ------
        OptionError
            Too much waits already.
        """
        going = [one["id"] for one in self.listed(kind) if one["state"] in GOING]
        if kind == "fit" and len(going) >= MOST_WAITING:
            raise OptionError(
                "too many fits are waiting", where="fit", allowed=MOST_WAITING, hint="stop some"
            )
        if kind == "look":  # whoever looks again has no use for what was looked at before
            for old in going[MOST_LOOKING - 1 :]:
                self.stop(old)
        moment = time.strftime("%Y%m%d-%H%M%S")
        job = f"{kind}-{moment}-{secrets.token_hex(4)}"
        place = self.folder / job
        place.mkdir()
        made = {"kind": kind, "made": round(time.time(), 3), **asked}
        write_json(place / "job.json", made)
        self._run(job)
        if kind == "look":
            self._forget_looks()
        return job

    def place(self, job: str) -> Path:
        """Return the folder of a piece of work.

        Raises
        ------
        DataError
            There is none of this name.
        """
        found = self.folder / job
        if not _ID.fullmatch(job) or not (found / "job.json").is_file():
            raise DataError("there is no such piece of work", where="job", got=job[:80])
        return found

    def facts(self, job: str) -> dict[str, Any]:
        """Return what was asked of a piece of work, and where it stands.

        Returns
        -------
        dict
            ``id``, what was asked, ``state`` ("starting", "waiting", "running", "done", "failed",
            "stopped" or "interrupted": ended without a word), ``headline`` and what else its end
            said, ``model`` and ``report`` (whether there is one), ``resumable``, and where answers
            were corrected ``corrections`` (``n`` and ``path``).
        """
        place = self.place(job)
        asked, told = read_json(place / "job.json"), read_json(place / "state.json")
        state = str(told.get("state", "starting"))
        if state in GOING and not self.alive(job):
            state = "interrupted"
        return {
            "id": job,
            **asked,
            **told,
            "state": state,
            "model": (place / "model").is_dir(),
            "report": (place / "report.html").is_file(),
            **_corrected(place),
            "resumable": asked.get("kind") == "fit"
            and state in ("stopped", "interrupted", "failed"),
        }

    def listed(self, kind: Kind) -> list[dict[str, Any]]:
        """Return all pieces of work of a kind, newest first."""
        names = sorted(
            (path.name for path in self.folder.glob(f"{kind}-*") if _ID.fullmatch(path.name)),
            key=lambda name: name.split("-", 1)[1],
            reverse=True,
        )
        found = []
        for name in names:
            with contextlib.suppress(DataError):  # deleted in the meantime
                found.append(self.facts(name))
        return found

    def stop(self, job: str, *, at_once: bool = False) -> None:
        """Ask the process of a piece of work to stop, in good order or at once.

        Raises
        ------
        OptionError
            It does not run.
        """
        place = self.place(job)
        if self.facts(job)["state"] not in GOING:
            raise OptionError("this does not run", where="stop", got=job)
        child = self._children.get(job)
        number = signal.SIGKILL if at_once and hasattr(signal, "SIGKILL") else signal.SIGTERM
        if child is not None and child.poll() is None:
            child.send_signal(number)
            return
        pid = read_json(place / "state.json").get("pid")
        if isinstance(pid, int) and _held(place):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def resume(self, job: str) -> None:
        """Go on with a fit that was stopped, or that ended without a word.

        Raises
        ------
        OptionError
            There is nothing to go on with.
        """
        if not self.facts(job)["resumable"]:
            raise OptionError("there is nothing to go on with", where="resume", got=job)
        self._run(job)

    def delete(self, job: str) -> None:
        """Delete a piece of work with its model.

        Raises
        ------
        OptionError
            It runs.
        """
        if self.facts(job)["state"] in GOING:
            raise OptionError("this runs", where="delete", got=job, hint="stop it first")
        place = self.place(job)
        gone = place.rename(place.with_name(f".{job}.gone"))
        shutil.rmtree(gone, ignore_errors=True)

    def _run(self, job: str) -> None:
        place = self.folder / job
        write_json(place / "state.json", {"state": "starting", "at": time.time()})
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        with (place / "log.txt").open("ab") as log:
            self._children[job] = subprocess.Popen(
                [sys.executable, "-P", "-m", "headstart.studio.worker", str(place)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **apart,
            )

    def alive(self, job: str) -> bool:
        """Say whether the process of a piece of work lives."""
        child = self._children.get(job)
        if child is not None and child.poll() is None:
            return True
        self._children.pop(job, None)
        return _held(self.place(job))

    def _forget_looks(self) -> None:
        for old in self.listed("look")[KEPT_LOOKS:]:
            if old["state"] in GOING:
                self.stop(old["id"])
            else:
                self.delete(old["id"])


def lock_of(place: Path) -> FileLock:
    """Return the lock that the process of a piece of work holds while it lives."""
    return FileLock(place / "lock")


def _corrected(place: Path) -> dict[str, Any]:
    """Return how many answers of a model were corrected, and where they are kept."""
    kept = place / "corrections" / "corrections.jsonl"
    try:
        with kept.open("rb") as file:
            n = sum(1 for _ in file)
    except OSError:
        n = 0
    return {"corrections": {"n": n, "path": str(kept)}} if n else {}


def _held(place: Path) -> bool:
    """Say whether a process holds the lock of a piece of work."""
    try:
        with lock_of(place).acquire(timeout=0):
            return False
    except Timeout:
        return True


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a file of JSON whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(value), encoding="utf-8")
    beside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return what a file of JSON holds; nothing where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
