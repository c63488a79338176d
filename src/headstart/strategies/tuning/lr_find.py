"""The learning-rate range test: one short run over rising rates shows which rate learns fastest."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import OptionError, SourceError
from headstart.core.types import FloatArray, IntArray
from headstart.strategies.tuning import curves
from headstart.strategies.tuning.estimator import Tuned
from headstart.strategies.tuning.loop import Loop
from headstart.strategies.tuning.memory import memory_of
from headstart.strategies.tuning.settings import Target

if TYPE_CHECKING:
    from headstart.strategies.tuning.session import Session

FEWEST_STEPS = 10
MOST_STEPS = 10_000
DIVERGED = 4.0  # times the lowest smoothed loss
HORIZON = 0.1  # share of the steps over which losses are averaged
CLEAR = 0.05  # share of the first loss by which it must fall, or rise, to say anything
SAFE = 0.1  # share of the largest harmless rate that is suggested where the loss never falls
_MEASURES: dict[Target, str] = {
    "classes": "cross-entropy (nats per item)",
    "sets": "binary cross-entropy (nats per label)",
    "numbers": "squared error (in variances of the labels)",
}


@dataclass(frozen=True, eq=False)
class RateRange:
    """What a range test found.

    Parameters
    ----------
    rates : ndarray of shape (m,)
        Rates of the last block, rising. Each is the mean, on a logarithmic scale, of the rates
        over which its loss was averaged: smoothing does not shift the curve.
    losses : ndarray of shape (m,)
        Smoothed: means with exponentially fading weights.
    suggestion : float
        A peak rate for training; a suggestion, no proof.
    note : str
        The rule it came from, and where the test ended.
    measure : str
        What the loss is, with its unit.
    """

    rates: FloatArray
    losses: FloatArray
    suggestion: float
    note: str
    measure: str = "loss"

    def plot(self, path: str | Path) -> Path:
        """Draw the loss over the rate, and mark the suggestion.

        Parameters
        ----------
        path : path
            Ends in ``.png`` or ``.svg``; the file appears whole or not at all.

        Raises
        ------
        MissingExtraError
            Matplotlib is not installed.
        OptionError
            Another kind of file.
        """
        figure, (panel,) = curves.blank(path)
        panel.plot(self.rates, self.losses, color=curves.BLUE, linewidth=2)
        panel.set_xscale("log")
        lowest = float(self.losses.min())
        top = max(float(self.losses[: max(1, len(self.losses) // 10)].max()), 1.5 * lowest)
        spread = max(top - lowest, 1e-3 * abs(top), 1e-12)
        panel.set_ylim(lowest - 0.12 * spread, top + 0.25 * spread)
        shown = np.flatnonzero(self.losses <= top + 0.25 * spread)[-1]
        ends = min(self.rates[0], self.suggestion), max(self.rates[shown], self.suggestion)
        panel.set_xlim(ends[0] / 1.5, ends[1] * 3)
        at = float(np.interp(math.log(self.suggestion), np.log(self.rates), self.losses))
        panel.axvline(self.suggestion, color=curves.RED, linewidth=1, linestyle=(0, (4, 3)))
        panel.plot([self.suggestion], [at], "o", color=curves.RED, markersize=7)
        right = self.suggestion > math.sqrt(self.rates[0] * self.rates[-1])
        panel.annotate(
            f"suggestion {self.suggestion:.1e}",
            (self.suggestion, 0.04),
            xycoords=("data", "axes fraction"),
            xytext=(-7 if right else 7, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            color=curves.RED,
        )
        panel.set_xlabel("learning rate of the last block (per step)")
        panel.set_ylabel(self.measure.replace(" (", ", smoothed ("))
        return curves.save(figure, path)


def lr_find(
    estimator: Tuned,
    X: Any,
    y: Any,
    *,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 100,
) -> RateRange:
    """Train for some steps while the rate rises from low to high, and see where the loss falls.

    Everything is as in the estimator's own training (its source, items, augmentation, batch and
    regularisers) but the schedule. Rates of earlier blocks and of the head keep their proportion
    to that of the last block; ``gradual`` trains all that it will train at the end. The test ends
    where the smoothed loss exceeds 4 times its lowest value.

    Suggested is the rate at which the smoothed loss falls most steeply, over the logarithm of the
    rate, before its lowest value. Where it never falls by 5 % and more than chance would have it,
    as when the head starts from a good solution, there is no such place: then it is a tenth of the
    largest rate that left the loss within 5 % of its median.

    Parameters
    ----------
    estimator : Tuned
        As ``FineTune(source="minilm")``; neither it nor its source is changed. Its ``rate``,
        ``schedule``, ``checkpoint`` and ``trials`` play no part but for the proportion of rates.
    X, y
        As for its ``fit``.
    low, high : float
        The first and the last rate, both above 0.
    steps : int
        10 to 10,000.

    Raises
    ------
    OptionError
        Not an estimator that tunes, or rates or steps out of range.
    DataError, SourceError
        As ``fit`` raises them.

    References
    ----------
    Smith, Cyclical learning rates for training neural networks, WACV 2017.

    Examples
    --------
    >>> import headstart as hs
    >>> texts, labels = ["good", "bad", "fine", "awful"] * 8, ["+", "-", "+", "-"] * 8
    >>> found = lr_find(hs.strategies.FineTune(), texts, labels)     # doctest: +SKIP
    >>> found.plot("rates.png")                                      # doctest: +SKIP
    """
    _check(estimator, low, high, steps)
    options = copy.copy(estimator)
    options.cache_prefix = False  # a few steps do not repay it
    session = options._session(X, y)
    session._read()
    loop = _loop(session)
    rates, losses = _rise(loop, session, np.geomspace(low, high, steps))
    beta = max(0.0, 1 - 1 / (HORIZON * steps))
    smooth = np.array(_smoothed(losses, beta))
    centres = np.exp(_smoothed(np.log(rates), beta))
    noise = float(np.median(np.abs(np.diff(losses)))) if len(losses) > 1 else 0.0
    noise *= math.sqrt((1 - beta) / (1 + beta))  # of a mean; a difference has about twice it
    suggestion, rule = _suggest(centres, smooth, noise)
    end = f"the loss stayed below {DIVERGED:g} times its lowest"
    if len(rates) < steps:
        end = f"at {rates[-1]:.1e} the loss ran away, and the test ended"
    note = f"{rule}; {end}"
    return RateRange(centres, smooth, suggestion, note, _MEASURES[session.target])


class _Watched(Loop):
    """A loop that keeps the loss of every step instead of drawing a curve."""

    def _note(self, factor: float) -> None:
        self.last = self.progress.loss_sum
        self.progress.loss_sum, self.progress.loss_count = 0.0, 0


def _check(estimator: Tuned, low: float, high: float, steps: int) -> None:
    """Check what was given.

    Raises
    ------
    OptionError
        It cannot be used.
    """
    if not isinstance(estimator, Tuned):
        raise OptionError(
            "only a strategy that tunes a source has a learning rate to find",
            where="estimator",
            got=type(estimator).__name__,
            allowed="FineTune, Partial, Gradual, LPFT, LoRA, BitFit and their regressors",
        )
    if not 0 < low < high < math.inf:
        raise OptionError(
            "the rates must rise", where="low, high", got=(low, high), allowed="0 < low < high"
        )
    if not isinstance(steps, int) or not FEWEST_STEPS <= steps <= MOST_STEPS:
        raise OptionError(
            "out of range", where="steps", got=steps, allowed=f"{FEWEST_STEPS} to {MOST_STEPS:,}"
        )


def _loop(session: Session) -> _Watched:
    """Return the session's loop, at a constant rate."""
    settings = replace(session.settings, schedule="constant", warmup=0.0, ema=0.0)
    network, items = session._network(session._items(), settings)
    memory = memory_of(
        network, items, session.train, batch=settings.batch, copies=5, device=session.device
    )
    return _Watched(
        network,
        items,
        session.objective,
        settings,
        train=session.train,
        valid=session.valid[:0],
        device=session.device,
        half=session.half,
        micro=memory.micro,
        seed=session.seed,
        reporter=session.reporter,
        name=session.base.card.name,
    )


def _rise(loop: _Watched, session: Session, plan: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the rates that were tried, and the loss at each before its step.

    Raises
    ------
    SourceError
        The first loss is no number.
    """
    settings = loop.settings
    beta = max(0.0, 1 - 1 / (HORIZON * len(plan)))
    peaks = [group["peak"] / settings.rate for group in loop.optimiser.param_groups]
    losses: list[float] = []
    lowest, mean, weight = math.inf, 0.0, 0.0
    with loop.seeded(), loop.network.training_mode():
        for rate, batch in zip(plan.tolist(), _batches(loop), strict=False):
            for group, peak in zip(loop.optimiser.param_groups, peaks, strict=True):
                group["peak"] = peak * rate
            loop._step(batch)
            if not math.isfinite(loop.last):
                break
            losses.append(loop.last)
            mean, weight = beta * mean + (1 - beta) * loop.last, beta * weight + 1 - beta
            lowest = min(lowest, mean / weight)
            session.reporter.progress(
                "range test", len(losses), len(plan), "steps", f"loss {mean / weight:.3f}"
            )
            if mean / weight > DIVERGED * lowest and len(losses) > HORIZON * len(plan):
                break
    if not losses:
        raise SourceError(
            "the loss is no number, even before training", where=loop.name, got=str(loop.last)
        )
    return plan[: len(losses)], np.array(losses)


def _batches(loop: Loop) -> Iterator[IntArray]:
    """Yield batches without end, epoch after epoch."""
    while True:
        yield from loop.order()
        loop.progress.epoch += 1


def _smoothed(values: FloatArray, beta: float) -> list[float]:
    """Return running means with weights that fade by ``beta`` a step, free of the start's bias.

    Examples
    --------
    >>> _smoothed(np.array([1.0, 1.0, 4.0]), 0.5)
    [1.0, 1.0, 2.7142857142857144]
    """
    found, mean, weight = [], 0.0, 0.0
    for value in values.tolist():
        mean, weight = beta * mean + (1 - beta) * value, beta * weight + 1 - beta
        found.append(mean / weight)
    return found


def _suggest(rates: FloatArray, losses: FloatArray, noise: float) -> tuple[float, str]:
    """Return a rate for training, and the rule it comes from.

    ``noise`` is about the standard error of the losses.
    """
    tenth = max(1, round(HORIZON * len(losses)))
    first = float(np.median(losses[tenth : 2 * tenth]))  # earlier ones are means of too few
    lowest = tenth + int(losses[tenth:].argmin())
    if first - losses[lowest] > max(CLEAR * first, 4 * noise):
        slopes = np.gradient(losses, np.log(rates))
        slopes = np.convolve(slopes, np.full(tenth, 1 / tenth), "same")[tenth:lowest]
        told = f"the loss fell most steeply here, before its lowest value at {rates[lowest]:.1e}"
        return float(rates[tenth + int(slopes.argmin())]), told
    harmless = np.flatnonzero(losses <= (1 + CLEAR) * np.median(losses) + noise)
    most = float(rates[harmless[-1]])
    if harmless[-1] == len(losses) - 1:
        return most, "the loss neither fell nor rose clearly: try higher rates"
    told = f"the loss never fell clearly; a tenth of {most:.1e}, the largest rate that did no harm"
    return SAFE * most, told
