"""BERT (Devlin et al. 2019) as an ordered list of blocks: embeddings, then the encoder's layers.

Post-layer-norm, learned absolute positions, exact GELU. MiniLM and multilingual E5 are BERTs.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.sources.backbone import TextBackbone
from headstart.sources.cards import SourceCard

State = tuple[Tensor, Tensor]


class Embeddings(nn.Module):
    """Token, position and (constant) segment embeddings: (ids, mask) -> (hidden, mask).

    Parameters
    ----------
    config : dict
        ``vocab_size``, ``hidden``, ``positions``, ``types``, ``eps``, ``dropout``.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width = config["hidden"]
        self.word = nn.Embedding(config["vocab_size"], width)
        self.position = nn.Embedding(config["positions"], width)
        self.token_type = nn.Embedding(config["types"], width)
        self.norm = nn.LayerNorm(width, eps=config["eps"])
        self.dropout = nn.Dropout(config.get("dropout", 0.1))

    def forward(self, state: State) -> State:
        """Map (ids, mask), both (n, t), to (hidden (n, t, width), mask)."""
        ids, mask = state
        places = torch.arange(ids.shape[1], device=ids.device)
        hidden = self.word(ids) + self.token_type.weight[0] + self.position(places)
        return self.dropout(self.norm(hidden)), mask


class Layer(nn.Module):
    """One post-layer-norm encoder layer: self-attention, then a two-layer perceptron.

    Parameters
    ----------
    config : dict
        ``hidden``, ``heads``, ``intermediate``, ``eps``, ``dropout``.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, inner, eps = config["hidden"], config["intermediate"], config["eps"]
        self.heads = int(config["heads"])
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(config.get("dropout", 0.1))

    def attention_mask(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return what is added to (float) or kept of (bool) the attention scores (n, h, t, t)."""
        return mask.to(torch.bool)[:, None, None, :]

    def forward(self, state: State) -> State:
        """Map (hidden (n, t, width), mask (n, t)) to the same."""
        hidden, mask = state
        n, t, width = hidden.shape
        shape = (n, t, self.heads, width // self.heads)
        query = self.query(hidden).view(shape).transpose(1, 2)
        key = self.key(hidden).view(shape).transpose(1, 2)
        value = self.value(hidden).view(shape).transpose(1, 2)
        attended = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=self.attention_mask(hidden, mask),
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        attended = self.output(attended.transpose(1, 2).reshape(n, t, width))
        hidden = self.attention_norm(hidden + self.dropout(attended))
        inner = self.down(functional.gelu(self.up(hidden)))
        return self.norm(hidden + self.dropout(inner)), mask


def build(card: SourceCard) -> TextBackbone:
    """Return the network of a BERT card, its weights not yet set."""
    layers = card.config["layers"]
    blocks: list[tuple[str, nn.Module]] = [("embeddings", Embeddings(card.config))]
    blocks += [(f"layer{i}", Layer(card.config)) for i in range(1, layers + 1)]
    return TextBackbone(card, blocks)


_NAMES = {
    "embeddings.word_embeddings": "blocks.0.word",
    "embeddings.position_embeddings": "blocks.0.position",
    "embeddings.token_type_embeddings": "blocks.0.token_type",
    "embeddings.LayerNorm": "blocks.0.norm",
}
_LAYER_NAMES = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "norm",
}


def rename(name: str) -> str | None:
    """Return our name of a tensor of a Hugging Face BERT; None if it is not needed."""
    stem, _, kind = name.removeprefix("bert.").rpartition(".")
    if stem in _NAMES:
        return f"{_NAMES[stem]}.{kind}"
    match = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", stem)
    if match and match[2] in _LAYER_NAMES:
        return f"blocks.{int(match[1]) + 1}.{_LAYER_NAMES[match[2]]}.{kind}"
    return None
