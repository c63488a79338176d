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
from headstart.strategies.tuning.items import Items, Midway, moved
from headstart.strategies.tuning.network import Network
from headstart.strategies.tuning.objective import no_memory, out_of_memory

_BATCH_SIZE = 2048  # tokens, or 16 images, that the prefix runs over at once
_BATCH_IMAGES = 16


class PrefixItems:
    """Items that have passed the first blocks of a network.

    Texts are kept without padding, as rows of one (tokens, width) array; images as one state for
    each view of each.

    Parameters
    ----------
    items : Items
    arrays : ndarray
        (tokens, width) for texts, (states, ...) for images.
    first : int
        The block that takes what ``load`` returns.
    rows : ndarray of shape (1 + views, n), or None for texts
        Where the state of each view of each image lies, the plain view first; -1 for none.
    staged : bool or None
        None: hidden states are all that the blocks take. Else see ``Midway.as_tuple``.
    """

    def __init__(
        self,
        items: Items,
        arrays: AnyArray,
        first: int,
        *,
        rows: IntArray | None,
        staged: bool | None,
    ) -> None:
        self.sizes, self.first = items.sizes, first
        self.arrays, self._rows, self._items, self._staged = arrays, rows, items, staged
        self._starts = np.concatenate([[0], np.cumsum(items.sizes)])

    def __len__(self) -> int:
        return len(self._items)

    def load(self, index: IntArray, epoch: int, generator: torch.Generator | None) -> Any:
        """Return the state of the items at ``index``; without ``generator`` the plain view."""
        if self._rows is None:
            state: Any = self._padded(index)
        else:
            plain = generator is None or len(self._rows) == 1
            rows = self._rows[0 if plain else 1 + epoch % (len(self._rows) - 1), index]
            assert (rows >= 0).all(), "a view that was not asked for"
            state = torch.from_numpy(np.ascontiguousarray(self.arrays[rows]))
        if self._staged is None:
            return state
        hidden = state[0] if self._rows is None else state
        return Midway(self._items.load(index, 0, None), hidden, self._staged)

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
    valid: IntArray | None = None,
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
    valid : ndarray of int, optional
        Items that are only looked at: of images, they alone have a plain view, and no other. By
        default every item has every view.
    device : torch.device
    reporter : Reporter
        Told the progress; and why, where nothing is cached.

    Raises
    ------
    OutOfMemoryError
        Not even one item at a time fits into memory.
    """
    network.eval()
    name = network.backbone.card.name
    smallest = np.array([items.sizes.argmin()])
    try:
        state = network.run_prefix(moved(items.load(smallest, 0, None), device), stop)
        if not isinstance(state, tuple | Tensor) and stop == network.n_blocks:
            stop -= 1  # what the last block makes are no hidden states any more
            state = network.run_prefix(moved(items.load(smallest, 0, None), device), stop)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise no_memory(name) from error
    hidden, ragged, staged = _hidden(state)
    if not stop or not isinstance(hidden, Tensor):
        return items
    run = _Prefix(items, network, stop, device)
    one = hidden[0, 0] if ragged else hidden[0]
    rows = None if ragged else _rows(len(items), views, valid)
    count = int(items.sizes.sum()) if rows is None else int(rows.max()) + 1
    need = 4 * count * one.numel()
    allowed = limit_bytes()
    if need > min(allowed, 0.8 * shutil.disk_usage(tempfile.gettempdir()).free):
        reporter.say(
            f"The frozen blocks are run again in every epoch: their output, {need / 1e9:.1f} GB, "
            f"is more than the cache may hold ($HEADSTART_CACHE_GB, now {allowed / 1e9:.1f} GB)."
        )
        return items
    arrays = allocate((count, one.numel()) if ragged else (count, *one.shape), np.float32)
    _fill(arrays, run, rows, name=name, reporter=reporter)
    return PrefixItems(items, arrays, stop, rows=rows, staged=staged)


def _rows(n: int, views: int, valid: IntArray | None) -> IntArray:
    """Return where the state of each view of each image goes, the plain view first; -1: nowhere."""
    wanted = np.ones((views + 1, n), dtype=bool)
    if valid is not None and views:
        wanted[:, valid] = False
        wanted[0] = ~wanted[0]
    return np.where(wanted, np.cumsum(wanted).reshape(wanted.shape) - 1, -1)


def _hidden(state: Any) -> tuple[Any, bool, bool | None]:
    """Return the hidden states in a state, whether they are of texts, and ``staged``."""
    if isinstance(state, tuple):
        return state[0], True, None
    if isinstance(state, Tensor):
        return state, False, None
    return state.hidden, isinstance(state.batch, tuple), state.as_tuple


class _Prefix:
    """What makes hidden states of items: the first blocks of a network."""

    def __init__(self, items: Items, network: Network, stop: int, device: torch.device) -> None:
        self.items, self.network, self.stop, self.device = items, network, stop, device

    def __call__(self, index: IntArray, view: int) -> AnyArray:
        """Return the hidden states (n, ...) of a view of items; 0 is the plain one."""
        generator = torch.Generator() if view else None  # fixed views draw from their own
        loaded = self.items.load(index, max(view - 1, 0), generator)
        hidden = _hidden(self.network.run_prefix(moved(loaded, self.device), self.stop))[0]
        return hidden.float().cpu().numpy()


def _fill(
    arrays: AnyArray, run: _Prefix, rows: IntArray | None, *, name: str, reporter: Reporter
) -> None:
    """Run the prefix over what is wanted of all items; where memory ends, in smaller pieces."""
    sizes = run.items.sizes
    starts = np.concatenate([[0], np.cumsum(sizes)])
    wanted = [np.arange(len(sizes))] if rows is None else [np.flatnonzero(row >= 0) for row in rows]
    waiting = [(view, at) for view, some in enumerate(wanted) for at in _batches(sizes, some, rows)]
    waiting.reverse()
    total, done, most = sum(map(len, wanted)), 0, len(sizes)
    while waiting:
        view, index = waiting.pop()
        if len(index) > most:
            waiting += [(view, index[most:]), (view, index[:most])]
            continue
        try:
            hidden = run(index, view)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if len(index) == 1:
                raise no_memory(name) from error
            most = len(index) // 2
            reporter.say(f"Out of memory: {most} items at a time through the frozen blocks.")
            waiting.append((view, index))
            continue
        if rows is None:
            for row, at in enumerate(index):
                arrays[starts[at] : starts[at + 1]] = hidden[row, : sizes[at]]
        else:
            arrays[rows[view, index]] = hidden
        done += len(index)
        reporter.progress("running the frozen blocks", done, total, "items")


def _batches(sizes: IntArray, places: IntArray, rows: IntArray | None) -> list[IntArray]:
    """Return the items at ``places``, shortest first, in batches of about as many tokens."""
    order = places[np.argsort(sizes[places], kind="stable")]
    if rows is not None:
        return [order[at : at + _BATCH_IMAGES] for at in range(0, len(order), _BATCH_IMAGES)]
    batches, start = [], 0
    for stop in range(1, len(order) + 1):
        full = stop < len(order) and sizes[order[stop]] * (stop + 1 - start) > _BATCH_SIZE
        if full or stop == len(order):
            batches.append(order[start:stop])
            start = stop
    return batches
