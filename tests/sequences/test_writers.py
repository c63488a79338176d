"""Translation and summarization on tiny models that write."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from tests.sequences.tiny_texts import tiny_bert
from tests.sequences.tiny_writers import tiny_writer

import headstart as hs
from headstart.core.errors import (
    DataError,
    IntegrityError,
    OptionError,
    SourceError,
    UnreadableError,
)
from headstart.sequences import kind_of
from headstart.sequences.writers import Plain, TunedWriter, fit_tuned
from headstart.sources import seq2seq

transformers = pytest.importorskip("transformers")
KIND = kind_of("translation")
FRAME = pd.DataFrame({"source": ["a b", "c d", "a b"], "target": ["b a", "d c", "b a"]})


def test_columns_copies_and_empty_cells(tmp_path) -> None:
    reading = KIND.read(FRAME)
    assert reading.columns == {"texts": "source", "targets": "target"}
    assert reading.train.groups[0] == reading.train.groups[2] != reading.train.groups[1]
    path = tmp_path / "a.csv"
    path.write_text("en,de,g\na,b,1\nc,,1\n")
    with pytest.raises(UnreadableError, match="row 2"):
        KIND.read(str(path), text="en", label="de")
    half = KIND.read(str(path), text="en", label="de", group="g", allow_unreadable=0.5)
    assert half.train.n == 1
    assert half.train.grouped
    assert half.skipped[0].item == "row 2"
    assert KIND.read_inputs([str(path)], columns=half.columns)[0] == ("a", "c")
    assert KIND.read_inputs(["a b", "c"])[0] == ("a b", "c")
    assert KIND.read(FRAME, test=FRAME.iloc[1:2]).train.n == 2
    with pytest.raises(DataError, match="test part"):
        KIND.read(FRAME.iloc[:1], test=FRAME)
    with pytest.raises(DataError, match="table"):
        KIND.read(str(tmp_path))
    with pytest.raises(OptionError, match="file itself"):
        KIND.read(FRAME, path="x")
    with pytest.raises(OptionError, match="list"):
        KIND.items("a")
    with pytest.raises(DataError, match=r"items\[1\]"):
        KIND.items(["a", 3])


def test_a_source_that_cannot_write_is_refused(tmp_path) -> None:
    train = KIND.read(FRAME).train
    with pytest.raises(SourceError, match="needs one source"):
        KIND.plan(train)
    with pytest.raises(SourceError, match="no source of headstart's own"):
        KIND.plan(train, source=["minilm"])
    with pytest.raises(SourceError, match="writes no text"):
        KIND.plan(train, source=[tiny_bert(tmp_path / "bert")])
    place = tiny_writer(tmp_path / "t5")
    card = seq2seq.describe(place)
    (tmp_path / "t5" / "tokenizer_config.json").unlink()
    (tmp_path / "t5" / "tokenizer.json").unlink()
    with pytest.raises(SourceError, match="no tokenizer"):
        seq2seq.describe(place)
    with pytest.raises(IntegrityError, match="not the one"):
        seq2seq.load(card)


def test_damaged_weights_are_refused(tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    place = tiny_writer(tmp_path)
    weights = tmp_path / "model.safetensors"
    tensors = load_file(weights)
    dropped = next(name for name in tensors if name.startswith("encoder.block.0"))
    save_file({n: t for n, t in tensors.items() if n != dropped}, weights, {"format": "pt"})
    with pytest.raises(SourceError, match="missing from"):
        seq2seq.load(seq2seq.describe(place))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(SourceError, match="cannot load"):
        seq2seq.load(seq2seq.describe(place))


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_greedy_writing_is_that_of_transformers(kind, tmp_path) -> None:
    import torch

    written = seq2seq.load(seq2seq.describe(tiny_writer(tmp_path, kind=kind)))
    read = [ids for ids, _ in written.encode(["a b c", "b c d"])]
    made = written.write(read, beams=1, longest=5)
    oracle = written.model.generate(input_ids=torch.tensor(read), max_new_tokens=5, num_beams=1)
    texts = written._tokenizer.batch_decode(oracle, skip_special_tokens=True)
    assert [text for text, _ in made] == [text.strip() for text in texts]
    alone = [written.write([one], beams=4, longest=5)[0] for one in read]
    together = written.write(read, beams=4, longest=5)
    assert [text for text, _ in alone] == [text for text, _ in together]
    assert all(0 < sure <= 1 for _, sure in together)


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_tuning_learns_to_turn_words_round(kind, tmp_path, monkeypatch) -> None:
    from headstart.sequences import tuned, writers

    monkeypatch.setattr(tuned, "epochs_for", lambda modality, n: 40)
    monkeypatch.setattr(writers, "RATES", {"finetune": (1e-2, 1e-2)})
    letters = "abcdefgh"
    rows = [(f"{a} {b}", f"{b} {a}") for a in letters[:4] for b in letters[4:]]
    train = KIND.read(pd.DataFrame(rows, columns=["text", "target"])).train
    card = seq2seq.describe(tiny_writer(tmp_path, kind=kind))
    model = fit_tuned(card, "translation", "finetune", train, seed=0)
    said = [one.value for one in model.predict(train.inputs)]
    assert KIND.measures[0].total(KIND.measures[0].of(train.targets, said)) > 0.8


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_what_is_not_tuned_stays_bit_for_bit(kind, tmp_path) -> None:
    place = tiny_writer(tmp_path, kind=kind)
    card = seq2seq.describe(place)
    before = seq2seq.load(card).model.state_dict()
    written = seq2seq.load(card)
    net = TunedWriter(written, "lora", 0)
    assert all("parametrizations.weight.0" in name for name in net.learnt())
    read = [ids for ids, _ in written.encode(["a b"])]
    plain = seq2seq.load(card)
    before_it, after_it = plain.loss(read, read).item(), written.loss(read, read).item()
    assert after_it == pytest.approx(before_it, rel=1e-6)
    tuned = TunedWriter(seq2seq.load(card), "finetune", 0)
    shared = before["shared.weight" if kind == "t5" else "model.shared.weight"]
    train = KIND.read(FRAME).train
    for method in ("lora", "finetune"):
        after = dict(fit_tuned(card, "translation", method, train, seed=0).net.named_parameters())
        still = [name for name, one in after.items() if not one.requires_grad]
        for name in still:
            old = name.removeprefix("model.").replace(
                ".parametrizations.weight.original", ".weight"
            )
            assert after[name].equal(before[old]), name
    held = [name for name, one in tuned.named_parameters() if not one.requires_grad]
    assert held
    assert not any(one.shape == shared.shape for one in tuned.learnt().values())


def test_the_baseline_is_the_better_of_source_and_nothing(tmp_path) -> None:
    place = tiny_writer(tmp_path, prefix=True)
    kind = kind_of("summarization")
    rows = [(f"red {one} . two two . a b c .", f"red {one} .") for one in "abcdefgh"]
    train = kind.read(pd.DataFrame(rows, columns=["text", "summary"])).train
    plan = kind.plan(train, source=[place])
    assert [one.strategy for one in plan.transfers] == ["lora", "finetune"]
    model = plan.baseline.fit(train, seed=0)
    assert model.strategy == "lead"
    assert model.predict(["a. b. c."])[0].value == "a."
    assert "the first 1 sentences" in str(model.decisions[0])
    again = kind.open("lead", None, "", model.to_state())
    assert again.golden().tolist() == model.golden().tolist()
    written = seq2seq.load(seq2seq.describe(place))
    assert written.prefixes == {"summarization": "summarize: "}


def test_an_untouched_source_that_is_better_is_the_baseline(tmp_path, monkeypatch) -> None:
    place = tiny_writer(tmp_path)
    train = KIND.read(pd.DataFrame({"text": ["a b", "c d"], "target": ["one two", "two"]})).train
    said = {"a b": ("one two", 0.9), "c d": ("two", 0.8)}
    plan = KIND.plan(train, source=[place])
    loaded = seq2seq.load(seq2seq.describe(place))

    def write(self, read, **_):
        return [said[loaded._tokenizer.decode(one, skip_special_tokens=True)] for one in read]

    monkeypatch.setattr(seq2seq.Seq2Seq, "write", write)
    model = plan.baseline.fit(train, seed=0)
    assert model.strategy == "untouched"
    assert model.to_state().arrays == {}
    again = partial(KIND.open, "untouched", model.source)(model.weights_sha256, model.to_state())
    np.testing.assert_allclose(again.golden(), model.golden(), rtol=1e-5)


def test_long_texts_are_cut_and_it_is_said(tmp_path) -> None:
    card = seq2seq.describe(tiny_writer(tmp_path))
    written = seq2seq.load(card)
    (ids, cut), (_, short) = written.encode(["a " * 200, "a"])
    assert len(ids) == 64
    assert ids[-1] == 1
    assert (cut, short) == (True, False)
    assert json.dumps(card.to_json())


def test_lead_takes_whole_sentences() -> None:
    assert Plain("lead", 2).predict(["One. Two!  Three?"])[0].value == "One. Two!"
    assert Plain("lead", 1).predict(["", "no stop"])[1].value == "no stop"
    assert Plain("copy", 1).predict([" a "])[0].value == "a"


def test_what_is_named_and_what_is_told_is_what_is_handed_back(tmp_path) -> None:
    place = tiny_writer(tmp_path)
    train = KIND.read(FRAME).train
    model = KIND.plan(train, source=[place], strategy=["untouched"]).baseline.fit(train, seed=0)
    assert model.strategy == "untouched"
    pairs = pd.DataFrame({"text": ["a b", "c d", "e f"], "target": ["a b", "c d", "e f"]})
    both = ["untouched", "copy"]
    for named in (both, "copy"):
        result = hs.fit(pairs, task="translation", source=place, strategy=named)
        assert (result.shipped.strategy, result.shipped.source) == ("copy", None)
        assert result.to_json()["chosen"] == {"source": None, "strategy": "copy"}
        assert result.candidates[0].status == "chosen"
        assert result.fitted.strategy == "copy"
        assert result.score.estimate == 1.0


def test_the_baseline_is_chosen_on_what_does_not_judge_it(tmp_path, monkeypatch) -> None:
    from headstart.sequences import writers

    place, fitted = tiny_writer(tmp_path), []
    real = writers.fit_baseline

    def spy(shared, way, measure, examples, **named):
        fitted.append(examples.n)
        return real(shared, way, measure, examples, **named)

    monkeypatch.setattr(writers, "fit_baseline", spy)
    pairs = pd.DataFrame({"text": ["a b", "c d", "e f"], "target": ["a b", "c d", "e f"]})
    hs.fit(pairs, task="translation", source=place, strategy=["untouched", "copy"])
    assert fitted == [2, 2, 2, 3]


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_long_answers_do_not_run_out_of_positions(kind, tmp_path) -> None:
    rows = [(f"{one} b", "a " * 90) for one in "abcd"]
    train = KIND.read(pd.DataFrame(rows, columns=["text", "target"])).train
    card = seq2seq.describe(tiny_writer(tmp_path, kind=kind))
    model = fit_tuned(card, "translation", "lora", train, seed=0)
    assert model.longest == 64
    assert any("only the beginning" in one.what for one in model.decisions)
    assert len(model.predict(["a b"])) == 1


def test_texts_that_no_encoding_knows_have_a_fingerprint(tmp_path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "target": "x \\ud83d"}\n')
    assert len(KIND.read(str(tmp_path / "a.jsonl")).fingerprint) == 64
