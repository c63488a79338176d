"""A learning curve as plain values for JSON, and in sentences for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from headstart.core.errors import OptionError
from headstart.evaluate.curve import SCRATCH, TRANSFER, Curve, Estimate
from headstart.evaluate.curve_measures import (
    Multiplier,
    area_ratio,
    as_plain,
    asymptote,
    jumpstart,
    label_multiplier,
    time_to_threshold,
)
from headstart.evaluate.power_law import Forecast, forecast, limit_gain


def points(curve: Curve) -> list[dict[str, Any]]:
    """Return the points as plain values.

    Parameters
    ----------
    curve : Curve

    Returns
    -------
    list of dict
        ``n_per_class`` (for regression ``n``, labels in all), ``repeats``, and ``transfer``,
        ``scratch``, ``gain``: each ``estimate``, ``low``, ``high``.
    """
    key = "n" if curve.unit == "labels" else "n_per_class"
    return [
        {
            key: point.n,
            "repeats": len(point.repeats),
            "transfer": _ends(point.transfer),
            "scratch": _ends(point.scratch),
            "gain": _ends(point.gain),
        }
        for point in curve.points
    ]


def facts(curve: Curve) -> dict[str, Any]:
    """Return what a curve says beside its points, as plain values.

    Parameters
    ----------
    curve : Curve

    Returns
    -------
    dict
        ``transfer`` (whose curve it is), ``unit``, ``jumpstart``, ``asymptote`` (measured, and
        ``limit``: an extrapolation), ``area_ratio``, ``time_to_threshold``, and ``forecast`` of
        ``transfer`` and ``scratch``, null where nothing can be forecast; ``no_forecast`` says why.
    """
    found, why = forecasts(curve)
    reached = time_to_threshold(curve)
    limit = None if why else _ends(limit_gain(curve))
    return {
        "transfer": curve.transfer,
        "unit": curve.unit,
        "jumpstart": _ends(jumpstart(curve)),
        "asymptote": {**_ends(asymptote(curve)), "limit": limit},
        "area_ratio": as_plain(area_ratio(curve)),
        "time_to_threshold": {
            "threshold": reached.threshold,
            "transfer": as_plain(reached.transfer),
            "scratch": as_plain(reached.scratch),
        },
        "forecast": {name: _forecast(one) for name, one in found.items()} or None,
        "no_forecast": why or None,
    }


def forecasts(curve: Curve) -> tuple[dict[str, Forecast], str]:
    """Return what as many labels again would bring transfer and scratch; else why that is open."""
    try:
        return {
            "transfer": forecast(curve, model=TRANSFER),
            "scratch": forecast(curve, model=SCRATCH),
        }, ""
    except OptionError as error:
        return {}, error.what


def sentences(curve: Curve, *, transferred: bool = True) -> tuple[str, ...]:
    """Return what a curve says to somebody who has to decide whether to label more.

    Parameters
    ----------
    curve : Curve
    transferred : bool
        Whether transfer is handed back, so that its forecast is of interest; else scratch's.
    """
    said = []
    times = label_multiplier(curve)
    if times is not None:
        said.append(_of_multiplier(curve, times))
    found, why = forecasts(curve)
    name = "transfer" if transferred else "scratch"
    if why:
        said.append(f"No forecast of what more labels would bring: {why}.")
    elif found:
        one = found[name]
        size = amount(curve, one.gain)
        who = curve.transfer if transferred else "scratch"
        said.append(
            f"{one.more:,.3g} more {curve.unit} would bring {who} about {size}"
            " (a power law through the curve)."
        )
    return tuple(said)


def amount(curve: Curve, gain: Estimate) -> str:
    """Return a gain in the words of its metric: points for shares, units for errors."""
    if curve.of.bounded or curve.metric == "r2":
        scale, digits, unit = 100.0, 1, "points"
    else:
        scale, digits, unit = 1.0, 3, curve.metric
    ends = [f"{scale * end:.{digits}f}" for end in (gain.low, gain.high) if end is not None]
    sign = "" if curve.of.greater_is_better or unit == "points" else " less"
    return f"{scale * gain.estimate:+.{digits}f} [{', '.join(ends)}] {unit}{sign}"


def interval(times: Multiplier, *, least: float, most: float) -> str:
    """Return the interval of a multiplier; an end beyond what was measured as a bound.

    Examples
    --------
    >>> interval(Multiplier(6.2, 4.1, None), least=1 / 8, most=8)
    '[4.1, > 8]'
    """
    low = f"< {least:.2g}" if times.low is None else f"{times.low:.2g}"
    high = f"> {most:.3g}" if times.high is None else f"{times.high:.2g}"
    return f"[{low}, {high}]"


def _of_multiplier(curve: Curve, times: Multiplier) -> str:
    first, last = float(curve.n[0]), float(curve.n[-1])
    all_, few = f"{last:,.3g} {curve.unit}", f"{first:,.3g}"
    if times.censored == "above":
        return (
            f"Scratch would need more than {times.estimate:.3g} times as many labels: with "
            f"{all_} it does not reach what transfer does with {few}."
        )
    if times.censored == "below":
        return (
            f"Transfer would need more than {1 / times.estimate:.3g} times as many labels: with "
            f"{all_} it does not reach what scratch does with {few}."
        )
    ends = interval(times, least=first / last, most=last / first)
    if times.estimate >= 1:
        return (
            f"Scratch would need about {times.estimate:.2g} {ends} times as many labels: "
            f"{times.n_scratch:,.3g} {curve.unit} do for it what {times.n_transfer:,.3g} "
            "do for transfer."
        )
    return (
        f"Scratch needs about {times.estimate:.2g} {ends} times as many labels as transfer: "
        f"{times.n_scratch:,.3g} {curve.unit} do for it what {times.n_transfer:,.3g} "
        "do for transfer."
    )


def _ends(found: Estimate) -> dict[str, Any]:
    return {"estimate": found.estimate, "low": found.low, "high": found.high}


def _forecast(found: Forecast) -> dict[str, Any]:
    law = asdict(found.law)
    return {"more": found.more, "n": found.n, **_ends(found.gain), "power_law": law}
