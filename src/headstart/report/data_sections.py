"""The sections about the data, the decisions and where the model comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.report import charts, figures
from headstart.report.clean import name as short
from headstart.report.sections import Section
from headstart.report.svg import Scale, ticks
from headstart.report.words import part, rows
from headstart.report.words import told as mapping

SEVERITIES = {"error": "error", "warning": "warning", "info": "note"}
BARS = 12


def importance(info: Mapping[str, Any], evidence: Mapping[str, Any]) -> Section | None:
    """Return what a model of a table rests on."""
    found = rows(evidence.get("importance"))
    values = [value for one in found for value in charts.ends_of(one) or ()]
    if not values:
        return None
    metric = info.get("metric")
    marks = ticks(min(0.0, *values), max(0.0, *values), 4)
    scale = Scale(marks[0], marks[-1])
    table = []
    for one in found:
        size, ends = figures.gain({**one, "metric": metric}, signed=False)
        told = f"{short(one.get('column'))}: {size} {ends}"
        strip = charts.strip(one, scale, marks, told)
        table.append({"name": short(one.get("column")), "size": size, "ends": ends, "strip": strip})
    unit = "points of " if figures.is_share(metric) else ""
    axis = charts.axis(scale, marks, None if figures.is_share(metric) else metric)
    if figures.is_share(metric):
        axis = charts.axis(Scale(100 * scale.low, 100 * scale.high), [100 * m for m in marks], None)
    return Section(
        "importance",
        "What it rests on",
        "Importance",
        {
            "table": table,
            "axis": axis,
            "unit": f"{unit}{figures.metric_words(metric)}",
            "seen": mapping(evidence.get("judged")).get("apart") is False,
        },
    )


def findings(evidence: Mapping[str, Any]) -> Section | None:
    """Return what is odd about the data: repeated items, leakage, findings, what was left out."""
    twice = mapping(evidence.get("duplicates"))
    pairs = [
        {
            "a": short(one.get("a")),
            "b": short(one.get("b")),
            "same": "exact" if one.get("same") == "exact" else "near",
            "labels": [short(label) for label in labels] if isinstance(labels, list) else [],
            "differ": isinstance(labels, list) and len({str(label) for label in labels}) > 1,
            "across": bool(one.get("across")),
        }
        for one in rows(twice.get("pairs"))
        for labels in [one.get("labels")]
    ]
    found = [
        {
            "severity": SEVERITIES.get(str(one.get("severity")), "note"),
            "what": str(one.get("what", "")),
            "examples": [short(x) for x in one.get("examples") or [] if isinstance(x, (str, int))][
                :5
            ],
        }
        for one in rows(evidence.get("findings"))
    ]
    skipped = [
        {"item": short(one.get("item")), "reason": str(one.get("reason", ""))}
        for one in rows(evidence.get("skipped"))
    ]
    needy = [short(one.get("name")) for one in rows(evidence.get("neediest"))]
    known = any(evidence.get(key) is not None for key in ("duplicates", "findings", "skipped"))
    if not known and not needy:
        return None
    return Section(
        "findings",
        "What is odd about the data",
        "Data",
        {
            "pairs": pairs,
            "across": sum(one["across"] for one in pairs),
            "groups": figures.count(twice.get("groups")),
            "repeated": figures.count(twice.get("items")),
            "looked": bool(twice),
            "checked": evidence.get("findings") is not None,
            "found": found,
            "skipped": skipped[:100],
            "more": max(0, len(skipped) - 100),
            "needy": needy,
        },
    )


def shift(info: Mapping[str, Any], evidence: Mapping[str, Any]) -> Section | None:
    """Return how the target differs from the source."""
    found = mapping(evidence.get("shift") or part(info, "shift"))
    if not found:
        return None
    lines = [str(one) for one in found.get("sentences") or [] if isinstance(one, str)]
    columns = rows(found.get("features"))
    label = mapping(found.get("label"))
    told = bool(label.get("counted")) or found.get("verdict") == "label"
    return Section(
        "shift",
        "How the domains differ",
        "Shift",
        {
            "sentences": lines,
            **_columns(columns),
            **(_shares(rows(label.get("shares"))) if told else {}),
            "n_source": figures.count(found.get("n_source")),
            "n_target": figures.count(found.get("n_target")),
        },
    )


def _columns(columns: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the columns that differ most, in standard deviations."""
    known = [one for one in columns if figures.number(one.get("difference")) is not None]
    known.sort(key=lambda one: (_unsure(one), -abs(float(one["difference"]))))
    shown = known[:BARS]
    if not shown:
        return {}
    reach = max(1.0, *(abs(float(one["difference"])) for one in shown))
    marks = ticks(-reach, reach, 4)
    scale = Scale(marks[0], marks[-1])
    table = []
    for one in shown:
        name, size = short(one.get("name")), figures.fixed(float(one["difference"]), 2, signed=True)
        tone = "other" if _unsure(one) else "own"
        strip = charts.strip(
            {"estimate": one["difference"], "low": 0.0, "high": one["difference"]},
            scale,
            marks,
            f"{name}: {size}",
            tone,
        )
        table.append({"name": name, "size": size, "strip": strip, "unsure": _unsure(one)})
    return {"columns": table, "axis": charts.axis(scale, marks, None), "n_columns": len(columns)}


def _unsure(one: Mapping[str, Any]) -> bool:
    p = figures.number(one.get("p_adjusted"))
    return p is None or p > 0.05


def _shares(shares: list[Mapping[str, Any]]) -> dict[str, Any]:
    scale, marks = Scale(0, 1), [0.0, 0.25, 0.5, 0.75, 1.0]
    table = []
    for one in shares[:BARS]:
        ends = {"estimate": one.get("target"), "low": one.get("low"), "high": one.get("high")}
        name = short(one.get("name"))
        told = {**ends, "metric": "accuracy"}
        text = f"{figures.score(told)} {figures.interval(told)}"
        strip = charts.strip(ends, scale, marks, f"{name} in the target: {text}")
        source = figures.percent(one.get("source"), 1)
        table.append({"name": name, "source": source, "target": text, "strip": strip})
    return {"shares": table, "shares_axis": charts.axis(scale, marks, "accuracy")} if table else {}


def decisions(info: Mapping[str, Any]) -> Section | None:
    """Return every automatic decision with its reason."""
    found = [
        {key: str(one.get(key) or "") for key in ("what", "why", "override")}
        for one in rows(info.get("decisions"))
    ]
    if not found:
        return None
    return Section("decisions", "What was decided for you", "Decisions", {"decisions": found})


def timing(seconds: Mapping[str, float] | None) -> Section | None:
    """Return how long each candidate took, where that is known."""
    known = {
        name: value for name, value in (seconds or {}).items() if figures.number(value) is not None
    }
    whole = known.pop("fit", None)
    if not known and whole is None:
        return None
    most = max(known.values(), default=0.0)
    marks = ticks(0.0, most or 1.0, 4)
    scale = Scale(0.0, marks[-1])
    ranked = sorted(known.items(), key=lambda pair: -pair[1])
    table = [
        {
            "name": short(name),
            "seconds": figures.seconds(value),
            "strip": charts.strip(
                {"estimate": value, "low": 0.0, "high": value},
                scale,
                marks,
                f"{short(name)}: {figures.seconds(value)}",
            ),
        }
        for name, value in ranked
    ]
    return Section(
        "timing", "How long it took", "Time", {"table": table, "whole": figures.seconds(whole)}
    )


def source(info: Mapping[str, Any]) -> Section | None:
    """Return where the knowledge comes from, and under which licence."""
    record = mapping(info.get("source"))
    if not record:
        return None
    card = mapping(record.get("card"))
    hub = mapping(mapping(card.get("origin")).get("hub")).get("id")
    facts = [
        ("what it is", card.get("title")),
        ("pretrained on", card.get("pretrained_on")),
        ("parameters", _millions(card.get("parameters"))),
        ("languages", _listed(card.get("languages"))),
        ("licence of the weights", record.get("licence") or card.get("licence")),
        ("licence of the package", card.get("licence_package")),
        ("paper", card.get("paper")),
        ("official home", hub),
        (
            "weights",
            "inside the model"
            if record.get("standalone")
            else "not inside the model: fetched once by name, and checked",
        ),
        ("sha256 of the weights", record.get("weights_sha256")),
    ]
    free = card.get("permissive")
    return Section(
        "source",
        f"The source: {short(record.get('name'), 60)}",
        "Source and licence",
        {
            "facts": [(key, str(value)) for key, value in facts if value],
            "permissive": free if isinstance(free, bool) else None,
        },
    )


def _millions(value: Any) -> str:
    found = figures.number(value)
    return "" if found is None else f"{figures.fixed(found / 1e6, 1)} million"


def _listed(value: Any) -> str:
    if not isinstance(value, list):
        return ""
    shown = [str(one) for one in value[:8]]
    return ", ".join(shown) + (f" and {len(value) - 8} more" if len(value) > 8 else "")


def reproduce(info: Mapping[str, Any]) -> Section:
    """Return what is needed to make the same model again."""
    versions = [(short(key), short(value)) for key, value in mapping(info.get("versions")).items()]
    facts = [
        ("labels learnt from", figures.count(info.get("n"))),
        ("fingerprint of the data", info.get("fingerprint")),
        ("digest of the model", info.get("digest")),
        ("size of the model", figures.size(info.get("bytes")) if info.get("bytes") else ""),
    ]
    return Section(
        "reproduce",
        "Make it again",
        "Reproduce",
        {
            "command": _command(info),
            "versions": versions,
            "facts": [(key, str(value)) for key, value in facts if value],
        },
    )


def _command(info: Mapping[str, Any]) -> str:
    """Return the command, as far as the model keeps its options."""
    extra = mapping(info.get("extra"))
    seed = figures.number(part(info, "seed"))
    tail = f" --seed {int(seed)}" if seed is not None else ""
    if "adapted_by" in extra:
        verb = "transfer SOURCE_DATA TARGET_DATA" if "shift" in extra else "adapt MODEL UNLABELLED"
        return (
            f"headstart {verb}{tail} -o MODEL2"
            if verb.startswith("adapt")
            else f"headstart {verb}{tail} -o MODEL"
        )
    if info.get("kind") not in ("classification", "regression"):
        return f"headstart fit DATA --task {short(info.get('kind'), 40)}{tail} -o MODEL"
    if part(info, "zero_shot") is not None:
        return f"headstart fit DATA --classes CLASSES{tail} -o MODEL"
    shots = figures.number(extra.get("shots"))
    risk = figures.number(mapping(extra.get("abstention")).get("max_risk"))
    middle = f" --shots {int(shots)}" if shots is not None else ""
    if info.get("metric"):
        middle += f" --metric {short(info['metric'], 40)}"
    middle += f" --max-risk {risk:g}" if risk is not None else ""
    return f"headstart fit DATA{middle}{tail} -o MODEL"
