"""What a tagger without a source sees of a word: itself, its shape, its ends, its neighbours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np

from headstart.core.types import AnyArray, IntArray

AFFIX = 4
_RUNS = re.compile(r"(.)\1+")
_SPREAD = 0x9E3779B1  # of Fibonacci hashing: neighbours' features are other numbers than own ones
_MASK = 0xFFFFFFFF


def shape_of(word: str) -> str:
    """Return the shape of a word: capitals X, small letters x, digits 0.

    Examples
    --------
    >>> shape_of("McDonald-42")
    'XxXxxxxx-00'
    """
    return "".join(
        "0" if sign.isdigit() else "X" if sign.isupper() else "x" if sign.isalpha() else sign
        for sign in word
    )


def _own(word: str) -> tuple[list[int], list[int]]:
    """Return the hashes of features of a word, and of those that its neighbours see."""
    lower = word.lower()
    shape = shape_of(word)
    short = _RUNS.sub(r"\1", shape)
    seen = [f"l={lower}", f"h={short}", f"s3={lower[-3:]}"]
    facts = [f"w={word}", *seen, f"H={shape[:12]}"]
    facts += [f"p{n}={lower[:n]}" for n in range(1, AFFIX + 1) if len(lower) > n]
    facts += [f"s{n}={lower[-n:]}" for n in (1, 2, 4) if len(lower) > n]
    facts += ["digit"] * any(sign.isdigit() for sign in word)
    facts += ["hyphen"] * ("-" in word)
    return [crc32(one.encode("utf-8", "replace")) for one in facts], [
        crc32(one.encode("utf-8", "replace")) for one in seen
    ]


def hashes_of(sentences: Sequence[Sequence[str]]) -> tuple[IntArray, IntArray]:
    """Return the hashed features of all words, and how many each word has.

    Parameters
    ----------
    sentences : sequence of sequences of str

    Returns
    -------
    tuple of (hashes, counts)
        Hashes of 32 bits, word after word; counts of shape (words,).
    """
    known: dict[str, tuple[list[int], list[int]]] = {}
    edge = [crc32(b"edge")]
    hashes: list[int] = []
    counts: list[int] = []
    for words in sentences:
        facts = []
        for word in words:
            if word not in known:
                known[word] = _own(word)
            facts.append(known[word])
        for place in range(len(words)):
            found = list(facts[place][0])
            for step in (-2, -1, 1, 2):
                at = place + step
                seen = facts[at][1] if 0 <= at < len(words) else edge
                part = seen if abs(step) == 1 else seen[:1]
                found += [(one ^ (step + 7)) * _SPREAD & _MASK for one in part]
            hashes += found
            counts.append(len(found))
    return np.asarray(hashes, dtype=np.int64), np.asarray(counts, dtype=np.int64)


def matrix(hashes: IntArray, counts: IntArray, known: AnyArray) -> Any:
    """Return a CSR matrix (words, len(known)) of ones where a word has a known feature.

    Parameters
    ----------
    hashes, counts : ndarray
        Of ``hashes_of``.
    known : ndarray, sorted
        Hashes of the features that have a column; others are left out.
    """
    from scipy.sparse import csr_matrix

    at = np.searchsorted(known, hashes).clip(max=max(len(known) - 1, 0))
    there = known[at] == hashes if len(known) else np.zeros(len(hashes), dtype=bool)
    row = np.repeat(np.arange(len(counts)), counts)[there]
    ones = np.ones(len(row), dtype=np.float64)
    return csr_matrix((ones, (row, at[there])), shape=(len(counts), len(known)))
