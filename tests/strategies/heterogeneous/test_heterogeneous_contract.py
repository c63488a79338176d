"""What every heterogeneous adapter must keep: states, seeds, the guard, edges, faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import check_estimator

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.strategies import heterogeneous
from headstart.strategies.adaptation.forms import AdaptedHead
from headstart.strategies.heterogeneous import (
    HETEROGENEOUS,
    CrossDomainStructure,
    GromovWasserstein,
    PairedMap,
    SharedLabelSpace,
    make,
)
from headstart.strategies.heterogeneous.alone import LEARNERS, judged, target_only

NAMES = list(HETEROGENEOUS)


def draw(seed: int = 0, m: int = 24, names: bool = True) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    codes = np.arange(90) % 3
    hidden = 3.0 * np.eye(3)[codes] + 0.6 * rng.normal(size=(90, 3))
    X, T = hidden @ rng.normal(size=(3, 5)), hidden @ rng.normal(size=(3, 4))
    y = np.array(["c", "a", "b"])[codes] if names else codes
    known = np.array([None] * m, dtype=object)
    known[:12] = y[30:42]
    pairs = X[60:], T[60:]
    return {"X": X[:30], "y": y[:30], "X_target": T[30 : 30 + m], "y_target": known, "pairs": pairs}


@pytest.mark.parametrize("name", NAMES)
def test_heterogeneous_states_and_seeds(name: str) -> None:
    given = draw()
    for guarded in (True, False):
        model = make(name, guarded=guarded).fit(**given)
        p = model.predict_proba(given["X_target"])
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
        state = model.to_state()
        assert (type(model).from_state(state).predict_proba(given["X_target"]) == p).all()
        head = AdaptedHead.from_state(state)
        assert (head.predict(given["X_target"]) == model.predict(given["X_target"])).all()
        again = make(name, guarded=guarded).fit(**given)
        assert (again.predict_proba(given["X_target"]) == p).all()
        assert model.adapted_ or guarded
    assert model.n_features_in_ == 4
    assert model.classes_.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("name", NAMES)
def test_heterogeneous_the_guard_refuses_labels_that_mean_nothing(name: str) -> None:
    adapted = 0
    for seed in range(4):
        given = draw(seed, m=40)
        rng = np.random.default_rng(seed)
        given["y"] = rng.permutation(given["y"])
        model = make(name).fit(**given)
        adapted += model.adapted_
        if not model.adapted_:
            what = model.decisions_[-1].what
            assert what.startswith("target-only (")
            assert "held-out target rows" in model.decisions_[-1].why
    assert adapted == 0


@pytest.mark.parametrize("name", NAMES)
def test_heterogeneous_one_label_a_class_is_no_evidence(name: str) -> None:
    given = draw()
    given["y_target"][3:] = None
    model = make(name).fit(**given)
    assert not model.adapted_
    assert "nothing can be held out" in model.decisions_[-1].why
    assert make(name, guarded=False).fit(**given).adapted_


def test_heterogeneous_target_only_is_the_best_of_its_learners() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 3))
    codes = (rows[:, 0] > 0).astype(int)
    name, form, hits = target_only(rows, codes, 3, 0)
    assert hits.sum() >= 32
    assert name in LEARNERS
    assert form.probabilities(rows)[:, 2].max() == 0.0  # a class without a row is never named
    single = np.array([0, 1, 2])
    theirs = KNeighborsClassifier(1).fit(rows[:3] / [1, 5, 2], single).predict(rows / [1, 5, 2])
    nearest = LEARNERS["nearest"]((rows[:3] - 4.0) / [1, 5, 2], single, 3)
    ours = nearest.scaled(np.full(3, 4.0), np.array([1.0, 5.0, 2.0])).probabilities(rows)
    assert ours.argmax(axis=1).tolist() == theirs.tolist()
    assert LEARNERS["nearest"](rows[:2], single[:2], 3).probabilities(rows)[:, 2].max() == 0.0
    assert judged(np.array([0, 0, 1])).tolist() == [True, True, False]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", ["three rows", "constant", "one class", "wide", "itself"])
def test_heterogeneous_edges(name: str, case: str) -> None:
    given = draw(names=False)
    if case == "three rows":
        given["X_target"], given["y_target"] = given["X_target"][:3], given["y_target"][:3]
    if case == "constant":
        given["X"], given["X_target"] = np.ones((30, 5)), np.ones((24, 4))
    if case == "one class":
        given["y"], given["y_target"] = np.zeros(30, int), [0] * 24
    if case == "wide":
        rng = np.random.default_rng(0)
        given["X_target"], given["pairs"] = rng.normal(size=(24, 80)), None
        given["pairs"] = given["X"][:20], rng.normal(size=(20, 80))
    if case == "itself":
        given = {"X": given["X"], "y": given["y"]}
    model = make(name, guarded=case != "wide").fit(**given)
    rows = given.get("X_target", given["X"])
    assert np.isfinite(model.predict_proba(rows)).all()
    assert set(model.predict(rows)) <= set(np.asarray(given["y"]).tolist())


def test_heterogeneous_faults() -> None:
    given = draw()
    without = {key: value for key, value in given.items() if key not in ("y_target", "pairs")}
    for cls in (CrossDomainStructure, SharedLabelSpace):
        with pytest.raises(DataError, match="no row of the target has a label"):
            cls().fit(**without)
    with pytest.raises(DataError, match="no rows that are known in the features of both"):
        PairedMap().fit(**without)
    here, there = given["pairs"]
    with pytest.raises(DataError, match="paired rows do not fit together"):
        PairedMap().fit(**without, pairs=(here, there[:3]))
    with pytest.raises(DataError, match="paired rows do not fit together"):
        PairedMap().fit(**without, pairs=(there, here))
    with pytest.raises(DataError, match="pairs are two arrays"):
        PairedMap().fit(**without, pairs=(here,))
    with pytest.raises(OptionError, match="unknown way"):
        PairedMap(method="lasso").fit(**given)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="a shrinkage lies between 0 and 1"):
        PairedMap(shrinkage=2.0).fit(**given)
    with pytest.raises(OptionError, match="alpha: must be positive"):
        CrossDomainStructure(alpha=0.0).fit(**given)
    with pytest.raises(OptionError, match="at least one axis"):
        GromovWasserstein(most_axes=0).fit(**given)
    with pytest.raises(DataError, match="a class of the target that the source does not have"):
        CrossDomainStructure().fit(**(given | {"y_target": ["z"] * 24}))
    with pytest.raises(ValueError, match="NaN"):
        CrossDomainStructure().fit(**(given | {"X_target": np.full((24, 4), np.nan)}))


def test_heterogeneous_few_pairs_say_so() -> None:
    given = draw()
    here, there = given["pairs"]
    for method in ("ridge", "cca"):
        model = PairedMap(method=method)
        model.fit(given["X"], given["y"], given["X_target"], pairs=(here[:2], there[:2]))
        assert "too few for a map" in model.decisions_[0].why


def test_heterogeneous_catalogue() -> None:
    assert {spec.needs for spec in HETEROGENEOUS.values()} == {"pairs", "labels", "nothing"}
    for spec in HETEROGENEOUS.values():
        cls = type(make(spec.name))
        assert cls.__name__ in dir(heterogeneous)
        assert cls.needs_labels == (spec.needs == "labels")
        assert cls.needs_pairs == (spec.needs == "pairs")
        assert spec.experimental == (spec.name == "gromov-wasserstein")
    with pytest.raises(UnknownNameError, match="did you mean 'paired-map'"):
        make("paired-maps")
    with pytest.raises(UnknownNameError, match="did you mean 'alpha'"):
        make("cross-domain-structure", alpa=1.0)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        heterogeneous.Nothing  # noqa: B018


@settings(deadline=None, derandomize=True, max_examples=8)
@given(st.integers(0, 1000), st.sampled_from(["cross-domain-structure", "shared-label-space"]))
def test_heterogeneous_order_of_source_rows_does_not_matter(seed: int, name: str) -> None:
    given = draw(seed)
    order = np.random.default_rng(seed).permutation(30)
    model = make(name, guarded=False).fit(**given)
    other = make(name, guarded=False).fit(
        **(given | {"X": given["X"][order], "y": given["y"][order]})
    )
    rows = given["X_target"]
    np.testing.assert_allclose(model.predict_proba(rows), other.predict_proba(rows), atol=1e-3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_heterogeneous_contract_of_scikit_learn(name: str) -> None:
    check_estimator(make(name, guarded=False))
