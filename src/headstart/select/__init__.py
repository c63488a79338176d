"""The select room: numbers in, a choice or a veto out. It reads no files."""

from __future__ import annotations

from headstart.select.board import Board, Judged, Pick, judge
from headstart.select.choose import Choice, choose
from headstart.select.corrected import Corrected, corrected
from headstart.select.gate import affordable, enough_labels, seconds_of, settle, tuners
from headstart.select.guard import Guarded, guard, veto
from headstart.select.plan import BASELINES, MAJORITY, SCRATCH, Plan, plan
from headstart.select.race import (
    Entry,
    Field,
    Once,
    Outcome,
    fit_one,
    input_of,
    predict_one,
    race,
)
from headstart.select.rank import Contender, Ranked, Ranks, rank
from headstart.select.sample import sample
from headstart.select.transferability import gbc, h_score, leep, logme, nce

__all__ = [
    "BASELINES",
    "MAJORITY",
    "SCRATCH",
    "Board",
    "Choice",
    "Contender",
    "Corrected",
    "Entry",
    "Field",
    "Guarded",
    "Judged",
    "Once",
    "Outcome",
    "Pick",
    "Plan",
    "Ranked",
    "Ranks",
    "affordable",
    "choose",
    "corrected",
    "enough_labels",
    "fit_one",
    "gbc",
    "guard",
    "h_score",
    "input_of",
    "judge",
    "leep",
    "logme",
    "nce",
    "plan",
    "predict_one",
    "race",
    "rank",
    "sample",
    "seconds_of",
    "settle",
    "tuners",
    "veto",
]
