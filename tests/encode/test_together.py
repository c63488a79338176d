"""Views of one source in one run: the features of each are those that it has alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_encode_audio import MAKERS, as_items
from tiny_sources import tiny_image, tiny_text

from headstart import encode
from headstart.core.errors import DataError, OptionError
from headstart.encode import audio, image
from headstart.encode.together import shared
from headstart.sources import view as views

PARTS = {
    "whisper": ("stem", "layer1:3", "norm:2", "layer1"),
    "ge2e": ("lstm2:2", "lstm1", "embedding"),
    "musicnn": ("mid1:3", "front", "features"),
    "image": ("stage2.1:2", "stem", "features:3", "stage2.1"),
}


def made(kind):
    return (MAKERS | {"image": tiny_image})[kind]()


def part(whole, block):
    name = f"{whole.card.name}@{block}"
    view = views.parse(name)
    return views.part_of(whole, views.describe(name, view, whole.card))


def items_of(kind):
    if kind != "image":
        more = 1.7 if kind == "ge2e" else 0.0
        return as_items([length + more for length in (0.31, 0.9, 1.7, 0.02, 0.9, 0.56)])
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (30 + i, 40, 3), dtype=np.uint8) for i in range(11)]


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kind", PARTS)
def test_features_are_those_of_each_view_alone(kind, own_cache, two_threads):
    whole, items = made(kind), items_of(kind)
    before = whole.weights_sha256, len(whole.blocks)
    backbones = [*(part(whole, block) for block in PARTS[kind]), whole]
    assert shared(backbones) == [list(range(len(backbones)))]
    found = encode.features_together(items, backbones, cache=False)
    for each, backbone in zip(found, backbones, strict=True):
        assert each.array.shape == (len(items), backbone.card.dim)
        close(each.array, encode.features(items, backbone, cache=False).array)
    assert (whole.weights_sha256, len(whole.blocks)) == before


def test_the_blocks_run_once_and_as_deep_as_needed(monkeypatch):
    whole, items = made("whisper"), items_of("whisper")
    ran = []
    for name, block in zip(whole.block_names, whole.blocks, strict=True):
        block.register_forward_hook(lambda *_, name=name: ran.append(name))
    encode.features(items, whole, cache=False)
    batches = ran.count("stem")
    ran.clear()
    encode.features_together(items, [part(whole, "stem"), part(whole, "layer1:2")], cache=False)
    assert (ran.count("stem"), ran.count("layer1"), ran.count("layer2")) == (batches, batches, 0)


@pytest.mark.parametrize("kind", ["whisper", "image"])
def test_each_view_is_cached_under_its_own_name(kind, own_cache, monkeypatch):
    whole, items = made(kind), items_of(kind)
    pair = [part(whole, PARTS[kind][0]), whole]
    found = encode.features_together([*items, items[0]], pair)
    again = [part(made(kind), PARTS[kind][0]), made(kind)]  # loaded one by one
    for encoder in (audio.AudioEncoder, image.ImageEncoder):
        monkeypatch.setattr(encoder, "encode", lambda self, items, positions: iter(items))
    for backbone, each in zip(again, found, strict=True):
        np.testing.assert_array_equal(encode.features(items, backbone).array, each.array[:-1])
        np.testing.assert_array_equal(each.array[0], each.array[-1])
    assert encode.cache_info().entries == 2 * len(items)


def test_what_one_view_has_is_kept_and_the_other_made(own_cache, recorder):
    whole, items = made("whisper"), items_of("whisper")
    view = part(whole, "layer1")
    first = encode.features(items[:4], view).array
    alone = encode.features(items, whole, cache=False).array
    found = encode.features_together(items, [whole, view], reporter=recorder)
    np.testing.assert_array_equal(found[1].array[:4], first)
    close(found[0].array, alone)
    assert encode.cache_info().entries == 2 * len(items)
    assert recorder.steps[-1][1:3] == (len(items), len(items))


def test_sources_of_other_weights_and_texts_run_on_their_own(own_cache):
    one, other = made("whisper"), MAKERS["whisper"](seed=1)
    view, strange = part(one, "layer1"), part(other, "layer1")
    backbones = [one, strange, view, other]
    assert shared(backbones) == [[0, 2], [1, 3]]
    for each, backbone in zip(
        encode.features_together(items_of("whisper"), backbones, cache=False),
        backbones,
        strict=True,
    ):
        close(each.array, encode.features(items_of("whisper"), backbone, cache=False).array)
    text = tiny_text()
    cut = part(text, "layer1")
    assert shared([text, cut]) == [[0], [1]]
    both = encode.features_together(["w1 w2", "w3"], [text, cut], cache=False)
    close(both[1].array, encode.features(["w1 w2", "w3"], cut, cache=False).array)


def test_an_unreadable_item_is_named_and_what_was_made_is_kept(own_cache, tmp_path):
    whole = made("image")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    items = items_of("image")
    with pytest.raises(DataError) as error:
        encode.features_together([*items, broken], [whole, part(whole, "stem")])
    assert "items[11]" in str(error.value)
    entries = encode.cache_info().entries
    assert entries > 0
    assert entries % 2 == 0


def test_a_part_that_strays_is_seen_beside_one_that_does_not():
    first = torch.ones(3, 100)
    second = first.clone()
    second[:, 98] = -0.5
    assert encode.device.worst_cosine(first, second) > 0.97
    assert encode.device.worst_cosine(first, second, (slice(0, 98), slice(98, 100))) < 0.5


@pytest.mark.parametrize(("kind", "block"), [("ge2e", "embedding:3"), ("musicnn", "features:2")])
def test_what_has_no_time_left_has_no_parts(kind, block):
    with pytest.raises(OptionError, match="one vector for all of the time") as error:
        part(made(kind), block)
    first = made(kind).block_names[0]
    assert f"@{first}:{block[-1]}" in error.value.hint
