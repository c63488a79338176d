"""The front door: read -> check -> encode -> race candidates -> judge the gain -> result.

Read this file from top to bottom and you know the product. No algorithm lives here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from headstart import data as data_room
from headstart import evaluate, evidence, select
from headstart._version import __version__
from headstart.core.errors import DataError, OptionError
from headstart.core.events import tell
from headstart.core.types import (
    SILENT,
    Decision,
    IntArray,
    Modality,
    Reporter,
    Skipped,
    Task,
)
from headstart.evaluate import Predictions
from headstart.log import Log
from headstart.result import Result, put_together
from headstart.select import MAJORITY, SCRATCH, Entry, Judged, Pick, Plan
from headstart.view import View

LARGE = 10_000  # training items of which one held-out fifth chooses, where a test part judges
JUDGE_ITEMS = 2_000  # labelled items that judge when --shots leaves more than that
LABEL_THESE = 50  # unlabelled items of DATA that are proposed for labelling
FEWEST_JUDGES = 10  # labelled items below which a regression is judged out of fold
_NOT_FOR_SEQUENCES: dict[str, tuple[Any, ...]] = {
    "classes": (None,),
    "modality": (None,),
    "shots": (None,),
    "curve": (None, False),
    "max_risk": (None,),
    "resume": (False,),
    "beside": (None,),
}


def fit(
    data: Any = None,
    *,
    classes: Any = None,
    task: str | None = None,
    label: Any = None,
    text: str | None = None,
    path: str | None = None,
    group: str | None = None,
    test: Any = None,
    modality: Modality | None = None,
    source: str | Sequence[str] | None = None,
    strategy: str | Sequence[str] | None = None,
    shots: int | None = None,
    metric: str | None = None,
    budget: str | float | None = None,
    curve: bool | None = None,
    max_risk: float | None = None,
    seed: int = 0,
    allow_unreadable: float = 0.05,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    beside: Mapping[select.Entry, Mapping[str, Any]] | None = None,
    reporter: Reporter = SILENT,
) -> Result:
    """Find out whether transfer helps on this data, by how much, and return the better model.

    Parameters
    ----------
    data : path, DataFrame, (X, y), Dataset or list
        A folder with a sub-folder a class; a CSV, TSV, JSON Lines or Parquet file; a data frame;
        arrays ``(X, y)``; a Hugging Face dataset; or a list of items with ``label=`` their labels.
    classes : optional
        The names of the classes, or what describes them: then labels may be few or none, and DATA
        may be left out (see ``headstart.zero_shot``, which takes over).
    task : str, optional
        One of ``headstart.sequences.SEQUENCE_TASKS``, where the answer is a text, tags or a span:
        ``headstart.fit_sequences`` takes over, and a ``SequenceResult`` is returned.
    label, text, path, group : str, optional
        Columns of the label, the text, the file path and the groups that must not be split.
        For a folder, ``group`` is a regular expression searched in each file's relative path.
    test : same forms as ``data``, optional
        The part that judges. Without it, out-of-fold predictions judge, corrected for selection.
    modality : {"image", "text", "audio", "table"}, optional
        Inferred, with the reason in ``result.decisions``.
    source, strategy : str or sequence of str, optional
        The candidates. A strategy named here is what you get, whatever the guard advises;
        name ``scratch`` beside it to keep the guard.
    shots : int, optional
        Use only this many labels a class to train; the other labelled items then judge.
    metric : str, optional
        One of ``headstart.evaluate.METRICS``.
    budget : str or float, optional
        Time that all of it may take: ``"90s"``, ``"10m"``, ``"1.5h"`` or seconds; 2 minutes by
        default. Scratch and frozen features take what they take; further sources and tuning take
        part as long as there is time, unless they are named with ``strategy``.
    curve : bool, optional
        Measure how transfer and scratch learn from fewer labels, and forecast what more would
        bring; by default where it takes little time.
    max_risk : float, optional
        The share of its answers that may be wrong, 0 to 1: the model abstains where it is not sure
        enough to keep that, and on items out of scope. Without it everything is answered.
    seed : int
        Same data, seed and versions: same numbers.
    allow_unreadable : float
        Share of unreadable items, 0 to 1, above which reading fails.
    checkpoint : path, optional
        A folder where the race keeps what was predicted, and training writes checkpoints, once a
        minute and when it is asked to stop.
    resume : bool
        Go on from the checkpoints of the same data, options and seed, to the same bits.
    beside : mapping of Entry to mapping, optional
        Candidates that know the classes, each with its parameters: ``zero_shot`` makes them.
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
    if task is not None:
        return cast("Result", _sequences(**locals()))
    if classes is not None:
        given = dict(locals())
        del given["beside"], given["task"]
        from headstart.zeroshot import zero_shot

        return zero_shot(given.pop("classes"), given.pop("data"), **given)
    started = time.perf_counter()
    log, seed = Log(reporter), int(seed)
    check_shots(shots)

    # Read the data, and set apart the part that judges.
    clock = select.Clock(select.seconds_of(budget))
    whole = data_room.read(
        data,
        label=label,
        text=text,
        path=path,
        group=group,
        test=test,
        modality=modality,
        allow_unreadable=allow_unreadable,
        kind=None if beside is None else "classification",
        reporter=reporter,
    )
    log.add(*whole.decisions)
    max_risk = select.risk_asked(max_risk, whole.kind)
    skipped = (*whole.skipped, *(whole.test.skipped if whole.test else ()))
    _say_skipped(skipped, log)
    train, judge = _set_apart(whole, shots, seed, log)

    # Say who takes part, and what counts.
    plan = select.plan(
        whole.modality, whole.kind, source=source, strategy=strategy, described=beside is not None
    )
    log.add(*plan.decisions)
    plan = plan.with_known(tuple(beside or ()))
    spoken = select.languages_of(train)
    plan = select.for_languages(plan, spoken, judged=select.languages_of(judge))
    log.add(*plan.decisions)
    plan = select.enough_labels(plan, train, named=strategy is not None)
    log.add(*plan.decisions)
    metric, chosen = evaluate.metric_of(metric, whole.kind, whole.labels)
    log.add(*chosen)
    rules = select.Rules(metric, judge is not None, strategy is not None)

    # Turn the items into what the candidates see, once for all of them.
    tuning = {"checkpoint": checkpoint, "resume": resume, "reporter": select.Once(reporter)}
    view = View(train, judge, seed, tuning, reporter, beside)
    for name in plan.sources[:1]:
        view.encode(name, plan.sources)

    # Race: candidates predict the same training items out of fold; who cannot win any more stops.
    folds = _folds(train, judge, seed, log)
    facts = [train.fingerprint, train.groups.tolist(), __version__, seed, shots]
    facts += [select.identity(beside)] if beside else []
    journal = select.Journal(
        checkpoint, facts, identity=view.identity, resume=resume, reporter=reporter
    )
    contest = select.Contest(
        view.field, folds, rules, clock=clock, journal=journal, reporter=reporter
    )
    contest.run((*select.BASELINES, *(plan.frozen(plan.sources[0]) if plan.sources else ())))
    for name in select.scout(contest, plan, view.look, view.timed, n_judge=judge.n if judge else 0):
        view.encode(name, plan.sources)
        contest.run(plan.frozen(name))
    contest.tune(plan)
    contest.blend(plan)
    log.keep(*contest.decisions)

    # Choose.
    board = select.Board(tuple(contest.outcomes.values()), train, folds, rules.metric, seed)
    pick = board.pick(plan)
    log.add(*pick.decisions)
    if pick.best is None and not plan.guarded:
        raise OptionError(
            "what was named could not be fitted",
            where="--strategy",
            got="; ".join(str(each) for each in pick.decisions),
            hint="name another, or none",
        )

    # Judge on what did not choose, and let the guard have the last word.
    finalists = [entry for entry in (MAJORITY, SCRATCH, pick.best) if entry is not None]
    fitted = {entry.name: contest.final(entry) for entry in finalists}
    for estimator in fitted.values():
        log.add(*getattr(estimator, "decisions_", ()))
    found: dict[str, Predictions] = {}
    if judge is None:
        judged = board.judged(plan, pick.best)
    else:
        found = {
            entry.name: select.predict_one(fitted[entry.name], view.judging(entry), whole.classes)
            for entry in finalists
        }
        judged = select.judge(found, pick.best, judge, metric=rules.metric, seed=seed)
    shipped = _ship(plan, pick, judged, log, apart=judge is not None)

    # Say how sure it is, and when it does not know.
    answering = select.answering(
        shipped,
        board,
        view.field,
        folds,
        max_risk=max_risk,
        judge=judge,
        found=found,
        inputs=view.judged,
    )
    log.add(*answering.decisions)

    # Learn from fewer labels, to say what more would bring; and look at the labels themselves.
    learned = select.learning_curve(
        pick.best,
        view.field,
        train,
        select.Judges(folds, judge, view.judged),
        metric=rules.metric,
        seed=seed,
        wanted=curve,
        left=clock.left,
        full=found if judge else select.known_by(board),
        reporter=reporter,
    )
    log.add(*learned.decisions)
    about_labels = select.advice(train, board.measured.get(shipped.name))
    judging = evidence.judging(
        train,
        judge,
        found.get(shipped.name) if judge is not None else board.measured.get(shipped.name),
        answering=answering,
        inputs=(view.inputs, view.judged),
        sources=[entry.source for entry in (shipped, pick.best) if entry and entry.source],
        by=judged.by,
        metric=rules.metric,
        seed=seed,
        about_labels=about_labels,
        skipped=skipped,
    )
    result = put_together(
        shipped=shipped,
        best=pick.best,
        state=fitted[shipped.name].to_state(),
        train=train,
        metric=rules.metric,
        judged=judged,
        candidates=board.candidates(shipped),
        decisions=tuple(log.decisions),
        seconds=time.perf_counter() - started,
        seed=seed,
        shots=shots,
        skipped=skipped,
        curve=learned.curve,
        about_labels=about_labels,
        answering=answering,
        features=view.inputs.get(shipped.source) if shipped.source else None,
        spoken=spoken,
        judging=judging,
    )
    told = {"score": result.score.estimate, "low": result.score.low, "high": result.score.high}
    tell(reporter, "chosen", candidate=shipped.name, headline=result.headline(), **told)
    if whole.unlabelled is None:
        return result
    if not whole.classes and shipped.source is None:
        log.add(
            Decision(
                "no rows are proposed for labelling",
                "a model of numbers without a source does not tell items apart",
            )
        )
        return replace(result, decisions=tuple(log.decisions))
    these = result.label_next(whole.unlabelled.items, LABEL_THESE)
    named = tuple(replace(one, id=whole.unlabelled.ids[one.place]) for one in these)
    return replace(result, label_these=named, seconds=time.perf_counter() - started)


def _sequences(**given: Any) -> Any:
    """Hand a sequence task over to its own front door.

    Raises
    ------
    OptionError
        An option was given that such a task does not take.
    """
    from headstart.sequence_fit import fit_sequences

    for name, usual in _NOT_FOR_SEQUENCES.items():
        value = given.pop(name)
        if not any(value is one for one in usual):
            raise OptionError(
                f"--task {given['task']} does not take this",
                where=f"--{name.replace('_', '-')}",
                hint="leave it out",
            )
    del given["checkpoint"]
    return fit_sequences(given.pop("data"), **given)


def check_shots(shots: int | None) -> None:
    """Refuse less than one label a class.

    Raises
    ------
    OptionError
    """
    if shots is not None and shots < 1:
        raise OptionError(
            "the number of labels a class must be at least 1", where="--shots", got=shots
        )


def _set_apart(task: Task, shots: int | None, seed: int, log: Log) -> tuple[Task, Task | None]:
    """Return the training part and the part that judges (None: out-of-fold predictions judge)."""
    if shots is None:
        return replace(task, test=None), task.test
    chosen, rest, decisions = data_room.shots(task, shots, seed)
    log.add(*decisions)
    train = task.take(chosen)
    if task.test is not None:
        return train, task.test
    lacking = _unjudged(task, rest)
    if lacking:
        log.add(
            Decision(
                "out-of-fold predictions judge",
                f"beside the labels learnt from too few are left of {lacking}",
                "a smaller --shots leaves more, or bring a test part with --test",
            )
        )
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


def _unjudged(task: Task, rest: IntArray) -> str:
    """Return what too few labelled items are left of to judge; empty if there are enough."""
    assert task.labels is not None
    if task.kind == "regression":
        return "all" if len(rest) < FEWEST_JUDGES else ""
    left = set(task.labels[rest].tolist())
    return ", ".join(name for name in task.classes if name not in left)


def _say_skipped(skipped: Sequence[Skipped], log: Log) -> None:
    if not skipped:
        return
    first = "; ".join(f"{one.item}: {one.reason}" for one in skipped[:3])
    more = f"; and {len(skipped) - 3:,} more" if len(skipped) > 3 else ""
    log.add(Decision(f"items left out: {len(skipped):,}", first + more, "--json lists all"))


def _one_a_class(train: Task) -> bool:
    """Say whether no class has two groups: held out, each item's class would be unknown."""
    assert train.labels is not None
    seen = {(label, group) for label, group in zip(train.labels, train.groups, strict=True)}
    return train.kind == "classification" and len(seen) == len(train.classes)


def _folds(train: Task, judge: Task | None, seed: int, log: Log) -> list[tuple[IntArray, IntArray]]:
    """Return the folds whose held-out predictions choose."""
    try:
        if judge is not None and _one_a_class(train):
            raise DataError("one label a class cannot be cross-validated")
        folds = data_room.split(train, seed=seed)
    except DataError as error:
        if judge is None:
            raise
        log.add(
            Decision(
                "nothing is left to choose with",
                f"{error.what}; the default candidate is taken",
                "--strategy NAME, or label more items of each class",
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


def _ship(plan: Plan, pick: Pick, judged: Judged, log: Log, *, apart: bool) -> Entry:
    """Return what the user gets: the guard's advice, unless they named what they want.

    A part that judges (``apart``) may overrule the few items that chose, both ways.
    """
    shipped = plan.fallback
    if pick.best is not None:
        keep, overruled = pick.ship, None
        if keep or not plan.guarded:
            overruled = select.veto(judged.gain)
            if overruled is not None and not plan.guarded:
                overruled = select.advised(overruled)
        elif apart:
            overruled = select.rescue(judged.gain, pick.best.name)
        if overruled is not None:
            log.add(overruled)
            keep = not keep
        if keep or not plan.guarded:
            shipped = pick.best
    sign = evaluate.METRICS[judged.gain.metric].sign
    score, guess = judged.scores[shipped.name], judged.scores[MAJORITY.name].estimate
    surely = score.low if sign > 0 else -score.high
    if shipped != MAJORITY and surely <= sign * guess:
        log.add(
            Decision(
                "hardly better than the constant guess",
                "the labels may have little to do with these items, or there are too few of them",
                "look at the data with `headstart check`, or label more",
            )
        )
    return shipped
