"""Each transferability score against a computation that shares nothing with it."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from headstart.core.errors import DataError, OptionError
from headstart.select import transferability
from headstart.select.transferability import gbc, h_score, leep, logme, nce


def blobs(n=60, d=5, classes=3, apart=1.0, seed=0):
    """Features whose classes lie ``apart`` from one another, and their labels."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % classes
    centres = rng.normal(size=(classes, d)) * apart
    x = centres[codes] + rng.normal(size=(n, d)) * rng.uniform(0.5, 2, size=d)
    return x.astype(np.float32), np.array([f"c{code}" for code in codes], dtype=object)


def said(n=50, z=7, seed=0):
    rng = np.random.default_rng(seed)
    found = rng.dirichlet(np.full(z, 0.4), size=n)
    return found, np.array(["x", "y", "z"], dtype=object)[(found.argmax(axis=1) + (seed % 2)) % 3]


def test_the_examples_print_what_they_say():
    found = doctest.testmod(transferability)
    assert found.attempted >= 10
    assert found.failed == 0


# --- against independent computations --------------------------------------------------------


def brute_logme(x, y):
    """Maximise the density of y under the full n x n Gaussian, from several starts."""
    x = x.astype(float)

    def minus(at):
        covariance = np.exp(-at[0]) * x @ x.T + np.exp(-at[1]) * np.eye(len(y))
        return -multivariate_normal(np.zeros(len(y)), covariance).logpdf(y) / len(y)

    starts = [(a, b) for a in (-3.0, 0.0, 4.0) for b in (-1.0, 2.0)]
    options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 4000}
    return -min(minimize(minus, s, method="Nelder-Mead", options=options).fun for s in starts)


@pytest.mark.parametrize(("n", "d", "apart"), [(40, 4, 1.0), (30, 3, 0.2), (18, 30, 1.0)])
def test_logme_is_the_maximum_of_the_evidence(n, d, apart):
    x, y = blobs(n, d, apart=apart)
    by_hand = np.mean([brute_logme(x, (y == name).astype(float)) for name in np.unique(y)])
    assert logme(x, y) == pytest.approx(by_hand, abs=1e-5)


def test_logme_of_numbers_is_the_maximum_of_the_evidence():
    x, _ = blobs(40, 4)
    y = x @ [1.0, -2.0, 0.0, 0.5] + np.random.default_rng(1).normal(size=40)
    assert logme(x, y, kind="regression") == pytest.approx(brute_logme(x, y), abs=1e-6)


def test_logme_is_where_the_papers_iteration_ends():
    x, names = blobs(200, 6)
    x = x.astype(float)
    y = (names == "c1").astype(float)
    alpha, beta = 1.0, 1.0
    for _ in range(2000):
        precision = alpha * np.eye(6) + beta * x.T @ x
        mean = beta * np.linalg.solve(precision, x.T @ y)
        values = beta * np.linalg.eigvalsh(x.T @ x)
        gamma = (values / (alpha + values)).sum()
        alpha = gamma / (mean @ mean)
        beta = (200 - gamma) / ((y - x @ mean) ** 2).sum()
    precision = alpha * np.eye(6) + beta * x.T @ x
    mean = beta * np.linalg.solve(precision, x.T @ y)
    evidence = (
        100 * math.log(beta)
        + 3 * math.log(alpha)
        - 100 * math.log(2 * math.pi)
        - beta / 2 * ((y - x @ mean) ** 2).sum()
        - alpha / 2 * mean @ mean
        - np.linalg.slogdet(precision)[1] / 2
    )
    assert logme(x, y, kind="regression") == pytest.approx(evidence / 200, abs=1e-7)


def test_h_score_is_the_trace_formula():
    x, y = blobs(50, 6)
    centred = x.astype(float) - x.astype(float).mean(axis=0)
    means = np.zeros_like(centred)
    for i in range(len(y)):
        means[i] = centred[[j for j in range(len(y)) if y[j] == y[i]]].mean(axis=0)
    by_hand = np.trace(np.linalg.pinv(centred.T @ centred) @ (means.T @ means))
    assert h_score(x, y, shrinkage=False) == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(50, 6), (20, 40), (30, 1)])
def test_shrunk_h_score_uses_the_shrinkage_of_scikit_learn(n, d):
    from sklearn.covariance import ledoit_wolf

    x, y = blobs(n, d)
    centred = x.astype(float) - x.astype(float).mean(axis=0)
    shrunk, share = ledoit_wolf(centred, assume_centered=True)
    means = np.stack([centred[y == label].mean(axis=0) for label in y])
    by_hand = (1 - share) * np.trace(np.linalg.inv(shrunk) @ (means.T @ means / n))
    assert h_score(x, y) == pytest.approx(by_hand, rel=1e-9)


def test_leep_is_counted_item_by_item():
    probabilities, y = said()
    n, z = probabilities.shape
    joint = {(label, k): 0.0 for label in set(y) for k in range(z)}
    for i in range(n):
        for k in range(z):
            joint[y[i], k] += probabilities[i, k] / n
    total = 0.0
    for i in range(n):
        found = 0.0
        for k in range(z):
            whole = sum(joint[label, k] for label in set(y))
            found += joint[y[i], k] / whole * probabilities[i, k]
        total += math.log(found)
    assert leep(probabilities, y) == pytest.approx(total / n, rel=1e-12)


def test_nce_is_counted_item_by_item():
    probabilities, y = said()
    source = probabilities.argmax(axis=1)
    total = 0.0
    for i in range(len(y)):
        alike = [j for j in range(len(y)) if source[j] == source[i]]
        total += math.log(sum(y[j] == y[i] for j in alike) / len(alike))
    assert nce(source, y) == pytest.approx(total / len(y), rel=1e-12)


@pytest.mark.parametrize("covariance", ["spherical", "diagonal"])
@pytest.mark.parametrize(("n", "d"), [(60, 5), (24, 90)])
def test_gbc_is_the_closed_form_pair_by_pair(covariance, n, d):
    from sklearn.decomposition import PCA

    x, y = blobs(n, d)
    reduced = PCA(min(64, n - 1, d), svd_solver="full").fit_transform(x.astype(float))
    floor = 1e-4 * reduced.var(axis=0).mean()
    total = 0.0
    for one in np.unique(y):
        for other in np.unique(y):
            if one == other:
                continue
            a, b = reduced[y == one], reduced[y == other]
            va, vb = a.var(axis=0), b.var(axis=0)
            if covariance == "spherical":
                va, vb = np.full_like(va, va.mean()), np.full_like(vb, vb.mean())
            va, vb = np.diag(np.maximum(va, floor)), np.diag(np.maximum(vb, floor))
            middle, gap = (va + vb) / 2, a.mean(axis=0) - b.mean(axis=0)
            distance = gap @ np.linalg.inv(middle) @ gap / 8 + 0.5 * (
                np.linalg.slogdet(middle)[1]
                - 0.5 * (np.linalg.slogdet(va)[1] + np.linalg.slogdet(vb)[1])
            )
            total += math.exp(-distance)
    assert gbc(x, y, covariance=covariance) == pytest.approx(-total, rel=1e-9, abs=1e-12)


# --- what every score must do ----------------------------------------------------------------

SCORES = {
    "logme": logme,
    "h_score": h_score,
    "h_score plain": lambda x, y: h_score(x, y, shrinkage=False),
    "gbc": gbc,
    "gbc diagonal": lambda x, y: gbc(x, y, covariance="diagonal"),
}
SAID = {"leep": leep, "nce": lambda p, y: nce(p.argmax(axis=1), y)}


@pytest.mark.parametrize("name", [*SCORES, *SAID])
def test_neither_the_order_of_items_nor_the_names_of_classes_matter(name):
    x, y = blobs(40, 8) if name in SCORES else said(40)
    score = {**SCORES, **SAID}[name]
    order = np.random.default_rng(3).permutation(len(y))
    renamed = np.array([{"c0": "z", "c1": "a", "c2": "m"}.get(v, f"q{v}") for v in y])
    assert score(x[order], y[order]) == pytest.approx(score(x, y), rel=1e-9)
    assert score(x, renamed) == pytest.approx(score(x, y), rel=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_classes_further_apart_score_higher(name):
    near, far = (SCORES[name](*blobs(60, 8, apart=apart)) for apart in (0.3, 2.0))
    assert far > near


@pytest.mark.parametrize("name", [*SCORES, *SAID])
def test_labels_that_mean_something_score_higher_than_shuffled_ones(name):
    x, y = blobs(90, 8) if name in SCORES else said(90)
    score = {**SCORES, **SAID}[name]
    rng = np.random.default_rng(0)
    assert score(x, y) > max(score(x, rng.permutation(y)) for _ in range(5))


@pytest.mark.parametrize("name", SCORES)
def test_rotating_the_features_changes_nothing(name):
    x, y = blobs(40, 8)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    if name == "gbc diagonal":  # its directions are the principal ones: 64 of them or none
        assert gbc(x @ turn, y, covariance="diagonal") == pytest.approx(SCORES[name](x, y))
    else:
        assert SCORES[name](x.astype(float) @ turn, y) == pytest.approx(SCORES[name](x, y))


@pytest.mark.parametrize("name", ["h_score", "h_score plain", "gbc", "gbc diagonal"])
@pytest.mark.parametrize("size", [1e-9, 1e6])
def test_the_unit_of_the_features_does_not_matter(name, size):
    x, y = blobs(40, 8)
    found = SCORES[name](x.astype(float) * size, y)
    assert found == pytest.approx(SCORES[name](x, y), rel=1e-6)


def test_ranges():
    x, y = blobs(60, 8, apart=50.0)
    assert 1.9 < h_score(x, y, shrinkage=False) <= 2
    assert gbc(x, y) == pytest.approx(0, abs=1e-9)
    x = np.tile(blobs(20, 8)[0], (3, 1))  # three classes of the very same items
    y = np.repeat(["a", "b", "c"], 20)
    assert gbc(x, y) == pytest.approx(-6)
    assert h_score(x, y) == pytest.approx(0, abs=1e-12)
    source = np.tile([0, 1], 30)
    assert nce(source, y) == pytest.approx(-math.log(3))
    assert nce(y, y) == 0
    assert leep(np.eye(3)[[0, 1, 2] * 4], ["a", "b", "c"] * 4) == 0


# --- degenerate input ------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1])
def test_constant_features_tell_nothing(value):
    x, y = np.full((12, 4), value, np.float32), np.array(["a", "b", "c"] * 4)
    assert h_score(x, y) == 0
    assert h_score(x, y, shrinkage=False) == 0
    assert gbc(x, y) == -6
    assert math.isfinite(logme(x, y))
    assert leep(np.full((12, 4), 0.25), y) == pytest.approx(-math.log(3))


@pytest.mark.parametrize("name", [*SCORES, *SAID])
def test_one_item_a_class_has_a_score(name):
    x, y = (blobs(6, 4)[0] if name in SCORES else said(6)[0]), np.array(list("abcdef"))
    assert math.isfinite({**SCORES, **SAID}[name](x, y))


@pytest.mark.parametrize("name", [*SCORES, *SAID])
def test_every_item_twice_is_no_news_to_most_scores_and_breaks_none(name):
    x, y = blobs(30, 6) if name in SCORES else said(30)
    score = {**SCORES, **SAID}[name]
    twice = score(np.concatenate([x, x]), np.concatenate([y, y]))
    if name in ("logme", "h_score"):  # evidence and shrinkage know how many items there are
        assert math.isfinite(twice)
    else:
        assert twice == pytest.approx(score(x, y), rel=1e-9)


def test_h_score_without_shrinkage_says_nothing_with_more_features_than_items():
    noise = np.random.default_rng(0).normal(size=(20, 50))
    y = np.array(["a", "b"] * 10)
    assert h_score(noise, y, shrinkage=False) == pytest.approx(1)
    assert h_score(noise, y) < 0.5


def test_labels_that_the_features_give_exactly_have_a_finite_evidence():
    y = np.array(["a", "b", "c"] * 10)
    exact = np.eye(3)[np.arange(30) % 3]
    assert math.isfinite(logme(exact, y))
    assert logme(exact, y) > logme(blobs(30, 3)[0], y) + 5


X, Y = blobs(12, 3)
BAD = {
    "NaN": (lambda: logme(np.where(np.arange(36).reshape(12, 3) == 7, np.nan, X), Y), "row 2"),
    "infinite": (lambda: gbc(X / np.array([1, 1, 0.0]), Y), "finite"),
    "no numbers": (lambda: h_score(np.array([["a"], ["b"]]), ["a", "b"]), "must be numbers"),
    "flat": (lambda: h_score(X[:, 0], Y), "a row for each item"),
    "no items": (lambda: gbc(X[:0], Y[:0]), "a row for each item"),
    "too few labels": (lambda: gbc(X, Y[:5]), "one entry for each item"),
    "one class": (lambda: logme(X, ["a"] * 12), "2 classes or more"),
    "one class, nce": (lambda: nce([1, 2], ["a", "a"]), "2 classes or more"),
    "numbers, length": (lambda: logme(X, np.ones(3), kind="regression"), "one entry for each"),
    "numbers, equal": (lambda: logme(X, np.ones(12), kind="regression"), "not all equal"),
    "numbers, NaN": (lambda: logme(X, [math.nan, *range(11)], kind="regression"), "finite"),
    "numbers, names": (lambda: logme(X, Y, kind="regression"), "must be numbers"),
    "sum": (lambda: leep(np.full((12, 2), 0.4), Y), "add up to 1"),
    "negative": (lambda: leep(np.tile([1.5, -0.5], (12, 1)), Y), "not be negative"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_scored_is_refused(name):
    call, says = BAD[name]
    with np.errstate(divide="ignore"), pytest.raises(DataError, match=says):
        call()


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(OptionError, match="unknown kind"):
        logme(X, Y, kind="ranking")
    with pytest.raises(OptionError, match="unknown covariance"):
        gbc(X, Y, covariance="full")
    with pytest.raises(OptionError, match="at least 1 component"):
        gbc(X, Y, components=0)
