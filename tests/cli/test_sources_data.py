"""``headstart sources DATA``: the ranking in a terminal and as JSON, and every wrong way to ask."""

from __future__ import annotations

import shlex

import pytest
from tests import samples
from tests.encode.tiny_sources import tiny_text
from tests.test_ranking import Shelf, texts

from headstart import sources


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    """Three tiny text sources of which one is not on this machine."""
    found = Shelf()
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "search", found.search, raising=False)
    monkeypatch.setattr(sources, "card", found.card, raising=False)
    monkeypatch.setattr(sources, "load", found.load, raising=False)
    monkeypatch.setattr(sources, "installed", lambda n: n not in found.absent, raising=False)
    found.put("one", tiny_text(), prior=0.6).put("two", tiny_text(), prior=0.7, size_mb=12.0)
    return found.put("away", tiny_text(), prior=0.9, size_mb=500.0, absent=True)


@pytest.fixture
def table(tmp_path):
    place = tmp_path / "my texts.csv"
    texts(24).to_csv(place, index=False)
    return place


def test_the_tables_and_what_to_do_next(terminal, shelf, table):
    ran = terminal("sources", table, "--label", "label", "--seed", "2", "--quiet")
    assert ran.code == 0
    assert ran.err == ""
    lines = ran.out.splitlines()
    assert lines[0].startswith("Sources, measured on 24 items (accuracy of probe and k-NN")
    heads = next(line for line in lines if line.lstrip().startswith("source  "))
    for word in ("score", "measured", "95 % interval", "probe", "k-NN", "prior", "s per 1,000"):
        assert word in heads
    first = next(line for line in lines if line.startswith("1  "))
    second = next(line for line in lines if line.startswith("2  "))
    assert first.split()[1] == "two"
    assert second.split()[1] == "one"
    assert "0.700" in first
    assert "Apache-2.0" in first
    assert any(line.startswith("source") and "LogME" in line for line in lines)
    assert "LEEP" not in ran.out  # no source here has a classifier
    away = next(line for line in lines if line.startswith("away "))
    assert away.endswith("not installed: headstart sources install away")
    assert "too close to call on 24 items: two and one (lead +0.000 [" in ran.out
    assert lines[-1] == (
        f"next: headstart fit {shlex.quote(str(table))} --label label --seed 2 "
        "--source two --source one -o model"
    )


def test_what_was_decided_is_said_on_stderr(terminal, shelf, table):
    ran = terminal("sources", table, "--label", "label", "--text", "text")
    assert "metric accuracy" in ran.err
    assert "metric accuracy" not in ran.out


def test_json(terminal, shelf, table):
    found = terminal("sources", table, "--label", "label", "--json", "--quiet").json
    assert [row["source"] for row in found["sources"]] == ["two", "one"]
    assert found["not_measured"] == [
        {
            "source": "away",
            "prior": 0.9,
            "size_mb": 500.0,
            "licence": "Apache-2.0",
            "why": "not installed",
        }
    ]
    assert found["too_close"] == ["one"]
    assert found["take"] == ["two", "one"]


def test_the_documented_keys(terminal, shelf, table):
    from tests.cli.test_documented_keys import documented, inner

    found = terminal("sources", table, "--label", "label", "--json", "--quiet").json
    pages = documented("sources DATA")
    assert set(found) == set(pages)
    assert set(found["task"]) == inner(pages["task"])
    assert set(found["sources"][1]) | set(found["sources"][1]["lead"]) == inner(pages["sources"])
    assert set(found["not_measured"][0]) == inner(pages["not_measured"])


def test_options_choose_who_takes_part(terminal, shelf, table):
    ask = ("sources", table, "--label", "label", "--json", "--quiet")
    small = terminal(*ask, "--max-size", "5").json
    assert [row["source"] for row in small["sources"]] == ["one"]
    assert small["not_measured"] == []
    named = terminal(*ask, "--source", "away", "--source", "one").json
    assert {row["source"] for row in named["sources"]} == {"away", "one"}
    assert terminal(*ask, "--licence", "MIT").json["sources"] == []
    assert len(terminal(*ask, "--installed").json["sources"]) == 2


def test_where_nothing_is_installed_the_published_order_is_shown(terminal, shelf, table):
    shelf.absent |= {"one", "two"}
    ran = terminal("sources", table, "--label", "label", "--quiet")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "Sources by published quality"
    assert [line.split()[0] for line in lines[2:5]] == ["away", "two", "one"]
    assert "nothing was measured" in ran.out
    assert lines[-1] == "next: headstart sources install away"
    assert shelf.loaded == []


def test_a_table_of_numbers_has_no_source_and_that_is_no_error(terminal, shelf, tmp_path):
    place = tmp_path / "wine.csv"
    samples.wine_like(30).to_csv(place, index=False)
    ran = terminal("sources", place, "--label", "grade", "--quiet")
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("headstart has no pretrained source for table data")
    assert "next:" not in ran.out
    assert terminal("sources", place, "--label", "grade", "--json").json["sources"] == []


WRONG = {
    "neither": (["sources", "nothere"], "neither data (there is no such file or folder) nor"),
    "a source's name": (["sources", "minilm"], "did you mean `headstart sources install minilm`?"),
    "instal": (["sources", "instal", "minilm"], "did you mean `headstart sources install NAME`?"),
    "two": (["sources", "{table}", "{table}"], "only one data set"),
    "not installed": (["sources", "{table}", "--not-installed"], "cannot be measured"),
    "options without data": (["sources", "--label", "x"], "--label is for ranking sources on data"),
    "install with options": (["sources", "install", "one", "--text", "x"], "--text is for ranking"),
    "column": (["sources", "{table}", "--label", "lable"], "did you mean 'label'"),
    "source": (["sources", "{table}", "--label", "label", "--source", "tow"], "did you mean 'two'"),
    "metric": (["sources", "{table}", "--label", "label", "--metric", "rmse"], "classification"),
    "both": (
        ["sources", "{table}", "--label", "label", "--source", "one", "--max-size", "9"],
        "leave out --licence and --max-size",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_asked_wrongly_is_one_message(terminal, shelf, table, name, monkeypatch):
    arguments, says = WRONG[name]
    if name in ("a source's name", "instal"):
        monkeypatch.undo()
    ran = terminal(*(one.format(table=table) for one in arguments), "--quiet")
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert says in ran.err


def test_one_class_and_no_label_are_refused(terminal, shelf, tmp_path):
    place = tmp_path / "one.csv"
    texts(12).assign(label="a").to_csv(place, index=False)
    ran = terminal("sources", place, "--label", "label")
    assert ran.code == 2
    assert "a" in ran.err
    texts(12)[["text"]].to_csv(place, index=False)
    assert terminal("sources", place).code == 2
