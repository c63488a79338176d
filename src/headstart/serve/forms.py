"""multipart/form-data -> items: files and fields, held in memory and never written."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from headstart.core.errors import DataError
from headstart.serve.problems import Problem, of_data
from headstart.serve.reading import (
    NOUNS,
    Asked,
    Wanted,
    check_parts,
    checked,
    count,
    file_item,
    parse_json,
)

FIELDS = 64
"""Parts of a form that are no items."""

TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".txt")
"""The files that hold many texts or rows."""

PROBED = 1 << 18
"""Characters of a table that tell by what its columns are separated."""

_LINE = re.compile("[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")  # as str.splitlines cuts

SHORT = 1000
"""Characters of a field that is no item."""


@dataclass
class Part:
    """One part of a form as it was sent."""

    name: str = ""
    filename: str | None = None
    content: bytearray = field(default_factory=bytearray)


def parse_form(body: bytes, content_type: bytes, *, most: int) -> list[Part]:
    """Return the parts of a form.

    Parameters
    ----------
    body, content_type : bytes
        The latter brings the boundary.
    most : int
        Parts that there may be.

    Raises
    ------
    Problem
        400, 413.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise Problem(400, "the form names no boundary", where="Content-Type")
    parts: list[Part] = []
    header: list[bytes] = [b"", b""]
    ended = False

    def begin() -> None:
        if len(parts) >= most:
            raise Problem(413, f"the form has more than {most:,} parts")
        parts.append(Part())

    def name(data: bytes, start: int, end: int) -> None:
        header[0] += data[start:end]

    def value(data: bytes, start: int, end: int) -> None:
        header[1] += data[start:end]

    def header_end() -> None:
        if header[0].lower() == b"content-disposition":
            _, found = parse_options_header(header[1])
            parts[-1].name = found.get(b"name", b"").decode("utf-8", "replace")
            if b"filename" in found:
                parts[-1].filename = found[b"filename"].decode("utf-8", "replace")
        header[:] = [b"", b""]

    def data_of(data: bytes, start: int, end: int) -> None:
        parts[-1].content += data[start:end]

    def finished() -> None:
        nonlocal ended
        ended = True

    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": begin,
                "on_header_field": name,
                "on_header_value": value,
                "on_header_end": header_end,
                "on_part_data": data_of,
                "on_end": finished,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Problem(400, f"the form is damaged: {error}"[:200], where="body") from None
    if not ended:
        raise Problem(400, "the form breaks off", where="body")
    return parts


def read_form(
    body: bytes, content_type: bytes, wanted: Wanted, *, more: tuple[str, ...] = ()
) -> Asked:
    """Return the items of a form: ``files`` and ``text``, each repeated as often as wanted.

    Parameters
    ----------
    body, content_type : bytes
    wanted : Wanted
    more : tuple of str
        Further fields that the form may hold.

    Raises
    ------
    Problem
        400, 413, 422.
    """
    parts = parse_form(body, content_type, most=wanted.limits.items + FIELDS)
    files = [part for part in parts if part.name in ("files", "file")]
    texts = [part for part in parts if part.name == "text" and "text" not in more]
    known = ("files", "file", "text", "item", "column", *more)
    fields: dict[str, Any] = {}
    for part in parts:
        if part.name not in known:
            raise Problem(
                422,
                "the form has a field that is not known",
                where=part.name[:80],
                hint=f"known: {', '.join(known)}",
            )
        if part.name in more or part.name == "column":
            fields[part.name] = _short(part)
    rows = [part for part in parts if part.name == "item"]
    if bool(files) + bool(texts) + bool(rows) != 1:
        raise Problem(422, "the form must hold either files or texts", hint="name the parts files")
    if texts:
        return _texts(texts, wanted, fields)
    if rows:
        return Asked(
            checked([parse_json(bytes(part.content)) for part in rows], wanted), None, fields
        )
    if wanted.modality in ("image", "audio"):
        return _files(files, wanted, fields)
    return _tables(files, wanted, fields)


def _short(part: Part) -> str:
    if len(part.content) > SHORT:
        raise Problem(413, f"the field has more than {SHORT:,} characters", where=part.name)
    return _decoded(bytes(part.content), part.name)


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Problem(422, "this is not UTF-8 text", where=where) from None


def _texts(parts: list[Part], wanted: Wanted, fields: dict[str, Any]) -> Asked:
    if wanted.modality != "text":
        raise Problem(
            422,
            f"this model takes no texts but a {NOUNS[wanted.modality]}",
            where="text",
            hint="name the parts files",
        )
    count(len(parts), wanted)
    return Asked(
        checked([_decoded(bytes(part.content), "text") for part in parts], wanted), None, fields
    )


def _files(parts: list[Part], wanted: Wanted, fields: dict[str, Any]) -> Asked:
    count(len(parts), wanted)
    names = [shown_name(part.filename, place) for place, part in enumerate(parts)]
    items = [
        file_item(bytes(part.content), wanted, name)
        for part, name in zip(parts, names, strict=True)
    ]
    return Asked(items, names, fields)


def shown_name(filename: str | None, place: int) -> str:
    """Return the last part of a file's name, made fit to be shown; nothing is opened by it."""
    last = PurePosixPath((filename or "").replace("\\", "/")).name
    clean = "".join(c for c in last if c.isprintable())[:200]
    return clean or f"file {place + 1}"


def _tables(parts: list[Part], wanted: Wanted, fields: dict[str, Any]) -> Asked:
    if len(parts) != 1:
        raise Problem(422, "one file at a time holds texts or rows", where="files")
    name = shown_name(parts[0].filename, 0)
    ending = PurePosixPath(name).suffix.lower()
    if ending not in TABLES:
        raise Problem(
            415,
            "this kind of file is not read",
            where=name,
            hint=f"read are {', '.join(TABLES)}",
        )
    try:
        from headstart.data.decoding import decode

        text, _ = decode(bytes(parts[0].content), name)
    except DataError as error:
        raise of_data(error) from None
    rows = _rows(text, ending, name, wanted)
    count(len(rows), wanted)
    names = [f"row {place + 1}" for place in range(len(rows))]
    if wanted.modality == "text":
        rows = _column(rows, fields.get("column"), name)
    return Asked(checked(rows, wanted), names, fields)


def _rows(text: str, ending: str, name: str, wanted: Wanted) -> list[Any]:
    if ending == ".txt":
        if wanted.modality != "text":
            raise Problem(422, "this model takes rows, and a .txt file holds none", where=name)
        return [line for _, line in _lines((one[0] for one in _LINE.finditer(text)), wanted)]
    if ending in (".jsonl", ".ndjson"):
        return _json_lines(text, name, wanted)
    return _delimited(text, ending, name, wanted)


def _lines(lines: Iterable[str], wanted: Wanted) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank with their numbers, no more than there may be items."""
    found = 0
    for number, line in enumerate(lines, 1):
        if line.strip():
            found += 1
            if found > wanted.limits.items:
                count(found, wanted)
            yield number, line


def _json_lines(text: str, name: str, wanted: Wanted) -> list[Any]:
    check_parts(text)
    found = []
    for number, line in _lines(io.StringIO(text, newline=None), wanted):
        try:
            found.append(json.loads(line))
        except (ValueError, RecursionError):
            raise Problem(422, "this line is not JSON", where=f"{name}, line {number}") from None
    return found


class _Rows:
    """Lines of a table; a row of more cells than could be meant is refused while it is read."""

    def __init__(self, text: str, delimiter: str, name: str, wanted: Wanted) -> None:
        self.lines, self.delimiter, self.name = io.StringIO(text, newline=""), delimiter, name
        self.most = wanted.limits.columns + wanted.limits.characters
        self.seen = 0

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.seen += line.count(self.delimiter)
            if self.seen > self.most:
                raise Problem(413, "a row has too many cells", where=self.name)
            yield line


def _delimited(text: str, ending: str, name: str, wanted: Wanted) -> list[Any]:
    from headstart.data.tables import choose_delimiter

    delimiter = choose_delimiter(text[:PROBED]) if ending == ".csv" else "\t"
    lines = _Rows(text, delimiter, name, wanted)
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        header = [one.strip() for one in next(reader, [])]
        if len(header) > wanted.limits.columns:
            raise Problem(413, f"the file has {len(header):,} columns", where=name)
        if len(set(header)) != len(header):
            raise Problem(422, "two columns have the same name", where=name)
        found = []
        for row in reader:
            lines.seen = 0
            if not row:
                continue
            if len(row) != len(header):
                raise Problem(
                    422,
                    f"this row has {len(row)} cells, and the header {len(header)}",
                    where=f"{name}, line {reader.line_num}",
                )
            found.append(dict(zip(header, (cell if cell else None for cell in row), strict=True)))
            if len(found) > wanted.limits.items:
                count(len(found), wanted)
    except csv.Error as error:
        raise Problem(422, f"the file is damaged: {error}", where=name) from None
    return found


def _column(rows: list[Any], column: str | None, name: str) -> list[Any]:
    """Return the texts of rows: those of a column, or of the only one."""
    if all(isinstance(row, str) for row in rows):
        return rows
    if not all(isinstance(row, dict) for row in rows):
        raise Problem(422, "every line must be a text, or an object with one", where=name)
    held = list(rows[0])
    chosen = column or ("text" if "text" in held else held[0] if len(held) == 1 else None)
    if chosen is None or any(chosen not in row for row in rows):
        raise Problem(
            422,
            "it is not clear which column holds the texts",
            where=name,
            hint="name it in the field column, or call the column text",
        )
    return [row[chosen] if row[chosen] is not None else "" for row in rows]
