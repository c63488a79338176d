"""Linear Gromov-Wasserstein: principal axes are matched by their variance. Experimental."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import learn
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.held_out import row_losses
from headstart.strategies.heterogeneous.base import HeterogeneousAdapter
from headstart.strategies.heterogeneous.sides import Sides

SWEEPS = 2


class GromovWasserstein(HeterogeneousAdapter):
    """Map the target to the source by the Gromov-Wasserstein map of two Gaussians. Experimental.

    Features are standardised first, as their units differ. The axis of the largest variance then
    goes to that of the largest variance, and so on. Variances do not tell which way round an axis
    points: it follows the skewness, and the labels of the target where there are some. Nothing else
    says that corresponding axes mean the same, so without labels of the target to judge by expect
    it to fail.

    Parameters
    ----------
    floor : float, >= 0
        Axes of less than this share of the largest variance take no part.
    most_axes : int, >= 1
        Axes at most.
    C : float, > 0
        Inverse strength of the penalty of the learner on the source.
    guarded : bool
        Where the target has labels: hand back a model of them alone unless held-out labels speak
        for transfer.
    random_state : int or None
        Deals the labelled rows to folds.

    Attributes
    ----------
    adapted_ : bool
        Whether the transfer passed the guard.

    References
    ----------
    Delon, Desolneux & Salmona, Gromov-Wasserstein distances between Gaussian distributions,
    Journal of Applied Probability 59(4), 2022, theorem 4.1.

    Examples
    --------
    >>> from headstart.strategies.heterogeneous import GromovWasserstein
    >>> X, y = [[0.0], [1.0], [4.0], [9.0]], ["a", "a", "b", "b"]
    >>> model = GromovWasserstein().fit(X, y, [[5.0, 1.0], [6.0, 1.1], [9.0, 1.5], [14.0, 2.0]])
    >>> model.predict([[5.0, 1.0], [14.0, 2.0]]).tolist()
    ['a', 'b']
    """

    def __init__(
        self,
        *,
        floor: float = 1e-6,
        most_axes: int = 50,
        C: float = 1.0,
        guarded: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.floor = floor
        self.most_axes = most_axes
        self.C = C
        self.guarded = guarded
        self.random_state = random_state

    def _adapt(self, sides: Sides) -> LinearForm:
        if not self.most_axes >= 1:
            raise OptionError("at least one axis", where="most_axes", got=self.most_axes)
        source: LinearForm = self._once(
            "source", lambda: learn(sides.X, sides.codes, sides.n_classes, C=self.C)
        )
        here, there = axes(sides.X, self.floor), axes(sides.target, self.floor)
        r = min(len(here[0]), len(there[0]), self.most_axes)
        skews = [skewness((sides.X - sides.X.mean(axis=0)) @ here[1][:, :r])]
        skews.append(skewness((sides.target - sides.target.mean(axis=0)) @ there[1][:, :r]))
        signs = np.where(skews[0] * skews[1] < 0, -1.0, 1.0)
        means = sides.target.mean(axis=0), sides.X.mean(axis=0)
        rows, codes = sides.labelled
        if len(rows):
            signs = _turned(source, here, there, signs, means, rows, codes)
        told = "the labels of the target" if len(rows) else "their skewness"
        what = f"{r} axes matched by variance (experimental)"
        self.decisions_ = (Decision(what, f"directions by {told}"),)
        matrix, offset = mapping(here, there, signs, means)
        found: LinearForm = source.after(matrix, offset)
        return found


def axes(X: FloatArray, floor: float) -> tuple[FloatArray, FloatArray]:
    """Return the variances along the principal axes, falling, and the axes (d, r)."""
    away = X - X.mean(axis=0)
    values, found = np.linalg.eigh(away.T @ away / len(X))
    values, found = values[::-1], found[:, ::-1]
    keep = values > max(floor * float(values[0]), 1e-12)
    return values[keep], found[:, keep]


def skewness(X: FloatArray) -> FloatArray:
    """Return the third moment of each column of centred rows."""
    result: FloatArray = (X**3).mean(axis=0)
    return result


def mapping(
    here: tuple[FloatArray, FloatArray],
    there: tuple[FloatArray, FloatArray],
    signs: FloatArray,
    means: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """Return the matrix (d_t, d_s) and offset (d_s,) that take the target to the source.

    Parameters
    ----------
    here, there : (variances, axes) of source and target
        See :func:`axes`.
    signs : array of shape (r,)
        The directions of the first r axes.
    means : (mean of the target, mean of the source)
    """
    r = len(signs)
    stretch = signs * np.sqrt(here[0][:r] / there[0][:r])
    matrix: FloatArray = (there[1][:, :r] * stretch) @ here[1][:, :r].T
    return matrix, means[1] - means[0] @ matrix


def _turned(
    source: LinearForm,
    here: tuple[FloatArray, FloatArray],
    there: tuple[FloatArray, FloatArray],
    signs: FloatArray,
    means: Any,
    rows: FloatArray,
    codes: IntArray,
) -> FloatArray:
    """Return signs of which none can be turned to a lower log loss of the labelled rows."""

    def loss(some: FloatArray) -> float:
        form = source.after(*mapping(here, there, some, means))
        return float(row_losses(form.probabilities(rows), codes).mean())

    signs, least = signs.copy(), loss(signs)
    for _ in range(SWEEPS):
        for axis in range(len(signs)):
            signs[axis] *= -1.0
            now = loss(signs)
            if now < least:
                least = now
            else:
                signs[axis] *= -1.0
    return signs
