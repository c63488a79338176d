"""What all tests share: a cache of their own that borrows the installed weights."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

os.environ["COLUMNS"] = "160"  # what is printed does not wrap, whatever started the tests
INSTALLED = Path(os.environ.get("HEADSTART_CACHE") or platformdirs.user_cache_path("headstart"))


DEFAULTS = ("efficientnet-lite0", "minilm")
"""All that tests may find installed: other sources would take part in races, and win some."""


def pytest_ignore_collect(collection_path, config):
    """Leave the tests that need a browser to those who ask for them: ``make test-browser``."""
    if collection_path != Path(__file__).parent / "browser":
        return None
    asked = any("browser" in Path(str(argument)).parts for argument in config.args)
    return None if asked else True


def borrowed(root: Path) -> Path:
    """Make a cache that borrows the weights of the two default sources, and nothing else."""
    (root / "sources").mkdir(parents=True)
    for name in DEFAULTS:
        (root / "sources" / name).symlink_to(INSTALLED / "sources" / name, target_is_directory=True)
    return root


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A fresh cache in which the two default sources are installed; nothing may be fetched."""
    root = borrowed(tmp_path / "cache")
    monkeypatch.setenv("HEADSTART_CACHE", str(root))
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    return root
