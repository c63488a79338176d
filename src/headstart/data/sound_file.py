"""An opened sound file, or samples in memory: frames of it as float32, at its own rate."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, FloatArray

SUFFIXES = frozenset(
    (
        *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc"),
        *(".au", ".snd", ".caf", ".w64", ".rf64"),
    )
)
"""File name endings of the sounds that are read, in lower case."""

FOREIGN = frozenset((".m4a", ".aac", ".wma", ".amr"))
"""Endings of sounds that libsndfile does not decode."""

READ = "wav, flac, ogg, opus, mp3, aiff, au, caf"
RATES = (100, 1_000_000)
LOUDEST = 8.0
"""Float samples beyond this are no sound in -1..1, but integers stored as floats."""

WARM = 8 * 1152
"""Samples decoded before a part of an mp3 file: each frame needs what went before it."""

_WIDTHS = {"i1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31}


@dataclass
class Sound:
    """What gives frames: an opened file or an array.

    Parameters
    ----------
    where : str
        A name for messages.
    rate : int
        Samples a second.
    channels : int
    frames : int
        Samples a channel.
    format : str
        "WAV PCM_16", "MP3 MPEG_LAYER_III", ...; "array int16" for what is no file.
    file : soundfile.SoundFile or None
    array : ndarray of shape (frames, channels) or None
    """

    where: str
    rate: int
    channels: int
    frames: int
    format: str
    file: Any = None
    array: AnyArray | None = None

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.frames / self.rate

    def take(self, start: int, stop: int) -> FloatArray:
        """Return frames ``start`` to ``stop`` as float32 of shape (n, channels), finite.

        Raises
        ------
        DataError
            The file breaks off or is damaged here, or a sample is no finite number.
        """
        if self.array is not None:
            block = _floats(self.array[start:stop])
        else:
            block = self._decoded(start, stop)
        if not np.isfinite(block).all():
            raise DataError(
                "the recording has samples that are not finite numbers",
                where=self.where,
                got=f"the first at {self._moment(start, ~np.isfinite(block))}",
            )
        loudest = float(np.abs(block).max(initial=0.0))
        if loudest > LOUDEST:
            raise DataError(
                "the samples are floats far outside -1..1",
                where=self.where,
                got=f"a sample of {loudest:.6g}",
                hint="Divide them by their full scale (32768 for 16 bits), or keep them integers",
            )
        return block

    def _moment(self, start: int, wrong: AnyArray) -> str:
        first = int(np.flatnonzero(wrong.any(axis=1))[0])
        return f"{(start + first) / self.rate:.3f} s"

    def _decoded(self, start: int, stop: int) -> FloatArray:
        lead = min(start, WARM) if self.format.startswith("MP3") else 0
        try:
            self.file.seek(start - lead)
            block = self.file.read(stop - start + lead, dtype="float32", always_2d=True)[lead:]
        except Exception as error:  # libsndfile's own errors, and those of a file object
            raise DataError(
                f"the recording is damaged: {_reason(error)}", where=self.where
            ) from None
        short = stop - start - len(block)
        if short > max(0.1 * self.rate, 0.01 * self.frames) or (short and not len(block)):
            raise DataError(
                "the recording breaks off",
                where=self.where,
                got=f"{(start + len(block)) / self.rate:.2f} s of {self.seconds:.2f} s",
            )
        return block


def _floats(array: AnyArray) -> FloatArray:
    """Scale samples to float32 by the range of their type; 64-bit integers by what holds them."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f":
        return array.astype(np.float32)
    if kind == "u":
        return (array.astype(np.float32) - np.float32(128)) / np.float32(128)
    return (array.astype(np.float64) / _WIDTHS[f"i{size}"]).astype(np.float32)


def where_of(item: Any) -> str:
    """Return a name for messages."""
    return str(item) if isinstance(item, str | Path) else "sound in memory"


@contextmanager
def opened(item: Any) -> Iterator[Sound]:
    """Open a path, the bytes of a file, or (samples, rate).

    Raises
    ------
    DataError
        It cannot be opened as a sound: missing, empty, of an unknown format, without samples.
    """
    if isinstance(item, tuple):
        yield _in_memory(item)
        return
    where = where_of(item)
    handle = _handle(item, where)
    from soundfile import SoundFile

    try:
        file = SoundFile(handle)
    except Exception as error:  # libsndfile's own errors, and those of a file object
        raise _unknown(item, where, error) from None
    with file:
        name = f"{file.format} {file.subtype}"
        sound = Sound(where, file.samplerate, file.channels, file.frames, name, file=file)
        _check(sound)
        yield sound


def _handle(item: Any, where: str) -> Any:
    if isinstance(item, bytes | bytearray | memoryview):
        data = bytes(item)
        if not data:
            raise DataError("the file is empty", where=where)
        return io.BytesIO(data)
    if not isinstance(item, str | Path):
        raise DataError(
            "this is not a sound",
            got=type(item).__name__,
            allowed="a path, the bytes of a sound file, or a tuple (samples, rate)",
            hint="An array needs its rate: (samples, 16000)"
            if isinstance(item, np.ndarray)
            else None,
        )
    try:
        size, is_file = Path(item).stat().st_size, Path(item).is_file()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot open the recording: {reason}", where=where) from None
    if not is_file:
        raise DataError("this is no regular file", where=where)
    if not size:
        raise DataError("the file is empty", where=where)
    return str(item)


def _unknown(item: Any, where: str, error: Exception) -> DataError:
    ending = Path(where).suffix.lower() if isinstance(item, str | Path) else ""
    if ending in FOREIGN:
        return DataError(
            f"{ending} files are not decoded; convert them to flac or wav",
            where=where,
            allowed=READ,
        )
    return DataError(
        "this is not a sound file of a known format",
        where=where,
        got=_reason(error),
        allowed=READ,
    )


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    text = text.rsplit(": ", 1)[-1] if text.startswith("Error opening") else text
    return text.removeprefix("Error : ").rstrip(".")


def _in_memory(item: tuple[Any, ...]) -> Sound:
    where = "sound in memory"
    fits = len(item) == 2 and isinstance(item[1], int | np.integer | float)
    if not fits or isinstance(item[1], bool):
        raise DataError(
            "this is not a sound",
            where=where,
            got=f"a tuple of {', '.join(type(part).__name__ for part in item)}",
            allowed="(samples, rate)",
        )
    samples, rate = np.asarray(item[0]), item[1]
    if not math.isfinite(rate) or int(rate) != rate:
        raise DataError("the rate is no whole number", where=where, got=rate)
    width = samples.dtype.kind + str(samples.dtype.itemsize)
    if width == "i8":
        most = max(int(samples.max(initial=0)), -1 - int(samples.min(initial=0)))
        if most < 2**31:
            samples, width = samples.astype(np.int16 if most < 2**15 else np.int32), "i4"
    shaped = samples.ndim == 1 or (samples.ndim == 2 and samples.shape[1] >= 1)
    if not shaped or (samples.dtype.kind != "f" and width not in (*_WIDTHS, "u1")):
        raise DataError(
            "these samples are not a sound",
            where=where,
            got=f"shape {samples.shape}, type {samples.dtype}",
            allowed="shape (n,) or (n, channels): integers of 8 (unsigned or signed), 16 or 32 "
            "bits, or floats in -1..1",
        )
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1] and samples.shape[0] <= 8:
        raise DataError(
            "the channels of these samples come first",
            where=where,
            got=f"shape {samples.shape}",
            allowed="shape (n,) or (n, channels)",
            hint="transpose them: samples.T",
        )
    table = samples[:, None] if samples.ndim == 1 else samples
    name = f"array {samples.dtype}"
    sound = Sound(where, int(rate), table.shape[1], len(table), name, array=table)
    _check(sound)
    return sound


def _check(sound: Sound) -> None:
    low, high = RATES
    if not low <= sound.rate <= high:
        raise DataError(
            "no sound has this rate",
            where=sound.where,
            got=f"{sound.rate} Hz",
            allowed=f"{low} to {high} Hz",
        )
    if sound.frames < 1 or not math.isfinite(sound.seconds):
        raise DataError("the recording holds no samples", where=sound.where)
