"""Checkpoints: one file of safetensors, replaced whole, that says what run it belongs to."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.types import AnyArray, Reporter
from headstart.encode.output import replacing

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
        with replacing(self.path) as part:
            part.write_bytes(raw)

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
    with replacing(path) as part:
        part.write_text(json.dumps({"key": key, "value": value}), "utf-8")
    return value


def clear(folder: Path) -> None:
    """Remove the checkpoints of runs that are done; and their folder, if nothing else is in it."""
    if not folder.is_dir():
        return
    for file in (*folder.glob("*.safetensors"), *folder.glob("*.seconds.json")):
        file.unlink()
    with contextlib.suppress(OSError):  # something else is in it
        folder.rmdir()


def _digest(arrays: Mapping[str, AnyArray], meta: Mapping[str, Any]) -> str:
    from headstart.sources.backbone import tensors_sha256

    told = json.dumps(dict(meta), sort_keys=True)
    return sha256(f"{told} {tensors_sha256(arrays)}".encode()).hexdigest()
