"""``headstart fit``: what is printed, where, and with which exit code."""

from __future__ import annotations

import math

import pytest

import headstart as hs

pytestmark = pytest.mark.weights

PROMISED = {
    "task",
    "chosen",
    "score",
    "baselines",
    "gain",
    "candidates",
    "curve",
    "label_multiplier",
    "decisions",
    "seconds",
    "model",
}


def test_json_is_one_object_with_the_promised_keys(topics):
    found = topics.ran.json
    assert set(found) >= PROMISED
    assert {"modality", "n", "classes"} <= set(found["task"])
    assert found["task"]["modality"] == "text"
    assert found["task"]["n"] == 24
    assert found["task"]["classes"] == ["animal", "food", "vehicle"]
    assert set(found["chosen"]) == {"source", "strategy", "member"}
    assert {"metric", "estimate", "low", "high"} <= set(found["score"])
    assert set(found["baselines"]) == {"majority", "scratch"}
    for baseline in found["baselines"].values():
        assert {"estimate", "low", "high"} <= set(baseline)
    assert {"estimate", "low", "high", "baseline", "verdict"} <= set(found["gain"])
    assert found["gain"]["verdict"] in {"positive", "none", "negative", "inconclusive"}
    assert found["gain"]["baseline"] == "scratch"
    for candidate in found["candidates"]:
        keys = {"source", "strategy", "estimate", "low", "high", "seconds", "status"}
        assert keys <= set(candidate)
        if candidate["status"] == "left out":
            assert candidate["estimate"] is None
            continue
        assert candidate["low"] <= candidate["estimate"] <= candidate["high"]
    assert [one["status"] for one in found["candidates"]].count("chosen") == 1
    assert all(point["n_per_class"] > 0 for point in found["curve"])
    multiplier = found["label_multiplier"]
    assert multiplier is None or set(multiplier) >= {"estimate", "low", "high", "censored"}
    assert all(isinstance(text, str) for text in found["decisions"])
    assert found["seconds"] > 0
    assert found["model"] == str(topics.path)


def test_decisions_are_said_on_stderr_while_stdout_stays_json(topics):
    for decision in topics.ran.json["decisions"]:
        assert f"· {decision}" in topics.ran.err


def test_the_table_says_the_choice_the_gain_and_where_the_model_is(stripes):
    lines = stripes.ran.out.splitlines()
    assert "Candidates, compared on the training part (6 items)" in lines
    assert any(line.startswith("Judged on ") for line in lines)
    chosen = next(line for line in lines if "<- chosen" in line).split("  ")[0]
    assert chosen.startswith("efficientnet-lite0")
    assert chosen.endswith(" + probe")
    assert f"You get {chosen}." in lines
    assert lines[-1].startswith(f"model: {stripes.path}")
    assert lines[-1].endswith("seed 0")


def test_no_line_ends_in_blanks_and_titles_stand_on_one_line(stripes):
    lines = stripes.ran.out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    title = next(line for line in lines if line.startswith("Judged on "))
    assert title.endswith("took no part in training or choosing")


def test_quiet_says_nothing_on_stderr(stripes, price):
    assert stripes.ran.err == ""
    assert price.ran.err == ""


def test_a_regression_speaks_of_rmse(price):
    found = price.ran.json
    assert found["score"]["metric"] == "rmse"
    assert found["task"]["classes"] == []
    assert found["task"]["kind"] == "regression"
    assert math.isfinite(found["gain"]["estimate"])


def test_a_model_is_replaced_by_the_next_fit(terminal, files, weights, tmp_path):
    arguments = ("--strategy", "majority", "--json", "--quiet")
    for name, label, classes in (("codes", "code", 2), ("topics", "topic", 3)):
        ran = terminal(
            "fit", files / f"{name}.csv", "--label", label, "-o", tmp_path / "m", *arguments
        )
        assert ran.code == 0, ran.err
        assert len(hs.load(tmp_path / "m").classes) == classes
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cache", "m"]


def test_parents_of_the_model_are_made(terminal, files, weights, tmp_path):
    place = tmp_path / "a" / "b" / "model"
    ran = terminal("fit", files / "topics.csv", "--strategy", "majority", "-o", place)
    assert ran.code == 0, ran.err
    assert (place / "manifest.json").is_file()


def test_standalone_carries_the_weights(terminal, files, weights, tmp_path):
    arguments = ("--strategy", "probe", "--shots", "2", "--standalone", "--json", "--quiet")
    ran = terminal("fit", files / "topics.csv", "-o", tmp_path / "m", *arguments)
    assert ran.code == 0, ran.err
    assert (tmp_path / "m" / "source.safetensors").stat().st_size > 80e6
