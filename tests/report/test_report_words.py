"""The sentence that leads: right in words and numbers for every verdict."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from report_facts import candidate, gain, info, numbers, score, sequence

from headstart.report import figures
from headstart.report.words import headline

SCRATCH = {"source": None, "strategy": "scratch"}
RACED = [candidate("scratch", None, 0.7, "chosen"), candidate("probe", "minilm", 0.6)]


def said(**changes: Any) -> str:
    return str(headline(info(**changes)))


def test_positive():
    assert said() == (
        "Transfer is worth +18.3 points of accuracy [12.1, 24.4] here; "
        "from scratch you would need about 6× the labels."
    )
    assert headline(info()).pill == "Positive transfer"


@pytest.mark.parametrize(
    ("times", "end"),
    [
        ({"estimate": 2.42, "low": 1.1, "high": 4.0}, "about 2.4× the labels."),
        ({"estimate": 12.6, "low": 3.0, "high": None}, "about 13× the labels."),
        (
            {"estimate": 16.0, "low": 9.0, "high": None, "censored": "above"},
            "more than 16× the labels.",
        ),
        ({"estimate": 1.3, "low": 0.4, "high": None}, "[12.1, 24.4] here."),
        ({"estimate": 1.3, "low": None, "high": None}, "[12.1, 24.4] here."),
        ({"estimate": 0.1, "censored": "below"}, "[12.1, 24.4] here."),
        (None, "[12.1, 24.4] here."),
    ],
)
def test_labels_are_told_only_where_they_are_sure(times, end):
    extra = {**info()["extra"], "label_multiplier": times}
    assert said(extra=extra).endswith(end)


def test_labels_of_another_transfer_are_not_told():
    extra = info()["extra"]
    extra["learning"]["transfer"] = "minilm + knn"
    assert said(extra=extra).endswith("[12.1, 24.4] here.")


@pytest.mark.parametrize(
    ("found", "facts", "sentence"),
    [
        (
            gain("negative", -0.042, -0.06, -0.023),
            SCRATCH | {"candidates": RACED},
            "Transfer would cost 4.2 points of accuracy [2.3, 6.0] here.",
        ),
        (
            gain("negative", -0.042, -0.06, -0.023),
            {},
            "Transfer costs 4.2 points of accuracy [2.3, 6.0] here.",
        ),
        (
            gain("none", 0.003, -0.005, 0.011),
            {},
            "Transfer makes no difference that matters: +0.3 points of accuracy [−0.5, 1.1] here.",
        ),
        (
            gain("inconclusive", 0.02, -0.011, 0.052, metric="balanced_accuracy"),
            {},
            "Whether transfer helps is still open: "
            "+2.0 points of balanced accuracy [−1.1, 5.2] here.",
        ),
        (
            gain("positive", 4.12, 2.01, 6.3, metric="rmse"),
            {"label": "dose in mg"},
            "Transfer lowers the RMSE by 4.12 [2.01, 6.30], in the units of “dose in mg”, here.",
        ),
        (
            gain("negative", -4.12, -6.3, -2.01, metric="mae"),
            SCRATCH | {"label": "y", "candidates": RACED},
            "Transfer would raise the MAE by 4.12 [2.01, 6.30], in the units of “y”, here.",
        ),
        (
            gain("inconclusive", -1200.0, -2500.4, 100.0, metric="rmse"),
            {"label": ""},
            "Whether transfer helps is still open: it raises the RMSE by 1,200 [−100, 2,500] here.",
        ),
        (
            gain("positive", 0.121, 0.05, 0.2, metric="wer", baseline="untouched"),
            {},
            "Transfer lowers the word error rate by 12.1 points [5.0, 20.0] "
            "against untouched here.",
        ),
        (
            gain("positive", 0.012, 0.004, 0.02, metric="r2"),
            {"extra": {}},
            "Transfer is worth +0.012 of R² [0.004, 0.020] here.",
        ),
        (
            gain("positive", 0.0008, 0.0002, 0.0014),
            {"extra": {}},
            "Transfer is worth +0.08 points of accuracy [0.02, 0.14] here.",
        ),
        (
            gain("positive", 0.231, 0.058, 0.39, baseline="source-only"),
            {"extra": {"adapted_by": "coral"}},
            "Adapting by coral is worth +23.1 points of accuracy [5.8, 39.0] "
            "over source-only here.",
        ),
        (
            gain("positive", 0.231, 0.058, 0.39, baseline="source-only"),
            {"extra": {"adapted_by": "target-only"}},
            "Learning from the target's own labels is worth +23.1 points of accuracy "
            "[5.8, 39.0] over source-only here.",
        ),
        (
            gain("negative", -0.1, -0.2, -0.05, baseline="source-only"),
            {"extra": {"adapted_by": "source-only"}},
            "The best way to adapt costs 10.0 points of accuracy [5.0, 20.0] "
            "over source-only here.",
        ),
    ],
)
def test_every_verdict_has_its_sentence(found, facts, sentence):
    assert said(gain=found, **facts) == sentence


def test_not_tried():
    alone = [candidate("majority", None, 0.3), candidate("scratch", None, 0.9, "chosen")]
    decision = {"what": "no transfer is tried", "why": "no source for tables", "override": ""}
    facts = info(**SCRATCH, candidates=alone, decisions=[decision], gain=gain("none", 0, 0, 0))
    found = headline(facts)
    assert found.verdict == "untried"
    assert str(found) == (
        "Transfer was not tried here: you get scratch, accuracy 87.2\u202f% [84.2, 90.2]."
    )
    assert "The reason: no source for tables." in found.below
    told = {**facts["extra"], "transfer": None}
    assert headline({**facts, "candidates": RACED, "extra": told}).verdict == "untried"


def test_of_scratch_handed_back_the_reason_is_told():
    why = {"what": "ship scratch", "why": "transfer does not beat it", "override": ""}
    found = gain("inconclusive", 0.01, -0.02, 0.04)
    told = headline(info(**SCRATCH, gain=found, candidates=RACED, decisions=[why]))
    assert told.verdict == "inconclusive"
    assert told.below[:2] == ("You get scratch.", "The reason: transfer does not beat it.")


def test_zero_shot_measured_and_not():
    zero = {"zero_shot": {"classes": []}, "judged_by": "40 labelled items", "seed": 0}
    found = headline(info(gain=None, strategy="zero-shot", extra=zero))
    assert str(found) == (
        "A model that learnt from no label has an accuracy of 87.2\u202f% [84.2, 90.2] here."
    )
    nan = {"estimate": None, "low": None, "high": None, "n": 0, "metric": "accuracy"}
    zero = {**zero, "judged_by": "no item has a label"}
    found = headline(info(gain=nan, score=None, strategy="zero-shot", extra=zero))
    assert found.verdict == "unmeasured"
    assert found.below[-1] == "No item has a label."


def test_sequence_and_numbers():
    assert str(headline(sequence())).startswith(
        "Transfer lowers the word error rate by 12.1 points"
    )
    assert headline(numbers()[0]).verdict == "positive"


def test_abstention_is_promised_below():
    extra = {**info()["extra"], "abstention": {"promise": "At most 5 % are wrong."}}
    assert headline(info(extra=extra)).below[-1] == "At most 5 % are wrong."


@pytest.mark.parametrize("facts", [{}, {"gain": 3}, {"gain": {"estimate": "x"}}, {"extra": []}])
def test_nothing_known_is_no_crash(facts):
    assert headline(facts).verdict == "unmeasured"


def oracle(value: float, digits: int) -> Fraction:
    """Round the shortest decimal that names the float, halves away from zero, without Decimal."""
    exact = Fraction(repr(value)) * 100 * 10**digits
    whole = abs(exact) + Fraction(1, 2)
    return (-1 if exact < 0 else 1) * Fraction(whole.numerator // whole.denominator, 10**digits)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    st.integers(-10_000, 10_000), st.sampled_from([1, 7, 16, 200, 2000, 2048]), st.integers(0, 2)
)
@example(209, 2000, 1)
@example(-209, 2000, 1)
def test_rounding_is_that_of_school(right, n, digits):
    value = float(f"{right / n:.12g}")
    told = figures.fixed(right / n, digits, scale=100)
    assert Fraction(told.replace(",", "").replace("\N{MINUS SIGN}", "-")) == oracle(value, digits)
    assert told.lstrip("0123456789,.\N{MINUS SIGN}") == ""
    assert not (told.startswith("\N{MINUS SIGN}") and set(told[1:]) <= set("0."))


def test_a_half_is_rounded_up_whatever_the_float_says():
    assert figures.fixed(0.1045, 1, scale=100) == "10.5"
    assert figures.fixed(1 - 0.8955, 1, scale=100) == "10.5"  # 0.10450000000000004
    assert Decimal("2.675").quantize(Decimal("0.01"), rounding=ROUND_HALF_UP) == Decimal("2.68")
    assert figures.fixed(2.675, 2) == "2.68"
    assert figures.fixed(-0.0001, 1, scale=100, signed=True) == "0.0"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.04, "0.0 s"),
        (3.25, "3.3 s"),
        (61, "61 s"),
        (150.2, "2 min 30 s"),
        (7300, "2 h 01 min"),
        (None, ""),
    ],
)
def test_times(value, told):
    assert figures.seconds(value) == told


def test_an_interval_has_the_decimals_of_its_estimate():
    one = score("rmse", 60.0, 5)
    assert (figures.score(one), figures.interval(one)) == ("60.0", "[55.0, 65.0]")
    big = score("mae", 27812.4, 1000.2)
    assert (figures.score(big), figures.interval(big)) == ("27,812", "[26,812, 28,813]")
    open_end = {"metric": "accuracy", "estimate": 0.5, "low": None, "high": 0.6}
    assert figures.interval(open_end) == "[…, 60.0]"
