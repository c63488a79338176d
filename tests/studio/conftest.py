"""A studio for tests: in a folder of its own, asked without a network."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from headstart.studio.app import Settings, create_app
from headstart.studio.guard import Guard
from headstart.studio.limits import Limits

HOST = "127.0.0.1:8100"
TOKEN = "a-token-for-tests"


@dataclass
class Studio:
    """A studio, and what its page would send to it."""

    home: Path
    root: Path
    app: Any
    client: TestClient

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Ask as the page does."""
        return self.client.request(method, path, headers={"origin": f"http://{HOST}"}, **more)


def until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)
    return found


@pytest.fixture
def make_studio(tmp_path):
    """Make a studio with limits of its own."""

    def made(**limits: Any) -> Studio:
        home, root = tmp_path / "home", tmp_path / "root"
        root.mkdir(exist_ok=True)
        given = Limits(**({"spare_bytes": 0} | limits))
        app = create_app(Settings(home, root, TOKEN, (HOST, "localhost:8100"), given))
        assert isinstance(app, Guard)
        client = TestClient(app, base_url=f"http://{HOST}", cookies={app.cookie: TOKEN})
        return Studio(home, root, app, client)

    return made


@pytest.fixture
def studio(make_studio):
    return make_studio()
