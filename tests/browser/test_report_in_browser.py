"""Reports in a real browser: quiet, closed, safe, and usable by hand and by keyboard."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from headstart.report import render

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "report"))
from hostile_names import hostile
from report_facts import evidence, info, numbers, sequence
from test_hostile_text import poisoned

MANY = tuple(f"class {i:03d}" for i in range(150))
TIMES = {"minilm + probe": 3.25, "scratch": 0.2, "fit": 71.0}
CASES: dict[str, Any] = {
    "image": lambda: (info(modality="image"), evidence("image", 300)),
    "text": lambda: (info(), evidence("text", 300)),
    "table": lambda: (info(modality="table"), evidence("row", 120)),
    "sound": lambda: (info(modality="audio"), evidence("sound", 60)),
    "regression": numbers,
    "150 classes": lambda: (info(classes=list(MANY)), evidence("text", 450, MANY)),
    "30 classes": lambda: (info(classes=list(MANY[:30])), evidence("image", 90, MANY[:30])),
    "1000 items": lambda: (info(), evidence("image", 1000, side=64)),
    "sequence": lambda: (sequence(), None),
    "old": lambda: (info(), None),
}
SIZES = (1280, 390)
CONTRAST = """
() => {
  const parse = (told) => (told.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, below) => {
    const a = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map((i) => top[i] * a + below[i] * (1 - a));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map(
      (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const one = parse(getComputedStyle(at).backgroundColor);
      if (one.length && (one.length < 4 || one[3] > 0)) layers.push(one);
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const bad = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = Array.from(element.childNodes).some(
      (node) => node.nodeType === 3 && node.textContent.trim());
    const box = element.getBoundingClientRect();
    if (!own || !box.width || element.closest("[hidden], script, .hidden, .skip")) continue;
    const svg = element instanceof SVGElement;
    const style = getComputedStyle(element);
    const back = ground(element.closest("svg") ? element.closest("svg").parentElement : element);
    const ink = over(parse(svg ? style.fill : style.color), back);
    const [one, other] = [light(ink), light(back)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) bad.push([element.tagName, element.className, ratio.toFixed(2),
      element.textContent.trim().slice(0, 30)]);
  }
  return bad;
}
"""
NAMELESS = """
() => Array.from(document.querySelectorAll("button, a, input, select, summary, [tabindex]")).filter(
  (e) => !(e.getAttribute("aria-label") || e.textContent.trim()
    || (e.id && document.querySelector(`label[for="${e.id}"]`)))).map((e) => e.outerHTML)
"""


@dataclass
class Watched:
    """A page, and all that it did which a report must not do."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def quiet(self) -> None:
        assert self.errors == []
        assert self.requests == []


def opened(browser: Any, html: str, place: Path, **options: Any) -> Watched:
    """Open a report from a file, as people do."""
    file = place / "report.html"
    file.write_text(html, encoding="utf-8")
    page = browser.new_page(**options)
    watched = Watched(page)

    def asked(request: Any) -> None:
        if not request.url.startswith("data:") and request.url != file.as_uri():
            watched.requests.append(request.url)

    page.on("console", lambda message: watched.errors.append(message.text))
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("request", asked)
    page.on("dialog", lambda dialog: watched.errors.append(dialog.message))
    page.goto(file.as_uri())
    page.wait_for_load_state("load")
    return watched


@pytest.mark.parametrize("case", CASES)
def test_quiet_and_as_wide_as_its_window(browser, tmp_path, case):
    facts, told = CASES[case]()
    html = render(facts, told, timing=TIMES)
    for width in SIZES:
        for scheme in ("light", "dark"):
            size = {"width": width, "height": 900}
            seen = opened(browser, html, tmp_path, viewport=size, color_scheme=scheme)
            wide = seen.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (case, width)
            assert seen.page.locator("h1").is_visible()
            assert seen.page.evaluate(CONTRAST) == []
            assert seen.page.evaluate(NAMELESS) == []
            seen.quiet()
            seen.page.close()


@pytest.mark.parametrize("kind", ["image", "text", "row", "sound"])
def test_200_hostile_names_run_nothing(browser, tmp_path, kind):
    texts, count = hostile(200), [0]
    facts = poisoned(info(), texts, count)
    told = poisoned(evidence(kind, 400, tuple(texts)), texts, count)
    assert count[0] > 1000
    seen = opened(browser, render(facts, told), tmp_path, viewport={"width": 390, "height": 800})
    page = seen.page
    # everything that shows text is opened, pointed at and sorted
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for dot in page.locator("#item-map .item").all()[:40]:
        dot.dispatch_event("pointerover")
    page.evaluate("document.querySelectorAll('table.sortable button').forEach((b) => b.click())")
    page.evaluate(
        "document.querySelectorAll('svg .mark').forEach((mark) => mark.dispatchEvent("
        "new PointerEvent('pointermove', {clientX: 9, clientY: 9})))"
    )
    page.locator("#map-class").select_option(index=3)
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.scripts.length") == 2
    assert page.locator("iframe, object, embed, form, base").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.url.startswith("file://")
    seen.quiet()
    page.close()


def test_the_policy_stops_what_is_not_ours(browser, tmp_path):
    html = render(info(), None)
    evil = (
        "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>"
        "<p style='color:red'>"
    )
    seen = opened(browser, html.replace("</main>", evil + "</main>"), tmp_path)
    assert seen.page.evaluate("window.pwned") is None
    assert len(seen.errors) >= 3  # each refusal is told
    assert all("Content Security Policy" in error for error in seen.errors[:3])
    seen.page.close()


def test_the_map_shows_the_item_that_is_pointed_at(browser, tmp_path):
    seen = opened(browser, render(info(), evidence("image", 60)), tmp_path)
    page, place = seen.page, seen.page.locator("#inspector")
    assert "taken for" in place.inner_text()  # it begins with a mistake
    dot = page.locator('#item-map .item[data-i="7"]')
    dot.hover()
    assert "green/7.png" in place.inner_text()
    assert place.locator("img").get_attribute("src").startswith("data:image/webp")
    dot.click()
    page.mouse.move(0, 0)
    assert "green/7.png" in place.inner_text()
    before = place.inner_text()
    page.locator("#item-map").focus()
    page.keyboard.press("ArrowLeft")
    assert place.inner_text() != before
    seen.quiet()
    page.close()


def test_the_map_is_filtered_by_class_and_by_mistakes(browser, tmp_path):
    told = evidence("text", 60)
    seen = opened(browser, render(info(), told), tmp_path)
    page = seen.page

    def shown() -> int:
        return int(page.locator("#item-map .item:not(.off)").count())

    assert shown() == 60
    page.get_by_role("button", name="red").click()
    assert shown() == sum(one["label"] == "red" for one in told["items"])
    page.get_by_role("button", name="mistakes").click()
    both = [
        one
        for one in told["items"]
        if one["label"] == "red" and one["predicted"] not in (None, "red")
    ]
    assert shown() == len(both)
    page.get_by_role("button", name="red").click()
    page.get_by_role("button", name="mistakes").click()
    assert shown() == 60
    page.close()


def test_classes_are_sorted_by_number_and_by_name(browser, tmp_path):
    seen = opened(browser, render(info(), evidence("text", 60)), tmp_path)
    table = seen.page.locator("#by-class")

    def first() -> str:
        return str(table.locator("tbody th").first.inner_text())

    table.get_by_role("button", name="F1").click()
    assert first() == "blue"
    table.get_by_role("button", name="F1").click()
    assert first() == "red"
    assert table.locator("th[aria-sort=descending]").count() == 1
    table.get_by_role("button", name="class").click()
    assert first() == "blue"
    seen.page.close()


def test_what_counted_in_a_picture_is_switched_off(browser, tmp_path):
    seen = opened(browser, render(info(), evidence("image", 60)), tmp_path)
    heat = seen.page.locator(".heat").first
    assert heat.is_visible()
    seen.page.locator("#heat").uncheck()
    assert not heat.is_visible()
    seen.page.close()


def test_dark_and_light_by_hand(browser, tmp_path):
    seen = opened(browser, render(info(), None), tmp_path, color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = seen.page.evaluate(ground)
    seen.page.locator("#theme").click()
    assert seen.page.evaluate(ground) != light
    seen.page.locator("#theme").click()
    assert seen.page.evaluate(ground) == light
    seen.page.close()


def test_without_script_it_says_the_same(browser, tmp_path):
    html = render(info(), evidence("image", 60))
    seen = opened(browser, html, tmp_path, java_script_enabled=False)
    assert seen.page.locator("#item-map .item").count() == 60
    assert seen.page.locator("h1").inner_text().startswith("Transfer is worth +18.3 points")
    assert not seen.page.locator("#inspector").is_visible()
    assert seen.page.locator(".heat").first.is_visible()
    assert seen.requests == []
    seen.page.close()


def test_the_check_of_contrast_sees_what_is_pale(browser, tmp_path):
    html = render(info(), evidence("text", 30))
    seen = opened(browser, html, tmp_path, color_scheme="light")
    seen.page.evaluate("document.documentElement.style.setProperty('--soft', '#9aa3ab')")
    found = seen.page.evaluate(CONTRAST)
    assert any(tag == "text" for tag, *_ in found)  # the numbers of axes
    assert any(tag == "P" for tag, *_ in found)
    seen.page.close()


def test_it_can_be_printed(browser, tmp_path):
    html = render(info(), evidence("image", 60))
    seen = opened(browser, html, tmp_path, color_scheme="dark")
    seen.page.emulate_media(media="print")
    assert (
        seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    assert not seen.page.locator(".contents").is_visible()
    made = seen.page.pdf()
    assert made.startswith(b"%PDF")
    seen.page.close()
