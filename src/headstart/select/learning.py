"""The learning curve: transfer and scratch learn from growing subsamples of the same labels.

Subsamples are nested: within a repeat, four labels a class are the two of before and two more, as
they are when somebody goes on labelling. The points of a repeat then share their luck, and
differences between them, which is what a curve is read for, vary less. Repeats are drawn anew.
Class shares are those of the whole. How often a point is repeated depends on its place on the
ladder alone, never on the clock. Unasked, a ladder is climbed that typically takes little time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import (
    SILENT,
    AnyArray,
    Decision,
    IntArray,
    Modality,
    Reporter,
    Task,
    subset,
)
from headstart.evaluate import Curve, Predictions, Run, curve_of, joined
from headstart.select import live
from headstart.select.heat import said
from headstart.select.measured import telling
from headstart.select.plan import FEW_LABELS_DEFAULT, MAJORITY, SCRATCH
from headstart.select.race import FAILURES, Entry, Field, fit_one, held_rows, input_of, predict_one
from headstart.strategies import STRATEGIES

if TYPE_CHECKING:
    from headstart.select.board import Board

CHEAP = (5.0, 15.0, 30.0)
"""Seconds that the most thorough, the shorter and the coarsest ladder may take unasked."""
TYPICAL: dict[Modality, tuple[float, float]] = {
    "text": (0.2, 0.003),
    "image": (8.0, 0.01),
    "audio": (8.0, 0.01),
    "table": (2.0, 0.001),
}
"""Seconds that learning from scratch typically takes: at least, and for each labelled item more.

Not measured, so that the same data give the same curve on a fast machine and on a busy one.
"""
FIRST_NUMBERS = 8
"""Labels that a curve of a regression starts at."""
LITTLE = 0.05
"""Share of the time of the whole that learning from hardly any labels takes."""


@dataclass(frozen=True)
class Ladder:
    """The points of a curve below the last one, and how often each is repeated.

    Parameters
    ----------
    steps : tuple of (n, repeats)
        n labels a class, or in all for regression.
    full : float
        The last point, all there is: once.
    """

    steps: tuple[tuple[int, int], ...]
    full: float

    def __str__(self) -> str:
        return ", ".join([*(f"{n:,}" for n, _ in self.steps), f"{self.full:,.4g}"])


@dataclass(frozen=True)
class Judges:
    """Who judges a curve: a part that none learns from, or held-out folds.

    Parameters
    ----------
    folds : sequence of (train, test) index arrays
        Into the training items; used where there is no judging part.
    part : Task, optional
        The judging part.
    inputs : mapping of source name to the judging part's inputs
        As ``Field.inputs``.
    """

    folds: Sequence[tuple[IntArray, IntArray]] = ()
    part: Task | None = None
    inputs: Mapping[str | None, Any] | None = None

    def sides(self, train: Task) -> list[IntArray]:
        """Return what may be learnt from: all items, or the training side of each fold."""
        return [np.arange(train.n)] if self.part is not None else [side for side, _ in self.folds]

    def truth(self, train: Task) -> AnyArray:
        """Return the labels of the judging items, in the order they are predicted."""
        labels = self.part.labels if self.part is not None else train.labels
        assert labels is not None
        return labels if self.part is not None else labels[self._held_out()]

    def groups(self, train: Task) -> IntArray:
        """Return the groups of the judging items."""
        return self.part.groups if self.part is not None else train.groups[self._held_out()]

    def _held_out(self) -> IntArray:
        return held_rows(self.folds)


@dataclass(frozen=True, eq=False)
class Learned:
    """What ``learning_curve`` found: a curve or none, and why."""

    curve: Curve | None
    decisions: tuple[Decision, ...] = ()


def stand_in(best: Entry) -> tuple[Entry, tuple[Decision, ...]]:
    """Return the candidate whose curve is measured: the best one, or a cheap one in its place.

    A strategy that tunes its source, or that blends two models, would take as long at every point
    as the whole race did; the probe on the same source stands in.
    """
    spec = STRATEGIES[best.strategy]
    if best.source is None or not (spec.tunes or spec.combines):
        return best, ()
    cheap = Entry(FEW_LABELS_DEFAULT, best.source)
    why = f"{best.name} takes too long to be fitted at every point"
    return cheap, (
        Decision(f"the learning curve is that of {cheap.name}", why, "--no-curve leaves it out"),
    )


def ladders(task: Task, full: float) -> tuple[Ladder, ...]:
    """Return the ladders of a task, the most thorough first.

    Parameters
    ----------
    task : Task
    full : float
        Labels a class of the last point; in all for regression.

    Returns
    -------
    tuple of Ladder
        Steps of two with two to five repeats; steps of two, repeated twice; steps of four,
        repeated twice.
    """
    first = FIRST_NUMBERS if task.kind == "regression" else 1

    def steps(factor: int, most: int, gap: float) -> tuple[tuple[int, int], ...]:
        found, n = [], first
        while n <= gap * full:
            doubled = round(float(np.log2(n / first)))
            found.append((n, max(2, min(most, 5 - doubled))))
            n *= factor
        return tuple(found)

    every = [steps(2, 5, 0.85), steps(2, 2, 0.7), steps(4, 2, 0.7)]
    return tuple(Ladder(found, full) for found in dict.fromkeys(every) if found)


def learning_curve(
    best: Entry | None,
    field: Field,
    train: Task,
    judges: Judges,
    *,
    metric: str,
    seed: int = 0,
    wanted: bool | None = None,
    left: float = math.inf,
    full: Mapping[str, Predictions] | None = None,
    reporter: Reporter = SILENT,
) -> Learned:
    """Measure how transfer and scratch learn from few labels, and from more.

    Parameters
    ----------
    best : Entry or None
        The best transfer candidate; see ``stand_in``. None where none took part.
    field : Field
        Of the items of ``train``.
    train : Task
        The training part.
    judges : Judges
    metric : str
    seed : int
    wanted : bool, optional
        Whether the user wants it; by default where it is cheap.
    left : float
        Seconds that are left of the budget, which an unasked curve keeps to.
    full : mapping of candidate name to Predictions
        What is known already: predictions for the judging items by models that learnt from all
        there is. Whatever else is needed is fitted.
    reporter : Reporter

    Returns
    -------
    Learned

    Raises
    ------
    OptionError
        Neither a judging part nor folds are given, and a curve is wanted.
    """
    if wanted is False or (best is None and not wanted):
        return Learned(None)
    if best is None:
        why = "no transfer took part, and the curve compares it with scratch"
        return Learned(None, (Decision("no learning curve", why),))
    sides = judges.sides(train)
    if not sides:
        if wanted:
            raise OptionError(
                "a learning curve needs items that judge it",
                where="--curve",
                hint="label more items of each class, or bring a test part with --test",
            )
        return Learned(None)
    entry, decisions = stand_in(best)
    reached = float(np.mean([len(side) for side in sides])) / max(1, len(train.classes))
    climbs = ladders(train, reached)
    if not climbs:
        why = f"with {reached:.3g} {_unit(train)} there is a single point"
        return Learned(None, (Decision("no learning curve", why, "label more items"),))
    limits = [min(most, left) for most in CHEAP[-len(climbs) :]]
    costs = [_cost(climb, len(sides), train) for climb in climbs]
    fitting = [c for c, cost, most in zip(climbs, costs, limits, strict=True) if cost <= most]
    climb = climbs[0] if wanted else next(iter(fitting), None)
    if climb is None:
        why = f"it would take about {_time(costs[-1])} more"
        return Learned(None, (Decision("no learning curve", why, "--curve measures it"),))
    walk = _Walk(entry, field, train, judges, seed, reporter, metric)
    runs = walk.runs(climb, full or {})
    curve = curve_of(
        metric,
        judges.truth(train),
        runs,
        groups=telling(judges.groups(train)),
        seed=seed,
        out_of_fold=judges.part is None,
        unit=_unit(train),
        transfer=entry.name,
    )
    return Learned(curve, (*decisions, _told(climb, climbs, train), *walk.decisions()))


def known_by(board: Board) -> dict[str, Predictions]:
    """Return the out-of-fold predictions of the candidates that all folds of a race measured."""
    return {
        name: one.on(board.rows)
        for name, one in board.measured.items()
        if len(one.rows) == len(board.rows)
    }


def subsample(train: Task, side: IntArray, n: float, rng: np.random.Generator) -> IntArray:
    """Draw about n labels a class (in all for regression) out of a training side.

    Class shares stay as they are, with one item of each class at least. Items whose group
    (duplicates) is in the subsample come last, unless the user named the groups. With the same
    generator, fewer labels are part of more.

    Parameters
    ----------
    train : Task
    side : ndarray of int
        Places of the items to draw from.
    n : float
    rng : numpy Generator
        In a fresh state: the draw of a given state is the same order, whatever n is.

    Returns
    -------
    ndarray of int
        Sorted places.
    """
    assert train.labels is not None
    if train.kind == "regression":
        return np.sort(_in_order(train, side, rng)[: int(n)])
    names, codes = np.unique(train.labels[side].astype(str), return_inverse=True)
    sizes = np.bincount(codes)
    # half up, so that no class ever loses an item where n grows
    counts = np.floor(n * len(names) * sizes / sizes.sum() + 0.5).astype(int)
    counts = np.clip(counts, 1, sizes)
    drawn = [
        _in_order(train, side[codes == code], rng)[: counts[code]] for code in range(len(names))
    ]
    return np.sort(np.concatenate(drawn))


def _in_order(train: Task, members: IntArray, rng: np.random.Generator) -> IntArray:
    """Return items in random order, those that repeat a group at the end."""
    mixed = members[rng.permutation(len(members))]
    if train.grouped:
        return mixed
    _, firsts = np.unique(train.groups[mixed], return_index=True)
    fresh = np.zeros(len(mixed), dtype=bool)
    fresh[firsts] = True
    return np.concatenate([mixed[fresh], mixed[~fresh]])


class _Walk:
    """Climbs a ladder: fits both models at every point, and predicts the judging items."""

    def __init__(
        self,
        entry: Entry,
        field: Field,
        train: Task,
        judges: Judges,
        seed: int,
        reporter: Reporter,
        metric: str,
    ) -> None:
        self.entry, self.field, self.train, self.judges = entry, field, train, judges
        self.seed, self.reporter, self.metric = seed, reporter, metric
        self.failed: dict[str, str] = {}

    def runs(self, climb: Ladder, full: Mapping[str, Predictions]) -> list[Run]:
        """Return the runs of all points, those of all there is last."""
        wanted = [(float(n), repeat) for n, repeats in climb.steps for repeat in range(repeats)]
        found = []
        for done, (n, repeat) in enumerate([*wanted, (climb.full, -1)]):
            last = repeat < 0
            pair = [
                full[entry.name]
                if last and self._known(full, entry)
                else self._predicted(entry, None if last else n, repeat)
                for entry in (self.entry, SCRATCH)
            ]
            found.append(Run(n, pair[0], pair[1]))
            live.curve_point(
                self.reporter,
                found[-1],
                self.judges.truth(self.train),
                metric=self.metric,
                unit=_unit(self.train),
                repeat=repeat,
                of=self.entry.name,
            )
            self.reporter.progress("learning curve", done + 1, len(wanted) + 1, "subsamples")
        return found

    def decisions(self) -> Iterator[Decision]:
        """Yield what has to be said of candidates that could not be fitted."""
        for name, reason in self.failed.items():
            yield Decision(
                f"{name} guesses at points of the learning curve where it cannot be trained",
                reason,
            )

    def _known(self, full: Mapping[str, Predictions], entry: Entry) -> bool:
        return entry.name in full and len(full[entry.name]) == len(self.judges.truth(self.train))

    def _predicted(self, entry: Entry, n: float | None, repeat: int) -> Predictions:
        """Return the predictions for the judging items by models that learnt from n labels."""
        pieces = []
        for number, side in enumerate(self.judges.sides(self.train)):
            index = side
            if n is not None:
                rng = np.random.default_rng([self.seed, repeat, number])
                index = subsample(self.train, side, n, rng)
            pieces.append(self._piece(entry, index, number))
        return pieces[0] if len(pieces) == 1 else joined(pieces)

    def _piece(self, entry: Entry, index: IntArray, number: int) -> Predictions:
        try:
            estimator = fit_one(entry, self.field, index)
            return predict_one(estimator, self._asked(entry, number), self.field.classes)
        except FAILURES as error:
            if entry == MAJORITY:
                raise
            self.failed.setdefault(entry.name, said(error))
            return self._piece(MAJORITY, index, number)

    def _asked(self, entry: Entry, number: int) -> Any:
        part = self.judges.part
        if part is not None:
            assert self.judges.inputs is not None
            return input_of(entry, self.judges.inputs, part.items)
        return subset(self.field.of(entry), self.judges.folds[number][1])


def _cost(climb: Ladder, n_sides: int, train: Task) -> float:
    """Return about how many seconds a ladder takes: all points but the last, which is known.

    Frozen features take little beside learning from scratch. Linear models take time in proportion
    to the labels; a network takes the same number of steps whatever there is to learn from, unless
    it is hardly anything.
    """
    least, each = TYPICAL.get(train.modality, (1.0, 0.01))
    total = 0.0
    for n, repeats in climb.steps:
        steady = train.modality in ("image", "audio") and n > 1
        share = 1.0 if steady else max(n / climb.full, LITTLE)
        total += repeats * n_sides * share * (least + each * train.n)
    return total


def _told(climb: Ladder, climbs: Sequence[Ladder], train: Task) -> Decision:
    repeats = [count for _, count in climb.steps]
    each = f"{min(repeats)} to {max(repeats)}" if min(repeats) < max(repeats) else f"{repeats[0]}"
    why = f"{each} nested random subsamples at each, all labels once"
    more = "" if climb is climbs[0] else "--curve measures more points, "
    return Decision(
        f"learning curve at {climb} {_unit(train)}", why, f"{more}--no-curve leaves it out"
    )


def _unit(train: Task) -> str:
    return "labels" if train.kind == "regression" else "labels a class"


def _time(seconds: float) -> str:
    """Return a length of time that two runs of the same data are likely to agree on."""
    if seconds < 90:
        return f"{max(10, 10 * round(seconds / 10))} s"
    return f"{round(seconds / 60)} min"
