"""A power law through a learning curve, and what more labels would bring.

error(n) = a n^-b + c with a >= 0, 0 < b <= 1.5 and c >= 0, as learning curves follow over wide
ranges (Hestness et al. 2017; Viering & Loog, IEEE TPAMI 2023). The error is one minus the score
where the best score is 1, else the score itself.

For a given b the law is linear in a and c, so a grid of b with the exact weighted least squares
solution at each finds the best fit there is, without a start value that could be wrong. Few points
say little of b: it has a weak prior, normal with mean 0.35 and standard deviation 0.5. For the
interval the law is fitted to every curve of ``Curve.draws``, each with a centre of the prior drawn
from the prior, so that what is not known of b is in it (randomised maximum a posteriori). No curve
follows a law exactly: each point is taken to be off by 3 % of its error, beside its own interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import FloatArray
from headstart.evaluate.curve import SCRATCH, TRANSFER, Curve, Estimate

FEWEST_POINTS = 3
FARTHEST = 4.0
"""How many times the labels seen a forecast may reach."""
PRIOR_MEAN, PRIOR_SD = 0.35, 0.5
LOOSE = 0.03
"""By how much, as a share of its error, a point is off the law."""
_GRID = np.linspace(0.02, 1.5, 149)
_DRAWS = 500
_WORST = 16.0
"""Squared misfit a point, in variances, above which the points follow no such law."""


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = a n^-b + c.

    Parameters
    ----------
    a, b, c : float
    misfit : float
        Mean squared deviation of the points from the law, in units of their variance.
    """

    a: float
    b: float
    c: float
    misfit: float = 0.0

    def error(self, n: float) -> float:
        """Return the error with n labels."""
        return float(self.a * n**-self.b + self.c)


@dataclass(frozen=True)
class Forecast:
    """What more labels would bring.

    Parameters
    ----------
    more : float
        How many more labels, in the curve's unit.
    n : float
        How many there are now.
    gain : Estimate
        Improvement of the score; positive is better.
    law : PowerLaw
    """

    more: float
    n: float
    gain: Estimate
    law: PowerLaw


def power_law(curve: Curve, model: int = TRANSFER) -> PowerLaw:
    """Fit the power law to the curve of one model.

    Parameters
    ----------
    curve : Curve
    model : int
        ``TRANSFER`` or ``SCRATCH``.

    Raises
    ------
    OptionError
        The curve has fewer than three points.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.evaluate.curve import assembled
    >>> n = np.array([1.0, 2, 4, 8, 16])
    >>> scores = [np.array([[1 - (0.6 * m**-0.5 + 0.1), 0.5]]) for m in n]
    >>> law = power_law(assembled("accuracy", n, scores, np.array(scores).mean(axis=1)[None]))
    >>> print(f"{law.a:.1f} {law.b:.1f} {law.c:.1f}")
    0.6 0.5 0.1
    """
    _check_points(curve)
    errors = _errors(curve, curve.scores[None])[:, :, model]
    a, b, c, misfit = _fitted(curve.n, errors, _weights(curve, model), np.array([PRIOR_MEAN]))
    return PowerLaw(float(a[0]), float(b[0]), float(c[0]), float(misfit[0]))


def forecast(curve: Curve, more: float | None = None, *, model: int = TRANSFER) -> Forecast:
    """Forecast what more labels would bring.

    Parameters
    ----------
    curve : Curve
    more : float, optional
        How many more, in the curve's unit; by default as many as there are.
    model : int
        ``TRANSFER`` or ``SCRATCH``.

    Raises
    ------
    OptionError
        Fewer than three points; nothing more; farther than four times the labels seen; or the
        points follow no power law.
    """
    _check_points(curve)
    n = float(curve.n[-1])
    more = n if more is None else float(more)
    if not 0 < more <= (FARTHEST - 1) * n * (1 + 1e-9):
        raise OptionError(
            f"a forecast reaches at most {FARTHEST:g} times the labels that were seen",
            where="more",
            got=more,
            allowed=f"above 0, at most {(FARTHEST - 1) * n:g}",
            hint="Label some of them, and fit again",
        )
    law = power_law(curve, model)
    if law.misfit > _WORST:
        raise OptionError(
            "the scores do not follow a power law of the labels, so nothing is forecast",
            got=f"{math.sqrt(law.misfit):.1f} standard deviations off, on average",
        )
    errors = _loosened(_errors(curve, curve.draws[:_DRAWS])[:, :, model])
    a, b, _, _ = _fitted(curve.n, errors, _weights(curve, model), _centres(len(errors)))
    gains = a * (n**-b - (n + more) ** -b)
    tail = (1 - curve.level) / 2
    low, high = np.quantile(gains, [tail, 1 - tail])
    estimate = law.error(n) - law.error(n + more)
    return Forecast(
        more, n, Estimate(estimate, min(float(low), estimate), max(float(high), estimate)), law
    )


def limit_gain(curve: Curve) -> Estimate:
    """Return the gain over scratch with labels without end, by the two laws: an extrapolation.

    Raises
    ------
    OptionError
        The curve has fewer than three points.
    """
    _check_points(curve)
    ends = []
    for scores, centres in (
        (curve.scores[None], np.array([PRIOR_MEAN])),
        (curve.draws[:_DRAWS], _centres(min(len(curve.draws), _DRAWS))),
    ):
        errors = _errors(curve, scores)
        c = [
            _fitted(curve.n, errors[:, :, model], _weights(curve, model), centres)[2]
            for model in (TRANSFER, SCRATCH)
        ]
        ends.append(c[SCRATCH] - c[TRANSFER])
    tail = (1 - curve.level) / 2
    low, high = np.quantile(ends[1], [tail, 1 - tail])
    estimate = float(ends[0][0])
    return Estimate(estimate, min(float(low), estimate), max(float(high), estimate))


def _check_points(curve: Curve) -> None:
    if len(curve.points) < FEWEST_POINTS:
        raise OptionError(
            f"a power law needs at least {FEWEST_POINTS} points of a learning curve",
            got=len(curve.points),
            hint="Label more items",
        )


def _errors(curve: Curve, scores: FloatArray) -> FloatArray:
    return 1 - scores if curve.of.greater_is_better else scores


def _weights(curve: Curve, model: int) -> FloatArray:
    """Return one over the variance of each point; the same for all where none is known."""
    variance = curve.draws[:, :, model].var(axis=0)
    floor = 1e-10 * max(float(np.abs(curve.scores[:, model]).max()), 1e-6) ** 2
    variance = np.maximum(variance, max(floor, 1e-4 * float(variance.max())))
    off = LOOSE * _errors(curve, curve.scores)[:, model]
    weights: FloatArray = 1 / (variance + off**2)
    return weights


def _loosened(errors: FloatArray) -> FloatArray:
    """Return drawn errors, each point off the law."""
    moved: FloatArray = errors * (1 + LOOSE * np.random.default_rng(1).normal(size=errors.shape))
    return np.maximum(moved, 0.0)


def _centres(count: int) -> FloatArray:
    rng = np.random.default_rng(0)
    drawn: FloatArray = rng.normal(PRIOR_MEAN, PRIOR_SD, size=count)
    return drawn


def _fitted(
    n: FloatArray, errors: FloatArray, weights: FloatArray, centres: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Fit the law to rows of errors (m, k): a, b, c and the misfit of each row."""
    x = n[None, :] ** -_GRID[:, None]  # (g, k)
    w = weights / weights.sum()
    mean_x, mean_y = x @ w, errors @ w  # (g,), (m,)
    xy = errors @ (w * x).T  # (m, g)
    xx = (x**2) @ w
    slope = (xy - mean_y[:, None] * mean_x) / np.maximum(xx - mean_x**2, 1e-300)
    slope = np.maximum(slope, 0.0)
    floor = mean_y[:, None] - slope * mean_x
    through_zero = np.maximum(xy / xx, 0.0)
    slope = np.where(floor < 0, through_zero, slope)
    floor = np.maximum(floor, 0.0)
    left = errors[:, None, :] - slope[:, :, None] * x - floor[:, :, None]
    misfit = (left**2 * weights).sum(axis=2)
    prior = ((_GRID[None, :] - centres[:, None]) / PRIOR_SD) ** 2
    best = (misfit + prior).argmin(axis=1)
    row = np.arange(len(errors))
    return slope[row, best], _GRID[best], floor[row, best], misfit[row, best] / len(n)
