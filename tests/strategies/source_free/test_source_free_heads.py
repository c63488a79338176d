"""Linear heads changed for a target without the source's data."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.strategies import source_free
from headstart.strategies.heads import LinearHead, linear_probabilities, softmax_rows
from headstart.strategies.source_free import SHOT, SOURCE_FREE, T3A, PriorEM, make
from headstart.strategies.source_free.base import HeadChange, mean_entropy
from headstart.strategies.source_free.prior import em
from headstart.strategies.source_free.shot import (
    information_loss,
    matrix_root,
    pseudo_labels,
)
from headstart.strategies.source_free.t3a import kept_places, sharpness_for

TOWARDS = np.diff(np.random.default_rng(3).normal(size=(3, 5))[:2], axis=0) * 0.6  # one class
HEADS = [name for name, spec in SOURCE_FREE.items() if spec.needs == "head"]


def problem(m=200, shift=0.0, seed=0, prior=(1 / 3, 1 / 3, 1 / 3), d=5):
    """Three Gaussian classes, their Bayes head, and a target that has moved."""
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(3).normal(size=(3, d)) * 1.2
    y = rng.choice(3, m, p=prior)
    X = means[y] + rng.normal(size=(m, d)) + shift
    head = LinearHead(means.T.copy(), -(means**2).sum(1) / 2, np.array(["a", "b", "c"]))
    return head, X, head.classes_[y]


def accuracy(head, X, y):
    return float((head.predict(X) == y).mean())


def test_t3a_against_a_direct_loop():
    """The authors' code, row by row: supports start as the weights; entropies choose."""
    head, X, _ = problem(60)
    W, c = torch.from_numpy(head.coef_.T), torch.from_numpy(head.intercept_)
    supports, ents, labels = [], [], []

    def add(row, label=None):
        p = torch.softmax(W @ row + c, 0)
        supports.append(row)
        ents.append(float(-(p * p.log()).sum()))
        labels.append(int(p.argmax()) if label is None else label)

    for code, row in enumerate(W):
        add(row, code)
    for row in torch.from_numpy(X):
        add(row)
    weights = []
    for code in range(3):
        places = sorted((i for i in range(len(labels)) if labels[i] == code), key=lambda i: ents[i])
        total = sum(torch.nn.functional.normalize(supports[i], dim=0) for i in places[:4])
        weights.append(torch.nn.functional.normalize(total, dim=0))
    expected = (torch.from_numpy(X) @ torch.stack(weights).T).numpy()
    found = T3A(support=4, centre=False).fit(head, X)
    scores = X @ found.coef_ + found.intercept_
    assert np.allclose(scores / scores.std(), expected / expected.std(), atol=1e-10)
    before = mean_entropy(head.predict_proba(X))
    assert mean_entropy(found.predict_proba(X)) == pytest.approx(before, abs=1e-4)


def test_t3a_centred_is_the_same_of_centred_rows():
    """Centring is a move of the origin: the head's own members keep their directions."""
    head, X, _ = problem(60, shift=3.0)
    mean = X.mean(axis=0)
    moved = LinearHead(head.coef_, head.intercept_ + mean @ head.coef_, head.classes_)
    plain = T3A(support=4, centre=False).fit(moved, X - mean)
    found = T3A(support=4).fit(head, X)
    assert np.allclose(found.predict_proba(X), plain.predict_proba(X - mean))


def test_kept_places_and_sharpness():
    entropies = np.array([0.5, 0.1, 0.1, 0.9])
    assert kept_places(np.array([0, 0, 0, 1]), entropies, 2).tolist() == [1, 2, 3]
    scores = np.random.default_rng(0).normal(size=(30, 4))
    factor = sharpness_for(scores, 0.7)
    assert mean_entropy(softmax_rows(factor * scores)) == pytest.approx(0.7, abs=1e-5)
    assert sharpness_for(np.ones((3, 2)), 0.1) == 1.0
    assert sharpness_for(scores, 0.0) == pytest.approx(1e6 / np.ptp(scores, axis=1).max())
    assert sharpness_for(scores, 9.0) == pytest.approx(1e-3 / np.ptp(scores, axis=1).max())


def test_information_by_hand():
    # probabilities (3/4, 1/4) and (1/4, 3/4): entropy of each .5623, of the mean log 2
    scores = torch.tensor([[math.log(3.0), 0.0], [0.0, math.log(3.0)]], dtype=torch.float64)
    each = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert float(information_loss(scores)) == pytest.approx(each - math.log(2.0), abs=1e-12)
    assert torch.autograd.gradcheck(information_loss, (scores.requires_grad_(True),))


def test_pseudo_labels_against_a_direct_loop():
    head, X, _ = problem(30)
    shares = head.predict_proba(X)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    weights = shares
    for _ in range(2):
        centres = [(weights[:, [c]] * unit).sum(0) / weights[:, c].sum() for c in range(3)]
        near = [[x @ c / np.linalg.norm(c) for c in centres] for x in unit]
        labels = np.argmax(near, axis=1)
        weights = np.eye(3)[labels]
    assert np.array_equal(pseudo_labels(X, shares), labels)


def test_a_class_without_rows_gets_no_pseudo_label():
    shares = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    rows = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert pseudo_labels(rows, shares).tolist() == [0, 1]


def test_shot_is_an_affine_change_before_the_head():
    """What is added to the head is ``(A - 1) W``: it lies in the span of the head's columns."""
    head, X, _ = problem(100, shift=0.5)
    found = SHOT(steps=50).fit(head, X)
    spread = X.std(axis=0)
    change = (found.coef_ - head.coef_) * spread[:, None]
    gram = (head.coef_ * spread[:, None]).T @ (head.coef_ * spread[:, None])
    assert np.allclose(matrix_root(gram) @ matrix_root(gram), gram)
    factors = np.linalg.lstsq(gram, change.T, rcond=None)[0]
    assert np.allclose(gram @ factors, change.T, atol=1e-8)
    before, after = (
        float(information_loss(torch.from_numpy(X @ h.coef_ + h.intercept_))) for h in (head, found)
    )
    assert after < before


def test_shot_follows_a_shift_that_moved_all_classes():
    gains = []
    for seed in range(5):
        head, X, y = problem(300, shift=TOWARDS, seed=seed)
        gains.append(accuracy(SHOT().fit(head, X), X, y) - accuracy(head, X, y))
    assert np.mean(gains) > 0.1


def test_shot_draws_rows_where_there_are_many(monkeypatch):
    from headstart.strategies.source_free import shot

    monkeypatch.setattr(shot, "MOST_ROWS", 32)
    head, X, y = problem(100, shift=0.3)
    first, second = (SHOT(steps=60, random_state=1).fit(head, X) for _ in range(2))
    assert np.array_equal(first.coef_, second.coef_)
    assert accuracy(first, X, y) > 0.6


def test_em_equals_a_direct_maximiser():
    head, X, _ = problem(300, prior=(0.7, 0.2, 0.1))
    shares, prior = head.predict_proba(X), np.full(3, 1 / 3)

    def loss(logits):
        return -np.log(shares @ (softmax_rows(logits[None])[0] / prior)).mean()

    best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-10})
    assert em(shares, prior) == pytest.approx(softmax_rows(best.x[None])[0], abs=1e-6)


def test_prior_em_helps_under_label_shift_and_stays_without():
    head, X, y = problem(600, prior=(0.8, 0.15, 0.05))
    change = PriorEM()
    found = change.fit(head, X)
    assert change.prior_ == pytest.approx([0.8, 0.15, 0.05], abs=0.05)
    assert accuracy(found, X, y) > accuracy(head, X, y)
    head, X, y = problem(600, seed=1)
    same = change.fit(head, X)
    assert np.array_equal(same.intercept_, head.intercept_)
    assert "explained as well without" in str(change.decisions_[0])


def test_prior_em_steps_back_from_a_change_that_is_too_large():
    head, X, _ = problem(600, prior=(0.8, 0.15, 0.05))
    change = PriorEM(most=1.5)
    assert np.array_equal(change.fit(head, X).intercept_, head.intercept_)
    assert "times as frequent" in str(change.decisions_[0])


def test_prior_em_knows_the_prior_of_the_source():
    head, X, _ = problem(600, prior=(0.6, 0.2, 0.2))
    tilted = LinearHead(head.coef_, head.intercept_ + np.log([1.8, 0.6, 0.6]), head.classes_)
    change = PriorEM(prior=[0.6, 0.2, 0.2])
    assert np.array_equal(change.fit(tilted, X).intercept_, tilted.intercept_)


@pytest.mark.parametrize("name", HEADS)
def test_few_rows_and_the_model_itself_are_left_alone(name):
    head, X, _ = problem(60, shift=0.5)
    coef, intercept = head.coef_.copy(), head.intercept_.copy()
    change = make(name)
    change.fit(head, X)
    assert np.array_equal(head.coef_, coef)
    assert np.array_equal(head.intercept_, intercept)
    same = change.fit(head, X[:3])
    assert np.array_equal(same.coef_, coef)
    assert "too few to adapt by" in str(change.decisions_[0])


@pytest.mark.parametrize("name", HEADS)
def test_constant_features_and_one_point(name):
    head, X, _ = problem(40)
    X[:, 0] = 2.0
    assert np.isfinite(make(name).fit(head, X).predict_proba(X)).all()
    X[:] = X[0]
    assert np.isfinite(make(name).fit(head, X).predict_proba(X)).all()


def test_a_collapse_is_taken_back():
    class Broken(HeadChange):
        def _adapt(self, model, X):
            return model.coef_, model.intercept_ + np.array([99.0, 0.0, 0.0])

    head, X, _ = problem(60)
    change = Broken()
    assert np.array_equal(change.fit(head, X).intercept_, head.intercept_)
    assert "1 class" in str(change.decisions_[0])


def test_what_is_wrong_is_said():
    head, X, _ = problem(20)
    with pytest.raises(DataError, match="not features as the model takes them"):
        T3A().fit(head, X[:, :2])
    X[0, 0] = np.nan
    with pytest.raises(DataError, match="NaN or infinity"):
        T3A().fit(head, X)
    head, X, _ = problem(20)
    with pytest.raises(OptionError, match="too small"):
        T3A(support=0).fit(head, X)
    with pytest.raises(OptionError, match="not above 1"):
        PriorEM(most=1.0).fit(head, X)
    with pytest.raises(DataError, match="positive frequency"):
        PriorEM(prior=[1.0, 0.0, 0.0]).fit(head, X)
    with pytest.raises(OptionError, match="from 0 on"):
        SHOT(labels=-1.0).fit(head, X)
    with pytest.raises(UnknownNameError, match="did you mean 't3a'"):
        make("t3")
    with pytest.raises(UnknownNameError, match="parameter of 't3a'"):
        make("t3a", suport=3)
    with pytest.raises(AttributeError, match="no attribute"):
        source_free.Nothing  # noqa: B018
    assert "SHOT" in dir(source_free)


def test_probabilities_are_those_of_the_new_head():
    head, X, _ = problem(50, shift=0.3)
    found = SHOT(steps=20).fit(head, X)
    expected = linear_probabilities(X, found.coef_, found.intercept_)
    assert np.array_equal(found.predict_proba(X), expected)
