"""How much a table's columns matter: the score with a column shuffled (Breiman 2001)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.bundle.inputs import prepared
from headstart.core.errors import DataError
from headstart.core.types import IntArray, Task
from headstart.evaluate import Predictions, gain, joined

if TYPE_CHECKING:
    from headstart.bundle import Bundle
    from headstart.evidence.held import Judging

ROWS, REPEATS = 400, 5
MEASURED, LOOKED_AT = 20, 60
"""Columns that are measured well, and that are looked at with one shuffle to find them."""


def importance(judging: Judging, model: Bundle) -> list[dict[str, Any]] | None:
    """Return by how much the score falls when a column is shuffled, the most important first.

    Parameters
    ----------
    judging : Judging
    model : Bundle

    Returns
    -------
    list of dict, or None
        ``column``, ``estimate``, ``low``, ``high`` in units of the metric, positive where the
        column helps; None for what is no table, and where the items that are looked at are too
        few for the metric (one class only). The 95 % interval is over items, those of a group
        together, and shuffles. Where ``judging.apart`` is False, the model learnt from these
        items, and the falls are larger than on others.
    """
    task = judging.task
    if task.modality != "table" or not model.manifest.columns:
        return None
    try:
        return _measured(judging, model)
    except DataError:  # the metric is not defined on so few items
        return None


def _measured(judging: Judging, model: Bundle) -> list[dict[str, Any]]:
    task = judging.task
    rng = np.random.default_rng(judging.seed)
    some = np.sort(rng.permutation(task.n)[:ROWS])
    part = task.take(some)
    frame = prepared(part.items, "table", model.manifest.columns)
    whole = model.predictions(frame)
    names = [column.name for column in model.manifest.columns][:LOOKED_AT]
    if len(names) > MEASURED:
        falls = {name: _fall(name, judging, model, part, frame, whole, 1, rng)[0] for name in names}
        names = sorted(names, key=lambda name: -falls[name])[:MEASURED]
    told = []
    for name in names:
        estimate, low, high = _fall(name, judging, model, part, frame, whole, REPEATS, rng)
        told.append({"column": name, "estimate": estimate, "low": low, "high": high})
    return sorted(told, key=lambda one: -one["estimate"])


def _fall(
    name: str,
    judging: Judging,
    model: Bundle,
    part: Task,
    frame: Any,
    whole: Predictions,
    repeats: int,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    n, truth = part.n, part.labels
    assert truth is not None
    parts = []
    for _ in range(repeats):
        shuffled = frame.copy()
        shuffled[name] = frame[name].to_numpy()[rng.permutation(n)]
        parts.append(model.predictions(shuffled))
    many: IntArray = np.tile(np.arange(n), repeats)
    found = gain(
        judging.metric,
        truth[many],
        whole.take(many),
        joined(parts),
        groups=np.tile(part.groups, repeats),
        seed=judging.seed,
        n_boot=500,
    )
    return tuple(float(f"{v:.4g}") for v in (found.estimate, found.low, found.high))  # type: ignore[return-value]
