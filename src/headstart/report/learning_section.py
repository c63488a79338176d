"""The section about the learning curve: what more labels bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.report import charts, figures
from headstart.report.clean import name as short
from headstart.report.sections import Section, shown
from headstart.report.words import measured, part, rows, shipped
from headstart.report.words import told as mapping


def learning(info: Mapping[str, Any]) -> Section | None:
    """Return the learning curve, with what it says."""
    points, facts = rows(part(info, "curve")), mapping(part(info, "learning"))
    if not points:
        return None
    unit, metric = str(facts.get("unit") or "labels a class"), info.get("metric")
    drawn = [{**one, "n": one.get("n_per_class", one.get("n"))} for one in points]
    names = {"transfer": short(facts.get("transfer") or "transfer"), "scratch": "scratch"}
    picture = charts.curve(drawn, metric, names, unit)
    table = [
        {
            "n": figures.few(one["n"]),
            "repeats": figures.count(one.get("repeats")),
            **{
                key: shown({**mapping(one.get(key)), "metric": metric})
                for key in ("transfer", "scratch")
            },
            "gain": " ".join(figures.gain({**mapping(one.get("gain")), "metric": metric}))
            if measured(one.get("gain"))
            else "",
        }
        for one in drawn
    ]
    return Section(
        "learning",
        "How it learns from more labels",
        "Learning curve",
        {
            "picture": picture,
            "table": table,
            "names": names,
            "unit": unit,
            "metric": figures.metric_words(metric),
            "facts": _curve_facts(info, facts, unit),
            "points": " (points)" if figures.is_share(metric) else "",
            "other": names["transfer"] not in (shipped(info), "transfer"),
            "no_forecast": facts.get("no_forecast"),
        },
    )


def _curve_facts(
    info: Mapping[str, Any], facts: Mapping[str, Any], unit: str
) -> list[dict[str, str]]:
    """Return what was read off the curve: a value and what it means, each."""
    metric, found = info.get("metric"), []
    points = " points" if figures.is_share(metric) else ""
    times = mapping(part(info, "label_multiplier"))
    if measured(times):
        found.append(
            {
                "value": _multiplier(times),
                "what": "the labels that scratch needs for the same score",
                "ends": _ends(times, rows(part(info, "curve"))),
            }
        )
    for key, what in (
        ("jumpstart", "ahead with the fewest labels"),
        ("asymptote", "ahead with all labels"),
    ):
        one = mapping(facts.get(key))
        if measured(one):
            size, ends = figures.gain({**one, "metric": metric})
            found.append({"value": f"{size}{points}", "what": what, "ends": ends})
    for key, one in mapping(facts.get("forecast")).items():
        if measured(one):
            size, ends = figures.gain({**one, "metric": metric})
            who = short(facts.get("transfer") or key) if key == "transfer" else key
            what = f"forecast for {who} with {figures.few(one.get('more'))} more {unit}"
            found.append({"value": f"{size}{points}", "what": what, "ends": ends})
    return found


def _multiplier(times: Mapping[str, Any]) -> str:
    value = figures.number(times.get("estimate")) or 0.0
    if times.get("censored") == "above":
        return f"more than {figures.few(value)}×"
    if times.get("censored") == "below":
        return f"less than {figures.few(value)}×"
    return f"{float(f'{value:.2g}'):g}×"


def _ends(times: Mapping[str, Any], points: list[Mapping[str, Any]]) -> str:
    """Return the interval of the multiplier; what lies beyond the curve is told as a bound."""
    if times.get("censored") is not None:
        return ""
    n = [figures.number(one.get("n_per_class", one.get("n"))) for one in points]
    if not n or not n[0] or not n[-1]:
        return ""
    beyond = {"low": f"< {n[0] / n[-1]:.2g}", "high": f"> {n[-1] / n[0]:.3g}"}
    ends = []
    for key, bound in beyond.items():
        end = figures.number(times.get(key))
        ends.append(bound if end is None else f"{float(f'{end:.2g}'):g}")
    return f"[{', '.join(ends)}]"
