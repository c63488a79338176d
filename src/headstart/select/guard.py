"""The guard: transfer is shipped only where it is not worse than scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from headstart.core.errors import UnknownNameError
from headstart.core.types import AnyArray, Decision, Gain
from headstart.evaluate import METRICS, Predictions, value
from headstart.select.choose import SAME

OVERRIDE = "--strategy NAME forces transfer"


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
) -> Guarded:
    """Decide whether the chosen transfer or scratch is shipped.

    Scratch is shipped if the transfer does not beat it out of fold on the data that chose: if its
    score is not better, by however little. The estimate decides, not its interval: between two
    models that may be equal the user loses nothing by the guess. ``veto`` looks at intervals.

    Parameters
    ----------
    choice : str
        The best transfer, a key of ``candidates``.
    candidates : dict of str to Predictions
        Out-of-fold predictions for the same n items, with the baseline.
    truth : ndarray of shape (n,)
    metric : str
        A key of ``METRICS``.
    baseline : str
        What is shipped instead.

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
    if ahead > SAME:
        why = f"it beats {baseline} on the data that chose it ({numbers})"
        return Guarded("transfer", Decision(f"ship {choice}", why))
    why = f"{choice}, the best transfer, does not beat it ({numbers}): transfer would not help here"
    return Guarded("scratch", Decision(f"ship {baseline}", why, OVERRIDE))


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
