"""Metrics computed for many weightings of the items at once.

``compiled(metric, truth, predictions)`` does once what does not depend on the weights and returns
a function from weights of shape (n, b) to b values. With all weights 1 the values equal those of
``sklearn.metrics``; with weights they equal its ``sample_weight``.

A class that has no weight in a resample is left out of the average over classes there, as it
would be if that resample were all the data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.evaluate.metrics import METRICS, find_metric
from headstart.evaluate.predictions import Predictions

Compiled = Callable[[FloatArray], FloatArray]

EXACT_AUC = 30_000
"""Largest items x classes for which the ROC AUC of a resample is computed from its ranks."""


def compiled(metric: str, truth: AnyArray, predictions: Predictions) -> Compiled:
    """Prepare a metric for these predictions.

    Parameters
    ----------
    metric : str
        A key of ``METRICS``.
    truth : ndarray of shape (n,)
        True classes, or float values for regression.
    predictions : Predictions
        Of length n.

    Returns
    -------
    function
        From weights of shape (n, b), at least 0, to b values of the metric; NaN where a resample
        leaves it undefined (one class for roc_auc, one value for r2).

    Raises
    ------
    UnknownNameError
        If there is no such metric.
    OptionError
        If the metric is for the other kind of task, or needs probabilities and there are none.
    DataError
        If lengths differ, a value is not a finite number, or the truth leaves the metric undefined.
    """
    truth = np.asarray(truth)
    kind = _kind(truth)
    found = find_metric(metric) if kind is None else find_metric(metric, kind)
    if len(truth) != len(predictions):
        raise DataError(
            "truth and predictions differ in length", got=len(predictions), allowed=[len(truth)]
        )
    if found.needs == "probabilities" and predictions.probabilities is None:
        raise OptionError(
            f"the metric {metric!r} needs probabilities, and this model gives none",
            where="--metric",
            got=metric,
            allowed=[m.name for m in METRICS.values() if m.needs == "labels"],
        )
    if found.needs == "values":
        return _values(metric, _floats(truth, "truth"), _floats(predictions.labels, "predictions"))
    if metric == "log_loss":
        return _mean(_log_losses(truth.astype(str), predictions))
    if metric == "roc_auc":
        return _roc_auc(truth.astype(str), predictions)
    names, codes = np.unique(
        np.concatenate([truth.astype(str), predictions.labels.astype(str)]), return_inverse=True
    )
    actual, said = codes[: len(truth)], codes[len(truth) :]
    if metric == "accuracy":
        return _mean((actual == said).astype(float))
    return _per_class(metric, actual, said, len(names))


def value(metric: str, truth: AnyArray, predictions: Predictions) -> float:
    """Return the metric of these predictions, without an interval.

    Raises
    ------
    UnknownNameError, OptionError, DataError
        As ``compiled``.

    Examples
    --------
    >>> value("accuracy", np.array(["a", "b"]), Predictions(np.array(["a", "a"])))
    0.5
    """
    return float(compiled(metric, truth, predictions)(np.ones((len(truth), 1)))[0])


def _kind(truth: AnyArray) -> Any:
    if truth.dtype.kind == "f":
        return "regression"
    return "classification" if truth.dtype.kind in "OUSb" else None


def _floats(values: AnyArray, where: str) -> FloatArray:
    try:
        out = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        out = np.full(len(values), np.nan)
    bad = ~np.isfinite(out)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            "a regression metric needs finite numbers",
            where=f"{where}, item {row}",
            got=values[row],
            allowed="finite numbers",
        )
    return out


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    out = np.full(np.broadcast(top, bottom).shape, np.nan)
    return np.divide(top, bottom, out=out, where=bottom > 0)


def _mean(losses: FloatArray) -> Compiled:
    return lambda weights: _ratio(losses @ weights, weights.sum(axis=0))


def _average(values: FloatArray) -> FloatArray:
    """Mean over classes (axis 0) of what is defined; NaN where nothing is."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(float))


def _membership(codes: IntArray, k: int, keep: AnyArray | None = None) -> Any:
    """Return the sparse (k, n) matrix with 1 where item j is of class i (and kept)."""
    from scipy.sparse import csr_matrix

    rows = np.arange(len(codes))
    if keep is not None:
        rows = rows[keep]
    return csr_matrix((np.ones(len(rows)), (codes[rows], rows)), shape=(k, len(codes)))


def _per_class(metric: str, actual: IntArray, said: IntArray, k: int) -> Compiled:
    support, hits = _membership(actual, k), _membership(actual, k, actual == said)
    if metric == "balanced_accuracy":
        return lambda weights: _average(_ratio(hits @ weights, support @ weights))
    both = support + _membership(said, k)
    return lambda weights: _average(_ratio(2 * (hits @ weights), both @ weights))


def _aligned(truth: AnyArray, predictions: Predictions) -> tuple[IntArray, FloatArray]:
    """Return truth as codes, and probabilities with a column for every class of truth, sorted."""
    assert predictions.probabilities is not None
    names, codes = np.unique(truth, return_inverse=True)
    column = {name: j for j, name in enumerate(predictions.classes)}
    out = np.zeros((len(truth), len(names)))
    for j, name in enumerate(names):
        if str(name) in column:
            out[:, j] = predictions.probabilities[:, column[str(name)]]
    bad = ~np.isfinite(out).all(axis=1)
    if bad.any():
        raise DataError(
            "a probability is not a finite number", where=f"item {int(np.flatnonzero(bad)[0])}"
        )
    return codes, out


def _log_losses(truth: AnyArray, predictions: Predictions) -> FloatArray:
    codes, probabilities = _aligned(truth, predictions)
    eps = np.finfo(np.float64).eps
    given = np.clip(probabilities[np.arange(len(truth)), codes], eps, 1 - eps)
    return np.asarray(-np.log(given))


def _roc_auc(truth: AnyArray, predictions: Predictions) -> Compiled:
    codes, scores = _aligned(truth, predictions)
    k = scores.shape[1]
    if k < 2:
        raise DataError(
            "roc_auc needs at least two classes among the items it is measured on", got=k
        )
    if k == 2:
        codes, scores = (codes == 1).astype(np.int64), scores[:, 1:]
        targets: list[AnyArray] = [codes == 1]
    else:
        targets = [codes == c for c in range(k)]
    parts = [_Ranked(target, scores[:, j]) for j, target in enumerate(targets)]
    if len(truth) * len(parts) <= EXACT_AUC:
        return lambda weights: _average(np.stack([part.exact(weights) for part in parts]))
    return _projected(parts)


class _Ranked:
    """One class against the rest, its items in the order of their scores."""

    def __init__(self, positive: AnyArray, scores: FloatArray) -> None:
        self.order = np.argsort(scores, kind="stable")
        self.positive = positive[self.order]
        ranked = scores[self.order]
        first = np.concatenate([[True], ranked[1:] != ranked[:-1]])
        starts = np.flatnonzero(first)
        tie = np.cumsum(first) - 1
        ends = np.append(starts[1:], len(ranked))
        self.start, self.end = starts[tie], ends[tie]

    def below(self, weights: FloatArray, rows: AnyArray) -> FloatArray:
        """Weight with a lower score than each of ``rows``, ties counted half."""
        total = np.concatenate([np.zeros((1, weights.shape[1])), np.cumsum(weights, axis=0)])
        return np.asarray((total[self.start[rows]] + total[self.end[rows]]) / 2)

    def exact(self, weights: FloatArray) -> FloatArray:
        """AUC under each weighting, (b,)."""
        ranked = weights[self.order]
        yes = ranked[self.positive]
        below = self.below(np.where(self.positive[:, None], 0.0, ranked), self.positive)
        positives = yes.sum(axis=0)
        return _ratio((yes * below).sum(axis=0), positives * (ranked.sum(axis=0) - positives))

    def components(self) -> FloatArray:
        """DeLong's structural components, (n,), in the order of the items."""
        ones = self.positive.astype(float)[:, None]
        everything = np.ones(len(self.order), dtype=bool)
        below_no = self.below(1 - ones, everything)[:, 0] / (1 - ones).sum()
        below_yes = self.below(ones, everything)[:, 0] / ones.sum()
        out = np.empty(len(self.order))
        out[self.order] = np.where(self.positive, below_no, 1 - below_yes)
        return out


def _projected(parts: list[_Ranked]) -> Compiled:
    """AUC of large data: its projection on the items (DeLong, DeLong & Clarke-Pearson 1988).

    Exact where all weights are equal; the terms left out are of the order of one over the number
    of items of a class.
    """
    from scipy.sparse import csr_matrix

    components = np.stack([part.components() for part in parts])
    positive = np.zeros(components.shape)
    for j, part in enumerate(parts):
        positive[j, part.order] = part.positive
    no = components * (1 - positive)
    auc = ((components * positive).sum(axis=1) / positive.sum(axis=1))[:, None]
    yes, member = csr_matrix(components * positive), csr_matrix(positive)

    def weighted(weights: FloatArray) -> FloatArray:
        total, ones = weights.sum(axis=0), member @ weights
        return _average(_ratio(yes @ weights, ones) + _ratio(no @ weights, total - ones) - auc)

    return weighted


def _values(metric: str, truth: FloatArray, said: FloatArray) -> Compiled:
    if metric == "mae":
        return _mean(np.abs(truth - said))
    squares = (truth - said) ** 2
    if metric == "rmse":
        mean = _mean(squares)
        return lambda weights: np.sqrt(mean(weights))
    centred = truth - truth.mean()
    if not (centred**2).any():
        raise DataError("r2 is undefined where all true values are the same", got=truth[0])

    def r2(weights: FloatArray) -> FloatArray:
        total = weights.sum(axis=0)
        spread = (centred**2) @ weights - _ratio((centred @ weights) ** 2, total)
        spread[spread <= 1e-12 * (centred**2).max() * total] = 0.0
        return np.asarray(1.0 - _ratio(squares @ weights, spread))

    return r2
