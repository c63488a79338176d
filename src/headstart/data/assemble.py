"""Parts of DATA -> a `Task`: labels judged, features read, groups found, everything checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart import parallel
from headstart.core.errors import DataError
from headstart.core.types import AnyArray, Decision, IntArray, Kind, Reporter, Skipped, Task
from headstart.data.columns import apply_columns, bare, fit_columns
from headstart.data.content import content_hash
from headstart.data.decodable import readable
from headstart.data.folders import LABEL
from headstart.data.grouping import grouped
from headstart.data.labels import (
    check_classes,
    check_numbers,
    infer_kind,
    to_classes,
    to_numbers,
    unlabelled,
)
from headstart.data.part import Part, is_missing, shown


@dataclass(frozen=True)
class Rules:
    """How parts become a task: what `headstart.data.read` was told."""

    labelled: bool
    kind: Kind | None
    allow_unreadable: float
    keep: tuple[str, ...]
    duplicates: bool
    judging: bool
    reporter: Reporter


def assemble(train: Part, held: Part | None, rules: Rules) -> Task:
    """Turn the training part, and the test part where there is one, into a task.

    Raises
    ------
    DataError
        Nothing to learn from or to judge by; the classes, rows and columns concerned are named.
    UnreadableError
        Too many images cannot be decoded.
    """
    found_train, found_test = train.n, held.n if held else 0
    pool = _pool(train) if rules.labelled else None
    kind, train, held = _with_labels(train, held, rules)
    train = _decoded(train, found_train, rules)
    held = None if held is None else _decoded(held, found_test, rules)
    for part in (train, held):
        if part is not None and not part.n:
            raise DataError(
                "no item is left",
                where=part.origin,
                got=_reasons(part.skipped),
            )
    if train.modality == "table":
        train, held = _features(train, held, rules)
    if pool is not None:
        train = train.say(_of_pool(pool))
    train, held = _finished_labels(train, held, kind)
    classes = (
        () if train.labels is None or kind == "regression" else tuple(sorted(set(train.labels)))
    )
    train, held, groups, held_groups = grouped(
        train, held, duplicates=rules.duplicates, reporter=rules.reporter
    )
    if train.labels is not None and not rules.judging:
        train = _checked(train, held, kind, classes)
    test = None if held is None else _as_task(held, kind, classes, held_groups, None)
    task = _as_task(train, kind, classes, groups, test)
    return task if pool is None else replace(task, unlabelled=_pooled(pool, task, rules))


def _pool(train: Part) -> Part | None:
    """Return the items that have no label where others have one; None where there are none."""
    missing = [i for i, value in enumerate(train.labels or ()) if is_missing(value)]
    return train.only(missing) if missing and len(missing) < train.n else None


def _of_pool(pool: Part) -> Decision:
    return Decision(
        f"{pool.n:,} items have no label",
        "they are not learnt from; which of them to label next is said at the end",
    )


def _pooled(pool: Part, task: Task, rules: Rules) -> Task | None:
    """Return the unlabelled items as a task of its own; None where none of them can be read."""
    pool = readable(pool, pool.n, allowed=1.0, reporter=rules.reporter)
    if task.modality == "table":
        types = dict(task.items.attrs["column_types"])
        pool = _without_blank_rows(
            replace(pool, items=apply_columns(pool.items, types, pool.origin)[0])
        )
    if not pool.n:
        return None
    return _as_task(pool, task.kind, task.classes, np.arange(pool.n), None)


def _decoded(part: Part, found: int, rules: Rules) -> Part:
    return readable(part, found, allowed=rules.allow_unreadable, reporter=rules.reporter)


def _reasons(skipped: tuple[Skipped, ...]) -> str:
    reasons = [entry.reason for entry in skipped]
    counted = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons[:1000])}
    return ", ".join(f"{count} x {reason}" for reason, count in counted.items())


def _with_labels(train: Part, held: Part | None, rules: Rules) -> tuple[Kind, Part, Part | None]:
    """Find the kind of task, and leave out items without a label."""
    if not rules.labelled or train.labels is None:
        if rules.labelled:
            raise DataError("there are no labels", where=train.origin, hint="Give them with label=")
        return rules.kind or "classification", replace(train, labels=None), held
    train = train.leave_out(unlabelled(train.labels, rules.kind))
    kind = rules.kind
    if kind is None and train.labels and train.label_name != LABEL:
        kind, why = infer_kind(train.labels, train.label_name)
        train = train.say(*([why] if why else []))
    kind = kind or "classification"
    if kind == "regression" and train.labels:
        train = train.leave_out(unlabelled(train.labels, kind))
    if held is None:
        return kind, train, None
    if held.labels is None:
        raise DataError("the test part has no labels", where=held.origin)
    return kind, train, held.leave_out(unlabelled(held.labels, kind))


def _finished_labels(train: Part, held: Part | None, kind: Kind) -> tuple[Part, Part | None]:
    parts: list[Part | None] = []
    for part in (train, held):
        if part is None or part.labels is None:
            parts.append(part)
        elif kind == "regression":
            numbers = to_numbers(part.labels, part.label_name, part.ids)
            parts.append(replace(part, labels=list(numbers)))
        else:
            names, decisions = to_classes(part.labels)
            parts.append(replace(part, labels=list(names)).say(*decisions))
    first = parts[0]
    assert first is not None
    return first, parts[1]


def _features(train: Part, held: Part | None, rules: Rules) -> tuple[Part, Part | None]:
    names = tuple(str(name) for name in train.items.columns)
    frame, decisions = fit_columns(train.items, names, rules.keep, train.origin)
    train = _without_blank_rows(replace(train, items=frame).say(*decisions))
    if held is None:
        return train, None
    types = dict(frame.attrs["column_types"])
    held = replace(held, items=apply_columns(held.items, types, held.origin)[0])
    return train, _without_blank_rows(held)


def _without_blank_rows(part: Part) -> Part:
    blank = np.flatnonzero(part.items.isna().all(axis="columns").to_numpy())
    return part.leave_out({int(i): "no value in any feature column" for i in blank})


def _checked(train: Part, held: Part | None, kind: Kind, classes: tuple[str, ...]) -> Part:
    labels = _label_array(train, kind)
    if kind == "regression":
        check_numbers(labels, train.origin)
        return train
    train = train.say(*check_classes(labels, train.origin, judged=held is not None))
    gone = sorted(set(classes) - set(labels))
    if gone:
        raise DataError(
            f"classes are gone from the training part: {shown(gone)}",
            where=train.origin,
            hint="All their items repeat test items; remove those from the test part",
        )
    unseen = sorted(set(held.labels or ()) - set(classes)) if held is not None else []
    if unseen and held is not None:
        raise DataError(
            f"the test part has classes that the training part has not: {shown(unseen)}",
            where=held.origin,
            got=f"{sum(label in set(unseen) for label in held.labels or ())} such items",
            allowed=shown(list(classes), 20),
            hint="Remove those items or add training items of those classes",
        )
    return train


def _label_array(part: Part, kind: Kind) -> AnyArray:
    if kind == "regression":
        return np.array(part.labels, dtype=np.float64)
    out = np.empty(part.n, dtype=object)
    out[:] = part.labels
    return out


def _as_task(
    part: Part, kind: Kind, classes: tuple[str, ...], groups: IntArray, test: Task | None
) -> Task:
    labels = None if part.labels is None else _label_array(part, kind)
    domains = None
    if part.domains is not None:
        domains = np.array([str(value) for value in part.domains], dtype=object)
    return Task(
        modality=part.modality,
        kind=kind,
        items=part.items,
        labels=labels,
        ids=tuple(part.ids),
        groups=groups,
        classes=classes,
        domains=domains,
        test=test,
        label_name=part.label_name,
        origin=part.origin,
        fingerprint=fingerprint(part.items, labels),
        decisions=part.decisions,
        skipped=part.skipped,
        grouped=part.groups is not None,
    )


def fingerprint(items: Any, labels: AnyArray | None) -> str:
    """Return the sha256 over the items' contents and labels, in order.

    Parameters
    ----------
    items : sequence or DataFrame of length n
    labels : ndarray of shape (n,) or None
    """
    digest = hashlib.sha256()
    if hasattr(items, "iloc"):
        items = bare(items)
        for name in items.columns:
            values = items[name].to_numpy()
            digest.update(f"column {name}\0".encode())
            if values.dtype.kind == "O":
                digest.update("\0".join(map(str, values)).encode("utf-8", "surrogatepass"))
            else:
                digest.update(np.ascontiguousarray(values).tobytes())
    else:
        for hashed in parallel.map(content_hash, items, workers=_hashers(items)):
            digest.update(hashed)
    if labels is not None:
        digest.update(b"labels\0")
        digest.update("\0".join(map(str, labels.tolist())).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _hashers(items: Any) -> int | None:
    return None if len(items) and isinstance(items[0], Path) else 1
