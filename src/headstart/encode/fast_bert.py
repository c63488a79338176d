"""BERT and MPNet on a CPU: one pass over packed tokens, without padding.

The tokens of many texts lie one after another in a matrix of shape (tokens, width): every linear
layer is one large multiplication whatever the lengths, and only attention looks at texts, all of
one length at a time. Query, key and value are one multiplication. With AVX-512 the weights are
packed once for oneDNN (private operations of torch, checked on a sample before they are
trusted); without it MKL's multiplication is the faster one and is used as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from headstart.sources import bert, mpnet
from headstart.sources.backbone import Backbone

_PACK_ROWS = 512  # tokens a batch that weights are packed for


class PackedBert:
    """The forward pass of a frozen BERT or MPNet over packed tokens.

    Parameters
    ----------
    backbone : Backbone
        Its weights are copied where they are fused or packed; it is not changed.
    dtype : torch.dtype
        float32 or bfloat16.
    prepack : bool
        Pack the weights for oneDNN.
    """

    def __init__(self, backbone: Backbone, *, dtype: torch.dtype, prepack: bool) -> None:
        self._backbone, self._dtype = backbone, dtype
        layers = list(backbone.blocks)[1:]
        with torch.inference_mode():
            self._layers = [_Layer(layer, dtype=dtype, prepack=prepack) for layer in layers]

    @staticmethod
    def fits(backbone: Backbone) -> bool:
        """Tell whether a backbone is a BERT or MPNet of headstart's own making."""
        blocks = list(backbone.blocks)
        return (
            len(blocks) > 1
            and type(blocks[0]) in (bert.Embeddings, mpnet.Embeddings)
            and all(type(block) in (bert.Layer, mpnet.Layer) for block in blocks[1:])
            and not backbone.training
            and backbone.card.input.get("layers") is None
        )

    def __call__(self, groups: Sequence[Tensor]) -> Tensor:
        """Return the features of texts, (n, dim) float32.

        Parameters
        ----------
        groups : sequence of int64 tensors of shape (n_i, t_i)
            Token ids; the texts of one group have the same length.
        """
        embed = self._backbone.blocks[0]
        shapes = [tuple(ids.shape) for ids in groups]
        masks = [torch.ones_like(ids) for ids in groups]
        states = [embed((ids, mask))[0] for ids, mask in zip(groups, masks, strict=True)]
        width = states[0].shape[-1]
        biases = [
            self._layers[0].bias(state, mask) for state, mask in zip(states, masks, strict=True)
        ]
        hidden = torch.cat([state.reshape(-1, width) for state in states]).to(self._dtype)
        for layer in self._layers:
            hidden = layer(hidden, shapes, biases)
        pooled, start = [], 0
        for (n, t), mask in zip(shapes, masks, strict=True):
            part = hidden[start : start + n * t].view(n, t, width).float()
            pooled.append(self._backbone.pool((part, mask)))
            start += n * t
        return torch.cat(pooled)


class _Layer:
    """One encoder layer over packed tokens."""

    def __init__(self, layer: Any, *, dtype: torch.dtype, prepack: bool) -> None:
        self._layer = layer
        self._heads = layer.heads
        three = (layer.query, layer.key, layer.value)
        weight = torch.cat([part.weight for part in three])
        bias = torch.cat([part.bias for part in three])
        make = partial(_linear, dtype=dtype, prepack=prepack)
        self._qkv = make(weight, bias)
        self._output = make(layer.output.weight, layer.output.bias)
        self._up = make(layer.up.weight, layer.up.bias, gelu=True)
        self._down = make(layer.down.weight, layer.down.bias)
        self._norms = [
            (norm.normalized_shape, norm.weight.to(dtype), norm.bias.to(dtype), norm.eps)
            for norm in (layer.attention_norm, layer.norm)
        ]

    def bias(self, hidden: Tensor, mask: Tensor) -> Tensor | None:
        """Return what is added to the attention scores of unpadded texts; None for nothing."""
        if type(self._layer) is bert.Layer:
            return None
        return self._layer.attention_mask(hidden[:1], mask[:1])

    def __call__(
        self, hidden: Tensor, shapes: Sequence[tuple[int, ...]], biases: Sequence[Tensor | None]
    ) -> Tensor:
        attended = self._attend(self._qkv(hidden), shapes, biases)
        hidden = functional.layer_norm(self._output(attended).add_(hidden), *self._norms[0])
        inner = self._down(self._up(hidden))
        return functional.layer_norm(inner.add_(hidden), *self._norms[1])

    def _attend(
        self, qkv: Tensor, shapes: Sequence[tuple[int, ...]], biases: Sequence[Tensor | None]
    ) -> Tensor:
        width = qkv.shape[1] // 3
        out = qkv.new_empty((qkv.shape[0], width))
        start = 0
        for (n, t), bias in zip(shapes, biases, strict=True):
            part = qkv[start : start + n * t].view(n, t, 3, self._heads, width // self._heads)
            query, key, value = part.permute(2, 0, 3, 1, 4)
            scores = None if bias is None else bias.to(qkv.dtype)
            attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=scores)
            out[start : start + n * t].view(n, t, self._heads, -1).copy_(attended.transpose(1, 2))
            start += n * t
        return out


def _linear(
    weight: Tensor, bias: Tensor, *, dtype: torch.dtype, prepack: bool, gelu: bool = False
) -> Any:
    weight, bias = weight.detach().to(dtype), bias.detach().to(dtype)
    if prepack:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _PACK_ROWS)
        run = torch.ops.mkldnn._linear_pointwise
        kind, algorithm = ("gelu", "none") if gelu else ("none", "")
        return lambda x: run(x, packed, bias, kind, [], algorithm)
    if gelu:
        return lambda x: functional.gelu(functional.linear(x, weight, bias))
    return lambda x: functional.linear(x, weight, bias)
