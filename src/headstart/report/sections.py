"""The sections of a report: each is left out where there is nothing to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from headstart.report import charts, figures, plots
from headstart.report.clean import name as short
from headstart.report.svg import Scale
from headstart.report.words import called, measured, part, rows, shipped, tried
from headstart.report.words import told as mapping

STATUS = {"chosen": "chosen", "lost": "", "left out": "left out", "failed": "failed"}
FEW = 12
"""Classes up to which a confusion matrix is a table of numbers."""
FEWEST = 4
"""Classes up to which the table says it all."""
MOST = 60
MANY_ROWS = 30


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Parameters
    ----------
    key : str
        The anchor, and the template ``section_<key>.html``.
    title, nav : str
        Its heading, and its name in the contents.
    has : mapping
        What its template takes.
    """

    key: str
    title: str
    nav: str
    has: Mapping[str, Any] = field(default_factory=dict)

    @property
    def template(self) -> str:
        """The template of its content."""
        return f"section_{self.key}.html"


def worth(info: Mapping[str, Any]) -> Section | None:
    """Return what was judged, and apart from it the race that chose."""
    metric = info.get("metric")
    judged = _judged(info)
    scored = [one for one in rows(info.get("candidates")) if measured(one.get("score"))]
    raced = _sorted(scored, metric)
    out = [one for one in rows(info.get("candidates")) if not measured(one.get("score"))]
    if not judged and not raced and not out:
        return None
    counts, chose = _drawn(judged, metric), _drawn(raced, metric)
    gain = mapping(info.get("gain")) if tried(info) else {}
    return Section(
        "worth",
        "What it is worth",
        "Gain and candidates",
        {
            "metric": figures.metric_words(metric),
            "less": figures.less_is_better(metric),
            "judged_by": part(info, "judged_by"),
            "gain": gain,
            "judged": counts[0],
            "judged_axis": counts[1],
            "raced": chose[0],
            "raced_axis": chose[1],
            "out": _left_out(out),
            "measures": _measures(info),
            "domain": "adapted_by" in mapping(info.get("extra")),
        },
    )


def _drawn(scores: list[dict[str, Any]], metric: Any) -> tuple[list[dict[str, Any]], Markup | None]:
    """Return scores with their pictures on one scale, and its axis."""
    values = [v for one in scores for v in charts.ends_of(one["score"]) or ()]
    if not values:
        return [], None
    scale, marks = charts.scale_of(values, metric)
    return [_scored(one, scale, marks) for one in scores], charts.axis(scale, marks, metric)


def _judged(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was judged: what is handed back, the best transfer, the baselines."""
    found: dict[str, dict[str, Any]] = {}
    mine = shipped(info)
    if measured(info.get("score")):
        found[mine] = {"name": mine, "score": info["score"], "status": "what you get", "own": True}
    kept = mapping(part(info, "transfer"))
    if kept.get("strategy") and measured(kept):
        score = {**kept, "metric": kept.get("metric", info.get("metric"))}
        found.setdefault(
            called(kept), {"name": called(kept), "score": score, "status": "best transfer"}
        )
    for name, score in mapping(info.get("baselines")).items():
        if measured(score):
            found.setdefault(str(name), {"name": short(name), "score": score, "status": ""})
    sign = 1.0 if figures.less_is_better(info.get("metric")) else -1.0
    return sorted(found.values(), key=lambda one: sign * float(one["score"]["estimate"]))


def _sorted(candidates: list[Mapping[str, Any]], metric: Any) -> list[dict[str, Any]]:
    sign = 1.0 if figures.less_is_better(metric) else -1.0
    best = sorted(candidates, key=lambda one: sign * float(one["score"]["estimate"]))
    return [
        {
            "name": called(one),
            "score": one["score"],
            "status": STATUS.get(str(one.get("status")), ""),
            "reason": one.get("reason") or "",
            "own": one.get("status") == "chosen",
        }
        for one in best
    ]


def _scored(one: Mapping[str, Any], scale: Scale, marks: list[float]) -> dict[str, Any]:
    score = one["score"]
    told = f"{one['name']}: {figures.score(score)} {figures.interval(score)}"
    n = figures.count(score.get("n"))
    tone = "own" if one.get("own") else "other"
    return {
        "own": False,
        "reason": "",
        **one,
        "estimate": figures.score(score),
        "interval": figures.interval(score),
        "n": n,
        "strip": charts.strip(score, scale, marks, f"{told}, {n} items" if n else told, tone),
    }


def _left_out(candidates: list[Mapping[str, Any]]) -> list[dict[str, str]]:
    together: dict[tuple[str, str], list[str]] = {}
    for one in candidates:
        key = (str(one.get("status") or ""), str(one.get("reason") or "no reason was kept"))
        together.setdefault(key, []).append(called(one))
    return [
        {"names": ", ".join(names), "status": status, "reason": reason}
        for (status, reason), names in together.items()
    ]


def _measures(info: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "name": figures.metric_words(name),
            "estimate": figures.score({"metric": name, **mapping(one)}),
            "interval": figures.interval({"metric": name, **mapping(one)}),
        }
        for name, one in mapping(info.get("measures")).items()
        if measured(one)
    ]


def shown(one: Mapping[str, Any]) -> str:
    """Return a score with its interval."""
    return f"{figures.score(one)} {figures.interval(one)}".strip()


def classes(info: Mapping[str, Any], evidence: Mapping[str, Any]) -> Section | None:
    """Return how each class is recognised."""
    found = rows(evidence.get("classes"))
    counts = mapping(part(info, "class_counts"))
    if not found:
        return None
    scale, marks = Scale(0, 1), [0.0, 0.5, 1.0]
    table = []
    for one in found:
        row: dict[str, Any] = {
            "name": short(one.get("name", "")),
            "n": figures.count(one.get("n")),
            "predicted": figures.count(one.get("predicted")),
            "labels": figures.count(counts.get(str(one.get("name")))),
        }
        for key in ("precision", "recall", "f1"):
            row[key] = _measure(one.get(key), key, row["name"], scale, marks)
        table.append(row)
    return Section(
        "classes",
        "Class by class",
        "Classes",
        {
            "table": table,
            "labels": bool(counts),
            "long": len(table) > MANY_ROWS,
            "chosen": mapping(evidence.get("judged")).get("apart") is False,
        },
    )


def _measure(value: Any, key: str, name: str, scale: Scale, marks: list[float]) -> dict[str, Any]:
    ends = value if isinstance(value, list) and len(value) == 3 else [None, None, None]
    one = {"metric": "accuracy", **dict(zip(("estimate", "low", "high"), ends, strict=True))}
    told = f"{name}, {'F1' if key == 'f1' else key}: {figures.score(one)} {figures.interval(one)}"
    return {
        "estimate": figures.percent(one["estimate"]) or "–",
        "interval": _whole(one["low"], one["high"]),
        "value": figures.number(one["estimate"]),
        "strip": charts.strip(one, scale, marks, told) if key == "f1" else None,
    }


def _whole(*ends: Any) -> str:
    """Return an interval of a share in whole percents."""
    known = [figures.number(end) for end in ends]
    told = ["…" if end is None else figures.fixed(end, 0, scale=100) for end in known]
    return f"[{', '.join(told)}]" if any(end is not None for end in known) else ""


def confusion(evidence: Mapping[str, Any]) -> Section | None:
    """Return which classes are taken for which."""
    whole = mapping(evidence.get("confusion"))
    names, counts = whole.get("classes"), whole.get("counts")
    pairs = rows(evidence.get("confused"))
    picture, table, mistaken = None, [], False
    if isinstance(names, list) and isinstance(counts, list) and 0 < len(names) <= MOST:
        labels = [short(one, 60) for one in names]
        grid = [list(row) if isinstance(row, list) else [] for row in counts][: len(names)]
        if len(names) > FEW:
            picture = plots.heat(labels, grid)
        else:
            table = [_cells(labels, i, row) for i, row in enumerate(grid)]
        mistaken = bool(_pairs(labels, grid))
        pairs = [] if len(names) <= FEWEST else pairs or _pairs(labels, grid)
    if not table and not pairs and picture is None:
        return None
    listed = [
        {
            "label": short(one.get("label")),
            "predicted": short(one.get("predicted")),
            "n": figures.count(one.get("n")),
        }
        for one in pairs[:30]
    ]
    return Section(
        "confusion",
        "What is taken for what",
        "Confusion",
        {
            "names": [row["name"] for row in table],
            "table": table,
            "picture": picture,
            "pairs": listed,
            "mistaken": mistaken,
        },
    )


def _cells(labels: list[str], i: int, row: list[Any]) -> dict[str, Any]:
    values = [figures.number(n) or 0.0 for n in row[: len(labels)]]
    whole = sum(values)
    return {
        "name": labels[i],
        "cells": [
            {
                "n": figures.count(n),
                "class": f"{'hit-cell' if i == j else 'miss-cell'} s{plots.shade(n, whole)}",
            }
            for j, n in enumerate(values)
        ],
    }


def _pairs(labels: list[str], grid: list[list[Any]]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = [
        {"label": labels[i], "predicted": labels[j], "n": figures.number(n) or 0}
        for i, row in enumerate(grid)
        for j, n in enumerate(row[: len(labels)])
        if i != j and (figures.number(n) or 0) > 0
    ]
    return sorted(found, key=lambda one: -float(one["n"]))[:10]


def confidence(info: Mapping[str, Any], evidence: Mapping[str, Any]) -> Section | None:
    """Return whether the confidence can be believed, and when the model abstains."""
    bins = rows(mapping(evidence.get("reliability")).get("bins"))
    calibration, abstention = mapping(part(info, "calibration")), mapping(part(info, "abstention"))
    if not bins and not calibration and not abstention:
        return None
    changed = calibration.get("method") not in (None, "none")
    return Section(
        "confidence",
        "Can its confidence be believed?",
        "Confidence",
        {
            "picture": plots.reliability(bins) if bins else None,
            "bins": [_bin(one) for one in bins if figures.number(one.get("n"))],
            "ece": figures.percent(mapping(evidence.get("reliability")).get("ece"), 1),
            "method": calibration.get("method"),
            "why": calibration.get("why"),
            "errors": [
                {"what": what, "value": _share(calibration.get(key))}
                for key, what in (
                    ("ece_before", "calibration error before"),
                    ("ece_after", "calibration error after"),
                )
                if measured(calibration.get(key)) and changed
            ],
            "abstention": _abstention(abstention),
        },
    )


def _share(one: Any) -> str:
    return shown({**mapping(one), "metric": "accuracy"})


def _bin(one: Mapping[str, Any]) -> dict[str, str]:
    return {
        "range": f"{figures.percent(one.get('low'))} to {figures.percent(one.get('high'))}",
        "n": figures.count(one.get("n")),
        "confidence": figures.percent(one.get("confidence"), 1),
        "accuracy": shown(
            {
                "metric": "accuracy",
                "estimate": one.get("accuracy"),
                "low": one.get("accuracy_low"),
                "high": one.get("accuracy_high"),
            }
        ),
    }


def _abstention(one: Mapping[str, Any]) -> dict[str, Any] | None:
    if not one:
        return None
    judged = mapping(one.get("judged"))
    lines = []
    for key, what in (("coverage", "answered"), ("risk_answered", "wrong among the answered")):
        for where, held in (("on the judging items", judged), ("out of fold", one)):
            if measured(held.get(key)):
                lines.append({"what": f"{what}, {where}", "value": _share(held[key])})
    return {
        "promise": one.get("promise"),
        "certified": one.get("certified"),
        "max_risk": figures.percent(one.get("max_risk"), 1),
        "threshold": figures.percent(one.get("threshold"), 1),
        "lines": lines,
    }


def residuals(info: Mapping[str, Any], evidence: Mapping[str, Any]) -> Section | None:
    """Return predicted over true values."""
    found = mapping(evidence.get("residuals"))
    truth, predicted = found.get("truth"), found.get("predicted")
    if not isinstance(truth, list) or not isinstance(predicted, list):
        return None
    picture = plots.residuals(truth, predicted)
    if picture is None:
        return None
    pairs = list(zip(truth, predicted, strict=False))
    table = [
        (figures.few(a), figures.few(b))
        for a, b in pairs
        if figures.number(a) is not None and figures.number(b) is not None
    ]
    label = short(info.get("label") or "the label", 40)
    return Section(
        "residuals",
        "Predicted and true",
        "Predictions",
        {"picture": picture, "table": table[:200], "more": len(table) - 200, "label": label},
    )
