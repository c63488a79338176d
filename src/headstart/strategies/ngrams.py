"""TF-IDF of word and character n-grams over hashed n-grams, in numpy.

An n-gram is a 64-bit hash instead of a string: finding, counting and storing a million of them is a
sort instead of a million dictionary entries, and a vocabulary is one integer array. Two n-grams of
a corpus with a million share a hash with probability 3e-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from headstart.core.types import FloatArray, IntArray

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


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Cut texts into runs of about CHUNK characters; yields where each starts."""
    start, size = 0, 0
    for place, text in enumerate(texts):
        size += len(text)
        if size >= CHUNK:
            yield start, texts[start : place + 1]
            start, size = place + 1, 0
    if start < len(texts):
        yield start, texts[start:]


def _grams(texts: Sequence[str], analyser: Analyser) -> tuple[IntArray, Hashes]:
    extract = _words if analyser == "word" else _characters
    parts = [(start, *extract(chunk)) for start, chunk in _chunks(texts)]
    if not parts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    return (
        np.concatenate([start + documents for start, documents, _ in parts]),
        np.concatenate([hashes for _, _, hashes in parts]),
    )


@dataclass(frozen=True, eq=False)
class Tfidf:
    """A fitted TF-IDF: rows are sublinear term frequency times smooth idf, L2-normalised.

    Parameters
    ----------
    analyser : {"word", "char"}
        Word 1- and 2-grams, or character 2- to 5-grams within words.
    vocabulary : ndarray of shape (p,), uint64
        Sorted hashes of the n-grams.
    idf : ndarray of shape (p,), float32
    """

    analyser: Analyser
    vocabulary: Hashes
    idf: FloatArray

    def transform(self, texts: Sequence[str]) -> Any:
        """Return a CSR matrix of shape (n, p), float32; unknown n-grams are left out."""
        blocks = [self._rows(chunk) for _, chunk in _chunks(texts)]
        if not blocks:
            return sparse.csr_matrix((0, len(self.vocabulary)), dtype=np.float32)
        return sparse.vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]

    def _rows(self, texts: Sequence[str]) -> Any:
        documents, hashes = _grams(texts, self.analyser)
        if len(self.vocabulary) == 0:
            return sparse.csr_matrix((len(texts), 0), dtype=np.float32)
        place = np.minimum(np.searchsorted(self.vocabulary, hashes), len(self.vocabulary) - 1)
        known = self.vocabulary[place] == hashes
        return _weigh(documents[known], place[known], len(texts), self.idf)


def _counts(documents: IntArray, columns: IntArray, shape: tuple[int, int]) -> Any:
    ones = np.ones(len(documents), dtype=np.float32)
    counts = sparse.csr_matrix((ones, (documents, columns)), shape=shape)
    counts.sum_duplicates()
    return counts


def _weigh(documents: IntArray, columns: IntArray, n: int, idf: FloatArray) -> Any:
    return _weighted(_counts(documents, columns, (n, len(idf))), idf)


def _weighted(counts: Any, idf: FloatArray) -> Any:
    counts.data = (1.0 + np.log(counts.data)) * idf[counts.indices]
    squares = np.zeros(counts.shape[0])
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    np.add.at(squares, rows, counts.data.astype(np.float64) ** 2)
    norms = np.sqrt(np.maximum(squares, 1e-30))
    counts.data = (counts.data / norms[rows]).astype(np.float32)
    return counts


def fit_tfidf(
    texts: Sequence[str], analyser: Analyser, *, min_count: int = 1, max_features: int | None = None
) -> tuple[Tfidf, Any]:
    """Learn the vocabulary and idf of texts; returns them with the texts' own rows.

    Parameters
    ----------
    texts : sequence of str
    analyser : {"word", "char"}
    min_count : int, >= 1
        Texts an n-gram must occur in.
    max_features : int, optional
        Keep at most so many, those in most texts (ties by hash).
    """
    documents, hashes = _grams(texts, analyser)
    vocabulary, columns = np.unique(hashes, return_inverse=True)
    counts = _counts(documents, columns, (len(texts), len(vocabulary)))
    frequency = np.bincount(counts.indices, minlength=len(vocabulary))
    kept = np.flatnonzero(frequency >= min_count)
    if max_features is not None and len(kept) > max_features:
        order = np.argsort(-frequency[kept], kind="stable")[:max_features]
        kept = np.sort(kept[order])
    if len(kept) < len(vocabulary):
        counts = counts[:, kept]
    idf = (np.log((1.0 + len(texts)) / (1.0 + frequency[kept])) + 1.0).astype(np.float32)
    return Tfidf(analyser, vocabulary[kept], idf), _weighted(counts, idf)
