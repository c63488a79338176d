"""Charts that are lines: intervals in a row, a gain beside its zero, a learning curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from headstart.report import figures
from headstart.report.svg import Scale, el, group, mark, path, stretched, text, ticks


def ends_of(one: Any) -> tuple[float, float, float] | None:
    """Return estimate, low and high; an end that is open is the estimate. None without a number."""
    estimate = figures.number(one.get("estimate")) if isinstance(one, Mapping) else None
    if estimate is None or not isinstance(one, Mapping):
        return None
    low, high = figures.number(one.get("low")), figures.number(one.get("high"))
    return estimate, estimate if low is None else low, estimate if high is None else high


def scale_of(values: Sequence[float], metric: Any = None) -> tuple[Scale, list[float]]:
    """Return a scale that holds all values, and its round numbers; of a share within 0 and 1."""
    low, high = min(values), max(values)
    if figures.is_share(metric):
        span = max(high - low, 0.05)
        low, high = max(0.0, low - 0.06 * span), min(max(1.0, high), high + 0.06 * span)
    found = ticks(low, high)
    if figures.is_share(metric) and high <= 1:
        found = [one for one in found if one <= 1 + 1e-9]
        high = max(found[-1], max(values))
        return Scale(found[0], high), found
    return Scale(found[0], found[-1]), found


def strip(
    one: Mapping[str, Any], scale: Scale, marks: Sequence[float], told: str, tone: str = "own"
) -> Markup:
    """Draw an estimate and its interval on a line of its own."""
    grid = [el("line", x1=scale(m), x2=scale(m), y1=0, y2="100%", class_="grid") for m in marks]
    found = ends_of(one)
    if found is None:
        return el("svg", *grid, class_="strip", aria_hidden="true")
    estimate, low, high = found
    line = el("line", x1=scale(low), x2=scale(high), y1="50%", y2="50%", class_=f"whisker {tone}")
    dot = el("circle", cx=scale(estimate), cy="50%", r=5, class_=f"dot {tone}")
    hit = el("rect", x=0, y=0, width="100%", height="100%", class_="hit")
    shown = mark(group([hit, line, dot]), told)
    return el("svg", *grid, shown, class_="strip", role="img", aria_label=told)


def axis(scale: Scale, marks: Sequence[float], metric: Any) -> Markup:
    """Draw the round numbers below strips of one scale; on a narrow place every other is hidden."""
    labels = [
        text(
            scale(value),
            14,
            tick(metric, value),
            anchor="start"
            if scale.part(value) < 4
            else "end"
            if scale.part(value) > 96
            else "middle",
            class_="tick" if i % 2 == 0 else "tick odd",
        )
        for i, value in enumerate(marks)
    ]
    return el("svg", *labels, class_="strip axis", aria_hidden="true")


def tick(metric: Any, value: float) -> str:
    """Return a round number of an axis."""
    if figures.is_share(metric):
        digits = 0 if abs(math.remainder(100 * value, 1)) < 1e-6 else 1
        return figures.fixed(value, digits, scale=100) + figures.unit(metric)
    return figures.few(value) if value else "0"


def gain_picture(gain: Mapping[str, Any], worse: str, better: str) -> Markup | None:
    """Draw a gain with its interval beside the zero: the picture at the top of the report."""
    found = ends_of(gain)
    if found is None:
        return None
    estimate, low, high = found
    reach = 1.15 * max(
        abs(low), abs(high), abs(estimate), 0.02 if figures.is_share(gain.get("metric")) else 1e-9
    )
    left = -reach if low < 0 or estimate < 0 else -0.35 * reach
    right = reach if high > 0 or estimate > 0 else 0.35 * reach
    scale = Scale(left, right)
    points = " points" if figures.is_share(gain.get("metric")) else ""
    size, ends = figures.gain(gain)
    told = f"Gain {size}{points} {ends}"
    verdict = str(gain.get("verdict"))
    tone = verdict if verdict in ("positive", "negative") else "open"
    zero = scale(0.0)
    parts = [
        el("rect", x=zero, y=18, width=f"{100 - scale.part(0.0):.2f}%", height=44, class_="better"),
        el("rect", x=0, y=18, width=zero, height=44, class_="worse"),
        el("line", x1=zero, x2=zero, y1=10, y2=70, class_="zero"),
        text(zero, 6, "0", anchor="middle", class_="tick"),
        el("line", x1=scale(low), x2=scale(high), y1=40, y2=40, class_=f"whisker wide {tone}"),
        el("circle", cx=scale(estimate), cy=40, r=8, class_=f"dot {tone}"),
        text("100%", 86, f"{better} →", anchor="end", class_="tick"),
    ]
    if scale.part(0.0) > 20:
        parts.append(text(0, 86, f"← {worse}", class_="tick"))
    return el("svg", mark(group(parts), told), class_="plot gain", role="img", aria_label=told)


def curve(
    points: Sequence[Mapping[str, Any]], metric: Any, names: Mapping[str, str], unit: str
) -> Markup | None:
    """Draw how transfer and scratch learn: two lines with their bands over the number of labels.

    Parameters
    ----------
    points : sequence of mapping
        ``n`` and, by the keys of ``names``, ``estimate``, ``low`` and ``high``.
    metric : str
    names : mapping of key to name
        Which lines, in the order in which they are drawn.
    unit : str
        What is counted: "labels a class".
    """
    drawn = [one for one in points if (figures.number(one.get("n")) or 0) > 0]
    values = [
        value for one in drawn for key in names for value in ends_of(one.get(key) or {}) or ()
    ]
    if len(drawn) < 2 or not values:
        return None
    logs = [math.log2(float(one["n"])) for one in drawn]
    across = Scale(min(logs), max(logs))
    scale, marks = scale_of(values, metric)
    up = Scale(scale.low, scale.high, turned=True)
    parts = grid_lines(up, marks, lambda value: tick(metric, value))
    last = -10.0
    for x, one in zip(logs, drawn, strict=True):
        place = across.part(x)
        odd = " odd" if place - last < 12 else ""
        last = place if not odd else last
        label = figures.few(one["n"])
        parts.append(text(across(x), "100%", label, anchor="middle", dy=20, class_=f"tick{odd}"))
    bands, lines, dots = [], [], []
    for key in names:
        found = [(x, ends_of(one.get(key) or {})) for x, one in zip(logs, drawn, strict=True)]
        ours = [(across.part(x), ends) for x, ends in found if ends is not None]
        upper = [(x, up.part(ends[2])) for x, ends in ours]
        lower = [(x, up.part(ends[1])) for x, ends in reversed(ours)]
        bands.append(el("path", d=path([*upper, *lower], closed=True), class_=f"band {key}"))
        lines.append(
            el("path", d=path([(x, up.part(e[0])) for x, e in ours]), class_=f"line {key}")
        )
        for one, x in zip(drawn, logs, strict=True):
            ends = ends_of(one.get(key) or {})
            if ends is None:
                continue
            told = f"{names[key]}, {figures.few(one['n'])} {unit}: {_valued(one[key], metric)}"
            dot = el("circle", cx=across(x), cy=up(ends[0]), r=4.5, class_=f"dot {key}")
            hit = el("circle", cx=across(x), cy=up(ends[0]), r=14, class_="hit")
            dots.append(mark(group([hit, dot]), told))
    label = f"Learning curve of {' and '.join(names.values())} over {unit}"
    return el(
        "svg",
        *parts,
        stretched(*bands, *lines),
        *dots,
        class_="plot tall",
        role="img",
        aria_label=label,
    )


def _valued(one: Mapping[str, Any], metric: Any) -> str:
    told = {**one, "metric": metric}
    return f"{figures.score(told)} {figures.interval(told)}"


def grid_lines(up: Scale, marks: Sequence[float], label: Callable[[float], str]) -> list[Markup]:
    """Draw the round numbers of an upright axis, each with its line."""
    parts = []
    for value in marks:
        parts.append(el("line", x1=0, x2="100%", y1=up(value), y2=up(value), class_="grid"))
        parts.append(text(0, up(value), label(value), anchor="end", dx=-10, dy=4, class_="tick"))
    return parts
