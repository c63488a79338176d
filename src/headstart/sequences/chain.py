"""A linear-chain conditional random field: scores of words plus scores of neighbouring tags.

Solved by L-BFGS with an L2 penalty. Sentences of one length go through the forward and backward
pass side by side, in probabilities that are scaled word by word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.types import SILENT, AnyArray, FloatArray, IntArray, Reporter

MAX_ITER = 60
TOLERANCE = 1e-4
MEMORY = 6
FORBIDDEN = -1e4
STAGE = "fitting the tagger"


@dataclass(frozen=True, eq=False)
class Chain:
    """The weights of a chain over k tags.

    Parameters
    ----------
    coef : ndarray of shape (d, k), float32
        From features of a word to scores of its tags.
    intercept : ndarray of shape (k,), float32
    between : ndarray of shape (k, k), float32
        Score of a tag (column) after another (row).
    first : ndarray of shape (k,), float32
        Score of a tag of the first word.
    """

    coef: FloatArray
    intercept: FloatArray
    between: FloatArray
    first: FloatArray


def fit_chain(
    X: Any,
    codes: IntArray,
    lengths: IntArray,
    n_tags: int,
    *,
    penalty: float,
    max_iter: int = MAX_ITER,
    reporter: Reporter = SILENT,
) -> Chain:
    """Minimise ``-log p(tags | words) + penalty / 2 * ||weights||^2`` over sentences.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (words, d)
        The words of all sentences, one after the other.
    codes : ndarray of shape (words,), int
        Their tags as 0 ... n_tags - 1.
    lengths : ndarray of shape (sentences,), int
        Words of each sentence; a sentence without words adds nothing.
    n_tags : int
    penalty : float, > 0
        On coef and between; the intercept and the first tags are free but for a thousandth of it.
    max_iter : int
    reporter : Reporter

    References
    ----------
    Lafferty, McCallum and Pereira, "Conditional random fields", ICML 2001.
    """
    from scipy.optimize import minimize

    d, k = X.shape[1], n_tags
    gold = np.zeros((len(codes), k))
    gold[np.arange(len(codes)), codes] = 1.0
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1][lengths > 0]
    inner = np.ones(len(codes), dtype=bool)
    inner[starts] = False
    after = np.flatnonzero(inner)
    counted = np.zeros((k, k))
    np.add.at(counted, (codes[after - 1], codes[after]), 1.0)
    weights = np.full(d * k + k + k * k + k, penalty)
    weights[d * k : d * k + k] = weights[-k:] = penalty * 1e-3
    batches = list(_batches(lengths))
    done = 0

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        coef, intercept, between, first = _parts(flat, d, k)
        scores = np.asarray(X @ coef.astype(X.dtype), dtype=np.float64) + intercept
        loss = -float(
            (scores * gold).sum() + (between * counted).sum() + first[codes[starts]].sum()
        )
        total, marginals, pairs = _expected(scores, between, first, batches)
        rest = marginals - gold
        gradient = np.concatenate(
            [
                np.asarray(X.T @ rest.astype(X.dtype), dtype=np.float64).ravel(),
                rest.sum(axis=0),
                (pairs - counted).ravel(),
                rest[starts].sum(axis=0),
            ]
        )
        return loss + total + 0.5 * float(weights @ flat**2), gradient + weights * flat

    def told(_: Any) -> None:
        nonlocal done
        done += 1
        reporter.progress(STAGE, done, max_iter, "steps")

    found = minimize(
        objective,
        np.zeros(len(weights)),
        jac=True,
        method="L-BFGS-B",
        callback=told,
        options={"maxiter": max_iter, "maxcor": MEMORY, "ftol": TOLERANCE},
    )
    coef, intercept, between, first = (part.astype(np.float32) for part in _parts(found.x, d, k))
    return Chain(coef, intercept, between, first)


def _parts(flat: FloatArray, d: int, k: int) -> tuple[FloatArray, ...]:
    ends = np.cumsum([d * k, k, k * k, k])
    coef, intercept, between, first = np.split(flat, ends[:-1])
    return coef.reshape(d, k), intercept, between.reshape(k, k), first


def _batches(lengths: IntArray) -> Iterator[IntArray]:
    """Yield rows of words, (sentences, words), of sentences of one length."""
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    for length in np.unique(lengths[lengths > 0]):
        chosen = starts[lengths == length]
        yield chosen[:, None] + np.arange(length)


def _expected(
    scores: FloatArray, between: FloatArray, first: FloatArray, batches: Sequence[IntArray]
) -> tuple[float, FloatArray, FloatArray]:
    """Return the sum of log partitions, marginals (words, k), and expected pairs (k, k)."""
    marginals = np.empty_like(scores)
    pairs = np.zeros_like(between)
    shift = between.max()
    moves = np.exp(between - shift).astype(np.float32)
    total = 0.0
    for rows in batches:
        own = scores[rows].astype(np.float32)
        own[:, 0] += first
        top = own.max(axis=2, keepdims=True)
        likely = np.exp(own - top)
        total += float(top.sum(dtype=np.float64)) + shift * own.shape[0] * (own.shape[1] - 1)
        forward, scale = _forward(likely, moves)
        total += float(np.log(scale, dtype=np.float64).sum())
        backward = np.ones_like(likely)
        for t in range(own.shape[1] - 2, -1, -1):
            ahead = likely[:, t + 1] * backward[:, t + 1] / scale[:, t + 1, None]
            backward[:, t] = ahead @ moves.T
            pairs += forward[:, t].T @ ahead * moves
        marginals[rows] = forward * backward
    return total, marginals, pairs


def _forward(likely: FloatArray, moves: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return scaled forward probabilities (n, t, k) and their scales (n, t)."""
    forward = np.empty_like(likely)
    scale = np.empty(likely.shape[:2], dtype=likely.dtype)
    for t in range(likely.shape[1]):
        now = likely[:, t] if t == 0 else (forward[:, t - 1] @ moves) * likely[:, t]
        scale[:, t] = now.sum(axis=1)
        forward[:, t] = now / scale[:, t, None]
    return forward, scale


def decode(
    scores: FloatArray, between: FloatArray, first: FloatArray, allowed: AnyArray, start: AnyArray
) -> tuple[IntArray, float]:
    """Return the likeliest tags of a sentence (Viterbi 1967), and their probability.

    Parameters
    ----------
    scores : ndarray of shape (t, k)
    between, first : ndarray of shape (k, k) and (k,)
    allowed : ndarray of shape (k, k), bool
        Whether a tag may follow another.
    start : ndarray of shape (k,), bool
        Whether a tag may come first.

    Returns
    -------
    tuple of (codes of shape (t,), probability 0 to 1 among all sequences that are allowed)
    """
    t = len(scores)
    if t == 0:
        return np.zeros(0, dtype=np.int64), 1.0
    moves = np.where(allowed, between, FORBIDDEN).astype(np.float64)
    best = scores[0].astype(np.float64) + np.where(start, first, FORBIDDEN)
    log_sum = best.copy()
    back = np.zeros((t, scores.shape[1]), dtype=np.int64)
    for place in range(1, t):
        ways = best[:, None] + moves
        back[place] = ways.argmax(axis=0)
        best = ways.max(axis=0) + scores[place]
        log_sum = _log_sum(log_sum[:, None] + moves) + scores[place]
    path = [int(best.argmax())]
    for place in range(t - 1, 0, -1):
        path.append(int(back[place, path[-1]]))
    sure = float(np.exp(min(best.max() - _log_sum(log_sum[:, None])[0], 0.0)))
    return np.asarray(path[::-1], dtype=np.int64), sure


def _log_sum(values: FloatArray) -> FloatArray:
    top = values.max(axis=0)
    return np.asarray(top + np.log(np.exp(values - top).sum(axis=0)))
