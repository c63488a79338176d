"""EfficientNet-Lite (Tan & Le 2019; TensorFlow's Lite variants) as an ordered list of blocks.

ReLU6, no squeeze-and-excite, stem and head of fixed width, TensorFlow's "same" padding, which at
stride 2 pads more on the right and below.
"""

from __future__ import annotations

import importlib.resources
import re

from torch import Tensor, nn
from torch.nn import functional

from headstart.sources.backbone import ImageBackbone
from headstart.sources.cards import SourceCard

# of every stage: kernel, stride, expansion
_STAGES = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))
_EPS, _MOMENTUM = 1e-3, 0.01


class ConvBN(nn.Module):
    """Convolution with "same" padding, batch norm and, if ``act``, ReLU6.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel, stride : int
    groups : int
        ``inputs`` for a depthwise convolution.
    act : bool
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: bool = True,
    ) -> None:
        super().__init__()
        padding = 0 if stride > 1 else kernel // 2
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, padding=padding, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(outputs, eps=_EPS, momentum=_MOMENTUM)
        self.act = act

    def pad(self, x: Tensor) -> Tensor:
        """Return the input padded as TensorFlow pads at stride 2; unchanged at stride 1."""
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        if stride == 1:
            return x
        down, right = (
            max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]
        )
        return functional.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, ceil(h / stride), ceil(w / stride))."""
        x = self.bn(self.conv(self.pad(x)))
        return functional.relu6(x) if self.act else x


class MBConv(nn.Module):
    """Inverted residual: expand, depthwise, project; plus the input where shapes allow.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel, stride, expansion : int
        An expansion of 1 has no expanding convolution.
    """

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = ConvBN(inputs, inner) if expansion > 1 else nn.Identity()
        self.depthwise = ConvBN(inner, inner, kernel=kernel, stride=stride, groups=inner)
        self.project = ConvBN(inner, outputs, act=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, ceil(h / stride), ceil(w / stride))."""
        out = self.project(self.depthwise(self.expand(x)))
        return x + out if self.residual else out


def build(card: SourceCard) -> ImageBackbone:
    """Return the network of an EfficientNet-Lite card, its weights not yet set."""
    widths, depths = card.config["widths"], card.config["depths"]
    stem = int(card.config["stem"])
    blocks: list[tuple[str, nn.Module]] = [("stem", ConvBN(3, stem, kernel=3, stride=2))]
    channels = stem
    rows = zip(_STAGES, widths, depths, strict=True)
    for stage, ((kernel, stride, expansion), width, depth) in enumerate(rows, start=1):
        for i in range(depth):
            block = MBConv(
                channels,
                width,
                kernel=kernel,
                stride=stride if i == 0 else 1,
                expansion=expansion,
            )
            blocks.append((f"stage{stage}.{i + 1}", block))
            channels = width
    blocks.append(("features", ConvBN(channels, card.dim)))
    classes = int(card.config["classes"])
    head = nn.Linear(card.dim, classes)
    names = imagenet_classes() if classes == 1000 else None
    return ImageBackbone(card, blocks, head=head, head_classes=names)


def imagenet_classes() -> tuple[str, ...]:
    """Return the words for each of the 1000 classes of ImageNet-1k, in the order of the outputs.

    Examples
    --------
    >>> imagenet_classes()[698]
    'palace'
    """
    file = importlib.resources.files("headstart.sources").joinpath("imagenet_classes.txt")
    lines = file.read_text("utf-8").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))


_UNITS = {
    "_expand_conv": "expand.conv",
    "_depthwise_conv": "depthwise.conv",
    "_project_conv": "project.conv",
    "_bn0": "expand.bn",
    "_bn1": "depthwise.bn",
    "_bn2": "project.bn",
}


def rename(name: str, n_blocks: int) -> str:
    """Return our name of a tensor of the packages' checkpoints.

    Parameters
    ----------
    name : str
        As in efficientnet_lite_pytorch.
    n_blocks : int
        How many inverted residuals the network has.
    """
    last = n_blocks + 1
    outer = {
        "_conv_stem": "blocks.0.conv",
        "_bn0": "blocks.0.bn",
        "_conv_head": f"blocks.{last}.conv",
        "_bn1": f"blocks.{last}.bn",
        "_fc": "head",
    }
    stem, _, kind = name.rpartition(".")
    if stem in outer:
        return f"{outer[stem]}.{kind}"
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)", stem)
    if match and match[2] in _UNITS:
        return f"blocks.{int(match[1]) + 1}.{_UNITS[match[2]]}.{kind}"
    return name
