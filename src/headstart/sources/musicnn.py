"""musicnn (Pons & Serra 2019), a tagger of music, as an ordered list of blocks.

Convolutions as wide as most of the spectrum hear timbre, long ones over time hear rhythm
(``front``); three residual convolutions over time (``mid1`` to ``mid3``), each of whose outputs is
kept beside what came before; the maximum and mean over time, and a dense layer (``features``).
Everywhere the rectifier comes before batch norm.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.core.types import AnyArray
from headstart.sources.backbone import AudioBackbone
from headstart.sources.cards import SourceCard

State = tuple[Tensor, Tensor]

_EPS, _MOMENTUM = 1e-3, 0.01
_TIMBRE = ((7, 38), (7, 67))  # frames x mel bands
_RHYTHM = (128, 64, 32)  # frames
_MID_FRAMES, _MID = 7, 3
TAGS = (
    "guitar, classical, slow, techno, strings, drums, electronic, rock, fast, piano, ambient, "
    "beat, violin, vocal, synth, female, indian, opera, male, singing, vocals, no vocals, "
    "harpsichord, loud, quiet, flute, woman, male vocal, no vocal, pop, soft, sitar, solo, man, "
    "classic, choir, voice, new age, dance, male voice, female vocal, beats, harp, cello, "
    "no voice, weird, country, metal, female voice, choral"
)
"""The 50 most frequent tags of MagnaTagATune, in the order of the head's outputs."""


class Unit(nn.Module):
    """A convolution over (frames, bands), rectified, batch norm.

    Parameters
    ----------
    outputs : int
        Channels; there is one input channel.
    kernel : (int, int)
        Frames, bands; over frames the output is as long as the input.
    """

    def __init__(self, outputs: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, outputs, kernel)
        self.bn = nn.BatchNorm2d(outputs, eps=_EPS, momentum=_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 1, t, bands) to (n, outputs, t, bands - kernel + 1)."""
        frames = self.conv.kernel_size[0]
        x = functional.pad(x, (0, 0, (frames - 1) // 2, frames // 2))
        return self.bn(functional.relu(self.conv(x)))


class Front(nn.Module):
    """Mel frames to what convolutions over the spectrum and over time hear in them.

    Parameters
    ----------
    timbre, rhythm : int
        Channels of each convolution of the two kinds.
    """

    def __init__(self, timbre: int, rhythm: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(1, eps=_EPS, momentum=_MOMENTUM)
        units = [Unit(timbre, kernel) for kernel in _TIMBRE]
        self.units = nn.ModuleList(units + [Unit(rhythm, (frames, 1)) for frames in _RHYTHM])

    def forward(self, state: State) -> State:
        """Map (mels (n, t, bands), mask) to (hidden (n, t, 2 timbre + 3 rhythm), mask)."""
        mels, mask = state
        x = self.bn(mels[:, None])
        heard = [unit(x).amax(dim=3) for unit in self.units]
        return torch.cat(heard, dim=1).transpose(1, 2), mask


class Mid(nn.Module):
    """A convolution over time of the last ``inputs`` channels, added to them, put beside all.

    Parameters
    ----------
    inputs, outputs : int
        It is added where they are equal.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.unit = Unit(outputs, (_MID_FRAMES, inputs))
        self.inputs, self.residual = inputs, inputs == outputs

    def forward(self, state: State) -> State:
        """Map (hidden (n, t, c), mask) to ((n, t, c + outputs), mask)."""
        hidden, mask = state
        last = hidden[:, :, -self.inputs :]
        made = self.unit(last[:, None])[..., 0].transpose(1, 2)
        return torch.cat([hidden, made + last if self.residual else made], dim=2), mask


class Features(nn.Module):
    """Maximum and mean over time, then a dense layer.

    Parameters
    ----------
    inputs, outputs : int
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(2 * inputs, eps=_EPS, momentum=_MOMENTUM)
        self.dense = nn.Linear(2 * inputs, outputs)
        self.out = nn.BatchNorm1d(outputs, eps=_EPS, momentum=_MOMENTUM)

    def forward(self, state: State) -> State:
        """Map ((n, t, inputs), mask (n, t)) to ((n, 1, outputs), mask of ones (n, 1))."""
        hidden, mask = state
        both = torch.stack([hidden.amax(dim=1), hidden.mean(dim=1)], dim=2).flatten(1)
        made = self.out(functional.relu(self.dense(self.bn(both))))
        return made[:, None], torch.ones_like(mask[:, :1])


def build(card: SourceCard) -> AudioBackbone:
    """Return the network of a musicnn card, its weights not yet set."""
    timbre, rhythm, mid = (int(card.config[key]) for key in ("timbre", "rhythm", "mid"))
    width = len(_TIMBRE) * timbre + len(_RHYTHM) * rhythm
    blocks: list[tuple[str, nn.Module]] = [("front", Front(timbre, rhythm))]
    for i in range(_MID):
        blocks.append((f"mid{i + 1}", Mid(width if i == 0 else mid, mid)))
    dim = int(card.config["dim"])
    blocks.append(("features", Features(width + _MID * mid, dim)))
    head = nn.Linear(dim, int(card.config["classes"]))
    names = tuple(TAGS.split(", ")) if head.out_features == len(TAGS.split(", ")) else None
    return AudioBackbone(card, blocks, head=head, head_classes=names)


_BN = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}
_BN["running_var"] = "moving_variance"


def from_tensorflow(tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Return our tensors of a checkpoint's: TensorFlow counts its layers as they were made.

    Raises
    ------
    KeyError
        A tensor is missing.
    """
    made: dict[str, AnyArray] = {}

    def norm(ours: str, number: int) -> None:
        theirs = f"batch_normalization_{number}" if number else "batch_normalization"
        for name, other in _BN.items():
            made[f"{ours}.{name}"] = tensors[f"{theirs}/{other}"]

    norm("blocks.0.bn", 0)
    fronts = len(_TIMBRE) + len(_RHYTHM)
    homes = [f"blocks.0.units.{i}" for i in range(fronts)]
    homes += [f"blocks.{i + 1}.unit" for i in range(_MID)]
    for number, home in enumerate(homes):
        theirs = f"conv2d_{number}" if number else "conv2d"
        made[f"{home}.conv.weight"] = np.transpose(tensors[f"{theirs}/kernel"], (3, 2, 0, 1))
        made[f"{home}.conv.bias"] = tensors[f"{theirs}/bias"]
        norm(f"{home}.bn", number + 1)
    last = f"blocks.{_MID + 1}"
    norm(f"{last}.bn", len(homes) + 1)
    norm(f"{last}.out", len(homes) + 2)
    for ours, theirs in ((f"{last}.dense", "dense"), ("head", "dense_1")):
        made[f"{ours}.weight"] = tensors[f"{theirs}/kernel"].T
        made[f"{ours}.bias"] = tensors[f"{theirs}/bias"]
    return made
