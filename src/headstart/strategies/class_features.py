"""What strategies share that are told what the classes are like, before any label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.temper import sharpness

WHERE = "class_features"
KNOWN_ITEMS = 20
"""How many labelled items a sharpness that is known beforehand counts for."""


def class_rows(class_features: Any, *, width: int | None = None) -> tuple[AnyArray, FloatArray]:
    """Return the sorted classes and their features.

    Parameters
    ----------
    class_features : mapping of label to (d,) numbers
    width : int, optional
        The d that is needed.

    Returns
    -------
    tuple of ndarray of shape (k,) and ndarray of shape (k, d), float64

    Raises
    ------
    OptionError
        It is no mapping, holds no class, or the features of a class are not d finite numbers.
    DataError
        The labels cannot be sorted.
    """
    if not isinstance(class_features, Mapping) or not class_features:
        raise OptionError(
            "this strategy must be told what the classes are like",
            where=WHERE,
            got=None if class_features is None else type(class_features).__name__,
            allowed="a mapping of each class to its features",
            hint="`headstart fit --classes` makes them of the classes' names",
        )
    try:
        names = sorted(class_features)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in class_features})
        raise DataError("labels of different types cannot be sorted", got=kinds) from error
    rows = [np.asarray(class_features[name], dtype=np.float64) for name in names]
    needed = len(rows[0]) if width is None and rows[0].ndim == 1 else width
    for name, row in zip(names, rows, strict=True):
        if row.shape != (needed,) or not np.isfinite(row).all():
            raise OptionError(
                f"the features of class {name!r} are not {needed} finite numbers",
                where=WHERE,
                got=row.shape,
            )
    return np.array(names, dtype=object if isinstance(names[0], str) else None), np.stack(rows)


def codes_of(y: AnyArray, classes: AnyArray) -> IntArray:
    """Return the place of each label among the classes.

    Raises
    ------
    DataError
        A label is not among them.
    """
    place = {name: code for code, name in enumerate(classes.tolist())}
    given = np.asarray(y).tolist()
    strange = sorted({str(label) for label in given if label not in place})
    if strange:
        raise DataError(
            "labels that are not among the classes",
            where=WHERE,
            got=strange[:5],
            allowed=[str(name) for name in classes[:20]],
        )
    return np.array([place[label] for label in given], dtype=np.int64)


def unit_length(rows: FloatArray) -> FloatArray:
    """Return (k, d) rows scaled to length 1; rows of zeros stay."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: FloatArray = rows / np.where(length > 0.0, length, 1.0)
    return scaled


def told_sharpness(scores: FloatArray, codes: IntArray, known: float) -> float:
    """Return the factor on scores that labels tell, weighed against one that is known beforehand.

    Parameters
    ----------
    scores : ndarray of shape (n, k)
        Of rows that were not learnt from.
    codes : ndarray of shape (n,), int
    known : float > 0
        Counts for 20 rows.
    """
    n = len(codes)
    told = np.log(sharpness(scores, codes))
    return float(np.exp((n * told + KNOWN_ITEMS * np.log(known)) / (n + KNOWN_ITEMS)))
