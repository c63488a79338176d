"""Trying a model: its page at once, its service when it is asked."""

from __future__ import annotations

import pytest
from tests import samples
from tests.studio.conftest import until

from headstart import transfer
from headstart.studio.jobs import write_json


@pytest.fixture
def tried(studio, tmp_path):
    """A piece of work with a model that guesses."""
    place = studio.home / "jobs" / "fit-20260101-000000-0123abcd"
    place.mkdir()
    write_json(place / "job.json", {"kind": "fit", "name": "wine"})
    write_json(place / "state.json", {"state": "done"})
    result = transfer.fit(samples.wine_like(24), label="grade", strategy="majority", curve=False)
    result.save(place / "model")
    return place


def test_a_model_is_tried_and_put_right(studio, tried):
    base = f"/try/{tried.name}/"
    with studio.client as client:
        page = client.get(base)
        assert "static/page.js" in page.text
        assert client.get(f"{base}static/page.js").headers["content-type"].startswith("text/javasc")
        for name in (
            "static/../index.html",
            "index.html",
            "static/none.js",
            "static/%2e%2e/app.py",
        ):
            assert client.get(f"{base}{name}").status_code == 404
        info = client.get(f"{base}info").json()
        assert info["task"]["classes"] == ["good", "plain"]
        assert info["corrections"] is True
        row = {"acid": 1.0, "sugar": 0.0, "salt": None, "cellar": "south"}
        found = studio.ask("POST", f"{base}predict", json={"items": [row, row]}).json()
        assert [one["label"] in ("good", "plain") for one in found["predictions"]] == [True, True]
        answer = studio.ask("POST", f"{base}corrections", json={"item": row, "label": "good"})
        assert answer.json() == {"n": 1}
        foreign = client.post(f"{base}predict", json={"items": [row]})
        assert foreign.status_code == 403
    facts = until(lambda: studio.ask("GET", f"/api/jobs/{tried.name}").json())
    assert facts["corrections"]["n"] == 1


def test_a_model_that_is_not_there_is_told(studio, tried):
    for job in ("fit-20260101-000000-99999999", "..", "x"):
        assert studio.client.get(f"/try/{job}/info").status_code == 404
    (tried / "model").rename(tried / "gone")
    for rest in ("", "info", "static/page.js"):
        answer = studio.client.get(f"/try/{tried.name}/{rest}")
        assert answer.status_code == 404
        assert answer.json()["error"]["message"]
