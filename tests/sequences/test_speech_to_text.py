"""Speech to text: tuning, saving, what must not matter, and what comes of bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny_whisper import spoken, whisper

from headstart.core.errors import (
    BundleCorruptError,
    DataError,
    OptionError,
    SourceError,
    UnknownNameError,
)
from headstart.core.types import State
from headstart.evaluate.edit_distance import WER
from headstart.sequences import kind_of, speech_hear
from headstart.sequences.base import Examples
from headstart.sequences.speech import SpeechModel, language_of
from headstart.sequences.speech_hear import Ear, padded, windows_of
from headstart.sequences.speech_train import (
    epochs_for,
    held_for_stopping,
    rebuilt,
    trained_names,
    tune,
)
from headstart.sequences.speech_write import limit_of, loop_of
from headstart.sources.speech_model import load_speech

TEXTS = ["mano", "tela", "oro", "ubi"]
KIND = kind_of("speech-to-text")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_hear, "LEAST", 2.0)  # a tiny model needs no more, and is faster


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    files = spoken(tmp_path_factory.mktemp("sounds"), TEXTS)
    return Examples(tuple(map(str, files)), tuple(TEXTS), tuple(TEXTS), np.arange(4))


def fitted(folder: Path, examples: Examples, strategy: str, *, seed: int = 0) -> SpeechModel:
    plan = KIND.plan(examples, source=[str(folder)], strategy=[strategy])
    one = plan.transfers[0] if plan.transfers else plan.baseline
    return one.fit(examples, seed=seed)


def said(model: SpeechModel, examples: Examples) -> list[tuple[str, float]]:
    return [(one.value, round(one.confidence, 6)) for one in model.predict(examples.inputs)]


@pytest.mark.parametrize("strategy", ["untouched", "lora", "partial", "finetune"])
def test_a_saved_model_opens_to_the_same_answers(
    folder: Path, examples: Examples, strategy: str
) -> None:
    model = fitted(folder, examples, strategy)
    state = model.to_state()
    opened = KIND.open(strategy, model.source, model.weights_sha256, state)
    assert said(opened, examples) == said(model, examples)
    assert np.array_equal(opened.golden(), model.golden())
    assert model.golden().shape == (100,)
    assert state.meta == {"language": model.language}
    assert bool(state.arrays) == (strategy != "untouched")


@pytest.mark.parametrize("strategy", ["lora", "partial"])
def test_the_frozen_encoder_and_the_source_are_bit_identical_after_fit(
    folder: Path, examples: Examples, strategy: str
) -> None:
    ear = Ear(load_speech(str(folder)))
    before = {name: one.clone() for name, one in ear.source.network.state_dict().items()}
    made = tune(
        ear, examples, strategy=strategy, language="it", seed=0, reporter=_Quiet(), epochs=2
    )
    for name, value in ear.source.network.state_dict().items():
        assert torch.equal(value, before[name]), name
    changed = {
        name
        for name, value in made.source.network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed
    assert not any(name.startswith(("blocks.", "tokens.", "position.")) for name in changed)
    if strategy == "partial":
        assert changed <= set(trained_names(ear.source.network, "partial"))


class _Quiet:
    def say(self, text: str) -> None:
        pass

    def progress(self, *args: object) -> None:
        pass


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    folder: Path, examples: Examples
) -> None:
    first, again, other = (
        fitted(folder, examples, "lora", seed=seed).to_state().arrays for seed in (3, 3, 4)
    )
    assert {name: one.tobytes() for name, one in first.items()} == {
        name: one.tobytes() for name, one in again.items()
    }
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_low_rank_updates_change_nothing_before_they_learn(
    folder: Path, examples: Examples
) -> None:
    ear = Ear(load_speech(str(folder)))
    made = tune(ear, examples, strategy="lora", language="it", seed=0, reporter=_Quiet(), epochs=0)
    for name, value in made.source.network.state_dict().items():
        assert torch.equal(value, ear.source.network.state_dict()[name]), name
    assert all(not made.arrays[name].any() for name in made.arrays if name.endswith(".B"))


def test_finetune_learns_four_transcripts_by_heart(
    folder: Path, examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.sequences import speech_train

    recipe = speech_train.Recipe(2e-2, "all weights", hears=True)
    monkeypatch.setitem(speech_train.RECIPES, "finetune", recipe)
    ear = Ear(load_speech(str(folder)))
    made = tune(
        ear, examples, strategy="finetune", language="it", seed=0, reporter=_Quiet(), epochs=90
    )
    before = _wer(ear, examples)
    after = _wer(Ear(made.source, keep=False), examples)
    assert after < min(before, 0.3)


def _wer(ear: Ear, examples: Examples) -> float:
    model = SpeechModel(
        strategy="finetune", source=ear.source, ear=ear, language="it", state=State()
    )
    answers = [one.value for one in model.predict(examples.inputs)]
    return WER.total(WER.of(examples.targets, answers))


def test_neither_batch_nor_order_changes_an_answer(folder: Path, tmp_path: Path) -> None:
    texts = [*TEXTS, "mano", "tela tela tela tela tela", "a"]
    files = [str(one) for one in spoken(tmp_path, texts)]
    model = KIND.plan(_all(files, texts), source=[str(folder)]).baseline.fit(_all(files, texts))
    together = [one.value for one in model.predict(files)]
    assert together == [model.predict([one])[0].value for one in files]
    assert together[::-1] == [one.value for one in model.predict(files[::-1])]


def _all(files: list[str], texts: list[str]) -> Examples:
    return Examples(tuple(files), tuple(texts), tuple(files), np.arange(len(files)))


def test_states_that_were_kept_are_those_that_are_computed(
    folder: Path, examples: Examples
) -> None:
    source = load_speech(str(folder))
    keeps, other = Ear(source), Ear(source, keep=False)
    for _ in range(2):
        for item in examples.inputs:
            kept, made = next(keeps.windows(item)), next(other.windows(item))
            assert torch.equal(kept.states, made.states)
            assert kept.seconds == made.seconds
            list(keeps.windows(item))
    assert keeps.computed <= 2 * len(examples.inputs)
    assert other.computed == 2 * len(examples.inputs)
    full = Ear(source, most=10)
    assert torch.equal(next(full.windows(examples.inputs[0])).states, made.states) is False
    list(full.windows(examples.inputs[0]))
    list(full.windows(examples.inputs[0]))
    assert full.computed == 3


def test_a_file_that_changed_is_heard_again(folder: Path, tmp_path: Path) -> None:
    ear = Ear(load_speech(str(folder)))
    [file] = spoken(tmp_path, ["mano"])
    [first] = ear.windows(str(file))
    spoken(tmp_path, ["ubi mano tela oro ubi mano tela"])
    [second] = ear.windows(str(file))
    assert ear.computed == 2
    assert second.seconds > first.seconds


def test_long_recordings_are_cut_where_it_is_quiet_and_nothing_is_lost() -> None:
    rate = 2000
    rng = np.random.default_rng(0)
    wave = (0.3 * rng.normal(size=rate * 75)).astype(np.float32)
    wave[rate * 28 : rate * 28 + rate // 2] *= 0.01
    pieces = list(windows_of((wave, rate), rate=rate))
    assert round(len(pieces[0]) / rate) == 28
    assert sum(map(len, pieces)) == len(wave)
    assert np.array_equal(np.concatenate(pieces), np.clip(wave, -1, 1))
    assert all(len(one) <= 30 * rate for one in pieces)


def test_silence_is_answered_with_nothing_and_no_step_is_taken(
    folder: Path, examples: Examples
) -> None:
    model = fitted(folder, examples, "untouched")
    quiet = (np.zeros(8000, np.int16), 8000)
    answer = model.predict([quiet])[0]
    assert (answer.value, answer.confidence) == ("", 1.0)
    with pytest.raises(DataError, match="no sound in any recording"):
        language_of(model.ear, [quiet])


def test_recordings_of_any_make_are_written_down(folder: Path, examples: Examples) -> None:
    model = fitted(folder, examples, "untouched")
    rng = np.random.default_rng(0)
    loud = rng.uniform(-0.5, 0.5, size=192_000).astype(np.float32)
    made = [
        (np.stack([loud, loud], axis=1), 192_000),
        ((loud[:8000] * 127 + 128).astype(np.uint8), 8000),
        (loud[:40], 8000),
    ]
    assert len(model.predict(made)) == 3
    with pytest.raises(DataError, match="not finite"):
        model.predict([(np.full(9000, np.nan, np.float32), 8000)])


def test_the_language_is_the_one_of_most_of_the_sound(folder: Path, examples: Examples) -> None:
    model = fitted(folder, examples, "untouched")
    assert model.language in ("en", "it")
    assert str(model.decisions[0]).startswith(f"language {model.language}: ")
    assert len(model.ear.spoken) == 4


def test_what_cannot_be_learnt_from_is_said_or_refused(
    folder: Path, tmp_path: Path, examples: Examples
) -> None:
    long = spoken(tmp_path, ["mano" * 80, "ubi"])
    both = _all([str(one) for one in long], ["mano", "ubi"])
    model = fitted(folder, both, "lora")
    assert any("not learnt from" in one.what for one in model.decisions)
    with pytest.raises(DataError, match="nothing can be learnt from"):
        fitted(folder, both.take([0]), "lora")


def test_who_takes_part(folder: Path, examples: Examples) -> None:
    named = str(folder)
    plan = KIND.plan(examples, source=[named])
    assert (plan.baseline.strategy, plan.guarded) == ("untouched", True)
    assert [one.strategy for one in plan.transfers] == ["partial", "lora"]
    short = KIND.plan(examples, source=[named], budget=1.0)
    assert [one.strategy for one in short.transfers] == ["partial"]
    assert "--budget" in short.decisions[0].override
    again = KIND.plan(examples, source=[named], budget=1.4)  # what is left is measured
    assert again.decisions == short.decisions
    forced = KIND.plan(examples, source=[named], strategy=["finetune"])
    assert ([one.strategy for one in forced.transfers], forced.guarded) == (["finetune"], False)
    with pytest.raises(UnknownNameError, match="did you mean 'lora'"):
        KIND.plan(examples, source=[named], strategy=["lore"])
    with pytest.raises(SourceError, match="only a whole Whisper"):
        KIND.plan(examples, source=["minilm"])


@pytest.mark.parametrize(
    ("strategy", "change"),
    [
        ("knn", lambda arrays, meta: None),
        ("untouched", lambda arrays, meta: None),
        ("lora", lambda arrays, meta: arrays.popitem()),
        ("lora", lambda arrays, meta: arrays.update(x=np.zeros(3, np.float32))),
        ("lora", lambda arrays, meta: meta.update(language="xx")),
        ("lora", lambda arrays, meta: [one.fill(np.nan) for one in arrays.values()]),
    ],
)
def test_a_damaged_model_is_named(
    folder: Path, examples: Examples, strategy: str, change: Callable[[dict, dict], object]
) -> None:
    source = load_speech(str(folder))
    made = tune(
        Ear(source), examples, strategy="lora", language="it", seed=0, reporter=_Quiet(), epochs=0
    )
    arrays, meta = dict(made.arrays), {"language": "it"}
    change(arrays, meta)
    with pytest.raises(BundleCorruptError, match="damaged"):
        KIND.open(strategy, source.card, source.weights_sha256, State(arrays, meta))
    with pytest.raises(BundleCorruptError, match="sha256"):
        KIND.open("untouched", source.card, "0" * 64, State({}, {"language": "it"}))
    with pytest.raises(ValueError, match="arrays"):
        rebuilt(source, "lora", {})


def test_items_in_python(examples: Examples) -> None:
    sound = (np.ones(900, np.float32) / 2, 8000)
    assert KIND.items([Path(examples.inputs[0]), sound])[0] == examples.inputs[0]
    with pytest.raises(OptionError, match="list of recordings"):
        KIND.items(examples.inputs[0])
    with pytest.raises(DataError, match="item 1"):
        KIND.items([sound, (np.zeros(0, np.float32), 8000)])


def test_rules() -> None:
    assert [epochs_for(n, validated=True) for n in (1, 10_000)] == [20, 3]
    assert len(held_for_stopping(np.arange(20), 0)) == 0
    groups = np.repeat(np.arange(10), 5)
    held = held_for_stopping(groups, 0)
    assert 5 <= len(held) <= 15
    assert not set(groups[held]) & set(np.delete(groups, held))
    assert len(held_for_stopping(np.zeros(50), 0)) == 0
    assert padded(30 * 16000, 16000) == 30.0
    assert limit_of(0.5, 48, 4) == 24
    assert loop_of([5] * 12) == 11
    assert loop_of([1, 2, 3] * 3) == 0
    assert math.isclose(loop_of([7, *[1, 2, 3] * 4]), 9)


def test_through_the_front_door_and_back_from_disk(folder: Path, tmp_path: Path) -> None:
    import headstart as hs

    texts = [*TEXTS, "mare", "seta", "olio", "una"]
    files = spoken(tmp_path / "sounds", texts, seed=5)
    lines = [f"sounds/{one.name},{text}" for one, text in zip(files, texts, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["audio,transcript", *lines]) + "\n")
    result = hs.fit(
        str(tmp_path / "data.csv"),
        task="speech-to-text",
        source=str(folder),
        strategy="lora",
        budget="10m",
    )
    assert result.gain.baseline == "untouched"
    result.save(tmp_path / "model")
    opened = hs.load(tmp_path / "model")
    assert opened.predict([str(one) for one in files]) == result.predict(
        [str(one) for one in files]
    )
