"""The studio end to end, driven as a person would: from a folder to a prediction."""

from __future__ import annotations

import json
import signal
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import SECONDS, until

SLOW = 1000 * SECONDS
SCRIPT = "<img src=x onerror=alert(1)>"


def choose(page: Page, name: str) -> None:
    """Choose data by the studio's own chooser."""
    page.get_by_role("button", name="Choose on this computer").click()
    page.get_by_role("button", name=name, exact=False).first.click()
    if "." not in name:
        page.get_by_role("button", name="Use this folder").click()


def begin(page: Page, path: Path, **options: object) -> str:
    """Begin a fit as the page does, with options that it does not show; return its name."""
    return page.evaluate(
        """async (body) => (await (await fetch("/api/jobs", {
            method: "POST", headers: {"content-type": "application/json"},
            body: JSON.stringify(body)})).json()).job""",
        {"data": str(path), **options},
    )


def state_of(page: Page, job: str) -> str:
    ask = "async (job) => (await (await fetch(`/api/jobs/${job}`)).json()).state"
    return page.evaluate(ask, job)


def test_from_a_folder_of_pictures_to_a_prediction(studio, watch, data):
    page = watch(studio.url).page
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    choose(page, "digits")
    expect(page.get_by_role("heading", name="digits")).to_be_visible()
    expect(page.locator(".tile").first).to_have_text("48pictures", timeout=SLOW)
    expect(page.locator(".pictures img")).to_have_count(8)
    wrong = page.locator("section", has_text="What is wrong with it")
    expect(wrong.locator(".finding, .good").first).to_be_visible(timeout=SLOW)
    page.get_by_label("How long may it take?").select_option("30s")
    page.get_by_text("More choices").click()
    page.get_by_label("Learn from only so many of each class").fill("2")
    page.get_by_role("button", name="Fit").click()
    expect(page.locator(".race li").first).to_be_visible(timeout=SLOW)
    page.reload()  # in the middle of the work
    expect(page.get_by_role("heading", name="digits")).to_be_visible()
    expect(page.get_by_role("link", name="Try the model")).to_be_visible(timeout=SLOW)
    expect(page.locator(".headline")).not_to_be_empty()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the model").click()
    with zipfile.ZipFile(download.value.path()) as packed:
        assert "manifest.json" in [Path(name).name for name in packed.namelist()]
    page.get_by_role("link", name="Try the model").click()
    expect(page.locator("#files")).to_be_attached(timeout=SLOW)
    page.set_input_files("#files", sorted((data / "digits" / "one").iterdir())[-1])
    expect(page.locator("article.answer h2").first).to_be_visible(timeout=SLOW)
    page.get_by_role("link", name="Back to the studio").click()
    expect(page.locator(".headline")).to_be_visible()


def test_a_table_with_a_column_to_choose(studio, watch):
    page = watch(studio.url).page
    choose(page, "wine.csv")
    page.get_by_label("Which column holds the answer?").select_option("grade", timeout=SLOW)
    if page.get_by_role("button", name="Read again").is_visible():
        page.get_by_role("button", name="Read again").click()
    expect(page.locator(".tile").nth(1)).to_have_text("2classes", timeout=SLOW)
    page.get_by_label("How long may it take?").select_option("30s")
    page.get_by_role("button", name="Fit").click()
    expect(page.get_by_role("link", name="Try the model")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("No transfer was tried")).to_be_visible()


def test_closing_everything_loses_nothing(studio, watch, data):
    watched = watch(studio.url)
    watched.expected += ["ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY"]  # as it is closed
    page = watched.page
    expect(page.locator(".drop")).to_be_visible()
    quick = {"strategy": ["majority"], "curve": False}
    first = begin(page, data / "topics.csv", name=f"first {SCRIPT}", **quick)
    second = begin(page, data / "wine.csv", name="second", label="grade", **quick)
    studio.stop(signal.SIGKILL)
    studio.start()
    page = watch(studio.url).page
    for name in (f"first {SCRIPT}", "second"):
        row = page.locator("li.work", has_text=name)
        expect(row.locator("[data-state=done]")).to_be_visible(timeout=SLOW)
    assert {state_of(page, job) for job in (first, second)} == {"done"}
    page.get_by_role("link", name=f"first {SCRIPT}").click()
    expect(page.get_by_role("heading", name=f"first {SCRIPT}")).to_be_visible()
    expect(page.locator(".race li").first).to_be_visible()
    page.get_by_role("link", name="headstart studio, to the start").click()
    page.get_by_role("button", name="Delete second").click()
    expect(page.locator("li.work")).to_have_count(1)


def test_stopped_and_gone_on_with(studio, watch, data, tmp_path):
    page = watch(studio.url).page
    expect(page.locator(".drop")).to_be_visible()
    job = begin(page, data / "topics.csv", name="topics", strategy=["scratch"], curve=True)
    page.goto(f"{page.url.split('#')[0]}#/work/{job}")
    events = tmp_path / "home" / "jobs" / job / "events.jsonl"
    until(lambda: events.exists() and '"started"' in events.read_text())
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("[data-state=stopped]")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("What was computed is kept")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("link", name="Try the model")).to_be_visible(timeout=SLOW)
    found = [json.loads(line)["event"] for line in events.read_text().splitlines()]
    assert found.count("started") == 2


def test_files_are_uploaded_whatever_their_names(studio, watch, data, tmp_path):
    page = watch(studio.url).page
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as packed:
        for name in ("one", "zero"):
            for path in sorted((data / "digits" / name).iterdir())[:6]:
                packed.write(path, f"pets/{SCRIPT.replace('/', '')}{name}/{SCRIPT}{path.name}")
    page.set_input_files("#files", tmp_path / "pets.zip")
    expect(page.locator(".tile").first).to_have_text("12pictures", timeout=SLOW)
    expect(page.locator(".bar .name", has_text="one").first).to_have_text(f"{SCRIPT}one")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("photos.zip", b"no archive at all", "cannot be unpacked"),
        ("letter.docx", b"PK", "no class folders|nothing|cannot|no "),
        ("bad.csv", b"a,b\n1\n", "bad.csv"),
    ],
)
def test_a_wrong_file_is_told(studio, watch, tmp_path, name, content, said):
    watched = watch(studio.url)
    watched.expected.append("422")
    (tmp_path / name).write_bytes(content)
    watched.page.set_input_files("#files", tmp_path / name)
    alert = watched.page.get_by_role("alert").first
    expect(alert).to_be_visible(timeout=SLOW)
    assert any(part in alert.inner_text() for part in said.split("|"))


def test_an_archive_that_leads_out_is_refused(studio, watch, tmp_path):
    watched = watch(studio.url)
    watched.expected.append("422")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as packed:
        packed.writestr("../../../evil.txt", "x")
    watched.page.set_input_files("#files", tmp_path / "evil.zip")
    expect(watched.page.get_by_role("alert")).to_contain_text("under this name")
    assert not list(tmp_path.rglob("evil.txt"))


def test_without_the_token_there_is_no_studio(studio, watch):
    watched = watch(studio.url.split("?")[0], expected=("403",))
    expect(watched.page.get_by_text("does not know your browser")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(studio, watch, width):
    page = watch(studio.url, viewport={"width": width, "height": 800}).page
    choose(page, "topics.csv")
    expect(page.locator(".tile").first).to_be_visible(timeout=SLOW)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
