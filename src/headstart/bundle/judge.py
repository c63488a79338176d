"""A bundle judged on labelled data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, Task

if TYPE_CHECKING:
    from headstart.bundle.model import Bundle

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
    from headstart import evaluate

    items, labels, groups = _parts(bundle, data)
    predictions = bundle.predictions(items, cache=True)
    if len(predictions) != len(labels):
        raise DataError(
            "there must be a label for each item", got=len(labels), allowed=[len(predictions)]
        )
    metric = bundle.manifest.metric
    score = evaluate.score(metric, labels, predictions, groups=groups, seed=seed)
    beside = _BESIDE[bundle.manifest.kind]
    return {
        "metric": metric,
        "estimate": score.estimate,
        "low": score.low,
        "high": score.high,
        "n": score.n,
        **{name: evaluate.value(name, labels, predictions) for name in beside},
    }


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


def _known(bundle: Bundle, labels: Any) -> AnyArray:
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
            got=strange[:_LISTED],
            allowed=bundle.classes,
            hint="leave these items out, or fit again with them",
        )
    return np.array(names, dtype=object)
