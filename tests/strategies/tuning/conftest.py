"""What the tests of fine-tuning share: features are cached in a folder of their own."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path_factory.getbasetemp() / "headstart-cache"
    monkeypatch.setenv("HEADSTART_CACHE", str(root))
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
