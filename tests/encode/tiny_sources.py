"""Small backbones of headstart's own making: random weights, nothing to download."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from headstart.sources import bert, efficientnet_lite, mpnet
from headstart.sources.cards import SourceCard

WORDS = [f"w{i}" for i in range(200)]


def make_card(name, modality, family, dim, config, spec) -> SourceCard:
    return SourceCard(
        name=name,
        modality=modality,
        title=name,
        pretrained_on="nothing",
        parameters=1,
        dim=dim,
        input=spec,
        licence="Apache-2.0",
        permissive=True,
        family=family,
        weights_sha256=name * 2,
        size_mb=0.1,
        config=config,
    )


def filled(backbone, seed):
    """Give a backbone random weights, statistics of batch norm included."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in backbone.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator) * 0.3
            scale = name.endswith(("norm.weight", "bn.weight", "running_var"))
            tensor.copy_(noise.abs() + 0.5 if scale else noise)
    return backbone.eval()


def tiny_tokenizer() -> Tokenizer:
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer


def tiny_text(family="bert", *, prefix="", seed=0):
    config = {
        "vocab_size": 204,
        "hidden": 32,
        "heads": 4,
        "intermediate": 64,
        "layers": 2,
        "positions": 40,
        "types": 2,
        "buckets": 32,
        "eps": 1e-12,
    }
    spec = {"max_tokens": 24, "pooling": "mean", "normalise": True, "prefix": prefix}
    card = make_card(f"tiny-{family}", "text", family, 32, config, spec)
    backbone = filled({"bert": bert, "mpnet": mpnet}[family].build(card), seed)
    backbone.tokenizer = tiny_tokenizer()
    return backbone


def tiny_image(*, seed=0, size=32):
    config = {
        "stem": 8,
        "widths": [8, 8, 16, 16, 16, 24, 24],
        "depths": [1, 2, 1, 1, 2, 1, 1],
        "classes": 3,
    }
    spec = {
        "size": size,
        "mean": [0.5, 0.4, 0.3],
        "std": [0.5, 0.25, 0.2],
        "interpolation": "bicubic",
        "crop": 0.875,
    }
    card = make_card("tiny-lite", "image", "efficientnet-lite", 40, config, spec)
    return filled(efficientnet_lite.build(card), seed)
