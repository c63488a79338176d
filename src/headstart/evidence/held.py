"""What judged a model, item by item, as ``fit`` leaves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.types import AnyArray, FloatArray, Skipped, Task
from headstart.evaluate import Predictions
from headstart.select.label_next import Advice
from headstart.select.measured import Measured

if TYPE_CHECKING:
    from headstart.select import Answering
    from headstart.select.label_next import ClassNeed, Suspect


@dataclass(frozen=True, eq=False)
class Judging:
    """What judged a model, as ``fit`` leaves it.

    Parameters
    ----------
    task : Task
        The items that judged, with their labels.
    predictions : Predictions
        Of what is handed back, for these items, by models that had not seen them; calibrated by
        items other than they.
    train : Task
        The items that were learnt from; the same ones where out-of-fold predictions judged.
    apart : bool
        Whether the two are different items.
    by : str
        Which items judged, in words.
    metric : str
    seed : int
    source : str or None
        The source of the features.
    features, train_features : ndarray of shape (n, d) or None
        Of both parts, by the source as it is (not tuned).
    suspects, neediest : tuple
        Labels that are probably wrong, and classes that are recognised worst.
    skipped : tuple of Skipped
    silent : ndarray of shape (n,), bool, or None
        Which items the model abstains on; None where it always answers.
    """

    task: Task
    predictions: Predictions
    train: Task
    apart: bool
    by: str
    metric: str
    seed: int = 0
    source: str | None = None
    features: FloatArray | None = None
    train_features: FloatArray | None = None
    suspects: tuple[Suspect, ...] = ()
    neediest: tuple[ClassNeed, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    silent: AnyArray | None = None


def judging(
    train: Task,
    judge: Task | None,
    said: Predictions | Measured | None,
    *,
    answering: Answering,
    inputs: tuple[Mapping[str | None, Any], Mapping[str | None, Any]],
    sources: Sequence[str],
    by: str,
    metric: str,
    seed: int,
    about_labels: Advice,
    skipped: tuple[Skipped, ...] = (),
) -> Judging | None:
    """Put together what judged a model; None where nothing was held out.

    Parameters
    ----------
    train : Task
    judge : Task or None
        The part that judges; None where out-of-fold predictions do.
    said : Predictions or Measured or None
        For the items of ``judge``; or for those training items that were held out.
    answering : Answering
        What calibrates the probabilities, and which of the items it abstains on.
    inputs : (mapping, mapping)
        Features of the training and of the judging part, by source.
    sources : sequence of str
        The first of them that has features lays the items out.
    by, metric, seed, about_labels, skipped
        As in ``Judging``.
    """
    if said is None:
        return None
    task, places = judge, None
    if isinstance(said, Measured):
        task, places, said = train.take(said.rows), said.rows, said.predictions
    assert task is not None
    if answering.answers is not None and said.probabilities is not None:
        shares = answering.answers.probabilities(said.probabilities)
        if judge is None and answering.calibrated is not None:
            held = answering.calibrated.held  # what these items fitted would flatter them
            shares = shares if held is None else held
        said = Predictions(said.labels, shares, said.classes)
    source = next((name for name in sources if inputs[0].get(name) is not None), None)
    features = known = None
    if source is not None:
        known = np.asarray(inputs[0][source])
        features = known[places] if places is not None else np.asarray(inputs[1][source])
    return Judging(
        task,
        said,
        train,
        apart=judge is not None,
        by=by,
        metric=metric,
        seed=seed,
        source=source,
        features=features,
        train_features=known,
        suspects=about_labels.suspects,
        neediest=about_labels.neediest,
        skipped=skipped,
        silent=answering.silent,
    )
