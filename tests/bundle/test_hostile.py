"""Nothing malicious loads silently, runs code, reads what is outside, or takes the memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import hostile
import pytest

from headstart import bundle
from headstart.bundle.place import Directory
from headstart.core.errors import BundleCorruptError, BundleError

GROWN = 400
"""Megabytes that reading a hostile model may take."""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watches /proc")


@pytest.fixture(scope="module")
def told(saved, tmp_path_factory) -> dict[str, dict[str, Any]]:
    """What became of each malicious model, opened in one process under watch."""
    home = tmp_path_factory.mktemp("hostile")
    files = {path.name: path.read_bytes() for path in saved.iterdir()}
    paths = {}
    for at, (name, make) in enumerate(hostile.CASES.items()):
        made = make(dict(files))
        paths[f"{name}, directory"] = hostile.directory(home / f"d{at}", made)
        paths[f"{name}, zip"] = hostile.archive(home / f"z{at}.zip", made)
    for at, (name, change) in enumerate(hostile.ON_DISK.items()):
        paths[name] = hostile.directory(home / f"o{at}", files)
        change(paths[name])
    paths["sound, directory"] = saved
    paths["sound, zip"] = hostile.archive(home / "sound.zip", files)
    watch = str(Path(__file__).with_name("hostile_watch.py"))
    command = [sys.executable, watch, str(saved), *map(str, paths.values())]
    empty = home / "empty"
    empty.mkdir()
    done = subprocess.run(command, capture_output=True, text=True, cwd=empty, env=os.environ)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(paths), done.stderr[-2000:]
    return dict(zip(paths, lines, strict=True))


NAMES = [f"{name}, {form}" for name in hostile.CASES for form in ("directory", "zip")]


def test_there_are_enough_of_them():
    assert len(hostile.CASES) >= 80
    assert len(hostile.ON_DISK) >= 15


def test_the_sound_model_loads_under_watch(told):
    for form in ("directory", "zip"):
        assert told[f"sound, {form}"]["how"] == "loaded"
        assert not told[f"sound, {form}"]["seen"]


@pytest.mark.parametrize("name", [*NAMES, *hostile.ON_DISK])
def test_it_is_refused_and_nothing_happens(name, told):
    found = told[name]
    kinds = ("BundleCorruptError", "BundleError", "BundleVersionError", "SourceError")
    assert found["how"] in kinds, found
    assert found["words"]
    assert not found["seen"], found
    assert found["grown_mb"] < GROWN, found
    assert found["seconds"] < 10, found


def test_a_second_name_of_the_same_file_is_no_harm(saved, tmp_path):
    """Copies that share their bytes (hard links) are what backups make; content is what counts."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in saved.iterdir():
        os.link(path, copy / path.name)
    assert bundle.load(copy).manifest.digest == bundle.load(saved).manifest.digest


@pytest.mark.parametrize("what", ["link", "pipe", "content", "longer", "gone"])
def test_a_file_swapped_between_check_and_read_is_refused(what, saved, tmp_path, monkeypatch):
    copy = Path(shutil.copytree(saved, tmp_path / "copy"))
    (tmp_path / "outside").write_bytes((saved / "state.json").read_bytes())
    real = Directory.size

    def size(self: Directory, name: str) -> int:
        found = real(self, name)
        if name == "state.json" and real(self, name):
            file = copy / name
            raw = file.read_bytes()
            file.unlink()
            if what == "link":
                file.symlink_to(tmp_path / "outside")
            elif what == "pipe":
                os.mkfifo(file)
            elif what == "content":
                file.write_bytes(raw[:-2] + b"\n}")
            elif what == "longer":
                file.write_bytes(raw * 2)
            monkeypatch.setattr(Directory, "size", real if what != "pipe" else lambda s, n: found)
        return found

    monkeypatch.setattr(Directory, "size", size)
    with pytest.raises((BundleCorruptError, BundleError)):
        bundle.load(copy)


def test_an_archive_swapped_while_it_is_read_is_read_to_its_end(saved, tmp_path):
    """The file is held open: what takes its name meanwhile is not looked at."""
    from headstart.bundle.archive import Archive

    files = {path.name: path.read_bytes() for path in saved.iterdir()}
    path = hostile.archive(tmp_path / "m.zip", files)
    with Archive(path) as place:
        other = hostile.archive(tmp_path / "other.zip", {"manifest.json": b"{}"})
        other.replace(path)
        assert place.read("state.json", at_most=10**6) == files["state.json"]
        path.write_bytes(b"")
        assert place.read("golden.json", at_most=10**6) == files["golden.json"]
