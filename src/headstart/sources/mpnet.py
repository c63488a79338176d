"""MPNet (Song et al. 2020) as an ordered list of blocks: embeddings, then the encoder's layers.

As BERT, without segments, with positions counted from the padding index and with relative
position biases that all layers share (they belong to the block ``embeddings``).
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import Tensor, nn

from headstart.sources import bert
from headstart.sources.backbone import TextBackbone
from headstart.sources.cards import SourceCard

_PADDING = 1
_MAX_DISTANCE = 128


class Embeddings(nn.Module):
    """Token and position embeddings: (ids, mask) -> (hidden, mask).

    Parameters
    ----------
    config : dict
        ``vocab_size``, ``hidden``, ``positions``, ``buckets``, ``heads``, ``eps``, ``dropout``.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width = config["hidden"]
        self.word = nn.Embedding(config["vocab_size"], width)
        self.position = nn.Embedding(config["positions"], width)
        self.norm = nn.LayerNorm(width, eps=config["eps"])
        self.dropout = nn.Dropout(config.get("dropout", 0.1))
        self.relative = nn.Embedding(config["buckets"], config["heads"])

    def forward(self, state: bert.State) -> bert.State:
        """Map (ids, mask), both (n, t), to (hidden (n, t, width), mask)."""
        ids, mask = state
        tokens = (mask != 0).to(torch.int64)
        places = tokens.cumsum(dim=1) * tokens + _PADDING
        return self.dropout(self.norm(self.word(ids) + self.position(places))), mask

    def bias(self, t: int) -> Tensor:
        """Return the relative position biases of shape (1, heads, t, t)."""
        buckets = relative_buckets(t, self.relative.num_embeddings)
        return self.relative(buckets.to(self.relative.weight.device)).permute(2, 0, 1)[None]


class Layer(bert.Layer):
    """One encoder layer; its attention adds the shared relative position biases.

    Parameters
    ----------
    config : dict
        See `headstart.sources.bert.Layer`.
    shared : Embeddings
        Who owns the biases.
    """

    def __init__(self, config: dict[str, Any], shared: Embeddings) -> None:
        super().__init__(config)
        self._shared = (shared,)  # in a tuple: its parameters belong to the embeddings alone

    def attention_mask(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return what is added to the attention scores: (n, heads, t, t)."""
        bias = self._shared[0].bias(hidden.shape[1]).to(hidden.dtype)
        return bias.masked_fill(mask[:, None, None, :] == 0, torch.finfo(hidden.dtype).min)


def relative_buckets(t: int, buckets: int) -> Tensor:
    """Return the bucket (t, t) of every distance: exact when near, logarithmic to 128 when far."""
    places = torch.arange(t)
    distance = places[:, None] - places[None, :]  # query minus key
    half = buckets // 2
    exact = half // 2
    past = (distance < 0).to(torch.int64) * half
    distance = distance.abs()
    scaled = torch.log(distance.clamp(min=1).float() / exact) / math.log(_MAX_DISTANCE / exact)
    far = exact + (scaled * (half - exact)).to(torch.int64)
    return past + torch.where(distance < exact, distance, far.clamp(max=half - 1))


def build(card: SourceCard) -> TextBackbone:
    """Return the network of an MPNet card, its weights not yet set."""
    first = Embeddings(card.config)
    blocks: list[tuple[str, nn.Module]] = [("embeddings", first)]
    blocks += [
        (f"layer{i}", Layer(card.config, first)) for i in range(1, card.config["layers"] + 1)
    ]
    return TextBackbone(card, blocks)


_NAMES = {
    "embeddings.word_embeddings": "blocks.0.word",
    "embeddings.position_embeddings": "blocks.0.position",
    "embeddings.LayerNorm": "blocks.0.norm",
    "encoder.relative_attention_bias": "blocks.0.relative",
}
_LAYER_NAMES = {
    "attention.attn.q": "query",
    "attention.attn.k": "key",
    "attention.attn.v": "value",
    "attention.attn.o": "output",
    "attention.LayerNorm": "attention_norm",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "norm",
}


def rename(name: str) -> str | None:
    """Return our name of a tensor of a Hugging Face MPNet; None if it is not needed."""
    stem, _, kind = name.removeprefix("mpnet.").rpartition(".")
    if stem in _NAMES:
        return f"{_NAMES[stem]}.{kind}"
    match = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", stem)
    if match and match[2] in _LAYER_NAMES:
        return f"blocks.{int(match[1]) + 1}.{_LAYER_NAMES[match[2]]}.{kind}"
    return None
