"""Which columns of a table differ between two domains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from headstart.core.errors import DataError
from headstart.core.missing import is_missing
from headstart.core.types import AnyArray, FloatArray, IntArray

MOST_LEVELS = 20


@dataclass(frozen=True)
class FeatureShift:
    """How one column differs.

    Parameters
    ----------
    name : str
    test : {"Kolmogorov-Smirnov", "chi-square"}
        The second for categories, for columns of two values, and where numbers differ more in how
        many are missing than in those that are there.
    p, p_adjusted : float
        The second after Holm's correction for all columns.
    difference : float
        Standardised difference of the means (target less source, in pooled standard deviations);
        for categories the largest difference of a category's share, for missing numbers that of
        their share.
    """

    name: str
    test: Literal["Kolmogorov-Smirnov", "chi-square"]
    p: float
    p_adjusted: float
    difference: float


@dataclass(frozen=True, eq=False)
class Column:
    """One column of both domains: numbers (NaN where missing), or the numbers of categories."""

    name: str
    source: AnyArray
    target: AnyArray
    levels: int = 0


def read(
    X: Any, X_target: Any, names: Sequence[str] | None
) -> tuple[FloatArray, FloatArray, list[Column] | None]:
    """Return both domains as numbers, and the columns where they have names.

    Parameters
    ----------
    X, X_target : arrays of shape (n, d) and (m, d), or data frames
        Columns of a frame that are no numbers are categories; the most frequent 20 become
        indicators.
    names : sequence of d str, optional
        Of the columns of arrays; a frame brings its own.

    Raises
    ------
    DataError
        The domains have no rows, other columns, or hold NaN or infinity.
    """
    if hasattr(X, "columns") and hasattr(X_target, "columns"):
        return _frames(X, X_target)
    source, target = _array(X, "X"), _array(X_target, "X_target")
    if source.shape[1] != target.shape[1]:
        raise DataError(
            "the target has other features than the source",
            where="X_target",
            got=f"{target.shape[1]} features",
            allowed=f"{source.shape[1]}",
        )
    if names is None:
        return source, target, None
    if len(names) != source.shape[1]:
        raise DataError(
            "each feature needs one name",
            where="names",
            got=f"{len(names)} names",
            allowed=f"{source.shape[1]}",
        )
    return (
        source,
        target,
        [Column(str(name), source[:, at], target[:, at]) for at, name in enumerate(names)],
    )


def _array(X: Any, where: str) -> FloatArray:
    try:
        rows = np.asarray(X)
        rows = rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(
            "features that are no numbers", where=where, hint="give a data frame for categories"
        ) from None
    if rows.ndim != 2 or 0 in rows.shape:
        raise DataError(
            "rows of features are needed", where=where, got=rows.shape, allowed="(n, d), n, d >= 1"
        )
    if not np.isfinite(rows).all():
        row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise DataError(
            "NaN or infinity among the features",
            where=f"{where}, row {row + 1}",
            hint="fill or drop such rows first",
        )
    return rows


def _frames(X: Any, X_target: Any) -> tuple[FloatArray, FloatArray, list[Column]]:
    if list(X.columns) != list(X_target.columns):
        missing = [str(name) for name in X.columns if name not in set(X_target.columns)]
        raise DataError(
            "the target has other columns than the source",
            where="X_target",
            got=[str(name) for name in X_target.columns][:20],
            allowed=[str(name) for name in X.columns][:20],
            hint=f"missing: {', '.join(missing[:20])}" if missing else "same columns, same order",
        )
    columns, parts = [], []
    for name in X.columns:
        first, second = np.asarray(X[name]), np.asarray(X_target[name])
        if first.dtype.kind in "biuf" and second.dtype.kind in "biuf":
            column = Column(str(name), first.astype(float), second.astype(float))
            parts.append((column.source[:, None], column.target[:, None]))
        else:
            both = [str(value) for value in [*first, *second]]
            levels, codes = np.unique(both, return_inverse=True)
            column = Column(str(name), codes[: len(first)], codes[len(first) :], len(levels))
            top = np.argsort(-np.bincount(codes), kind="stable")[:MOST_LEVELS]
            hot = (codes[:, None] == top).astype(float)
            parts.append((hot[: len(first)], hot[len(first) :]))
        columns.append(column)
    source = _array(np.hstack([one for one, _ in parts]) if parts else np.zeros((0, 0)), "X")
    return source, _array(np.hstack([one for _, one in parts]), "X_target"), columns


def table_columns(
    frames: tuple[Any, Any], n: tuple[int, int], ours: IntArray, theirs: IntArray
) -> list[Column]:
    """Return some rows of two data frames as columns to test.

    Parameters
    ----------
    frames : (DataFrame, DataFrame)
        Numbers, dates and categories; all may have missing cells. A missing category is one more
        category.
    n : (int, int)
        How many rows they must have.
    ours, theirs : int arrays
        The rows to take of each.

    Raises
    ------
    DataError
        The frames have other rows than the features, or differ in their columns.
    """
    got = tuple(len(frame) for frame in frames)
    if got != n:
        raise DataError("other rows than the features", where="columns", got=got, allowed=n)
    first, second = frames
    if list(first.columns) != list(second.columns):
        raise DataError(
            "the target has other columns than the source",
            where="columns",
            got=[str(name) for name in second.columns][:20],
            allowed=[str(name) for name in first.columns][:20],
        )
    found = []
    for at, name in enumerate(first.columns):
        cells = first.iloc[ours, at], second.iloc[theirs, at]
        numbers = [_numbers(each) for each in cells]
        if numbers[0] is not None and numbers[1] is not None:
            found.append(Column(str(name), numbers[0], numbers[1]))
            continue
        texts = ["" if is_missing(cell) else f"={cell}" for part in cells for cell in part]
        levels, codes = np.unique(texts, return_inverse=True)
        found.append(Column(str(name), codes[: len(ours)], codes[len(ours) :], len(levels)))
    return found


def _numbers(cells: Any) -> FloatArray | None:
    """Return numbers, true and false, or days since 1970; None where cells are none of these."""
    if cells.dtype.kind in "biuf":
        result: FloatArray = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        return result
    if cells.dtype.kind == "M":
        times = cells.to_numpy(dtype="datetime64[ns]")
        return np.where(np.isnat(times), np.nan, times.astype(np.int64) / 8.64e13)
    plain = [math.nan if is_missing(cell) else cell for cell in cells]
    if all(isinstance(cell, (int, float, np.number, np.bool_)) for cell in plain):
        return np.array(plain, dtype=np.float64)
    return None


def feature_shifts(
    columns: Sequence[Column], ours: IntArray, theirs: IntArray
) -> tuple[FeatureShift, ...]:
    """Test each column, and correct by Holm (Scandinavian Journal of Statistics 1979).

    Holm's correction bounds the chance that any column is called shifted wrongly, so that the
    smallest corrected value can itself take part in the verdict.

    Parameters
    ----------
    columns : sequence of Column
    ours, theirs : int arrays
        The rows of source and target to compare.

    Returns
    -------
    tuple of FeatureShift
        The most certain first.
    """
    found = [_one(column, column.source[ours], column.target[theirs]) for column in columns]
    order = np.argsort([p for _, p, _ in found], kind="stable")
    shifts, highest = [], 0.0
    for rank, at in enumerate(order):
        test, p, difference = found[at]
        highest = max(highest, min(1.0, p * (len(found) - rank)))
        shifts.append(FeatureShift(columns[at].name, test, p, highest, difference))
    return tuple(shifts)


def _one(
    column: Column, first: AnyArray, second: AnyArray
) -> tuple[Literal["Kolmogorov-Smirnov", "chi-square"], float, float]:
    if column.levels:
        return "chi-square", *_categories(first, second, column.levels)
    gone = np.isnan(first), np.isnan(second)
    if not (gone[0].any() or gone[1].any()):
        return _of_numbers(first, second)
    p, _ = _categories(gone[0].astype(np.int64), gone[1].astype(np.int64), 2)
    difference = float(gone[1].mean() - gone[0].mean())
    first, second = first[~gone[0]], second[~gone[1]]
    if not (len(first) and len(second)):
        return "chi-square", p, difference
    there = _of_numbers(first, second)
    # two tests of one column (Bonferroni): what is there, and how much is missing
    if there[1] <= p:
        return there[0], min(1.0, 2 * there[1]), there[2]
    return "chi-square", min(1.0, 2 * p), difference


def _of_numbers(
    first: FloatArray, second: FloatArray
) -> tuple[Literal["Kolmogorov-Smirnov", "chi-square"], float, float]:
    from scipy.stats import ks_2samp

    values, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    if len(values) <= 2:
        p, _ = _categories(codes[: len(first)], codes[len(first) :], len(values))
        return "chi-square", p, _difference(first, second)
    method = "asymp" if min(len(first), len(second)) > 50 else "auto"
    p = float(ks_2samp(first, second, method=method).pvalue)
    return "Kolmogorov-Smirnov", p, _difference(first, second)


def _categories(first: IntArray, second: IntArray, levels: int) -> tuple[float, float]:
    from headstart.evaluate.shift_labels import homogeneous

    shares = [np.bincount(one, minlength=levels) / len(one) for one in (first, second)]
    apart = shares[1] - shares[0]
    return homogeneous(first, second, levels), float(apart[np.abs(apart).argmax()])


def _difference(first: FloatArray, second: FloatArray) -> float:
    spread = math.sqrt((float(first.var()) + float(second.var())) / 2)
    apart = float(second.mean() - first.mean())
    if spread <= 1e-12 * max(abs(apart), 1e-300):
        return 0.0 if apart == 0 else math.copysign(99.0, apart)
    return max(min(apart / spread, 99.0), -99.0)
