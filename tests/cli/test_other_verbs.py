"""``check``, ``sources``, ``cache``, ``examples`` and ``--help``."""

from __future__ import annotations

import pytest
from tests import samples

from headstart import sources
from headstart.cli.verbs import VERBS
from headstart.data import EXAMPLES


@pytest.mark.usefixtures("weights")
def test_check_json(terminal, files, tmp_path):
    table = tmp_path / "twice.csv"
    lines = (files / "topics.csv").read_text().splitlines()
    table.write_text("\n".join([*lines, lines[1], lines[2].replace("animal", "food")]) + "\n")
    found = terminal("check", table, "--no-suspects", "--json").json
    assert set(found) == {"ok", "counts", "findings"}
    keys = {"kind", "severity", "count", "items", "text", "advice", "notes"}
    assert all(set(finding) == keys for finding in found["findings"])
    assert {"exact-duplicates", "conflicting-labels"} <= {
        finding["kind"] for finding in found["findings"]
    }
    shown = terminal("check", table, "--no-suspects")
    assert shown.code == 0
    assert "row 25" in shown.out


@pytest.mark.weights
@pytest.mark.usefixtures("weights")
def test_check_names_suspect_labels(terminal, tmp_path):
    table = tmp_path / "wrong.csv"
    frame = samples.topics()
    frame.loc[2, "topic"] = "food"
    frame.to_csv(table, index=False)
    found = terminal("check", table, "--json").json
    suspect = [f for f in found["findings"] if f["kind"].startswith("suspect")]
    assert suspect
    assert "row 3" in suspect[0]["items"]


@pytest.mark.usefixtures("weights")
def test_check_says_when_nothing_is_wrong(terminal, files):
    ran = terminal("check", files / "topics.csv", "--no-suspects", "--quiet")
    assert ran.out == "Nothing wrong was found.\n"
    assert ran.err == ""


@pytest.mark.usefixtures("weights")
def test_sources_lists_the_catalogue(terminal):
    ran = terminal("sources")
    assert ran.code == 0
    for name in sources.catalogue():
        assert any(line.startswith(name) for line in ran.out.splitlines())
    assert "default: efficientnet-lite0 for images, minilm for texts" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 110


@pytest.mark.weights
@pytest.mark.usefixtures("weights")
def test_sources_json_is_the_cards(terminal):
    found = terminal("sources", "--json").json["sources"]
    assert {card["name"] for card in found} == set(sources.catalogue())
    minilm = next(card for card in found if card["name"] == "minilm")
    assert minilm["installed"] is True
    assert minilm | {"installed": True} == sources.card("minilm").to_json() | {"installed": True}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--modality", "text", "--max-size", "100"], {"minilm"}),
        (["--licence", "mit"], {"e5-small", "whisper-base"}),
        (["--modality", "table"], set()),
        (["--max-size", "1"], set()),
    ],
)
@pytest.mark.usefixtures("weights")
def test_sources_are_searched(terminal, arguments, expected):
    found = terminal("sources", *arguments, "--json").json["sources"]
    assert {card["name"] for card in found} == expected
    shown = terminal("sources", *arguments)
    assert shown.code == 0
    if not expected:
        assert shown.out == "No source of the catalogue is like that.\n"


def test_sources_not_installed(terminal, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    found = terminal("sources", "--not-installed", "--json").json["sources"]
    assert {card["name"] for card in found} == set(sources.catalogue())
    assert terminal("sources", "--installed", "--json").json == {"sources": []}


def test_offline_nothing_is_fetched(terminal, files, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    for arguments in (
        ["sources", "install", "minilm"],
        ["fit", files / "topics.csv", "-o", tmp_path / "m"],
    ):
        ran = terminal(*arguments, "--json")
        assert ran.code == 2
        assert ran.json["error"]["type"] == "NotInstalledError"
        assert "headstart sources install minilm" in ran.json["error"]["message"]


@pytest.mark.weights
@pytest.mark.usefixtures("weights")
def test_installing_what_is_there_says_where(terminal):
    place = str(sources.installed_path("minilm"))
    assert terminal("sources", "install", "minilm").out == f"minilm is installed in {place}\n"
    found = terminal("sources", "install", "minilm", "--json").json
    assert found == {"installed": {"minilm": place}}


@pytest.mark.weights
def test_cache_is_shown_and_cleared(terminal, topics, files, weights):
    empty = terminal("cache", "--json").json
    assert set(empty) == {"path", "entries", "bytes", "limit", "by_source"}
    assert empty["entries"] == 0
    assert terminal("evaluate", topics.path, files / "topics.csv").code == 0
    full = terminal("cache", "--json").json
    assert full["entries"] == 24
    assert full["bytes"] > 24 * 384 * 4
    assert sum(full["by_source"].values()) == full["bytes"]
    shown = terminal("cache").out
    assert shown.startswith(f"24 items in {weights / 'features'}\n")
    assert "minilm" in shown
    assert terminal("cache", "--clear", "--json").json["entries"] == 0
    assert sources.installed("minilm")


def test_examples_are_listed(terminal):
    ran = terminal("examples")
    for name, example in EXAMPLES.items():
        (line,) = [line for line in ran.out.splitlines() if line.split()[:1] == [name]]
        assert line.endswith(example.title)
    found = terminal("examples", "--json").json["examples"]
    assert [entry["name"] for entry in found] == list(EXAMPLES)


def test_an_example_that_was_fetched_says_what_to_try(terminal, monkeypatch, tmp_path):
    from headstart import data

    monkeypatch.setattr(data, "fetch_example", lambda name, out, reporter: out)
    place = tmp_path / "my reviews"
    lines = terminal("examples", "reviews", "-o", place).out.splitlines()
    assert lines[0] == f"{EXAMPLES['reviews'].title}: {place}"
    assert lines[-1].startswith(f"try: headstart fit '{place}'/reviews.csv ")
    found = terminal("examples", "reviews", "-o", place, "--json").json
    assert found["path"] == str(place)


def test_an_example_is_not_fetched_offline(terminal, monkeypatch, tmp_path):
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    ran = terminal("examples", "mnist", "-o", tmp_path / "mnist")
    assert ran.code == 2
    assert not (tmp_path / "mnist").exists()


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_reads_as_people_write(terminal, verb):
    ran = terminal(verb, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: headstart {verb} ")
    assert VERBS[verb].split(";")[0].rstrip(".") in " ".join(ran.out.split())
    for odd in ("{", "<str>", "<path>", "range>", "  \n"):
        assert odd not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
