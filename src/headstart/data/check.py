"""Problems in the data, before anything is trained."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.core.types import SILENT, AnyArray, FloatArray, IntArray, Reporter, Skipped, Task
from headstart.data.check_items import check_items
from headstart.data.duplicates import DuplicateReport, duplicate_groups
from headstart.data.findings import CheckReport, Finding, found, many, worst_first
from headstart.data.suspects import suspects

TINY_CLASS = 5
"""Classes with fewer items than this are named."""
FEW = 2
IMBALANCE_INFO, IMBALANCE_WARNING = 3.0, 10.0
"""From how many times the smallest class the largest one is told, and warned of."""
UNREADABLE = 0.05
"""From this share on, unreadable items are an error."""
REPEATS = 0.1
"""From this share on, repeated items are a warning."""

_LEAK = re.compile(r"repeats the test item (.*)", re.DOTALL)


def check(
    task: Task,
    *,
    probabilities: FloatArray | None = None,
    also: Sequence[Finding] = (),
    reporter: Reporter = SILENT,
) -> CheckReport:
    """Look for problems in a task's data.

    Unreadable items, exact and near duplicates, the same content under two labels, test items
    among the training items, missing, tiny and imbalanced classes, class names that differ in
    case or spaces only, columns that tell nothing, empty texts, odd images, and labels that are
    probably wrong.

    Parameters
    ----------
    task : Task
        Labelled or not, with or without a test part.
    probabilities : ndarray of shape (n, k), optional
        Out-of-fold class probabilities, columns as in ``task.classes``; suspect labels are looked
        for only if they are given.
    also : sequence of Finding
        What others found.

    Returns
    -------
    CheckReport
        Findings, worst first.

    Raises
    ------
    OptionError
        The probabilities do not fit the task.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.core.types import Task
    >>> from headstart.data import check
    >>> labels = np.array(["spam", "ham", "spam"], object)
    >>> task = Task("text", "classification", ["win now", "see you", "win now"], labels,
    ...             ("row 1", "row 2", "row 3"), np.arange(3), classes=("ham", "spam"))
    >>> [(finding.kind, finding.items) for finding in check(task).findings]
    [('exact-duplicates', ('row 3',)), ('tiny-classes', ('ham', 'spam'))]
    """
    items = task.items if task.test is None else _both(task.items, task.test.items)
    copies = duplicate_groups(items, task.modality, reporter=reporter)
    findings = [*_skipped(task, copies.unreadable), *_duplicates(task, copies)]
    findings += _leakage(task, copies)
    findings += _conflicts(task, copies)
    if task.kind == "classification" and task.labels is not None:
        findings += _classes(task)
        if probabilities is not None:
            findings += _suspects(task, probabilities)
    elif task.labels is not None:
        findings += _values(task)
    findings += [*check_items(task, reporter=reporter), *also]
    findings = list(worst_first(findings))
    counts = {
        "items": task.n,
        "test_items": task.test.n if task.test is not None else 0,
        "classes": len(task.classes),
        **{
            f"{severity}s": sum(finding.severity == severity for finding in findings)
            for severity in ("error", "warning", "info")
        },
    }
    return CheckReport(tuple(findings), counts)


def _both(first: Any, second: Any) -> Any:
    if hasattr(first, "iloc"):
        import pandas as pd

        return pd.concat([first, second], ignore_index=True)
    return [*first, *second]


def _ids(task: Task) -> list[str]:
    return [*task.ids, *(f"test: {name}" for name in (task.test.ids if task.test else ()))]


def _skipped(task: Task, unreadable: dict[int, str]) -> list[Finding]:
    ids = _ids(task)
    left = [*task.skipped, *(task.test.skipped if task.test is not None else ())]
    left += [Skipped(ids[i], reason) for i, reason in sorted(unreadable.items())]
    leaks = [skipped for skipped in left if _LEAK.fullmatch(skipped.reason)]
    broken = [skipped for skipped in left if not _LEAK.fullmatch(skipped.reason)]
    total = len(ids) + len(broken) - len(unreadable)
    grave = len(broken) > UNREADABLE * total
    return [
        *_listed(
            "unreadable",
            "error" if grave else "warning",
            broken,
            f"{many(len(broken), 'item')} of {total:,} cannot be used",
            "repair or remove them; they are skipped",
        ),
        *_listed(
            "leakage",
            "warning",
            leaks,
            f"{many(len(leaks), 'training item')} repeat a test item",
            "they are left out of the training part, so that the test part judges honestly",
        ),
    ]


def _listed(
    kind: str, severity: Any, skipped: list[Skipped], text: str, advice: str
) -> list[Finding]:
    names = [entry.item for entry in skipped]
    return found(kind, severity, names, text, advice, notes=[entry.reason for entry in skipped])


def _duplicates(task: Task, copies: DuplicateReport) -> list[Finding]:
    ids, findings = _ids(task), []
    for kind, clusters, word in (
        ("exact-duplicates", copies.exact, "exactly"),
        ("near-duplicates", _beyond(copies), "nearly"),
    ):
        pairs = [(i, cluster[0]) for cluster in clusters for i in cluster[1:]]
        share = len(pairs) / max(len(ids), 1)
        verb = "repeats" if len(pairs) == 1 else "repeat"
        grouped = all(copies.groups[i] == copies.groups[first] for i, first in pairs)
        findings += found(
            kind,
            "warning" if grouped and share > REPEATS else "info",
            [ids[i] for i, _ in pairs],
            f"{many(len(pairs), 'item')} {verb} another one {word}",
            "they share a group, so that no split learns from one and is judged on the other"
            if grouped
            else copies.notes[-1],
            notes=[f"repeats {ids[first]}" for _, first in pairs],
        )
    return findings


def _beyond(copies: DuplicateReport) -> list[tuple[int, ...]]:
    """Return near clusters with one member for each set of exact copies."""
    repeats = {i for cluster in copies.exact for i in cluster[1:]}
    return [tuple(i for i in cluster if i not in repeats) for cluster in copies.near]


def _leakage(task: Task, copies: DuplicateReport) -> list[Finding]:
    if task.test is None:
        return []
    n = task.n
    first: dict[int, int] = {}
    for i, code in enumerate(copies.groups[n:].tolist()):
        first.setdefault(code, i)
    pairs = [(i, first[code]) for i, code in enumerate(copies.groups[:n].tolist()) if code in first]
    return found(
        "leakage",
        "error",
        [task.ids[i] for i, _ in pairs],
        f"{many(len(pairs), 'training item')} repeat a test item, exactly or nearly",
        "remove them from the training part, or scores on the test part are too good",
        notes=[f"repeats {task.test.ids[j]}" for _, j in pairs],
    )


def _conflicts(task: Task, copies: DuplicateReport) -> list[Finding]:
    if task.labels is None:
        return []
    labels: list[Any] = list(task.labels)
    if task.test is not None:
        labels += list(task.test.labels) if task.test.labels is not None else [None] * task.test.n
    ids, findings = _ids(task), []
    numbers = task.kind == "regression"
    for kind, clusters, same in (
        ("conflicting-labels", copies.exact, "the same content"),
        ("near-conflicts", _beyond(copies), "nearly the same content"),
    ):
        pairs = [
            (i, cluster[0])
            for cluster in clusters
            for i in cluster[1:]
            if None not in (labels[i], labels[cluster[0]]) and labels[i] != labels[cluster[0]]
        ]
        findings += found(
            kind,
            "info" if numbers else "warning",
            [ids[i] for i, _ in pairs],
            f"{many(len(pairs), 'item')} with {same} as another one, but another "
            + ("value" if numbers else "label"),
            "decide which is right; a model cannot learn both",
            notes=[f"{labels[i]}, but {ids[j]} is {labels[j]}" for i, j in pairs],
        )
    return findings


def _classes(task: Task) -> list[Finding]:
    assert task.labels is not None
    counts = Counter(task.labels.tolist())
    sizes = {name: counts.get(name, 0) for name in task.classes}
    judged = task.test.labels if task.test is not None else None
    held = set(judged.tolist()) if judged is not None else set(task.classes)
    small = [name for name, size in sizes.items() if size < TINY_CLASS]
    unseen = sorted(held - set(task.classes), key=str)
    unjudged = [name for name in task.classes if name not in held]
    alone = any(sizes[name] < FEW for name in small)
    return [
        *(_one_class(task) if len(task.classes) < FEW else []),
        *found(
            "tiny-classes",
            "warning",
            small,
            f"{many(len(small), 'class')} with fewer than {TINY_CLASS} items",
            "label more items of them"
            + (": a class of one cannot be learnt from and judged at once" if alone else ""),
            notes=[many(sizes[name], "item") for name in small],
        ),
        *_imbalance(sizes),
        *found(
            "unseen-classes",
            "error",
            unseen,
            f"{many(len(unseen), 'class')} of the test part have no training items",
            "no model can predict them: add training items or drop them from the test part",
        ),
        *found(
            "unjudged-classes",
            "info",
            unjudged,
            f"{many(len(unjudged), 'class')} have no items in the test part",
            "the score says nothing about them",
        ),
        *_variants(task.classes),
    ]


def _one_class(task: Task) -> list[Finding]:
    text = f"there is {'only one class' if task.classes else 'no class'}"
    return [
        Finding("one-class", "error", len(task.classes), task.classes, text, "label a second class")
    ]


def _imbalance(sizes: dict[str, int]) -> list[Finding]:
    if len(sizes) < FEW or min(sizes.values()) < 1:
        return []
    most, least = max(sizes, key=lambda name: sizes[name]), min(sizes, key=lambda name: sizes[name])
    ratio = sizes[most] / sizes[least]
    if ratio < IMBALANCE_INFO:
        return []
    return found(
        "imbalance",
        "warning" if ratio >= IMBALANCE_WARNING else "info",
        [most, least],
        f"the largest class has {ratio:.0f} times the items of the smallest",
        "label more items of the small classes; judge by macro_f1 or balanced_accuracy",
        notes=[many(sizes[name], "item") for name in (most, least)],
    )


def _variants(classes: tuple[str, ...]) -> list[Finding]:
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault(re.sub(r"[\s_-]+", " ", str(name)).strip().casefold(), []).append(name)
    pairs = [(name, names[0]) for names in alike.values() for name in names[1:]]
    return found(
        "label-variants",
        "warning",
        [name for name, _ in pairs],
        f"{many(len(pairs), 'class')} differ from another one only in case, spaces or dashes",
        "if they mean the same, rename them; they are learnt as different classes",
        notes=[f"{name!r} and {first!r}" for name, first in pairs],
    )


def _values(task: Task) -> list[Finding]:
    assert task.labels is not None
    values: AnyArray = np.asarray(task.labels, np.float64)
    if len(values) < FEW or np.ptp(values) > 0:
        return []
    text = f"every value of {task.label_name} is {values[0]:g}"
    return [Finding("one-value", "error", len(values), (), text, "there is nothing to predict")]


def _suspects(task: Task, probabilities: FloatArray) -> list[Finding]:
    assert task.labels is not None
    labels = task.labels
    order: IntArray = suspects(labels.tolist(), probabilities, task.classes)
    best = np.asarray(probabilities).argmax(axis=1)
    return found(
        "suspect-labels",
        "warning",
        [task.ids[i] for i in order],
        f"{many(len(order), 'label')} may be wrong: a model that has not seen the item is "
        "confident of another class",
        "look at them, the first ones first; correct what is wrong",
        notes=[f"labelled {labels[i]}, looks like {task.classes[best[i]]}" for i in order],
    )
