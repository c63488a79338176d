"""The evaluate room: predictions and truth in, numbers with intervals out. It never chooses."""

from __future__ import annotations

from headstart.evaluate.compiled import value
from headstart.evaluate.intervals import gain, score, verdict
from headstart.evaluate.metrics import METRICS, Metric, default_metric, find_metric
from headstart.evaluate.power import labels_to_settle, power_of
from headstart.evaluate.predictions import Predictions, assemble
from headstart.evaluate.repeated import repeated_gain, repeated_score
from headstart.evaluate.runs import gain_over_runs, score_over_runs

__all__ = [
    "METRICS",
    "Metric",
    "Predictions",
    "assemble",
    "default_metric",
    "find_metric",
    "gain",
    "gain_over_runs",
    "labels_to_settle",
    "power_of",
    "repeated_gain",
    "repeated_score",
    "score",
    "score_over_runs",
    "value",
    "verdict",
]
