"""What all tests share: a cache of their own that borrows the installed weights."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

os.environ["COLUMNS"] = "160"  # what is printed does not wrap, whatever started the tests
INSTALLED = Path(os.environ.get("HEADSTART_CACHE") or platformdirs.user_cache_path("headstart"))


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A fresh cache in which the two default sources are installed; nothing may be fetched."""
    root = tmp_path / "cache"
    root.mkdir()
    (root / "sources").symlink_to(INSTALLED / "sources", target_is_directory=True)
    monkeypatch.setenv("HEADSTART_CACHE", str(root))
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    return root
