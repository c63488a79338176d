"""The front door: read -> check -> encode -> race candidates -> judge the gain -> result.

Read this file from top to bottom and you know the product. No algorithm lives here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart import data as data_room
from headstart import encode, evaluate, select, sources
from headstart.core.errors import DataError, OptionError
from headstart.core.types import (
    SILENT,
    Candidate,
    Decision,
    Gain,
    IntArray,
    Reporter,
    Score,
    Task,
)
from headstart.result import Result
from headstart.select import MAJORITY, SCRATCH, Entry, Field, Outcome, Plan

FOLDS = 5  # out-of-fold predictions of the training part
LARGE = 10_000  # training items from which a single held-out fifth chooses, where a test part judges
JUDGE_ITEMS = 2_000  # labelled items that judge when --shots leaves more than that


def fit(
    data: Any,
    *,
    label: Any = None,
    text: str | None = None,
    path: str | None = None,
    group: str | None = None,
    test: Any = None,
    modality: str | None = None,
    source: str | Sequence[str] | None = None,
    strategy: str | Sequence[str] | None = None,
    shots: int | None = None,
    metric: str | None = None,
    seed: int = 0,
    allow_unreadable: float = 0.05,
    reporter: Reporter = SILENT,
) -> Result:
    """Find out whether transfer helps on this data, by how much, and return the better model.

    Parameters
    ----------
    data : path, DataFrame, (X, y), Dataset or list
        A folder with a sub-folder a class; a CSV, TSV, JSON Lines or Parquet file; a data frame;
        arrays ``(X, y)``; a Hugging Face dataset; or a list of items with ``label=`` their labels.
    label, text, path, group : str, optional
        Columns of the label, the text, the file path and the groups that must not be split.
        For a folder, ``group`` is a regular expression searched in each file's relative path.
    test : same forms as ``data``, optional
        The part that judges. Without it, out-of-fold predictions judge, corrected for selection.
    modality : {"image", "text", "table"}, optional
        Inferred, with the reason in ``result.decisions``.
    source, strategy : str or sequence of str, optional
        The candidates. A strategy named here is what you get, whatever the guard advises;
        name ``scratch`` beside it to keep the guard.
    shots : int, optional
        Use only this many labels a class to train; the other labelled items then judge.
    metric : str, optional
        One of ``headstart.evaluate.METRICS``.
    seed : int
        Same data, seed and versions: same numbers.
    allow_unreadable : float
        Share of unreadable items, 0 to 1, above which reading fails.
    reporter : Reporter
        Where progress and messages go.

    Returns
    -------
    Result
        The model with its measured gain: ``result.gain``, ``result.predict``, ``result.save``.

    Raises
    ------
    DataError, OptionError, SourceError
        Each names what is wrong, where, and what to do next.

    Examples
    --------
    >>> import headstart as hs
    >>> result = hs.fit("photos/")                       # doctest: +SKIP
    >>> print(result.gain)                               # doctest: +SKIP
    +0.183 [0.121, 0.244] over scratch: positive transfer
    """
    started = time.perf_counter()
    log = _Log(reporter)
    if shots is not None and shots < 1:
        raise OptionError("the number of labels a class must be at least 1", where="--shots", got=shots)

    # Read the data, and set apart the part that judges.
    task = data_room.read(
        data,
        label=label,
        text=text,
        path=path,
        group=group,
        test=test,
        modality=modality,
        allow_unreadable=allow_unreadable,
        reporter=reporter,
    )
    log.add(*task.decisions)
    train, judge = _set_apart(task, shots, seed, log)

    # Say who takes part, and what counts.
    plan = select.plan(task.modality, task.kind, source=source, strategy=strategy)
    log.add(*plan.decisions)
    metric = _metric(metric, train, log)

    # Turn the items into what the candidates see, once for all of them.
    field, judge_inputs = _encode(plan, train, judge, seed, reporter)

    # Race: every candidate predicts the same training items out of fold. Choose among them.
    folds = _folds(train, judge, seed, log)
    outcomes = select.race(plan.entries, field, folds, reporter=reporter)
    board = _Board(outcomes, train, folds, metric, seed)
    best = _choose(board, plan, log)

    # Judge on what did not choose, and let the guard have the last word.
    finalists = [entry for entry in (MAJORITY, SCRATCH, best) if entry is not None]
    fitted = {entry: select.fit_one(entry, field) for entry in finalists}
    judged = _judge(board, best, fitted, judge, judge_inputs)
    shipped = _ship(board, plan, best, judged, log)

    return Result(
        task=train,
        judged_by=judged.by,
        metric=metric,
        chosen=shipped,
        score=judged.scores[shipped],
        majority=judged.scores[MAJORITY],
        scratch=judged.scores[SCRATCH],
        gain=judged.gain,
        candidates=board.candidates(shipped),
        decisions=tuple(log.decisions),
        seconds=time.perf_counter() - started,
        seed=seed,
        estimator=fitted[shipped],
    )


class _Log:
    """Collects decisions and says each one as it is made."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.decisions: list[Decision] = []

    def add(self, *decisions: Decision) -> None:
        for decision in decisions:
            self.decisions.append(decision)
            self.reporter.say(str(decision))


def _set_apart(task: Task, shots: int | None, seed: int, log: _Log) -> tuple[Task, Task | None]:
    """Return the training part and the part that judges (None: out-of-fold predictions judge)."""
    if shots is None:
        return replace(task, test=None), task.test
    chosen, rest, decisions = data_room.shots(task, shots, seed)
    log.add(*decisions)
    train = task.take(chosen)
    if task.test is not None:
        return train, task.test
    if not len(rest):
        return train, None
    if len(rest) > JUDGE_ITEMS:
        left = len(rest)
        rest = np.sort(np.random.default_rng(seed).choice(rest, JUDGE_ITEMS, replace=False))
        log.add(
            Decision(
                f"{JUDGE_ITEMS:,} of the other {left:,} labelled items judge",
                "drawn at random; more would narrow the interval little and cost time",
                "bring all of them with --test FILE",
            )
        )
    return train, task.take(rest)


def _metric(name: str | None, train: Task, log: _Log) -> str:
    if name is not None:
        evaluate.check_metric(name, train.kind, train.classes)
        return name
    name, decision = evaluate.default_metric(train.kind, train.labels)
    log.add(decision)
    return name


def _encode(
    plan: Plan, train: Task, judge: Task | None, seed: int, reporter: Reporter
) -> tuple[Field, dict[str | None, Any]]:
    """Return what candidates train on, and the judging part in the same form."""
    inputs: dict[str | None, Any] = {None: train.items}
    judging: dict[str | None, Any] = {None: judge.items if judge else None}
    if train.modality == "image":
        inputs[None] = encode.pixels(train.items, reporter=reporter)
        judging[None] = encode.pixels(judge.items, reporter=reporter) if judge else None
    for name in dict.fromkeys(entry.source for entry in plan.transfers):
        assert name is not None
        backbone = sources.load(name, reporter=reporter)
        inputs[name] = encode.features(train.items, backbone, reporter=reporter).array
        if judge:
            judging[name] = encode.features(judge.items, backbone, reporter=reporter).array
    assert train.labels is not None
    field = Field(inputs, train.labels, train.classes, train.kind, train.modality, seed)
    return field, judging


def _folds(
    train: Task, judge: Task | None, seed: int, log: _Log
) -> list[tuple[IntArray, IntArray]]:
    """Return the folds whose held-out predictions choose."""
    try:
        folds = data_room.split(train, n_splits=FOLDS, seed=seed)
    except DataError:
        if judge is None:
            raise
        log.add(
            Decision(
                "nothing is left to choose with",
                "one label a class cannot be cross-validated; the default candidate is taken",
                "--strategy NAME, or label a second item of each class",
            )
        )
        return []
    if judge is not None and train.n >= LARGE:
        log.add(
            Decision(
                "a single held-out fifth chooses",
                f"{train.n:,} training items are enough for that, and the test part judges",
            )
        )
        return folds[:1]
    return folds


class _Board:
    """The race's outcomes beside the truth: what choosing may look at."""

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        train: Task,
        folds: Sequence[tuple[IntArray, IntArray]],
        metric: str,
        seed: int,
    ) -> None:
        assert train.labels is not None
        held_out = [test for _, test in folds]
        covered = np.concatenate(held_out) if held_out else np.zeros(0, dtype=np.int64)
        self.outcomes = outcomes
        self.truth = train.labels[covered]
        self.groups = _groups(train, covered)
        self.metric, self.seed = metric, seed
        self.predictions = {
            outcome.entry: outcome.predictions
            for outcome in outcomes
            if outcome.predictions is not None
        }

    def score(self, entry: Entry) -> Score:
        """Return the out-of-fold score of a candidate."""
        return evaluate.score(
            self.metric, self.truth, self.predictions[entry], groups=self.groups, seed=self.seed
        )

    def candidates(self, shipped: Entry) -> tuple[Candidate, ...]:
        """Return every candidate with its out-of-fold score."""
        return tuple(
            Candidate(
                outcome.entry.strategy,
                outcome.entry.source,
                self.score(outcome.entry) if outcome.entry in self.predictions else None,
                outcome.seconds,
                "chosen"
                if outcome.entry == shipped
                else ("failed" if outcome.failure else "lost"),
                outcome.failure,
            )
            for outcome in self.outcomes
        )


def _groups(task: Task, index: IntArray | None = None) -> IntArray | None:
    """Return the groups, or None where every item stands for itself."""
    groups = task.groups if index is None else task.groups[index]
    return None if len(np.unique(groups)) == len(groups) else groups
