"""EfficientNet-Lite on a CPU: batch norm folded, convolution and ReLU6 one operation.

Weights are packed for oneDNN, activations stay channels-last, the residual is added by the
projecting convolution itself. These are private operations of torch: whoever uses this class
checks it on a sample first.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from headstart.sources.backbone import Backbone
from headstart.sources.efficientnet_lite import ConvBN, MBConv


class PackedEfficientNet:
    """The forward pass of a frozen EfficientNet-Lite.

    Parameters
    ----------
    backbone : Backbone
        Its weights are copied; it is not changed.
    dtype : torch.dtype
        float32 or bfloat16.
    batch, side : int
        The input the weights are packed for; other batches work too.
    """

    def __init__(self, backbone: Backbone, *, dtype: torch.dtype, batch: int, side: int) -> None:
        self._backbone, self._dtype = backbone, dtype
        self._units: list[Any] = []
        with torch.inference_mode():
            shape = (batch, side)
            for block in backbone.blocks:
                unit = (_MBConv if isinstance(block, MBConv) else _Conv)(block, shape, dtype)
                shape = (batch, unit.side)
                self._units.append(unit)

    @staticmethod
    def fits(backbone: Backbone) -> bool:
        """Tell whether a backbone is an EfficientNet-Lite of headstart's own making."""
        return not backbone.training and all(
            type(block) in (ConvBN, MBConv) for block in backbone.blocks
        )

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the features, (n, dim) float32, of normalised images (n, 3, side, side)."""
        state = batch.to(self._dtype, memory_format=torch.channels_last)
        return self._backbone.through(state, self._units, read=Tensor.float)


class _Conv:
    """Convolution with folded batch norm, and ReLU6 or an addend, in one operation."""

    def __init__(self, unit: Any, shape: tuple[int, int], dtype: torch.dtype) -> None:
        conv, bn = unit.conv, unit.bn
        norm = (bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias)
        folded, bias = fuse_conv_bn_weights(conv.weight, None, *norm)
        self._bias = bias.detach().to(dtype)
        self._stride, self._groups = list(conv.stride), conv.groups
        weight, padding, self.side = _same_padding(folded.detach(), conv, shape[1])
        self._padding = [padding, padding]
        self._act: tuple[str, list[float]] = ("hardtanh", [0.0, 6.0]) if unit.act else ("none", [])
        pack: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        self._weight = pack(
            weight.to(dtype).to_mkldnn(),
            self._padding,
            self._stride,
            [1, 1],
            self._groups,
            [shape[0], weight.shape[1] * self._groups, shape[1], shape[1]],
        )

    def __call__(self, x: Tensor, addend: Tensor | None = None) -> Tensor:
        place = (self._padding, self._stride, [1, 1], self._groups)
        if addend is not None:
            return torch.ops.mkldnn._convolution_pointwise_.binary(
                addend, x, self._weight, self._bias, *place, "add", 1.0, None, [], None
            )
        return torch.ops.mkldnn._convolution_pointwise(
            x, self._weight, self._bias, *place, *self._act, ""
        )


class _MBConv:
    """Expand, depthwise, project, and the residual."""

    def __init__(self, block: Any, shape: tuple[int, int], dtype: torch.dtype) -> None:
        widens = not isinstance(block.expand, nn.Identity)
        self._expand = _Conv(block.expand, shape, dtype) if widens else None
        self._depthwise = _Conv(block.depthwise, shape, dtype)
        self.side = self._depthwise.side
        self._project = _Conv(block.project, (shape[0], self.side), dtype)
        self._residual = block.residual

    def __call__(self, x: Tensor) -> Tensor:
        inner = self._depthwise(x if self._expand is None else self._expand(x))
        return self._project(inner, x if self._residual else None)


def _same_padding(weight: Tensor, conv: nn.Conv2d, side: int) -> tuple[Tensor, int, int]:
    """Return (weight, symmetric padding, output side) equal to TensorFlow's "same" padding.

    At stride 2 TensorFlow pads one more on the right than on the left. A kernel that is one
    wider, with zeros on the left, and the larger padding on both sides give the same result
    without a copy of the input.
    """
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    out = -(-side // stride)
    total = max((out - 1) * stride + kernel - side, 0)
    left, right = total // 2, total - total // 2
    if left != right:
        weight = functional.pad(weight, (1, 0, 1, 0))
    return weight, right, out
