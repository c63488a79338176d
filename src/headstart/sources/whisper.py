"""The encoder of Whisper (Radford et al. 2022) as an ordered list of blocks.

Two convolutions and fixed positions (the block ``stem``), pre-layer-norm transformer layers, a last
layer norm (``norm``). The model was trained on 30 s padded with silence; here a sound is as long
as it is: the positions are cut, and what pads a batch takes part in nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.core.errors import SourceError
from headstart.sources.backbone import AudioBackbone
from headstart.sources.cards import SourceCard

State = tuple[Tensor, Tensor]


class Stem(nn.Module):
    """Log-mel frames to hidden states at half their rate, with positions.

    Parameters
    ----------
    config : dict
        ``mels``, ``hidden``, ``positions``.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width = config["hidden"]
        self.conv1 = nn.Conv1d(config["mels"], width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.position = nn.Embedding(config["positions"], width)

    def forward(self, state: State) -> State:
        """Map (mels (n, t, mels), mask (n, t)) to (hidden (n, ceil(t / 2), width), mask).

        Raises
        ------
        SourceError
            The sound is longer than the positions reach.
        """
        mels, mask = state
        keep = (mask != 0).to(mels.dtype)[:, None]
        hidden = functional.gelu(self.conv1(mels.transpose(1, 2) * keep)) * keep
        hidden = functional.gelu(self.conv2(hidden)).transpose(1, 2)
        t, most = hidden.shape[1], self.position.num_embeddings
        if t > most:
            raise SourceError(
                "a sound is longer than this source reads at once",
                got=f"{mels.shape[1]} frames",
                allowed=f"at most {2 * most}",
            )
        return hidden + self.position.weight[:t], mask[:, ::2]


class Layer(nn.Module):
    """One pre-layer-norm encoder layer: self-attention, then a two-layer perceptron.

    Parameters
    ----------
    config : dict
        ``hidden``, ``heads``, ``intermediate``, ``dropout``.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, inner = config["hidden"], config["intermediate"]
        self.heads = int(config["heads"])
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.dropout = nn.Dropout(config.get("dropout", 0.0))

    def forward(self, state: State) -> State:
        """Map (hidden (n, t, width), mask (n, t)) to the same."""
        hidden, mask = state
        n, t, width = hidden.shape
        shape = (n, t, self.heads, width // self.heads)
        normed = self.attention_norm(hidden)
        attended = functional.scaled_dot_product_attention(
            self.query(normed).view(shape).transpose(1, 2),
            self.key(normed).view(shape).transpose(1, 2),
            self.value(normed).view(shape).transpose(1, 2),
            attn_mask=mask.to(torch.bool)[:, None, None, :],
        )
        attended = self.output(attended.transpose(1, 2).reshape(n, t, width))
        hidden = hidden + self.dropout(attended)
        inner = self.down(functional.gelu(self.up(self.norm(hidden))))
        return hidden + self.dropout(inner), mask


class Norm(nn.Module):
    """The layer norm after the last layer.

    Parameters
    ----------
    width : int
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, state: State) -> State:
        """Map (hidden (n, t, width), mask (n, t)) to the same."""
        hidden, mask = state
        return self.norm(hidden), mask


def build(card: SourceCard) -> AudioBackbone:
    """Return the encoder of a Whisper card, its weights not yet set."""
    config = card.config
    blocks: list[tuple[str, nn.Module]] = [("stem", Stem(config))]
    blocks += [(f"layer{i}", Layer(config)) for i in range(1, config["layers"] + 1)]
    return AudioBackbone(card, [*blocks, ("norm", Norm(config["hidden"]))])


_LAYER_NAMES = {
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.out_proj": "output",
    "self_attn_layer_norm": "attention_norm",
    "fc1": "up",
    "fc2": "down",
    "final_layer_norm": "norm",
}


def renamer(layers: int) -> Callable[[str], str | None]:
    """Return what gives our name of a tensor of a Hugging Face Whisper; None for its decoder's.

    Parameters
    ----------
    layers : int
        Of the encoder.
    """
    names = {
        "conv1": "blocks.0.conv1",
        "conv2": "blocks.0.conv2",
        "embed_positions": "blocks.0.position",
        "layer_norm": f"blocks.{layers + 1}.norm",
    }
    for i in range(layers):
        for theirs, ours in _LAYER_NAMES.items():
            names[f"layers.{i}.{theirs}"] = f"blocks.{i + 1}.{ours}"

    def rename(name: str) -> str | None:
        found = re.fullmatch(r"(?:model\.)?encoder\.(.+)\.(weight|bias)", name)
        return found and f"{names.get(found[1], found[1])}.{found[2]}"

    return rename


def whole(name: str = "whisper-base") -> tuple[dict[str, Tensor], str]:
    """Return all tensors of an installed Whisper, its decoder's too, and its ``tokenizer.json``.

    What speech recognition needs; `headstart.sources.load` gives the encoder alone.

    Parameters
    ----------
    name : str
        A Whisper of the catalogue.

    Returns
    -------
    tensors : dict
        float16, by the names of ``transformers.WhisperForConditionalGeneration``; its
        ``proj_out.weight`` is ``model.decoder.embed_tokens.weight``.
    tokenizer : str

    Raises
    ------
    SourceError
        The source is no Whisper of the catalogue.
    NotInstalledError, IntegrityError
        It is not on this machine, or damaged.
    """
    from safetensors.torch import load_file

    from headstart.core.errors import NotInstalledError
    from headstart.sources import names, store

    card = names.card(name)
    if card.family != "whisper" or card.provider != "package":
        raise SourceError("not a Whisper of the catalogue", got=name, allowed="whisper-base")
    if not store.is_installed(card):
        raise NotInstalledError(
            f"the weights of {name} are not on this machine",
            hint=f"headstart sources install {name}",
        )
    store.verify(card)
    folder: Path = store.path_of(card)
    return load_file(folder / store.WEIGHTS), (folder / store.TOKENIZER).read_text("utf-8")
