"""TASKS, whatever their form, as one list of items with classes and families of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart import data as data_room
from headstart import parallel
from headstart.core.errors import DataError, OptionError
from headstart.core.types import (
    SILENT,
    Decision,
    IntArray,
    Modality,
    Reporter,
    Skipped,
    Task,
)
from headstart.data.folders import hidden
from headstart.data.grouping import components
from headstart.data.tables import table_ending
from headstart.meta.episodes import ClassItems

_SPLITS = ("train", "training", "test", "testing", "val", "valid", "validation")


@dataclass(frozen=True, eq=False)
class Collection:
    """Items of many classes.

    Parameters
    ----------
    modality : {"image", "text"}
    items : list
    classes : tuple of ClassItems
    families : tuple of ndarray of int
        The classes of each task; one family where TASKS is one DATA.
    names : tuple of str
        Of the families.
    origin : str
        What the user gave.
    decisions : tuple of Decision
    skipped : tuple of Skipped
    """

    modality: Modality
    items: list[Any]
    classes: tuple[ClassItems, ...]
    families: tuple[IntArray, ...]
    names: tuple[str, ...]
    origin: str
    decisions: tuple[Decision, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def of_tasks(self) -> bool:
        """Whether TASKS were tasks, not the classes of one DATA."""
        return len(self.families) > 1


def read_collection(
    tasks: Any,
    *,
    label: str | None = None,
    text: str | None = None,
    path: str | None = None,
    modality: Modality | None = None,
    reporter: Reporter = SILENT,
) -> Collection:
    """Read TASKS: a folder of many tasks, a dict of them, or one DATA with many classes.

    Parameters
    ----------
    tasks : path, mapping of str to DATA, or DATA
        A folder whose sub-folders hold class folders, or that holds two tables or more, is a
        folder of tasks; every other path, and everything else than a mapping, is one DATA.
    label, text, path, modality
        As for ``fit``; they hold for every task.
    reporter : Reporter

    Raises
    ------
    DataError
        A task cannot be read, or has one class only: its name is told.
    OptionError
        The items are neither images nor texts, or no classes are to be told apart.
    """
    asked: dict[str, Any] = {"label": label, "text": text, "path": path, "modality": modality}
    found = _tasks(tasks)
    if found is None:
        read = {"": data_room.read(tasks, **asked, reporter=reporter)}
    else:
        read = {name: _read(name, data, asked, reporter) for name, data in found.items()}
    origin = str(tasks) if isinstance(tasks, str | Path) else "TASKS"
    return _joined({name: _whole(task) for name, task in read.items()}, origin)


def _tasks(tasks: Any) -> dict[str, Any] | None:
    """Return the tasks by name; None where TASKS is one DATA."""
    if isinstance(tasks, Mapping) and not hasattr(tasks, "columns") and "train" not in tasks:
        return {str(name): data for name, data in tasks.items()}
    if not isinstance(tasks, str | Path) or not Path(tasks).expanduser().is_dir():
        return None
    inside = sorted(p for p in Path(tasks).expanduser().iterdir() if not hidden(p.name))
    folders = [p for p in inside if p.is_dir()]
    if any(p.name.lower() in _SPLITS for p in folders):
        return None
    if folders and all(_has_folders(p) for p in folders):
        return {p.name: p for p in folders}
    tables = [p for p in inside if p.is_file() and table_ending(p)]
    if not folders and len(tables) > 1:
        return {p.stem: p for p in tables}
    return None


def _has_folders(folder: Path) -> bool:
    return any(p.is_dir() and not hidden(p.name) for p in folder.iterdir())


def _read(name: str, data: Any, asked: dict[str, Any], reporter: Reporter) -> Task:
    """Read one task; what is wrong with it is told with its name."""
    try:
        return data_room.read(data, **asked, reporter=reporter)
    except DataError as error:
        where = f"task {name!r}" + (f", {error.where}" if error.where else "")
        raise type(error)(
            error.what, where=where, got=error.got, allowed=error.allowed, hint=error.hint
        ) from error


def _whole(task: Task) -> Task:
    """Return a task with its test part among its items: whole classes are held out here."""
    if task.modality not in ("image", "text"):
        raise OptionError(
            "meta-training takes images and texts", where=task.origin, got=task.modality
        )
    if task.kind != "classification":
        raise OptionError(
            "meta-training takes tasks with classes, not with numbers to predict",
            where=task.origin,
            got=task.label_name,
        )
    held = task.test
    if held is None:
        return task
    assert task.labels is not None
    assert held.labels is not None
    return replace(
        task,
        items=[*task.items, *held.items],
        labels=np.concatenate([task.labels, held.labels]),
        ids=(*task.ids, *held.ids),
        groups=np.concatenate([task.groups, held.groups]),
        test=None,
        decisions=(
            *task.decisions,
            Decision("the test part is joined", "whole classes are held out instead"),
        ),
        skipped=(*task.skipped, *held.skipped),
    )


def _joined(tasks: Mapping[str, Task], origin: str) -> Collection:
    kinds = sorted({task.modality for task in tasks.values()})
    if len(kinds) > 1:
        raise DataError("the tasks are of different modalities", where=origin, got=kinds)
    items = [item for task in tasks.values() for item in task.items]
    groups = _groups(items, [task.groups for task in tasks.values()])
    start = 0
    classes: list[ClassItems] = []
    families: list[IntArray] = []
    decisions: list[Decision] = []
    skipped: list[Skipped] = []
    for name, task in tasks.items():
        assert task.labels is not None
        prefix = f"{name}/" if name else ""
        family = []
        for label in task.classes:
            places = np.flatnonzero(task.labels == label)
            if not len(places):
                continue
            family.append(len(classes))
            places += start
            classes.append(ClassItems(f"{prefix}{label}", places, groups[places]))
        families.append(np.array(family))
        start += len(task.items)
        decisions += task.decisions
        skipped += task.skipped
    return Collection(
        modality=kinds[0],
        items=items,
        classes=tuple(classes),
        families=tuple(families),
        names=tuple(tasks),
        origin=origin,
        decisions=tuple(dict.fromkeys(decisions)),
        skipped=tuple(skipped),
    )


def _groups(items: list[Any], by_task: list[IntArray]) -> IntArray:
    """Return groups that hold across tasks: those that share an item's content are one."""
    if len(by_task) < 2:
        return by_task[0]
    bases = np.cumsum([0, *(len(own) for own in by_task)])
    own = np.concatenate(
        [
            base + np.unique(groups, return_inverse=True)[1]
            for base, groups in zip(bases, by_task, strict=False)
        ]
    )
    first: dict[bytes, int] = {}
    workers = None if isinstance(items[0], Path) else 1
    hashed = parallel.map(data_room.content_hash, items, workers=workers)
    return components(own, np.array([first.setdefault(key, len(first)) for key in hashed]))
