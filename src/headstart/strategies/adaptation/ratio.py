"""How much likelier each source row is in the target: density ratios, and what keeps them sane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from headstart.core.types import FloatArray, IntArray
from headstart.strategies.adaptation.gaussian import blocks
from headstart.strategies.frozen import stratified_folds
from headstart.strategies.logistic import LogisticFit, fit_logistic
from headstart.strategies.ridge import decompose

FOLDS = 5
STEPS = 40
"""Where the domains are alike there is nothing to find, and no end to looking for it."""
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Times the median distance between centres and rows."""


@dataclass(frozen=True, eq=False)
class Odds:
    """Held-out odds that a row of the source is of the target.

    Parameters
    ----------
    ratio : ndarray of shape (n,)
        Density of the target over that of the source at each source row.
    loss, constant : float
        Log loss of the domain of held-out rows, and that of the best constant guess.
    C : float
        The inverse penalty that was chosen.
    """

    ratio: FloatArray
    loss: float
    constant: float
    C: float


def logistic_ratio(
    X: FloatArray, target: FloatArray, C: float | None, random_state: int | None
) -> Odds:
    """Return the density ratio at source rows by a domain classifier that has not seen them.

    Parameters
    ----------
    X : array of shape (n, d)
    target : array of shape (m, d)
    C : float, > 0, optional
        By default the one with the least held-out log loss.
    """
    n, m = len(X), len(target)
    rows, side = np.vstack([X, target]), np.repeat([0, 1], [n, m])
    folds = stratified_folds(side, min(FOLDS, n, m), random_state)
    grid = PENALTIES if C is None else (C,)
    scores = np.zeros((len(grid), n + m))
    for fold in range(max(folds) + 1):
        out = folds == fold
        spectrum = decompose(rows[~out])
        fit: LogisticFit | None = None
        for place, c in enumerate(grid):
            fit = fit_logistic(
                spectrum.rotated, spectrum.values, side[~out], 2, c, start=fit, max_iter=STEPS
            )
            coef, intercept = spectrum.linear(fit.slopes, fit.offset)
            scores[place, out] = rows[out] @ (coef[:, 1] - coef[:, 0]) + intercept[1] - intercept[0]
    losses = np.logaddexp(0.0, np.where(side == 1, -scores, scores)).mean(axis=1)
    best = int(losses.argmin())
    share = m / (n + m)
    constant = -share * np.log(share) - (1 - share) * np.log(1 - share)
    odds = np.exp(np.clip(scores[best, :n], -50.0, 50.0))
    return Odds(odds * n / m, float(losses[best]), float(constant), float(grid[best]))


def effective(weights: FloatArray) -> float:
    """Return the effective sample size of weights, ``sum(w)^2 / sum(w^2)``."""
    total = float(weights.sum())
    return total**2 / float((weights**2).sum()) if total > 0 else 0.0


def flattened(
    weights: FloatArray, codes: IntArray, floor: float, fewest: float = 5.0
) -> tuple[FloatArray, float]:
    """Return weights of mean 1, flattened to ``w**g`` until they leave enough effective rows.

    Parameters
    ----------
    weights : ndarray of shape (n,)
    codes : int array of shape (n,)
        The class of each row.
    floor : float
        The least effective sample size over all rows.
    fewest : float
        And of each class, as far as it has so many rows.

    Returns
    -------
    tuple of ndarray of shape (n,) and float
        And the largest ``g`` in [0, 1] that suffices, found by bisection.
    """
    logs = np.log(np.maximum(weights / max(float(weights.max()), 1e-300), 1e-12))
    counts = np.bincount(codes)

    def enough(power: float) -> bool:
        flat = np.exp(power * logs)
        total = np.bincount(codes, flat)
        square = np.maximum(np.bincount(codes, flat**2), 1e-300)
        of_class = bool((total**2 / square >= np.minimum(counts, fewest) - 1e-9).all())
        return of_class and effective(flat) >= floor

    power = 1.0
    if not enough(1.0):
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if enough(middle) else (low, middle)
        power = low
    flat = np.exp(power * logs)
    return flat / flat.mean(), power


def kernel(X: FloatArray, centres: FloatArray, width: float) -> FloatArray:
    """Return Gaussian kernel values (n, c) of rows and centres."""
    result = np.empty((len(X), len(centres)))
    for rows in blocks(len(X)):
        result[rows] = np.exp(-cdist(X[rows], centres, "sqeuclidean") / (2.0 * width**2))
    return result


@dataclass(frozen=True, eq=False)
class KernelRatio:
    """``ratio(x) = sum_c theta_c exp(-|x - centre_c|^2 / (2 width^2))``, and how it was chosen.

    ``objective`` is the held-out relative Pearson objective ``theta' H theta / 2 - h' theta``;
    a ratio of 1 everywhere has -0.5.
    """

    theta: FloatArray
    centres: FloatArray
    width: float
    ridge: float
    objective: float

    def __call__(self, X: FloatArray) -> FloatArray:
        """Return the n ratios, not below zero."""
        result: FloatArray = np.maximum(kernel(X, self.centres, self.width) @ self.theta, 0.0)
        return result


def relative_ratio(
    X: FloatArray,
    target: FloatArray,
    *,
    alpha: float,
    n_centres: int,
    width: float | None,
    ridge: float | None,
    random_state: int | None,
) -> KernelRatio:
    """Fit the relative density ratio ``p_t / (alpha p_t + (1 - alpha) p_s)`` (RuLSIF).

    What is None is chosen by cross-validation of the relative Pearson divergence.
    """
    rng = np.random.default_rng(random_state)
    centres = target[np.sort(rng.permutation(len(target))[:n_centres])].astype(np.float64)
    folds = (rng.permutation(len(X)) % FOLDS, rng.permutation(len(target)) % FOLDS)
    near = rng.permutation(len(X))[:500]
    middle = float(np.median(cdist(np.vstack([X[near], centres]), centres))) or 1.0
    widths = [middle * share for share in WIDTHS] if width is None else [width]
    ridges = RIDGES if ridge is None else (ridge,)
    found = []
    for one in widths:
        here, there = kernel(X, centres, one), kernel(target, centres, one)
        for penalty, value in zip(ridges, _judged(here, there, alpha, ridges, folds), strict=True):
            found.append((value, -one, -penalty))  # of a tie the narrower and less penalised loses
    objective, one, penalty = min(found)
    here, there = kernel(X, centres, -one), kernel(target, centres, -one)
    theta = closed_form(here, there, alpha, -penalty)
    return KernelRatio(theta, centres, -one, -penalty, objective)


def closed_form(here: FloatArray, there: FloatArray, alpha: float, ridge: float) -> FloatArray:
    """Return the minimiser of ``t' H t / 2 - h' t + ridge |t|^2 / 2``.

    Parameters
    ----------
    here, there : ndarrays of shape (n, c) and (m, c)
        Kernel values of source and target rows.
    """
    H = alpha * there.T @ there / len(there) + (1.0 - alpha) * here.T @ here / len(here)
    H[np.diag_indices_from(H)] += ridge
    result: FloatArray = np.linalg.solve(H, there.mean(axis=0))
    return result


def _judged(
    here: FloatArray,
    there: FloatArray,
    alpha: float,
    ridges: tuple[float, ...],
    folds: tuple[IntArray, IntArray],
) -> FloatArray:
    """Return the held-out objective of each ridge, mean over folds."""
    totals = np.zeros(len(ridges))
    used = 0
    for fold in range(FOLDS):
        mine, theirs = folds[0] == fold, folds[1] == fold
        if not (mine.any() and theirs.any() and (~mine).any() and (~theirs).any()):
            continue
        used += 1
        for place, ridge in enumerate(ridges):
            theta = closed_form(here[~mine], there[~theirs], alpha, ridge)
            at_source, at_target = here[mine] @ theta, there[theirs] @ theta
            square = alpha * (at_target**2).mean() + (1.0 - alpha) * (at_source**2).mean()
            totals[place] += 0.5 * square - at_target.mean()
    return totals / max(used, 1)
