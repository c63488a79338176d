"""The conditional random field against all sequences written out."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from headstart.sequences.chain import _batches, _expected, decode, fit_chain


def _all(scores, between, first):
    k = scores.shape[1]
    found = {}
    for path in product(range(k), repeat=len(scores)):
        value = first[path[0]] + sum(scores[t, tag] for t, tag in enumerate(path))
        found[path] = value + sum(between[a, b] for a, b in pairwise(path))
    return found


def test_partition_and_marginals_are_those_of_all_sequences() -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([3, 1, 3, 4])
    scores, between, first = rng.normal(size=(11, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)
    total, marginals, pairs = _expected(scores, between, first, list(_batches(lengths)))
    want, seen, moved = 0.0, np.zeros((11, 3)), np.zeros((3, 3))
    start = 0
    for length in lengths:
        values = _all(scores[start : start + length], between, first)
        z = logsumexp(list(values.values()))
        want += z
        for path, value in values.items():
            for t, tag in enumerate(path):
                seen[start + t, tag] += np.exp(value - z)
            for a, b in pairwise(path):
                moved[a, b] += np.exp(value - z)
        start += length
    assert total == pytest.approx(want, rel=1e-5)
    np.testing.assert_allclose(marginals, seen, atol=1e-5)
    np.testing.assert_allclose(pairs, moved, atol=1e-5)


def test_decoding_finds_the_likeliest_sequence_that_is_allowed() -> None:
    rng = np.random.default_rng(1)
    scores, between, first = rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)
    allowed = np.ones((3, 3), bool)
    allowed[0, 1] = False
    start = np.array([True, False, True])
    values = {
        path: value
        for path, value in _all(scores, between, first).items()
        if path[0] != 1 and (0, 1) not in set(pairwise(path))
    }
    codes, sure = decode(scores, between, first, allowed, start)
    best = max(values, key=values.get)
    assert tuple(codes) == best
    assert sure == pytest.approx(np.exp(values[best] - logsumexp(list(values.values()))))


def test_sentences_of_one_word_are_a_logistic_regression() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(120, 4)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=120) > 0).astype(np.int64) + (X[:, 1] > 1)
    chain = fit_chain(X, y, np.ones(120, dtype=np.int64), 3, penalty=2.0, max_iter=500)
    oracle = LogisticRegression(C=0.5, tol=1e-8, max_iter=2000).fit(X, y)
    ours = X @ chain.coef + chain.intercept + chain.first
    theirs = oracle.decision_function(X)
    ours -= ours.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, theirs - theirs.mean(axis=1, keepdims=True), atol=0.05)


def test_what_follows_what_is_learnt() -> None:
    codes = np.tile([0, 1], 30)
    X = np.zeros((60, 1), dtype=np.float32)
    chain = fit_chain(X, codes, np.full(30, 2), 2, penalty=0.1)
    free = np.ones((2, 2), bool), np.ones(2, bool)
    assert decode(np.zeros((4, 2)), chain.between, chain.first, *free)[0].tolist() == [0, 1, 0, 1]
