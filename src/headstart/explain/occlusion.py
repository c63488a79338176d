"""Hide a part, predict again, and see how far the answer falls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from headstart.core.errors import OptionError, UnknownNameError
from headstart.core.types import FloatArray, Modality

_HOMES: dict[Modality, str] = {
    "image": "pictures",
    "text": "texts",
    "table": "rows",
    "audio": "sounds",
}
AT_ONCE = 16
"""Items of which the hidden versions are held in memory together."""


@dataclass(frozen=True, eq=False)
class Hidden:
    """An item with parts hidden.

    Parameters
    ----------
    whole : item
        The item as the versions were made from it.
    versions : list of length m
        The item with one part hidden each.
    told : callable
        Makes of the falls, an array of shape (m,), what an explanation says of the parts.
    """

    whole: Any
    versions: list[Any]
    told: Callable[[FloatArray], dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Asked:
    """A model as an explanation asks it.

    Parameters
    ----------
    answer : callable
        Takes a list of items; returns probabilities of shape (n, k), or values of shape (n,).
    modality : {"image", "text", "audio", "table"}
    classes : sequence of str, length k
        Empty for numbers.
    typical : mapping of column to value, optional
        What stands in for a hidden value of a table; a column that is not named becomes empty.
    """

    answer: Callable[[list[Any]], FloatArray]
    modality: Modality
    classes: Sequence[str] = ()
    typical: Mapping[str, Any] | None = None


def explain(
    asked: Asked, items: Sequence[Any], *, labels: Sequence[str | None] | None = None
) -> list[dict[str, Any]]:
    """Return which parts of each item its prediction rests on.

    Parameters
    ----------
    asked : Asked
    items : sequence of length n
        Texts; pictures or recordings as ``data.read_image`` and ``data.audio.read_audio`` take
        them; rows of a table as dicts.
    labels : sequence of length n of str or None, optional
        The class whose probability is looked at; by default the most probable one.

    Returns
    -------
    list of dict, length n
        ``kind``, ``method``, ``label`` (for numbers the predicted value), ``confidence`` (of that
        label; None for numbers), and by kind ``weights`` (rows x columns of a picture), ``tokens``
        (``text`` and ``weight``; the texts joined are the item), ``columns`` (``name``, ``value``,
        ``weight``) or ``windows`` (``start`` and ``end`` in seconds, ``weight``). A weight is how
        far the label's probability, or the predicted value, falls when the part is hidden:
        negative where the part speaks against the label.

    Raises
    ------
    OptionError
        There are other than n labels.
    UnknownNameError
        A label is no class of the model.
    DataError
        An item cannot be read.
    """
    wanted = [None] * len(items) if labels is None else list(labels)
    if len(wanted) != len(items):
        raise OptionError("there must be a label for each item", got=len(wanted))
    for label in wanted:
        if label is not None and label not in asked.classes:
            raise UnknownNameError("class", label, asked.classes)
    told = []
    for start in range(0, len(items), AT_ONCE):
        told += _some(asked, items[start : start + AT_ONCE], list(wanted[start : start + AT_ONCE]))
    return told


def _some(asked: Asked, items: Sequence[Any], labels: list[str | None]) -> list[dict[str, Any]]:
    room = import_module(f"headstart.explain.{_HOMES[asked.modality]}")
    hidden: list[Hidden] = [room.hidden(item, asked.typical or {}) for item in items]
    given = [version for one in hidden for version in (one.whole, *one.versions)]
    if not given:
        return []
    made = np.asarray(asked.answer(given), dtype=np.float64)
    told, start = [], 0
    for one, label in zip(hidden, labels, strict=True):
        stop = start + 1 + len(one.versions)
        told.append(_told(one, made[start:stop], label, asked))
        start = stop
    return told


def _told(hidden: Hidden, made: FloatArray, label: str | None, asked: Asked) -> dict[str, Any]:
    """Return the explanation of one item; the first row of ``made`` is of the whole item."""
    kind = "row" if asked.modality == "table" else asked.modality
    head: dict[str, Any] = {"kind": "sound" if kind == "audio" else kind, "method": "occlusion"}
    if asked.classes:
        place = int(made[0].argmax()) if label is None else list(asked.classes).index(label)
        made = made[:, place]
        head |= {"label": asked.classes[place], "confidence": rounded(made[0])}
    else:
        head |= {"label": rounded(made[0]), "confidence": None}
    return head | hidden.told(made[0] - made[1:])


def rounded(value: Any, digits: int = 6) -> float:
    """Return a number with so many significant digits, as JSON holds it."""
    return float(f"{float(value):.{digits}g}")
