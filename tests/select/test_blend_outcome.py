"""The blend as a candidate: honest out of fold, aligned with its members, ready to predict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart import select, strategies
from headstart.core.errors import DataError, OptionError
from headstart.core.types import Pair, subset
from headstart.evaluate import Predictions, value
from headstart.select.blend import blend_entry, blend_outcome, blended, pair_of
from headstart.select.heat import race
from headstart.select.race import Entry, Field, Outcome, fit_one, predict_one
from headstart.strategies.pooling import learn_shares, learn_weights, mixed, pooled

CLASSES = ("a", "b", "c")
SCRATCH, PROBE = Entry("scratch"), Entry("probe", "tiny")


def folds_of(n: int, n_folds: int = 3, seed: int = 0) -> list[tuple[Any, Any]]:
    turn = np.random.default_rng(seed).permutation(n) % n_folds
    return [(np.flatnonzero(turn != f), np.flatnonzero(turn == f)) for f in range(n_folds)]


def outcome(
    entry: Entry, labels: Any, folds: Any, skill: float, seed: int, rows: Any = None, **changes: Any
) -> Outcome:
    """What a candidate of some skill predicts for the rows the folds hold out."""
    places = np.concatenate([test for _, test in folds]) if rows is None else rows
    codes = np.array([CLASSES.index(name) for name in labels])[places]
    scores = np.random.default_rng(seed).normal(size=(len(labels), 3))[places]
    scores[np.arange(len(codes)), codes] += skill
    shares = np.exp(scores)
    shares /= shares.sum(axis=1, keepdims=True)
    found = Predictions(np.array(CLASSES, dtype=object)[shares.argmax(axis=1)], shares, CLASSES)
    return Outcome(entry, found, 1.0, rows=rows, **changes)


def numbers(entry: Entry, truth: Any, folds: Any, spread: float, seed: int) -> Outcome:
    places = np.concatenate([test for _, test in folds])
    noise = np.random.default_rng(seed).normal(size=len(truth))
    return Outcome(entry, Predictions((truth + spread * noise)[places]), 1.0)


@pytest.fixture
def labels() -> Any:
    return np.array(CLASSES, dtype=object)[np.arange(60) % 3]


@pytest.fixture
def pair(labels: Any) -> tuple[Outcome, Outcome, Any]:
    folds = folds_of(60)
    return outcome(SCRATCH, labels, folds, 1.0, 1), outcome(PROBE, labels, folds, 2.0, 2), folds


def test_each_fold_is_pooled_with_the_weights_of_the_others(pair: Any, labels: Any) -> None:
    scratch, transfer, folds = pair
    found = blend_outcome(scratch, transfer, labels, folds)
    assert found.entry == Entry("blend", "tiny", member="probe")
    assert found.entry.name == "tiny + blend"
    assert found.rows is None
    assert not found.failure
    assert 0 <= found.seconds < 30
    sizes = [len(test) for _, test in folds]
    of_row = np.repeat(np.arange(3), sizes)
    codes = np.array([CLASSES.index(n) for n in labels])[np.concatenate([t for _, t in folds])]
    one, other = scratch.predictions.probabilities, transfer.predictions.probabilities
    for fold in range(3):
        seen, held = of_row != fold, of_row == fold
        weights = learn_weights(one[seen], other[seen], codes[seen])
        expected = pooled(one[held], other[held], weights)
        np.testing.assert_allclose(found.predictions.probabilities[held], expected, atol=1e-12)
    picked = found.predictions.probabilities.argmax(axis=1)
    assert found.predictions.labels.tolist() == [CLASSES[i] for i in picked]
    assert found.predictions.classes == CLASSES


@pytest.mark.parametrize("n_folds", [1, 3])
def test_the_labels_of_a_part_have_no_say_in_its_predictions(labels: Any, n_folds: int) -> None:
    folds = folds_of(60, 3)[:n_folds]
    scratch = outcome(SCRATCH, labels, folds, 0.5, 1)
    transfer = outcome(PROBE, labels, folds, 2.0, 2)
    before = blend_outcome(scratch, transfer, labels, folds).predictions.probabilities
    changed = labels.copy()
    test = folds[0][1]
    own = test if n_folds > 1 else test[np.argsort(test)[::5]]  # a fold, or a part of the only one
    changed[own] = "c"
    after = blend_outcome(scratch, transfer, changed, folds).predictions.probabilities
    places = np.concatenate([test for _, test in folds])
    mine = np.isin(places, own)
    np.testing.assert_array_equal(after[mine], before[mine])
    assert np.abs(after[~mine] - before[~mine]).max() > 1e-4


def test_the_parts_of_a_single_fold_split_no_group(labels: Any) -> None:
    folds = folds_of(60, 2)[:1]
    groups = np.arange(60) // 6
    scratch = outcome(SCRATCH, labels, folds, 0.5, 1)
    transfer = outcome(PROBE, labels, folds, 2.0, 2)
    places = folds[0][1]
    before = blend_outcome(scratch, transfer, labels, folds, groups=groups).predictions
    changed = labels.copy()
    changed[groups == groups[places[0]]] = "c"
    after = blend_outcome(scratch, transfer, changed, folds, groups=groups).predictions
    mine = groups[places] == groups[places[0]]
    np.testing.assert_array_equal(after.probabilities[mine], before.probabilities[mine])


def test_rows_that_only_one_member_predicted_are_left_out(labels: Any) -> None:
    folds = folds_of(60)
    some = np.concatenate([folds[0][1], folds[2][1]])
    scratch = outcome(SCRATCH, labels, folds, 1.0, 1, rows=some)
    transfer = outcome(PROBE, labels, folds, 2.0, 2)
    found = blend_outcome(scratch, transfer, labels, folds)
    assert sorted(found.rows) == sorted(some)
    whole = outcome(SCRATCH, labels, folds, 1.0, 1)
    assert blend_outcome(whole, transfer, labels, folds).rows is None
    backwards = outcome(PROBE, labels, folds, 2.0, 2, rows=some[::-1])
    turned = blend_outcome(scratch, backwards, labels, folds)
    np.testing.assert_array_equal(turned.rows, some[::-1])
    order = np.argsort(found.rows)[np.argsort(np.argsort(turned.rows))]
    np.testing.assert_allclose(
        turned.predictions.probabilities, found.predictions.probabilities[order], atol=1e-6
    )


def test_two_that_know_different_things_beat_both(labels: Any) -> None:
    many = np.array(CLASSES, dtype=object)[np.arange(900) % 3]
    folds = folds_of(900)
    scratch, transfer = (outcome(SCRATCH, many, folds, 1.5, 1), outcome(PROBE, many, folds, 1.5, 2))
    truth = many[np.concatenate([test for _, test in folds])]
    found = blend_outcome(scratch, transfer, many, folds)
    for metric, sign in (("accuracy", 1), ("log_loss", -1)):
        scores = [value(metric, truth, o.predictions) for o in (scratch, transfer, found)]
        assert sign * scores[2] > sign * scores[0]
        assert sign * scores[2] > sign * scores[1]


def test_numbers_are_pooled_as_they_are() -> None:
    truth = np.linspace(0, 9, 40)
    folds = folds_of(40, 2)
    scratch, transfer = (numbers(SCRATCH, truth, folds, s, i) for i, s in enumerate((3.0, 1.0)))
    found = blend_outcome(scratch, transfer, truth, folds).predictions
    assert found.probabilities is None
    places = np.concatenate([test for _, test in folds])
    half = np.repeat([0, 1], [len(folds[0][1]), len(folds[1][1])])
    one, other = scratch.predictions.labels, transfer.predictions.labels
    for part in (0, 1):
        seen, held = half != part, half == part
        weights = learn_shares(one[seen], other[seen], truth[places][seen])
        np.testing.assert_allclose(found.labels[held], mixed(one[held], other[held], weights))


def test_without_predictions_of_both_there_is_no_blend(pair: Any, labels: Any) -> None:
    scratch, transfer, folds = pair
    for wrong, words in (
        (Outcome(PROBE, None, 0.0), "no out-of-fold predictions of tiny"),
        (Outcome(PROBE, transfer.predictions, 0.0, failure="too dear"), "failed: too dear"),
    ):
        found = blend_outcome(scratch, wrong, labels, folds)
        assert found.predictions is None
        assert words in found.dropped
        assert not found.failure
    elsewhere = outcome(SCRATCH, labels, folds, 1.0, 1, rows=folds[0][1])
    other = outcome(PROBE, labels, folds, 1.0, 1, rows=folds[1][1])
    assert "no item" in blend_outcome(elsewhere, other, labels, folds).dropped


def test_members_that_predict_different_things_are_refused(pair: Any, labels: Any) -> None:
    scratch, _, folds = pair
    with pytest.raises(DataError, match="different classes"):
        blend_outcome(scratch, numbers(PROBE, np.arange(60.0), folds, 1.0, 0), labels, folds)


# ------------------------------------------------------------------ from the race to a model


def raced(kind: str) -> tuple[Field, list[Any], Any]:
    rng = np.random.default_rng(0)
    codes = np.arange(45) % 3
    words = np.array(["sun warm", "rain cold", "sea salt"])
    texts = [f"{words[c]} {w}" for c, w in zip(codes, rng.integers(0, 9, 45), strict=True)]
    features = rng.normal(size=(3, 6))[codes] + rng.normal(size=(45, 6))
    labels = np.array(CLASSES, dtype=object)[codes] if kind == "classification" else codes * 1.5
    classes = CLASSES if kind == "classification" else ()
    field = Field({None: texts, "tiny": features}, labels, classes, kind, "text", 0, texts)  # type: ignore[arg-type]
    return field, folds_of(45), labels


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_from_the_race_to_a_model(kind: str) -> None:
    field, folds, labels = raced(kind)
    scratch, transfer = race([SCRATCH, PROBE], field, folds)
    found = blend_outcome(scratch, transfer, labels, folds)
    assert found.predictions is not None
    assert len(found.predictions) == 45
    members = [fit_one(entry, field) for entry in (SCRATCH, PROBE)]
    model = blended(*members, scratch, transfer, labels, folds, modality="text")
    inputs = pair_of(PROBE, field.inputs, field.items)
    assert pair_of(found.entry, field.inputs, field.items).transfer is inputs.transfer
    made = predict_one(model, inputs, field.classes)
    assert len(made) == 45
    few = predict_one(model, subset(inputs, np.array([3, 1])), field.classes)
    assert few.labels.tolist() == made.labels[[3, 1]].tolist()
    back = strategies.from_state("blend", kind=kind, modality="text", state=model.to_state())  # type: ignore[arg-type]
    np.testing.assert_array_equal(back.predict(inputs), model.predict(inputs))
    assert "tiny + probe" in back.decisions_[0].what
    assert back.decisions_ == model.decisions_


def test_without_folds_the_weights_are_equal() -> None:
    field, _, labels = raced("classification")
    members = [fit_one(entry, field) for entry in (SCRATCH, PROBE)]
    nothing = Outcome(SCRATCH, None, 0.0), Outcome(PROBE, None, 0.0)
    model = blended(*members, *nothing, labels, [], modality="text")
    assert model.weights_.tolist() == [0.5, 0.5]


def test_a_tuned_member_takes_the_items_themselves() -> None:
    items, pixels = ["one", "two"], np.zeros((2, 4, 4, 3), np.uint8)
    inputs: dict[str | None, Any] = {None: pixels, "tiny": np.zeros((2, 8))}
    tuned = pair_of(Entry("lp-ft", "tiny"), inputs, items)
    assert tuned.scratch is pixels
    assert tuned.transfer is items
    assert pair_of(blend_entry(Entry("lp-ft", "tiny")), inputs, items).transfer is items
    assert isinstance(subset(tuned, [1]), Pair)
    assert len(subset(tuned, [1])) == 1


def test_a_blend_is_made_of_what_raced_and_not_raced() -> None:
    plan = select.plan("text", "classification", source="minilm")
    assert "probe" in {entry.strategy for entry in plan.transfers}
    assert "blend" not in {entry.strategy for entry in plan.transfers}
    for name, members in (
        ("blend", ("probe", "knn", "prototypes")),
        (["probe", "blend"], ("probe",)),
    ):
        named = select.plan("text", "classification", source="minilm", strategy=name)
        assert tuple(entry.strategy for entry in named.transfers) == members
        assert named.blend
        assert not named.guarded
    assert not plan.blend
    with pytest.raises(OptionError, match="cannot be used for classification on table"):
        select.plan("table", "classification", strategy="blend")
