"""The backbone: a pretrained network as an ordered list of blocks that end in pooled features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.errors import SourceError
from headstart.core.types import AnyArray
from headstart.sources.cards import SourceCard

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Step = Callable[[Any], Any]

_COUNTER = "num_batches_tracked"
_BLANK_FRAMES = 16


def _as_is(state: Any) -> Any:
    return state


class Backbone(nn.Module):
    """A pretrained network: `start`, then every block in turn, then `pool`.

    Freezing, gradual unfreezing, layer-wise rates and cached prefixes all speak of `blocks`.
    For texts the state that passes between blocks is ``(hidden, mask)`` with hidden of shape
    (n, t, width) after the first block, ``embeddings``, and mask of shape (n, t); for images it
    is a float tensor of shape (n, channels, height, width), or (n, tokens, width) for vision
    transformers; for sounds it is (hidden, mask) as for texts, t counting frames.

    Parameters
    ----------
    card : SourceCard
    blocks : sequence of (name, module)
        In order; each maps a state to a state.
    head : nn.Module, optional
        The pretrained classifier, from pooled features to logits.
    head_classes : tuple of str, optional
        What its outputs are called.
    tokenizer : tokenizers.Tokenizer, optional
    weights_sha256 : str
        Identity of weights and tokenizer, for caches.

    Attributes
    ----------
    grid : int
        Parts of a side of an image, or of the time of a sound, that are pooled apart; 1 pools all
        together.
    """

    grid = 1

    def __init__(
        self,
        card: SourceCard,
        blocks: Sequence[tuple[str, nn.Module]],
        *,
        head: nn.Module | None = None,
        head_classes: tuple[str, ...] | None = None,
        tokenizer: Tokenizer | None = None,
        weights_sha256: str = "",
    ) -> None:
        super().__init__()
        self.card = card
        self.block_names = tuple(name for name, _ in blocks)
        self.blocks = nn.ModuleList([module for _, module in blocks])
        self.head = head
        self.head_classes = head_classes
        self.tokenizer = tokenizer
        self.weights_sha256 = weights_sha256 or card.weights_sha256

    def start(self, batch: Any) -> Any:
        """Return the state that the first block takes.

        Parameters
        ----------
        batch : Tensor or (Tensor, Tensor)
            Images: float32 of shape (n, 3, height, width), normalised as the card says.
            Texts: token ids int64 (n, t) and mask (n, t), 1 for tokens and 0 for padding.
            Sounds: frames float32 (n, t, bands) and mask (n, t) int64: 1 for frames that count,
            2 for frames that are heard but not pooled (silence), 0 for padding.
        """
        return batch

    def pool(self, state: Any) -> Tensor:
        """Return the features of shape (n, dim) of the state after the last block."""
        raise NotImplementedError

    def forward(self, batch: Any) -> Tensor:
        """Return the features of shape (n, dim) of a batch; see `start` for the batch."""
        return self.through(self.start(batch), self.blocks)

    def through(self, state: Any, steps: Iterable[Step], *, read: Step = _as_is) -> Tensor:
        """Return the features of shape (n, dim) of a state after steps that stand for the blocks.

        Parameters
        ----------
        state : Tensor or tuple
            What `start` gave.
        steps : iterable of callable
            One for each block: itself, or what computes the same faster.
        read : callable
            Makes of a state between the steps one that can be pooled.
        """
        weights = self.card.input.get("layers")
        if weights is not None:
            return self._layers(state, steps, read, weights)
        for step in steps:
            state = step(state)
        return self.pool(read(state))

    def _layers(
        self, state: Any, steps: Iterable[Step], read: Step, weights: Sequence[float]
    ) -> Tensor:
        """Return the weighted sum of what is pooled after each block, or all of it side by side.

        ``layers`` of the card's input has a weight for each block, 0 for one that takes no part;
        with ``beside`` they are not summed.
        """
        found: list[Tensor] = []
        for step, weight in zip(steps, weights, strict=True):
            state = step(state)
            if weight:
                found.append(weight * self.pool_layer(read(state)))
        if self.card.input.get("beside"):
            return torch.cat(found, dim=1)
        return torch.stack(found).sum(dim=0)

    def pool_layer(self, state: Any) -> Tensor:
        """Return the features of shape (n, width) of the state after any block."""
        return self.pool(state)

    @property
    def parts(self) -> tuple[slice, ...]:
        """Columns of the features that belong together: all, but where several sources run."""
        return (slice(0, self.card.dim),)

    def tensors(self) -> dict[str, AnyArray]:
        """Return all weights and statistics by name: what `from_state` takes."""
        return {
            name: tensor.detach().cpu().numpy()
            for name, tensor in self.state_dict().items()
            if not name.endswith(_COUNTER)
        }


class TextBackbone(Backbone):
    """A text encoder: the state is (hidden, mask), pooled as the card's input says."""

    def pool(self, state: Any) -> Tensor:
        """Return the features of shape (n, dim): tokens pooled over the mask."""
        hidden, mask = state
        spec = self.card.input
        return pool_tokens(hidden, mask, spec["pooling"], normalise=spec["normalise"])


class ImageBackbone(Backbone):
    """A convolutional image encoder: average pooling, of all places or in parts of the image."""

    def pool(self, state: Any) -> Tensor:
        """Return the features of shape (n, dim): the mean over all places, or over each part."""
        if self.grid > 1:
            return nn.functional.adaptive_avg_pool2d(state, self.grid).flatten(1)
        return state.mean(dim=(2, 3))


class AudioBackbone(Backbone):
    """An encoder of sounds: the state is (hidden, mask), its mean over time, whole or in parts.

    With a query (see `attend`) frames count by how well they answer it.
    """

    query: nn.Parameter

    def attend(self) -> None:
        """Pool by attention from now on: a query of zeros, for which all frames count alike."""
        like = next(self.parameters())
        self.query = nn.Parameter(torch.zeros(self.card.dim, device=like.device))

    def pool(self, state: Any) -> Tensor:
        """Return the features of shape (n, dim): means over the frames that count, by parts."""
        if "query" in self._parameters:
            hidden, mask = state
            return attend_frames(hidden, mask, self.query)
        return pool_frames(*state, parts=self.grid)


def pool_frames(hidden: Tensor, mask: Tensor, *, parts: int = 1) -> Tensor:
    """Return the means (n, parts * d) of frames (n, t, d), over time or over each part of it.

    The frames that count are parted as ``adaptive_avg_pool1d`` parts them: parts share a frame
    where their number does not divide that of the frames.

    Parameters
    ----------
    hidden : Tensor of shape (n, t, d)
    mask : Tensor of shape (n, t)
        1 for frames that count; any other number for others.
    parts : int
    """
    counted = (mask == 1).to(torch.int64)
    place = (counted.cumsum(dim=1) - 1)[:, None]  # of each frame among those that count
    total = counted.sum(dim=1)[:, None, None]
    part = torch.arange(parts, device=mask.device)[None, :, None]
    first = (part * total).div(parts, rounding_mode="floor")
    beyond = ((part + 1) * total + parts - 1).div(parts, rounding_mode="floor")
    weights = ((place >= first) & (place < beyond)).to(hidden.dtype) * counted[:, None]
    weights = weights / weights.sum(dim=2, keepdim=True).clamp(min=1)
    return torch.bmm(weights.to(hidden.dtype), hidden).flatten(1)


def attend_frames(hidden: Tensor, mask: Tensor, query: Tensor) -> Tensor:
    """Return means (n, d) of frames (n, t, d), weighted by the softmax of how they meet a query.

    Parameters
    ----------
    hidden : Tensor of shape (n, t, d)
    mask : Tensor of shape (n, t)
        1 for frames that count, at least one a row; any other number for others.
    query : Tensor of shape (d)
        Of zeros: the plain mean.

    References
    ----------
    Safari, India & Hernando, Self-attention encoding and pooling for speaker recognition,
    Interspeech 2020.
    """
    scores = (hidden @ query.to(hidden.dtype)).float() / len(query) ** 0.5
    weights = scores.masked_fill(mask != 1, -torch.inf).softmax(dim=1)
    return torch.bmm(weights[:, None].to(hidden.dtype), hidden)[:, 0]


def pool_tokens(hidden: Tensor, mask: Tensor, pooling: str, *, normalise: bool) -> Tensor:
    """Pool token states (n, t, d) over a mask (n, t) into (n, d), as sentence-transformers does.

    Parameters
    ----------
    hidden : Tensor of shape (n, t, d)
    mask : Tensor of shape (n, t)
        1 for tokens, 0 for padding; at least one token a row.
    pooling : {"mean", "cls", "max"}
    normalise : bool
        Scale to length 1.

    Raises
    ------
    SourceError
        Another pooling.
    """
    if pooling == "mean":
        weights = mask.to(hidden.dtype).unsqueeze(-1)
        pooled = (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)
    elif pooling == "cls":
        pooled = hidden[:, 0]
    elif pooling == "max":
        pooled = hidden.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).amax(dim=1)
    else:
        raise SourceError("unknown pooling", got=pooling, allowed=("mean", "cls", "max"))
    return nn.functional.normalize(pooled, dim=1) if normalise else pooled


def blank(card: SourceCard, *, device: str = "cpu") -> Any:
    """Return a batch of one blank item, as a backbone of headstart's own code takes it.

    Parameters
    ----------
    card : SourceCard
    device : str
        "meta" to learn shapes without computing.
    """
    if card.modality == "image":
        side = int(card.input["size"])
        return torch.zeros(1, 3, side, side, device=device)
    if card.modality == "audio":
        frames = torch.zeros(1, _BLANK_FRAMES, int(card.input["mels"]), device=device)
        return frames, torch.ones(1, _BLANK_FRAMES, dtype=torch.int64, device=device)
    ids = torch.zeros(1, 2, dtype=torch.int64, device=device)
    return ids, torch.ones_like(ids)


def fill(backbone: Backbone, tensors: Mapping[str, Tensor], *, where: str) -> Backbone:
    """Give a backbone (built on the meta device) its weights, all of them, and return it in eval.

    Raises
    ------
    SourceError
        A tensor is missing, left over, or of the wrong shape.
    """
    expected = {
        name: tuple(tensor.shape)
        for name, tensor in backbone.state_dict().items()
        if not name.endswith(_COUNTER)
    }
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != found:
        wrong = sorted(
            name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
        )
        raise SourceError(
            f"the weights do not fit the model: {len(wrong)} tensors are missing, "
            "left over or of another shape",
            where=where,
            got={name: found.get(name, "missing") for name in wrong[:3]},
            allowed=str({name: expected.get(name, "none") for name in wrong[:3]}),
        )
    backbone.load_state_dict(dict(tensors), strict=False, assign=True)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.num_batches_tracked = torch.zeros((), dtype=torch.int64)
    return backbone.eval()


def tensors_sha256(tensors: Mapping[str, AnyArray]) -> str:
    """Return the sha256 over names, shapes and bytes of tensors: the identity of such weights."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data if array.ndim else array.tobytes())
    return digest.hexdigest()
