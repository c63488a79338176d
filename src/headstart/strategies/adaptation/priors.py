"""How frequent the classes are in the target, and whether that is all that has changed.

Scores here are logarithms of class probabilities, up to a constant a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize, nnls
from scipy.spatial.distance import cdist
from scipy.stats import chi2

from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.frozen import stratified_folds
from headstart.strategies.heads import softmax_rows

FOLDS = 5
TINY = 1e-12
MOST_ROWS = 800
"""Rows a side in the test of fit: its kernel matrix is square."""
RESAMPLES = 199
MOST = 10_000
"""Rows of the source that are held out in turn, and that models learn from meanwhile."""
PLAINLY = 0.01
"""P-value of the first test below which a second adds nothing."""
PLAIN = 20
"""Resamples beyond what was seen after which no more are drawn."""


def logs(probabilities: FloatArray) -> FloatArray:
    """Return logarithms of probabilities, each row's mean taken off; none is below log 1e-12."""
    found = np.log(np.maximum(probabilities, TINY))
    result: FloatArray = found - found.mean(axis=1, keepdims=True)
    return result


def sampled(codes: IntArray, most: int, random_state: int | None) -> IntArray:
    """Return the places of at most about ``most`` rows, each class with its share.

    Of each class two rows stay, where it has them.

    Parameters
    ----------
    codes : int array of shape (n,)
    most : int
    random_state : int, optional
    """
    n = len(codes)
    if n <= most:
        return np.arange(n)
    order = np.random.default_rng(random_state).permutation(n)
    order = order[np.argsort(codes[order], kind="stable")]
    counts = np.bincount(codes)
    within = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    wanted = np.maximum(2, np.round(counts * (most / n)).astype(np.int64))
    return np.sort(order[within < np.repeat(wanted, counts)])


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scores of rows by models that have not seen them.

    Parameters
    ----------
    source : ndarray of shape (n', k)
        Of the source rows that could be held out.
    codes : int array of shape (n',)
        Their classes.
    target : ndarray of shape (m, k)
        Of the target rows by the same models, taken in turn: a source row and a target row that
        are drawn alike have scores that are drawn alike.
    """

    source: FloatArray
    codes: IntArray
    target: FloatArray


def held_out(
    X: FloatArray,
    codes: IntArray,
    target: FloatArray,
    fit: Callable[[FloatArray, IntArray], Any],
    random_state: int | None,
) -> HeldOut:
    """Score source rows out of fold, and target rows by the models of the folds in turn.

    Of a large source at most ``MOST`` rows, drawn by class, take part.

    Parameters
    ----------
    fit : callable
        Takes rows and classes, returns a form.
    """
    if len(X) > MOST:
        some = sampled(codes, MOST, random_state)
        X, codes = X[some], codes[some]
    folds = stratified_folds(codes, FOLDS, random_state)
    turn = np.random.default_rng(random_state).permutation(len(target)) % FOLDS
    n_classes = int(codes.max()) + 1
    source, other = np.zeros((len(X), n_classes)), np.zeros((len(target), n_classes))
    first: Any = None
    for fold in range(FOLDS):
        out, theirs = folds == fold, turn == fold
        form = fit(X[~out], codes[~out]) if out.any() or first is None else first
        first = form if first is None else first
        if out.any():
            source[out] = logs(form.probabilities(X[out]))
        if theirs.any():
            other[theirs] = logs(form.probabilities(target[theirs]))
    judged = folds >= 0
    return HeldOut(source[judged], codes[judged], other)


def on_sample(n: int) -> tuple[Decision, ...]:
    """Say that of n source rows only some were held out, if so."""
    if n <= MOST:
        return ()
    what = f"about {MOST:,} rows of the source tell how frequent the classes are in the target"
    return (Decision(what, f"of {n:,}, drawn by class: each is scored by a model without it"),)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores become probabilities that mean what they say: ``softmax(sharpness * s + bias)``."""

    sharpness: float
    bias: FloatArray

    def __call__(self, scores: FloatArray) -> FloatArray:
        """Return the (n, k) probabilities."""
        return softmax_rows(self.sharpness * scores + self.bias)


def calibrate(scores: FloatArray, codes: IntArray) -> Calibration:
    """Fit bias-corrected temperature scaling to held-out scores (Alexandari et al., ICML 2020).

    The truth is smoothed by one part in n + 2, so that rows without an error do not make the
    model certain.
    """
    n, k = scores.shape
    if not n:
        return Calibration(1.0, np.zeros(k))
    smooth = 1.0 / (n + 2.0)
    truth = np.full((n, k), smooth / k)
    truth[np.arange(n), codes] += 1.0 - smooth
    spread = float(np.sqrt((scores**2).mean())) or 1.0
    unit = scores / spread

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        factor = np.exp(theta[0])
        raised = factor * unit + theta[1:]
        raised -= raised.max(axis=1, keepdims=True)
        total = np.log(np.exp(raised).sum(axis=1))
        apart = softmax_rows(raised) - truth
        slope = np.append(factor * (apart * unit).sum() / n, apart.sum(axis=0) / n)
        return float((total - (truth * raised).sum(axis=1)).mean()), slope

    bounds = [(-5.0, 6.0)] + [(-20.0, 20.0)] * k
    start = np.append(np.clip(np.log(spread), -5.0, 6.0), np.zeros(k))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-10).x
    return Calibration(float(np.exp(found[0]) / spread), found[1:] - found[1:].mean())


def log_likelihood(ratios: FloatArray, prior: FloatArray, known: FloatArray) -> float:
    """Return the log likelihood of target rows; ``ratios`` is posterior over source prior."""
    seen = known > 0
    labelled = float(known[seen] @ np.log(np.maximum(prior[seen], 1e-300)))
    return float(np.log(np.maximum(ratios @ prior, 1e-300)).sum()) + labelled


def em_prior(
    probabilities: FloatArray,
    source_prior: FloatArray,
    *,
    known: FloatArray | None = None,
    tol: float = 1e-9,
    max_iter: int = 2000,
) -> FloatArray:
    """Return the class frequencies of the target with the greatest likelihood, by EM.

    Each round is two steps of EM and one that goes on in their direction (SQUAREM, Varadhan &
    Roland 2008), taken where the likelihood does not fall.

    Parameters
    ----------
    probabilities : ndarray of shape (m, k)
        Of the classes, for rows of the target, by a model of the source.
    source_prior : ndarray of shape (k,)
        Class frequencies of the source, > 0.
    known : ndarray of shape (k,), optional
        Counts of further target rows of which the class is known.
    tol : float
        Stop when no frequency moves more in one step.

    References
    ----------
    Saerens, Latinne & Decaestecker, Neural Computation 14, 2002.
    """
    ratios = probabilities / source_prior
    known = np.zeros(len(source_prior)) if known is None else known
    total = len(ratios) + float(known.sum())

    def step(prior: FloatArray) -> FloatArray:
        inverse = 1.0 / np.maximum(ratios @ prior, 1e-300)
        result: FloatArray = (prior * (inverse @ ratios) + known) / total
        return result

    prior = source_prior / source_prior.sum()
    for _ in range(max_iter):
        one = step(prior)
        two = step(one)
        move, bend = one - prior, (two - one) - (one - prior)
        if float(np.abs(two - one).max()) <= tol:
            return two
        length = float(np.linalg.norm(move)) / max(float(np.linalg.norm(bend)), 1e-300)
        ahead = np.maximum(prior + 2 * length * move + length**2 * bend, 0.1 * two)
        ahead = step(ahead / ahead.sum())
        better = log_likelihood(ratios, ahead, known) >= log_likelihood(ratios, two, known)
        prior = ahead if better else two
    return prior


def likelihood_p(
    probabilities: FloatArray,
    source_prior: FloatArray,
    prior: FloatArray,
    known: FloatArray,
    n_source: float = np.inf,
) -> float:
    """Return the p-value of "the class frequencies are those of the source", by likelihood.

    The frequencies of the source are known from ``n_source`` rows only, so that chance moves both
    sides: the ratio is divided by ``1 + m / n_source``.
    """
    ratios = probabilities / source_prior
    start = source_prior / source_prior.sum()
    rise = log_likelihood(ratios, prior, known) - log_likelihood(ratios, start, known)
    both = 1.0 + (len(ratios) + float(known.sum())) / n_source
    return float(chi2.sf(2.0 * max(rise, 0.0) / both, len(prior) - 1))


def on_simplex(gram: FloatArray, cross: FloatArray) -> FloatArray:
    """Return the shares w (none negative, of sum 1) with the least ``w' gram w - 2 cross' w``."""
    k = len(cross)
    values, axes = np.linalg.eigh(gram)
    roots = np.sqrt(np.maximum(values, 1e-12 * max(float(values[-1]), 1e-300)))
    heavy = 1e3 * float(roots[-1])
    rows = np.vstack([(axes * roots).T, np.full((1, k), heavy)])
    found, _ = nnls(rows, np.append((axes / roots).T @ cross, heavy))
    return found / found.sum() if found.sum() > 0 else np.full(k, 1.0 / k)


def label_shift_p(
    scores: HeldOut, X: FloatArray, codes: IntArray, target: FloatArray, random_state: int | None
) -> float:
    """Return the p-value of "the target is a mixture of the classes of the source".

    Under label shift it is, whatever the mixture. Held-out scores and rows are both tested, and the
    smaller p-value counts twice (Bonferroni): scores of a two-class model are a line, on which
    nearly everything is a mixture.

    Parameters
    ----------
    scores : HeldOut
    X, target : arrays of shape (n, d) and (m, d)
        The rows themselves, scaled.
    codes : int array of shape (n,)
        Classes of the source rows.
    """
    by_scores = mixture_p(scores.source, scores.codes, scores.target, random_state)
    if by_scores <= PLAINLY:
        return 2.0 * by_scores
    by_rows = mixture_p(X, codes, target, random_state)
    return min(1.0, 2.0 * min(by_scores, by_rows))


def mixture_p(
    source: FloatArray, codes: IntArray, target: FloatArray, random_state: int | None
) -> float:
    """Return the p-value of "the points of the target are a mixture of those of the classes".

    The distance is that of kernel means (Gretton et al., JMLR 13, 2012) to the nearest mixture;
    what it is by chance is found by drawing both sides from that mixture again and finding the
    nearest mixture again, until the answer is plain (Besag & Clifford, Biometrika 78, 1991).

    Parameters
    ----------
    source, target : ndarrays of shape (n, p) and (m, p)
    codes : int array of shape (n,)
    random_state : int, optional
    """
    rng = np.random.default_rng(random_state)
    mine = _some(len(source), rng)
    present, codes = np.unique(codes[mine], return_inverse=True)
    source = source[mine].astype(np.float64)
    target = target[_some(len(target), rng)].astype(np.float64)
    spread = np.vstack([source, target]).std(axis=0)
    spread[spread <= 1e-12] = 1.0
    source, target = source / spread, target / spread
    apart = cdist(source, source, "sqeuclidean")
    width = float(np.median(apart)) or 1.0
    own, cross = _kernel(apart, width), _kernel(cdist(target, source, "sqeuclidean"), width)
    inner = float(_kernel(cdist(target, target, "sqeuclidean"), width).mean())
    members = [np.flatnonzero(codes == code) for code in range(len(present))]
    table = np.zeros((len(source), len(present)))
    for code, rows in enumerate(members):
        table[rows, code] = 1.0 / len(rows)
    seen, shares = _distance(own, table, cross.mean(axis=0), inner)
    within = table @ shares
    within /= within.sum()
    beyond = 0
    for drawn_so_far in range(1, RESAMPLES + 1):
        again = np.zeros_like(table)
        for code, rows in enumerate(members):
            again[rows, code] = rng.multinomial(len(rows), np.full(len(rows), 1.0 / len(rows)))
        drawn = rng.multinomial(len(target), within) / len(target)
        reach = own @ drawn
        found, _ = _distance(own, again / again.sum(axis=0), reach, float(drawn @ reach))
        beyond += found >= seen
        if beyond == PLAIN:
            return beyond / drawn_so_far
    return (1 + beyond) / (1 + RESAMPLES)


def _some(n: int, rng: np.random.Generator) -> IntArray:
    return np.sort(rng.permutation(n)[:MOST_ROWS])


def _kernel(square: FloatArray, width: float) -> FloatArray:
    result: FloatArray = sum(np.exp(-square / (share * width)) for share in (0.25, 1.0)) / 2.0
    return result


def _distance(
    own: FloatArray, table: FloatArray, reach: FloatArray, inner: float
) -> tuple[float, FloatArray]:
    """Return the squared distance to the nearest mixture of the columns, and its shares."""
    gram, cross = table.T @ (own @ table), table.T @ reach
    shares = on_simplex(gram, cross)
    return float(shares @ gram @ shares - 2.0 * cross @ shares + inner), shares


@dataclass(frozen=True, eq=False)
class Confusion:
    """Soft confusion of a model: what it says (rows) of each class (columns), and of the target.

    Parameters
    ----------
    joint : ndarray of shape (k, k)
        Mean probability of class i times the indicator of class j; columns sum to the prior.
    target : ndarray of shape (k,)
        Mean probabilities of target rows.
    p : float
        P-value of "the model says the same of both domains".
    """

    joint: FloatArray
    target: FloatArray
    p: float

    @property
    def smallest(self) -> float:
        """The smallest singular value of what is said of each class: 0 if two are said alike."""
        shares = self.joint / np.maximum(self.joint.sum(axis=0), TINY)
        return float(np.linalg.svd(shares, compute_uv=False)[-1])


def confusion(source: FloatArray, codes: IntArray, target: FloatArray) -> Confusion:
    """Return the soft confusion of held-out probabilities (n, k), and those of the target."""
    n, k = source.shape
    joint = np.zeros((k, k))
    for code in range(k):
        joint[:, code] = source[codes == code].sum(axis=0) / n
    mean = target.mean(axis=0)
    gap = (mean - source.mean(axis=0))[:-1]
    noise = _covariance(source)[:-1, :-1] / n + _covariance(target)[:-1, :-1] / len(target)
    statistic = float(gap @ np.linalg.pinv(noise, rcond=1e-8, hermitian=True) @ gap)
    return Confusion(joint, mean, float(chi2.sf(statistic, k - 1)))


def _covariance(rows: FloatArray) -> FloatArray:
    centred = rows - rows.mean(axis=0)
    result: FloatArray = centred.T @ centred / max(len(rows) - 1, 1)
    return result


def bbse_weights(found: Confusion) -> FloatArray:
    """Return weights w >= 0 a class with the least ``|joint w - target|``, of mean 1.

    References
    ----------
    Lipton, Wang & Smola, "Detecting and correcting for label shift with black box predictors",
    ICML 2018.
    """
    prior = found.joint.sum(axis=0)
    heavy = 1e3
    weights, _ = nnls(np.vstack([found.joint, heavy * prior]), np.append(found.target, heavy * 1.0))
    result: FloatArray = weights / float(weights @ prior)
    return result
