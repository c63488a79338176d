"""Labels, numbers and seeds as the scratch estimators are given them."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.core.missing import is_missing
from headstart.core.types import AnyArray, FloatArray


def _lengths(n_labels: int, n: int) -> None:
    if n == 0:
        raise DataError("no items to fit on", where="X")
    if n_labels != n:
        raise DataError("X and y differ in length", where="y", got=n_labels, allowed=f"{n} labels")


def labels_of(y: Any, n: int) -> AnyArray:
    """Return class labels as an array of shape (n,); integers and booleans stay such.

    Raises
    ------
    DataError
        There are none, or not n, or one is missing.
    """
    labels = np.asarray(y)
    if labels.ndim != 1:
        raise DataError("labels must be one-dimensional", where="y", got=labels.shape)
    _lengths(len(labels), n)
    if labels.dtype.kind == "O":
        for place, label in enumerate(labels):
            if is_missing(label):
                raise DataError("a missing label", where=f"y, item {place}", got=label)
        labels = np.array(labels.tolist())
    elif labels.dtype.kind == "f" and np.isnan(labels).any():
        place = int(np.isnan(labels).argmax())
        raise DataError("a missing label", where=f"y, item {place}", got="nan")
    return labels


def targets_of(y: Any, n: int) -> FloatArray:
    """Return numbers to predict as float64 of shape (n,).

    Raises
    ------
    DataError
        There are none, or not n, or one is not a finite number.
    """
    try:
        target = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError("labels are not numbers", where="y", allowed="finite numbers") from None
    if target.ndim != 1:
        raise DataError("labels must be one-dimensional", where="y", got=target.shape)
    _lengths(len(target), n)
    if not np.isfinite(target).all():
        place = int((~np.isfinite(target)).argmax())
        raise DataError("not a finite number", where=f"y, item {place}", got=float(target[place]))
    return target


def seed_of(random_state: int | None) -> int:
    """Return the seed; None draws one from the operating system."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(random_state)
