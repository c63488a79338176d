"""Transfer between feature spaces: each method against an independent computation, and at work."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as TheirRidge

from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.heterogeneous import (
    CrossDomainStructure,
    GromovWasserstein,
    PairedMap,
    SharedLabelSpace,
)
from headstart.strategies.heterogeneous.gromov import axes, mapping
from headstart.strategies.heterogeneous.paired import canonical, shared_directions
from headstart.strategies.heterogeneous.structure import projected, projections, surest


def views(
    n: int, m: int, seed: int = 0, noise: float = 0.3
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Source and target see the same hidden 3 numbers through other mixtures: 6 and 4 features."""
    rng = np.random.default_rng(seed)
    centres = 2.0 * rng.normal(size=(4, 3))
    y, t = np.arange(n) % 4, np.arange(m) % 4
    hidden, there = (centres[codes] + 0.5 * rng.normal(size=(len(codes), 3)) for codes in (y, t))
    X = hidden @ rng.normal(size=(3, 6)) + noise * rng.normal(size=(n, 6))
    T = there @ rng.normal(size=(3, 4)) + noise * rng.normal(size=(m, 4))
    return X, y, T, t


def some(t: np.ndarray, labels: int) -> np.ndarray:
    known = np.array([None] * len(t), dtype=object)
    known[:labels] = t[:labels]
    return known


def dense(
    X: np.ndarray, y: np.ndarray, T: np.ndarray, t: np.ndarray, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """The eigenproblem of Wang & Breckon as they write it, with n x n matrices."""
    same, other = (y[:, None] == y).astype(float), (t[:, None] == t).astype(float)
    cross = (y[:, None] == t).astype(float)
    left = np.diag(same.sum(axis=1)) - same + 0.5 * np.diag(cross.sum(axis=1))
    right = np.diag(other.sum(axis=1)) - other + 0.5 * np.diag(cross.sum(axis=0))
    d, e = X.shape[1], T.shape[1]
    A, B = np.zeros((d + e, d + e)), np.zeros((d + e, d + e))
    A[:d, d:] = X.T @ cross @ T
    A[d:, :d] = A[:d, d:].T
    B[:d, :d], B[d:, d:] = X.T @ left @ X, T.T @ right @ T
    values, vectors = eigh(A, B + alpha * np.eye(d + e))
    return values[::-1], vectors[:, ::-1]


def test_heterogeneous_structure_solves_the_eigenproblem_of_the_paper() -> None:
    X, y, T, t = views(40, 12)
    X, T = X - X.mean(axis=0), T - T.mean(axis=0)
    ours = projections((X, y), (T, t), 4, alpha=10.0, balanced=False)
    values, vectors = dense(X, y, T, t, 10.0)
    both = np.vstack(ours)
    assert both.shape[1] == 3  # as many as there are differences of four centred classes
    for place in range(3):
        theirs = vectors[:, place]
        mine = both[:, place] * np.sign(both[:, place] @ theirs)
        np.testing.assert_allclose(mine, theirs, atol=1e-8)
    assert values[2] > 1e-3


@pytest.mark.parametrize("balanced", [False, True])
def test_heterogeneous_structure_is_the_nearest_mean_of_unit_rows(balanced: bool) -> None:
    X, y, T, t = views(40, 12)
    form = projected((X, y), (T, t), 4, alpha=1.0, balanced=balanced)
    ways = projections((X, y), (T, t), 4, alpha=1.0, balanced=balanced)
    parts = [X @ ways[0], T @ ways[1]]
    if balanced:
        centre = (parts[0].mean(axis=0) + parts[1].mean(axis=0)) / 2
    else:
        centre = np.vstack(parts).mean(axis=0)
    unit = [(part - centre) / np.linalg.norm(part - centre, axis=1)[:, None] for part in parts]
    means = []
    for code in range(4):
        mine, theirs = unit[0][y == code], unit[1][t == code]
        mean = mine.mean(axis=0) + theirs.mean(axis=0)
        if not balanced:
            mean = np.vstack([mine, theirs]).mean(axis=0)
        means.append(mean / np.linalg.norm(mean))
    new = np.random.default_rng(5).normal(size=(100, 4)) * 3
    rows = new @ ways[1] - centre
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    near = ((rows[:, None] - np.array(means)) ** 2).sum(axis=2).argmin(axis=1)
    assert form.probabilities(new).argmax(axis=1).tolist() == near.tolist()


def test_heterogeneous_structure_knows_a_class_that_only_the_source_has_labels_of() -> None:
    X, y, T, t = views(400, 400)
    known = some(t, 40)
    known[t == 3] = None
    model = CrossDomainStructure(guarded=False, pseudo_rounds=0).fit(X, y, T, known)
    seen = t[40:] < 3
    assert (model.predict(T[40:])[seen] == t[40:][seen]).mean() > 0.7
    assert (model.predict(T[40:])[~seen] == 3).mean() > 0.5  # no label of it in the target


def test_heterogeneous_pseudo_labels_take_the_surest_of_each_class() -> None:
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3], [0.2, 0.8]])
    assert surest(p, 0.5).tolist() == [0, 2, 4]
    assert surest(p, 1.0).tolist() == [0, 1, 2, 3, 4]
    gains = []
    for seed in range(4):
        X, y, T, t = views(200, 400, seed, noise=1.0)
        known = some(t, 4)
        plain, more = (
            CrossDomainStructure(guarded=False, pseudo_rounds=rounds).fit(X, y, T, known)
            for rounds in (0, 5)
        )
        right = [(one.predict(T[4:]) == t[4:]).mean() for one in (more, plain)]
        gains.append(right[0] - right[1])
    assert np.mean(gains) > 0.0


def test_heterogeneous_canonical_directions_are_those_of_scikit_learn() -> None:
    X, _, T, _ = views(300, 300, noise=1.0)
    first, second, correlations = canonical(X, T, 0.0)
    theirs = CCA(n_components=2, scale=False, max_iter=5000, tol=1e-12).fit(X, T)
    a, b = theirs.transform(X, T)
    for place in range(2):
        mine = (X - X.mean(axis=0)) @ first[:, place], (T - T.mean(axis=0)) @ second[:, place]
        assert np.corrcoef(*mine)[0, 1] == pytest.approx(correlations[place], abs=1e-10)
        assert abs(np.corrcoef(mine[0], a[:, place])[0, 1]) == pytest.approx(1.0, abs=1e-6)
        assert abs(np.corrcoef(mine[1], b[:, place])[0, 1]) == pytest.approx(1.0, abs=1e-6)


def test_heterogeneous_shared_directions_are_as_many_as_there_are() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(2000, 2))
    one = np.hstack([shared, rng.normal(size=(2000, 3))]) @ rng.normal(size=(5, 5))
    two = np.hstack([shared, rng.normal(size=(2000, 4))]) @ rng.normal(size=(6, 6))
    count, best = shared_directions(one, two, 0.0)
    assert count == 2
    assert best > 0.99
    assert shared_directions(rng.normal(size=(200, 3)), rng.normal(size=(200, 3)), 0.1)[0] == 1


@pytest.mark.parametrize("method", ["distil", "ridge", "cca"])
def test_heterogeneous_paired_rows_carry_the_labels_over(method: str) -> None:
    X, y, T, t = views(400, 400)
    model = PairedMap(method=method).fit(X[:200], y[:200], T[300:], pairs=(X[200:300], T[200:300]))
    most = LogisticRegression(max_iter=1000).fit(T[:300], t[:300]).score(T[300:], t[300:])
    assert (model.predict(T[300:]) == t[300:]).mean() > most - 0.05
    crossed = PairedMap(method=method).fit(
        X[:200],
        y[:200],
        T[300:],
        pairs=(X[200:300], np.random.default_rng(0).permutation(T[200:300])),
    )
    if method != "distil":
        assert crossed.fit_ < model.fit_ - 0.2  # every row with another's: the report tells


def test_heterogeneous_paired_ridge_is_that_of_scikit_learn() -> None:
    X, y, T, _ = views(30, 30, noise=1.0)
    model = PairedMap()
    form = model._ridge(X, X, T)[1]
    errors = {}
    away = T - T.mean(axis=0)
    mean = np.linalg.eigvalsh(away.T @ away).mean()
    for alpha in mean * np.logspace(-4, 3, 15):
        found = np.empty_like(X)
        for row in range(30):
            rest = np.arange(30) != row
            found[row] = TheirRidge(alpha).fit(T[rest], X[rest]).predict(T[[row]])[0]
        errors[alpha] = ((found - X) ** 2).sum()
    best = min(errors, key=lambda alpha: errors[alpha])
    theirs = TheirRidge(best).fit(T, X)
    np.testing.assert_allclose(form.coef.T, theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(form.intercept, theirs.intercept_, atol=1e-8)
    total = ((X - X.mean(axis=0)) ** 2).sum()
    assert model.fit_ == pytest.approx(1 - errors[best] / total)
    assert y.max() == 3


@pytest.mark.parametrize("widths", [(5, 3), (3, 5), (4, 4)])
def test_heterogeneous_gromov_map_is_that_of_pot(widths: tuple[int, int]) -> None:
    ot = pytest.importorskip("ot")
    rng = np.random.default_rng(0)
    here = rng.normal(size=(200, widths[0])) @ rng.normal(size=(widths[0], widths[0])) + 1.0
    there = rng.normal(size=(150, widths[1])) @ rng.normal(size=(widths[1], widths[1])) - 2.0
    r = min(widths)
    signs = np.where(rng.random(r) < 0.5, -1.0, 1.0)
    means = there.mean(axis=0), here.mean(axis=0)
    ours = mapping(axes(here, 0.0), axes(there, 0.0), signs, means)
    theirs = ot.gaussian.gaussian_gromov_wasserstein_mapping(
        means[0], means[1], np.cov(there.T, bias=True), np.cov(here.T, bias=True), sign_eigs=signs
    )
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-8)
    np.testing.assert_allclose(ours[1], np.ravel(theirs[1]), atol=1e-8)


def test_heterogeneous_gromov_finds_a_rotation_by_shape_alone() -> None:
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0] * 3.0

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        codes = (rng.random(n) < 0.25).astype(int)  # skewed along the first axis
        hidden = np.stack([4.0 * codes, rng.normal(size=n)], axis=1)
        return hidden @ [[1.0, 1.0, 1.0], [0.3, 0.0, -0.3]], codes

    (X, y), (T, t) = draw(500), draw(500)
    model = GromovWasserstein().fit(X, y, T @ turn)
    assert (model.predict(T @ turn) == t).mean() > 0.95
    assert [one.what for one in model.decisions_][-1] == "adapted unjudged"
    assert "experimental" in model.decisions_[0].what


def test_heterogeneous_gromov_turns_axes_by_labels() -> None:
    rng = np.random.default_rng(1)
    X, T = rng.normal(size=(2, 400, 1))  # symmetric: skewness says nothing
    y, t = (X[:, 0] > 0).astype(int), (T[:, 0] > 0).astype(int)
    for sign in (1.0, -1.0):
        model = GromovWasserstein(guarded=False).fit(X, y, sign * T, some(t, 6))
        assert (model.predict(sign * T) == t).mean() > 0.95


def test_heterogeneous_label_space_carries_the_likeness_of_classes_over() -> None:
    X, y, T, t = views(400, 400)
    model = SharedLabelSpace(guarded=False).fit(X, y, T, some(t, 20))
    assert (model.predict(T[20:]) == t[20:]).mean() > 0.8
    one = SharedLabelSpace(guarded=False).fit(X, y, T, some(t, 4))  # a label a class
    assert (one.predict(T[4:]) == t[4:]).mean() > 0.6


@pytest.mark.parametrize("cls", [CrossDomainStructure, SharedLabelSpace, GromovWasserstein])
def test_heterogeneous_form_takes_rows_as_they_are(cls: type) -> None:
    X, y, T, t = views(60, 30)
    known = some(t, 12)
    plain = cls(guarded=False).fit(X, y, T, known)
    moved = cls(guarded=False).fit(X * 100 - 7, y, T * [1e-3, 10, 1, 1] + 5, known)
    found = moved.predict_proba(T * [1e-3, 10, 1, 1] + 5)
    np.testing.assert_allclose(plain.predict_proba(T), found, atol=1e-5)
    assert isinstance(plain.form_, LinearForm)
