"""Episodes: small tasks of a few classes, a few labelled items of each and some to ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import IntArray

SMALL_CLASSES = 0.1  # share of the classes that may be left out so that the others ask for more


@dataclass(frozen=True, eq=False)
class Episodes:
    """B episodes of one shape.

    Parameters
    ----------
    support : ndarray of shape (B, ways, shots), int
        Places of the labelled items; the label is the position among the ways.
    query : ndarray of shape (B, ways, queries), int
        Places of the items to be labelled; none of them is in the support.
    """

    support: IntArray
    query: IntArray

    def __len__(self) -> int:
        return len(self.support)

    def take(self, index: slice | IntArray) -> Episodes:
        """Return some of the episodes."""
        return Episodes(self.support[index], self.query[index])

    @property
    def places(self) -> IntArray:
        """Every item that occurs, sorted."""
        return np.unique(np.concatenate([self.support.ravel(), self.query.ravel()]))


@dataclass(frozen=True, eq=False)
class ClassItems:
    """One class: the places of its items, and their groups (copies in all tasks share one)."""

    name: str
    places: IntArray
    groups: IntArray

    @property
    def size(self) -> int:
        """How many items an episode can take: one a group."""
        return len(np.unique(self.groups))

    def draw(self, count: int, rng: np.random.Generator) -> IntArray:
        """Return ``count`` items, no two of one group."""
        order = rng.permutation(len(self.places))
        if len(order) > self.size:
            first = np.unique(self.groups[order], return_index=True)[1]
            order = order[np.sort(first)]
        return self.places[order[:count]]


@dataclass(frozen=True, eq=False)
class Pool:
    """Classes that episodes are drawn from.

    Parameters
    ----------
    classes : tuple of ClassItems
    families : tuple of ndarray of int
        Which classes are drawn together: those of one task, or all of them.
    """

    classes: tuple[ClassItems, ...]
    families: tuple[IntArray, ...]

    @property
    def places(self) -> IntArray:
        """Every item, class by class."""
        return np.concatenate([one.places for one in self.classes])

    @property
    def codes(self) -> IntArray:
        """The class of every item in ``places``."""
        return np.repeat(np.arange(len(self.classes)), [len(one.places) for one in self.classes])

    @property
    def most_ways(self) -> int:
        """The classes of the smallest family."""
        return min(len(family) for family in self.families)

    def queries(self, shots: int, most: int) -> int:
        """Return how many items of each class an episode can ask for, at most ``most``."""
        return int(min(most, min(one.size for one in self.classes) - shots))

    def draw(
        self, count: int, *, ways: int, shots: int, queries: int, rng: np.random.Generator
    ) -> Episodes:
        """Return episodes drawn at random: a family, classes of it, items of each.

        A family is drawn as often as its number of classes makes it.
        """
        weights = np.array([len(family) for family in self.families], dtype=np.float64)
        weights /= weights.sum()
        drawn = np.empty((count, ways, shots + queries), dtype=np.int64)
        for episode in range(count):
            family = self.families[rng.choice(len(weights), p=weights)]
            for way, at in enumerate(rng.permutation(family)[:ways]):
                drawn[episode, way] = self.classes[int(at)].draw(shots + queries, rng)
        return Episodes(drawn[:, :, :shots], drawn[:, :, shots:])


def pool_of(
    classes: Sequence[ClassItems],
    families: Sequence[IntArray],
    *,
    ways: int,
    shots: int,
    queries: int,
    part: str,
) -> tuple[Pool, tuple[str, ...]]:
    """Return a pool of the classes that are large enough, and the names of those left out.

    A class must have at least ``shots + 1`` items. Beyond that up to a tenth of the classes are
    left out where they are so small that every episode could ask for less on their account.

    Raises
    ------
    DataError
        A family has fewer classes left than an episode needs.
    """
    sizes = np.array([one.size for one in classes])
    usual = int(np.sort(sizes)[int(SMALL_CLASSES * len(sizes))])
    wanted = min(shots + queries, max(usual, shots + 1))
    for least in (wanted, shots + 1):
        kept = sizes >= least
        left = [family[kept[family]] for family in families]
        if all(len(family) >= ways for family in left):
            break
    else:
        short = min(left, key=len)
        family = next(one for one, rest in zip(families, left, strict=True) if rest is short)
        small = [classes[int(at)].name for at in family if not kept[at]]
        raise DataError(
            f"too few classes for episodes of {ways}: {len(short)} have the {shots + 1} items "
            f"that {shots} {'shot' if shots == 1 else 'shots'} and a question need",
            where=part,
            got=f"too small: {', '.join(small[:5])}" if small else f"{len(family)} classes",
            hint=f"--ways {max(2, len(short))} or fewer, --shots {max(1, shots - 1)}, or more data",
        )
    number = np.cumsum(kept) - 1
    pool = Pool(
        tuple(one for one, keep in zip(classes, kept, strict=True) if keep),
        tuple(number[family] for family in left),
    )
    gone = tuple(one.name for one, keep in zip(classes, kept, strict=True) if not keep)
    return pool, gone
