"""The guard of adaptation: no shift, nothing to transfer or no evidence, no adaptation."""

import numpy as np
import pytest
from scipy.stats import binomtest

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.evaluate.shift import measure_shift
from headstart.select.adapting import beats_constant, choose_adapter
from headstart.select.adapting_committee import committee
from headstart.select.adapting_labels import (
    compare_on_labels,
    cross_predictions,
    holm,
    mcnemar,
)
from headstart.strategies import adaptation
from headstart.strategies.adaptation import Pooled, SourceOnly, TargetOnly

CENTRES = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [5.0, 5.0]])


def candidates(*names):
    return {name: lambda n=name: adaptation.make(n) for name in ("source-only", *names)}


def rows(rng, n, k=3):
    y = rng.integers(0, k, n)
    return CENTRES[y] + rng.normal(size=(n, 2)), y


def turned(rng, n):
    """Unlike widths, turned and moved: linear optimal transport undoes it."""
    X, y = rows(rng, n)
    return (X @ np.array([[2.5, 0.8], [0.1, 0.5]])) + np.array([2.5, -2.5]), y


def right(name, X, y, target, real):
    return (adaptation.make(name).fit(X, y, target).predict(target) == real).mean()


def test_without_a_shift_it_adapts_in_at_most_one_of_twenty_runs():
    adapted = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X, y = rows(rng, 90)
        target, _ = rows(rng, 60)
        adapted += choose_adapter(candidates("linear-ot", "coral"), X, y, target, seed=seed).adapts
    assert adapted <= 1


def test_shuffled_source_labels_are_refused_always():
    for seed in range(15):
        rng = np.random.default_rng(seed)
        X, y = rows(rng, 150)
        target, _ = turned(rng, 100)
        found = choose_adapter(candidates("linear-ot"), X, rng.permutation(y), target, seed=seed)
        assert not found.adapts
        assert "constant guess" in str(found.decisions[0])
        assert found.scores == {}


def test_it_adapts_where_adapting_helps_by_twenty_points():
    gains, adapted = [], 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X, y = rows(rng, 200)
        target, real = turned(rng, 200)
        gains.append(
            right("linear-ot", X, y, target, real) - right("source-only", X, y, target, real)
        )
        found = choose_adapter(candidates("linear-ot"), X, y, target, seed=seed)
        adapted += found.name == "linear-ot"
        assert found.shift.verdict != "none"
        assert set(found.scores) == {"source-only", "linear-ot"}
    assert np.mean(gains) > 0.2
    assert adapted >= 7


def test_a_shift_that_was_measured_is_not_measured_again_and_the_margin_counts():
    rng = np.random.default_rng(0)
    X, y = rows(rng, 200)
    target, _ = turned(rng, 200)
    shift = measure_shift(X, y, target)
    found = choose_adapter(candidates("linear-ot"), X, y, target, shift=shift)
    assert found.shift is shift
    assert found.adapts
    strict = choose_adapter(candidates("linear-ot"), X, y, target, shift=shift, margin=0.99)
    assert not strict.adapts
    assert "must be above 0.99" in str(strict.decisions[0])
    alone = choose_adapter(candidates(), X, y, target, shift=shift)
    assert "no adapter to choose from" in str(alone.decisions[0])


class Collapsed(SourceOnly):
    def predict(self, X):
        return np.repeat(self.classes_[0], len(X))


class Late(adaptation.LinearOT):
    """Goes well in the circle and collapses in the end."""

    def fit(self, X, y, X_target=None, y_target=None, *, domain=None):
        self.all_ = len(X) == 200
        return super().fit(X, y, X_target, y_target, domain=domain)

    def predict(self, X):
        return np.repeat(self.classes_[0], len(X)) if self.all_ else super().predict(X)


class Failing(SourceOnly):
    def fit(self, *given, **more):
        raise ValueError("no way")


class Fragile(adaptation.LinearOT):
    """Cannot be fitted in the end."""

    def fit(self, X, y, X_target=None, y_target=None, *, domain=None):
        if len(X) == 200 and len(X_target) == 150:
            raise ValueError("too large")
        return super().fit(X, y, X_target, y_target, domain=domain)


def test_what_collapses_or_fails_is_not_chosen():
    rng = np.random.default_rng(0)
    X, y = rows(rng, 200)
    target, _ = turned(rng, 150)
    bad = {"source-only": SourceOnly, "all-one": Collapsed, "failing": Failing}
    found = choose_adapter(bad, X, y, target)
    assert "all of the target" in str(found.decisions[0])
    assert "no way" in str(found.decisions[0])
    late = choose_adapter({"source-only": SourceOnly, "late": Late}, X, y, target)
    assert str(late.decisions[0]).startswith("no adaptation: late collapsed: all of the target")
    fragile = choose_adapter({"source-only": SourceOnly, "fragile": Fragile}, X, y, target)
    assert "too large" in str(fragile.decisions[0])


def test_a_few_rows_are_within_chance():
    rng = np.random.default_rng(2)
    X, y = rows(rng, 30)
    target, _ = turned(rng, 30)
    found = choose_adapter(candidates("linear-ot"), X, y, target, margin=0.0)
    assert found.decisions
    one = choose_adapter(candidates("linear-ot"), X, np.zeros(30), target)
    assert "one class" in str(one.decisions[0])
    three = choose_adapter(candidates("linear-ot"), X, y, target[:3])
    assert not three.adapts


def partly(real, n, rng):
    given = [None] * len(real)
    for at in rng.choice(len(real), n, replace=False):
        given[at] = int(real[at])
    return given


def test_labels_of_the_target_decide():
    """All labels of the source changed places: only the target's own labels help."""
    rng = np.random.default_rng(0)
    X, y = rows(rng, 200)
    target, real = rows(rng, 200)
    given = partly((real + 1) % 3, 60, rng)
    found = choose_adapter(
        candidates("linear-ot"),
        X,
        y,
        target,
        given,
        with_labels={"target-only": TargetOnly, "pooled": Pooled},
    )
    assert found.name == "target-only"
    assert found.comparison.settled == "target-only"
    assert found.comparison.n == 60
    assert found.comparison.gain.low > 0.5
    assert found.comparison.labels_to_settle is None
    assert found.shift.verdict == "conditional suspected"
    worse = found.comparison.of("target-only").negative_transfer
    assert worse[0] < -0.5
    assert worse[1] <= worse[0] <= worse[2]


def test_labels_that_settle_nothing_leave_the_choice_and_say_how_many_would():
    rng = np.random.default_rng(1)
    X, y = rows(rng, 200)
    target, real = rows(rng, 5000)
    found = choose_adapter(candidates("linear-ot"), X, y, target, partly(real, 40, rng))
    assert found.name == "source-only"
    assert found.comparison.settled is None
    assert "40 target labels settle nothing" in str(found.decisions[-1])
    few = choose_adapter(candidates("linear-ot"), X, y, target, partly(real, 5, rng))
    assert few.comparison is None
    assert "5 labels" in str(few.decisions[-1])


def test_labels_against_an_adapter_take_it_back():
    """The circle is happy with it, the labels are not."""
    rng = np.random.default_rng(3)
    X, y = rows(rng, 200)
    target, _ = turned(rng, 200)
    plain = choose_adapter(candidates("linear-ot"), X, y, target)
    assert plain.adapts
    said = SourceOnly().fit(X, y, target).predict(target)
    given = [None] * 200
    for at in rng.choice(200, 40, replace=False):
        given[at] = int(said[at])
    found = choose_adapter(candidates("linear-ot"), X, y, target, given)
    assert found.name == "source-only"
    assert "worse than source-only" in str(found.decisions[-1])


def test_what_cannot_be_cross_fitted_settles_nothing():
    rng = np.random.default_rng(3)
    X, y = rows(rng, 100)
    target, real = rows(rng, 60)
    pool = {"source-only": SourceOnly, "failing": Failing}
    found = choose_adapter(pool, X, y, target, partly(real, 20, rng))
    assert "cannot be fitted" in str(found.decisions[-1])


def test_labels_are_hidden_from_what_they_judge():
    """Noise labels: a model that saw them would be right on more than chance."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 40)), rng.integers(0, 2, 80)
    target, noise = rng.normal(size=(80, 40)), rng.integers(0, 2, 80)
    said = cross_predictions(
        {"target-only": TargetOnly, "failing": Failing}, X, y, target, noise.tolist(), np.arange(80)
    )
    assert set(said) == {"target-only"}
    assert 0.3 < (said["target-only"] == noise.astype(str)).mean() < 0.7


def test_the_paired_test_is_mcnemars_and_holms():
    rng = np.random.default_rng(0)
    truth = np.array(["a", "b"] * 30)
    wrong = np.where(truth == "a", "b", "a")
    names = {"source-only": 0.6, "one": 0.95, "two": 0.7}
    said = {name: np.where(rng.random(60) < p, truth, wrong) for name, p in names.items()}
    found = compare_on_labels(said, truth)
    hits = {name: one == truth for name, one in said.items()}
    for name in ("one", "two"):
        won = (hits[name] & ~hits["source-only"]).sum()
        lost = (hits["source-only"] & ~hits[name]).sum()
        assert found.of(name).p == pytest.approx(binomtest(won, won + lost).pvalue)
    assert found.settled == found.best == "one"
    assert found.corrected.estimate <= found.of("one").score.estimate + 1e-9
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "c": 0.06, "b": 0.06}
    )
    assert mcnemar(truth == "a", truth == "a") == 1.0


def test_useless_candidates_are_seldom_preferred():
    """Five candidates as good as source-only: one of them is called better in at most 5 %."""
    wrong = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = np.array(["a", "b"] * 25)
        other = np.where(truth == "a", "b", "a")
        names = ["source-only", "1", "2", "3", "4", "5"]
        said = {name: np.where(rng.random(50) < 0.7, truth, other) for name in names}
        wrong += compare_on_labels(said, truth, seed=seed).settled not in (None, "source-only")
    assert wrong <= 5


def test_all_worse_is_settled_for_source_only():
    truth = np.array(["a", "b"] * 20)
    found = compare_on_labels({"source-only": truth, "bad": truth[::-1]}, truth)
    assert found.settled == found.best == "source-only"
    assert found.corrected.estimate == 1.0
    assert found.of("bad").negative_transfer[0] == pytest.approx(1.0)


def test_a_committee_agrees_where_errors_would_scatter():
    rng = np.random.default_rng(0)
    real = rng.integers(0, 5, 300)
    plain = np.where(rng.random(300) < 0.5, real, rng.integers(0, 5, 300))
    good = {name: np.where(rng.random(300) < 0.85, real, rng.integers(0, 5, 300)) for name in "abc"}
    found = committee(good, plain, np.arange(5))
    assert found.name in good
    assert found.agreement[found.name] > 0.6
    wild = {name: rng.integers(0, 5, 300) for name in "abc"}
    lost = committee(wild, plain, np.arange(5))
    assert lost.name is None
    assert "less than 50%" in lost.why
    idle = committee({"a": plain, "b": plain.copy()}, plain, np.arange(5))
    assert idle.name is None
    assert "source alone" in idle.why


def test_members_that_collapse_are_sent_out_even_if_they_agree():
    plain = np.arange(100) % 4
    one = np.zeros(100, int)
    found = committee({"a": one, "b": one.copy(), "c": plain}, plain, np.arange(4))
    assert found.name is None
    assert set(found.collapsed) == {"a", "b"}
    assert "only 1 of 3" in found.why


def test_held_out_rows_tell_whether_there_is_something_to_transfer():
    rng = np.random.default_rng(0)
    X, y = rows(rng, 150)
    assert beats_constant(SourceOnly, X, y).low > 0.4
    assert beats_constant(SourceOnly, X, rng.permutation(y)).low <= 0
    rare = np.zeros(40, int)
    rare[0] = 1
    assert beats_constant(SourceOnly, X[:40], rare).low <= 0


def test_the_choice_repeats():
    rng = np.random.default_rng(0)
    X, y = rows(rng, 150)
    target, real = turned(rng, 120)
    given = partly(real, 30, rng)
    first, second = (
        choose_adapter(candidates("linear-ot"), X, y, target, given, seed=4) for _ in range(2)
    )
    assert first.decisions == second.decisions
    assert first.comparison == second.comparison


def test_what_cannot_be_chosen_from_is_refused():
    rng = np.random.default_rng(0)
    X, y = rows(rng, 40)
    with pytest.raises(UnknownNameError, match="source-only"):
        choose_adapter({"linear-ot": SourceOnly}, X, y, X)
    with pytest.raises(OptionError, match="margin"):
        choose_adapter(candidates(), X, y, X, margin=1.5)
    truth = ["a", "b"] * 10
    with pytest.raises(UnknownNameError):
        compare_on_labels({"a": truth, "b": truth}, truth)
    with pytest.raises(DataError, match="nothing to compare"):
        compare_on_labels({"source-only": truth}, truth)
    with pytest.raises(DataError, match="too few labels"):
        compare_on_labels({"source-only": truth[:4], "b": truth[:4]}, truth[:4])
    with pytest.raises(DataError, match="one prediction"):
        compare_on_labels({"source-only": truth, "b": truth[:4]}, truth)
    with pytest.raises(UnknownNameError):
        compare_on_labels({"source-only": truth, "b": truth}, truth).of("c")
    with pytest.raises(DataError, match="same rows"):
        committee({"a": truth, "b": truth[:3]}, truth, truth)
