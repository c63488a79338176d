"""Names, labels and texts of strangers stay text: no browser is needed to see it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hostile_names import SEEDS, hostile
from report_facts import evidence, explanation, info, numbers, preview, sequence

from headstart.report import render

ALLOWED = """
a aside audio bdi body br button caption circle code col colgroup dd details div dl dt figcaption
figure footer g h1 h2 h3 head header html img input label li line link main meta nav ol option p
path pre rect script section select span strong style summary svg table tbody td text th thead
title tr ul
"""
VOID = {"br", "col", "img", "input", "link", "meta"}


class Page(HTMLParser):
    """A page as a browser reads it: elements, attributes and texts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.raw: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.raw.append((self.open[-1], data))
        else:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:80]}")


def checked(html: str) -> Page:
    """Return a page of which every element and attribute is one that we write."""
    page = Page(html)
    assert not page.open
    scripts = [attrs for tag, attrs in page.elements if tag == "script"]
    assert scripts in ([{}], [{"type": "application/json", "id": "items"}, {}])
    assert sum(tag == "style" for tag, _ in page.elements) == 1
    for tag, attrs in page.elements:
        assert tag in ALLOWED.split(), tag
        for name, value in attrs.items():
            assert re.fullmatch(r"[a-z][a-z0-9:-]*", name), (tag, name)
            assert not name.startswith("on"), (tag, name)
            assert name not in ("style", "srcdoc", "action", "formaction", "srcset", "background")
            if name in ("href", "src", "xlink:href"):
                assert re.match(r"#[a-z-]+$|data:(image|audio)/|data:,$", value or ""), value
    return page


def poisoned(value: Any, texts: list[str], count: list[int], key: str = "") -> Any:
    """Return plain values in which every free text is one of the hostile ones, in turn."""
    fixed = ("kind", "part", "verdict", "status", "metric", "src", "same", "censored", "modality")
    if isinstance(value, str) and key not in fixed:
        count[0] += 1
        return texts[count[0] % len(texts)]
    if isinstance(value, dict):
        return {name: poisoned(inner, texts, count, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [poisoned(inner, texts, count, key) for inner in value]
    return value


def models() -> list[tuple[str, dict[str, Any], dict[str, Any] | None]]:
    kinds = [
        (kind, info(), evidence(kind, 240, tuple(f"c{i}" for i in range(200))))
        for kind in ("image", "text", "row", "sound")
    ]
    few = ("few", info(), evidence("text", 60))
    return [*kinds, few, ("numbers", *numbers()), ("sequence", sequence(), None)]


@pytest.mark.parametrize(
    ("name", "facts", "told"), models(), ids=lambda x: x if isinstance(x, str) else ""
)
def test_no_text_becomes_markup(name, facts, told):
    texts = hostile(200)
    count = [0]
    html = render(poisoned(facts, texts, count), poisoned(told, texts, count))
    page = checked(html)
    shown = "".join(page.texts)
    assert "{{ 7 * 7 }}" in shown  # shown as it is, not computed
    if told is not None:
        assert "<script>window.pwned = 1</script>" in shown
    assert "\x00" not in html
    assert not set("\u202e\u2028\u2029\u2066\u2067\u2068") & set(html)
    html.encode("utf-8")  # half a character would not do


def test_200_hostile_names_are_all_shown_as_they_are():
    names = tuple(hostile(200))
    assert len(set(names)) == 200
    told = evidence("text", 200, names)
    page = checked(render(info(classes=list(names)), told))
    shown = "".join(page.texts)
    for seed in SEEDS[:15]:
        assert seed in shown


@pytest.mark.parametrize("text", SEEDS)
def test_each_alone_as_the_text_of_an_item(text):
    told = evidence("text", 12)
    for one in told["items"]:
        one["preview"] = {"kind": "text", "text": text}
    told["mistakes"] = [
        {"item": 0, "preview": {"kind": "text", "text": text}, "explanation": words(text)}
    ]
    page = checked(render(info(path=text), told))
    (data,) = [raw for tag, raw in page.raw if tag == "script" and raw.startswith("[")]
    assert json.loads(data)[0]["preview"]["kind"] == "text"


def words(text: str) -> dict[str, Any]:
    told = explanation("text", text)
    return {**told, "tokens": [{"text": text, "weight": 0.4}, {"text": text, "weight": -0.4}]}


@pytest.mark.parametrize(
    "src",
    [
        "https://evil.example/a.png",
        "//evil.example/a.png",
        "javascript:alert(1)",
        "data:text/html;base64,PHNjcmlwdD4=",
        "data:image/svg+xml;base64,PHN2Zz4=",
        'data:image/png;base64,AAAA" onerror="x',
        "data:image/png;base64,AAAA\n",
        "file:///etc/passwd",
        None,
        7,
    ],
)
def test_a_picture_brings_its_own_bytes_or_is_not_shown(src):
    told = evidence("image", 12)
    bad = {"kind": "image", "src": src, "width": 8, "height": 8}
    for one in [*told["items"], *told["mistakes"], *told["suspects"]]:
        one["preview"] = bad
    html = render(info(), told)
    page = checked(html)
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert "evil.example" not in html


def test_an_item_of_any_kind_may_have_a_hostile_column():
    told = evidence("row", 12)
    for one in told["items"]:
        one["preview"] = {"kind": "row", "values": {text: text for text in SEEDS}}
    checked(render(info(), told))
    assert preview("row", 1)["kind"] == "row"
