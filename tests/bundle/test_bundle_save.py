"""A bundle is there whole or not at all, and nothing but a bundle is ever replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart import bundle
from headstart.bundle import disk
from headstart.core.errors import BundleError, OptionError

HERE = str(Path(__file__).parent)


def test_a_model_is_replaced_only_when_allowed(majority, tmp_path):
    path = bundle.save(tmp_path / "deep" / "m", majority)
    with pytest.raises(OptionError, match="a model is there"):
        bundle.save(path, majority)
    bundle.save(path, replace(majority, label_name="other"), overwrite=True)
    assert bundle.load(path).info["label"] == "other"
    assert [entry.name for entry in path.parent.iterdir()] == ["m"]


def test_a_damaged_model_may_be_replaced(majority, tmp_path):
    path = bundle.save(tmp_path / "m", majority)
    (path / "state.json").unlink()
    (path / ".DS_Store").touch()
    bundle.save(path, majority, overwrite=True)
    bundle.load(path)


def test_nothing_else_is_ever_replaced(majority, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("mine")
    mixed = bundle.save(tmp_path / "mixed", majority)
    (mixed / "notes.txt").write_text("mine")
    (tmp_path / "alike").mkdir()
    (tmp_path / "alike" / "manifest.json").write_text('{"name": "a web page"}')
    nested = bundle.save(tmp_path / "nested", majority)
    (nested / "state.json").unlink()
    (nested / "state.json").mkdir()
    for name in ("file", "photos", "mixed", "alike", "nested"):
        with pytest.raises(OptionError, match="in the way"):
            bundle.save(tmp_path / name, majority, overwrite=True)
        with pytest.raises(OptionError, match="in the way"):
            bundle.check_target(tmp_path / name)
    assert (tmp_path / "photos" / "a.jpg").read_text() == "mine"
    assert (mixed / "notes.txt").read_text() == "mine"


def test_an_empty_directory_is_used(majority, tmp_path):
    (tmp_path / "m").mkdir()
    assert bundle.check_target(tmp_path / "m") == tmp_path / "m"
    bundle.load(bundle.save(tmp_path / "m", majority))


def test_a_link_to_a_model_stays_a_link(majority, tmp_path):
    real = bundle.save(tmp_path / "v1", majority)
    (tmp_path / "current").symlink_to(real)
    bundle.save(tmp_path / "current", replace(majority, label_name="new"), overwrite=True)
    assert (tmp_path / "current").is_symlink()
    assert bundle.load(tmp_path / "current").info["label"] == "new"


def test_a_failed_save_leaves_the_old_model_and_nothing_else(majority, tmp_path, monkeypatch):
    path = bundle.save(tmp_path / "m", majority)
    written = []

    def full(file: Path, raw: bytes) -> None:
        written.append(file)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        file.write_bytes(raw)

    monkeypatch.setattr(disk, "write", full)
    with pytest.raises(BundleError, match="No space left"):
        bundle.save(path, replace(majority, label_name="new"), overwrite=True)
    assert bundle.load(path).info["label"] == "fruit"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "cache"] == ["m"]


@pytest.fixture
def no_exchange(monkeypatch):
    """As on Windows and macOS: two directories cannot be swapped in one step."""
    monkeypatch.setattr(disk, "_exchange", lambda one, other: False)


def test_replacing_without_exchange(majority, tmp_path, no_exchange):
    path = bundle.save(tmp_path / "m", majority)
    bundle.save(path, replace(majority, label_name="new"), overwrite=True)
    assert bundle.load(path).info["label"] == "new"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "cache"] == ["m"]


def test_a_kill_between_the_two_renames_loses_nothing(majority, tmp_path, no_exchange):
    path = bundle.save(tmp_path / "m", majority)
    path.rename(tmp_path / ".m.headstart-old")
    assert bundle.load(path).info["label"] == "fruit"
    path.rename(tmp_path / ".m.headstart-old")
    bundle.save(path, replace(majority, label_name="new"), overwrite=True)
    assert bundle.load(path).info["label"] == "new"


def test_a_rename_that_fails_puts_the_old_model_back(majority, tmp_path, no_exchange, monkeypatch):
    path = bundle.save(tmp_path / "m", majority)
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if "headstart-new" in self.name:
            raise PermissionError(13, "Permission denied")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(BundleError, match="Permission denied"):
        bundle.save(path, replace(majority, label_name="new"), overwrite=True)
    assert bundle.load(path).info["label"] == "fruit"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux swaps directories")
def test_exchange_says_whether_it_can(tmp_path, monkeypatch):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    with pytest.raises(FileNotFoundError):
        disk._exchange(one, two)
    two.mkdir()
    (one / "a").touch()
    assert disk._exchange(one, two)
    assert [entry.name for entry in two.iterdir()] == ["a"]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not disk._exchange(one, two)


def test_leftovers_of_killed_saves_are_swept_in_time(majority, tmp_path):
    old, young = tmp_path / ".m.headstart-new-1", tmp_path / ".m.headstart-new-2"
    for left in (old, young):
        left.mkdir()
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    bundle.save(tmp_path / "m", majority)
    assert not old.exists()
    assert young.exists()


def test_a_model_replaced_while_it_is_read_is_read_again(majority, tmp_path, monkeypatch):
    from headstart.bundle import verified as read

    path = bundle.save(tmp_path / "m", majority)
    newer = replace(majority, label_name="newer")
    real = read.parse
    times = []

    def parse(raw: bytes) -> object:
        manifest = real(raw)
        if not times:
            times.append(1)
            state = replace(newer.state, arrays={"class_prior": np.array([0.2, 0.3, 0.5])})
            bundle.save(path, replace(newer, state=state), overwrite=True)
        return manifest

    monkeypatch.setattr(read, "parse", parse)
    assert bundle.load(path).info["label"] == "newer"


SAVER = """
import os, sys
sys.path.insert(0, sys.argv[2])
from dataclasses import replace
from tiny_models import contents_of
from headstart import bundle
from headstart.bundle import disk
if sys.argv[3] == "False":
    disk._exchange = lambda one, other: False
contents = contents_of(("majority", "classification", "text"))
big = {"pad": "x" * 900_000}
for line in sys.stdin:
    child = os.fork()
    if child:
        print(child, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)
        continue
    for turn in range(10_000):
        label = f"turn {turn % 2}"
        bundle.save(sys.argv[1], replace(contents, label_name=label, extra=big), overwrite=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize("exchange", [True, False])
def test_killed_at_any_moment_the_old_or_the_new_model_is_there(majority, tmp_path, exchange):
    rng = np.random.default_rng(7)
    path = bundle.save(tmp_path / "m", replace(majority, label_name="turn 0"))
    script = tmp_path / "saver.py"
    script.write_text(SAVER)
    command = [sys.executable, str(script), str(path), HERE, str(exchange)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for _ in range(25):
            nursery.stdin.write("go\n")
            nursery.stdin.flush()
            child = int(nursery.stdout.readline())
            with contextlib.suppress(subprocess.TimeoutExpired):
                nursery.wait(timeout=float(rng.uniform(0.005, 0.08)))
            os.kill(child, signal.SIGKILL)
            assert nursery.stdout.readline() == "gone\n"
            assert bundle.load(path).info["label"] in ("turn 0", "turn 1")
    bundle.save(path, majority, overwrite=True)
    assert bundle.load(path).info["label"] == "fruit"
