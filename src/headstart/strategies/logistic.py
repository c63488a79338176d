"""Multinomial logistic regression with an L2 penalty, on the principal axes of the rows.

A rotation changes neither the penalty nor the fit, so the problem is solved on the axes of a
:class:`~headstart.strategies.ridge.Spectrum`, where the curvature of the loss is nearly diagonal
(Böhning, Ann. Inst. Statist. Math. 1992): each axis is scaled by the inverse root of its curvature
and L-BFGS (Nocedal & Wright 2006, algorithm 7.4) then needs a dozen iterations where it would
otherwise need hundreds. Logits are linear in the weights, so a trial step costs no product.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.types import AnyArray, FloatArray, IntArray

MEMORY = 10


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """Slopes (r, k) on the principal axes, offsets (k,) at the mean row; all float64."""

    slopes: FloatArray
    offset: FloatArray
    n_iter: int
    converged: bool


def fit_logistic(
    rotated: FloatArray,
    values: FloatArray,
    codes: IntArray,
    n_classes: int,
    C: float,
    *,
    weights: FloatArray | None = None,
    base: FloatArray | None = None,
    start: LogisticFit | None = None,
    tol: float = 1e-4,
    max_iter: int = 500,
    dtype: Any = np.float32,
) -> LogisticFit:
    """Minimise ``sum(weights * log loss) + |slopes|^2 / (2 C)``, intercepts unpenalised.

    This is the objective of scikit-learn's ``LogisticRegression(C=C)``; for two classes, of its
    multinomial form.

    Parameters
    ----------
    rotated : ndarray of shape (n, r)
        Rows on the principal axes.
    values : ndarray of shape (r,)
        Their eigenvalues: the scale of each axis. They steer the speed, not the result.
    codes : ndarray of shape (n,), int
        Classes as 0 ... n_classes - 1.
    n_classes : int
    C : float, > 0
        Inverse strength of the penalty.
    weights : ndarray of shape (n,), optional
    base : ndarray of shape (n, n_classes), optional
        Scores that the fit is added to: the penalty then pulls towards them, not to zero, and
        the offsets stay zero.
    start : LogisticFit, optional
        Where to start: the fit of a neighbouring C.
    tol : float
        Stop when the scaled gradient, over its norm at the constant guess, is smaller.
    max_iter : int
        Stop after so many iterations all the same; ``converged`` then says False.
    dtype : {float32, float64}
        Precision of the products.
    """
    weights = np.ones(len(codes)) if weights is None else weights
    problem = _Problem(rotated, values, codes, n_classes, C, weights, np.dtype(dtype))
    theta = problem.start(start)
    scores = problem.scores(theta)
    if base is not None:
        problem.X[:, -1] = 0.0
        scores = scores + base.astype(problem.dtype)
    gradient = problem.gradient(theta, problem.probabilities(scores))
    target = tol * problem.reference
    pairs: deque[tuple[AnyArray, AnyArray, float]] = deque(maxlen=MEMORY)
    done = 0
    while done < max_iter and float(np.linalg.norm(gradient)) > target:
        done += 1
        direction = _two_loops(gradient, pairs)
        change = problem.scores(direction)
        step, p = problem.line(
            theta, direction, scores, change, float(np.vdot(gradient, direction))
        )
        if step == 0.0:
            if not pairs:
                break
            pairs.clear()
            continue
        move = problem.dtype.type(step) * direction
        theta = theta + move
        scores += problem.dtype.type(step) * change
        renewed = problem.gradient(theta, p)
        bend = renewed - gradient
        curvature = float(np.vdot(move, bend))
        gradient = renewed
        if curvature > 0:
            pairs.append((move, bend, 1.0 / curvature))
    converged = float(np.linalg.norm(gradient)) <= target
    return problem.finish(theta, done, converged)


def _two_loops(gradient: AnyArray, pairs: deque[tuple[AnyArray, AnyArray, float]]) -> AnyArray:
    direction = -gradient
    scalar = gradient.dtype.type
    kept = []
    for move, bend, rho in reversed(pairs):
        weight = rho * float(np.vdot(move, direction))
        direction -= scalar(weight) * bend
        kept.append(weight)
    if pairs:
        move, bend, rho = pairs[-1]
        direction *= scalar(1.0 / (rho * float(np.vdot(bend, bend))))
    for (move, bend, rho), weight in zip(pairs, reversed(kept), strict=True):
        direction += scalar(weight - rho * float(np.vdot(bend, direction))) * move
    return direction


class _Problem:
    """The objective in scaled coordinates; theta stacks the slopes over the offset."""

    def __init__(
        self,
        rotated: FloatArray,
        values: FloatArray,
        codes: IntArray,
        n_classes: int,
        C: float,
        weights: FloatArray,
        dtype: Any,
    ) -> None:
        self.dtype = dtype
        self.codes, self.n_classes = codes, n_classes
        total = float(weights.sum())
        share = 1.0 / max(n_classes, 2)
        curvature = share * (1.0 - share)
        self.scale = np.sqrt(np.append(curvature * values + 1.0 / C, curvature * total))
        self.X = np.empty((len(codes), len(values) + 1), dtype=dtype)
        np.divide(rotated, self.scale[:-1], out=self.X[:, :-1], casting="same_kind")
        self.X[:, -1] = 1.0 / self.scale[-1]
        penalty = np.append(np.full(len(values), 1.0 / C), 0.0) / self.scale**2
        self.penalty = penalty.astype(dtype)[:, None]
        self.weights = weights.astype(dtype)[:, None]
        self.rows = np.arange(len(codes))
        flat = np.full((len(codes), n_classes), 1.0 / n_classes, dtype=dtype)
        flat[self.rows, codes] -= 1.0
        flat *= self.weights
        self.reference = float(np.linalg.norm(self.X.T @ flat))

    def start(self, start: LogisticFit | None) -> AnyArray:
        if start is None:
            return np.zeros((self.X.shape[1], self.n_classes), dtype=self.dtype)
        theta = np.vstack([start.slopes, start.offset[None]]) * self.scale[:, None]
        return theta.astype(self.dtype)

    def finish(self, theta: AnyArray, n_iter: int, converged: bool) -> LogisticFit:
        final = theta.astype(np.float64) / self.scale[:, None]
        # softmax cannot tell a constant added to every class: choose the one of sum zero
        final -= final.mean(axis=1, keepdims=True)
        return LogisticFit(final[:-1], final[-1], n_iter, converged)

    def scores(self, theta: AnyArray) -> AnyArray:
        return self.X @ theta

    def probabilities(self, scores: AnyArray) -> AnyArray:
        p = scores - scores.max(axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(axis=1, keepdims=True)
        return p

    def gradient(self, theta: AnyArray, p: AnyArray) -> AnyArray:
        """Return the gradient where the probabilities are ``p``, which is overwritten."""
        p[self.rows, self.codes] -= 1.0
        p *= self.weights
        result: AnyArray = self.X.T @ p
        result += self.penalty * theta
        return result

    def line(
        self,
        theta: AnyArray,
        direction: AnyArray,
        scores: AnyArray,
        change: AnyArray,
        slope0: float,
    ) -> tuple[float, AnyArray]:
        """Return a step and the probabilities there; a step of 0.0 where there is none.

        The slope there is at most 0.4 of the slope at 0. The loss is convex along the line, so
        Newton steps within a bracket find such a step.
        """
        tilt = float(np.vdot(self.penalty * theta, direction))
        bend = float(np.vdot(self.penalty * direction, direction))
        own = float(self.weights[:, 0] @ change[self.rows, self.codes])
        low, high, step = 0.0, np.inf, 1.0
        p = scores
        if not slope0 < 0.0:
            return 0.0, p
        for _ in range(12):
            p = self.probabilities(scores + self.dtype.type(step) * change)
            mean = np.einsum("ij,ij->i", p, change)
            slope = float(self.weights[:, 0] @ mean) - own + tilt + step * bend
            if abs(slope) <= -0.4 * slope0:
                break
            low, high = (step, high) if slope < 0 else (low, step)
            spread = np.einsum("ij,ij,ij->i", p, change, change) - mean**2
            newton = step - slope / max(float(self.weights[:, 0] @ spread) + bend, 1e-30)
            if low < newton < high:
                step = newton
            else:
                step = 0.5 * (low + high) if np.isfinite(high) else 4.0 * step
        else:
            p = self.probabilities(scores + self.dtype.type(step) * change)
        return step, p
