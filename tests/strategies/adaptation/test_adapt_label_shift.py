"""Label shift: EM and BBSE against numerical solvers, the tests that guard them, what they help."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax
from shifts import conditional, covariate, gains, label, none, subspace
from sklearn.linear_model import LogisticRegression

from headstart.core.errors import OptionError
from headstart.strategies.adaptation import BBSE, LabelShiftEM, SourceOnly, priors
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.priors import (
    bbse_weights,
    calibrate,
    confusion,
    em_prior,
    held_out,
    likelihood_p,
    log_likelihood,
    logs,
    mixture_p,
    on_simplex,
    sampled,
)

BOTH = pytest.mark.parametrize("adapter", [LabelShiftEM, BBSE])


def posteriors(seed, m=300, k=4):
    rng = np.random.default_rng(seed)
    found = np.exp(log_softmax(2.0 * rng.normal(size=(m, k)) + rng.normal(size=k), axis=1))
    return found, rng.dirichlet(np.full(k, 5.0))


def numerical_maximum(ratios, known):
    """Maximise the likelihood over a softmax of free numbers, without any EM."""

    def loss(theta):
        prior = np.exp(log_softmax(theta))
        return -log_likelihood(ratios, prior, known)

    start = np.zeros(ratios.shape[1])
    found = minimize(loss, start, method="BFGS", options={"gtol": 1e-7, "maxiter": 2000}).x
    return np.exp(log_softmax(found))


@settings(deadline=None, derandomize=True, max_examples=12)
@given(st.integers(0, 10_000), st.integers(2, 5), st.booleans())
def test_em_is_the_numerical_maximum(seed, k, some_known):
    chances, before = posteriors(seed, k=k)
    known = np.arange(1.0, k + 1) if some_known else np.zeros(k)
    found = em_prior(chances, before, known=known)
    oracle = numerical_maximum(chances / before, known)
    assert np.isclose(found.sum(), 1.0)
    ratios = chances / before
    assert log_likelihood(ratios, found, known) >= log_likelihood(ratios, oracle, known) - 1e-6
    assert np.abs(found - oracle).max() < 1e-4  # as near as BFGS comes


def test_em_is_the_maximum_to_six_places():
    """Where it lies inside, by a solver that knows the simplex."""
    for seed in range(5):
        chances, before = posteriors(seed, m=2000)
        ratios = chances / before
        found = em_prior(chances, before)

        def loss(prior, ratios=ratios):
            inside = ratios @ prior
            return -np.log(inside).mean(), -(ratios / inside[:, None]).mean(axis=0)

        oracle = minimize(
            loss,
            before,
            jac=True,
            method="SLSQP",
            bounds=[(1e-9, 1.0)] * 4,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
            options={"ftol": 1e-16, "maxiter": 1000},
        ).x
        assert np.abs(found - oracle).max() < 1e-6


def test_em_takes_saerens_steps():
    """Its fixed point is that of the rounds in the paper, written out."""
    chances, before = posteriors(3)
    prior = before
    for _ in range(20_000):
        member = chances * prior / before
        prior = (member / member.sum(axis=1, keepdims=True)).mean(axis=0)
    assert np.abs(em_prior(chances, before) - prior).max() < 1e-7


def test_known_labels_alone_are_counted():
    found = em_prior(np.zeros((0, 3)), np.full(3, 1 / 3), known=np.array([6.0, 3.0, 1.0]))
    assert np.allclose(found, [0.6, 0.3, 0.1])


def test_calibration_is_the_numerical_minimum():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(400, 3)) * 3
    scores -= scores.mean(axis=1, keepdims=True)
    chances = np.exp(log_softmax(0.4 * scores + [0.5, 0.0, -0.5], axis=1))
    codes = np.array([rng.choice(3, p=row) for row in chances])
    truth = np.full((400, 3), 1 / 402 / 3)
    truth[np.arange(400), codes] += 1 - 1 / 402

    def loss(theta):
        return -(truth * log_softmax(theta[0] * scores + theta[1:], axis=1)).sum(axis=1).mean()

    oracle = minimize(loss, np.array([1.0, 0, 0, 0]), method="BFGS", options={"gtol": 1e-9}).x
    found = calibrate(scores, codes)
    assert found.sharpness == pytest.approx(oracle[0], abs=1e-3)
    assert np.allclose(found.bias, oracle[1:] - oracle[1:].mean(), atol=1e-3)
    assert found.sharpness == pytest.approx(0.4, abs=0.08)
    # at the minimum the mean prediction is the share of each class: the prior that EM starts from
    assert np.allclose(found(scores).mean(axis=0), np.bincount(codes) / 400, atol=2e-3)
    alone = calibrate(np.zeros((0, 3)), np.zeros(0, dtype=int))
    assert np.allclose(alone(scores), np.exp(log_softmax(scores, axis=1)))


def test_separable_scores_do_not_make_it_certain():
    scores = np.array([[5.0, -5.0], [-5.0, 5.0]] * 20)
    assert 1 - calibrate(scores, np.array([0, 1] * 20))(scores).max() > 1e-3


def test_bbse_is_the_constrained_least_squares():
    rng = np.random.default_rng(0)
    codes = rng.choice(3, 500, p=[0.5, 0.3, 0.2])
    raw = rng.normal(size=(500, 3))
    raw[np.arange(500), codes] += 2
    source = np.exp(log_softmax(raw, axis=1))
    for target in (source[codes == 2][:80], source[rng.permutation(500)[:200]]):
        table = confusion(source, codes, target)
        prior = np.bincount(codes) / 500
        oracle = minimize(
            lambda w, t=table: ((t.joint @ w - t.target) ** 2).sum() * 1e4,
            np.ones(3),
            bounds=[(0, None)] * 3,
            constraints={"type": "eq", "fun": lambda w, p=prior: w @ p - 1},
            method="SLSQP",
            options={"ftol": 1e-14},
        ).x
        found = bbse_weights(table)
        assert np.allclose(found, oracle, atol=1e-3)
        assert found @ prior == pytest.approx(1.0)


def test_the_nearest_mixture_is_the_numerical_one():
    rng = np.random.default_rng(0)
    for _ in range(5):
        root, cross = rng.normal(size=(9, 4)), rng.normal(size=4)
        gram = root.T @ root
        oracle = minimize(
            lambda w, g=gram, c=cross: w @ g @ w - 2 * c @ w,
            np.full(4, 0.25),
            bounds=[(0, None)] * 4,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-14},
        ).x
        assert np.allclose(on_simplex(gram, cross), oracle, atol=1e-4)


def mixture(seed, prior, bend=0.0, n=150, m=120):
    rng = np.random.default_rng(seed)
    codes, other = rng.integers(0, 3, n), rng.choice(3, m, p=prior)
    spots = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    target = rng.normal(size=(m, 2)) + spots[other] + bend * (other == 1)[:, None]
    return rng.normal(size=(n, 2)) + spots[codes], codes, target


def test_the_test_keeps_its_level_and_has_power():
    alike = [mixture_p(*mixture(seed, [0.1, 0.2, 0.7]), seed) for seed in range(40)]
    assert np.mean(np.array(alike) < 0.05) <= 0.125  # 2 of 40 by chance
    assert np.mean(np.array(alike) < 0.5) > 0.2  # and it is no test that never speaks
    moved = [mixture_p(*mixture(seed, [0.3, 0.4, 0.3], bend=1.0), seed) for seed in range(10)]
    assert np.mean(np.array(moved) < 0.05) > 0.9


def test_held_out_scores_are_those_of_models_that_have_not_seen_the_row():
    Xs, ys, Xt, _ = none(60, 0)
    seen = []

    def fit(X, codes):
        seen.append({row.tobytes() for row in X})
        fold = len(seen)

        class Form:
            def probabilities(self, rows):
                assert not any(row.tobytes() in seen[fold - 1] for row in rows)
                return np.full((len(rows), 3), 1 / 3)

        return Form()

    found = held_out(Xs, ys, Xt, fit, 0)
    assert len(seen) == 5
    assert found.source.shape == (60, 3)
    assert found.target.shape == (60, 3)
    assert np.isfinite(logs(np.array([[1.0, 0.0]]))).all()


@BOTH
def test_it_helps_under_label_shift_and_does_nothing_without(adapter):
    found = gains(adapter, label, seeds=range(5))
    assert found.mean() > 0.015
    assert found.min() > -0.01
    assert np.abs(gains(adapter, none)).max() < 0.015


@BOTH
@pytest.mark.parametrize("shift", [conditional, covariate, subspace])
def test_other_shifts_are_told_from_label_shift(adapter, shift):
    assert (gains(adapter, shift, seeds=range(2)) == 0.0).all()
    Xs, ys, Xt, _ = shift(400, 0)
    model = adapter().fit(Xs, ys, Xt)
    assert "not label shift" in model.decisions_[0].why
    assert np.allclose(model.target_prior_, np.bincount(ys) / 400)


def test_without_its_guard_em_wrecks_a_conditional_shift():
    """The harm that the guard prevents is real: 2 classes, of which one moves onto the other."""
    lost = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        y, z = np.arange(400) % 2, np.arange(400) % 2
        X = rng.normal(size=(400, 4)) + np.outer(y, [2.5, 0, 0, 0])
        T = rng.normal(size=(400, 4)) + np.outer(z, [2.5, 0, 0, 0]) + [1.4, 0, 0, 0]
        plain = SourceOnly().fit(X, y, T).score(T, z)
        lost.append(LabelShiftEM(level=0).fit(X, y, T).score(T, z) - plain)
        guarded = LabelShiftEM().fit(X, y, T)
        assert guarded.score(T, z) == plain
        assert "not label shift" in guarded.decisions_[0].why
    assert np.mean(lost) < -0.05


def test_the_prior_is_found():
    Xs, ys, Xt, yt = label(800, 1)
    truth = np.bincount(yt, minlength=3) / 800
    for model in (LabelShiftEM().fit(Xs, ys, Xt), BBSE().fit(Xs, ys, Xt)):
        assert np.abs(model.target_prior_ - truth).max() < 0.05
        assert model.target_prior_.sum() == pytest.approx(1.0)


def test_no_difference_leaves_the_model_to_the_bit():
    Xs, ys, Xt, _ = none(300, 0)
    plain = SourceOnly().fit(Xs, ys, Xt)
    for adapter in (LabelShiftEM, BBSE):
        model = adapter().fit(Xs, ys, Xt)
        assert np.array_equal(model.predict_proba(Xt), plain.predict_proba(Xt))
        assert "level=" in str(model.decisions_[0])
    p = likelihood_p(np.full((9, 2), 0.5), np.full(2, 0.5), np.full(2, 0.5), np.zeros(2))
    assert p == 1.0


def test_bbse_refuses_classes_that_it_cannot_tell_apart():
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(300, 3)), rng.normal(size=(300, 3))
    model = BBSE().fit(X, rng.integers(0, 3, 300), T)
    assert "cannot tell the classes apart" in model.decisions_[0].why
    assert (model.class_weights_ == 1).all()


def test_bbse_bounds_its_weights():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [380, 20])
    X, T = rng.normal(size=(400, 1)) + 5 * y[:, None], rng.normal(size=(400, 1)) + 5
    model = BBSE(max_weight=3.0).fit(X, y, T)
    assert model.class_weights_[1] / model.class_weights_[0] <= 9.0 + 1e-9
    assert "kept within 1/3 and 3" in model.decisions_[0].why


def test_known_labels_of_the_target_count():
    Xs, ys, Xt, yt = label(300, 2)
    free = LabelShiftEM().fit(Xs, ys, Xt).target_prior_
    every = LabelShiftEM().fit(Xs, ys, Xt, yt).target_prior_
    truth = np.bincount(yt, minlength=3) / 300
    assert np.allclose(every, truth)
    assert not np.allclose(free, truth)


@BOTH
def test_a_learner_of_ones_own(adapter):
    Xs, ys, Xt, yt = label(400, 1)
    own = adapter(estimator=LogisticRegression()).fit(Xs, ys, Xt)
    assert own.score(Xt, yt) == pytest.approx(adapter().fit(Xs, ys, Xt).score(Xt, yt), abs=0.01)
    assert np.allclose(own.predict_proba(Xt).sum(axis=1), 1.0)
    assert not isinstance(own.form_, LinearForm)
    with pytest.raises(OptionError, match="cannot be saved"):
        own.to_state()
    assert own.form_.arrays() == {}


@pytest.mark.parametrize(
    ("model", "where"),
    [
        (LabelShiftEM(level=1.0), "level"),
        (BBSE(level=-0.1), "level"),
        (BBSE(max_weight=1.0), "max_weight"),
        (BBSE(min_singular=1.0), "min_singular"),
    ],
)
def test_parameters_out_of_range(model, where):
    Xs, ys, Xt, _ = none(30, 0)
    with pytest.raises(OptionError) as caught:
        model.fit(Xs, ys, Xt)
    assert caught.value.where == where


def test_a_sample_keeps_each_class_and_its_share():
    codes = np.repeat([0, 1, 2, 3], [6000, 3000, 990, 10])
    some = sampled(codes, 1000, 0)
    assert np.bincount(codes[some]).tolist() == [600, 300, 99, 2]
    assert np.array_equal(some, np.unique(some))
    assert np.array_equal(some, sampled(codes, 1000, 0))
    assert np.array_equal(sampled(codes, 10_000, 0), np.arange(10_000))


def test_a_large_source_is_held_out_in_part_and_that_is_said(monkeypatch):
    Xs, ys, Xt, yt = label(1500, 3)
    whole = LabelShiftEM().fit(Xs, ys, Xt)
    monkeypatch.setattr(priors, "MOST", 500)
    found = LabelShiftEM().fit(Xs, ys, Xt)
    assert "about 500 rows of the source tell" in str(found.decisions_[0])
    assert np.abs(found.target_prior_ - whole.target_prior_).max() < 0.05
    assert abs(found.score(Xt, yt) - whole.score(Xt, yt)) < 0.02
    assert "about 500 rows" in str(BBSE().fit(Xs, ys, Xt).decisions_[0])
