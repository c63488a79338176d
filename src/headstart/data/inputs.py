"""What `predict` is given -> items: files, folders, tables, text files, or texts themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError, OptionError
from headstart.core.types import SILENT, Modality, Reporter, Skipped
from headstart.data.columns import apply_columns
from headstart.data.decodable import broken_items
from headstart.data.decoding import decode
from headstart.data.folders import walk
from headstart.data.frames import path_part, text_part
from headstart.data.infer import Wanted, find_roles
from headstart.data.part import ENDINGS, NOUNS, Part, shown
from headstart.data.tables import checked_frame, read_table, table_ending


def read_inputs(
    inputs: Sequence[str | Path] | str | Path | Any,
    *,
    modality: Modality,
    text: str | None = None,
    path: str | None = None,
    columns: Sequence[str] | Mapping[str, str] | None = None,
    label: str | None = None,
    reporter: Reporter = SILENT,
) -> tuple[Any, tuple[str, ...], tuple[Skipped, ...]]:
    """Read the inputs of a prediction.

    Parameters
    ----------
    inputs : str, Path, a sequence of them, or a DataFrame
        Image or audio model: files, folders (searched to the bottom), tables with a column of
        paths.
        Text model: tables with a text column, ``.txt`` files (a text a line), or texts.
        Table model: tables with the training columns.
    modality : {"image", "text", "audio", "table"}
        Of the model.
    text, path : str, optional
        The column to read from a table; the one named so in training, where a table has it.
    columns : sequence of str, or mapping of str to type
        For a table model: the training columns; with their types (`column_types`) cells are read
        just as in training.
    label : str, optional
        The label column in training, which is not an input.
    reporter : Reporter
        Hears which columns are ignored.

    Returns
    -------
    tuple of (items, ids, skipped)
        ``items`` a list or a DataFrame; ``ids`` the path of a file, ``row 17`` of a table (with
        the file's name where there are several inputs), or the text itself.

    Raises
    ------
    DataError
        A file that does not exist or is of no use to the model, or missing columns.

    Examples
    --------
    >>> from headstart.data import read_inputs
    >>> read_inputs(["a fine film", "a dull one"], modality="text")[1]
    ('a fine film', 'a dull one')
    """
    if modality == "table" and columns is None:
        raise OptionError("a table model needs the training columns", where="columns")
    if hasattr(inputs, "iloc") and hasattr(inputs, "columns"):
        frames = [_Frame(checked_frame(inputs, "DataFrame"), "DataFrame", None)]
        parts = [_from_frame(frames[0], modality, text, path, columns, label, reporter)]
        return _joined(parts, modality, several=False)
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if not given:
        raise OptionError("there is no input", where="INPUT", hint="Give a file or a text")
    parts = []
    for one in given:
        frame = _table(one)
        if frame is not None:
            parts.append(_from_frame(frame, modality, text, path, columns, label, reporter))
        elif modality == "table":
            raise DataError(
                "a table model reads tables",
                where=str(one),
                hint="Give a CSV, JSON Lines or Parquet file with the training columns",
            )
        else:
            parts.append(_files(one, modality) if modality in ENDINGS else _texts(one))
    items, ids, skipped = _joined(parts, modality, several=len(given) > 1)
    if modality not in ENDINGS:
        return items, ids, skipped
    return _decodable(items, ids, skipped, modality, reporter)


class _Frame:
    def __init__(self, frame: Any, where: str, base: Path | None) -> None:
        self.frame, self.where, self.base = frame, where, base


def _table(one: Any) -> _Frame | None:
    if not isinstance(one, str | Path) or len(str(one)) > 4096 or "\n" in str(one):
        return None
    path = Path(one).expanduser()
    if table_ending(path) is None or (isinstance(one, str) and " " in one and not _exists(path)):
        return None
    if not _exists(path):
        raise DataError("there is no such file", where=str(path))
    frame = checked_frame(read_table(path, trust_header=True).frame, str(path))
    return _Frame(frame, str(path), path.parent)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text too long or too strange for a name
        return False


def _from_frame(
    table: _Frame,
    modality: Modality,
    text: str | None,
    path: str | None,
    columns: Sequence[str] | Mapping[str, str] | None,
    label: str | None,
    reporter: Reporter,
) -> Part:
    frame, where = table.frame, table.where
    ids = [f"row {i + 1}" for i in range(len(frame))]
    part = Part(modality, None, ids, origin=where)
    if modality == "table":
        assert columns is not None
        types = columns if isinstance(columns, Mapping) else dict.fromkeys(columns)
        items, ignored = apply_columns(frame, types, where)
        ignored = [name for name in ignored if name != label]
        if ignored:
            reporter.say(f"{where}: columns not used: {shown(ignored)}")
        return replace(part, items=items)
    named = text if modality == "text" else path
    if named is None or (named not in frame.columns and len(frame.columns) == 1):
        rest = frame[[name for name in frame.columns if name != label]]
        if not len(rest.columns):
            raise DataError(f"no column holds the {modality}s", where=where)
        if len(rest.columns) == 1:
            named = str(rest.columns[0])
        else:
            wanted = Wanted(modality=modality, labelled=False)
            named = find_roles(rest, wanted, where).content
    elif named not in frame.columns:
        raise DataError(
            f"the table has no column {named!r}",
            where=where,
            got=", ".join(frame.columns),
            hint="Rename its column to the one used in training",
        )
    part = replace(part, items=list(frame[named]))
    return text_part(part) if modality == "text" else path_part(part, table.base)


def _files(one: Any, modality: Modality) -> Part:
    noun, endings = NOUNS[modality], ENDINGS[modality]
    if not isinstance(one, str | Path):
        return Part(modality, [one], [noun], origin="input")
    path = Path(one).expanduser()
    if not _exists(path):
        raise DataError("there is no such file or folder", where=str(path))
    if not path.is_dir():
        return Part(modality, [path], [str(one)], origin=str(path))
    found = list(walk(path))
    files = [file for file in found if file.suffix.lower() in endings]
    if not files:
        raise DataError(
            f"no {noun} was found",
            where=str(path),
            got=f"{len(found)} files",
            allowed=sorted(endings),
        )
    reason = "not an image" if modality == "image" else "not a recording"
    others = tuple(Skipped(str(file), reason) for file in found if file not in set(files))
    return Part(modality, files, [str(file) for file in files], origin=str(path), skipped=others)


def _texts(one: Any) -> Part:
    if not isinstance(one, str | Path):
        raise DataError("expected a text", got=type(one).__name__)
    short = len(str(one)) < 4096 and "\n" not in str(one) and "\0" not in str(one)
    path = Path(one).expanduser() if short else None
    if path is not None and str(one) and _exists(path):
        if path.is_dir():
            raise DataError(
                "a text model reads no folder",
                where=str(path),
                hint="Give a table with a text column, or a .txt file with a text a line",
            )
        if path.suffix.lower() == ".txt" or isinstance(one, Path):
            content, _ = decode(path.read_bytes(), str(path))
            lines = content.splitlines()
            ids = [f"line {i + 1}" for i in range(len(lines))]
            return text_part(Part("text", lines, ids, origin=str(path)))
    if isinstance(one, Path) or (path and " " not in str(one) and path.suffix.lower() == ".txt"):
        raise DataError("there is no such file", where=str(one))
    return text_part(Part("text", [one], [str(one)], origin="text"))


def _joined(
    parts: list[Part], modality: Modality, *, several: bool
) -> tuple[Any, tuple[str, ...], tuple[Skipped, ...]]:
    ids: list[str] = []
    skipped: list[Skipped] = []
    for part in parts:
        rows = several and modality not in ENDINGS

        def name(inner: str, part: Part = part, rows: bool = rows) -> str:
            numbered = inner.startswith(("row ", "line ")) and part.origin != "text"
            return f"{part.origin} {inner}" if rows and numbered else inner

        ids += [name(inner) for inner in part.ids]
        skipped += [Skipped(name(entry.item), entry.reason) for entry in part.skipped]
    if modality == "table":
        import pandas as pd

        items: Any = pd.concat([part.items for part in parts], ignore_index=True)
    else:
        items = [item for part in parts for item in part.items]
    return items, tuple(ids), tuple(skipped)


def _decodable(
    items: list[Any],
    ids: tuple[str, ...],
    skipped: tuple[Skipped, ...],
    modality: Modality,
    reporter: Reporter,
) -> tuple[list[Any], tuple[str, ...], tuple[Skipped, ...]]:
    broken = broken_items(items, ids, modality, reporter)
    kept = [i for i in range(len(items)) if i not in broken]
    left = tuple(Skipped(ids[i], reason) for i, reason in sorted(broken.items()))
    return [items[i] for i in kept], tuple(ids[i] for i in kept), skipped + left
