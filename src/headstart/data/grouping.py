"""Groups that no split may straddle: duplicates joined with the user's own groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import Decision, IntArray, Reporter
from headstart.data.duplicates import duplicate_groups
from headstart.data.part import Part, is_missing


def grouped(
    train: Part, held: Part | None, *, duplicates: bool, reporter: Reporter
) -> tuple[Part, Part | None, IntArray, IntArray]:
    """Find duplicates and join them with the user's groups; leave out train items seen in test."""
    n = train.n
    alike = np.arange(n + (held.n if held else 0), dtype=np.int64)
    if duplicates:
        items = train.items if held is None else _both(train.items, held.items)
        known = [*(train.contents or ()), *(held.contents or () if held else ())]
        report = duplicate_groups(items, train.modality, known=known or None, reporter=reporter)
        alike = np.asarray(report.groups, dtype=np.int64)
        train = train.say(*_conflicts(train, report.exact))
        standing = 1 if train.modality == "table" else 0  # that only equal rows count is the rule
        train = train.say(*(Decision("duplicates", note) for note in report.notes[standing:]))
    if held is not None:
        leaked = np.flatnonzero(np.isin(alike[:n], alike[n:]))
        if len(leaked):
            train = _without_leaks(train, leaked, alike[n:], alike[:n], held)
            alike = np.concatenate([np.delete(alike[:n], leaked), alike[n:]])
    own = _own_groups(train, held)
    n = train.n
    groups = alike if own is None else components(alike, own)
    groups = np.unique(groups, return_inverse=True)[1].astype(np.int64).reshape(-1)
    clusters = n - len(np.unique(alike[:n]))
    if clusters:
        train = train.say(
            Decision(
                f"items that repeat another one (exactly or nearly): {clusters}",
                "they share a group, so that none is learnt from and judged at once",
            )
        )
    if own is not None and held is not None:
        both = len(np.intersect1d(own[:n], own[n:]))
        if both:
            why = "the test part was given, so it is taken as it is; scores may be optimistic"
            train = train.say(Decision(f"{both} groups lie in both training and test part", why))
    return train, held, groups[:n], groups[n:]


def _both(first: Any, second: Any) -> Any:
    if hasattr(first, "iloc"):
        import pandas as pd

        return pd.concat([first, second], ignore_index=True)
    return [*first, *second]


def _without_leaks(
    train: Part, leaked: IntArray, test_codes: IntArray, train_codes: IntArray, held: Part
) -> Part:
    first = {int(code): held.ids[i] for i, code in reversed(list(enumerate(test_codes)))}
    reasons = {int(i): f"repeats the test item {first[int(train_codes[i])]}" for i in leaked}
    if len(reasons) == train.n:
        raise DataError(
            "every training item repeats a test item",
            where=train.origin,
            got=held.origin,
            hint="Give a test part of items that are not in the training part",
        )
    return train.leave_out(reasons).say(
        Decision(
            f"{len(reasons)} training items that repeat a test item are left out",
            "what judges must not be learnt from",
            "each is listed as skipped",
        )
    )


def _conflicts(part: Part, exact: tuple[tuple[int, ...], ...]) -> tuple[Decision, ...]:
    if part.labels is None:
        return ()
    conflicting = []
    for cluster in exact:
        inside = [i for i in cluster if i < part.n]
        if len({part.labels[i] for i in inside}) > 1:
            conflicting.append(inside)
    if not conflicting:
        return ()
    example = " and ".join(part.ids[i] for i in conflicting[0][:3])
    return (
        Decision(
            f"{len(conflicting)} sets of identical items have different labels",
            f"kept, but no model can be right on all of them (such as {example})",
            "headstart check lists them",
        ),
    )


def _own_groups(train: Part, held: Part | None) -> IntArray | None:
    """Return codes of the user's groups; an item without one is a group of its own."""
    if train.groups is None:
        return None
    values = list(train.groups)
    if held is not None:
        values += held.groups if held.groups is not None else [None] * held.n
    seen: dict[str, int] = {}
    codes = np.empty(len(values), dtype=np.int64)
    for i, value in enumerate(values):
        name = f"alone {i}" if is_missing(value) else f"group {str(value).strip()}"
        codes[i] = seen.setdefault(name, len(seen))
    return codes


def components(first: IntArray, second: IntArray) -> IntArray:
    """Return the groups that join items which are together in either grouping.

    Parameters
    ----------
    first, second : ndarray of shape (n,), int
        Two groupings of the same items.

    Returns
    -------
    ndarray of shape (n,), int64
        Codes from 0, in the order of first appearance.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a = np.unique(first, return_inverse=True)[1].reshape(-1)
    b = np.unique(second, return_inverse=True)[1].reshape(-1) + (a.max(initial=-1) + 1)
    size = int(b.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(size, size))
    found = connected_components(graph, directed=False)[1][a]
    _, start, codes = np.unique(found, return_index=True, return_inverse=True)
    order = np.empty(len(start), dtype=np.int64)
    order[np.argsort(start)] = np.arange(len(start))
    return order[codes.reshape(-1)]
