"""Makes a gallery of training rows: class means, their sharpness, and the rates of pairs."""

from __future__ import annotations

import numpy as np

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.gallery import Gallery
from headstart.strategies.temper import sharpness
from headstart.strategies.unit import LONE_SHARPNESS, UnitMeans, class_sums, unit_means

MOST_ROWS = 800  # rows that make pairs: classes evenly
MOST_CLASSES = 200  # classes whose rows make pairs, evenly spaced: of each, four rows or more
RATES = np.array([0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001])


def gallery_of(X: AnyArray, codes: IntArray, n_classes: int) -> Gallery:
    """Return the gallery of (n, d) training rows with their classes, each of which has a row.

    The rates of pairs are those of classes that the model was not centred on: the pairs of each
    class, with others and with itself, are compared about the mean of the other classes' means
    (leave one class out).

    Parameters
    ----------
    X : ndarray of shape (n, d)
    codes : ndarray of shape (n,), int
    n_classes : int
    """
    found = unit_means(np.asarray(X), codes, n_classes)
    within = _within(found)
    between, same = pair_similarities(np.asarray(X), codes, n_classes)
    return Gallery(
        centre=found.centre.astype(np.float32),
        means=found.means.astype(np.float32),
        counts=found.counts.astype(np.int64),
        scale=np.array([_sharp(found, within), within]),
        pairs=np.array([len(between), len(same)]),
        rates=rates_of(between, same),
        equal=equal_error(between, same),
    )


def _within(found: UnitMeans) -> float:
    """Return the mean squared distance of a row to the true mean of its class."""
    judged = found.judged
    if not len(judged):
        return 0.0
    away = found.rows[judged] - found.means[found.codes[judged]]
    free = len(judged) - len(np.unique(found.codes[judged]))
    return float((away**2).sum() / free)


def _sharp(found: UnitMeans, within: float) -> float:
    """Return the sharpness with the least log loss when each row is left out of its class mean."""
    judged = found.judged
    if not len(judged):
        return LONE_SHARPNESS
    own = found.codes[judged]
    scores = found.left_out() + within / found.counts
    scores[np.arange(len(own)), own] += (
        within / (found.counts[own] - 1) - within / found.counts[own]
    )
    return sharpness(scores, own)


def pair_similarities(
    X: FloatArray, codes: IntArray, n_classes: int
) -> tuple[FloatArray, FloatArray]:
    """Return the sorted cosines of pairs of two classes, and of pairs of one, each pair once.

    Two items of two classes are compared about the centre of all classes but that of the first.
    Of more than MOST_CLASSES classes, so many, evenly spaced, are compared.
    """
    if n_classes < 2:
        return np.empty(0), np.empty(0)
    sums = class_sums(X, codes, n_classes)
    means = sums / np.bincount(codes, minlength=n_classes)[:, None]
    middle = means.mean(axis=0)
    compared = np.linspace(0, n_classes - 1, min(n_classes, MOST_CLASSES)).astype(int)
    some = np.flatnonzero(np.isin(codes, compared))
    own = np.searchsorted(compared, codes[some])
    kept = _evenly(own, len(compared))
    rows, own = X[some[kept]].astype(np.float64) - middle, own[kept]
    centres = (middle - means[compared]) / (n_classes - 1)  # of the others, from the middle
    products, onto = rows @ rows.T, rows @ centres.T
    between, same = [], []
    for label in range(len(compared)):
        mine = np.flatnonzero(own == label)
        shift = onto[:, label]
        square = float(centres[label] @ centres[label])
        length = np.sqrt(np.maximum(np.diag(products) - 2.0 * shift + square, 0.0))
        length[length == 0.0] = 1.0
        cosines = products[mine] - shift[mine][:, None] - shift + square
        cosines /= length[mine][:, None] * length
        between.append(cosines[:, own > label].ravel())
        same.append(cosines[:, mine][np.triu_indices(len(mine), 1)])
    return np.sort(np.concatenate(between)), np.sort(np.concatenate(same))


def _evenly(codes: IntArray, n_classes: int) -> IntArray:
    """Return the places of at most MOST_ROWS rows (one a class at least), the first of each."""
    each = max(1, MOST_ROWS // n_classes)
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=n_classes)
    within = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(order[within < each])


def rates_of(between: FloatArray, same: FloatArray) -> FloatArray:
    """Return (m, 3) rates: accepted of two classes, the similarity, rejected of one class.

    A threshold for a rate is passed by so few pairs that one more, drawn like the others, passes
    it with at most that chance; rates that the number of pairs cannot show are left out.
    """
    n, found = len(between), []
    for rate in RATES:
        passing = int(np.floor(rate * (n + 1) + 1e-9)) - 1  # pairs that may lie above
        if passing < 0:
            break
        threshold = float(np.nextafter(between[n - 1 - passing], np.inf))
        rejected = np.searchsorted(same, threshold) / len(same) if len(same) else np.nan
        found.append((rate, threshold, rejected))
    return np.array(found).reshape(-1, 3)


def equal_error(between: FloatArray, same: FloatArray) -> FloatArray:
    """Return the rate of error where both kinds are equal, and the similarity there."""
    if not len(between) or not len(same):
        return np.full(2, np.nan)
    at = np.unique(np.concatenate([between, same]))
    accepted = 1.0 - np.searchsorted(between, at) / len(between)
    rejected = np.searchsorted(same, at) / len(same)
    place = int(np.argmin(np.abs(accepted - rejected)))
    return np.array([(accepted[place] + rejected[place]) / 2.0, at[place]])
