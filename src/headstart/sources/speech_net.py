"""Whisper whole (Radford et al. 2022): the encoder of `whisper`, and the decoder that writes.

Nothing of transformers is needed; its model is the oracle of the tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.core.errors import SourceError
from headstart.sources.whisper import Layer, Norm, Stem, renamer

Pair = tuple[Tensor, Tensor]


class Attention(nn.Module):
    """Attention of many heads; what is attended to comes as keys and values made once.

    Parameters
    ----------
    width, heads : int
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def remembered(self, states: Tensor) -> Pair:
        """Return keys and values (n, heads, t, width / heads) of states (n, t, width)."""
        return self._cut(self.key(states)), self._cut(self.value(states))

    def forward(
        self, hidden: Tensor, memory: Pair, mask: Tensor | None = None, *, causal: bool = False
    ) -> Tensor:
        """Map hidden (n, m, width) to the same, attending to a memory where the mask is true."""
        found = functional.scaled_dot_product_attention(
            self._cut(self.query(hidden)), *memory, attn_mask=mask, is_causal=causal
        )
        return self.output(found.transpose(1, 2).flatten(2))

    def _cut(self, flat: Tensor) -> Tensor:
        n, t, width = flat.shape
        return flat.view(n, t, self.heads, width // self.heads).transpose(1, 2)


class DecoderLayer(nn.Module):
    """Attends to what is written, then to what is heard; then a two-layer perceptron.

    Parameters
    ----------
    width, heads, inner : int
    """

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross = Attention(width, heads)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)

    def forward(
        self, hidden: Tensor, past: Pair | None, heard: Pair, mask: Tensor | None
    ) -> tuple[Tensor, Pair]:
        """Map hidden (n, m, width) to the same, and the memory of what is written to the next."""
        normed = self.attention_norm(hidden)
        memory = self.attention.remembered(normed)
        if past is not None:
            memory = torch.cat([past[0], memory[0]], 2), torch.cat([past[1], memory[1]], 2)
        hidden = hidden + self.attention(normed, memory, causal=hidden.shape[1] > 1)
        hidden = hidden + self.cross(self.cross_norm(hidden), heard, mask)
        inner = self.down(functional.gelu(self.up(self.norm(hidden))))
        return hidden + inner, memory


class SpeechNetwork(nn.Module):
    """Sounds to states, and states with what is written so far to what comes next.

    Parameters
    ----------
    config : mapping
        ``mels``, ``hidden``, ``heads``, ``intermediate``, ``positions``, ``layers`` of the
        encoder; ``decoder_layers``, ``decoder_heads``, ``decoder_intermediate``, ``most``
        (positions of the decoder), ``vocabulary``.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        encoder = dict(config)
        width = int(config["hidden"])
        self.blocks = nn.ModuleList(
            [Stem(encoder), *(Layer(encoder) for _ in range(config["layers"])), Norm(width)]
        )
        self.tokens = nn.Embedding(config["vocabulary"], width)
        self.position = nn.Embedding(config["most"], width)
        self.layers = nn.ModuleList(
            DecoderLayer(width, config["decoder_heads"], config["decoder_intermediate"])
            for _ in range(config["decoder_layers"])
        )
        self.norm = nn.LayerNorm(width)

    @property
    def most(self) -> int:
        """Tokens that the decoder reaches, those of the prompt among them."""
        return int(self.position.num_embeddings)

    def encode(self, mels: Tensor, mask: Tensor) -> Pair:
        """Map mels (n, t, bands) and mask (n, t) to states (n, ceil(t / 2), width) and theirs."""
        state = mels, mask
        for block in self.blocks:
            state = block(state)
        return state

    def heard(self, states: Tensor) -> list[Pair]:
        """Return the keys and values that each layer makes of states: once a sound."""
        crosses: list[Any] = [layer.cross for layer in self.layers]
        return [cross.remembered(states) for cross in crosses]

    def write(
        self,
        ids: Tensor,
        heard: list[Pair],
        mask: Tensor | None,
        past: list[Pair] | None = None,
    ) -> tuple[Tensor, list[Pair]]:
        """Return logits (n, m, vocabulary) of what follows each token, and the memory.

        Parameters
        ----------
        ids : Tensor of shape (n, m)
            Of one token each where there is a past.
        heard : list of (keys, values)
        mask : Tensor of shape (n, t) or None
            Which states count; None: all.
        past : list of (keys, values), optional
            What an earlier call returned.
        """
        start = past[0][0].shape[2] if past else 0
        hidden = self.tokens(ids) + self.position.weight[start : start + ids.shape[1]]
        seen = None if mask is None else mask.to(torch.bool)[:, None, None, :]
        memory = []
        for i, layer in enumerate(self.layers):
            hidden, kept = layer(hidden, past[i] if past else None, heard[i], seen)
            memory.append(kept)
        return functional.linear(self.norm(hidden), self.tokens.weight), memory


_PARTS = {
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.out_proj": "attention.output",
    "self_attn_layer_norm": "attention_norm",
    "encoder_attn.q_proj": "cross.query",
    "encoder_attn.k_proj": "cross.key",
    "encoder_attn.v_proj": "cross.value",
    "encoder_attn.out_proj": "cross.output",
    "encoder_attn_layer_norm": "cross_norm",
    "fc1": "up",
    "fc2": "down",
    "final_layer_norm": "norm",
}
_ENDS = {"embed_tokens": "tokens", "embed_positions": "position", "layer_norm": "norm"}


def _our_name(name: str, layers: int) -> str:
    encoder = renamer(layers)(name)
    if encoder is not None:
        return encoder
    found = re.fullmatch(r"(?:model\.)?decoder\.(?:layers\.(\d+)\.)?(.+)\.(weight|bias)", name)
    if found is None:
        return name
    number, part, kind = found.groups()
    if number is None:
        return f"{_ENDS.get(part, part)}.{kind}"
    return f"layers.{number}.{_PARTS.get(part, part)}.{kind}"


def filled(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], *, where: str
) -> SpeechNetwork:
    """Return the network with the tensors of a Hugging Face Whisper, float32, in eval mode.

    Parameters
    ----------
    config : mapping
        As `SpeechNetwork`.
    tensors : mapping
        By the names of ``transformers.WhisperForConditionalGeneration``.
    where : str
        For messages.

    Raises
    ------
    SourceError
        A tensor is missing, unknown or of another shape, or the output is not tied to the tokens.
    """
    own = {_our_name(name, config["layers"]): tensor.float() for name, tensor in tensors.items()}
    output = own.pop("proj_out.weight", None)
    if output is not None and not torch.equal(output, own.get("tokens.weight", output[:0])):
        raise SourceError("the output is not tied to the embedding of the tokens", where=where)
    with torch.device("meta"):
        network = SpeechNetwork(config)
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    got = {name: tuple(tensor.shape) for name, tensor in own.items()}
    if wanted != got:
        wrong = sorted({*wanted.items()} ^ {*got.items()})
        raise SourceError(
            "the weights are not those of a Whisper",
            where=where,
            got=", ".join(dict.fromkeys(name for name, _ in wrong[:5])),
        )
    network.load_state_dict(own, assign=True)
    return network.requires_grad_(False).eval()
