"""TF-IDF of word and character n-grams over hashed n-grams, in numpy.

An n-gram is a 64-bit hash instead of a string: finding, counting and storing a million of them is a
sort instead of a million dictionary entries, and a vocabulary is one integer array. Two n-grams of
a corpus with a million share a hash with probability 3e-8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from headstart.core.types import FloatArray, IntArray
from headstart.strategies.gram_hashes import Analyser, Hashes, chunks, grams


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
        blocks = [self._rows(chunk) for _, chunk in chunks(texts)]
        if not blocks:
            return sparse.csr_matrix((0, len(self.vocabulary)), dtype=np.float32)
        return sparse.vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]

    def _rows(self, texts: Sequence[str]) -> Any:
        documents, hashes = grams(texts, self.analyser)
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
    documents, hashes = grams(texts, analyser)
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
