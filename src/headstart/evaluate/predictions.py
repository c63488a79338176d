"""What a model predicted for a set of items, and how out-of-fold pieces are put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for n items.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Predicted classes (``str``), or float values for regression.
    probabilities : ndarray of shape (n, k) or None
        Probability of each class, in the order of ``classes``; rows sum to 1.
    classes : tuple of str, length k
        The classes of the columns; empty without probabilities.

    Raises
    ------
    DataError
        If the shapes do not fit together.
    """

    labels: AnyArray
    probabilities: FloatArray | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the shapes fit together."""
        object.__setattr__(self, "labels", np.asarray(self.labels))
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.labels.ndim != 1:
            raise DataError(
                "predicted labels must be a flat array", got=self.labels.shape, allowed="(n,)"
            )
        if self.probabilities is None:
            return
        probabilities = np.asarray(self.probabilities)
        object.__setattr__(self, "probabilities", probabilities)
        wanted = (len(self.labels), len(self.classes))
        if probabilities.shape != wanted:
            raise DataError(
                "probabilities need a row for each item and a column for each class",
                got=probabilities.shape,
                allowed=str(wanted),
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Sequence[int] | IntArray) -> Predictions:
        """Return the predictions of the items at ``index``."""
        rows = np.asarray(index)
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Predictions(self.labels[rows], probabilities, self.classes)


def joined(pieces: Sequence[Predictions]) -> Predictions:
    """Put out-of-fold pieces one after another; see ``assemble``."""
    n = sum(map(len, pieces))
    places = np.split(np.arange(n), np.cumsum([len(piece) for piece in pieces])[:-1])
    return assemble(n, zip(places, pieces, strict=True))


def assemble(n: int, pieces: Iterable[tuple[Sequence[int] | IntArray, Predictions]]) -> Predictions:
    """Put out-of-fold pieces together into the predictions of all n items.

    Parameters
    ----------
    n : int
        Number of items.
    pieces : iterable of (index, Predictions)
        For each fold, which items it held out and what was predicted for them. The folds may
        know different classes: a class that a fold did not know has probability 0 there. If one
        piece has no probabilities, the whole has none.

    Returns
    -------
    Predictions
        Of length n, the classes sorted.

    Raises
    ------
    DataError
        If an item is missing from the pieces, or in more than one.

    Examples
    --------
    >>> parts = [([1], Predictions(np.array(["b"]))), ([0], Predictions(np.array(["a"])))]
    >>> assemble(2, parts).labels.tolist()
    ['a', 'b']
    """
    parts = [(np.asarray(index, dtype=np.int64), piece) for index, piece in pieces]
    for index, piece in parts:
        if len(index) != len(piece):
            raise DataError(
                "a piece needs a prediction for each of its items",
                got=len(piece),
                allowed=[len(index)],
            )
    order = np.concatenate([index for index, _ in parts]) if parts else np.zeros(0, np.int64)
    if not np.array_equal(np.sort(order), np.arange(n)):
        seen = np.bincount(order[(order >= 0) & (order < n)], minlength=n)
        raise DataError(
            "the pieces must hold every item exactly once",
            got=f"{int((seen == 0).sum())} missing, {int((seen > 1).sum())} repeated",
            allowed=f"items 0 to {n - 1}",
        )
    back = np.argsort(order)
    labels = np.concatenate([piece.labels for _, piece in parts])[back]
    if any(piece.probabilities is None for _, piece in parts):
        return Predictions(labels)
    classes = tuple(sorted({name for _, piece in parts for name in piece.classes}))
    column = {name: j for j, name in enumerate(classes)}
    probabilities = np.zeros((n, len(classes)))
    for index, piece in parts:
        columns = np.array([column[name] for name in piece.classes], dtype=np.int64)
        probabilities[np.ix_(index, columns)] = piece.probabilities
    return Predictions(labels, probabilities, classes)
