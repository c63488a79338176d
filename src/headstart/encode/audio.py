"""Sounds to features: read in windows, turned into frames, sorted by length, run, averaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from headstart import parallel
from headstart.core.errors import DataError
from headstart.core.types import FloatArray, IntArray, Reporter
from headstart.data.audio import audio_windows
from headstart.data.sound_file import opened
from headstart.encode import device as devices
from headstart.encode.lanes import one_thread, side_by_side
from headstart.encode.mel import front_end
from headstart.encode.placed import file_of, hashes_of, located

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone

MOST_WINDOWS = 20
"""Of a longer sound so many windows are heard, evenly spread: of 30 s each, ten minutes."""

_CPU_VALUES = 120_000  # numbers (frames x bands) of a batch of one core: 15 s for Whisper
_GPU_VALUES = 8_000_000
_HELD_VALUES = 16_000_000  # read and not yet run: 64 MB
_MAX_PADDING = 1.1  # of a batch: longest row over shortest
_READ_AHEAD = 8  # sounds


class _Row(NamedTuple):
    """What the network takes at once of an item: frames (t, bands) and their mask (t)."""

    item: int
    frames: Tensor
    mask: Tensor

    @property
    def weight(self) -> int:
        """How many of the frames count."""
        return int((self.mask == 1).sum())


class _Heard(NamedTuple):
    """What was read of an item: its rows, whether in windows, and whether not all was."""

    rows: list[_Row]
    windowed: bool
    thinned: bool


class AudioEncoder:
    """A frozen audio backbone made ready to encode sounds.

    Sounds longer than the source reads at once (``seconds`` on its card) are heard in windows, at
    most `MOST_WINDOWS`, and the features of the windows averaged by how long each is.

    Parameters
    ----------
    backbone : Backbone
    device : str, optional
    precision : {"auto", "float32", "bf16"}
    reporter : Reporter
    few : bool
        Changes nothing: no weights are packed.
    """

    stage = "embedding sounds"
    unit = "sounds"
    window = 512

    def __init__(
        self,
        backbone: Backbone,
        *,
        device: str | None,
        precision: str,
        reporter: Reporter,
        few: bool = False,
    ) -> None:
        spec = backbone.card.input
        self.dim, self._parts = backbone.card.dim, backbone.parts
        self._name, self._reporter = backbone.card.name, reporter
        self._rate, self._seconds = int(spec["rate"]), float(spec["seconds"])
        self._normalise = bool(spec.get("normalise"))
        self._padding = 1.0 if spec.get("same_length") else _MAX_PADDING
        self._front = front_end(spec)
        self._windowed = self._thinned = 0
        self._device = devices.pick_device(device)
        if self._device.type == "cpu":
            with one_thread():
                self.precision = self._prepare_cpu(backbone, precision)
        else:
            self.precision = devices.gpu_precision(self._device, precision)
        self._run = devices.Module(backbone, self._device, self.precision, reporter)

    def hashes(self, items: Sequence[Any], first: int, *, cached: bool) -> list[bytes]:
        """Return a hash of each sound's content; of its position if nothing is cached."""
        return hashes_of(items, first, cached=cached)

    def encode(
        self, items: Sequence[Any], positions: Sequence[int]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield (indices into ``items``, features) in order, as many as are held at a time."""

        def read(i: int) -> _Heard:
            return self._read(i, items[i], positions[i])

        held: list[_Row] = []
        size, first = 0, 0
        for i, heard in enumerate(parallel.map(read, range(len(items)), window=_READ_AHEAD)):
            rows = heard.rows
            self._windowed += heard.windowed  # counted here: reading runs in threads
            self._thinned += heard.thinned
            held += rows
            size += sum(row.frames.numel() for row in rows)
            if size >= _HELD_VALUES or i + 1 == len(items):
                yield np.arange(first, i + 1), self._features(held, first, i + 1)
                held, size, first = [], 0, i + 1

    def finish(self) -> None:
        """Say how many sounds were heard in windows, and of how many not all was."""
        if self._windowed:
            self._reporter.say(
                f"{self._windowed} of the sounds embedded now are longer than the "
                f"{self._seconds:g} s that {self._name} hears at once: each was heard in windows "
                "of that length, and their features averaged."
            )
        if self._thinned:
            self._reporter.say(
                f"{self._thinned} of them are longer than {MOST_WINDOWS} windows "
                f"({MOST_WINDOWS * self._seconds / 60:g} minutes): {MOST_WINDOWS} evenly spread "
                "windows of each were heard."
            )

    def _read(self, index: int, item: Any, position: int) -> _Heard:
        rows: list[_Row] = []
        windows = 0
        try:
            made = audio_windows(
                file_of(item), rate=self._rate, seconds=self._seconds, most=MOST_WINDOWS
            )
            for samples in made:
                windows += 1
                found = self._front(samples)
                pairs = zip(found.frames, found.mask, strict=True)
                rows += [_Row(index, frames, mask) for frames, mask in pairs]
        except DataError as error:
            raise located(error, item, position) from error
        thinned = windows == MOST_WINDOWS and _longer(item, MOST_WINDOWS * self._seconds)
        return _Heard(rows, windows > 1, thinned)

    def _features(self, rows: list[_Row], first: int, stop: int) -> FloatArray:
        """Return the features of items ``first`` to ``stop``, averaged over their rows."""
        on_cpu = self._device.type == "cpu"
        batches = list(_batches(rows, _CPU_VALUES if on_cpu else _GPU_VALUES, self._padding))

        def run(index: list[int]) -> tuple[list[int], FloatArray]:
            return index, self._run(collate([rows[i][1:] for i in index])).numpy()

        lanes = side_by_side(run, batches, count=len(batches)) if on_cpu else map(run, batches)
        total = np.zeros((stop - first, self.dim), dtype=np.float64)
        weight = np.zeros((stop - first, 1))
        for index, made in lanes:
            for i, row in zip(index, made, strict=True):
                total[rows[i].item - first] += row.astype(np.float64) * rows[i].weight
                weight[rows[i].item - first] += rows[i].weight
        mean = total / weight
        for part in self._parts if self._normalise else ():
            norm = np.linalg.norm(mean[:, part], axis=1, keepdims=True)
            mean[:, part] /= np.maximum(norm, 1e-12)
        return mean.astype(np.float32)

    def _prepare_cpu(self, backbone: Backbone, precision: str) -> str:
        """Choose bfloat16 where the CPU computes in it and features stay true; else float32."""
        for dtype, least in devices.cpu_candidates(precision, self._reporter):
            if dtype != torch.bfloat16:
                continue
            sample = self._front(_sample(self._rate))
            batch = collate(list(zip(sample.frames, sample.mask, strict=True)))
            plain = devices.Module(backbone, self._device, "float32", self._reporter)(batch)
            half = devices.Module(backbone, self._device, "bf16", self._reporter)(batch)
            cosine = devices.worst_cosine(half, plain, backbone.parts)
            if cosine >= least:
                return "bf16"
            devices.say_drift(self._reporter, self._name, dtype, cosine)
        return "float32"


def collate(rows: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return rows as one batch for a backbone: frames (n, t, ...) and mask (n, t), 0 where padded.

    Parameters
    ----------
    rows : sequence of (Tensor (t_i, ...), Tensor (t_i))
        Frames and their masks.
    """
    longest = max(len(frames) for frames, _ in rows)
    pairs = [(_lengthened(frames, longest), _lengthened(mask, longest)) for frames, mask in rows]
    return torch.stack([frames for frames, _ in pairs]), torch.stack([mask for _, mask in pairs])


def _lengthened(frames: Tensor, to: int) -> Tensor:
    if len(frames) == to:
        return frames
    return functional.pad(frames, (0, 0) * (frames.ndim - 1) + (0, to - len(frames)))


def _batches(rows: Sequence[_Row], values: int, padding: float) -> Iterator[list[int]]:
    """Yield indices of rows of similar length, longest first, at most ``values`` numbers each."""
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i].frames), i))
    batch: list[int] = []
    for i in order:
        if batch:
            longest = rows[batch[0]].frames
            full = (len(batch) + 1) * longest.numel() > values
            if full or len(longest) > padding * len(rows[i].frames):
                yield batch
                batch = []
        batch.append(i)
    if batch:
        yield batch


def _sample(rate: int) -> FloatArray:
    """Return a second of a rising tone, the same on every machine."""
    time = np.arange(rate) / rate
    wave: FloatArray = 0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time).astype(np.float32)
    return wave


def _longer(item: Any, seconds: float) -> bool:
    with opened(file_of(item)) as sound:
        return sound.seconds > seconds
