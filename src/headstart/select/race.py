"""The race: every candidate predicts each training item out of fold, on the same folds.

Nothing is chosen here; the predictions are what ``choose``, ``guard`` and ``corrected`` look at.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart import strategies
from headstart.core.errors import HeadstartError
from headstart.core.types import SILENT, AnyArray, IntArray, Kind, Modality, Reporter, subset
from headstart.evaluate import Predictions, assemble

# What a candidate may fail with on some data, and the race goes on without it.
FAILURES = (HeadstartError, ValueError, ArithmeticError)


@dataclass(frozen=True)
class Entry:
    """A candidate that takes part: a strategy, and the source it uses (None for none).

    ``member`` is for a blend alone: the strategy that it combines with scratch.
    """

    strategy: str
    source: str | None = None
    member: str | None = None

    @property
    def name(self) -> str:
        """``source + strategy``, or the strategy alone."""
        return f"{self.source} + {self.strategy}" if self.source else self.strategy


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the race saw of a candidate: its out-of-fold predictions, or why it has none."""

    entry: Entry
    predictions: Predictions | None
    seconds: float
    failure: str = ""


class Once:
    """Passes on what is said, each line once: what every fold says again is heard once.

    Parameters
    ----------
    reporter : Reporter
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter, self._said = reporter, set[str]()

    def say(self, text: str) -> None:
        """Pass a line on, the first time."""
        if text not in self._said:
            self._said.add(text)
            self._reporter.say(text)

    def progress(
        self, stage: str, done: int, total: int | None, unit: str = "items", detail: str = ""
    ) -> None:
        """Pass progress on."""
        self._reporter.progress(stage, done, total, unit, detail)


@dataclass(frozen=True, eq=False)
class Field:
    """What all candidates share.

    Parameters
    ----------
    inputs : mapping of source name (None for the items themselves) to length-n inputs
    labels : ndarray of shape (n,)
    classes : tuple of str
        Empty for regression.
    kind, modality : str
    seed : int
    items : sequence of length n
        What strategies that tune a source take; the inputs of None by default.
    tuning : mapping
        Parameters that all of those share: ``checkpoint``, ``resume``, ``reporter``.
    """

    inputs: Mapping[str | None, Any]
    labels: AnyArray
    classes: tuple[str, ...]
    kind: Kind
    modality: Modality
    seed: int
    items: Any = None
    tuning: Mapping[str, Any] = field(default_factory=dict)

    def of(self, entry: Entry) -> Any:
        """Return what a candidate takes: features of its source, or the items."""
        return input_of(entry, self.inputs, self.items)


def input_of(entry: Entry, inputs: Mapping[str | None, Any], items: Any) -> Any:
    """Return what a candidate takes, of the inputs by source and the items themselves."""
    if strategies.STRATEGIES[entry.strategy].tunes and items is not None:
        return items
    return inputs[entry.source]


def fit_one(entry: Entry, field: Field, index: IntArray | None = None) -> Any:
    """Fit a candidate on the items at ``index`` (all by default) and return the estimator."""
    inputs, labels = field.of(entry), field.labels
    if index is not None:
        inputs, labels = subset(inputs, index), labels[index]
    return _made(entry, field).fit(inputs, labels)


def seconds_to_fit(entry: Entry, field: Field) -> float:
    """Return about how many seconds one fit of a candidate takes that tunes its source."""
    seconds: float = _made(entry, field).seconds_to_fit(field.of(entry), field.labels)
    return seconds


def _made(entry: Entry, field: Field) -> Any:
    """Return the unfitted estimator of a candidate."""
    given: dict[str, Any] = {}
    if strategies.STRATEGIES[entry.strategy].tunes:
        given = {"source": entry.source, **field.tuning}
    return strategies.make(
        entry.strategy, kind=field.kind, modality=field.modality, random_state=field.seed, **given
    )


def predict_one(estimator: Any, inputs: Any, classes: tuple[str, ...]) -> Predictions:
    """Predict with a fitted estimator; probabilities are aligned to all ``classes``."""
    if not classes:
        return Predictions(labels=np.asarray(estimator.predict(inputs), dtype=np.float64))
    found = np.asarray(estimator.predict_proba(inputs), dtype=np.float64)
    known = {label: column for column, label in enumerate(classes)}
    probabilities = np.zeros((len(found), len(classes)))
    columns = [known[str(label)] for label in estimator.classes_]
    probabilities[:, columns] = found
    labels = np.asarray(estimator.predict(inputs)).astype(str).astype(object)
    return Predictions(labels=labels, probabilities=probabilities, classes=classes)


def _held_out(entry: Entry, field: Field, train: IntArray, test: IntArray) -> Predictions:
    """Fit on the items of ``train``, predict those of ``test``."""
    estimator = fit_one(entry, field, train)
    return predict_one(estimator, subset(field.of(entry), test), field.classes)


def race(
    entries: Sequence[Entry],
    field: Field,
    folds: Sequence[tuple[IntArray, IntArray]],
    *,
    reporter: Reporter = SILENT,
) -> list[Outcome]:
    """Return each candidate's out-of-fold predictions, in the order of the folds' test items.

    Parameters
    ----------
    entries : sequence of Entry
    field : Field
    folds : sequence of (train, test) index arrays
        The same for every candidate, so that comparisons are paired.

    Returns
    -------
    list of Outcome
        Row ``i`` of each predictions object belongs to item ``concatenate(tests)[i]``.
    """
    outcomes: list[Outcome] = []
    for entry in entries:  # loads what it needs before the clock starts
        strategies.make(entry.strategy, kind=field.kind, modality=field.modality)
    total = len(entries) * len(folds)
    sizes = [len(test) for _, test in folds]
    places = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]) if sizes else []
    for position, entry in enumerate(entries):
        started = time.perf_counter()
        pieces: list[Predictions] = []
        failure = ""
        for number, (train, test) in enumerate(folds):
            try:
                pieces.append(_held_out(entry, field, train, test))
            except FAILURES as error:
                failure = f"{type(error).__name__}: {error}"
                if entry.strategy != "scratch":
                    break
                # the opponent cannot be missing: where it cannot be trained it can only guess
                pieces.append(_held_out(Entry("majority"), field, train, test))
            done = position * len(folds) + number + 1
            reporter.progress("racing candidates", done, total, "fits")
        whole = bool(pieces) and len(pieces) == len(folds)
        predictions = assemble(sum(sizes), zip(places, pieces, strict=True)) if whole else None
        outcomes.append(Outcome(entry, predictions, time.perf_counter() - started, failure))
    return outcomes
