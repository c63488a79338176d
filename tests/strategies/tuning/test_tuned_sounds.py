"""Sounds in the training loop: rows, windows, masks, the cached prefix, what cannot be tuned."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from tuned_tiny import RATE, Told, as_bytes, backbone_of, close, items_of, labels_of, make, output

from headstart import encode, sources, strategies
from headstart.core.errors import DataError, OptionError, OutOfMemoryError
from headstart.sources.backbone import attend_frames, pool_frames
from headstart.strategies.tuning.augment import BANDS, MASKS, TIME, SpecAugment
from headstart.strategies.tuning.items import SoundBatch
from headstart.strategies.tuning.network import Network
from headstart.strategies.tuning.settings import Settings
from headstart.strategies.tuning.sound_prefix import SoundPrefix, cached_sounds
from headstart.strategies.tuning.sounds import ROWS, WINDOWS, SoundItems

CPU = torch.device("cpu")
FAMILIES = ("whisper", "ge2e", "musicnn")
SOUNDS, Y = items_of("audio", 9), labels_of("classes", 9)


def tone(seconds: float) -> tuple[Any, int]:
    time = np.arange(int(RATE * seconds)) / RATE
    wave = np.sin(2 * np.pi * (300 + 60 * time) * time)
    return (12000 * wave).astype(np.int16), RATE


def prepared(family: str, X: Any = SOUNDS, **how: Any) -> tuple[SoundItems, Network]:
    """Return items and a network whose head does nothing."""
    base = backbone_of(family) if isinstance(family, str) else family
    strength = how.pop("strength", 0.0)
    how = {"augment": SpecAugment(strength), "reporter": Told(), **how}
    return SoundItems(X, base, **how), Network(base, 2, np.zeros(base.card.dim), 1.0).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_features_while_training_are_those_of_the_frozen_source(family: str) -> None:
    X = [*SOUNDS, tone(1.4)]  # whisper hears it in windows, the others in parts
    items, network = prepared(family, X)
    expected = encode.features(X, network.backbone, cache=False, device="cpu").array
    with torch.no_grad():
        found = network(items.load(np.arange(len(X)), 0, None))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    alone = network(items.load(np.array([9]), 0, None))[0]
    np.testing.assert_allclose(alone.detach(), expected[9:], rtol=1e-4, atol=1e-5)
    assert items.sizes.shape == (10,)
    assert items.sizes.argmax() == 9 or family != "whisper"


def test_rows_are_averaged_in_full_precision_under_autocast() -> None:
    items, _ = prepared("ge2e", [tone(3.0), *SOUNDS])
    batch = items.load(np.arange(10), 0, None)
    rows = 100 + torch.rand(len(batch.shares[0]), 5)
    expected = batch.averaged(rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = batch.averaged(rows)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_long_sounds_train_in_part_and_it_is_said() -> None:
    told = Told()
    items, _ = prepared("whisper", [tone(0.3), tone(9.0)], reporter=told)
    assert [len(items.rows_of(place)) for place in (0, 1)] == [1, WINDOWS]
    assert "1 of the sounds are long" in told
    items, _ = prepared("ge2e", [tone(40.0), tone(1.0)], reporter=told)
    assert [len(items.rows_of(place)) for place in (0, 1)] == [ROWS, 1]
    quiet = Told()
    prepared("whisper", SOUNDS, reporter=quiet)
    assert quiet.lines == []


def test_masks_take_no_memory_where_all_counts() -> None:
    for family, small in (("ge2e", True), ("whisper", False)):
        items, _ = prepared(family)
        assert {mask.strides == (0,) for mask in items._masks} == {small}
        mask = items.row(0).mask
        assert mask.is_contiguous()
        assert bool((mask == 1).all()) == small


def test_a_sound_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "words.wav").write_text("hello")
    with pytest.raises(DataError, match=r"items\[1\] .*words\.wav"):
        prepared("whisper", [tone(0.2), str(tmp_path / "words.wav")])


def test_what_hears_padding_is_given_rows_of_one_length() -> None:
    base = backbone_of("whisper")
    base.card = replace(base.card, input=dict(base.card.input) | {"same_length": True})
    items, network = prepared(base)
    batch = items.load(np.arange(9), 0, None)
    assert len(batch.parts) > 1
    assert all((mask != 0).all() for _, mask in batch.parts)
    with torch.no_grad():
        found = network(batch)[0]
    expected = encode.features(SOUNDS, base, cache=False, device="cpu").array
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "name", "params"),
    [
        ("whisper", "partial", {"augment": 0.0}),
        ("whisper", "partial", {"augment": 0.7, "depth": 1}),
        ("whisper", "lora", {"depth": 2}),
        ("whisper", "contrastive", {"depth": 2}),
        ("ge2e", "partial", {"depth": 2}),
        ("ge2e", "bitfit", {"depth": 2}),
        ("musicnn", "partial", {"depth": 0}),
        ("musicnn", "lora", {"depth": 1}),
    ],
)
def test_cached_and_uncached_train_the_same(
    family: str, name: str, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    plain = SoundPrefix.__init__

    def note(self: SoundPrefix, *args: Any, **named: Any) -> None:
        made.append(self)
        plain(self, *args, **named)

    monkeypatch.setattr(SoundPrefix, "__init__", note)
    X, y = items_of("audio", 12), labels_of("classes", 12)
    how: dict[str, Any] = {"epochs": 3, "rate": 1e-4, "validation": np.arange(3), **params}
    fits = [
        make(name, "audio", source=backbone_of(family), cache_prefix=cached, **how).fit(X, y)
        for cached in ("auto", False)
    ]
    assert len(made) == 1
    close(fits[0], fits[1], 2e-5)


def test_what_is_more_than_the_cache_may_hold_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE_GB", "0")
    monkeypatch.delattr(SoundPrefix, "__init__")
    told = Told()
    make("partial", "audio", reporter=told).fit(SOUNDS, Y)
    assert "is more than the cache may hold ($HEADSTART_CACHE_GB, now 0.0 GB)" in told


def test_where_memory_ends_fewer_rows_go_through_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    items, network = prepared("ge2e")
    how: dict[str, Any] = {"views": 0, "device": CPU, "reporter": Told()}
    expected = cached_sounds(items, network, 1, **how).load(np.arange(9), 0, None)
    plain, most = network.run_prefix, 2

    def run(batch: Any, stop: int) -> Any:
        if len(batch[0]) > most:
            raise torch.OutOfMemoryError("out of memory")
        return plain(batch, stop)

    monkeypatch.setattr(network, "run_prefix", run)
    found = cached_sounds(items, network, 1, **how).load(np.arange(9), 0, None)
    torch.testing.assert_close(found.parts[0][0], expected.parts[0][0])
    most = 0
    with pytest.raises(OutOfMemoryError):
        cached_sounds(items, network, 1, **how)


def test_views_are_fixed_and_what_validates_has_a_plain_one() -> None:
    items, network = prepared("whisper", strength=1.0, fixed=2, seed=5)
    valid, train = np.array([1, 4]), np.array([0, 3, 8])
    ready = cached_sounds(items, network, 2, views=2, valid=valid, device=CPU, reporter=Told())
    generator = torch.Generator()
    before = generator.get_state()
    states = [ready.load(train, epoch, generator).parts[0][0] for epoch in range(3)]
    assert torch.equal(states[0], states[2])
    assert not torch.equal(states[0], states[1])
    assert torch.equal(before, generator.get_state())
    with torch.no_grad():
        hidden, mask = network.run_prefix(items.load(train, 1, generator).parts[0], 2)
    kept = mask != 0  # what pads a batch is never looked at
    torch.testing.assert_close(hidden[kept], states[1][kept])
    ready.load(valid, 0, None)
    with pytest.raises(AssertionError, match="not asked for"):
        ready.load(train, 0, None)
    assert ready.identity() == items.identity() != prepared("whisper", SOUNDS[:8])[0].identity()


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_starts_at_the_source(family: str) -> None:
    items, network = prepared(family)
    batch = items.load(np.arange(9), 0, None)
    with torch.no_grad():
        before = network(batch)[0]
        network.prepare(Settings(train="lora"), None, torch.Generator().manual_seed(0))
        torch.testing.assert_close(network(batch)[0], before, atol=0, rtol=0)
    trained = {name for block in network.blocks_trained() for name, _ in block}
    assert any(name.endswith(".A") for name in trained)
    if family == "whisper":
        assert all(f"blocks.1.{part}" in " ".join(trained) for part in ("query", "key", "value"))


def test_what_has_nothing_to_train_is_refused() -> None:
    base = backbone_of("ge2e")
    base.blocks = nn.ModuleList(list(base.blocks)[:2])  # as ge2e@lstm2: LSTMs alone
    base.block_names = base.block_names[:2]
    base.card = replace(base.card, dim=12)
    with pytest.raises(OptionError, match="no linear layer") as raised:
        make("lora", "audio", source=base).fit(SOUNDS, Y)
    assert "lstm1, lstm2" in str(raised.value)
    model = make("bitfit", "audio", source=base).fit(SOUNDS, Y)
    assert {name.rpartition(".")[2] for name in model.tuned_} == {"bias_ih_l0", "bias_hh_l0"}


@pytest.mark.parametrize("name", ["finetune", "gradual", "lp-ft", "bitfit", "lora"])
@pytest.mark.parametrize("family", ["ge2e", "musicnn"])
def test_other_families_are_tuned_saved_and_opened(name: str, family: str) -> None:
    base = backbone_of(family)
    model = make(name, "audio", source=base, epochs=1).fit(SOUNDS, Y)
    again = make(name, "audio", source=base, epochs=1).fit(SOUNDS, Y)
    assert as_bytes(model.to_state()) == as_bytes(again.to_state())
    back = type(model).from_state(model.to_state()).set_params(source=base, device="cpu")
    assert np.array_equal(output(back, SOUNDS), output(model, SOUNDS))


@pytest.mark.filterwarnings("ignore")  # of transformers' own making
@pytest.mark.parametrize("masked", [True, False])
def test_a_model_of_transformers(masked: bool, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24,
        conv_dim=(8, 8), conv_kernel=(10, 3), conv_stride=(5, 2), num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2, feat_extract_norm="layer" if masked else "group",
        num_feat_extract_layers=2,
    )  # fmt: skip
    transformers.Wav2Vec2Model(config).eval().save_pretrained(tmp_path)
    told = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": RATE}
    told |= {"return_attention_mask": masked, "do_normalize": True}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    base = sources.load(str(tmp_path))
    items, network = prepared(base)
    batch = items.load(np.arange(9), 0, None)
    with torch.no_grad():
        found = network(batch)[0]
        ready = cached_sounds(items, network, 2, views=0, device=CPU, reporter=Told())
        later = network(ready.load(np.arange(9), 0, None), ready.first)[0]
    expected = encode.features(SOUNDS, base, cache=False, device="cpu").array
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(later, expected, rtol=1e-4, atol=1e-5)
    model = make("lora", "audio", source=base, depth=2).fit(SOUNDS, Y)
    assert any("q_proj" in name for name in model.tuned_)
    assert model.predict(SOUNDS).shape == (9,)


def test_the_default_source_is_one_for_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def default(modality: str) -> Any:
        asked.append(modality)
        return backbone_of("audio")

    monkeypatch.setattr(sources, "default_source", default)
    model = strategies.LoRA(epochs=1, device="cpu")
    model.fit(SOUNDS, Y)
    with pytest.raises(DataError, match="cannot read the file"):
        model.fit(["a.wav", "b.flac"] * 2, ["a", "b"] * 2)
    assert asked == ["audio", "audio"]


# ------------------------------------------------------------------------- SpecAugment


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    shape=st.sampled_from([(30, 12), (1, 80), (120, 3), (77,), (2, 40, 9)]),
    strength=st.floats(0, 1),
    silence=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    seed=st.integers(0, 99),
)
def test_what_is_hidden_is_bounded(
    shape: tuple[int, ...], strength: float, silence: tuple[int, int], seed: int
) -> None:
    frames = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    kept = frames.clone()
    mask = torch.ones(shape[0], dtype=torch.int64)
    if len(shape) < 3 and shape[0] > 20:
        mask[: silence[0]], mask[len(mask) - silence[1] :] = 2, 0
    made = SpecAugment(strength)(frames, mask, torch.Generator().manual_seed(seed))
    same = SpecAugment(strength)(frames, mask, torch.Generator().manual_seed(seed))
    assert torch.equal(made, same)
    assert torch.equal(frames, kept)
    changed = made != frames
    if len(shape) < 3:
        assert not changed[mask != 1].any()
    inside = changed if len(shape) == 3 else changed[mask == 1]
    time, bands = (inside.shape[-2:]) if inside.ndim > 1 else (len(inside), 0)
    rows = int((inside.all(dim=-1) if inside.ndim > 1 else inside).flatten().sum())
    channels = shape[0] if len(shape) == 3 else 1
    most = MASKS * (strength * TIME * time + 0.5)
    assert bands == 1 or rows <= channels * most
    if inside.ndim > 1:
        columns = int(inside.all(dim=-2).sum())
        assert time == 1 or columns <= channels * MASKS * (strength * BANDS * bands + 0.5)
    if strength == 0:
        assert torch.equal(made, frames)


def test_as_many_numbers_are_drawn_whatever_the_strength() -> None:
    states = []
    for strength in (0.0, 0.3, 1.0):
        generator = torch.Generator().manual_seed(7)
        SpecAugment(strength)(torch.rand(40, 8), torch.ones(40), generator)
        states.append(generator.get_state())
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])
    with pytest.raises(OptionError, match="strength of augmentation"):
        SpecAugment(1.5)


def test_at_full_strength_much_is_hidden_by_the_mean_and_silence_stays() -> None:
    frames, mask = torch.rand(200, 60), torch.ones(200)
    shares = []
    for seed in range(30):
        made = SpecAugment(1.0)(frames, mask, torch.Generator().manual_seed(seed))
        hidden = made != frames
        assert hidden.any()
        torch.testing.assert_close(made[hidden], frames.mean().expand(int(hidden.sum())))
        shares.append(float(hidden.float().mean()))
    assert 0.3 < np.mean(shares) < 0.55  # 1 - (5/6)^2 (9/10)^2 = 0.44
    silent = SpecAugment(1.0)(frames, torch.full((200,), 2), torch.Generator())
    assert torch.equal(silent, frames)


def test_masks_are_drawn_in_training_alone() -> None:
    items, _ = prepared("whisper", strength=1.0)
    index = np.arange(9)
    generator = torch.Generator().manual_seed(0)
    plain = [items.load(index, 0, None).parts[0][0] for _ in range(2)]
    drawn = [items.load(index, 0, generator).parts[0][0] for _ in range(2)]
    assert torch.equal(plain[0], plain[1])
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], plain[0])
    assert isinstance(items.load(index, 0, None), SoundBatch)


# ------------------------------------------------------------------ attentive pooling


def test_attention_starts_at_the_mean_and_looks_at_what_counts() -> None:
    hidden, mask = (
        torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0)),
        torch.tensor([[1] * 7, [2, 1, 1, 1, 2, 0, 0], [1] + [0] * 6]),
    )
    zeros = attend_frames(hidden, mask, torch.zeros(4))
    torch.testing.assert_close(zeros, pool_frames(hidden, mask))
    query = torch.tensor([3.0, 0.0, -1.0, 0.5])
    found = attend_frames(hidden, mask, query)
    kept = hidden[1, 1:4]
    weights = torch.softmax(kept @ query / 2, dim=0)
    torch.testing.assert_close(found[1], weights @ kept)
    torch.testing.assert_close(found[2], hidden[2, 0])


@pytest.mark.parametrize("name", ["partial", "lora", "finetune"])
def test_a_query_is_learnt_saved_and_opened(name: str) -> None:
    X, y = items_of("audio"), labels_of("classes")
    model = make(name, "audio", pooling="attentive", head_rate=0.05).fit(X, y)
    assert np.abs(model.tuned_["query"]).max() > 0
    assert model.given_ == {"attentive": True}
    again = make(name, "audio", pooling="attentive", head_rate=0.05).fit(X, y)
    assert as_bytes(model.to_state()) == as_bytes(again.to_state())
    assert not np.array_equal(
        output(make(name, "audio", head_rate=0.05).fit(X, y), X), output(model, X)
    )
    back = type(model).from_state(model.to_state()).set_params(device="cpu")
    back.set_params(source=backbone_of("audio"))
    assert np.array_equal(output(back, X), output(model, X))
    np.testing.assert_allclose(output(model, X[3:4])[0], output(model, X)[3], rtol=1e-4, atol=1e-5)


def test_a_query_alone_on_cached_frames() -> None:
    X, y = items_of("audio", 12), labels_of("classes", 12)
    how: dict[str, Any] = {"pooling": "attentive", "depth": 0, "augment": 0.0, "head_rate": 0.05}
    cached, plain = (
        make("partial", "audio", cache_prefix=one, **how).fit(X, y) for one in (True, False)
    )
    assert list(cached.tuned_) == ["query"]
    close(cached, plain, 1e-5)


@pytest.mark.parametrize("family", ["ge2e", "musicnn", "text"])
def test_what_gives_no_frames_is_not_attended(family: str) -> None:
    modality = "text" if family == "text" else "audio"
    model = make("partial", modality, source=backbone_of(family), pooling="attentive")
    with pytest.raises(OptionError, match="no frames"):
        model.fit(items_of(modality), labels_of("classes"))
