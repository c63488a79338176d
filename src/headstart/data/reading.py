"""Any form of DATA -> a `Task`: items, labels, groups, the test part, and every reason.

`read` is the way through: find the parts, judge the labels, leave out what cannot be read, read
feature columns, find duplicates, and check that there is something to learn.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart import parallel
from headstart.core.errors import DataError, OptionError, UnreadableError
from headstart.core.types import (
    SILENT,
    AnyArray,
    IntArray,
    Kind,
    Modality,
    Reporter,
    Skipped,
    Task,
)
from headstart.data.columns import apply_columns, fit_columns
from headstart.data.folders import LABEL, read_folder
from headstart.data.frames import from_frame, from_python, like
from headstart.data.grouping import grouped
from headstart.data.images import content_hash, read_image
from headstart.data.infer import Wanted
from headstart.data.labels import (
    check_classes,
    check_numbers,
    infer_kind,
    option_kind,
    to_classes,
    to_numbers,
    unlabelled,
)
from headstart.data.part import Part, shown
from headstart.data.tables import checked_frame, read_table

MODALITIES: tuple[Modality, ...] = ("image", "text", "audio", "table")


@dataclass(frozen=True)
class _Options:
    wanted: Wanted
    labels: Any
    groups: Any
    domains: Any
    kind: Kind | None
    allow_unreadable: float
    keep: tuple[str, ...]
    duplicates: bool
    reporter: Reporter


def read(
    data: Any,
    *,
    label: Any = None,
    text: str | None = None,
    path: str | None = None,
    group: Any = None,
    test: Any = None,
    modality: Modality | None = None,
    kind: Kind | None = None,
    allow_unreadable: float = 0.05,
    labelled: bool = True,
    duplicates: bool = True,
    domain: Any = None,
    keep: Collection[str] = (),
    reporter: Reporter = SILENT,
) -> Task:
    """Read DATA of any form into a task, and say every decision and every item left out.

    Parameters
    ----------
    data : path, DataFrame, (X, y), array, list, or Hugging Face Dataset
        A folder with a sub-folder a class (``train/`` and ``test/`` inside are honoured); a CSV,
        TSV, JSON Lines or Parquet file; or data in memory.
    label : str or array-like of length n, optional
        The label column, or the labels themselves for a list or an array.
    text, path : str, optional
        The column of texts, or of image files (relative to the table's own folder).
    group : str or array-like of length n, optional
        The column of groups; for a folder a regular expression searched in each item's path,
        whose first group (or whole match) names the item's group.
    test : like ``data``, optional
        The part that judges, of the same form and with the same columns.
    modality : {"image", "text", "table"}, optional
    kind : {"classification", "regression"}, optional
        By default inferred from the labels, with the reason.
    allow_unreadable : float in [0, 1], default 0.05
        Which share of the items may be unreadable; those are left out, each with its reason.
    labelled : bool, default True
        False for data to predict: no labels are looked for.
    duplicates : bool, default True
        Find duplicates: they share a group, and training items that repeat a test item are left
        out.
    domain : str or array-like of length n, optional
        The column of domains.
    keep : collection of str
        Feature columns to keep even if they number the rows or hold one value.
    reporter : Reporter

    Returns
    -------
    Task

    Raises
    ------
    DataError
        Something in the data is wrong: the file and the row are named.
    AmbiguousDataError
        Two readings are possible; the choices are listed.
    UnreadableError
        More than ``allow_unreadable`` of the items cannot be read.
    UnknownNameError
        A column that does not exist.

    Examples
    --------
    >>> from headstart.data import read
    >>> task = read(["good film", "bad film", "fine film", "dull film"], label=["y", "n", "y", "n"])
    >>> task.modality, task.classes, task.n
    ('text', ('n', 'y'), 4)
    """
    if modality is not None and modality not in MODALITIES:
        raise OptionError("unknown modality", where="--modality", got=modality, allowed=MODALITIES)
    if not 0 <= allow_unreadable <= 1:
        raise OptionError(
            "must be a share of the items",
            where="allow_unreadable",
            got=allow_unreadable,
            allowed="0 to 1",
        )
    if modality == "audio":
        raise DataError("audio comes with a later version", allowed="image, text, table")
    columns = [_column(value) for value in (label, group, domain)]
    options = _Options(
        Wanted(columns[0], text, path, columns[1], columns[2], modality, labelled),
        None if columns[0] else label,
        None if columns[1] else group,
        None if columns[2] else domain,
        option_kind(kind),
        allow_unreadable,
        tuple(keep),
        duplicates,
        reporter,
    )
    train, held = _parts(data, test, options)
    return _task(train, held, options)


def _column(value: Any) -> str | None:
    return value if isinstance(value, str) else None


# --------------------------------------------------------------------------------- the parts


def _parts(data: Any, test: Any, options: _Options) -> tuple[Part, Part | None]:
    if isinstance(data, Mapping) and "train" in data:  # a Hugging Face DatasetDict
        if test is None and "test" in data:
            test = data["test"]
        data = data["train"]
    train, held = _part(data, options)
    if test is None:
        return train, held
    if held is not None:
        raise OptionError(
            "DATA has a test part of its own",
            where="--test",
            got=str(test)[:200],
            hint="Leave --test out, or give the training folder alone as DATA",
        )
    held = _test_part(test, train, options)
    if held.modality != train.modality:
        raise DataError(
            f"the test part is {held.modality}, the training part {train.modality}",
            where=held.origin,
            hint="Both need the same form",
        )
    return train, held


def _part(data: Any, options: _Options) -> tuple[Part, Part | None]:
    source = _existing(data)
    if source is None:
        return from_python(
            data, options.wanted, options.labels, options.groups, options.domains
        ), None
    if not source.is_dir():
        wanted = options.wanted
        sheet = read_table(source, trust_header=bool(wanted.label or wanted.text or wanted.path))
        frame = checked_frame(sheet.frame, str(source))
        beside = (options.labels, options.groups, options.domains)
        if any(value is not None for value in beside):
            raise OptionError(
                "for a table file, name a column", where="label, group, domain", got="values"
            )
        return from_frame(
            frame, wanted, where=str(source), base=source.parent, decisions=sheet.decisions
        ), None
    _check_folder_options(options)
    return read_folder(
        source,
        modality=options.wanted.modality,
        group=options.wanted.group,
        labelled=options.wanted.labelled,
    )


def _check_folder_options(options: _Options) -> None:
    wanted = options.wanted
    named = {"--label": wanted.label, "--text": wanted.text, "--path": wanted.path}
    named |= {"domain": wanted.domain}
    given = [option for option, value in named.items() if value is not None]
    if options.labels is not None:
        given.append("label")
    if given:
        raise OptionError(
            "a folder has no columns: its sub-folders are the labels",
            where=", ".join(given),
            got=next((value for value in named.values() if value is not None), "values"),
        )


def _existing(data: Any) -> Path | None:
    """Return the path that ``data`` is, or None for data in memory."""
    if not isinstance(data, str | Path):
        return None
    path = Path(data).expanduser()
    if path.exists():
        return path
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, n=1)
    raise DataError(
        "there is no such file or folder",
        where=str(path),
        hint=f"Did you mean {str(path.parent / near[0])!r}?" if near else None,
    )


def _test_part(test: Any, train: Part, options: _Options) -> Part:
    source = _existing(test)
    if source is not None and source.is_dir():
        group = options.wanted.group if train.label_name == LABEL else None
        return read_folder(source, modality=train.modality, group=group, part="test")[0]
    if source is not None:
        sheet = read_table(source, trust_header=True)
        frame, where, base = checked_frame(sheet.frame, str(source)), str(source), source.parent
        if not train.names:
            raise DataError("the test part must have the form of DATA", where=where)
        return like(frame, train, where=where, base=base).say(*sheet.decisions)
    wanted = replace(options.wanted, modality=train.modality, group=None, domain=None)
    if train.names.get("label"):
        wanted = replace(wanted, label=train.names["label"])
    if hasattr(test, "columns") and hasattr(test, "iloc") and train.names:
        return like(checked_frame(test, "test"), train, where="test")
    return from_python(test, wanted, None, None, None)


# ---------------------------------------------------------------------------------- the task


def _task(train: Part, held: Part | None, options: _Options) -> Task:
    found_train, found_test = train.n, held.n if held else 0
    kind, train, held = _with_labels(train, held, options)
    train = _readable(train, found_train, options)
    held = None if held is None else _readable(held, found_test, options)
    for part in (train, held):
        if part is not None and not part.n:
            raise DataError(
                "no item is left",
                where=part.origin,
                got=_reasons(part.skipped),
            )
    if train.modality == "table":
        train, held = _features(train, held, options)
    train, held = _finished_labels(train, held, kind)
    classes = (
        () if train.labels is None or kind == "regression" else tuple(sorted(set(train.labels)))
    )
    train, held, groups, held_groups = grouped(
        train, held, duplicates=options.duplicates, reporter=options.reporter
    )
    if train.labels is not None:
        train = _checked(train, held, kind, classes)
    if held is None:
        return _as_task(train, kind, classes, groups, None)
    test = _as_task(held, kind, classes, held_groups, None)
    return _as_task(train, kind, classes, groups, test)


def _reasons(skipped: tuple[Skipped, ...]) -> str:
    reasons = [entry.reason for entry in skipped]
    counted = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons[:1000])}
    return ", ".join(f"{count} x {reason}" for reason, count in counted.items())


def _with_labels(
    train: Part, held: Part | None, options: _Options
) -> tuple[Kind, Part, Part | None]:
    """Find the kind of task, and leave out items without a label."""
    if not options.wanted.labelled or train.labels is None:
        if options.wanted.labelled:
            raise DataError("there are no labels", where=train.origin, hint="Give them with label=")
        return options.kind or "classification", replace(train, labels=None), held
    train = train.leave_out(unlabelled(train.labels, options.kind))
    kind = options.kind
    if kind is None and train.labels:
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


def _readable(part: Part, found: int, options: _Options) -> Part:
    """Leave out images that cannot be decoded; refuse when they are too many."""
    if part.modality != "image":
        return part
    broken = broken_images(part.items, options.reporter)
    part = part.leave_out(broken)
    paths = ("the file does not exist", "it is a folder", "no path")
    lost = [s for s in part.skipped if s.reason in paths or s.reason in set(broken.values())]
    total = found + sum(entry.reason in paths for entry in part.skipped)
    if len(lost) > options.allow_unreadable * max(total, 1):
        listed = "; ".join(f"{entry.item}: {entry.reason}" for entry in lost[:5])
        raise UnreadableError(
            f"{len(lost)} of {total} images cannot be read",
            where=part.origin,
            got=listed + (f"; and {len(lost) - 5} more" if len(lost) > 5 else ""),
            allowed=f"at most {options.allow_unreadable:.0%}",
            hint=f"Repair or remove them, or allow them: --allow-unreadable "
            f"{min(1.0, np.ceil(100 * len(lost) / total) / 100):.2f}",
        )
    return part


def broken_images(items: Any, reporter: Reporter) -> dict[int, str]:
    """Return the positions of images that cannot be decoded, each with the reason."""
    broken: dict[int, str] = {}
    for i, reason in enumerate(parallel.map(_why_unreadable, items)):
        if reason:
            broken[i] = reason
        reporter.progress("reading images", i + 1, len(items))
    return broken


def _why_unreadable(item: Any) -> str:
    try:
        read_image(item, max_side=64)
    except DataError as error:
        return error.what
    return ""


def _features(train: Part, held: Part | None, options: _Options) -> tuple[Part, Part | None]:
    names = tuple(str(name) for name in train.items.columns)
    frame, decisions = fit_columns(train.items, names, options.keep, train.origin)
    train = _without_blank_rows(replace(train, items=frame).say(*decisions))
    if held is None:
        return train, None
    types = dict(frame.attrs["column_types"])
    held = replace(held, items=apply_columns(held.items, types, held.origin)[0])
    return train, _without_blank_rows(held)


def _without_blank_rows(part: Part) -> Part:
    blank = np.flatnonzero(part.items.isna().all(axis="columns").to_numpy())
    return part.leave_out({int(i): "no value in any feature column" for i in blank})


# ------------------------------------------------------------------------------------ checks


def _checked(train: Part, held: Part | None, kind: Kind, classes: tuple[str, ...]) -> Part:
    labels = _label_array(train, kind)
    if kind == "regression":
        check_numbers(labels, train.origin)
        return train
    train = train.say(*check_classes(labels, train.origin))
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
