"""Every kind of bad input: exit code 2, one message, no traceback; under --json an object."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.usefixtures("weights")

FIT = ["fit", "{files}/topics.csv", "-o", "{out}/m"]
BAD = {
    "no such verb": (["fitt"], "did you mean 'fit'"),
    "no such file": (["fit", "{files}/topcs.csv", "-o", "{out}/m"], "topics.csv"),
    "no data": (["fit", "-o", "{out}/m"], "Missing argument"),
    "no model named": (["fit", "{files}/topics.csv"], "Missing option"),
    "no such option": ([*FIT, "--shot", "3"], "--shot"),
    "ambiguous label": (["fit", "{files}/ambiguous.csv", "-o", "{out}/m"], "--label grade"),
    "ragged": (["fit", "{files}/ragged.csv", "-o", "{out}/m"], "line 3"),
    "empty file": (["fit", "{files}/empty.csv", "-o", "{out}/m"], "the file is empty"),
    "empty folder": (["fit", "{files}/void", "-o", "{out}/m"], "the folder is empty"),
    "unknown column": ([*FIT, "--label", "topik"], "did you mean 'topic'"),
    "unknown group": ([*FIT, "--group", "nope"], "unknown column 'nope'"),
    "no shots": ([*FIT, "--shots", "0"], "at least 1"),
    "shots no number": ([*FIT, "--shots", "few"], "--shots"),
    "modality": ([*FIT, "--modality", "smell"], "--modality"),
    "modality that does not fit": ([*FIT, "--modality", "image"], "cannot be read"),
    "strategy": ([*FIT, "--strategy", "prob"], "did you mean 'probe'"),
    "source": ([*FIT, "--source", "minilmm"], "did you mean 'minilm'"),
    "metric": ([*FIT, "--metric", "acuracy"], "did you mean 'accuracy'"),
    "metric of another kind": ([*FIT, "--metric", "rmse"], "classification"),
    "seed": ([*FIT, "--seed", "-1"], "--seed"),
    "share": ([*FIT, "--allow-unreadable", "2"], "--allow-unreadable"),
    "no test part": ([*FIT, "--test", "{files}/nope.csv"], "there is no such file"),
    "a file in the way": (["fit", "{files}/topics.csv", "-o", "{files}/topics.csv"], "in the way"),
    "a folder in the way": (["fit", "{files}/topics.csv", "-o", "{files}"], "in the way"),
    "below a file": (["fit", "{files}/topics.csv", "-o", "{files}/topics.csv/m"], "saved here"),
    "check": (["check", "{files}/nope"], "there is no such file"),
    "no model": (["predict", "{out}/m", "a text"], "there is no model"),
    "a file as model": (["predict", "{files}/topics.csv", "a text"], "a model is a directory"),
    "a folder as model": (["predict", "{files}/void", "a text"], "not a model"),
    "evaluate without a model": (["evaluate", "{files}/void", "{files}/topics.csv"], "not a model"),
    "no input": (["predict", "{files}/void"], "Missing argument"),
    "install nothing": (["sources", "install"], "name the sources to install"),
    "install unknown": (["sources", "install", "minilmm"], "did you mean 'minilm'"),
    "sources of what": (["sources", "minilm"], "headstart sources"),
    "example": (["examples", "revews"], "did you mean 'reviews'"),
    "example in the way": (["examples", "reviews", "-o", "{files}"], "not empty"),
}


@pytest.fixture(scope="module")
def bad_files(files):
    (files / "ambiguous.csv").write_text(
        "colour,grade,size\n" + "red,a,s\nred,b,s\nblue,a,l\nblue,b,l\n" * 2
    )
    (files / "ragged.csv").write_text("text,label\nhello there,a\none,b,c,d\ngood day,b\n")
    (files / "empty.csv").touch()
    (files / "void").mkdir(exist_ok=True)
    return files


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_message_and_exit_code_2(terminal, bad_files, tmp_path, name):
    arguments, says = BAD[name]
    given = [one.format(files=bad_files, out=tmp_path) for one in arguments]
    ran = terminal(*given)
    assert ran.code == 2
    assert ran.out == ""
    message = ran.err[ran.err.index("error: ") :]
    assert says in message
    assert "Traceback" not in ran.err
    assert not (tmp_path / "m").exists()


def test_no_choices_are_no_line(terminal, files, tmp_path):
    arguments = ("--label", "grade", "--source", "minilm", "-o", tmp_path / "m")
    ran = terminal("fit", files / "wine.csv", *arguments, "--quiet")
    assert ran.err.splitlines() == [
        "error: --source: the source 'minilm' is for text data, this is table data"
    ]


@pytest.mark.parametrize("name", [name for name in BAD if name != "no such verb"])
def test_under_json_the_error_is_an_object(terminal, bad_files, tmp_path, name):
    arguments, says = BAD[name]
    given = [one.format(files=bad_files, out=tmp_path) for one in arguments]
    ran = terminal(*given, "--json")
    assert ran.code == 2
    assert list(ran.json) == ["error"]
    assert set(ran.json["error"]) == {"type", "message"}
    assert says in ran.json["error"]["message"]


def test_a_damaged_model_is_refused(terminal, price, files, tmp_path):
    import shutil

    damaged = tmp_path / "damaged"
    shutil.copytree(price.path, damaged)
    with (damaged / "model.safetensors").open("ab") as file:
        file.write(b"x")
    for verb in (["predict"], ["evaluate"]):
        ran = terminal(*verb, damaged, files / "price.csv", "--json")
        assert ran.code == 2
        assert ran.json["error"]["type"] == "BundleCorruptError"


def test_a_cache_that_cannot_be_written_is_no_traceback(terminal, files, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    ran = terminal("fit", files / "topics.csv", "-o", tmp_path / "m")
    assert ran.code == 2
    assert "error: " in ran.err


def test_an_operating_system_error_is_one_message(terminal, monkeypatch):
    from headstart import encode

    def full() -> None:
        raise OSError(28, "No space left on device", "/cache")

    monkeypatch.setattr(encode, "cache_info", full)
    ran = terminal("cache", "--json")
    assert ran.code == 2
    assert ran.json["error"]["message"] == "/cache: No space left on device"


def test_a_bug_is_not_hidden(terminal, monkeypatch):
    from headstart import encode

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(encode, "cache_info", broken)
    from headstart.cli.app import run

    with pytest.raises(ZeroDivisionError):
        run(["cache"])


def test_an_interrupt_says_that_work_is_kept(terminal, monkeypatch):
    from headstart import encode

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(encode, "cache_info", interrupted)
    ran = terminal("cache")
    assert ran.code == 130
    assert "run the same command again" in ran.err


def headstart(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headstart", *arguments],
        capture_output=True,
        text=True,
        env=dict(os.environ, **environment),
    )


def test_as_a_process_the_exit_code_is_2_and_stdout_is_json(bad_files, tmp_path):
    done = headstart("fit", str(bad_files / "ragged.csv"), "-o", str(tmp_path / "m"), "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["type"] == "DataError"
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m headstart sources --json | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)
