"""Classes taken in later, their probabilities, and the rates of pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import DataError, OptionError
from headstart.core.types import State
from headstart.strategies import Enrolled, LinearProbe, Prototypes
from headstart.strategies.enrolled_head import EnrolledHead, with_class, wrapped
from headstart.strategies.gallery import Gallery
from headstart.strategies.gallery_fit import (
    MOST_CLASSES,
    equal_error,
    gallery_of,
    pair_similarities,
    rates_of,
)
from headstart.strategies.unit import unit_rows


def problem(k: int = 6, each: int = 10, seed: int = 0, noise: float = 1.0) -> tuple:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, 24))
    codes = np.repeat(np.arange(k), each)
    X = centres[codes] + rng.normal(size=(len(codes), 24)) * noise
    truth = np.repeat(np.arange(k), 50)
    return X, codes, centres[truth] + rng.normal(size=(len(truth), 24)) * noise, truth


NAMES = np.array([f"c{i}" for i in range(10)])


@pytest.mark.parametrize("base", ["probe", "prototypes", "knn", "few-shot"])
@pytest.mark.parametrize("shots", [1, 5])
def test_new_classes_are_known_and_old_ones_stay(base: str, shots: int) -> None:
    X, codes, fresh, truth = problem()
    old = codes < 4
    model = Enrolled(base=base).fit(X[old], NAMES[codes[old]])
    before = (model.predict(fresh) == NAMES[truth])[truth < 4].mean()
    for new in (4, 5):
        model.enrol(NAMES[new], X[codes == new][:shots])
    right = model.predict(fresh) == NAMES[truth]
    assert right[truth < 4].mean() > before - 0.2
    assert right[truth >= 4].mean() > 0.6
    assert model.classes_.tolist() == sorted(NAMES[:6].tolist())
    np.testing.assert_allclose(model.predict_proba(fresh).sum(axis=1), 1.0)


def test_old_classes_keep_their_proportions() -> None:
    X, codes, fresh, _ = problem()
    base = LinearProbe().fit(X[codes < 4], NAMES[codes[codes < 4]])
    model = Enrolled().fit(X[codes < 4], NAMES[codes[codes < 4]])
    np.testing.assert_allclose(model.predict_proba(fresh), base.predict_proba(fresh))
    model.enrol("a", X[codes == 5])  # sorts before the others
    chances = model.predict_proba(fresh)
    assert model.classes_[0] == "a"
    shares = chances[:, 1:] / chances[:, 1:].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, base.predict_proba(fresh), rtol=1e-6, atol=1e-12)


def test_a_class_of_one_row_is_not_at_a_disadvantage() -> None:
    right = []
    for seed in range(6):
        X, codes, fresh, truth = problem(seed=seed, each=20, noise=1.6)
        model = Enrolled(base="prototypes").fit(X[codes < 5], NAMES[codes[codes < 5]])
        model.enrol("c5", X[codes == 5][:1])
        right.append((model.predict(fresh[truth == 5]) == "c5").mean())
    assert np.mean(right) > 0.5


def test_one_row_a_class_and_new_classes_of_one_row_are_prototypes() -> None:
    X, codes, fresh, _ = problem(each=1)
    model = Enrolled().fit(X[:5], NAMES[:5]).enrol("c5", X[5:])
    gallery = gallery_of(X[:5], codes[:5], 5)
    distances = ((gallery.unit(fresh)[:, None] - gallery.unit(X)) ** 2).sum(axis=2)
    assert (model.predict(fresh) == NAMES[distances.argmin(axis=1)]).all()


def test_a_single_class_can_be_told_from_a_new_one() -> None:
    X, codes, fresh, truth = problem(k=2)
    model = Enrolled(base="prototypes").fit(X[codes == 0], NAMES[codes[codes == 0]])
    model.enrol("c1", X[codes == 1][:3])
    assert (model.predict(fresh) == NAMES[truth]).mean() > 0.75


def test_what_cannot_be_enrolled_is_refused() -> None:
    X, codes, _, _ = problem()
    gallery = gallery_of(X, codes, 6)
    probe = LinearProbe().fit(X, NAMES[codes])
    state = wrapped("probe", probe.to_state(), gallery, modality="text", names=NAMES[:6].tolist())
    with pytest.raises(OptionError, match="knows this class already"):
        with_class(state, "c3", X[:1])
    for rows in (X[:0], X[:1, :3], np.full((1, 24), np.nan)):
        with pytest.raises(DataError, match="one example or more"):
            with_class(state, "new", rows)
    with pytest.raises(OptionError, match="not a base to enrol on"):
        Enrolled(base="finetune").fit(X, codes)


def test_a_new_class_is_named_like_the_others() -> None:
    X, codes, _, _ = problem()
    numbers = Enrolled().fit(X[codes < 5], codes[codes < 5])
    for name in ("new", None, [7]):
        with pytest.raises(OptionError, match="named like the others"):
            numbers.enrol(name, X[:1])
    assert numbers.enrol(np.int64(5), X[codes == 5]).classes_.tolist() == list(range(6))
    texts = Enrolled().fit(X[codes < 5], NAMES[codes[codes < 5]])
    with pytest.raises(OptionError, match="named like the others"):
        texts.enrol(5, X[:1])
    with pytest.raises(OptionError, match="not the name of a class"):
        texts.enrol("  ", X[:1])
    with pytest.raises(OptionError, match="knows this class already"):
        texts.enrol(" c3 ", X[:1])
    assert texts.enrol(" c5\n", X[codes == 5]).classes_.tolist() == NAMES[:6].tolist()


@pytest.mark.parametrize("harm", ["names", "means", "twice", "nested"])
def test_a_state_that_is_not_its_own_is_refused(harm: str) -> None:
    X, codes, _, _ = problem()
    model = Enrolled().fit(X, NAMES[codes]).enrol("new", X[:1])
    state = model.to_state()
    meta, arrays = dict(state.meta), dict(state.arrays)
    if harm == "names":
        meta["names"] = [*meta["names"][:-2], "x", "y"]
    elif harm == "twice":
        meta["names"] = [*meta["names"][:-1], "c0"]
    elif harm == "nested":
        meta["base"] = "enrolled"
    else:
        arrays["gallery.means"] = arrays["gallery.means"][:-1]
    with pytest.raises(ValueError):
        EnrolledHead.from_state(State(arrays, meta))


def test_enrolling_survives_a_round_trip_and_goes_on() -> None:
    X, codes, fresh, _ = problem()
    model = Enrolled().fit(X[codes < 4], NAMES[codes[codes < 4]]).enrol("c4", X[codes == 4][:2])
    back = Enrolled.from_state(model.to_state())
    both = [one.enrol("c5", X[codes == 5][:2]).predict_proba(fresh) for one in (model, back)]
    assert both[0].tobytes() == both[1].tobytes()


# ------------------------------------------------------------------ pairs


def test_pairs_are_compared_about_the_centre_of_the_other_classes() -> None:
    X, codes, _, _ = problem(k=3, each=4)
    between, same = pair_similarities(X, codes, 3)
    slow_between, slow_same = [], []
    for label in range(3):
        others = [X[codes == other].mean(axis=0) for other in range(3) if other != label]
        unit = unit_rows(X, np.mean(others, axis=0))
        for i in np.flatnonzero(codes == label):
            slow_between += [unit[i] @ unit[j] for j in np.flatnonzero(codes > label)]
            slow_same += [unit[i] @ unit[j] for j in np.flatnonzero(codes == label) if j > i]
    np.testing.assert_allclose(between, np.sort(slow_between), atol=1e-9)
    np.testing.assert_allclose(same, np.sort(slow_same), atol=1e-9)


def test_each_pair_of_items_counts_once() -> None:
    X, codes, _, _ = problem(k=4, each=5)
    gallery = gallery_of(X, codes, 4)
    assert gallery.pairs.tolist() == [20 * 19 // 2 - 4 * 10, 4 * 10]
    with pytest.raises(OptionError, match="from 150 pairs"):
        gallery.threshold(0.005)  # 1 of 200 needs 199 pairs


def test_of_many_classes_some_are_compared() -> None:
    k = 3 * MOST_CLASSES
    X, codes, _, _ = problem(k=k, each=5)
    order = np.random.default_rng(0).permutation(len(codes))
    between, same = pair_similarities(X[order], codes[order], k)
    assert len(same) == MOST_CLASSES * 6  # four rows of each
    assert len(between) == MOST_CLASSES * (MOST_CLASSES - 1) // 2 * 16
    chosen = np.linspace(0, k - 1, MOST_CLASSES).astype(int)
    means = np.stack([X[codes == label].mean(axis=0) for label in range(k)])
    slow = []
    for label in chosen:
        mine = X[order][codes[order] == label][:4]
        unit = unit_rows(mine, (means.sum(axis=0) - means[label]) / (k - 1))
        slow.append((unit @ unit.T)[np.triu_indices(4, 1)])
    np.testing.assert_allclose(same, np.sort(np.concatenate(slow)), atol=1e-9)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(n=st.integers(1, 400), seed=st.integers(0, 99))
def test_one_more_pair_passes_with_at_most_the_chance_stated(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rates = rates_of(np.sort(rng.normal(size=n)), np.sort(rng.normal(size=5) + 3))
    scores = np.sort(np.random.default_rng(seed).normal(size=n))
    for rate, threshold, _ in rates:
        assert ((scores >= threshold).sum() + 1) / (n + 1) <= rate + 1e-9
    assert (np.diff(rates[:, 1]) >= 0).all()
    assert len(rates) == sum(rate * (n + 1) >= 1 - 1e-9 for rate in RATES_TRIED)


RATES_TRIED = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)


def test_the_stated_rate_holds_for_classes_never_seen() -> None:
    accepted, found = [], []
    for seed in range(5):
        X, codes, fresh, truth = problem(k=40, each=12, seed=seed)
        seen = codes < 20
        gallery = gallery_of(X[seen], codes[seen], 20)
        rng = np.random.default_rng(seed)
        one, other = rng.choice(np.flatnonzero(truth >= 20), (2, 4000))
        alike = gallery.similarity(fresh[one], fresh[other]) >= gallery.threshold(0.05)
        accepted.append(alike[truth[one] != truth[other]].mean())
        found.append(alike[truth[one] == truth[other]].mean())
    assert 0.01 < np.mean(accepted) < 0.09
    assert np.mean(found) > 0.5


def test_equal_error_of_known_scores() -> None:
    rate, threshold = equal_error(np.array([0.0, 1.0, 2.0, 3.0]), np.array([2.5, 4.0, 5.0, 6.0]))
    assert rate == pytest.approx(0.25)
    assert 2.5 <= threshold <= 4.0
    assert np.isnan(equal_error(np.array([0.0]), np.empty(0))).all()


def test_thresholds_that_nobody_knows() -> None:
    X, codes, _, _ = problem(k=3, each=2)
    gallery = gallery_of(X, codes, 3)
    for rate in (1e-6, 0.0, 0.7, -1.0):
        with pytest.raises(OptionError, match="no threshold is known"):
            gallery.threshold(rate)
    assert gallery.facts(0.001)["threshold"] is None
    with pytest.raises(OptionError, match="a single class"):
        gallery_of(X[:2], codes[:2], 1).threshold(0.01)
    lone = gallery_of(X[::2], codes[::2], 3)
    assert lone.facts(0.2)["false_reject_rate"] is None
    assert lone.facts(0.2)["equal_error_rate"] is None


def test_the_gallery_of_prototypes_is_the_model_itself() -> None:
    X, codes, fresh, _ = problem()
    gallery, model = gallery_of(X, codes, 6), Prototypes().fit(X, codes)
    np.testing.assert_allclose(gallery.means, model.prototypes_, atol=1e-6)
    assert (gallery.shares(fresh).argmax(axis=1) == model.predict(fresh)).mean() > 0.97


def test_a_gallery_of_wrong_arrays_is_refused() -> None:
    X, codes, _, _ = problem()
    arrays = gallery_of(X, codes, 6).arrays()
    assert Gallery.of(dict(arrays)).arrays().keys() == arrays.keys()
    for harm in ({"centre": np.zeros(3)}, {"counts": np.zeros(6)}, {"extra": np.zeros(1)}):
        with pytest.raises(ValueError, match=r"gallery|shape"):
            Gallery.of(arrays | harm)
