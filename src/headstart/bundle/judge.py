"""A bundle judged on labelled data, alone or against another one on the same items."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, Task

if TYPE_CHECKING:
    from headstart.bundle.model import Bundle
    from headstart.evaluate import Predictions

_BESIDE = {"classification": ("accuracy", "macro_f1"), "regression": ("rmse", "r2")}
_LISTED = 5


def judged(bundle: Bundle, data: Any, seed: int) -> dict[str, Any]:
    """Return the bundle's metric with its interval, and the usual ones beside it.

    Raises
    ------
    DataError
        There are no labels, too few, or one that the model does not know.
    OptionError
        The data are of another modality, or neither a Task nor ``(items, labels)``.
    """
    items, labels, groups = _parts(bundle, data)
    predictions = _predictions(bundle, items, labels)
    return {
        **_measures(bundle.manifest.metric, labels, predictions, groups, seed),
        **_answered(bundle, items, labels, predictions, groups, seed),
    }


def compared(one: Bundle, other: Bundle, data: Any, seed: int) -> dict[str, Any]:
    """Return what ``judged`` does for ``one``, the same of ``other``, and the paired difference.

    Raises
    ------
    DataError
        As ``judged``; a label may also be one that ``other`` does not know.
    OptionError
        As ``judged``; also if the models cannot be compared: their items or labels are of other
        kinds.
    """
    from headstart import evaluate

    notes = _check_comparable(one, other)
    items, labels, groups = _parts(one, data)
    _known(other, labels, _called(other))
    first, second = (_predictions(model, items, labels) for model in (one, other))
    metric = one.manifest.metric
    gain = evaluate.gain(
        metric, labels, first, second, groups=groups, seed=seed, name=_called(other)
    )
    return {
        **_measures(metric, labels, first, groups, seed),
        "against": {
            "model": _called(other),
            **_measures(metric, labels, second, groups, seed),
        },
        "gain": {**asdict(gain), "labels_to_settle": evaluate.labels_to_settle(gain)},
        "warnings": list(dict.fromkeys([*flattering(one, data), *flattering(other, data), *notes])),
    }


def flattering(bundle: Bundle, data: Any) -> list[str]:
    """Say so if the data are those that the model was trained on, or were drawn from."""
    known = bundle.manifest.fingerprint
    if not isinstance(data, Task) or not known or data.fingerprint != known:
        return []
    return [
        f"these are the data that {_called(bundle)} was fitted to: its score here is flattering; "
        "judge it on items that it has not seen"
    ]


def _called(bundle: Bundle) -> str:
    """Return what a model is called: its path, or its source and strategy."""
    if bundle.path is not None:
        return str(bundle.path)
    record = bundle.manifest
    return f"{record.source.name} + {record.strategy}" if record.source else record.strategy


def _check_comparable(one: Bundle, other: Bundle) -> list[str]:
    """Refuse models of other kinds; return in what those that can be compared differ."""
    for what, mine, theirs in (
        ("items", one.modality, other.modality),
        ("labels", one.manifest.kind, other.manifest.kind),
    ):
        if mine != theirs:
            raise OptionError(
                f"the two models take different kinds of {what} and cannot be compared",
                where=_called(other),
                got=theirs,
                allowed=[mine],
            )
    notes = []
    if one.manifest.metric != other.manifest.metric:
        notes.append(
            f"{_called(other)} was chosen by {other.manifest.metric}; both are judged by "
            f"{one.manifest.metric} here"
        )
    if one.classes != other.classes:
        notes += [
            f"{_called(model)} alone knows {len(names)} class(es): {', '.join(names[:_LISTED])}"
            for model, rival in ((one, other), (other, one))
            if (names := sorted(set(model.classes) - set(rival.classes)))
        ]
    return notes


def _predictions(bundle: Bundle, items: Any, labels: AnyArray) -> Predictions:
    predictions: Predictions = bundle.predictions(items, cache=True)
    if len(predictions) != len(labels):
        raise DataError(
            "there must be a label for each item", got=len(labels), allowed=[len(predictions)]
        )
    return predictions


def _measures(
    metric: str, labels: AnyArray, predictions: Predictions, groups: AnyArray | None, seed: int
) -> dict[str, Any]:
    """Return the metric with its interval, and the usual ones beside it."""
    from headstart import evaluate

    score = evaluate.score(metric, labels, predictions, groups=groups, seed=seed)
    beside = _BESIDE["regression" if labels.dtype.kind == "f" else "classification"]
    return {
        "metric": metric,
        "estimate": score.estimate,
        "low": score.low,
        "high": score.high,
        "n": score.n,
        **{name: evaluate.value(name, labels, predictions) for name in beside},
    }


def _answered(
    bundle: Bundle,
    items: Any,
    labels: AnyArray,
    predictions: Predictions,
    groups: AnyArray | None,
    seed: int,
) -> dict[str, Any]:
    """Return how much a model that abstains answers, and how much of that is wrong."""
    if bundle.answers.always:
        return {}
    from headstart.evaluate.abstain import achieved

    answered = ~bundle.abstains(items, cache=True)
    wrong = predictions.labels.astype(str) != labels.astype(str)
    coverage, risk = achieved(answered, wrong, groups=groups, seed=seed)
    found = {"coverage": coverage, "risk_answered": risk}
    said = bundle.manifest.result.get("extra", {}).get("abstention") or {}
    shares = {
        name: None
        if one is None
        else {key: asdict(one)[key] for key in ("estimate", "low", "high", "n")}
        for name, one in found.items()
    }
    return {**shares, "promise": said.get("promise")}


def _parts(bundle: Bundle, data: Any) -> tuple[Any, AnyArray, AnyArray | None]:
    """Return items, labels and groups."""
    groups = None
    if isinstance(data, Task):
        if data.modality != bundle.modality:
            raise OptionError(
                "the data are of another modality than the model",
                got=data.modality,
                allowed=[bundle.modality],
            )
        items, labels = data.items, data.labels
        if len(np.unique(data.groups)) < data.n:  # duplicates and groups are drawn together
            groups = data.groups
    elif isinstance(data, tuple) and len(data) == 2:
        items, labels = data
    else:
        raise OptionError(
            "cannot be evaluated on this",
            got=type(data).__name__,
            allowed="a Task, (items, labels)",
        )
    if labels is None or not len(labels):
        raise DataError("there are no labels to judge by")
    return items, _known(bundle, labels), groups


def _known(bundle: Bundle, labels: Any, where: str | None = None) -> AnyArray:
    """Return labels of the model's kind."""
    if not bundle.classes:
        try:
            values = np.asarray(labels, dtype=np.float64)
        except (TypeError, ValueError):
            raise DataError("the model predicts values, and these labels are none") from None
        if not np.isfinite(values).all():
            raise DataError(
                "a label is missing", where=f"item {int((~np.isfinite(values)).argmax())}"
            )
        return values
    known = set(bundle.classes)
    names = [str(label) for label in labels]
    strange = sorted(set(names) - known)
    if strange:
        raise DataError(
            f"{len(strange)} label(s) that the model does not know",
            where=where,
            got=strange[:_LISTED],
            allowed=bundle.classes,
            hint="leave these items out, or fit again with them",
        )
    return np.array(names, dtype=object)
