"""When to answer, so that at most a stated share of the answers is wrong: selective risk control.

A model answers where its confidence is above a threshold. Thresholds are tried from the strictest
on, each by an exact binomial test of "more than the stated share of its answers is wrong", in an
order fixed before the answers are looked at; the most generous one that passes is taken. That is
fixed-sequence testing with several starts (Learn then Test: Angelopoulos et al., 2021), here as
the fallback procedure (Wiens 2003), which spends an error budget of 1 - level over the starts and
carries it on from a test that passed to the next one. Selective risk: Geifman & El-Yaniv, NeurIPS
2017.

What is promised: with confidence ``level`` the risk on future items is at most what was stated, if
they are drawn as the calibration items were. Items that are not (another source, another time,
nothing to do with any class) are outside of the promise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, FloatArray, IntArray, Score
from headstart.evaluate.intervals import score
from headstart.evaluate.predictions import Predictions

LEVEL = 0.9
GRID = 200
"""Thresholds that are tried, evenly over the number of answered items."""
STARTS = (0.25, 0.5, 0.75, 1.0)
"""Shares of the items where testing starts anew, beside the strictest threshold."""
FIRST = 0.4
"""Share of the error budget of the strictest start; the others have equal parts of the rest."""
ROOM = 4
"""How many times as many items as pass without an error, below which one start has all."""
MOST_LABELS = 1_000_000


@dataclass(frozen=True)
class Rule:
    """When to answer: where the confidence is above ``threshold``.

    Parameters
    ----------
    threshold : float
        ``-inf`` answers always, ``inf`` never.
    max_risk : float
        The share of the answers that may be wrong.
    level : float
        The confidence of the certificate.
    certified : bool
        Whether the tests say so; otherwise the threshold is only the best guess.
    coverage : Score
        Share of the calibration items that are answered, with its 95 % interval.
    risk : Score or None
        Share of the answered calibration items that are wrong; None where none is answered.
    n : int
        Calibration items.
    needed : int or None
        About how many calibration items a certificate takes, where there is none; None where more
        items would not help, or where it is there.
    """

    threshold: float
    max_risk: float
    level: float
    certified: bool
    coverage: Score
    risk: Score | None
    n: int
    needed: int | None = None

    def answers(self, confidence: FloatArray) -> AnyArray:
        """Return which items are answered."""
        result: AnyArray = np.asarray(confidence) > self.threshold
        return result


def check_risk(max_risk: float, where: str = "max_risk") -> float:
    """Return a risk that can be asked for.

    Raises
    ------
    OptionError
        It does not lie between 0 and 1.
    """
    if not 0.0 < max_risk < 1.0:
        raise OptionError(
            "the share of answers that may be wrong must lie between 0 and 1",
            where=where,
            got=max_risk,
            allowed="0.05 for 5 %",
        )
    return float(max_risk)


def risk_rule(
    confidence: FloatArray,
    wrong: AnyArray,
    max_risk: float,
    *,
    level: float = LEVEL,
    allowed: AnyArray | None = None,
    groups: IntArray | None = None,
    seed: int = 0,
) -> Rule:
    """Return the most generous threshold that keeps the risk on answered items.

    Parameters
    ----------
    confidence : ndarray of shape (n,)
        Of items that the model had not seen.
    wrong : ndarray of shape (n,), bool
        Whether the model is wrong about each.
    max_risk : float
        Between 0 and 1.
    level : float
        Confidence of the certificate, 0.5 to 1.
    allowed : ndarray of shape (n,), bool, optional
        Items that may be answered at all, as those that are in scope; all by default.
    groups : ndarray of shape (n,), optional
        Items of one group are not independent: the answered ones count as many as Kish's effective
        number of their groups.
    seed : int
        Of the bootstrap behind the intervals.

    Raises
    ------
    OptionError
        ``max_risk`` or ``level`` is out of range.
    DataError
        There is no item.

    Examples
    --------
    >>> sure = np.linspace(0, 1, 1000)
    >>> rule = risk_rule(sure, sure < 0.2, 0.05)
    >>> rule.certified, rule.coverage.estimate
    (True, 0.831)
    """
    check_risk(max_risk)
    if not 0.5 <= level < 1.0:
        raise OptionError("not a confidence", where="level", got=level, allowed="0.5 to 1")
    if not len(confidence):
        raise DataError("there are no items to find a threshold on", got=0)
    path = _Path.of(confidence, wrong, allowed, groups)
    place = path.certified(max_risk, 1.0 - level)
    certified = place is not None
    needed = None
    if place is None:
        needed = path.needed(max_risk, 1.0 - level)
        place = path.empirical(max_risk)
    threshold = math.inf if place is None else path.threshold(place)
    answered = np.asarray(confidence) > threshold
    if allowed is not None:
        answered &= allowed
    coverage, risk = achieved(answered, wrong, groups=groups, seed=seed, out_of_fold=True)
    return Rule(threshold, max_risk, level, certified, coverage, risk, len(confidence), needed)


def achieved(
    answered: AnyArray,
    wrong: AnyArray,
    *,
    groups: IntArray | None = None,
    seed: int = 0,
    out_of_fold: bool = False,
) -> tuple[Score, Score | None]:
    """Return the share of items that are answered, and the share of the answers that are wrong.

    Parameters
    ----------
    answered, wrong : ndarray of shape (n,), bool
    groups : ndarray of shape (n,), optional
    seed : int
        Of the bootstrap behind the 95 % intervals.
    out_of_fold : bool
        As for ``score``.

    Returns
    -------
    Score, Score or None
        None where nothing is answered.
    """
    coverage = _share("coverage", answered, groups, seed, out_of_fold)
    if not answered.any():
        return coverage, None
    own = None if groups is None else groups[answered]
    return coverage, _share("risk_answered", wrong[answered], own, seed, out_of_fold)


def risk_p_value(errors: float, n: float, max_risk: float) -> float:
    """Return how likely so few errors are where the risk is ``max_risk``: the exact binomial tail.

    Parameters
    ----------
    errors, n : float
        Errors among n answers. Fractions, as of an effective number, are interpolated by the
        incomplete beta function.
    max_risk : float

    Examples
    --------
    >>> round(risk_p_value(0, 45, 0.05), 3)
    0.099
    """
    from scipy.special import betainc

    if n <= 0 or errors >= n:
        return 1.0
    return float(betainc(n - errors, errors + 1.0, 1.0 - max_risk))


def _share(
    name: str, flags: AnyArray, groups: IntArray | None, seed: int, out_of_fold: bool
) -> Score:
    """Return the share of items that a flag marks, with its interval."""
    words = np.where(flags, "yes", "no").astype(object)
    truth = np.full(len(flags), "yes", dtype=object)
    found = score(
        "accuracy", truth, Predictions(words), groups=groups, seed=seed, out_of_fold=out_of_fold
    )
    return Score(name, found.estimate, found.low, found.high, found.n)


@dataclass(frozen=True, eq=False)
class _Path:
    """What is answered at each threshold, the strictest first.

    Parameters
    ----------
    values : ndarray of shape (m,)
        The different confidences, the highest first.
    count, errors, worth : ndarray of shape (m,)
        Answered items down to each, how many are wrong, and as how many independent ones they
        count.
    total : int
        Items, answered or not.
    """

    values: FloatArray
    count: IntArray
    errors: IntArray
    worth: FloatArray
    total: int

    @classmethod
    def of(
        cls,
        confidence: FloatArray,
        wrong: AnyArray,
        allowed: AnyArray | None,
        groups: IntArray | None,
    ) -> _Path:
        places = np.arange(len(confidence)) if allowed is None else np.flatnonzero(allowed)
        order = places[np.argsort(-np.asarray(confidence)[places], kind="stable")]
        sorted_values = np.asarray(confidence, dtype=np.float64)[order]
        ends = np.flatnonzero(np.diff(sorted_values, append=-np.inf) < 0)
        count = ends + 1
        errors = np.cumsum(np.asarray(wrong, dtype=np.int64)[order])[ends]
        worth: FloatArray = count.astype(np.float64)
        if groups is not None:
            worth = _effective(np.asarray(groups)[order])[ends]
        return cls(sorted_values[ends], count, errors, worth, len(confidence))

    def threshold(self, place: int) -> float:
        """Return what the confidence must exceed: that of the first item not answered."""
        return float(self.values[place + 1]) if place + 1 < len(self.values) else -math.inf

    def p_value(self, place: int, max_risk: float) -> float:
        worth = float(self.worth[place])
        return risk_p_value(
            float(self.errors[place]) * worth / float(self.count[place]), worth, max_risk
        )

    def certified(self, max_risk: float, budget: float) -> int | None:
        """Return the most generous place that passes, or None; see the head of this file."""
        least = math.log(budget) / math.log1p(-max_risk)  # answers that pass without an error
        few = len(self.worth) > 0 and self.worth[-1] < ROOM * least
        share = 1.0 if few else FIRST
        able = np.flatnonzero(self.worth >= math.log(share * budget) / math.log1p(-max_risk))
        if not len(able):
            return None
        steps = np.linspace(self.count[able[0]], self.count[-1], GRID)
        grid = np.unique(np.searchsorted(self.count[able], np.ceil(steps - 1e-9)))
        grid = able[np.minimum(grid, len(able) - 1)]
        weight = np.zeros(len(grid))
        weight[0] = share
        for start in STARTS:
            at = int(np.searchsorted(self.count[grid], start * self.count[-1]))
            weight[min(at, len(grid) - 1)] += (1.0 - share) / len(STARTS)
        found, carried = None, 0.0
        for place, own in zip(grid, weight, strict=True):
            carried += float(own) * budget
            if carried and self.p_value(int(place), max_risk) <= carried:
                found = int(place)
            else:
                carried = 0.0
        return found

    def empirical(self, max_risk: float) -> int | None:
        """Return the most generous place with no more errors than stated; None: there is none."""
        fine = np.flatnonzero(self.errors <= max_risk * self.count)
        return int(fine[-1]) if len(fine) else None

    def needed(self, max_risk: float, budget: float) -> int | None:
        """Return about how many items a certificate takes, if what was seen stays so."""
        best: float | None = None
        for place in np.unique(np.linspace(0, len(self.values) - 1, GRID).astype(np.int64)):
            if not len(self.values):
                break
            count, errors = float(self.count[place]), float(self.errors[place])
            if errors >= max_risk * count:
                continue
            answers = _answers_needed(errors / count, max_risk, budget * FIRST)
            items = answers * self.total / float(self.worth[place])
            if items <= MOST_LABELS and (best is None or items < best):
                best = items
        return None if best is None else max(math.ceil(best), self.total + 1)


def _answers_needed(risk: float, max_risk: float, budget: float) -> float:
    """Return how many independent answers of a risk below ``max_risk`` pass the test."""
    low, high = 1.0, 2.0
    while risk_p_value(risk * high, high, max_risk) > budget and high < 8 * MOST_LABELS:
        low, high = high, 2.0 * high
    while high - low > 0.5:
        middle = (low + high) / 2
        fails = risk_p_value(risk * middle, middle, max_risk) > budget
        low, high = (middle, high) if fails else (low, middle)
    return high


def _effective(groups: IntArray) -> FloatArray:
    """Return Kish's effective number of groups among the first item, the first two, and so on."""
    worth = np.empty(len(groups))
    sizes: dict[int, int] = {}
    squares = 0
    for place, group in enumerate(groups.tolist()):
        size = sizes.get(group, 0)
        sizes[group] = size + 1
        squares += 2 * size + 1
        worth[place] = (place + 1) ** 2 / squares
    return worth
