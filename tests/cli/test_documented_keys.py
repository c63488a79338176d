"""The keys that docs/command-line.md lists are the keys that ``--json`` prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("weights")]
VERDICTS = {"positive", "none", "negative", "inconclusive"}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"


def documented(verb: str) -> dict[str, str]:
    """Return key -> what the page says of it."""
    table = PAGE.read_text(encoding="utf-8").split(f"| key of `{verb} --json` |")[1]
    return dict(re.findall(r"^\| `(\w+)` \| ?(.*?) ?\|$", table.split("\n\n")[0], re.MULTILINE))


def inner(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def test_fit(topics):
    found, pages = topics.ran.json, documented("fit")
    assert set(found) == set(pages)
    assert set(found["task"]) == inner(pages["task"])
    assert set(found["chosen"]) == inner(pages["chosen"])
    assert set(found["score"]) == inner(pages["score"])
    assert set(found["baselines"]) == inner(pages["baselines"])
    assert set(found["gain"]) | VERDICTS == inner(pages["gain"])
    for candidate in found["candidates"]:
        assert set(candidate) == inner(pages["candidates"])
    ends = {"estimate", "low", "high"}
    assert found["curve"]
    for point in found["curve"]:
        assert set(point) | {"n"} == inner(pages["curve"]) - ends
        assert set(point["gain"]) == ends
    sides = {"above", "below"}
    assert set(found["label_multiplier"]) == inner(pages["label_multiplier"]) - sides
    assert set(found["learning"]) == inner(pages["learning"])
    for key in ("label_next", "suspects", "neediest"):
        for one in found[key]:
            assert set(one) == inner(pages[key])


def test_check(terminal, files, tmp_path):
    table = tmp_path / "twice.csv"
    lines = (files / "topics.csv").read_text().splitlines()
    table.write_text("\n".join([*lines, lines[1]]) + "\n")
    found = terminal("check", table, "--no-suspects", "--json").json
    pages = documented("check")
    assert set(found) == set(pages)
    assert set(found["counts"]) == inner(pages["counts"])
    assert found["findings"]
    assert set(found["findings"][0]) == inner(pages["findings"])


def test_predict_and_evaluate(terminal, topics, price, silent, files):
    found = terminal("predict", topics.path, "a goat", "", "--json").json
    pages = documented("predict")
    assert set(found) == set(pages)
    assert set(found["skipped"][0]) == inner(pages["skipped"])
    twice = ("--against", topics.path)
    texts = terminal("evaluate", topics.path, files / "topics.csv", "--json", *twice).json
    numbers = terminal("evaluate", price.path, files / "price.csv", "--json").json
    abstains = terminal("evaluate", silent.path, files / "topics.csv", "--json").json
    pages = documented("evaluate")
    assert set(texts) | set(numbers) | set(abstains) == set(pages)
    assert set(abstains["coverage"]) == inner(pages["coverage"])
    assert {"model"} | set(texts["against"]) <= inner(pages["against"]) | set(numbers) | set(texts)
    assert set(texts["gain"]) == inner(pages["gain"]) - VERDICTS


def test_abstaining(silent):
    found, pages = silent.ran.json, documented("fit")
    assert set(found) == set(pages)
    words = {"none", "temperature", "bias-corrected temperature"}
    parts = {"estimate", "low", "high", "n"}
    assert set(found["calibration"]) | parts | {"none"} == inner(pages["calibration"])
    assert found["calibration"]["method"] in words
    below = {"estimate", "low", "high", "score", "threshold", "auroc"}
    assert set(found["abstention"]) | below == inner(pages["abstention"])


@pytest.mark.parametrize("verb", ["sources", "cache"])
def test_sources_and_cache(terminal, verb):
    assert set(terminal(verb, "--json").json) == set(documented(verb))
