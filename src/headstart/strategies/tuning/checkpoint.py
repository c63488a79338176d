"""Checkpoints: one file of safetensors, replaced whole, that says what run it belongs to."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.types import AnyArray, Reporter

_FIELD = "headstart"


class Checkpoint:
    """Where a run keeps how far it has come.

    Parameters
    ----------
    folder : Path
        Made when something is saved.
    key : str
        Identifies the run: data, labels, settings, source and seed. Another run never reads it.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.path = folder / f"{key}.safetensors"
        self.key = key

    def save(self, arrays: Mapping[str, AnyArray], meta: Mapping[str, Any]) -> None:
        """Write arrays and what JSON can hold; killed at any moment, the old file stays whole."""
        from safetensors.numpy import save

        told = json.dumps({"key": self.key, "digest": _digest(arrays, meta), "meta": dict(meta)})
        raw = save(
            {name: np.asarray(array, order="C") for name, array in arrays.items()}, {_FIELD: told}
        )
        _replace(self.path, raw)

    def load(self, reporter: Reporter) -> tuple[dict[str, AnyArray], dict[str, Any]] | None:
        """Return what was saved; None where there is nothing, or, said aloud, nothing sound."""
        from safetensors import SafetensorError, safe_open

        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="numpy") as file:
                told = json.loads((file.metadata() or {})[_FIELD])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            sound = told["key"] == self.key and told["digest"] == _digest(arrays, told["meta"])
            meta = told["meta"]
        except (SafetensorError, KeyError, TypeError, ValueError, OSError):
            sound = False
        if not sound:
            reporter.say(f"The checkpoint {self.path} is damaged: this fit starts anew.")
            return None
        return arrays, meta


def remembered(path: Path, key: list[Any], measure: Callable[[], float], *, resume: bool) -> float:
    """Return a number measured once and written to a file; ``resume`` reads what is there.

    Parameters
    ----------
    path : Path
    key : list
        What the number belongs to; of another key it is measured anew.
    measure : callable
    resume : bool
    """
    if resume and path.exists():
        try:
            found = json.loads(path.read_text("utf-8"))
            if found["key"] == key:
                return float(found["value"])
        except (ValueError, KeyError, TypeError):
            pass  # damaged: measured anew
    value = measure()
    _replace(path, json.dumps({"key": key, "value": value}).encode())
    return value


def _replace(path: Path, raw: bytes) -> None:
    """Write a file so that at any moment the old one or the new one is there, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".checkpoint-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(part).unlink()
        raise


def _digest(arrays: Mapping[str, AnyArray], meta: Mapping[str, Any]) -> str:
    digest = blake2b(json.dumps(dict(meta), sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")  # a number stays without dimensions
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes() if array.ndim == 0 else array.data)
    return digest.hexdigest()
