"""Transport: plans and maps are POT's, the cap keeps memory, a collapse is taken back."""

import sys
import tracemalloc
import warnings

import numpy as np
import pytest
from shifts import covariate, gains, none, subspace

from headstart.core.errors import MissingExtraError, OptionError
from headstart.strategies.adaptation import ClassRegularizedOT, EntropicOT, SourceOnly
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.plan import barycentres, carried, cost, sampled

ot = pytest.importorskip("ot")
BOTH = pytest.mark.parametrize("adapter", [EntropicOT, ClassRegularizedOT])


def domains(n=60, m=50, labels=None):
    rng = np.random.default_rng(0)
    codes = np.arange(n) % 3
    X = rng.normal(size=(n, 4)) + 2 * np.eye(4)[codes]
    T = rng.normal(size=(m, 4)) + 2 * np.eye(4)[np.arange(m) % 3] + 1
    known = np.full(m, -1) if labels is None else labels
    return Domains(X, codes, T, known, 3, np.zeros(n, dtype=np.int64))


def mapped(model, given):
    model.decisions_ = ()
    return model._map(given).X


@pytest.mark.parametrize("reg", [0.02, 0.1, 1.0])
def test_entropic_transport_is_that_of_pot(reg):
    given = domains()
    oracle = ot.da.SinkhornTransport(
        reg_e=reg, norm="max", method="sinkhorn", out_of_sample_map="ferradans"
    )
    images = oracle.fit(Xs=given.X, Xt=given.target).transform(Xs=given.X)
    if images.var(axis=0).sum() > 0.05 * given.target.var(axis=0).sum():
        assert np.allclose(mapped(EntropicOT(reg_e=reg), given), images, atol=1e-6)
    else:  # all in one place: taken back
        assert np.array_equal(mapped(EntropicOT(reg_e=reg), given), given.X)


def test_class_regularised_transport_is_that_of_pot():
    given = domains()
    oracle = ot.da.SinkhornLpl1Transport(reg_e=0.03, reg_cl=0.2, norm="max")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # inner rounds are cut short
        images = oracle.fit(Xs=given.X, ys=given.codes, Xt=given.target).transform(Xs=given.X)
    found = mapped(ClassRegularizedOT(reg_e=0.03, reg_class=0.2), given)
    assert np.allclose(found, images, atol=1e-6)


def test_known_labels_forbid_as_in_pot():
    labels = np.where(np.arange(50) < 20, np.arange(50) % 3, -1)
    given = domains(labels=labels)
    oracle = ot.da.SinkhornTransport(
        reg_e=0.05, norm="max", method="sinkhorn", out_of_sample_map="ferradans", limit_max=10
    )
    oracle.fit(Xs=given.X, ys=given.codes, Xt=given.target, yt=np.where(labels < 0, -1, labels))
    found = mapped(EntropicOT(reg_e=0.05), given)
    costs = cost(given.X, given.target, given.codes, labels)
    wrong = (labels >= 0) & (given.codes[:, None] != labels)
    assert (costs[wrong] >= 10).all()
    assert (costs[~wrong] <= 1).all()
    assert np.allclose(found, oracle.transform(Xs=given.X), atol=1e-6)


def test_rows_outside_the_plan_move_as_in_pot():
    given = domains()
    some = np.arange(0, 60, 2)
    oracle = ot.da.SinkhornTransport(
        reg_e=0.05, norm="max", method="sinkhorn", out_of_sample_map="ferradans"
    )
    oracle.fit(Xs=given.X[some], Xt=given.target)
    images = barycentres(oracle.coupling_, given.target)
    found = carried(given.X, some, images)
    assert np.allclose(found[some], oracle.transform(Xs=given.X[some]), atol=1e-6)
    rest = np.arange(1, 60, 2)
    assert np.allclose(found[rest], oracle.transform(Xs=given.X[rest]), atol=1e-6)


def test_the_sample_has_each_class_by_its_share():
    codes = np.repeat([0, 1, 2], [700, 200, 100])
    for seed in range(5):
        some = sampled(codes, 1000, 100, np.random.default_rng(seed))
        assert len(set(some.tolist())) == 100
        assert np.abs(np.bincount(codes[some]) - [70, 20, 10]).max() <= 1
    assert (sampled(codes, 1000, 1000, np.random.default_rng(0)) == np.arange(1000)).all()
    assert len(set(sampled(None, 1000, 7, np.random.default_rng(0)).tolist())) == 7


def test_the_cap_keeps_memory_and_is_said():
    rng = np.random.default_rng(0)
    X, T, y = rng.normal(size=(20_000, 4)), rng.normal(size=(9000, 4)) + 1, np.arange(20_000) % 2
    tracemalloc.start()
    model = EntropicOT(max_rows=200).fit(X, y, T)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # the whole plan would take 1.4 GB
    assert "200 source and 200 target rows" in model.decisions_[0].what


@BOTH
def test_a_plan_that_sends_all_to_one_place_is_taken_back(adapter):
    Xs, ys, Xt, _ = subspace(100, 0)
    model = adapter(reg_e=50.0).fit(Xs, ys, Xt)
    assert "one place" in model.decisions_[0].why
    plain = SourceOnly().fit(Xs, ys, Xt)
    assert np.array_equal(model.predict_proba(Xt), plain.predict_proba(Xt))
    few = adapter().fit(Xs, ys, Xt[:4])
    assert "4 rows" in few.decisions_[0].why


def test_a_penalty_that_underflows_is_solved_in_logarithms():
    Xs, ys, Xt, yt = subspace(40, 0)
    assert EntropicOT(reg_e=1e-3).fit(Xs, ys, Xt).score(Xt, yt) > 0.6


@BOTH
def test_it_helps_where_rows_keep_their_neighbours(adapter):
    assert gains(adapter, subspace, n=250).min() > 0.01
    assert gains(adapter, covariate, n=250).mean() > 0.0
    # without a shift it costs a little: its plan matches noise, too
    assert gains(adapter, none, n=250).mean() > -0.03


def test_without_pot_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    Xs, ys, Xt, _ = subspace(30, 0)
    with pytest.raises(MissingExtraError, match="POT"):
        EntropicOT().fit(Xs, ys, Xt)


@pytest.mark.parametrize(
    ("model", "where"),
    [
        (EntropicOT(reg_e=0.0), "reg_e"),
        (EntropicOT(max_rows=1), "max_rows"),
        (ClassRegularizedOT(reg_class=-1.0), "reg_class"),
    ],
)
def test_parameters_out_of_range(model, where):
    Xs, ys, Xt, _ = none(30, 0)
    with pytest.raises(OptionError) as caught:
        model.fit(Xs, ys, Xt)
    assert caught.value.where == where
