"""``headstart metatrain`` as a user sees it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

QUICK = ("--ways", 2, "--steps", 3, "--episodes", 8, "--size", 16, "--budget", "60s", "--quiet")


@pytest.fixture(scope="module")
def signs(tmp_path_factory):
    place = tmp_path_factory.mktemp("signs")
    rng = np.random.default_rng(0)
    for label in range(6):
        (place / f"s{label}").mkdir()
        pattern = rng.integers(0, 2, size=(4, 4)).repeat(4, axis=0).repeat(4, axis=1) * 200
        for number in range(4):
            noise = rng.integers(0, 55, size=(16, 16))
            picture = Image.fromarray((pattern + noise).astype(np.uint8))
            picture.save(place / f"s{label}" / f"{number}.png")
    return place


@pytest.fixture(autouse=True)
def no_sources(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")


def test_json_and_table_and_the_source_on_disk(terminal, signs, tmp_path):
    ran = terminal("metatrain", signs, "-o", tmp_path / "mine", "--json", *QUICK)
    assert ran.code == 0, ran.err
    assert ran.json["source"] == str(tmp_path / "mine")
    assert [row["name"] for row in ran.json["rows"]] == ["protonet", "rfs", "pixels"]
    assert json.loads((tmp_path / "mine" / "card.json").read_text())["provider"] == "directory"
    shown = terminal("metatrain", signs, "-o", tmp_path / "other", "--method", "anil", *QUICK)
    assert "anil is written" in shown.out
    assert f"next: headstart fit DATA --source {tmp_path / 'other'}" in shown.out
    assert "Answered each method's own way" in shown.out
    again = terminal("metatrain", signs, "-o", tmp_path / "other", *QUICK)
    assert again.code == 2
    assert "not replaced" in again.err


@pytest.mark.parametrize("verdict", ["positive", "negative", "inconclusive"])
@pytest.mark.parametrize("chosen", ["anil", "rfs", "frozen"])
def test_who_won_is_said_in_words(chosen, verdict):
    from types import SimpleNamespace

    from headstart.cli.metatrain_table import sentence
    from headstart.core.types import Gain, Score

    gain = Gain(0.1, 0.05, 0.15, 8, "rfs", "accuracy", verdict)
    low, high = Score("accuracy", 0.5, 0.4, 0.6, 8), Score("accuracy", 0.8, 0.7, 0.9, 8)

    def row(name, score, *, trained=True):
        return SimpleNamespace(
            name=name,
            as_source={1: score},
            over_rfs={} if name == "rfs" else {1: gain},
            trained=SimpleNamespace() if trained else None,
        )

    rows = [row("anil", low), row("rfs", low), row("frozen", low, trained=False)]
    rows.append(row("pixels", high, trained=False))
    named = {one.name: one for one in rows}
    result = SimpleNamespace(chosen=chosen, rows=rows, shots=1, row=named.get)
    said = sentence(result)
    words = {
        "positive": "better than rfs",
        "negative": "worse than rfs",
        "inconclusive": "as good as rfs",
    }
    expected = {
        "anil": words[verdict],
        "rfs": "no method that learns to learn is better",
        "frozen": "the source is written as it came",
    }
    assert expected[chosen] in said
    assert ("without any training here: pixels" in said) == (chosen != "frozen")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--method", "protonets"), "did you mean 'protonet'"),
        (("--ways", 4), "--ways 2"),
        (("--ways", 1), "out of range"),
        (("--shots", 9), "too few classes"),
        (("--source", "nothing-of-the-kind"), "unknown source"),
        (("--budget", "soon"), "not a length of time"),
    ],
)
def test_what_cannot_be_is_one_message_and_leaves_nothing(terminal, signs, tmp_path, more, message):
    ran = terminal("metatrain", signs, "-o", tmp_path / "mine", *QUICK, *more)
    assert ran.code == 2
    assert message in ran.err
    assert not (tmp_path / "mine").exists()


def test_ctrl_c_leaves_nothing(terminal, signs, tmp_path, monkeypatch):
    def stop(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr("headstart.meta.run.meta_train", stop)
    ran = terminal("metatrain", signs, "-o", tmp_path / "mine", *QUICK)
    assert ran.code == 130
    assert not (tmp_path / "mine").exists()
    assert not list(tmp_path.glob(".mine*"))
