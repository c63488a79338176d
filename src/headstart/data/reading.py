"""Any form of DATA -> a `Task`: finds its training and test part; `assemble` judges them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError, OptionError
from headstart.core.types import SILENT, Kind, Modality, Reporter, Task
from headstart.data.assemble import Rules, assemble
from headstart.data.folders import LABEL, read_folder
from headstart.data.frames import from_frame, from_python, like
from headstart.data.infer import Wanted
from headstart.data.labels import option_kind
from headstart.data.part import Part
from headstart.data.tables import Sheet, checked_frame, read_table

MODALITIES: tuple[Modality, ...] = ("image", "text", "audio", "table")


@dataclass(frozen=True)
class _Options:
    wanted: Wanted
    labels: Any
    groups: Any
    domains: Any


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
    judging: bool = False,
    reporter: Reporter = SILENT,
) -> Task:
    """Read DATA of any form into a task, and say every decision and every item left out.

    Parameters
    ----------
    data : path, Sheet, DataFrame, (X, y), array, list, or Hugging Face Dataset
        A folder with a sub-folder a class (``train/`` and ``test/`` inside are honoured); a CSV,
        TSV, JSON Lines or Parquet file; or data in memory.
    label : str or array-like of length n, optional
        The label column, or the labels themselves for a list or an array.
    text, path : str, optional
        The column of texts, or of image or sound files (relative to the table's own folder).
    group : str or array-like of length n, optional
        The column of groups; for a folder a regular expression searched in each item's path,
        whose first group (or whole match) names the item's group.
    test : like ``data``, optional
        The part that judges, of the same form and with the same columns.
    modality : {"image", "text", "audio", "table"}, optional
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
    judging : bool, default False
        The data only judge a model: one class, or one item, is enough.
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
    columns = [_column(value) for value in (label, group, domain)]
    options = _Options(
        Wanted(columns[0], text, path, columns[1], columns[2], modality, labelled),
        None if columns[0] else label,
        None if columns[1] else group,
        None if columns[2] else domain,
    )
    train, held = _parts(data, test, options)
    rules = Rules(
        labelled=labelled,
        kind=option_kind(kind),
        allow_unreadable=allow_unreadable,
        keep=tuple(keep),
        duplicates=duplicates,
        judging=judging,
        reporter=reporter,
    )
    return assemble(train, held, rules)


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
    try:
        held = _test_part(test, train, options)
    except OSError as error:
        raise unreachable(error, test) from error
    if held.modality != train.modality:
        raise DataError(
            f"the test part is {held.modality}, the training part {train.modality}",
            where=held.origin,
            hint="Both need the same form",
        )
    return train, held


def _part(data: Any, options: _Options) -> tuple[Part, Part | None]:
    try:
        return _found(data, options)
    except OSError as error:
        raise unreachable(error, data) from error


def unreachable(error: OSError, data: Any) -> DataError:
    """Return the error that says which file the system would not read, and why."""
    return DataError(
        f"cannot be read: {error.strerror or error}", where=str(error.filename or data)
    )


def _found(data: Any, options: _Options) -> tuple[Part, Part | None]:
    if isinstance(data, Sheet):
        return _of_sheet(data, options), None
    source = _existing(data)
    if source is None:
        return from_python(
            data, options.wanted, options.labels, options.groups, options.domains
        ), None
    if not source.is_dir():
        wanted = options.wanted
        sheet = read_table(source, trust_header=bool(wanted.label or wanted.text or wanted.path))
        return _of_sheet(sheet, options), None
    _check_folder_options(options)
    return read_folder(
        source,
        modality=options.wanted.modality,
        group=options.wanted.group,
        labelled=options.wanted.labelled,
    )


def _of_sheet(sheet: Sheet, options: _Options) -> Part:
    frame = checked_frame(sheet.frame, sheet.where)
    beside = (options.labels, options.groups, options.domains)
    if any(value is not None for value in beside):
        raise OptionError(
            "for a table file, name a column", where="label, group, domain", got="values"
        )
    base = Path(sheet.where).parent
    return from_frame(
        frame, options.wanted, where=sheet.where, base=base, decisions=sheet.decisions
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
