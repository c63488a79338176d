"""Class means of unit rows, kept beside a model: what new classes and pairs are compared with.

Plain numpy, so that a saved model opens without scikit-learn; ``gallery_fit`` makes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.unit import closeness, unit_rows

ARRAYS = ("centre", "means", "counts", "scale", "pairs", "rates", "equal")


@dataclass(frozen=True, eq=False)
class Gallery:
    """What is known of the classes as points, and of pairs of items.

    Parameters
    ----------
    centre : ndarray of shape (d,)
        The mean of the class means.
    means : ndarray of shape (k, d)
        Of the rows of each class, less the centre and scaled to length 1.
    counts : ndarray of shape (k,), int
        Rows of each class.
    scale : ndarray of shape (2,)
        The sharpness of the softmax over minus the squared distances; and the mean squared
        distance of a row to the true mean of its class, 0 where no class has two rows.
    pairs : ndarray of shape (2,), int
        How many pairs of two classes, and of one, the rates come from.
    rates : ndarray of shape (m, 3)
        Share of pairs of two classes accepted (falling), the similarity from which they are, and
        the share of pairs of one class that is then rejected (nan where there are none).
    equal : ndarray of shape (2,)
        The rate at which as many are wrongly accepted as rejected, and its similarity; nan where
        there are no pairs of one class.
    """

    centre: FloatArray
    means: FloatArray
    counts: IntArray
    scale: FloatArray
    pairs: IntArray
    rates: FloatArray
    equal: FloatArray

    def arrays(self) -> dict[str, AnyArray]:
        """Return it as named arrays; :meth:`of` reverses it."""
        return {name: getattr(self, name) for name in ARRAYS}

    @classmethod
    def of(cls, arrays: Mapping[str, AnyArray]) -> Gallery:
        """Rebuild what :meth:`arrays` returned.

        Raises
        ------
        ValueError
            They are not of one gallery.
        """
        if set(arrays) != set(ARRAYS):
            raise ValueError(f"not the arrays of a gallery: {sorted(arrays)}")
        found = cls(**arrays)
        k, d = found.means.shape
        shapes = {
            "centre": (d,),
            "counts": (k,),
            "scale": (2,),
            "pairs": (2,),
            "rates": (len(found.rates), 3),
            "equal": (2,),
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{name} has the shape {arrays[name].shape}, not {shape}")
        solid = (found.centre, found.means, found.scale)
        if not all(np.isfinite(array).all() for array in solid) or (found.counts < 1).any():
            raise ValueError("not the numbers of a gallery")
        return found

    def unit(self, X: AnyArray) -> FloatArray:
        """Return (n, d) features less the centre, scaled to length 1."""
        return unit_rows(X, self.centre.astype(np.float64))

    def shares(self, X: AnyArray) -> FloatArray:
        """Return the (n, k) softmax of minus the squared distances to the class means.

        A mean of few rows is off by its own noise; what that adds to a distance on average is
        taken off, so that a class known from one row stands its ground.
        """
        sharp, within = self.scale
        scores = closeness(self.unit(X), self.means.astype(np.float64)) + within / self.counts
        scores = sharp * scores
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        result: FloatArray = shares / shares.sum(axis=1, keepdims=True)
        return result

    def grown(self, X: AnyArray) -> Gallery:
        """Return the gallery with one more class, of the (n, d) rows.

        Where no class had two rows before, it also tells how far rows are from their mean.
        """
        rows = self.unit(X)
        mean, scale = rows.mean(axis=0, keepdims=True), self.scale
        if scale[1] == 0.0 and len(rows) > 1:
            scale = np.array([scale[0], ((rows - mean) ** 2).sum() / (len(rows) - 1)])
        return replace(
            self,
            means=np.concatenate([self.means, mean.astype(np.float32)]),
            counts=np.append(self.counts, len(X)),
            scale=scale,
        )

    def similarity(self, one: AnyArray, other: AnyArray) -> FloatArray:
        """Return the n cosines of (n, d) rows with the rows at the same place of the others."""
        result: FloatArray = (self.unit(one) * self.unit(other)).sum(axis=1)
        return np.clip(result, -1.0, 1.0)

    def threshold(self, false_accept: float) -> float:
        """Return the similarity from which pairs count as of one class.

        Parameters
        ----------
        false_accept : float
            The share of pairs of two classes that may be accepted, above 0 and at most 0.5.

        Raises
        ------
        OptionError
            It is not, or there were too few pairs for it.
        """
        if not len(self.rates):
            raise OptionError(
                "pairs cannot be verified: the model was fitted to a single class",
                hint="fit it to two classes or more",
            )
        kept = np.flatnonzero(self.rates[:, 0] <= false_accept * (1.0 + 1e-9))
        if not 0.0 < false_accept <= 0.5 or not len(kept):
            raise OptionError(
                "no threshold is known for this rate of false acceptance",
                where="false_accept",
                got=false_accept,
                allowed=f"{self.rates[:, 0].min():.2g} to 0.5, from {self.pairs[0]} pairs",
            )
        return float(self.rates[kept[0], 1])

    def facts(self, false_accept: float) -> dict[str, Any]:
        """Return what is known of verification, as plain values; rates are 0 to 1."""
        found: dict[str, Any] = {
            "equal_error_rate": _number(self.equal[0]),
            "pairs_of_two_classes": int(self.pairs[0]),
            "pairs_of_one_class": int(self.pairs[1]),
            "false_accept_rate": None,
            "false_reject_rate": None,
            "threshold": None,
        }
        kept = np.flatnonzero(self.rates[:, 0] <= false_accept * (1.0 + 1e-9))
        if len(kept):
            rate, threshold, rejected = self.rates[kept[0]]
            found |= {
                "false_accept_rate": float(rate),
                "false_reject_rate": _number(rejected),
                "threshold": float(threshold),
            }
        return found


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
