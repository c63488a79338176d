"""The select room: numbers in, a choice or a veto out. It reads no files."""

from __future__ import annotations

from headstart.select.abstain import Abstention, Answering, answering, risk_asked
from headstart.select.blend import pair_of
from headstart.select.board import Board, Judged, Pick, advised, groups_of, judge
from headstart.select.change_choice import ChangeChoice, choose_change
from headstart.select.choose import Choice, choose
from headstart.select.clock import Clock
from headstart.select.contest import Contest, Rules
from headstart.select.corrected import Corrected, corrected
from headstart.select.domain_choice import choose_domain
from headstart.select.domain_items import Tunable
from headstart.select.domain_numbers import choose_numbers, plan_numbers
from headstart.select.domain_outcome import DomainChoice
from headstart.select.domain_plan import DomainPlan, check_adapters, plan_domains
from headstart.select.gate import enough_labels, seconds_of, tuners
from headstart.select.guard import Guarded, guard, rescue, veto
from headstart.select.heat import race
from headstart.select.journal import Journal
from headstart.select.label_next import Advice, advice, label_next
from headstart.select.languages import WARNING, Encoder, across, for_languages, languages_of
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
from headstart.select.unlabelled import (
    Known,
    adapted,
    by_attributes,
    guessed,
    labels_to_tell,
    scored,
    too_few,
)
from headstart.select.why import why_scratch
from headstart.select.zero import Start, identity, start

__all__ = [
    "BASELINES",
    "MAJORITY",
    "SCRATCH",
    "WARNING",
    "Abstention",
    "Advice",
    "Answering",
    "Board",
    "ChangeChoice",
    "Choice",
    "Clock",
    "Contender",
    "Contest",
    "Corrected",
    "DomainChoice",
    "DomainPlan",
    "Encoder",
    "Entry",
    "Field",
    "Guarded",
    "Journal",
    "Judged",
    "Judges",
    "Known",
    "Learned",
    "Once",
    "Outcome",
    "Pick",
    "Plan",
    "Ranked",
    "Ranks",
    "Rules",
    "Start",
    "Tunable",
    "across",
    "adapted",
    "advice",
    "advised",
    "answering",
    "by_attributes",
    "check_adapters",
    "choose",
    "choose_change",
    "choose_domain",
    "choose_numbers",
    "corrected",
    "enough_labels",
    "fit_one",
    "for_languages",
    "gbc",
    "groups_of",
    "guard",
    "guessed",
    "h_score",
    "held_rows",
    "identity",
    "input_of",
    "judge",
    "known_by",
    "label_next",
    "labels_to_tell",
    "languages_of",
    "learning_curve",
    "leep",
    "logme",
    "nce",
    "pair_of",
    "plan",
    "plan_domains",
    "plan_numbers",
    "predict_one",
    "race",
    "rank",
    "rescue",
    "risk_asked",
    "sample",
    "scored",
    "scout",
    "seconds_of",
    "start",
    "too_few",
    "tuners",
    "veto",
    "why_scratch",
]
