"""Our own networks against transformers, and what all backbones promise."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from headstart import sources
from headstart.core.errors import SourceError
from headstart.sources import bert, efficientnet_lite, loading, mpnet
from headstart.sources.backbone import pool_tokens

OURS = {
    "vocab_size": 50,
    "hidden": 24,
    "layers": 3,
    "heads": 4,
    "intermediate": 40,
    "positions": 150,
    "eps": 1e-6,
    "dropout": 0.0,
}
THEIRS = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 150,
    "layer_norm_eps": 1e-6,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.3,
}


def text_pair(kind: str) -> tuple[sources.Backbone, Any]:
    """Return our network and the one of transformers with the same random weights."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    if kind == "bert":
        oracle = transformers.BertModel(transformers.BertConfig(**THEIRS)).eval()
        card = replace(sources.card("minilm"), config={**OURS, "types": 2}, dim=24)
    else:
        oracle = transformers.MPNetModel(transformers.MPNetConfig(**THEIRS)).eval()
        card = replace(sources.card("mpnet"), config={**OURS, "buckets": 32}, dim=24)
    with torch.no_grad():
        for name, parameter in oracle.named_parameters():
            if "bias" in name or "LayerNorm" in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    state = {name: tensor.clone() for name, tensor in oracle.state_dict().items()}
    return loading.assemble_renamed(card, state, None, where="test"), oracle


def batch(t: int = 140) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(4, 50, (3, t), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(3, t, dtype=torch.int64)
    mask[1, t // 2 :] = 0
    mask[2, 2:] = 0
    ids[mask == 0] = 1  # the padding of MPNet, whose positions transformers takes from the ids
    return ids, mask


def pooled(oracle: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    hidden = oracle(input_ids=ids, attention_mask=mask).last_hidden_state
    mean = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
    return nn.functional.normalize(mean, dim=1)


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_outputs_equal_those_of_transformers(kind: str) -> None:
    ours, oracle = text_pair(kind)
    with torch.no_grad():
        torch.testing.assert_close(ours(batch()), pooled(oracle, *batch()), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_gradients_equal_those_of_transformers(kind: str) -> None:
    ours, oracle = text_pair(kind)
    weights = torch.randn(3, 24, generator=torch.Generator().manual_seed(2))
    (ours(batch()) * weights).sum().backward()
    (pooled(oracle, *batch()) * weights).sum().backward()
    rename = {"bert": bert.rename, "mpnet": mpnet.rename}[kind]
    own = dict(ours.named_parameters())
    compared = 0
    for name, parameter in oracle.named_parameters():
        renamed = rename(name)
        if renamed is None:
            continue
        expected = parameter.grad
        if kind == "bert" and "token_type" in name:
            expected = expected[:1]
            torch.testing.assert_close(own[renamed].grad[:1], expected, atol=1e-5, rtol=1e-4)
        else:
            torch.testing.assert_close(own[renamed].grad, expected, atol=1e-5, rtol=1e-4)
        compared += 1
    assert compared == len(own)


@pytest.mark.parametrize("t", [1, 2, 7, 140])
def test_relative_buckets_are_those_of_transformers(t: int) -> None:
    transformers = pytest.importorskip("transformers")
    module = transformers.models.mpnet.modeling_mpnet
    places = torch.arange(t)
    expected = module.MPNetEncoder.relative_position_bucket(
        places[None, :] - places[:, None], num_buckets=32
    )
    assert torch.equal(mpnet.relative_buckets(t, 32), expected)


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_padding_and_company_do_not_matter(kind: str) -> None:
    ours, _ = text_pair(kind)
    ids, mask = batch(20)
    with torch.no_grad():
        together = ours((ids, mask))
        alone = ours((ids[1:2, :10], mask[1:2, :10]))
    torch.testing.assert_close(alone[0], together[1], atol=1e-6, rtol=1e-5)


def lite() -> sources.Backbone:
    config = {
        "stem": 8,
        "widths": [8, 8, 12, 12, 16, 16, 24],
        "depths": [1, 2, 1, 1, 1, 2, 1],
        "classes": 7,
    }
    card = replace(sources.card("efficientnet-lite0"), config=config, dim=32)
    torch.manual_seed(0)
    model = efficientnet_lite.build(card)
    return sources.from_state(card, model.tensors(), None)


BACKBONES = {
    "bert": lambda: text_pair("bert")[0],
    "mpnet": lambda: text_pair("mpnet")[0],
    "lite": lite,
}


def batch_of(kind: str) -> Any:
    if kind == "lite":
        return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    return batch(12)


@pytest.mark.parametrize("kind", BACKBONES)
def test_blocks_one_by_one_are_the_whole(kind: str) -> None:
    backbone = BACKBONES[kind]()
    with torch.no_grad():
        state = backbone.start(batch_of(kind))
        for block in backbone.blocks:
            state = block(state)
        assert torch.equal(backbone.pool(state), backbone(batch_of(kind)))
    assert len(backbone.block_names) == len(backbone.blocks) == len(set(backbone.block_names))
    assert not backbone.training


@pytest.mark.parametrize("kind", BACKBONES)
def test_every_weight_belongs_to_one_block_and_learns(kind: str) -> None:
    backbone = BACKBONES[kind]()
    owned = [id(p) for block in backbone.blocks for p in block.parameters()]
    head = [id(p) for p in backbone.head.parameters()] if backbone.head is not None else []
    assert len(owned) == len(set(owned))
    assert {*owned, *head} == {id(p) for p in backbone.parameters()}
    features = backbone(batch_of(kind))
    (backbone.head(features) if backbone.head is not None else features).pow(2).sum().backward()
    stuck = [name for name, p in backbone.named_parameters() if p.grad is None]
    assert stuck == []


@pytest.mark.parametrize("kind", BACKBONES)
def test_a_copy_and_a_rebuild_give_the_same_bits(kind: str) -> None:
    backbone = BACKBONES[kind]()
    card = sources.SourceCard.from_json(json.loads(json.dumps(backbone.card.to_json())))
    others = [copy.deepcopy(backbone), sources.from_state(card, backbone.tensors(), None)]
    with torch.no_grad():
        expected = backbone(batch_of(kind))
        for other in others:
            assert torch.equal(other(batch_of(kind)), expected)
            for parameter in other.parameters():
                parameter.mul_(3)
        assert torch.equal(backbone(batch_of(kind)), expected)


def test_a_copy_of_mpnet_uses_its_own_biases() -> None:
    backbone, _ = text_pair("mpnet")
    copied = copy.deepcopy(backbone)
    with torch.no_grad():
        before = copied(batch(12))
        backbone.blocks[0].relative.weight.add_(torch.randn(32, 4))
        assert torch.equal(copied(batch(12)), before)
        assert not torch.equal(backbone(batch(12)), before)


def test_dropout_is_on_in_training_only() -> None:
    ours, _ = text_pair("bert")
    for module in ours.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    ids = batch(12)
    with torch.no_grad():
        assert torch.equal(ours(ids), ours(ids))
        ours.train()
        assert not torch.equal(ours(ids), ours(ids))


def test_training_moves_batch_norm_and_eval_does_not() -> None:
    backbone = lite()
    before = backbone.tensors()
    with torch.no_grad():
        backbone(batch_of("lite"))
    assert all((backbone.tensors()[name] == before[name]).all() for name in before)
    before = {name: array.copy() for name, array in before.items()}
    backbone.train()
    with torch.no_grad():
        backbone(batch_of("lite"))
    moved = [name for name in before if (backbone.tensors()[name] != before[name]).any()]
    assert moved
    assert all("running" in name for name in moved)


@pytest.mark.parametrize("size", [63, 64])
def test_stride_two_pads_as_tensorflow_does(size: int) -> None:
    layer = efficientnet_lite.ConvBN(1, 1, kernel=3, stride=2)
    padded = layer.pad(torch.ones(1, 1, size, size))
    extra = {63: (1, 1), 64: (0, 1)}[size]  # before, after
    assert padded.shape[-1] == size + sum(extra)
    assert padded[0, 0, 1, 0] == (0 if extra[0] else 1)
    assert padded[0, 0, 1, -1] == 0
    assert layer(torch.ones(1, 1, size, size)).shape[-1] == 32


def test_pooling_ignores_padding() -> None:
    hidden = torch.tensor([[[1.0, -2.0], [3.0, -4.0], [99.0, 99.0]]])
    mask = torch.tensor([[1, 1, 0]])
    pools = {"mean": [2.0, -3.0], "cls": [1.0, -2.0], "max": [3.0, -2.0]}
    for pooling, expected in pools.items():
        assert pool_tokens(hidden, mask, pooling, normalise=False).tolist() == [expected]
    unit = pool_tokens(hidden, mask, "mean", normalise=True)
    assert unit.norm().item() == pytest.approx(1.0)
    with pytest.raises(SourceError, match="unknown pooling"):
        pool_tokens(hidden, mask, "median", normalise=False)


def test_an_abstract_backbone_does_not_pool() -> None:
    with pytest.raises(NotImplementedError):
        sources.Backbone(sources.card("minilm"), []).pool(None)


def test_class_names_are_those_of_imagenet() -> None:
    names = efficientnet_lite.imagenet_classes()
    assert len(names) == 1000
    assert names[0].startswith("tench")
    assert names[698] == "palace"
    assert Path(efficientnet_lite.__file__).with_name("imagenet_classes.txt").is_file()
    assert lite().head_classes is None
