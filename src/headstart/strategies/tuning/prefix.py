"""The cached prefix: what the frozen first blocks make of each item, computed once and kept.

Training the last blocks then costs what those blocks cost. Kept in memory when small, else in a
temporary file that goes with the run; never more than the cache may hold.
"""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.core.types import AnyArray, IntArray, Reporter
from headstart.encode.cache import limit_bytes
from headstart.encode.output import allocate
from headstart.strategies.tuning.items import Items, moved
from headstart.strategies.tuning.network import Network

_BATCH_SIZE = 2048  # tokens, or 16 images, that the prefix runs over at once
_BATCH_IMAGES = 16


class PrefixItems:
    """Items that have passed the first blocks of a network.

    Texts are kept without padding, as rows of one (tokens, width) array; images as ``views``
    arrays of one state each.

    Parameters
    ----------
    items : Items
    arrays : ndarray
        (tokens, width) for texts, (views, n, ...) for images.
    first : int
        The block that takes what ``load`` returns.
    """

    def __init__(self, items: Items, arrays: AnyArray, first: int, *, ragged: bool) -> None:
        self.sizes, self.first = items.sizes, first
        self.arrays, self._ragged, self._items = arrays, ragged, items
        self._starts = np.concatenate([[0], np.cumsum(items.sizes)])

    def __len__(self) -> int:
        return len(self._items)

    def load(self, index: IntArray, epoch: int, generator: torch.Generator | None) -> Any:
        """Return the state of the items at ``index``; without ``generator`` the plain view."""
        if self._ragged:
            return self._padded(index)
        view = 0 if generator is None else 1 + epoch % (len(self.arrays) - 1)
        if len(self.arrays) == 1:
            view = 0
        return torch.from_numpy(np.ascontiguousarray(self.arrays[view][np.asarray(index)]))

    def _padded(self, index: IntArray) -> tuple[Tensor, Tensor]:
        length = int(self.sizes[index].max())
        hidden = np.zeros((len(index), length, self.arrays.shape[1]), dtype=np.float32)
        mask = np.zeros((len(index), length), dtype=np.int64)
        for row, at in enumerate(index):
            size = self.sizes[at]
            hidden[row, :size] = self.arrays[self._starts[at] : self._starts[at] + size]
            mask[row, :size] = 1
        return torch.from_numpy(hidden), torch.from_numpy(mask)

    def identity(self) -> bytes:
        """Return what tells these items from others."""
        return self._items.identity()


def cached_prefix(
    items: Items,
    network: Network,
    stop: int,
    *,
    views: int,
    device: torch.device,
    reporter: Reporter,
) -> Items:
    """Return the items after the first ``stop`` blocks; the items as given where too large.

    Parameters
    ----------
    items : Items
        Whose views of an image are fixed ones.
    network : Network
        On ``device``, its first ``stop`` blocks frozen.
    stop : int
    views : int
        Augmented views of each image beside the plain one; 0 for texts.
    device : torch.device
    reporter : Reporter
        Told the progress; and why, where nothing is cached.
    """
    order = np.argsort(items.sizes, kind="stable")
    network.eval()
    first = network.run_prefix(moved(items.load(order[:1], 0, None), device), stop)
    ragged = isinstance(first, tuple)
    one = first[0][0, 0] if ragged else first[0]
    count = int(items.sizes.sum()) if ragged else (views + 1) * len(items)
    need = 4 * count * one.numel()
    allowed = limit_bytes()
    if need > min(allowed, 0.8 * shutil.disk_usage(tempfile.gettempdir()).free):
        reporter.say(
            f"The frozen blocks are run again in every epoch: their output, {need / 1e9:.1f} GB, "
            f"is more than the cache may hold ($HEADSTART_CACHE_GB, now {allowed / 1e9:.1f} GB)."
        )
        return items
    shape = (count, one.numel()) if ragged else (views + 1, len(items), *one.shape)
    arrays = allocate(shape, np.float32)
    starts = np.concatenate([[0], np.cumsum(items.sizes)])
    total = len(items) * (1 if ragged else views + 1)
    done = 0
    for view in range(1 if ragged else views + 1):
        generator = torch.Generator() if view else None  # fixed views draw from their own
        for index in _batches(items.sizes, order, ragged):
            loaded = items.load(index, max(view - 1, 0), generator)
            state = network.run_prefix(moved(loaded, device), stop)
            if ragged:
                hidden = state[0].float().cpu().numpy()
                for row, at in enumerate(index):
                    arrays[starts[at] : starts[at + 1]] = hidden[row, : items.sizes[at]]
            else:
                arrays[view, index] = state.float().cpu().numpy()
            done += len(index)
            reporter.progress("running the frozen blocks", done, total, "items")
    return PrefixItems(items, arrays, stop, ragged=ragged)


def _batches(sizes: IntArray, order: IntArray, ragged: bool) -> list[IntArray]:
    if not ragged:
        return [order[at : at + _BATCH_IMAGES] for at in range(0, len(order), _BATCH_IMAGES)]
    batches, start = [], 0
    for stop in range(1, len(order) + 1):
        full = stop < len(order) and sizes[order[stop]] * (stop + 1 - start) > _BATCH_SIZE
        if full or stop == len(order):
            batches.append(order[start:stop])
            start = stop
    return batches
