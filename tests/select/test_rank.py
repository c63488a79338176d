"""Ranking sources on features: the rule, its intervals, and what is too close to call."""

from __future__ import annotations

import doctest
import sys

import numpy as np
import pytest
from sklearn.metrics import f1_score

from headstart.core.errors import DataError, OptionError
from headstart.core.types import Task
from headstart.data import split
from headstart.evaluate import Predictions, gain, score
from headstart.select import Contender, rank, sample
from headstart.select.averaged import Judge, Several
from headstart.select.prior import PRIOR_ITEMS, weighed


def made(n=80, classes=2, seed=0):
    """Labels, folds, and a function that makes features with so much of the labels in them."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % classes
    labels = np.array([f"c{code}" for code in codes], dtype=object)
    centres = rng.normal(size=(classes, 8))

    def features(signal, seed=1):
        noise = np.random.default_rng(seed).normal(size=(n, 8))
        return (signal * centres[codes] + noise).astype(np.float32)

    return labels, folds_of(labels, classes), features


def folds_of(labels, classes=2, kind="classification"):
    names = tuple(sorted({str(label) for label in labels})) if classes else ()
    n = len(labels)
    task = Task("text", kind, [""] * n, labels, ("",) * n, np.arange(n), classes=names)
    return split(task, n_splits=4, seed=0)


def ranked(contenders, labels, folds, **more):
    options = {"metric": "accuracy", "modality": "text"} | more
    return rank(contenders, labels, folds, **options)


def names(found):
    return [row.name for row in found.rows]


@pytest.mark.parametrize("name", ["rank", "sample"])
def test_the_examples_print_what_they_say(name):
    found = doctest.testmod(sys.modules[f"headstart.select.{name}"])
    assert found.attempted >= 2
    assert found.failed == 0


def test_noise_ranks_last_and_signal_is_surely_ahead_of_it():
    labels, folds, features = made()
    found = ranked(
        [
            Contender("noise", features(0), prior=0.6),
            Contender("weak", features(0.4), prior=0.6),
            Contender("strong", features(2), prior=0.6),
        ],
        labels,
        folds,
    )
    assert names(found) == ["strong", "weak", "noise"]
    noise = found.rows[-1]
    assert noise.lead.low > 0.2
    assert noise.lead.baseline == "noise"
    assert not noise.tied
    assert found.rows[0].lead is None
    assert found.guess <= 0.5
    assert noise.measured.low < 0.5 < found.rows[0].measured.low
    for key in ("logme", "h_score", "gbc"):
        assert found.rows[0].transferability[key] > noise.transferability[key]


def test_two_identical_sources_are_too_close_to_call_and_the_prior_decides():
    labels, folds, features = made(40)
    same = features(1)
    for better in ("b", "a"):
        both = [Contender(one, same, prior=0.6 + 0.1 * (one == better)) for one in ("a", "b")]
        found = ranked(both, labels, folds)
        other = "ab".replace(better, "")
        assert names(found) == [better, other]
        assert found.tied == (other,)
        assert found.rows[1].lead.estimate == 0
        assert found.rows[0].measured == found.rows[1].measured
        assert found.rows[0].score > found.rows[0].measured.estimate > found.rows[1].score


def test_what_is_equal_in_all_is_told_apart_by_size_then_by_name():
    labels, folds, features = made(24)
    same = features(1)
    sizes = {"c": 5.0, "b": 9.0, "a": 9.0}
    found = ranked([Contender(one, same, 0.5, mb) for one, mb in sizes.items()], labels, folds)
    assert names(found) == ["c", "a", "b"]
    assert found.tied == ("a", "b")


def test_the_same_seed_gives_the_same_ranking_whatever_the_order_of_the_sources():
    labels, folds, features = made()
    field = [Contender(f"s{i}", features(0.5, seed=i), 0.5) for i in range(3)]
    first, again = ranked(field, labels, folds), ranked(field, labels, folds)
    assert first == again
    turned = ranked(field[::-1], labels, folds)
    assert turned.rows == first.rows


def test_the_score_is_the_stated_rule():
    labels, folds, features = made(60)
    priors = [0.7, 0.5, None]
    field = [Contender(f"s{i}", features(1, seed=i), prior) for i, prior in enumerate(priors)]
    rows = {row.name: row for row in ranked(field, labels, folds).rows}
    mean = np.mean([row.measured.estimate for row in rows.values()])
    for name, above in (("s0", 0.1), ("s1", -0.1), ("s2", 0.0)):
        one = rows[name]
        assert one.measured.estimate == pytest.approx(np.mean(list(one.parts.values())))
        by_hand = (60 * one.measured.estimate + PRIOR_ITEMS * (mean + above)) / (60 + PRIOR_ITEMS)
        assert one.score == pytest.approx(by_hand)


def test_few_labels_leave_the_order_to_the_prior_and_many_to_the_data():
    measured, priors = np.array([0.70, 0.74]), [0.65, 0.60]
    few, many = weighed(measured, priors, 12), weighed(measured, priors, 4000)
    assert few[0] > few[1]
    assert many[0] < many[1]
    assert weighed(measured, [None, None], 80).tolist() == pytest.approx([0.71, 0.73])
    assert len(weighed(np.zeros(0), [], 10)) == 0


def test_the_parts_are_what_cross_validation_by_hand_says():
    from headstart import strategies

    labels, folds, features = made(40)
    x = features(0.7)
    found = ranked([Contender("s", x)], labels, folds).rows[0]
    for way in ("probe", "knn"):
        right = []
        for train, test in folds:
            model = strategies.make(way, kind="classification", modality="text", random_state=0)
            right += (model.fit(x[train], labels[train]).predict(x[test]) == labels[test]).tolist()
        assert found.parts[way] == pytest.approx(np.mean(right))


# --- the mean of several ways ----------------------------------------------------------------

TRUTH = np.array(["a", "b", "b", "c"] * 15, dtype=object)


def guesses(wrong, seed):
    rng = np.random.default_rng(seed)
    labels = TRUTH.copy()
    at = rng.choice(len(TRUTH), wrong, replace=False)
    labels[at] = rng.choice(["a", "b", "c"], wrong)
    return Predictions(labels)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
@pytest.mark.parametrize("groups", [None, np.arange(60) // 3])
def test_a_single_way_is_measured_as_any_other_prediction(metric, groups):
    judge = Judge(metric, TRUTH, groups, 0)
    one, other = guesses(20, 0), guesses(30, 1)
    options = {"groups": groups, "n_boot": 1000, "out_of_fold": True}
    assert judge.score(Several([one])) == score(metric, TRUTH, one, **options)
    lead = judge.lead(Several([one]), Several([other]), "x")
    assert lead == gain(metric, TRUTH, one, other, name="x", **options)


def test_what_was_measured_is_not_mistaken_for_what_came_after_it():
    judge = Judge("accuracy", TRUTH, None, 0)
    for wrong in range(5, 45, 2):  # each forgotten by the caller before the next is made
        one = guesses(wrong, wrong)
        by_hand = score("accuracy", TRUTH, one, n_boot=1000, out_of_fold=True)
        assert judge.score(Several([one])) == by_hand


def test_the_mean_of_two_ways_has_its_own_interval():
    judge = Judge("macro_f1", TRUTH, None, 0)
    one, other = guesses(20, 0), guesses(30, 1)
    both = judge.score(Several([one, other]))
    by_hand = [f1_score(TRUTH, way.labels, average="macro") for way in (one, other)]
    assert both.estimate == pytest.approx(np.mean(by_hand))
    alone = [judge.score(Several([way])) for way in (one, other)]
    widths = [found.high - found.low for found in alone]
    assert both.high - both.low < np.mean(widths)  # their errors are not the same ones
    assert judge.lead(Several([one, other]), Several([other, one]), "x").estimate == 0


# --- kinds of task, groups, heads ------------------------------------------------------------


def test_numbers_are_ranked_by_their_error():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5)).astype(np.float32)
    y = x @ [2.0, -1, 0, 0, 1] + rng.normal(size=60) * 0.1
    field = [Contender("noise", rng.normal(size=(60, 5)).astype(np.float32), 0.9)]
    field.append(Contender("signal", x, 0.3))
    found = ranked(field, y, folds_of(y, 0, "regression"), metric="rmse", kind="regression")
    assert names(found) == ["signal", "noise"]
    assert found.rows[0].measured.estimate < found.rows[1].measured.estimate
    assert found.rows[1].lead.low > 0
    assert set(found.rows[0].transferability) == {"logme"}
    # less is better: the better published source is moved down, by a share of the mean error
    mean = np.mean([row.measured.estimate for row in found.rows])
    noise = found.rows[1]
    by_hand = (60 * noise.measured.estimate + 80 * (mean - 0.3 * mean)) / 140
    assert noise.score == pytest.approx(by_hand)


def test_a_source_with_a_classifier_of_its_own_has_leep_and_nce():
    labels, folds, features = made(40)
    knows = np.where((labels == "c0")[:, None], [0.9, 0.1], [0.2, 0.8])
    found = ranked(
        [Contender("head", features(1), probabilities=knows), Contender("none", features(1, 2))],
        labels,
        folds,
    )
    rows = {row.name: row.transferability for row in found.rows}
    assert rows["head"]["nce"] == 0
    assert -0.3 < rows["head"]["leep"] < 0
    assert "leep" not in rows["none"]


def test_groups_widen_the_interval():
    labels, folds, features = made(80)
    x = features(0.5)
    alone = ranked([Contender("s", x)], labels, folds).rows[0].measured
    grouped = ranked([Contender("s", x)], labels, folds, groups=np.arange(80) // 16).rows[0]
    assert grouped.measured.estimate == alone.estimate
    assert grouped.measured.high - grouped.measured.low > alone.high - alone.low


def test_a_source_that_fails_is_named_and_the_others_are_ranked():
    labels, folds, features = made(24)
    broken = features(1)
    broken[3, 2] = np.nan
    found = ranked([Contender("nan", broken), Contender("fine", features(1))], labels, folds)
    assert names(found) == ["fine"]
    assert found.failed == {"nan": "its features are not finite numbers"}
    empty = ranked([Contender("nan", broken)], labels, folds)
    assert empty.rows == ()
    assert empty.tied == ()


def test_what_no_strategy_can_be_fitted_on_fails_with_its_reason():
    labels, folds, features = made(24)
    none = np.zeros((24, 0), np.float32)
    found = ranked([Contender("none", none), Contender("fine", features(1))], labels, folds)
    assert names(found) == ["fine"]
    assert "0 feature" in found.failed["none"]


def test_what_cannot_be_ranked_is_refused():
    labels, folds, features = made(24)
    x = features(1)
    with pytest.raises(OptionError, match="no source to rank"):
        ranked([], labels, folds)
    with pytest.raises(OptionError, match="the same name"):
        ranked([Contender("a", x), Contender("a", x)], labels, folds)
    with pytest.raises(DataError, match="nothing was held out"):
        ranked([Contender("a", x)], labels, [])
    with pytest.raises(DataError, match="a row for each label"):
        ranked([Contender("a", x[:5])], labels, folds)


# --- the sample ------------------------------------------------------------------------------


def test_a_few_items_are_all_taken_and_nothing_is_said():
    index, said = sample(np.array(["a", "b"] * 200), "classification")
    assert index.tolist() == list(range(400))
    assert said == ()


def test_classes_keep_their_shares_and_rare_ones_their_items():
    labels = np.array(["a"] * 3000 + ["b"] * 997 + ["c"] * 3)
    index, said = sample(labels, "classification", seed=1)
    assert len(index) == 400
    kept = dict(zip(*np.unique(labels[index], return_counts=True), strict=True))
    assert kept["c"] == 3
    assert kept["a"] / kept["b"] == pytest.approx(3, rel=0.05)
    assert len(said) == 1
    assert str(said[0]).startswith("400 of 4,000 items measure the sources")
    assert sorted(index.tolist()) == index.tolist()
    assert sample(labels, "classification", seed=1)[0].tolist() == index.tolist()
    assert sample(labels, "classification", seed=2)[0].tolist() != index.tolist()


def test_many_classes_get_four_items_each_and_too_many_are_drawn():
    index, said = sample(np.repeat([f"c{i}" for i in range(150)], 10), "classification")
    assert len(index) == 600
    labels = np.repeat([f"c{i}" for i in range(1000)], 5)
    index, said = sample(labels, "classification")
    kept, counts = np.unique(labels[index], return_counts=True)
    assert len(kept) == 200
    assert set(counts) == {4}
    assert "of 200 of 1,000 classes" in said[0].what


def test_numbers_are_drawn_at_random():
    index, said = sample(np.linspace(0, 1, 5000), "regression")
    assert len(set(index.tolist())) == 400
    assert said


def test_a_sample_of_nothing_is_refused():
    with pytest.raises(OptionError, match="at least 1 item"):
        sample(np.array(["a", "b"]), "classification", items=0)
    assert len(sample(np.array(["a", "b"] * 20), "classification", items=10)[0]) == 10
