"""Simulated shifts with known answers: (Xs, ys, Xt, yt) of n rows a domain.

`tests/strategies/adaptation/shifts.py` has the same generators: tests import no benchmark.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Shift = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
D, K = 8, 3


def _means(rng: np.random.Generator) -> np.ndarray:
    means = rng.normal(size=(K, D))
    means -= means.mean(axis=0)
    return 2.2 * means / np.linalg.norm(means, axis=1, keepdims=True)


def _draw(rng: np.random.Generator, n: int, prior: np.ndarray, means: np.ndarray) -> tuple:
    y = rng.choice(K, n, p=prior)
    return rng.normal(size=(n, D)) + means[y], y


EVEN = np.full(K, 1.0 / K)


def none(n: int, seed: int) -> Shift:
    """Both domains are drawn alike."""
    rng = np.random.default_rng(seed)
    means = _means(rng)
    return *_draw(rng, n, EVEN, means), *_draw(rng, n, EVEN, means)


def label(n: int, seed: int) -> Shift:
    """The classes are differently frequent, and look alike."""
    rng = np.random.default_rng(seed)
    means = _means(rng)
    prior = rng.permutation([0.75, 0.2, 0.05])
    return *_draw(rng, n, rng.permutation([0.6, 0.25, 0.15]), means), *_draw(rng, n, prior, means)


def conditional(n: int, seed: int) -> Shift:
    """Each class has moved in a direction of its own: without labels no one can know where."""
    rng = np.random.default_rng(seed)
    means = _means(rng)
    step = rng.normal(size=means.shape)
    step *= 1.8 / np.linalg.norm(step, axis=1, keepdims=True)
    return *_draw(rng, n, EVEN, means), *_draw(rng, n, EVEN, means + step)


def subspace(n: int, seed: int) -> Shift:
    """The target is drawn like the source, then moved and stretched by a positive matrix."""
    rng = np.random.default_rng(seed)
    means = _means(rng)
    Xs, ys = _draw(rng, n, EVEN, means)
    Xt, yt = _draw(rng, n, EVEN, means)
    axes = np.linalg.qr(rng.normal(size=(D, D)))[0]
    stretch = (axes * np.exp(rng.uniform(-1.2, 1.2, D))) @ axes.T
    return Xs, ys, Xt @ stretch + rng.normal(size=D), yt


def covariate(n: int, seed: int) -> Shift:
    """The rule is the same and bent; the target lies where a straight line fits it otherwise."""
    rng = np.random.default_rng(seed)
    spots = rng.normal(size=(n, 2)) * [1.3, 1.0], rng.normal(size=(n, 2)) * [0.5, 1.0] + [1.4, 0.5]
    found = []
    for X in spots:
        odds = 4.0 * (X[:, 1] - X[:, 0] ** 2 + 1.0)
        found += [X, (rng.random(n) < 1.0 / (1.0 + np.exp(-odds))).astype(int)]
    return found[0], found[1], found[2], found[3]


def several(n: int, seed: int) -> tuple[np.ndarray, ...]:
    """Three sources, each moved and stretched in its own way, and the domain of each row."""
    rng = np.random.default_rng(seed)
    means = _means(rng)
    Xt, yt = _draw(rng, n, EVEN, means)
    found = []
    for _ in range(3):
        X, y = _draw(rng, n // 3, EVEN, means)
        axes = np.linalg.qr(rng.normal(size=(D, D)))[0]
        stretch = (axes * np.exp(rng.uniform(-1.2, 1.2, D))) @ axes.T
        found.append((X @ stretch + rng.normal(size=D), y))
    domain = np.repeat(np.arange(3), n // 3)
    return np.vstack([X for X, _ in found]), np.concatenate([y for _, y in found]), Xt, yt, domain


SHIFTS: dict[str, Callable[[int, int], Shift]] = {
    "none": none,
    "covariate": covariate,
    "label": label,
    "conditional": conditional,
    "subspace": subspace,
}
