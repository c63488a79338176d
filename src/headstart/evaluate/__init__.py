"""The evaluate room: predictions and truth in, numbers with intervals out. It never chooses."""

from __future__ import annotations

from headstart.evaluate.compiled import value
from headstart.evaluate.intervals import gain, labels_to_settle, score, verdict
from headstart.evaluate.metrics import METRICS, Metric, default_metric, find_metric
from headstart.evaluate.predictions import Predictions, assemble

__all__ = [
    "METRICS",
    "Metric",
    "Predictions",
    "assemble",
    "default_metric",
    "find_metric",
    "gain",
    "labels_to_settle",
    "score",
    "value",
    "verdict",
]
