"""With some labels of the target: a paired test decides, and what chose does not judge.

Every candidate predicts the labelled rows without having seen their labels (cross-fitting), so the
same labels may compare all of them. The winner's score is corrected for having been picked by
bootstrap bias-corrected cross-validation (``select.corrected``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.core.errors import DataError, UnknownNameError
from headstart.core.types import AnyArray, FloatArray, Gain, IntArray, Score
from headstart.evaluate import Predictions, find_metric, gain, labels_to_settle, score
from headstart.evaluate.shift_domain import equal_rows
from headstart.select.circular import split
from headstart.select.corrected import corrected

SOURCE_ONLY = "source-only"
LEVEL = 0.05
FEWEST = 10
"""Labelled rows below which no test is made."""


@dataclass(frozen=True)
class Compared:
    """One candidate on the labelled rows of the target.

    Parameters
    ----------
    name : str
    score : Score
        By the metric of the comparison.
    gain : Gain
        Over source-only, on the same rows.
    p : float
        McNemar's exact test that it is right as often as source-only; of numbers the sign-flip
        test that its squared errors are as large.
    p_adjusted : float
        After Holm's correction for all candidates.
    labels_to_settle : int or None
        How many labels would settle whether it is better; None where that is settled or hopeless.
    """

    name: str
    score: Score
    gain: Gain
    p: float
    p_adjusted: float
    labels_to_settle: int | None

    @property
    def negative_transfer(self) -> tuple[float, float, float]:
        """Risk with adaptation less risk without: estimate, low and high; above 0 is harm."""
        return -self.gain.estimate, -self.gain.high, -self.gain.low


@dataclass(frozen=True)
class Comparison:
    """Candidates on the labelled rows of the target.

    Parameters
    ----------
    best : str
        The candidate with the best score.
    settled : str or None
        The best of those that are better than source-only beyond chance; source-only where all
        are worse beyond chance; None where the labels settle nothing.
    candidates : tuple of Compared
        Best first.
    corrected : Score
        The score of ``best`` less what picking the best costs.
    gain : Gain
        Of ``best`` over source-only, corrected as well.
    n : int
        Labelled rows.
    labels_to_settle : int or None
        How many labels would settle whether ``best`` is better than source-only.
    truth : array of n labels
    said : mapping of name to array of n labels
        What each candidate says of the labelled rows.
    """

    best: str
    settled: str | None
    candidates: tuple[Compared, ...]
    corrected: Score
    gain: Gain
    n: int
    labels_to_settle: int | None
    truth: AnyArray = field(repr=False, compare=False)
    said: Mapping[str, AnyArray] = field(repr=False, compare=False)

    def over(self, name: str, other: str, *, chosen: bool = False, seed: int = 0) -> Gain:
        """Return the gain of one candidate over another, paired on the labelled rows.

        Parameters
        ----------
        name, other : str
        chosen : bool
            These labels picked ``name``: what picking the best costs is taken off.
        seed : int

        Raises
        ------
        UnknownNameError
            One of them did not take part.
        """
        metric = self.of(name).score.metric
        pool = {each: Predictions(one) for each, one in self.said.items()}
        first, second = (pool[self.of(each).name] for each in (name, other))
        if not chosen:
            return gain(metric, self.truth, first, second, seed=seed, name=other)
        others = [each for each in pool if each != other]
        return corrected(
            pool, self.truth, metric, baseline=other, chosen=name, transfers=others, seed=seed
        ).gain

    def of(self, name: str) -> Compared:
        """Return what was measured of a candidate.

        Raises
        ------
        UnknownNameError
            It did not take part.
        """
        for one in self.candidates:
            if one.name == name:
                return one
        raise UnknownNameError("candidate", name, [one.name for one in self.candidates])


def compare_on_labels(
    predictions_by_name: Mapping[str, Sequence[Any] | AnyArray],
    y_known: Sequence[Any] | AnyArray,
    *,
    metric: str = "accuracy",
    baseline: str = SOURCE_ONLY,
    groups: AnyArray | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare candidates on labelled rows of the target by a paired test.

    Parameters
    ----------
    predictions_by_name : dict of str to sequence of n labels
        For the labelled rows, by models that have not seen these labels; with the baseline.
    y_known : sequence of n labels
    metric : {"accuracy", "balanced_accuracy", "macro_f1", "rmse", "r2"}
        What scores and gains are measured by; the test of classes always counts right and wrong
        rows, that of numbers their squared errors.
    baseline : str
    groups : array of shape (n,), optional
        Rows of one group are not independent: intervals are over groups.
    seed : int

    Raises
    ------
    UnknownNameError
        The baseline is not among the candidates, or there is no such metric.
    DataError
        There is nothing to compare, fewer than 10 labels, or predictions of another number.

    References
    ----------
    McNemar, Psychometrika 12 (1947); Fisher, The Design of Experiments (1935); Tsamardinos
    et al., Machine Learning 107 (2018).

    Examples
    --------
    >>> truth = np.array(["a", "b"] * 30)
    >>> half = np.array(["a"] * 60)
    >>> found = compare_on_labels({"source-only": half, "linear-ot": truth}, truth)
    >>> found.settled, round(found.of("linear-ot").gain.estimate, 2)
    ('linear-ot', 0.5)
    """
    found = find_metric(metric)
    of = float if "regression" in found.kinds else str
    truth = np.asarray(y_known).astype(of)
    given = {name: np.asarray(one).astype(of) for name, one in predictions_by_name.items()}
    if baseline not in given:
        raise UnknownNameError("candidate", baseline, given)
    if len(given) < 2:
        raise DataError("there is nothing to compare with the baseline", got=list(given))
    if len(truth) < FEWEST:
        raise DataError("too few labels to compare by", got=len(truth), allowed=f">= {FEWEST}")
    for name, one in given.items():
        if one.shape != truth.shape:
            raise DataError(
                "each labelled row needs one prediction",
                where=name,
                got=one.shape,
                allowed=f"({len(truth)},)",
            )
    pool = {name: Predictions(one) for name, one in given.items()}
    others = [name for name in given if name != baseline]
    raw = {name: _paired(given[name], given[baseline], truth, seed) for name in others}
    adjusted = holm(raw)
    rows = []
    for name in given:
        own = score(metric, truth, pool[name], groups=groups, seed=seed)
        over = gain(
            metric, truth, pool[name], pool[baseline], groups=groups, seed=seed, name=baseline
        )
        more = None if name == baseline else labels_to_settle(over)
        rows.append(Compared(name, own, over, raw.get(name, 1.0), adjusted.get(name, 1.0), more))
    rows.sort(key=lambda one: (-found.sign * one.score.estimate, one.name != baseline))
    best = rows[0].name
    picked = best if best != baseline else next(r.name for r in rows if r.name != baseline)
    honest = corrected(
        pool,
        truth,
        metric,
        baseline=baseline,
        chosen=picked,
        transfers=others,
        groups=groups,
        seed=seed,
    )
    return Comparison(
        best,
        _settled(rows, baseline),
        tuple(rows),
        rows[0].score if best == baseline else honest.score,
        honest.gain,
        len(truth),
        labels_to_settle(honest.gain),
        truth,
        given,
    )


def _settled(rows: list[Compared], baseline: str) -> str | None:
    better = [r for r in rows if r.p_adjusted <= LEVEL and r.gain.estimate > 0]
    if better:
        return better[0].name
    others = [r for r in rows if r.name != baseline]
    if all(r.p_adjusted <= LEVEL and r.gain.estimate < 0 for r in others):
        return baseline
    return None


def _paired(first: AnyArray, second: AnyArray, truth: AnyArray, seed: int) -> float:
    """Return the p-value that two candidates do equally well on the same rows."""
    if truth.dtype.kind == "f":
        return sign_flips((second - truth) ** 2 - (first - truth) ** 2, seed=seed)
    return mcnemar(first == truth, second == truth)


def sign_flips(differences: FloatArray, *, seed: int = 0, draws: int = 9999) -> float:
    """Return the two-sided p-value that paired differences are centred at zero.

    The mean is compared with those after signs are drawn at random.

    Parameters
    ----------
    differences : array of shape (n,)
    seed : int
    draws : int, >= 1

    Examples
    --------
    >>> sign_flips(np.array([1.0, 2.0, 1.5, 0.5, 1.0, 2.5, 1.2, 0.8, 1.1, 1.9])) < 0.01
    True
    >>> sign_flips(np.zeros(10))
    1.0
    """
    rng, seen, left = np.random.default_rng([seed, 3]), 0, draws
    own = abs(float(differences.sum()))
    while left > 0:
        size = min(left, 1000)
        signs = 2.0 * rng.integers(0, 2, (size, len(differences))) - 1.0
        seen += int((np.abs(signs @ differences) >= own * (1 - 1e-12)).sum())
        left -= size
    return (1 + seen) / (1 + draws)


def mcnemar(first: AnyArray, second: AnyArray) -> float:
    """Return the exact two-sided p-value that two models are right equally often.

    Parameters
    ----------
    first, second : bool arrays of shape (n,)
        Whether each is right on the same rows.

    Examples
    --------
    >>> mcnemar(np.array([True] * 6), np.array([False] * 6))
    0.03125
    """
    from scipy.stats import binomtest

    won, lost = int((first & ~second).sum()), int((second & ~first).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected for their number by Holm's method."""
    highest, found = 0.0, {}
    for rank, name in enumerate(sorted(values, key=lambda one: values[one])):
        highest = max(highest, min(1.0, values[name] * (len(values) - rank)))
        found[name] = highest
    return found


def distinct(rows: FloatArray, *, learnt: FloatArray | None = None) -> IntArray:
    """Return the places of rows, of equal ones the first: copies prove nothing twice.

    Rows that are among those ``learnt`` from prove nothing at all, and are left out.
    """
    n = 0 if learnt is None else len(learnt)
    every = rows if learnt is None else np.vstack([learnt, rows])
    group = equal_rows(every)
    known = np.isin(group[n:], group[:n])
    first = np.unique(group[n:], return_index=True)[1]
    return np.sort(first[~known[first]])


def cross_predictions(
    candidates: Mapping[str, Callable[[], Any]],
    X: FloatArray,
    y: AnyArray,
    X_target: FloatArray,
    y_target: Sequence[Any],
    known: IntArray,
    *,
    seed: int = 0,
    folds: int = 5,
    groups: IntArray | None = None,
    numbers: bool = False,
) -> dict[str, AnyArray]:
    """Return what each candidate says of the labelled target rows without their labels.

    In each fold a fifth of the labels is hidden; the rows themselves stay, as unlabelled ones do.
    Copies of a row are hidden together.

    Parameters
    ----------
    candidates : dict of str to callable
        Each returns an unfitted adapter.
    X, y : source
    X_target : array of shape (m, d)
    y_target : sequence of length m
        None where there is no label.
    known : int array
        The labelled rows.
    seed, folds : int
    groups : int array of shape (len(known),), optional
        The same for copies; by default those are found.
    numbers : bool
        The labels are numbers: each fold gets low and high ones.

    Returns
    -------
    dict of str to array of shape (len(known),)
        Candidates that cannot be fitted are left out.
    """
    of: Any = float if numbers else str
    truth = np.array([of(y_target[at]) for at in known])
    groups = equal_rows(X_target[known]) if groups is None else groups
    first, of_row = np.unique(groups, return_index=True, return_inverse=True)[1:]
    parts = [
        (np.flatnonzero(np.isin(of_row, train)), np.flatnonzero(np.isin(of_row, held)))
        for train, held in split(truth[first], min(folds, len(first)), seed)
    ]
    found = {}
    for name, make in candidates.items():
        said = np.empty(len(known), dtype=object)
        try:
            for train, held in parts:
                shown: list[Any] = [None] * len(X_target)
                for at in known[train]:
                    shown[int(at)] = y_target[int(at)]
                said[held] = make().fit(X, y, X_target, shown).predict(X_target[known[held]])
        except (DataError, ValueError, ArithmeticError):
            continue
        found[name] = said.astype(of)
    return found
