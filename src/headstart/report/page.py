"""The whole report: sections into one template, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from headstart.report import (
    charts,
    data_sections,
    figures,
    item_sections,
    learning_section,
    sections,
)
from headstart.report.clean import cleaned
from headstart.report.clean import name as short
from headstart.report.sections import Section
from headstart.report.words import headline, measured, part, rows, shipped, told, tried

TEMPLATES = "templates"


def render(
    info: Mapping[str, Any],
    evidence: Mapping[str, Any] | None = None,
    *,
    timing: Mapping[str, float] | None = None,
) -> str:
    """Return the report of a model: one HTML page that needs nothing else.

    Parameters
    ----------
    info : mapping
        ``Bundle.info`` or ``SequenceBundle.info``.
    evidence : mapping, optional
        ``Bundle.evidence``; without it the page says what the info says.
    timing : mapping of name to seconds, optional
        Seconds of each candidate by its name, and of the whole fit as ``"fit"``.

    Returns
    -------
    str
        HTML, below 3 MB.
    """
    info, evidence = cleaned(info), cleaned(evidence or {})
    style, script = _file("report.css"), _file("report.js")
    lead = headline(info)
    gain = told(info.get("gain")) if tried(info) else {}
    return (
        _environment()
        .get_template("page.html")
        .render(
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
            name=_name(info),
            title=str(lead),
            lead=lead,
            picture=charts.gain_picture(gain, *_sides(gain)) if gain else None,
            facts=_facts(info),
            sections=_sections(info, evidence, timing),
            version=short(info.get("headstart") or ""),
            evidence=bool(evidence),
        )
    )


def _name(info: Mapping[str, Any]) -> str:
    path = info.get("path")
    if path:
        last = str(path).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
        return short(last, 60)
    return shipped(info)


def _sides(gain: Mapping[str, Any]) -> tuple[str, str]:
    baseline = short(gain.get("baseline") or "scratch", 24)
    return f"{baseline} is better", "transfer is better" if baseline == "scratch" else "better"


def _facts(info: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the few numbers that everybody asks for."""
    found = []
    score = info.get("score")
    if measured(score):
        found.append(
            {
                "value": figures.score(score),
                "what": f"{figures.metric_words(told(score).get('metric'))} of the model you get",
                "more": figures.interval(score),
            }
        )
    n, classes = info.get("n"), info.get("classes")
    if figures.number(n) is not None:
        more = f"{len(classes):,} classes" if isinstance(classes, list) and classes else ""
        what = (
            "examples learnt from"
            if part(info, "zero_shot") is None
            else "items, no label learnt from"
        )
        found.append({"value": figures.count(n), "what": what, "more": more})
    judged = figures.number(told(score).get("n"))
    if judged:
        found.append({"value": figures.count(judged), "what": "items judged", "more": ""})
    coverage = told(told(part(info, "abstention")).get("judged")).get("coverage")
    coverage = coverage or told(part(info, "abstention")).get("coverage")
    if measured(coverage):
        one = {**told(coverage), "metric": "accuracy"}
        found.append(
            {
                "value": figures.score(one),
                "what": "of items answered, the rest abstained",
                "more": figures.interval(one),
            }
        )
    raced = [one for one in rows(info.get("candidates")) if measured(one.get("score"))]
    if len(found) < 4 and raced:
        found.append(
            {"value": figures.count(len(raced)), "what": "candidates compared", "more": ""}
        )
    return found


def _sections(
    info: Mapping[str, Any], evidence: Mapping[str, Any], timing: Mapping[str, float] | None
) -> list[Section]:
    """Return the sections that have something to say, in the order in which they are read."""
    purse = item_sections.Purse()
    # what is looked at most comes first to the room there is for pictures
    mistakes = item_sections.mistakes(evidence, purse)
    suspects = item_sections.suspects(evidence, purse)
    found = [
        sections.worth(info),
        learning_section.learning(info),
        sections.classes(info, evidence),
        sections.confusion(evidence),
        sections.confidence(info, evidence),
        sections.residuals(info, evidence),
        item_sections.the_map(evidence, purse),
        mistakes,
        data_sections.importance(info, evidence),
        suspects,
        data_sections.findings(evidence),
        data_sections.shift(info, evidence),
        data_sections.decisions(info),
        data_sections.timing(timing),
        data_sections.source(info),
        data_sections.reproduce(info),
    ]
    return [one for one in found if one is not None]


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_file),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _file(name: str) -> str:
    return resources.files(__package__).joinpath(TEMPLATES, name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
