"""What every kind of sequence task promises of every strategy.

Saved and opened it answers the same; the same seed gives the same bytes; order and batch do not
matter; what is frozen stays bit for bit; LoRA not yet trained is the source; one example, empty and
very long input, and what was never seen are all answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.sequences.tiny_texts import sentences, tiny_bert
from tests.sequences.tiny_writers import tiny_writer

from headstart.core.errors import (
    BundleCorruptError,
    IntegrityError,
    SourceError,
    UnknownNameError,
)
from headstart.core.types import State
from headstart.sequences import kind_of
from headstart.sequences.question_files import Question

pytest.importorskip("transformers")


@dataclass(frozen=True)
class Kind:
    """A kind under test: its examples, what its source is, and inputs that are odd."""

    data: Callable[[], Any]
    source: Callable[[Any], str]
    strategies: tuple[str, ...]
    odd: tuple[Any, ...]
    empty: Any
    sources_of: tuple[str, ...] = ()  # strategies that have a source


def _tagged() -> Any:
    rows = sentences(24)
    return pd.DataFrame({"tokens": [list(a) for a, _ in rows], "tags": [list(b) for _, b in rows]})


def _asked() -> Any:
    rows = []
    for at, (words, tags) in enumerate(sentences(24)):
        text = " ".join(words)
        end = len(tags) - (words[-1] == ".")
        rows.append((f"who is in {words[3]} {at} ?", text, words[0]))
        rows.append((f"where is {words[0]} {at} ?", text, " ".join(words[3:end])))
        if at % 4 == 0:
            rows.append((f"when did it rain {at} ?", text, None))
    return pd.DataFrame(rows, columns=["question", "context", "answer"])


def _written() -> Any:
    rows = [(f"{a} {b} .", f"{b} {a}") for a in "abcd" for b in "efgh"]
    return pd.DataFrame(rows, columns=["text", "target"])


def _shortened() -> Any:
    rows = [(f"red {a} . two {b} .", f"red {a} .") for a in "abcd" for b in "efgh"]
    return pd.DataFrame(rows, columns=["text", "summary"])


KINDS = {
    "token-classification": Kind(
        data=_tagged,
        source=tiny_bert,
        strategies=("scratch", "probe", "lora", "finetune"),
        odd=(
            ("zzz", "\u4e2d\u6587", "", "\U0001f600"),
            ("anna",) * 150,
            ("x" * 5000,),
        ),
        empty=(),
        sources_of=("probe", "lora", "finetune"),
    ),
    "question-answering": Kind(
        data=_asked,
        source=tiny_bert,
        strategies=("scratch", "probe", "lora", "finetune"),
        odd=(
            Question("zzz \u4e2d\u6587 ?", "\U0001f600 \u4e2d\u6587 qq."),
            Question("where " * 90, "anna lives in rome . " * 60),
            Question("", "x" * 3000),
            Question("who ?", "?!"),
        ),
        empty=Question("", ""),
        sources_of=("probe", "lora", "finetune"),
    ),
    "translation": Kind(
        data=_written,
        source=tiny_writer,
        strategies=("untouched", "lora", "finetune"),
        odd=("zzz \u4e2d\u6587 \U0001f600", "a b c " * 100, "x" * 3000),
        empty="",
        sources_of=("lora", "finetune"),
    ),
    "summarization": Kind(
        data=_shortened,
        source=partial(tiny_writer, kind="bart"),
        strategies=("untouched", "lora", "finetune"),
        odd=("zzz \u4e2d\u6587 \U0001f600", "a b c . " * 100, "x" * 3000),
        empty="",
        sources_of=("lora", "finetune"),
    ),
}
CASES = [(name, strategy) for name, kind in KINDS.items() for strategy in kind.strategies]
TUNED = [(name, s) for name, s in CASES if s in ("lora", "finetune")]
SOURCED = [(name, s) for name, s in CASES if s in KINDS[name].sources_of]


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Any:
    """Two epochs show what these tests look at."""
    from headstart.sequences import tuned

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuned, "epochs_for", lambda modality, n: 2)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Callable[[str, str], Any]:
    """Return (kind, train, contender, model, source) of a case, fitted once."""
    kept: dict[Any, Any] = {}
    places: dict[str, str] = {}

    def get(name: str, strategy: str) -> Any:
        case = KINDS[name]
        if name not in places:
            places[name] = case.source(tmp_path_factory.mktemp(name))
        if (name, strategy) not in kept:
            kind = kind_of(name)
            train = kind.read(case.data()).train
            plan = kind.plan(train, source=[places[name]], strategy=[strategy])
            found = [one for one in (plan.baseline, *plan.transfers) if one.strategy == strategy]
            model = found[0].fit(train, seed=3)
            kept[name, strategy] = (kind, train, found[0], model, places[name])
        return kept[name, strategy]

    return get


def _opened(kind: Any, model: Any, state: State | None = None) -> Any:
    state = state or model.to_state()
    return kind.open(model.strategy, model.source, model.weights_sha256, state)


def _alike(some: Any, others: Any) -> None:
    assert [one.value for one in some] == [one.value for one in others]
    np.testing.assert_allclose(
        [one.confidence for one in some], [one.confidence for one in others], rtol=1e-3, atol=1e-5
    )
    assert [dict(one.more) for one in some] == [dict(one.more) for one in others]


@pytest.mark.parametrize(("name", "strategy"), CASES)
def test_opened_again_it_answers_the_same(name, strategy, made) -> None:
    kind, train, _, model, _ = made(name, strategy)
    again = _opened(kind, model)
    inputs = (*train.inputs[:6], *KINDS[name].odd, KINDS[name].empty)
    _alike(model.predict(inputs), again.predict(inputs))
    np.testing.assert_allclose(model.golden(), again.golden(), rtol=1e-4, atol=1e-5)
    assert len(model.golden()) <= 300
    assert again.strategy == model.strategy
    for array in model.to_state().arrays.values():
        assert array.dtype != np.float64


@pytest.mark.parametrize(("name", "strategy"), CASES)
def test_the_same_seed_gives_the_same_bytes(name, strategy, made) -> None:
    _, train, contender, model, _ = made(name, strategy)
    again = contender.fit(train, seed=3).to_state()
    state = model.to_state()
    assert state.meta == again.meta
    assert state.arrays.keys() == again.arrays.keys()
    for key, array in state.arrays.items():
        assert array.tobytes() == again.arrays[key].tobytes(), key


@pytest.mark.parametrize(("name", "strategy"), CASES)
def test_neither_order_nor_batch_changes_an_answer(name, strategy, made) -> None:
    _, train, _, model, _ = made(name, strategy)
    inputs = [*train.inputs[:6], *KINDS[name].odd]
    together = model.predict(inputs)
    _alike(together, model.predict(inputs[::-1])[::-1])
    _alike(together, [model.predict([one])[0] for one in inputs])


@pytest.mark.parametrize(("name", "strategy"), CASES)
def test_odd_and_empty_inputs_are_answered(name, strategy, made) -> None:
    _, _, _, model, _ = made(name, strategy)
    odd = (*KINDS[name].odd, KINDS[name].empty)
    answers = model.predict(odd)
    assert len(answers) == len(odd)
    for one in answers:
        assert np.isnan(one.confidence) or 0 <= one.confidence <= 1
    if name == "token-classification":
        assert [len(one.value) for one in answers] == [len(one) for one in odd]
    assert model.predict([]) == []


@pytest.mark.parametrize(("name", "strategy"), CASES)
def test_one_example_is_enough_to_fit(name, strategy, made) -> None:
    _, train, contender, _, _ = made(name, strategy)
    model = contender.fit(train.take([0]), seed=0)
    assert len(model.predict(train.inputs[:2])) == 2


@pytest.mark.parametrize(("name", "strategy"), TUNED)
def test_what_is_frozen_stays_bit_for_bit(name, strategy, made) -> None:
    from headstart import sources

    _, _, _, model, place = made(name, strategy)
    if not hasattr(model.net, "backbone"):
        pytest.skip("its weights are looked at in test_writers")
    before = dict(sources.load(place).named_parameters())
    learnt = set(model.net.learnt())
    after = dict(model.net.named_parameters())
    frozen = [key for key in before if f"backbone.{key}" in after.keys() - learnt]
    assert frozen
    for key in frozen:
        assert after[f"backbone.{key}"].equal(before[key]), key
    changed = [key for key in learnt if key.startswith("backbone.blocks")]
    assert changed
    assert set(model.to_state().arrays) == learnt


@pytest.mark.parametrize(("name", "strategy"), SOURCED)
def test_a_damaged_state_or_another_source_is_refused(name, strategy, made, tmp_path) -> None:
    kind, _, _, model, _ = made(name, strategy)
    state = model.to_state()
    key = sorted(state.arrays)[0]
    for arrays in (
        {k: v for k, v in state.arrays.items() if k != key},
        {**state.arrays, key: np.zeros((1, 1, 1), dtype=np.float32)},
    ):
        with pytest.raises(BundleCorruptError):
            _opened(kind, model, State(arrays, state.meta))
    with pytest.raises(IntegrityError):
        kind.open(strategy, model.source, "0" * 64, state)
    with pytest.raises(BundleCorruptError):
        kind.open("nothing", model.source, model.weights_sha256, state)


@pytest.mark.parametrize("name", KINDS)
def test_unknown_strategies_and_sources_are_named(name, made) -> None:
    kind, train, _, _, _ = made(name, KINDS[name].strategies[0])
    with pytest.raises(UnknownNameError, match="lor"):
        kind.plan(train, strategy=["lor"])
    with pytest.raises(SourceError):
        kind.plan(train, source=["efficientnet-lite0"])


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.source is tiny_bert])
def test_lora_not_yet_trained_is_the_source(name, tmp_path) -> None:
    import torch

    from headstart import sources
    from headstart.sequences.encoder import layers
    from headstart.sequences.tuned import Tuned

    place = tiny_bert(tmp_path)
    net = Tuned(sources.load(place), 2, "lora", 0).eval()
    ids = torch.arange(4, 16).reshape(2, 6)
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        for ours, theirs in zip(
            layers(net.backbone, ids, mask), layers(sources.load(place), ids, mask), strict=True
        ):
            assert ours.equal(theirs)
