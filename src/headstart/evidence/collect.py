"""Put together what a report shows of the items that judged a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.bundle.examples import MOST_ITEMS, SCHEMA, Evidence
from headstart.core.types import (
    SILENT,
    AnyArray,
    FloatArray,
    IntArray,
    Reporter,
    Task,
    subset,
)
from headstart.data.previews import LARGE_COLUMNS, LARGE_TEXT, short_cell
from headstart.evaluate import Predictions
from headstart.evaluate.by_class import class_scores, confusion, reliability
from headstart.evidence.held import Judging
from headstart.evidence.importance import importance
from headstart.evidence.layout import layout, rows_of
from headstart.evidence.problems import problems

if TYPE_CHECKING:
    from headstart.bundle import Bundle

MISTAKES, EXPLAINED = 24, 12
JUDGED_SHOWN = 600
"""Of the items that judge, where others were learnt from; the rest of 1,000 is of those."""
SOUNDS = 240
"""Recordings of which a moment can be heard."""
CELLS, PAIRS = 60, 30
"""Classes up to which the whole table of confusions is told; else so many pairs."""
RESIDUALS = 1_000
PREVIEWS = 2_500_000
"""Characters of previews of items that are kept."""
SUSPECTS = 24
LIST = 200


def collect(
    judging: Judging, model: Bundle, *, items: bool = True, reporter: Reporter = SILENT
) -> Evidence:
    """Put together what a report shows, with examples to compare new items with.

    Parameters
    ----------
    judging : Judging
    model : Bundle
        What is handed back; it is asked why it is wrong.
    items : bool
        Keep previews of items: small pictures, texts, moments of sound, values.
    reporter : Reporter

    Returns
    -------
    Evidence
        At most 1,000 items, all the worst mistakes among them.
    """
    task, said = judging.task, judging.predictions
    confidence = _confidence(said)
    wrong = _wrong(task, said, confidence)
    shown, learnt = _sampled(judging, wrong)
    told = _items(judging, shown, learnt, confidence, items)
    places, how = _placed(judging, told, shown, learnt)
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "judged": {
            "by": judging.by,
            "n": task.n,
            "metric": judging.metric,
            "apart": judging.apart,
        },
        "items": told,
        "map": {"method": how, "n": len(told)},
        "mistakes": _mistakes(judging, model, wrong, shown, items),
        **_measures(judging, confidence),
        "importance": importance(judging, model),
        "suspects": _suspects(judging, items),
        "neediest": [asdict(one) for one in judging.neediest],
        **problems(judging, reporter),
        "skipped": [asdict(one) for one in judging.skipped[:LIST]],
        "shift": None,
    }
    found = Evidence(facts, *_neighbours(judging, model, shown, learnt, places, items))
    return found if items else found.without_items()


def _confidence(said: Predictions) -> FloatArray | None:
    """Return the probability of each predicted class; None for numbers."""
    if said.probabilities is None:
        return None
    place = {name: j for j, name in enumerate(said.classes)}
    own = np.array([place.get(str(label), 0) for label in said.labels], dtype=np.int64)
    found: FloatArray = said.probabilities[np.arange(len(own)), own]
    return found


def _wrong(task: Task, said: Predictions, confidence: FloatArray | None) -> list[int]:
    """Return the places of the worst mistakes, the most confident (or the largest) first."""
    assert task.labels is not None
    if task.kind == "regression":
        size = np.abs(np.asarray(said.labels, float) - np.asarray(task.labels, float))
        return [int(i) for i in np.argsort(-size, kind="stable")[:MISTAKES] if size[i] > 0]
    missed = np.flatnonzero(task.labels != said.labels)
    if confidence is not None:
        missed = missed[np.argsort(-confidence[missed], kind="stable")]
    return [int(i) for i in missed[:MISTAKES]]


def _sampled(judging: Judging, wrong: Sequence[int]) -> tuple[IntArray, IntArray]:
    """Return the places that are shown: of the items that judged, and of those learnt from."""
    n, n_train = judging.task.n, judging.train.n if judging.apart else 0
    rng = np.random.default_rng(judging.seed)
    most = min(n, max(MOST_ITEMS - n_train, JUDGED_SHOWN))
    others = np.setdiff1d(np.arange(n), wrong)
    drawn = rng.permutation(others)[: max(0, most - len(wrong))]
    shown = np.sort(np.concatenate([np.asarray(wrong, np.int64), drawn]))
    learnt = np.sort(rng.permutation(n_train)[: MOST_ITEMS - len(shown)])
    return shown, learnt.astype(np.int64)


def _items(
    judging: Judging,
    shown: IntArray,
    learnt: IntArray,
    confidence: FloatArray | None,
    items: bool,
) -> list[dict[str, Any]]:
    task, said = judging.task, judging.predictions
    told = []
    for i in shown.tolist():
        told.append(
            item(task, i, "judged")
            | {
                "predicted": label_of(said.labels[i]),
                "confidence": None if confidence is None else round(float(confidence[i]), 4),
                "abstained": None if judging.silent is None else bool(judging.silent[i]),
            }
        )
    told += [item(judging.train, i, "training") for i in learnt.tolist()]
    if items:
        both = [(task, i) for i in shown.tolist()] + [(judging.train, i) for i in learnt.tolist()]
        with_previews(told, both, judging.seed)
    return told


def with_previews(told: list[dict[str, Any]], items: Sequence[tuple[Task, int]], seed: int) -> None:
    """Write the previews of items (a task and a place each), as many as there is room for."""
    sounds = bool(items) and items[0][0].modality == "audio"
    step = max(1, -(-len(items) // SOUNDS)) if sounds else 1
    for place in range(0, len(items), step):
        told[place]["preview"] = shown_of(*items[place])
    _bounded(told, seed)


def _bounded(told: list[dict[str, Any]], seed: int) -> None:
    """Drop previews, drawn at random, until they are small enough together."""
    sizes = {
        j: sum(map(_size, one["preview"].values())) for j, one in enumerate(told) if one["preview"]
    }
    over = sum(sizes.values()) - PREVIEWS
    for j in np.random.default_rng(seed).permutation(list(sizes)).tolist():
        if over <= 0:
            return
        told[j]["preview"] = None
        over -= sizes[j]


def _size(value: Any) -> int:
    """Return about how many characters a value takes in JSON."""
    if isinstance(value, dict):
        return sum(len(name) + _size(part) for name, part in value.items())
    return len(str(value)) + 8


def item(task: Task, i: int, part: str) -> dict[str, Any]:
    """Return what evidence says of an item of a task before anything was predicted."""
    known = None if task.labels is None else task.labels[i]
    return {
        "id": task.ids[i],
        "part": part,
        "label": None if known is None else label_of(known),
        "predicted": None,
        "confidence": None,
        "abstained": None,
        "x": None,
        "y": None,
        "preview": None,
    }


def label_of(value: Any) -> str | float:
    """Return a label as JSON holds it."""
    return value if isinstance(value, str) else float(f"{float(value):.6g}")


def shown_of(task: Task, i: int, *, large: bool = False) -> dict[str, Any] | None:
    """Return what is shown of an item of a task."""
    from headstart.data.previews import preview

    return preview(_raw(task, i), task.modality, large=large)


def _raw(task: Task, i: int) -> Any:
    if hasattr(task.items, "iloc"):
        from headstart.data.columns import bare

        return bare(task.items.iloc[[i]]).to_dict("records")[0]
    return task.items[i]


def _placed(
    judging: Judging, told: list[dict[str, Any]], shown: IntArray, learnt: IntArray
) -> tuple[list[int], str]:
    """Write the place of each item on the map; return where those learnt from stand in ``told``."""
    both = _together(judging.task.items, shown, judging.train.items, learnt)
    features = None
    if judging.features is not None:
        features = np.asarray(judging.features)[shown]
        if len(learnt) and judging.train_features is not None:
            features = np.concatenate([features, np.asarray(judging.train_features)[learnt]])
    rows, what = rows_of(both, judging.task.modality, features)
    points, how = layout(rows, seed=judging.seed)
    for one, (x, y) in zip(told, points.tolist(), strict=True):
        one["x"], one["y"] = x, y
    of = f"{what} of {judging.source}" if judging.source and features is not None else what
    learnt_from = [j for j, one in enumerate(told) if not judging.apart or one["part"] != "judged"]
    return learnt_from, f"{how}, of the {of}"


def _together(first: Any, places: IntArray, second: Any, more: IntArray) -> Any:
    if hasattr(first, "iloc"):
        import pandas as pd

        return pd.concat([subset(first, places), subset(second, more)], ignore_index=True)
    return [*subset(list(first), places), *subset(list(second), more)]


def _mistakes(
    judging: Judging, model: Bundle, wrong: Sequence[int], shown: IntArray, items: bool
) -> list[dict[str, Any]]:
    """Return the worst mistakes, the first of them with what misled the model."""
    task = judging.task
    told: list[dict[str, Any]] = [
        {
            "item": int(np.searchsorted(shown, i)),
            "preview": shown_of(task, i, large=True) if items else None,
            "explanation": None,
        }
        for i in wrong
    ]
    if not (items and told):
        return told
    some = [_raw(task, i) for i in wrong[:EXPLAINED]]
    labels = [str(judging.predictions.labels[i]) for i in wrong[:EXPLAINED]]
    named = labels if task.classes else None
    for one, why in zip(told, model.explain(some, labels=named), strict=False):
        one["explanation"] = _cut(why)
    return told


def _cut(why: dict[str, Any]) -> dict[str, Any]:
    """Return an explanation with no more of the item than its preview: the beginning of a text."""
    if why["kind"] == "text":
        tokens, left = [], LARGE_TEXT
        for one in why["tokens"]:
            if left <= 0:
                break
            tokens.append({**one, "text": one["text"][:left]})
            left -= len(one["text"])
        return {**why, "tokens": tokens}
    if why["kind"] == "row":
        columns = why["columns"]
        if len(columns) > LARGE_COLUMNS:
            columns = sorted(columns, key=lambda one: -abs(one["weight"]))[:LARGE_COLUMNS]
        columns = [{**one, "value": short_cell(one["value"])} for one in columns]
        return {**why, "columns": columns}
    return why


def _measures(judging: Judging, confidence: FloatArray | None) -> dict[str, Any]:
    """Return the measures by class, or the residuals of numbers."""
    task, said = judging.task, judging.predictions
    assert task.labels is not None
    if task.kind == "regression":
        some = np.random.default_rng(judging.seed).permutation(task.n)[:RESIDUALS]
        return {
            "residuals": {
                "truth": [label_of(task.labels[i]) for i in some],
                "predicted": [label_of(said.labels[i]) for i in some],
            }
        }
    groups = task.groups if len(np.unique(task.groups)) < task.n else None
    labels = np.asarray(said.labels).astype(object)
    scores = class_scores(task.labels, labels, task.classes, groups=groups)
    counts = confusion(task.labels, labels, task.classes)
    found: dict[str, Any] = {
        "classes": [_class(asdict(one)) for one in scores],
        "confused": _confused(counts, task.classes),
    }
    if len(task.classes) <= CELLS:
        found["confusion"] = {"classes": list(task.classes), "counts": counts.tolist()}
    if confidence is not None:
        bins, error = reliability(confidence, task.labels == labels, groups=groups)
        found["reliability"] = {
            "bins": [_short(asdict(one)) for one in bins],
            "ece": round(error, 4),
        }
    return found


def _class(one: dict[str, Any]) -> dict[str, Any]:
    for name in ("precision", "recall", "f1"):
        one[name] = None if one[name] is None else [round(value, 4) for value in one[name]]
    return one


def _short(one: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) for key, value in one.items()}


def _confused(counts: IntArray, classes: Sequence[str]) -> list[dict[str, Any]]:
    off = counts.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:PAIRS]
    pairs = [divmod(int(place), len(classes)) for place in order]
    return [
        {"label": classes[i], "predicted": classes[j], "n": int(off[i, j])}
        for i, j in pairs
        if off[i, j]
    ]


def _suspects(judging: Judging, items: bool) -> list[dict[str, Any]]:
    place = {name: i for i, name in enumerate(judging.train.ids)}
    return [
        {
            "id": one.id,
            "label": one.given,
            "proposed": one.suggested,
            "chance": round(float(one.confidence), 4),
            "preview": shown_of(judging.train, place[one.id]) if items else None,
        }
        for one in judging.suspects[:SUSPECTS]
    ]


def _neighbours(
    judging: Judging,
    model: Bundle,
    shown: IntArray,
    learnt: IntArray,
    places: list[int],
    items: bool,
) -> tuple[IntArray, AnyArray]:
    """Return which of the items can be compared with, and their features, of length 1."""
    none = np.zeros(0, np.int64), np.zeros((0, 0), np.float16)
    record = model.manifest.source
    if record is None or not items or not places:
        return none
    rows = learnt if judging.apart else shown
    task = judging.train if judging.apart else judging.task
    known = judging.train_features if judging.apart else judging.features
    from headstart.strategies import STRATEGIES

    tuned = STRATEGIES[model.manifest.strategy].input == "items"
    if not tuned and judging.source == record.name and known is not None:
        found = np.asarray(known)[rows]
    else:
        found = model.features(subset(task.items, rows))
    sizes = np.linalg.norm(found, axis=1, keepdims=True)
    unit = (found / np.maximum(sizes, 1e-12)).astype(np.float16)
    return np.asarray(places, dtype=np.int64), unit
