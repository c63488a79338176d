"""The drift watch: is what the service is asked like what judged the model?

Items are taken in windows that do not overlap. Each full window is compared with the held-out items
that the model was judged on, by up to four tests; a test raises its alarm where its p-value is
below ``ALPHA`` divided by the number of tests. Where requests are independent and alike to what
judged the model, that is about one window in a thousand. Requests that belong together (many of one
document) raise more: the alarm says that they differ, not that the model is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.core.types import FloatArray
from headstart.serve.predictor import Answer

WINDOW = 200
"""Items that are compared at a time."""

ALPHA = 0.001
"""Windows that raise a false alarm, as a share, all tests together."""

LEAST = 50
"""Items that a comparison needs on the side of the model."""

DIRECTIONS = 16
"""Directions of the features that are looked at, those in which they vary most."""

EXPECTED = 5.0
"""Least expected count of a class that is compared for itself; rarer ones are put together."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What is known of the items that judged a model.

    Parameters
    ----------
    confidence : ndarray of shape (m,), optional
    predicted : mapping of class to count
    features : ndarray of shape (m, d), optional
    columns : mapping of name to ndarray
        Values of the number columns of a table.
    moments : mapping of name to (mean, spread, n)
        Of number columns of which no values are kept.
    unit : bool
        Features have length 1, and what is asked is brought to it.
    """

    confidence: FloatArray | None = None
    predicted: Mapping[str, int] = field(default_factory=dict)
    features: FloatArray | None = None
    columns: Mapping[str, FloatArray] = field(default_factory=dict)
    moments: Mapping[str, tuple[float, float, int]] = field(default_factory=dict)
    unit: bool = True


@dataclass(frozen=True)
class Compared:
    """What a test says of a window.

    Parameters
    ----------
    test : {"confidence", "classes", "features", "columns"}
    p_value : float
    size : float
        confidence: largest distance of the two distribution functions; classes: population
        stability index; features: distance of the means in standard deviations; columns: the
        largest distance of a column, as for confidence, or in standard deviations where only the
        mean and the spread of training are known.
    alarm : bool
    """

    test: str
    p_value: float
    size: float
    alarm: bool


class Watch:
    """Collects what is asked, and compares each full window.

    Parameters
    ----------
    reference : Reference
    tell : callable
        Given the results of each window.
    window : int
    """

    def __init__(
        self,
        reference: Reference,
        tell: Callable[[list[Compared]], object],
        *,
        window: int = WINDOW,
    ) -> None:
        self.reference, self.tell, self.window = reference, tell, window
        r = reference
        self.axes = None if r.features is None else _Axes(r.features, r.unit)
        self.tests = [
            name
            for name, there in (
                ("confidence", r.confidence is not None and len(r.confidence) >= LEAST),
                ("classes", sum(r.predicted.values()) >= LEAST and len(r.predicted) > 1),
                ("features", self.axes is not None),
                ("columns", bool(r.columns or r.moments)),
            )
            if there
        ]
        self._answers: list[Answer] = []
        self._rows: list[Any] = []

    def take(self, items: Sequence[Any], answers: Sequence[Answer]) -> None:
        """Take in items with their answers."""
        if not self.tests:
            return
        table = "columns" in self.tests
        for place, answer in enumerate(answers):
            self._answers.append(answer)
            if table:
                self._rows.append(items[place])
            if len(self._answers) == self.window:
                found = self.compare(self._answers, self._rows)
                self._answers, self._rows = [], []
                self.tell(found)

    def compare(self, answers: Sequence[Answer], rows: Sequence[Any] = ()) -> list[Compared]:
        """Return what each test says of a window."""
        made = {
            "confidence": lambda: self._confidence(answers),
            "classes": lambda: self._classes(answers),
            "features": lambda: self._features(answers),
            "columns": lambda: self._columns(rows),
        }
        limit = ALPHA / max(1, len(self.tests))
        found = []
        for name in self.tests:
            result = made[name]()
            if result is not None:
                p, size = result
                found.append(Compared(name, p, size, p < limit))
        return found

    def _confidence(self, answers: Sequence[Answer]) -> tuple[float, float] | None:
        values = np.array([a.confidence for a in answers if a.confidence is not None], float)
        assert self.reference.confidence is not None
        return two_samples(values, self.reference.confidence)

    def _classes(self, answers: Sequence[Answer]) -> tuple[float, float] | None:
        return class_mix(Counter(str(a.label) for a in answers), self.reference.predicted)

    def _features(self, answers: Sequence[Answer]) -> tuple[float, float] | None:
        rows = [a.features for a in answers if a.features is not None]
        if len(rows) < LEAST or self.axes is None:
            return None
        return self.axes.compare(np.asarray(rows))

    def _columns(self, rows: Sequence[Any]) -> tuple[float, float] | None:
        r = self.reference
        found = []
        for name in (*r.columns, *r.moments):
            values = numbers([row.get(name) for row in rows])
            if name in r.columns:
                one = two_samples(values, r.columns[name])
            else:
                one = mean_shift(values, *r.moments[name])
            if one is not None:
                found.append(one)
        if not found:
            return None
        p = min(one[0] for one in found) * len(found)
        return min(1.0, p), max(one[1] for one in found)


def two_samples(values: FloatArray, known: FloatArray) -> tuple[float, float] | None:
    """Return p-value and statistic of Kolmogorov and Smirnov's test; None with too few values."""
    from scipy.stats import ks_2samp

    if len(values) < LEAST or len(known) < LEAST:
        return None
    found = ks_2samp(values, known, method="asymp")
    return float(found.pvalue), float(found.statistic)


def mean_shift(
    values: FloatArray, mean: float, spread: float, n: int
) -> tuple[float, float] | None:
    """Return the p-value of a z-test of the mean, and the shift in standard deviations."""
    from scipy.stats import norm

    if len(values) < LEAST or spread <= 0 or n < LEAST:
        return None
    size = abs(float(values.mean()) - mean) / spread
    return float(2 * norm.sf(size / (1 / len(values) + 1 / n) ** 0.5)), size


def class_mix(asked: Mapping[str, int], known: Mapping[str, int]) -> tuple[float, float] | None:
    """Return the p-value of a chi-squared test of two mixes of classes, and the stability index.

    Classes that are too rare to be expected ``EXPECTED`` times are put together.
    """
    from scipy.stats import chi2

    names = sorted(set(asked) | set(known))
    table = np.array([[asked.get(name, 0), known.get(name, 0)] for name in names], float)
    totals = table.sum(axis=0)
    if totals.min() < LEAST:
        return None
    expected = table.sum(axis=1) * totals.min() / totals.sum()
    rare = expected < EXPECTED
    if rare.any():
        table = np.concatenate([table[~rare], table[rare].sum(axis=0, keepdims=True)])
        if table[-1].sum() * totals.min() / totals.sum() < EXPECTED and len(table) > 2:
            smallest = int(np.argmin(table[:-1].sum(axis=1)))
            table[smallest] += table[-1]
            table = table[:-1]
    if len(table) < 2:
        return None
    whole = np.outer(table.sum(axis=1), totals) / totals.sum()
    statistic = float(((table - whole) ** 2 / np.maximum(whole, 1e-12)).sum())
    shares = (table + 0.5) / (totals + 0.5 * len(table))
    index = float(((shares[:, 0] - shares[:, 1]) * np.log(shares[:, 0] / shares[:, 1])).sum())
    return float(chi2.sf(statistic, len(table) - 1)), index


class _Axes:
    """The directions in which known features vary most, and Hotelling's test along them."""

    def __init__(self, known: FloatArray, unit: bool) -> None:
        rows: FloatArray = np.asarray(known, dtype=np.float64)
        self.unit, self.n = unit, len(rows)
        if unit:
            rows = _unit(rows)
        self.mean = rows.mean(axis=0)
        centred = rows - self.mean
        k = max(1, min(DIRECTIONS, len(rows) // 20, rows.shape[1]))
        _, _, turned = np.linalg.svd(centred, full_matrices=False)
        self.axes = turned[:k].T
        self.known = centred @ self.axes

    def compare(self, rows: FloatArray) -> tuple[float, float]:
        """Return the p-value of Hotelling's two-sample test, and the distance of the means."""
        from scipy.stats import f

        given = np.asarray(rows, dtype=np.float64)
        given = ((_unit(given) if self.unit else given) - self.mean) @ self.axes
        n, m, k = len(given), self.n, given.shape[1]
        pooled = (
            np.atleast_2d(np.cov(given.T)) * (n - 1) + np.atleast_2d(np.cov(self.known.T)) * (m - 1)
        ) / (n + m - 2)
        pooled += np.eye(k) * 1e-9 * max(float(np.trace(pooled)) / k, 1e-12)
        away = given.mean(axis=0) - self.known.mean(axis=0)
        squared = float(away @ np.linalg.solve(pooled, away))
        statistic = squared * n * m / (n + m) * (n + m - k - 1) / ((n + m - 2) * k)
        return float(f.sf(statistic, k, n + m - k - 1)), squared**0.5


def _unit(rows: FloatArray) -> FloatArray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)


def numbers(values: Sequence[Any]) -> FloatArray:
    """Return the finite numbers among values of a column; what is text is read as a number."""
    found = []
    for value in values:
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if np.isfinite(number):
            found.append(number)
    return np.array(found)


def reference_of(bundle: Any) -> Reference:
    """Return what a bundle knows of the items that judged it."""
    evidence = bundle.evidence or {}
    items = evidence.get("items") or []
    judged = [one.get("part") == "judged" for one in items]
    sure = [
        one.get("confidence")
        for one, held in zip(items, judged, strict=True)
        if held and isinstance(one.get("confidence"), int | float)
    ]
    predicted = {
        str(one["name"]): int(one["predicted"])
        for one in evidence.get("classes") or []
        if isinstance(one.get("predicted"), int)
    }
    rows = [
        one["preview"]["values"]
        for one in items
        if isinstance(one.get("preview"), dict) and one["preview"].get("kind") == "row"
    ]
    columns: dict[str, FloatArray] = {}
    moments: dict[str, tuple[float, float, int]] = {}
    for column in bundle.manifest.columns:
        if column.type != "number":
            continue
        values = numbers([row.get(column.name) for row in rows])
        if len(values) >= LEAST:
            columns[column.name] = values
        elif column.spread > 0 and bundle.manifest.n >= LEAST:
            moments[column.name] = (column.mean, column.spread, bundle.manifest.n)
    return Reference(
        np.array(sure, float) if len(sure) >= LEAST else None,
        predicted,
        _vectors(bundle, judged),
        columns,
        moments,
    )


def _vectors(bundle: Any, judged: Sequence[bool]) -> FloatArray | None:
    """Return kept features of held-out items, or of training items that the source never saw."""
    kept = bundle.kept
    if kept is None or len(kept.places) < LEAST:
        return None
    held = np.array([judged[place] for place in kept.places])
    tuned = any("tuned." in name for name in bundle.state.arrays)
    if held.sum() >= LEAST:
        return np.asarray(kept.vectors[held], dtype=np.float32)
    return None if tuned else np.asarray(kept.vectors, dtype=np.float32)
