"""What a user says of the classes -> their names, and descriptions or attributes of each."""

from __future__ import annotations

import csv
import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import AmbiguousDataError, DataError
from headstart.core.types import Decision, FloatArray
from headstart.data.labels import class_name
from headstart.data.part import is_missing, shown
from headstart.data.tables import checked_frame, read_table, table_ending

OPTION = "--classes"
LINES = ".txt"
"""Ending of a file with a name a line."""
CLASS_COLUMNS = ("class", "label", "name", "category", "intent", "target")
TEXT_COLUMNS = ("description", "descriptions", "text", "prompt", "definition")
FORMS = 'names ("refund, card lost"), a CSV of class,description, or a class x attribute table'


@dataclass(frozen=True, eq=False)
class ClassList:
    """The classes that may be predicted, and what is said of them.

    Parameters
    ----------
    names : tuple of str, length k >= 2
        Sorted.
    descriptions : tuple of tuple of str, length k
        Texts that describe each class; empty where its name alone does.
    attributes : ndarray of shape (k, a), or None
        Numbers that describe each class.
    attribute_names : tuple of str, length a
    origin : str
        What the user gave, for messages.
    decisions : tuple of Decision
    """

    names: tuple[str, ...]
    descriptions: tuple[tuple[str, ...], ...]
    attributes: FloatArray | None = None
    attribute_names: tuple[str, ...] = ()
    origin: str = OPTION
    decisions: tuple[Decision, ...] = ()

    @property
    def has_attributes(self) -> bool:
        """Whether numbers describe the classes, not words."""
        return self.attributes is not None

    def to_json(self) -> dict[str, Any]:
        """Return what is said of the classes as plain values; of attributes their names."""
        said = dict(zip(self.names, map(list, self.descriptions), strict=True))
        return {"classes": said, "attributes": list(self.attribute_names)}


def read_classes(classes: Any) -> ClassList:
    """Read what a user says of the classes.

    Parameters
    ----------
    classes : str, path, sequence of str, mapping or DataFrame
        Names, with commas between them in a text; a table file or a data frame with a column of
        classes and one of descriptions (several rows a class are all used) or columns of numbers,
        the attributes; a mapping of a name to a description, several, or numbers.

    Returns
    -------
    ClassList

    Raises
    ------
    DataError
        Fewer than two classes, a class given twice, a row without a class, an attribute that is
        no finite number; the row is named.
    AmbiguousDataError
        Which column describes the classes cannot be told.

    Examples
    --------
    >>> read_classes("refund, card lost").names
    ('card lost', 'refund')
    """
    if isinstance(classes, str | Path):
        file = _file(classes)
        if file is not None and file.suffix.lower() == LINES:
            return _plain(file.read_text("utf-8").strip().splitlines(), str(file))
        if file is not None:
            return _from_frame(read_table(file, trust_header=True).frame, str(file), file=True)
        rows = csv.reader([str(classes).strip().replace("\n", ",")], skipinitialspace=True)
        return _plain(next(rows, []), OPTION)
    if hasattr(classes, "iloc") and hasattr(classes, "columns"):
        return _from_frame(checked_frame(classes, "classes"), "classes")
    if isinstance(classes, Mapping):
        return _from_mapping(classes)
    if isinstance(classes, Iterable):
        return _plain(list(classes), "classes")
    raise DataError("not a list of classes", where=OPTION, got=classes, allowed=FORMS)


def _file(given: str | Path) -> Path | None:
    """Return the file that the classes are in; None for a text of names."""
    try:
        path = Path(given).expanduser()
        if "\n" not in str(given) and path.is_file():
            return path
    except (OSError, RuntimeError, ValueError):  # no path can be called so: it is a list of names
        return None
    named = table_ending(path) is not None and "," not in str(given)
    if isinstance(given, str) and not named:
        return None
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, n=1)
    raise DataError(
        "there is no such file",
        where=f"{OPTION} {given}",
        allowed=FORMS,
        hint=f"Did you mean {str(path.parent / near[0])!r}?" if near else None,
    )


def _plain(given: Sequence[Any], where: str) -> ClassList:
    """Return classes that are names alone."""
    names = [class_name(value) for value in given]
    if any(is_missing(value) for value in given):
        place = next(i for i, value in enumerate(given) if is_missing(value)) + 1
        raise DataError(
            f"class {place} of {len(given)} has no name",
            where=where,
            got=", ".join(names),
            hint="a comma too many?",
        )
    _no_repeats(names, where)
    return _listed(dict.fromkeys(names, ()), where)


def _listed(said: Mapping[str, Sequence[str]], where: str, *decisions: Decision) -> ClassList:
    names = tuple(sorted(said))
    _enough(names, where)
    return ClassList(
        names, tuple(tuple(said[name]) for name in names), origin=where, decisions=decisions
    )


def _enough(names: Sequence[str], where: str) -> None:
    if len(names) < 2:
        raise DataError(
            "there must be at least two classes", where=where, got=list(names), allowed=FORMS
        )


def _no_repeats(names: Sequence[str], where: str) -> None:
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise DataError("a class is given twice", where=where, got=shown(doubled))


def _from_mapping(given: Mapping[Any, Any]) -> ClassList:
    names = [class_name(name) for name in given]
    _no_repeats(names, "classes")
    values = list(given.values())
    if values and all(_is_numeric(value) for value in values):
        rows = [np.asarray(value, dtype=np.float64).ravel() for value in values]
        if len({len(row) for row in rows}) > 1:
            raise DataError(
                "each class needs the same number of attributes",
                where="classes",
                got=sorted({len(row) for row in rows}),
            )
        table = np.stack(rows)
        columns = [f"a{j + 1}" for j in range(table.shape[1])]
        return _with_attributes(names, table, columns, "classes")
    said = {name: _texts(value) for name, value in zip(names, values, strict=True)}
    kept = {name: tuple(t.strip() for t in texts if t.strip()) for name, texts in said.items()}
    return _listed(kept, "classes", *_undescribed(kept))


def _texts(value: Any) -> list[str]:
    """Return what is said of a class: one text, several, or none."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Iterable):
        return [str(one) for one in value if not is_missing(one)]
    return [] if is_missing(value) else [str(value)]


def _is_numeric(value: Any) -> bool:
    return not isinstance(value, str) and np.asarray(value).dtype.kind in "fiub"


def _from_frame(frame: Any, where: str, *, file: bool = False) -> ClassList:
    """Read a table of classes; of a file the first line must say that it names the columns."""
    columns = list(frame.columns)
    named = [name for name in columns if name.casefold() in CLASS_COLUMNS]
    first = named[0] if named else columns[0]
    if not named and len(columns) > 1 and _numbers(frame[first]) is not None:
        raise AmbiguousDataError(
            "no column is known to hold the classes",
            where=where,
            got=shown(columns),
            hint='Call it "class"',
        )
    if not named and file and any(_text(frame[name]) for name in columns[1:] or columns):
        raise AmbiguousDataError(
            'no column is called "class"',
            where=where,
            got=shown(columns),
            hint="the first line names the columns, as: class,description",
        )
    gaps = [i + 1 for i, value in enumerate(frame[first]) if is_missing(value)]
    if gaps:
        raise DataError(
            "a row has no class", where=f"{where}, row {gaps[0]}", got=f"{len(gaps)} such rows"
        )
    names = [class_name(value) for value in frame[first]]
    others = [name for name in columns if name != first]
    if not others:
        _no_repeats(names, where)
        return _listed(dict.fromkeys(names, ()), where)
    texts = [name for name in others if name.casefold() in TEXT_COLUMNS]
    if not texts:
        texts = [name for name in others if _text(frame[name])]
    if len(texts) > 1:
        raise AmbiguousDataError(
            "more than one column could describe the classes",
            where=where,
            got=shown(texts),
            hint='Call the one that does "description"',
        )
    if texts:
        return _described(names, list(frame[texts[0]]), texts[0], others, where)
    _no_repeats(names, where)
    table = np.column_stack([_attribute(frame[name], name, names, where) for name in others])
    return _with_attributes(names, table, others, where)


def _text(values: Iterable[Any]) -> bool:
    """Say whether a column holds text: some of it is no number."""
    return any(not is_missing(value) and _number(value) is None for value in values)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _numbers(values: Iterable[Any]) -> list[float] | None:
    found = [_number(value) for value in values]
    kept = [value for value in found if value is not None]
    return kept if len(kept) == len(found) else None


def _described(
    names: Sequence[str], values: Sequence[Any], column: str, others: Sequence[str], where: str
) -> ClassList:
    said: dict[str, list[str]] = {name: [] for name in names}
    for name, value in zip(names, values, strict=True):
        text = "" if is_missing(value) else str(value).strip()
        if text and text not in said[name]:
            said[name].append(text)
    decisions = _undescribed(said)
    unused = [name for name in others if name != column]
    if unused:
        decisions.append(
            Decision(f"columns of {where} not used: {shown(unused)}", f"{column!r} describes")
        )
    return _listed(said, where, *decisions)


def _undescribed(said: Mapping[str, Sequence[str]]) -> list[Decision]:
    without = sorted(name for name, texts in said.items() if not texts)
    if not without or len(without) == len(said):
        return []
    return [
        Decision(
            f"without a description: {shown(without)}",
            "the name alone says what the class is",
            "describe it too: classes described alike are told apart best",
        )
    ]


def _attribute(values: Sequence[Any], column: str, names: Sequence[str], where: str) -> FloatArray:
    found = [_number(value) for value in values]
    numbers = np.array([np.nan if value is None else value for value in found])
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"the attribute {column!r} of class {names[row]!r} is no finite number",
            where=f"{where}, row {row + 1}",
            got=None if is_missing(values[row]) else values[row],
            hint="each class needs a number for each attribute",
        )
    return numbers


def _with_attributes(
    names: Sequence[str], table: FloatArray, columns: Sequence[str], where: str
) -> ClassList:
    _enough(names, where)
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
        raise DataError(f"an attribute of class {names[row]!r} is no finite number", where=where)
    order = np.argsort(np.array(names, dtype=object), kind="stable")
    ordered = tuple(names[int(i)] for i in order)
    alike = len(names) - len(np.unique(table, axis=0))
    decisions = []
    if alike:
        decisions.append(
            Decision(
                f"{alike} classes have the attributes of another one",
                "they cannot be told apart by attributes alone",
                "add an attribute in which they differ",
            )
        )
    return ClassList(
        ordered, ((),) * len(names), table[order], tuple(columns), where, tuple(decisions)
    )
