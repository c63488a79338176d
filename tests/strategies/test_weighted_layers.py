"""Weights of layers: what they learn, that one pass gives all layers, and saved models."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from headstart import encode, sources, strategies
from headstart.core.errors import OptionError
from headstart.core.types import State
from headstart.strategies import layer_weights
from headstart.strategies.layer_weights import learn_layers
from headstart.strategies.tuned import tuned_backbone

sys.path.append(str(Path(__file__).parent / "tuning"))
from tuned_tiny import backbone_of, items_of, labels_of

FAMILIES = ("bert", "mpnet", "whisper")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path_factory.getbasetemp() / "layers-cache"
    monkeypatch.setenv("HEADSTART_CACHE", str(root))
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")


def case(family: str, kind: str = "classes", n: int = 24) -> tuple[Any, Any, Any]:
    modality = "audio" if family in ("whisper", "ge2e", "musicnn") else "text"
    return backbone_of(family), items_of(modality, n), labels_of(kind, n)


def model_of(family: str, kind: str = "classes", **params: Any) -> tuple[Any, Any, Any]:
    source, X, y = case(family, kind)
    name = "WeightedLayersRegressor" if kind == "numbers" else "WeightedLayers"
    model = getattr(strategies, name)(source=source, device="cpu", **params)
    return model.fit(X, y), X, y


def output(model: Any, X: Any) -> Any:
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


# --------------------------------------------------------------------- the weights


def layers_with(best: int, *, n: int = 90, layers: int = 4, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 3
    X = rng.normal(size=(n, layers, 6))
    X[:, best, :3] += 3 * np.eye(3)[codes]
    return X * np.array([1, 100, 0.01, 5])[None, :layers, None], codes


@pytest.mark.parametrize("best", range(4))
def test_the_layer_that_knows_gets_the_weight_whatever_its_scale(best: int) -> None:
    X, codes = layers_with(best)
    found = learn_layers(X, codes, 3, seed=0, strengths=layer_weights.STRENGTHS)
    assert found.weights.argmax() == best
    assert found.weights[best] > 0.5
    np.testing.assert_allclose(found.weights.sum(), 1.0)
    assert set(found.losses) == set(layer_weights.STRENGTHS)
    assert found.losses[found.strength] == min(found.losses.values())


def test_for_numbers_and_where_nothing_can_be_held_out() -> None:
    X, codes = layers_with(1)
    found = learn_layers(X, codes - 1.0, 0, seed=0, strengths=(1.0, 10.0))
    assert found.weights.argmax() == 1
    few = learn_layers(X[:3], codes[:3], 3, seed=0, strengths=(1.0, 10.0, 100.0))
    assert few.losses == {}
    assert few.strength == 10.0
    many = learn_layers(
        np.repeat(X, 30, axis=0), np.repeat(codes, 30), 3, seed=0, strengths=(10.0,)
    )
    assert many.weights.argmax() == 1


def test_equal_layers_share_and_a_constant_one_gets_nothing() -> None:
    X, codes = layers_with(0, layers=1)
    same = np.concatenate([X, X, np.ones_like(X)], axis=1)
    found = learn_layers(same, codes, 3, seed=0, strengths=(10.0,))
    np.testing.assert_allclose(found.weights[0], found.weights[1], atol=1e-3)
    assert found.factors[2] == 0.0
    again = learn_layers(same, codes, 3, seed=0, strengths=(10.0,))
    assert np.array_equal(found.weights, again.weights)


def test_one_layer_is_logistic_regression() -> None:
    X, codes = layers_with(0, layers=1)
    rows = X[:, 0] - X[:, 0].mean(axis=0)
    rows /= np.sqrt(np.square(rows).sum(axis=1).mean())
    oracle = LogisticRegression(C=10.0, tol=1e-8, max_iter=1000).fit(rows, codes)
    made = layer_weights._fit(
        rows[None].astype(np.float32), np.eye(3, dtype=np.float32)[codes], 10.0, 3
    )
    scores = layer_weights._scores(rows[None], *made)
    expected = oracle.decision_function(rows)
    centred = scores - scores.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(centred, expected - expected.mean(axis=1, keepdims=True), atol=0.1)
    assert (scores.argmax(axis=1) == oracle.predict(rows)).all()


@settings(deadline=None, derandomize=True, max_examples=10)
@given(n_classes=st.sampled_from([0, 2, 5]), seed=st.integers(0, 50))
def test_the_gradient_is_that_of_the_loss(n_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(3, 12, 4)).astype(np.float32)
    truth = rng.integers(0, n_classes, 12) if n_classes else rng.normal(size=12)
    kept: list[Any] = []

    def minimise(objective: Any, start: Any, **_: Any) -> Any:
        kept.append(objective)
        return type("Found", (), {"x": start})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layer_weights, "minimize", minimise)
        targets = layer_weights._targets(truth, n_classes)
        layer_weights._fit(rows, targets, 3.0, n_classes)
    point = rng.normal(size=3 + 5 * targets.shape[1])
    error = check_grad(lambda at: kept[0](at)[0], lambda at: kept[0](at)[1], point, epsilon=1e-3)
    assert error < 5e-3


# --------------------------------------------------------------------- the strategy


@pytest.mark.parametrize("family", FAMILIES)
def test_all_layers_come_of_one_run_and_are_those_of_its_views(family: str) -> None:
    source, X, _ = case(family)
    n = len(source.blocks)
    beside = tuned_backbone(source, {}, {"layers": [1.0] * n, "beside": True})
    beside.card = replace(beside.card, dim=source.card.dim * n)
    every = encode.features(X, beside, cache=False, device="cpu").array.reshape(len(X), n, -1)
    for place, name in enumerate(source.block_names):
        card = replace(source.card, config=source.card.config | {"view": ["x", name, 1, 16]})
        view = sources.part_of(source, card)
        alone = encode.features(X, view, cache=False, device="cpu").array
        np.testing.assert_allclose(every[:, place], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
@pytest.mark.parametrize("family", [*FAMILIES, "ge2e"])
def test_it_learns_and_predicts_the_same_however_it_is_asked(family: str, kind: str) -> None:
    if family == "ge2e":
        with pytest.raises(OptionError, match="no layers that can be summed"):
            model_of(family, kind)
        return
    model, X, y = model_of(family, kind)
    expected = output(model, X)
    if kind == "classes":
        assert (model.predict(X) == y).mean() > 0.6
    again, _, _ = model_of(family, kind)
    assert np.array_equal(output(again, X), expected)
    np.testing.assert_allclose(output(model, X[::-1])[::-1], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output(model, X[4:5])[0], expected[4], rtol=1e-4, atol=1e-5)
    assert len(output(model, X[:0])) == 0
    state = model.to_state()
    assert sorted(state.arrays) == ["coef", "intercept"]
    back = type(model).from_state(State(dict(state.arrays), dict(state.meta)))
    back.set_params(source=model.source, device="cpu")
    assert np.array_equal(output(back, X), expected)
    shares = model.settings_["layers"]
    assert list(shares) == list(model.source.block_names)
    np.testing.assert_allclose(sum(shares.values()), 1.0)
    assert "layers weigh" in model.decisions_[0].what


def test_the_head_sees_the_weighted_sum() -> None:
    model, X, _ = model_of("whisper")
    made = model.backbone()
    features = encode.features(X, made, cache=False, device="cpu").array
    assert features.shape == (24, 16)
    expected = 0.0
    for place, factor in enumerate(model.given_["layers"]):
        weights = [0.0] * 4
        weights[place] = 1.0
        one = tuned_backbone(model.source, {}, {"layers": weights})
        expected = expected + factor * encode.features(X, one, cache=False, device="cpu").array
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)
    kept = model.source.state_dict()
    fresh = backbone_of("whisper").state_dict()
    assert all(np.array_equal(kept[name], fresh[name]) for name in fresh)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_items_that_are_all_the_same_have_layers_too(kind: str) -> None:
    source, X, y = case("whisper", kind, n=2)
    model = type(model_of("whisper", kind)[0])(source=source, device="cpu").fit([X[0]] * 2, y)
    assert np.isfinite(output(model, X)).all()
    assert np.array_equal(output(model, X[:1]), output(model, [X[0], X[0]])[1:])


def test_what_it_does_not_take() -> None:
    source, X, y = case("whisper")
    with pytest.raises(OptionError, match="one label an item"):
        strategies.WeightedLayers(source=source).fit(X, labels_of("sets"))
    with pytest.raises(OptionError, match="no layers that can be summed"):
        strategies.WeightedLayers(source=backbone_of("lite")).fit(items_of("image"), y)
    with pytest.raises(OptionError, match="Cs"):
        strategies.WeightedLayers(source=source, Cs=[-1.0]).fit(X, y)
    with pytest.raises(OptionError, match="no learning rate"):
        strategies.lr_find(strategies.WeightedLayers(source=source), X, y)
    assert strategies.WeightedLayers(source=source, device="cpu").seconds_to_fit(X, y) > 0
