"""``fit --max-risk``: what is promised is printed, and what is not known is marked."""

from __future__ import annotations

import csv
import io

import pytest

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("weights")]


def test_a_model_that_knows_nothing_abstains_on_everything(terminal, silent):
    told = silent.ran.json["abstention"]
    assert told["certified"] is False
    assert told["coverage"]["estimate"] == 0
    assert told["risk_answered"] is None
    assert "abstains on everything" in told["promise"]
    ran = terminal("predict", silent.path, "a horse", "a tram")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [row["abstained"] for row in rows] == ["True", "True"]
    found = terminal("predict", silent.path, "a horse", "--json").json
    assert found["predictions"][0]["abstained"] is True


def test_evaluate_prints_what_is_answered(terminal, silent, files):
    ran = terminal("evaluate", silent.path, files / "topics.csv")
    assert ran.code == 0
    assert "answered" in ran.out
    assert "0.000" in ran.out
    assert "It abstains on everything" in ran.out
    found = terminal("evaluate", silent.path, files / "topics.csv", "--json").json
    assert found["coverage"]["estimate"] == 0
    assert found["risk_answered"] is None


def test_fit_prints_the_promise(terminal, files, tmp_path):
    arguments = ("--label", "grade", "--strategy", "majority", "--max-risk", "0.9", "--no-curve")
    ran = terminal("fit", files / "wine.csv", *arguments, "-o", tmp_path / "m")
    assert ran.code == 0, ran.err
    assert "It answers everything and promises, with 90 % confidence" in ran.out
    assert "a risk of 90 % is certified" in ran.err


@pytest.mark.parametrize("risk", ["0", "1", "5", "-0.1"])
def test_a_risk_that_is_none_is_refused(terminal, files, tmp_path, risk):
    arguments = ("--label", "grade", f"--max-risk={risk}")
    ran = terminal("fit", files / "wine.csv", *arguments, "-o", tmp_path / "m")
    assert ran.code == 2
    assert "--max-risk" in ran.err
    assert "must lie between 0 and 1" in ran.err


def test_a_regression_is_refused(terminal, files, tmp_path):
    ran = terminal(
        "fit", files / "price.csv", "--label", "salt", "--max-risk", "0.1", "-o", tmp_path / "m"
    )
    assert ran.code == 2
    assert "more or less near" in ran.err


def test_no_label_at_all_is_refused(terminal, tmp_path):
    ran = terminal("fit", "--classes", "refund, parcel", "--max-risk", "0.1", "-o", tmp_path / "m")
    assert ran.code == 2
    assert "no risk can be promised" in ran.err
