"""Sources as ONNX: what the graph makes is what the backbone makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from lively_backbones import lively_tensors, tiny
from PIL import Image

from headstart import encode
from headstart.bundle.exporting.pictures import small_graph
from headstart.bundle.exporting.sources import source_graph
from headstart.bundle.runner.given import shrunk
from headstart.bundle.runner.network import Network, _batches
from headstart.core.errors import BundleError
from headstart.encode.image import Prepare
from headstart.strategies import small_cnn

RNG = np.random.default_rng(0)


def text_features(backbone, ids):
    return Network(source_graph(backbone)).texts(ids, backbone.card.dim)


def by_torch(backbone, ids):
    with torch.no_grad():
        return np.concatenate(
            [
                backbone((torch.tensor([one]), torch.ones(1, len(one), dtype=torch.int64))).numpy()
                for one in ids
            ]
        )


IDS = [RNG.integers(2, 12, n).tolist() for n in (3, 9, 1, 32, 3, 17)]


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalise", [True, False])
def test_texts_are_pooled_as_the_card_says(pooling, normalise):
    backbone = tiny("text", pooling=pooling, normalise=normalise)
    found, want = text_features(backbone, IDS), by_torch(backbone, IDS)
    assert np.abs(found - want).max() < 1e-5 * max(1.0, np.abs(want).max())


@pytest.mark.parametrize(
    ("weights", "beside"), [([0.2, 0.8], False), ([0.0, 1.0], False), ([0.5, 0.5], True)]
)
def test_layers_are_weighted_as_the_card_says(weights, beside):
    backbone = tiny("text", layers=weights, beside=beside)
    want = by_torch(backbone, IDS)
    found = Network(source_graph(backbone)).texts(IDS, want.shape[1])
    assert np.abs(found - want).max() < 1e-5


def picture_features(backbone, pixels):
    want = None
    with torch.no_grad():
        want = backbone(Prepare(backbone.card.input).normalise(pixels)).numpy()
    network = Network(source_graph(backbone))
    found = network.pictures(lambda i: pixels[i], len(pixels), want.shape[1])
    return found, want


@pytest.mark.parametrize("size", [32, 33, 57])
def test_pictures_of_any_size(size):
    pixels = list(RNG.integers(0, 256, (9, size, size, 3), dtype=np.uint8))
    found, want = picture_features(tiny("image", size=size), pixels)
    assert np.abs(found - want).max() < 1e-5 * max(1.0, np.abs(want).max())


@pytest.mark.parametrize("grid", [1, 2, 3])
def test_parts_of_a_source_and_of_the_picture(grid):
    from headstart.sources import view

    backbone = tiny("image", size=40)
    name = f"tiny-image@stage3.1:{grid}"
    part = view.part_of(backbone, view.describe(name, view.parse(name), backbone.card))
    pixels = list(RNG.integers(0, 256, (3, 40, 40, 3), dtype=np.uint8))
    found, want = picture_features(part, pixels)
    assert want.shape[1] == part.card.dim
    assert np.abs(found - want).max() < 1e-5 * max(1.0, np.abs(want).max())


def test_conv4():
    from headstart.sources import conv4

    backbone = conv4.untrained(size=32, width=8, generator=torch.Generator().manual_seed(0))
    pixels = list(RNG.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8))
    found, want = picture_features(backbone.eval(), pixels)
    assert np.abs(found - want).max() < 1e-5


@pytest.mark.parametrize("side", [32, 64, 50])
def test_the_small_network_sees_what_it_saw(side):
    images = RNG.integers(0, 256, (20, side, side, 3), dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_cnn, "steps_for", lambda n: (8, 5))
        network = small_cnn.train(images, np.arange(20) % 3, 3, seed=0)
    run = Network(small_graph(network.arrays(), 32), "pictures.onnx")
    seen = shrunk(images, 32)
    found = run.pictures(lambda i: seen[i], 20, 3)
    assert np.abs(found - network.scores(images)).max() < 1e-4


def mpnet_backbone():
    from headstart import sources
    from headstart.sources import mpnet

    card = tiny("text").card
    config = {**card.config, "layers": 2, "buckets": 8, "positions": 40}
    card = replace(card, family="mpnet", config=config)
    shape = mpnet.build(card)
    return sources.from_state(card, lively_tensors(shape, 1), None)


def test_mpnet_with_its_relative_positions():
    backbone = mpnet_backbone()
    found, want = text_features(backbone, IDS), by_torch(backbone, IDS)
    assert np.abs(found - want).max() < 1e-5
    first = backbone.blocks[0].relative.weight
    with torch.no_grad():
        first.mul_(0)  # the biases count
    assert np.abs(by_torch(backbone, IDS) - want).max() > 1e-3


@pytest.mark.slow
def test_a_source_that_headstart_has_no_graph_of_goes_through_torch(monkeypatch):
    monkeypatch.setattr("headstart.bundle.exporting.sources._BY_HAND", {})
    backbone = tiny("text")
    found, want = text_features(backbone, IDS), by_torch(backbone, IDS)
    assert np.abs(found - want).max() < 1e-5


def test_a_source_that_torch_cannot_export_is_refused_in_words(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("no such operator\nand a long trace")

    monkeypatch.setattr(torch.onnx, "export", fails)
    backbone = tiny("text")
    backbone.card = replace(backbone.card, family="unheard-of")
    with pytest.raises(BundleError, match="cannot be exported by torch: no such operator"):
        source_graph(backbone)


def test_batches_hold_texts_of_like_length():
    lengths = [5, 500, 6, 4000, 0, 499, 6]
    found = list(_batches(lengths))
    assert sorted(place for batch in found for place in batch) == list(range(7))
    assert found[0] == [3]
    assert [1, 5] in found
    assert [2, 6, 0] in found


def test_photographs_are_cut_as_headstart_cuts_them(exported, tmp_path):
    """Odd sizes, an EXIF turn, transparency, a large JPEG that is decoded smaller."""
    model, where = exported(("probe", "classification", "image"))
    from headstart.bundle.runner import open_export

    rows = RNG.integers(0, 256, (60, 900, 3), dtype=np.uint8).repeat(12, axis=0)
    files = []
    for name, picture in {
        "large.jpg": Image.fromarray(rows),
        "thin.png": Image.fromarray(rows[:30, :400]),
        "clear.png": Image.fromarray(rows[:90, :70]).convert("RGBA"),
        "grey.bmp": Image.fromarray(rows[:64, :50, 0]),
    }.items():
        if name == "clear.png":
            picture.putalpha(90)
        picture.save(tmp_path / name)
        files.append(tmp_path / name)
    turned = Image.fromarray(rows[:80, :120])
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    files.append(tmp_path / "turned.jpg")
    want = encode.features(files, model.backbone(), cache=False, precision="float32").array
    found = open_export(where).features([*files[:2], *(one.read_bytes() for one in files[2:])])
    assert np.abs(found - want).max() < 1e-5 * max(1.0, np.abs(want).max())
