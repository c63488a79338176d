"""Bootstrap weights: how often each item is drawn, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, FloatArray, IntArray

BLOCK = 4_000_000


@dataclass(frozen=True, eq=False)
class Units:
    """What is drawn: the items themselves, or whole groups of them.

    Parameters
    ----------
    of_item : ndarray of shape (n,)
        The unit of each item, 0 to ``count`` - 1.
    count : int
        Number of units.
    effective : float
        Kish's effective number of units, (sum of sizes)^2 / sum of squared sizes: what ``count``
        is worth where the groups are of unequal size.
    """

    of_item: IntArray
    count: int
    effective: float

    @property
    def grouped(self) -> bool:
        """True where some unit has more than one item."""
        return self.count < len(self.of_item)


def units(n: int, groups: AnyArray | None) -> Units:
    """Number the units that a bootstrap draws.

    Parameters
    ----------
    n : int
        Number of items.
    groups : array of shape (n,) or None
        Group of each item; None: every item for itself.

    Raises
    ------
    DataError
        If there is no item, or ``groups`` has another length.
    """
    if n == 0:
        raise DataError("there are no items to measure on", got=0, allowed="at least 1 item")
    if groups is None:
        return Units(np.arange(n), n, float(n))
    if len(groups) != n:
        raise DataError("groups need one entry for each item", got=len(groups), allowed=[n])
    _, of_item = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.bincount(of_item)
    return Units(of_item, len(sizes), float(n) ** 2 / float((sizes.astype(float) ** 2).sum()))


def resamples(drawn: Units, n_boot: int, seed: int) -> Iterator[FloatArray]:
    """Yield the weights of ``n_boot`` bootstrap samples, in blocks.

    Parameters
    ----------
    drawn : Units
    n_boot : int
        Number of bootstrap samples.
    seed : int

    Yields
    ------
    weights : ndarray of shape (n, b), float64
        How often each item is in each of the next b samples.
    """
    rng = np.random.default_rng(seed)
    n, count = len(drawn.of_item), drawn.count
    step = max(1, min(n_boot, BLOCK // n))
    for start in range(0, n_boot, step):
        b = min(step, n_boot - start)
        flat = rng.integers(count, size=(count, b)) * b + np.arange(b)
        counts = np.bincount(flat.ravel(), minlength=count * b).reshape(count, b)
        weights = counts if not drawn.grouped else counts[drawn.of_item]
        yield weights.astype(np.float64)
