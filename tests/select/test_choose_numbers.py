"""Numbers in another domain: who takes part, and what labels of the target decide."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.evaluate import measure_shift
from headstart.select import choose_numbers, plan_domains, plan_numbers
from headstart.select.adapting_labels import compare_on_labels, sign_flips

SLOPES = np.array([2.0, -1.0, 0.5, 0.0])


def two(kind: str, seed: int, n: int = 150) -> tuple[Any, Any, Any, Any]:
    """Return source and target: alike, in other units, or with other slopes."""
    rng = np.random.default_rng(seed)
    X, T = rng.normal(size=(2, n, 4))
    y = X @ SLOPES + 0.5 * rng.normal(size=n)
    t = T @ (SLOPES + ([1.5, 0, 0, 0] if kind == "slopes" else 0.0)) + 0.5 * rng.normal(size=n)
    return X, y, T * [3, 0.5, 1, 2] + [1, 2, 0, -3] if kind == "units" else T, t


def some(t: Any, n: int) -> Any:
    found = np.full(len(t), None, dtype=object)
    found[:n] = t[:n]
    return found


def planned(n_labels: int, strategy: Any = None, **more: Any) -> Any:
    return plan_numbers(strategy, **{"n_labels": n_labels, "several": False, "alike": True, **more})


def test_who_takes_part_goes_by_labels_size_and_name() -> None:
    assert list(planned(0).candidates) == ["source-only"]
    raced = ["source-only", "target-only", "pooled", "biased-regularization", "tradaboost-r2"]
    assert list(planned(40).candidates) == [*raced, "linear-ot"]
    large = planned(40, cells=1_000_000)
    assert "tradaboost-r2" not in large.candidates
    assert "1,000,000 cells" in str(large.decisions[-1])
    assert "tradaboost-r2" in planned(40, "tradaboost-r2", cells=1_000_000).candidates
    assert planned(40, "linear-ot").wanted == "linear-ot"
    assert planned(40, ("linear-ot", "source-only")).guarded
    assert list(planned(40, "source-only").candidates) == ["source-only"]
    assert "taken together" in str(planned(0, several=True).decisions[-1])
    assert planned(9, "tradaboost-r2", seed=5).candidates["tradaboost-r2"].random_state == 5


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("mcc", OptionError, "mcc carries classes over"),
        ("linear-to", UnknownNameError, "linear-ot"),
        ("pooled", OptionError, "needs labels of some target items"),
    ],
)
def test_names_that_cannot_take_part_are_refused(name: str, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        planned(0, name)


def test_numbers_are_not_for_classes_and_need_a_column_in_common() -> None:
    with pytest.raises(OptionError, match="carries numbers over"):
        plan_domains("tradaboost-r2", n_labels=9, several=False, alike=True)
    with pytest.raises(DataError, match="no column in common"):
        planned(9, alike=False)


@pytest.mark.parametrize("kind", ["units", "slopes"])
def test_labels_of_the_target_decide_where_it_moved(kind: str) -> None:
    X, y, T, t = two(kind, 0)
    found = choose_numbers(planned(40), X, y, T, some(t, 40))
    assert found.name != "source-only"
    assert found.metric == "rmse"
    assert found.gain is not None
    assert found.gain.verdict == "positive"
    assert found.candidates[0].strategy == found.name  # least error first
    assert found.candidates[-1].strategy == "source-only"
    error = np.sqrt(np.mean((found.adapter.predict(T[40:]) - t[40:]) ** 2))
    assert error < 0.7
    assert found.score is not None
    assert found.score.low < error < found.score.high
    assert "sign-flip test" in found.why


def test_without_a_shift_labels_settle_nothing_and_it_is_said_how_many_would() -> None:
    adapted, told = 0, 0
    plan = planned(30, ("linear-ot", "biased-regularization", "source-only"))
    for seed in range(20):
        X, y, T, t = two("none", seed, 80)
        found = choose_numbers(plan, X, y, T, some(t, 30), seed=seed)
        adapted += found.name != "source-only"
        told += "would" in found.why
    assert adapted <= 2
    assert told >= 1


def test_without_labels_the_source_s_model_is_handed_back() -> None:
    X, y, T, t = two("units", 1)
    none = some(t, 0)
    shift = measure_shift(X, y, T, numbers=True)
    found = choose_numbers(planned(0), X, y, T, none, shift=shift)
    assert (found.name, found.gain, found.score) == ("source-only", None, None)
    assert "nothing can be proven" in found.why
    named = choose_numbers(planned(0, "linear-ot"), X, y, T, none)
    assert named.name == "linear-ot"
    assert named.why.startswith("the guard would say")
    few = choose_numbers(planned(9), X, y, T, some(t, 9))
    assert "9 labels of the target are too few" in few.why
    same = choose_numbers(planned(0), X, y, X, none, shift=measure_shift(X, y, X, numbers=True))
    assert "no test finds a shift" in same.why


def test_copies_and_rows_of_the_source_do_not_judge() -> None:
    X, y, T, t = two("units", 2)
    T[:40] = X[:40]
    found = choose_numbers(planned(40), X, y, T, some(t, 40))
    assert "neither copies nor in the source" in found.why
    assert found.gain is None


def test_one_number_for_all_of_the_target_and_constant_features_are_no_fault() -> None:
    X, y, T, t = two("units", 6)
    X[:, 3] = T[:, 3] = 1.0
    found = choose_numbers(planned(20), X, y, T, some(np.full(len(t), 7.0), 20))
    assert found.name == "target-only"
    assert np.allclose(found.adapter.predict(T), 7.0)


def test_a_source_that_teaches_nothing_is_told() -> None:
    X, y, T, t = two("none", 3)
    found = choose_numbers(planned(0), X, np.random.default_rng(0).permutation(y), T, some(t, 0))
    assert "no better than the mean" in found.decisions[0].why


def test_source_only_alone_is_scored_on_all_labels() -> None:
    X, y, T, t = two("none", 4)
    found = choose_numbers(planned(50, "source-only"), X, y, T, some(t, 50))
    assert found.score is not None
    error = np.sqrt(np.mean((found.adapter.predict(T[:50]) - t[:50]) ** 2))
    assert found.score.estimate == pytest.approx(error)
    few = choose_numbers(planned(5, "source-only"), X, y, T, some(t, 5))
    assert few.score is None


def test_sign_flips_are_those_of_all_signs() -> None:
    values = np.random.default_rng(1).normal(0.4, 1, 10)
    every = np.array(list(itertools.product([-1, 1], repeat=10))) @ values
    exact = float((np.abs(every) >= abs(values.sum()) - 1e-12).mean())
    assert sign_flips(values) == pytest.approx(exact, abs=0.02)
    assert sign_flips(values) == sign_flips(-values)


def test_numbers_are_compared_by_their_errors() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=60)
    said = {"source-only": truth + 1.0, "good": truth + 0.1 * rng.normal(size=60)}
    found = compare_on_labels(said, truth, metric="rmse")
    assert (found.best, found.settled) == ("good", "good")
    assert found.of("source-only").score.estimate == pytest.approx(1.0)
    assert found.over("good", "source-only").estimate == pytest.approx(0.9, abs=0.03)
    worse = compare_on_labels({"source-only": said["good"], "bad": truth + 1}, truth, metric="rmse")
    assert worse.settled == "source-only"
    assert worse.of("bad").gain.verdict == "negative"


def test_the_shift_of_rows_says_nothing_of_classes() -> None:
    X, y, T, t = two("units", 5)
    shift = measure_shift(X, y, T, some(t, 20), numbers=True)
    assert (shift.verdict, shift.label, shift.errors, shift.n_labels) == (
        "covariate",
        None,
        None,
        20,
    )
    assert "lass" not in " ".join(shift.sentences()).replace("classifier", "")
    assert "other numbers" in str(shift)
    assert measure_shift(X, y, X.copy(), numbers=True).verdict == "none"
