"""Scouting: which further sources are worth encoding all items with."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.select.told import Told

from headstart.core.errors import OutOfTimeError
from headstart.core.types import SILENT, IntArray, Reporter
from headstart.select import BASELINES, Clock, Contest, Entry, Field, Plan, Rules, scout

N = 300
CODES = np.arange(N) % 3
LABELS = np.array(["a", "b", "c"], dtype=object)[CODES]
FOLDS = [(np.setdiff1d(np.arange(N), test), test) for test in np.split(np.arange(N), 5)]


def features(skill: float, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return (skill * np.eye(3)[CODES] + rng.normal(size=(N, 3))).astype(np.float32)


FEATURES = {
    "first": features(2.0, 0),
    "better": features(6.0, 1),
    "alike": features(2.0, 0),
    "noise": features(0.0, 3),
    "same": features(6.0, 1),
    "equal": features(6.0, 1),
}


class Encoder:
    """Encodes from a table, counts, and takes its time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.now, self.seen = seconds, 0.0, dict[str, int]()

    def clock(self) -> float:
        return self.now

    def __call__(self, source: str, places: IntArray, reporter: Reporter) -> Any:
        self.seen[source] = self.seen.get(source, 0) + len(places)
        self.now += self.seconds * len(places)
        reporter.progress("encoding", len(places), len(places))
        return FEATURES[source][places]

    def timed(self, source: str, places: IntArray) -> None:
        self(source, places, SILENT)


def scouted(
    sources: tuple[str, ...], encoder: Encoder, **given: Any
) -> tuple[list[str], Contest, Told]:
    told = Told()
    inputs: dict[Any, Any] = {None: np.zeros((N, 1)), "first": FEATURES["first"]}
    inputs |= {name: FEATURES[name] for name in given.pop("ready", ())}
    field = Field(inputs, LABELS, ("a", "b", "c"), "classification", "text", 0)
    made = Contest(
        field,
        given.pop("folds", FOLDS),
        Rules("accuracy", named=given.pop("named", False)),
        clock=Clock(given.pop("budget", 180.0), encoder.clock),
        reporter=told,
    )
    made.run(BASELINES)
    entries = tuple(Entry("probe", name) for name in sources)
    named, known = given.pop("sources_named", False), given.pop("known", {})
    plan = Plan(entries, True, (), sources_named=named, known=known)
    return scout(made, plan, encoder, encoder.timed, **given), made, told


def test_the_better_half_goes_on_and_noise_does_not() -> None:
    found, made, told = scouted(("first", "noise", "better", "alike"), Encoder())
    assert found == ["better"]
    assert made.outcomes[Entry("probe", "noise")].dropped.startswith("it is behind on 300 items")
    assert any(line.startswith("noise left out: it is behind") for line in told.said)
    assert any("alike left out: " in line and "--source alike" in line for line in told.said)


def test_one_that_is_no_worse_goes_on() -> None:
    assert scouted(("first", "alike"), Encoder())[0] == ["alike"]


def test_a_single_source_is_not_looked_at() -> None:
    encoder = Encoder()
    assert scouted(("first",), encoder)[0] == []
    assert scouted((), encoder)[0] == []
    assert encoder.seen == {}


def test_without_folds_nothing_tells_sources_apart() -> None:
    assert scouted(("first", "noise"), Encoder(), folds=[])[0] == []


def test_sources_that_are_named_are_not_scouted() -> None:
    encoder = Encoder(seconds=1.0)
    found = scouted(("first", "noise"), encoder, sources_named=True)[0]
    assert found == ["noise"]
    assert encoder.seen == {}


def test_time_is_promised_once() -> None:
    sources = ("first", "better", "alike", "noise")
    assert len(scouted(sources, Encoder(), budget=180)[0]) == 1
    one = Encoder(seconds=0.1)
    found, made, _ = scouted(("first", "better", "alike", "same", "equal"), one, budget=190)
    assert found == ["better"]
    assert any("encoding all items would take" in o.dropped for o in made.outcomes.values())


def test_what_takes_too_long_to_encode_is_known_after_a_few_items() -> None:
    encoder = Encoder(seconds=1.0)
    found, made, told = scouted(("first", "better"), encoder, n_judge=1000)
    assert found == []
    assert encoder.seen["better"] < 50
    why = "encoding all items would take about 22 min more, and there are 2.2 min"
    assert made.outcomes[Entry("probe", "better")].dropped == why
    assert any("--budget 27m" in line for line in told.said)


def test_with_a_named_strategy_it_is_encoded_whatever_it_takes() -> None:
    found, _, _ = scouted(("first", "better"), Encoder(seconds=1.0), named=True)
    assert found == ["better"]


def test_a_source_that_is_slower_than_thought_is_left_out() -> None:
    class Late(Encoder):
        def __call__(self, source: str, places: IntArray, reporter: Reporter) -> Any:
            if len(places) > 100:
                raise OutOfTimeError("the budget of 3 min is used up")
            return super().__call__(source, places, reporter)

    found, made, _ = scouted(("first", "better"), Late())
    assert found == []
    why = "the budget of 3 min is used up"
    assert made.outcomes[Entry("probe", "better")].dropped == why


def test_without_folds_the_better_known_source_goes_on() -> None:
    names = ("first", "noise", "better", "alike")
    known = {"first": 0.5, "noise": 0.4, "better": 0.7, "alike": 0.6}
    found, made, _ = scouted(names, Encoder(), folds=[], known=known)
    assert found == ["better"]
    left_out = {e.source: one.dropped for e, one in made.outcomes.items() if e.source}
    assert "nothing is held out to tell it from better" in left_out["alike"]
    assert set(left_out) == {"noise", "alike"}


def test_without_folds_a_better_source_that_takes_too_long_is_left_out() -> None:
    known = {"first": 0.5, "better": 0.7}
    slow = Encoder(seconds=10.0)
    found, made, _ = scouted(("first", "better"), slow, folds=[], known=known)
    assert found == []
    assert "encoding all items would take" in made.outcomes[Entry("probe", "better")].dropped


def test_the_prior_orders_sources_that_few_items_cannot_tell_apart() -> None:
    # three alike, one of which goes on: the one that is known to be good
    names = ("first", "better", "same", "equal")
    known = {"first": 0.5, "better": 0.5, "same": 0.6, "equal": 0.5}
    assert scouted(names, Encoder(), known=known)[0][0] == "same"


def test_what_was_encoded_with_the_first_is_looked_at_though_no_time_is_left() -> None:
    encoder = Encoder(seconds=1.0)
    sources = ("first", "noise", "better", "alike")
    found, made, _ = scouted(sources, encoder, ready=("noise", "better"), budget=0.001)
    assert found == ["better"]
    assert set(encoder.seen) == {"alike"}  # to see how long it takes
    assert "it is behind" in made.outcomes[Entry("probe", "noise")].dropped
    assert "encoding all items" in made.outcomes[Entry("probe", "alike")].dropped
