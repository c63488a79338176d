"""``python runner.py INPUT...``: predictions of an exported model as CSV."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart.bundle.runner.model import Model
from headstart.core.errors import DataError, HeadstartError, OptionError

TABLES = {".csv": ",", ".tsv": "\t"}
AGREES = 1e-3
_WHAT = {
    "text": "texts in quotes, or .txt files (a text a line), or .csv files",
    "image": "pictures, or folders of them",
    "table": ".csv or .tsv files with the columns of the model",
}


def main(argv: Sequence[str] | None = None, *, directory: str | Path = ".") -> int:
    """Predict and write CSV: input, label, confidence, abstained, p_<class>.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the name of the program.
    directory : path
        Where the export is.

    Returns
    -------
    int
        0, or 2 where something cannot be used; why is on standard error.
    """
    try:
        model = Model(directory)
        options = _options(model).parse_args(argv)
        if options.check:
            return _check(model)
        items, names = _items(model, options)
        if not items:
            raise OptionError("nothing to predict", allowed=_WHAT[model.modality])
        _write(model, items, names)
    except HeadstartError as error:
        sys.stderr.write("error: " + "\n".join(error.lines()) + "\n")
        return 2
    return 0


def _options(model: Model) -> argparse.ArgumentParser:
    name = f"{model.modality} {model.kind}"
    parser = argparse.ArgumentParser("runner.py", description=f"An exported model: {name}.")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help=_WHAT[model.modality])
    parser.add_argument("--text", metavar="COLUMN", help="the column of a CSV file with the texts")
    parser.add_argument(
        "--check", action="store_true", help="compare with what the model made when it was exported"
    )
    return parser


def _check(model: Model) -> int:
    away = model.check()
    sys.stdout.write(f"largest difference from the model that was exported: {away:.2g}\n")
    return 0 if away <= AGREES else 2


def _items(model: Model, options: Any) -> tuple[list[Any], list[str]]:
    items: list[Any] = []
    names: list[str] = []
    for given in options.inputs:
        found = _read(model.modality, given, options.text)
        items += [item for item, _ in found]
        names += [name for _, name in found]
    return items, names


def _read(modality: str, given: str, column: str | None) -> list[tuple[Any, str]]:
    path = Path(given)
    suffix = path.suffix.lower()
    if modality == "image":
        if path.is_dir():
            files = sorted(one for one in path.rglob("*") if one.is_file())
            return [(one, str(one)) for one in files if one.suffix.lower() in _suffixes()]
        return [(path, given)]
    if suffix in TABLES:
        rows = _rows(path, TABLES[suffix])
        if modality == "table":
            return [(row, f"{given}, row {place}") for place, row in enumerate(rows, start=1)]
        return [
            (row[_column(rows, column, given)], f"{given}, row {place}")
            for place, row in enumerate(rows, start=1)
        ]
    if modality == "table":
        raise OptionError("not a table", where=given, allowed=_WHAT[modality])
    if suffix == ".txt" and path.is_file():
        return [(line, line) for line in _text(path).splitlines() if line.strip()]
    return [(given, given)]


def _suffixes() -> frozenset[str]:
    from headstart.data.images import SUFFIXES

    return SUFFIXES


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from None


def _rows(path: Path, delimiter: str) -> list[dict[str, Any]]:
    reader = csv.DictReader(_text(path).splitlines(keepends=True), delimiter=delimiter)
    try:
        return [{key: value for key, value in row.items() if key is not None} for row in reader]
    except csv.Error as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from None


def _column(rows: list[dict[str, Any]], column: str | None, where: str) -> str:
    """Return the column of texts: the one that was named, ``text``, or the only one."""
    there = list(rows[0])
    for name in (column, "text", there[0] if len(there) == 1 else None):
        if name in there and name is not None:
            return name
    raise OptionError(
        "it is not clear which column holds the texts",
        where=where,
        got=column,
        allowed=there,
        hint="name it: --text COLUMN",
    )


def _write(model: Model, items: list[Any], names: list[str]) -> None:
    labels, shares, confidence, silent = model.answer(items)
    table = csv.writer(sys.stdout, lineterminator="\n")
    head = ["input", "label", "confidence", "abstained", *(f"p_{name}" for name in model.classes)]
    table.writerow(head)
    for place, name in enumerate(names):
        sure = f"{confidence[place]:.6g}" if model.classes else ""
        row = [name, labels[place], sure, bool(silent[place])]
        table.writerow([*row, *(f"{share:.6g}" for share in shares[place])])
