"""Pieces of work: nothing is lost, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import zipfile

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from tests import samples
from tests.studio.conftest import until

from headstart import bundle
from headstart.core.errors import DataError, OptionError
from headstart.studio.events import read_from
from headstart.studio.jobs import Jobs, write_json
from headstart.studio.worker import work

QUICK = {"label": "code", "strategy": ["majority"], "curve": False}


def told(place, start=0):
    return [json.loads(text) for _, text in read_from(place / "events.jsonl", start)]


def asked(tmp_path, kind, **what):
    """Make the folder of a piece of work that no process has begun."""
    place = tmp_path / f"{kind}-20260101-000000-0123abcd"
    place.mkdir(parents=True)
    write_json(place / "job.json", {"kind": kind, "name": "x", **what})
    return place


@pytest.fixture
def table(tmp_path):
    """Texts: what learns from them without transfer is quick."""
    path = tmp_path / "codes.csv"
    samples.codes(24).to_csv(path, index=False)
    return path


@pytest.fixture
def unsuspecting(monkeypatch):
    """No wrong labels are looked for, which takes seconds."""
    monkeypatch.setattr("headstart.inspection._out_of_fold", lambda *unused: None)


def test_a_look_tells_what_is_in_a_table_and_what_is_wrong(tmp_path, unsuspecting):
    frame = samples.wine_like(40)
    frame.loc[5] = frame.loc[4]
    path = tmp_path / "wine.csv"
    frame.to_csv(path, index=False)
    place = asked(tmp_path / "jobs", "look", data=str(path), label="grade")
    assert work(place) == 0
    events = {event["event"]: event for event in told(place)}
    assert events["columns"]["names"] == ["acid", "sugar", "salt", "cellar", "grade"]
    assert events["seen"]["label"] == "grade"
    counted = {one["name"]: one["n"] for one in events["seen"]["classes"]}
    assert counted == frame["grade"].value_counts().to_dict()
    assert {"acid", "cellar"} <= set(events["seen"]["samples"][0]["values"])
    assert "exact-duplicates" in [one["kind"] for one in events["checked"]["findings"]]
    assert events["ended"]["state"] == "done"


def test_a_look_into_pictures_keeps_small_copies(studio, tmp_path, unsuspecting):
    folder = samples.pictures(tmp_path / "stripes", 3)
    rng = np.random.default_rng(0)
    large = Image.fromarray(rng.integers(0, 255, (600, 900, 3), dtype=np.uint8))
    for name in sorted(one.name for one in folder.iterdir())[:1]:
        large.save(folder / name / "<b onclick=alert(1)>.png")
    (folder / name / "broken.png").write_bytes(b"this is no picture")
    place = asked(studio.home / "jobs", "look", data=str(folder), modality="image")
    work(place)
    seen = next(event for event in told(place) if event["event"] == "seen")
    for one in seen["samples"]:
        answer = studio.client.get(f"/api/jobs/{place.name}/samples/{one['file']}")
        assert answer.headers["content-type"] == "image/webp"
    assert max(max(one["width"], one["height"]) for one in seen["samples"]) <= 240
    for name in ("..%2Fjob.json", "%2e%2e/job.json", ".hidden", "nothing"):
        assert studio.client.get(f"/api/jobs/{place.name}/samples/{name}").status_code == 404


def test_bad_data_end_with_a_reason(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1\n")
    place = asked(tmp_path / "jobs", "look", data=str(tmp_path / "t.csv"))
    assert work(place) == 1
    end = told(place)[-1]
    assert end["state"] == "failed"
    assert "t.csv" in end["error"]["where"]


def test_an_unexpected_failure_is_told_and_logged(tmp_path, monkeypatch, capsys):
    def broken(*unused, **more):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("headstart.transfer.fit", broken)
    place = asked(tmp_path / "jobs", "fit", data="x")
    assert work(place) == 1
    assert "a bug" in told(place)[-1]["error"]["what"]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_killed_and_found_again_and_gone_on_with(studio, table):
    """A fit is killed, found by a new studio, taken up again, read along and downloaded."""
    jobs = Jobs(studio.home / "jobs")
    job = jobs.start("fit", {"data": str(table), "name": "codes", **QUICK})
    place = jobs.place(job)
    until(lambda: [one for one in told(place) if one["event"] == "started"])
    jobs.stop(job, at_once=True)
    until(lambda: jobs.facts(job)["state"] == "interrupted")

    listed = studio.ask("GET", "/api/jobs").json()["jobs"]  # by a studio that did not start it
    assert [(one["id"], one["state"], one["resumable"]) for one in listed] == [
        (job, "interrupted", True)
    ]
    before = read_from(place / "events.jsonl", 0)
    answer = studio.ask("POST", f"/api/jobs/{job}/resume")
    assert answer.json()["state"] in ("starting", "running")
    until(lambda: studio.ask("GET", f"/api/jobs/{job}").json()["state"] == "done")
    events = studio.client.get(
        f"/api/jobs/{job}/events", headers={"last-event-id": str(before[-1][0])}
    ).text
    parts = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: {")]
    kinds = [one["event"] for one in parts if "event" in one]
    assert kinds.count("started") == 1
    assert {"racing", "fold", "outcome", "chosen", "result"} <= set(kinds)
    assert kinds[-1] == "ended"
    assert "event: end" in events

    packed = studio.client.get(f"/api/jobs/{job}/model.zip")
    assert 'filename="codes.zip"' in packed.headers["content-disposition"]
    (studio.home / "m.zip").write_bytes(packed.content)
    with zipfile.ZipFile(studio.home / "m.zip") as archive:
        archive.extractall(studio.home / "m")
    label = bundle.load(studio.home / "m").predict(["zqqx", "xkkz"])
    assert set(label) <= {"a", "b"}
    assert studio.client.get(f"/api/jobs/{job}/result").json()["task"]["n"] == 24
    assert studio.ask("DELETE", f"/api/jobs/{job}").json() == {"deleted": True}
    assert studio.ask("GET", "/api/jobs").json() == {"jobs": []}


def test_a_second_fit_waits_for_its_turn_and_can_be_stopped(tmp_path, table):
    jobs = Jobs(tmp_path / "jobs")
    with FileLock(tmp_path / "jobs" / "fit.lock"):  # as another fit holds it
        job = jobs.start("fit", {"data": str(table), "name": "codes", **QUICK})
        until(lambda: jobs.facts(job)["state"] == "waiting")
        with pytest.raises(OptionError, match="stop it first"):
            jobs.delete(job)
        jobs.stop(job)
        until(lambda: jobs.facts(job)["state"] == "stopped" and not jobs.alive(job))
    assert [one["event"] for one in told(jobs.place(job))] == ["waiting", "ended"]
    with pytest.raises(OptionError, match="does not run"):
        jobs.stop(job)


def test_a_strange_process_with_the_same_number_is_not_stopped(tmp_path):
    jobs = Jobs(tmp_path)
    place = asked(tmp_path, "fit", data="x")
    write_json(place / "state.json", {"state": "running", "pid": os.getpid()})
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(OptionError, match="does not run"):  # nobody holds its lock
        jobs.stop(place.name)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("job", ["..", "fit-20260101-000000-0123abcd", "fit-x", "", "../jobs"])
def test_what_is_no_piece_of_work_is_told(tmp_path, job):
    with pytest.raises(DataError, match="no such piece of work"):
        Jobs(tmp_path).facts(job)


def test_what_is_done_is_not_gone_on_with(tmp_path):
    place = asked(tmp_path, "fit", data="x")
    write_json(place / "state.json", {"state": "done"})
    with pytest.raises(OptionError, match="nothing to go on with"):
        Jobs(tmp_path).resume(place.name)


def test_old_looks_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(
        Jobs,
        "_run",
        lambda self, job: write_json(self.folder / job / "state.json", {"state": "done"}),
    )
    jobs = Jobs(tmp_path)
    for _ in range(25):
        jobs.start("look", {"data": "x", "name": "x"})
    assert len(jobs.listed("look")) == 20


def test_not_everything_is_taken_on(tmp_path, monkeypatch):
    monkeypatch.setattr(
        Jobs,
        "_run",
        lambda self, job: write_json(self.folder / job / "state.json", {"state": "running"}),
    )
    stopped = []
    monkeypatch.setattr(Jobs, "alive", lambda self, job: job not in stopped)
    monkeypatch.setattr(Jobs, "stop", lambda self, job: stopped.append(job))
    jobs = Jobs(tmp_path)
    looks = [jobs.start("look", {"data": "x", "name": "x"}) for _ in range(5)]
    assert len(stopped) == 2
    assert set(stopped) < set(looks)
    for _ in range(20):
        jobs.start("fit", {"data": "x", "name": "x"})
    with pytest.raises(OptionError, match="too many fits"):
        jobs.start("fit", {"data": "x", "name": "x"})
