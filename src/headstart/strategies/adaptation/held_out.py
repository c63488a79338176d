"""Labelled rows of the target held out in turn, by which inductive adapters choose settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from headstart.core.types import FloatArray, IntArray
from headstart.strategies.views import stratified_folds

FOLDS = 10  # up to so many rows each is held out alone
Fitter = Callable[[IntArray], Callable[[FloatArray], FloatArray]]


def splits(codes: IntArray, seed: int = 0) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield (rows to fit, rows held out); up to ten rows one at a time, else in ten parts.

    Parameters
    ----------
    codes : int array of shape (m,)
        Classes, which are spread evenly over the parts.
    seed : int
    """
    n_folds = min(FOLDS, len(codes))
    folds = stratified_folds(codes, n_folds, seed)
    for fold in range(n_folds):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def row_losses(probabilities: FloatArray, codes: IntArray) -> FloatArray:
    """Return the log loss of each row; a probability below 1e-6 counts as 1e-6."""
    picked = probabilities[np.arange(len(codes)), codes]
    result: FloatArray = -np.log(np.maximum(picked, 1e-6))
    return result


def better(losses: FloatArray, base: FloatArray) -> bool:
    """Return whether losses are lower than those of a base by more than one standard error.

    Both have shape (m,) and are paired by row.
    """
    gain = base - losses
    if len(gain) < 2:
        return False
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)) and gain.mean() > 1e-12)
