"""Whether the model that is handed back says "I don't know", and from where on.

All of it is decided on out-of-fold predictions of the training part: the temperature, the score
that tells items out of scope, both thresholds. A part that judges is used for what it is there for
alone: to report what they achieve. Models of the folds have learnt from fewer labels than the one
handed back, so that what is promised is rather less than what is kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, Decision, FloatArray, Kind, Score, Task
from headstart.evaluate.abstain import LEVEL, Rule, achieved, check_risk, risk_rule
from headstart.evaluate.calibration import Calibrated, calibrate
from headstart.evaluate.predictions import Predictions
from headstart.select.board import Board, groups_of
from headstart.select.measured import Measured
from headstart.select.race import Entry, Field, Folds, held_rows
from headstart.strategies import STRATEGIES
from headstart.strategies.answers import Answers
from headstart.strategies.scope import Scope

FEWEST_IN_SCOPE = 40
"""Held-out items below which no item is taken for out of scope."""
WHERE = "--max-risk"


@dataclass(frozen=True, eq=False)
class Abstention:
    """When the model abstains, and what that is worth.

    Parameters
    ----------
    rule : Rule
        The threshold on the confidence, with coverage and risk out of fold.
    scope : Scope or None
        What tells items out of scope; None where nothing does.
    coverage, risk : Score or None
        On the judging part: the share of the items that is answered, and the share of the answers
        that is wrong. None without one, ``risk`` also where nothing is answered.
    """

    rule: Rule
    scope: Scope | None = None
    coverage: Score | None = None
    risk: Score | None = None

    @property
    def promise(self) -> str:
        """What is promised, in a sentence."""
        rule, most = self.rule, f"{100 * self.rule.max_risk:.3g} %"
        share = f"about {100 * rule.coverage.estimate:.0f} % of the items"
        if rule.coverage.estimate == 1.0:
            share = "everything"
        if rule.certified:
            return (
                f"It answers {share} and promises, with {100 * rule.level:.0f} % confidence, that "
                f"at most {most} of these answers are wrong, if new items are drawn as the "
                f"labelled ones were."
            )
        if rule.threshold == math.inf:
            return (
                f"It abstains on everything: no threshold keeps the wrong answers down to {most}."
            )
        return (
            f"It answers {share}, and at most {most} of these answers should be wrong, but that is "
            f"not certified."
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        rule = self.rule
        scope = self.scope and {
            "score": self.scope.name,
            "threshold": self.scope.threshold,
            "auroc": self.scope.auroc.get(" + ".join(self.scope.methods)),
        }
        judged = None
        if self.coverage is not None:
            judged = {"coverage": _plain(self.coverage), "risk_answered": _plain(self.risk)}
        return {
            "max_risk": rule.max_risk,
            "certified": rule.certified,
            "confidence": rule.level,
            "threshold": float(np.clip(rule.threshold, 0.0, 1.0)),
            "coverage": _plain(rule.coverage),
            "risk_answered": _plain(rule.risk),
            "n": rule.n,
            "needed": rule.needed,
            "scope": scope,
            "judged": judged,
            "promise": self.promise,
        }


@dataclass(frozen=True, eq=False)
class Answering:
    """What ``answering`` decided.

    Parameters
    ----------
    answers : Answers or None
        What a bundle keeps of it; None where probabilities stay and all is answered.
    calibrated : Calibrated or None
        None for numbers.
    abstention : Abstention or None
        None where it was not asked for.
    decisions : tuple of Decision
    silent : ndarray of bool or None
        Which of the items that judge it abstains on; None where it always answers.
    """

    answers: Answers | None = None
    calibrated: Calibrated | None = None
    abstention: Abstention | None = None
    decisions: tuple[Decision, ...] = ()
    silent: AnyArray | None = None

    def calibration(self) -> dict[str, Any] | None:
        """Return what was found about calibration as plain values."""
        one = self.calibrated
        if one is None:
            return None
        return {
            "method": one.method,
            "temperature": one.calibration.temperature if one.calibration else None,
            "n": one.n,
            "ece_before": _plain(one.ece_before),
            "ece_after": _plain(one.ece_after),
            "brier_before": _plain(one.brier_before),
            "brier_after": _plain(one.brier_after),
            "why": one.why,
        }

    def facts(self) -> dict[str, Any]:
        """Return what a bundle says of it."""
        found = {"calibration": self.calibration()} if self.calibrated is not None else {}
        if self.abstention is not None:
            found["abstention"] = self.abstention.to_json()
        return found


def risk_asked(max_risk: float | None, kind: Kind) -> float | None:
    """Return the risk that was asked for.

    Raises
    ------
    OptionError
        It does not lie between 0 and 1, or numbers are predicted.
    """
    if max_risk is None:
        return None
    if kind == "regression":
        raise OptionError(
            "numbers are predicted here: an answer is not right or wrong, it is more or less near",
            where=WHERE,
            got=max_risk,
            hint=f"leave {WHERE} out, or make classes of the numbers",
        )
    return check_risk(max_risk, WHERE)


def answering(
    shipped: Entry,
    board: Board,
    field: Field,
    folds: Folds,
    *,
    max_risk: float | None = None,
    judge: Task | None = None,
    found: Mapping[str, Predictions] | None = None,
    inputs: Mapping[str | None, Any] | None = None,
) -> Answering:
    """Decide how sure the model is, and when it says that it does not know.

    Parameters
    ----------
    shipped : Entry
        What is handed back.
    board : Board
        With its out-of-fold predictions.
    field : Field
        With the features of the training items.
    folds : sequence of (train, test) index arrays
        Of the race.
    max_risk : float, optional
        The share of the answers that may be wrong; without it everything is answered.
    judge : Task, optional
        The part that judges; with ``found``, the predictions for it by candidate, and ``inputs``,
        its features by source.
    """
    if not field.classes:
        return Answering()
    seen = board.measured.get(shipped.name)
    if seen is None:
        return _blind(max_risk)
    groups = None if board.groups is None else board.groups[seen.rows]
    calibrated = calibrate(
        board.labels[seen.rows],
        seen.predictions,
        groups=groups,
        parts=_fold_of(seen, folds),
        seed=board.seed,
    )
    decisions = [_said(calibrated)]
    answers = Answers(calibrated.calibration)
    if max_risk is None:
        kept = answers if calibrated.calibration is not None else None
        return Answering(kept, calibrated, None, tuple(decisions))
    scope, inside, decision = _scope(shipped, seen, field, folds)
    decisions.append(decision)
    confidence = confidence_of(answers, seen.predictions)
    rule = risk_rule(
        confidence,
        _wrong(seen.predictions, board.labels[seen.rows]),
        max_risk,
        allowed=inside,
        groups=groups,
        seed=board.seed,
    )
    answers = Answers(calibrated.calibration, rule.threshold, scope)
    abstention = Abstention(rule, scope)
    decisions.append(_promised(abstention))
    silent = answers.abstains(confidence)
    if inside is not None:
        silent |= ~inside
    if judge is not None and found is not None and shipped.name in found:
        said = found[shipped.name]
        features = None if inputs is None or scope is None else inputs[shipped.source]
        silent = answers.abstains(confidence_of(answers, said), features)
        abstention = _judged(abstention, said, silent, judge, board.seed)
        decisions.append(_kept(abstention))
    return Answering(answers, calibrated, abstention, tuple(decisions), silent)


def confidence_of(answers: Answers, predictions: Predictions) -> FloatArray:
    """Return the calibrated probability of each predicted label."""
    assert predictions.probabilities is not None
    column = {name: j for j, name in enumerate(predictions.classes)}
    own = np.array([column[str(label)] for label in predictions.labels], dtype=np.int64)
    result: FloatArray = answers.probabilities(predictions.probabilities)[np.arange(len(own)), own]
    return result


def _blind(max_risk: float | None) -> Answering:
    """Return what there is to say without an out-of-fold prediction."""
    why = "there are no out-of-fold predictions: too few labels to hold any out"
    decisions = [Decision("confidence is not calibrated", why, "label more items")]
    if max_risk is None:
        return Answering(decisions=tuple(decisions))
    raise OptionError(
        "a risk cannot be kept: there are too few labels to hold any out and see how often the "
        "model is wrong",
        where=WHERE,
        got=max_risk,
        hint=f"leave {WHERE} out, or label at least {_fewest(max_risk)} items",
    )


def _fewest(max_risk: float) -> int:
    """Return how many answers without a mistake certify a risk."""
    return math.ceil(math.log(1.0 - LEVEL) / math.log1p(-max_risk))


def _fold_of(seen: Measured, folds: Folds) -> AnyArray:
    """Return the fold that held out each row."""
    of_fold = np.zeros(int(seen.rows.max(initial=-1)) + 1, dtype=np.int64)
    for number, (_, test) in enumerate(folds):
        of_fold[test[test < len(of_fold)]] = number
    found: AnyArray = of_fold[seen.rows]
    return found


def _wrong(predictions: Predictions, truth: AnyArray) -> AnyArray:
    return np.asarray(predictions.labels.astype(str) != truth.astype(str))


def _scope(
    shipped: Entry, seen: Measured, field: Field, folds: Folds
) -> tuple[Scope | None, AnyArray | None, Decision]:
    """Return what tells items out of scope, and which of the rows that were seen are inside."""
    what = "items out of scope are told by the confidence alone"
    lacking = _no_scope(shipped, folds)
    if lacking:
        return None, None, Decision(what, lacking)
    from headstart.strategies.scope_choice import SHARE, find_scope

    rows = held_rows(folds)
    codes = np.unique(field.labels, return_inverse=True)[1]
    scope, scores = find_scope(field.inputs[shipped.source], codes, folds, seed=field.seed)
    order = np.argsort(rows)
    inside = scores[order[np.searchsorted(rows, seen.rows, sorter=order)]] >= scope.threshold
    why = "two classes leave none to try it on, so it is the usual one"
    if scope.auroc:
        value = scope.auroc[" + ".join(scope.methods)]
        why = f"it tells the items of left-out classes best (AUROC {value:.3f})"
    decision = Decision(
        f"items out of scope are told by the {scope.name}",
        f"{why}; {100 * SHARE:.0f} % of the training items would be left unanswered by it",
    )
    return scope, inside, decision


def _no_scope(shipped: Entry, folds: Folds) -> str:
    """Say why nothing tells items out of scope; nothing is the empty text."""
    if shipped.source is None:
        return f"{shipped.name} uses no source, whose features would tell them"
    if STRATEGIES[shipped.member or shipped.strategy].tunes:
        return f"{shipped.name} changes its source, and its features with it"
    held = len(held_rows(folds))
    if held < FEWEST_IN_SCOPE:
        return f"{held} items are too few to know what is in scope, {FEWEST_IN_SCOPE} are needed"
    return ""


def _judged(
    abstention: Abstention, predictions: Predictions, silent: AnyArray, judge: Task, seed: int
) -> Abstention:
    """Return an abstention with what it achieves on the judging part."""
    assert judge.labels is not None
    wrong = _wrong(predictions, judge.labels)
    coverage, risk = achieved(~silent, wrong, groups=groups_of(judge), seed=seed)
    return Abstention(abstention.rule, abstention.scope, coverage, risk)


def _said(calibrated: Calibrated) -> Decision:
    if calibrated.calibration is None:
        return Decision("confidence is as the model says it", calibrated.why)
    return Decision(f"confidence is calibrated by {calibrated.method}", calibrated.why)


def _promised(abstention: Abstention) -> Decision:
    """Say what was found about the risk."""
    rule = abstention.rule
    asked = f"{100 * rule.max_risk:.3g} %"
    if rule.certified:
        return Decision(
            f"a risk of {asked} is certified",
            f"exact binomial tests on {rule.n:,} out-of-fold predictions, "
            f"{100 * rule.coverage.estimate:.0f} % of them answered",
        )
    if rule.threshold == math.inf:
        return Decision(
            f"a risk of {asked} cannot be kept",
            "even the most confident answers are wrong more often; everything abstains",
            f"a larger {WHERE}, or more labels",
        )
    needed = "" if rule.needed is None else f", at least about {rule.needed:,} are needed"
    return Decision(
        f"a risk of {asked} cannot be certified",
        f"{rule.n:,} out-of-fold predictions are not enough{needed}; the threshold that keeps it "
        f"on these is used, not certified",
        f"label more items, or a larger {WHERE}",
    )


def _kept(abstention: Abstention) -> Decision:
    """Say what the thresholds achieve on the judging part."""
    coverage, risk = abstention.coverage, abstention.risk
    assert coverage is not None
    wrong = "no answer" if risk is None else f"{100 * risk.estimate:.1f} % of the answers wrong"
    return Decision(
        "on the items that judge",
        f"{100 * coverage.estimate:.0f} % answered, {wrong} ({coverage.n:,} items)",
    )


def _plain(score: Score | None) -> dict[str, Any] | None:
    if score is None:
        return None
    return {key: value for key, value in asdict(score).items() if key != "metric"}
