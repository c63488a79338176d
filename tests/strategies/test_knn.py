"""k-nearest neighbours against scikit-learn, and its leave-one-out against leaving one out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from headstart.core.errors import OptionError
from headstart.strategies import KNearest, KNearestRegressor, knn


def problem(n: int = 90, d: int = 6, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    codes = np.arange(n) % k
    return rng.normal(size=(k, d))[codes] * 1.2 + rng.normal(size=(n, d)), codes


def oracle(kind: type, k: int, X: np.ndarray, y: np.ndarray) -> tuple[object, np.ndarray]:
    centre = X.mean(axis=0)

    def weights(distance: np.ndarray) -> np.ndarray:
        return ((2.0 - distance) / 2.0) ** 2 + 1e-9

    model = kind(n_neighbors=k, metric="cosine", weights=weights, algorithm="brute")
    return model.fit(X - centre, y), centre


@pytest.mark.parametrize("k", [1, 4, 25, 80])
def test_same_as_scikit_learn_on_centred_rows(k: int) -> None:
    X, codes = problem()
    fresh = np.random.default_rng(6).normal(size=(40, 6))
    model = KNearest(n_neighbors=k).fit(X, codes)
    theirs, centre = oracle(KNeighborsClassifier, k, X, codes)
    np.testing.assert_allclose(
        model.predict_proba(fresh), theirs.predict_proba(fresh - centre), atol=1e-5
    )
    values = X @ np.arange(6.0)
    regressor = KNearestRegressor(n_neighbors=k).fit(X, values)
    theirs, centre = oracle(KNeighborsRegressor, k, X, values)
    np.testing.assert_allclose(
        regressor.predict(fresh), theirs.predict(fresh - centre), rtol=1e-4, atol=1e-4
    )


def test_the_chosen_k_has_the_least_leave_one_out_error() -> None:
    X, codes = problem()
    chosen = KNearest().fit(X, codes).n_neighbors_
    rows = knn.unit_rows(X, X.mean(axis=0)).astype(float)
    similar = rows @ rows.T
    np.fill_diagonal(similar, -np.inf)
    order = np.argsort(-similar, axis=1, kind="stable")
    errors = {}
    for k in [k for k in knn.NEIGHBOURS if k < len(X)]:
        votes = np.zeros((len(X), 3))
        for i in range(len(X)):
            for j in order[i, :k]:
                votes[i, codes[j]] += ((1 + similar[i, j]) / 2) ** 2
        votes /= votes.sum(axis=1, keepdims=True)
        squared = ((votes - np.eye(3)[codes]) ** 2).sum()
        errors[k] = ((votes.argmax(axis=1) != codes).sum(), squared)
    assert chosen == min(errors, key=errors.__getitem__)
    assert chosen > 1


def test_regression_chooses_more_neighbours_where_there_is_more_noise() -> None:
    X, _ = problem()
    smooth = X[:, 0]
    noisy = smooth + np.random.default_rng(0).normal(size=len(X)) * 5
    few = KNearestRegressor().fit(X, smooth).n_neighbors_
    assert few < KNearestRegressor().fit(X, noisy).n_neighbors_


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, codes = problem()
    whole = KNearest().fit(X, codes)
    expected = whole.predict_proba(X)
    monkeypatch.setattr(knn, "BLOCK_NUMBERS", 1000)
    parts = KNearest().fit(X, codes)
    assert parts.n_neighbors_ == whole.n_neighbors_
    np.testing.assert_allclose(parts.predict_proba(X), expected, rtol=1e-12, atol=1e-12)


def test_ties_go_to_the_row_stored_first() -> None:
    stored = knn.unit_rows(np.repeat(np.eye(2), 20, axis=0), np.zeros(2))
    for rows in (slice(0, 1), slice(0, 3)):
        queries = stored[rows]
        (_, order, similarity), *_ = knn.nearest(queries, stored, 3)
        assert order.tolist() == [[0, 1, 2]] * len(queries)
        assert (similarity == 1.0).all()


def test_opposite_neighbours_still_vote() -> None:
    model = KNearest(n_neighbors=1).fit([[1.0, 0.0], [-1.0, 0.0]], [0, 1])
    model.features_ = model.features_[:1]
    model.codes_ = model.codes_[:1]
    assert model.predict_proba([[-5.0, 0.0]]).tolist() == [[1.0, 0.0]]


def test_a_row_at_the_centre_is_predicted() -> None:
    model = KNearest().fit([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.1], [-1.0, -0.1]], [0, 1, 0, 1])
    assert np.isfinite(model.predict_proba([model.centre_])).all()


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "3"])
@pytest.mark.parametrize("cls", [KNearest, KNearestRegressor])
def test_a_wrong_number_of_neighbours(cls: type, bad: object) -> None:
    with pytest.raises(OptionError, match="number of neighbours"):
        cls(n_neighbors=bad).fit([[0.0], [1.0]], [0, 1])


def test_more_neighbours_than_rows() -> None:
    assert KNearest(n_neighbors=50).fit([[0.0], [1.0], [2.0]], [0, 1, 1]).n_neighbors_ == 3


def test_features_are_stored_in_float32() -> None:
    X, codes = problem()
    assert KNearest().fit(X, codes).to_state().arrays["features"].dtype == np.float32
