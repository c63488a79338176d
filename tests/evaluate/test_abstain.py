"""The risk that is promised is kept over simulated splits; a naive threshold does not keep it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from headstart.core.errors import DataError, OptionError
from headstart.evaluate.abstain import _effective, achieved, risk_p_value, risk_rule


def world(rng, n: int, worst: float, size: int = 1):
    """Return confidence and errors; the risk rises as the confidence falls; groups are alike."""
    sure = np.repeat(rng.random(n // size), size)
    draw = np.repeat(rng.random(n // size), size)
    return sure, draw < worst * (1 - sure) ** 2


def true_risk(threshold: float, worst: float) -> float:
    """Return the risk above a threshold, by integration."""
    low = max(threshold, 0.0)
    return worst * (1 - low) ** 2 / 3


def kept(n: int, worst: float, max_risk: float, *, naive: bool = False, size: int = 1):
    """Return in how many of 300 splits the promise is kept, and in how many one is made."""
    rng = np.random.default_rng(5)
    held = made = 0
    for _ in range(300):
        sure, wrong = world(rng, n, worst, size)
        groups = None if size == 1 else np.arange(n) // size
        if naive:
            order = np.argsort(-sure)
            share = np.cumsum(wrong[order]) / np.arange(1, n + 1)
            fine = np.flatnonzero(share <= max_risk)
            threshold = sure[order][fine[-1]] if len(fine) else 1.0
        else:
            rule = risk_rule(sure, wrong, max_risk, groups=groups)
            if not rule.certified:
                continue
            threshold = rule.threshold
        made += 1
        held += true_risk(threshold, worst) <= max_risk
    return held, made


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Intervals are not looked at here: a constant in their place."""
    import headstart.evaluate.abstain as module
    from headstart.core.types import Score

    def share(name, flags, groups, seed, out_of_fold):
        return Score(name, float(np.mean(flags)), 0.0, 1.0, len(flags))

    monkeypatch.setattr(module, "_share", share)


@pytest.mark.parametrize(
    ("n", "worst", "max_risk"), [(200, 0.5, 0.05), (800, 0.5, 0.05), (300, 1, 0.2)]
)
def test_what_is_certified_holds_in_nine_splits_of_ten(n, worst, max_risk):
    held, made = kept(n, worst, max_risk)
    broken = made - held
    assert broken <= 30  # of 300 splits, 10 %
    assert made > 30


def test_the_naive_threshold_breaks_the_promise():
    held, made = kept(400, 0.5, 0.05, naive=True)
    assert held / made < 0.7


def test_items_of_one_group_count_once():
    held, made = kept(1200, 0.5, 0.05, size=6)
    assert made - held <= 30
    rng = np.random.default_rng(0)
    sure, wrong = world(rng, 600, 0.1, size=6)
    alone = risk_rule(sure, wrong, 0.05)
    grouped = risk_rule(sure, wrong, 0.05, groups=np.arange(600) // 6)
    assert grouped.coverage.estimate <= alone.coverage.estimate


def test_kish_worth_of_growing_groups():
    groups = np.array([3, 3, 1, 3, 2])
    sizes = [[1], [2], [2, 1], [3, 1], [3, 1, 1]]
    expected = [sum(s) ** 2 / sum(x * x for x in s) for s in sizes]
    np.testing.assert_allclose(_effective(groups), expected)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(1, 300), st.integers(0, 60), st.floats(0.01, 0.5))
def test_the_test_is_the_exact_binomial_one(n, errors, risk):
    errors = min(errors, n)
    expected = 1.0 if errors == n else binom.cdf(errors, n, risk)
    assert risk_p_value(errors, n, risk) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_no_error_at_all_answers_everything():
    rule = risk_rule(np.linspace(0, 1, 200), np.zeros(200, dtype=bool), 0.05)
    assert rule.certified
    assert rule.threshold == -math.inf
    assert rule.coverage.estimate == 1
    assert rule.needed is None


def test_too_few_items_are_said_and_not_certified():
    sure = np.linspace(0.1, 1, 20)
    rule = risk_rule(sure, sure < 0.15, 0.05)
    assert not rule.certified
    assert rule.needed is not None
    assert 60 <= rule.needed <= 400
    assert rule.risk is not None
    assert rule.risk.estimate <= 0.05


def test_labels_needed_are_about_enough():
    rng = np.random.default_rng(3)
    sure, wrong = world(rng, 30, 0.1)
    needed = risk_rule(sure, wrong, 0.05).needed
    assert needed is not None
    certified = [risk_rule(*world(rng, 2 * needed, 0.1), 0.05).certified for _ in range(40)]
    assert np.mean(certified) > 0.5


def test_where_even_the_surest_are_wrong_nothing_is_answered():
    sure = np.linspace(0, 1, 100)
    rule = risk_rule(sure, np.ones(100, dtype=bool), 0.1)
    assert rule.threshold == math.inf
    assert not rule.certified
    assert rule.risk is None
    assert rule.needed is None
    assert not rule.answers(sure).any()


@pytest.mark.parametrize(("rate", "answered"), [(0.02, 1.0), (0.5, 0.0)])
def test_constant_scores_answer_all_or_nothing(rate, answered):
    wrong = np.arange(1000) % 50 < 50 * rate
    rule = risk_rule(np.full(1000, 0.7), wrong, 0.05)
    assert rule.coverage.estimate == answered


def test_only_what_is_allowed_is_answered():
    sure = np.linspace(0, 1, 400)
    allowed = np.arange(400) % 4 != 0
    rule = risk_rule(sure, ~allowed, 0.05, allowed=allowed)
    assert rule.certified
    assert rule.coverage.estimate == pytest.approx(0.75)
    nobody = risk_rule(sure, ~allowed, 0.05, allowed=np.zeros(400, dtype=bool))
    assert not nobody.certified
    assert nobody.threshold == math.inf


def test_permuting_items_changes_nothing():
    rng = np.random.default_rng(2)
    sure, wrong = world(rng, 500, 0.4)
    sure = sure.round(2)
    order = rng.permutation(500)
    one, other = risk_rule(sure, wrong, 0.05), risk_rule(sure[order], wrong[order], 0.05)
    assert (one.threshold, one.certified, one.coverage) == (
        other.threshold,
        other.certified,
        other.coverage,
    )


def test_more_risk_answers_no_less():
    rng = np.random.default_rng(4)
    sure, wrong = world(rng, 1000, 0.6)
    shares = [risk_rule(sure, wrong, r).coverage.estimate for r in (0.02, 0.05, 0.1, 0.2)]
    assert shares == sorted(shares)


@pytest.mark.parametrize("risk", [0.0, 1.0, -0.1, 5, math.nan])
def test_a_risk_must_lie_between_0_and_1(risk):
    with pytest.raises(OptionError, match="must lie between 0 and 1"):
        risk_rule(np.ones(3), np.zeros(3, dtype=bool), risk)


def test_levels_and_items_are_checked():
    with pytest.raises(OptionError, match="not a confidence"):
        risk_rule(np.ones(3), np.zeros(3, dtype=bool), 0.1, level=1.0)
    with pytest.raises(DataError, match="no items"):
        risk_rule(np.ones(0), np.zeros(0, dtype=bool), 0.1)


def test_achieved_without_an_answer_has_no_risk():
    coverage, risk = achieved(np.zeros(5, dtype=bool), np.zeros(5, dtype=bool))
    assert coverage.estimate == 0
    assert risk is None
