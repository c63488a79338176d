"""What the tests of this room share."""

from __future__ import annotations

import pytest
import torch
from tiny_sources import tiny_image, tiny_text


class Recorder:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.steps: list[tuple[str, int, int | None, str]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, stage: str, done: int, total: int | None, unit: str = "items") -> None:
        self.steps.append((stage, done, total, unit))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """The folder of a cache of the test's own."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEADSTART_CACHE_GB", raising=False)
    return tmp_path / "cache" / "features"


@pytest.fixture
def two_threads():
    """Two threads for torch, so that batches run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def text_backbone():
    return tiny_text()


@pytest.fixture
def image_backbone():
    return tiny_image()
