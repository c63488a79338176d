"""Prototypes against a direct reading of SimpleShot, and the temperature by leaving one out."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax
from sklearn.neighbors import NearestCentroid

from headstart.strategies import Prototypes
from headstart.strategies.temper import log_loss, sharpness


def problem(n: int = 60, d: int = 5, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    codes = np.arange(n) % k
    return rng.normal(size=(k, d))[codes] + rng.normal(size=(n, d)) + 4.0, codes


def normalised(X: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return (X - centre) / np.linalg.norm(X - centre, axis=1, keepdims=True)


def test_same_as_nearest_centroid_on_centred_normalised_rows() -> None:
    X, codes = problem()
    fresh = np.random.default_rng(9).normal(size=(50, 5)) + 4.0
    model = Prototypes().fit(X, codes)
    centre = X.mean(axis=0)
    theirs = NearestCentroid().fit(normalised(X, centre), codes)
    np.testing.assert_allclose(model.prototypes_, theirs.centroids_, rtol=1e-10)
    assert np.array_equal(model.predict(fresh), theirs.predict(normalised(fresh, centre)))
    distance = ((normalised(fresh, centre)[:, None] - theirs.centroids_) ** 2).sum(axis=2)
    expected = softmax(-model.sharpness_ * distance, axis=1)
    np.testing.assert_allclose(model.predict_proba(fresh), expected, rtol=1e-8)


def test_the_temperature_has_the_least_leave_one_out_log_loss() -> None:
    X, codes = problem()
    rows = normalised(X, X.mean(axis=0))
    scores = np.empty((60, 3))
    for i in range(60):
        rest = np.arange(60) != i
        for c in range(3):
            mean = rows[rest & (codes == c)].mean(axis=0)
            scores[i, c] = -((rows[i] - mean) ** 2).sum()
    found = Prototypes().fit(X, codes).sharpness_
    losses = {f: log_loss(f * found * scores, codes, smooth=1 / 62) for f in (0.9, 1.0, 1.1)}
    assert min(losses, key=losses.__getitem__) == 1.0


def test_scale_and_shift_of_the_features_do_not_matter() -> None:
    X, codes = problem()
    base = Prototypes().fit(X, codes).predict_proba(X)
    np.testing.assert_allclose(Prototypes().fit(X * 9 - 2, codes).predict_proba(X * 9 - 2), base)


def test_sharpness_recovers_a_known_temperature() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4000, 4)) * 2
    codes = np.array([rng.choice(4, p=softmax(row)) for row in logits])
    np.testing.assert_allclose(sharpness(logits / 7.0, codes), 7.0, rtol=0.06)


def test_sharpness_of_nothing() -> None:
    assert sharpness(np.zeros((0, 3)), np.zeros(0, dtype=int)) == 1.0
    assert sharpness(np.zeros((3, 2)), np.array([0, 1, 0])) == 1.0
    assert sharpness(np.ones((3, 1)), np.zeros(3, dtype=int)) == 1.0


def test_rows_without_an_error_do_not_make_certain() -> None:
    scores = np.eye(2)[[0, 1, 0, 1]]
    confidence = softmax(sharpness(scores, np.array([0, 1, 0, 1])) * scores, axis=1).max()
    assert 0.8 < confidence < 0.95


def test_the_centre_is_between_the_classes_however_many_rows_they_have() -> None:
    X = np.array([[0.0, 0.0]] * 9 + [[4.0, 2.0]])
    model = Prototypes().fit(X, [0] * 9 + [1])
    np.testing.assert_allclose(model.centre_, [2.0, 1.0])
    assert model.predict(X).tolist() == [0] * 9 + [1]
