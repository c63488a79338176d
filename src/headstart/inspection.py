"""The problems in the data, found before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart import data as data_room
from headstart import select
from headstart.core.errors import DataError
from headstart.core.types import SILENT, FloatArray, Modality, Reporter, Task
from headstart.data.findings import Finding, found
from headstart.data.languages import Languages, name_of
from headstart.select import SCRATCH, Plan
from headstart.view import View


def check(
    data: Any,
    *,
    label: Any = None,
    text: str | None = None,
    path: str | None = None,
    group: str | None = None,
    test: Any = None,
    modality: Modality | None = None,
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
    spoken = select.languages_of(task)
    plan = select.plan(task.modality, task.kind)
    plan = select.for_languages(plan, spoken, judged=select.languages_of(task.test))
    probabilities = None
    if suspects and task.kind == "classification":
        probabilities = _out_of_fold(task, plan, seed, reporter)
    also = _languages(plan, spoken, reporter)
    return data_room.check(task, probabilities=probabilities, also=also, reporter=reporter)


def _languages(plan: Plan, spoken: Languages, reporter: Reporter) -> list[Finding]:
    """Say the languages of texts; return what there is to look at: several, or one not learnt."""
    warned = [one for one in plan.decisions if one.what.startswith(select.WARNING)]
    for decision in plan.decisions:
        if decision not in warned:
            reporter.say(str(decision))
    codes = spoken.main if warned or len(spoken.main) > 1 else ()
    return [
        *found(
            "languages",
            "info",
            [name_of(code) for code in codes],
            f"the texts are in {spoken}",
            "look whether that is right: a source reads only the languages that it has learnt"
            if len(codes) > 1
            else "nothing, if that is right",
            notes=[f"{spoken.shares[code]:.0%}" for code in codes],
        ),
        *found(
            "unread-languages",
            "warning",
            [one.what.removeprefix(select.WARNING) for one in warned],
            "what the default source makes of these texts, or the score, may be of little use",
            "; ".join(filter(None, (one.override for one in warned))) or "look at the test part",
            notes=[one.why for one in warned],
        ),
    ]


def _out_of_fold(task: Task, plan: Plan, seed: int, reporter: Reporter) -> FloatArray | None:
    """Return out-of-fold class probabilities, or None where nothing can be cross-validated."""
    entry = plan.default if plan.transfers else SCRATCH
    try:
        folds = data_room.split(task, seed=seed)
    except DataError:
        return None
    # no network: what a linear model takes seconds for is enough to suspect a label
    given = {SCRATCH: {"network": False}} if task.modality == "audio" else {}
    view = View(task, None, seed, {}, reporter, given)
    if entry.source:
        view.encode(entry.source)
    outcome = select.race([entry], view.field, folds, reporter=reporter)[0]
    if outcome.predictions is None or outcome.predictions.probabilities is None:
        return None
    held_out = select.held_rows(folds)
    probabilities = np.full((task.n, len(task.classes)), np.nan)
    probabilities[held_out] = outcome.predictions.probabilities
    return None if np.isnan(probabilities).any() else probabilities
