"""Recordings described by their log-mel spectrum: statistics over time, its course, a picture.

A description is one row of numbers, the same number for every recording, so that models without a
source need to hear a recording once.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
from scipy.fft import dct, rfft

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, FloatArray

RATE = 16_000
WINDOW, HOP, FFT = 400, 160, 512  # samples: 25 ms every 10 ms
MELS = 64
LOWEST, HIGHEST = 20.0, 8000.0  # Hz
CEPSTRA = 20
FLOOR = 1e-10  # of the power: -100 dB
RANGE = 60.0  # decibels below a recording's loudest frame that are trimmed at both of its ends
PARTS = 10  # of the time, in the course
SIDE = 32  # of the picture
DECIBELS = 80.0  # that the picture's 256 levels span

SECONDS, MOST = 10.0, 6
"""How recordings are heard: windows of so many seconds, at most so many, evenly spread."""

_SIZES = {"mels": 3 * MELS, "MFCC": 6 * CEPSTRA + 1, "course": PARTS * CEPSTRA}
VIEWS: Mapping[str, slice] = {
    name: slice(sum(list(_SIZES.values())[:place]), sum(list(_SIZES.values())[: place + 1]))
    for place, name in enumerate(_SIZES)
}
"""Where each view lies in a row."""
PICTURE = slice(sum(_SIZES.values()), sum(_SIZES.values()) + 2 * SIDE * SIDE)
WIDTH = PICTURE.stop
"""Numbers in a row."""


@functools.cache
def mel_filters() -> FloatArray:
    """Return triangular filters on the mel scale (HTK), of shape (MELS, FFT // 2 + 1)."""

    def mel(hertz: FloatArray) -> FloatArray:
        return 2595.0 * np.log10(1.0 + hertz / 700.0)

    low, high = mel(np.array([LOWEST, HIGHEST]))
    corners = 700.0 * (10.0 ** (np.linspace(low, high, MELS + 2) / 2595.0) - 1.0)
    hertz = np.linspace(0, RATE / 2, FFT // 2 + 1)
    rising = (hertz - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - hertz) / (corners[2:] - corners[1:-1])[:, None]
    filters: FloatArray = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    filters.setflags(write=False)
    return filters


@functools.cache
def _taper() -> FloatArray:
    taper: FloatArray = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(
        np.float32
    )
    taper.setflags(write=False)
    return taper


def log_mel(wave: FloatArray) -> FloatArray:
    """Return the log-mel spectrum in decibels, one row each 10 ms.

    Parameters
    ----------
    wave : ndarray of shape (n,)
        Mono, 16 kHz, -1..1. Shorter ones than a window (25 ms) are filled up with silence.

    Returns
    -------
    ndarray of shape (frames, 64), float32
        10 log10 of the power, -100 and above.
    """
    wave = np.asarray(wave, np.float32)
    if len(wave) < WINDOW:
        wave = np.pad(wave, (0, WINDOW - len(wave)))
    frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::HOP]
    power = np.abs(rfft(frames * _taper(), FFT, axis=1)) ** 2
    result: FloatArray = 10 * np.log10(np.maximum(power @ mel_filters().T, FLOOR))
    return result.astype(np.float32)


def describe(windows: Iterable[FloatArray]) -> FloatArray:
    """Return the description of a recording, heard window by window.

    Mean and spread over time of 64 log-mels and of 20 cepstral coefficients (MFCC), and of their
    changes; the course of the coefficients in 10 parts of the time between the first and the last
    loud frame; and a picture of 32 x 32 mels over that time.

    Parameters
    ----------
    windows : iterable of ndarray of shape (n,)
        Mono, 16 kHz, -1..1; one after the other. At least one.

    Returns
    -------
    ndarray of shape (2561,), float32

    References
    ----------
    Davis & Mermelstein, IEEE Trans. Acoustics, Speech and Signal Processing 28 (1980).

    Examples
    --------
    >>> import numpy as np
    >>> describe([np.zeros(16_000, np.float32)]).shape
    (2561,)
    """
    heard = [log_mel(window) for window in windows]
    mels = np.concatenate(heard)
    cepstra = dct(mels, type=2, axis=1, norm="ortho")[:, :CEPSTRA]
    ends = np.cumsum([len(each) for each in heard])[:-1]
    steps, turns = (_changes(frames, ends) for frames in (mels, cepstra))
    loud = _loud(mels)
    size = np.log10(len(mels) * HOP / RATE)
    shares = np.rint(np.array([0.1, 0.5, 0.9]) * (len(mels) - 1)).astype(np.int64)
    row = np.concatenate(
        [
            *(mels.mean(0), mels.std(0), steps.std(0)),
            *(cepstra.mean(0), cepstra.std(0), turns.std(0)),
            np.sort(cepstra, axis=0)[shares].ravel(),
            [size],
            _cells(cepstra[loud], PARTS)[0].ravel(),
            _picture(mels[loud]).ravel(),
        ]
    )
    result: FloatArray = row.astype(np.float32)
    return result


def _changes(frames: FloatArray, ends: AnyArray) -> FloatArray:
    """Return half the difference of each frame's neighbours, window by window."""
    parts = [part[2:] - part[:-2] for part in np.split(frames, ends) if len(part) > 2]
    result: FloatArray = np.concatenate(parts) / 2 if parts else np.zeros_like(frames[:1])
    return result


def _loud(mels: FloatArray) -> slice:
    """Return the time from the first to the last frame less than RANGE below the loudest."""
    level = mels.max(axis=1)
    loud = np.flatnonzero(level >= level.max() - RANGE)
    return slice(int(loud[0]), int(loud[-1]) + 1)


def _cells(frames: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Return mean and maximum of the frames in n equal parts of the time, (n, columns) each."""
    edges = np.linspace(0, len(frames), n + 1)
    parts = [
        frames[int(first) : max(int(np.ceil(last)), int(first) + 1)]
        for first, last in itertools.pairwise(edges)
    ]
    return np.stack([part.mean(0) for part in parts]), np.stack([part.max(0) for part in parts])


def _picture(mels: FloatArray) -> FloatArray:
    """Return mean and maximum of the mels in 32 parts of the time, pairs of mels together.

    Levels 0..255: DECIBELS below the loudest frame to the loudest.
    """
    pairs = mels.reshape(len(mels), SIDE, -1)
    mean, top = _cells(pairs.mean(axis=2), SIDE)[0], _cells(pairs.max(axis=2), SIDE)[1]
    both = np.stack([mean, top], axis=-1) - mels.max()
    result: FloatArray = np.clip(255.0 * (1.0 + both / DECIBELS), 0.0, 255.0)
    return result


def rows_of(X: object) -> AnyArray:
    """Check that X holds descriptions of recordings and return it.

    Raises
    ------
    DataError
        It does not.
    """
    good = isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == WIDTH
    if not good or not isinstance(X, np.ndarray) or X.dtype.kind != "f":
        got = f"{X.dtype} {X.shape}" if isinstance(X, np.ndarray) else type(X).__name__
        raise DataError(
            "not an array of described recordings",
            where="X",
            got=got,
            allowed=f"float32 of shape (n, {WIDTH})",
            hint="headstart.strategies.mel_statistics.describe makes a row of a recording",
        )
    if not np.isfinite(X).all():
        raise DataError("descriptions hold numbers that are not finite", where="X")
    return X


def pictures(rows: AnyArray) -> npt.NDArray[np.uint8]:
    """Return what a network sees of descriptions: (n, 32, 32, 3), time across, high tones above.

    The channels: the mean level, the loudest one, and the mean level with each tone's own mean over
    the time taken away (which a microphone changes).
    """
    both = rows[:, PICTURE].reshape(-1, SIDE, SIDE, 2)
    bare = both[..., 0] - both[..., 0].mean(axis=1, keepdims=True) + 128.0
    stacked = np.concatenate([both, bare[..., None]], axis=-1)
    upright = np.clip(np.rint(stacked), 0, 255).astype(np.uint8).transpose(0, 2, 1, 3)[:, ::-1]
    return np.ascontiguousarray(upright)
