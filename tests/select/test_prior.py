"""What is known of other data counts where few items were measured, and only there."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from headstart.core.types import Task
from headstart.evaluate import Predictions
from headstart.select import Board, Entry, Outcome, Plan, choose, prior
from headstart.select.prior import HEADS, PRIOR_ITEMS, priors_of, weighed
from headstart.select.race import Folds

GOOD, POOR = Entry("probe", "good"), Entry("probe", "poor")
KNOWN = {"good": 0.6, "poor": 0.5}


def right(n: int, wrong: int) -> Predictions:
    labels = np.array(["a", "b"] * (n // 2), dtype=object)
    labels[:wrong] = np.where(labels[:wrong] == "a", "b", "a")
    return Predictions(labels)


def truth(n: int) -> np.ndarray:
    return np.array(["a", "b"] * (n // 2), dtype=object)


def test_docs() -> None:
    assert doctest.testmod(prior).failed == 0


def test_few_items_leave_the_choice_to_what_is_known() -> None:
    priors = {"good": 0.6, "poor": 0.5}
    few = choose({"poor": right(20, 2), "good": right(20, 3)}, truth(20), "accuracy", priors=priors)
    assert few.name == "good"
    assert "what is known of other data weighs more than 20 items" in few.decisions[0].why
    assert "poor 0.900" in few.decisions[0].why
    many = choose(
        {"poor": right(2000, 200), "good": right(2000, 300)}, truth(2000), "accuracy", priors=priors
    )
    assert many.name == "poor"
    assert "best of 2 candidates" in many.decisions[0].why


def test_the_turning_point_is_where_the_rule_says() -> None:
    # a lead of 5 points on n items against a known lead of 10: equal where 0.05 n = 0.1 * 80
    lead, known = 0.05, 0.1
    n = round(PRIOR_ITEMS * known / lead)
    for items, first in ((n - 1, True), (n + 1, False)):
        good, poor = weighed(np.array([0.80, 0.85]), [0.6, 0.5], items)
        assert bool(good > poor) is first


def test_groups_count_once() -> None:
    # 400 items in 10 groups are 10 observations
    both = {"poor": right(400, 40), "good": right(400, 60)}
    groups = np.repeat(np.arange(10), 40)
    priors = {"good": 0.6, "poor": 0.5}
    assert choose(both, truth(400), "accuracy", priors=priors).name == "poor"
    assert choose(both, truth(400), "accuracy", priors=priors, groups=groups).name == "good"


def test_errors_are_weighed_the_right_way_round() -> None:
    numbers = np.arange(20.0)
    both = {"poor": Predictions(numbers + 1.00), "good": Predictions(numbers + 1.01)}
    assert choose(both, numbers, "rmse").name == "poor"
    assert choose(both, numbers, "rmse", priors={"good": 0.6, "poor": 0.5}).name == "good"
    assert choose(both, numbers, "rmse", priors={"good": 0.5, "poor": 0.6}).name == "poor"


def test_a_source_nobody_has_measured_is_expected_to_be_as_good_as_the_mean() -> None:
    near, own = Entry("knn", "good"), Entry("knn", "mine")
    found = priors_of([near, own, POOR], {"good": 0.6, "poor": 0.5, "mine": None})
    assert found == pytest.approx({near: 0.6, own: 0.55, POOR: 0.5 + HEADS["probe"]})
    assert priors_of([own], {}) == {own: 0.0}
    close, probe = Entry("contrastive", "good"), Entry("probe", "good")
    for modality, lead in (("text", 0.02), ("image", 0.0)):  # measured on texts alone
        found = priors_of([close, probe], {"good": 0.6}, modality)
        assert found[close] - found[probe] == pytest.approx(lead)


def board_of(outcomes: tuple[Outcome, ...], n: int, folds: Folds) -> Board:
    labels = truth(n)
    task = Task(
        "text",
        "classification",
        items=[""] * n,
        labels=labels,
        ids=tuple(map(str, range(n))),
        groups=np.arange(n),
        classes=("a", "b"),
    )
    return Board(outcomes, task, folds, "accuracy", 0)


def test_where_nothing_is_held_out_the_better_known_source_is_taken() -> None:
    plan = Plan((POOR, Entry("knn", "good"), GOOD), True, (), known=KNOWN)
    ready = tuple(Outcome(entry, None, 0.0) for entry in plan.transfers)
    assert board_of(ready, 4, []).pick(plan).best == GOOD
    # one that there was no time for cannot be taken
    late = (Outcome(POOR, None, 0.0), Outcome(GOOD, None, 0.0, dropped="no time is left"))
    assert board_of(late, 4, []).pick(plan).best == POOR
    assert board_of((), 4, []).pick(plan).best == plan.default


def test_the_board_weighs_few_items() -> None:
    n = 20
    folds = [(np.setdiff1d(np.arange(n), part), part) for part in np.split(np.arange(n), 5)]
    scratch = Outcome(Entry("scratch"), right(n, 8), 0.0)
    raced = (scratch, Outcome(POOR, right(n, 2), 0.0), Outcome(GOOD, right(n, 3), 0.0))
    plan = Plan((POOR, GOOD), True, (), known=KNOWN)
    assert board_of(raced, n, folds).pick(plan).best == GOOD
    assert board_of(raced, n, folds).pick(Plan((POOR, GOOD), True, ())).best == POOR
