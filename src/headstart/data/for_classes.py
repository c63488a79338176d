"""DATA whose classes are known beforehand -> its labelled items, and those without a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.core.errors import AmbiguousDataError, DataError
from headstart.core.types import SILENT, Modality, Reporter, Task
from headstart.data.class_list import CLASS_COLUMNS, LINES
from headstart.data.folders import class_folders
from headstart.data.inputs import read_inputs
from headstart.data.labels import class_name
from headstart.data.part import is_missing, shown
from headstart.data.reading import read
from headstart.data.tables import read_table, table_ending


@dataclass(frozen=True, eq=False)
class ForClasses:
    """Items of DATA, by whether they have a label.

    Parameters
    ----------
    labelled : Task or None
        Its labels are all among the classes.
    pool : Task or None
        Items without a label.
    label : object
        What DATA is to be read with: the column of labels, or the labels; None for a folder.
    """

    labelled: Task | None
    pool: Task | None
    label: Any = None

    @property
    def modality(self) -> Modality | None:
        """What the items are; None where there are none."""
        task = self.labelled or self.pool
        return None if task is None else task.modality

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that have a label."""
        return () if self.labelled is None else self.labelled.classes


def read_for_classes(
    data: Any,
    names: Sequence[str],
    *,
    label: Any = None,
    text: str | None = None,
    path: str | None = None,
    group: Any = None,
    test: Any = None,
    modality: Modality | None = None,
    allow_unreadable: float = 0.05,
    reporter: Reporter = SILENT,
) -> ForClasses:
    """Read DATA that may have labels for all of its items, for some, or for none.

    Labels are looked for where their values are names of classes: in a column, or in the names of
    sub-folders. A ``.txt`` file is read as a text a line.

    Parameters
    ----------
    data, label, text, path, group, test, modality, allow_unreadable
        As for `headstart.data.read`.
    names : sequence of str
        The classes.
    reporter : Reporter

    Raises
    ------
    DataError
        A label is not among the classes; or as `headstart.data.read`.

    Examples
    --------
    >>> found = read_for_classes(["a fine film", "a dull one"], ["good", "bad"])
    >>> found.labelled, found.pool.n
    (None, 2)
    """
    given: dict[str, Any] = {"text": text, "path": path, "modality": modality}
    given |= {"allow_unreadable": allow_unreadable, "reporter": reporter}
    label = _found(data, set(names), text) if label is None else label
    if label is None:
        return ForClasses(None, _unlabelled(data, given))
    folder = label is _FOLDERS
    task = read(
        data,
        label=None if folder else label,
        group=group,
        test=test,
        kind="classification",
        judging=True,
        **given,
    )
    for part in (task, task.test):
        if part is not None:
            _among(part, names)
    if task.unlabelled is not None:  # those are not left out
        waiting = set(task.unlabelled.ids)
        task = replace(task, skipped=tuple(s for s in task.skipped if s.item not in waiting))
    return ForClasses(task, task.unlabelled, None if folder else label)


class _Folders:
    """Says that sub-folders are the labels."""


_FOLDERS = _Folders()


def _found(data: Any, names: set[str], text: str | None) -> Any:
    """Return the column of labels, or that sub-folders are; None where there are no labels."""
    if isinstance(data, tuple) and len(data) == 2:
        return _FOLDERS  # (X, y)
    if isinstance(data, str | Path):
        place = Path(data).expanduser()
        if place.is_dir():
            return _FOLDERS if class_folders(place) & names else None
        if not place.is_file() or table_ending(place) is None:
            return None
        frame = read_table(place, trust_header=True).frame
    elif hasattr(data, "iloc") and hasattr(data, "columns"):
        frame = data
    else:
        return None
    columns = [name for name in frame.columns if name != text and _labels(frame, name, names)]
    if len(columns) > 1:
        raise AmbiguousDataError(
            "more than one column holds names of the classes",
            where=str(data) if isinstance(data, str | Path) else "DataFrame",
            got=shown(columns),
            hint="Name the one with the labels: --label COL",
        )
    return columns[0] if columns else None


def _labels(frame: Any, column: Any, names: set[str]) -> bool:
    """Say whether a column holds labels: names of classes, most of what is in it.

    A text can happen to be the name of a class; in a column that is called after the class, a
    single name is enough.
    """
    there = [value for value in frame[column] if not is_missing(value)]
    known = sum(class_name(value) in names for value in there)
    called = str(column).casefold() in CLASS_COLUMNS
    return known > 0 and (called or 2 * known >= len(there))


def _unlabelled(data: Any, given: dict[str, Any]) -> Task:
    """Return items without labels, wherever they are."""
    if isinstance(data, str | Path) and Path(data).suffix.lower() == LINES:
        if given["modality"] not in (None, "text"):
            raise DataError(
                "a .txt file holds texts, one a line",
                where=str(data),
                got=f"--modality {given['modality']}",
            )
        items, _, _ = read_inputs([data], modality="text", reporter=given["reporter"])
        data = list(items)
    return read(data, labelled=False, duplicates=False, **given)


def _among(task: Task, names: Sequence[str]) -> None:
    strange = sorted(set(task.classes) - set(names))
    if strange:
        raise DataError(
            f"labels that are not among the classes: {shown(strange)}",
            where=task.origin,
            allowed=shown(list(names), 20),
            hint="Add them to --classes, or leave those labels empty",
        )
