"""The evaluate room: predictions and truth in, numbers with intervals out. It never chooses."""

from __future__ import annotations

from headstart.evaluate.compiled import value
from headstart.evaluate.curve import Curve, Estimate, Point, Run, curve_of
from headstart.evaluate.curve_measures import (
    Multiplier,
    TimeToThreshold,
    area_ratio,
    asymptote,
    jumpstart,
    label_multiplier,
    multiplier_at,
    time_to_threshold,
)
from headstart.evaluate.intervals import gain, score, verdict
from headstart.evaluate.metrics import (
    METRICS,
    Metric,
    default_metric,
    find_metric,
    in_units,
    metric_of,
)
from headstart.evaluate.power import labels_to_settle, power_of
from headstart.evaluate.power_law import Forecast, PowerLaw, forecast, limit_gain, power_law
from headstart.evaluate.predictions import Predictions, assemble, joined
from headstart.evaluate.repeated import repeated_gain, repeated_score
from headstart.evaluate.runs import gain_over_runs, score_over_runs
from headstart.evaluate.shift import Shift, measure_shift

__all__ = [
    "METRICS",
    "Curve",
    "Estimate",
    "Forecast",
    "Metric",
    "Multiplier",
    "Point",
    "PowerLaw",
    "Predictions",
    "Run",
    "Shift",
    "TimeToThreshold",
    "area_ratio",
    "assemble",
    "asymptote",
    "curve_of",
    "default_metric",
    "find_metric",
    "forecast",
    "gain",
    "gain_over_runs",
    "in_units",
    "joined",
    "jumpstart",
    "label_multiplier",
    "labels_to_settle",
    "limit_gain",
    "measure_shift",
    "metric_of",
    "multiplier_at",
    "power_law",
    "power_of",
    "repeated_gain",
    "repeated_score",
    "score",
    "score_over_runs",
    "time_to_threshold",
    "value",
    "verdict",
]
