"""The gate before the race: which candidates that tune a source are worth their time here.

Frozen features win with few labels and tuning with more; tuning costs minutes where they cost
seconds. What is left out is said, with the reason and how to have it all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, IntArray, Modality, Task
from headstart.select.plan import Plan
from headstart.select.race import Entry, Field, seconds_to_fit
from headstart.strategies import STRATEGIES

FEWEST: dict[Modality, int] = {"text": 30, "image": 10}
"""Labels a class below which a source is not tuned; from ``benchmarks/results/tuning.md``."""
FEWEST_NUMBERS = 200
"""Labels below which a source is not tuned to predict numbers."""
ONE_FOLD, TWO_FOLDS = 500, 100
"""Training items from which one, or two, held-out fifths choose where a test part judges."""
DEFAULT_BUDGET = 600.0
"""Seconds that tuning may take where the user names none."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(budget: str | float | None) -> float:
    """Return a budget in seconds.

    Parameters
    ----------
    budget : str, float or None
        As ``90s``, ``10m``, ``1.5h``, or a number of seconds; None: 10 minutes.

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
            f"{entry.strategy} left out",
            f"{few}; frozen features win there",
            f"--strategy {entry.strategy} forces it",
        )
        for entry in tuners(plan)
        if few
    ]
    left = tuple(e for e in plan.transfers if not (few and e in tuners(plan)))
    return replace(plan, transfers=left, decisions=tuple(decisions))


def affordable(
    plan: Plan, *, fits: int, budget: float, named: bool, seconds: Callable[[Entry], float]
) -> Plan:
    """Return the plan without candidates that would take longer than there is time.

    Parameters
    ----------
    plan : Plan
    fits : int
        How often each candidate will be fitted.
    budget : float
        Seconds that all of them may take together.
    named : bool
        Whether the user named the strategies: then all stay, and the time is told.
    seconds : callable
        Estimates the seconds of one fit of a candidate.

    Returns
    -------
    Plan
        Its ``decisions`` are those made here.
    """
    transfers, decisions = list(plan.transfers), []
    for entry in tuners(plan):
        needed = fits * seconds(entry)
        if needed > budget and not named:
            transfers.remove(entry)
            decisions.append(
                Decision(
                    f"{entry.strategy} left out",
                    f"it would take about {_time(needed)}, and there are {_time(budget)}",
                    f"--budget {_round_up(needed)}m, or --strategy {entry.strategy}",
                )
            )
            continue
        budget -= needed
        decisions.append(
            Decision(
                f"{entry.strategy} tunes {entry.source}",
                f"about {_time(needed)} in all",
                "" if named else "--strategy probe leaves it out",
            )
        )
    return replace(plan, transfers=tuple(transfers), decisions=tuple(decisions))


def fewer_folds(n: int, n_folds: int) -> int:
    """Return how many of the folds choose among candidates that take long, of n training items.

    Examples
    --------
    >>> [fewer_folds(n, 5) for n in (50, 200, 5_000)]
    [5, 2, 1]
    """
    if n >= ONE_FOLD:
        return 1
    return min(2, n_folds) if n >= TWO_FOLDS else n_folds


def settle(
    plan: Plan,
    field: Field,
    folds: list[tuple[IntArray, IntArray]],
    *,
    judged: bool,
    budget: float,
    named: bool,
) -> tuple[Plan, list[tuple[IntArray, IntArray]]]:
    """Leave out what would take too long; where sources are tuned, let fewer folds choose.

    Parameters
    ----------
    plan : Plan
    field : Field
    folds : list of (train, test) index arrays
    judged : bool
        Whether a test part judges, so that fewer folds are enough to choose.
    budget : float
        Seconds that tuning may take.
    named : bool
        Whether the user named the strategies.

    Returns
    -------
    Plan, list of folds
        The plan's ``decisions`` are those made here.
    """
    if not tuners(plan):
        return replace(plan, decisions=()), folds
    few = folds[: fewer_folds(len(field.labels), len(folds))] if judged else folds
    plan = affordable(
        plan,
        fits=len(few) + 1,
        budget=budget,
        named=named,
        seconds=lambda entry: seconds_to_fit(entry, field),
    )
    if len(few) == len(folds) or not tuners(plan):
        return plan, folds
    what = ("a single held-out fifth chooses", "two held-out fifths choose")[len(few) - 1]
    fewer = Decision(
        what, "tuning takes long, and the test part judges", "--strategy probe: all five"
    )
    return replace(plan, decisions=(*plan.decisions, fewer)), few


def _too_few(train: Task) -> str:
    """Say how few labels there are, if too few; else the empty text."""
    assert train.labels is not None
    if train.kind == "regression":
        return f"{train.n} labels" if train.n < FEWEST_NUMBERS else ""
    each = int(np.median(np.unique(train.labels, return_counts=True)[1]))
    least = FEWEST.get(train.modality, FEWEST_NUMBERS)
    return f"{each} labels a class, below {least}" if each < least else ""


def _time(seconds: float) -> str:
    return f"{max(seconds, 1):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _round_up(seconds: float) -> int:
    return int(np.ceil(1.2 * seconds / 60))
