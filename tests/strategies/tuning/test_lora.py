"""LoRA against peft, on BERTs and 1x1 convolutions, and by what it promises."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
from torch import nn

from headstart.core.errors import OptionError
from headstart.sources import bert, efficientnet_lite
from headstart.sources.cards import SourceCard
from headstart.strategies.tuning import lora


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give a model random weights and statistics, frozen, in eval."""
    generator = seeded(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator) * 0.2
            positive = "norm" in name.lower() or "bn" in name or "running_var" in name
            tensor.copy_(noise.abs() + 0.5 if positive else noise)
    return model.requires_grad_(False).eval()


def card(modality: str, family: str, config: dict, spec: dict) -> SourceCard:
    return SourceCard(
        name=f"tiny-{family}",
        modality=modality,
        title="tiny",
        pretrained_on="nothing",
        parameters=1,
        dim=16,
        input=spec,
        licence="Apache-2.0",
        permissive=True,
        family=family,
        weights_sha256="0" * 64,
        size_mb=0.1,
        config=config,
    )


def our_bert() -> nn.Module:
    config = {"vocab_size": 30, "hidden": 16, "heads": 2, "intermediate": 24, "layers": 2}
    config |= {"positions": 12, "types": 2, "eps": 1e-12, "dropout": 0.0}
    spec = {"max_tokens": 12, "pooling": "mean", "normalise": False, "prefix": ""}
    return drawn(bert.build(card("text", "bert", config, spec)))


def our_lite() -> nn.Module:
    config = {"stem": 8, "widths": [8] * 7, "depths": [1] * 7, "classes": 3}
    spec = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    backbone = efficientnet_lite.build(card("image", "efficientnet-lite", config, spec))
    backbone.head = None  # features do not pass it
    return drawn(backbone)


def their_bert() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=12,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return drawn(transformers.BertModel(config))


def convolutions() -> nn.Module:
    return drawn(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 5, 1, bias=False)))


IDS = torch.randint(30, (5, 9), generator=seeded(8))
MASK = (torch.arange(9) < torch.tensor([9, 9, 4, 6, 1])[:, None]).long()
IMAGES = torch.randn(4, 3, 32, 32, generator=seeded(9))

# of each model: how it is made and run, and the layers that peft is told to adapt
CASES = {
    "our bert": (our_bert, lambda m: m((IDS, MASK)), r".*\.(query|key|value|output|up|down)"),
    "their bert": (
        their_bert,
        lambda m: m(input_ids=IDS, attention_mask=MASK).last_hidden_state,
        r"encoder.*(query|key|value|dense)",
    ),
    "convolutions": (convolutions, lambda m: m(IMAGES).mean(dim=(2, 3)), "0|2"),
    "our lite": (our_lite, lambda m: m(IMAGES), r".*(expand|project|blocks\.8)\.conv"),
}
OURS = [name for name in CASES if name != "their bert"]


def case(name: str) -> tuple[nn.Module, object]:
    make, run, _ = CASES[name]
    return make(), run


def stirred(model: nn.Module, seed: int = 3) -> list[nn.Parameter]:
    """Adapt a model and give the updates values, as training would."""
    new = lora.adapt(model, rank=3, alpha=6.0, generator=seeded(seed))
    with torch.no_grad():
        for parameter in new:
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(seed)) * 0.1)
    return new


@pytest.mark.parametrize("name", CASES)
def test_updates_train_as_peft_trains_them(name: str) -> None:
    peft = pytest.importorskip("peft")
    model, run = case(name)
    theirs = peft.inject_adapter_in_model(
        peft.LoraConfig(r=3, lora_alpha=8, target_modules=CASES[name][2], lora_dropout=0.0),
        copy.deepcopy(model),
    )
    layers = [m for m in theirs.modules() if isinstance(m, peft.tuners.lora.LoraLayer)]
    for layer in layers:  # peft's stand-ins lack what our convolutions are asked for
        if isinstance(layer.base_layer, nn.Conv2d):
            layer.kernel_size, layer.stride = layer.base_layer.kernel_size, layer.base_layer.stride
    names = [n for n, m in theirs.named_modules() if isinstance(m, peft.tuners.lora.LoraLayer)]
    new = lora.adapt(
        model, rank=3, alpha=8.0, generator=seeded(), targets=lambda n, layer: n in names
    )
    pairs = [
        weight
        for layer in layers
        for weight in (layer.lora_A["default"].weight, layer.lora_B["default"].weight)
    ]
    assert len(new) == len(pairs) > 0
    with torch.no_grad():
        for i, (ours, other) in enumerate(zip(new, pairs, strict=True)):
            if i % 2:  # B is stirred, so that A has a gradient from the start
                ours.copy_(torch.randn(ours.shape, generator=seeded(i)) * 0.1)
            other.copy_(ours.reshape(other.shape))
    optimisers = [torch.optim.AdamW(parameters, lr=0.02) for parameters in (new, pairs)]
    goal = torch.randn(run(model).shape, generator=seeded(5))
    for _ in range(4):
        found, known = run(model), run(theirs)
        torch.testing.assert_close(found, known, rtol=1e-5, atol=1e-5)
        for out, optimiser in zip((found, known), optimisers, strict=True):
            optimiser.zero_grad()
            (out - goal).square().mean().backward()
        for ours, other in zip(new, pairs, strict=True):
            torch.testing.assert_close(
                ours.grad, other.grad.reshape(ours.shape), rtol=1e-5, atol=1e-5
            )
        for optimiser in optimisers:
            optimiser.step()


def test_updates_start_as_pefts_do() -> None:
    """A has peft's distribution: uniform, bounded by one over the root of the inputs."""
    peft = pytest.importorskip("peft")
    model = drawn(nn.Sequential(nn.Linear(64, 200)))
    config = peft.LoraConfig(r=64, target_modules="0")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = peft.inject_adapter_in_model(config, copy.deepcopy(model))[0].lora_A["default"]
    ours, zero = lora.adapt(model, rank=64, alpha=1.0, generator=seeded())
    for a in (ours, theirs.weight):
        assert a.abs().max() <= 1 / 8
        assert a.abs().max() > 0.99 / 8
        assert a.std().item() == pytest.approx(1 / 8 / 3**0.5, rel=0.03)
    assert not zero.any()


@pytest.mark.parametrize("name", OURS)
def test_at_the_start_nothing_changes(name: str) -> None:
    model, run = case(name)
    before = run(model)
    lora.adapt(model, rank=4, alpha=32.0, generator=seeded())
    assert lora.adapted(model)
    assert torch.equal(run(model), before)


@pytest.mark.parametrize("name", OURS)
def test_merging_changes_names_back_and_outputs_not(name: str) -> None:
    model, run = case(name)
    plain = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    classes = [type(module) for module in model.modules()]
    untouched = run(model)
    stirred(model)
    found = run(model)
    assert not torch.allclose(found, untouched, atol=1e-3)
    lora.merge(model)
    assert not lora.adapted(model)
    assert [type(module) for module in model.modules()] == classes
    assert list(model.state_dict()) == list(plain)
    torch.testing.assert_close(run(model), found, rtol=1e-6, atol=1e-6)
    model.load_state_dict(plain)
    assert torch.equal(run(model), untouched)
    lora.merge(model)  # nothing left to do


@pytest.mark.parametrize("name", OURS)
def test_gradients_reach_only_the_updates(name: str) -> None:
    model, run = case(name)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    new = stirred(model)
    run(model).square().sum().backward()
    trained = {id(p) for p in new}
    for key, parameter in model.named_parameters():
        assert parameter.requires_grad == (id(parameter) in trained), key
        assert (parameter.grad is not None) == (id(parameter) in trained), key
    assert all(p.grad.abs().sum() > 0 for p in new)
    torch.optim.AdamW(new, lr=0.1).step()
    for key, tensor in model.state_dict().items():
        plain = key.replace("parametrizations.weight.original", "weight")
        if plain in before:
            assert torch.equal(tensor, before[plain]), key


def test_the_weight_is_frozen_even_where_the_caller_froze_nothing() -> None:
    layer = nn.Linear(4, 3)
    new = lora.adapt(layer, rank=2, alpha=1.0, generator=seeded())
    layer(torch.ones(2, 4)).sum().backward()
    assert [p.requires_grad for p in new] == [True, True]
    assert layer.parametrizations.weight.original.grad is None
    assert layer.bias.requires_grad
    lora.merge(layer)
    assert not layer.weight.requires_grad
    assert type(layer) is nn.Linear


def test_the_same_generator_gives_the_same_updates_in_the_same_order() -> None:
    first, again = (
        lora.adapt(our_bert(), rank=4, alpha=1.0, generator=seeded(7)) for _ in range(2)
    )
    assert len(first) == 2 * 6 * 2
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    named = [p for key, p in our_adapted().named_parameters() if key.endswith((".A", ".B"))]
    assert all(torch.equal(a, b) for a, b in zip(first, named, strict=True))


def our_adapted() -> nn.Module:
    model = our_bert()
    lora.adapt(model, rank=4, alpha=1.0, generator=seeded(7))
    return model


def test_the_rank_is_capped_and_the_scale_follows() -> None:
    layer = nn.Linear(10, 3, bias=False)
    weight = layer.weight.detach().clone()
    a, b = lora.adapt(layer, rank=64, alpha=6.0, generator=seeded())
    assert (a.shape, b.shape) == ((3, 10), (3, 3))
    with torch.no_grad():
        b.copy_(torch.eye(3))
    torch.testing.assert_close(layer.weight, weight + 2.0 * a)


def test_targets_choose_among_what_can_be_adapted() -> None:
    model, asked = our_bert(), []

    def queries(name: str, layer: nn.Module) -> bool:
        asked.append(type(layer))
        return name.endswith("query")

    assert len(lora.adapt(model, rank=2, alpha=1.0, generator=seeded(), targets=queries)) == 4
    assert set(asked) == {nn.Linear}
    # a second call adapts what is left, and does not stack
    assert len(lora.adapt(model, rank=2, alpha=1.0, generator=seeded())) == 2 * 10
    lora.merge(model)
    assert not any("parametrizations" in key for key in model.state_dict())


def test_a_deep_copy_lives_its_own_life() -> None:
    model, run = case("our bert")
    stirred(model)
    known = run(model)
    twin = copy.deepcopy(model)
    lora.merge(model)
    assert lora.adapted(twin)
    torch.testing.assert_close(run(twin), known, rtol=0, atol=0)
    late = copy.deepcopy(twin)
    lora.merge(twin)
    for other in (model, twin, late):
        torch.testing.assert_close(run(other), known, rtol=1e-6, atol=1e-6)


def test_tied_weights_stay_right_when_one_is_merged() -> None:
    model = nn.ModuleDict({"words": nn.Embedding(7, 4), "out": nn.Linear(4, 7)})
    model["out"].weight = model["words"].weight
    words = model["words"].weight.detach().clone()
    stirred(model)
    known = model["out"](torch.ones(2, 4))
    lora.merge(model)
    assert torch.equal(model["words"].weight, words)
    torch.testing.assert_close(model["out"](torch.ones(2, 4)), known, rtol=1e-6, atol=1e-6)


def test_other_dtypes_devices_and_autocast() -> None:
    model, run = case("our bert")
    new = stirred(model)
    known = run(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = run(model)
    torch.testing.assert_close(half.float(), known, rtol=0.1, atol=0.1)
    half.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in new)
    model.to(torch.float64)
    assert run(model).dtype == torch.float64
    torch.testing.assert_close(run(model).float(), known, rtol=1e-4, atol=1e-5)
    assert {p.device.type for p in model.to("meta").parameters()} == {"meta"}


def test_half_precision_weights_learn_in_float32() -> None:
    layer = nn.Linear(6, 4).bfloat16()
    new = stirred(layer)
    assert {p.dtype for p in new} == {torch.float32}
    assert layer.weight.dtype == torch.bfloat16
    known = layer(torch.ones(1, 6).bfloat16())
    lora.merge(layer)
    assert torch.equal(layer(torch.ones(1, 6).bfloat16()), known)


def test_attention_of_torchs_own_is_reached() -> None:
    attention = drawn(nn.MultiheadAttention(8, 2, batch_first=True))
    run = functools.partial(attention, *[torch.randn(2, 5, 8, generator=seeded())] * 3)
    before = run()[0]
    stirred(attention)
    assert not torch.allclose(run()[0], before, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": 0}, "rank must be at least 1"),
        ({"alpha": 0.0}, "alpha must be more than 0"),
        ({"alpha": float("nan")}, "alpha must be more than 0"),
        ({"alpha": float("inf")}, "alpha must be more than 0"),
        ({"targets": lambda name, layer: False}, "no layer to adapt"),
    ],
)
def test_wrong_options_are_refused_before_anything_changes(change: dict, message: str) -> None:
    layer = nn.Linear(4, 3)
    with pytest.raises(OptionError, match=message):
        lora.adapt(layer, **{"rank": 2, "alpha": 1.0, "generator": seeded()} | change)
    assert not lora.adapted(layer)
    assert layer.weight.requires_grad


@pytest.mark.parametrize(
    "module",
    [nn.LayerNorm(3), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1, groups=4), nn.Embedding(4, 2)],
)
def test_other_layers_cannot_be_adapted(module: nn.Module) -> None:
    with pytest.raises(OptionError, match="no layer to adapt"):
        lora.adapt(module, rank=2, alpha=1.0, generator=seeded())
