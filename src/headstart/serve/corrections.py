"""Corrected answers, appended to a file that ``headstart fit`` reads."""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core.errors import OptionError
from headstart.serve.problems import Problem

FILE = "corrections.jsonl"
HISTORY = "history.jsonl"
FILES = "files"
MOST_BYTES = 2**30
"""Of all that is stored."""

LONGEST = 200
"""Characters of a label."""


class Corrections:
    """A directory of corrected answers.

    ``corrections.jsonl`` holds items and labels, as ``headstart fit`` takes them; pictures and
    sounds lie in ``files`` under their sha256. ``history.jsonl`` says when each came, to which
    model, and what that had predicted.

    Parameters
    ----------
    folder : Path
        Made where there is none.
    modality : str
    info : mapping
        ``task.label``, what the label was called in training, and ``task.kind``.

    Raises
    ------
    OptionError
        The directory cannot be made or written to.
    """

    def __init__(self, folder: Path, modality: str, info: Mapping[str, Any]) -> None:
        self.folder, self.modality = folder, modality
        task = info.get("task", {})
        self.kind = task.get("kind")
        own = task.get("label")
        self.label = own if modality == "table" and own else "label"
        self._lock, self._counting = threading.Lock(), threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if modality in ("image", "audio"):
                (folder / FILES).mkdir(exist_ok=True)
            with (folder / FILE).open("a", encoding="utf-8"):
                pass
        except OSError as error:
            raise OptionError(
                f"corrections cannot be kept there: {error.strerror or error}",
                where="--corrections",
                got=str(folder),
            ) from error
        self._n = self._seen = 0
        self._counted()
        self._bytes = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())

    def __len__(self) -> int:
        with self._counting:
            if self._size() != self._seen:
                self._counted()
            return self._n

    def add(self, item: Any, label: Any, predicted: Any, model: str, rid: str) -> None:
        """Store one item with its right label.

        Parameters
        ----------
        item : str, dict or bytes
        label : str or float
        predicted : str, float or None
            What the model had said.
        model, rid : str
            The model's digest and the id of the request.

        Raises
        ------
        Problem
            422: no label. 503: there is no room for more.
        """
        right = self._checked(label)
        row: dict[str, Any]
        if self.modality == "text":
            row = {"text": item, self.label: right}
        elif self.modality == "table":
            row = {**item, self.label: right}
        else:
            row = {"path": f"{FILES}/{_name(item, self.modality)}", self.label: right}
        said = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "model": model,
            "request": rid,
            "label": right,
            "predicted": predicted if _plain(predicted) else None,
        }
        with self._lock:
            try:
                self._store(item, row, said)
            except OSError as error:
                raise Problem(
                    503, f"the correction could not be stored: {error.strerror or error}"
                ) from error

    def _store(self, item: Any, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
        about = (json.dumps(said, ensure_ascii=False) + "\n").encode()
        more = len(line) + len(about) + (len(item) if isinstance(item, bytes) else 0)
        if self._bytes + more > MOST_BYTES:
            raise Problem(
                503, "there is no room for more corrections", hint="move those that are there away"
            )
        if isinstance(item, bytes):
            _put(self.folder / row["path"], item)
        _append(self.folder / FILE, line)
        _append(self.folder / HISTORY, about)
        self._bytes += more

    def _checked(self, label: Any) -> str | float:
        if self.kind == "regression":
            try:
                value = float(label) if not isinstance(label, bool) else math.nan
            except (TypeError, ValueError, OverflowError):
                value = math.nan
            if not math.isfinite(value):
                raise Problem(422, "the label of this model is a number", where="label")
            return value
        if not isinstance(label, str) or not label.strip() or len(label) > LONGEST:
            raise Problem(
                422, f"the label must be a text of 1 to {LONGEST} characters", where="label"
            )
        try:
            label.encode()
        except UnicodeEncodeError:
            raise Problem(422, "the label holds half a character", where="label") from None
        return label.strip()

    def _size(self) -> int:
        try:
            return (self.folder / FILE).stat().st_size
        except OSError:
            return 0

    def _counted(self) -> None:
        """Count the lines that came since the last time; all of them in a file that shrank."""
        if self._size() < self._seen:
            self._n = self._seen = 0
        try:
            with (self.folder / FILE).open("rb") as file:
                file.seek(self._seen)
                while chunk := file.read(1 << 20):
                    self._n += chunk.count(b"\n")
                    self._seen += len(chunk)
        except OSError:
            self._n = self._seen = 0


def _plain(value: Any) -> bool:
    """Say whether a value can be kept as it is: a short whole text, or a number that is finite."""
    try:
        if isinstance(value, str):
            return len(value) <= LONGEST and bool(value.encode() or True)
        return isinstance(value, int | float) and math.isfinite(value)
    except (UnicodeEncodeError, OverflowError):  # half a character, or hundreds of digits
        return False


_STARTS = {
    "image": (
        *((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp")),
        *((b"II", ".tif"), (b"MM", ".tif"), (b"RIFF", ".webp"), (b"\0\0\1\0", ".ico")),
        *((b"\0\0\0\x0cjP", ".jp2"), (b"\xff\x4f\xff\x51", ".j2k"), (b"P", ".pnm")),
    ),
    "audio": (
        *((b"RIFF", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"FORM", ".aiff")),
        *((b".snd", ".au"), (b"caff", ".caf"), (b"riff", ".w64"), (b"RF64", ".rf64")),
    ),
}
"""How files begin that have been read as a picture or a recording, and their endings."""


def _name(item: bytes, modality: str) -> str:
    """Return the sha256 of a file's bytes with an ending by which ``fit`` knows what it is."""
    other = ".mp3" if modality == "audio" else ".avif" if item[4:8] == b"ftyp" else ".bmp"
    ending = next((end for start, end in _STARTS[modality] if item.startswith(start)), other)
    return hashlib.sha256(item).hexdigest() + ending


def _put(path: Path, content: bytes) -> None:
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with fresh.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _append(path: Path, line: bytes) -> None:
    """Append a line in one write, so that lines of several processes never mix."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    at = os.open(path, flags, 0o600)
    try:
        written = os.write(at, line)
        if written != len(line):
            raise OSError(28, "the disk is full")
        os.fsync(at)
    finally:
        os.close(at)
