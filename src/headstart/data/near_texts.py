"""Texts that are nearly the same: MinHash proposes, the exact Jaccard similarity decides."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np

from headstart.core.types import AnyArray, IntArray

SHINGLE = 5
"""Characters in a shingle."""
LONG = 100
"""Texts of at least this many different shingles count as long."""
JACCARD_LONG, JACCARD_SHORT = 0.8, 0.9
BANDS, ROWS = 20, 6
"""20 bands of 6: a pair of similarity 0.8 is proposed with probability 0.998, one of 0.5 0.27."""
SKETCH = 1024
"""Of texts with more shingles, this many are hashed to propose pairs; all are compared."""
_BLOCK = 1 << 20  # characters hashed at once: bounds the memory
_SEED = 20_000
_KEPT, _TRIED = 16, 16  # leaders kept in a bucket; leaders that a text is compared with

_STOPS = re.compile(r"[\s.,;:!?\"“”„«»…()\[\]–—-]+")
_QUOTES = re.compile(r"['’‘`]")


def normalised(text: str) -> str:
    """Return the text in lower case (NFKC), without sentence punctuation, single spaces.

    A text of nothing but punctuation is kept as it is: ":)" and ":(" differ.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    bare = _STOPS.sub(" ", _QUOTES.sub("", plain)).strip()
    return bare or " ".join(plain.split())


def near_clusters(texts: Sequence[str]) -> list[tuple[int, IntArray]]:
    """Return (first member, other members) of each cluster of near duplicates.

    Parameters
    ----------
    texts : sequence of str

    Returns
    -------
    list of (int, ndarray)
        Positions in ``texts``. Every other member was compared with the first one.
    """
    places: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        places.setdefault(normalised(text), []).append(i)
    distinct = list(places)
    found: dict[int, list[int]] = {i: [] for i in range(len(distinct))}
    for member, leader in _followers(distinct):
        found[leader].append(member)
        del found[member]
    clusters: list[tuple[int, IntArray]] = []
    for leader, members in found.items():
        whole = [i for each in (leader, *members) for i in places[distinct[each]]]
        if len(whole) > 1:
            clusters.append((whole[0], np.array(whole[1:], np.int64)))
    return clusters


def _followers(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return (member, leader) for each text that is nearly the same as an earlier leader."""
    bands = _band_keys(texts)
    candidates = np.flatnonzero(_shares_a_band(bands))
    buckets: list[dict[int, list[int]]] = [{} for _ in range(BANDS)]
    shingles: dict[int, frozenset[int]] = {}
    pairs = []
    for i in candidates.tolist():
        mine = frozenset(shingle_hashes([texts[i]])[0].tolist())
        row = bands[i].tolist()
        shared_bands = Counter(
            j for band, key in zip(buckets, row, strict=True) for j in band.get(key, ())
        )
        likely = (j for j, _ in shared_bands.most_common(_TRIED))
        leader = next((j for j in likely if _alike(mine, shingles[j])), None)
        if leader is not None:
            pairs.append((i, leader))
            continue
        shingles[i] = mine
        for band, key in zip(buckets, row, strict=True):
            there = band.setdefault(key, [])
            if len(there) < _KEPT:
                there.append(i)
    return pairs


def _alike(one: frozenset[int], two: frozenset[int]) -> bool:
    small, large = sorted((len(one), len(two)))
    least = JACCARD_LONG if small >= LONG else JACCARD_SHORT
    if small < least * large:
        return False
    both = len(one & two)
    return both >= least * (small + large - both)


def _shares_a_band(bands: AnyArray) -> AnyArray:
    shared = np.zeros(len(bands), bool)
    for column in bands.T:
        _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
        shared |= counts[inverse.reshape(-1)] > 1
    return shared


def shingle_hashes(texts: Sequence[str]) -> tuple[AnyArray, IntArray]:
    """Return 64-bit hashes of all shingles of all texts, and where each text's begin.

    A text shorter than a shingle has one: itself, padded.

    Parameters
    ----------
    texts : sequence of str
        None of them empty counts as one shingle of padding.

    Returns
    -------
    hashes : ndarray of uint64
    starts : ndarray of int64, shape (n,)
    """
    padded = [text.ljust(SHINGLE, "\0") for text in texts]
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter((len(text) for text in padded), np.int64, len(padded))
    ends = np.cumsum(lengths)
    with np.errstate(over="ignore"):
        mixed = _mix(points.astype(np.uint64))
        rolled = np.zeros(max(len(points) - SHINGLE + 1, 0), np.uint64)
        for offset in range(SHINGLE):
            rolled *= np.uint64(0x9E3779B97F4A7C15)
            rolled += mixed[offset : offset + len(rolled)]
        hashes = _mix(rolled)
    inside = np.ones(len(points), bool)
    for offset in range(1, SHINGLE):
        inside[ends - offset] = False  # a shingle that would run into the next text
    starts = np.concatenate(([0], np.cumsum(lengths - SHINGLE + 1)[:-1]))
    return hashes[inside[: len(rolled)]], starts


def _mix(values: AnyArray) -> AnyArray:
    """Scramble uint64 values (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _band_keys(texts: Sequence[str]) -> AnyArray:
    """Return a uint64 key for each text and band: equal keys propose a pair."""
    rng = np.random.default_rng(_SEED)
    factors = rng.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    shifts = rng.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)
    keys = np.empty((len(texts), BANDS), np.uint64)
    for begin, end in _blocks(texts):
        hashes, starts = _sketches(*shingle_hashes(texts[begin:end]))
        with np.errstate(over="ignore"):
            for band in range(BANDS):
                key = np.full(end - begin, band, np.uint64)
                for k in range(band * ROWS, (band + 1) * ROWS):
                    least = np.minimum.reduceat(
                        (hashes * factors[k] + shifts[k]) >> np.uint64(32), starts
                    )
                    key = _mix(key * np.uint64(31) + least)
                keys[begin:end, band] = key
    return keys


def _sketches(hashes: AnyArray, starts: IntArray) -> tuple[AnyArray, IntArray]:
    """Keep the smallest hashes of long texts: a fair sample, the same one of the same shingles."""
    ends = np.append(starts[1:], len(hashes))
    if (ends - starts).max(initial=0) <= SKETCH:
        return hashes, starts
    kept = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        part = hashes[start:end]
        if len(part) > SKETCH:
            part = np.unique(part)[:SKETCH]
        kept.append(part)
    sizes = np.array([len(part) for part in kept], np.int64)
    return np.concatenate(kept), np.cumsum(sizes) - sizes


def _blocks(texts: Sequence[str]) -> list[tuple[int, int]]:
    blocks, begin, size = [], 0, 0
    for i, text in enumerate(texts):
        size += max(len(text), SHINGLE)
        if size >= _BLOCK:
            blocks.append((begin, i + 1))
            begin, size = i + 1, 0
    if begin < len(texts):
        blocks.append((begin, len(texts)))
    return blocks
