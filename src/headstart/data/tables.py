"""Table files (CSV, TSV, JSON Lines, Parquet) -> a data frame of what stands in them."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError, MissingExtraError
from headstart.core.types import Decision
from headstart.data.decoding import decode
from headstart.data.part import shown

PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}
DELIMITED = (".csv", ".tsv", ".tab", ".psv", ".dat", ".data")
JSON_LINES = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
TABLE_ENDINGS = DELIMITED + JSON_LINES + PARQUET
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_PROBE_ROWS = 500
_field_limit = threading.Lock()


@dataclass(frozen=True, eq=False)
class Sheet:
    """A table as it stands in a file: every cell a string, or what JSON or Parquet holds."""

    frame: Any
    where: str
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True)
class _Records:
    rows: list[list[str]]
    lines: list[int]  # the line on which each record starts


def table_ending(path: Path) -> str | None:
    """Return the ending that says what kind of table a file is, or None."""
    endings = [suffix.lower() for suffix in path.suffixes[-2:]]
    if endings and endings[-1] in PACKED:
        endings.pop()
    return endings[-1] if endings and endings[-1] in TABLE_ENDINGS else None


def read_table(path: Path, *, trust_header: bool = False) -> Sheet:
    """Read a table file without interpreting its cells.

    Parameters
    ----------
    path : Path
        ``.csv .tsv .tab .psv`` (any of comma, semicolon, tab, bar), ``.jsonl .ndjson .json``,
        ``.parquet``; text forms may be packed as ``.gz .bz2 .xz``.
    trust_header : bool
        Take the first line of a delimited file as column names without suspicion.

    Raises
    ------
    DataError
        An empty or damaged file, a ragged row (its line is named), doubled column names.
    MissingExtraError
        For Parquet without pyarrow.
    """
    ending, where = table_ending(path), str(path)
    if ending is None:
        raise DataError(
            "this kind of file is not read",
            where=where,
            got=path.suffix or path.name,
            allowed=(*TABLE_ENDINGS, *(f"packed as {name}" for name in PACKED)),
            hint="Save a spreadsheet as CSV first",
        )
    if ending in PARQUET:
        return Sheet(_parquet(path), where)
    text, decisions = decode(_unpacked(path), where)
    if not text.strip():
        raise DataError("the file is empty", where=where)
    if ending in JSON_LINES:
        return Sheet(_json_lines(text, where), where, decisions)
    return _delimited(text, where, decisions, trust_header=trust_header)


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    unpack = PACKED.get(path.suffix.lower())
    if unpack is None:
        return data
    try:
        return unpack(data)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise DataError("the packed file is damaged", where=str(path), got=str(error)) from error


# ----------------------------------------------------------------------------------- delimited


def _delimited(
    text: str, where: str, decisions: tuple[Decision, ...], *, trust_header: bool
) -> Sheet:
    import pandas as pd

    delimiter = choose_delimiter(text)
    records, more = _strict_records(text, delimiter, where)
    header = [name.strip() for name in records.rows[0]]
    body = records.rows[1:]
    if not body:
        raise DataError("the file has column names but no rows", where=where, got=", ".join(header))
    columns, renamed = _column_names(header, where)
    cells = list(zip(*body, strict=True))
    if not trust_header:
        _check_header(header, cells, where)
    frame = pd.DataFrame(
        {
            name: pd.Series(list(cell), dtype=object)
            for name, cell in zip(columns, cells, strict=True)
        }
    )
    found = Decision(f"columns are separated by {DELIMITERS[delimiter]}", "every row then agrees")
    said = (found,) if delimiter not in ",\t" and len(columns) > 1 else ()
    return Sheet(frame, where, decisions + said + more + renamed)


def choose_delimiter(text: str) -> str:
    """Return the delimiter of ``, ; tab |`` under which most rows have the same, most columns."""
    head = text[: 1 << 20]
    best, best_rank = ",", (0.0, 0, 0)
    for place, delimiter in enumerate(DELIMITERS):
        if delimiter not in head:
            continue
        counts: Counter[int] = Counter()
        try:
            reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
            for row in reader:
                counts[len(row)] += bool(row)
                if reader.line_num >= _PROBE_ROWS:
                    break
            width = len(next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)))
        except csv.Error:
            width = len(head.split("\n", 1)[0].split(delimiter))
            counts = Counter(len(line.split(delimiter)) for line in head.split("\n")[:_PROBE_ROWS])
        if width < 2:
            continue
        agree = counts[width] / max(1, counts.total())
        rank = (round(agree, 2), width, -place)
        if rank > best_rank:
            best, best_rank = delimiter, rank
    return best


def _strict_records(text: str, delimiter: str, where: str) -> tuple[_Records, tuple[Decision, ...]]:
    try:
        records = _records(text, delimiter, where, quoted=True)
        _check_width(records, where)
        return records, ()
    except DataError as error:
        if '"' not in text:
            raise
        try:
            plain = _records(text, delimiter, where, quoted=False)
            _check_width(plain, where)
        except DataError:
            raise error from None
        if len(plain.rows[0]) < 2:
            raise
        why = f"as quotes around fields they do not close ({error.what})"
        return plain, (Decision("quotation marks are read as plain text", why),)


def _records(text: str, delimiter: str, where: str, *, quoted: bool) -> _Records:
    rows: list[list[str]] = []
    lines: list[int] = []
    start = 1
    with _field_limit:  # the csv module's limit belongs to the whole process: lifted, then put back
        usual = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        try:
            reader = csv.reader(
                io.StringIO(text, newline=""),
                delimiter=delimiter,
                strict=True,
                quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            )
            for row in reader:
                if row and (len(row) > 1 or row[0].strip()):
                    rows.append(row)
                    lines.append(start)
                start = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"a row cannot be read: {error}",
                where=f"{where}, line {start}",
                hint='A quotation mark inside a quoted field is written twice: ""',
            ) from error
        finally:
            csv.field_size_limit(usual)
    return _Records(rows, lines)


def _check_width(records: _Records, where: str) -> None:
    width = len(records.rows[0])
    wrong = [i for i, row in enumerate(records.rows) if len(row) != width]
    if not wrong:
        return
    first = wrong[0]
    raise DataError(
        f"the row has {len(records.rows[first])} columns, the first line has {width}"
        + (f"; so do not {len(wrong) - 1} other rows" if len(wrong) > 1 else ""),
        where=f"{where}, line {records.lines[first]}",
        got=" | ".join(records.rows[first])[:120],
        hint="Put quotation marks around a field that holds the separator",
    )


def _column_names(header: list[str], where: str) -> tuple[list[str], tuple[Decision, ...]]:
    names = [name or f"column {i + 1}" for i, name in enumerate(header)]
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise DataError("column names must differ", where=f"{where}, line 1", got=shown(doubled))
    nameless = [names[i] for i, name in enumerate(header) if not name]
    if not nameless:
        return names, ()
    return names, (Decision(f"columns without a name are called {shown(nameless)}", "line 1"),)


def check_header(sheet: Sheet) -> None:
    """Refuse a delimited file whose first line looks like data, where it was read with trust.

    Raises
    ------
    DataError
    """
    ending = table_ending(Path(sheet.where))
    if ending not in PARQUET and ending not in JSON_LINES:
        names = list(sheet.frame.columns)
        _check_header(names, [sheet.frame[name] for name in names], sheet.where)


def _check_header(header: list[str], cells: Sequence[Iterable[str]], where: str) -> None:
    """Refuse a first line that looks like data; ``0, 1, 2, ...`` are names that pandas writes."""
    known = {"label", "text", "target", "class", "y", "category", "intent", "path", "file"}
    if known & {name.lower() for name in header}:
        return
    numbers = [name for name in header if name and _is_number(name)]
    counted = {str(i) for i in range(len(header) + 1)}
    data_like = [name for name in numbers if name not in counted]
    if not data_like and len(header) > 1:
        for place, name in enumerate(header):
            if name and any(cell.strip() == name for cell in cells[place]):
                data_like.append(name)
    if data_like:
        raise DataError(
            "the first line looks like data, not like column names",
            where=f"{where}, line 1",
            got=shown(data_like),
            hint="Add a first line that names the columns, or name one of them (--label)",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# ------------------------------------------------------------------------------- JSON, Parquet


def _json_lines(text: str, where: str) -> Any:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    whole = text.lstrip()
    if whole.startswith("["):
        found = _json(whole, where, "the file")
        numbered = list(enumerate(found, start=1))
        unit = "entry"
    else:
        lines = [(i, line) for i, line in enumerate(text.split("\n"), start=1) if line.strip()]
        numbered = [(i, _json(line, f"{where}, line {i}", "the line")) for i, line in lines]
        unit = "line"
    for number, row in numbered:
        if not isinstance(row, dict):
            raise DataError(
                "expected a JSON object with a value a column",
                where=f"{where}, {unit} {number}",
                got=str(row)[:80],
            )
        rows.append(row)
    if not rows:
        raise DataError("the file has no rows", where=where)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = {name: [_plain(row.get(name)) for row in rows] for name in columns}
    if not columns:
        raise DataError("the rows have no columns", where=where)
    return pd.DataFrame({name: pd.Series(cell, dtype=object) for name, cell in cells.items()})


def _json(text: str, where: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(
            f"{what} is not JSON: {error}", where=where, got=text.strip()[:80]
        ) from error


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _parquet(path: Path) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", "reading Parquet files") from error
    try:
        frame = pq.ParquetFile(path).read().to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise DataError("the Parquet file is damaged", where=str(path), got=str(error)) from error
    return checked_frame(frame, str(path))


def checked_frame(frame: Any, where: str) -> Any:
    """Return a data frame with text column names and rows numbered from 0.

    Raises
    ------
    DataError
        No rows, no columns, or column names that do not differ as text.
    """
    names = [str(name) for name in frame.columns]
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise DataError("column names must differ", where=where, got=shown(doubled))
    if not names or not len(frame):
        raise DataError("the table has no rows", where=where)
    return frame.set_axis(names, axis="columns").reset_index(drop=True)
