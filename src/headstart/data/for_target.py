"""TARGET_DATA -> the items of another domain, of which all, some or none have a label."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import SILENT, AnyArray, Decision, Reporter, Task
from headstart.data.assemble import fingerprint
from headstart.data.folders import LABEL, class_folders
from headstart.data.labels import class_name
from headstart.data.part import is_missing, shown
from headstart.data.reading import read, unreachable
from headstart.data.tables import Sheet, check_header, read_table, table_ending


@dataclass(frozen=True, eq=False)
class Target:
    """Items of the target domain.

    Parameters
    ----------
    task : Task
        All items; ``labels`` holds a class or a number, or None where there is none.
    decisions : tuple of Decision
        What reading decided.
    """

    task: Task
    decisions: tuple[Decision, ...] = ()

    @property
    def labels(self) -> AnyArray:
        """Array of m objects: a class or a number, or None."""
        assert self.task.labels is not None
        return self.task.labels

    @property
    def known(self) -> AnyArray:
        """Places of the items that have a label."""
        return np.flatnonzero([label is not None for label in self.labels])


def read_target(
    data: Any,
    source: Task,
    *,
    label: str | None = None,
    text: str | None = None,
    path: str | None = None,
    labels: Any = None,
    allow_unreadable: float = 0.05,
    reporter: Reporter = SILENT,
) -> Target:
    """Read the items of the target domain, and the labels that some of them have.

    Parameters
    ----------
    data : as for `headstart.data.read`
        A label counts where it stands in the label column, or where sub-folders are called after
        the classes of the source.
    source : Task
        The labelled data of the source: the target has its modality, and classes among its own.
    label, text, path : str, optional
        Columns; those of the source where the target has them, else they are inferred.
    labels : path, DataFrame or mapping, optional
        Labels of some items by the name of the item (``row 17`` or ``17``, the path within DATA,
        or the text itself): a table of two columns, or a dict.
    allow_unreadable : float in [0, 1]
    reporter : Reporter

    Returns
    -------
    Target

    Raises
    ------
    DataError
        Another modality than the source's, classes that the source does not have, or labels of
        items that are not there; the file and the row are named.

    Examples
    --------
    >>> from headstart.data import read
    >>> source = read(["good", "fine", "bad", "poor"], label=["y", "y", "n", "n"])
    >>> read_target(["great", "awful", "so so"], source).task.n
    3
    """
    data = _sheet(data)  # a table file is read once
    given = _given(data, {"text": text, "path": path})
    given |= {"allow_unreadable": allow_unreadable, "reporter": reporter, "duplicates": False}
    if source.modality == "table":
        given["keep"] = tuple(source.items.columns)
    column = _label_column(data, source, label)
    folders = column is LABEL
    if isinstance(data, Sheet) and column is None and not {"text", "path"} & set(given):
        check_header(data)
    if column is None:
        task = read(data, labelled=False, modality=source.modality, **given)
        found: list[Any] = [None] * task.n
    else:
        task, found = _with_labels(
            read(
                data,
                label=None if folders else column,
                kind=source.kind,
                judging=True,
                modality=source.modality,
                **given,
            )
        )
    decisions = list(task.decisions)
    if labels is not None:
        found, said = _named(found, task, labels, source)
        decisions += said
    if source.kind == "classification":
        _among(found, task, source)
    array = np.empty(task.n, dtype=object)
    array[:] = found
    task = replace(
        task,
        labels=array,
        classes=source.classes,
        test=None,
        unlabelled=None,
        fingerprint=fingerprint(task.items, array),
    )
    return Target(task, tuple(decisions))


def _sheet(data: Any) -> Any:
    """Return what a table file holds; other data as they are."""
    if isinstance(data, str | Path):
        place = Path(data).expanduser()
        if place.is_file() and table_ending(place) is not None:
            try:
                return read_table(place, trust_header=True)
            except OSError as error:
                raise unreachable(error, data) from error
    return data


def _given(data: Any, wanted: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the columns that were named for the source, where the target has them."""
    names = _columns(data)
    return {key: name for key, name in wanted.items() if name is not None and name in (names or ())}


def _columns(data: Any) -> list[str] | None:
    """Return the columns of a table; None for what has none."""
    frame = data.frame if isinstance(data, Sheet) else data
    if hasattr(frame, "iloc") and hasattr(frame, "columns"):
        return [str(name) for name in frame.columns]
    return None


def _label_column(data: Any, source: Task, label: str | None) -> Any:
    """Return where labels are: a column, LABEL for sub-folders, an array; None for nowhere."""
    if isinstance(data, tuple) and len(data) == 2:
        return LABEL
    names = _columns(data)
    if names is not None:
        wanted = label if label is not None else source.label_name
        return wanted if wanted in names and _any_label(data, wanted) else None
    if isinstance(data, str | Path):
        place = Path(data).expanduser()
        if place.is_dir():
            return LABEL if class_folders(place) & set(source.classes) else None
    return None


def _any_label(data: Any, column: str) -> bool:
    frame = data.frame if isinstance(data, Sheet) else data
    values = frame.iloc[:, [str(name) for name in frame.columns].index(column)]
    return any(not is_missing(value) for value in values)


def _with_labels(task: Task) -> tuple[Task, list[Any]]:
    """Return all items as one task, with the labels of those that have one."""
    assert task.labels is not None
    if task.test is not None:
        raise DataError(
            "the target has a test part of its own",
            where=task.origin,
            hint="Give one of its parts as TARGET_DATA",
        )
    pool, found = task.unlabelled, list(task.labels)
    if pool is None:
        return task, found
    waiting = set(pool.ids)
    whole = replace(
        joined(replace(task, labels=None), pool),
        skipped=tuple(one for one in task.skipped if one.item not in waiting),
        decisions=tuple(one for one in task.decisions if "have no label" not in one.what),
    )
    return whole, found + [None] * pool.n


def joined(task: Task, more: Task) -> Task:
    """Return the items of two tasks of one kind as one; labels where both have them."""
    if hasattr(task.items, "iloc"):
        import pandas as pd

        items = pd.concat([task.items, more.items], ignore_index=True)
        items.attrs = dict(task.items.attrs)
    else:
        items = [*task.items, *more.items]
    labels = domains = None
    if task.labels is not None and more.labels is not None:
        labels = np.concatenate([task.labels, more.labels])
    if task.domains is not None and more.domains is not None:
        domains = np.concatenate([task.domains, more.domains])
    return replace(
        task,
        items=items,
        labels=labels,
        ids=(*task.ids, *more.ids),
        groups=np.arange(task.n + more.n),
        domains=domains,
        fingerprint=task.fingerprint if labels is None else fingerprint(items, labels),
    )


def _named(
    found: list[Any], task: Task, labels: Any, source: Task
) -> tuple[list[Any], list[Decision]]:
    """Return the labels with those of a table of names and labels put in."""
    places = _places(task)
    where = _origin(labels)
    given: dict[int, tuple[Any, int]] = {}
    for row, (name, label) in enumerate(_pairs(labels), start=1):
        if is_missing(label):
            continue
        at = places.get(str(name).strip())
        if at is None:
            raise DataError(
                "an item that the target does not have",
                where=f"{where}, row {row}",
                got=str(name)[:80],
                allowed=shown(list(task.ids)),
                hint="Name items by their row, by their path within DATA, or by their text",
            )
        read = _as_source(label, source, f"{where}, row {row}")
        if at in given and given[at][0] != read:
            raise DataError(
                "two labels for one item",
                where=f"{where}, row {row}",
                got=f"{read!r}, and {given[at][0]!r} in row {given[at][1]}",
                hint="Leave one of them",
            )
        given[at] = (read, row)
    if not given:
        raise DataError("there is no label", where=where, hint="Give an item and its label a row")
    said = [Decision(f"{len(given):,} labels of the target", f"from {where}")]
    other = sum(found[at] not in (None, label) for at, (label, _) in given.items())
    if other:
        said.append(
            Decision(f"{other} labels of the target are replaced", f"{where} says otherwise")
        )
    return [given[at][0] if at in given else label for at, label in enumerate(found)], said


def _as_source(label: Any, source: Task, where: str) -> Any:
    """Return a label as the source has them: the name of one of its classes, or a number."""
    if source.kind == "regression":
        try:
            number = float(label)
        except (TypeError, ValueError):
            number = np.nan
        if not np.isfinite(number):
            raise DataError(
                "a label that is not a number, as those of the source are", where=where, got=label
            )
        return number
    read = class_name(label)
    if read not in source.classes:
        folded = {name.casefold(): name for name in source.classes}
        near = difflib.get_close_matches(str(read).casefold(), folded, n=1)
        raise DataError(
            "a class that the source has not",
            where=where,
            got=read,
            allowed=shown(list(source.classes), 20),
            hint=f"Did you mean {folded[near[0]]!r}?" if near else None,
        )
    return read


def _places(task: Task) -> dict[str, int]:
    """Return where each item stands, by every name that it has."""
    places: dict[str, int] = {}
    for place, name in enumerate(task.ids):
        places.setdefault(name, place)
        places.setdefault(name.removeprefix("row "), place)
    if task.modality == "text":
        for place, text in enumerate(task.items):
            places.setdefault(str(text).strip(), place)
    return places


def _origin(labels: Any) -> str:
    return str(labels) if isinstance(labels, str | Path) else "target labels"


def _pairs(labels: Any) -> list[tuple[Any, Any]]:
    """Return names of items with their labels."""
    if isinstance(labels, Mapping):
        return list(labels.items())
    if hasattr(labels, "iloc") and not hasattr(labels, "columns"):  # a Series
        return list(zip(labels.index, labels, strict=True))
    if hasattr(labels, "iloc") and hasattr(labels, "columns"):
        frame = labels
    elif not Path(labels).expanduser().is_file():
        raise DataError("there is no such file", where=str(labels))
    else:
        frame = read_table(Path(labels).expanduser(), trust_header=True).frame
    if frame.shape[1] != 2:
        raise DataError(
            "labels of the target come in two columns: the item, and its label",
            where=_origin(labels),
            got=", ".join(str(name) for name in frame.columns),
        )
    first, second = frame.columns
    return list(zip(frame[first], frame[second], strict=True))


def _among(found: list[Any], task: Task, source: Task) -> None:
    strange = sorted({label for label in found if label is not None} - set(source.classes))
    if strange:
        first = next(i for i, label in enumerate(found) if label == strange[0])
        raise DataError(
            f"the target has classes that the source has not: {shown(strange)}",
            where=f"{task.origin}, {task.ids[first]}",
            allowed=shown(list(source.classes), 20),
            hint="Add items of those classes to the source, or leave them out of the target",
        )
