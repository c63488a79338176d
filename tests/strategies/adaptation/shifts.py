"""Simulated shifts with known answers: (Xs, ys, Xt, yt) of n rows a domain.

The same generators as in benchmarks/simulated_shifts.py: tests import no benchmark.
"""

from __future__ import annotations

import numpy as np

D, K = 8, 3
EVEN = np.full(K, 1.0 / K)


def _means(rng):
    means = rng.normal(size=(K, D))
    means -= means.mean(axis=0)
    return 2.2 * means / np.linalg.norm(means, axis=1, keepdims=True)


def _draw(rng, n, prior, means):
    y = rng.choice(K, n, p=prior)
    return rng.normal(size=(n, D)) + means[y], y


def none(n, seed):
    """Both domains are drawn alike."""
    rng = np.random.default_rng(seed)
    means = _means(rng)
    return *_draw(rng, n, EVEN, means), *_draw(rng, n, EVEN, means)


def label(n, seed):
    """The classes are differently frequent, and look alike."""
    rng = np.random.default_rng(seed)
    means = _means(rng)
    prior = rng.permutation([0.75, 0.2, 0.05])
    return *_draw(rng, n, rng.permutation([0.6, 0.25, 0.15]), means), *_draw(rng, n, prior, means)


def conditional(n, seed):
    """Each class has moved in a direction of its own: without labels no one can know where."""
    rng = np.random.default_rng(seed)
    means = _means(rng)
    step = rng.normal(size=means.shape)
    step *= 1.8 / np.linalg.norm(step, axis=1, keepdims=True)
    return *_draw(rng, n, EVEN, means), *_draw(rng, n, EVEN, means + step)


def subspace(n, seed):
    """The target is drawn like the source, then moved and stretched by a positive matrix."""
    rng = np.random.default_rng(seed)
    means = _means(rng)
    Xs, ys = _draw(rng, n, EVEN, means)
    Xt, yt = _draw(rng, n, EVEN, means)
    axes = np.linalg.qr(rng.normal(size=(D, D)))[0]
    stretch = (axes * np.exp(rng.uniform(-1.2, 1.2, D))) @ axes.T
    return Xs, ys, Xt @ stretch + rng.normal(size=D), yt


def covariate(n, seed):
    """The rule is the same and bent; the target lies where a straight line fits it otherwise."""
    rng = np.random.default_rng(seed)
    spots = rng.normal(size=(n, 2)) * [1.3, 1.0], rng.normal(size=(n, 2)) * [0.5, 1.0] + [1.4, 0.5]
    found = []
    for X in spots:
        odds = 4.0 * (X[:, 1] - X[:, 0] ** 2 + 1.0)
        found += [X, (rng.random(n) < 1.0 / (1.0 + np.exp(-odds))).astype(int)]
    return found[0], found[1], found[2], found[3]


def gains(make_adapter, shift, *, n=400, seeds=(0, 1, 2)):
    """Return how much better than source-only an adapter is in the target, for each seed."""
    from headstart.strategies.adaptation import SourceOnly

    found = []
    for seed in seeds:
        Xs, ys, Xt, yt = shift(n, seed)
        plain = SourceOnly().fit(Xs, ys, Xt).score(Xt, yt)
        found.append(make_adapter().fit(Xs, ys, Xt).score(Xt, yt) - plain)
    return np.array(found)
