"""What the predictions of a source model say: class shares of the target, and whether they explain.

Black box shift estimation: Lipton, Wang & Smola, "Detecting and correcting for label shift with
black box predictors", ICML 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.evaluate.shift_domain import FEWEST, SOURCE, TARGET, Sample, mmd

BINS = 10
MOST_CLASSES = 50
BOOT = 199
LEVEL = 0.05
WORST = 30.0
"""Condition of the confusion matrix above which shares are not estimated."""


@dataclass(frozen=True)
class ClassShare:
    """The share of one class in both domains, with a 95 % interval for the target."""

    name: str
    source: float
    target: float
    low: float
    high: float


@dataclass(frozen=True)
class LabelShift:
    """What is known of the shares of the classes.

    Parameters
    ----------
    p : float
        Of the test that the shares of predicted classes (with target labels: of the classes) are
        the same in both domains.
    counted : bool
        True where labels of the target were counted, False where predictions were.
    shares : tuple of ClassShare
        Empty where the source model cannot tell the classes well enough to estimate them.
    fit_p : float or None
        Of the test that the target's scores are a mixture of those of the source's classes. None
        where the shares do not differ or cannot be estimated.
    rest_p : float or None
        Of the test that nothing else differs once the source has the target's shares.
    """

    p: float
    counted: bool
    shares: tuple[ClassShare, ...]
    fit_p: float | None
    rest_p: float | None

    @property
    def explains(self) -> bool:
        """Whether other class shares are all the tests see (5 %, Holm)."""
        if self.fit_p is None or self.rest_p is None:
            return False
        return min(self.fit_p, self.rest_p) > 0.025 and max(self.fit_p, self.rest_p) > 0.05


@dataclass(frozen=True, eq=False)
class Scores:
    """Probabilities (N, k) by models that never saw the row, and the classes of the source."""

    probabilities: FloatArray
    codes: IntArray
    classes: AnyArray

    @property
    def guessed(self) -> IntArray:
        """The most probable class of each row."""
        return self.probabilities.argmax(axis=1)


def source_scores(sample: Sample, codes: IntArray, classes: AnyArray) -> Scores | None:
    """Return what models of the source say of rows they never saw.

    Parameters
    ----------
    sample : Sample
    codes : int array of shape (N,)
        Class of each row, -1 where there is none.
    classes : array of shape (k,)

    Returns
    -------
    Scores or None
        None where the source has fewer than 10 rows or two classes.
    """
    from sklearn.linear_model import LogisticRegression

    ours = sample.of(SOURCE)
    if len(ours) < FEWEST or len(np.unique(codes[ours])) < 2:
        return None
    found = np.zeros((len(sample.side), len(classes)))
    for learnt, held in sample.folds():
        use = learnt & (sample.side == SOURCE)
        seen = np.unique(codes[use])
        if len(seen) < 2:
            found[held, seen[0]] = 1.0
            continue
        model = LogisticRegression(C=0.1, tol=1e-3, max_iter=100)
        model.fit(sample.rows[use], codes[use])
        found[np.ix_(held, seen)] = model.predict_proba(sample.rows[held])
    return Scores(found, codes, classes)


def homogeneous(first: IntArray, second: IntArray, n_classes: int) -> float:
    """Return the p-value of the chi-square test that two samples have the same class shares.

    Classes of which fewer than 5 rows are expected on a side count as one.
    """
    from scipy.stats import chi2_contingency

    table = np.stack([np.bincount(one, minlength=n_classes) for one in (first, second)])
    total = table.sum(axis=0)
    if not (table.sum(axis=1) > 0).all():
        return 1.0
    rare = total * table.sum(axis=1).min() / table.sum() < 5
    merged = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    merged = merged[:, merged.sum(axis=0) > 0]
    if merged.shape[1] < 2:
        return 1.0
    return float(chi2_contingency(merged, correction=False).pvalue)


def label_shift(
    sample: Sample, scores: Scores, truth: IntArray | None, rng: np.random.Generator
) -> LabelShift:
    """Test for other class shares, estimate them, and ask whether they explain the shift.

    Parameters
    ----------
    sample : Sample
    scores : Scores
    truth : int array, optional
        Classes of labelled rows of the target, copies left out as in the sample: then they are
        counted.
    rng : Generator
    """
    ours, theirs = sample.of(SOURCE), sample.of(TARGET)
    k = len(scores.classes)
    real, said, told = scores.codes[ours], scores.guessed[ours], scores.guessed[theirs]
    joint = np.zeros((k, k))
    np.add.at(joint, (said, real), 1.0)
    base = joint.sum(axis=0) / joint.sum()
    counted = truth is not None and len(truth) > 0
    p = homogeneous(real if counted else said, truth if counted and truth is not None else told, k)
    solvable = k <= MOST_CLASSES and _condition(joint) <= WORST and len(theirs) > 0
    shares: FloatArray | None = None
    spread: tuple[FloatArray, FloatArray] | None = None
    if counted and truth is not None:
        shares, spread = _counted(truth, k)
    elif solvable:
        guesses = np.bincount(told, minlength=k) / len(told)
        shares = estimate_shares(joint, guesses)
        spread = _bootstrapped(joint, guesses, len(told), rng)
    named: tuple[ClassShare, ...] = ()
    if shares is not None and spread is not None:
        columns = zip(scores.classes, base, shares, *spread, strict=True)
        named = tuple(
            ClassShare(str(name), float(own), float(q), float(low), float(high))
            for name, own, q, low, high in columns
        )
    fit, rest = None, None
    if p <= LEVEL and solvable and shares is not None:
        fit = _mixture(scores, ours, theirs, rng)
        picked = _with_shares(real, shares, rng)
        rest = mmd(sample.rows[ours[picked]], sample.rows[theirs], rng)[1]
    return LabelShift(p, counted, named, fit, rest)


def estimate_shares(joint: FloatArray, guesses: FloatArray) -> FloatArray:
    """Return the class shares of the target, by inverting the source's confusion matrix.

    Parameters
    ----------
    joint : array of shape (k, k)
        How often class i was said where class j was true, on held-out rows of the source.
    guesses : array of shape (k,)
        How often each class is said in the target, summing to 1.

    Examples
    --------
    >>> joint = np.array([[45.0, 10.0], [5.0, 40.0]])
    >>> estimate_shares(joint, np.array([0.34, 0.66])).round(3).tolist()
    [0.2, 0.8]
    """
    seen = joint.sum(axis=0) > 0
    rates = joint[:, seen] / joint[:, seen].sum(axis=0)
    found = np.zeros(joint.shape[1])
    found[seen] = np.maximum(np.linalg.lstsq(rates, guesses, rcond=None)[0], 0.0)
    total = found.sum()
    result: FloatArray = found / total if total > 0 else joint.sum(axis=0) / joint.sum()
    return result


def _condition(joint: FloatArray) -> float:
    seen = joint.sum(axis=0) > 0
    rates = joint[:, seen] / joint[:, seen].sum(axis=0)
    values = np.linalg.svd(rates, compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0 else np.inf


def _counted(truth: IntArray, k: int) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Return exact shares and Wilson's intervals."""
    n, z = len(truth), 1.959964
    shares = np.bincount(truth, minlength=k) / n
    centre = (shares + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(shares * (1 - shares) / n + z**2 / (4 * n**2))
    return shares, (np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0))


def _bootstrapped(
    joint: FloatArray, guesses: FloatArray, m: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return percentile intervals of the estimated shares; both samples are drawn again."""
    n = int(joint.sum())
    tables = rng.multinomial(n, (joint / n).ravel(), size=BOOT).reshape(BOOT, *joint.shape)
    others = rng.multinomial(m, guesses, size=BOOT) / m
    found = [
        estimate_shares(table.astype(float), other)
        for table, other in zip(tables, others, strict=True)
    ]
    low, high = np.percentile(found, [2.5, 97.5], axis=0)
    return low, high


def _with_shares(real: IntArray, shares: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return places of as many rows as can be had with these class shares, each row once."""
    counts = np.bincount(real, minlength=len(shares))
    wanted = shares > 0
    total = float((counts[wanted] / shares[wanted]).min()) if (counts[wanted] > 0).all() else 0.0
    # a rare class that is wanted often would leave hardly a row: then it is cut short
    total = max(total, min(100.0, float(len(real))))
    places = []
    for code in np.flatnonzero(wanted & (counts > 0)):
        mine = np.flatnonzero(real == code)
        size = min(len(mine), round(total * float(shares[code])))
        places.append(rng.choice(mine, size, replace=False))
    return np.sort(np.concatenate(places)) if places else np.arange(0)


def _mixture(scores: Scores, ours: IntArray, theirs: IntArray, rng: np.random.Generator) -> float:
    """Return the p-value of the hypothesis that the target's scores mix those of the classes.

    The distance is a chi-square over bins of each class's probability; its distribution comes from
    a bootstrap in which the target is such a mixture and the shares are estimated again.
    """
    from scipy.sparse import csr_matrix

    k, real, said = len(scores.classes), scores.codes[ours], scores.guessed[ours]
    top = np.sort(np.argsort(-np.bincount(real, minlength=k), kind="stable")[:BINS])
    binned = _bins(scores.probabilities[:, top], np.concatenate([ours, theirs]))
    hot = csr_matrix(
        (
            np.ones(binned.size),
            (np.repeat(np.arange(len(binned)), len(top)), binned.ravel()),
        ),
        shape=(len(binned), len(top) * BINS),
    )
    n, m = len(ours), len(theirs)
    guess = csr_matrix(
        (np.ones(len(scores.codes)), (np.arange(len(scores.codes)), scores.guessed)),
        shape=(len(scores.codes), k),
    )
    rows = [ours[real == code] for code in range(k)]
    ours_hot, ours_said = hot[ours].T.tocsr(), guess[ours].T.tocsr()

    def distance(weights: FloatArray, bins: FloatArray, guesses: FloatArray) -> Any:
        """Of source rows with these weights from a target with these bins and guesses."""
        joint = np.zeros((k, k))
        np.add.at(joint, (said, real), weights)
        shares = estimate_shares(joint, guesses / guesses.sum())
        total = joint.sum(axis=0)
        each = np.divide(shares, total, out=np.zeros(k), where=total > 0)
        expected = ours_hot @ (weights * each[real]) * bins.sum() / len(top)
        return ((bins - expected) ** 2 / np.maximum(expected + bins, 1.0)).sum(), each

    plain, target_bins = np.ones(n), np.asarray(hot[theirs].sum(axis=0)).ravel()
    measured, each = distance(plain, target_bins, np.asarray(guess[theirs].sum(axis=0)).ravel())
    chance = each[real]
    if chance.sum() <= 0 or not any(len(one) for one in rows):
        return 1.0
    beaten = 0
    for again, other in zip(
        rng.multinomial(n, np.full(n, 1 / n), size=BOOT),
        rng.multinomial(m, chance / chance.sum(), size=BOOT),
        strict=True,
    ):
        value, _ = distance(again.astype(float), ours_hot @ other, ours_said @ other)
        beaten += value >= measured
    return (1 + int(beaten)) / (BOOT + 1)


def _bins(values: FloatArray, rows: IntArray) -> IntArray:
    """Return in which tenth of the rows each value lies, columns numbered on."""
    found = np.empty(values.shape, np.int64)
    for column in range(values.shape[1]):
        edges = np.quantile(values[rows, column], np.arange(1, BINS) / BINS)
        found[:, column] = np.searchsorted(edges, values[:, column]) + column * BINS
    return found
