"""Conv-4 (Vinyals et al., NeurIPS 2016): the small network that few-shot learning is measured on.

Four times a convolution of 3 x 3, batch norm, ReLU and max pooling by 2; the features are what is
left of the image, laid flat. It has no pretrained weights of its own: meta-training makes them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.core.errors import OptionError
from headstart.sources.backbone import ImageBackbone
from headstart.sources.cards import SourceCard

BLOCKS = 4
SMALLEST, LARGEST = 2**BLOCKS, 256  # pixels of a side: at least one is left after four halvings
PAPER = "Vinyals et al., Matching networks for one shot learning, NeurIPS 2016"


class ConvBlock(nn.Module):
    """Convolution of 3 x 3, batch norm, ReLU, max pooling by 2.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, h // 2, w // 2)."""
        return functional.max_pool2d(functional.relu(self.bn(self.conv(x))), 2)


class Conv4(ImageBackbone):
    """Conv-4 as a backbone: four blocks, then the places laid flat."""

    def pool(self, state: Tensor) -> Tensor:
        """Return the features of shape (n, width * places)."""
        return state.flatten(1)


def build(card: SourceCard) -> Conv4:
    """Return the network of a Conv-4 card, its weights not yet set."""
    width = int(card.config["width"])
    blocks = [(f"block{i}", ConvBlock(3 if i == 1 else width, width)) for i in range(1, BLOCKS + 1)]
    return Conv4(card, blocks)


def untrained(*, size: int = 32, width: int = 64, generator: torch.Generator) -> Conv4:
    """Return a Conv-4 with random weights (He et al. 2015), as meta-training starts from.

    Parameters
    ----------
    size : int
        Pixels of a side of the images, 16 to 256.
    width : int
        Channels of each block, 1 to 1024; 64 in the paper.
    generator : torch.Generator

    Raises
    ------
    OptionError
        ``size`` or ``width`` is out of range.

    Examples
    --------
    >>> untrained(size=32, generator=torch.Generator().manual_seed(0)).card.dim
    256
    """
    ranges = {"size": (size, SMALLEST, LARGEST), "width": (width, 1, 1024)}
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise OptionError("out of range", where=name, got=value, allowed=f"{low} to {high}")
    dim = width * (size >> BLOCKS) ** 2
    backbone = build(
        SourceCard(
            name="conv4",
            modality="image",
            title=f"Conv-4, {width} channels, {size} x {size} pixels",
            pretrained_on="nothing",
            parameters=9 * 3 * width + (BLOCKS - 1) * 9 * width * width + 2 * BLOCKS * width,
            dim=dim,
            input={
                "size": size,
                "mean": [0.5] * 3,
                "std": [0.5] * 3,
                "interpolation": "bicubic",
                "crop": 1.0,
            },
            licence="none: random weights",
            permissive=True,
            family="conv4",
            config={"width": width},
            weights_sha256="",
            size_mb=0.0,
            provider="directory",
            paper=PAPER,
        )
    )
    with torch.no_grad():
        for module in backbone.modules():
            if isinstance(module, nn.Conv2d):
                spread = math.sqrt(2 / (9 * module.in_channels))
                module.weight.normal_(0.0, spread, generator=generator)
    return backbone.eval()
