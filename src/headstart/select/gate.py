"""The gate before the race: how much time there is, and who has labels enough to take part.

Frozen features win with few labels and tuning with more; tuning costs minutes where they cost
seconds. What is left out is said, with the reason and how to have it all the same.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, Modality, Task
from headstart.select.plan import Plan
from headstart.select.race import Entry
from headstart.strategies import STRATEGIES

FEWEST: dict[Modality, int] = {"text": 30, "image": 10}
"""Labels a class below which a source is not tuned; from ``benchmarks/results/tuning.md``."""
FEWEST_NUMBERS = 200
"""Labels below which a source is not tuned to predict numbers."""
ONE_FOLD, TWO_FOLDS = 500, 100
"""Training items from which one, or two, folds are enough for what is dear, where a part judges."""
DEFAULT_BUDGET = 180.0
"""Seconds that a fit may take where the user names none."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(budget: str | float | None) -> float:
    """Return a budget in seconds.

    Parameters
    ----------
    budget : str, float or None
        As ``90s``, ``10m``, ``1.5h``, or a number of seconds; None: 3 minutes.

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
    few = "" if named else _too_few(train)
    decisions = [
        Decision(
            f"{strategy} left out",
            f"{few}; frozen features win there",
            f"--strategy {strategy} forces it",
        )
        for strategy in dict.fromkeys(entry.strategy for entry in tuners(plan))
        if few
    ]
    left = tuple(e for e in plan.transfers if not (few and e in tuners(plan)))
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


def _too_few(train: Task) -> str:
    """Say how few labels there are, if too few; else the empty text."""
    assert train.labels is not None
    if train.kind == "regression":
        return f"{train.n} labels" if train.n < FEWEST_NUMBERS else ""
    each = int(np.median(np.unique(train.labels, return_counts=True)[1]))
    least = FEWEST.get(train.modality, FEWEST_NUMBERS)
    return f"{each} labels a class, below {least}" if each < least else ""


def round_up(seconds: float) -> int:
    """Return whole minutes that are enough."""
    return max(1, int(np.ceil(seconds / 60)))
