"""Which columns of two tables are the same: by name and type, never by guessing at the content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headstart.core.types import Decision
from headstart.data.columns import column_types, plain_name

Sort = Literal["number", "category", "date"]
_SHOWN = 8


@dataclass(frozen=True)
class Matching:
    """Columns of a source table and of a target table that are taken for the same.

    Parameters
    ----------
    shared : tuple of str
        Columns of both, by their name in the target and in the target's order.
    renamed : dict of str to str
        Of those, the ones that are called otherwise in the source: source name to target name.
    only_source, only_target : tuple of str
        Columns left out.
    decisions : tuple of Decision
    """

    shared: tuple[str, ...]
    renamed: dict[str, str] = field(default_factory=dict)
    only_source: tuple[str, ...] = ()
    only_target: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()

    def apply(self, source: Any, target: Any) -> tuple[Any, Any]:
        """Return both frames with the shared columns alone, named and ordered alike."""
        back = {there: here for here, there in self.renamed.items()}
        left = _only(source, [back.get(name, name) for name in self.shared])
        right = _only(target, list(self.shared))
        left.columns = right.columns
        types = dict(source.attrs.get("column_types", {}))
        if types:
            left.attrs["column_types"] = {
                name: types[back.get(name, name)]
                for name in self.shared
                if back.get(name, name) in types
            }
        return left, right


def _only(frame: Any, names: list[str]) -> Any:
    """Return these columns; where those are all, a view rather than a copy of a large table."""
    return frame.copy(deep=False) if list(frame.columns) == names else frame[names].copy()


def match_columns(source: Any, target: Any) -> Matching:
    """Match the columns of two tables by name and type.

    The same name comes first; then names that differ in case, spaces, underscores and other signs
    alone, where each has one such partner. Both columns must hold numbers (or true and false), or
    both categories, or both dates; others are left out. What is matched and what is not is said.

    Parameters
    ----------
    source, target : pandas.DataFrame
        Feature columns alone; of ``Task.items`` the types found in reading count.

    Examples
    --------
    >>> import pandas as pd
    >>> from headstart.data.matching import match_columns
    >>> here = pd.DataFrame({"Age": [31], "town": ["Ulm"], "size": [1.8]})
    >>> there = pd.DataFrame({"age": [8], "town": ["Bonn"], "size": ["tall"]})
    >>> found = match_columns(here, there)
    >>> found.shared, found.renamed, found.only_source
    (('age', 'town'), {'Age': 'age'}, ('size',))
    """
    here, there = _sorts(source), _sorts(target)
    pairs: dict[str, str] = {}  # target name to source name
    clashes = []
    for name, sort in there.items():
        if name in here:
            if here[name] == sort:
                pairs[name] = name
            else:
                clashes.append(f"{name} ({here[name]} in the source, {sort} in the target)")
    left = _by_plain_name(name for name in here if name not in there)
    right = _by_plain_name(name for name in there if name not in here)
    doubtful = []
    for plain, names in right.items():
        partners = left.get(plain, [])
        if not partners:
            continue
        if len(partners) > 1 or len(names) > 1:
            doubtful.append(" / ".join([*partners, *names]))
        elif here[partners[0]] == there[names[0]]:
            pairs[names[0]] = partners[0]
        else:
            sorts = f"{here[partners[0]]} in the source, {there[names[0]]} in the target"
            clashes.append(f"{partners[0]} / {names[0]} ({sorts})")
    renamed = {mine: name for name, mine in pairs.items() if mine != name}
    matching = Matching(
        tuple(name for name in there if name in pairs),
        renamed,
        tuple(name for name in here if name not in pairs.values()),
        tuple(name for name in there if name not in pairs),
    )
    said = _said(matching, clashes, doubtful)
    return Matching(
        matching.shared, renamed, matching.only_source, matching.only_target, tuple(said)
    )


def _sorts(frame: Any) -> dict[str, Sort]:
    """Return what each column holds; true and false are numbers."""
    stored: Mapping[str, Any] = frame.attrs.get("column_types", {})
    found: dict[str, Sort] = {}
    kinds = dict(frame.dtypes)
    for name, kind in column_types(frame).items():
        if name not in stored and kinds[name].kind == "M":
            found[name] = "date"
        else:
            found[name] = "number" if kind == "flag" else kind
    return found


def _by_plain_name(names: Any) -> dict[str, list[str]]:
    """Return names by what is left of them without case, spaces and signs; nothing left: out."""
    found: dict[str, list[str]] = {}
    for name in names:
        plain = plain_name(str(name))
        if plain:
            found.setdefault(plain, []).append(name)
    return found


def _said(matching: Matching, clashes: list[str], doubtful: list[str]) -> list[Decision]:
    said = []
    total = len(matching.shared)
    if matching.only_source or matching.only_target or matching.renamed or not total:
        what = f"{total} columns are in both tables" if total else "no column is in both tables"
        said.append(Decision(what, f"same name and type: {_listed(matching.shared)}"))
    if matching.renamed:
        pairs = [f"{here} is {there}" for here, there in matching.renamed.items()]
        why = "the names differ in case, spaces or signs alone"
        said.append(Decision(_listed(pairs), why, "rename one of the columns to keep them apart"))
    for side, names in (("source", matching.only_source), ("target", matching.only_target)):
        if names:
            what = f"left out columns of the {side}: {_listed(names)}"
            said.append(Decision(what, "the other table has no such column of this type"))
    if clashes:
        why = f"the same name holds other things: {_listed(clashes)}"
        said.append(Decision("not matched", why, "convert one of the columns"))
    if doubtful:
        why = f"several columns differ in case, spaces or signs alone: {_listed(doubtful)}"
        said.append(Decision("not matched", why, "rename the columns"))
    return said


def _listed(names: Any) -> str:
    names = [str(name) for name in names]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) + more) or "none"
