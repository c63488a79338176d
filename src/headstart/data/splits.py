"""Splits of a task: stratified folds that no group straddles, and n labels a class."""

from __future__ import annotations

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, Decision, IntArray, Task
from headstart.data.part import shown

_STRATA = 10


def split(task: Task, *, n_splits: int = 5, seed: int = 0) -> list[tuple[IntArray, IntArray]]:
    """Cut a task into folds: every item is in one test part, no group straddles one.

    Whole groups are dealt out, large ones first, each to the fold that has least of its classes
    (for regression: of its stratum among ten of equal size), so classes are as even as the groups
    allow. A class with a single group is missing from the training part of one fold.

    Parameters
    ----------
    task : Task
    n_splits : int, at least 2
        Lowered to the number of groups, and to the number of groups of the median class: folds
        beyond that would differ from the whole in their class shares.
    seed : int

    Returns
    -------
    list of (train, test)
        Sorted positions, int64.

    Raises
    ------
    OptionError
        ``n_splits`` is below 2.
    DataError
        Unlabelled data, fewer than 2 groups, or folds whose training part has one class only.

    Examples
    --------
    >>> from headstart.data import read, split
    >>> task = read(["a b", "c d", "e f", "g h"], label=["x", "x", "y", "y"])
    >>> [sorted(task.labels[test]) for _, test in split(task, n_splits=2)]
    [['x', 'y'], ['x', 'y']]
    """
    if n_splits < 2:
        raise OptionError("at least 2 folds are needed", where="n_splits", got=n_splits)
    groups, strata = _codes(task.groups), _strata(task)
    n_groups = int(groups.max(initial=-1)) + 1
    if n_groups < 2:
        raise DataError(
            "everything is one group, so nothing can be held out",
            where=task.origin,
            got=f"{task.n} items",
            hint="Give finer groups with --group",
        )
    pairs = np.unique(np.stack([groups, strata], axis=1), axis=0)
    per_stratum = np.bincount(pairs[:, 1])
    usual = int(np.sort(per_stratum)[(len(per_stratum) - 1) // 2])
    folds = _deal(groups, strata, min(n_splits, n_groups, max(2, usual)), seed)
    out: list[tuple[IntArray, IntArray]] = []
    for fold in range(int(folds.max()) + 1):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if task.kind == "classification" and len(set(_labels(task)[train])) < 2:
            raise DataError(
                "holding out a fold leaves one class only to learn from",
                where=task.origin,
                got=shown(sorted(set(_labels(task)[train]))),
                hint="Groups must not be the classes themselves; give finer groups or more items",
            )
        out.append((train, test))
    return out


def _labels(task: Task) -> AnyArray:
    if task.labels is None:
        raise DataError("splits need labels", where=task.origin, hint="Name them with --label")
    return task.labels


def _codes(values: AnyArray) -> IntArray:
    return np.unique(values, return_inverse=True)[1].astype(np.int64).reshape(-1)


def _strata(task: Task) -> IntArray:
    labels = _labels(task)
    if task.kind == "classification":
        return _codes(labels.astype(str))
    ranks = np.argsort(np.argsort(labels, kind="stable"), kind="stable")
    return (ranks * min(_STRATA, max(1, task.n // 10)) // max(1, task.n)).astype(np.int64)


def _deal(groups: IntArray, strata: IntArray, n_folds: int, seed: int) -> IntArray:
    """Return each item's fold."""
    rng = np.random.default_rng(seed)
    n_groups, n_strata = int(groups.max()) + 1, int(strata.max()) + 1
    order = np.argsort(groups, kind="stable")
    members = np.split(strata[order], np.cumsum(np.bincount(groups, minlength=n_groups))[:-1])
    shuffled = rng.permutation(n_groups)
    sizes = np.array([len(members[g]) for g in shuffled])
    totals = np.bincount(strata, minlength=n_strata)
    held = np.zeros((n_folds, n_strata))
    filled = np.zeros(n_folds)
    chosen = np.empty(n_groups, dtype=np.int64)
    for group in shuffled[np.argsort(-sizes, kind="stable")]:
        inside = members[group]
        crowding = (held[:, inside] / totals[inside]).sum(axis=1)
        fold = int(np.lexsort((filled, crowding))[0])
        np.add.at(held[fold], inside, 1)
        filled[fold] += len(inside)
        chosen[group] = fold
    return chosen[groups]


def shots(task: Task, n: int, seed: int = 0) -> tuple[IntArray, IntArray, tuple[Decision, ...]]:
    """Choose n labels a class to learn from; the items that share no group with them may judge.

    Items are chosen at random. Without the user's own groups, an item whose group (its duplicates)
    was chosen already is chosen only when its class has nothing else; with them, several items of
    one group may be chosen. Items that were not chosen but share a group with a chosen one are in
    neither part. For regression, n is the number of labels in all.

    Parameters
    ----------
    task : Task
    n : int, at least 1
    seed : int

    Returns
    -------
    tuple of (chosen, rest, decisions)
        Sorted positions, int64; decisions say what was taken, left, and where a class had fewer.

    Raises
    ------
    OptionError
        ``n`` is below 1.
    DataError
        Unlabelled data.

    Examples
    --------
    >>> from headstart.data import read, shots
    >>> task = read(["a b", "c d", "e f", "g h"], label=["x", "x", "y", "y"])
    >>> chosen, rest, _ = shots(task, 1)
    >>> len(chosen), len(rest)
    (2, 2)
    """
    if n < 1:
        raise OptionError("at least 1 label is needed", where="--shots", got=n)
    labels = _labels(task)
    codes = _codes(labels.astype(str))
    if task.kind == "regression":
        codes = np.zeros(task.n, dtype=np.int64)
    rng = np.random.default_rng(seed)
    used: set[int] = set()
    chosen: list[int] = []
    few: list[str] = []
    for code in range(int(codes.max(initial=-1)) + 1):
        members = rng.permutation(np.flatnonzero(codes == code))
        fresh, repeats = _fresh(members, task.groups, used, prefer=not task.grouped)
        taken = (fresh + repeats)[:n]
        used.update(int(task.groups[i]) for i in taken)
        chosen += taken
        if len(taken) < n:
            few.append(str(labels[members[0]]))
    picked = np.sort(np.array(chosen, dtype=np.int64))
    rest = np.flatnonzero(~np.isin(task.groups, list(used)))
    return picked, rest, _shot_decisions(task, n, picked, rest, few)


def _fresh(
    members: IntArray, groups: IntArray, used: set[int], *, prefer: bool
) -> tuple[list[int], list[int]]:
    """Part items into those that bring a new group and those that repeat one."""
    if not prefer:
        return [int(i) for i in members], []
    seen = set(used)
    fresh: list[int] = []
    repeats: list[int] = []
    for i in members:
        (repeats if int(groups[i]) in seen else fresh).append(int(i))
        seen.add(int(groups[i]))
    return fresh, repeats


def _shot_decisions(
    task: Task, n: int, chosen: IntArray, rest: IntArray, few: list[str]
) -> tuple[Decision, ...]:
    a_class = " a class" if task.kind == "classification" else ""
    related = task.n - len(chosen) - len(rest)
    why = f"--shots {n}; {len(rest)} other items are left to judge"
    if related:
        why += f", {related} are in neither part as they share a group with a chosen one"
    decisions = [
        Decision(f"{len(chosen)} labels are learnt from ({n}{a_class})", why, "--seed draws others")
    ]
    if few and task.kind == "regression":
        decisions.append(Decision(f"only {len(chosen)} labels exist", f"{n} were asked for"))
    elif few:
        decisions.append(
            Decision(
                f"{len(few)} classes have fewer than {n} items: {shown(few)}",
                "all of theirs are learnt from",
            )
        )
    if task.kind == "classification" and task.test is None:
        lost = sorted(set(task.classes) - set(_labels(task)[rest]))
        if lost:
            decisions.append(
                Decision(
                    f"{len(lost)} classes have no item left to judge: {shown(lost)}",
                    "all their items are learnt from or related to those",
                    "fewer --shots, or --test DATA",
                )
            )
    return tuple(decisions)
