"""Images that are nearly the same: a perceptual hash proposes, comparing thumbnails decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from headstart import parallel
from headstart.core.errors import DataError
from headstart.core.types import SILENT, AnyArray, IntArray, Reporter
from headstart.data.content import content_hash
from headstart.data.images import read_image

SMALL = 32
"""Below this many pixels a side, a small difference makes a different image."""
PLAIN = 3.0
"""Standard deviation of a thumbnail's grey levels (0..255) below which it counts as uniform."""
HAMMING = 8
"""How many of the 64 bits of the perceptual hash may differ."""
CORRELATION = 0.985
"""Least correlation of two 32 x 32 grey thumbnails."""
RESIDUAL = 0.75
"""Largest difference at any place of the standardised 16 x 16 thumbnails."""
CHROMA_MEAN, CHROMA_PEAK = 12.0, 40.0
"""How far the colours (grey removed, 0..255) of 8 x 8 thumbnails may differ."""
BRIGHTNESS = 64.0
"""How far the mean grey levels may differ."""

_SIDE = 32
_BITS = np.array([bin(i).count("1") for i in range(1 << 16)], np.uint8)


@dataclass(frozen=True, eq=False)
class Signatures:
    """What is compared of n images.

    Parameters
    ----------
    pixels : list of bytes
        A hash of the decoded pixels for small or plain images, empty for the others.
    grey : ndarray of shape (n, 32, 32), uint8
    chroma : ndarray of shape (n, 8, 8, 3), uint8
    hashes : ndarray of shape (n,), uint64
        pHash: the signs of the 8 x 8 lowest cosine frequencies of ``grey`` about their median.
    usable : ndarray of shape (n,), bool
        Neither small nor plain nor unreadable.
    unreadable : dict of int to str
    """

    pixels: list[bytes]
    grey: AnyArray
    chroma: AnyArray
    hashes: AnyArray
    usable: AnyArray
    unreadable: dict[int, str]


def near_clusters(
    items: Sequence[Any], *, reporter: Reporter = SILENT
) -> tuple[list[tuple[int, IntArray]], dict[int, str]]:
    """Return (first member, other members) of each cluster of near duplicates, and what failed.

    Parameters
    ----------
    items : sequence
        Images as `read_image` takes them.

    Returns
    -------
    clusters : list of (int, ndarray)
        Positions in ``items``. Every other member was compared with the first one.
    unreadable : dict of int to str
        Positions that cannot be read, with the reason.
    """
    signs = signatures(items, reporter=reporter)
    clusters = _equal_pixels(signs.pixels)
    left = np.flatnonzero(signs.usable)
    hashes, free = signs.hashes[left], np.ones(len(left), bool)
    for i, head in enumerate(left.tolist()):
        if not free[i]:
            continue
        close = np.flatnonzero(hamming(hashes[i + 1 :], hashes[i]) <= HAMMING) + i + 1
        close = close[free[close]]
        taken = close[alike(signs, head, left[close])] if len(close) else close
        if len(taken):
            clusters.append((head, left[taken]))
            free[taken] = False
    return clusters, signs.unreadable


def signatures(items: Sequence[Any], *, reporter: Reporter = SILENT) -> Signatures:
    """Read every image once and keep what is compared: about 1.3 kB each."""
    n = len(items)
    grey = np.zeros((n, _SIDE, _SIDE), np.uint8)
    chroma = np.zeros((n, 8, 8, 3), np.uint8)
    pixels, unreadable = [b""] * n, {}
    usable = np.zeros(n, bool)
    for i, found in enumerate(parallel.map(_signature, items)):
        if isinstance(found, DataError):
            unreadable[i] = found.what
        else:
            grey[i], chroma[i], pixels[i] = found
            usable[i] = not pixels[i]
        if i % 64 == 63 or i + 1 == n:
            reporter.progress("looking for near duplicates", i + 1, n)
    return Signatures(pixels, grey, chroma, perceptual_hashes(grey), usable, unreadable)


def _signature(item: Any) -> tuple[AnyArray, AnyArray, bytes] | DataError:
    try:
        image = read_image(item, max_side=2 * _SIDE)
    except DataError as error:
        return error
    thumb = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    grey = np.asarray(thumb)
    chroma = np.asarray(image.resize((8, 8), Image.Resampling.BOX))
    same_only = min(image.size) < SMALL or float(grey.std()) < PLAIN
    return grey, chroma, content_hash(image) if same_only else b""


def _equal_pixels(pixels: Sequence[bytes]) -> list[tuple[int, IntArray]]:
    places: dict[bytes, list[int]] = {}
    for i, key in enumerate(pixels):
        if key:
            places.setdefault(key, []).append(i)
    return [(found[0], np.array(found[1:])) for found in places.values() if len(found) > 1]


def perceptual_hashes(grey: AnyArray) -> AnyArray:
    """Return the 64-bit pHash (Zauner 2010) of 32 x 32 grey thumbnails, as ``imagehash.phash``.

    Parameters
    ----------
    grey : ndarray of shape (n, 32, 32)

    Returns
    -------
    ndarray of shape (n,), uint64
        The first bit of the 8 x 8 grid, row by row, is the most significant one.
    """
    side = np.arange(_SIDE)
    cosines = np.cos(np.pi * np.outer(np.arange(8), 2 * side + 1) / (2 * _SIDE))
    hashes = np.empty(len(grey), np.uint64)
    for begin in range(0, len(grey), 4096):
        part = grey[begin : begin + 4096].astype(np.float64)
        low = (cosines @ part @ cosines.T).reshape(len(part), 64)
        bits = low > np.median(low, axis=1, keepdims=True)
        hashes[begin : begin + 4096] = np.packbits(bits, axis=1).view(">u8").reshape(-1)
    return hashes


def hamming(hashes: AnyArray, other: np.uint64) -> AnyArray:
    """Return in how many bits each of the uint64 hashes differs from another."""
    differing = hashes ^ other
    if hasattr(np, "bitwise_count"):  # NumPy 2
        counts: AnyArray = np.bitwise_count(differing)
        return counts
    return _BITS[differing.view(np.uint16).reshape(-1, 4)].sum(axis=1)


def alike(signs: Signatures, head: int, others: IntArray) -> AnyArray:
    """Tell of each of the other images whether it is a near copy of the image ``head``."""
    result = np.empty(len(others), bool)
    mine = _standardised(signs.grey[[head]])
    for begin in range(0, len(others), 1024):
        part = others[begin : begin + 1024]
        theirs = _standardised(signs.grey[part])
        correlation = (mine * theirs).mean(axis=(1, 2))
        coarse = (theirs - mine).reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4))
        colours = np.abs(_chroma(signs.chroma[part]) - _chroma(signs.chroma[[head]]))
        light = signs.grey[part].mean(axis=(1, 2)) - signs.grey[head].mean()
        result[begin : begin + 1024] = (
            (correlation >= CORRELATION)
            & (np.abs(coarse).max(axis=(1, 2)) <= RESIDUAL)
            & (colours.mean(axis=(1, 2, 3)) <= CHROMA_MEAN)
            & (colours.max(axis=(1, 2, 3)) <= CHROMA_PEAK)
            & (np.abs(light) <= BRIGHTNESS)
        )
    return result


def _standardised(grey: AnyArray) -> AnyArray:
    values = grey.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    scaled: AnyArray = values / values.std(axis=(1, 2), keepdims=True)
    return scaled


def _chroma(thumbs: AnyArray) -> AnyArray:
    values = thumbs.astype(np.float64)
    return values - values.mean(axis=3, keepdims=True)
