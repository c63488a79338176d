"""A model at work: the line before it, what is counted, what is watched, and answers as JSON."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from headstart.core.errors import DataError
from headstart.serve.batching import Batching, measured
from headstart.serve.corrections import Corrections
from headstart.serve.drift import Compared, Watch
from headstart.serve.logs import Logs
from headstart.serve.metrics import Metrics
from headstart.serve.predictor import Answer, Predictor
from headstart.serve.reading import Wanted
from headstart.serve.settings import Settings
from headstart.serve.work import Work


class Service:
    """All that requests share.

    Parameters
    ----------
    predictor : Predictor
    settings : Settings
    logs : Logs, optional
    """

    def __init__(
        self, predictor: Predictor, settings: Settings, *, logs: Logs | None = None
    ) -> None:
        self.predictor, self.settings = predictor, settings
        self.logs = logs or Logs()
        self.limits = settings.limits
        self.wanted = Wanted(predictor.modality, predictor.columns, settings.limits)
        self.metrics = Metrics(predictor.classes)
        self.corrections = (
            None
            if settings.corrections is None
            else Corrections(settings.corrections, predictor.modality, predictor.info())
        )
        self.work = Work(
            self.predict,
            queue=settings.limits.queue,
            seconds=settings.limits.answer_seconds,
            watch=lambda items, jobs: self.metrics.calls.observe(items),
            count=self.metrics.queue.set,
            whole=self._read_together,
        )
        self.batching = Batching(1, "not measured").told()
        self.watch = Watch(predictor.reference(), self._drift)
        self.draining = False
        self.held = 0  # bytes of bodies that are received or wait
        self._keys = [f"{json.dumps(name)}: " for name in predictor.classes]
        self._labels = {name: json.dumps(name) for name in predictor.classes}
        self._started = threading.Lock()
        self._info: dict[str, Any] | None = None

    def predict(self, items: Sequence[Any]) -> list[Answer]:
        """Ask the model, and count; runs in the thread of the model."""
        begun = time.perf_counter()
        found = self.predictor.predict(items)
        self.metrics.model_seconds.inc(time.perf_counter() - begun)
        counts = Counter(a.label for a in found if isinstance(a.label, str) and not a.abstained)
        self.metrics.answered(
            counts if self.predictor.classes else {}, len(found), sum(a.abstained for a in found)
        )
        self.watch.take(items, found)
        return found

    def _read_together(self, items: Sequence[Any]) -> bool:
        """Say whether rows hold numbers with commas: what 1,234 is, the whole column says."""
        if self.predictor.modality != "table":
            return False
        names = [name for name, held in self.predictor.columns if held not in ("category", "text")]
        return any(
            isinstance(row.get(name), str) and "," in row[name] for row in items for name in names
        )

    def _drift(self, found: Sequence[Compared]) -> None:
        self.metrics.drift(found)
        for one in found:
            if one.alarm:
                self.logs.write("drift", test=one.test, p_value=one.p_value, size=one.size)

    def start(self) -> None:
        """Start the thread of the model."""
        self.draining = False
        with self._started:
            self.work.start()
        self.metrics.ready.set(1)

    async def warm_up(self) -> None:
        """Ask the model once, so that the first caller does not wait for what it loads.

        Raises
        ------
        SourceError, IntegrityError, BundleCorruptError
            What the model needs is not there, or not what it was.
        """
        ask = self.predictor.predict
        try:
            await self.work.ask(self.wanted.samples(1), call=ask, seconds=WARM_UP)
            found = await self.work.ask(
                [None], call=lambda _: [measured(ask, self.wanted.samples)], seconds=WARM_UP
            )
        except DataError:  # a row of gaps need not be one
            found = [Batching(1, "no item could be made up to measure with")]
        self.work.together, self.batching = found[0].together, found[0].told()
        self.logs.write("batching", **self.batching)

    def drain(self) -> None:
        """Say to all who ask that no more should be sent here."""
        self.draining = True
        self.metrics.ready.set(0)

    def stop(self) -> None:
        """Finish what is in the line."""
        self.drain()
        self.work.stop()

    def info(self) -> dict[str, Any]:
        """Return what ``/info`` tells."""
        if self._info is None:
            limits = self.limits
            self._info = {
                "model": self.predictor.digest,
                "name": self.settings.name,
                **_finite(self.predictor.info()),
                "limits": {name: getattr(limits, name) for name in TOLD},
                "examples": self.predictor.examples,
                "corrections": self.corrections is not None,
            }
        return {
            **self._info,
            "batching": self.batching,
            "drift": {"window": self.watch.window, "tests": self.watch.tests},
        }

    def body(self, answers: Sequence[Answer], names: Sequence[str] | None) -> bytes:
        """Return answers as the JSON of ``/predict``."""
        parts = [self._one(answer) for answer in answers]
        if names is None:
            names = [f"item {place + 1}" for place in range(len(parts))]
        return (
            f'{{"model": "{self.predictor.digest}", "predictions": [{", ".join(parts)}], '
            f'"names": {json.dumps(list(names))}}}'
        ).encode()

    def _one(self, answer: Answer) -> str:
        label = answer.label
        said = self._labels.get(label) if isinstance(label, str) else None
        if said is None:
            said = json.dumps(label) if isinstance(label, str) else _number(label)
        shares = ", ".join(
            [f"{key}{p:.6g}" for key, p in zip(self._keys, answer.probabilities, strict=False)]
        )
        sure = "null" if answer.confidence is None else _number(answer.confidence)
        silent = "true" if answer.abstained else "false"
        return (
            f'{{"label": {said}, "confidence": {sure}, "abstained": {silent}, '
            f'"probabilities": {{{shares}}}}}'
        )


WARM_UP = 600.0
"""Seconds that loading the model may take."""

TOLD = ("body_bytes", "items", "characters", "columns", "pixels", "seconds_of_sound")
"""The limits that callers are told."""


def _number(value: float) -> str:
    return f"{value:.8g}" if math.isfinite(value) else "null"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
