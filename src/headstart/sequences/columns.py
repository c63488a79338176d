"""Tables of examples: which column plays which role, and what its cells hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.core.types import Decision
from headstart.data.columns import plain_name
from headstart.data.part import is_missing
from headstart.data.tables import checked_frame, read_table, table_ending

ALONE = "\0"
"""Begins the name of a group that one example without a group is."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table of examples as it stands in a file.

    Parameters
    ----------
    frame : pandas.DataFrame
    where : str
        The file, for messages; "DataFrame" for one given in Python.
    folder : Path or None
        What paths in it are relative to.
    decisions : tuple of Decision
    """

    frame: Any
    where: str
    folder: Path | None
    decisions: tuple[Decision, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Return ``row 1``, ``row 2``, ...: the header is not counted."""
        return tuple(f"row {i + 1}" for i in range(len(self.frame)))

    def cells(self, column: str) -> list[Any]:
        """Return the cells of a column; None where one is missing or blank."""
        return [None if is_missing(cell) else cell for cell in self.frame[column]]


def open_table(data: Any) -> Table | None:
    """Return DATA as a table, or None where it is none: a folder, a file of another kind.

    Parameters
    ----------
    data : path or DataFrame

    Raises
    ------
    DataError, MissingExtraError
        The file is missing, empty or damaged.
    OptionError
        It is neither a path nor a data frame.
    """
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return Table(checked_frame(data, "DataFrame"), "DataFrame", None)
    if not isinstance(data, str | Path):
        raise OptionError(
            "examples of this task are read from a file, a folder or a data frame",
            where="DATA",
            got=type(data).__name__,
        )
    path = Path(data).expanduser()
    if not path.exists():
        raise DataError("there is no such file or folder", where=str(path))
    if path.is_dir() or table_ending(path) is None:
        return None
    sheet = read_table(path, trust_header=True)
    return Table(checked_frame(sheet.frame, str(path)), str(path), path.parent, sheet.decisions)


def column(
    table: Table,
    role: str,
    usual: Sequence[str],
    *,
    named: str | None = None,
    columns: Mapping[str, str] | None = None,
    option: str,
    required: bool = True,
    taken: Sequence[str] = (),
) -> tuple[str | None, tuple[Decision, ...]]:
    """Find the column that plays a role: the one named, that of training, or a usual name.

    Parameters
    ----------
    table : Table
    role : str
        "transcripts", "questions": what the column holds, for messages; the key of ``columns``.
    usual : sequence of str
        Usual names, the likeliest first; case, blanks and signs do not matter.
    named : str, optional
        What the user named.
    columns : mapping of role to column, optional
        Of training.
    option : str
        What names it, "--label"; empty where nothing does.
    required : bool
        Whether it is an error that there is none.
    taken : sequence of str
        Columns that play another role already.

    Returns
    -------
    tuple of (name or None, decisions)

    Raises
    ------
    UnknownNameError
        The table has no column of the name that was given.
    DataError
        There is none of a usual name, and it is needed.
    """
    there = [str(name) for name in table.frame.columns]
    if named is not None:
        if named not in there:
            raise UnknownNameError("column", named, there, where=f"{table.where}, {option}")
        return named, ()
    before = (columns or {}).get(role)
    if before in there:
        return before, ()
    free = {plain_name(name): name for name in reversed(there) if name not in taken}
    for name in usual:
        found = free.get(plain_name(name))
        if found is not None:
            other = f"{option} COLUMN" if option else "rename it"
            return found, (Decision(f"column {found!r}: {role}", "by its name", other),)
    if not required:
        return None, ()
    raise DataError(
        f"no column holds the {role}",
        where=table.where,
        got=", ".join(there),
        allowed=f"a usual name: {', '.join(usual)}",
        hint=f"name it: {option} COLUMN" if option else "name a column so",
    )


def without_columns(data: Any, named: Mapping[str, str | None]) -> None:
    """Refuse columns that are named of a file that has none.

    Parameters
    ----------
    data : path
    named : mapping of option to what was named, or None

    Raises
    ------
    OptionError
        One is named.
    """
    for option, name in named.items():
        if name is not None:
            raise OptionError(
                f"{data} is no table: it has no columns",
                where=option,
                got=name,
                hint="leave it out",
            )


def straddling(train: Sequence[str] | None, held: Sequence[str] | None) -> tuple[Decision, ...]:
    """Say how many of the user's groups lie in both parts, if any do.

    Parameters
    ----------
    train, held : sequence of names of groups, optional
        Of what is learnt from, and of what judges.
    """
    both = {one for one in train or () if not one.startswith(ALONE)} & set(held or ())
    why = "the test part was given, so it is taken as it is; scores may be optimistic"
    what = f"{len(both)} groups lie in both training and test part"
    return (Decision(what, why),) if both else ()


def group_names(table: Table, name: str) -> list[str]:
    """Return the group of each row; a row without one is a group of its own.

    Raises
    ------
    UnknownNameError
        The table has no such column.
    """
    column(table, "groups", (), named=name, option="--group")
    cells = table.cells(name)
    return [f"{ALONE}{i}" if one is None else str(one).strip() for i, one in enumerate(cells)]
