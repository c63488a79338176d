"""The file: written whole or not at all, from a model on disk or in memory."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from headstart import bundle
from headstart.core.errors import BundleError, OptionError
from headstart.core.types import Candidate, Decision, Gain, Score
from headstart.report import check_target, write
from headstart.strategies import make


def contents() -> bundle.BundleContents:
    fitted = make("majority", kind="classification", modality="text").fit(
        ["a", "b", "c"], np.array(["x", "x", "<y>"], dtype=object)
    )
    return bundle.BundleContents(
        modality="text",
        kind="classification",
        strategy="majority",
        state=fitted.to_state(),
        metric="accuracy",
        classes=("<y>", "x"),
        score=Score("accuracy", 0.6, 0.5, 0.7, 90),
        gain=Gain(0.0, 0.0, 0.0, 90, verdict="none"),
        baselines={"majority": Score("accuracy", 0.6, 0.5, 0.7, 90)},
        decisions=(Decision("metric accuracy", "the classes are of similar size"),),
        candidates=(Candidate("majority", score=Score("accuracy", 0.6, 0.5, 0.7, 9)),),
        extra={"judged_by": "90 items", "seed": 0},
        fingerprint="0" * 64,
        n=3,
    )


@pytest.fixture
def model(tmp_path) -> Path:
    return bundle.save(tmp_path / "model", contents())


def test_it_lies_beside_the_model(model):
    where = write(model)
    assert where == model.with_name("model.html")
    html = where.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert "Transfer was not tried here" in html
    assert sorted(path.name for path in model.parent.iterdir()) == ["model", "model.html"]
    assert bundle.load(model).path == model  # the model is as it was


def test_the_same_model_gives_the_same_file(model, tmp_path):
    one, other = write(model, tmp_path / "one.html"), write(bundle.load(model), tmp_path / "b.HTM")
    assert one.read_bytes() == other.read_bytes()


def test_a_model_in_memory_needs_a_name(tmp_path):
    held = bundle.in_memory(contents())
    assert write(held, tmp_path / "held.html").stat().st_size > 10_000
    with pytest.raises(OptionError, match="has no place"):
        write(held)


@pytest.mark.parametrize("name", ["report.txt", "report", "no/such/folder.html", "folder.html"])
def test_where_no_report_can_be_is_refused_before_the_work(tmp_path, name):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OptionError):
        check_target(tmp_path / "model", tmp_path / name)


def test_an_archive_has_its_report_beside_it_without_the_ending(tmp_path):
    assert check_target(tmp_path / "model.zip").name == "model.html"
    assert check_target(tmp_path / "model.v2").name == "model.v2.html"


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(BundleError):
        write(tmp_path / "nothing", tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_a_full_disk_leaves_what_was_there(model, monkeypatch):
    where = write(model)
    before = where.read_bytes()

    def full(*unused: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OptionError, match="No space left"):
        write(model)
    assert where.read_bytes() == before
    assert len(list(where.parent.iterdir())) == 2


def test_the_templates_lie_in_the_package():
    place = resources.files("headstart.report").joinpath("templates")
    found = {one.name for one in place.iterdir()}
    assert {"page.html", "report.css", "report.js", "macros.html"} <= found


def run(*arguments: object) -> tuple[int, str, str]:
    import io
    from contextlib import redirect_stderr, redirect_stdout

    from headstart.cli.app import run as headstart

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stop:
        headstart([str(one) for one in arguments])
    return int(stop.value.code or 0), out.getvalue(), err.getvalue()


def test_the_verb(model, tmp_path):
    code, out, err = run("report", model)
    assert (code, out) == (0, "")
    assert "the report is in" in err
    assert model.with_name("model.html").exists()
    code, out, _ = run("report", model, "-o", tmp_path / "other.html", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["bytes"] == (tmp_path / "other.html").stat().st_size
    assert run("report", model, "-o", tmp_path / "other.txt")[0] == 2
    assert run("report", tmp_path / "none")[0] == 2


@dataclass(frozen=True)
class Finished:
    """As much of a result as ``fit --report`` reads."""

    candidates: tuple[Candidate, ...]
    seconds: float


def test_fit_tells_the_seconds_of_each_candidate_that_raced(model):
    from headstart.cli.console import ConsoleReporter
    from headstart.cli.fit import _reported

    measured = Score("accuracy", 0.5, 0.4, 0.6, 10)
    raced = Candidate("probe", "minilm", measured, seconds=3.25)
    out = Candidate("lora", "minilm", None, seconds=9.0, status="left out")
    where = _reported(Finished((raced, out), 61.4), model, ConsoleReporter(quiet=True))
    assert where == str(model.with_name("model.html"))
    html = Path(where).read_text(encoding="utf-8")
    part = html.split('<section id="timing"')[1].split("</section>")[0]
    assert "The whole fit took 61 s." in part
    assert "3.3 s" in part
    assert "lora" not in part


def test_a_place_that_cannot_be_is_refused_before_fitting(tmp_path):
    (tmp_path / "model.html").mkdir()
    table = tmp_path / "table.csv"
    table.write_text("a,label\n1,x\n")
    code, _, err = run("fit", table, "--report", "-o", tmp_path / "model")
    assert code == 2
    assert "a report is an HTML file" in err


def test_rendering_imports_nothing_heavy():
    import subprocess

    code = "import headstart.report, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"torch", "sklearn", "transformers", "fastapi"}
