"""Fixtures of the bundle tests: a few contents, and a bundle of them on disk."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_models import contents_of

from headstart import bundle


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    """Every test has a cache of its own, and none fetches anything."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")


@pytest.fixture(scope="session")
def majority() -> Any:
    """The smallest contents there are."""
    return contents_of(("majority", "classification", "text"))


@pytest.fixture(scope="session")
def probe() -> Any:
    """A linear probe with its source inside."""
    return contents_of(("probe", "classification", "text"))


@pytest.fixture(scope="session")
def saved(tmp_path_factory, probe) -> Any:
    """A standalone bundle with every kind of file. Tests copy it."""
    return bundle.save(tmp_path_factory.mktemp("saved") / "model", probe)
