"""Power: how likely a comparison is to be settled, and how many judged items that takes."""

from __future__ import annotations

import math
from statistics import NormalDist

from headstart.core.errors import OptionError
from headstart.core.types import Gain
from headstart.evaluate.intervals import check_options

POWER = 0.8
"""The usual power of a planned comparison: four of five are settled."""
MOST = 10_000_000
"""More judged items than this are not worth naming."""


def power_of(
    measured: Gain, *, effect: float | None = None, n: int | None = None, level: float = 0.95
) -> float:
    """Return how likely such a comparison is to be settled on the right side of zero.

    That is, how likely the interval of a new comparison on ``n`` items of the same kind is to leave
    out zero on the side of the true gain, if that gain is ``effect`` and the interval shrinks with
    the root of the number of items (normal approximation).

    Parameters
    ----------
    measured : Gain
        Its interval tells how far gains of that many items scatter.
    effect : float, optional
        The true gain, not zero. By default the measured one: the power is then about 0.5 where the
        interval just touches zero, and says no more than the interval does (Hoenig & Heisey 2001).
        Better name the smallest gain that matters.
    n : int, optional
        Number of judged items, at least 1; by default as many as there are.
    level : float
        Confidence of the gain's interval, between 0.5 and 1.

    Returns
    -------
    float
        Between 0 and 1. Where there is no interval, or no effect, there is no power: 0.

    Raises
    ------
    OptionError
        If ``n`` or ``level`` is out of range.

    References
    ----------
    Cohen, Statistical Power Analysis for the Behavioral Sciences (1988); Hoenig & Heisey, "The
    abuse of power", The American Statistician 55 (2001).

    Examples
    --------
    >>> round(power_of(Gain(0.02, -0.02, 0.06, 100)), 3)
    0.164
    >>> round(power_of(Gain(0.02, -0.02, 0.06, 100), n=818), 3)
    0.8
    """
    check_options(100, level)
    if n is not None and n < 1:
        raise OptionError("power needs judged items", where="n", got=n, allowed=">= 1")
    true = measured.estimate if effect is None else effect
    half = (measured.high - measured.low) / 2
    if true == 0 or not math.isfinite(half):
        return 0.0
    if half == 0:
        return 1.0
    normal = NormalDist()
    z = normal.inv_cdf((1 + level) / 2)
    items = measured.n if n is None else n
    return normal.cdf(z * (abs(true) / half * math.sqrt(items / measured.n) - 1))


def labels_to_settle(
    measured: Gain, *, power: float = POWER, effect: float | None = None, level: float = 0.95
) -> int | None:
    """Guess how many judged items would settle an inconclusive comparison.

    The number with which ``power_of`` reaches ``power``. With as many items as make the interval
    just touch zero (power 0.5) the comparison would stay open every other time.

    Parameters
    ----------
    measured : Gain
    power : float
        How likely the comparison is then to be settled, from 0.5 to below 1.
    effect : float, optional
        The true gain; by default the measured one.
    level : float
        Confidence of the gain's interval, between 0.5 and 1.

    Returns
    -------
    int or None
        None if the comparison is settled, if nothing can be said (no difference, or an interval
        without end), or if more than 10 million would be needed.

    Raises
    ------
    OptionError
        If ``level`` or ``power`` is out of range.

    Examples
    --------
    >>> labels_to_settle(Gain(0.02, -0.02, 0.06, 100))
    818
    >>> labels_to_settle(Gain(0.02, -0.02, 0.06, 100), power=0.5)
    400
    """
    check_options(100, level)
    if not 0.5 <= power < 1:
        raise OptionError(
            "the power must be at least one half", where="power", got=power, allowed="0.5 to 0.99"
        )
    true = measured.estimate if effect is None else effect
    half = (measured.high - measured.low) / 2
    if measured.verdict != "inconclusive" or not math.isfinite(half) or abs(true) * 1e4 <= half:
        return None
    normal = NormalDist()
    more = 1 + normal.inv_cdf(power) / normal.inv_cdf((1 + level) / 2)
    needed = math.ceil(round(measured.n * (more * half / true) ** 2, 6))
    return max(needed, measured.n + 1) if needed <= MOST else None
