"""Pseudo-labels: quotas by the target's own frequencies, and what is done when a class vanishes."""

import numpy as np
import pytest
from shifts import conditional, gains, label, none, subspace

from headstart.core.errors import OptionError
from headstart.strategies.adaptation import (
    PseudoLabels,
    SourceOnly,
    baselines,
    domains,
    priors,
    pseudo_labels,
)
from headstart.strategies.adaptation.base import linear_form
from headstart.strategies.adaptation.pseudo_labels import surest


def test_the_surest_rows_of_each_class_by_its_share():
    chances = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7], [0.45, 0.55]])
    places, labels = surest(chances, np.array([0.4, 0.6]), 1.0)
    assert places.tolist() == [0, 2, 3, 4]
    assert labels.tolist() == [0, 0, 1, 1]
    places, _ = surest(chances, np.array([0.4, 0.6]), 0.3)
    assert places.tolist() == [0, 3]
    assert len(surest(chances, np.array([0.0, 1.0]), 1.0)[0]) == 2  # of class 0 none is expected


def test_it_helps_where_most_is_right_and_does_little_without_a_shift():
    assert gains(PseudoLabels, subspace).mean() > 0.0
    assert gains(PseudoLabels, label, n=250).mean() > 0.005
    assert gains(PseudoLabels, conditional, n=250).mean() > -0.01
    assert np.abs(gains(PseudoLabels, none, n=250)).max() < 0.015


def test_the_classes_are_not_taken_for_equally_frequent():
    Xs, ys, Xt, yt = label(600, 1)
    model = PseudoLabels().fit(Xs, ys, Xt)
    truth = np.bincount(yt, minlength=3) / 600
    assert np.abs(model.target_prior_ - truth).max() < 0.06
    assert "by EM" in model.decisions_[0].why
    assert model.n_taken_ <= 0.8 * 600 + 3
    Xs, ys, Xt, _ = conditional(400, 1)
    assert "as the model says" in PseudoLabels().fit(Xs, ys, Xt).decisions_[0].why


def test_a_class_that_vanishes_is_taken_back(monkeypatch):
    """Labels that are all of one class draw the model to it."""
    Xs, ys, Xt, _ = none(200, 0)

    def one_class(chances, prior, share):
        return np.arange(200), np.zeros(200, dtype=np.int64)

    monkeypatch.setattr(pseudo_labels, "surest", one_class)
    model = PseudoLabels(weight=100.0).fit(Xs, ys, Xt)
    assert model.n_taken_ == 0
    assert "are expected in round 1" in model.decisions_[-1].why
    plain = SourceOnly().fit(Xs, ys, Xt)
    assert np.array_equal(model.predict_proba(Xt), plain.predict_proba(Xt))


def test_known_labels_are_learnt_and_not_guessed():
    Xs, ys, Xt, yt = subspace(200, 0)
    half = [label if row % 2 else None for row, label in enumerate(yt)]
    model = PseudoLabels().fit(Xs, ys, Xt, half)
    assert 0 < model.n_taken_ <= 0.8 * 100 + 3
    assert model.score(Xt, yt) > PseudoLabels().fit(Xs, ys, Xt).score(Xt, yt)
    every = PseudoLabels().fit(Xs, ys, Xt, yt)
    assert every.n_taken_ == 0
    assert "0 target rows have no label" in every.decisions_[0].why


def test_no_class_of_two_rows_leaves_the_model_of_the_source():
    rng = np.random.default_rng(0)
    model = PseudoLabels().fit(rng.normal(size=(30, 3)), np.arange(30), rng.normal(size=(40, 3)))
    assert model.n_taken_ == 0
    assert "rows of the source can be held out" in model.decisions_[-1].why


@pytest.mark.parametrize(
    ("params", "where"),
    [({"n_rounds": 0}, "n_rounds"), ({"most": 0.0}, "most"), ({"weight": 0.0}, "weight")],
)
def test_parameters_out_of_range(params, where):
    Xs, ys, Xt, _ = none(30, 0)
    with pytest.raises(OptionError) as caught:
        PseudoLabels(**params).fit(Xs, ys, Xt)
    assert caught.value.where == where


def test_many_rows_are_drawn_for_all_rounds_but_the_last(monkeypatch):
    """The first rounds learn from a sample, the model handed back from everything; it is said."""
    Xs, ys, Xt, yt = subspace(600, 1)
    plain = PseudoLabels().fit(Xs, ys, Xt)
    assert not any("drawn" in one.why for one in plain.decisions_)
    sizes = []
    learn = pseudo_labels.learn
    monkeypatch.setattr(
        pseudo_labels,
        "learn",
        lambda X, *given, **how: sizes.append(len(X)) or learn(X, *given, **how),
    )
    monkeypatch.setattr(pseudo_labels, "MOST", 150)
    monkeypatch.setattr(priors, "MOST", 150)
    found = PseudoLabels().fit(Xs, ys, Xt)
    assert sizes[0] == 600
    assert max(sizes[1:6]) <= 150  # the folds
    assert max(sizes[6:10]) <= 300  # four rounds
    assert sizes[10] == 600 + found.n_taken_ > 900
    told = " ".join(map(str, found.decisions_))
    assert "about 150 rows of the source tell" in told
    assert "all rounds but the last learn from 150 rows" in told
    assert abs(found.score(Xt, yt) - plain.score(Xt, yt)) < 0.05


def test_where_the_solver_starts_changes_no_result():
    """A round that starts where the last one ended ends where one from zero does."""
    Xs, ys, _, _ = subspace(300, 1)
    codes = np.unique(ys, return_inverse=True)[1]
    half = linear_form(Xs[:200], codes[:200], 3)
    cold, warm = linear_form(Xs, codes, 3), linear_form(Xs, codes, 3, start=half)
    assert np.allclose(cold.probabilities(Xs), warm.probabilities(Xs), atol=1e-4)


def test_many_numbers_are_kept_in_single_precision_and_say_the_same(monkeypatch):
    Xs, ys, Xt, _ = subspace(400, 1)
    double = SourceOnly().fit(Xs, ys, Xt)
    seen = []
    fit = baselines.learn
    monkeypatch.setattr(
        baselines, "learn", lambda X, *given, **how: seen.append(X.dtype) or fit(X, *given, **how)
    )
    monkeypatch.setattr(domains, "SINGLE", 100)
    monkeypatch.setattr(domains, "BLOCK", 64)
    single = SourceOnly().fit(Xs, ys, Xt)
    assert seen == [np.float32]
    assert np.allclose(single.predict_proba(Xt), double.predict_proba(Xt), atol=1e-4)
