"""Alignment: maps against POT, scipy and skada; subspaces; degenerate clouds."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import inv, sqrtm
from shifts import conditional, gains, label, none, subspace
from sklearn.covariance import ledoit_wolf

from headstart.core.errors import OptionError
from headstart.strategies.adaptation import Coral, LinearOT, SourceOnly, SubspaceAlignment
from headstart.strategies.adaptation.align import principal_axes
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.gaussian import (
    Moments,
    gaussian_map,
    moments,
    moved,
    recolouring,
)


def clouds(n=300, m=200, d=6, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) - 1,
        rng.normal(size=(m, d)) @ rng.normal(size=(d, d)) + 3,
    )


def mapped(model, X, T):
    """Return what the mapping of an adapter makes of the source, without its learner."""
    model.decisions_ = ()
    codes = np.arange(len(X)) % 2
    return model._map(Domains(X, codes, T, np.full(len(T), -1), 2, np.zeros(len(X), np.int64)))


def test_ledoit_wolf_is_scikit_learns():
    for n, d in ((300, 6), (5, 40), (40, 5)):
        X = np.random.default_rng(n).normal(size=(n, d)) * np.arange(1, d + 1)
        assert np.allclose(moments(X).covariance, ledoit_wolf(X)[0], atol=1e-10)


def test_linear_ot_is_the_one_of_pot():
    ot = pytest.importorskip("ot")
    X, T = clouds()
    for reg in (1e-8, 1e-3, 0.5):
        oracle = ot.da.LinearTransport(reg=reg).fit(Xs=X, Xt=T).transform(Xs=X)
        assert np.allclose(mapped(LinearOT(reg=reg), X, T).X, oracle, atol=1e-6)
        one, two = moments(X, reg), moments(T, reg)
        A, b = ot.gaussian.bures_wasserstein_mapping(
            one.mean, two.mean, one.covariance, two.covariance
        )
        matrix, offset = gaussian_map(one, two)
        assert np.allclose(matrix, A, atol=1e-6)
        assert np.allclose(offset, b, atol=1e-6)


def test_coral_is_the_formula_of_the_paper():
    X, T = clouds()
    one = np.cov(X.T, bias=True) + np.eye(6)
    two = np.cov(T.T, bias=True) + np.eye(6)
    oracle = (X - X.mean(axis=0)) @ inv(sqrtm(one).real) @ sqrtm(two).real + T.mean(axis=0)
    assert np.allclose(mapped(Coral(reg=1.0), X, T).X, oracle, atol=1e-6)
    shrunk = (X - X.mean(axis=0)) @ inv(sqrtm(ledoit_wolf(X)[0]).real)
    shrunk = shrunk @ sqrtm(ledoit_wolf(T)[0]).real + T.mean(axis=0)
    assert np.allclose(mapped(Coral(), X, T).X, shrunk, atol=1e-6)


# What skada 0.6.0 makes of `small()`: CORALAdapter(reg=None) and (reg="auto"), first rows of the
# source; SubspaceAlignmentAdapter(n_components=2), inner products of first rows of both domains.
SKADA_PLAIN = [
    [0.3955765864, -1.5266283406, 0.3531476577],
    [-0.0630814801, 0.8883051145, 0.0761022216],
]
SKADA_AUTO = [
    [0.3012198551, -1.8650714992, 0.8563543922],
    [-0.1168433213, 1.0237506214, -0.0533221462],
]
SKADA_SUBSPACE = [
    [2.3223236387, -6.0232914364, -5.8734327221, 8.2802230841],
    [-1.1619058107, 2.8792015279, 2.8426469513, -3.9573131321],
]


def small():
    rng = np.random.default_rng(11)
    X = rng.normal(size=(14, 3)) @ rng.normal(size=(3, 3))
    return X, rng.normal(size=(12, 3)) @ rng.normal(size=(3, 3)) + 2


def test_alignment_is_that_of_skada():
    """There both domains are centred; here the source gets the mean of the target."""
    X, T = small()
    found = mapped(Coral(reg=0.0), X, T).X - T.mean(axis=0)
    assert np.allclose(found[:2], SKADA_PLAIN, atol=1e-6)
    # and "auto" there is Ledoit-Wolf on features that each domain has scaled for itself
    wide, other = X.std(axis=0), T.std(axis=0)
    one = Moments(X.mean(axis=0), moments(X / wide).covariance * np.outer(wide, wide), 14)
    two = Moments(T.mean(axis=0), moments(T / other).covariance * np.outer(other, other), 12)
    found = moved(X, *recolouring(one, two)) - T.mean(axis=0)
    assert np.allclose(found[:2], SKADA_AUTO, atol=1e-6)
    both = mapped(SubspaceAlignment(n_components=2), X, T)
    inner = both.X[:2] @ both.target_rows(T[:4]).T
    assert np.allclose(inner, SKADA_SUBSPACE, atol=1e-6)


def test_subspace_alignment_is_the_formula_of_the_paper():
    X, T = clouds()
    for p in (1, 3, 6):
        mine = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2][:p].T
        theirs = np.linalg.svd(T - T.mean(axis=0), full_matrices=False)[2][:p].T
        found = mapped(SubspaceAlignment(n_components=p), X, T)
        source = (X - X.mean(axis=0)) @ mine @ (mine.T @ theirs)
        target = (T - T.mean(axis=0)) @ theirs
        # axes have no sign: rows compare by their inner products, which do not depend on it
        assert np.allclose(found.X @ found.target_rows(T).T, source @ target.T, atol=1e-6)
        assert np.allclose(np.abs(found.target_rows(T)), np.abs(target), atol=1e-6)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.integers(0, 10_000), st.integers(10, 60), st.integers(10, 60), st.integers(1, 12))
def test_both_maps_send_moments_to_moments(seed, n, m, d):
    X, T = clouds(n, m, d, seed)
    one, two = moments(X, 1e-3), moments(T, 1e-3)
    for between in (gaussian_map, recolouring):
        matrix, offset = between(one, two)
        assert np.allclose(one.mean @ matrix + offset, two.mean)
        scale = max(1.0, float(np.abs(two.covariance).max()))
        assert np.allclose(matrix.T @ one.covariance @ matrix, two.covariance, atol=1e-6 * scale)
    matrix, _ = gaussian_map(one, two)
    assert np.allclose(matrix, matrix.T, atol=1e-8 * np.abs(matrix).max())
    assert np.linalg.eigvalsh((matrix + matrix.T) / 2).min() > 0  # a map that crosses nothing


def test_the_same_cloud_stays_where_it_is():
    X, _ = clouds()
    for between in (gaussian_map, recolouring):
        assert np.allclose(moved(X, *between(moments(X), moments(X))), X, atol=1e-9)
    wide = np.random.default_rng(0).normal(size=(20, 50))  # more features than rows
    assert np.allclose(moved(wide, *gaussian_map(moments(wide), moments(wide))), wide, atol=1e-8)


def test_the_map_is_fast():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 384)).astype(np.float32)
    T = rng.normal(size=(4000, 384)).astype(np.float32)
    start = time.process_time()
    gaussian_map(moments(X), moments(T))
    assert time.process_time() - start < 4.0  # 0.22 s on one core at rest


@pytest.mark.parametrize("adapter", [LinearOT, Coral])
def test_a_stretched_target_is_met(adapter):
    assert gains(adapter, subspace).min() > 0.03
    assert np.abs(gains(adapter, none)).max() < 0.025


def test_a_turned_subspace_is_met():
    def turned(n, seed):
        rng = np.random.default_rng(seed)
        y, z = rng.integers(0, 2, n), rng.integers(0, 2, n)
        spread = np.array([3.0, 2.0, 1.5, 0.3, 0.3, 0.3])

        def draw(codes):
            rows = rng.normal(size=(n, 6)) * spread
            rows[:, 1] += 5.0 * codes
            return rows

        turn = np.linalg.qr(np.eye(6) + 0.35 * rng.normal(size=(6, 6)))[0]
        return draw(y), y, draw(z) @ (turn * np.sign(np.diag(turn))) + 4.0, z

    def adapter():
        return SubspaceAlignment(n_components=3, scale=False)

    assert gains(adapter, turned, seeds=range(5)).mean() > 0.05
    assert np.abs(gains(SubspaceAlignment, none)).max() < 0.025


def test_the_number_of_axes_is_chosen_and_bounded():
    Xs, ys, Xt, _ = none(200, 0)
    model = SubspaceAlignment().fit(Xs, ys, Xt)
    assert 1 <= model.n_components_ <= 8
    assert "axes kept" in model.decisions_[0].what
    assert SubspaceAlignment(n_components=99).fit(Xs, ys, Xt[:12]).n_components_ == 8
    flat = np.hstack([Xs[:, :3], Xs[:, :3]])
    assert SubspaceAlignment(n_components=99).fit(flat, ys, flat).n_components_ == 3
    assert principal_axes(np.ones((20, 3)))[0].shape == (3, 0)


def test_what_does_not_help_is_known():
    """Both maps take unequal classes, and classes that moved each by itself, for a moved cloud."""
    assert gains(LinearOT, label).mean() < -0.1
    assert gains(LinearOT, conditional).mean() < 0.0


@pytest.mark.parametrize("adapter", [LinearOT, Coral, SubspaceAlignment])
def test_few_rows_map_nothing_and_say_so(adapter):
    Xs, ys, Xt, _ = subspace(100, 0)
    model = adapter().fit(Xs, ys, Xt[:5])
    assert "as it is" in model.decisions_[0].what
    assert "5 rows" in model.decisions_[0].why
    plain = SourceOnly().fit(Xs, ys, Xt[:5])
    assert np.array_equal(model.predict_proba(Xt), plain.predict_proba(Xt))


@pytest.mark.parametrize(
    ("model", "where"),
    [
        (LinearOT(reg=-1.0), "reg"),
        (Coral(reg=float("nan")), "reg"),
        (SubspaceAlignment(n_components=0), "n_components"),
        (LinearOT(C=0.0), "C"),
    ],
)
def test_parameters_out_of_range(model, where):
    Xs, ys, Xt, _ = none(30, 0)
    with pytest.raises(OptionError) as caught:
        model.fit(Xs, ys, Xt)
    assert caught.value.where == where
