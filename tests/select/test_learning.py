"""The learning curve: what is learnt from at each point, what it costs, when it is left out."""

from __future__ import annotations

import numpy as np
import pytest
from tests import samples

from headstart import data
from headstart.core.errors import OptionError
from headstart.core.types import Task
from headstart.evaluate import label_multiplier
from headstart.select import learning
from headstart.select.learning import (
    Judges,
    Ladder,
    ladders,
    learning_curve,
    stand_in,
    subsample,
)
from headstart.select.plan import MAJORITY, SCRATCH
from headstart.select.race import Entry, Field, fit_one, predict_one

PROBE = Entry("probe", "src")


class Counter:
    def __init__(self):
        self.stages = []

    def say(self, text):
        pass

    def progress(self, stage, done, total, unit="items", detail=""):
        self.stages.append((stage, done, total))


@pytest.fixture
def quick(monkeypatch):
    """Scratch guesses, which takes no time."""

    def fit(entry, field, index):
        return fit_one(MAJORITY if entry == SCRATCH else entry, field, index)

    monkeypatch.setattr("headstart.select.learning.fit_one", fit)


def task_of(labels, groups=None, grouped=False, kind="classification", items=None):
    n = len(labels)
    return Task(
        modality="text",
        kind=kind,
        items=items or [f"item {i}" for i in range(n)],
        labels=np.asarray(labels, float if kind == "regression" else object),
        ids=tuple(f"row {i}" for i in range(n)),
        groups=np.arange(n) if groups is None else np.asarray(groups),
        classes=() if kind == "regression" else tuple(sorted(set(labels))),
        grouped=grouped,
    )


def topics(n_each=24, seed=0):
    """Texts whose words say nothing twice, beside features that know the topic."""
    task = data.read(samples.topics(n_each), label="topic")
    rng = np.random.default_rng(seed)
    codes = np.unique(task.labels.astype(str), return_inverse=True)[1]
    features = rng.normal(size=(task.n, 8)) + 2.0 * np.eye(8)[codes]
    inputs = {None: task.items, "src": features.astype(np.float32)}
    field = Field(inputs, task.labels, task.classes, task.kind, task.modality, 0, task.items)
    return task, field


def split_off(task, field, n_train):
    chosen = np.sort(np.random.default_rng(0).permutation(task.n))
    mixed = np.random.default_rng(0).permutation(chosen)
    mine, rest = np.sort(mixed[:n_train]), np.sort(mixed[n_train:])
    train, judge = task.take(mine), task.take(rest)
    features = field.inputs["src"]
    inside = {None: train.items, "src": features[mine]}
    own = Field(inside, train.labels, task.classes, task.kind, task.modality, 0, train.items)
    return train, own, Judges(part=judge, inputs={None: judge.items, "src": features[rest]})


# ------------------------------------------------------------------------------ subsamples


def test_subsamples_are_nested_stratified_and_fixed_by_their_generator():
    task = task_of(["a"] * 30 + ["b"] * 30 + ["c"] * 30)
    drawn = [subsample(task, np.arange(90), n, np.random.default_rng(4)) for n in (1, 2, 4, 8, 30)]
    for n, fewer, more in zip((1, 2, 4, 8), drawn, drawn[1:], strict=False):
        assert set(fewer) < set(more)
        assert np.unique(task.labels[fewer], return_counts=True)[1].tolist() == [n] * 3
    assert drawn[-1].tolist() == list(range(90))
    again = subsample(task, np.arange(90), 4, np.random.default_rng(4))
    assert again.tolist() == drawn[2].tolist()
    assert subsample(task, np.arange(90), 4, np.random.default_rng(5)).tolist() != again.tolist()


def test_class_shares_stay_and_no_class_is_lost():
    task = task_of(["often"] * 80 + ["seldom"] * 18 + ["once"] * 2)
    counts = [
        dict(zip(*np.unique(task.labels[found].astype(str), return_counts=True), strict=True))
        for n in (1, 4, 16)
        for found in [subsample(task, np.arange(100), n, np.random.default_rng(0))]
    ]
    assert counts[0] == {"often": 2, "once": 1, "seldom": 1}
    assert counts[1] == {"often": 10, "once": 1, "seldom": 2}
    assert counts[2] == {"often": 38, "once": 1, "seldom": 9}


def test_duplicates_come_last_unless_the_user_named_the_groups():
    groups = [0] * 8 + [1, 2] + list(range(3, 13))
    labels = ["a"] * 10 + ["b"] * 10
    own = [
        subsample(task_of(labels, groups), np.arange(20), 3, np.random.default_rng(s))
        for s in range(20)
    ]
    assert all(len(set(np.array(groups)[found[found < 10]])) == 3 for found in own)
    named = [
        subsample(task_of(labels, groups, grouped=True), np.arange(20), 3, np.random.default_rng(s))
        for s in range(20)
    ]
    assert any(len(set(np.array(groups)[found[found < 10]])) == 1 for found in named)


def test_a_subsample_stays_on_its_side():
    task = task_of(["a", "b"] * 20)
    side = np.arange(1, 40, 3)
    assert set(subsample(task, side, 3, np.random.default_rng(0))) <= set(side)


def test_numbers_are_drawn_in_all():
    task = task_of(np.linspace(0, 1, 50), kind="regression")
    small, large = (subsample(task, np.arange(50), n, np.random.default_rng(1)) for n in (8, 16))
    assert (len(small), len(large)) == (8, 16)
    assert set(small) < set(large)


# --------------------------------------------------------------------------------- ladders


def test_ladders_are_thorough_first_and_end_below_the_whole():
    task = task_of(["a", "b"] * 20)
    thorough, short, coarse = ladders(task, 10)
    assert thorough == Ladder(((1, 5), (2, 4), (4, 3), (8, 2)), 10)
    assert short == Ladder(((1, 2), (2, 2), (4, 2)), 10)
    assert coarse == Ladder(((1, 2), (4, 2)), 10)
    assert str(thorough) == "1, 2, 4, 8, 10"
    assert ladders(task, 1) == ()
    numbers = task_of(np.arange(50.0), kind="regression")
    assert [n for n, _ in ladders(numbers, 50)[0].steps] == [8, 16, 32]


def test_a_costly_strategy_has_a_stand_in():
    assert stand_in(Entry("knn", "minilm")) == (Entry("knn", "minilm"), ())
    assert stand_in(SCRATCH) == (SCRATCH, ())
    for name in ("lp-ft", "blend"):
        entry, decisions = stand_in(Entry(name, "minilm"))
        assert entry == Entry("probe", "minilm")
        assert name in decisions[0].why


# ---------------------------------------------------------------------------------- curves


def test_a_judging_part_judges_every_point():
    task, field = topics()
    train, own, judges = split_off(task, field, 36)
    reporter = Counter()
    learned = learning_curve(PROBE, own, train, judges, metric="accuracy", reporter=reporter)
    curve = learned.curve
    assert curve.n.tolist() == [1, 2, 4, 8, 12]
    assert [len(point.repeats) for point in curve.points] == [5, 4, 3, 2, 1]
    assert curve.transfer == "src + probe"
    assert curve.points[-1].transfer.estimate > 0.8 > curve.points[-1].scratch.estimate
    assert label_multiplier(curve).estimate > 2
    assert reporter.stages[-1] == ("learning curve", 15, 15)
    assert "1, 2, 4, 8, 12 labels a class" in learned.decisions[0].what


def test_the_last_point_is_what_all_labels_give(quick):
    task, field = topics()
    train, own, judges = split_off(task, field, 36)
    learned = learning_curve(PROBE, own, train, judges, metric="accuracy")
    model = fit_one(PROBE, own)
    alone = predict_one(model, judges.inputs["src"], task.classes)
    share = float((alone.labels == judges.part.labels).mean())
    assert learned.curve.points[-1].transfer.estimate == pytest.approx(share)
    known = {"src + probe": alone.take(np.zeros(len(alone), int))}
    other = learning_curve(PROBE, own, train, judges, metric="accuracy", full=known)
    constant = float((known["src + probe"].labels == judges.part.labels).mean())
    assert other.curve.points[-1].transfer.estimate == pytest.approx(constant)


def test_without_a_judging_part_each_item_is_judged_out_of_fold(quick):
    task, field = topics(10)
    folds = data.split(task, n_splits=3, seed=0)
    learned = learning_curve(PROBE, field, task, Judges(folds), metric="accuracy", seed=2)
    assert learned.curve.n[-1] == pytest.approx(np.mean([len(side) for side, _ in folds]) / 3)
    same = learning_curve(PROBE, field, task, Judges(folds), metric="accuracy", seed=2)
    assert np.array_equal(same.curve.draws, learned.curve.draws)
    other = learning_curve(PROBE, field, task, Judges(folds), metric="accuracy", seed=3)
    assert not np.array_equal(other.curve.draws, learned.curve.draws)


def test_numbers_have_a_curve(quick):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3)).astype(np.float32)
    values = features[:, 0] * 2 + rng.normal(size=60) * 0.1
    task = task_of(values, kind="regression")
    field = Field({None: task.items, "src": features}, values, (), "regression", "text", 0)
    folds = data.split(task, n_splits=3, seed=0)
    learned = learning_curve(PROBE, field, task, Judges(folds), metric="rmse", wanted=True)
    assert learned.curve.unit == "labels"
    assert learned.curve.n.tolist() == [8, 16, 32, 40]
    assert learned.curve.points[-1].gain.estimate > 0


def test_what_typically_takes_long_decides_only_where_the_user_did_not(quick, monkeypatch):
    task, field = topics(10)
    judges = Judges(data.split(task, n_splits=3, seed=0))

    def learned(wanted, seconds, **given):
        monkeypatch.setitem(learning.TYPICAL, "text", (seconds, 0.0))
        return learning_curve(PROBE, field, task, judges, metric="accuracy", wanted=wanted, **given)

    def repeats(learned):
        return [len(point.repeats) for point in learned.curve.points]

    assert repeats(learned(None, 0.1)) == [5, 4, 3, 1]
    assert repeats(learned(None, 1.5)) == [2, 2, 2, 1]
    assert repeats(learned(None, 4.0)) == [2, 2, 1]
    slow = learned(None, 1000.0)
    assert slow.curve is None
    assert "--curve measures it" in str(slow.decisions[0])
    assert learned(None, 0.1, left=-1.0).curve is None
    assert len(learned(True, 1000.0, left=-1.0).curve.points) == 4
    assert (learned(False, 0.0).curve, learned(False, 0.0).decisions) == (None, ())


def test_too_few_labels_have_no_curve():
    task, field = topics(6)
    train, own, judges = split_off(task, field, 3)
    learned = learning_curve(PROBE, own, train, judges, metric="accuracy", wanted=True)
    assert learned.curve is None
    assert "single point" in learned.decisions[0].why


def test_without_anything_to_judge_there_is_no_curve():
    task, field = topics(2)
    assert learning_curve(PROBE, field, task, Judges(), metric="accuracy").curve is None
    with pytest.raises(OptionError, match="items that judge it"):
        learning_curve(PROBE, field, task, Judges(), metric="accuracy", wanted=True)


def test_a_model_that_cannot_be_trained_guesses_and_this_is_said():
    task, field = topics(8)
    bad = field.inputs["src"].copy()
    bad[:] = np.nan
    broken = Field({None: task.items, "src": bad}, *_rest(field))
    judges = Judges(data.split(task, n_splits=2, seed=0))
    learned = learning_curve(PROBE, broken, task, judges, metric="accuracy")
    assert any("src + probe guesses" in one.what for one in learned.decisions)
    assert learned.curve.points[-1].transfer.estimate < 0.5


def _rest(field):
    return field.labels, field.classes, field.kind, field.modality, field.seed, field.items


def test_who_hears_is_told_every_run_of_the_curve(quick):
    class Hearing(Counter):
        def event(self, name, **facts):
            self.stages.append((name, facts))

    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3)).astype(np.float32)
    values = features[:, 0] * 2 + rng.normal(size=60) * 0.1
    task = task_of(values, kind="regression")
    field = Field({None: task.items, "src": features}, values, (), "regression", "text", 0)
    judges = Judges(data.split(task, n_splits=3, seed=0))
    hearing = Hearing()
    learned = learning_curve(PROBE, field, task, judges, metric="rmse", reporter=hearing)
    told = [facts for name, facts, *_ in hearing.stages if name == "curve"]
    assert {one["n"] for one in told} == set(learned.curve.n.tolist())
    for point in learned.curve.points:
        mine = [one["transfer"] for one in told if one["n"] == point.n]
        assert np.mean(mine) == pytest.approx(point.transfer.estimate)
    assert told[-1]["repeat"] == -1
    assert told[-1]["unit"] == "labels"
