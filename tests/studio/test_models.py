"""Trying a model: its page at once, its service when it is asked."""

from __future__ import annotations

import shutil

import pytest
from tests import samples
from tests.studio.conftest import until

from headstart import transfer
from headstart.studio.jobs import write_json


@pytest.fixture(scope="module")
def guessing(tmp_path_factory):
    """A model of texts that guesses."""
    result = transfer.fit(samples.codes(24), label="code", strategy="majority", curve=False)
    return result.save(tmp_path_factory.mktemp("guessing") / "model")


@pytest.fixture
def tried(studio, guessing):
    """A piece of work with a model."""
    place = studio.home / "jobs" / "fit-20260101-000000-0123abcd"
    place.mkdir()
    write_json(place / "job.json", {"kind": "fit", "name": "wine"})
    write_json(place / "state.json", {"state": "done"})
    shutil.copytree(guessing, place / "model")
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
        assert info["task"]["classes"] == ["a", "b"]
        assert info["corrections"] is True
        row = "kqxz zqqx"
        found = studio.ask("POST", f"{base}predict", json={"items": [row, row]}).json()
        assert [one["label"] in ("a", "b") for one in found["predictions"]] == [True, True]
        answer = studio.ask("POST", f"{base}corrections", json={"item": row, "label": "a"})
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
