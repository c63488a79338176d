"""A view of a source: its first blocks, pooled in parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.conftest import INSTALLED

import headstart as hs
from headstart import encode, sources
from headstart.core.errors import OptionError, SourceError, UnknownNameError

pytestmark = pytest.mark.weights
NAME = "efficientnet-lite0@stage5.3:2"


def pictures(n: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 255, (40, 40, 3), dtype=np.uint8) for _ in range(n)]


def test_it_is_what_the_block_sees_in_each_part(weights) -> None:
    whole, view = sources.load("efficientnet-lite0"), sources.load(NAME)
    batch = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        state = batch
        for block in list(whole.blocks)[: whole.block_names.index("stage5.3") + 1]:
            state = block(state)
        found = view(batch)
    quarters = [state[:, :, i : i + 2, j : j + 2].mean((2, 3)) for i in (0, 2) for j in (0, 2)]
    by_hand = torch.stack(quarters, dim=2).flatten(1)
    torch.testing.assert_close(found, by_hand)
    assert view.card.dim == found.shape[1] == 4 * 112
    assert view.block_names[-1] == "stage5.3"
    assert view.head is None
    count = sum(tensor.numel() for tensor in view.parameters())
    assert view.card.parameters == count < whole.card.parameters


def test_features_are_cached_apart_from_those_of_the_whole_source(weights) -> None:
    whole, view = sources.load("efficientnet-lite0"), sources.load(NAME)
    assert whole.weights_sha256 != view.weights_sha256
    assert view.weights_sha256 == sources.load(NAME).weights_sha256
    assert view.weights_sha256 != sources.load("efficientnet-lite0@stage5.3").weights_sha256
    items = pictures(3)
    first = encode.features(items, view).array
    assert encode.features(items, whole).array.shape == (3, 1280)
    np.testing.assert_array_equal(encode.features(items, view).array, first)
    # the packed forward pass is that of the network itself
    prepared = encode.image.Prepare(view.card.input)
    pixels = [prepared(encode.image.read_at(item, 0, max_side=500)) for item in items]
    with torch.inference_mode():
        plain = view(prepared.normalise(pixels)).numpy()
    np.testing.assert_allclose(first, plain, atol=2e-4 * np.abs(plain).max())


def test_texts_are_cut_at_a_layer(weights) -> None:
    view = sources.load("minilm@layer4")
    assert view.block_names == ("embeddings", "layer1", "layer2", "layer3", "layer4")
    assert encode.features(["a text", "another"], view).array.shape == (2, 384)


def test_a_model_on_a_view_is_saved_and_loaded(weights, tmp_path) -> None:
    bright = [np.full((32, 32, 3), 230, np.uint8) - one[:32, :32] // 8 for one in pictures(8)]
    dark = [one[:32, :32] // 8 for one in pictures(8, 1)]
    items, labels = bright + dark, ["bright"] * 8 + ["dark"] * 8
    result = hs.fit(items, label=labels, source=NAME, strategy="probe", curve=False)
    for standalone in (False, True):
        path = result.save(tmp_path / f"model-{standalone}", standalone=standalone)
        loaded = hs.load(path)
        assert loaded.info["source"]["name"] == NAME
        np.testing.assert_array_equal(loaded.predict_proba(items), result.predict_proba(items))


@pytest.mark.parametrize(
    ("name", "error", "what"),
    [
        ("efficientnet-lite0@stage9.1", UnknownNameError, "stage9.1"),
        ("efficientnet-lite0@stage6.1:0", OptionError, "number of parts"),
        ("efficientnet-lite0@stage6.1:8", OptionError, "number of parts"),
        ("minilm@layer4:2", SourceError, "no parts"),
        ("nothing@layer4", UnknownNameError, "nothing"),
    ],
)
def test_what_cannot_be_looked_at_is_said(name, error, what, weights) -> None:
    with pytest.raises(error, match=what):
        sources.card(name)


def test_a_source_of_another_family_cannot_be_cut(weights, tmp_path, monkeypatch) -> None:
    from headstart.sources import names

    base = sources.card("minilm")
    other = base.__class__(**{**vars(base), "family": "hf", "name": "other"})
    monkeypatch.setattr(names, "catalogue", lambda: {"other": other})
    with pytest.raises(SourceError, match="cannot be cut"):
        sources.card("other@layer1")


def test_the_weights_are_installed_once() -> None:
    assert not list((INSTALLED / "sources").glob("*@*"))
