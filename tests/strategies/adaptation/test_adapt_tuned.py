"""Adaptation that changes the weights of a source: parts of fine-tuning, a method's loss added."""

import numpy as np
import pytest
import torch

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.sources import conv4
from headstart.strategies.adaptation import losses
from headstart.strategies.adaptation.deep_methods import METHODS
from headstart.strategies.adaptation.tuned import TunedAdapter
from headstart.strategies.heads import TunedHead
from headstart.strategies.tuned import tuned_backbone

SIZE = 32


def pictures(n=24, seed=0, faint=False):
    """Bars, upright or lying, on noise."""
    rng = np.random.default_rng(seed)
    images, labels = [], np.arange(n) % 2
    for label in labels:
        image = rng.integers(0, 60, (SIZE, SIZE, 3))
        place = int(rng.integers(4, SIZE - 8))
        bar = (slice(place, place + 4), slice(None))[:: 1 if label else -1]
        image[bar] += 150
        images.append((image * 0.5 + 60 if faint else image).astype(np.uint8))
    return images, np.array(["lying", "upright"])[labels]


@pytest.fixture(scope="module")
def source():
    return conv4.untrained(size=SIZE, width=4, generator=torch.Generator().manual_seed(0))


def model(source, **params):
    usual = {"epochs": 2, "batch": 16, "augment": 0.0, "crop": 1.0, "precision": "float32"}
    return TunedAdapter(source=source, **(usual | params))


@pytest.mark.parametrize("method", METHODS)
def test_changes_weights_and_keeps_statistics(source, method):
    if method == "deep-jdot":
        pytest.importorskip("ot")
    X, y = pictures()
    T, _ = pictures(seed=1, faint=True)
    before = {name: array.copy() for name, array in source.tensors().items()}
    found = model(source, method=method).fit(X, y, T)
    assert all(np.array_equal(before[name], a) for name, a in source.tensors().items())
    assert not np.array_equal(found.tuned_["blocks.0.conv.weight"], before["blocks.0.conv.weight"])
    assert not any("running_" in name for name in found.tuned_)
    shares = found.predict_proba(T)
    assert shares.shape == (24, 3 if method == "osbp" else 2)
    assert np.isfinite(shares).all()
    assert found.classes_.tolist()[:2] == ["lying", "upright"]


def test_state_is_that_of_a_tuned_head(source):
    X, y = pictures()
    T, _ = pictures(seed=1, faint=True)
    found = model(source).fit(X, y, T)
    again = model(source).fit(X, y, T)
    state = found.to_state()
    assert all(state.arrays[n].tobytes() == a.tobytes() for n, a in again.to_state().arrays.items())
    head = TunedHead.from_state(state)
    own = tuned_backbone(source, head.tuned, head.given)
    from headstart import encode

    features = encode.features(T, own, cache=False).array
    assert np.allclose(head.predict_proba(features), found.predict_proba(T), atol=1e-6)
    opened = TunedAdapter.from_state(state)
    opened.source = source
    assert np.array_equal(opened.predict_proba(T), found.predict_proba(T))


def test_learns_to_tell_both_domains(source):
    X, y = pictures(64)
    T, z = pictures(40, seed=1, faint=True)
    found = model(source, epochs=12, rate=3e-3, head_rate=1e-2, weight=0.3).fit(X, y, T)
    assert (found.predict(T) == z).mean() > 0.8
    steps = [row["step"] for row in found.history_]
    assert len(steps) > 10


def test_labels_of_the_target_take_part(source):
    X, y = pictures()
    T, z = pictures(seed=1, faint=True)
    plain = model(source).fit(X, y, T)
    told = model(source).fit(X, y, T, [*z[:12], *[None] * 12])
    assert not np.array_equal(plain.coef_, told.coef_)


def test_a_collapse_is_taken_back(source, monkeypatch):
    """A loss that wants one class for all of the target; what was tuned before stays."""
    X, y = pictures(64)
    T, _ = pictures(40, seed=1)
    monkeypatch.setattr(losses, "mcc", lambda scores, _: -scores[:, 0].mean())
    found = model(source, epochs=12, rate=3e-3, head_rate=1e-2, weight=1000.0).fit(X, y, T)
    assert "the source alone was learnt from" in str(found.decisions()[-1])
    monkeypatch.undo()
    few = model(source, epochs=12, rate=3e-3, head_rate=1e-2).fit(X, y, T[:3])
    assert "too few" in str(few.decisions()[-1])


def test_pieces_give_the_gradients_of_the_whole(source, monkeypatch):
    """Where memory is short a batch goes through in pieces; the result is the same."""
    from headstart.strategies.tuning import memory

    X, y = pictures()
    T, _ = pictures(seed=1, faint=True)
    whole = model(source, epochs=1).fit(X, y, T)
    monkeypatch.setattr(memory, "CPU_ACTIVATIONS", 1)
    pieces = model(source, epochs=1).fit(X, y, T)
    assert pieces.memory_.micro == 1
    assert np.allclose(whole.coef_, pieces.coef_, atol=1e-3)


def test_what_is_wrong_is_said(source):
    X, y = pictures(12)
    with pytest.raises(UnknownNameError, match="did you mean 'mcc'"):
        model(source, method="mmc").fit(X, y)
    with pytest.raises(DataError, match="only one class"):
        model(source).fit(X, ["a"] * 12, X)
    with pytest.raises(DataError, match="no items of the target"):
        model(source).fit(X, y, [])
    with pytest.raises(DataError, match="does not have"):
        model(source).fit(X, y, X, ["else"] * 12)
    with pytest.raises(OptionError, match="out of range"):
        model(source, epochs=0).fit(X, y, X)
