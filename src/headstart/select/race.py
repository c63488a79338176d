"""What takes part in a race, what all of them share, and one fit of one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from headstart import strategies
from headstart.core.errors import DataError, HeadstartError
from headstart.core.events import tell
from headstart.core.types import AnyArray, IntArray, Kind, Modality, Reporter, Task, subset
from headstart.data import split
from headstart.evaluate import Predictions
from headstart.strategies.tuning.rules import validation_for

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


Folds = Sequence[tuple[IntArray, IntArray]]
"""Places of the items that are learnt from, and of those that are held out, fold by fold."""


def held_rows(folds: Folds) -> IntArray:
    """Return the places of all items that folds hold out, fold after fold."""
    held = [test for _, test in folds]
    return np.concatenate(held) if held else np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the race saw of a candidate: its out-of-fold predictions, or why it has none.

    Parameters
    ----------
    entry : Entry
    predictions : Predictions or None
        For the items at ``rows``, made by models that had not seen them.
    seconds : float
    failure : str
        Why there are none; empty where nothing failed.
    rows : ndarray of int, or None
        Places of the items among the training items; None: all that the folds hold out, fold
        after fold.
    dropped : str
        Why it was not measured to the end, or not at all; empty if it was.
    """

    entry: Entry
    predictions: Predictions | None
    seconds: float
    failure: str = ""
    rows: IntArray | None = None
    dropped: str = ""


class Once:
    """Passes on what is said, each line once: what every fold says again is heard once.

    Lines that differ in their numbers alone count as the same.

    Parameters
    ----------
    reporter : Reporter
    said : set of str, optional
        What has been said already; it grows.
    """

    def __init__(self, reporter: Reporter, said: set[str] | None = None) -> None:
        self._reporter, self._said = reporter, set() if said is None else said

    def say(self, text: str) -> None:
        """Pass a line on, the first time."""
        words = re.sub(r"\d[\d.,]*", "#", text)
        if words not in self._said:
            self._said.add(words)
            self._reporter.say(text)

    def event(self, name: str, **facts: Any) -> None:
        """Pass a fact on."""
        tell(self._reporter, name, **facts)

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
    groups : ndarray of shape (n,), optional
        Items of one group are never on both sides of a split; by default each is its own.
    given : mapping of Entry to mapping
        Parameters of single candidates.
    """

    inputs: Mapping[str | None, Any]
    labels: AnyArray
    classes: tuple[str, ...]
    kind: Kind
    modality: Modality
    seed: int
    items: Any = None
    tuning: Mapping[str, Any] = field(default_factory=dict)
    groups: IntArray | None = None
    given: Mapping[Entry, Mapping[str, Any]] = field(default_factory=dict)

    def taken(self, index: IntArray, inputs: Mapping[str | None, Any]) -> Field:
        """Return the field of the items at ``index``, with inputs of their own."""
        groups = None if self.groups is None else self.groups[index]
        return replace(self, inputs=inputs, labels=self.labels[index], items=None, groups=groups)

    def told(self, reporter: Reporter) -> Field:
        """Return the field with another reporter for the strategies that tune."""
        return replace(self, tuning={**self.tuning, "reporter": reporter})

    def of(self, entry: Entry) -> Any:
        """Return what a candidate takes: features of its source, or the items."""
        return input_of(entry, self.inputs, self.items)


def input_of(entry: Entry, inputs: Mapping[str | None, Any], items: Any) -> Any:
    """Return what a candidate takes, of the inputs by source and the items themselves."""
    if strategies.STRATEGIES[entry.strategy].tunes and items is not None:
        return items
    return inputs[entry.source]


def fit_one(
    entry: Entry, field: Field, index: IntArray | None = None, *, valid: IntArray | None = None
) -> Any:
    """Fit a candidate and return the estimator.

    Parameters
    ----------
    entry : Entry
    field : Field
    index : ndarray of int, optional
        Places of the items it learns from; all by default.
    valid : ndarray of int, optional
        For a strategy that tunes its source: which of them, by place in ``index``, only validate.
        By default a part that splits no group.
    """
    inputs, labels = field.of(entry), field.labels
    every = np.arange(len(labels)) if index is None else index
    if index is not None:
        inputs, labels = subset(inputs, index), labels[index]
    if valid is None and strategies.STRATEGIES[entry.strategy].tunes and field.groups is not None:
        valid = valid_part(field, every, entry.strategy)
    given = {} if valid is None else {"validation": valid}
    return _made(entry, field, **given).fit(inputs, labels)


def valid_part(field: Field, index: IntArray, strategy: str) -> IntArray:
    """Return which of the items at ``index``, by place in it, validate a strategy that tunes.

    As many as the rules of tuning say, classes evenly, and no group on both sides; none where
    there are too few.
    """
    n = len(index)
    share = validation_for(n, len(field.classes) or 1, strategy)
    if not share:
        return np.zeros(0, dtype=np.int64)
    n_splits = max(2, round(1 / share))
    try:
        return split(part_of(field, index), n_splits=n_splits, seed=field.seed)[0][1]
    except DataError:  # all in one group
        return np.zeros(0, dtype=np.int64)


def part_of(field: Field, index: IntArray) -> Task:
    """Return the labels and groups of the items at ``index`` as a task that can be split."""
    n = len(index)
    return Task(
        field.modality,
        field.kind,
        items=np.zeros(n),
        labels=field.labels[index],
        ids=("",) * n,
        groups=np.arange(n) if field.groups is None else field.groups[index],
        classes=field.classes,
    )


def seconds_to_fit(entry: Entry, field: Field) -> float:
    """Return about how many seconds one fit of a candidate takes that tunes its source."""
    seconds: float = _made(entry, field).seconds_to_fit(field.of(entry), field.labels)
    return seconds


def _made(entry: Entry, field: Field, **given: Any) -> Any:
    """Return the unfitted estimator of a candidate."""
    if strategies.STRATEGIES[entry.strategy].tunes:
        given = {"source": entry.source, **field.tuning, **given}
    given = {**field.given.get(entry, {}), **given}
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


def held_out(entry: Entry, field: Field, train: IntArray, test: IntArray) -> Predictions:
    """Fit on the items of ``train``, predict those of ``test``."""
    estimator = fit_one(entry, field, train)
    return predict_one(estimator, subset(field.of(entry), test), field.classes)
