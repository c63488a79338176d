"""The page of a served model, driven as a person would."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import expect

SCRIPT = "<img src=x onerror=alert(1)>"


def test_a_text_is_answered_and_explained(serve, watch):
    url, _ = serve("topics.csv")
    page = watch(url).page
    expect(page.get_by_text("The answer stands here")).to_be_visible()
    page.get_by_label("Your text").fill("she wrote a story about the goat <b>& co</b>")
    page.keyboard.press("Control+Enter")
    answer = page.locator("article.answer")
    expect(answer.locator("h2.label")).to_have_text("animal")
    expect(answer.locator(".bars li")).to_have_count(3)
    expect(answer.locator("blockquote")).to_have_text(
        "she wrote a story about the goat <b>& co</b>"
    )
    answer.get_by_role("button", name="Why?").click()
    words = answer.locator(".words")
    expect(words).to_have_text("she wrote a story about the goat <b>& co</b>")
    expect(words.locator("mark", has_text="goat")).to_have_class("for")


def test_many_texts_become_a_file(serve, watch, tmp_path):
    url, _ = serve("topics.csv")
    page = watch(url).page
    texts = ["a wolf\nin two lines", 'bread, "butter" and jam', SCRIPT, "", "the tram; late"]
    pd.DataFrame({"text": texts, "n": range(5)}).to_csv(tmp_path / "many.csv", index=False)
    page.set_input_files("#files", tmp_path / "many.csv")
    expect(page.get_by_role("heading", name="5 answers")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    with Path(download.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["input"] for row in rows] == texts
    assert set(rows[0]) == {
        *("input", "label", "confidence", "abstained"),
        *("p_animal", "p_food", "p_vehicle"),
    }
    for row in rows:
        shares = {key[2:]: float(value) for key, value in row.items() if key.startswith("p_")}
        assert row["label"] == max(shares, key=shares.get)
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
    page.get_by_title("Look closer").nth(1).click()
    expect(page.locator("article.answer blockquote")).to_have_text(texts[1])


def test_a_column_is_asked_for_where_it_is_not_clear(serve, watch, tmp_path):
    url, _ = serve("topics.csv")
    page = watch(url).page
    frame = pd.DataFrame({"id": [1, 2], "said": ["a goat", "a soup"]})
    frame.to_json(tmp_path / "two.jsonl", orient="records", lines=True)
    page.set_input_files("#files", tmp_path / "two.jsonl")
    page.get_by_label("Which column holds the texts?").select_option("said")
    page.locator("section.composer").get_by_role("button", name="Ask the model").last.click()
    expect(page.locator(".answers tbody tr")).to_have_count(2)


def test_a_wrong_answer_is_put_right_and_read_by_fit(serve, watch, environment, tmp_path):
    url, kept = serve("topics.csv")
    page = watch(url).page
    pairs = [(f"I met a {word} today, {SCRIPT}", "animal") for word in ("koala", "yak", "lynx")]
    pairs += [(f"he cooked {word}, said she", "food") for word in ("tofu", "pasta", "dal")]
    for n, (text, right) in enumerate(pairs, 1):
        page.get_by_label("Your text").fill(text)
        page.get_by_role("button", name="Ask the model").click()
        expect(page.locator("article.answer blockquote")).to_have_text(text)
        page.get_by_text("Is that wrong?").click()
        page.get_by_label("What is right?").fill(right)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text(f"Kept: this is {right}.")).to_be_visible()
        expect(page.locator("[data-corrections]")).to_have_text(f"{n} stored")
    lines = (kept / "corrections.jsonl").read_text(encoding="utf-8").splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == pairs
    command = [sys.executable, "-P", "-m", "headstart", "fit", str(kept / "corrections.jsonl")]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "next"), "--strategy", "majority", "--json", "--quiet"],
        capture_output=True,
        check=True,
        env={**os.environ, **environment},
    )
    assert json.loads(done.stdout)["task"]["classes"] == ["animal", "food"]


def test_pictures_are_answered_and_explained(serve, watch, data):
    url, _ = serve("digits")
    page = watch(url).page
    one = sorted((data / "digits" / "zero").iterdir())[0]
    page.set_input_files("#files", one)
    answer = page.locator("article.answer")
    expect(answer.locator("h2.label")).to_have_text("zero")
    answer.get_by_role("button", name="Why?").click()
    expect(answer.locator(".heat span").first).to_be_attached()
    assert answer.locator(".heat span").count() >= 16
    answer.get_by_label("Show it on the picture").uncheck()
    expect(answer.locator(".heat")).to_be_hidden()


def test_a_picture_is_dropped_and_pasted(serve, watch, data):
    url, _ = serve("digits")
    page = watch(url).page
    raw = sorted((data / "digits" / "one").iterdir())[0].read_bytes()
    for event, holder in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.evaluate(
            """([event, holder, raw, name]) => {
                const held = new DataTransfer();
                held.items.add(new File([new Uint8Array(raw)], name, {type: "image/png"}));
                const made = event === "paste"
                    ? new ClipboardEvent(event, {[holder]: held, bubbles: true, cancelable: true})
                    : new DragEvent(event, {[holder]: held, bubbles: true, cancelable: true});
                document.body.dispatchEvent(made);
            }""",
            [event, holder, list(raw), f"{SCRIPT}{event}.png"],
        )
        expect(page.locator("article.answer h2.label")).to_have_text("one")
        expect(page.locator("article.answer img")).to_have_attribute(
            "alt", f"Your picture: {SCRIPT}{event}.png"
        )


def test_many_pictures_of_which_one_is_broken(serve, watch, data, tmp_path):
    url, _ = serve("digits")
    watched = watch(url)
    watched.expected.append("422")
    page = watched.page
    (tmp_path / f"{SCRIPT.replace('/', '')}.png").write_bytes(b"this is no picture")
    files = [*sorted((data / "digits" / "one").iterdir())[:5], *tmp_path.iterdir()]
    page.set_input_files("#files", files)
    expect(page.get_by_role("heading", name="5 answers")).to_be_visible()
    page.get_by_text("1 item could not be read").click()
    expect(page.get_by_text(f"{SCRIPT}.png")).to_be_visible()


def test_a_row_of_a_table(serve, watch, data, tmp_path):
    url, kept = serve("wine.csv")
    page = watch(url).page
    for name, value in {"acid": "2.5", "sugar": "0.1", "salt": "-0.2", "cellar": "south"}.items():
        page.get_by_label(name).fill(value)
    page.get_by_role("button", name="Ask the model").click()
    answer = page.locator("article.answer")
    expect(answer.locator("h2.label")).to_be_visible()
    answer.get_by_role("button", name="Why?").click()
    expect(answer.locator(".signed li").first).to_be_visible()
    page.get_by_text("Is that wrong?").click()
    page.get_by_label("What is right?").fill("plain")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Kept: this is plain.")).to_be_visible()
    stored = json.loads((kept / "corrections.jsonl").read_text())
    assert stored == {
        **{"acid": 2.5, "sugar": 0.1, "salt": -0.2},
        **{"cellar": "south", "grade": "plain"},
    }
    page.set_input_files("#files", data / "wine.csv")
    expect(page.get_by_role("heading", name="60 answers")).to_be_visible()
    assert page.locator(".answers .chip.warn", has_text="not sure enough").count() > 0


def test_a_wrong_file_is_told(serve, watch, tmp_path):
    url, _ = serve("wine.csv")
    page = watch(url).page
    (tmp_path / "x.csv").write_text("acid,other\n1,2\n")
    page.set_input_files("#files", tmp_path / "x.csv")
    expect(page.get_by_role("alert")).to_contain_text("A column is missing: sugar, salt, cellar")
    (tmp_path / "x.docx").write_bytes(b"PK")
    page.set_input_files("#files", tmp_path / "x.docx")
    expect(page.get_by_role("alert")).to_contain_text("This kind of file is not read here")


def test_it_is_used_with_the_keyboard_alone(serve, watch):
    url, _ = serve("topics.csv")
    page = watch(url).page
    expect(page.get_by_label("Your text")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "text":
            break
    page.keyboard.type("a goat")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("article.answer")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(serve, watch, width):
    url, _ = serve("topics.csv")
    page = watch(url, viewport={"width": width, "height": 800}).page
    page.get_by_label("Your text").fill("goat" * 200)
    page.get_by_role("button", name="Ask the model").click()
    expect(page.locator("article.answer")).to_be_visible()
    page.get_by_role("button", name="Why?").click()
    expect(page.locator(".words")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
