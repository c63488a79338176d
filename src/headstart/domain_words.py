"""What adapting is worth, in words."""

from __future__ import annotations

from headstart.core.types import Gain
from headstart.evaluate import METRICS, in_units


def worth(gain: Gain, name: str, baseline: str, judged_by: str, *, corrected: bool = False) -> str:
    """Return a gain on the target as a sentence.

    Parameters
    ----------
    gain : Gain
        Of a share in points, of an error in the units of the label.
    name : str
        Whose gain it is.
    baseline : str
        Over what.
    judged_by : str
    corrected : bool
        What picking the best on the same labels costs is taken off.

    Examples
    --------
    >>> print(worth(Gain(0.1, 0.02, 0.18, 60, verdict="positive"), "coral", "source", "60"))
    Positive transfer: coral is worth +10.0 points of accuracy [+2.0, +18.0] over source, on 60.
    """
    if corrected:
        judged_by += ", corrected for having been picked on them"
    size = amount(gain)
    if name == "target-only":
        better = gain.verdict == "positive"
        word = "do better than" if better else "beside"
        return f"The target's own labels {word} the source: {size} over {baseline}, on {judged_by}."
    if gain.verdict == "positive":
        return f"Positive transfer: {name} is worth {size} over {baseline}, on {judged_by}."
    if gain.verdict == "negative":
        return f"Negative transfer: {name} costs {size} against {baseline}, on {judged_by}."
    word = "No difference that matters" if gain.verdict == "none" else "Inconclusive"
    return f"{word}: {name} against {baseline} is {size}, on {judged_by}."


def amount(gain: Gain) -> str:
    """Return a gain with its interval: points of a share, an error in the units of the label.

    Examples
    --------
    >>> amount(Gain(0.25, 0.1, 0.4, 60, metric="rmse"))
    '+0.25 [+0.1, +0.4] (rmse saved)'
    """
    if METRICS[gain.metric].bounded:
        size = f"{100 * gain.estimate:+.1f} points of {gain.metric}"
        return size + f" [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
    size, low, high = (in_units(x, signed=True) for x in (gain.estimate, gain.low, gain.high))
    return f"{size} [{low}, {high}] ({gain.metric} saved)"
