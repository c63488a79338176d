"""Scratch for images: HOG against scikit-image, and the estimators' behaviour."""

import json

import numpy as np
import pytest
import torch
from sklearn.base import clone

from headstart.core.errors import DataError
from headstart.core.types import State
from headstart.strategies import linear_or_network, scratch_image, small_cnn
from headstart.strategies.descriptors import colours, thumbnails
from headstart.strategies.hog import hog
from headstart.strategies.scratch_image import ScratchImage, ScratchImageRegressor


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(small_cnn, "FEWEST_STEPS", 12)
    monkeypatch.setattr(small_cnn, "STEPS", 12)


def _bars(n=24, side=32, seed=0, noise=40):
    """Images of a horizontal or a vertical bar."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, noise, (n, side, side, 3))
    y = np.arange(n) % 2
    for image, kind in zip(images, y, strict=True):
        at = int(rng.integers(side // 4, 3 * side // 4))
        if kind:
            image[at : at + 4] += 150
        else:
            image[:, at : at + 4] += 150
    return images.astype(np.uint8), np.array(["across", "down"])[1 - y]


def _reload(model):
    state = model.to_state()
    assert all(
        isinstance(part, np.ndarray) and part.dtype != object for part in state.arrays.values()
    )
    return type(model).from_state(State(dict(state.arrays), json.loads(json.dumps(state.meta))))


def test_hog_is_scikit_images():
    # skimage.feature.hog 0.26.0 with (8, 8) cells, (2, 2) blocks, L2-Hys, channel_axis=-1
    X = np.random.default_rng(7).integers(0, 256, (2, 32, 48, 3))
    X = (np.cumsum(np.cumsum(X, 1), 2) % 256).astype(np.uint8)
    ours = hog(X)
    first = [
        0.14798842, 0.14779006, 0.13173292, 0.03848205, 0.21693923, 0.21693923,
        0.11328347, 0.15579171, 0.17516036, 0.21693923, 0.21693923, 0.16595338,
    ]  # fmt: skip
    assert ours.shape == (2, 540)
    assert ours[1, :12].tolist() == pytest.approx(first, abs=1e-6)
    assert float(ours.sum(dtype=float)) == pytest.approx(171.50198971, abs=1e-4)
    weighted = float((ours[0].astype(float) * np.arange(540)).sum())
    assert weighted == pytest.approx(23049.74165087, abs=1e-2)


def test_hog_of_a_flat_image_is_zero_and_light_does_not_matter():
    assert not hog(np.full((1, 64, 64, 3), 90, np.uint8)).any()
    X, _ = _bars(4)
    assert np.abs(hog(X) - hog(X + np.uint8(40))).max() < 1e-6


def test_colours_and_thumbnails():
    red = np.zeros((1, 32, 32, 3), np.uint8)
    red[..., 0] = 255
    described = colours(red)
    assert described.shape == (1, 64 + 24)
    assert described[0, 48] == 1.0  # the bin (3, 0, 0)
    assert described[0, :64].sum() == 1.0
    small = thumbnails(red, side=4).reshape(4, 4, 3)
    assert small[..., 0].tolist() == np.ones((4, 4)).tolist()
    assert not small[..., 1:].any()


def test_linear_learns_bars_and_round_trips():
    X, y = _bars()
    model = ScratchImage(network=False).fit(X, y)
    fresh, truth = _bars(seed=5)
    assert (model.predict(fresh) == truth).mean() > 0.9
    assert "HOG" in model.chosen_
    p = model.predict_proba(fresh)
    assert np.array_equal(_reload(model).predict_proba(fresh), p)
    assert np.array_equal(ScratchImage(network=False).fit(X, y).predict_proba(fresh), p)
    assert np.array_equal(model.predict_proba(fresh[::-1])[::-1], p)
    singles = np.concatenate([model.predict_proba(fresh[[row]]) for row in range(len(fresh))])
    assert np.array_equal(singles, p)
    assert model.predict_proba(fresh[:0]).shape == (0, 2)


def _network_always(monkeypatch):
    monkeypatch.setattr(linear_or_network, "best_of", lambda *_: "network")
    monkeypatch.setattr(linear_or_network, "SURE", 2.0)


def test_network_round_trips(monkeypatch):
    _network_always(monkeypatch)
    X, y = _bars()
    before = torch.random.get_rng_state()
    model = ScratchImage().fit(X, y)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert model.chosen_.startswith("small convolutional network")
    fresh, _ = _bars(n=70, seed=5)
    p = model.predict_proba(fresh)
    assert np.array_equal(_reload(model).predict_proba(fresh), p)
    assert np.array_equal(ScratchImage().fit(X, y).predict_proba(fresh), p)
    assert np.abs(model.predict_proba(fresh[::-1])[::-1] - p).max() < 1e-5
    assert np.abs(model.predict_proba(fresh[60:]) - p[60:]).max() < 1e-5
    assert np.abs(p.sum(axis=1) - 1).max() < 1e-9


def test_network_learns(monkeypatch):
    monkeypatch.setattr(small_cnn, "FEWEST_STEPS", 60)
    monkeypatch.setattr(small_cnn, "STEPS", 60)
    X, y = _bars(40, noise=100)
    codes = (y == "down").astype(int)
    network = small_cnn.train(X, codes, 2, seed=0)
    fresh, truth = _bars(40, seed=9, noise=100)
    assert (network.scores(fresh).argmax(axis=1) == (truth == "down")).mean() > 0.85
    mirrored = small_cnn.train(X, codes, 2, seed=0, flip=True)
    assert not np.array_equal(mirrored.scores(fresh), network.scores(fresh))


def test_steps_are_bounded(monkeypatch):
    monkeypatch.undo()
    assert small_cnn.steps_for(100) == (32, 200)
    assert small_cnn.steps_for(1_000_000) == (small_cnn.LARGE_BATCH, small_cnn.STEPS)
    assert small_cnn.steps_for(5)[0] == 5


def test_rules_of_the_network_are_said(monkeypatch):
    monkeypatch.setattr(ScratchImage, "_sure", 16)
    X, _ = _bars(8)
    single = ScratchImage().fit(X, [0, 1, 2, 3, 4, 5, 6, 6])
    assert "fewer than 2 images a class" in single.chosen_
    dark, light = np.zeros((8, 32, 32, 3), np.uint8), np.full((8, 32, 32, 3), 200, np.uint8)
    easy = ScratchImage().fit(np.concatenate([dark, light]), [0] * 8 + [1] * 8)
    assert "nothing left to win" in easy.chosen_


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("kind", ["distinct", "one", "two"])
def test_tiny_data_never_crash(n, kind):
    X, _ = _bars(n, side=16)
    y = {"distinct": list(range(n)), "one": [0] * n, "two": list("ababab")[:n]}[kind]
    model = _reload(ScratchImage().fit(X, y))
    assert np.abs(model.predict_proba(X).sum(axis=1) - 1).max() < 1e-9
    numbers = _reload(ScratchImageRegressor().fit(X, np.arange(n)))
    assert np.isfinite(numbers.predict(X)).all()


def test_a_class_of_one_image_beside_larger_ones():
    X, y = _bars(21)
    y = y.astype(object)
    y[0] = "single"
    model = ScratchImage().fit(X, y)
    assert model.classes_.tolist() == ["across", "down", "single"]


@pytest.mark.parametrize("network", [False, True])
def test_regression(network):
    rng = np.random.default_rng(0)
    level = rng.integers(0, 200, 36)
    X = (level[:, None, None, None] + rng.integers(0, 20, (36, 32, 32, 3))).astype(np.uint8)
    model = ScratchImageRegressor(network=network).fit(X, level * 1.0)
    assert model.score(X, level) > 0.9
    assert np.array_equal(_reload(model).predict(X), model.predict(X))
    assert "R2" in model.chosen_


def test_regression_by_the_network_round_trips(monkeypatch):
    monkeypatch.setattr(
        scratch_image.ScratchImageRegressor, "_network_wins", lambda *_: (True, "forced")
    )
    X, y = _bars(32)
    model = ScratchImageRegressor().fit(X, (y == "down") * 10.0)
    assert np.array_equal(_reload(model).predict(X), model.predict(X))
    assert abs(float(model.predict(X).mean()) - 5.0) < 4.0


@pytest.mark.parametrize(
    "X",
    [
        [1, 2],
        np.zeros((2, 32, 32, 3)),
        np.zeros((2, 32, 32), np.uint8),
        np.zeros((2, 8, 8, 3), np.uint8),
    ],
)
def test_what_is_no_image_array_is_refused(X):
    with pytest.raises(DataError, match="image"):
        ScratchImage().fit(X, [0, 1])


def test_clone_keeps_parameters():
    model = clone(ScratchImage(cv=4, flip=True, network=False, random_state=2))
    assert model.get_params() == {"cv": 4, "flip": True, "network": False, "random_state": 2}
