"""The front door: read -> check -> encode -> race candidates -> judge the gain -> result.

Read this file from top to bottom and you know the product. No algorithm lives here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart import bundle, encode, evaluate, select, sources
from headstart import data as data_room
from headstart.core.errors import DataError, OptionError
from headstart.core.types import (
    SILENT,
    Candidate,
    Decision,
    FloatArray,
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
    board = _Board(select.race(plan.entries, field, folds, reporter=reporter), train, folds)
    best, advised = _choose(board, plan, metric, seed, log)

    # Judge on what did not choose, and let the guard have the last word.
    finalists = [entry for entry in (MAJORITY, SCRATCH, best) if entry is not None]
    fitted = {entry.name: select.fit_one(entry, field) for entry in finalists}
    judged = _judge(board, plan, best, fitted, judge, judge_inputs, metric, seed)
    shipped = _ship(plan, best, advised, judged, log)

    candidates = board.candidates(shipped, metric, seed)
    decisions = tuple(log.decisions)
    contents = bundle.BundleContents(
        modality=train.modality,
        kind=train.kind,
        strategy=shipped.strategy,
        state=fitted[shipped.name].to_state(),
        metric=metric,
        classes=train.classes,
        label_name=train.label_name,
        columns=bundle.columns_of(train.items) if train.modality == "table" else (),
        source=sources.card(shipped.source) if shipped.source else None,
        score=judged.scores[shipped.name],
        gain=judged.gain,
        baselines={name: judged.scores[name] for name in ("majority", "scratch")},
        decisions=decisions,
        candidates=candidates,
        extra={"judged_by": judged.by, "seed": seed, "shots": shots},
        fingerprint=train.fingerprint,
        n=train.n,
    )
    return Result(
        task=train,
        metric=metric,
        judged_by=judged.by,
        chosen=Candidate(shipped.strategy, shipped.source, status="chosen"),
        score=judged.scores[shipped.name],
        majority=judged.scores["majority"],
        scratch=judged.scores["scratch"],
        gain=judged.gain,
        transfer=Candidate(best.strategy, best.source) if best else None,
        transfer_score=judged.scores[best.name] if best else None,
        candidates=candidates,
        decisions=decisions,
        seconds=time.perf_counter() - started,
        seed=seed,
        contents=contents,
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
        return evaluate.find_metric(name, train.kind).name
    assert train.labels is not None
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
    for name in plan.sources:
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
    """The race's outcomes beside the truth: all that choosing may look at."""

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        train: Task,
        folds: Sequence[tuple[IntArray, IntArray]],
    ) -> None:
        assert train.labels is not None
        held_out = [test for _, test in folds]
        covered = np.concatenate(held_out) if held_out else np.zeros(0, dtype=np.int64)
        self.outcomes = outcomes
        self.truth = train.labels[covered]
        self.groups = _groups(train.take(covered))
        self.predictions = {
            outcome.entry.name: outcome.predictions
            for outcome in outcomes
            if outcome.predictions is not None
        }

    def candidates(self, shipped: Entry, metric: str, seed: int) -> tuple[Candidate, ...]:
        """Return every candidate with its out-of-fold score."""
        found = []
        for outcome in self.outcomes:
            entry, predictions = outcome.entry, outcome.predictions
            score = None
            if predictions is not None:
                score = evaluate.score(
                    metric, self.truth, predictions, groups=self.groups, seed=seed
                )
            status = "failed" if outcome.failure else "lost"
            found.append(
                Candidate(
                    entry.strategy,
                    entry.source,
                    score,
                    outcome.seconds,
                    "chosen" if entry == shipped else status,  # type: ignore[arg-type]
                    outcome.failure,
                )
            )
        return tuple(found)


def _groups(task: Task) -> IntArray | None:
    """Return the groups, or None where every item stands for itself."""
    return None if len(np.unique(task.groups)) == task.n else task.groups


def _choose(
    board: _Board, plan: Plan, metric: str, seed: int, log: _Log
) -> tuple[Entry | None, bool]:
    """Return the best transfer candidate, and whether the guard advises to ship it."""
    if not plan.transfers:
        return None, False
    runners = {
        entry.name: board.predictions[entry.name]
        for entry in plan.transfers
        if entry.name in board.predictions
    }
    if not runners or not len(board.truth):
        return plan.default, True
    choice = select.choose(runners, board.truth, metric, groups=board.groups, seed=seed)
    log.add(*choice.decisions)
    best = next(entry for entry in plan.transfers if entry.name == choice.name)
    pair = {name: board.predictions[name] for name in (best.name, SCRATCH.name)}
    guarded = select.guard(best.name, pair, board.truth, metric, groups=board.groups, seed=seed)
    log.add(guarded.decision)
    return best, guarded.ship == "transfer"


@dataclass(frozen=True)
class _Judged:
    """What the judging items said: scores by candidate name, and the gain of the best transfer."""

    scores: Mapping[str, Score]
    gain: Gain
    by: str


def _judge(
    board: _Board,
    plan: Plan,
    best: Entry | None,
    fitted: Mapping[str, Any],
    judge: Task | None,
    judge_inputs: Mapping[str | None, Any],
    metric: str,
    seed: int,
) -> _Judged:
    """Score the finalists on items that chose nothing, and measure the paired gain."""
    entries = [entry for entry in (MAJORITY, SCRATCH, best) if entry is not None]
    if judge is not None:
        assert judge.labels is not None
        truth, groups = judge.labels, _groups(judge)
        by = f"{judge.n:,} items that took no part in training or choosing"
        found = {
            entry.name: select.predict_one(
                fitted[entry.name], judge_inputs[entry.source], judge.classes
            )
            for entry in entries
        }
    else:
        truth, groups = board.truth, board.groups
        by = f"{len(truth):,} out-of-fold predictions, corrected for having chosen on them"
        found = {entry.name: board.predictions[entry.name] for entry in entries}
    scores = {
        name: evaluate.score(metric, truth, predictions, groups=groups, seed=seed)
        for name, predictions in found.items()
    }
    if best is None:
        nothing = Gain(0.0, 0.0, 0.0, len(truth), metric=metric, verdict="none")
        return _Judged(scores, nothing, by)
    if judge is not None:
        gain = evaluate.gain(
            metric, truth, found[best.name], found[SCRATCH.name], groups=groups, seed=seed
        )
        return _Judged(scores, gain, by)
    runners = [entry.name for entry in plan.transfers if entry.name in board.predictions]
    raced = {name: board.predictions[name] for name in (SCRATCH.name, *runners)}
    honest = select.corrected(raced, truth, metric, transfers=runners, groups=groups, seed=seed)
    return _Judged({**scores, best.name: honest.score}, honest.gain, by)


def _ship(plan: Plan, best: Entry | None, advised: bool, judged: _Judged, log: _Log) -> Entry:
    """Return what the user gets: the guard's advice, unless they named what they want."""
    if best is None:
        return SCRATCH
    forbidden = select.veto(judged.gain)
    if forbidden is not None:
        log.add(forbidden)
    shipped = best if not plan.guarded or (advised and forbidden is None) else SCRATCH
    if judged.scores[shipped.name].estimate == judged.scores[MAJORITY.name].estimate:
        log.add(
            Decision(
                "no better than the constant guess",
                "the labels may have little to do with these items, or there are too few of them",
                "look at the data with `headstart check`, or label more",
            )
        )
    return shipped


def check(
    data: Any,
    *,
    label: Any = None,
    text: str | None = None,
    path: str | None = None,
    group: str | None = None,
    test: Any = None,
    modality: str | None = None,
    suspects: bool = True,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> data_room.CheckReport:
    """Report the problems in the data before anything is trained.

    Parameters
    ----------
    data, label, text, path, group, test, modality
        As for ``fit``. Unreadable items are reported, however many there are.
    suspects : bool
        Also look for wrong labels, by cross-validating a probe on the default source (scratch for
        a table).
    seed : int
    reporter : Reporter

    Returns
    -------
    CheckReport
        Its findings, worst first; ``to_json()`` gives plain values.

    Raises
    ------
    DataError, OptionError
    """
    task = data_room.read(
        data,
        label=label,
        text=text,
        path=path,
        group=group,
        test=test,
        modality=modality,
        allow_unreadable=1.0,
        reporter=reporter,
    )
    probabilities = None
    if suspects and task.kind == "classification":
        probabilities = _out_of_fold(task, seed, reporter)
    return data_room.check(task, probabilities=probabilities, reporter=reporter)


def _out_of_fold(task: Task, seed: int, reporter: Reporter) -> FloatArray | None:
    """Return out-of-fold class probabilities, or None where nothing can be cross-validated."""
    plan = select.plan(task.modality, task.kind, strategy=None)
    entry = plan.default if plan.transfers else SCRATCH
    try:
        folds = data_room.split(task, n_splits=FOLDS, seed=seed)
    except DataError:
        return None
    only = replace(plan, transfers=(entry,) if entry is not SCRATCH else ())
    field, _ = _encode(only, task, None, seed, reporter)
    outcome = select.race([entry], field, folds, reporter=reporter)[0]
    if outcome.predictions is None or outcome.predictions.probabilities is None:
        return None
    held_out = np.concatenate([test for _, test in folds])
    probabilities = np.full((task.n, len(task.classes)), np.nan)
    probabilities[held_out] = outcome.predictions.probabilities
    return None if np.isnan(probabilities).any() else probabilities
