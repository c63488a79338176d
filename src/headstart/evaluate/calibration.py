"""Calibrated confidence: fitted on predictions for items that the model had not seen.

A model that says 0.9 should be right nine times of ten. One temperature for all classes (Guo et
al., ICML 2017) is fitted by log loss on out-of-fold probabilities; it never changes a label. A
bias for each class beside it (bias-corrected temperature scaling, Alexandari et al., ICML 2020) is
taken only where it lowers the log loss clearly. Whether either helps is measured across parts of
the items, each judged by what the others fitted; where it does not help, nothing is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from headstart.core.types import AnyArray, FloatArray, IntArray, Score
from headstart.evaluate.predictions import Predictions
from headstart.evaluate.resample import resamples, units
from headstart.strategies.calibrated import Calibration, log_probabilities, softmax
from headstart.strategies.temper import log_loss, sharpness

FEWEST = 40
"""Out-of-fold items below which nothing is calibrated."""
FEWEST_OF_CLASS = 10
"""Items of each class below which no bias is tried."""
MOST_CELLS = 500_000
"""Items times classes above which no bias is tried: it would take long."""
PARTS = 5
CLEAR = 2.0
"""Standard errors by which a bias must lower the log loss below that of the temperature alone."""
PENALTY = 1e-3
"""Of the squared bias, for each item: a class that says nothing has no bias."""
BINS = 15


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What calibration found.

    Parameters
    ----------
    calibration : Calibration or None
        None where nothing is changed.
    why : str
    n : int
        Items it was fitted on.
    ece_before, ece_after, brier_before, brier_after : Score or None
        Expected calibration error and Brier score with their 95 % intervals; those after it are
        of items that did not fit it. None where there were too few items.
    held : ndarray of shape (n, k) or None
        The calibrated probabilities, of each item by what the other parts fitted; None where
        nothing is changed.
    """

    calibration: Calibration | None
    why: str
    n: int
    ece_before: Score | None = None
    ece_after: Score | None = None
    brier_before: Score | None = None
    brier_after: Score | None = None
    held: FloatArray | None = None

    @property
    def method(self) -> str:
        """``none``, ``temperature`` or ``bias-corrected temperature``."""
        if self.calibration is None:
            return "none"
        return "temperature" if self.calibration.bias is None else "bias-corrected temperature"


def fit_temperature(probabilities: FloatArray, codes: IntArray) -> float:
    """Return the temperature with the least log loss.

    Parameters
    ----------
    probabilities : ndarray of shape (n, k)
        Of items that the model had not seen.
    codes : ndarray of shape (n,), int
        The true columns. Items whose class has probability 0 tell nothing and are left out: the
        model did not know the class.

    Returns
    -------
    float
        The truth is smoothed by one part in n + 2, so that items without an error do not make the
        model certain (Platt 1999).

    References
    ----------
    Guo, Pleiss, Sun & Weinberger, ICML 2017.

    Examples
    --------
    >>> sure = np.tile([0.99, 0.01], (100, 1))
    >>> round(fit_temperature(sure, np.arange(100) % 5 // 4), 1)
    3.4
    """
    known = _known(probabilities, codes)
    if not known.any():
        return 1.0
    return 1.0 / sharpness(log_probabilities(probabilities[known]), codes[known])


def fit_bias(probabilities: FloatArray, codes: IntArray) -> Calibration:
    """Return the temperature and the biases that together have the least log loss.

    Parameters
    ----------
    probabilities, codes
        As for ``fit_temperature``.

    References
    ----------
    Alexandari, Kundaje & Shrikumar, ICML 2020.
    """
    known = _known(probabilities, codes)
    logs, own = log_probabilities(probabilities[known]), codes[known]
    n, k = logs.shape
    hit = np.zeros((n, k))
    hit[np.arange(n), own] = 1.0

    def loss(free: FloatArray) -> tuple[float, FloatArray]:
        factor, bias = np.exp(free[0]), free[1:]
        scores = factor * logs + bias
        rest = (softmax(scores) - hit) / n
        slope = np.concatenate([[factor * (rest * logs).sum()], rest.sum(axis=0)])
        slope[1:] += 2.0 * PENALTY * bias
        return log_loss(scores, own) + PENALTY * float(bias @ bias), slope

    start = np.zeros(k + 1)
    start[0] = -np.log(fit_temperature(probabilities, codes))
    bounds = [(-5.0, 5.0), *([(-10.0, 10.0)] * k)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    bias = found.x[1:] - found.x[1:].mean()
    return Calibration(float(np.exp(-found.x[0])), bias)


def calibrate(
    truth: AnyArray,
    predictions: Predictions,
    *,
    groups: IntArray | None = None,
    parts: IntArray | None = None,
    seed: int = 0,
) -> Calibrated:
    """Calibrate by predictions for items that the model had not seen, where that helps.

    Parameters
    ----------
    truth : ndarray of shape (n,)
        True classes.
    predictions : Predictions
        Of length n, with probabilities.
    groups : ndarray of shape (n,), optional
        Items of one group are not independent; whole groups are drawn, and parts split none.
    parts : ndarray of shape (n,), int, optional
        Which items are judged together, as the folds; by default five, dealt by content.
    seed : int
        Of the bootstrap behind the intervals.
    """
    n = len(truth)
    if predictions.probabilities is None or len(predictions.classes) < 2:
        return Calibrated(None, "there are no probabilities of classes", n)
    if n < FEWEST:
        return Calibrated(None, f"{n} out-of-fold items are too few, {FEWEST} are needed", n)
    column = {name: j for j, name in enumerate(predictions.classes)}
    codes = np.array([column[str(name)] for name in truth], dtype=np.int64)
    known = np.asarray(predictions.probabilities, dtype=np.float64)
    dealt = _parts(known, codes, groups, parts)
    fitted = {"temperature": _held_out(known, codes, dealt, biased=False)}
    if _bias_may_help(known, codes):
        fitted["bias"] = _held_out(known, codes, dealt, biased=True)
    told = _known(known, codes)
    before = _losses(known, codes, told)
    losses = {name: _losses(found, codes, told) for name, found in fitted.items()}
    chosen, why = _choose(before, losses, groups)
    after = fitted.get(chosen, known)
    right = (predictions.labels.astype(str) == truth.astype(str)).astype(float)
    measured = [
        measure(values, right if name == "ece" else codes, name, groups=groups, seed=seed)
        for name in ("ece", "brier")
        for values in ((known.max(axis=1), after.max(axis=1)) if name == "ece" else (known, after))
    ]
    best: Calibration | None = None
    if chosen == "temperature":
        best = Calibration(fit_temperature(known, codes))
    elif chosen == "bias":
        best = fit_bias(known, codes)
    held = None if best is None else after
    return Calibrated(best, why, n, measured[0], measured[1], measured[2], measured[3], held)


def measure(
    values: FloatArray,
    truth: AnyArray,
    name: str,
    *,
    groups: IntArray | None = None,
    seed: int = 0,
    n_boot: int = 500,
) -> Score:
    """Measure how well probabilities mean what they say, with a 95 % interval.

    Parameters
    ----------
    values : ndarray of shape (n,) or (n, k)
        For ``ece`` the confidence of each item, for ``brier`` the probabilities.
    truth : ndarray of shape (n,)
        For ``ece`` 1 where the item is right and 0 where not, for ``brier`` the true columns.
    name : {"ece", "brier"}
    groups : ndarray of shape (n,), optional
    seed, n_boot : int
        Of the bootstrap over items or groups behind the interval.
    """
    from scipy.special import stdtrit

    drawn = units(len(truth), groups)
    if name == "ece":
        bins = equal_bins(values)
        gap = np.zeros((len(truth), int(bins.max()) + 1))
        gap[np.arange(len(truth)), bins] = np.asarray(truth, dtype=float) - values

        def value(weights: FloatArray) -> FloatArray:
            found: FloatArray = np.abs(gap.T @ weights).sum(axis=0) / weights.sum(axis=0)
            return found
    else:
        own = values[np.arange(len(truth)), truth]
        each = (values**2).sum(axis=1) - 2.0 * own + 1.0

        def value(weights: FloatArray) -> FloatArray:
            found: FloatArray = (each @ weights) / weights.sum(axis=0)
            return found

    estimate = float(value(np.ones((len(truth), 1)))[0])
    boot = np.concatenate([value(w) for w in resamples(drawn, n_boot, seed)])
    half = float(stdtrit(max(drawn.effective - 1, 1.0), 0.975)) * float(boot.std())
    return Score(name, estimate, max(0.0, estimate - half), estimate + half, len(truth))


def expected_calibration_error(confidence: FloatArray, right: AnyArray, bins: int = BINS) -> float:
    """Return the mean gap between confidence and share of right answers, over bins of equal mass.

    Parameters
    ----------
    confidence : ndarray of shape (n,)
        0 to 1.
    right : ndarray of shape (n,), bool
    bins : int
        At most; items of the same confidence share a bin.

    References
    ----------
    Nguyen & O'Connor, EMNLP 2015 (equal mass); Naeini, Cooper & Hauskrecht, AAAI 2015.

    Examples
    --------
    >>> expected_calibration_error(np.array([0.8] * 10), np.arange(10) < 6)
    0.2
    """
    gap = np.asarray(right, dtype=float) - confidence
    total = np.abs(np.bincount(equal_bins(confidence, bins), weights=gap)).sum()
    return round(float(total) / len(gap), 12)


def equal_bins(confidence: FloatArray, bins: int = BINS) -> IntArray:
    """Return the bin of each item: about as many items in each, equal values together."""
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    found: IntArray = np.searchsorted(np.unique(edges), confidence, side="left")
    return found


def _known(probabilities: FloatArray, codes: IntArray) -> AnyArray:
    """Return which items the model could have been right about."""
    found: AnyArray = probabilities[np.arange(len(codes)), codes] > 0.0
    return found


def _losses(probabilities: FloatArray, codes: IntArray, told: AnyArray) -> FloatArray:
    """Return the log loss of each item; nothing for those that the model could not be right on."""
    result: FloatArray = -log_probabilities(probabilities)[np.arange(len(codes)), codes]
    return np.where(told, result, 0.0)


def _bias_may_help(probabilities: FloatArray, codes: IntArray) -> bool:
    counts = np.bincount(codes, minlength=probabilities.shape[1])
    return bool(counts.min() >= FEWEST_OF_CLASS and probabilities.size <= MOST_CELLS)


def _parts(
    probabilities: FloatArray,
    codes: IntArray,
    groups: IntArray | None,
    parts: IntArray | None,
) -> IntArray:
    """Return the part of each item: as given, or five that do not hang on the order of items."""
    if parts is not None and len(np.unique(parts)) > 1:
        return np.unique(parts, return_inverse=True)[1]
    if groups is not None:
        return np.asarray(np.unique(groups, return_inverse=True)[1] % PARTS)
    order = np.lexsort((probabilities.max(axis=1), codes))
    dealt = np.empty(len(codes), dtype=np.int64)
    dealt[order] = np.arange(len(codes)) % PARTS
    return dealt


def _held_out(
    probabilities: FloatArray, codes: IntArray, parts: IntArray, *, biased: bool
) -> FloatArray:
    """Return calibrated probabilities, each part's by what the others fitted."""
    found = np.empty(probabilities.shape)
    for part in np.unique(parts):
        own, rest = parts == part, parts != part
        if biased:
            fitted = fit_bias(probabilities[rest], codes[rest])
        else:
            fitted = Calibration(fit_temperature(probabilities[rest], codes[rest]))
        found[own] = fitted.apply(probabilities[own])
    return found


def _choose(
    before: FloatArray, losses: dict[str, FloatArray], groups: IntArray | None
) -> tuple[str, str]:
    """Return what to take, and why."""
    names = {"temperature": "a temperature", "bias": "a temperature and a bias for each class"}
    lower, error = _lead(before, losses["temperature"], groups)
    best, base = ("temperature", losses["temperature"]) if lower > error else ("none", before)
    if "bias" in losses:
        more, its_error = _lead(base, losses["bias"], groups)
        if more > CLEAR * its_error and more > 0:
            best = "bias"
    if best == "none":
        return best, f"the log loss of {before.mean():.4f} does not fall by it"
    after = losses[best].mean()
    return best, f"{names[best]} lowers the log loss from {before.mean():.4f} to {after:.4f}"


def _lead(before: FloatArray, after: FloatArray, groups: IntArray | None) -> tuple[float, float]:
    """Return by how much a loss falls, and the standard error of that."""
    falls = before - after
    drawn = units(len(falls), groups)
    sums = np.bincount(drawn.of_item, weights=falls - falls.mean())
    spread = float(np.sqrt((sums**2).sum())) / len(falls)
    return float(falls.mean()), spread
