"""What an adapter sees: labelled rows of the source, rows of the target with labels or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.core.missing import is_missing
from headstart.core.types import AnyArray, FloatArray, IntArray

UNLABELLED = -1
BLOCK = 8192
SINGLE = 2**24
"""Numbers in a table from which on it is kept in float32 once it is standardised."""


@dataclass(frozen=True, eq=False)
class Domains:
    """Both domains, checked, with classes as numbers.

    Parameters
    ----------
    X : float64 or float32 array of shape (n, d)
        Rows of the source.
    codes : int array of shape (n,)
        Their classes, 0 to k - 1.
    target : float array of shape (m, d)
        Rows of the target.
    target_codes : int array of shape (m,)
        Their classes; -1 where there is no label.
    n_classes : int
    origin : int array of shape (n,)
        The source domain each row of the source comes from, 0 to D - 1.
    """

    X: FloatArray
    codes: IntArray
    target: FloatArray
    target_codes: IntArray
    n_classes: int
    origin: IntArray

    @property
    def known(self) -> IntArray:
        """Places of the target rows that have a label."""
        return np.flatnonzero(self.target_codes != UNLABELLED)

    @property
    def same(self) -> bool:
        """Whether the target is the source itself: nothing can have shifted."""
        return np.array_equal(self.X, self.target)


@dataclass(frozen=True, eq=False)
class Scale:
    """The centre and the spread by which features are made comparable, both of shape (d,)."""

    mean: FloatArray
    spread: FloatArray

    def __call__(self, X: FloatArray) -> FloatArray:
        """Return rows centred and divided by the spread; many of them in float32."""
        if X.size < SINGLE:
            result: FloatArray = (X - self.mean) / self.spread
            return result
        found = np.empty(X.shape, dtype=np.float32)
        for start in range(0, len(X), BLOCK):
            rows = slice(start, start + BLOCK)
            found[rows] = (X[rows] - self.mean) / self.spread
        return found


def pooled_scale(X: FloatArray, target: FloatArray) -> Scale:
    """Return mean and standard deviation of the rows of both domains together.

    A feature that never varies keeps its scale.
    """
    n, m = len(X), len(target)
    mean = (X.sum(axis=0, dtype=np.float64) + target.sum(axis=0, dtype=np.float64)) / (n + m)
    square = np.zeros(X.shape[1])
    for rows in (X, target):
        for start in range(0, len(rows), BLOCK):  # no second copy of a large table
            square += ((rows[start : start + BLOCK] - mean) ** 2).sum(axis=0, dtype=np.float64)
    spread = np.sqrt(square / (n + m))
    small = spread <= 1e-12 * np.maximum(np.abs(mean), 1.0)
    return Scale(mean.astype(X.dtype), np.where(small, 1.0, spread).astype(X.dtype))


def target_labels(y: Any, n_target: int, classes: AnyArray) -> IntArray:
    """Return the classes of target rows as numbers, -1 where there is no label.

    Parameters
    ----------
    y : sequence of length m, or None
        A label, or None, NaN or pandas' NA where there is none.
    n_target : int
    classes : ndarray of shape (k,)
        Sorted classes of the source.

    Raises
    ------
    DataError
        Another number of labels than of rows, or a class that the source does not have.
    """
    codes = np.full(n_target, UNLABELLED, dtype=np.int64)
    if y is None:
        return codes
    given = list(y)
    if len(given) != n_target:
        raise DataError(
            "labels of the target and its rows differ in number",
            where="y_target",
            got=f"{len(given)} labels for {n_target} rows",
            hint="give None for a row without a label",
        )
    place = {name: code for code, name in enumerate(classes.tolist())}
    for row, label in enumerate(given):
        plain = label.item() if isinstance(label, np.generic) else label
        if is_missing(plain):
            continue
        if plain not in place:
            raise DataError(
                "a class of the target that the source does not have",
                where=f"y_target, row {row + 1}",
                got=plain,
                allowed=classes.tolist()[:20],
            )
        codes[row] = place[plain]
    return codes


def origins(domain: Sequence[Any] | AnyArray | None, n: int) -> IntArray:
    """Return the source domain of each row as a number, 0 where there is only one.

    Raises
    ------
    DataError
        Another number of names than of rows.
    """
    if domain is None:
        return np.zeros(n, dtype=np.int64)
    names = np.asarray(domain)
    if names.shape != (n,):
        raise DataError(
            "each row of the source needs one domain",
            where="domain",
            got=f"shape {names.shape}",
            allowed=f"({n},)",
        )
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
