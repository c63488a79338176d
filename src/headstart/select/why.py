"""Why scratch won: what the numbers say of labels, source and signal."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.core.types import Candidate, Modality, Score
from headstart.evaluate import METRICS, Curve
from headstart.strategies import STRATEGIES

SURFACE: dict[Modality, str] = {
    "text": "the words and letters themselves, which scratch counts",
    "image": "edges, colours and textures of these very pictures, which scratch learns",
}
"""Where the signal is that a source looks past."""


def why_scratch(
    candidates: Sequence[Candidate],
    majority: Score,
    curve: Curve | None,
    modality: Modality,
) -> str:
    """Explain why scratch is the better model here.

    Three cases, in this order: with fewer labels transfer was ahead, so there are labels enough to
    learn from scratch; frozen features are hardly better than the constant guess, so the source is
    unrelated to the task; else the signal lies in the surface of the items.

    Parameters
    ----------
    candidates : sequence of Candidate
        With their out-of-fold scores.
    majority : Score
        Of the constant guess, on whatever items.
    curve : Curve or None
    modality : {"image", "text"}

    Returns
    -------
    str
        A sentence; empty where no transfer was measured.
    """
    frozen = [
        one
        for one in candidates
        if one.source and one.score and STRATEGIES[one.strategy].input == "features"
    ]
    if not frozen:
        return ""
    passed = _overtaken(curve)
    if passed:
        return passed
    sign = METRICS[majority.metric].sign
    best = max(frozen, key=lambda one: sign * one.score.estimate if one.score else 0.0)
    assert best.score is not None
    surely = best.score.low if sign > 0 else -best.score.high
    numbers = f"{majority.metric} {best.score.estimate:.3f}"
    if surely <= sign * majority.estimate:
        return (
            f"Why: what {best.source} sees hardly tells these labels apart ({numbers} out of fold, "
            f"the constant guess {majority.estimate:.3f}); it was pretrained on something else."
        )
    place = SURFACE.get(modality, "what scratch sees directly")
    return (
        f"Why: the signal is in {place}; {best.source} knows something of it ({numbers} out of "
        "fold) but looks past the rest."
    )


def _overtaken(curve: Curve | None) -> str:
    """Say that transfer was ahead with fewer labels, where it was and is no more."""
    if curve is None or len(curve.points) < 2 or curve.points[-1].gain.estimate >= 0:
        return ""
    ahead = [point for point in curve.points[:-1] if (point.gain.low or 0.0) > 0]
    if not ahead:
        return ""
    last, now = ahead[-1], curve.points[-1]
    unit = curve.unit.replace("labels", "label") if last.n == 1 else curve.unit
    return (
        f"Why: there are labels enough. With {last.n:g} {unit} transfer was ahead "
        f"({last.gain.estimate:+.3f} {curve.metric}), with {now.n:g} it is not "
        f"({now.gain.estimate:+.3f})."
    )
