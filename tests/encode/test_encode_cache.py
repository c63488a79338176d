"""The cache: right rows or none, whatever happens to the files or to the processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import numpy as np
import pytest
from tiny_sources import WORDS, tiny_text

from headstart.core.errors import OptionError
from headstart.core.types import SILENT
from headstart.encode import cache as cache_module
from headstart.encode import cache_clear, cache_info, features
from headstart.encode import text as text_module
from headstart.encode.cache import Store, evict, open_store

pytestmark = pytest.mark.usefixtures("own_cache")
DIM = 16

WRITERS = """
import itertools, os, sys
from pathlib import Path
from headstart.encode.cache import Store
from tests_rows import item, rows
def write(path, start):
    store = Store(path, source="s", dim=16)
    os.write(1, b"ready\\n")
    for first in itertools.count(start, 50):
        numbers = range(first, first + 50)
        store.put([item(i) for i in numbers], rows(numbers))
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        write(Path(sys.argv[1]), int(line))
    os.write(1, f"{child}\\n".encode())
"""
ROWS = """
import hashlib
import numpy as np
def item(i):
    return hashlib.blake2b(str(i).encode(), digest_size=16).digest()
def rows(numbers):
    return np.array([[i + j / 16 for j in range(16)] for i in numbers], dtype=np.float32)
"""
namespace: dict = {}
exec(ROWS, namespace)
item, rows = namespace["item"], namespace["rows"]


def store_at(path, reporter=SILENT):
    return Store(path, source="s", dim=DIM, reporter=reporter)


def readable(path, numbers):
    """Return how many rows can be read, each of them right."""
    store = store_at(path)
    found = store.get([item(i) for i in numbers])
    store.close()
    for i in numbers:
        if item(i) in found:
            assert np.array_equal(found[item(i)], rows([i])[0])
    return len(found)


def files(folder):
    return sorted(folder.glob("*.sqlite"))


def never(encoder, texts):
    assert texts == []
    return []


def test_a_second_run_encodes_nothing_and_gives_the_same_bits(monkeypatch, text_backbone):
    items = [*WORDS, *WORDS[:50]]
    first = features(items, text_backbone).array
    monkeypatch.setattr(
        text_module.TextEncoder, "_tokenise", lambda self, texts: never() if texts else []
    )
    again = features(items[::-1], text_backbone).array
    assert np.array_equal(first[::-1], again)
    assert cache_info().entries == len(WORDS)


def test_other_weights_prefix_or_tokens_are_other_keys():
    items = WORDS[:20]
    base = tiny_text()
    first = features(items, base).array
    other = tiny_text(seed=1)
    other.weights_sha256 = "other"
    assert not np.array_equal(features(items, other).array, first)
    prefixed = tiny_text(prefix="w5 ")
    assert not np.array_equal(features(items, prefixed).array, first)
    assert np.array_equal(features(items, base).array, first)
    assert cache_info().entries == 60


def test_weights_without_identity_are_not_cached(own_cache, text_backbone):
    text_backbone.weights_sha256 = ""
    features(WORDS, text_backbone)
    assert not own_cache.exists()


def test_without_cache_nothing_is_written(own_cache, text_backbone):
    features(WORDS, text_backbone, cache=False)
    assert not own_cache.exists()


def test_info_and_clear(own_cache, text_backbone):
    features(WORDS, text_backbone)
    features(WORDS[:10], tiny_text("mpnet"))
    info = cache_info()
    assert info.path == own_cache
    assert info.entries == len(WORDS) + 10
    assert info.bytes == sum(info.by_source.values()) > len(WORDS) * 32 * 4
    assert set(info.by_source) == {"tiny-bert", "tiny-mpnet"}
    assert info.limit == 5_000_000_000
    assert cache_clear("tiny-mpnet") > 0
    assert set(cache_info().by_source) == {"tiny-bert"}
    assert cache_clear() > 0
    assert cache_info().entries == 0
    assert cache_clear() == 0


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "middle", "a folder"])
def test_a_damaged_database_is_rebuilt_and_never_wrong(own_cache, text_backbone, damage, recorder):
    first = features(WORDS, text_backbone).array
    [path] = files(own_cache)
    whole = path.read_bytes()
    if damage == "garbage":
        path.write_bytes(np.random.default_rng(0).bytes(len(whole)))
    elif damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "middle":
        path.write_bytes(whole[:20_000] + b"\xff" * 20_000 + whole[40_000:])
    else:
        path.unlink()
        path.mkdir()
    for _ in range(2):
        again = features(WORDS, text_backbone, reporter=recorder).array
        assert np.abs(again - first).max() <= 1e-5 * np.abs(first).max()
    cache_info()
    if damage == "a folder":
        assert [line for line in recorder.said if "cannot be used" in line]
    else:
        assert cache_info().entries == len(WORDS)
        assert recorder.said == []


def test_flipped_bits_never_come_through(own_cache, text_backbone):
    first = features(WORDS, text_backbone).array
    [path] = files(own_cache)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(25):
        mutated = bytearray(whole)
        for place in rng.integers(0, len(whole), 20):
            mutated[place] ^= int(rng.integers(1, 256))
        for name in own_cache.iterdir():
            name.unlink()
        path.write_bytes(mutated)
        again = features(WORDS, text_backbone).array
        assert np.abs(again - first).max() <= 1e-5 * np.abs(first).max()


def test_a_row_with_a_wrong_checksum_is_made_anew(own_cache, text_backbone):
    first = features(WORDS, text_backbone).array
    [path] = files(own_cache)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE features SET row = zeroblob(128) WHERE rowid % 3 = 0")
    database.close()
    again = features(WORDS, text_backbone).array
    assert np.abs(again - first).max() <= 1e-5 * np.abs(first).max()
    assert np.array_equal(features(WORDS, text_backbone).array, again)


@pytest.fixture
def start_writer(tmp_path):
    """A function that starts a process which writes rows from a number on, without end."""
    (tmp_path / "tests_rows.py").write_text(ROWS)
    source = str(Path(__file__).parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, str(tmp_path)])}
    launcher = subprocess.Popen(
        [sys.executable, "-c", WRITERS, str(tmp_path / "features" / "rows.sqlite")],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    started = []

    def start(number):
        launcher.stdin.write(f"{number}\n".encode())
        launcher.stdin.flush()
        said = {launcher.stdout.readline().strip() for _ in range(2)}
        started.append(int((said - {b"ready"}).pop()))
        return started[-1]

    yield start
    for child in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    with launcher:
        launcher.stdin.close()


def test_a_writer_killed_at_any_moment_leaves_right_rows(tmp_path, start_writer):
    path = tmp_path / "features" / "rows.sqlite"
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(20):
        writer = start_writer(kept)
        threading.Event().wait(float(rng.uniform(0, 0.05)))
        os.kill(writer, signal.SIGKILL)
        now = readable(path, range(kept + 20_000))
        assert now >= kept
        kept = now
    assert kept > 0


MEETING = """
import os, sys
from pathlib import Path
from headstart.encode.cache import Store
from tests_rows import item, rows
class Aloud:
    def say(self, line):
        print(line)
path, processes, new = Path(sys.argv[1]), 4, 25
for turn in range(new):
    gate = os.pipe()
    children = []
    for child in range(processes):
        children.append(os.fork())
        if children[-1] == 0:
            os.close(gate[1])
            os.read(gate[0], 1)  # all wait here until the parent closes the pipe
            store = Store(path / f"{turn}.sqlite", source="s", dim=16, reporter=Aloud())
            for first in range(25 * child, 25 * child + 200, 50):
                numbers = range(first, first + 50)
                store.put([item(i) for i in numbers], rows(numbers))
            store.close()
            sys.stdout.flush()
            os._exit(0)
    os.close(gate[0])
    os.close(gate[1])
    for child in children:
        os.waitpid(child, 0)
"""


def test_processes_that_open_one_new_database_and_write_at_once_lose_nothing(tmp_path):
    (tmp_path / "tests_rows.py").write_text(ROWS)
    source = str(Path(__file__).parents[2] / "src")
    said = subprocess.run(
        [sys.executable, "-c", MEETING, str(tmp_path / "features")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([source, str(tmp_path)])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == said.stderr == ""
    for turn in range(25):
        path = tmp_path / "features" / f"{turn}.sqlite"
        assert readable(path, range(275)) == 275


def test_opening_waits_while_another_process_opens(tmp_path):
    path = tmp_path / "features" / "rows.sqlite"
    path.parent.mkdir()
    opens = threading.Thread(target=lambda: store_at(path).put([item(0)], rows([0])))
    with filelock.FileLock(path.parent / ".opening.lock"):
        opens.start()
        opens.join(0.1)
        assert not path.exists()
    opens.join()
    assert readable(path, range(1)) == 1


def test_opening_is_waited_for_no_longer_than_its_timeout(tmp_path, recorder, monkeypatch):
    path = tmp_path / "features" / "rows.sqlite"
    path.parent.mkdir()
    monkeypatch.setattr(cache_module, "_WAIT_SECONDS", 0.01)
    with filelock.FileLock(path.parent / ".opening.lock"):
        store_at(path, recorder).put([item(0)], rows([0]))
    assert len(recorder.said) == 1
    assert "cannot be used" in recorder.said[0]


def test_a_file_system_without_locks_keeps_features_all_the_same(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    path = tmp_path / "features" / "rows.sqlite"
    store_at(path).put([item(0)], rows([0]))
    assert readable(path, range(1)) == 1


def test_an_unusable_folder_is_said_once(own_cache, text_backbone, recorder, monkeypatch):
    own_cache.parent.mkdir(parents=True)
    own_cache.write_text("a file where the folder should be")
    monkeypatch.setattr(text_module.TextEncoder, "window", 50)
    found = features(WORDS, text_backbone, reporter=recorder).array
    assert np.array_equal(found, features(WORDS, text_backbone, cache=False).array)
    assert len([line for line in recorder.said if "cannot be used" in line]) == 1
    assert cache_info().entries == 0


def test_a_locked_database_is_waited_for_no_longer_than_its_timeout(tmp_path, recorder):
    path = tmp_path / "features" / "locked.sqlite"
    store = store_at(path, recorder)
    store.put([item(0)], rows([0]))
    store._connection.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    store.put([item(1)], rows([1]))
    store.put([item(2)], rows([2]))
    assert len(recorder.said) == 1
    assert "locked" in recorder.said[0]
    other.close()
    assert readable(path, range(3)) == 1


def test_the_least_recently_used_go_first(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    stores = [open_store(source=name, key="0" * 8, dim=DIM) for name in ("old", "new")]
    for store in stores:
        for start in range(0, 4000, 400):
            clock[0] += 10_000
            numbers = range(start, start + 400)
            store.put([item(i) for i in numbers], rows(numbers))
    clock[0] += 10_000
    assert len(stores[0].get([item(i) for i in range(400)])) == 400  # used: no longer old
    for store in stores:
        store.close()
    total = cache_info().bytes
    assert evict(total) == 0
    assert evict(int(total * 0.7)) > 0
    assert cache_info().bytes <= total * 0.7
    left = [store.get([item(i) for i in range(4000)]) for store in stores]
    assert all(item(i) in left[0] for i in range(400))
    assert item(500) not in left[0]
    assert len(left[1]) == 4000
    for store in stores:
        store.close()


def test_the_limit_holds_after_a_run(monkeypatch, text_backbone):
    monkeypatch.setenv("HEADSTART_CACHE_GB", "0.0004")
    features([f"{a} {b}" for a in WORDS for b in WORDS[:10]], text_backbone)
    info = cache_info()
    assert info.limit == 400_000
    assert info.bytes <= info.limit


def test_a_limit_of_zero_caches_nothing(monkeypatch, own_cache, text_backbone):
    monkeypatch.setenv("HEADSTART_CACHE_GB", "0")
    features(WORDS, text_backbone)
    assert files(own_cache) == []


@pytest.mark.parametrize("limit", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch, text_backbone, limit):
    monkeypatch.setenv("HEADSTART_CACHE_GB", limit)
    with pytest.raises(OptionError, match="HEADSTART_CACHE_GB"):
        cache_info()
    with pytest.raises(OptionError, match="HEADSTART_CACHE_GB"):
        features(WORDS, text_backbone)


def test_importing_the_room_imports_no_torch():
    code = (
        "import sys, headstart.encode; headstart.encode.cache_info; print('torch' in sys.modules)"
    )
    source = str(Path(__file__).parents[2] / "src")
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "False"


def test_the_room_has_no_other_names():
    import headstart.encode

    assert "features" in dir(headstart.encode)
    with pytest.raises(AttributeError, match="sounds"):
        headstart.encode.sounds  # noqa: B018
