"""The blend of scratch and a transfer candidate: what both predicted in the race, pooled.

A blend costs no training. Its own out-of-fold predictions are as honest as its members': the
weights that pool the rows of a fold are learnt on the rows of the other folds alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart import strategies
from headstart.core.errors import DataError
from headstart.core.types import AnyArray, FloatArray, IntArray, Modality, Pair
from headstart.evaluate import Predictions
from headstart.select.measured import rows_of
from headstart.select.race import Entry, Folds, Outcome, held_rows, input_of

PARTS = 5
"""Parts of the rows of a single fold, where there is no other fold to learn weights on."""


def blend_entry(transfer: Entry) -> Entry:
    """Return the candidate that blends scratch with a transfer candidate."""
    return Entry("blend", transfer.source, transfer.strategy)


def pair_of(transfer: Entry, inputs: Mapping[str | None, Any], items: Any) -> Pair:
    """Return what a blend takes, of the inputs by source and the items themselves.

    Parameters
    ----------
    transfer : Entry
        The transfer member, or the blend itself.
    inputs, items
        As for ``input_of``.
    """
    member = Entry(transfer.member, transfer.source) if transfer.member else transfer
    return Pair(inputs[None], input_of(member, inputs, items))


def blend_outcome(
    scratch: Outcome,
    transfer: Outcome,
    labels: AnyArray,
    folds: Folds,
    *,
    groups: IntArray | None = None,
) -> Outcome:
    """Return the out-of-fold predictions of a blend, made of those of its members.

    The rows of each fold are pooled with weights learnt on the rows of the other folds; those of a
    single fold in five parts. No row has a say in its own prediction.

    Parameters
    ----------
    scratch, transfer : Outcome
    labels : ndarray of shape (n,)
        Of all training items.
    folds : sequence of (train, test) index arrays
        Of the race.
    groups : ndarray of shape (n,), optional
        Groups that the parts of a single fold must not split.

    Returns
    -------
    Outcome
        For the items that both members predicted. Without predictions, and ``dropped`` says why,
        where a member has none or scratch could not be trained everywhere.

    Raises
    ------
    DataError
        The members predict different classes, or kinds of things.
    """
    started = time.perf_counter()
    entry = blend_entry(transfer.entry)
    lacking = _lacking(scratch, transfer, folds)
    if lacking:
        return Outcome(entry, None, 0.0, dropped=lacking)
    rows = _Rows.of(scratch, transfer, labels, folds)
    parts = rows.parts(groups)
    weights = np.empty((len(parts), 2))
    for part in np.unique(parts):
        weights[parts == part] = rows.learn(parts != part)
    predictions = rows.pool(weights)
    every = np.array_equal(rows.places, held_rows(folds))
    seconds = time.perf_counter() - started
    return Outcome(entry, predictions, seconds, rows=None if every else rows.places)


def blended(
    fitted_scratch: Any,
    fitted_transfer: Any,
    scratch: Outcome,
    transfer: Outcome,
    labels: AnyArray,
    folds: Folds,
    *,
    modality: Modality,
) -> Any:
    """Return the fitted blend of two fitted members, its weights learnt on all out-of-fold rows.

    It predicts from what ``pair_of`` returns, as any estimator in ``predict_one``; its
    ``decisions_`` say the weights, ``to_state`` what a bundle holds.

    Parameters
    ----------
    fitted_scratch, fitted_transfer : fitted estimators
        Of all training items.
    scratch, transfer : Outcome
        What they predicted out of fold; equal weights where that is nothing.
    labels, folds
        As for ``blend_outcome``.
    modality : {"image", "text"}

    Raises
    ------
    DataError
        The members predict different classes, or kinds of things.
    """
    weights = np.array([0.5, 0.5])
    if not _lacking(scratch, transfer, folds):
        rows = _Rows.of(scratch, transfer, labels, folds)
        weights = rows.learn(np.ones(len(rows.places), dtype=bool))
    classifies = hasattr(fitted_scratch, "predict_proba")
    cls = strategies.Blend if classifies else strategies.BlendRegressor
    entry = transfer.entry
    return cls.of(
        fitted_scratch,
        fitted_transfer,
        weights,
        name=entry.strategy,
        modality=modality,
        source=entry.source,
    )


def _lacking(scratch: Outcome, transfer: Outcome, folds: Folds) -> str:
    """Say why the two cannot be blended; nothing is the empty text."""
    for outcome in (scratch, transfer):
        if outcome.failure:
            return f"{outcome.entry.name} failed: {outcome.failure}"
        if outcome.predictions is None or not len(outcome.predictions):
            return f"there are no out-of-fold predictions of {outcome.entry.name}"
    if not np.isin(rows_of(scratch, folds), rows_of(transfer, folds)).any():
        return f"no item has out-of-fold predictions of scratch and of {transfer.entry.name}"
    return ""


@dataclass(frozen=True, eq=False)
class _Rows:
    """The out-of-fold rows that two members share.

    Parameters
    ----------
    places : ndarray of shape (m,)
        Among the training items.
    folds : ndarray of shape (m,)
        Which fold held each row out.
    scratch, transfer : ndarray of shape (m, k) or (m,)
        Probabilities, or numbers.
    truth : ndarray of shape (m,)
        Columns, or numbers.
    classes : tuple of str, length k
        Empty for numbers.
    """

    places: IntArray
    folds: IntArray
    scratch: FloatArray
    transfer: FloatArray
    truth: AnyArray
    classes: tuple[str, ...]

    @classmethod
    def of(cls, scratch: Outcome, transfer: Outcome, labels: AnyArray, folds: Folds) -> _Rows:
        """Put the rows of two outcomes side by side, in the order of the second."""
        one, other = scratch.predictions, transfer.predictions
        assert one is not None
        assert other is not None
        if sorted(one.classes) != sorted(other.classes):
            raise DataError(
                "what cannot be blended: predictions of different classes",
                got=one.classes,
                allowed=other.classes,
            )
        mine, theirs = rows_of(scratch, folds), rows_of(transfer, folds)
        place = {int(item): row for row, item in enumerate(mine)}
        kept = np.array([row for row, i in enumerate(theirs) if int(i) in place], dtype=np.int64)
        places = theirs[kept]
        found = np.array([place[int(i)] for i in places], dtype=np.int64)
        of_fold = np.full(len(labels), -1)
        for number, (_, test) in enumerate(folds):
            of_fold[test] = number
        column = {name: j for j, name in enumerate(other.classes)}
        truth = labels[places]
        if column:
            truth = np.array([column[str(name)] for name in truth], dtype=np.int64)
        return cls(
            places,
            of_fold[places],
            _values(one, other.classes)[found],
            _values(other, other.classes)[kept],
            truth,
            other.classes,
        )

    def parts(self, groups: IntArray | None) -> IntArray:
        """Return the part of each row: its fold, or of a single fold one of five."""
        if len(np.unique(self.folds)) > 1:
            return self.folds
        turns = self.places if groups is None else groups[self.places]
        dealt: IntArray = np.unique(turns, return_inverse=True)[1] % PARTS
        return dealt

    def learn(self, at: AnyArray) -> FloatArray:
        """Return the weights that the rows at a mask say."""
        from headstart.strategies import pooling

        learn = pooling.learn_weights if self.classes else pooling.learn_shares
        return learn(self.scratch[at], self.transfer[at], self.truth[at])

    def pool(self, weights: FloatArray) -> Predictions:
        """Return the predictions of the blend, each row with weights of its own."""
        from headstart.strategies import pooling

        if not self.classes:
            return Predictions(pooling.mixed(self.scratch, self.transfer, weights.T))
        found = np.empty(self.scratch.shape)
        for pair in np.unique(weights, axis=0):
            same = (weights == pair).all(axis=1)
            found[same] = pooling.pooled(self.scratch[same], self.transfer[same], pair)
        labels = np.array(self.classes, dtype=object)[found.argmax(axis=1)]
        return Predictions(labels, found, self.classes)


def _values(found: Predictions, classes: tuple[str, ...]) -> FloatArray:
    """Return probabilities, columns in the order of ``classes``; or numbers."""
    if not classes:
        return np.asarray(found.labels, dtype=np.float64)
    assert found.probabilities is not None
    columns = [found.classes.index(name) for name in classes]
    return np.asarray(found.probabilities, dtype=np.float64)[:, columns]
