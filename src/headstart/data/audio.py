"""One recording, however it is stored, as mono float32 at one rate; whole, or in windows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import FloatArray
from headstart.data.sound_file import SUFFIXES, Sound, opened

__all__ = [
    "SUFFIXES",
    "AudioFacts",
    "audio_facts",
    "audio_windows",
    "read_audio",
    "sound_hash",
]

BLOCK = 30.0
"""Seconds that are decoded at a time."""

VALUES = 2**24
"""Samples of all channels that are decoded at a time: of very many channels, fewer seconds."""

HEARD = 600.0
"""Of a longer recording `audio_facts` listens to this many seconds, evenly spread."""

SILENT = 1e-4
"""A recording whose loudest sample is below this (-80 dB) is silent."""

_RUN, _SHARE, _NEAR = 4, 0.005, 0.9
_STEPS = 20_000  # most samples of the recording between two points that both rates share
_ZEROS = 10  # half the length of scipy's filter, in samples of the slower rate


@dataclass(frozen=True)
class AudioFacts:
    """What a recording is, and what a person should know of it.

    Parameters
    ----------
    rate : int
        Samples a second, as stored.
    channels : int
    seconds : float
        Length.
    format : str
        "WAV PCM_16", "MP3 MPEG_LAYER_III", ...; "array int16" for samples in memory.
    peak : float
        The loudest sample, full scale is 1. Of a recording of more than 10 minutes, the loudest
        of 10 minutes evenly spread.
    clipped : float in 0..1
        Share of the samples that stand at the recording's own peak for 4 samples and more.
    notes : tuple of str
        "silent", "clipped", "louder than full scale".
    content : bytes
        See `sound_hash`.
    """

    rate: int
    channels: int
    seconds: float
    format: str
    peak: float = 0.0
    clipped: float = 0.0
    notes: tuple[str, ...] = ()
    content: bytes = b""


def read_audio(
    item: Any, *, rate: int, start: float = 0.0, seconds: float | None = None
) -> FloatArray:
    """Return a recording, or a part of it, as mono float32 in -1..1 at one rate.

    Channels are mixed down by their mean. The rate is changed by `scipy.signal.resample_poly`
    with its usual filter; a part is cut such that it equals the same part of the whole. Only
    that part is decoded, and at most 30 s of it at a time (less of very many channels), so that
    little more than what is returned has to fit into memory.

    Parameters
    ----------
    item : path, bytes or tuple
        A path (``str`` or ``Path``) of a wav, flac, ogg, mp3, ... file; the bytes of such a file;
        or ``(samples, rate)``, samples of shape (n,) or (n, channels): integers of 8 (unsigned or
        signed), 16 or 32 bits, or floats in -1..1.
    rate : int
        Samples a second of what is returned.
    start : float, default 0
        Where the part begins, in seconds.
    seconds : float, optional
        How long the part is; to the end of the recording where it is not given or longer.

    Returns
    -------
    ndarray of shape (n,), float32

    Raises
    ------
    DataError
        The item cannot be read as a sound (missing, empty, without samples, damaged, breaking
        off, of an unknown format), has samples that are not finite, or ends before ``start``.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.data.audio import read_audio
    >>> stereo = np.zeros((8000, 2), np.int16)
    >>> read_audio((stereo, 8000), rate=16000).shape
    (16000,)
    """
    _check_window(rate, start, seconds)
    with opened(item) as sound:
        total = _length(sound, rate)
        first = round(start * rate)
        last = total if seconds is None else min(total, first + max(1, round(seconds * rate)))
        if first >= total:
            raise DataError(
                "the recording ends before the part that was asked for",
                where=sound.where,
                got=f"{sound.seconds:.2f} s long, part from {start:g} s",
            )
        return _range(sound, rate, first, last)


def audio_windows(
    item: Any, *, rate: int, seconds: float, most: int | None = None
) -> Iterator[FloatArray]:
    """Yield a recording as windows of one length, one at a time in memory.

    Windows follow one another; the last one ends where the recording ends, and so overlaps the
    one before it. A recording that is shorter than a window is one window of its own length.

    Parameters
    ----------
    item : path, bytes or tuple
        As for `read_audio`.
    rate : int
        Samples a second of what is yielded.
    seconds : float
        The length of a window.
    most : int, optional
        At most this many windows: of a longer recording they are evenly spread, the first at its
        start and the last at its end. Only they are decoded.

    Yields
    ------
    ndarray of shape (n,), float32

    Raises
    ------
    DataError
        As for `read_audio`.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.data.audio import audio_windows
    >>> hour = np.zeros(3600 * 1000, np.int16)
    >>> [len(w) for w in audio_windows((hour, 1000), rate=1000, seconds=30, most=3)]
    [30000, 30000, 30000]
    """
    _check_window(rate, 0.0, seconds)
    with opened(item) as sound:
        total, size = _length(sound, rate), max(1, round(seconds * rate))
        for first in window_starts(total, size, most):
            yield _range(sound, rate, first, min(total, first + size))


def window_starts(total: int, size: int, most: int | None = None) -> list[int]:
    """Return where windows of ``size`` begin in ``total`` samples, as `audio_windows` cuts them."""
    if total <= size:
        return [0]
    count = math.ceil(total / size)
    if most is not None and count > most:
        return [round(at) for at in np.linspace(0, total - size, max(1, most))]
    return [min(at * size, total - size) for at in range(count)]


def audio_facts(item: Any) -> AudioFacts:
    """Return rate, channels, length, format and notes of a recording, by listening to it.

    Of a recording of more than 10 minutes it listens to 10, evenly spread.

    Parameters
    ----------
    item : path, bytes or tuple
        As for `read_audio`.

    Raises
    ------
    DataError
        As for `read_audio`.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.data.audio import audio_facts
    >>> audio_facts((np.zeros(4000, np.int16), 8000)).notes
    ('silent',)
    """
    with opened(item) as sound:
        peak, heard, tops = 0.0, 0, []
        digest = hashlib.blake2b(f"{sound.rate} {sound.frames} ".encode(), digest_size=16)
        for block in _heard(sound):
            mono = block.mean(axis=1, dtype=np.float32)
            digest.update(np.rint(mono * 32767).astype("<i4").data)
            loudest = float(np.abs(block).max())
            peak, heard = max(peak, loudest), heard + block.size
            tops.append((loudest, _flat_tops(block, loudest)))
        clipped = sum(n for loudest, n in tops if loudest >= 0.999 * peak) / heard
        return AudioFacts(
            sound.rate,
            sound.channels,
            sound.seconds,
            sound.format,
            peak,
            clipped,
            _notes(peak, clipped),
            digest.digest(),
        )


def sound_hash(item: Any) -> bytes:
    """Return a 16-byte BLAKE2b hash of what is heard: rate and samples, mono and at 16 bits.

    A wav file and a flac file of the same samples agree, and so do files that differ in their
    tags. Of a recording of more than 10 minutes, 10 evenly spread are compared, and the length.

    Parameters
    ----------
    item : path, bytes or tuple
        As for `read_audio`.

    Raises
    ------
    DataError
        As for `read_audio`.
    """
    return audio_facts(item).content


def _heard(sound: Sound) -> Iterator[FloatArray]:
    """Yield the frames that are listened to, in blocks: all, or of long recordings a part."""
    size = _at_a_time(sound, sound.rate)
    for first in window_starts(sound.frames, size, round(HEARD * sound.rate / size)):
        yield sound.take(first, min(sound.frames, first + size))


def _notes(peak: float, clipped: float) -> tuple[str, ...]:
    notes = []
    if peak < SILENT:
        notes.append("silent")
    if peak >= _NEAR and clipped > _SHARE:
        notes.append("clipped")
    if peak > 1.001:
        notes.append("louder than full scale")
    return tuple(notes)


def _flat_tops(block: FloatArray, peak: float) -> int:
    """Count samples that stand at the peak in runs of `_RUN` and more, channel by channel."""
    total = 0
    for channel in block.T:
        top = np.abs(channel) >= 0.999 * peak if peak > 0 else np.zeros(len(channel), bool)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], top.astype(np.int8), [0]))))
        lengths = edges[1::2] - edges[::2]
        flat = [
            n
            for first, n in zip(edges[::2], lengths, strict=True)
            if n >= _RUN and np.ptp(channel[first : first + n]) <= 1e-6
        ]
        total += int(sum(flat))
    return total


def _check_window(rate: int, start: float, seconds: float | None) -> None:
    sizes = (start, 0.0 if seconds is None else seconds)
    good = rate >= 1 and all(math.isfinite(size) and size >= 0 for size in sizes) and seconds != 0
    if not good:
        raise DataError(
            "no part of a recording can be cut so",
            got=f"rate {rate}, start {start}, seconds {seconds}",
            allowed="a rate of 1 and more, start of 0 and more, seconds above 0",
        )


def _at_a_time(sound: Sound, rate: int) -> int:
    """Return how many samples at a rate are decoded at a time."""
    return max(1, round(min(BLOCK, VALUES / (sound.rate * sound.channels)) * rate))


def _ratio(sound: Sound, rate: int) -> tuple[int, int]:
    """Return up and down; of odd rates, whose filter would be huge, to a few parts in a million."""
    ratio = Fraction(rate, sound.rate)
    if ratio.denominator > _STEPS:
        ratio = ratio.limit_denominator(1000)
    return ratio.numerator, ratio.denominator


def _length(sound: Sound, rate: int) -> int:
    up, down = _ratio(sound, rate)
    return -(-sound.frames * up // down)


def _range(sound: Sound, rate: int, first: int, last: int) -> FloatArray:
    """Return samples ``first`` to ``last`` of the resampled recording, block by block."""
    size = _at_a_time(sound, rate)
    blocks = [_block(sound, rate, at, min(last, at + size)) for at in range(first, last, size)]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _block(sound: Sound, rate: int, first: int, last: int) -> FloatArray:
    """Decode what a block needs, with the filter's reach on both sides, and cut it out again."""
    up, down = _ratio(sound, rate)
    reach = math.ceil(_ZEROS * max(up, down) / up) + 1 if up != down else 0
    begin = max(0, first * down // up - reach) // down * down  # where both grids have a sample
    end = min(sound.frames, -(-last * down // up) + reach)
    mono = sound.take(begin, end).mean(axis=1, dtype=np.float32)
    if up != down:
        from scipy.signal import resample_poly

        mono = resample_poly(mono, up, down)
    skip = first - begin * up // down
    return np.ascontiguousarray(np.clip(mono[skip : skip + last - first], -1, 1), np.float32)
