"""What the chosen candidate is worth when the same data chose it.

Bootstrap bias-corrected cross-validation (BBC-CV): Tsamardinos, Greasidou & Borboudakis,
"Bootstrapping the out-of-sample predictions for efficient and accurate cross-validation", Machine
Learning 107 (2018). Every bootstrap sample of the out-of-fold predictions chooses a candidate on
the items it drew and scores it on the items it did not draw; the mean of those scores is free of
the optimism of choosing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from headstart.core.errors import OptionError, UnknownNameError
from headstart.core.types import AnyArray, FloatArray, Gain, Score
from headstart.evaluate import METRICS, Predictions, verdict
from headstart.evaluate.compiled import compiled
from headstart.evaluate.intervals import (
    check_options,
    gain_interval,
    margin_scale,
    pseudo_size,
    score_interval,
    standard_error,
)
from headstart.evaluate.resample import resamples, units
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
        As ``evaluate.score``.
    """
    check_options(n_boot, level, margin)
    chosen_from = _transfers(candidates, baseline, transfers)
    found, n = METRICS.get(metric), len(truth)
    pool = {name: candidates[name] for name in chosen_from}
    functions = [compiled(metric, truth, one) for one in pool.values()]
    found = METRICS[metric]
    against = compiled(metric, truth, candidates[baseline])
    smooth = tie_breakers(pool, truth, metric)
    drawn = units(n, groups)
    outside, differences, picked_all, base_all = [], [], [], []
    once = np.ones((n, 1))
    full = np.array([float(f(once)[0]) for f in functions])
    best = _pick(found.sign * full[:, None], smooth)[0]
    for weights in resamples(drawn, n_boot, seed):
        inside = np.stack([f(weights) for f in functions])
        left = (weights == 0).astype(np.float64)
        out = np.stack([f(left) for f in functions])
        picked = _pick(found.sign * inside, smooth)
        columns = np.arange(weights.shape[1])
        base_in, base_out = against(weights), against(left)
        outside.append(out[picked, columns])
        differences.append(found.sign * (out[picked, columns] - base_out))
        picked_all.append(inside[best])
        base_all.append(found.sign * (inside[best] - base_in))
    score_boot, gain_boot = np.concatenate(outside), np.concatenate(differences)
    estimate = float(np.nanmean(score_boot))
    benefit = float(np.nanmean(gain_boot))
    reference = float(against(once)[0])
    size, df = pseudo_size(found, truth, drawn), drawn.effective - 1
    low, high = score_interval(
        found,
        estimate,
        standard_error(np.concatenate(picked_all), drawn),
        size=size,
        df=df,
        level=level,
    )
    gain_low, gain_high = gain_interval(
        found,
        benefit,
        standard_error(np.concatenate(base_all), drawn),
        size=size,
        df=df,
        level=level,
        scale=margin_scale(found, reference),
    )
    return Corrected(
        Score(metric, estimate, low, high, n),
        Gain(
            benefit,
            gain_low,
            gain_high,
            n,
            baseline=baseline,
            metric=metric,
            verdict=verdict(gain_low, gain_high, margin * margin_scale(found, reference)),
        ),
    )


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
