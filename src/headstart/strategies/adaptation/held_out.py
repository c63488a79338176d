"""Labelled rows of the target held out in turn, by which inductive adapters choose settings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import stdtrit

from headstart.core.types import FloatArray, IntArray
from headstart.strategies.views import stratified_folds

FOLDS = 10  # up to so many rows each is held out alone
LEAST = 5  # rows; with three of them, boosting was led astray by 5 points


def splits(
    codes: IntArray, seed: int = 0, most: int = FOLDS
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield (rows to fit, rows held out), in as many parts as rows but at most ``most``.

    Parameters
    ----------
    codes : int array of shape (m,)
        Classes, which are spread evenly over the parts.
    seed : int
    most : int, >= 1
    """
    n_folds = min(most, len(codes))
    folds = stratified_folds(codes, n_folds, seed)
    for fold in range(n_folds):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def row_losses(probabilities: FloatArray, codes: IntArray) -> FloatArray:
    """Return the log loss of each row; a probability below 1e-6 counts as 1e-6."""
    picked = probabilities[np.arange(len(codes)), codes]
    result: FloatArray = -np.log(np.maximum(picked, 1e-6))
    return result


def better(losses: FloatArray, base: FloatArray) -> bool:
    """Return whether losses are lower than those of a base, by a one-sided t test at 10 %.

    Both have shape (m,) and are paired by row; fewer than five rows prove nothing.
    """
    gain = base - losses
    if len(gain) < LEAST:
        return False
    error = float(gain.std(ddof=1)) / np.sqrt(len(gain))
    return bool(gain.mean() > stdtrit(len(gain) - 1, 0.9) * error + 1e-12)
