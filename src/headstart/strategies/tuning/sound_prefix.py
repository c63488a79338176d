"""The cached prefix of sounds: what the frozen first blocks make of each row, computed once.

Rows go through in batches of one length, so that nothing is padded and every row's state is its
own. Of each sound that trains a fixed number of masked views is kept, of one that validates the
plain one.
"""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from headstart.core.errors import OutOfMemoryError
from headstart.core.types import AnyArray, IntArray, Reporter
from headstart.encode.audio import collate
from headstart.encode.cache import limit_bytes
from headstart.strategies.tuning.items import Items, Midway, SoundBatch, moved
from headstart.strategies.tuning.network import Network
from headstart.strategies.tuning.objective import no_memory, out_of_memory
from headstart.strategies.tuning.sounds import SoundItems, Spool

_VALUES = 120_000  # numbers (frames x bands) that the prefix runs over at once


class SoundPrefix:
    """Sounds that have passed the first blocks of a network.

    Parameters
    ----------
    items : SoundItems
    first : int
        The block that takes what ``load`` returns.
    states : Spool
        Hidden states (t, ...) of rows.
    masks : dict of int to Tensor
        Of each row the mask beside its hidden states; none where they are all that blocks take.
    numbers : ndarray of shape (1 + views, rows)
        Where the state of each view of each row lies, the plain view first; -1 for none.
    staged : bool or None
        None: the state is (hidden, mask). Else see ``Midway.as_tuple``.
    """

    def __init__(
        self,
        items: SoundItems,
        first: int,
        states: Spool,
        masks: dict[int, Tensor],
        numbers: IntArray,
        *,
        staged: bool | None,
    ) -> None:
        self.sizes, self.first = items.sizes, first
        self._items, self._states, self._masks = items, states, masks
        self._numbers, self._staged = numbers, staged

    def __len__(self) -> int:
        return len(self._items)

    def load(self, index: IntArray, epoch: int, generator: torch.Generator | None) -> SoundBatch:
        """Return the states of the sounds at ``index``; without ``generator`` the plain view."""
        views = len(self._numbers) - 1
        view = 0 if generator is None or not views else 1 + epoch % views
        return self._items.batch(index, lambda _, number: self._state(number, view), self._put)

    def identity(self) -> bytes:
        """Return what tells these items from others."""
        return self._items.identity()

    def _state(self, row: int, view: int) -> tuple[int, Tensor]:
        number = int(self._numbers[view, row])
        assert number >= 0, "a view that was not asked for"
        return row, self._states.get(number)

    def _put(self, states: list[tuple[int, Tensor]]) -> Any:
        """Return states as a batch, padded to the longest."""
        if self._staged is None:
            return collate([(hidden, self._masks[row]) for row, hidden in states])
        longest = max(len(hidden) for _, hidden in states)
        padded = [_lengthened(hidden, longest) for _, hidden in states]
        rows = [self._items.row(row) for row, _ in states]
        return Midway(collate(rows), torch.stack(padded), self._staged)


def cached_sounds(
    items: SoundItems,
    network: Network,
    stop: int,
    *,
    views: int,
    valid: IntArray | None = None,
    device: torch.device,
    reporter: Reporter,
) -> Items:
    """Return sounds after the first ``stop`` blocks; as given where those would be too large.

    Parameters
    ----------
    items : SoundItems
        Whose views are fixed ones.
    network : Network
        On ``device``, its first ``stop`` blocks frozen.
    stop : int
    views : int
        Masked views of each sound that trains; 0: the plain one trains.
    valid : ndarray of int, optional
        Sounds that are only looked at: they alone have a plain view, and no other. By default
        every sound has every view.
    device : torch.device
    reporter : Reporter
        Told the progress; and why, where nothing is cached.

    Raises
    ------
    OutOfMemoryError
        Not even one row fits into memory.
    """
    network.eval()
    run = _Prefix(items, network, stop, device)
    longest = max(range(items.rows), key=items.length)
    state = run([longest], 0)
    if not isinstance(state, tuple) and stop == network.n_blocks:
        stop = run.stop = stop - 1  # what the last block makes are no hidden states any more
        state = run([longest], 0)
    hidden, _, staged = _parts(state)
    if not stop or not isinstance(hidden, Tensor):
        return items
    wanted = _wanted(items, views, valid)
    frames = np.array([items.length(row) for row in range(items.rows)])
    each = frames / items.length(longest)  # of the longest row's numbers, about
    need = int(4 * hidden[0].numel() * (wanted * each).sum())
    allowed = limit_bytes()
    if need > min(allowed, 0.8 * shutil.disk_usage(tempfile.gettempdir()).free):
        reporter.say(
            f"The frozen blocks are run again in every epoch: their output, {need / 1e9:.1f} GB, "
            f"is more than the cache may hold ($HEADSTART_CACHE_GB, now {allowed / 1e9:.1f} GB)."
        )
        return items
    states, masks = Spool(), dict[int, Tensor]()
    numbers = np.full(wanted.shape, -1, dtype=np.int64)
    done, total = 0, int(wanted.sum())
    waiting = _batches(wanted, frames, items.values)[::-1]
    while waiting:
        view, rows = waiting.pop()
        try:
            hidden, mask, _ = _parts(run(rows, view))
        except OutOfMemoryError:
            if len(rows) == 1:
                raise
            half = len(rows) // 2
            waiting += [(view, rows[half:]), (view, rows[:half])]
            continue
        for place, row in enumerate(rows):
            numbers[view, row] = states.add(hidden[place].float().cpu())
            if mask is not None:
                masks[row] = mask[place].cpu()
        done += len(rows)
        reporter.progress("running the frozen blocks", done, total, "parts")
    states.close()
    return SoundPrefix(items, stop, states, masks, numbers, staged=staged)


class _Prefix:
    """What makes states of rows of one length: the first blocks of a network."""

    def __init__(
        self, items: SoundItems, network: Network, stop: int, device: torch.device
    ) -> None:
        self.items, self.network, self.stop, self.device = items, network, stop, device

    def __call__(self, rows: list[int], view: int) -> Any:
        """Return the state of a view of rows; 0 is the plain one."""
        drawn = [self.items.drawn(row, view - 1) if view else None for row in rows]
        found = [self.items.row(row, one) for row, one in zip(rows, drawn, strict=True)]
        try:
            return self.network.run_prefix(moved(collate(found), self.device), self.stop)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise no_memory(self.network.backbone.card.name) from error


def _parts(state: Any) -> tuple[Any, Tensor | None, bool | None]:
    """Return the hidden states in a state, the mask beside them, and ``staged``."""
    if isinstance(state, tuple):
        return state[0], state[1], None
    return state.hidden, None, state.as_tuple


def _wanted(items: SoundItems, views: int, valid: IntArray | None) -> AnyArray:
    """Return which views of which rows are wanted, (1 + views, rows), the plain view first."""
    wanted = np.ones((1 + views, items.rows), dtype=bool)
    if valid is not None and views:
        looked = np.zeros(items.rows, dtype=bool)
        for place in valid:
            looked[items.rows_of(int(place))] = True
        wanted[1:] = ~looked
        wanted[0] = looked
    return wanted


def _batches(wanted: AnyArray, frames: IntArray, values: int) -> list[tuple[int, list[int]]]:
    """Return batches (view, rows) of rows of one length, shortest first."""
    found: list[tuple[int, list[int]]] = []
    for view, some in enumerate(wanted):
        rows = np.flatnonzero(some)
        for length in np.unique(frames[rows]):
            same = rows[frames[rows] == length].tolist()
            most = max(1, _VALUES // max(1, int(length) * values))
            found += [(view, same[at : at + most]) for at in range(0, len(same), most)]
    return found


def _lengthened(hidden: Tensor, to: int) -> Tensor:
    return functional.pad(hidden, (0, 0) * (hidden.ndim - 1) + (0, to - len(hidden)))
