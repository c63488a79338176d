"""Real browsers on real pages: run by ``make test-browser``, not by ``make test``."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests import samples
from tests.browser.models import picture_model
from tests.conftest import INSTALLED, borrowed

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 240
"""In which something slow must have happened: a busy machine fits slowly."""


def chromium() -> str | None:
    """Return the browser to use: ``CHROMIUM``, one that is installed, or the one of playwright."""
    given = os.environ.get("CHROMIUM")
    found = given or next(filter(None, map(shutil.which, NAMES)), None)
    if found or _own():
        return found
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    if not _own():
        pytest.exit("no Chromium: install one, or name it in CHROMIUM", returncode=3)
    return None


def _own() -> bool:
    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        # as root, as in containers, the browser's own sandbox cannot be had
        arguments = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
        opened = playwright.chromium.launch(executable_path=path, args=arguments)
        yield opened
        opened.close()


@dataclass
class Watched:
    """A page, and all that it must not do."""

    page: Page
    base: str
    wrong: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.set_default_timeout(30_000)
        self.page.on("console", lambda said: self._said(said.type, said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("dialog", self._dialog)

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(part in text for part in self.expected):
            self.wrong.append(f"{kind}: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "blob:")):
            self.wrong.append(f"asked elsewhere: {url}")

    def _dialog(self, dialog: Any) -> None:
        if dialog.type == "confirm":
            dialog.accept()
        else:
            self.wrong.append(f"a script ran: {dialog.message}")
            dialog.dismiss()


@pytest.fixture
def watch(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Open pages that may neither complain nor ask anybody else."""
    contexts: list[BrowserContext] = []
    pages: list[Watched] = []

    def opened(url: str, *, expected: tuple[str, ...] = (), **more: Any) -> Watched:
        given = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | more
        contexts.append(browser.new_context(**given))
        watched = Watched(contexts[-1].new_page(), re.match(r"https?://[^/]+", url)[0])
        watched.expected += expected
        watched.listen()
        watched.page.goto(url)
        pages.append(watched)
        return watched

    yield opened
    for context in contexts:
        context.close()
    assert [one for watched in pages for one in watched.wrong] == []


class Server:
    """A process that serves, and says where."""

    def __init__(self, *arguments: object, environment: dict[str, str]) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self.environment = environment
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-P", "-m", "headstart", *self.arguments]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **self.environment},
        )
        assert self.process.stdout is not None
        said = []
        while line := self.process.stdout.readline():
            said.append(line)
            found = re.search(r"http://[\w.:\[\]]+(/\S*)?", line)
            if found:
                self.url = found[0].rstrip(".;,")
                return
        pytest.fail("".join(said))

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A cache with the default sources where they are installed; nothing is fetched."""
    root = borrowed(tmp_path_factory.mktemp("weights") / "cache")
    return {"HEADSTART_CACHE": str(root), "HEADSTART_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real handwritten digits as pictures, texts by topic, a table; some with hostile names."""
    from sklearn.datasets import load_digits

    root = tmp_path_factory.mktemp("data")
    digits = load_digits()
    for name, number in (("zero", 0), ("one", 1)):
        (root / "digits" / name).mkdir(parents=True)
        for at in np.flatnonzero(digits.target == number)[:24]:
            picture = Image.fromarray((digits.images[at] * 15.9).astype(np.uint8))
            picture.resize((48, 48)).save(root / "digits" / name / f"{at}.png")
    samples.topics(12).to_csv(root / "topics.csv", index=False)
    wine = samples.wine_like(60)
    wine.to_csv(root / "wine.csv", index=False)
    return root


def fitted(data: Path, place: Path, environment: dict[str, str], *arguments: str) -> Path:
    """Fit a model on the command line."""
    command = [sys.executable, "-P", "-m", "headstart", "fit", str(data), "-o", str(place)]
    subprocess.run(
        [*command, "--no-curve", "--quiet", *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, **environment},
    )
    return place


def installed(source: str) -> bool:
    """Say whether a real source is there."""
    return (INSTALLED / "sources" / source).is_dir()


@pytest.fixture(scope="session")
def serve(
    data: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], tuple[str, Path]]]:
    """Serve a model of a kind of data; returns the address, and where corrections go."""
    given = {
        "topics.csv": ["--strategy", "probe" if installed("minilm") else "scratch"],
        "wine.csv": ["--label", "grade", "--strategy", "scratch", "--max-risk", "0.02"],
    }
    running: dict[str, tuple[Server, Path]] = {}

    def served(name: str) -> tuple[str, Path]:
        if name not in running:
            place = tmp_path_factory.mktemp("served")
            if name == "digits":
                source = "efficientnet-lite0" if installed("efficientnet-lite0") else None
                model = picture_model(data / name, place / "model", source)
            else:
                model = fitted(data / name, place / "model", environment, *given[name])
            kept = place / "corrections"
            server = Server(
                *("serve", model, "--port", 0, "--corrections", kept), environment=environment
            )
            running[name] = (server, kept)
        server, kept = running[name]
        return server.url, kept

    yield served
    for server, _ in running.values():
        server.stop()


@pytest.fixture
def studio(data: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    """A studio with a home of its own that sees the data."""
    arguments = ("studio", "--port", 0, "--home", tmp_path / "home", "--root", data, "--no-open")
    server = Server(*arguments, environment=environment)
    yield server
    server.stop()
    jobs = tmp_path / "home" / "jobs"
    for state in jobs.glob("*/state.json"):  # work goes on without a studio, not without a test
        found = re.search(r'"pid": (\d+), .*"running|"running.*"pid": (\d+)', state.read_text())
        if found and (state.parent / "lock").exists():
            _end(int(found[1] or found[2]), state.parent)


def _end(pid: int, place: Path) -> None:
    from headstart.studio.jobs import Jobs

    if Jobs(place.parent).alive(place.name):
        os.kill(pid, signal.SIGKILL)


def until(true: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)
    return found
