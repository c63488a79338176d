"""What to label next, and which labels to look at again.

The items that would teach most are those the model is unsure of, as long as they are not the same
item many times over. BADGE (Ash et al., ICLR 2020) has both in one distance: each item stands for
the gradient of the loss at the last layer, as if the model's guess were true, and items are drawn
by k-means++ on these. The gradient is long where the model is unsure, and two gradients point in
different directions where the classes in question, or the features, differ. Gradients are outer
products (p - onehot) x features, so that all distances come from two inner products, and none is
ever written down.

Where there are no probabilities (regression), the items farthest from what is labelled come first:
the greedy core-set of Sener & Savarese (ICLR 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, FloatArray, Task
from headstart.data import suspects as suspects_of

if TYPE_CHECKING:
    from headstart.select.measured import Measured

SAME = 1e-3
"""Squared distance of features of length 1 below which two items are the same for labelling."""


@dataclass(frozen=True)
class Suggestion:
    """An item that is worth a label.

    Parameters
    ----------
    place : int
        Among the items that were asked about.
    id : str
        What the item is called.
    reason : str
    label, other : str or None
        The two most probable classes.
    confidence : float or None
        Probability of ``label``.
    """

    place: int
    id: str
    reason: str
    label: str | None = None
    other: str | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Suspect:
    """An item whose label is probably wrong.

    Parameters
    ----------
    id : str
    given : str
        The label it has.
    suggested : str
        What a model that had not seen it says.
    confidence : float
        Probability of ``suggested``.
    """

    id: str
    given: str
    suggested: str
    confidence: float


@dataclass(frozen=True)
class ClassNeed:
    """A class, and how many of its items are found: the worst gain most from labels.

    Parameters
    ----------
    label : str
    recall, low, high : float
        Share of its items that are recognised out of fold, with its 95 % interval (Wilson).
    n : int
    mistaken_for : str or None
        What most of the others are taken for.
    """

    label: str
    recall: float
    low: float
    high: float
    n: int
    mistaken_for: str | None = None


def label_next(
    probabilities: FloatArray | None,
    features: FloatArray | None,
    n: int = 10,
    *,
    classes: Sequence[str] = (),
    ids: Sequence[str] | None = None,
    labelled: FloatArray | None = None,
    seed: int = 0,
) -> list[Suggestion]:
    """Return which unlabelled items to label next, the most useful first.

    Parameters
    ----------
    probabilities : ndarray of shape (m, k) or None
        Of the model, for each unlabelled item; None for regression.
    features : ndarray of shape (m, d) or None
        What the model sees; without them only the probabilities tell items apart.
    n : int
        How many, at least 1. Fewer come back where there are fewer that differ.
    classes : sequence of length k
        Names of the columns.
    ids : sequence of length m, optional
    labelled : ndarray of shape (l, d), optional
        Features of what is labelled; used where there are no probabilities.
    seed : int

    Returns
    -------
    list of Suggestion

    Raises
    ------
    OptionError
        ``n`` is below 1, neither probabilities nor features are given, or the shapes do not fit.

    Examples
    --------
    >>> chances = np.array([[0.99, 0.01], [0.52, 0.48], [0.51, 0.49], [0.97, 0.03]])
    >>> features = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.1]])
    >>> found = label_next(chances, features, 2, classes=("cat", "dog"))
    >>> found[0].reason
    'cat (0.51) or dog (0.49)'
    """
    if n < 1:
        raise OptionError("at least one item must be asked for", where="n", got=n)
    if probabilities is None and features is None:
        raise OptionError("probabilities or features are needed", where="label_next")
    m = len(probabilities if probabilities is not None else _given(features))
    if any(len(found) != m for found in (probabilities, features, ids) if found is not None):
        raise OptionError("there must be one row for each item", where="label_next", allowed=m)
    if probabilities is not None and classes and probabilities.shape[1] != len(classes):
        raise OptionError(
            "there must be one column for each class",
            where="classes",
            got=len(classes),
            allowed=probabilities.shape[1],
        )
    names = list(ids) if ids is not None else [f"row {i + 1}" for i in range(m)]
    seen = None if features is None else _unit(features)
    if probabilities is None:
        assert seen is not None
        return _farthest(seen, None if labelled is None else _unit(labelled), n, names)
    return _badge(np.asarray(probabilities, np.float64), seen, n, classes, names, seed)


def suspects(
    labels: AnyArray, probabilities: FloatArray, classes: Sequence[str], ids: Sequence[str]
) -> tuple[Suspect, ...]:
    """Return the items whose labels are probably wrong, most suspect first.

    Parameters
    ----------
    labels : ndarray of shape (n,)
    probabilities : ndarray of shape (n, k)
        Out of fold.
    classes : sequence of length k
    ids : sequence of length n

    Raises
    ------
    OptionError
        As ``data.suspects``.
    """
    order = suspects_of(labels, probabilities, classes)
    best = np.asarray(probabilities).argmax(axis=1)
    return tuple(
        Suspect(
            str(ids[i]), str(labels[i]), str(classes[best[i]]), float(probabilities[i, best[i]])
        )
        for i in order
    )


def neediest(truth: AnyArray, predicted: AnyArray, *, n: int = 3) -> tuple[ClassNeed, ...]:
    """Return the classes that are recognised worst out of fold: more labels gain most there.

    Parameters
    ----------
    truth, predicted : ndarray of shape (m,)
    n : int
        How many at most; classes without a mistake are left out.

    Examples
    --------
    >>> truth = np.array(["cat"] * 4 + ["dog"] * 4)
    >>> found = neediest(truth, np.array(["cat"] * 4 + ["dog", "cat", "cat", "dog"]))
    >>> found[0].label, found[0].recall, found[0].mistaken_for
    ('dog', 0.5, 'cat')
    """
    from scipy.stats import binomtest  # heavy

    actual, said = np.asarray(truth).astype(str), np.asarray(predicted).astype(str)
    found = []
    for label in np.unique(actual):
        mine = said[actual == label]
        right = int((mine == label).sum())
        if right == len(mine):
            continue
        names, counts = np.unique(mine[mine != label], return_counts=True)
        low, high = binomtest(right, len(mine)).proportion_ci(method="wilson")
        other = str(names[counts.argmax()])
        found.append(ClassNeed(str(label), right / len(mine), low, high, len(mine), other))
    # by the upper end: of two classes with the same recall the one that is surely bad comes first
    return tuple(sorted(found, key=lambda need: (need.recall, need.high, need.label))[:n])


def _given(features: FloatArray | None) -> FloatArray:
    assert features is not None
    return features


def _unit(features: FloatArray) -> FloatArray:
    rows = np.asarray(features, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)


def _badge(
    chances: FloatArray,
    seen: FloatArray | None,
    n: int,
    classes: Sequence[str],
    names: Sequence[str],
    seed: int,
) -> list[Suggestion]:
    m, k = chances.shape
    top = chances.argmax(axis=1)
    off = chances.copy()
    off[np.arange(m), top] -= 1.0
    if seen is None:
        seen = np.ones((m, 1))
        twin = chances / np.linalg.norm(chances, axis=1, keepdims=True)
    else:
        twin = seen
    size = (off**2).sum(axis=1) * (seen**2).sum(axis=1)
    rng = np.random.default_rng(seed)
    picked: list[int] = []
    nearest = size.copy()  # from the origin: an item the model is sure of teaches nothing
    while len(picked) < min(n, m) and nearest.max() > 1e-12:
        i = int(nearest.argmax()) if not picked else int(rng.choice(m, p=nearest / nearest.sum()))
        picked.append(i)
        inner = (off @ off[i]) * (seen @ seen[i])
        nearest = np.minimum(nearest, np.maximum(size + size[i] - 2 * inner, 0.0))
        nearest[((twin - twin[i]) ** 2).sum(axis=1) < SAME] = 0.0
    shown = [str(name) for name in classes] or [str(j) for j in range(k)]
    out = []
    for i in picked:
        first, second = (
            int(j) for j in np.argsort(-chances[i], kind="stable")[: min(2, k)][[0, -1]]
        )
        other = None if first == second else shown[second]
        why = f"{shown[first]} ({chances[i, first]:.2f})"
        if other is not None:
            why += f" or {other} ({chances[i, second]:.2f})"
        out.append(Suggestion(i, names[i], why, shown[first], other, float(chances[i, first])))
    return out


def _farthest(
    seen: FloatArray, labelled: FloatArray | None, n: int, names: Sequence[str]
) -> list[Suggestion]:
    known = seen.mean(axis=0, keepdims=True) if labelled is None else labelled
    nearest = _squared(seen, known).min(axis=1)
    out: list[Suggestion] = []
    while len(out) < min(n, len(seen)) and nearest.max() >= SAME:
        i = int(nearest.argmax())
        reason = f"unlike what is labelled (distance {math.sqrt(nearest[i]):.2f})"
        out.append(Suggestion(i, names[i], reason))
        nearest = np.minimum(nearest, _squared(seen, seen[i : i + 1])[:, 0])
    return out


def _squared(rows: FloatArray, others: FloatArray) -> FloatArray:
    inner = rows @ others.T
    found: FloatArray = np.maximum(
        (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * inner, 0.0
    )
    return found


@dataclass(frozen=True)
class Advice:
    """What out-of-fold predictions say of the labels.

    Parameters
    ----------
    suspects : tuple of Suspect
    neediest : tuple of ClassNeed
    """

    suspects: tuple[Suspect, ...] = ()
    neediest: tuple[ClassNeed, ...] = ()


def advice(train: Task, held_out: Measured | None) -> Advice:
    """Return which labels are probably wrong, and which classes are recognised worst.

    Parameters
    ----------
    train : Task
    held_out : Measured or None
        What was predicted out of fold; None where nothing was held out.

    Returns
    -------
    Advice
        Empty for regression.
    """
    if held_out is None or train.kind == "regression":
        return Advice()
    rows, predictions = held_out.rows, held_out.predictions
    assert train.labels is not None
    labels, found = train.labels[rows], predictions.probabilities
    ids = [train.ids[int(i)] for i in rows]
    wrong: tuple[Suspect, ...] = ()
    if found is not None and set(labels) <= set(predictions.classes):
        sums = found.sum(axis=1, keepdims=True)  # rounding may exceed 1 by a little
        wrong = suspects(labels, found / np.maximum(sums, 1.0), predictions.classes, ids)
    return Advice(wrong, neediest(labels, predictions.labels))
