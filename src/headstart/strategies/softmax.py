"""Logistic regression with an L2 penalty, solved by L-BFGS with an exact line search.

The logits are linear in the weights, so ``X @ direction`` is computed once an iteration and a trial
step costs no product with ``X``. Rows may be dense or sparse, in float32 or float64.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.types import FloatArray, IntArray

MEMORY = 8
LINE_TRIALS = 6


@dataclass(frozen=True, eq=False)
class Solution:
    """Weights of a linear model: ``scores = X @ coef + intercept``.

    Two classes have one column of scores (the log-odds of the second class), k > 2 classes have k.
    """

    coef: FloatArray
    intercept: FloatArray
    n_iter: int
    converged: bool


def probabilities(scores: FloatArray) -> FloatArray:
    """Turn scores of shape (n, 1) or (n, k) into class probabilities of shape (n, 2) or (n, k)."""
    wide = scores
    if wide.shape[1] == 1:
        wide = np.hstack([np.zeros_like(wide), wide])
    result: FloatArray = wide - wide.max(axis=1, keepdims=True)
    np.exp(result, out=result)
    result /= result.sum(axis=1, keepdims=True)
    return result


def fit_softmax(
    X: Any,
    codes: IntArray,
    n_classes: int,
    C: float,
    *,
    start: Solution | None = None,
    tol: float = 3e-4,
    max_iter: int = 300,
) -> Solution:
    """Minimise ``mean(log loss) + ||coef||^2 / (2 C n)``; the intercept is not penalised.

    This is the objective of scikit-learn's ``LogisticRegression(C=C)`` (Gramfort et al. 2011).

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, d)
        float32 or float64; the products with it run in its precision.
    codes : ndarray of shape (n,), int
        Classes as 0 ... n_classes - 1; each should occur.
    n_classes : int, >= 2
    C : float, > 0
        Inverse strength of the penalty.
    start : Solution, optional
        Where to start (of a neighbouring C).
    tol : float
        Stop when the norm of the gradient has fallen to this part of its norm at zero weights.
    max_iter : int
        Stop after so many iterations all the same; ``converged`` then says False.

    Examples
    --------
    >>> import numpy as np
    >>> found = fit_softmax(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1]), 2, 1.0)
    >>> found.coef.shape, found.converged
    ((1, 1), True)
    """
    problem = _Problem(X, codes, n_classes, 1.0 / (C * len(codes)))
    theta = problem.first().astype(problem.dtype)
    scores = problem.scores(theta)
    gradient = problem.gradient(theta, scores)
    enough = tol * _norm(gradient)
    if start is not None:
        theta = np.vstack([start.coef, start.intercept[None]]).astype(problem.dtype)
        scores = problem.scores(theta)
        gradient = problem.gradient(theta, scores)
    pairs: deque[tuple[Any, Any, float]] = deque(maxlen=MEMORY)
    for done in range(max_iter):
        if _norm(gradient) <= enough:
            return Solution(theta[:-1], theta[-1], done, True)
        direction = _two_loops(gradient, pairs)
        change = problem.scores(direction)
        step = problem.line(theta, direction, scores, change, first=not pairs)
        move = step * direction
        theta = theta + move
        scores = scores + step * change
        renewed = problem.gradient(theta, scores)
        bend = renewed - gradient
        curvature = _dot(move, bend)
        gradient = renewed
        if curvature <= 1e-12 * _dot(bend, bend) or step == 0.0:
            if not pairs:
                return Solution(theta[:-1], theta[-1], done + 1, False)
            pairs.clear()
            continue
        pairs.append((move, bend, 1.0 / curvature))
    return Solution(theta[:-1], theta[-1], max_iter, _norm(gradient) <= enough)


def _dot(one: Any, other: Any) -> float:
    """Inner product, summed by numpy in float64 (the same bits for any number of threads)."""
    return float(np.einsum("ij,ij->", one, other, dtype=np.float64))


def _norm(array: Any) -> float:
    return float(np.sqrt(_dot(array, array)))


def _two_loops(gradient: Any, pairs: deque[tuple[Any, Any, float]]) -> Any:
    """Return the L-BFGS direction (Nocedal & Wright 2006, algorithm 7.4)."""
    direction = -gradient
    weights = []
    for move, bend, rho in reversed(pairs):
        weight = rho * _dot(move, direction)
        direction = direction - gradient.dtype.type(weight) * bend
        weights.append(weight)
    if pairs:
        move, bend, rho = pairs[-1]
        direction = direction * gradient.dtype.type(1.0 / (rho * _dot(bend, bend)))
    for (move, bend, rho), weight in zip(pairs, reversed(weights), strict=True):
        back = rho * _dot(bend, direction)
        direction = direction + gradient.dtype.type(weight - back) * move
    return direction


class _Problem:
    """The objective for one (X, y, penalty); theta stacks coef over the intercept."""

    def __init__(self, X: Any, codes: IntArray, n_classes: int, penalty: float) -> None:
        self.X = X
        # a CSR copy of the transpose: products with it run row by row, without a scatter
        self.transposed = X.T if isinstance(X, np.ndarray) else X.T.tocsr()
        self.dtype = X.dtype
        self.codes = codes
        self.n = len(codes)
        self.k = 1 if n_classes == 2 else n_classes
        self.penalty = penalty
        self.rows = np.arange(self.n)

    def first(self) -> Any:
        """Zero weights, and the intercept that predicts the class frequencies."""
        counts = np.bincount(self.codes, minlength=max(self.k, 2)) + 1e-3
        theta = np.zeros((self.X.shape[1] + 1, self.k))
        theta[-1] = np.log(counts[1] / counts[0]) if self.k == 1 else np.log(counts / self.n)
        return theta

    def scores(self, theta: Any) -> Any:
        result = np.asarray(self.X @ np.ascontiguousarray(theta[:-1]))
        result += theta[-1]
        return result

    def residual(self, scores: Any) -> Any:
        """Return (probability - truth) / n, the gradient in the scores."""
        if self.k == 1:
            left = probabilities(scores)[:, 1:] - self.codes[:, None]
        else:
            left = probabilities(scores)
            left[self.rows, self.codes] -= 1.0
        left /= self.n
        return left

    def gradient(self, theta: Any, scores: Any) -> Any:
        left = self.residual(scores)
        result = np.empty_like(theta)
        result[:-1] = self.transposed @ left
        result[:-1] += self.dtype.type(self.penalty) * theta[:-1]
        result[-1] = left.sum(axis=0)
        return result

    def line(self, theta: Any, direction: Any, scores: Any, change: Any, *, first: bool) -> Any:
        """Return a step at which the slope is at most 0.4 of the slope at 0 (convex: a minimum).

        The slope along the line needs only the scores; Newton steps, kept within a bracket.
        """
        flat = _dot(theta[:-1], direction[:-1]) * self.penalty
        bend = _dot(direction[:-1], direction[:-1]) * self.penalty
        slope0 = _dot(self.residual(scores), change) + flat
        if not slope0 < 0:
            return self.dtype.type(0.0)
        low, high = 0.0, np.inf
        step = 1.0
        if first:  # a steepest descent of unknown length: start from the Newton step
            step = -slope0 / max(self._second(scores, change) + bend, 1e-30)
        for _ in range(LINE_TRIALS):
            at = scores + self.dtype.type(step) * change
            slope = _dot(self.residual(at), change) + flat + step * bend
            if abs(slope) <= 0.4 * -slope0:
                break
            low, high = (step, high) if slope < 0 else (low, step)
            newton = step - slope / max(self._second(at, change) + bend, 1e-30)
            inside = low < newton < high
            step = newton if inside else (0.5 * (low + high) if np.isfinite(high) else 4.0 * step)
        return self.dtype.type(step)

    def _second(self, scores: Any, change: Any) -> float:
        p = probabilities(scores)
        if self.k == 1:
            return _dot(p[:, :1] * change, p[:, 1:] * change) / self.n
        p *= change
        mean = p.sum(axis=1, keepdims=True)
        return (_dot(p, change) - _dot(mean, mean)) / self.n
