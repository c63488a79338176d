"""The guard: transfer is shipped only where it is not worse than scratch.

The best of many transfers is ahead of scratch by luck alone, most of the time: of 20 that are all
two points worse, one looks better in four races of five. So the guard looks at the lead that is
left when the optimism of choosing is taken off (``corrected``), and at what is known of other data
where few items were measured (``benchmarks/results/statistics.md`` shows what it then ships).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from headstart.core.errors import DataError, UnknownNameError
from headstart.core.types import AnyArray, Decision, Gain
from headstart.evaluate import METRICS, Predictions, value
from headstart.evaluate.intervals import margin_scale
from headstart.select.choose import SAME
from headstart.select.corrected import NOT_TRANSFER, corrected

OVERRIDE = "--strategy NAME forces transfer"
KNOWN_ITEMS, KNOWN_LEAD = 30, 0.05
"""What is known of other data, as items that were seen: with few labels, sources lead."""
TELLING = 100
"""Items, or groups of them, from which what was measured stands alone."""
KNOWN = (
    "with few labels transfer usually leads, which counts as "
    f"{KNOWN_ITEMS} items with a lead of {100 * KNOWN_LEAD:.0f} points"
)


class Guarded(NamedTuple):
    """What is shipped, and why."""

    ship: Literal["transfer", "scratch"]
    decision: Decision


def guard(
    choice: str,
    candidates: Mapping[str, Predictions],
    truth: AnyArray,
    metric: str,
    *,
    baseline: str = "scratch",
    groups: AnyArray | None = None,
    seed: int = 0,
) -> Guarded:
    """Decide whether the chosen transfer or scratch is shipped.

    What counts is the lead of the transfer out of fold, on the data that chose, corrected for
    having been the best of several; fewer than 100 items, or groups of them, are weighed against
    what is known of other data (``weighed``). The estimate decides, not its interval: between two
    models that may be equal the user loses nothing by the guess. ``veto`` looks at intervals.

    Parameters
    ----------
    choice : str
        The best transfer, a key of ``candidates``.
    candidates : dict of str to Predictions
        Out-of-fold predictions for the same n items: the baseline, and every transfer that could
        have been chosen. Of the choice alone nothing is taken off.
    truth : ndarray of shape (n,)
    metric : str
        A key of ``METRICS``.
    baseline : str
        What is shipped instead.
    groups : array of shape (n,), optional
        Whole groups are drawn where the lead is corrected.
    seed : int

    Returns
    -------
    Guarded
        A pair (ship, decision).

    Raises
    ------
    UnknownNameError
        If the choice or the baseline is not among the candidates.
    OptionError, DataError
        As ``evaluate.value``.
    """
    for name in (choice, baseline):
        if name not in candidates:
            raise UnknownNameError("candidate", name, candidates)
    mine = value(metric, truth, candidates[choice])
    other = value(metric, truth, candidates[baseline])
    ahead = METRICS[metric].sign * (mine - other)
    numbers = f"out of fold {metric} {mine:.3f}, {baseline} {other:.3f}"
    rivals = [n for n in candidates if n == choice or n not in (baseline, *NOT_TRANSFER)]
    left = _corrected_lead(rivals, candidates, truth, metric, baseline, groups, seed)
    lead = ahead if left is None else min(ahead, left)
    size = len(truth) if groups is None else len(np.unique(groups))
    few = size < TELLING
    if (weighed(lead, size, margin_scale(metric, other)) if few else lead) > SAME:
        why = f"it beats {baseline} on the data that chose it ({numbers})"
        if lead <= SAME:
            why = f"{_told(size, groups)} cannot tell ({numbers}); {KNOWN}"
        return Guarded("transfer", Decision(f"ship {choice}", why, "--strategy scratch"))
    why = f"{choice}, the best transfer, does not beat it ({numbers}): transfer would not help here"
    if ahead > SAME:
        why = (
            f"{choice} leads out of fold ({numbers}), but as the best of {len(rivals)} transfers: "
            f"corrected for that, {lead:+.3f} is left of {ahead:+.3f}"
        )
    return Guarded("scratch", Decision(f"ship {baseline}", why, OVERRIDE))


def weighed(lead: float, n: int, scale: float = 1.0) -> float:
    """Return a measured lead of transfer, weighed against what is known of other data.

    The known counts as ``KNOWN_ITEMS`` further items on which transfer leads by ``KNOWN_LEAD``:
    the more items were measured, the less it matters.

    Parameters
    ----------
    lead : float
        Positive where transfer is better.
    n : int
        Items, or groups of them, that it was measured on.
    scale : float
        What ``KNOWN_LEAD`` is a share of, for metrics without bounds.

    Examples
    --------
    >>> round(weighed(-0.1, 10), 3), round(weighed(-0.1, 100), 3)
    (0.013, -0.065)
    """
    return (n * lead + KNOWN_ITEMS * KNOWN_LEAD * scale) / (n + KNOWN_ITEMS)


def _told(size: int, groups: AnyArray | None) -> str:
    return f"{size:,} {'held-out items' if groups is None else 'groups of held-out items'}"


def _corrected_lead(
    rivals: list[str],
    candidates: Mapping[str, Predictions],
    truth: AnyArray,
    metric: str,
    baseline: str,
    groups: AnyArray | None,
    seed: int,
) -> float | None:
    """Return the lead of the best without the optimism of choosing; None where that is unknown."""
    if len(rivals) < 2:
        return None
    try:
        found = corrected(
            candidates,
            truth,
            metric,
            baseline=baseline,
            transfers=rivals,
            groups=groups,
            seed=seed,
        )
    except DataError:  # too few groups to leave any out
        return None
    return found.gain.estimate


def veto(judged: Gain) -> Decision | None:
    """Withdraw the transfer if judging finds that it harms.

    Parameters
    ----------
    judged : Gain
        On data that did not choose, or corrected for choosing.

    Returns
    -------
    Decision or None
        None unless the verdict is negative.

    Examples
    --------
    >>> veto(Gain(0.1, 0.05, 0.15, 100, verdict="positive")) is None
    True
    """
    if judged.verdict != "negative":
        return None
    return Decision(
        f"ship {judged.baseline}",
        f"negative transfer: {judged.estimate:+.3f} [{judged.low:.3f}, {judged.high:.3f}] "
        f"{judged.metric} on {judged.n} held-out items (these very items withdrew it, so what they "
        f"say of {judged.baseline} is a little flattering)",
        OVERRIDE,
    )


def rescue(judged: Gain, choice: str) -> Decision | None:
    """Hand back the transfer after all if judging finds that it helps.

    For items that took no part in choosing: a handful of items chose, and many have judged.

    Parameters
    ----------
    judged : Gain
        Of ``choice``, on items that did not choose.
    choice : str
        The best transfer, which the guard withheld.

    Returns
    -------
    Decision or None
        None unless the verdict is positive.

    Examples
    --------
    >>> rescue(Gain(0.1, -0.05, 0.25, 100, verdict="inconclusive"), "minilm + probe") is None
    True
    """
    if judged.verdict != "positive":
        return None
    return Decision(
        f"ship {choice}",
        f"positive transfer after all: {judged.estimate:+.3f} [{judged.low:.3f}, "
        f"{judged.high:.3f}] {judged.metric} on {judged.n} items that did not choose (these very "
        "items decided, so what they say of it is a little flattering)",
        "--strategy scratch forces scratch",
    )
