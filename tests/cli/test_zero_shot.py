"""``headstart fit --classes``: with no data, with data, and every wrong way to ask."""

from __future__ import annotations

import pytest
from tests import samples

pytestmark = pytest.mark.weights


def test_without_data(terminal, weights, tmp_path):
    ran = terminal("fit", "--classes", "refund, card lost", "-o", tmp_path / "m")
    assert ran.code == 0, ran.err
    assert "2 classes: card lost, refund" in ran.out
    assert "Nothing is measured" in ran.out
    said = terminal("predict", tmp_path / "m", "I can't find my bank card")
    assert "card lost" in said.out.splitlines()[1]


def test_json_has_the_keys_of_fit(terminal, weights, tmp_path):
    data = tmp_path / "topics.csv"
    frame = samples.topics(8)
    frame.loc[3:, "topic"] = ""
    frame.to_csv(data, index=False)
    classes = tmp_path / "classes.csv"
    classes.write_text("class,description\nanimal,a living being\nfood,something to eat\n"
                       "vehicle,something to travel with\n")  # fmt: skip
    ran = terminal("fit", data, "--classes", classes, "-o", tmp_path / "m", "--json")
    assert ran.code == 0, ran.err
    found = ran.json
    keys = {"task", "chosen", "score", "baselines", "gain", "candidates", "curve", "decisions"}
    assert set(found) >= keys | {"label_multiplier", "seconds", "model"}
    assert found["chosen"]["strategy"] == "zero-shot"
    assert found["score"]["n"] == 3
    assert found["gain"] is None
    assert len(found["label_next"]) == 21
    shown = terminal("fit", data, "--classes", classes, "-o", tmp_path / "m")
    assert "on 3 labelled items" in shown.out
    assert "majority" in shown.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classes", "refund"], "at least two classes"),
        (["--classes", "missing.csv"], "no such file"),
        (["--classes", "a, b", "--modality", "table"], "cannot be known by their names"),
        ([], "Missing argument 'DATA'"),
    ],
)
def test_wrong_ways_to_ask(arguments, message, terminal, weights, tmp_path):
    ran = terminal("fit", *arguments, "-o", tmp_path / "m")
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "m").exists()
