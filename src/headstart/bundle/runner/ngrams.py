"""A linear model of TF-IDF, for texts one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.core.types import AnyArray, FloatArray
from headstart.strategies.gram_hashes import grams


def scores(
    analysers: Sequence[Any], arrays: Mapping[str, AnyArray], texts: Sequence[str]
) -> FloatArray:
    """Return the (n, k) scores of texts.

    Parameters
    ----------
    analysers : sequence of {"word", "char"}
        In the order of the columns.
    arrays : mapping
        ``NAME.vocabulary`` (sorted hashes) and ``NAME.idf`` of each; ``coef`` and ``intercept``;
        where the coefficients are those of combinations of training rows, these as ``rows.data``,
        ``rows.indices`` and ``rows.starts``.
    texts : sequence of str, length n
    """
    scale = np.float32(1.0 / np.sqrt(len(analysers))) if len(analysers) > 1 else np.float32(1.0)
    result = np.tile(arrays["intercept"].astype(np.float64), (len(texts), 1))
    width = sum(len(arrays[f"{name}.idf"]) for name in analysers)
    for place, text in enumerate(texts):
        columns, weights, first = [], [], 0
        for name in analysers:
            found, value = _weighed(text, name, arrays)
            columns.append(found + first)
            weights.append(value * scale)
            first += len(arrays[f"{name}.idf"])
        at, of = np.concatenate(columns), np.concatenate(weights)
        if "rows.data" in arrays:
            dense = np.zeros(width, dtype=np.float32)
            dense[at] = of
            inner = _products(arrays, dense)
            result[place] += inner @ arrays["coef"]
        else:
            result[place] += of.astype(np.float64) @ arrays["coef"][at]
    return result


def _weighed(text: str, name: Any, arrays: Mapping[str, AnyArray]) -> tuple[AnyArray, FloatArray]:
    """Return the columns of the n-grams of a text that are known, and their weights."""
    vocabulary = arrays[f"{name}.vocabulary"].view(np.uint64)
    if not len(vocabulary):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    _, hashes = grams([text], name)
    place = np.minimum(np.searchsorted(vocabulary, hashes), len(vocabulary) - 1)
    columns, counts = np.unique(place[vocabulary[place] == hashes], return_counts=True)
    logs = np.float32(1.0) + np.log(counts.astype(np.float32))
    weights = logs * arrays[f"{name}.idf"][columns]
    norm = np.sqrt(max(float((weights.astype(np.float64) ** 2).sum()), 1e-30))
    return columns, (weights / norm).astype(np.float32)


def _products(arrays: Mapping[str, AnyArray], dense: FloatArray) -> FloatArray:
    """Return the products of sparse rows with one dense row."""
    starts = arrays["rows.starts"]
    each = arrays["rows.data"].astype(np.float64) * dense[arrays["rows.indices"]]
    sums = np.concatenate([[0.0], np.cumsum(each)])
    result: FloatArray = sums[starts[1:]] - sums[starts[:-1]]
    return result
