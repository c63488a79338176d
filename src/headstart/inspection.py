"""The problems in the data, found before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart import data as data_room
from headstart import select
from headstart.core.errors import DataError
from headstart.core.types import SILENT, FloatArray, Modality, Reporter, Task
from headstart.select import SCRATCH
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
    probabilities = None
    if suspects and task.kind == "classification":
        probabilities = _out_of_fold(task, seed, reporter)
    return data_room.check(task, probabilities=probabilities, reporter=reporter)


def _out_of_fold(task: Task, seed: int, reporter: Reporter) -> FloatArray | None:
    """Return out-of-fold class probabilities, or None where nothing can be cross-validated."""
    plan = select.plan(task.modality, task.kind)
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
