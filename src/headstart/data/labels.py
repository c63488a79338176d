"""Raw labels -> classes or numbers, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.names import class_name as class_name
from headstart.core.types import AnyArray, Decision, Kind
from headstart.data.part import is_missing, shown

_FEW = 20
_FEW_FLOATS = 10
_A_CLASS = 5


def infer_kind(values: Sequence[Any], name: str) -> tuple[Kind, Decision | None]:
    """Decide between classification and regression by the labels (missing ones left out).

    Numbers with decimals are regression from 11 distinct values on. Whole numbers are classes
    when at most 20 are distinct, or when they are the codes 0..k-1 or 1..k with at least 5 items
    each on average; else regression. Everything else is classes.

    Raises
    ------
    DataError
        Most labels are many distinct numbers, and some are not numbers.
    """
    if all(isinstance(v, str | bool | np.bool_) for v in values):
        texts = [v for v in values if isinstance(v, str)]
        if not texts or not _looks_numeric(texts):
            return "classification", None
    numbers = np.array([_to_number(value) for value in values], dtype=np.float64)
    bad = [i for i in range(len(values)) if np.isnan(numbers[i])]
    good = numbers[~np.isnan(numbers)]
    distinct = len(np.unique(good))
    whole = bool(np.all(good == np.round(good)))
    if len(bad) > 0.1 * len(values) or not len(good):
        return "classification", None
    override = "kind='classification' or kind='regression'"
    if not whole and distinct > _FEW_FLOATS:
        _refuse_mixed(values, bad, name)
        why = f"{name!r} holds {distinct} distinct numbers with decimals"
        return "regression", Decision("kind is regression", why, override)
    codes = whole and good.min() in (0, 1) and good.max() - good.min() + 1 == distinct
    if distinct <= _FEW or (codes and len(good) >= _A_CLASS * distinct):
        why = f"{name!r} holds only {distinct} distinct numbers"
        if distinct > _FEW:
            why = f"{name!r} holds the codes {int(good.min())} to {int(good.max())}"
        return "classification", Decision("kind is classification", why, override)
    _refuse_mixed(values, bad, name)
    why = f"{name!r} holds {distinct} distinct whole numbers"
    return "regression", Decision("kind is regression", why, override)


def _looks_numeric(texts: Sequence[str]) -> bool:
    numeric = sum(not np.isnan(_to_number(text)) for text in texts)
    coded = sum(len(t.strip()) > 1 and t.strip()[0] == "0" and t.strip().isdigit() for t in texts)
    return numeric >= 0.9 * len(texts) and not coded


def _to_number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _refuse_mixed(values: Sequence[Any], bad: list[int], name: str) -> None:
    if bad:
        raise DataError(
            f"{len(bad)} labels among numbers are not numbers",
            where=f"column {name!r}",
            got=shown(sorted({str(values[i]) for i in bad})),
            hint="Correct them, or leave them empty to leave those rows out",
        )


def to_classes(values: Sequence[Any]) -> tuple[AnyArray, tuple[Decision, ...]]:
    """Return labels as an object array of ``str``, and what was changed or looks wrong."""
    names = [class_name(value) for value in values]
    decisions = []
    stripped = sum(isinstance(v, str) and v != n for v, n in zip(values, names, strict=True))
    if stripped:
        decisions.append(
            Decision(f"blanks around {stripped} labels are taken off", "they would be new classes")
        )
    folded: dict[str, set[str]] = {}
    for name in set(names):
        folded.setdefault(name.casefold(), set()).add(name)
    alike = sorted(" / ".join(sorted(group)) for group in folded.values() if len(group) > 1)
    if alike:
        decisions.append(
            Decision(
                f"classes that differ only in upper and lower case are kept apart: {shown(alike)}",
                "labels are taken as they stand",
                "rename them in DATA to join them",
            )
        )
    out = np.empty(len(names), dtype=object)
    out[:] = names
    return out, tuple(decisions)


def to_numbers(values: Sequence[Any], name: str, ids: Sequence[str]) -> AnyArray:
    """Return labels as float64.

    Raises
    ------
    DataError
        A label that is not a number; its row is named.
    """
    numbers = np.array([_to_number(value) for value in values], dtype=np.float64)
    wrong = np.flatnonzero(np.isnan(numbers))
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"{len(wrong)} labels are not numbers, as regression needs",
            where=f"{ids[first]}, {name!r}",
            got=values[first],
            hint="Correct them, or give kind='classification'",
        )
    return numbers


def unlabelled(values: Sequence[Any], kind: Kind | None) -> dict[int, str]:
    """Return the positions of items without a label, each with the reason."""
    reasons = {i: "no label" for i, value in enumerate(values) if is_missing(value)}
    for i, value in enumerate(values):
        if i in reasons:
            continue
        number = _to_number(value) if not isinstance(value, str) else 0.0
        if np.isinf(number):
            reasons[i] = "label is not finite"
        elif kind == "regression" and isinstance(value, str) and _is_nan_or_inf(value):
            reasons[i] = f"no label ({value.strip()})"
    return reasons


def _is_nan_or_inf(text: str) -> bool:
    return text.strip().lower() in {"nan", "na", "n/a", "null", "none", "inf", "-inf", "?"}


def check_classes(labels: AnyArray, where: str, *, judged: bool = False) -> tuple[Decision, ...]:
    """Check that there is something to learn: two classes, one of them with two items.

    With a test part (``judged``) one item a class is enough.

    Raises
    ------
    DataError
        One class only, or no class with two items.
    """
    counts = Counter(labels)
    if len(counts) < 2:
        only = f"only one class ({next(iter(counts))!r}, {len(labels)} items)" if counts else "none"
        raise DataError(
            f"at least two classes are needed, there is {only}",
            where=where,
            hint="Add labelled items of another class",
        )
    if max(counts.values()) < 2 and not judged:
        raise DataError(
            f"each of the {len(counts)} classes has one item only, so nothing can be held out",
            where=where,
            got=shown(sorted(counts)),
            hint="Give at least one class a second item, or name another column with --label",
        )
    single = sorted(name for name, count in counts.items() if count == 1)
    if not single:
        return ()
    return (
        Decision(
            f"{len(single)} classes have one item only: {shown(single)}",
            "they are learnt from, but while that item is held out nothing is known of its class",
            "add items to them",
        ),
    )


def check_numbers(labels: AnyArray, where: str) -> None:
    """Check that a regression has at least four items, of at least two values.

    Raises
    ------
    DataError
        Too few items, or all labels equal.
    """
    if len(labels) < 4:
        raise DataError("regression needs at least 4 labelled items", where=where, got=len(labels))
    if len(np.unique(labels)) < 2:
        raise DataError("all labels are equal", where=where, got=float(labels[0]))


def option_kind(kind: str | None) -> Kind | None:
    """Check the argument ``kind``.

    Raises
    ------
    OptionError
        It is none of the two.
    """
    if kind is None or kind == "classification" or kind == "regression":
        return kind  # type: ignore[return-value]
    raise OptionError("unknown kind", where="kind", got=kind, allowed="classification, regression")
