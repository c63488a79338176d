"""The result of ``fit``: the better model, and what is known about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart import bundle
from headstart.core.types import AnyArray, Candidate, Decision, Gain, Score, Task


@dataclass(frozen=True, eq=False)
class Result:
    """A model with its measured gain.

    Parameters
    ----------
    task : Task
        What it was trained on.
    judged_by : str
        Which items judged, in words.
    metric : str
    chosen : Candidate
        What is handed back.
    score : Score
        Of what is handed back, on the judging items.
    majority, scratch : Score
        The baselines on the same items.
    gain : Gain
        Of the best transfer candidate over scratch, paired on the same items.
    transfer : Candidate or None
        The best transfer candidate; None where none took part.
    transfer_score : Score or None
        Its score on the judging items.
    candidates : tuple of Candidate
        All that raced, with their out-of-fold scores: these chose, they do not judge.
    decisions : tuple of Decision
        Every automatic decision, in the order made.
    seconds : float
    seed : int
    model : Bundle
        Predicts; ``save`` writes it.
    """

    task: Task
    judged_by: str
    metric: str
    chosen: Candidate
    score: Score
    majority: Score
    scratch: Score
    gain: Gain
    transfer: Candidate | None
    transfer_score: Score | None
    candidates: tuple[Candidate, ...]
    decisions: tuple[Decision, ...]
    seconds: float
    seed: int
    contents: bundle.BundleContents
