"""From out-of-fold predictions to what is promised; and what cannot be promised is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import headstart as hs
from headstart import select
from headstart.core.errors import OptionError
from headstart.core.types import Task
from headstart.data import split
from headstart.evaluate import joined
from headstart.select.abstain import FEWEST_IN_SCOPE, confidence_of
from headstart.select.race import Entry, Field, Outcome, fit_one, held_out, predict_one

NAMES = np.array(["ant", "bee", "cat", "dog"], dtype=object)
ENTRY = Entry("prototypes", "made-up")


def drawn(n: int, spread: float, seed: int = 0, k: int = 4):
    """Return features and labels of heaps that overlap, and items like none of them."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 1, (k + 2, 16))
    codes = np.arange(n) % k
    X = centres[codes] + rng.normal(0, spread, (n, 16))
    foreign = centres[k + np.arange(100) % 2] + rng.normal(0, spread, (100, 16))
    return X.astype(np.float32), NAMES[codes], foreign.astype(np.float32)


def task_of(labels, groups=None) -> Task:
    n = len(labels)
    return Task(
        "text",
        "classification",
        items=[""] * n,
        labels=labels,
        ids=("",) * n,
        groups=np.arange(n) if groups is None else groups,
        classes=tuple(sorted(set(labels))),
    )


def decide(X, labels, max_risk, *, entry=ENTRY, judge=None, groups=None):
    """Return what is decided, the field and the fitted model, as ``fit`` does it."""
    task = task_of(labels, groups)
    field = Field({"made-up": X, None: X}, labels, task.classes, task.kind, task.modality, 0)
    folds = split(task, n_splits=5, seed=0)
    pieces = [held_out(ENTRY, field, *fold) for fold in folds]
    board = select.Board((Outcome(entry, joined(pieces), 0.0),), task, folds, "accuracy", 0)
    model = fit_one(ENTRY, field)
    options = {}
    if judge is not None:
        found = predict_one(model, judge[0], task.classes)
        options = {
            "judge": task_of(judge[1]),
            "found": {entry.name: found},
            "inputs": {"made-up": judge[0]},
        }
    decided = select.answering(entry, board, field, folds, max_risk=max_risk, **options)
    return decided, model, task


def test_the_risk_holds_on_items_that_judge():
    kept = []
    for seed in range(12):
        X, labels, _ = drawn(600, 1.1, seed)
        fresh = drawn(2000, 1.1, 1000 + seed)
        decided, _, _ = decide(X, labels, 0.05, judge=fresh[:2])
        told = decided.abstention
        assert told.rule.certified
        assert told.rule.coverage.estimate < 1
        kept.append(told.risk.estimate <= 0.05)
    assert np.mean(kept) >= 0.9


def test_which_of_the_items_that_judge_are_left_unanswered_is_kept():
    X, labels, _ = drawn(300, 1.1)
    decided, _, _ = decide(X, labels, 0.05)
    answered = 1.0 - decided.silent.mean()
    assert 0 < answered < 1
    assert answered == pytest.approx(decided.abstention.rule.coverage.estimate)
    fresh = drawn(400, 1.1, 7)
    judged, _, _ = decide(X, labels, 0.05, judge=fresh[:2])
    assert len(judged.silent) == 400
    assert 1.0 - judged.silent.mean() == pytest.approx(judged.abstention.coverage.estimate)
    assert decide(X, labels, None)[0].silent is None


def test_foreign_items_are_not_answered():
    X, labels, foreign = drawn(600, 0.5)
    decided, model, task = decide(X, labels, 0.05)
    sure = confidence_of(decided.answers, predict_one(model, foreign, task.classes))
    silent = decided.answers.abstains(sure, foreign)
    assert silent.mean() > 0.8
    assert decided.abstention.to_json()["scope"]["auroc"] > 0.8


def test_without_a_risk_everything_is_answered():
    X, labels, _ = drawn(200, 1.0)
    decided, _, _ = decide(X, labels, None)
    assert decided.abstention is None
    assert decided.answers is None or decided.answers.always
    assert set(decided.facts()) == {"calibration"}


def test_too_few_items_say_how_many_it_takes():
    X, labels, _ = drawn(40, 0.5)
    decided, _, _ = decide(X, labels, 0.02)
    told = decided.abstention
    assert not told.rule.certified
    assert told.rule.needed > 110
    said = " ".join(map(str, decided.decisions))
    assert "cannot be certified" in said
    assert f"at least about {told.rule.needed:,} are needed" in said
    assert "not certified" in told.promise
    assert told.rule.coverage.estimate > 0.5


def test_where_nothing_can_be_kept_everything_abstains():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 16)).astype(np.float32)
    decided, model, task = decide(X, NAMES[rng.integers(0, 4, 300)], 0.01)
    told = decided.abstention
    if told.rule.threshold == np.inf:
        assert "abstains on everything" in told.promise
        assert told.to_json()["threshold"] == 1.0
        sure = confidence_of(decided.answers, predict_one(model, X, task.classes))
        assert decided.answers.abstains(sure, X).all()
        assert "cannot be kept" in " ".join(map(str, decided.decisions))
    else:
        assert told.rule.coverage.estimate < 0.05


def test_groups_make_the_promise_smaller():
    X, labels, _ = drawn(150, 1.4)
    four = np.repeat(np.arange(150), 4)
    X4, labels4 = X[four], labels[four]
    alone, _, _ = decide(X4, labels4, 0.05)
    grouped, _, _ = decide(X4, labels4, 0.05, groups=four)
    assert grouped.abstention.rule.coverage.estimate < alone.abstention.rule.coverage.estimate


def test_permuting_the_items_changes_nothing():
    X, labels, _ = drawn(400, 1.0)
    task, entry = task_of(labels), ENTRY
    folds = split(task, n_splits=5, seed=0)
    order = np.random.default_rng(3).permutation(400)
    back = np.argsort(order)
    found = []
    for rows, parts in (
        (np.arange(400), folds),
        (order, [(back[train], back[test]) for train, test in folds]),
    ):
        own = task_of(labels[rows])
        field = Field({"made-up": X[rows]}, labels[rows], own.classes, own.kind, own.modality, 0)
        pieces = [held_out(entry, field, *fold) for fold in parts]
        board = select.Board((Outcome(entry, joined(pieces), 0.0),), own, parts, "accuracy", 0)
        found.append(select.answering(entry, board, field, parts, max_risk=0.05).abstention.rule)
    assert found[0].threshold == pytest.approx(found[1].threshold, abs=1e-6)
    assert found[0].certified == found[1].certified


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (Entry("scratch"), "uses no source"),
        (Entry("finetune", "made-up"), "changes its source"),
    ],
)
def test_without_frozen_features_the_confidence_alone_decides(entry, why):
    X, labels, _ = drawn(300, 0.8)
    decided, _, _ = decide(X, labels, 0.05, entry=entry)
    assert decided.abstention.scope is None
    assert decided.abstention.to_json()["scope"] is None
    assert why in " ".join(map(str, decided.decisions))


def test_two_classes_take_the_usual_score():
    X, labels, _ = drawn(300, 0.8, k=2)
    decided, _, _ = decide(X, labels, 0.05)
    assert decided.abstention.scope.methods == ("neighbours",)
    assert "two classes" in " ".join(map(str, decided.decisions))


def test_a_handful_of_items_says_nothing_of_scope():
    X, labels, _ = drawn(FEWEST_IN_SCOPE - 4, 0.5)
    decided, _, _ = decide(X, labels, 0.1)
    assert decided.abstention.scope is None
    assert "too few to know what is in scope" in " ".join(map(str, decided.decisions))


@pytest.mark.parametrize("risk", [0, 1, 1.5, -0.2])
def test_a_share_outside_0_and_1_is_refused(risk):
    frame = pd.DataFrame({"x": np.arange(12), "label": ["a", "b"] * 6})
    with pytest.raises(OptionError, match="must lie between 0 and 1") as error:
        hs.fit(frame, label="label", strategy="majority", max_risk=risk)
    assert error.value.where == "--max-risk"


def test_numbers_are_refused():
    frame = pd.DataFrame({"x": np.arange(40) % 7, "y": np.arange(40) * 1.37})
    with pytest.raises(OptionError, match="more or less near"):
        hs.fit(frame, label="y", strategy="majority", max_risk=0.1)


def test_nothing_held_out_is_refused_where_a_risk_is_asked():
    task = task_of(NAMES)
    field = Field({"made-up": np.eye(4)}, NAMES, task.classes, task.kind, task.modality, 0)
    board = select.Board((), task, [], "accuracy", 0)
    decided = select.answering(ENTRY, board, field, [])
    assert decided.answers is None
    assert "not calibrated" in str(decided.decisions[0])
    with pytest.raises(OptionError, match="too few labels to hold any out") as error:
        select.answering(ENTRY, board, field, [], max_risk=0.05)
    assert "at least 45 items" in str(error.value)


def test_regression_has_nothing_to_calibrate():
    task = task_of(NAMES)
    field = Field({None: []}, np.arange(4.0), (), "regression", "table", 0)
    decided = select.answering(Entry("scratch"), select.Board((), task, [], "rmse", 0), field, [])
    assert decided.answers is None
    assert decided.calibration() is None
    assert decided.facts() == {}


def test_a_fitted_model_abstains_saves_and_loads(tmp_path):
    rng = np.random.default_rng(0)
    n = 400
    kind = np.array(["low", "high"], dtype=object)[np.arange(n) % 2]
    x = np.where(kind == "high", 1.0, -1.0) + rng.normal(0, 0.9, n)
    frame = pd.DataFrame({"x": x, "noise": rng.normal(size=n), "kind": kind})
    result = hs.fit(frame, label="kind", strategy="scratch", max_risk=0.05, curve=False)
    told = result.to_json()["abstention"]
    assert told["certified"] is True
    assert 0 < told["coverage"]["estimate"] < 1
    fresh = pd.DataFrame({"x": [3.0, -3.0, 0.05], "noise": [0.0, 0.0, 0.0]})
    silent = result.model.abstains(fresh)
    assert silent.tolist() == [False, False, True]
    loaded = hs.load(result.save(tmp_path / "m"))
    assert loaded.abstains(fresh).tolist() == silent.tolist()
    np.testing.assert_array_equal(loaded.predict_proba(fresh), result.predict_proba(fresh))
    assert loaded.predict_frame(fresh)["abstained"].tolist() == silent.tolist()
    assert loaded.info["extra"]["abstention"] == told
    measured = loaded.evaluate((frame.drop(columns="kind"), kind))
    assert measured["coverage"]["estimate"] < 1
    assert measured["risk_answered"]["estimate"] < 0.05 < 1 - measured["accuracy"]
    assert measured["promise"] == told["promise"]
