"""Which items sources are measured on: some hundreds are enough to rank them."""

from __future__ import annotations

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, Decision, IntArray, Kind

ITEMS, MOST_ITEMS, A_CLASS = 400, 800, 4
"""Items that are measured on: 400, or 4 a class where that is more, but never above 800."""


def sample(
    labels: AnyArray, kind: Kind, *, seed: int = 0, items: int | None = None
) -> tuple[IntArray, tuple[Decision, ...]]:
    """Draw the items that sources are measured on.

    Classes keep their shares, except that each has at least 4 items where it can; with more than
    200 classes, 200 are drawn first.

    Parameters
    ----------
    labels : ndarray of shape (n,)
    kind : {"classification", "regression"}
    seed : int
    items : int, optional
        How many; by default 400, or 4 a class where that is more, but not more than 800.

    Returns
    -------
    tuple of (index, decisions)
        Sorted positions, int64; what was decided, empty where all items are taken.

    Raises
    ------
    OptionError
        ``items`` is below 1.

    Examples
    --------
    >>> index, said = sample(np.array(["a", "b"] * 500), "classification")
    >>> len(index)
    400
    """
    if items is not None and items < 1:
        raise OptionError("at least 1 item is needed", where="items", got=items)
    rng = np.random.default_rng(seed)
    if kind == "regression":
        names, codes = np.zeros(1), np.zeros(len(labels), dtype=np.int64)
    else:
        names, codes = np.unique(np.asarray(labels).astype(str), return_inverse=True)
        codes = codes.reshape(-1)
    wanted = items or min(max(ITEMS, A_CLASS * len(names)), MOST_ITEMS)
    if len(labels) <= wanted:
        return np.arange(len(labels)), ()
    drawn = np.arange(len(names))
    if A_CLASS * len(names) > wanted:
        drawn = np.sort(rng.choice(len(names), max(2, wanted // A_CLASS), replace=False))
    counts = np.bincount(codes, minlength=len(names))[drawn]
    shares = _shares(counts, wanted)
    picked = [
        rng.choice(np.flatnonzero(codes == code), share, replace=False)
        for code, share in zip(drawn, shares, strict=True)
    ]
    index = np.sort(np.concatenate(picked))
    of_classes = f" of {len(drawn):,} of {len(names):,} classes" if len(drawn) < len(names) else ""
    decision = Decision(
        f"{len(index):,} of {len(labels):,} items{of_classes} measure the sources",
        "drawn at random, class by class, to save time",
        "--seed N draws others",
    )
    return index, (decision,)


def _shares(counts: IntArray, wanted: int) -> IntArray:
    """Return how many items of each class are drawn: as its share, but at least 4 if it has."""
    least = np.minimum(counts, A_CLASS)
    room = counts - least
    due = room * max(0.0, min(1.0, (wanted - least.sum()) / max(1, room.sum())))
    more = np.floor(due).astype(np.int64)
    left = max(0, wanted - int((least + more).sum()))
    more[np.argsort(more - due, kind="stable")[:left]] += 1
    return np.minimum(least + more, counts).astype(np.int64)
