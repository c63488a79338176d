"""What a report shows of two domains: items of both on one map, and how they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.bundle.examples import MOST_ITEMS, SCHEMA, Evidence
from headstart.core.types import FloatArray, IntArray, Task, subset
from headstart.evaluate import Shift
from headstart.evidence.collect import item, label_of, with_previews
from headstart.evidence.layout import layout

if TYPE_CHECKING:
    from headstart.bundle import Bundle


def collect_domains(
    source: Task,
    target: Task,
    rows: tuple[FloatArray, FloatArray],
    model: Bundle,
    *,
    shift: Shift | None,
    by: str,
    metric: str,
    learnt: bool = True,
    seed: int = 0,
) -> Evidence:
    """Put together what a report shows of a model that went from one domain to another.

    Parameters
    ----------
    source, target : Task
        The target with or without labels.
    rows : (array of shape (n, d), array of shape (m, e))
        Both domains as numbers; they share a map where d equals e.
    model : Bundle
        What is handed back; it says what the target's items are.
    shift : Shift or None
    by, metric : str
        What judged, and by which measure.
    learnt : bool
        The model learnt from the labelled items of the target, so that what it says of them now
        tells nothing and is left out.
    seed : int

    Returns
    -------
    Evidence
        At most 500 items of each domain: those learnt from, and those of the target.
    """
    half = MOST_ITEMS // 2
    ours, theirs = (_some(task.n, half, seed) for task in (source, target))
    said = model.predictions(subset(target.items, theirs))
    told = [item(source, i, "training") for i in ours.tolist()]
    for place, i in enumerate(theirs.tolist()):
        one = item(target, i, "judged")
        if one["label"] is None or not learnt:
            one["predicted"] = label_of(said.labels[place])
            if said.probabilities is not None:
                one["confidence"] = round(float(said.probabilities[place].max()), 4)
        told.append(one)
    both = [(source, i) for i in ours.tolist()] + [(target, i) for i in theirs.tolist()]
    with_previews(told, both, seed)
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "judged": {"by": by, "n": target.n, "metric": metric},
        "items": told,
        "shift": None if shift is None else shift.to_json(),
    }
    X, Z = rows
    if X.shape[1] == Z.shape[1]:
        points, how = layout(np.concatenate([X[ours], Z[theirs]]), seed=seed)
        for one, (x, y) in zip(told, points.tolist(), strict=True):
            one["x"], one["y"] = x, y
        facts["map"] = {"method": f"{how}, of both domains together", "n": len(told)}
    return Evidence(facts, np.zeros(0, np.int64), np.zeros((0, 0), np.float16))


def _some(n: int, most: int, seed: int) -> IntArray:
    drawn: IntArray = np.sort(np.random.default_rng(seed).permutation(n)[:most])
    return drawn
