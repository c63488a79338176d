"""``fit`` with strategies that tune the source: stopped, resumed, gated, and its curves saved."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pandas as pd
import pytest

import headstart as hs
from headstart.strategies.tuning.loop import Loop

transformers = pytest.importorskip("transformers")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "a", "the", "very"]
N = 120


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A tiny BERT with random weights, in a directory as Hugging Face lays it out."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers

    place = tmp_path_factory.mktemp("source")
    sizes = {"hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 40}
    config = transformers.BertConfig(
        vocab_size=len(WORDS), num_hidden_layers=2, num_attention_heads=2, **sizes
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(place)
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(place / "tokenizer.json"))
    return place


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """Texts of two classes that one word tells apart."""
    rows = [
        {"text": f"a {'very ' * (i % 5)}{word} film {'the ' * (i % 7)}", "label": word}
        for i in range(N // 2)
        for word in ("good", "bad")
    ]
    place = tmp_path_factory.mktemp("films") / "films.csv"
    pd.DataFrame(rows).drop_duplicates().to_csv(place, index=False)
    return place


@pytest.fixture
def fit(terminal, source, films, weights, tmp_path):
    def run(name: str, *more: object):
        return terminal(
            *("fit", films, "-o", tmp_path / name, "--source", source, "--strategy", "lp-ft"),
            *("--strategy", "probe", "--json", *more),
        )

    return run


def stopping_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int) -> None:
    """Send a signal when the ``step``-th optimiser step of the process is done."""
    note, seen = Loop._note, []

    def noted(self: Loop, factor: float) -> None:
        note(self, factor)
        seen.append(None)
        if len(seen) == step:
            signal.raise_signal(number)

    monkeypatch.setattr(Loop, "_note", noted)


@pytest.mark.parametrize(("step", "number", "code"), [(9, 15, 75), (50, 15, 75), (30, 2, 130)])
def test_stopped_by_a_signal_and_resumed_it_ends_in_the_same_bytes(
    fit, monkeypatch, tmp_path, step, number, code
):
    whole = fit("whole")
    assert whole.code == 0, whole.err
    with monkeypatch.context() as patch:
        stopping_at(patch, step, number)
        stopped = fit("again")
    assert stopped.code == code, stopped.err
    assert "--resume goes on" in stopped.err
    assert not (tmp_path / "again").exists()
    assert list((tmp_path / "again.checkpoints").glob("*.safetensors"))
    before = signal.getsignal(signal.SIGTERM)
    resumed = fit("again", "--resume")
    assert resumed.code == 0, resumed.err
    assert "Going on with" in resumed.err
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (tmp_path / "again.checkpoints").exists()
    for key in ("score", "gain", "transfer", "chosen"):
        assert resumed.json[key] == whole.json[key]
    timed = [text for text in resumed.json["decisions"] if "lp-ft tunes" in text]
    assert timed[0] in stopped.err  # what was measured then is what holds now
    for file in ("model.safetensors", "golden.safetensors", "training.jsonl"):
        one, two = tmp_path / "whole" / file, tmp_path / "again" / file
        assert one.exists() == two.exists()
        assert not one.exists() or one.read_bytes() == two.read_bytes()


def test_a_tuned_model_is_saved_with_its_curves_and_predicts_the_same(fit, tmp_path, terminal):
    ran = fit("model")
    assert ran.code == 0, ran.err
    assert {one["strategy"] for one in ran.json["candidates"]} >= {"lp-ft", "probe"}
    assert ran.err.count("MB beside what is loaded (weights") == 1
    loaded = hs.load(tmp_path / "model")
    assert loaded.predict(["a good film", "a bad film"]).tolist() == ["good", "bad"]
    if ran.json["chosen"]["strategy"] == "lp-ft":
        rows = [json.loads(row) for row in (tmp_path / "model/training.jsonl").open()]
        assert [row["step"] for row in rows if "loss" in row] == sorted(
            row["step"] for row in rows if "loss" in row
        )
        assert list(loaded.training) == rows


def test_what_lies_in_the_folder_of_checkpoints_is_not_removed(fit, tmp_path):
    folder = tmp_path / "model.checkpoints"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    assert fit("model").code == 0
    assert [file.name for file in folder.iterdir()] == ["mine.txt"]


def test_no_time_leaves_tuning_out_and_says_so(
    terminal, source, films, weights, tmp_path, monkeypatch
):
    from headstart.select import contest

    monkeypatch.setattr(contest, "ROOM", -1.0)  # however good scratch is, there is more to win
    ran = terminal(
        *("fit", films, "-o", tmp_path / "m", "--source", source, "--budget", "0.001s", "--json")
    )
    assert ran.code == 0, ran.err
    (tuned,) = (one for one in ran.json["candidates"] if one["strategy"] == "lp-ft")
    assert (tuned["status"], tuned["estimate"]) == ("left out", None)
    assert any("lp-ft left out: it takes long" in text for text in ran.json["decisions"])


def test_a_budget_that_is_none_is_refused(terminal, films, tmp_path):
    ran = terminal("fit", films, "-o", tmp_path / "m", "--budget", "soon")
    assert ran.code == 2
    assert "--budget" in ran.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_stopped_in_the_race_it_says_what_is_kept(
    terminal, films, source, weights, tmp_path, monkeypatch, number, code
):
    from headstart.select import contest, journal

    monkeypatch.setattr(journal, "WORTH_KEEPING", 0.0)
    real, seen = contest.held_out, []

    def stopping(entry, *rest):
        seen.append(entry)
        if len(seen) == 7:
            signal.raise_signal(number)
        return real(entry, *rest)

    command = ("fit", films, "-o", tmp_path / "m", "--source", source, "--strategy", "probe")
    # a shell's background job is born deaf to Ctrl-C
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(contest, "held_out", stopping)
            ran = terminal(*command, "--json")
    finally:
        signal.signal(signal.SIGINT, before)
    assert ran.code == code, ran.err
    assert f"what was done is kept: {tmp_path / 'm.checkpoints'}" in ran.err
    assert "--resume goes on from there" in ran.err
    done = len(list((tmp_path / "m.checkpoints").glob("race-*.safetensors")))
    assert done == 6
    seen.clear()
    monkeypatch.setattr(contest, "held_out", lambda *given: seen.append(given) or real(*given))
    again = terminal(*command, "--json", "--resume")
    assert again.code == 0, again.err
    assert len(seen) == 15 - done
    whole = terminal("fit", films, "-o", tmp_path / "w", *command[4:], "--json")
    for key in ("score", "gain", "chosen", "baselines"):
        assert again.json[key] == whole.json[key]
