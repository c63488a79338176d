"""What a heterogeneous adapter sees: a source, a target of other features, and what joins them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from headstart.core.errors import DataError
from headstart.core.types import FloatArray, IntArray
from headstart.strategies.adaptation.domains import UNLABELLED, Scale

Pairs = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class Sides:
    """Both domains, each scaled by itself, with classes as numbers.

    Parameters
    ----------
    X : float64 array of shape (n, d_s)
    codes : int array of shape (n,)
        0 to k - 1.
    target : float64 array of shape (m, d_t)
    target_codes : int array of shape (m,)
        -1 where there is no label.
    n_classes : int
    pairs : (p, d_s) and (p, d_t) arrays, optional
        The same p items in both feature spaces.
    """

    X: FloatArray
    codes: IntArray
    target: FloatArray
    target_codes: IntArray
    n_classes: int
    pairs: Pairs | None = None

    @property
    def known(self) -> IntArray:
        """Places of the target rows that have a label."""
        return np.flatnonzero(self.target_codes != UNLABELLED)

    @property
    def labelled(self) -> tuple[FloatArray, IntArray]:
        """The target rows that have a label, and their classes."""
        return self.target[self.known], self.target_codes[self.known]

    def hiding(self, places: IntArray) -> Sides:
        """Return the sides as if target rows at these places had no label."""
        codes = self.target_codes.copy()
        codes[places] = UNLABELLED
        return replace(self, target_codes=codes)


def own_scale(X: FloatArray) -> Scale:
    """Return mean and standard deviation of rows; a feature that never varies keeps its scale."""
    mean, spread = X.mean(axis=0), X.std(axis=0)
    small = spread <= 1e-12 * np.maximum(np.abs(mean), 1.0)
    return Scale(mean, np.where(small, 1.0, spread))


def checked_pairs(pairs: Sequence[Any] | None, d_source: int, d_target: int) -> Pairs | None:
    """Return paired rows as arrays.

    Raises
    ------
    DataError
        They are not two arrays of as many rows, or of other features than the domains.
    """
    if pairs is None:
        return None
    if len(pairs) != 2:
        raise DataError(
            "pairs are two arrays: rows of the source and the same items as rows of the target",
            where="pairs",
            got=f"{len(pairs)} parts",
        )
    here, there = (check_array(part, dtype=np.float64, input_name="pairs") for part in pairs)
    widths = here.shape[1], there.shape[1]
    if len(here) != len(there) or widths != (d_source, d_target):
        raise DataError(
            "paired rows do not fit together or not to their domains",
            where="pairs",
            got=f"{here.shape} and {there.shape}",
            allowed=f"(p, {d_source}) and (p, {d_target})",
        )
    return here, there
