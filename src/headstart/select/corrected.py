"""What the chosen candidate is worth when the same data chose it.

Bootstrap bias-corrected cross-validation (BBC-CV): Tsamardinos, Greasidou & Borboudakis,
"Bootstrapping the out-of-sample predictions for efficient and accurate cross-validation", Machine
Learning 107 (2018). Every bootstrap sample of the out-of-fold predictions chooses a candidate on
the items it drew and scores it on the items it did not draw; how much less that is than what the
winner of all items scores there, on average, is the optimism of choosing, and is taken off.

The interval is not that of the percentiles of those scores, which come from a third of the items
and know nothing of the dependence between folds. It is the bootstrap's of the candidate that was
chosen, moved to the corrected estimate and widened by the root of two for out-of-fold predictions
(``evaluate.basis.OUT_OF_FOLD``). In simulated races of 20 useless candidates with real classifiers
it calls 2 % positive; the uncorrected interval calls 30 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.core.types import AnyArray, FloatArray, Gain, Score
from headstart.evaluate import METRICS, Predictions
from headstart.evaluate.basis import basis, discordant
from headstart.evaluate.compiled import Compiled, compiled
from headstart.evaluate.intervals import check_options, judged, score_interval
from headstart.evaluate.resample import resamples
from headstart.select.choose import SAME, tie_breakers

NOT_TRANSFER = ("scratch", "majority")


class Corrected(NamedTuple):
    """The corrected score of the chosen transfer, and its gain over the baseline."""

    score: Score
    gain: Gain


def corrected(
    candidates: Mapping[str, Predictions],
    truth: AnyArray,
    metric: str,
    *,
    baseline: str = "scratch",
    chosen: str | None = None,
    transfers: Sequence[str] | None = None,
    groups: AnyArray | None = None,
    seed: int = 0,
    n_boot: int = 1000,
    margin: float = 0.01,
    level: float = 0.95,
) -> Corrected:
    """Measure the transfer that was chosen on these very predictions, free of selection bias.

    Parameters
    ----------
    candidates : dict of str to Predictions
        Out-of-fold predictions for the same n items, cheapest candidate first; with the baseline.
    truth : ndarray of shape (n,)
    metric : str
        A key of ``METRICS``.
    baseline : str
        The candidate that gains are measured over.
    chosen : str, optional
        The transfer that was chosen, where it need not be the best by the metric: its are the
        score and the gain, less what choosing the best costs.
    transfers : sequence of str, optional
        The candidates that were chosen from; default: all but the baseline and ``majority``. With
        the baseline among them the score is that of shipping whatever is best.
    groups : array of shape (n,), optional
        Whole groups are drawn.
    seed : int
    n_boot : int
        Number of bootstrap samples, at least 100.
    margin : float
        As in ``evaluate.gain``.
    level : float
        Confidence of the intervals.

    Returns
    -------
    Corrected
        A pair (score, gain).

    Raises
    ------
    UnknownNameError
        If the baseline or a transfer is not among the candidates.
    OptionError
        If there is no transfer, or an option is out of range.
    DataError
        As ``evaluate.score``; also if no resample leaves out enough to be scored.
    """
    check_options(n_boot, level, margin)
    names = _transfers(candidates, baseline, transfers)
    if chosen is not None and chosen not in names:
        raise UnknownNameError("transfer", chosen, names)
    pool = {name: candidates[name] for name in names}
    functions = [compiled(metric, truth, one) for one in pool.values()]
    against = compiled(metric, truth, candidates[baseline])
    sign, smooth = METRICS[metric].sign, tie_breakers(pool, truth, metric)
    rests = basis(metric, truth, groups, out_of_fold=True)
    once = np.ones((len(truth), 1))
    best = int(_pick(sign * _all(functions, once), smooth)[0])
    own = best if chosen is None else names.index(chosen)
    lost, scores, gains = [], [], []
    for weights in resamples(rests.drawn, n_boot, seed):
        inside, left = _all(functions, weights), (weights == 0).astype(np.float64)
        picked = _pick(sign * inside, smooth)
        outside = _all(functions, left)
        # what choosing on other items costs, against the winner of all items on the same ones: a
        # metric that is lower on fewer items (macro F1) is lower for both
        lost.append(outside[picked, np.arange(len(picked))] - outside[best])
        scores.append(inside[own])
        gains.append(inside[own] - against(weights))
    plain = float(_all(functions, once)[own, 0])
    reference = float(against(once)[0])
    estimate = plain + _known_mean(np.concatenate(lost))
    se = rests.standard_error(np.concatenate(scores))
    low, high = score_interval(metric, estimate, se, rests, level)
    gain = judged(
        metric,
        sign * (estimate - reference),
        rests.standard_error(np.concatenate(gains)),
        rests,
        level,
        differing=discordant(metric, truth, pool[names[own]], candidates[baseline], rests.drawn),
        reference=reference,
        margin=margin,
        name=baseline,
    )
    return Corrected(Score(metric, estimate, low, high, len(truth)), gain)


def _all(functions: Sequence[Compiled], weights: FloatArray) -> FloatArray:
    """Values of every candidate under every weighting, (m, b)."""
    return np.stack([one(weights) for one in functions])


def _known_mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    if not len(known):
        raise DataError(
            "too few items, or groups of them, to correct the score for having been chosen",
            hint="label more items, or judge on a test part (--test)",
        )
    return float(known.mean())


def _transfers(
    candidates: Mapping[str, Predictions], baseline: str, transfers: Sequence[str] | None
) -> list[str]:
    wanted = [baseline, *(transfers or ())]
    for name in wanted:
        if name not in candidates:
            raise UnknownNameError("candidate", name, candidates)
    if transfers is None:
        transfers = [name for name in candidates if name not in (baseline, *NOT_TRANSFER)]
    if not transfers:
        raise OptionError("there is no transfer to compare with the baseline", got=list(candidates))
    return list(transfers)


def _pick(values: FloatArray, smooth: FloatArray) -> AnyArray:
    """Return the winner of each column of values (m, b): higher, then smoother, then earlier."""
    values = np.where(np.isnan(values), -np.inf, values)
    tied = values >= values.max(axis=0) - SAME
    return np.asarray(np.where(tied, smooth[:, None], -np.inf).argmax(axis=0))
