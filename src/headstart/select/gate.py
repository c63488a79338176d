"""The gate before the race: how much time there is, and who has labels enough to take part.

Frozen features win with few labels and tuning with more; tuning costs minutes where they cost
seconds. What is left out is said, with the reason and how to have it all the same.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, Modality, Task
from headstart.select.plan import Plan
from headstart.select.race import Entry
from headstart.strategies import STRATEGIES


@dataclass(frozen=True)
class Window:
    """The labels a class with which a strategy that tunes a source takes part.

    Parameters
    ----------
    least, most : float
        From the first to below the second.
    items : int
        Labelled items that are needed in all.
    """

    least: float
    most: float = math.inf
    items: int = 0


WINDOWS: dict[tuple[Modality, str], Window] = {
    ("text", "contrastive"): Window(2, 32, 8),
    ("text", "finetune"): Window(10, 30, 1000),
    ("text", "lp-ft"): Window(30),
    ("image", "lp-ft"): Window(10),
}
"""Where tuning wins; from ``benchmarks/results/tuning.md`` and ``few_shot.md``."""
FEWEST_NUMBERS = 200
"""Labels below which a source is not tuned to predict numbers."""
ONE_FOLD, TWO_FOLDS = 500, 100
"""Training items from which one, or two, folds are enough for what is dear, where a part judges."""
TUNED_FOLDS = 2
"""Folds that are enough for what tunes a source, where a part judges."""
DEFAULT_BUDGET = 120.0
"""Seconds that a fit may take where the user names none."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(budget: str | float | None) -> float:
    """Return a budget in seconds.

    Parameters
    ----------
    budget : str, float or None
        As ``90s``, ``10m``, ``1.5h``, or a number of seconds; None: 2 minutes.

    Raises
    ------
    OptionError
        It is none of these, or not positive.

    Examples
    --------
    >>> seconds_of("1.5h")
    5400.0
    """
    if budget is None:
        return DEFAULT_BUDGET
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([smh]?)\s*", str(budget))
    value = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
    if not value > 0:
        raise OptionError(
            "not a length of time", where="--budget", got=budget, allowed="as 90s, 10m or 1.5h"
        )
    return value


def tuners(plan: Plan) -> list[Entry]:
    """Return the candidates of a plan that tune their source."""
    return [entry for entry in plan.transfers if STRATEGIES[entry.strategy].tunes]


def enough_labels(plan: Plan, train: Task, *, named: bool) -> Plan:
    """Return the plan without candidates that tune a source on too few labels.

    Parameters
    ----------
    plan : Plan
    train : Task
    named : bool
        Whether the user named the strategies: then all stay.

    Returns
    -------
    Plan
        Its ``decisions`` are those made here.
    """
    if named:
        return replace(plan, decisions=())
    reasons = {entry.strategy: _unsuited(entry.strategy, train) for entry in tuners(plan)}
    decisions = [
        Decision(f"{strategy} left out", why, f"--strategy {strategy} forces it")
        for strategy, why in reasons.items()
        if why
    ]
    left = tuple(entry for entry in plan.transfers if not reasons.get(entry.strategy))
    return replace(plan, transfers=left, decisions=tuple(decisions))


def fewer_folds(n: int, n_folds: int) -> int:
    """Return how many folds are enough for a candidate that takes long, of n training items.

    Examples
    --------
    >>> [fewer_folds(n, 5) for n in (50, 200, 5_000)]
    [5, 2, 1]
    """
    if n >= ONE_FOLD:
        return 1
    return min(2, n_folds) if n >= TWO_FOLDS else n_folds


def _unsuited(strategy: str, train: Task) -> str:
    """Say why the labels do not suit a strategy that tunes a source; else the empty text."""
    assert train.labels is not None
    few = "frozen features win there"
    if train.kind == "regression":
        if strategy != "lp-ft":
            return "lp-ft is tried for numbers"
        return (
            f"{train.n} labels, below {FEWEST_NUMBERS}; {few}" if train.n < FEWEST_NUMBERS else ""
        )
    each = int(np.median(np.unique(train.labels, return_counts=True)[1]))
    window = WINDOWS.get((train.modality, strategy), Window(0))
    if each < window.least:
        return f"{each} labels a class, below {window.least:g}; {few}"
    if each >= window.most:
        return f"{each} labels a class; from {window.most:g} on lp-ft wins"
    if train.n < window.items:
        return f"{train.n:,} labels, below {window.items:,}; {few}"
    return ""


def round_up(seconds: float) -> int:
    """Return whole minutes that are enough."""
    return max(1, int(np.ceil(seconds / 60)))
