"""The contest: who is dropped, who is tuned and when, what time does, what is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.select.told import Told

from headstart.core.errors import DataError, OutOfTimeError
from headstart.core.types import AnyArray, IntArray
from headstart.evaluate import Predictions
from headstart.select import (
    BASELINES,
    MAJORITY,
    SCRATCH,
    Board,
    Clock,
    Contest,
    Entry,
    Field,
    Journal,
    Plan,
    Rules,
    contest,
    corrected,
)
from headstart.select.race import valid_part

N = 200
TRUTH = np.array(["a", "b"], dtype=object)[np.arange(N) % 2]
FOLDS = [(np.setdiff1d(np.arange(N), test), test) for test in np.split(np.arange(N), 5)]
PROBE, KNN, MEANS = (Entry(name, "one") for name in ("probe", "knn", "prototypes"))
TUNED = Entry("lp-ft", "one")


def right(share: float, seed: int = 0) -> Predictions:
    """Predictions that are right for a share of the items, spread over the folds."""
    wrong = np.random.default_rng(seed).permutation(N)[: round((1 - share) * N)]
    labels = TRUTH.copy()
    labels[wrong] = np.where(TRUTH[wrong] == "a", "b", "a")
    sure = np.where(labels == "a", 0.9, 0.1)
    return Predictions(labels, np.stack([sure, 1 - sure], axis=1), ("a", "b"))


class Fake:
    """Stands in for training: what each candidate predicts, and how often it was fitted."""

    def __init__(self, table: dict[Entry, Predictions]) -> None:
        self.table, self.fits = table, dict.fromkeys(table, 0)
        self.during: Callable[[Entry, Field], None] = lambda entry, field: None

    def held_out(self, entry: Entry, field: Field, train: IntArray, test: IntArray) -> Predictions:
        assert not set(train.tolist()) & set(test.tolist())
        self.fits[entry] = self.fits.get(entry, 0) + 1
        self.during(entry, field)
        return self.table[entry].take(test)

    def fit_one(self, entry: Entry, field: Field, index: Any = None, *, valid: Any = None) -> Any:
        self.fits[entry] = self.fits.get(entry, 0) + 1
        self.during(entry, field)
        return entry, index, valid

    def predict_one(self, model: Any, inputs: Any, classes: Any) -> Predictions:
        return self.table[model[0]].take(np.array(inputs))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    found = Fake(
        {
            MAJORITY: right(0.5),
            SCRATCH: right(0.7, 1),
            PROBE: right(0.9, 2),
            KNN: right(0.55, 3),
            MEANS: right(0.88, 4),
            TUNED: right(0.97, 5),
        }
    )
    for name in ("held_out", "fit_one", "predict_one"):
        monkeypatch.setattr(contest, name, getattr(found, name))
    monkeypatch.setattr(contest, "seconds_to_fit", lambda entry, field: 10.0)
    return found


class Ticking:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def contest_of(
    *, judged: bool = False, named: bool = False, budget: float = 180.0, **given: Any
) -> tuple[Contest, Told, Ticking]:
    told, ticking = Told(), Ticking()
    inputs: dict[Any, AnyArray] = {None: np.zeros((N, 1)), "one": np.zeros((N, 1))}
    field = Field(
        inputs, TRUTH, ("a", "b"), "classification", "text", 0, list(range(N)), {}, np.arange(N)
    )
    made = Contest(
        field,
        given.pop("folds", FOLDS),
        Rules("accuracy", judged, named),
        clock=Clock(budget, ticking),
        reporter=told,
        **given,
    )
    return made, told, ticking


def plan_of(*entries: Entry, guarded: bool = True) -> Plan:
    return Plan(entries, guarded, ())


def test_who_is_surely_behind_is_dropped_and_costs_no_more(fake: Fake) -> None:
    made, told, _ = contest_of()
    made.run((*BASELINES, PROBE, KNN, MEANS))
    assert fake.fits[KNN] < 5
    assert made.outcomes[KNN].dropped.startswith(f"dropped after {fake.fits[KNN]} of 5 folds: -0.")
    assert "against one + probe" in made.outcomes[KNN].dropped
    assert len(made.outcomes[KNN].rows) == 40 * fake.fits[KNN]
    assert all(fake.fits[entry] == 5 for entry in (MAJORITY, SCRATCH, PROBE, MEANS))
    assert made.outcomes[MEANS].dropped == ""
    assert made.leader() == PROBE
    assert any(line.startswith("one + knn: dropped after") for line in told.said)
    assert any("one + probe: accuracy 0.900 on 200 held-out items" in line for line in told.said)


def test_later_candidates_meet_the_best_of_the_earlier_ones(fake: Fake) -> None:
    made, _, _ = contest_of()
    made.run((*BASELINES, PROBE))
    made.run((KNN,))
    assert fake.fits[KNN] < 5
    assert made.outcomes[KNN].dropped


def test_a_few_items_drop_nobody(fake: Fake) -> None:
    few = [(np.arange(100, N), part) for part in np.split(np.arange(15), 5)]
    made, _, _ = contest_of(folds=few)
    made.run((*BASELINES, PROBE, KNN))
    assert not made.outcomes[KNN].dropped


def test_what_is_dear_sees_fewer_folds_where_a_part_judges(fake: Fake) -> None:
    made, _, _ = contest_of(judged=True)
    made.run((*BASELINES, PROBE))
    assert fake.fits[SCRATCH] == 2
    assert made.outcomes[SCRATCH].rows.tolist() == list(range(80))
    assert fake.fits[PROBE] == 5


def test_where_a_part_judges_a_source_is_tuned_once_and_compared_where_it_validates(
    fake: Fake,
) -> None:
    fake.table[PROBE], fake.table[TUNED] = right(0.8, 2), right(1.0)
    made, told, _ = contest_of(judged=True)
    made.run((*BASELINES, PROBE))
    made.tune(plan_of(PROBE, TUNED))
    assert fake.fits[TUNED] == 1
    rows = made.outcomes[TUNED].rows
    assert set(rows.tolist()) <= set(FOLDS[0][1].tolist())
    assert 10 <= len(rows) <= 20
    _, learnt, valid = made.final(TUNED)
    assert not set(rows.tolist()) & set(learnt.tolist())
    assert len(learnt) + len(rows) == N
    assert set(learnt[valid].tolist()) < set(FOLDS[0][1].tolist())
    assert fake.fits[TUNED] == 1
    suits = "lp-ft tunes one: it suits so many labels (--strategy probe leaves it out)"
    assert suits in told.said
    assert "one + lp-ft takes about 10 s in all" in told.said
    assert made.leader() == TUNED


def test_of_few_labels_the_fold_that_validates_also_compares(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "valid_part", lambda field, index, strategy: index[:35])
    made, _, _ = contest_of(judged=True)
    made.run((*BASELINES, PROBE))
    made.tune(plan_of(PROBE, TUNED))
    _, learnt, valid = made.final(TUNED)
    assert len(learnt) == N
    assert learnt[valid].tolist() == made.outcomes[TUNED].rows.tolist() == FOLDS[0][1].tolist()


def test_where_none_judges_a_source_is_tuned_for_each_fold(fake: Fake) -> None:
    made, told, _ = contest_of()
    made.run((*BASELINES, PROBE))
    made.tune(plan_of(PROBE, TUNED))
    assert fake.fits[TUNED] == 5
    assert made.outcomes[TUNED].rows is None
    made.final(TUNED)
    assert fake.fits[TUNED] == 6
    assert "one + lp-ft takes about 60 s in all" in told.said


@pytest.mark.parametrize(
    ("judged", "folds", "budget"), [(True, 2, 40.0), (True, 1, 25.0), (False, 5, 70.0)]
)
def test_contrastive_tuning_spares_no_few_labels(
    fake: Fake, judged: bool, folds: int, budget: float
) -> None:
    close, few = Entry("contrastive", "one"), np.arange(60)
    parts = [(np.setdiff1d(few, test), test) for test in np.split(few, 5)]
    fake.table[close] = right(0.97, 5)
    made, _, _ = contest_of(judged=judged, folds=parts, budget=budget)
    made.field = made.field.taken(few, made.field.inputs)
    made.run((*BASELINES, PROBE))
    made.tune(plan_of(PROBE, close))
    assert fake.fits[close] == folds
    rows = made.measured(close).rows
    assert rows.tolist() == list(range(12 * folds))
    assert fit_validates("contrastive", 60) == 0
    assert fit_validates("contrastive", N) > 0
    assert fit_validates("lp-ft", 60) > 0


def fit_validates(strategy: str, n: int) -> int:
    field = contest_of()[0].field.taken(np.arange(n), {})
    return len(valid_part(field, np.arange(n), strategy))


def test_tuning_stops_after_a_fold_that_shows_it_cannot_win(fake: Fake) -> None:
    fake.table[TUNED] = right(0.5, 9)
    made, _, _ = contest_of()
    made.run((*BASELINES, PROBE))
    made.tune(plan_of(PROBE, TUNED))
    assert fake.fits[TUNED] < 5
    assert made.outcomes[TUNED].dropped
    assert made.leader() == PROBE


@pytest.mark.parametrize("named", [False, True])
def test_what_would_take_too_long_is_left_out_unless_it_is_named(fake: Fake, named: bool) -> None:
    made, told, _ = contest_of(budget=30, named=named)
    made.run((*BASELINES, PROBE))
    made.tune(plan_of(PROBE, TUNED))
    assert fake.fits[TUNED] == (5 if named else 0)
    if not named:
        why = "one + lp-ft left out: it would take about 60 s more, and there are 30 s"
        assert f"{why} (--budget 2m, or --strategy lp-ft)" in told.said
        assert made.outcomes[TUNED].dropped.startswith("it would take")


def test_tuning_that_turns_out_slower_is_stopped_at_the_budget(fake: Fake) -> None:
    made, _, ticking = contest_of()
    made.run((*BASELINES, PROBE))

    def slow(entry: Entry, field: Field) -> None:
        ticking.time += 100
        field.tuning["reporter"].progress("tuning", 1, 10, "steps")

    fake.during = slow
    made.tune(plan_of(PROBE, TUNED))
    assert ticking.time == 200
    assert "not finished: the budget of 3 min is used up" in made.outcomes[TUNED].dropped


def test_one_fit_is_stopped_within_itself(fake: Fake) -> None:
    made, _, ticking = contest_of(judged=True)
    made.run((*BASELINES, PROBE))

    def slow(entry: Entry, field: Field) -> None:
        for step in range(10):
            ticking.time += 50
            field.tuning["reporter"].progress("tuning", step, 10, "steps")

    fake.during = slow
    made.tune(plan_of(PROBE, TUNED))
    assert ticking.time == 200
    assert made.outcomes[TUNED].dropped == "not finished: the budget of 3 min is used up"
    assert made.leader() == PROBE


def test_a_candidate_that_fails_says_why_and_the_others_go_on(fake: Fake) -> None:
    def fail(entry: Entry, field: Field) -> None:
        if entry in (PROBE, TUNED, SCRATCH):
            raise DataError("no good")

    fake.during = fail
    made, told, _ = contest_of(judged=True)
    made.run((*BASELINES, PROBE, MEANS))
    made.tune(plan_of(PROBE, MEANS, TUNED))
    assert made.outcomes[PROBE].failure == made.outcomes[TUNED].failure == "DataError: no good"
    assert "one + probe: DataError: no good" in told.said
    assert made.outcomes[SCRATCH].predictions is not None  # it guesses
    assert made.leader() == MEANS


@pytest.mark.parametrize("ahead", [PROBE, SCRATCH])
def test_a_source_is_not_tuned_where_little_is_left_to_win(fake: Fake, ahead: Entry) -> None:
    fake.table[ahead] = right(1.0)
    made, told, _ = contest_of()
    made.run((*BASELINES, PROBE))
    made.tune(plan_of(PROBE, TUNED))
    assert fake.fits[TUNED] == 0
    why = f"{ahead.name} has accuracy 1.000 out of fold: little to win"
    assert any(why in line for line in told.said)


def test_only_the_better_source_is_tuned(fake: Fake) -> None:
    other = Entry("probe", "two")
    fake.table[other] = right(0.95, 7)
    fake.table[Entry("lp-ft", "two")] = right(0.97, 8)
    made, told, _ = contest_of(judged=True)
    made.run((*BASELINES, PROBE))
    made.run((other,))
    made.tune(plan_of(PROBE, other, TUNED, Entry("lp-ft", "two")))
    assert fake.fits[TUNED] == 0
    assert fake.fits[Entry("lp-ft", "two")] == 1
    assert any("two is the better source with frozen features" in line for line in told.said)


def test_what_a_part_of_a_source_has_shown_stands_for_the_whole(fake: Fake) -> None:
    part, other = Entry("probe", "one@stage6.1:3"), Entry("lp-ft", "two")
    fake.table[part] = right(0.95, 7)
    fake.table[other] = right(0.97, 8)
    made, _, _ = contest_of(judged=True)
    made.run((*BASELINES, PROBE))
    made.run((part,))
    made.tune(plan_of(PROBE, part, TUNED, other))
    assert fake.fits[TUNED] == 1
    assert other not in fake.fits


def test_nothing_is_raced_where_nothing_can_be_held_out(fake: Fake) -> None:
    made, _, _ = contest_of(folds=[])
    made.run((*BASELINES, PROBE))
    made.tune(plan_of(PROBE, TUNED))
    assert made.leader() is None
    assert all(outcome.predictions is None for outcome in made.outcomes.values())


def test_an_interrupted_race_goes_on_from_what_was_predicted(
    fake: Fake, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.select.journal.WORTH_KEEPING", 0.0)

    class Killed(BaseException):
        pass

    def kill(entry: Entry, field: Field) -> None:
        if sum(fake.fits.values()) == 8:
            raise Killed

    fake.during = kill
    facts = ["data", 1]
    with pytest.raises(Killed):
        contest_of(journal=Journal(tmp_path, facts))[0].run((*BASELINES, PROBE))
    fake.during = lambda entry, field: None
    fake.fits.clear()
    made, _, _ = contest_of(journal=Journal(tmp_path, facts, resume=True))
    made.run((*BASELINES, PROBE))
    assert sum(fake.fits.values()) == 15 - 7
    plain, _, _ = contest_of()
    plain.run((*BASELINES, PROBE))
    for entry in (MAJORITY, SCRATCH, PROBE):
        one, other = made.outcomes[entry].predictions, plain.outcomes[entry].predictions
        assert one.labels.tolist() == other.labels.tolist()
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
    fake.fits.clear()
    for journal in (Journal(tmp_path, ["other"], resume=True), Journal(tmp_path, facts)):
        again, _, _ = contest_of(journal=journal)
        again.run((PROBE,))
    assert fake.fits[PROBE] == 10


def test_numbers_and_damage_in_a_journal(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.select.journal.WORTH_KEEPING", 0.0)
    numbers = Predictions(np.array([0.1, 1 / 3, -2.0]))
    train, test = np.arange(5), np.arange(5, 8)
    told = Told()
    journal = Journal(tmp_path, ["x"], resume=True, reporter=told)
    kept, seconds = journal.predictions(PROBE, train, test, lambda: (numbers, 1.5))
    again, told_seconds = journal.predictions(PROBE, train, test, lambda: pytest.fail("kept"))
    np.testing.assert_array_equal(again.labels, kept.labels)
    assert (seconds, told_seconds) == (1.5, 1.5)
    (file,) = tmp_path.glob("*.safetensors")
    raw = bytearray(file.read_bytes())
    raw[-3] ^= 1
    file.write_bytes(raw)
    fresh = Predictions(np.array([7.0, 8.0, 9.0]))
    found, _ = journal.predictions(PROBE, train, test, lambda: (fresh, 1.0))
    np.testing.assert_array_equal(found.labels, fresh.labels)
    assert any("damaged" in line for line in told.said)


def test_other_weights_are_another_race(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.select.journal.WORTH_KEEPING", 0.0)
    train, test = np.arange(5), np.arange(5, 8)
    made = []

    def make() -> tuple[Predictions, float]:
        made.append(None)
        return Predictions(np.arange(3.0)), 1.0

    for weights in ("old", "old", "new"):
        journal = Journal(tmp_path, ["x"], identity=lambda name, w=weights: w, resume=True)
        journal.predictions(PROBE, train, test, make)
    assert len(made) == 2


def test_what_is_quickly_made_again_is_not_kept(tmp_path: Any) -> None:
    journal = Journal(tmp_path, ["x"])
    journal.predictions(PROBE, np.arange(2), np.arange(2), lambda: (right(0.5), 0.01))
    assert not list(tmp_path.iterdir())


def test_the_clock_counts_down_and_the_deadline_stops_at_the_next_step() -> None:
    ticking, told = Ticking(), Told()
    clock = Clock(60, ticking)
    late = contest.Deadline(told, clock, spare=10)
    ticking.time = 49
    late.progress("tuning", 1, 2)
    late.say("going on")
    assert (clock.passed, clock.left, told.said) == (49, 11, ["going on"])
    ticking.time = 51
    with pytest.raises(OutOfTimeError, match="budget of 60 s is used up"):
        late.progress("tuning", 2, 2)


def races(n_races: int, skill: float) -> list[bool]:
    """Simulate contests of 12 candidates with elimination; say which were called positive."""
    names = ("probe", "knn", "prototypes")
    entries = [Entry(name, f"s{i}") for i in range(4) for name in names]
    called = []
    for number in range(n_races):
        rng = np.random.default_rng(number)

        def guess(share: float, rng: Any = rng) -> Predictions:
            hit = rng.random(N) < share
            return Predictions(np.where(hit, TRUTH, np.where(TRUTH == "a", "b", "a")))

        table = {entry: guess(skill) for entry in entries} | {
            SCRATCH: guess(0.7),
            MAJORITY: guess(0.5),
        }
        fake = Fake(table)
        made, _, _ = contest_of()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(contest, "held_out", fake.held_out)
            made.run((*BASELINES, *entries))
        runners = {
            entry.name: made.measured(entry).on(np.arange(N))
            for entry, outcome in made.outcomes.items()
            if entry not in BASELINES and not outcome.dropped
        }
        scratch = made.measured(SCRATCH).on(np.arange(N))
        found = corrected({"scratch": scratch} | runners, TRUTH, "accuracy", n_boot=200)
        called.append(found.gain.verdict == "positive")
    return called


def test_dropping_candidates_early_calls_no_luck_a_gain() -> None:
    # 60 races: at a true rate of 5 %, more than 7 of them are seen in less than 3 of 100 runs
    assert sum(races(60, 0.7)) <= 7


def test_real_gains_are_still_seen() -> None:
    assert sum(races(10, 0.88)) >= 9


def test_a_board_weighs_what_was_measured_on_fewer_items(fake: Fake) -> None:
    from headstart.core.types import Task

    fake.table |= {PROBE: right(0.8, 2), MEANS: right(0.78, 4), TUNED: right(1.0)}
    made, _, _ = contest_of(judged=True)
    made.run((*BASELINES, PROBE, KNN, MEANS))
    made.tune(plan_of(PROBE, TUNED))
    task = Task("text", "classification", ["x"] * N, TRUTH, ("",) * N, np.arange(N), ("a", "b"))
    board = Board(tuple(made.outcomes.values()), task, FOLDS, "accuracy", 0)
    pick = board.pick(plan_of(PROBE, KNN, MEANS, TUNED))
    assert pick.best == TUNED
    assert pick.ship
    said = " | ".join(map(str, pick.decisions))
    assert "one + lp-ft: it is better: +0." in said
    assert "items that neither learnt from" in said
    by_name = {one.name: one for one in board.candidates(TUNED)}
    assert by_name["one + lp-ft"].status == "chosen"
    assert by_name["one + lp-ft"].score.n == len(made.outcomes[TUNED].rows)
    assert by_name["one + knn"].status == "lost"
    assert by_name["one + knn"].reason.startswith("dropped after")
    fake.table[TUNED] = right(0.6, 5)
    made, _, _ = contest_of(judged=True)
    made.run((*BASELINES, PROBE, MEANS))
    made.tune(plan_of(PROBE, TUNED))
    board = Board(tuple(made.outcomes.values()), task, FOLDS, "accuracy", 0)
    pick = board.pick(plan_of(PROBE, MEANS, TUNED))
    assert pick.best in (PROBE, MEANS)
    assert any("not one + lp-ft: it is no better" in str(each) for each in pick.decisions)


@pytest.mark.parametrize("n_folds", [1, 5])
def test_scratch_and_the_best_are_blended(fake: Fake, n_folds: int) -> None:
    made, _, _ = contest_of(folds=FOLDS[:n_folds])
    made.run((*BASELINES, PROBE))
    made.blend(plan_of(PROBE))
    (blend,) = (entry for entry in made.outcomes if entry.strategy == "blend")
    assert (blend.source, blend.member) == ("one", "probe")
    assert len(made.measured(blend).rows) == 40 * n_folds


def test_a_few_items_teach_no_weights(fake: Fake) -> None:
    few = [(np.arange(100, N), part) for part in np.split(np.arange(30), 5)]
    made, told, _ = contest_of(folds=few)
    made.run((*BASELINES, PROBE))
    made.blend(plan_of(PROBE))
    (outcome,) = (one for entry, one in made.outcomes.items() if entry.strategy == "blend")
    assert outcome.predictions is None
    assert any("blend left out: 30 items that both predicted, below 40" in s for s in told.said)


def test_no_time_to_find_out_leaves_tuning_out_at_once(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(entry: Entry, field: Field) -> float:
        raise AssertionError(entry)

    monkeypatch.setattr(contest, "seconds_to_fit", never)
    made, told, ticking = contest_of(budget=60)
    made.run((*BASELINES, PROBE))
    ticking.time = 70
    made.tune(plan_of(PROBE, TUNED))
    why = "one + lp-ft left out: it takes long, and no time is left"
    assert any(line.startswith(why) for line in told.said)


def test_a_blend_that_is_named_is_handed_back(fake: Fake) -> None:
    from headstart.core.types import Task

    fake.table[SCRATCH] = right(0.99, 1)
    made, _, _ = contest_of(named=True)
    named = Plan((PROBE,), False, (), blend=True)
    made.run((*BASELINES, PROBE))
    made.blend(named)
    task = Task("text", "classification", ["x"] * N, TRUTH, ("",) * N, np.arange(N), ("a", "b"))
    pick = Board(tuple(made.outcomes.values()), task, FOLDS, "accuracy", 0).pick(named)
    assert pick.best == Entry("blend", "one", "probe")
    said = [each.what for each in pick.decisions]
    assert "the guard would hand back scratch" in said
    assert "ship scratch" not in said


def test_nothing_is_blended_with_what_the_user_named(fake: Fake) -> None:
    for given in ({"named": True}, {}):
        made, _, _ = contest_of(**given)
        made.run((*BASELINES, PROBE))
        made.blend(plan_of(PROBE, guarded=False))
        assert all(entry.strategy != "blend" for entry in made.outcomes)


@pytest.mark.parametrize(("scratch", "probe", "shipped"), [(0.7, 0.9, True), (0.95, 0.6, False)])
def test_a_blend_is_taken_where_it_beats_what_would_be_handed_back(
    fake: Fake, scratch: float, probe: float, shipped: bool
) -> None:
    from headstart.core.types import Task

    fake.table[SCRATCH], fake.table[PROBE] = right(scratch, 1), right(probe, 2)
    made, _, _ = contest_of()
    made.run((*BASELINES, PROBE))
    made.blend(plan_of(PROBE))
    task = Task("text", "classification", ["x"] * N, TRUTH, ("",) * N, np.arange(N), ("a", "b"))
    blend = Entry("blend", "one", "probe")
    ours = made.outcomes[blend].predictions
    for accuracy, taken in ((1.0, True), (None, None), (0.4, False)):
        if accuracy is not None:
            object.__setattr__(made.outcomes[blend], "predictions", right(accuracy, 6))
        else:
            object.__setattr__(made.outcomes[blend], "predictions", ours)
        board = Board(tuple(made.outcomes.values()), task, FOLDS, "accuracy", 0)
        pick = board.pick(plan_of(PROBE))
        if taken is not None:
            assert pick.best == (blend if taken else PROBE)
            assert pick.ship == (taken or shipped)
        judged = board.judged(plan_of(PROBE), pick.best)
        assert set(judged.scores) == {"majority", "scratch", pick.best.name}


def test_a_board_weighs_what_is_known_where_little_was_measured(fake: Fake) -> None:
    from headstart.core.types import Task

    close = Entry("contrastive", "one")
    few = np.arange(40)
    parts = [(np.setdiff1d(few, test), test) for test in np.split(few, 5)]
    fake.table |= {PROBE: right(0.9, 2), close: right(0.9, 2)}
    for wrong, best in ((0, close), (1, close), (6, PROBE)):
        fake.table[close] = right(0.9, 2)
        fake.table[close].labels[:wrong] = "c"
        made, _, _ = contest_of(judged=True, folds=parts)
        made.field = made.field.taken(few, made.field.inputs)
        made.run((*BASELINES, PROBE))
        made.tune(plan_of(PROBE, close))
        items = ["x"] * len(few)
        task = Task("text", "classification", items, TRUTH[few], ("",) * len(few), few, ("a", "b"))
        board = Board(tuple(made.outcomes.values()), task, parts, "accuracy", 0)
        pick = board.pick(plan_of(PROBE, close))
        assert pick.best == best
        known = "known of other data to be better: " in " ".join(map(str, pick.decisions))
        assert known == (best == close)


def test_what_was_measured_better_but_is_known_to_be_worse_is_told_so(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.core.types import Task
    from headstart.select import prior

    monkeypatch.setitem(prior.ON_TEXTS, "contrastive", 0.0)
    lesser, few = Entry("contrastive", "one"), np.arange(40)
    parts = [(np.setdiff1d(few, test), test) for test in np.split(few, 5)]
    ours, its = right(1.0), right(1.0)
    its.labels[0] = "b" if TRUTH[0] == "a" else "a"
    fake.table |= {lesser: ours, PROBE: its}
    made, _, _ = contest_of(judged=True, named=True, folds=parts)
    made.field = made.field.taken(few, made.field.inputs)
    made.run((*BASELINES, PROBE))
    made.tune(plan_of(PROBE, lesser))
    task = Task("text", "classification", ["x"] * 40, TRUTH[few], ("",) * 40, few, ("a", "b"))
    pick = Board(tuple(made.outcomes.values()), task, parts, "accuracy", 0).pick(
        plan_of(PROBE, lesser)
    )
    assert pick.best == PROBE
    said = " ".join(map(str, pick.decisions))
    assert "not one + contrastive: known of other data to be worse: +0.0" in said


def test_what_is_fitted_again_says_its_lines_once(fake: Fake) -> None:
    def speaks(entry: Entry, field: Field) -> None:
        if entry == TUNED:
            fits = fake.fits[entry]
            field.tuning["reporter"].say(f"tuning takes {200 + fits} MB of 1,000.5")
            field.tuning["reporter"].say("early stopping" if fits < 3 else "no stopping")

    fake.during = speaks
    made, told, _ = contest_of()
    made.run((*BASELINES, PROBE))
    made.tune(plan_of(PROBE, TUNED))
    made.final(TUNED)
    assert fake.fits[TUNED] == 6
    assert told.said.count("tuning takes 201 MB of 1,000.5") == 1
    assert not any(line.startswith("tuning takes 202") for line in told.said)
    assert told.said.count("early stopping") == told.said.count("no stopping") == 1


class Hearing(Told):
    """A reporter that takes facts."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[tuple[str, dict[str, Any]]] = []

    def event(self, name: str, **facts: Any) -> None:
        self.facts.append((name, facts))


def test_who_hears_is_told_fold_by_fold_and_nothing_changes(fake: Fake) -> None:
    silent, _, _ = contest_of()
    silent.run((*BASELINES, PROBE, KNN))
    made, _, _ = contest_of()
    made.reporter = hearing = Hearing()
    made.run((*BASELINES, PROBE, KNN))
    made.leave_out([MEANS], "means", "no time", "--budget")
    assert list(made.outcomes)[:4] == list(silent.outcomes)
    for entry, outcome in silent.outcomes.items():
        again = made.outcomes[entry]
        assert again.dropped == outcome.dropped
        assert again.predictions is not None
        assert outcome.predictions is not None
        assert np.array_equal(again.predictions.labels, outcome.predictions.labels)
    assert hearing.facts[0][0] == "racing"
    assert hearing.facts[0][1]["candidates"][-1] == KNN.name
    folds = [facts for name, facts in hearing.facts if name == "fold"]
    assert [one["done"] for one in folds if one["candidate"] == PROBE.name] == [1, 2, 3, 4, 5]
    ended = {facts["candidate"]: facts for name, facts in hearing.facts if name == "outcome"}
    assert ended[KNN.name]["state"] == "dropped"
    assert ended[MEANS.name]["state"] == "left out"
    assert ended[PROBE.name]["score"] == pytest.approx(
        made.judge.score(made.measured(PROBE)), abs=1e-12
    )
    last = [one for one in folds if one["candidate"] == PROBE.name][-1]
    assert last["score"] == ended[PROBE.name]["score"]
