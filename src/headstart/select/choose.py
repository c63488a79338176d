"""Which candidate: the one with the best out-of-fold score.

Rule: the best value of the metric wins, whatever it costs, weighed against what is known of other
data where that is given (``select.prior``). Candidates with the very same value are told apart by
their log loss (if all of them give probabilities), then by the order in which they were given:
cheapest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, Decision, FloatArray, IntArray, Score
from headstart.evaluate import METRICS, Predictions, gain, score, value
from headstart.evaluate.intervals import margin_scale
from headstart.select.prior import weighed

SAME = 1e-9


@dataclass(frozen=True)
class Choice:
    """What was chosen, and on what grounds.

    Parameters
    ----------
    name : str
        The winner.
    scores : dict of str to Score
        Out-of-fold score of every candidate, best first. The winner's is optimistic: it was
        picked for being high. ``corrected`` gives the honest one.
    decisions : tuple of Decision
    """

    name: str
    scores: dict[str, Score]
    decisions: tuple[Decision, ...]


def choose(
    candidates: Mapping[str, Predictions],
    truth: AnyArray,
    metric: str,
    *,
    priors: Mapping[str, float | None] | None = None,
    groups: AnyArray | None = None,
    seed: int = 0,
    n_boot: int = 1000,
) -> Choice:
    """Choose the candidate with the best out-of-fold score.

    Parameters
    ----------
    candidates : dict of str to Predictions
        Out-of-fold predictions for the same n items, cheapest candidate first.
    truth : ndarray of shape (n,)
    metric : str
        A key of ``METRICS``.
    priors : dict of str to float or None, optional
        What each candidate is expected to score, from other data; differences count, not levels.
    groups : array of shape (n,), optional
        Groups for the intervals.
    seed : int
    n_boot : int
        Number of bootstrap samples of the intervals, at least 100.

    Returns
    -------
    Choice

    Raises
    ------
    OptionError
        If there is no candidate, or the metric does not fit.
    DataError
        If lengths differ.

    Examples
    --------
    >>> truth = np.array(["a", "b"] * 20)
    >>> found = choose(
    ...     {"majority": Predictions(np.array(["a"] * 40)), "probe": Predictions(truth)},
    ...     truth,
    ...     "accuracy",
    ... )
    >>> found.name
    'probe'
    """
    if not candidates:
        raise OptionError("there is no candidate to choose from", got=0, allowed="at least 1")
    names = list(candidates)
    options: dict[str, Any] = {"groups": groups, "seed": seed, "n_boot": n_boot}
    options["out_of_fold"] = True
    scores = {name: score(metric, truth, each, **options) for name, each in candidates.items()}
    sign = METRICS[metric].sign
    values = np.array([sign * scores[name].estimate for name in names])
    smooth = tie_breakers(candidates, truth, metric)
    size = len(truth) if groups is None else len(np.unique(groups))
    known = [None] * len(names) if priors is None else [priors[name] for name in names]
    unit = margin_scale(metric, float(np.mean(np.abs(values))))
    rank = ranking(weighed(values, known, size, unit=unit), smooth)
    best = names[rank[0]]
    decisions = [_explained(names, scores, values, rank, metric)]
    if len(names) > 1:
        second = names[rank[1]]
        lead = gain(metric, truth, candidates[best], candidates[second], name=second, **options)
        if lead.low <= 0:
            decisions.append(
                Decision(
                    f"{best} or {second}",
                    f"too close to call on {lead.n} items: {lead.estimate:+.3f} "
                    f"[{lead.low:.3f}, {lead.high:.3f}] between them",
                    "--strategy and --source force one",
                )
            )
    return Choice(best, {names[i]: scores[names[i]] for i in rank}, tuple(decisions))


def tie_breakers(candidates: Mapping[str, Predictions], truth: AnyArray, metric: str) -> FloatArray:
    """Return minus the log loss of each candidate, or zeros where one has no probabilities."""
    if "classification" not in METRICS[metric].kinds or any(
        found.probabilities is None for found in candidates.values()
    ):
        return np.zeros(len(candidates))
    return np.array([-value("log_loss", truth, found) for found in candidates.values()])


def ranking(values: FloatArray, smooth: FloatArray) -> IntArray:
    """Return the order of the candidates, best first.

    Parameters
    ----------
    values : ndarray of shape (m,)
        Higher is better; differences below 1e-9 are ties.
    smooth : ndarray of shape (m,)
        Decides ties, higher is better; then the order given does.
    """
    steps = np.round(values / SAME)
    return np.lexsort((np.arange(len(values)), -smooth, -steps))


def _explained(
    names: Sequence[str],
    scores: Mapping[str, Score],
    values: FloatArray,
    rank: IntArray,
    metric: str,
) -> Decision:
    best = names[rank[0]]
    override = "--strategy and --source force another"
    if len(names) == 1:
        return Decision(best, f"the only candidate ({metric} {scores[best].estimate:.3f})")
    second = names[rank[1]]
    mine, other = scores[best].estimate, scores[second].estimate
    next_best = f"next: {second} {other:.3f}"
    if values.max() - values[rank[0]] > SAME:
        ahead = names[int(values.argmax())]
        why = (
            f"what is known of other data weighs more than {scores[best].n:,} items "
            f"(out of fold {metric} {mine:.3f}; {ahead} {scores[ahead].estimate:.3f})"
        )
        return Decision(best, why, override)
    if abs(mine - other) <= SAME:
        next_best = f"the same as {second}, decided by log loss, then by cost"
    why = f"best of {len(names)} candidates out of fold ({metric} {mine:.3f}; {next_best})"
    return Decision(best, why, override)
