"""Deep adapters on features: what they learn, when they step back, what is saved."""

import contextlib
import unittest

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from headstart.core.errors import DataError, OptionError
from headstart.strategies.adaptation import ADAPTERS, make
from headstart.strategies.adaptation.collapse import (
    all_unknown,
    collapsed,
    forgotten,
    spread_of,
)
from headstart.strategies.adaptation.deep_open import with_unknown
from headstart.strategies.adaptation.forms import AdaptedHead

NAMES = [name for name, spec in ADAPTERS.items() if spec.family == "deep"]
CLOSED = [name for name in NAMES if name != "osbp"]


@pytest.fixture(autouse=True)
def needs(request):
    """DeepJDOT is tested where POT is."""
    params = getattr(request.node, "callspec", None)
    if params is not None and params.params.get("name") == "deep-jdot":
        pytest.importorskip("ot")


def pair(n=80, shift=1.0, seed=0, k=3, d=6):
    """Both domains: the target is the source moved across classes and turned a little."""
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(5).normal(size=(k, d)) * 3
    y, z = np.arange(n) % k, rng.integers(0, k, n)
    X = means[y] + rng.normal(size=(n, d))
    T = means[z] + rng.normal(size=(n, d)) + shift * np.ones(d)
    return X, np.array(list("abcdefgh"))[y], T, np.array(list("abcdefgh"))[z]


@pytest.mark.parametrize("name", NAMES)
def test_learns_both_domains_and_round_trips(name):
    X, y, T, z = pair()
    model = make(name, epochs=4, hidden=32).fit(X, y, T)
    assert (model.predict(T) == z).mean() > 0.85
    again = type(model).from_state(model.to_state())
    assert np.array_equal(again.predict_proba(T), model.predict_proba(T))
    head = AdaptedHead.from_state(model.to_state())
    assert np.array_equal(head.predict(T), model.predict(T))
    other = make(name, epochs=4, hidden=32).fit(X, y, T)
    for key, array in model.to_state().arrays.items():
        assert array.tobytes() == other.to_state().arrays[key].tobytes()
    assert not np.array_equal(
        make(name, epochs=4, hidden=32, random_state=1).fit(X, y, T).predict_proba(T),
        model.predict_proba(T),
    )


@pytest.mark.parametrize("name", ["osbp"])
def test_scikit_learn_accepts_it(name):
    """The others share all but a loss with it."""
    quick = make(name, epochs=2, hidden=16, learning_rate=2e-2)
    for estimator, check in estimator_checks_generator(quick):
        with contextlib.suppress(unittest.SkipTest):  # of array libraries that are not here
            check(estimator)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", ["three rows", "constant", "more features than rows"])
def test_odd_data(name, case):
    X, y, T, _ = pair(n=30, d=40 if case.startswith("more") else 6)
    if case == "three rows":
        T = T[:3]
    if case == "constant":
        X[:, 1] = T[:, 1] = 4.0
    model = make(name, epochs=1, hidden=16).fit(X, y, T)
    found = model.predict_proba(T)
    assert np.isfinite(found).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(len(T)))
    if case == "three rows":
        assert "too few to adapt to" in str(model.decisions_[-1])


def test_one_class_needs_no_network():
    model = make("mcc").fit([[0.0], [1.0]], ["a", "a"], [[2.0]])
    assert model.predict([[5.0]]).tolist() == ["a"]


def test_global_state_of_torch_is_left_alone():
    import torch

    before, threads = torch.get_rng_state(), torch.get_num_threads()
    X, y, T, _ = pair(n=30)
    make("cdan", epochs=1, hidden=8).fit(X, y, T)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_own_scale_undoes_a_stretch_of_each_feature():
    X, y, T, z = pair(n=150, shift=0.0)
    T = T * np.array([3.0, 0.2, 5.0, 1.0, 0.1, 2.0]) + 10.0
    right = [
        (make("mcc", epochs=4, hidden=32, own_scale=own).fit(X, y, T).predict(T) == z).mean()
        for own in (False, True)
    ]
    assert right[1] > max(0.9, right[0] + 0.2)


def test_labels_of_the_target_are_learnt_from():
    """The target's classes are swapped: only its labels can tell."""
    X, y, T, _ = pair(n=90, shift=0.0, k=2)
    swapped = np.where(T @ (X[y == "a"].mean(0) - X[y == "b"].mean(0)) > 0, "b", "a")
    T = T + 4.0  # domains are apart, so that one network can know both
    known = swapped.astype(object)
    known[::2] = None
    model = make("mcc", epochs=20, hidden=64, weight=0.0, own_scale=False).fit(X, y, T, known)
    blind = make("mcc", epochs=20, hidden=64, weight=0.0, own_scale=False).fit(X, y, T)
    hidden = [label is None for label in known]
    seeing = (model.predict(T)[hidden] == swapped[hidden]).mean()
    assert seeing > (blind.predict(T)[hidden] == swapped[hidden]).mean() + 0.3


def test_a_collapse_is_taken_back(monkeypatch):
    """A loss that wants one class for all of the target; what the source taught stays."""
    from headstart.strategies.adaptation import losses

    X, y, T, z = pair(shift=1.0)
    monkeypatch.setattr(losses, "mcc", lambda scores, _: -scores[:, 0].mean())
    heavy = make("mcc", epochs=10, hidden=16, weight=100.0).fit(X, y, T)
    assert "the source alone was learnt from" in str(heavy.decisions_[-1])
    assert (heavy.predict(T) == z).mean() > 0.8


def test_weights_that_explode_are_taken_back():
    X, y, T, z = pair()
    model = make("afn", weight=1e300, epochs=4, hidden=16).fit(X, y, T)
    assert "the source alone was learnt from" in str(model.decisions_[-1])
    assert (model.predict(T) == z).mean() > 0.8


@pytest.mark.parametrize(
    ("name", "lost"), [("dann", "lost 1.0 point"), ("dann", "8 points"), ("cdan", "14 points")]
)
def test_what_has_a_poor_record_says_so(name, lost):
    X, y, T, _ = pair(n=30)
    model = make(name, epochs=1, hidden=8).fit(X, y, T)
    assert lost in str(model.decisions_[0])
    assert "guard did not see it" in str(model.decisions_[0])
    assert "guard did not see it" in " ".join(type(model).__doc__.split())


def test_collapse_is_seen():
    even = np.eye(4)
    assert spread_of(even) == pytest.approx(3.0)
    assert collapsed(even, even) == ""
    assert "2 classes" in collapsed(even, even[[0, 0, 1, 1]])
    assert "no numbers" in collapsed(even, np.full((4, 4), np.nan))
    leaning = np.full((100, 2), [0.98, 0.02])
    leaning[0] = [0.1, 0.9]
    assert "few classes" in collapsed(np.tile(np.eye(2), (50, 1)), leaning)
    assert forgotten(0.9, 0.85) == ""
    assert "70% of the source" in forgotten(0.9, 0.7)
    assert all_unknown(0.5) == ""
    assert "96%" in all_unknown(0.96)


def test_a_target_of_fewer_classes_is_no_collapse():
    """AFN's case: a third of the classes is gone, the others are recognised."""
    X, y, T, z = pair(n=120, shift=0.0, k=6)
    kept = np.isin(z, list("abcd"))
    model = make("afn", hidden=64).fit(X, y, T[kept])
    assert model.decisions_ == ()
    assert (model.predict(T[kept]) == z[kept]).mean() > 0.85


def test_osbp_finds_what_the_source_does_not_know():
    rng = np.random.default_rng(0)
    X, y, T, z = pair(n=200, shift=0.3)
    foreign = rng.normal(size=(80, 6)) - 7.0 * np.sign(np.random.default_rng(5).normal(size=6))
    model = make("osbp", epochs=20, hidden=64).fit(X, y, np.vstack([T, foreign]))
    assert model.classes_.tolist() == ["a", "b", "c", "unknown"]
    assert (model.predict(foreign) == "unknown").mean() > 0.6
    assert (model.predict(T) == z).mean() > 0.8


@pytest.mark.parametrize(
    ("classes", "unknown", "expected"),
    [
        (np.array(["a", "b"]), None, ["a", "b", "unknown"]),
        (np.array(["a", "b"]), "else", ["a", "b", "else"]),
        (np.array([3, 4]), None, [3, 4, -1]),
        (np.array([-1, 1]), None, [-1, 1, -2]),
        (np.array([3, 4], dtype=np.uint8), None, [3, 4, -1]),
        (np.array([1.0, 2.0]), 9, [1.0, 2.0, 9.0]),
        (np.array([3, 4]), "else", [3, 4, "else"]),
        (np.array(["a", "b"], dtype=object), None, ["a", "b", "unknown"]),
        (np.array([False, True]), None, [False, True, "unknown"]),
    ],
)
def test_the_label_of_the_unknown(classes, unknown, expected):
    assert with_unknown(classes, unknown).tolist() == expected


def test_osbp_of_numbers_round_trips():
    X, y, T, _ = pair(n=40)
    model = make("osbp", epochs=1, hidden=8, unknown="else")
    model.fit(X, np.unique(y, return_inverse=True)[1], T)
    again = type(model).from_state(model.to_state())
    assert again.classes_.tolist() == [0, 1, 2, "else"]


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"hidden": 0}, "hidden"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 1}, "batch_size"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"weight": float("nan")}, "weight"),
    ],
)
def test_parameters_that_cannot_be_used(params, where):
    X, y, T, _ = pair(n=20)
    with pytest.raises(OptionError) as caught:
        make("mcc", **params).fit(X, y, T)
    assert caught.value.where == where


def test_options_of_osbp():
    X, y, T, _ = pair(n=20)
    with pytest.raises(OptionError, match="not between 0 and 1"):
        make("osbp", share=1.0).fit(X, y, T)
    with pytest.raises(OptionError, match="a class of the source"):
        make("osbp", unknown="a").fit(X, y, T)


def test_a_target_with_other_features():
    X, y, T, _ = pair(n=20)
    with pytest.raises(DataError, match="other features"):
        make("mcc").fit(X, y, T[:, :2])
