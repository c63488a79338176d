"""Tip-Adapter against a direct reading of the paper, and what chooses its two numbers."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from headstart.core.errors import OptionError
from headstart.strategies import Prototypes, TipAdapter
from headstart.strategies.temper import sharpness
from headstart.strategies.tip_adapter import ALPHAS, BETAS


def unit(X: np.ndarray) -> np.ndarray:
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def problem(seed: int = 0, each: int = 4, k: int = 5) -> tuple:
    rng = np.random.default_rng(seed)
    names = rng.normal(size=(k, 16))
    centres = names + rng.normal(size=(k, 16)) * 1.2
    codes, truth = np.repeat(np.arange(k), each), np.repeat(np.arange(k), 60)
    X, fresh = (centres[c] + rng.normal(size=(len(c), 16)) for c in (codes, truth))
    return X, codes, fresh, truth, dict(enumerate(names))


def scores_of(Q, rows, codes, named, scale, alpha, beta):
    return scale * Q @ named.T + alpha * np.exp(-beta * (1 - Q @ rows.T)) @ np.eye(5)[codes]


def test_scores_are_those_of_the_paper() -> None:
    X, codes, fresh, _, names = problem()
    model = TipAdapter(class_features=names).fit(X, codes)
    named = unit(np.stack([names[i] for i in range(5)]))
    args = (unit(fresh), unit(X), codes, named, model.scale_, model.alpha_, model.beta_)
    expected = softmax(model.sharpness_ * scores_of(*args), axis=1)
    np.testing.assert_allclose(model.predict_proba(fresh), expected, rtol=1e-8)


def test_both_numbers_have_the_least_leave_one_out_log_loss() -> None:
    X, codes, _, _, names = problem()
    model = TipAdapter(class_features=names).fit(X, codes)
    rows, named = unit(X), unit(np.stack([names[i] for i in range(5)]))
    losses = {}
    for alpha in ALPHAS:
        for beta in BETAS:
            scores = np.empty((20, 5))
            for i in range(20):
                rest = np.arange(20) != i
                scores[i] = scores_of(
                    rows[i : i + 1], rows[rest], codes[rest], named, model.scale_, alpha, beta
                )[0]
            found = log_softmax(sharpness(scores, codes) * scores, axis=1)
            losses[alpha, beta] = -found[np.arange(20), codes].mean()
    assert losses[model.alpha_, model.beta_] == pytest.approx(min(losses.values()), rel=1e-6)


def test_names_and_rows_together_beat_either() -> None:
    both, rows_alone, names_alone = [], [], []
    for seed in range(8):
        X, codes, fresh, truth, names = problem(seed)
        model = TipAdapter(class_features=names).fit(X, codes)
        both.append((model.predict(fresh) == truth).mean())
        rows_alone.append((Prototypes().fit(X, codes).predict(fresh) == truth).mean())
        named = unit(np.stack([names[i] for i in range(5)]))
        names_alone.append(((unit(fresh) @ named.T).argmax(axis=1) == truth).mean())
    assert np.mean(both) > max(np.mean(rows_alone), np.mean(names_alone)) - 0.01
    assert np.mean(both) > np.mean(names_alone) + 0.05


def test_one_row_a_class_takes_the_numbers_of_the_paper() -> None:
    X, codes, _, _, names = problem(each=1)
    model = TipAdapter(class_features=names).fit(X, codes)
    assert (model.alpha_, model.beta_) == (1.0, 5.5)


def test_class_means_stand_for_names() -> None:
    X, codes, fresh, truth, _ = problem(each=6)
    model = TipAdapter().fit(X, codes)
    own = (model.predict(fresh) == truth).mean()
    assert own > (Prototypes().fit(X, codes).predict(fresh) == truth).mean() - 0.05


def test_names_that_do_not_fit_are_refused() -> None:
    X, codes, _, _, names = problem()
    with pytest.raises(OptionError, match="classes without features"):
        TipAdapter(class_features={0: names[0]}).fit(X, codes)
    with pytest.raises(OptionError, match="features of class 3 are not 16"):
        TipAdapter(class_features=names | {3: np.ones(2)}).fit(X, codes)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, codes, fresh, _, names = problem()
    model = TipAdapter(class_features=names).fit(X, codes)
    whole = model.predict_proba(fresh)
    monkeypatch.setattr("headstart.strategies.tip_adapter.BLOCK", 100)
    np.testing.assert_allclose(model.predict_proba(fresh), whole, rtol=1e-10)


def test_the_cache_is_that_of_the_dense_formula_and_never_held_whole(monkeypatch) -> None:
    rng = np.random.default_rng(3)
    codes = rng.permutation(np.concatenate([np.arange(40), rng.integers(0, 40, size=260)]))
    X = rng.normal(size=(300, 12))
    model = TipAdapter().fit(X, codes)
    rows, places = model.rows_, np.arange(0, 300, 2)
    dense = rows[places] @ rows.T
    dense[np.arange(150), places] = -np.inf
    for beta in BETAS:
        expected = np.exp(-beta * (1.0 - dense)) @ np.eye(40)[codes]
        found = model._caches(rows[places], (beta,), without=places)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    monkeypatch.setattr("headstart.strategies.tip_adapter.BLOCK", 3000)
    again = TipAdapter().fit(X, codes)
    assert (again.alpha_, again.beta_) == (model.alpha_, model.beta_)
    assert again.sharpness_ == pytest.approx(model.sharpness_, rel=1e-9)
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), rtol=1e-9)


def test_choosing_takes_blocks_of_memory(monkeypatch) -> None:
    rng = np.random.default_rng(4)
    X, codes = rng.normal(size=(1500, 4)), np.repeat(np.arange(3), 500)
    monkeypatch.setattr("headstart.strategies.tip_adapter.BLOCK", 2**14)
    tracemalloc.start()
    TipAdapter().fit(X, codes)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1500 * 1500 * 8 / 4  # bytes: all affinities at once are 18 MB
