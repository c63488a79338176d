"""The select room: numbers in, a choice or a veto out. It reads no files."""

from __future__ import annotations

from headstart.select.abstain import Abstention, Answering, answering, risk_asked
from headstart.select.blend import pair_of
from headstart.select.board import Board, Judged, Pick, advised, groups_of, judge
from headstart.select.choose import Choice, choose
from headstart.select.clock import Clock
from headstart.select.contest import Contest, Rules
from headstart.select.corrected import Corrected, corrected
from headstart.select.gate import enough_labels, seconds_of, tuners
from headstart.select.guard import Guarded, guard, rescue, veto
from headstart.select.heat import race
from headstart.select.journal import Journal
from headstart.select.label_next import Advice, advice, label_next
from headstart.select.learning import Judges, Learned, known_by, learning_curve
from headstart.select.plan import BASELINES, MAJORITY, SCRATCH, Plan, plan
from headstart.select.race import (
    Entry,
    Field,
    Once,
    Outcome,
    fit_one,
    held_rows,
    input_of,
    predict_one,
)
from headstart.select.rank import Contender, Ranked, Ranks, rank
from headstart.select.sample import sample
from headstart.select.scout import scout
from headstart.select.transferability import gbc, h_score, leep, logme, nce
from headstart.select.why import why_scratch

__all__ = [
    "BASELINES",
    "MAJORITY",
    "SCRATCH",
    "Abstention",
    "Advice",
    "Answering",
    "Board",
    "Choice",
    "Clock",
    "Contender",
    "Contest",
    "Corrected",
    "Entry",
    "Field",
    "Guarded",
    "Journal",
    "Judged",
    "Judges",
    "Learned",
    "Once",
    "Outcome",
    "Pick",
    "Plan",
    "Ranked",
    "Ranks",
    "Rules",
    "advice",
    "advised",
    "answering",
    "choose",
    "corrected",
    "enough_labels",
    "fit_one",
    "gbc",
    "groups_of",
    "guard",
    "h_score",
    "held_rows",
    "input_of",
    "judge",
    "known_by",
    "label_next",
    "learning_curve",
    "leep",
    "logme",
    "nce",
    "pair_of",
    "plan",
    "predict_one",
    "race",
    "rank",
    "rescue",
    "risk_asked",
    "sample",
    "scout",
    "seconds_of",
    "tuners",
    "veto",
    "why_scratch",
]
