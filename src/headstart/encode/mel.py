"""What encoders of sounds are given: mel spectrograms, each as its model was trained on.

A front end turns samples at the source's rate into rows that the network takes one by one: frames
of shape (k, t, bands) and a mask that says which of them count. Filters are those of Slaney's
Auditory Toolbox, triangles of equal area, as librosa draws them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from headstart.core.errors import SourceError
from headstart.core.types import FloatArray
from headstart.sources import hf_audio

_BREAK, _PER_MEL = 1000.0, 200 / 3  # Hz: linear below, of so many to a mel
_LOG_STEP = np.log(6.4) / 27  # of a mel above
_GE2E_FRAMES, _GE2E_STEP, _GE2E_COVERED, _GE2E_DBFS = 160, 77, 0.75, -30.0
_MUSICNN_FRAMES = 187


class Rows(NamedTuple):
    """Frames (k, t, bands) float32, and their mask (k, t) int64.

    The mask is 1 for frames that count, 2 for those that are heard but not pooled (silence).
    """

    frames: Tensor
    mask: Tensor


FrontEnd = Callable[[FloatArray], Rows]


@lru_cache(maxsize=8)
def mel_filters(*, rate: int, n_fft: int, bands: int) -> Tensor:
    """Return the mel filters from 0 Hz to half the rate, (n_fft // 2 + 1, bands) float32.

    Parameters
    ----------
    rate : int
        Samples a second.
    n_fft : int
        Samples of a frame.
    bands : int

    Examples
    --------
    >>> mel_filters(rate=16000, n_fft=400, bands=80).shape
    torch.Size([201, 80])
    """
    top = _BREAK / _PER_MEL + np.log(rate / 2 / _BREAK) / _LOG_STEP
    mels = np.linspace(0, top, bands + 2)
    above = _BREAK * np.exp(_LOG_STEP * (mels - _BREAK / _PER_MEL))
    edges = np.where(mels < _BREAK / _PER_MEL, mels * _PER_MEL, above)
    hertz = np.linspace(0, rate / 2, n_fft // 2 + 1)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (hertz - low) / (centre - low), (high - hertz) / (high - centre)
    triangles = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return torch.from_numpy(triangles.astype(np.float32))


def mel_power(
    samples: Tensor, *, rate: int, n_fft: int, hop: int, bands: int, reflect: bool = False
) -> Tensor:
    """Return the mel power spectrogram of sounds of one length, their frames centred.

    Parameters
    ----------
    samples : Tensor of shape (..., n), float32
    rate, n_fft, hop, bands : int
        Hz; samples of a Hann window; samples between two frames; mel bands.
    reflect : bool
        What lies beyond both ends: the sound mirrored (it must be longer than ``n_fft // 2``), or
        silence.

    Returns
    -------
    Tensor of shape (..., 1 + n // hop, bands)
    """
    spectrum = torch.stft(
        samples,
        n_fft,
        hop,
        window=torch.hann_window(n_fft),
        center=True,
        pad_mode="reflect" if reflect else "constant",
        return_complex=True,
    )
    power = spectrum.abs().square().transpose(-1, -2)
    return power @ mel_filters(rate=rate, n_fft=n_fft, bands=bands)


def _whisper(samples: FloatArray, spec: Mapping[str, Any]) -> Rows:
    """Log-mel frames of 10 ms, as OpenAI's.

    The silence around a sound is cut off, and silence of ``silence`` (seconds before, after)
    added, as far as the source's ``seconds`` reach: it was trained on speech with silence behind
    it. Only what lies between the first and the last sound within ``floor`` dB of the loudest is
    pooled.
    """
    n_fft, hop, rate = 400, 160, int(spec["rate"])
    pair, most = 2 * hop, int(float(spec["seconds"]) * rate)
    first, last = sounding(samples, size=pair, floor=float(spec["floor"]))
    kept = torch.from_numpy(samples[first * pair : last * pair])
    before, after = (int(float(value) * rate) // pair for value in spec["silence"])
    room = max(0, most // pair - (last - first))
    after = min(after, room)
    before = min(before, room - after)
    left = (last - first) * pair - len(kept)
    sound = functional.pad(kept, (before * pair, left + after * pair))
    mels = mel_power(sound, rate=rate, n_fft=n_fft, hop=hop, bands=int(spec["mels"]), reflect=True)[
        :-1
    ]
    loud = mels.clamp(min=1e-10).log10()
    mask = torch.full((1, len(loud)), 2)
    mask[:, 2 * before : 2 * (before + last - first)] = 1
    return Rows(((torch.maximum(loud, loud.max() - 8) + 4) / 4)[None], mask)


def sounding(samples: FloatArray, *, size: int, floor: float) -> tuple[int, int]:
    """Return the first piece of a sound that is no silence, and the one after the last such.

    Parameters
    ----------
    samples : ndarray of shape (n,)
    size : int
        Samples of a piece; the last one may be shorter.
    floor : float
        A piece so many dB below the loudest is silence; of digital silence all is kept.

    Examples
    --------
    >>> sounding(np.array([0, 0, 1, 1, 0.001, 0.001, 0], np.float32), size=2, floor=40)
    (1, 2)
    """
    pieces = -(-len(samples) // size)
    squares = np.zeros(pieces * size)
    squares[: len(samples)] = np.square(samples, dtype=np.float64)
    power = squares.reshape(pieces, size).sum(axis=1)
    heard = np.flatnonzero(power >= power.max() * 10 ** (-floor / 10))
    return int(heard[0]), int(heard[-1]) + 1


def _ge2e(samples: FloatArray, spec: Mapping[str, Any]) -> Rows:
    """Mel power of 1.6 s each, every 0.77 s, of sounds made as loud as -30 dB, as Resemblyzer's.

    It also cuts silences out, with a detector of voices that is not part of headstart.
    """
    hop = int(spec["rate"]) // 100
    starts = _ge2e_starts(len(samples), hop)
    sound = torch.from_numpy(samples)
    loudness = float(sound.square().mean().sqrt()) or 1.0
    sound = sound * max(1.0, 10 ** (_GE2E_DBFS / 20) / loudness)
    sound = functional.pad(sound, (0, max(0, (starts[-1] + _GE2E_FRAMES) * hop - len(sound))))
    mels = mel_power(
        sound, rate=int(spec["rate"]), n_fft=hop * 5 // 2, hop=hop, bands=int(spec["mels"])
    )
    rows = torch.stack([mels[start : start + _GE2E_FRAMES] for start in starts])
    return Rows(rows, torch.ones(rows.shape[:2], dtype=torch.int64))


def _ge2e_starts(n: int, hop: int) -> list[int]:
    """Return the first frame of each part; a last one of which too little is sound is left out."""
    frames = n // hop + 1
    last = max(1, frames - _GE2E_FRAMES + _GE2E_STEP + 1)
    starts = list(range(0, last, _GE2E_STEP))
    covered = (n - starts[-1] * hop) / (_GE2E_FRAMES * hop)
    return starts[:-1] if len(starts) > 1 and covered < _GE2E_COVERED else starts


def _musicnn(samples: FloatArray, spec: Mapping[str, Any]) -> Rows:
    """Log-mel patches of 3 s, one after another; what is shorter is repeated to fill one.

    The last one ends where the sound ends; what it shares with the one before is heard in it, and
    counts there.
    """
    mels = mel_power(
        torch.from_numpy(samples), rate=int(spec["rate"]), n_fft=512, hop=256, bands=spec["mels"]
    )
    loud = torch.log10(10_000 * mels + 1)
    if len(loud) < _MUSICNN_FRAMES:
        loud = loud.repeat(-(-_MUSICNN_FRAMES // len(loud)), 1)[:_MUSICNN_FRAMES]
    last = len(loud) - _MUSICNN_FRAMES
    starts = [*range(0, last, _MUSICNN_FRAMES), last]
    rows = torch.stack([loud[start : start + _MUSICNN_FRAMES] for start in starts])
    mask = torch.ones(rows.shape[:2], dtype=torch.int64)
    mask[-1, : (len(starts) * _MUSICNN_FRAMES - len(loud))] = 2
    return Rows(rows, mask)


def _foreign(samples: FloatArray, spec: Mapping[str, Any]) -> Rows:
    """What a model of transformers takes: its samples, or what its feature extractor makes."""
    frames = torch.from_numpy(hf_audio.front(spec)(samples))[None]
    return Rows(frames, torch.ones(frames.shape[:2], dtype=torch.int64))


_FRONTS: dict[str, Callable[[FloatArray, Mapping[str, Any]], Rows]] = {
    "ge2e": _ge2e,
    "musicnn": _musicnn,
    "samples": _foreign,
    "transformers": _foreign,
    "whisper": _whisper,
}


def front_end(spec: Mapping[str, Any]) -> FrontEnd:
    """Return what turns samples (n,) float32 into the rows that a source takes.

    Parameters
    ----------
    spec : mapping
        The ``input`` of the source's card: ``front``, ``rate`` (Hz), ``mels`` (bands), and what
        the front end itself needs.

    Raises
    ------
    SourceError
        The front end is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> front = front_end({"front": "musicnn", "rate": 16000, "mels": 96})
    >>> front(np.zeros(16000, np.float32)).frames.shape
    torch.Size([1, 187, 96])
    """
    name = str(spec.get("front"))
    if name not in _FRONTS:
        raise SourceError("unknown front end of a source", got=name, allowed=tuple(_FRONTS))
    front = _FRONTS[name]
    return lambda samples: front(samples, spec)
