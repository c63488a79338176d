"""The GE2E speaker encoder (Wan et al. 2018) as an ordered list of blocks: three LSTMs, then a
projection of the last state, rectified and of length 1.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.sources.backbone import AudioBackbone
from headstart.sources.cards import SourceCard

State = tuple[Tensor, Tensor]


class Recurrent(nn.Module):
    """One LSTM layer over time.

    Parameters
    ----------
    inputs, outputs : int
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, outputs, batch_first=True)

    def forward(self, state: State) -> State:
        """Map (frames (n, t, inputs), mask (n, t)) to ((n, t, outputs), mask)."""
        hidden, mask = state
        return self.lstm(hidden)[0], mask


class Embedding(nn.Module):
    """The state after the last frame that counts, projected, rectified, scaled to length 1.

    Parameters
    ----------
    inputs, outputs : int
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, state: State) -> State:
        """Map ((n, t, inputs), mask (n, t)) to ((n, 1, outputs), mask of ones (n, 1))."""
        hidden, mask = state
        last = ((mask != 0).sum(dim=1) - 1).clamp(min=0)
        chosen = hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[2]))
        made = functional.normalize(functional.relu(self.linear(chosen)), dim=2)
        return made, torch.ones_like(mask[:, :1])


def build(card: SourceCard) -> AudioBackbone:
    """Return the network of a GE2E card, its weights not yet set."""
    config: dict[str, Any] = card.config
    width, layers = config["hidden"], config["layers"]
    blocks: list[tuple[str, nn.Module]] = [
        (f"lstm{i}", Recurrent(config["mels"] if i == 1 else width, width))
        for i in range(1, layers + 1)
    ]
    return AudioBackbone(card, [*blocks, ("embedding", Embedding(width, config["dim"]))])


def rename(name: str, layers: int) -> str | None:
    """Return our name of a tensor of resemblyzer's checkpoint; None if it is not needed.

    Parameters
    ----------
    name : str
    layers : int
        LSTM layers that the encoder has.
    """
    if name.startswith("linear."):
        return f"blocks.{layers}.{name}"
    found = re.fullmatch(r"lstm\.(\w+)_l(\d+)", name)
    return f"blocks.{int(found[2])}.lstm.{found[1]}_l0" if found else None
