"""Sounds as a training loop takes them: the rows that the source's own front end makes of them.

A sound is one row (Whisper hears up to 30 s at once) or many (GE2E hears 1.6 s); the features of
its rows are averaged by how much of each counts, as where the source is frozen.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from headstart import parallel
from headstart.core.errors import DataError
from headstart.core.types import AnyArray, IntArray, Reporter
from headstart.data.audio import audio_windows
from headstart.data.sound_file import opened
from headstart.encode.audio import MOST_WINDOWS, collate
from headstart.encode.mel import front_end
from headstart.encode.placed import file_of, located
from headstart.sources.backbone import Backbone
from headstart.strategies.tuning.augment import SpecAugment
from headstart.strategies.tuning.items import SoundBatch

WINDOWS = 4
"""Of a sound that is longer than the source hears at once so many windows train, evenly spread."""
ROWS = 16
"""Of a sound so many rows train, evenly spread."""
_READ_AHEAD = 8  # sounds


class Row(NamedTuple):
    """What the network takes at once: values (t, ...), and a mask (t), 1 for frames that count."""

    values: Tensor
    mask: Tensor


class Spool:
    """Arrays of one type, appended one by one to a temporary file, then read from it."""

    def __init__(self) -> None:
        self._file: Any = tempfile.TemporaryFile(prefix="headstart-sounds-")  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._values: AnyArray = np.zeros(0, dtype=np.float32)
        self._starts: list[int] = [0]
        self.shapes: list[tuple[int, ...]] = []

    def __len__(self) -> int:
        return len(self.shapes)

    def add(self, values: Tensor) -> int:
        """Append float32 values; return their number, by which `get` finds them."""
        array = np.ascontiguousarray(values.numpy(), dtype=np.float32)
        self._file.write(array.data)
        self._starts.append(self._starts[-1] + array.size)
        self.shapes.append(array.shape)
        return len(self.shapes) - 1

    def close(self) -> None:
        """Add nothing more: from now on `get` reads. The file goes when the spool does."""
        self._file.flush()
        if self._starts[-1]:
            self._values = np.memmap(self._file, dtype=np.float32, mode="r")
        self._file.close()

    def get(self, number: int) -> Tensor:
        """Return a copy of what was appended as number ``number``."""
        flat = self._values[self._starts[number] : self._starts[number + 1]]
        return torch.from_numpy(np.array(flat)).view(self.shapes[number])


class SoundItems:
    """Sounds as rows of frames.

    Parameters
    ----------
    sounds : sequence of length n
        Paths, bytes of files, or ``(samples, rate)``.
    backbone : Backbone
        Its card says which front end makes the rows.
    augment : SpecAugment
    fixed : int
        0: every epoch draws anew. V: the masks of a sound are V fixed ones, taken in turn, each
        drawn from ``seed``, the sound's place and the view alone.
    seed : int
    reporter : Reporter

    Raises
    ------
    DataError
        A sound cannot be read; it names which.
    """

    first = 0

    def __init__(
        self,
        sounds: Sequence[Any],
        backbone: Backbone,
        *,
        augment: SpecAugment,
        fixed: int = 0,
        seed: int = 0,
        reporter: Reporter,
    ) -> None:
        spec = backbone.card.input
        self._front = front_end(spec)
        self._rate, self._seconds = int(spec["rate"]), float(spec["seconds"])
        self._normalise = bool(spec.get("normalise"))
        self._same_length = bool(spec.get("same_length"))
        self._augment, self._fixed, self._seed = augment, fixed, seed
        self._spool, self._masks = Spool(), list[AnyArray]()
        digest, firsts, thinned = blake2b(digest_size=16), [0], 0
        given: Any = sounds
        read = parallel.map(self._read, list(enumerate(given)), window=_READ_AHEAD)
        for place, (rows, less) in enumerate(read):
            thinned += less
            for row in rows:
                self._spool.add(row.values)
                mask = row.mask.to(torch.int8).numpy()
                self._masks.append(_small(mask))
                digest.update(str(tuple(row.values.shape)).encode())
                digest.update(np.ascontiguousarray(row.values.numpy()).data)
                digest.update(np.ascontiguousarray(mask).data)
            firsts.append(len(self._spool))
            reporter.progress("listening", place + 1, len(given), "sounds")
        self._spool.close()
        self._firsts, self._identity = np.array(firsts), digest.digest()
        lengths = [int(np.prod(shape[: max(1, len(shape) - 1)])) for shape in self._spool.shapes]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        self.sizes: IntArray = np.diff(starts[self._firsts])
        if thinned:
            reporter.say(
                f"{thinned} of the sounds are long: of each, {WINDOWS} windows of "
                f"{self._seconds:g} s or {ROWS} parts, evenly spread, train; "
                f"all of it is heard in prediction, up to {MOST_WINDOWS} windows."
            )

    def __len__(self) -> int:
        return len(self.sizes)

    def load(self, index: IntArray, epoch: int, generator: torch.Generator | None) -> SoundBatch:
        """Return the rows of the sounds at ``index``, padded to the longest, as a batch."""
        view = None if generator is None else epoch % max(1, self._fixed)

        def row(place: int, number: int) -> Row:
            if view is None:
                return self.row(number)
            drawn = self.drawn(number, view) if self._fixed else generator
            return self.row(number, drawn)

        return self.batch(index, row, collate)

    def row(self, number: int, generator: torch.Generator | None = None) -> Row:
        """Return a row, masked by what ``generator`` draws; by number among all rows."""
        values = self._spool.get(number)
        mask = torch.from_numpy(self._masks[number].astype(np.int64))
        if generator is not None:
            values = self._augment(values, mask, generator)
        return Row(values, mask)

    def rows_of(self, place: int) -> range:
        """Return the numbers of the rows of a sound."""
        return range(int(self._firsts[place]), int(self._firsts[place + 1]))

    def drawn(self, number: int, view: int) -> torch.Generator:
        """Return what draws a fixed view of a row."""
        seed = np.random.SeedSequence([self._seed, number, view]).generate_state(2, np.uint32)
        return torch.Generator().manual_seed(int(seed[0]) << 32 | int(seed[1]))

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return len(self._spool)

    @property
    def values(self) -> int:
        """How many numbers a frame of a row is, at most."""
        return max(int(np.prod(shape[1:])) for shape in self._spool.shapes)

    def length(self, number: int) -> int:
        """Return how long a row is."""
        return self._spool.shapes[number][0]

    def batch(
        self,
        index: IntArray,
        row: Callable[[int, int], Any],
        put: Callable[[list[Any]], Any],
    ) -> SoundBatch:
        """Return sounds as a batch of what ``row`` makes of each row, put together by ``put``.

        Rows of a source that hears padding are put together with those of their length alone.
        """
        owned = [(i, n) for i, place in enumerate(index) for n in self.rows_of(int(place))]
        groups: dict[int, list[tuple[int, int]]] = {}
        for pair in owned:
            key = self.length(pair[1]) if self._same_length else 0
            groups.setdefault(key, []).append(pair)
        ordered = [pair for group in groups.values() for pair in group]
        shares = np.zeros((len(index), len(ordered)), dtype=np.float64)
        for column, (i, number) in enumerate(ordered):
            shares[i, column] = np.count_nonzero(self._masks[number] == 1)
        shares /= shares.sum(axis=1, keepdims=True)
        parts = [put([row(int(index[i]), n) for i, n in group]) for group in groups.values()]
        found = torch.from_numpy(shares.astype(np.float32))
        return SoundBatch(tuple(parts), found, self._normalise)

    def identity(self) -> bytes:
        """Return a hash of the frames."""
        return self._identity

    def _read(self, pair: tuple[int, Any]) -> tuple[list[Row], bool]:
        """Return the rows of a sound, and whether not all of it is in them."""
        place, item = pair
        sound, rows = file_of(item), list[Row]()
        try:
            with opened(sound) as file:
                less = file.seconds > WINDOWS * self._seconds
            cut = audio_windows(sound, rate=self._rate, seconds=self._seconds, most=WINDOWS)
            for found in map(self._front, cut):
                rows += [Row(*one) for one in zip(found.frames, found.mask, strict=True)]
        except DataError as error:
            raise located(error, item, place) from error
        if len(rows) > ROWS:
            rows = [rows[round(at)] for at in np.linspace(0, len(rows) - 1, ROWS)]
            less = True
        return rows, less


def _small(mask: AnyArray) -> AnyArray:
    """Return a mask, in no memory where all counts: a mask of samples is a quarter of them."""
    return np.broadcast_to(np.int8(1), mask.shape) if (mask == 1).all() else mask
