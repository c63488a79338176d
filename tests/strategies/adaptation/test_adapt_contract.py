"""Behaviours that every adapter must have, crossed over the whole dict."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import inspect
import json
import unittest

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

from headstart.core.errors import DataError, UnknownNameError
from headstart.core.types import Decision, State
from headstart.strategies import adaptation
from headstart.strategies.adaptation import ADAPTERS, make
from headstart.strategies.adaptation.catalogue import resolve
from headstart.strategies.adaptation.forms import AdaptedHead

MODULES = {"POT": "ot"}
FAST = {"epochs": 2, "hidden": 16, "source_rounds": 8, "most_rounds": 8}


def there(spec):
    return not spec.requires or importlib.util.find_spec(MODULES[spec.requires]) is not None


NAMES = [
    pytest.param(
        name, marks=pytest.mark.skipif(not there(spec), reason=f"{spec.requires} is missing")
    )
    for name, spec in ADAPTERS.items()
    if not spec.tunes and spec.family != "skada"  # those take items, or start a process
]
LABEL_FREE = [case for case in NAMES if not ADAPTERS[case.values[0]].needs_labels]
SHALLOW = [case for case in LABEL_FREE if ADAPTERS[case.values[0]].family != "deep"]
every = pytest.mark.parametrize("name", NAMES)


def quick(name, **params):
    """Return an unfitted adapter that is done in no time."""
    known = inspect.signature(resolve(ADAPTERS[name].path)).parameters
    return make(name, **{key: value for key, value in FAST.items() if key in known}, **params)


def data(n=60, m=45, d=4, k=3, seed=0):
    """Return rows and labels of both domains; the target is moved."""
    rng = np.random.default_rng(seed)
    means = 3.0 * np.random.default_rng(7).normal(size=(k, d))
    names = np.array(["ash", "birch", "cedar", "dogwood"])[:k]
    y, z = np.arange(n) % k, np.arange(m) % k
    X, T = rng.normal(size=(n, d)) + means[y], rng.normal(size=(m, d)) + means[z] + 0.5
    return X, names[y], T, names[z]


def fitted(name, X, y, T, z, **params):
    """Fit with labels of the target where the adapter needs some, and with domains."""
    spec = ADAPTERS[name]
    labels = [label if row % 2 == 0 or len(z) < 6 else None for row, label in enumerate(z)]
    domain = np.where(np.arange(len(X)) % 5 < 2, "one", "two") if spec.several else None
    given = labels if spec.needs_labels else None
    return quick(name, **params).fit(X, y, T, given, domain=domain)


@functools.cache
def model_of(name):
    """Return one model of an adapter, fitted once for all tests that only read it."""
    return fitted(name, *data())


def saved(model):
    """Return the state as it comes back from JSON and arrays on disk."""
    state = model.to_state()
    return State(dict(state.arrays), json.loads(json.dumps(state.meta)))


def sound(model, rows):
    chances = model.predict_proba(rows)
    assert chances.shape == (len(rows), len(model.classes_))
    assert np.isfinite(chances).all()
    assert np.allclose(chances.sum(axis=1), 1.0)
    assert set(model.predict(rows)) <= set(model.classes_)
    assert all(isinstance(decision, Decision) for decision in model.decisions_)


@pytest.mark.parametrize("name", SHALLOW)
def test_scikit_learn_accepts_it(name):
    for estimator, check in estimator_checks_generator(quick(name)):
        with contextlib.suppress(unittest.SkipTest):  # of array libraries that are not here
            check(estimator)


@every
def test_a_saved_model_predicts_the_same_to_the_bit(name):
    T = data()[2]
    model = model_of(name)
    again, head = type(model).from_state(saved(model)), AdaptedHead.from_state(saved(model))
    assert again.predict_proba(T).tobytes() == model.predict_proba(T).tobytes()
    assert head.predict_proba(T).tobytes() == model.predict_proba(T).tobytes()
    assert (again.predict(T) == model.predict(T)).all()


@every
def test_the_same_seed_gives_the_same_bytes(name):
    again = fitted(name, *data())
    for key, array in model_of(name).to_state().arrays.items():
        assert again.to_state().arrays[key].tobytes() == array.tobytes()
    assert again.decisions_ == model_of(name).decisions_


@every
def test_what_is_given_stays_as_it_is(name):
    X, y, T, z = data()
    before = [array.copy() for array in (X, y, T, z)]
    fitted(name, X, y, T, z).predict(T)
    for array, old in zip((X, y, T, z), before, strict=True):
        assert (array == old).all()
    model = quick(name)
    assert clone(model).get_params() == model.get_params()


@every
def test_order_and_batch_size_of_prediction_do_not_matter(name):
    T, model = data()[2], model_of(name)
    whole = model.predict_proba(T)
    order = np.random.default_rng(1).permutation(len(T))
    assert np.allclose(model.predict_proba(T[order]), whole[order], atol=1e-6)
    single = np.vstack([model.predict_proba(T[i : i + 1]) for i in range(len(T))])
    assert np.allclose(single, whole, atol=1e-6)


@every
def test_it_learns(name):
    _, _, T, z = data()
    model = model_of(name)
    sound(model, T)
    if ADAPTERS[name].family != "deep":  # two epochs are too few for those
        assert (model.predict(T) == z).mean() > 0.9


@pytest.mark.parametrize("name", SHALLOW)
def test_a_target_like_the_source_changes_nothing_that_matters(name):
    X, y, _, _ = data(n=240)
    plain = make("source-only").fit(X, y)
    for target in (X, X.copy(), None):
        model = fitted(name, X, y, target, y)
        assert (model.predict(X) == plain.predict(X)).mean() >= 0.97


@every
def test_a_target_of_three_rows(name):
    X, y, T, z = data()
    sound(fitted(name, X, y, T[:3], z[:3]), T)


@every
def test_constant_features(name):
    X, y, T, z = data()
    X, T = np.hstack([X, np.full((60, 2), 7.0)]), np.hstack([T, np.full((45, 2), 7.0)])
    X[:, 4], T[:, 5] = 3.0, -1.0  # constant in both domains, and different
    sound(fitted(name, X, y, T, z), T)


@every
def test_features_that_are_all_constant(name):
    _, y, _, z = data()
    sound(fitted(name, np.ones((60, 3)), y, np.ones((45, 3)), z), np.ones((4, 3)))


@every
def test_one_class(name):
    X, _, T, _ = data()
    model = fitted(name, X, np.repeat("only", 60), T, np.repeat("only", 45))
    assert (model.predict(T) == "only").any()
    sound(model, T)


@every
def test_more_features_than_rows(name):
    X, y, T, z = data(n=24, m=21, d=60)
    sound(fitted(name, X, y, T, z), T)


@every
def test_a_class_of_one_row(name):
    X, y, T, z = data()
    y = y.astype(object)
    y[4] = "lonely"
    sound(fitted(name, X, y, T, z), T)


@every
def test_single_precision(name):
    X, y, T, z = data()
    sound(fitted(name, X.astype(np.float32), y, T.astype(np.float32), z), T.astype(np.float32))


@every
def test_missing_values_are_refused(name):
    X, y, T, z = data()
    gap = T.copy()
    gap[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fitted(name, X, y, gap, z)
    gap = X.copy()
    gap[3, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        fitted(name, gap, y, T, z)


@every
def test_another_number_of_features_is_refused(name):
    X, y, T, z = data()
    with pytest.raises(DataError, match="other features"):
        fitted(name, X, y, T[:, :2], z)
    with pytest.raises(ValueError, match="features"):
        model_of(name).predict(T[:, :2])


@every
def test_labels_that_cannot_be_are_refused(name):
    X, y, T, _ = data()
    with pytest.raises(DataError, match="does not have"):
        quick(name).fit(X, y, T, ["foreign"] + [None] * 44)
    with pytest.raises(DataError, match="differ in number"):
        quick(name).fit(X, y, T, ["ash"])
    with pytest.raises(DataError, match="needs one domain"):
        quick(name).fit(X, y, T, ["ash"] * 45, domain=["here"])


@every
def test_the_catalogue_says_what_it_is(name):
    spec = ADAPTERS[name]
    cls = resolve(spec.path)
    assert getattr(adaptation, cls.__name__) is cls
    assert spec.assumes
    assert spec.summary
    assert spec.family == "baseline" or spec.paper
    assert inspect.getdoc(cls)
    with pytest.raises(UnknownNameError, match="parameter"):
        make(name, nonsense=1)
