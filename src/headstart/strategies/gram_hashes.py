"""Word and character n-grams of texts as 64-bit hashes, in numpy alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from headstart.core.types import IntArray

Analyser = Literal["word", "char"]
Hashes = npt.NDArray[np.uint64]

WORD = re.compile(r"\w+")
WORD_NGRAMS = (1, 2)
CHAR_NGRAMS = (2, 5)
CHUNK = 1_000_000  # characters analysed at once
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def _mix(value: Hashes) -> Hashes:
    """Spread the bits (splitmix64's finaliser; Steele et al. 2014)."""
    value = (value ^ (value >> np.uint64(30))) * _MIX1
    value = (value ^ (value >> np.uint64(27))) * _MIX2
    return value ^ (value >> np.uint64(31))


def _codes(texts: Sequence[str]) -> npt.NDArray[np.uint32]:
    """Code points of all texts, a 0 before each."""
    joined = "".join("\0" + text for text in texts)
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _words(texts: Sequence[str]) -> tuple[IntArray, Hashes]:
    """Document and hash of every word 1-gram and 2-gram."""
    found = [WORD.findall(text.lower()) for text in texts]
    counts = np.array([len(words) for words in found], dtype=np.int64)
    if not counts.sum():
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    codes = _codes([word for words in found for word in words])
    starts = np.flatnonzero(codes == 0)
    place = np.arange(len(codes)) - np.repeat(starts, np.diff(np.append(starts, len(codes))))
    powers = np.full(int(place.max()) + 1, _ODD)
    powers = np.cumprod(powers, dtype=np.uint64)
    single = _mix(np.add.reduceat((codes.astype(np.uint64) + np.uint64(1)) * powers[place], starts))
    documents = np.repeat(np.arange(len(texts)), counts)
    same = documents[1:] == documents[:-1]
    pair = _mix(single[:-1] * _MIX1 + single[1:])[same]
    return np.concatenate([documents, documents[1:][same]]), np.concatenate([single, pair])


def _characters(texts: Sequence[str]) -> tuple[IntArray, Hashes]:
    """Document and hash of every character n-gram that lies within a word and its two spaces."""
    words = [text.lower().replace(chr(0), " ").split() for text in texts]
    tidy = [f" {' '.join(found)} " if found else "" for found in words]
    codes = _codes(tidy)
    owner = np.cumsum(codes == 0) - 1
    inner = (codes != 0) & (codes != 32)
    documents, hashes = [], []
    running = codes.astype(np.uint64)
    usable = codes != 0  # n-gram starting here lies in one text, all but its ends are no spaces
    for length in range(2, CHAR_NGRAMS[1] + 1):
        last = codes[length - 1 :]
        running = _mix(running[: len(last)] * _ODD + last)
        usable = usable[: len(last)]
        if length > 2:
            usable = usable & inner[length - 2 : length - 2 + len(last)]
        kept = np.flatnonzero(usable & (last != 0))
        documents.append(owner[kept])
        hashes.append(running[kept] + np.uint64(length))
    return np.concatenate(documents), np.concatenate(hashes)


def chunks(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Cut texts into runs of about CHUNK characters; yields where each starts."""
    start, size = 0, 0
    for place, text in enumerate(texts):
        size += len(text)
        if size >= CHUNK:
            yield start, texts[start : place + 1]
            start, size = place + 1, 0
    if start < len(texts):
        yield start, texts[start:]


def grams(texts: Sequence[str], analyser: Analyser) -> tuple[IntArray, Hashes]:
    """Return the text (its place) and the hash of each n-gram of n texts.

    Parameters
    ----------
    texts : sequence of str, length n
    analyser : {"word", "char"}
    """
    extract = _words if analyser == "word" else _characters
    parts = [(start, *extract(chunk)) for start, chunk in chunks(texts)]
    if not parts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    return (
        np.concatenate([start + documents for start, documents, _ in parts]),
        np.concatenate([hashes for _, _, hashes in parts]),
    )
