"""How the learning rate moves over a training: pure functions of the step."""

from __future__ import annotations

import math
from typing import Literal, get_args

from headstart.core.errors import OptionError, UnknownNameError

Kind = Literal["cosine", "one-cycle", "constant", "linear"]

CYCLE_START = 1 / 25  # where one cycle starts ...
CYCLE_END = 1 / 1e4  # ... and where it ends, as shares of the peak


def rate(
    step: int,
    total: int,
    *,
    kind: Literal["cosine", "one-cycle", "constant", "linear"] = "cosine",
    warmup: float = 0.1,
) -> float:
    """Return what the peak learning rate is multiplied with at a step: more than 0, at most 1.

    ``cosine``, ``linear`` and ``constant`` first rise linearly over ``w = ceil(warmup * total)``
    steps, ``(step + 1) / (w + 1)``, reach 1 at step w and then fall along half a cosine, fall
    linearly, or stay. The step after the last one would get 0. ``one-cycle`` rises along half a
    cosine from 1/25 over the first share ``warmup`` and falls along another to 1/10000.

    Parameters
    ----------
    step : int
        From 0; a step beyond the last, ``total - 1``, counts as the last.
    total : int
        Steps in all, at least 1.
    kind : {"cosine", "one-cycle", "constant", "linear"}
    warmup : float
        Share of the steps, 0 to 1; 0.3 is usual for one cycle.

    Raises
    ------
    OptionError
        A negative step, no steps at all, a share outside 0 to 1.
    UnknownNameError
        Another kind.

    References
    ----------
    Loshchilov and Hutter, "SGDR", ICLR 2017 (cosine); Smith, "A disciplined approach to neural
    network hyper-parameters", 2018 (one cycle).

    Examples
    --------
    >>> [round(rate(step, 10, warmup=0.2), 3) for step in range(10)]
    [0.333, 0.667, 1.0, 0.962, 0.854, 0.691, 0.5, 0.309, 0.146, 0.038]
    """
    if kind not in get_args(Kind):
        raise UnknownNameError("schedule", kind, get_args(Kind), where="kind")
    if total < 1:
        raise OptionError("a training has at least 1 step", where="total", got=total)
    if step < 0:
        raise OptionError("steps are counted from 0", where="step", got=step)
    if not 0 <= warmup <= 1:
        raise OptionError(
            "the warm-up is a share of the steps", where="warmup", got=warmup, allowed="0 to 1"
        )
    step = min(step, total - 1)
    if kind == "one-cycle":
        return _one_cycle(step, total, warmup)
    rise = math.ceil(warmup * total - 1e-9)  # 0.07 of 100 steps are 7, whatever floats say
    if step < rise:
        return (step + 1) / (rise + 1)
    if kind == "constant":
        return 1.0
    done = (step - rise) / (total - rise)
    return 1 - done if kind == "linear" else _ease(1.0, 0.0, done)


def _one_cycle(step: int, total: int, warmup: float) -> float:
    peak = max(warmup * total - 1, 0.0)  # a fraction of a step, as in torch
    if step < peak:
        return _ease(CYCLE_START, 1.0, step / peak)
    if step == peak:
        return 1.0
    return _ease(1.0, CYCLE_END, (step - peak) / (total - 1 - peak))


def _ease(start: float, end: float, share: float) -> float:
    """Return the value at a share of the way from start to end, along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
