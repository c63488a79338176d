"""The front door of zero-shot: classes known by their names, with few labels or none.

Read the classes -> read the data -> describe the classes -> let unlabelled items help -> measure on
what labels there are -> race against what learns from them. No algorithm lives here.
"""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headstart import data as data_room
from headstart import encode, evaluate, select, sources, transfer
from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.core.types import SILENT, Decision, IntArray, Modality, Reporter, Task
from headstart.data.class_list import ClassList
from headstart.data.for_classes import ForClasses
from headstart.log import Log
from headstart.result import Result
from headstart.select import Known, Start
from headstart.strategies import STRATEGIES
from headstart.zero_result import METRIC, Verdict, put_together, unmeasured

UNMEASURED = "there are no labels"


def zero_shot(
    classes: Any,
    data: Any = None,
    *,
    label: Any = None,
    text: str | None = None,
    path: str | None = None,
    group: str | None = None,
    test: Any = None,
    modality: Modality | None = None,
    source: str | Sequence[str] | None = None,
    strategy: str | Sequence[str] | None = None,
    metric: str | None = None,
    templates: Sequence[str] | None = None,
    seed: int = 0,
    allow_unreadable: float = 0.05,
    reporter: Reporter = SILENT,
    **options: Any,
) -> Result:
    """Make a classifier of what is said of the classes, with few labels or none at all.

    Items without a label let it adapt, where that is safe. Items with one measure it, and where
    every class has some, what learns from them competes: it is handed back only where it is surely
    better. Attributes (a class x attribute table) need labels of some of the classes.

    Parameters
    ----------
    classes : str, path, sequence of str, mapping or DataFrame
        Names (``"refund, card lost"``), a table of ``class,description``, or of a class and
        numbers; see ``headstart.data.read_classes``.
    data : as for ``fit``, optional
        Items with a label for all, some or none of them; a ``.txt`` file has a text a line.
    label, text, path, group, test, allow_unreadable
        As for ``fit``.
    modality : {"image", "text"}, optional
        Text where there is no data.
    source : str, optional
        Of sentence embeddings; for images one that reads texts, too (CLIP, SigLIP), or names what
        it sees.
    strategy : str or sequence of str, optional
        ``zero-shot``, ``conse`` or ``eszsl`` leave out what learns from labels.
    metric : str, optional
        One of ``headstart.evaluate.METRICS``; accuracy by default.
    templates : sequence of str, optional
        Sentences with ``{}`` where the name of a class goes.
    seed : int
    reporter : Reporter
    **options
        What else ``fit`` takes, for the candidates that learn from labels.

    Returns
    -------
    Result
        A ``ZeroShotResult`` where no trained candidate took part.

    Raises
    ------
    DataError, OptionError, SourceError
        Each names what is wrong, where, and what to do next.

    Examples
    --------
    >>> import headstart as hs
    >>> result = hs.zero_shot("refund, card lost")                  # doctest: +SKIP
    >>> result.predict(["I can't find my bank card"]).tolist()      # doctest: +SKIP
    ['card lost']
    """
    started = time.perf_counter()
    log = Log(reporter)
    named = (strategy,) if isinstance(strategy, str) else strategy
    _check(options)

    # Read what is said of the classes, and the items with and without a label.
    said = data_room.read_classes(classes)
    log.add(*said.decisions)
    reading = {"label": label, "text": text, "path": path, "group": group, "test": test}
    reading |= {"modality": modality, "allow_unreadable": allow_unreadable}
    found = ForClasses(None, None)
    if data is not None:
        found = data_room.read_for_classes(data, said.names, **reading, reporter=reporter)
        reading["label"] = found.label
    kind = found.modality or modality or "text"

    # Describe the classes; let items without a label move them, where that is safe.
    begun = select.start(said, kind, source=_one(source), templates=templates, reporter=reporter)
    log.add(*begun.decisions)
    known = _known(found.labelled, begun, reporter)
    measure = evaluate.find_metric(metric or METRIC, "classification").name
    if found.pool is not None and not said.has_attributes:
        pool = _features(found.pool, begun, reporter)
        before = len(begun.decisions)
        begun = select.adapted(begun, pool, kind, known=known, metric=measure, seed=seed)
        log.add(*begun.decisions[before:])

    # What learns from labels competes, where each class has some.
    lacking = [name for name in said.names if name not in found.classes]
    promise = options.get("max_risk") is not None
    if found.labelled is not None and not lacking and (_trains(named, begun) or promise):
        log.add(*_said_alone(begun, known, kind, measure, seed))
        try:
            result = transfer.fit(
                data,
                **reading,
                source=source if source is not None else begun.entry.source,
                strategy=strategy,
                metric=metric,
                seed=seed,
                beside=begun.beside(named),
                reporter=reporter,
                **options,
            )
            return _with(result, log.decisions, time.perf_counter() - started)
        except DataError as error:
            log.add(select.too_few(error))
    elif lacking and found.labelled is not None and _trains(named, begun):
        log.add(_not_trained(lacking))

    # Else it is handed back as it stands, measured on what labels there are.
    if promise:
        raise OptionError(
            "no risk can be promised without enough labels of each class",
            where="--max-risk",
            hint="label some items of each class, or leave it out",
        )
    if options.get("shots") is not None:
        log.add(Decision("--shots is not used", "nothing learns from labels here"))
    judge = found.labelled.test if found.labelled else None
    held = _known(judge, begun, reporter)
    if said.has_attributes:
        fitted, verdict = _by_attributes(begun, found.labelled, known, held, kind, measure, seed)
        log.add(fitted.decision_)
    else:
        fitted = begun.make(kind, seed).fit()
        verdict = _verdict(begun, known, held, kind, measure, seed)
    result = put_together(
        task=_task(said, found, kind),
        begun=begun,
        fitted=fitted,
        verdict=verdict,
        told=said.to_json(),
        decisions=tuple(log.decisions),
        seconds=time.perf_counter() - started,
        seed=seed,
    )
    if found.pool is None:
        return result
    these = result.label_next(found.pool.items, transfer.LABEL_THESE)
    return replace(
        result, label_these=tuple(replace(one, id=found.pool.ids[one.place]) for one in these)
    )


def _check(options: Mapping[str, Any]) -> None:
    """Refuse options that ``fit`` does not have, and values that it would refuse."""
    known = set(inspect.signature(transfer.fit).parameters) - {"task"}
    for name in options:
        if name not in known:
            raise UnknownNameError("option", name, known)
    transfer.check_shots(options.get("shots"))
    if options.get("max_risk") is not None:
        select.risk_asked(options["max_risk"], "classification")


def _one(source: str | Sequence[str] | None) -> str | None:
    """Return the source that describes the classes: the first that is named."""
    if source is None or isinstance(source, str):
        return source
    return source[0] if source else None


def _trains(named: Sequence[str] | None, begun: Start) -> bool:
    """Say whether anything but the strategy at hand may take part."""
    return named is None or any(
        name != begun.entry.strategy and not (name in STRATEGIES and STRATEGIES[name].by_classes)
        for name in named
    )


def _not_trained(lacking: Sequence[str]) -> Decision:
    shown = ", ".join(repr(name) for name in lacking[:5])
    more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
    return Decision(
        "no trained candidate takes part",
        f"there are no labels of {shown}{more}, which it could not learn",
        "label some items of each class",
    )


def _with(result: Result, decisions: Sequence[Decision], seconds: float) -> Result:
    """Return a result with the decisions that came before it."""
    whole = (*decisions, *result.decisions)
    contents = replace(result.contents, decisions=(*decisions, *result.contents.decisions))
    return replace(result, decisions=whole, contents=contents, seconds=seconds)


def _features(task: Task, begun: Start, reporter: Reporter) -> Any:
    loaded = sources.load(str(begun.entry.source), reporter=reporter)
    return encode.features(task.items, loaded, reporter=reporter).array


def _known(part: Task | None, begun: Start, reporter: Reporter) -> Known | None:
    """Return labelled items, as the source sees them."""
    if part is None or not part.n:
        return None
    assert part.labels is not None
    return Known(_features(part, begun, reporter), part.labels, select.groups_of(part))


def _verdict(
    begun: Start, known: Known | None, held: Known | None, kind: Modality, metric: str, seed: int
) -> Verdict:
    """Measure what learnt from no label on the test part, else on all labelled items."""
    judge = held or known
    if judge is None:
        return Verdict(unmeasured(metric), unmeasured(metric), UNMEASURED)
    score, guess = select.scored(begun, judge, kind, metric=metric, seed=seed, chose=held is None)
    return Verdict(score, guess, f"{score.n:,} labelled items, from none of which it learnt")


def _said_alone(
    begun: Start, known: Known | None, kind: Modality, metric: str, seed: int
) -> list[Decision]:
    """Say how good it is by itself, before anything is trained."""
    if known is None or begun.entry.strategy == "eszsl":
        return []
    verdict = _verdict(begun, known, None, kind, metric, seed)
    why = f"{metric} {verdict.score} on {verdict.by}"
    return [Decision(f"{begun.entry.name} by itself", why)]


def _by_attributes(
    begun: Start,
    labelled: Task | None,
    known: Known | None,
    held: Known | None,
    kind: Modality,
    metric: str,
    seed: int,
) -> tuple[Any, Verdict]:
    """Fit to the classes that have labels; measure on the test part, else out of fold."""
    if known is None or labelled is None:
        raise DataError(
            "attributes say nothing without labels of some of the classes",
            where="--classes",
            hint="give DATA with labels of two classes at least, or describe the classes in words",
        )
    folds = [] if held is not None else _folds(labelled, seed)
    fitted, score, guess = select.by_attributes(
        begun, known, held, folds, kind, metric=metric, seed=seed
    )
    if score is None or guess is None:
        none = unmeasured(metric)
        return fitted, Verdict(none, none, "the labels are too few to hold any out")
    how = "items that took no part in training" if held else "out-of-fold predictions"
    seen = len(labelled.classes)
    return fitted, Verdict(score, guess, f"{score.n:,} {how} of the {seen} classes with labels")


def _folds(labelled: Task, seed: int) -> list[tuple[IntArray, IntArray]]:
    try:
        return data_room.split(replace(labelled, test=None), seed=seed)
    except DataError:  # a class with a single label
        return []


def _task(said: ClassList, found: ForClasses, kind: Modality) -> Task:
    """Return the items that were there, labelled or not, with all classes."""
    task = found.labelled or found.pool
    if task is not None:
        return replace(task, classes=said.names)
    told = hashlib.sha256(repr(said.to_json()).encode()).hexdigest()
    none = np.zeros(0, dtype=np.int64)
    return Task(
        kind, "classification", [], None, (), none, said.names, origin=said.origin, fingerprint=told
    )
