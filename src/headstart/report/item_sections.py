"""The sections that show items: the map, the most confident mistakes, labels that may be wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from headstart.report import charts, figures, plots
from headstart.report.clean import name as short
from headstart.report.sections import Section
from headstart.report.svg import Scale
from headstart.report.words import rows
from headstart.report.words import told as mapping

BUDGET = 2_200_000
"""Characters of pictures and sounds that a report holds, so that it stays below 3 MB."""
TEXT = 600
ROWS = 200
FAINT = 0.12
"""Share of the largest weight below which a word is not coloured."""
COLUMNS = 12
_CODES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"})


class Purse:
    """How much may still be shown of pictures and sounds: what matters more is asked for first."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.left = budget
        self.refused = 0

    def preview(self, value: Any) -> dict[str, Any] | None:
        """Return a preview that may be shown; None for one there is no room for."""
        one = mapping(value)
        kind = one.get("kind")
        if kind == "text":
            return {"kind": "text", "text": _cut(str(one.get("text", "")))}
        if kind == "row":
            return {"kind": "row", "values": _values(one.get("values"))}
        src = one.get("src")
        if kind not in ("image", "sound") or not isinstance(src, str):
            return None
        if len(src) > self.left:
            self.refused += 1
            return None
        self.left -= len(src)
        if kind == "sound":
            return {"kind": kind, "src": src, "seconds": figures.seconds(one.get("seconds"))}
        width, height = (figures.number(one.get(side)) for side in ("width", "height"))
        known = width and height and width > 0 and height > 0
        return {
            "kind": kind,
            "src": src,
            "width": int(width) if known and width else None,
            "height": int(height) if known and height else None,
        }


def _cut(told: str) -> str:
    return told if len(told) <= TEXT else told[: TEXT - 1] + "…"


def _values(values: Any) -> list[list[str]]:
    found = [[short(key, 40), _value(value)] for key, value in mapping(values).items()]
    more = len(found) - COLUMNS
    return [*found[:COLUMNS], *([["…", f"{more} more columns"]] if more > 0 else [])]


def _value(value: Any) -> str:
    if value is None:
        return "missing"
    return figures.few(value) if isinstance(value, (int, float)) else short(value, 60)


def answer(value: Any) -> str:
    """Return a label as it is shown: a class, or a number."""
    if value is None:
        return "–"
    return figures.few(value) if isinstance(value, (int, float)) else short(value)


def _sampled(evidence: Mapping[str, Any], shown: int) -> str:
    """Return how many of how many judged items are shown; nothing where all are."""
    whole = figures.number(mapping(evidence.get("judged")).get("n")) or 0
    return f"{shown:,} of {whole:,.0f} judged items" if 0 < shown < whole else ""


def the_map(evidence: Mapping[str, Any], purse: Purse) -> Section | None:
    """Return the map of items, and the items as a table."""
    items = rows(evidence.get("items"))
    names = sorted({str(one["label"]) for one in items if isinstance(one.get("label"), str)})
    colours = {name: i for i, name in enumerate(names)} if len(names) <= plots.COLOURS else {}
    picture = plots.item_map(items, colours)
    if picture is None:
        return None
    states = [plots.state(one) for one in items]
    legend = [
        {"name": short(name), "class": f"c{colours[name]}" if colours else "cx"} for name in names
    ]
    known = [
        {
            "id": short(one.get("id", "")),
            "label": answer(one.get("label")),
            "predicted": answer(one.get("predicted")),
            "sure": figures.percent(one.get("confidence")),
            "state": state,
            "abstained": bool(one.get("abstained")),
            "preview": purse.preview(one.get("preview")),
        }
        for one, state in zip(items, states, strict=True)
    ]
    return Section(
        "map",
        "The map of items",
        "Map",
        {
            "picture": picture,
            "legend": legend,
            "method": mapping(evidence.get("map")).get("method"),
            "sample": _sampled(evidence, len(states) - states.count("learnt")),
            "counts": {key: states.count(key) for key in ("right", "wrong", "learnt")},
            "classes": bool(names),
            "table": known[:ROWS],
            "more": max(0, len(known) - ROWS),
            "data": data_block(known),
            "refused": purse.refused,
        },
    )


def data_block(value: Any) -> Markup:
    """Return plain values as JSON that no character of theirs can end."""
    told = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(told.translate(_CODES))


def mistakes(evidence: Mapping[str, Any], purse: Purse) -> Section | None:
    """Return the most confident mistakes, with what spoke for the wrong answer."""
    items = rows(evidence.get("items"))
    found: list[dict[str, Any]] = []
    numbers = not any(isinstance(one.get("label"), str) for one in items)
    for one in rows(evidence.get("mistakes")):
        at = one.get("item")
        item = items[at] if isinstance(at, int) and 0 <= at < len(items) else {}
        preview = purse.preview(one.get("preview")) or purse.preview(item.get("preview"))
        found.append(
            {
                "id": short(item.get("id", "")),
                "label": answer(item.get("label")),
                "predicted": answer(item.get("predicted")),
                "sure": figures.percent(item.get("confidence")),
                "abstained": bool(item.get("abstained")),
                "preview": preview,
                "explanation": explanation(one.get("explanation"), preview, numbers=numbers),
            }
        )
    if not found:
        return None
    kinds = {one["explanation"]["kind"] for one in found if one["explanation"]}
    method = next((one["explanation"]["method"] for one in found if one["explanation"]), "")
    title = "The largest errors" if numbers else "The most confident mistakes"
    return Section(
        "mistakes",
        title,
        "Mistakes",
        {
            "mistakes": found,
            "kinds": sorted(kinds),
            "method": method,
            "numbers": numbers,
            "seen": mapping(evidence.get("judged")).get("apart") is False,
            "wide": _wide(found),
            "first": _first(found),
        },
    )


def explanation(
    value: Any, preview: Mapping[str, Any] | None, *, numbers: bool = False
) -> dict[str, Any] | None:
    """Return why the model answered as it did, ready to be shown; None where it cannot be.

    ``numbers``: weights are in the units of the label, not changes of a probability.
    """
    one = mapping(value)
    kind = one.get("kind")
    told: dict[str, Any] = {
        "kind": kind,
        "method": str(one.get("method") or ""),
        "label": answer(one.get("label")),
        "confidence": figures.percent(one.get("confidence")),
        "bars": [],
    }
    if kind == "image" and preview and isinstance(one.get("weights"), list):
        told["heat"] = plots.saliency(one["weights"], preview.get("width"), preview.get("height"))
        return told if told["heat"] is not None else None
    if kind == "text" and rows(one.get("tokens")):
        told["words"] = _words(rows(one["tokens"]), numbers)
        return told
    if kind == "row" and rows(one.get("columns")):
        told["bars"] = _bars(
            [(x.get("name"), x.get("value"), x.get("weight")) for x in rows(one["columns"])],
            numbers,
        )
        return told if told["bars"] else None
    if kind == "sound" and rows(one.get("windows")):
        spans = [
            (
                f"{figures.few(x.get('start')) or '0'}–{figures.few(x.get('end'))} s",
                None,
                x.get("weight"),
            )
            for x in rows(one["windows"])
        ]
        told["bars"] = _bars(spans, numbers, ranked=False)
        return told if told["bars"] else None
    return None


def _moved(weight: float, numbers: bool) -> str:
    """Return how far an answer falls without a part: points, or units of the label."""
    if numbers:
        return ("+" if weight > 0 else "") + figures.few(weight)
    return figures.fixed(weight, 1, scale=100, signed=True)


def _words(tokens: list[Mapping[str, Any]], numbers: bool) -> list[dict[str, str]]:
    weights = [figures.number(one.get("weight")) or 0.0 for one in tokens]
    most = max(map(abs, weights), default=0.0)
    found, length = [], 0
    for one, weight in zip(tokens, weights, strict=True):
        told = str(one.get("text", ""))
        length += len(told)
        if length > 2 * TEXT:
            found.append({"text": " …", "class": "", "told": ""})
            break
        strength = plots.shade(abs(weight), most) if abs(weight) > FAINT * most else 0
        side = "for" if weight > 0 else "against"
        change = _moved(weight, numbers) + ("" if numbers else " points")
        word = told.strip()
        before, after = told[: len(told) - len(told.lstrip())], told[len(told.rstrip()) :]
        found += [{"text": blank, "class": "", "told": ""} for blank in (before,) if blank and word]
        found.append(
            {
                "text": word or told,
                "class": f"{side} s{strength}" if strength else "",
                "told": change if strength else "",
            }
        )
        found += [{"text": blank, "class": "", "told": ""} for blank in (after,) if blank and word]
    return found


def _bars(
    parts: list[tuple[Any, Any, Any]], numbers: bool, *, ranked: bool = True
) -> list[dict[str, Any]]:
    known = [(name, value, w) for name, value, w in parts if figures.number(w) is not None]
    if ranked:
        known.sort(key=lambda part: -abs(part[2]))
    shown = known[:6] if ranked else known[:24]
    most = max((abs(w) for _, _, w in shown), default=0.0)
    if not most:
        return []
    scale = Scale(-most, most)
    found = []
    for name, value, w in shown:
        size = _moved(w, numbers)
        told = f"{short(name, 60)}: {size}{'' if numbers else ' points'}"
        ends = {"estimate": w, "low": min(w, 0.0), "high": max(w, 0.0)}
        strip = charts.strip(ends, scale, [0.0], told, "for" if w > 0 else "against")
        shown_value = "" if value is None else _value(value)
        found.append({"name": short(name, 60), "value": shown_value, "size": size, "strip": strip})
    return found


def suspects(evidence: Mapping[str, Any], purse: Purse) -> Section | None:
    """Return the labels that are probably wrong."""
    found = [
        {
            "id": short(one.get("id", "")),
            "label": answer(one.get("label")),
            "proposed": answer(one.get("proposed")),
            "chance": figures.percent(one.get("chance")),
            "preview": purse.preview(one.get("preview")),
        }
        for one in rows(evidence.get("suspects"))
    ]
    if not found:
        return None
    has = {"suspects": found, "wide": _wide(found), "first": _first(found)}
    return Section("suspects", "Labels that may be wrong", "Suspects", has)


def _wide(cards: list[dict[str, Any]]) -> bool:
    """Say whether what is shown takes more room than a picture."""
    return not any(one["preview"] and one["preview"]["kind"] == "image" for one in cards)


def _first(cards: list[dict[str, Any]]) -> int:
    """Return how many cards are shown at once; the others are folded away."""
    return 6 if _wide(cards) else 12
