"""Pinned files: through real pip from a folder of wheels, killed, damaged, altered."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart import fetch as fetching
from headstart.core.errors import FetchError, IntegrityError, NotInstalledError
from headstart.fetch import (
    Pin,
    atomic_dir,
    cache_root,
    clear_stale,
    extract_member,
    fetch,
    offline,
    read_member,
)


class Heard:
    def __init__(self) -> None:
        self.done: list[tuple[int, int | None]] = []

    def say(self, text: str) -> None:
        raise AssertionError(f"fetching says nothing itself: {text}")

    def progress(self, stage: str, done: int, total: int | None, unit: str = "items") -> None:
        assert unit == "bytes"
        self.done.append((done, total))


def make_wheel(folder: Path, name: str = "tiny_weights", tag: str = "py3-none-any") -> Pin:
    path = folder / f"{name}-1.0-{tag}.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/weights.bin", bytes(range(256)) * 40)
        wheel.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")
    raw = path.read_bytes()
    return Pin(name, "1.0", hashlib.sha256(raw).hexdigest(), path.name, len(raw))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only place pip may look at, and a cache of the test's own."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEADSTART_OFFLINE", raising=False)
    return folder


def test_fetch_brings_the_file_and_leaves_nothing(index: Path) -> None:
    pin = make_wheel(index)
    heard = Heard()
    with fetch(pin, reporter=heard) as path:
        assert path.name == pin.filename
        assert path.is_relative_to(cache_root())
        assert path.read_bytes() == (index / pin.filename).read_bytes()
    assert list(cache_root().iterdir()) == []
    assert heard.done[-1] == (pin.size, pin.size)
    amounts = [done for done, _ in heard.done]
    assert amounts == sorted(amounts)


def test_a_wheel_for_another_platform_is_fetched_too(index: Path) -> None:
    pin = make_wheel(index, tag="py3-none-win_arm64")
    with fetch(pin) as path:
        assert path.name == pin.filename


def test_an_sdist_is_asked_for_by_name() -> None:
    pin = Pin("snow", "1", "0" * 64, "snow-1.tar.gz")
    assert fetching._file_options(pin) == ["--no-binary=snow"]


@pytest.mark.parametrize("sha256", ["0" * 64])
def test_a_wrong_hash_is_refused_and_nothing_kept(index: Path, sha256: str) -> None:
    pin = make_wheel(index)
    wrong = Pin(pin.package, pin.version, sha256, pin.filename)
    with pytest.raises(IntegrityError, match=f"not the pinned one.*{pin.sha256}"), fetch(wrong):
        raise AssertionError("the block must not run")
    assert list(cache_root().iterdir()) == []


def test_what_pip_brings_is_hashed_again(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = make_wheel(index)

    def altered(pin: Pin, scratch: Path, reporter: object) -> None:
        (scratch / "files" / pin.filename).write_bytes(b"altered")

    monkeypatch.setattr(fetching, "_pip_download", altered)
    with pytest.raises(IntegrityError, match="not the pinned one"), fetch(pin):
        raise AssertionError("the block must not run")
    assert list(cache_root().iterdir()) == []


def test_another_file_name_is_refused(index: Path) -> None:
    pin = make_wheel(index)
    other = Pin(pin.package, pin.version, pin.sha256, "other-1.0-py3-none-any.whl")
    with pytest.raises(FetchError, match="another file than other"), fetch(other):
        raise AssertionError("the block must not run")


def test_a_package_that_is_not_there_says_so(index: Path) -> None:
    pin = Pin("no-such-thing", "1.0", "0" * 64, "no_such_thing-1.0-py3-none-any.whl")
    with pytest.raises(FetchError, match=r"could not fetch no-such-thing 1\.0"), fetch(pin):
        raise AssertionError("the block must not run")
    assert list(cache_root().iterdir()) == []


def test_offline_forbids(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    with (
        pytest.raises(NotInstalledError, match="headstart sources install"),
        fetch(make_wheel(index)),
    ):
        raise AssertionError("the block must not run")


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("yes", True), ("0", False), ("", False), ("no", False)]
)
def test_offline_reads_the_environment(
    value: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_OFFLINE", value)
    assert offline() is expected


def test_no_pip_says_what_to_do(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = make_wheel(index)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FetchError, match="ensurepip"), fetch(pin):
        raise AssertionError("the block must not run")


def test_an_interrupt_ends_pip_and_leaves_nothing(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Interrupting(Heard):
        def progress(self, stage: str, done: int, total: int | None, unit: str = "items") -> None:
            raise KeyboardInterrupt

    real = subprocess.Popen

    def popen(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
        started.append(real(sleeper, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt), fetch(make_wheel(index), reporter=Interrupting()):
        raise AssertionError("the block must not run")
    assert started[0].returncode is not None
    assert list(cache_root().iterdir()) == []


def test_cache_root_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "mine"))
    assert cache_root() == tmp_path / "mine"
    monkeypatch.delenv("HEADSTART_CACHE")
    assert cache_root().name == "headstart"


def test_atomic_dir_is_all_or_nothing(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    with atomic_dir(target) as scratch:
        (scratch / "sub").mkdir()
        (scratch / "sub" / "a").write_text("a")
        assert not target.exists()
    assert (target / "sub" / "a").read_text() == "a"

    def failing() -> None:
        with atomic_dir(tmp_path / "other") as scratch:
            (scratch / "a").write_text("a")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        failing()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]
    assert [path.name for path in target.parent.iterdir()] == ["target"]


@pytest.mark.parametrize("replace", [False, True])
def test_atomic_dir_keeps_the_first_unless_told_to_replace(tmp_path: Path, replace: bool) -> None:
    target = tmp_path / "target"
    with atomic_dir(target) as first:
        (first / "who").write_text("first")
    with atomic_dir(target, replace=replace) as second:
        (second / "who").write_text("second")
    assert (target / "who").read_text() == ("second" if replace else "first")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_atomic_dir_refuses_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    with pytest.raises(FetchError, match="there is a file"), atomic_dir(tmp_path / "target"):
        raise AssertionError("the block must not run")


def test_atomic_dir_says_when_it_cannot_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(FetchError, match="could not be put"), atomic_dir(tmp_path / "target"):
        pass
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
from pathlib import Path
from headstart.fetch import atomic_dir
with atomic_dir(Path(sys.argv[1])) as scratch:
    (scratch / "half").write_text("half")
    os._exit(9)
"""


def test_a_killed_process_leaves_no_target_and_is_cleared_away(tmp_path: Path) -> None:
    target = tmp_path / "target"
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
        assert done.returncode == 9
        assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 1  # the second cleared away what the first left
    with atomic_dir(target) as scratch:
        (scratch / "whole").write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_only_stale_directories_are_cleared(tmp_path: Path) -> None:
    import socket

    host = socket.gethostname()
    alive, other = os.getpid(), 2**22 + 1  # the second is more than Linux gives out
    kept = [f".a.tmp-{host}-{alive}-00000000", f".a.tmp-elsewhere-{other}-00000000", "a", ".tmp"]
    stale = [f".a.tmp-{host}-{other}-00000000", ".a.tmp-elsewhere-1-11111111"]
    for name in (*kept, *stale):
        (tmp_path / name).mkdir()
    long_ago = time.time() - 3 * 24 * 3600
    os.utime(tmp_path / stale[1], (long_ago, long_ago))
    assert clear_stale(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def make_zip(path: Path, *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = b"weights " * 500
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("../../escape", b"outside")
        archive.writestr("a/b.bin", content)
    return content


def test_one_member_is_taken_out_and_nothing_else(tmp_path: Path) -> None:
    content = make_zip(tmp_path / "a.zip")
    out = tmp_path / "deep"
    out.mkdir()
    extract_member(tmp_path / "a.zip", "a/b.bin", out / "b", max_bytes=len(content))
    assert (out / "b").read_bytes() == content
    extract_member(tmp_path / "a.zip", "../../escape", out / "c", max_bytes=100)
    assert sorted(path.name for path in out.iterdir()) == ["b", "c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "deep"]


def test_members_have_a_limit(tmp_path: Path) -> None:
    content = make_zip(tmp_path / "a.zip")
    with pytest.raises(IntegrityError, match="more than it may"):
        read_member(tmp_path / "a.zip", "a/b.bin", max_bytes=len(content) - 1)


def test_unsound_archives_are_refused(tmp_path: Path) -> None:
    make_zip(tmp_path / "a.zip")
    (tmp_path / "b.zip").write_bytes(b"no zip file")
    for name, member in (("a.zip", "missing"), ("b.zip", "a/b.bin")):
        with pytest.raises(IntegrityError, match="cannot be read"):
            read_member(tmp_path / name, member, max_bytes=10_000)


@settings(deadline=None, derandomize=True, max_examples=60, database=None)
@given(data=st.data(), method=st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED]))
def test_a_damaged_archive_never_gives_other_bytes(
    data: st.DataObject, method: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    content = make_zip(path, method=method)
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    try:
        found = read_member(path, "a/b.bin", max_bytes=1_000_000)
    except IntegrityError:
        return
    assert found == content
