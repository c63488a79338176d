"""The training loop against plain PyTorch, and which gradients go where."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from tuned_tiny import Told, backbone_of, items_of, labels_of, named, tokenizer_json

from headstart import sources
from headstart.core.errors import OptionError
from headstart.strategies.tuned import tuned_backbone
from headstart.strategies.tuning import regularise
from headstart.strategies.tuning.augment import Augment
from headstart.strategies.tuning.items import ImageItems, TextItems, order_of
from headstart.strategies.tuning.loop import Loop
from headstart.strategies.tuning.network import Network, RowEmbedding
from headstart.strategies.tuning.objective import Objective
from headstart.strategies.tuning.settings import Settings

CPU = torch.device("cpu")
BASE = Settings(
    rate=1e-3, head_rate=3e-3, decay=0.7, epochs=3, batch=8, dropout=0.0, smoothing=0.1, warmup=0.2
)


def loop_of(
    settings: Settings, modality: str = "text", *, family: str = "", micro: int = 3, **more: Any
) -> Loop:
    """Return a loop over 21 items on a fresh network whose head does not start at zero."""
    backbone = backbone_of(family or modality)
    items: Any
    if modality == "text":
        items = TextItems(items_of("text", 21), backbone)
    else:
        items = ImageItems(
            items_of("image", 21), backbone, size=32, augment=Augment(), reporter=Told()
        )
    rng = np.random.default_rng(5)
    network = Network(backbone, 3, rng.normal(0, 0.1, 16), 0.8)
    network.start_head(rng.normal(0, 0.5, (16, 3)), rng.normal(0, 0.1, 3))
    used = items.used() if modality == "text" else None
    network.prepare(settings, used, torch.Generator().manual_seed(1))
    weights = np.linspace(0.5, 2.0, 21)
    codes = np.arange(21) % 3
    objective = Objective("classes", codes, 3, weights=weights, smoothing=settings.smoothing)
    given: dict[str, Any] = {"train": np.arange(21), "valid": np.arange(0)} | more
    return Loop(network, items, objective, settings, device=CPU, micro=micro, seed=7, **given)


def reference(loop: Loop, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train a copy with nothing but torch.optim.AdamW on whole batches; weights and averages."""
    network, items = copy.deepcopy(loop.network), loop.items
    blocks = list(network.backbone.blocks)
    groups = []
    for place, block in enumerate(blocks):
        rate = settings.rate * settings.decay ** (len(blocks) - 1 - place)
        for name, p in block.named_parameters():
            if p.requires_grad:
                table = place == 0 and name.split(".")[0] in ("word", "position", "token_type")
                light = p.ndim == 1 or table
                groups.append({"params": [p], "peak": rate, "weight_decay": 0.0 if light else 0.01})
    groups.append({"params": list(network.head.parameters()), "peak": 3e-3, "weight_decay": 0.0})
    optimiser = torch.optim.AdamW(groups, lr=1.0, foreach=False)
    params = [p for group in groups for p in group["params"]]  # type: ignore[attr-defined]
    own = [p for group in groups[:-1] for p in group["params"]]  # type: ignore[attr-defined]
    start = [p.detach().clone() for p in own]
    average = {name: p.detach().clone() for name, p in network.named_parameters()}
    generator, step, total = torch.Generator().manual_seed(7), 0, 3 * settings.epochs
    rise = math.ceil(0.2 * total)
    for epoch in range(settings.epochs):
        for index in order_of(items.sizes, np.arange(21), 8, generator):
            optimiser.zero_grad()
            features, outputs = network(items.load(index, epoch, generator))
            codes = torch.from_numpy(index % 3)
            each = functional.cross_entropy(outputs, codes, label_smoothing=0.1, reduction="none")
            weights = torch.linspace(0.5, 2.0, 21, dtype=torch.float64).float()[index]
            loss = (each * weights).sum() / weights.sum()
            if settings.bss:
                loss = loss + settings.bss * regularise.bss(features)
            loss = loss + sum(
                settings.l2_sp / 2 * (p - s).square().sum() for p, s in zip(own, start, strict=True)
            )
            loss.backward()
            norm = torch.sqrt(sum(p.grad.square().sum() for p in params if p.grad is not None))
            assert settings.clip != 0.05 or norm > settings.clip
            for p in params:
                if p.grad is not None:
                    p.grad.mul_(min(1.0, settings.clip / (float(norm) + 1e-6)))
            done = (step - rise) / (total - rise)
            factor = (step + 1) / (rise + 1) if step < rise else (1 + math.cos(math.pi * done)) / 2
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * factor
            optimiser.step()
            step += 1
            horizon = max(1.0, settings.ema * total)
            keep = min(1 - 1 / horizon, step / (step + 9.0))
            for name, p in network.named_parameters():
                average[name] = keep * average[name] + (1 - keep) * p.detach()
    return dict(network.named_parameters()), average


@pytest.mark.parametrize(
    ("modality", "family", "changes"),
    [
        ("text", "bert", {}),
        ("text", "mpnet", {"clip": 0.05}),
        ("text", "bert", {"depth": 2}),
        ("text", "bert", {"train": "biases"}),
        ("text", "bert", {"train": "lora", "rank": 2}),
        ("text", "bert", {"l2_sp": 0.5}),
        ("text", "bert", {"ema": 0.5}),
        ("image", "lite", {"clip": 0.05}),
        ("image", "lite", {"depth": 3, "ema": 0.1}),
    ],
)
def test_the_loop_does_what_plain_pytorch_does(
    modality: str, family: str, changes: dict[str, Any]
) -> None:
    settings = replace(BASE, **changes)
    # images in whole batches: what is drawn for them is drawn for a piece at a time
    loop = loop_of(settings, modality, family=family, micro=3 if modality == "text" else 8)
    expected, average = reference(loop, settings)
    loop.run()
    assert loop.progress.step == loop.total == 9
    moved = 0.0
    for name, tensor in loop.named.items():
        if name.endswith("key.bias"):  # no gradient but the noise of rounding
            continue
        wanted = average[name] if settings.ema else expected[name].detach()
        torch.testing.assert_close(tensor.detach(), wanted, atol=2e-6, rtol=2e-5, msg=name)
        moved += float((tensor.detach() - loop.start[name]).abs().sum())
    assert moved > 0.1


def test_bss_takes_whole_batches_when_they_are_one_piece() -> None:
    settings = replace(BASE, bss=1.0)
    loop = loop_of(settings, micro=8)
    expected, _ = reference(loop, settings)
    plain, _ = reference(loop, BASE)
    loop.run()
    for name, tensor in loop.named.items():
        if not name.endswith("key.bias"):
            torch.testing.assert_close(tensor, expected[name], atol=5e-6, rtol=1e-4)
    name = "backbone.blocks.3.down.weight"
    assert not torch.allclose(expected[name], plain[name], atol=1e-4)


def test_l2_sp_keeps_the_weights_nearer_to_their_start() -> None:
    def distance(l2_sp: float) -> float:
        loop = loop_of(replace(BASE, l2_sp=l2_sp, epochs=6))
        loop.run()
        own = [name for name in loop.named if not name.startswith("head")]
        return sum(float((loop.named[n].detach() - loop.start[n]).square().sum()) for n in own)

    assert distance(10.0) < 0.5 * distance(0.0)


@pytest.mark.parametrize("modality", ["text", "image"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"depth": 2},
        {"depth": 0},
        {"train": "biases"},
        {"train": "lora", "depth": 3},
        {"gradual": True, "epochs": 10},
    ],
)
def test_gradient_reaches_exactly_what_trains(modality: str, changes: dict[str, Any]) -> None:
    settings = replace(BASE, **changes)
    loop = loop_of(settings, modality)
    loop._unfreeze(0)
    before = {name: p.detach().clone() for name, p in loop.network.named_parameters()}
    with loop.network.training_mode():
        loop._step(np.arange(8))
    n_blocks = loop.network.n_blocks
    first = n_blocks - (n_blocks if settings.depth is None else settings.depth)
    if settings.gradual:
        first = n_blocks - max(1, round(n_blocks / 6))
        assert first == loop.network.first_trained == n_blocks - 1 - (n_blocks > 8)
    for name, p in loop.network.named_parameters():
        in_blocks = name.startswith("backbone.blocks.")
        inside = name.startswith("head.")
        if in_blocks and int(name.split(".")[2]) >= first:
            inside = {
                "all": True,
                "biases": name.endswith(".bias"),
                "lora": "parametrizations.weight.0." in name,
            }[settings.train]
        assert (p.grad is not None) == inside, name
        moved = not torch.equal(before[name], p.detach())
        if inside and "parametrizations" not in name and "position" not in name:
            assert moved or p.grad is None or not p.grad.any(), name
        if not inside:
            assert not moved, name
            assert name not in loop.named or settings.gradual
        else:
            assert name in loop.named
    reached = [p for p in loop.network.parameters() if p.grad is not None and p.grad.any()]
    assert len(reached) >= (2 if settings.depth == 0 else 4)


def test_training_mode_is_for_what_trains_alone() -> None:
    for modality in ("text", "image"):
        for changes in ({"depth": 2}, {"depth": 2, "batch_norm": "train"}):
            loop = loop_of(replace(BASE, **changes), modality)  # type: ignore[arg-type]
            blocks = loop.network.backbone.blocks
            with loop.network.training_mode():
                modes = [block.training for block in blocks]
                norms = [
                    [m.training for m in block.modules() if isinstance(m, torch.nn.BatchNorm2d)]
                    for block in blocks
                ]
            assert modes == [False] * (len(blocks) - 2) + [True] * 2
            assert all(
                value == (loop.settings.batch_norm == "train" and place >= len(blocks) - 2)
                for place, values in enumerate(norms)
                for value in values
            )
            assert not any(module.training for module in loop.network.modules())


@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_rows_of_words_in_use_train_as_the_whole_table_does(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = loop_of(BASE, family=family)
    assert isinstance(rows.network.backbone.blocks[0].word, RowEmbedding)
    base = named(backbone_of(family))
    rows.run()
    changed = rows.network.changed()
    monkeypatch.setattr(Network, "_keep_rows", lambda self, used: None)
    table = loop_of(BASE, family=family)
    table.run()
    made = named(tuned_backbone(backbone_of(family), changed, {}))
    whole = named(table.network.backbone)
    for key in base:
        if not key.endswith("key.bias"):
            np.testing.assert_allclose(made[key], whole[key], atol=2e-6, rtol=1e-5, err_msg=key)
    index = changed["index.blocks.0.word.weight"]
    others = np.setdiff1d(np.arange(len(base["blocks.0.word.weight"])), index)
    assert len(others) > 300
    for after in (made, whole):
        same = after["blocks.0.word.weight"] == base["blocks.0.word.weight"]
        assert same[others].all()
        assert not same[index].all()


def test_only_the_table_of_words_is_cut_to_the_rows_in_use() -> None:
    # 12 words and 60 positions: the positions are no words, however many they are
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: i for i, word in enumerate(["[UNK]", *(f"w{i}" for i in range(11))])}
    tokenizer = Tokenizer(models.WordLevel(words, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    plain = backbone_of("bert")
    config = dict(plain.card.config) | {"vocab_size": 12, "positions": 60}
    tensors = {name: array.copy() for name, array in plain.tensors().items()}
    tensors["blocks.0.word.weight"] = tensors["blocks.0.word.weight"][:12]
    tensors["blocks.0.position.weight"] = np.resize(tensors["blocks.0.position.weight"], (60, 16))
    small = sources.from_state(replace(plain.card, config=config), tensors, tokenizer.to_str())
    texts = ["w1 w2 w1", "w2 w2", "w1"] * 4
    network = Network(small, 2, np.zeros(16), 1.0)
    items = TextItems(texts, small)
    network.prepare(BASE, items.used(), torch.Generator())
    assert not any(isinstance(m, RowEmbedding) for m in network.modules())
    assert network(items.load(np.arange(12), 0, None))[1].shape == (12, 2)


def test_a_table_that_is_called_from_elsewhere_is_left_whole() -> None:
    backbone = sources.from_state(
        backbone_of("bert").card, backbone_of("bert").tensors(), tokenizer_json()
    )

    class Front(torch.nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList([inner.word, inner.position, inner.norm])
            self._inner = (inner,)

        def forward(self, state: Any) -> Any:
            return self._inner[0](state)

    backbone.blocks[0] = Front(backbone.blocks[0])
    items = TextItems(items_of("text", 21), backbone)
    network = Network(backbone, 2, np.zeros(16), 1.0)
    network.prepare(BASE, items.used(), torch.Generator())
    network.start_head(np.ones((16, 2)), np.zeros(2))
    network(items.load(np.arange(4), 0, None))[1].square().sum().backward()
    assert backbone.blocks[0].parts[0].weight.grad.any()


@pytest.mark.parametrize("modality", ["text", "image"])
def test_lora_starts_as_the_base_and_merges_to_what_it_was(modality: str) -> None:
    loop = loop_of(replace(BASE, train="lora"), modality)
    index = np.arange(9)
    batch = loop.items.load(index, 0, None)
    base = backbone_of(modality)
    with torch.no_grad():
        assert torch.equal(loop.network(batch)[0], base(batch))
    loop.run()
    with torch.no_grad():
        unmerged = loop.network(batch)[0]
        changed = loop.network.changed()
        merged = tuned_backbone(base, changed, {})(batch)
        assert torch.equal(loop.network(batch)[0], merged)
    torch.testing.assert_close(merged, unmerged, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(merged, base(batch), atol=1e-3)
    assert set(changed) <= set(dict(base.named_parameters()))


def test_gradual_unfreezes_from_the_last_block() -> None:
    settings = replace(BASE, gradual=True, epochs=10)
    seen: list[list[int]] = []
    loop = loop_of(settings)
    start = {name: p.detach().clone() for name, p in loop.network.named_parameters()}

    def watch(done: int) -> None:
        moved = {
            int(name.split(".")[2])
            for name, p in loop.network.named_parameters()
            if name.startswith("backbone.blocks") and not torch.equal(start[name], p.detach())
        }
        seen.append(sorted(moved))

    loop.reporter = Told(watch)
    loop.run()
    assert seen[0] == seen[5] == [3]  # of 4 blocks, epochs 1 and 2 of 3 steps each
    assert seen[8] == [2, 3]
    assert seen[14] == [1, 2, 3]
    assert seen[-1] == [0, 1, 2, 3]
    depth = loop_of(replace(settings, depth=2))
    for epoch, first in ((0, 3), (5, 2), (9, 2)):
        depth._unfreeze(epoch)
        assert depth.network.first_trained == first


def test_a_loss_that_is_no_number_ends_the_fit() -> None:
    loop = loop_of(replace(BASE, clip=1e30, rate=1e30, head_rate=1e30))
    with pytest.raises(OptionError, match="training diverged") as raised:
        loop.run()
    assert "smaller rate" in str(raised.value)
    assert raised.value.where is not None
    assert "of 9" in raised.value.where


def test_batches_hold_every_item_once_and_are_of_similar_length() -> None:
    sizes = np.random.default_rng(0).integers(1, 100, 700)
    batches = order_of(sizes, np.arange(50, 650), 8, torch.Generator().manual_seed(0))
    assert sorted(np.concatenate(batches)) == list(range(50, 650))
    assert len(batches) == 75
    assert max(np.ptp(sizes[batch]) for batch in batches) < 20
    again = order_of(sizes, np.arange(50, 650), 8, torch.Generator().manual_seed(0))
    assert all(np.array_equal(one, two) for one, two in zip(batches, again, strict=True))
    lengths = [int(sizes[batch].mean()) for batch in batches]
    assert lengths != sorted(lengths)
    assert labels_of("classes", 3).tolist() == ["ant", "bee", "cat"]
