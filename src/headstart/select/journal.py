"""The journal of a race: its predictions are kept, and an interrupted race goes on from there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.types import SILENT, IntArray, Reporter
from headstart.evaluate import Predictions
from headstart.select.race import Entry
from headstart.strategies.tuning.checkpoint import Checkpoint

WORTH_KEEPING = 0.5  # seconds that predictions took, below which they are made again


class Journal:
    """Keeps the predictions of candidates in a folder.

    Parameters
    ----------
    folder : path or None
        None keeps nothing.
    facts : sequence
        What the race belongs to, as JSON can hold: data, seed, version. Another race reads nothing.
    identity : callable
        What the weights of a source are known by, from its name.
    resume : bool
        Whether what is there is read.
    reporter : Reporter
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        facts: Sequence[Any] = (),
        *,
        identity: Callable[[str], str] = str,
        resume: bool = False,
        reporter: Reporter = SILENT,
    ) -> None:
        self._folder = None if folder is None else Path(folder)
        self._facts = sha256(json.dumps(list(facts)).encode()).hexdigest()
        self._resume, self._reporter = resume, reporter
        self._identity = identity

    def predictions(
        self,
        entry: Entry,
        train: IntArray,
        test: IntArray,
        make: Callable[[], tuple[Predictions, float]],
    ) -> tuple[Predictions, float]:
        """Return what a candidate predicts, and its seconds: as kept, else made and kept.

        Parameters
        ----------
        entry : Entry
            The candidate.
        train, test : ndarray of int
            The items that it learns from and those that it predicts.
        make : callable
        """
        if self._folder is None:
            return make()
        place = self._place(entry, train, test)
        found = place.load(self._reporter) if self._resume else None
        if found is not None:
            return _read(*found)
        predictions, seconds = make()
        if seconds >= WORTH_KEEPING:
            place.save(*_written(predictions, seconds))
        return predictions, seconds

    def _place(self, entry: Entry, train: IntArray, test: IntArray) -> Checkpoint:
        assert self._folder is not None
        weights = self._identity(entry.source) if entry.source else ""
        digest = sha256(json.dumps([self._facts, entry.name, weights]).encode())
        for index in (train, test):
            digest.update(np.asarray(index, dtype=np.int64).tobytes() + b"|")
        return Checkpoint(self._folder, f"race-{digest.hexdigest()[:32]}")


def _written(predictions: Predictions, seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    meta: dict[str, Any] = {"classes": list(predictions.classes), "seconds": seconds}
    if predictions.probabilities is None and predictions.labels.dtype.kind == "f":
        return {"values": predictions.labels}, meta
    arrays = {}
    if predictions.probabilities is not None:
        arrays["probabilities"] = predictions.probabilities
    return arrays, meta | {"labels": predictions.labels.tolist()}


def _read(arrays: dict[str, Any], meta: dict[str, Any]) -> tuple[Predictions, float]:
    labels = arrays.get("values")
    if labels is None:
        labels = np.array(meta["labels"], dtype=object)
    found = Predictions(labels, arrays.get("probabilities"), tuple(meta["classes"]))
    return found, float(meta["seconds"])
