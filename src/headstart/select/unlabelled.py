"""A candidate that learns from no label: what other items do for it, and what labels say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart import evaluate
from headstart.core.errors import DataError
from headstart.core.types import (
    AnyArray,
    Decision,
    FloatArray,
    Gain,
    IntArray,
    Modality,
    Score,
)
from headstart.evaluate import Predictions
from headstart.select.corrected import corrected
from headstart.select.race import predict_one
from headstart.select.zero import Start
from headstart.strategies.self_training import FEWEST_A_CLASS, enough, self_train

AGREES = 0.7
"""Share of the items that must keep their class for self-training to be adopted."""
COLLAPSE = 0.25
"""How much larger the largest class may become by it, as a share of the items."""
ADAPTED_SHARPNESS = 12.0
"""Times the cosine, the logit, after self-training: measured as that of plain zero-shot."""
FEWEST_TO_CORRECT = 10
"""Labelled items, or groups of them, from which their choice of a candidate is corrected for."""
CLOSE, USUAL = 0.15, 0.75
"""How exactly labels should tell the accuracy, and which accuracy is supposed for that."""


@dataclass(frozen=True, eq=False)
class Known:
    """What labelled items say of a candidate that learnt from none of them.

    Parameters
    ----------
    features : ndarray of shape (n, d)
    labels : ndarray of shape (n,)
    groups : ndarray of shape (n,), or None
    """

    features: FloatArray
    labels: AnyArray
    groups: IntArray | None = None


def adapted(
    begun: Start,
    pool: FloatArray,
    modality: Modality,
    *,
    known: Known | None = None,
    metric: str = "accuracy",
    seed: int = 0,
) -> Start:
    """Let unlabelled items move the directions of the classes, where that is safe.

    It is adopted only where at least 70 % of the items keep their class, no class grows by more
    than a quarter of the items, and the labelled items, if there are any, are not recognised worse.

    Parameters
    ----------
    begun : Start
        Of strategy ``zero-shot``; any other is returned with the reason.
    pool : ndarray of shape (n, d)
        Features of unlabelled items.
    modality : {"image", "text"}
    known : Known, optional
    metric : str
    seed : int
        Of the bootstrap behind the paired test.
    """
    off = "without unlabelled DATA there is none"
    features = begun.params["class_features"]
    n, k = len(pool), len(features)
    if begun.entry.strategy != "zero-shot":
        why = f"{begun.entry.strategy} has no directions that could be moved"
        return begun.told(Decision("no self-training", why))
    if not enough(n, k):
        why = f"{n:,} items without a label are few for {k} classes: at least {FEWEST_A_CLASS} each"
        return begun.told(Decision("no self-training", why))
    names = sorted(features)
    moved = self_train(pool, np.stack([features[name] for name in names]))
    kept = f"{100 * moved.agreement:.0f} % of the items keep their class"
    if moved.agreement < AGREES:
        why = f"only {kept}, below {100 * AGREES:.0f} %: the items fall into other groups"
        return begun.told(Decision("self-training not adopted", why))
    if moved.largest[1] > moved.largest[0] + COLLAPSE:
        why = f"one class would grow from {moved.largest[0]:.2f} to {moved.largest[1]:.2f} of all"
        return begun.told(Decision("self-training not adopted", why))
    params = {
        "class_features": dict(zip(names, moved.directions, strict=True)),
        "centre": moved.centre,
        "class_offsets": dict(zip(names, moved.offsets.tolist(), strict=True)),
        "sharpness": ADAPTED_SHARPNESS,
    }
    made = replace(begun, params=params)
    why = f"{n:,} items without a label moved the classes to where items are; {kept}"
    if known is not None:
        lead = compare(made, begun, known, modality, metric=metric, seed=seed)
        numbers = f"{lead.estimate:+.3f} [{lead.low:.3f}, {lead.high:.3f}] {metric}"
        if lead.estimate < 0:
            why = f"{numbers} on {lead.n:,} labelled items"
            return replace(begun, rival=made).told(Decision("self-training not adopted", why))
        made = replace(made, rival=begun)
        why += f"; {numbers} on {lead.n:,} labelled items"
    return made.told(Decision("self-training", why, off))


def predicted(begun: Start, features: FloatArray, modality: Modality) -> Predictions:
    """Return what a candidate predicts without any label."""
    made = begun.make(modality).fit()
    return predict_one(made, features, tuple(str(name) for name in made.classes_))


def compare(
    one: Start, other: Start, known: Known, modality: Modality, *, metric: str, seed: int
) -> Gain:
    """Return the paired lead of one candidate over another on labelled items."""
    return evaluate.gain(
        metric,
        known.labels,
        predicted(one, known.features, modality),
        predicted(other, known.features, modality),
        groups=known.groups,
        seed=seed,
        name=other.entry.name,
    )


def scored(
    begun: Start, known: Known, modality: Modality, *, metric: str, seed: int, chose: bool
) -> tuple[Score, Score]:
    """Return the score of a candidate that learnt from no label, and that of the constant guess.

    Parameters
    ----------
    begun : Start
    known : Known
        The items that judge.
    modality : {"image", "text"}
    metric : str
    seed : int
    chose : bool
        Whether the same items chose between it and its rival: that is then corrected for.
    """
    found = predicted(begun, known.features, modality)
    score = evaluate.score(metric, known.labels, found, groups=known.groups, seed=seed)
    units = len(known.labels) if known.groups is None else len(np.unique(known.groups))
    if chose and begun.rival is not None and units >= FEWEST_TO_CORRECT:
        both = {"other": predicted(begun.rival, known.features, modality), "this": found}
        score = corrected(
            both,
            known.labels,
            metric,
            baseline="other",
            chosen="this",
            transfers=list(both),
            groups=known.groups,
            seed=seed,
        ).score
    return score, guessed(known, found.classes, metric, seed)


def guessed(known: Known, classes: Sequence[str], metric: str, seed: int) -> Score:
    """Return the score of always naming the most frequent class."""
    names, counts = np.unique(known.labels.astype(str), return_counts=True)
    shares = np.zeros(len(classes))
    for name, count in zip(names.tolist(), counts.tolist(), strict=True):
        shares[list(classes).index(name)] = count / len(known.labels)
    best = np.full(len(known.labels), classes[int(shares.argmax())], dtype=object)
    same = Predictions(best, np.tile(shares, (len(best), 1)), tuple(classes))
    return evaluate.score(metric, known.labels, same, groups=known.groups, seed=seed)


def by_attributes(
    begun: Start,
    known: Known,
    held: Known | None,
    folds: Sequence[tuple[IntArray, IntArray]],
    modality: Modality,
    *,
    metric: str,
    seed: int,
) -> tuple[Any, Score | None, Score | None]:
    """Return a model of attributes that is fitted to labelled items, its score and the guess's.

    Parameters
    ----------
    begun : Start
        Of strategy ``eszsl``.
    known : Known
        Items of the classes that have labels.
    held : Known or None
        The part that judges; None: what folds hold out does.
    folds : sequence of (train, test) index arrays
        Empty where there are too few labels to hold any out: then there is no score.
    modality : {"image", "text"}
    metric : str
    seed : int
    """
    fitted = begun.make(modality, seed).fit(known.features, known.labels)
    classes = tuple(str(name) for name in fitted.classes_)
    if held is not None:
        found = predict_one(fitted, held.features, classes)
        score = evaluate.score(metric, held.labels, found, groups=held.groups, seed=seed)
        return fitted, score, guessed(held, classes, metric, seed)
    if not folds:
        return fitted, None, None
    pieces = []
    for train, test in folds:
        inner = begun.make(modality, seed).fit(known.features[train], known.labels[train])
        pieces.append(predict_one(inner, known.features[test], classes))
    rows = np.concatenate([test for _, test in folds])
    groups = None if known.groups is None else known.groups[rows]
    judged = Known(known.features[rows], known.labels[rows], groups)
    score = evaluate.score(
        metric, judged.labels, evaluate.joined(pieces), groups=groups, seed=seed, out_of_fold=True
    )
    return fitted, score, guessed(judged, classes, metric, seed)


def labels_to_tell() -> tuple[int, float]:
    """Return how many labels would tell how good a model is, and how exactly, as a share.

    Examples
    --------
    >>> labels_to_tell()
    (30, 0.15)
    """
    needed = (1.96 / CLOSE) ** 2 * USUAL * (1 - USUAL)
    return 10 * round(needed / 10), CLOSE


def too_few(error: DataError) -> Decision:
    """Return why trained candidates do not take part."""
    return Decision("no trained candidate takes part", error.what, "label more items of each class")
