"""Linear heads on unit rows, tried on rows that they did not see.

What the heads for few labels share: one rotation, the same folds for all, and a fit whose penalty
pulls towards a prior solution in place of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.frozen import one_hot, stratified_folds
from headstart.strategies.logistic import LogisticFit, fit_logistic
from headstart.strategies.ridge import Ridge, Spectrum, decompose, default_alphas
from headstart.strategies.temper import log_losses, means_sharpness, sharpness
from headstart.strategies.unit import UnitMeans, class_sums

FOLDS = 5
ENOUGH_HELD_OUT = 2000  # held-out rows after which further folds tell nothing new
LINEAR_LIMIT = 50_000_000  # n * k above which nothing but a prior is tried


@dataclass(frozen=True, eq=False)
class Line:
    """A linear head: ``rows @ coef + intercept`` are the scores; coef (d, k), intercept (k,)."""

    coef: FloatArray
    intercept: FloatArray

    def scores(self, rows: FloatArray) -> FloatArray:
        """Return the (n, k) scores of (n, d) rows."""
        result: FloatArray = rows @ self.coef + self.intercept
        return result

    def times(self, factor: float) -> Line:
        """Return the head whose scores are ``factor`` times as large."""
        return Line(factor * self.coef, factor * self.intercept)

    def plus(self, other: Line) -> Line:
        """Return the head whose scores are the sum of both."""
        return Line(self.coef + other.coef, self.intercept + other.intercept)


def mean_line(means: FloatArray, sharp: float) -> Line:
    """Return the head of the nearest class mean: ``sharp`` times minus the squared distance.

    Without what is the same for all classes, the squared length of the row.
    """
    return Line(2.0 * sharp * means.T, -sharp * (means**2).sum(axis=1))


PriorOf = Callable[[AnyArray], Line]
"""The prior solution as known from the rows of a mask."""


def class_means_prior(found: UnitMeans) -> PriorOf:
    """Return the prior of class means: from the rows of a mask, as sharp as all rows say."""
    sharp, k = means_sharpness(found), len(found.counts)

    def prior_of(mask: AnyArray) -> Line:
        counts = np.bincount(found.codes[mask], minlength=k)
        return mean_line(
            class_sums(found.rows[mask], found.codes[mask], k) / counts[:, None], sharp
        )

    return prior_of


@dataclass(frozen=True, eq=False)
class Tried:
    """What a head did on held-out rows: its tempered scores, their losses, what it got right."""

    name: str
    penalty: float
    factor: float
    scores: FloatArray
    losses: FloatArray
    right: AnyArray

    @property
    def loss(self) -> float:
        """The mean log loss, in nats."""
        return float(self.losses.mean())

    def surely_behind(self, other: Tried, errors: float) -> bool:
        """Say whether its log loss is higher by more than so many paired standard errors."""
        behind = self.losses - other.losses
        return bool(behind.mean() > errors * behind.std() / np.sqrt(len(behind)))


class Shots:
    """Few labelled rows, as every head sees them.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Unit rows.
    codes : ndarray of shape (n,), int
    n_classes : int
    random_state : int or None
        The seed of the folds.
    lone : bool
        Whether the only row of a class may be held out, since a prior knows the class without it.
    """

    def __init__(
        self,
        rows: FloatArray,
        codes: IntArray,
        n_classes: int,
        *,
        random_state: int | None,
        lone: bool = False,
    ) -> None:
        self.rows, self.codes, self.k = rows, codes, n_classes
        self.spectrum: Spectrum = decompose(rows)
        folds = stratified_folds(codes, FOLDS, random_state)
        if lone:
            alone = np.flatnonzero(folds < 0)
            folds[alone] = np.arange(len(alone)) % FOLDS
        tried = int(np.clip(np.ceil(ENOUGH_HELD_OUT * FOLDS / len(codes)), 1, FOLDS))
        self.outs = [out for fold in range(tried) if (out := folds == fold).any()]
        self.judged: AnyArray = (folds >= 0) & (folds < tried)
        self.ridge = Ridge(self.spectrum, one_hot(codes, n_classes))

    @property
    def unit_c(self) -> float:
        """The C at which the penalty weighs as much as the mean squared row."""
        total = float(self.spectrum.values.sum()) / len(self.codes)
        return 1.0 / (total if total > 0.0 else 1.0)

    @property
    def settled(self) -> bool:
        """Whether nothing can be compared: one class, no row to hold out, or far too many."""
        return self.k < 2 or not self.judged.any() or self.too_many

    @property
    def too_many(self) -> bool:
        """Whether the rows and classes are so many that no path can be tried."""
        return len(self.codes) * self.k > LINEAR_LIMIT

    def best_alpha(self) -> float:
        """Return the penalty of ridge regression with the least leave-one-out error."""
        return self.ridge.best_alpha(default_alphas(self.spectrum))

    def judge(self, name: str, penalty: float, scores: FloatArray) -> Tried:
        """Temper the held-out scores (n, k) of a head, of which the judged rows count."""
        scores, codes = scores[self.judged], self.codes[self.judged]
        factor = sharpness(scores, codes)
        scores = factor * scores
        right = scores.argmax(axis=1) == codes
        return Tried(name, penalty, factor, scores, log_losses(scores, codes), right)

    def try_prior(self, name: str, prior_of: PriorOf) -> Tried:
        """Judge a prior solution by itself."""
        return self.judge(name, 0.0, self._priors(prior_of))

    def _priors(self, prior_of: PriorOf) -> FloatArray:
        scores = np.zeros((len(self.codes), self.k))
        for out in self.outs:
            scores[out] = prior_of(~out).scores(self.rows[out])
        return scores

    def try_ridge(self, name: str) -> Tried:
        """Judge ridge regression, its penalty by exact leave-one-out."""
        alpha = self.best_alpha()
        scores = np.zeros((len(self.codes), self.k))
        for out in self.outs:
            scores[out] = self.ridge.left_out(alpha, out)
        return self.judge(name, alpha, scores)

    def try_path(
        self, name: str, Cs: Sequence[float] | FloatArray, prior_of: PriorOf | None = None
    ) -> list[Tried]:
        """Judge logistic regression up a path of C; with a prior, pulled towards that.

        It ends after two steps that do not lower the held-out log loss.
        """
        tried: list[Tried] = []
        fits: list[LogisticFit | None] = [None] * len(self.outs)
        priors = [None if prior_of is None else prior_of(~out) for out in self.outs]
        for C in Cs:
            scores = np.zeros((len(self.codes), self.k))
            for place, (out, prior) in enumerate(zip(self.outs, priors, strict=True)):
                fit = self._fit(float(C), ~out, prior, start=fits[place], tol=5e-3)
                scores[out] = self.spectrum.rotated[out] @ fit.slopes + fit.offset
                if prior is not None:
                    scores[out] += prior.scores(self.rows[out])
                fits[place] = fit
            tried.append(self.judge(name, float(C), scores))
            if int(np.argmin([one.loss for one in tried])) < len(tried) - 2:
                break
        return tried

    def _fit(
        self,
        C: float,
        rows: AnyArray,
        prior: Line | None,
        *,
        start: LogisticFit | None = None,
        tol: float = 1e-3,
    ) -> LogisticFit:
        spectrum = self.spectrum
        base = None if prior is None else prior.scores(self.rows[rows])
        return fit_logistic(
            spectrum.rotated[rows],
            spectrum.values,
            self.codes[rows],
            self.k,
            C,
            base=base,
            start=start,
            tol=tol,
        )

    def line(self, C: float, prior: Line | None = None) -> Line:
        """Fit logistic regression to all rows; with a prior, pulled towards that."""
        if prior is not None and C == 0.0:
            return prior
        fit = self._fit(C, np.ones(len(self.codes), dtype=bool), prior)
        own = Line(*self.spectrum.linear(fit.slopes, fit.offset))
        return own if prior is None else prior.plus(own)

    def ridge_line(self, alpha: float) -> Line:
        """Fit ridge regression to all rows."""
        return Line(*self.ridge.linear(alpha))
