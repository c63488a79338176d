"""What comes of a choice between domains: who is handed back, why, and what labels say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.core.types import AnyArray, Candidate, Decision, Gain, Score
from headstart.evaluate import METRICS
from headstart.select.adapting_labels import Comparison
from headstart.select.domain_plan import TARGET_ONLY, DomainPlan
from headstart.strategies.adaptation import ADAPTERS

BY_NOBODY = "nothing: no adapter was compared"


@dataclass(frozen=True, eq=False)
class DomainChoice:
    """Which adapter is handed back, and what was measured.

    Parameters
    ----------
    name : str
    adapter : fitted adapter
        Fitted to everything there is.
    decisions : tuple of Decision
    candidates : tuple of Candidate
        With the scores that chose.
    chose_by : str
        What those scores are.
    metric : str
        Of those scores.
    judged_by : str
        What judged on the target, in words; or why nothing did.
    score : Score or None
        Of what is handed back, on labels of the target.
    baselines : mapping of name to Score
    gain : Gain or None
        Of ``gain_of`` over not adapting.
    gain_of : str
        The best adapter: what is handed back, unless that is the baseline.
    why : str
        Why this one is handed back, in a sentence.
    corrected : bool
        What picking the best of several on the same labels costs is taken off score and gain.
    over_alone : Gain or None
        Of what is handed back over the target's labels alone, which is not to transfer at all.
    """

    name: str
    adapter: Any
    decisions: tuple[Decision, ...]
    candidates: tuple[Candidate, ...]
    chose_by: str
    metric: str
    judged_by: str
    score: Score | None = None
    baselines: Mapping[str, Score] | None = None
    gain: Gain | None = None
    gain_of: str = ""
    why: str = ""
    corrected: bool = False
    over_alone: Gain | None = None


def reason_of(decisions: tuple[Decision, ...]) -> str:
    """Return why, of the last thing that was decided."""
    return f"{decisions[-1].what}: {decisions[-1].why}" if decisions else ""


def judged_by_labels(
    choice: DomainChoice, compared: Comparison | None, baseline: str
) -> DomainChoice:
    """Return the choice with what labels of the target say of it."""
    if compared is None:
        return choice
    of = {one.name: one for one in compared.candidates}
    first = next(one.name for one in compared.candidates if one.name != baseline)
    best = choice.name if choice.name != baseline and choice.name in of else first
    own = of.get(choice.name)
    corrected = choice.name == compared.best and choice.name != baseline
    transfers = choice.name != TARGET_ONLY and own is not None and TARGET_ONLY in of
    return replace(
        choice,
        over_alone=compared.over(choice.name, TARGET_ONLY, chosen=corrected) if transfers else None,
        judged_by=by_labels(compared),
        score=compared.corrected if corrected else (own.score if own else None),
        baselines={
            name: one.score
            for name, one in of.items()
            if name == baseline or (name in ADAPTERS and ADAPTERS[name].family == "baseline")
        },
        gain=compared.gain if best == first else of[best].gain,
        corrected=best == first,
        gain_of=best,
    )


def by_labels(compared: Comparison) -> str:
    """Return what judged, in words, where labels of the target did."""
    return f"{compared.n:,} labelled items of the target, each predicted without its label"


def unjudged(y_target: AnyArray) -> str:
    """Return why labels of the target judge nothing."""
    n = sum(label is not None for label in y_target)
    return f"{n} labels of the target are too few to judge" if n else "the target has no label"


def advice(decision: Decision) -> Decision:
    """Return a decision of the guard as advice: something else was named."""
    return replace(decision, what=f"the guard would say: {decision.what}", override="")


def candidates_of(
    plan: DomainPlan,
    chosen: str,
    scores: Mapping[str, Score],
    failed: Mapping[str, str] | None = None,
) -> tuple[Candidate, ...]:
    """Return what took part, the best first."""
    failed = failed or {}
    every = [
        Candidate(
            name,
            score=scores.get(name),
            status="chosen" if name == chosen else "failed" if name in failed else "lost",
            reason=failed.get(name, "" if name in scores else "not compared"),
        )
        for name in dict.fromkeys([*plan.candidates, *scores, chosen])
    ]
    return tuple(sorted(every, key=_place))


def _place(one: Candidate) -> float:
    score = one.score
    return np.inf if score is None else -METRICS[score.metric].sign * score.estimate
