"""Sounds to what a Whisper's decoder reads: windows, mel frames, states; states kept on disk."""

from __future__ import annotations

import math
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.core.types import FloatArray
from headstart.data.audio import SILENT as SILENCE
from headstart.data.audio import audio_facts, read_audio
from headstart.encode.mel import front_end
from headstart.sources.speech_model import SpeechSource

WINDOW = 30.0
"""Seconds that a Whisper hears at once."""
STEP = 1.0
"""Windows are padded with silence to whole steps: those of a batch are of one length."""
LEAST = 10.0
"""Seconds to which a short sound is padded: below, the decoder is prone to go in circles."""
TAIL = 1.0
"""Seconds of silence behind every sound that leaves room for it."""
MOST_KEPT = 4 * 2**30
"""Bytes of states that are kept on disk; what does not fit is computed again."""
_SEARCHED, _QUIET = 5.0, 0.2  # s at the end of a window; s of the quietest piece in it

Key = tuple[Any, ...]


def windows_of(item: Any, *, rate: int) -> Iterator[FloatArray]:
    """Yield a recording in windows of at most 30 s, cut where it is quietest near their end.

    Parameters
    ----------
    item : path, bytes or tuple
        As `headstart.data.audio.read_audio`.
    rate : int

    Yields
    ------
    ndarray of shape (n,), float32
        Of one without a sound: nothing.

    Raises
    ------
    DataError
        As `read_audio`.
    """
    length = audio_facts(item).seconds
    start = 0.0
    while start < length - 0.5 / rate:
        samples = read_audio(item, rate=rate, start=start, seconds=WINDOW)
        if length - start > WINDOW:
            samples = samples[: _quietest(samples, rate)]
        if len(samples) and float(np.abs(samples).max()) >= SILENCE:
            yield samples
        start += len(samples) / rate


def _quietest(samples: FloatArray, rate: int) -> int:
    """Return the middle of the quietest piece in the last seconds of a window."""
    piece = round(_QUIET * rate)
    first = len(samples) - round(_SEARCHED * rate)
    power = np.cumsum(np.square(samples[first:], dtype=np.float64))
    loud = power[piece:] - power[:-piece]
    return first + int(np.argmin(loud)) + piece // 2


def padded(samples: int, rate: int) -> float:
    """Return the seconds to which a sound is padded.

    Examples
    --------
    >>> [padded(round(seconds * 16000), 16000) for seconds in (0.3, 12.4, 29.5)]
    [10.0, 14.0, 30.0]
    """
    wanted = math.ceil((samples / rate + TAIL) / STEP) * STEP
    return min(WINDOW, max(LEAST, wanted))


def mels_of(source: SpeechSource, samples: FloatArray) -> Tensor:
    """Return the mel frames (t, bands) of a window, silence behind it."""
    spec = source.card.input
    length = padded(len(samples), int(spec["rate"]))
    own = {"front": "whisper", "seconds": length, "silence": [0.0, length], "floor": math.inf}
    return front_end({**spec, **own})(samples).frames[0]


@dataclass(frozen=True, eq=False)
class Window:
    """What a decoder reads of a window.

    Parameters
    ----------
    states : Tensor of shape (t, width), float32
    seconds : float
        Of sound, without the silence behind it.
    """

    states: Tensor
    seconds: float


class Ear:
    """Makes the states of recordings; what a frozen encoder made once is kept on disk.

    Parameters
    ----------
    source : SpeechSource
    keep : bool
        False where the encoder changes.
    most : int
        Bytes that are kept; the file is gone with the object.

    Attributes
    ----------
    computed : int
        Windows that were computed.
    spoken : dict
        The languages of recordings, by `key_of`, as `language_of` asked for them.
    """

    def __init__(self, source: SpeechSource, *, keep: bool = True, most: int = MOST_KEPT) -> None:
        self.source, self.keep, self.most = source, keep, most
        self.computed = 0
        self._file: Any = None
        self._size = 0
        self._known: dict[Key, list[tuple[int, int, float]]] = {}
        self.spoken: dict[Key, Tensor] = {}

    def windows(self, item: Any) -> Iterator[Window]:
        """Yield the windows of one recording, one at a time in memory.

        Raises
        ------
        DataError
            It cannot be read.
        """
        key = key_of(item) if self.keep else None
        if key is not None and key in self._known:
            for start, size, length in self._known[key]:
                yield Window(self._read(start, size), length)
            return
        rate = int(self.source.card.input["rate"])
        places: list[tuple[int, int, float]] | None = [] if key is not None else None
        for samples in windows_of(item, rate=rate):
            window = Window(self._encode(samples), len(samples) / rate)
            places = self._stored(window, places)
            yield window
        if key is not None and places is not None:
            self._known[key] = places

    def _encode(self, samples: FloatArray) -> Tensor:
        mels = mels_of(self.source, samples)[None]
        self.computed += 1
        with torch.inference_mode():
            states, _ = self.source.network.encode(mels, torch.ones(mels.shape[:2]))
        return states[0].clone()

    def _stored(
        self, window: Window, places: list[tuple[int, int, float]] | None
    ) -> list[tuple[int, int, float]] | None:
        """Write a window behind the others; None where there is no room, or an earlier had none."""
        size = window.states.numel() * 4
        if places is None or self._size + size > self.most:
            return None
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="headstart-speech-")  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        self._file.seek(self._size)
        self._file.write(window.states.contiguous().numpy().tobytes())
        place = (self._size, len(window.states), window.seconds)
        self._size += size
        return [*places, place]

    def _read(self, start: int, size: int) -> Tensor:
        width = int(self.source.card.config["hidden"])
        self._file.seek(start)
        raw = bytearray(self._file.read(size * width * 4))
        return torch.frombuffer(raw, dtype=torch.float32).view(size, width)


def key_of(item: Any) -> Key | None:
    """Return what tells a file from others and from its earlier self; None of what is no file."""
    if not isinstance(item, str | Path):
        return None
    facts = Path(item).stat()
    return str(item), facts.st_size, facts.st_mtime_ns
