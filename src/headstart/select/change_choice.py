"""Whether a fitted model is changed for a target of which its source data are gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from headstart.core.types import AnyArray, Decision, Gain, Score
from headstart.evaluate.shift_words import p_words
from headstart.select.adapting_labels import FEWEST, Comparison, compare_on_labels

METRIC = "accuracy"


@dataclass(frozen=True, eq=False)
class ChangeChoice:
    """Which copy of a model is handed back, and what labels of the target say.

    Parameters
    ----------
    name : str
    decisions : tuple of Decision
    judged_by : str
        What judged, in words; or why nothing did.
    scores : mapping of name to Score
        Of all copies, on the labelled items; empty without labels.
    score : Score or None
        Of what is handed back.
    gain : Gain or None
        Of ``gain_of`` over the model as it was.
    gain_of : str
    corrected : bool
        What picking the best on the same labels costs is taken off.
    """

    name: str
    decisions: tuple[Decision, ...]
    judged_by: str
    scores: Mapping[str, Score] = field(default_factory=dict)
    score: Score | None = None
    gain: Gain | None = None
    gain_of: str = ""
    corrected: bool = False


def choose_change(
    guessed: Mapping[str, AnyArray],
    labels: AnyArray,
    *,
    stays: str,
    once: AnyArray | None = None,
    named: str | None = None,
    refused: Mapping[str, str] | None = None,
    seed: int = 0,
) -> ChangeChoice:
    """Choose among copies of a model that were changed without a label.

    Without labels nothing tells which is better: the model stays as it was, unless one way is
    named. With 10 or more, the best that is better beyond chance is taken (exact McNemar tests,
    corrected for their number).

    Parameters
    ----------
    guessed : mapping of name to array of m labels
        What each copy says of the target's items; ``stays`` is the model as it was.
    labels : array of m objects
        A label, or None.
    stays : str
    once : bool array of m, optional
        Items that are no copy of an earlier one: copies prove nothing twice.
    named : str, optional
        What the user wants whatever labels say.
    refused : mapping of name to str, optional
        Copies that stepped back by themselves, and why.
    seed : int
    """
    has = np.array([label is not None for label in labels], dtype=bool)
    known = np.flatnonzero(has if once is None else has & once)
    refused = refused or {}
    if len(known) < FEWEST or len(guessed) < 2:
        return _unjudged(len(known), stays, named, refused)
    truth = [str(labels[place]) for place in known]
    compared = compare_on_labels(
        {name: one[known] for name, one in guessed.items()},
        truth,
        metric=METRIC,
        baseline=stays,
        seed=seed,
    )
    name, why = _decided(compared, stays, named, refused)
    of = {one.name: one for one in compared.candidates}
    first = next(one.name for one in compared.candidates if one.name != stays)
    best = first if name == stays else name
    corrected = name == compared.best and name != stays and named is None
    return ChangeChoice(
        name,
        (why,),
        f"{compared.n:,} labelled items of the target, from none of which it learnt",
        {one: found.score for one, found in of.items()},
        compared.corrected if corrected else of[name].score,
        compared.gain if best == first and named is None else of[best].gain,
        best,
        best == first and named is None,
    )


def _unjudged(n: int, stays: str, named: str | None, refused: Mapping[str, str]) -> ChangeChoice:
    said = f"{n} labels of the target are too few to judge" if n else "the target has no label"
    if named is not None and named not in refused:
        why = Decision(f"{named} is handed back", f"named with --strategy; {said}")
        return ChangeChoice(named, (why,), said)
    if named is not None:
        return ChangeChoice(stays, (Decision("the model stays as it was", refused[named]),), said)
    why = Decision(
        "the model stays as it was",
        f"{said}, and nothing else tells which way helps",
        "--target-labels FILE with 30 labels or more judges them; --strategy NAME takes one",
    )
    return ChangeChoice(stays, (why,), said)


def _decided(
    compared: Comparison, stays: str, named: str | None, refused: Mapping[str, str]
) -> tuple[str, Decision]:
    if named is not None:
        if named in refused:
            return stays, Decision("the model stays as it was", refused[named])
        found = compared.of(named).gain
        return named, Decision(
            f"{named} is handed back",
            f"named with --strategy; {found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}] "
            f"over the model as it was",
        )
    if compared.settled is not None and compared.settled != stays:
        one = compared.of(compared.settled)
        return one.name, Decision(
            f"{one.name} by the target's labels",
            f"better beyond chance on {compared.n} of them ({p_words(one.p_adjusted)}, corrected "
            f"for {len(compared.candidates) - 1} ways)",
            "--strategy NAME takes another",
        )
    more = compared.labels_to_settle
    about = f"; about {more:,} would settle it" if more else ""
    return stays, Decision(
        "the model stays as it was",
        f"no way is better beyond chance on {compared.n} labels{about}",
        "--strategy NAME takes one all the same",
    )
