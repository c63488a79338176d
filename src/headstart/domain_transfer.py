"""The front door of ``headstart transfer``: from labelled data to another domain.

Read both -> turn them into numbers -> measure the shift -> race the adapters -> adapt, or not ->
result. No algorithm lives here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from headstart import data as data_room
from headstart import evaluate, select
from headstart.bundle import BundleContents
from headstart.core.errors import DataError, OptionError
from headstart.core.types import SILENT, Candidate, Decision, Modality, Reporter, Task
from headstart.data.for_target import joined
from headstart.domain_result import DomainResult
from headstart.domain_view import DomainView, domain_view
from headstart.log import Log

FIRST = "SOURCE_DATA, the labelled one, comes first"


def transfer_from(
    source_data: Any,
    target_data: Any,
    *,
    label: Any = None,
    text: str | None = None,
    path: str | None = None,
    domain: str | None = None,
    target_labels: Any = None,
    modality: Modality | None = None,
    source: str | None = None,
    strategy: str | Sequence[str] | None = None,
    seed: int = 0,
    allow_unreadable: float = 0.05,
    reporter: Reporter = SILENT,
) -> DomainResult:
    """Learn from labelled data of one domain for another, and adapt only where that helps.

    Parameters
    ----------
    source_data : path, DataFrame, (X, y), Dataset or list
        Labelled data, as for ``fit``: classes or numbers.
    target_data : same forms
        Items of the target domain: all labelled, some, or none.
    label, text, path : str, optional
        Columns; those of the target are called alike, or inferred.
    domain : str, optional
        The column of SOURCE_DATA that names the domain of each row, where there are several.
    target_labels : path, DataFrame or dict, optional
        Labels of some target items, by row, path or text; thirty are enough to judge.
    modality : {"image", "text", "audio", "table"}, optional
    source : str, optional
        The pretrained source that encodes texts, images and recordings.
    strategy : str or sequence of str, optional
        Names in ``headstart.strategies.adaptation.ADAPTERS`` (for numbers: ``NUMBER_ADAPTERS``
        there; for tables without a column in common: in
        ``headstart.strategies.heterogeneous.HETEROGENEOUS``). A single one is what you
        get, whatever the guard advises; name ``source-only`` beside it to keep the guard.
        ``tuned-...`` change the weights of the source, and take accordingly long.
    seed : int
    allow_unreadable : float
        Share of unreadable items, 0 to 1, above which reading fails.
    reporter : Reporter

    Returns
    -------
    DomainResult
        ``result.shift``, ``result.gain`` (where the target has labels), ``result.predict``,
        ``result.save``.

    Raises
    ------
    DataError, OptionError, SourceError
        Each names what is wrong, where, and what to do next.

    Examples
    --------
    >>> import headstart as hs
    >>> result = hs.transfer_from("hospital-a/", "hospital-b/")       # doctest: +SKIP
    >>> print(result.shift.verdict)                                   # doctest: +SKIP
    covariate
    """
    started, seed = time.perf_counter(), int(seed)
    log = Log(reporter)
    select.check_adapters(strategy)

    # Read both domains.
    try:
        read = data_room.read(
            source_data,
            label=label,
            text=text,
            path=path,
            domain=domain,
            modality=modality,
            allow_unreadable=allow_unreadable,
            reporter=reporter,
        )
    except (DataError, OptionError) as error:
        error.hint = f"{error.hint}. {FIRST}" if error.hint else FIRST
        raise
    ours = _source_task(read)
    log.add(*ours.decisions)
    target = data_room.read_target(
        target_data,
        ours,
        label=label if isinstance(label, str) else None,
        text=text,
        path=path,
        labels=target_labels,
        allow_unreadable=allow_unreadable,
        reporter=reporter,
    )
    theirs = target.task
    log.add(*target.decisions)

    # Say who takes part; what a source encodes has the same features, tables are to be matched.
    asked: dict[str, Any] = {
        "n_labels": len(target.known),
        "several": ours.domains is not None,
        "modality": ours.modality,
        "seed": seed,
    }
    numbers = ours.kind == "regression"
    planned = select.plan_numbers if numbers else select.plan_domains
    encoder = select.across(ours, theirs, source)
    if not numbers:
        asked["scale"] = not encoder.across
    if ours.modality != "table":
        planned(strategy, alike=True, **asked)

    # Turn their items into numbers, and measure how they differ.
    log.add(*encoder.decisions)
    why = "as named" if source else "it reads the languages of both"
    view = domain_view(ours, theirs, name=encoder.source, reporter=reporter, why=why)
    log.add(*view.decisions)
    if numbers:
        asked["cells"] = view.X.size
    plan = planned(strategy, alike=view.alike, **asked)
    shift = None
    if view.alike:
        shift = evaluate.measure_shift(
            view.X,
            ours.labels,
            view.target,
            theirs.labels,
            columns=view.columns,
            numbers=numbers,
            seed=seed,
        )
        for sentence in shift.sentences():
            reporter.say(sentence)

    # Choose among the adapters, or none; what is chosen is fitted to everything there is.
    log.add(*plan.decisions)
    assert ours.labels is not None
    domains = (plan, view.X, ours.labels, view.target, target.labels)
    if numbers:
        choice = select.choose_numbers(*domains, shift=shift, seed=seed)
    else:
        tunable = None
        if view.backbone is not None:
            tunable = select.Tunable(ours.items, theirs.items, view.backbone, reporter)
        choice = select.choose_domain(
            *domains, shift=shift, domain=ours.domains, tunable=tunable, seed=seed
        )
    log.add(*choice.decisions, *choice.adapter.decisions_)
    said = tuple(log.decisions)
    return _result(ours, theirs, view, shift, choice, said, started, seed, encoder.kept)


def _source_task(task: Task) -> Task:
    """Return the source's items, those of its test part with them."""
    said: tuple[Decision, ...] = ()
    if task.test is not None:
        why = "nothing of the source judges here"
        said = (Decision(f"the test part ({task.test.n:,} items) is learnt from, too", why),)
        task = joined(task, task.test)
    return replace(task, test=None, unlabelled=None, decisions=(*task.decisions, *said))


def _counted(ours: Task, name: str) -> dict[str, Any]:
    """Return how frequent the classes were where the model learnt, if that was the source alone."""
    if name != "source-only" or ours.labels is None or ours.kind == "regression":
        return {}
    found = ours.labels.tolist()
    return {"class_counts": {one: found.count(one) for one in ours.classes}}


def _result(
    ours: Task,
    theirs: Task,
    view: DomainView,
    shift: evaluate.Shift | None,
    choice: select.DomainChoice,
    decisions: tuple[Decision, ...],
    started: float,
    seed: int,
    kept: Mapping[str, Any],
) -> DomainResult:
    """Put together what ``transfer_from`` hands back."""
    name = None if view.backbone is None else view.backbone.card.name
    candidates = tuple(replace(one, source=name) for one in choice.candidates)
    contents = BundleContents(
        modality=ours.modality,
        kind=ours.kind,
        metric=choice.metric,
        classes=tuple(str(name) for name in getattr(choice.adapter, "classes_", ())),
        label_name=ours.label_name,
        score=choice.score,
        gain=choice.gain,
        baselines=choice.baselines or {},
        decisions=decisions,
        candidates=candidates,
        extra={
            "judged_by": choice.judged_by,
            "seed": seed,
            "adapted_by": choice.name,
            **_counted(ours, choice.name),
            "n_target": theirs.n,
            **kept,
            "shift": None if shift is None else shift.to_json(),
        },
        fingerprint=ours.fingerprint,
        n=ours.n,
        **view.packed(choice.adapter.to_state()),
    )
    return DomainResult(
        source=ours,
        target=theirs,
        view=view,
        shift=shift,
        metric=choice.metric,
        judged_by=choice.judged_by,
        chosen=Candidate(choice.name, name, status="chosen"),
        score=choice.score,
        baselines=choice.baselines or {},
        gain=choice.gain,
        gain_of=choice.gain_of,
        corrected=choice.corrected,
        why=choice.why,
        over_alone=choice.over_alone,
        candidates=candidates,
        chose_by=choice.chose_by,
        decisions=decisions,
        seconds=time.perf_counter() - started,
        seed=seed,
        contents=contents,
        skipped=(*ours.skipped, *theirs.skipped),
    )
