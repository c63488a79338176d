"""Same seed, same bytes; what is frozen does not move; nothing outside of the fit changes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from tuned_tiny import (
    KINDS,
    MODALITIES,
    NAMES,
    as_bytes,
    fitted,
    items_of,
    labels_of,
    make,
    named,
    output,
    source,
    whole,
)

from headstart import encode, strategies
from headstart.strategies.tuned import tuned_backbone

# every strategy on texts, images and sounds; every kind of label on each modality
CASES = [(n, m, "classes") for n in NAMES for m in MODALITIES]
CASES += [
    (name, MODALITIES[i % 3], KINDS[1 + i // 3 % 2])
    for i, name in enumerate(NAMES)
    if name != "contrastive"  # which takes classes alone
]
CROSSED = pytest.mark.parametrize(("name", "modality", "kind"), CASES)


def same_item(one: Any, two: Any) -> bool:
    if isinstance(one, tuple):
        return np.array_equal(one[0], two[0]) and one[1] == two[1]
    return np.array_equal(one, two)


@CROSSED
def test_same_seed_same_bytes_and_nothing_else_changes(name: str, modality: str, kind: str) -> None:
    first = fitted(name, modality, kind)
    torch.manual_seed(11)
    np.random.seed(11)
    before = named(source(modality))
    noise, other = torch.get_rng_state(), np.random.get_state()[1].copy()
    threads, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    grads = [p.requires_grad for p in source(modality).parameters()]
    X, y = items_of(modality), labels_of(kind)
    again = make(name, modality, kind).fit(X, y)
    assert as_bytes(first.to_state()) == as_bytes(again.to_state())
    assert first.history_ == again.history_
    assert np.array_equal(output(first, X), output(again, X))
    assert torch.equal(noise, torch.get_rng_state())
    assert np.array_equal(other, np.random.get_state()[1])
    assert torch.get_num_threads() == threads
    assert torch.are_deterministic_algorithms_enabled() == exact
    assert torch.is_grad_enabled()
    after = named(source(modality))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[key], after[key]) for key in before)
    assert [p.requires_grad for p in source(modality).parameters()] == grads
    assert not any(p.grad is not None for p in source(modality).parameters())
    assert source(modality).tokenizer is not None or modality != "text"
    assert all(same_item(*pair) for pair in zip(X, items_of(modality), strict=True))


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("name", NAMES)
def test_another_seed_gives_others(name: str, modality: str) -> None:
    first, y = fitted(name, modality, "classes"), labels_of("classes")
    other = make(name, modality, random_state=4).fit(items_of(modality), y)
    assert not np.array_equal(first.coef_, other.coef_)
    assert any(not np.array_equal(first.tuned_[key], other.tuned_[key]) for key in first.tuned_)


@CROSSED
def test_what_is_frozen_keeps_its_bits(name: str, modality: str, kind: str) -> None:
    model, base = fitted(name, modality, kind), named(source(modality))
    made = named(model.backbone())
    whole_names = {
        key.split(".", 1)[1] if key[:5] in ("rows.", "index") else key for key in model.tuned_
    }
    assert whole_names
    for key, array in base.items():
        if key not in whole_names:
            assert np.array_equal(array, made[key]), key
    moved = [key for key in whole_names if not np.array_equal(base[key], made[key])]
    assert moved
    n_blocks = len(source(modality).blocks)
    blocks = {int(key.split(".")[1]) for key in whole_names}
    if name == "partial":
        depth = model.settings_["depth"]
        assert depth < n_blocks
        assert blocks == set(range(n_blocks - depth, n_blocks))
    elif name in ("finetune", "lp-ft", "gradual", "contrastive"):
        assert blocks == set(range(n_blocks))
        assert {int(key.split(".")[1]) for key in moved} == blocks
    if name == "bitfit":
        assert all(key.endswith(".bias") for key in whole_names)
    if name == "lora":
        for key in whole_names:
            assert key.endswith(".weight")
            shape = base[key].shape
            assert len(shape) == 2 or shape[2:] == (1, 1)
            assert not re.search(r"word|position|token_type|norm|bn", key)
    assert not any("running" in key or "head" in key for key in whole_names)


@pytest.mark.parametrize("name", ["finetune", "partial", "lora", "bitfit"])
def test_statistics_of_batch_norm_move_only_where_its_blocks_train(name: str) -> None:
    X, y = items_of("image"), labels_of("classes")
    model = make(name, "image", batch_norm="train", depth=3).fit(X, y)
    base, made = named(source("image")), named(model.backbone())
    n_blocks = len(source("image").blocks)
    trains = name in ("finetune", "partial")
    for key in base:
        if "running" in key:
            inside = trains and int(key.split(".")[1]) >= n_blocks - 3
            assert np.array_equal(base[key], made[key]) != inside, key
    again = make(name, "image", batch_norm="train", depth=3).fit(X, y)
    assert as_bytes(model.to_state()) == as_bytes(again.to_state())


def _with_source(model: Any, modality: str) -> Any:
    return model.set_params(source=source(modality), device="cpu")


@CROSSED
def test_saved_and_opened_it_predicts_the_same(name: str, modality: str, kind: str) -> None:
    model, X = fitted(name, modality, kind), items_of(modality, 9, seed=5)
    task: Any = "regression" if kind == "numbers" else "classification"
    state = model.to_state()
    again = strategies.from_state(name, kind=task, modality=modality, state=state)  # type: ignore[arg-type]
    again = _with_source(again, modality)
    expected = output(model, X)
    assert np.array_equal(output(again, X), expected)
    assert np.array_equal(again.predict(X), model.predict(X))
    assert as_bytes(again.to_state()) == as_bytes(state)
    assert again.history_ == model.history_
    assert again.settings_ == model.settings_
    if kind != "numbers":
        assert np.array_equal(again.classes_, model.classes_)
        assert again.classes_.dtype == model.classes_.dtype
    head = strategies.open_state(name, kind=task, modality=modality, state=state)  # type: ignore[arg-type]
    made = tuned_backbone(source(modality), head.tuned, head.given)
    assert made.weights_sha256 == model.backbone().weights_sha256 != source(modality).weights_sha256
    features = encode.features(X, made, cache=False, device="cpu").array
    np.testing.assert_allclose(output(head, features), expected, rtol=1e-6, atol=1e-6)
    assert np.array_equal(head.predict(features), model.predict(X)) or kind == "numbers"


@CROSSED
def test_prediction_depends_on_the_item_alone(name: str, modality: str, kind: str) -> None:
    model, X = fitted(name, modality, kind), items_of(modality, 9, seed=5)
    expected = output(model, X)
    np.testing.assert_allclose(output(model, X[::-1])[::-1], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output(model, X[4:5])[0], expected[4], rtol=1e-4, atol=1e-5)
    assert len(output(model, X[:0])) == 0
    assert len(whole(model)) > len(model.tuned_)
