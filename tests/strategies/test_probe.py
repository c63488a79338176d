"""The linear probe: its choice, its probabilities, its options."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.metrics import log_loss

from headstart.core.errors import DataError, OptionError
from headstart.strategies import LinearProbe, LinearProbeRegressor, probe
from headstart.strategies.frozen import encode_classes, row_weights, stratified_folds


def mixture(
    n: int, d: int, k: int, *, spread: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % k
    centres = np.random.default_rng(1000 + k).normal(size=(k, d)) * spread
    return centres[codes] + rng.normal(size=(n, d)), codes


def test_many_classes_on_few_axes_need_logistic() -> None:
    # indicators of 30 classes on a circle: ridge masks all classes between others
    def circle(seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        codes = np.arange(600) % 30
        angle = 2 * np.pi * codes / 30
        return np.c_[np.cos(angle), np.sin(angle)] ** 3 + rng.normal(size=(600, 2)) * 0.02, codes

    X, codes = circle(0)
    fresh, truth = circle(1)
    model = LinearProbe().fit(X, codes)
    assert model.head_ == "logistic"
    forced = LinearProbe(head="ridge").fit(X, codes)
    assert model.score(fresh, truth) > forced.score(fresh, truth) + 0.1
    assert "ridge" in model.decision_.why


def test_the_choice_is_the_one_with_the_better_held_out_rows() -> None:
    right = np.array([True] * 90 + [False] * 10)
    worse = np.array([True] * 60 + [False] * 40)
    ridge = probe._Tried("ridge", 1.0, 1.0, right, 0.5)
    assert probe._choose([ridge, probe._Tried("logistic", 1.0, 1.0, worse, 0.1)]) is ridge
    even = [
        probe._Tried("logistic", C, 1.0, right[::-1], loss) for C, loss in ((1, 0.4), (9, 0.403))
    ]
    assert probe._choose([ridge, *even]) is even[1]
    assert probe._choose([ridge]) is ridge


def test_logistic_is_left_out_where_it_cannot_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    X, codes = mixture(60, 4, 3, spread=20.0)
    settled = LinearProbe().fit(X, codes)
    assert settled.head_ == "ridge"
    assert "logistic regression was not tried" in settled.decision_.why
    X, codes = mixture(60, 4, 3)
    monkeypatch.setattr(probe, "LOGISTIC_LIMIT", 100)
    assert LinearProbe().fit(X, codes).head_ == "ridge"


def test_ridge_head_is_ridge_classifier_cv() -> None:
    X, codes = mixture(150, 10, 4)
    fresh, _ = mixture(150, 10, 4, seed=1)
    alphas = np.logspace(-2, 3, 11)
    # targets 0/1 in place of -1/+1: the same decision with half the scores
    ours = LinearProbe(head="ridge", alphas=alphas).fit(X, codes)
    theirs = RidgeClassifierCV(alphas=alphas).fit(X, codes)
    assert ours.penalty_ == theirs.alpha_
    factor = ours.coef_[0, 0] / theirs.coef_[0, 0]
    np.testing.assert_allclose(ours.coef_, theirs.coef_.T * factor, rtol=1e-6, atol=1e-9)
    assert np.array_equal(ours.predict(fresh), theirs.predict(fresh))


def test_logistic_head_is_logistic_regression() -> None:
    X, codes = mixture(150, 10, 4)
    fresh, _ = mixture(400, 10, 4, seed=1)
    ours = LinearProbe(head="logistic", Cs=[0.5]).fit(X, codes)
    theirs = LogisticRegression(C=0.5, tol=1e-8, max_iter=5000).fit(X, codes)
    assert ours.penalty_ == 0.5
    assert (ours.predict(fresh) == theirs.predict(fresh)).mean() > 0.995


@pytest.mark.parametrize("head", ["ridge", "logistic", "auto"])
@pytest.mark.parametrize("k", [2, 6])
def test_probabilities_mean_what_they_say(head: str, k: int) -> None:
    X, codes = mixture(240, 12, k, spread=0.6)
    fresh, truth = mixture(3000, 12, k, spread=0.6, seed=1)
    model = LinearProbe(head=head).fit(X, codes)
    probabilities = model.predict_proba(fresh)
    right = (probabilities.argmax(axis=1) == truth).mean()
    assert abs(probabilities.max(axis=1).mean() - right) < 0.05
    best = LogisticRegression(C=0.1).fit(X, codes)
    assert log_loss(truth, probabilities) < log_loss(truth, best.predict_proba(fresh)) * 1.15


def test_noise_gets_the_guess_it_deserves() -> None:
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(80, 200)), np.arange(80) % 2
    probabilities = LinearProbe().fit(X, codes).predict_proba(rng.normal(size=(200, 200)))
    assert probabilities.max(axis=1).mean() < 0.75


def test_scale_of_the_features_does_not_matter() -> None:
    X, codes = mixture(90, 8, 3)
    small = LinearProbe().fit(X, codes)
    large = LinearProbe().fit(X * 1e4 + 7, codes)
    assert large.head_ == small.head_
    np.testing.assert_allclose(
        large.predict_proba(X * 1e4 + 7), small.predict_proba(X), rtol=1e-2, atol=1e-3
    )


def test_class_weights() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(220, 3))
    codes = np.r_[np.zeros(200, int), np.ones(20, int)]
    X[200:, 0] += 1.5
    rare = {
        weight: (LinearProbe(class_weight=weight).fit(X, codes).predict(X) == 1).sum()
        for weight in (None, "balanced")
    }
    assert rare["balanced"] > rare[None] + 20
    same = LinearProbe(class_weight={0: 220 / 400, 1: 220 / 40}).fit(X, codes)
    assert (same.predict(X) == 1).sum() == rare["balanced"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"head": "tree"},
        {"alphas": [0.0, 1.0]},
        {"alphas": []},
        {"Cs": [-1.0]},
        {"Cs": [np.nan]},
        {"class_weight": "even"},
        {"class_weight": {0: -1.0}},
    ],
)
def test_wrong_options(wrong: dict[str, object]) -> None:
    X, codes = mixture(40, 4, 2, spread=0.3)
    with pytest.raises(OptionError, match=next(iter(wrong))):
        LinearProbe(**wrong).fit(X, codes)


def test_wrong_penalties_of_the_regressor() -> None:
    with pytest.raises(OptionError, match="alphas"):
        LinearProbeRegressor(alphas=[-1.0]).fit([[0.0], [1.0]], [0.0, 1.0])


@pytest.mark.parametrize("head", ["auto", "ridge", "logistic"])
def test_one_row_a_class_says_so(head: str) -> None:
    X, codes = mixture(12, 30, 12, spread=3.0)
    model = LinearProbe(head=head).fit(X, codes)
    fresh, truth = mixture(120, 30, 12, spread=3.0, seed=1)
    assert model.score(fresh, truth) > 0.95
    assert "nothing can be held out" in model.decision_.why
    fixed = LinearProbe(head="logistic", Cs=[1.0, 5.0, 9.0]).fit(X, codes)
    assert fixed.penalty_ == 5.0


def test_folds_are_stratified_and_keep_lone_rows_in_training() -> None:
    codes = np.array([0] * 10 + [1] * 5 + [2] + [3] * 2)
    folds = stratified_folds(codes, 5, 0)
    assert np.bincount(folds[codes == 0]).tolist() == [2] * 5
    assert np.bincount(folds[codes == 1]).tolist() == [1] * 5
    assert folds[codes == 2].tolist() == [-1]
    assert len(set(folds[codes == 3])) == 2
    assert np.array_equal(folds, stratified_folds(codes, 5, 0))
    assert not np.array_equal(folds, stratified_folds(codes, 5, 1))


def test_labels_that_cannot_be_sorted() -> None:
    with pytest.raises(DataError, match="different types"):
        encode_classes(np.array(["a", 1], dtype=object))


def test_row_weights_are_balanced() -> None:
    weights = row_weights(np.array([0, 0, 0, 1]), np.array(["a", "b"]), "balanced")
    np.testing.assert_allclose(weights, [2 / 3, 2 / 3, 2 / 3, 2.0])


def test_the_decision_survives_the_state() -> None:
    model = LinearProbe().fit(*mixture(60, 4, 3))
    assert LinearProbe.from_state(model.to_state()).decision_ == model.decision_
    assert "forces the other" in str(model.decision_)
