"""What Prometheus sees of a service: counts, times, sizes, drift. No label has unbounded values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

if TYPE_CHECKING:
    from headstart.serve.drift import Compared

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that tells prometheus_client where several processes meet."""

CONTENT_TYPE = CONTENT_TYPE_LATEST
CLASSES = 200
"""Classes that are counted by name; those beyond share the name ``(other)``."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The numbers of one process.

    Parameters
    ----------
    classes : sequence of str
        Of the model.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        r = self.registry = CollectorRegistry()
        self.requests = Counter(
            "headstart_requests", "Requests answered", ["route", "status"], registry=r
        )
        self.seconds = Histogram(
            "headstart_request_seconds",
            "From a request's headers to the end of its answer",
            ["route"],
            buckets=SECONDS,
            registry=r,
        )
        self.items = Counter("headstart_items", "Items that the model answered", registry=r)
        self.calls = Histogram(
            "headstart_batch_items", "Items in one call of the model", buckets=SIZES, registry=r
        )
        self.model_seconds = Counter(
            "headstart_model_seconds", "Time in calls of the model", registry=r
        )
        self.queue = Gauge(
            "headstart_queue_requests",
            "Requests that wait for the model or are in it",
            registry=r,
            multiprocess_mode="livesum",
        )
        self.ready = Gauge(
            "headstart_ready", "1 while requests are taken", registry=r, multiprocess_mode="livemin"
        )
        self.abstained = Counter(
            "headstart_abstentions", "Items that the model did not answer", registry=r
        )
        self.predicted = Counter(
            "headstart_predictions", "Items by the class predicted", ["label"], registry=r
        )
        self.corrections = Counter("headstart_corrections", "Corrections stored", registry=r)
        self.drift_p = Gauge(
            "headstart_drift_p_value",
            "Chance of so large a difference of the last window from what judged the model",
            ["test"],
            registry=r,
            multiprocess_mode="livemin",
        )
        self.drift_size = Gauge(
            "headstart_drift_size",
            "How large that difference is, in the unit of the test",
            ["test"],
            registry=r,
            multiprocess_mode="livemax",
        )
        self.drift_alarm = Gauge(
            "headstart_drift_alarm",
            "1 where the last window differs significantly",
            ["test"],
            registry=r,
            multiprocess_mode="livemax",
        )
        self.drift_windows = Counter(
            "headstart_drift_windows", "Windows of items that were compared", registry=r
        )
        named = list(classes)[:CLASSES]
        self._by_class = {name: self.predicted.labels(name) for name in named}
        self._other = self.predicted.labels("(other)") if len(classes) > CLASSES else None
        self._by_route: dict[tuple[str, int], Counter] = {}
        self._time_of: dict[str, Histogram] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request; ``route`` is one of a fixed set."""
        found = self._by_route.get((route, status))
        if found is None:
            found = self._by_route[route, status] = self.requests.labels(route, str(status))
        found.inc()
        time = self._time_of.get(route)
        if time is None:
            time = self._time_of[route] = self.seconds.labels(route)
        time.observe(seconds)

    def answered(self, counts: Mapping[str, int], n: int, abstained: int) -> None:
        """Count ``n`` items and the classes that were predicted."""
        self.items.inc(n)
        if abstained:
            self.abstained.inc(abstained)
        for name, number in counts.items():
            counter = self._by_class.get(name, self._other)
            if counter is not None:
                counter.inc(number)

    def drift(self, found: Sequence[Compared]) -> None:
        """Keep what the last window showed."""
        self.drift_windows.inc()
        for one in found:
            self.drift_p.labels(one.test).set(one.p_value)
            self.drift_size.labels(one.test).set(one.size)
            self.drift_alarm.labels(one.test).set(int(one.alarm))

    def text(self) -> bytes:
        """Return the numbers as Prometheus reads them; of all processes where there are several."""
        if os.environ.get(FOLDER):
            from prometheus_client.multiprocess import MultiProcessCollector

            together = CollectorRegistry()
            MultiProcessCollector(together)
            return generate_latest(together)
        return generate_latest(self.registry)
