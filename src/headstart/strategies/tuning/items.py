"""Items as a training loop takes them: batches of a state that a backbone's blocks map on.

Everything random is drawn from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, IntArray, Reporter
from headstart.encode.image import Prepare, read_at
from headstart.encode.text import token_ids
from headstart.encode.thumbnails import pixels
from headstart.sources.backbone import Backbone
from headstart.strategies.tuning.augment import Augment, centre
from headstart.strategies.tuning.regularise import mask_tokens

SORT_WINDOW = 50  # batches within which texts are sorted by length
_HASH_ROWS = 256


class Items(Protocol):
    """Prepared items.

    ``sizes`` is what each costs: tokens of a text, frames of a sound, 1 for an image. ``first`` is
    the block that takes what ``load`` returns: 0 unless a prefix of the backbone has been run.
    """

    sizes: IntArray
    first: int

    def __len__(self) -> int:
        """Return how many there are."""

    def load(self, index: IntArray, epoch: int, generator: torch.Generator | None) -> Any:
        """Return the items at ``index`` as a batch; ``generator`` None: nothing random."""

    def identity(self) -> bytes:
        """Return what tells these items from others."""


@dataclass(frozen=True, eq=False)
class Midway:
    """A batch in the middle of a backbone whose blocks are told more than the hidden states.

    Parameters
    ----------
    batch : Tensor or (Tensor, Tensor)
        What the backbone starts from: its first block says from it what else the others are told.
    hidden : Tensor
    as_tuple : bool
        Whether the blocks pass the hidden states on in a tuple.
    """

    batch: Any
    hidden: Tensor
    as_tuple: bool


@dataclass(frozen=True, eq=False)
class SoundBatch:
    """Sounds as the rows that a network takes, some or many of each, and how they become one.

    Parameters
    ----------
    parts : tuple
        Batches of rows, each as the backbone or one of its blocks takes it.
    shares : Tensor of shape (n, rows)
        What each row counts in the features of each of the n sounds.
    normalise : bool
        Whether the average is scaled to length 1.
    """

    parts: tuple[Any, ...]
    shares: Tensor
    normalise: bool

    def averaged(self, rows: Tensor) -> Tensor:
        """Return the features (n, dim) of the sounds from those (rows, dim) of their rows.

        In float32, under autocast too: nothing is rounded that is not where the source is frozen.
        """
        with torch.autocast(rows.device.type, enabled=False):
            mean = self.shares @ rows.float()
        return functional.normalize(mean, dim=1) if self.normalise else mean


def moved(batch: Any, device: torch.device) -> Any:
    """Return a batch on a device."""
    if isinstance(batch, SoundBatch):
        parts = tuple(moved(part, device) for part in batch.parts)
        return replace(batch, parts=parts, shares=batch.shares.to(device))
    if isinstance(batch, Midway):
        hidden = moved(batch.hidden, device)
        return replace(batch, batch=moved(batch.batch, device), hidden=hidden)
    if isinstance(batch, tuple):
        return tuple(part.to(device, non_blocking=True) for part in batch)
    return batch.to(device, non_blocking=True)


def order_of(
    sizes: IntArray, index: IntArray, batch: int, generator: torch.Generator
) -> list[IntArray]:
    """Return the batches of an epoch: shuffled, items of similar size together.

    The items are shuffled, sorted by size within every ``SORT_WINDOW`` batches, cut into batches,
    and the batches shuffled. The last batch of a window may be smaller.
    """
    shuffled = index[torch.randperm(len(index), generator=generator).numpy()]
    batches: list[IntArray] = []
    for start in range(0, len(shuffled), SORT_WINDOW * batch):
        window = shuffled[start : start + SORT_WINDOW * batch]
        window = window[np.argsort(sizes[window], kind="stable")]
        batches += [window[at : at + batch] for at in range(0, len(window), batch)]
    turn = torch.randperm(len(batches), generator=generator).tolist()
    return [batches[i] for i in turn]


def count_batches(n: int, batch: int) -> int:
    """Return how many batches :func:`order_of` makes of n items."""
    whole, rest = divmod(n, SORT_WINDOW * batch)
    return whole * SORT_WINDOW + -(-rest // batch)


class TextItems:
    """Texts as token ids.

    Parameters
    ----------
    texts : sequence of str, length n
    backbone : Backbone
        Its tokenizer cuts at the card's length.
    mask_share : float
        Share of the tokens that is masked while training.
    """

    first = 0

    def __init__(self, texts: Sequence[str], backbone: Backbone, *, mask_share: float = 0.0):
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError("not a text", where=f"X, item {place}", got=type(text).__name__)
        self.ids, tokenizer = token_ids(texts, backbone)
        self.sizes: IntArray = np.array([len(one) for one in self.ids], dtype=np.int64)
        self._mask_share = mask_share
        special = (tokenizer.token_to_id(name) for name in _SPECIAL)
        self._special = torch.tensor([one for one in special if one is not None])
        mask_id = next((i for i in map(tokenizer.token_to_id, _MASKS) if i is not None), None)
        if mask_share and mask_id is None:
            raise DataError("the tokenizer of this source has no mask token", where="mask_tokens")
        self._mask_id = mask_id or 0

    def __len__(self) -> int:
        return len(self.ids)

    def load(
        self, index: IntArray, epoch: int, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Return (ids, mask), both int64 of shape (n, t), padded to the longest."""
        length = int(self.sizes[index].max())
        ids = np.zeros((len(index), length), dtype=np.int64)
        mask = np.zeros((len(index), length), dtype=np.int64)
        for row, at in enumerate(index):
            ids[row, : self.sizes[at]] = self.ids[at]
            mask[row, : self.sizes[at]] = 1
        found, kept = torch.from_numpy(ids), torch.from_numpy(mask)
        if generator is not None and self._mask_share:
            found = mask_tokens(
                found, kept, self._mask_share, self._mask_id, self._special, generator
            )
        return found, kept

    def used(self) -> IntArray:
        """Return the ids that occur, or may by masking and padding, sorted."""
        every = [np.array(one, dtype=np.int64) for one in self.ids]
        return np.unique(np.concatenate([*every, np.array([0, self._mask_id])]))

    def identity(self) -> bytes:
        """Return a hash of the token ids."""
        digest = blake2b(digest_size=16)
        for one in self.ids:
            digest.update(np.array([len(one), *one], dtype=np.int64).tobytes())
        return digest.digest()


_SPECIAL = ("[CLS]", "[SEP]", "[PAD]", "<s>", "</s>", "<pad>")
_MASKS = ("[MASK]", "<mask>")


class ImageItems:
    """Images as pixels a little larger than what trains, so that crops can be drawn from them.

    Parameters
    ----------
    images : sequence of length n
        Paths, PIL images or (H, W[, C]) uint8 arrays.
    backbone : Backbone
    size : int
        Pixels of a side that the network sees.
    augment : Augment
    fixed : int
        0: every epoch draws anew. V: the views of an image are V fixed ones, taken in turn, each
        drawn from ``seed``, the image's place and the view alone.
    seed : int
    """

    first = 0

    def __init__(
        self,
        images: Sequence[Any],
        backbone: Backbone,
        *,
        size: int,
        augment: Augment,
        fixed: int = 0,
        seed: int = 0,
        reporter: Reporter,
    ) -> None:
        spec = dict(backbone.card.input) | {"size": size}
        self._prepare = Prepare(spec)
        self._crop = size / self._prepare.resize
        self.size, self._augment, self._fixed, self._seed = size, augment, fixed, seed
        side = self._prepare.resize
        seen: Any = images
        if spec.get("squash"):  # the whole of an image is seen, as when it is encoded
            self._crop, seen = 1.0, _Squashed(images, Prepare(spec | {"size": side}))
        self.pixels = pixels(seen, side=side, reporter=reporter)
        self.sizes: IntArray = np.ones(len(images), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.pixels)

    def load(self, index: IntArray, epoch: int, generator: torch.Generator | None) -> Tensor:
        """Return normalised images (n, 3, size, size), channels last."""
        chosen = torch.from_numpy(np.ascontiguousarray(self.pixels[np.asarray(index)]))
        if generator is None:
            seen = centre(chosen, self.size, self._crop)
        elif self._fixed:
            view = epoch % self._fixed
            seen = torch.cat(
                [
                    self._augment(chosen[row : row + 1], self.size, self._drawn(int(at), view))
                    for row, at in enumerate(index)
                ]
            )
        else:
            seen = self._augment(chosen, self.size, generator)
        return self._prepare.normalise_tensor(seen)

    def _drawn(self, place: int, view: int) -> torch.Generator:
        seed = np.random.SeedSequence([self._seed, place, view]).generate_state(2, np.uint32)
        return torch.Generator().manual_seed(int(seed[0]) << 32 | int(seed[1]))

    def identity(self) -> bytes:
        """Return a hash of the pixels."""
        digest = blake2b(str(self.pixels.shape).encode(), digest_size=16)
        for start in range(0, len(self.pixels), _HASH_ROWS):
            digest.update(np.ascontiguousarray(self.pixels[start : start + _HASH_ROWS]).data)
        return digest.digest()


class _Squashed:
    """Images resized to a square, one at a time."""

    def __init__(self, images: Sequence[Any], prepare: Prepare) -> None:
        self._images, self._prepare = images, prepare

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[AnyArray]:
        for place, image in enumerate(self._images):
            yield self._prepare(read_at(image, place, max_side=2 * self._prepare.resize))
