"""What happens is written line by line, and read along from any place."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing

import pytest

from headstart.core.errors import DataError
from headstart.core.events import hears, tell
from headstart.core.types import SILENT
from headstart.select.clock import Clock, Deadline
from headstart.select.race import Once
from headstart.studio.events import EventFile, read_from
from headstart.studio.streaming import place_of, stream


def write(path, letters, **facts):
    with closing(EventFile(path)) as events:
        for name in letters:
            events.event(name, **facts)


def names(found):
    return [json.loads(text)["event"] for _, text in found]


def test_who_was_cut_off_goes_on_where_it_was(tmp_path):
    path = tmp_path / "events.jsonl"
    write(path, "abc", value=float("nan"), text="ü\n</script>")
    found = read_from(path, 0)
    assert names(found) == ["a", "b", "c"]
    assert json.loads(found[0][1])["value"] is None
    for at in range(3):
        assert names(read_from(path, found[at][0])) == ["a", "b", "c"][at + 1 :]
    for wrong in (-1, 3, found[0][0] + 1, 10**9):  # no event begins there: all is told again
        assert names(read_from(path, wrong)) == ["a", "b", "c"]


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
    path = tmp_path / "events.jsonl"
    write(path, "a")
    with path.open("ab") as file:
        file.write(b'{"event": "half')
    assert names(read_from(path, 0)) == ["a"]
    write(path, "b")
    assert names(read_from(path, 0)) == ["a", "b"]
    assert read_from(tmp_path / "none", 0) == []


def test_progress_is_not_written_a_thousand_times(tmp_path):
    with closing(EventFile(tmp_path / "e")) as events:
        for done in range(1, 1001):
            events.progress("reading", done, 1000)
    found = [json.loads(text)["done"] for _, text in read_from(tmp_path / "e", 0)]
    assert found[0] == 1
    assert found[-1] == 1000
    assert len(found) < 50


@pytest.mark.parametrize(
    ("last", "place"), [(None, 0), ("12", 12), ("x", 0), ("-3", 0), ("9" * 40, 0), ("²", 0)]
)
def test_the_place_a_browser_names(last, place):
    assert place_of(last) == place


class _Done:
    """A piece of work that has ended."""

    def __init__(self, folder):
        self.folder = folder

    def place(self, job):
        return self.folder

    def facts(self, job):
        return {"state": "done"}


def test_the_stream_tells_the_rest_and_ends(tmp_path):
    write(tmp_path / "events.jsonl", "abc")
    after = read_from(tmp_path / "events.jsonl", 0)[0][0]

    async def all_of():
        return [part async for part in stream(_Done(tmp_path), "x", after, lambda: False)]

    told = b"".join(asyncio.run(all_of())).decode()
    assert '"a"' not in told
    assert f"id: {after}\n" not in told
    assert told.index('"b"') < told.index('"c"') < told.index("event: end")


def test_reporters_that_take_no_facts_are_left_alone():
    assert not hears(SILENT)
    tell(SILENT, "fold", done=1)


def test_facts_pass_through_what_wraps_a_reporter(tmp_path):
    with closing(EventFile(tmp_path / "e")) as events:
        tell(Deadline(Once(events), Clock(100.0)), "fold", done=1)
    assert names(read_from(tmp_path / "e", 0)) == ["fold"]


def test_the_stream_of_what_was_deleted_ends(tmp_path):
    class Gone(_Done):
        def facts(self, job):
            raise DataError("there is no such piece of work")

    async def all_of():
        return [part async for part in stream(Gone(tmp_path), "x", 0, lambda: False)]

    assert asyncio.run(all_of()) == [b"retry: 1000\n\n"]
