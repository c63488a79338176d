"""The contest of a sequence task: who answers what, on examples that they have not seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from headstart.core.errors import DataError, HeadstartError, OutOfTimeError
from headstart.core.types import SILENT, Decision, IntArray, Reporter
from headstart.sequences.base import Answer, Contender, Examples

FOLDS = 3
"""Each trains a model: more cost more than they tell."""
HELD_SHARE = 0.25
Fold = tuple[IntArray, IntArray]
Limited = Callable[[float], Reporter]


@dataclass(eq=False)
class Outcome:
    """What one contender answered out of fold.

    Parameters
    ----------
    contender : Contender
    answers : dict of position to Answer
        Of the examples that were held out.
    seconds : float
    reason : str
        Why it takes no further part; empty if it does.
    failed : bool
        Whether the reason is an error.
    """

    contender: Contender
    answers: dict[int, Answer] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""
    failed: bool = False
    decisions: tuple[Decision, ...] = ()


def folds_of(examples: Examples, *, seed: int, n_folds: int = FOLDS) -> list[Fold]:
    """Cut examples into folds that no group straddles.

    Parameters
    ----------
    examples : Examples
    seed : int
    n_folds : int
        Fewer where there are fewer groups.

    Raises
    ------
    DataError
        There is one group only.
    """
    from sklearn.model_selection import GroupKFold

    count = len(np.unique(examples.groups))
    if count < 2:
        raise DataError(
            "everything is one group, so nothing can be held out",
            got=f"{examples.n} examples",
            hint="bring a part that judges with --test, or name another --group",
        )
    cut = GroupKFold(n_splits=min(n_folds, count), shuffle=True, random_state=seed)
    return [
        (np.asarray(train, dtype=np.int64), np.asarray(held, dtype=np.int64))
        for train, held in cut.split(np.zeros(examples.n), groups=examples.groups)
    ]


def one_fold(examples: Examples, *, seed: int) -> list[Fold]:
    """Hold out about a quarter of the groups, once: enough to choose where others judge.

    Raises
    ------
    DataError
        There is one group only.
    """
    return folds_of(examples, seed=seed, n_folds=round(1 / HELD_SHARE))[:1]


def answered(
    contender: Contender,
    examples: Examples,
    folds: Sequence[Fold],
    *,
    seed: int,
    left: Callable[[], float] = lambda: float("inf"),
    limited: Limited | None = None,
    reporter: Reporter = SILENT,
) -> Outcome:
    """Let a contender answer what it has not seen, fold by fold, as long as there is time.

    After each fold it is asked whether another one, and the fit on everything, still fit in.

    Parameters
    ----------
    contender : Contender
    examples : Examples
    folds : sequence of (train, held)
        Positions.
    seed : int
    left : callable
        Seconds that are left.
    limited : callable, optional
        ``limited(spare)`` is a reporter that stops the work when only ``spare`` seconds are left.
    reporter : Reporter

    Returns
    -------
    Outcome
        What a headstart error says stands in its ``reason``: others go on.
    """
    outcome, started = Outcome(contender), time.perf_counter()
    try:
        for number, (train, held) in enumerate(folds):
            began = time.perf_counter()
            said = limited(left() / 2) if limited and not number else reporter
            model = contender.fit(examples.take(train), seed=seed, reporter=said)
            answers = model.predict(examples.take(held).inputs)
            _keep(outcome, held, answers)
            took = time.perf_counter() - began
            if number + 1 < len(folds) and left() < 2.5 * took:
                break
    except OutOfTimeError as error:
        outcome.reason = error.what
    except HeadstartError as error:
        outcome.reason, outcome.failed = str(error), True
    outcome.seconds = time.perf_counter() - started
    return outcome


def _keep(outcome: Outcome, held: IntArray, answers: Sequence[Answer]) -> None:
    assert len(answers) == len(held)
    outcome.answers.update(zip(held.tolist(), answers, strict=True))
