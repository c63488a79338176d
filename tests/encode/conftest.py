"""Small stand-ins for backbones: the same interface, random weights, nothing to download."""

from __future__ import annotations

import pytest


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


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    """Every test has a cache of its own."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEADSTART_CACHE_GB", raising=False)
    return tmp_path / "cache" / "features"
