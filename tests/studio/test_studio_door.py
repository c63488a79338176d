"""Only this studio's own page gets in."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from tests.studio.conftest import HOST, TOKEN

from headstart.core.errors import OptionError
from headstart.studio.guard import Guard
from headstart.studio.run import run


def bare(studio, **more):
    return TestClient(studio.app, base_url=f"http://{HOST}", **more)


def test_without_a_token_nothing_is_told(studio):
    for path in ("/", "/api/about", "/static/studio.js", "/try/x/", "/api/files"):
        answer = bare(studio).get(path)
        assert answer.status_code == 403
        assert str(studio.home) not in answer.text
    page = bare(studio).get("/", headers={"accept": "text/html"})
    assert "?token=" in page.text


def test_the_token_becomes_a_cookie_that_others_cannot_use(studio):
    answer = bare(studio).get(f"/?token={TOKEN}")
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 200
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in answer.text
    assert bare(studio).get("/?token=wrong").status_code == 403
    assert bare(studio, cookies={studio.app.cookie: "wrong"}).get("/api/about").status_code == 403


@pytest.mark.parametrize("host", ["evil.example:8100", "127.0.0.1:1", "127.0.0.1", ""])
def test_another_host_name_is_turned_away(studio, host):
    answer = studio.client.get("/api/about", headers={"host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", "https://127.0.0.1:8100"])
def test_what_changes_something_must_come_from_the_page(studio, origin):
    headers = {} if origin is None else {"origin": origin}
    answer = studio.client.post("/api/looks", json={"data": "/"}, headers=headers)
    assert answer.status_code == 403


def test_pages_run_no_foreign_script(studio):
    answer = studio.client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in answer.text
    assert " style=" not in answer.text


def test_the_report_is_kept_apart(studio):
    place = studio.home / "jobs" / "fit-20260101-000000-0123abcd"
    place.mkdir()
    (place / "job.json").write_text('{"kind": "fit", "name": "x"}')
    (place / "report.html").write_text("<script>alert(1)</script>")
    answer = studio.client.get(f"/api/jobs/{place.name}/report")
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "example.org", "::"])
def test_only_an_address_of_this_machine_is_taken(tmp_path, host):
    with pytest.raises(OptionError, match="this machine alone"):
        run(host=host, port=0, home=tmp_path, say=lambda text: None)


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="--home"):
        run(port=0, home=tmp_path / "file", say=lambda text: None)
    with pytest.raises(OptionError, match="--root"):
        run(port=0, home=tmp_path / "h", root=tmp_path / "nowhere", say=lambda text: None)


def test_a_taken_port_is_told(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OptionError, match="--port 0"):
            run(port=port, home=tmp_path, root=tmp_path, say=lambda text: None)


def test_what_the_browser_is_started_with_works_once(studio):
    guard = Guard(studio.app.app, TOKEN, (HOST,), once="once")
    client = TestClient(guard, base_url=f"http://{HOST}")
    assert client.get("/?token=").status_code == 403
    assert TOKEN in client.get("/?token=once").headers["set-cookie"]
    for _ in range(2):
        assert client.get("/?token=once").status_code == 403
        assert client.get("/?token=").status_code == 403
        assert client.get(f"/?token={TOKEN}").status_code == 200


def test_the_browser_is_not_started_with_the_token_that_stays(tmp_path, monkeypatch):
    said, opened, kept = [], [], []
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: kept.append(self.config.app))
    run(port=0, home=tmp_path, root=tmp_path, say=said.append, opened=opened.append)
    (guard,) = kept
    assert said[0].endswith(f"?token={guard.token}")
    assert "?token=" in opened[0]
    assert guard.token not in opened[0]
    client = TestClient(guard, base_url=f"http://{guard.hosts[0]}")
    assert client.get(opened[0]).status_code == 200
