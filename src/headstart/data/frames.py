"""Data frames, arrays, lists and Hugging Face data sets -> items and raw labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import Decision, Modality
from headstart.data.content import is_sound
from headstart.data.infer import Roles, Wanted, find_roles
from headstart.data.part import AUDIO_ENDINGS, IMAGE_ENDINGS, Part, is_missing
from headstart.data.tables import checked_frame


def from_frame(
    frame: Any,
    wanted: Wanted,
    *,
    where: str,
    base: Path | None = None,
    decisions: tuple[Decision, ...] = (),
) -> Part:
    """Read a data frame: find out what its columns are, and take the items.

    Parameters
    ----------
    frame : pandas.DataFrame
    base : Path, optional
        The folder that relative paths in a column of paths start from.

    Raises
    ------
    DataError, AmbiguousDataError, UnknownNameError
        See `headstart.data.infer.find_roles`.
    """
    roles = find_roles(frame, wanted, where)
    return _take(frame, roles, wanted, where, base, decisions + roles.decisions)


def like(frame: Any, train: Part, *, where: str, base: Path | None = None) -> Part:
    """Read a data frame (the test part) with the columns that the training part was read with.

    Raises
    ------
    DataError
        A column of the training part is missing.
    """
    features = tuple(train.items.columns) if train.modality == "table" else ()
    needed = [*features, *(n for key, n in train.names.items() if key not in ("group", "domain"))]
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(
            f"the test part misses columns of the training part: {', '.join(missing)}",
            where=where,
            got=", ".join(frame.columns),
            allowed=needed,
        )
    content = train.names.get("text") or train.names.get("path")
    roles = Roles(train.modality, train.names.get("label"), content, features, ())
    wanted = Wanted(group=train.names.get("group"), domain=train.names.get("domain"))
    if wanted.group not in frame.columns:
        wanted = replace(wanted, group=None)
    if wanted.domain not in frame.columns:
        wanted = replace(wanted, domain=None)
    return _take(frame, roles, wanted, where, base, ())


def _take(
    frame: Any,
    roles: Roles,
    wanted: Wanted,
    where: str,
    base: Path | None,
    decisions: tuple[Decision, ...],
) -> Part:
    ids = [f"row {i + 1}" for i in range(len(frame))]
    names = {"label": roles.label, "group": wanted.group, "domain": wanted.domain}
    if roles.content is not None:
        names["text" if roles.modality == "text" else "path"] = roles.content
    part = Part(
        modality=roles.modality,
        items=None,
        ids=ids,
        labels=None if roles.label is None else list(frame[roles.label]),
        groups=None if wanted.group is None else list(frame[wanted.group]),
        domains=None if wanted.domain is None else list(frame[wanted.domain]),
        label_name=roles.label or "label",
        origin=where,
        decisions=decisions,
        names={key: name for key, name in names.items() if name is not None},
    )
    if roles.modality == "table":
        return replace(part, items=frame[list(roles.features)].reset_index(drop=True))
    values = list(frame[str(roles.content)])
    if roles.modality == "text":
        return text_part(replace(part, items=values))
    return path_part(replace(part, items=values), base)


def text_part(part: Part) -> Part:
    """Return the part with its texts as ``str``, without the empty ones (listed as skipped)."""
    values = list(part.items)
    wrong = [i for i, v in enumerate(values) if isinstance(v, list | dict | np.ndarray)]
    if wrong:
        raise DataError(
            "expected a text", where=f"{part.origin}, {part.ids[wrong[0]]}", got=values[wrong[0]]
        )
    empty = {i: "empty text" for i, value in enumerate(values) if is_missing(value)}
    texts = ["" if i in empty else _text(value) for i, value in enumerate(values)]
    return replace(part, items=texts).leave_out(empty)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def path_part(part: Part, base: Path | None) -> Part:
    """Return the part with files as ``Path``, relative ones below ``base``.

    Missing and empty paths are left out here with their reason; `headstart.data.reading` counts
    them as unreadable.
    """
    reasons: dict[int, str] = {}
    items: list[Any] = []
    for i, value in enumerate(part.items):
        if not isinstance(value, str | Path):
            if is_missing(value):
                reasons[i] = "no path"
            items.append(value)
            continue
        path = Path(str(value).strip())
        items.append(path if path.is_absolute() or base is None else base / path)
        if is_missing(str(value)):
            reasons[i] = "no path"
        elif not items[-1].is_file():
            reasons[i] = "the file does not exist" if not items[-1].is_dir() else "it is a folder"
    named = [str(v).strip() for v in part.items if isinstance(v, str | Path)]
    unique = len(named) == part.n and len(set(named)) == part.n
    ids = named if unique and not reasons else part.ids
    if unique and reasons:
        ids = [name or row for name, row in zip(named, part.ids, strict=True)]
    return replace(part, items=items, ids=list(ids)).leave_out(reasons)


# ------------------------------------------------------------------- arrays, lists, data sets


def from_python(data: Any, wanted: Wanted, labels: Any, groups: Any, domains: Any) -> Part:
    """Read data that are in memory.

    Parameters
    ----------
    data : DataFrame, (X, y) tuple, Hugging Face Dataset, array, or list
    labels, groups, domains : array-like of length n, or None
        Where they are not columns.

    Raises
    ------
    DataError
        Data of a kind that is not read, or lengths that differ.
    """
    if isinstance(data, tuple) and len(data) == 2 and not isinstance(data[0], str):
        if labels is not None or wanted.label is not None:
            raise OptionError("(X, y) has its labels already", where="label", got="two labels")
        data, labels = data
    if _is_hf(data):
        frame, where = _hf_frame(data), "Dataset"
    elif isinstance(data, Mapping):
        import pandas as pd

        frame, where = pd.DataFrame({k: pd.Series(list(v)) for k, v in data.items()}), "dict"
    elif hasattr(data, "iloc") and hasattr(data, "columns"):
        frame, where = data, "DataFrame"
    elif hasattr(data, "to_pandas"):
        frame, where = data.to_pandas(), type(data).__name__
    else:
        return _with(_sequence(data, wanted), labels, groups, domains)
    frame = checked_frame(frame, where)
    if labels is not None:
        wanted = replace(wanted, labelled=False)
    return _with(from_frame(frame, wanted, where=where), labels, groups, domains)


def _with(part: Part, labels: Any, groups: Any, domains: Any) -> Part:
    """Return the part with labels, groups and domains that were given beside the data."""
    given = {"labels": labels, "groups": groups, "domains": domains}
    total = part.n + len(part.skipped)  # they were given for all items, also those left out
    for name, values in given.items():
        if values is not None:
            listed = _listed(values, total, name)
            rows = range(part.n) if part.rows is None else part.rows
            part = replace(part, **{name: [listed[row] for row in rows]})  # type: ignore[arg-type]
    if isinstance(getattr(labels, "name", None), str) and labels.name:
        part = replace(part, label_name=labels.name)
    return part


def _listed(values: Any, n: int, name: str) -> list[Any]:
    if getattr(values, "ndim", 1) != 1:
        raise DataError(
            "expected one value an item", where=name, got=f"an array of shape {values.shape}"
        )
    listed = list(values)
    if len(listed) != n:
        raise DataError(
            "there are not as many as there are items", where=name, got=len(listed), allowed=str(n)
        )
    return listed


def _sequence(data: Any, wanted: Wanted) -> Part:
    if isinstance(data, np.ndarray):
        return _array(data, wanted)
    if hasattr(data, "tolist") and hasattr(data, "index"):  # a pandas Series
        data = data.tolist()
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        raise DataError(
            "data of this kind are not read",
            got=type(data).__name__,
            allowed="a path, a DataFrame, (X, y), an array, a list, a Hugging Face Dataset",
        )
    items = list(data)
    if not items:
        raise DataError("there are no items", where="data")
    if all(isinstance(item, Mapping) for item in items):
        import pandas as pd

        frame = checked_frame(pd.DataFrame(items, dtype=object), "list of dicts")
        return from_frame(frame, wanted, where="list of dicts")
    for column in (wanted.label, wanted.text, wanted.path, wanted.group):
        if column is not None:
            raise OptionError("a list has no columns", where="column", got=column)
    return _items(items, wanted.modality, "list")


def _items(items: list[Any], modality: Modality | None, origin: str) -> Part:
    ids = [f"row {i + 1}" for i in range(len(items))]
    decisions: tuple[Decision, ...]
    if all(isinstance(item, int | float | np.number) for item in items):
        raise DataError("a list of numbers holds no items", where=origin, got=str(items[0]))
    if modality in (None, "audio") and all(map(is_sound, items)):
        why = "the items are arrays of samples, each with its rate"
        heard = (Decision("modality is audio", why, "modality="),) if modality is None else ()
        return Part("audio", items, ids, origin=origin, decisions=heard)
    if modality == "audio" and any(isinstance(item, np.ndarray | list) for item in items):
        raise _no_rate(origin)
    strings = sum(isinstance(item, str) or is_missing(item) for item in items) == len(items)
    if modality == "text" or (strings and modality is None and not _are_files(items)):
        if not strings:
            wrong = next(item for item in items if not isinstance(item, str))
            raise DataError("expected texts", where=origin, got=type(wrong).__name__)
        why = "the items are strings" + (" that name no image files" if modality is None else "")
        decisions = (Decision("modality is text", why, "modality="),)
        return text_part(Part("text", items, ids, origin=origin, decisions=decisions))
    if modality == "table":
        return _array(np.asarray(items), Wanted(modality="table"))
    if all(isinstance(item, np.ndarray | list | tuple) for item in items):
        arrays = [np.asarray(item) for item in items]
        if all(array.ndim == 1 for array in arrays) and len({len(a) for a in arrays}) == 1:
            return _array(np.stack(arrays), Wanted(modality=modality))
        items = arrays
    decisions = ()
    kind: Modality = "audio" if _are_files(items, AUDIO_ENDINGS) else "image"
    files = "the items are sound files" if kind == "audio" else "the items are image files"
    why = files if _are_files(items) else "the items are pictures"
    if modality is None:
        decisions = (Decision(f"modality is {kind}", why, "modality="),)
    kind = modality or kind
    return path_part(Part(kind, items, ids, origin=origin, decisions=decisions), None)


def _no_rate(origin: str) -> DataError:
    return DataError(
        "an array of samples is no recording without its rate",
        where=origin,
        hint="Give a list of (samples, rate), as (samples, 16000)",
    )


def _are_files(items: list[Any], endings: frozenset[str] = IMAGE_ENDINGS | AUDIO_ENDINGS) -> bool:
    """All are paths: ``Path`` objects, or strings with the ending of an image or sound."""
    return all(
        isinstance(item, str | Path)
        and (isinstance(item, Path) or Path(item[-255:]).suffix.lower() in endings)
        and (endings is not AUDIO_ENDINGS or Path(item).suffix.lower() in endings)
        for item in items
    )


def _array(array: Any, wanted: Wanted) -> Part:
    import pandas as pd

    if array.dtype.kind in "OUST" and array.ndim == 1:
        return _items(list(array), wanted.modality, "array")
    ids = [f"row {i + 1}" for i in range(len(array))] if array.ndim else []
    if wanted.modality == "audio":
        raise _no_rate("array")
    if array.ndim == 2 and len(ids):
        names = [f"x{i}" for i in range(array.shape[1])]
        frame = pd.DataFrame(array, columns=names)
        why = "each row of the array is an item"
        said = (Decision("modality is table", why, "modality="),)
        return Part("table", frame, ids, origin="array", decisions=said)
    if array.ndim in (3, 4) and len(ids):
        said = (Decision("modality is image", f"the array has shape {array.shape}", "modality="),)
        return Part("image", list(array), ids, origin="array", decisions=said)
    raise DataError(
        "expected an array of rows or of images",
        where="array",
        got=f"shape {array.shape}",
        allowed="(n, columns), (n, height, width), (n, height, width, channels)",
    )


def _is_hf(data: Any) -> bool:
    return hasattr(data, "features") and hasattr(data, "to_pandas") and hasattr(data, "__getitem__")


def _hf_frame(data: Any) -> Any:
    """Read a Hugging Face data set: class labels by name, images decoded, sounds as stored."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for name, feature in data.features.items():
        if type(feature).__name__ == "Audio":
            stored = data.cast_column(name, type(feature)(decode=False))
            columns[name] = pd.Series([_stored_sound(v) for v in stored[name]], dtype=object)
            continue
        values = list(data[name])
        if hasattr(feature, "int2str"):
            values = [v if v is None or v < 0 else feature.int2str(int(v)) for v in values]
            values = [None if isinstance(v, int) else v for v in values]
        columns[name] = pd.Series(values, dtype=object)
    return pd.DataFrame(columns)


def _stored_sound(value: Any) -> Any:
    """Return the bytes of a sound file as a data set keeps it, or its path."""
    if value is None:
        return None
    held = value.get("bytes")
    return held if held is not None else value["path"]
