"""Circular validation: an adapter is judged by going to the target and back.

It is fitted to the source for the target, what it says of the target is taken for labels, the same
adapter is fitted backwards with them, and held-out rows of the source, of which the labels are
known, judge. No label of the target is used.

Bruzzone & Marconcini, "Domain adaptation problems: a DASVM classification technique and a circular
validation strategy", TPAMI 32 (2010); Zhong et al., "Cross validation framework to choose amongst
models and datasets for transfer learning", ECML PKDD 2010.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.errors import DataError, HeadstartError, OptionError
from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.evaluate import Predictions, value
from headstart.evaluate.shift_domain import equal_rows

FOLDS = 5
CAP = 2000
FEWEST = 5
"""Rows that a class should have in the target before its absence is a collapse."""


@dataclass(frozen=True, eq=False)
class CircularScore:
    """What is left of the source's labels after going to the target and back.

    Parameters
    ----------
    estimate : float
        Balanced accuracy on the held-out rows; 0 where it failed.
    rows : int array of shape (r,)
        The rows of the source that judge: the same for every adapter with the same seed.
    truth, labels : arrays of shape (r,)
        Their labels, and what came back.
    failed : str
        Why it failed, as collapsed pseudo-labels; empty where it did not.
    """

    estimate: float
    rows: IntArray
    truth: AnyArray
    labels: AnyArray
    failed: str = ""

    @property
    def correct(self) -> AnyArray:
        """Whether each row came back right; none did where it failed."""
        if self.failed:
            return np.zeros(len(self.truth), bool)
        result: AnyArray = self.labels == self.truth
        return result


def circular_score(
    make_adapter: Callable[[], Any],
    X: Any,
    y: Sequence[Any] | AnyArray,
    X_target: Any,
    *,
    seed: int = 0,
    folds: int = FOLDS,
    cap: int = CAP,
    strict: bool = True,
) -> CircularScore:
    """Score an adapter without labels of the target.

    Parameters
    ----------
    make_adapter : callable
        Returns an unfitted adapter: ``fit(X, y, X_target)`` and ``predict``.
    X : array of shape (n, d)
    y : sequence of n labels
    X_target : array of shape (m, d)
    seed : int
        Of the rows that are drawn and of the folds.
    folds : int
        At least 2.
    cap : int
        At most so many rows a side are drawn (of the source by class), at least 20.
    strict : bool
        Whether pseudo-labels without a class that was to be expected are a failure. False is for
        what adapters are compared with: its rows of that class then come back wrong, no more.

    Raises
    ------
    OptionError
        ``folds`` or ``cap`` is out of range.
    DataError
        Labels and rows differ in number, or there are fewer than two classes.

    Examples
    --------
    >>> from headstart.strategies.adaptation import SourceOnly
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 100)
    >>> X = rng.normal(size=(100, 2)) + 3 * y[:, None]
    >>> round(circular_score(SourceOnly, X, y, X + 0.5).estimate, 3)
    0.982
    """
    if folds < 2:
        raise OptionError("too few folds", where="folds", got=folds, allowed=">= 2")
    if cap < 20:
        raise OptionError("too few rows", where="cap", got=cap, allowed=">= 20")
    source, labels, target, rows = capped(X, y, X_target, seed=seed, cap=cap)
    truth = labels[rows]
    back = np.empty_like(truth)
    for train, held in split(truth, folds, seed):
        try:
            there = make_adapter().fit(source[rows[train]], truth[train], target)
            guessed = there.predict(target)
            why = collapse(guessed, truth[train])
            if not strict and len(np.unique(guessed)) > 1:
                why = ""
            if not why:
                again = make_adapter().fit(target, guessed, source[rows[train]])
                back[held] = again.predict(source[rows[held]])
        except (HeadstartError, ValueError, ArithmeticError) as error:
            why = f"it cannot be fitted: {error}"
        if why:
            return CircularScore(0.0, rows, truth, back, why)
    estimate = value("balanced_accuracy", truth.astype(str), Predictions(back.astype(str)))
    return CircularScore(float(estimate), rows, truth, back)


def collapse(guessed: AnyArray, labels: AnyArray) -> str:
    """Say why pseudo-labels of a target have collapsed; empty where they have not.

    Parameters
    ----------
    guessed : array of shape (m,)
        Predicted labels of target rows.
    labels : array of shape (n,)
        Labels of the source.

    Examples
    --------
    >>> collapse(np.array(["a"] * 20), np.array(["a", "b"] * 10))
    'all of the target is "a"'
    >>> collapse(np.array(["a"] * 15 + ["b"] * 15), np.array(["a", "b", "c"] * 10))
    'no row of the target is "c", where about 10 were to be expected'
    """
    classes, counts = np.unique(labels, return_counts=True)
    found = np.unique(guessed)
    if len(found) < 2:
        return f'all of the target is "{found[0]}"' if len(found) else "the target has no rows"
    expected = counts / counts.sum() * len(guessed)
    lost = ~np.isin(classes, found) & (expected >= FEWEST)
    if lost.any():
        first = int(np.flatnonzero(lost)[expected[lost].argmax()])
        more = f" (and {int(lost.sum()) - 1} more classes)" if lost.sum() > 1 else ""
        return (
            f'no row of the target is "{classes[first]}"{more}, where about '
            f"{expected[first]:.0f} were to be expected"
        )
    return ""


def capped(
    X: Any, y: Sequence[Any] | AnyArray, X_target: Any, *, seed: int, cap: int = CAP
) -> tuple[FloatArray, AnyArray, FloatArray, IntArray]:
    """Return the source, its labels, drawn rows of the target, and which source rows are drawn.

    Rows of the source are drawn by class, and equal rows once where most rows are distinct.
    """
    source, target = np.asarray(X), np.asarray(X_target)
    labels = np.asarray(y)
    if labels.shape != (len(source),):
        raise DataError(
            "labels and rows differ in number",
            where="y",
            got=labels.shape,
            allowed=f"({len(source)},)",
        )
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise DataError("one class cannot judge an adapter", where="y", got=classes.tolist())
    rng = np.random.default_rng(seed)
    rows = by_class(codes, cap, rng)
    first = np.sort(np.unique(equal_rows(source[rows]), return_index=True)[1])
    if len(first) >= len(rows) / 2:
        rows = rows[first]
    if len(target) > cap:
        target = target[np.sort(rng.choice(len(target), cap, replace=False))]
    return source, labels, target, rows


def by_class(codes: IntArray, cap: int, rng: np.random.Generator) -> IntArray:
    """Return at most ``cap`` places, each class with its share (and two rows where it has them)."""
    n = len(codes)
    if n <= cap:
        return np.arange(n)
    chosen = []
    for code in range(int(codes.max()) + 1):
        mine = np.flatnonzero(codes == code)
        size = min(len(mine), max(2, round(cap * len(mine) / n)))
        chosen.append(rng.choice(mine, size, replace=False))
    return np.sort(np.concatenate(chosen))


def split(labels: AnyArray, folds: int, seed: int) -> list[tuple[IntArray, IntArray]]:
    """Return (train, held) of each fold; classes are spread evenly over the folds."""
    rng = np.random.default_rng([seed, 1])
    codes = np.unique(labels, return_inverse=True)[1]
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(len(codes), np.int64)
    fold[order] = np.arange(len(codes)) % folds
    places = np.arange(len(codes))
    parts = [(places[fold != one], places[fold == one]) for one in range(folds)]
    return [(train, held) for train, held in parts if len(held) and len(train)]
