"""What a race tells while it runs, to a reporter that takes facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.core.events import hears, tell
from headstart.core.types import AnyArray, Reporter
from headstart.evaluate import METRICS, Run, value
from headstart.select.heat import Heat
from headstart.select.measured import Judge, Measured, measured_of
from headstart.select.plan import BASELINES
from headstart.select.race import FAILURES, Entry, Outcome

if TYPE_CHECKING:
    from headstart.select.contest import Contest


def racing(contest: Contest, entries: Sequence[Entry]) -> None:
    """Tell who is about to predict fold by fold."""
    metric = contest.rules.metric
    tell(
        contest.reporter,
        "racing",
        candidates=[entry.name for entry in entries],
        baselines=[entry.name for entry in BASELINES],
        folds=len(contest.folds),
        metric=metric,
        higher=METRICS[metric].sign > 0,
    )


def fold_done(contest: Contest, heat: Heat) -> None:
    """Tell how far a candidate has come, and its score so far."""
    if heat.pieces and hears(contest.reporter):
        tell(
            contest.reporter,
            "fold",
            candidate=heat.entry.name,
            done=len(heat.pieces),
            folds=len(contest.folds),
            score=_score(contest.judge, heat.measured(contest.folds)),
            seconds=round(heat.seconds, 3),
        )


def ended(contest: Contest, outcome: Outcome) -> None:
    """Tell that a candidate takes part no more: measured, dropped or failed."""
    if not hears(contest.reporter):
        return
    found = outcome.predictions is not None and bool(contest.folds)
    state = "dropped" if outcome.dropped else "failed" if outcome.failure else "measured"
    tell(
        contest.reporter,
        "outcome",
        candidate=outcome.entry.name,
        score=_score(contest.judge, measured_of(outcome, contest.folds)) if found else None,
        seconds=round(outcome.seconds, 3),
        state=state,
        reason=outcome.failure or outcome.dropped,
    )


def left_out(reporter: Reporter, entries: Sequence[Entry], why: str) -> None:
    """Tell who takes no part at all, and why."""
    for entry in entries:
        tell(reporter, "outcome", candidate=entry.name, score=None, state="left out", reason=why)


def curve_point(
    reporter: Reporter,
    run: Run,
    truth: AnyArray,
    *,
    metric: str,
    unit: str,
    repeat: int,
    of: str,
) -> None:
    """Tell one run of a learning curve: what transfer and scratch score at so many labels."""
    if not hears(reporter):
        return
    scores: list[float | None] = []
    for found in (run.transfer, run.scratch):
        try:
            scores.append(float(value(metric, truth, found)))
        except FAILURES:
            scores.append(None)
    tell(
        reporter,
        "curve",
        n=float(run.n),
        unit=unit,
        repeat=repeat,
        transfer=scores[0],
        scratch=scores[1],
        of=of,
    )


def _score(judge: Judge, one: Measured) -> float | None:
    """Return the score of a candidate so far; None where it cannot be told yet."""
    try:
        return float(judge.score(one))
    except FAILURES:
        return None
