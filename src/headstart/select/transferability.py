"""Transferability scores: how well a frozen source may suit a task, without training on it.

They cost milliseconds where cross-validation costs seconds, and rank sources about as well as
their published quality does, not better (arXiv:2503.18528). So they are shown beside the ranking
and take no part in it. Higher is better, always; a value compares sources on the same items and
means nothing by itself.

========  ==============================================  =====================  ================
score     what it looks at                                range                  needs
========  ==============================================  =====================  ================
LogME     evidence of a Bayesian linear model             any real number        features
H-score   variance between classes over all variance      0 to classes - 1       features
GBC       overlap of the classes' Gaussians               -c (c - 1) to 0        features
LEEP      labels predicted from the source's own classes  minus infinity to 0    probabilities
NCE       labels given the likeliest source class         -log(classes) to 0     source classes
========  ==============================================  =====================  ================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, FloatArray, IntArray, Kind

Covariance = Literal["spherical", "diagonal"]
_EPS = float(np.finfo(np.float32).eps)  # features are float32: less noise is no noise (LogME)
_FLOOR = 1e-4  # least variance of a class, as a share of the variance of all items (GBC)
_PLACES = 97  # ratios at which the evidence is looked at before the best one is refined
_SUM = 1e-3  # by how much a row of probabilities may miss 1


def logme(
    features: AnyArray, labels: Sequence[Any] | AnyArray, *, kind: Kind = "classification"
) -> float:
    """Return LogME: the largest log evidence, per item, of a Bayesian linear model.

    A label is ``features @ w`` plus noise, with weights of precision alpha and noise of precision
    beta; both maximise the evidence. Each class is a target of 1 and 0, and the mean over classes
    is returned. As in the paper there is no intercept, and nothing is centred. For a given
    alpha / beta the best beta is known in closed form, so what the paper iterates to is found here
    along a line: the global maximum.

    Parameters
    ----------
    features : ndarray of shape (n, d)
        Finite numbers; n may be smaller than d.
    labels : array of shape (n,)
        At least two classes; for regression finite numbers that are not all equal.
    kind : {"classification", "regression"}

    Returns
    -------
    float
        Any real number, higher is better. Noise counts as at least float32's precision, so the
        score is finite where the features give the labels exactly.

    Raises
    ------
    DataError
        Features or labels that are not as said above.
    OptionError
        An unknown kind of task.

    References
    ----------
    You, Liu, Wang & Long, LogME: practical assessment of pre-trained models for transfer learning,
    ICML 2021.

    Examples
    --------
    >>> x = np.array([[1.0, 0.1], [0.9, 0.0], [0.0, 1.0], [0.2, 0.8]])
    >>> round(logme(x, ["a", "a", "b", "b"]), 4)
    -0.3829
    """
    kinds = get_args(Kind)
    if kind not in kinds:
        raise OptionError("unknown kind of task", where="kind", got=kind, allowed=kinds)
    x = _features(features)
    targets: FloatArray
    if kind == "classification":
        codes, n_classes = _classes(labels, len(x))
        targets = np.eye(n_classes)[codes]
    else:
        targets = _numbers(labels, len(x))[:, None]
    left, spread = _svd(x)
    inside = (left.T @ targets) ** 2
    total = (targets**2).sum(axis=0)
    outside = np.maximum(total - inside.sum(axis=0), 0.0)
    return float(
        np.mean(
            [
                _best_evidence(spread**2, inside[:, j], outside[j], total[j], len(x))
                for j in range(targets.shape[1])
            ]
        )
    )


def _best_evidence(
    strength: FloatArray, inside: FloatArray, outside: float, total: float, n: int
) -> float:
    """Return the largest log evidence an item of one target.

    Parameters
    ----------
    strength : ndarray of shape (r,)
        Squared singular values of the features.
    inside : ndarray of shape (r,)
        Squared parts of the target along the left singular vectors.
    outside, total : float
        What of the squared target lies along none of them, and all of it.
    n : int
        Number of items.
    """
    from scipy.optimize import minimize_scalar

    def evidence(log_ratio: AnyArray) -> AnyArray:
        # the target is N(0, (1 + features features' / ratio) / beta), beta at its best
        ratio = np.exp(np.atleast_1d(log_ratio))[:, None]
        misfit = outside + (inside * ratio / (ratio + strength)).sum(axis=1)
        misfit = np.maximum(misfit, total * _EPS**2)
        size = np.log1p(strength / ratio).sum(axis=1)
        return -0.5 * (math.log(2 * math.pi) + np.log(misfit / n) + 1 + size / n)

    if not len(strength):
        return float(evidence(np.zeros(1))[0])
    low, high = math.log(strength[-1]) - 20, math.log(strength[0]) + 25
    places = np.linspace(low, high, _PLACES)
    top = int(np.argmax(evidence(places)))
    bounds = (places[max(top - 1, 0)], places[min(top + 1, _PLACES - 1)])
    found = minimize_scalar(
        lambda place: -float(evidence(place)[0]), bounds=bounds, method="bounded"
    )
    return max(-float(found.fun), float(evidence(places[top])[0]))


def h_score(
    features: AnyArray, labels: Sequence[Any] | AnyArray, *, shrinkage: bool = True
) -> float:
    """Return the H-score: how much of the features' variance lies between the classes.

    ``trace(inverse(covariance of the features) @ covariance of the class means)``. Without
    shrinkage it is ``classes - 1`` for any features in general position with d >= n - 1, noise
    included; so the covariance is shrunk by Ledoit & Wolf's rule, and that of the means by as
    much, unless told otherwise.

    Parameters
    ----------
    features : ndarray of shape (n, d)
        Finite numbers; n may be smaller than d.
    labels : array of shape (n,)
        At least two classes.
    shrinkage : bool
        True: Ibrahim et al. 2021. False: Bao et al. 2019, with the pseudo-inverse.

    Returns
    -------
    float
        0 to ``classes - 1``, higher is better.

    Raises
    ------
    DataError
        Features or labels that are not as said above.

    References
    ----------
    Bao et al., An information-theoretic approach to transferability in task transfer learning,
    ICIP 2019. Ibrahim, Ponomareva & Mazumder, Newer is not always better: rethinking
    transferability metrics, their peculiarities, stability and performance, arXiv:2110.06893.

    Examples
    --------
    >>> x = np.array([[1.0, 0.1], [0.9, 0.0], [0.0, 1.0], [0.2, 0.8]])
    >>> y = ["a", "a", "b", "b"]
    >>> round(h_score(x, y, shrinkage=False), 4), round(h_score(x, y), 4)
    (0.9731, 0.9427)
    """
    x = _features(features)
    codes, n_classes = _classes(labels, len(x))
    x, left, spread = _centred(x)
    if not len(spread):
        return 0.0
    n, d = x.shape
    counts = np.bincount(codes, minlength=n_classes)
    means = (np.eye(n_classes)[codes].T @ (left * spread)) / counts[:, None]
    variance = spread**2 / n
    share = _ledoit_wolf(x, spread) if shrinkage else 0.0
    shrunk = (1 - share) * variance + share * variance.sum() / d
    between = (counts[:, None] / n * means**2).sum(axis=0)
    return float((1 - share) * (between / shrunk).sum())


def _ledoit_wolf(x: FloatArray, spread: FloatArray) -> float:
    """Return how far Ledoit & Wolf (2004) shrink the covariance of centred rows, 0 to 1."""
    n, d = x.shape
    together = (spread**4).sum() / n**2
    level = (spread**2).sum() / n / d
    noise = (((x**2).sum(axis=1) ** 2).sum() / n - together) / (d * n)
    distance = together / d - level**2
    # a single direction, or equal variances in all: there is nothing to shrink
    return float(min(noise, distance) / distance) if distance > level**2 * 1e-12 else 0.0


def gbc(
    features: AnyArray,
    labels: Sequence[Any] | AnyArray,
    *,
    covariance: Covariance = "spherical",
    components: int | None = 64,
) -> float:
    """Return GBC: minus the overlap of the classes, each taken as a Gaussian.

    The Bhattacharyya coefficients of all ordered pairs of classes, added up, with the sign turned.

    Parameters
    ----------
    features : ndarray of shape (n, d)
        Finite numbers; n may be smaller than d.
    labels : array of shape (n,)
        At least two classes.
    covariance : {"spherical", "diagonal"}
        One variance a class, or one a class and direction. None is taken to be less than 1e-4 of
        the mean variance of all items, so that a class of one item has a Gaussian too.
    components : int, optional
        First reduce to this many principal components, 64 as in the paper; None: do not.

    Returns
    -------
    float
        ``-c (c - 1)`` for c classes that coincide, to 0 for classes far apart; higher is better.

    Raises
    ------
    DataError
        Features or labels that are not as said above.
    OptionError
        An unknown covariance, or less than one component.

    References
    ----------
    Pandy, Agostinelli, Uijlings, Ferrari & Mensink, Transferability estimation using
    Bhattacharyya class separability, CVPR 2022.

    Examples
    --------
    >>> x = np.array([[1.0, 0.1], [0.4, 0.3], [0.0, 1.0], [0.7, 0.8]])
    >>> round(gbc(x, ["a", "a", "b", "b"]), 4)
    -0.5305
    """
    kinds = get_args(Covariance)
    if covariance not in kinds:
        raise OptionError("unknown covariance", where="covariance", got=covariance, allowed=kinds)
    if components is not None and components < 1:
        raise OptionError("at least 1 component", where="components", got=components)
    x = _features(features)
    codes, n_classes = _classes(labels, len(x))
    x, left, spread = _centred(x)
    if not len(spread):
        return -float(n_classes * (n_classes - 1))
    x = (left * spread)[:, :components]
    members = np.eye(n_classes)[codes]
    counts = members.sum(axis=0)[:, None]
    means = members.T @ x / counts
    variances = members.T @ (x - means[codes]) ** 2 / counts
    if covariance == "spherical":
        variances = np.repeat(variances.mean(axis=1, keepdims=True), x.shape[1], axis=1)
    variances = np.maximum(variances, _FLOOR * (x**2).mean())
    overlap = 0.0
    for one in range(n_classes - 1):
        both = (variances[one] + variances[one + 1 :]) / 2
        apart = ((means[one] - means[one + 1 :]) ** 2 / both).sum(axis=1) / 8
        unlike = np.log(both) - (np.log(variances[one]) + np.log(variances[one + 1 :])) / 2
        overlap += float(np.exp(-apart - unlike.sum(axis=1) / 2).sum())
    return -2 * overlap


def leep(probabilities: AnyArray, labels: Sequence[Any] | AnyArray) -> float:
    """Return LEEP: the mean log likelihood of the labels, given the source's own classes.

    The source's classifier says how likely each of its classes is; how often each goes with each
    label is counted over all items; the product predicts the label.

    Parameters
    ----------
    probabilities : ndarray of shape (n, z)
        What the source's own classifier says, rows that sum to 1.
    labels : array of shape (n,)
        At least two classes.

    Returns
    -------
    float
        At most 0, higher is better.

    Raises
    ------
    DataError
        Probabilities or labels that are not as said above.

    References
    ----------
    Nguyen, Hassner, Seeger & Archambeau, LEEP: a new measure to evaluate transferability of
    learned representations, ICML 2020.

    Examples
    --------
    >>> said = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7]])
    >>> round(leep(said, ["a", "a", "b", "b"]), 4)
    -0.3426
    """
    said = _features(probabilities, what="probabilities")
    if (said < 0).any() or (np.abs(said.sum(axis=1) - 1) > _SUM).any():
        row = int(np.flatnonzero((said < 0).any(axis=1) | (abs(said.sum(axis=1) - 1) > _SUM))[0])
        raise DataError(
            "probabilities must not be negative, and must add up to 1",
            where=f"probabilities, row {row}",
            got=round(float(said[row].sum()), 4),
        )
    codes, n_classes = _classes(labels, len(said))
    joint = np.eye(n_classes)[codes].T @ said
    share = joint.sum(axis=0)
    given = np.divide(joint, share, out=np.zeros_like(joint), where=share > 0)
    return float(np.log((said * given[codes]).sum(axis=1)).mean())


def nce(source_labels: Sequence[Any] | AnyArray, labels: Sequence[Any] | AnyArray) -> float:
    """Return NCE: minus the entropy of the labels once the source's class is known.

    Parameters
    ----------
    source_labels : array of shape (n,)
        The class of the source that each item is given, usually its most likely one.
    labels : array of shape (n,)
        At least two classes.

    Returns
    -------
    float
        ``-log(classes)`` to 0 (nats); higher is better. It is 0 too where every item has a source
        class of its own: with few items it flatters sources of many classes.

    Raises
    ------
    DataError
        Labels that are not as said above.

    References
    ----------
    Tran, Nguyen & Hassner, Transferability and hardness of supervised classification tasks,
    ICCV 2019.

    Examples
    --------
    >>> round(nce(["tabby", "tabby", "husky", "tabby"], ["cat", "cat", "dog", "dog"]), 4)
    -0.4774
    """
    codes, n_classes = _classes(labels, len(source_labels))
    source = np.unique(np.asarray(source_labels).astype(str), return_inverse=True)[1].reshape(-1)
    joint = np.zeros((n_classes, int(source.max()) + 1))
    np.add.at(joint, (codes, source), 1 / len(codes))
    given = joint / joint.sum(axis=0)
    return float((joint * np.log(given, out=np.zeros_like(given), where=given > 0)).sum())


def _features(values: AnyArray, *, what: str = "features") -> FloatArray:
    """Return finite numbers of shape (n, d) as float64."""
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} must be numbers", got=str(error)) from error
    if found.ndim != 2 or not found.size:
        raise DataError(f"{what} need a row for each item", got=found.shape, allowed="(n, d)")
    wrong = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(wrong):
        where = f"{what}, row {wrong[0]}"
        raise DataError(f"{what} must be finite numbers", where=where, got=f"{len(wrong)} bad rows")
    return found


def _classes(labels: Sequence[Any] | AnyArray, n: int) -> tuple[IntArray, int]:
    """Return the number of each label's class, and how many classes there are."""
    found = np.asarray(labels)
    if found.shape != (n,):
        raise DataError("labels need one entry for each item", got=found.shape, allowed=f"({n},)")
    names, codes = np.unique(found.astype(str), return_inverse=True)
    if len(names) < 2:
        raise DataError(
            "nothing can be told apart", got=names.tolist(), allowed="2 classes or more"
        )
    return codes.reshape(-1), len(names)


def _numbers(labels: Sequence[Any] | AnyArray, n: int) -> FloatArray:
    """Return finite labels that are not all equal."""
    try:
        found = np.asarray(labels, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("labels of a regression must be numbers", got=str(error)) from error
    if found.shape != (n,):
        raise DataError("labels need one entry for each item", got=found.shape, allowed=f"({n},)")
    if not np.isfinite(found).all() or np.ptp(found) == 0:
        what = "labels of a regression must be finite numbers, and not all equal"
        raise DataError(what, got=found[:3].tolist())
    return found


def _svd(x: FloatArray, size: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """Return left singular vectors (n, r) and singular values (r,), the largest first.

    ``size`` is the norm of what ``x`` was made of: what is less than its rounding errors is none.
    """
    left, spread, _ = np.linalg.svd(x, full_matrices=False)
    tolerance = max(x.shape) * np.finfo(np.float64).eps * max(float(spread[0]), size)
    rank = int((spread > tolerance).sum())
    return left[:, :rank], spread[:rank]


def _centred(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return centred rows with their singular vectors and values."""
    centred = x - x.mean(axis=0)
    return centred, *_svd(centred, float(np.linalg.norm(x)))
