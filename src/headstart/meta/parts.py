"""Which classes train, which choose and which judge: none does two of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import Decision, IntArray
from headstart.meta.collection import Collection
from headstart.meta.episodes import ClassItems, Pool, pool_of
from headstart.meta.plan import Plan

SHARES = (0.64, 0.16, 0.20)  # as miniImageNet is split: 64, 16 and 20 classes
NAMES = ("train", "validation", "test")
REPORTED = (1, 5)  # shots that are reported, where classes have the items


@dataclass(frozen=True, eq=False)
class Parts:
    """The three pools.

    Parameters
    ----------
    train, validation : Pool
    tests : dict of int to Pool
        By shots.
    counts : dict of str to int
        Classes of each part.
    tasks : dict of str to int or None
        Tasks of each part.
    decisions : tuple of Decision
    """

    train: Pool
    validation: Pool
    tests: dict[int, Pool]
    counts: dict[str, int]
    tasks: dict[str, int] | None
    decisions: tuple[Decision, ...]


def split_parts(collection: Collection, plan: Plan, *, rotate: bool = False) -> Parts:
    """Split classes (of one DATA) or whole tasks at random, by the seed, into three parts.

    An item that also occurs in a class that trains is taken out of the classes that choose, and
    one in a class that trains or chooses out of those that judge. Only classes that train are
    turned.

    Raises
    ------
    DataError
        There are too few classes, or tasks, for three parts.
    OptionError
        Texts cannot be turned.
    """
    if rotate and collection.modality != "image":
        raise OptionError("only images can be turned", where="--rotate", got=collection.modality)
    rng = np.random.default_rng([plan.seed, 0])
    if collection.of_tasks:
        members = _cut(_tasks(collection, plan), rng, 1)
        families = [[collection.families[int(at)] for at in part] for part in members]
        tasks = {name: len(part) for name, part in zip(NAMES, members, strict=True)}
    else:
        members = _cut(_classes(collection, plan), rng, plan.ways)
        families = [[part] for part in members]
        tasks = None
    decisions: list[Decision] = []
    trains = _groups(collection, families[0])
    taken = np.concatenate([trains, _groups(collection, families[1])])
    train = _pool(collection, families[0], plan, plan.shots, "the training part", decisions)
    if rotate:
        train = _turned(train, len(collection.items))
        decisions.append(
            Decision(
                f"{len(train.classes)} training classes",
                "a class turned by a quarter, a half or three quarters is another class",
            )
        )
    valid = _pool(
        collection, families[1], plan, plan.shots, "the validation part", decisions, trains
    )
    tests: dict[int, Pool] = {}
    for shots in sorted({*REPORTED, plan.shots}):
        try:
            tests[shots] = _pool(
                collection, families[2], plan, shots, "the test part", decisions, taken
            )
        except DataError:
            if shots == plan.shots:
                raise
            decisions.append(
                Decision(f"{shots}-shot episodes are not reported", "the classes are too small")
            )
    counts = {
        "train": len(train.classes),
        "validation": len(valid.classes),
        "test": len(tests[plan.shots].classes),
    }
    return Parts(train, valid, tests, counts, tasks, tuple(dict.fromkeys(decisions)))


def _classes(collection: Collection, plan: Plan) -> IntArray:
    n = len(collection.classes)
    if n < 3 * plan.ways:
        raise DataError(
            f"episodes of {plan.ways} classes need {3 * plan.ways} classes: {plan.ways} each to "
            "train, to choose and to judge",
            where=collection.origin,
            got=f"{n} classes",
            hint=f"--ways {n // 3}" if n >= 6 else "meta-training needs at least 6 classes",
        )
    return np.arange(n)


def _tasks(collection: Collection, plan: Plan) -> IntArray:
    for name, family in zip(collection.names, collection.families, strict=True):
        if len(family) < plan.ways:
            raise DataError(
                f"episodes of {plan.ways} classes cannot be drawn from this task",
                where=f"{collection.origin}, task {name!r}",
                got=f"{len(family)} {'class' if len(family) == 1 else 'classes'}",
                hint=f"--ways {len(family)}" if len(family) > 1 else "take it out of the folder",
            )
    n = len(collection.families)
    if n < len(NAMES):
        raise DataError(
            "at least 3 tasks are needed: one each to train, to choose and to judge",
            where=collection.origin,
            got=f"{n} tasks",
        )
    return np.arange(n)


def _cut(members: IntArray, rng: np.random.Generator, least: int) -> list[IntArray]:
    """Return the three parts of shuffled members, each of at least so many."""
    order = rng.permutation(members)
    n = len(order)
    held = [max(least, round(share * n)) for share in SHARES[1:]]
    while n - sum(held) < least:
        held[int(np.argmax(held))] -= 1
    stops = np.cumsum([n - sum(held), held[0]])
    return [np.sort(part) for part in np.split(order, stops)]


def _groups(collection: Collection, families: Sequence[IntArray]) -> IntArray:
    family = np.concatenate(families)
    return np.concatenate([collection.classes[int(at)].groups for at in family])


def _pool(
    collection: Collection,
    families: Sequence[IntArray],
    plan: Plan,
    shots: int,
    part: str,
    decisions: list[Decision],
    seen: IntArray | None = None,
) -> Pool:
    classes: list[ClassItems] = []
    own: list[IntArray] = []
    lost = 0
    for family in families:
        own.append(np.arange(len(classes), len(classes) + len(family)))
        for at in family:
            one = collection.classes[int(at)]
            if seen is not None:
                new = ~np.isin(one.groups, seen)
                lost += int((~new).sum())
                one = ClassItems(one.name, one.places[new], one.groups[new])
            classes.append(one)
    if lost:
        decisions.append(
            Decision(
                f"{lost} items are left out of {part}",
                "copies of them are in classes that train, or choose",
            )
        )
    pool, gone = pool_of(classes, own, ways=plan.ways, shots=shots, queries=plan.queries, part=part)
    if gone:
        decisions.append(
            Decision(
                f"{len(gone)} of {len(classes)} classes are left out of {part}",
                f"they have too few items for {shots}-shot episodes, as {gone[0]!r} has",
            )
        )
    return pool


def _turned(pool: Pool, n: int) -> Pool:
    """Return a pool with each class in four orientations; place ``i + n * k`` is item i turned."""
    classes = [
        ClassItems(f"{one.name}@{90 * k}", one.places + n * k, one.groups)
        for k in range(4)
        for one in pool.classes
    ]
    step = len(pool.classes)
    families = tuple(
        np.concatenate([family + step * k for k in range(4)]) for family in pool.families
    )
    return Pool(tuple(classes), families)
