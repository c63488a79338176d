"""The front door of sequence tasks, seen through one that is quick: letters that were swapped."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.sequences import toy

import headstart as hs
from headstart.bundle.sequence import SequenceBundle
from headstart.cli.sequence_table import sequence_blocks
from headstart.core.errors import (
    BundleCorruptError,
    BundleVersionError,
    DataError,
    IntegrityError,
    OptionError,
    UnknownNameError,
)
from headstart.sequence_fit import fit_sequences
from headstart.sequences import kinds
from headstart.sequences.base import copies
from headstart.sequences.contest import folds_of, one_fold
from headstart.serve import evaluate_model, predict_inputs


class Ways(toy.Toy):
    default = ("lora", "finetune")


class OutOfTime(toy.Toy):
    default = ("partial", "bitfit")


class Harmful(toy.Toy):
    default = ("lora",)


@pytest.fixture
def task(monkeypatch):
    """Put the toy where a task is; a test may name another class of this file."""

    def put(home=toy, name="Toy"):
        module = home if isinstance(home, str) else home.__name__
        found = {"translation": (module, name)}
        monkeypatch.setattr(kinds, "_HOMES", {**kinds._HOMES, **found})
        return "translation"

    original = kinds.import_module

    def found(path):
        return sys.modules.get(path.removeprefix("headstart.sequences.")) or original(path)

    monkeypatch.setattr(kinds, "import_module", found)
    return put


def test_what_helps_is_shipped_with_its_gain(task):
    result = hs.fit(toy.table(), task=task(), seed=0)
    assert result.shipped.strategy == "finetune"
    assert result.gain.verdict == "positive"
    assert result.gain.baseline == "untouched"
    assert result.gain.metric == "cer"
    assert result.score.estimate < 0.05 < result.scores["untouched"].estimate
    assert result.judged_by == "out-of-fold answers to the 40 examples"
    assert "Positive transfer: finetune changes what untouched has by -" in result.headline()
    assert "points of cer [-" in result.headline()
    exact = hs.fit(toy.table(), task="translation", metric="exact_match").headline()
    assert "Positive transfer: finetune is worth +" in exact
    assert result.predict(["abc"]) == ["cde"]
    assert set(result.others["finetune"]) == {"cer", "exact_match"}


def test_what_harms_is_not_shipped_unless_it_is_named(task):
    result = hs.fit(toy.table(), task=task(__name__, "Harmful"))
    assert result.shipped.strategy == "untouched"
    assert result.transfer.strategy == "lora"
    assert result.gain.estimate <= 0
    assert "You get untouched." in str(result)
    named = hs.fit(toy.table(), task="translation", strategy="lora")
    assert named.shipped.strategy == "lora"
    beside = hs.fit(toy.table(), task="translation", strategy=["untouched", "lora"])
    assert beside.shipped.strategy == "untouched"


def test_the_best_of_several_is_chosen_and_the_others_have_lost(task):
    result = hs.fit(toy.table(), task=task(__name__, "Ways"))
    assert {one.strategy: one.status for one in result.candidates} == {
        "untouched": "lost",
        "lora": "lost",
        "finetune": "chosen",
    }


def test_who_has_no_time_or_fails_is_left_out_with_the_reason(task):
    result = hs.fit(toy.table(), task=task(__name__, "OutOfTime"))
    assert result.transfer is None
    assert result.gain is None
    assert result.shipped.strategy == "untouched"
    told = {one.strategy: (one.status, one.reason) for one in result.candidates}
    assert told["partial"] == ("left out", "the budget is used up")
    assert told["bitfit"][0] == "failed"
    assert "No transfer was tried" in result.headline()
    assert list(sequence_blocks(result, "model"))
    with pytest.raises(OptionError, match="what was named could not be fitted"):
        hs.fit(toy.table(), task="translation", strategy="partial")


def test_a_test_part_judges(task):
    result = hs.fit(toy.table(60), test=toy.table(30, seed=1), task=task())
    assert result.judged_by == "the test part (30 examples)"
    assert result.gain.n == 30
    assert result.gain.verdict == "positive"


def test_a_test_part_withdraws_what_harms_there_and_rescues_what_helps(task):
    other = toy.table(30, seed=1)
    other["target"] = other["source"]
    result = hs.fit(toy.table(60), test=other, task=task())
    assert result.gain.verdict == "negative"
    assert result.shipped.strategy == "untouched"
    train = toy.table(60, noise=1.0)
    train.loc[:, "target"] = train["source"].where(np.arange(60) % 5 > 0, "cccccc")
    helped = toy.table(30, seed=2)
    helped["target"] = helped["source"]
    same = hs.fit(train, test=helped, task="translation")
    assert same.shipped.strategy in ("untouched", "finetune")
    named = hs.fit(toy.table(60), test=other, task="translation", strategy="finetune")
    assert named.shipped.strategy == "finetune"
    assert any("negative transfer" in str(one) for one in named.decisions)


def test_groups_are_kept_together_and_widen_the_interval(task):
    frame = toy.table(40, noise=0.2)
    plain = hs.fit(frame, task=task())
    grouped = hs.fit(frame, task="translation", group="speaker")
    assert grouped.reading.train.grouped
    assert grouped.score.high - grouped.score.low > plain.score.high - plain.score.low
    for train, held in folds_of(grouped.reading.train, seed=0):
        groups = grouped.reading.train.groups
        assert not set(groups[train]) & set(groups[held])
    assert len(one_fold(grouped.reading.train, seed=0)) == 1


def test_same_seed_same_json(task):
    one, other = (hs.fit(toy.table(), task=task(), seed=3).to_json() for _ in range(2))
    for found in (one, other):
        found.pop("seconds")
        for candidate in found["candidates"]:
            candidate.pop("seconds")
    assert json.dumps(one) == json.dumps(other)


def test_saved_and_opened_it_answers_the_same(task, tmp_path):
    result = hs.fit(toy.table(), task=task())
    place = result.save(tmp_path / "model")
    opened = hs.load(place)
    assert isinstance(opened, SequenceBundle)
    assert repr(opened) == "<headstart bundle: finetune, translation>"
    assert opened.predict(["abcj"]) == result.predict(["abcj"]) == ["cdeb"]
    assert opened.info["kind"] == "translation"
    assert opened.info["gain"]["verdict"] == "positive"
    again = result.save(tmp_path / "again")
    for name in ("manifest.json", "model.safetensors", "state.json", "golden.safetensors"):
        assert (place / name).read_bytes() == (again / name).read_bytes()
    with pytest.raises(OptionError, match="a model is there already"):
        result.save(place)
    assert result.save(place, overwrite=True) == place


def test_predict_and_evaluate_a_saved_model(task, tmp_path):
    good = hs.fit(toy.table(), task=task()).save(tmp_path / "good")
    bad = hs.fit(toy.table(), task="translation", strategy="lora").save(tmp_path / "bad")
    frame, skipped = predict_inputs(good, ["abc", "a"])
    assert list(frame.columns) == ["input", "label", "confidence", "abstained", "letters"]
    assert frame["label"].tolist() == ["cde", "c"]
    assert not skipped
    with pytest.raises(DataError, match="nothing could be read"):
        predict_inputs(good, [])
    fresh = toy.table(30, seed=5)
    measured = evaluate_model(good, fresh)
    assert measured["metric"] == "cer"
    assert measured["n"] == 30
    assert measured["estimate"] == measured["cer"] == pytest.approx(0.0)
    assert measured["exact_match"] == 1.0
    against = evaluate_model(good, fresh, against=bad)
    assert against["gain"]["verdict"] == "positive"
    assert against["against"]["cer"] == 1.0
    flattering = evaluate_model(good, toy.table())
    assert "learnt from these very examples" in flattering["warnings"][0]
    with pytest.raises(DataError, match="no column 'nothing'"):
        evaluate_model(good, fresh, label="nothing")


def test_a_part_that_judges_inside_data_is_what_is_judged(task, tmp_path, monkeypatch):
    place = hs.fit(toy.table(), task=task()).save(tmp_path / "model")
    read = toy.Toy.read

    def both(self, data, **named):
        reading = read(self, data, **named)
        return replace(reading, test=reading.train.take([0, 1, 2, 3]))

    monkeypatch.setattr(toy.Toy, "read", both)
    measured = evaluate_model(place, toy.table())
    assert measured["n"] == 4
    assert measured["warnings"] == []


def test_models_of_other_tasks_are_not_compared(task, tmp_path):
    good = hs.fit(toy.table(), task=task()).save(tmp_path / "good")
    words = [f"good {i}" for i in range(12)] + [f"bad {i}" for i in range(12)]
    other = hs.fit(
        words, label=["y"] * 12 + ["n"] * 12, strategy="scratch", modality="text", curve=False
    ).save(tmp_path / "other")
    with pytest.raises(OptionError, match="cannot be compared"):
        evaluate_model(good, toy.table(9), against=other)
    with pytest.raises(OptionError, match="needs a model of classes or numbers"):
        evaluate_model(other, (words, ["y"] * 24), against=good)
    with pytest.raises(OptionError, match="cannot be compared"):
        hs.load(good).compare(hs.load(other), toy.Toy().read(toy.table(9)).train)
    empty = toy.Toy().read(toy.table(9)).train
    with pytest.raises(DataError, match="nothing to judge by"):
        hs.load(good).evaluate(type(empty)(empty.inputs, (), empty.ids, empty.groups))


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "golden.safetensors"])
def test_a_damaged_bundle_is_refused(task, tmp_path, name):
    place = hs.fit(toy.table(), task=task()).save(tmp_path / "model")
    raw = bytearray((place / name).read_bytes())
    raw[-2] ^= 1
    (place / name).write_bytes(bytes(raw))
    with pytest.raises(BundleCorruptError, match="sha256"):
        hs.load(place)


def forged(place, change):
    """Rewrite the manifest of a bundle as its writer would, with something changed."""
    from headstart.bundle.manifest import sealed

    said = json.loads((place / "manifest.json").read_text())
    form, schema = said.pop("format"), said.pop("schema")
    said.pop("digest")
    form, schema = change(said) or (form, schema)
    (place / "manifest.json").write_bytes(sealed(said, form, schema, told="a forgery"))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda m: m.update(task="mind-reading"), BundleCorruptError, "known values"),
        (lambda m: m.update(strategy="prayer"), BundleCorruptError, "no strategy 'prayer'"),
        (lambda m: m.update(metric="bleu"), BundleCorruptError, "no measure 'bleu'"),
        (lambda m: m.update(modality="image"), BundleCorruptError, "no modality 'image'"),
        (lambda m: m["files"].pop("state.json") and None, BundleCorruptError, "files"),
        (lambda m: m.update(extra=1), BundleCorruptError, "nobody knows"),
        (lambda m: m.update(columns={"a": 1}), BundleCorruptError, "wrong type"),
        (lambda m: ("headstart-sequence", 99), BundleVersionError, "newer headstart"),
        (lambda m: ("headstart-other", 1), BundleCorruptError, "not the manifest"),
        (lambda m: ("headstart-sequence", 0), BundleCorruptError, "no such schema"),
    ],
)
def test_forged_manifests_are_refused(task, tmp_path, change, error, message):
    place = hs.fit(toy.table(), task=task()).save(tmp_path / "model")
    forged(place, change)
    with pytest.raises(error, match=message):
        hs.load(place)


def test_a_file_more_is_refused(task, tmp_path):
    place = hs.fit(toy.table(), task=task()).save(tmp_path / "model")
    (place / "extra.txt").write_text("x")
    with pytest.raises(BundleCorruptError, match="do not belong"):
        hs.load(place)


def rewritten(place, name, raw):
    import hashlib

    (place / name).write_bytes(raw)

    def change(said):
        said["files"][name] = {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}

    forged(place, change)


def test_states_that_are_not_the_models_own_are_refused_when_it_is_asked(task, tmp_path):
    from headstart.bundle.codec import to_safetensors

    result = hs.fit(toy.table(), task=task())
    place = result.save(tmp_path / "one")
    rewritten(place, "state.json", b'{\n "mapping": {\n  "a": "x"\n }\n}\n')
    with pytest.raises(BundleCorruptError, match="does not answer what it answered"):
        hs.load(place).predict(["a"])
    place = result.save(tmp_path / "two")
    rewritten(place, "state.json", b'{\n "mapping": 3\n}\n')
    with pytest.raises(BundleCorruptError, match="the state is none of translation"):
        hs.load(place).predict(["a"])
    place = result.save(tmp_path / "three")
    bad = to_safetensors({"outputs": np.array([np.nan])}, "golden.safetensors")
    rewritten(place, "golden.safetensors", bad)
    with pytest.raises(BundleCorruptError, match="not golden numbers"):
        hs.load(place)
    place = result.save(tmp_path / "four")
    short = to_safetensors({"outputs": np.zeros(1)}, "golden.safetensors")
    rewritten(place, "golden.safetensors", short)
    with pytest.raises(BundleCorruptError, match="does not answer"):
        hs.load(place).predict(["a"])


def test_what_such_a_task_does_not_take_is_refused(task):
    name = task()
    for given in ({"shots": 3}, {"classes": "a, b"}, {"max_risk": 0.1}, {"curve": True}):
        with pytest.raises(OptionError, match="does not take this"):
            hs.fit(toy.table(), task=name, **given)
    with pytest.raises(UnknownNameError, match="tranlation"):
        hs.fit(toy.table(), task="tranlation")
    with pytest.raises(UnknownNameError, match="measure of translation"):
        hs.fit(toy.table(), task=name, metric="accuracy")
    assert fit_sequences(toy.table(), task=name, metric="exact_match").metric == "exact_match"


def test_one_group_cannot_be_held_out(task):
    frame = toy.table(12).assign(speaker="one")
    with pytest.raises(DataError, match="everything is one group"):
        hs.fit(frame, task=task(), group="speaker")


def test_a_baseline_that_fails_stops_everything(task, monkeypatch):
    monkeypatch.setattr(toy, "untouched", toy.fails)
    with pytest.raises(DataError, match="what transfer is compared with, failed"):
        hs.fit(toy.table(), task=task())


def test_copies_and_own_groups_are_joined():
    groups = copies(["a", "b", "a", "c", "d"], np.array([0, 0, 1, 1, 2]))
    assert len(set(groups[:4])) == 1
    assert groups[4] not in groups[:4]
    assert len(set(copies(["a", "b", "a"]))) == 2
    assert len(set(copies(["The end.", " the  END.", "The end"]))) == 2
    assert len(set(copies([("Ann", "ran"), ("ann", "ran"), ("Ann", "ran", "")]))) == 2


def test_the_command_line(task, tmp_path, capsys, monkeypatch):
    from headstart.cli.app import run

    name, place = task(), tmp_path / "model"
    data = tmp_path / "letters.csv"
    toy.table().to_csv(data, index=False)

    def ran(*arguments):
        with pytest.raises(SystemExit) as ended:
            run([str(one) for one in arguments])
        return ended.value.code, capsys.readouterr()

    code, told = ran("fit", data, "--task", name, "-o", place)
    assert code == 0
    assert "Positive transfer: finetune changes" in " ".join(told.out.split())
    code, told = ran("fit", data, "--task", name, "-o", place, "--json", "--quiet")
    found = json.loads(told.out)
    assert found["task"]["kind"] == name
    assert found["chosen"] == {"source": None, "strategy": "finetune"}
    assert not math.isnan(found["score"]["estimate"])
    code, told = ran("predict", place, "abc")
    assert told.out.splitlines()[0] == "input,label,confidence,abstained,letters"
    code, told = ran("evaluate", place, data)
    assert "exact_match" in told.out
    code, told = ran("fit", data, "--task", name, "-o", place, "--standalone")
    assert code == 2
    assert "--standalone" in told.err


def test_an_integrity_error_is_told_as_it_is(task, tmp_path, monkeypatch):
    place = hs.fit(toy.table(), task=task()).save(tmp_path / "model")

    def other(self, *_):
        raise IntegrityError("other weights")

    monkeypatch.setattr(toy.Toy, "open", other)
    with pytest.raises(IntegrityError, match="other weights"):
        hs.load(place).predict(["a"])


class Reporting(toy.Toy):
    """A baseline that is fitted fold by fold and tells its progress."""

    def plan(self, train, **given):
        plan = super().plan(train, **given)
        return replace(plan, baseline=replace(plan.baseline, fit=toy.slow_untouched))


@pytest.mark.parametrize("budget", ["1s", "0.001s", None])
def test_the_baseline_has_all_the_time_it_needs(task, budget):
    result = hs.fit(toy.table(), task=task(__name__, "Reporting"), budget=budget)
    assert result.candidates[0].score is not None
