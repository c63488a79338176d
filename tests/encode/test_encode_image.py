"""Images to features: parity with the backbone's own forward pass, errors that name the file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_sources import tiny_image

from headstart.core.errors import DataError
from headstart.core.types import SILENT
from headstart.encode import features
from headstart.encode import image as image_module
from headstart.encode.device import Module, worst_cosine
from headstart.encode.fast_efficientnet import PackedEfficientNet

TOLERANCE = 1e-5


def photos(n, seed=0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, 90, size=(n, 2))
    coarse = [rng.integers(0, 255, (6, 5, 3), dtype=np.uint8) for _ in range(n)]
    return [
        np.asarray(Image.fromarray(small).resize((int(w), int(h)), Image.Resampling.BICUBIC))
        for small, (w, h) in zip(coarse, sizes, strict=True)
    ]


def plain(backbone, images):
    """The oracle: resize, cut the centre, normalise as NumPy, one image at a time."""
    spec, rows = backbone.card.input, []
    size = spec["size"]
    short = int(size / spec["crop"])
    for image in images:
        picture = Image.fromarray(image).convert("RGB")
        scale = short / min(picture.size)
        width, height = (max(short, int(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        left, top = round((width - size) / 2), round((height - size) / 2)
        cut = np.asarray(picture.crop((left, top, left + size, top + size))) / 255.0
        batch = ((cut - spec["mean"]) / spec["std"]).transpose(2, 0, 1)[None].astype(np.float32)
        with torch.inference_mode():
            rows.append(backbone(torch.from_numpy(batch)))
    return torch.cat(rows).numpy()


def close(first, second):
    return np.abs(first - second).max() <= TOLERANCE * np.abs(second).max()


def cosine(first, second):
    return worst_cosine(torch.from_numpy(np.array(first)), torch.from_numpy(np.array(second)))


@pytest.mark.parametrize("size", [32, 33, 47, 60])
def test_packed_network_is_the_backbone(size):
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch was built without oneDNN")
    backbone = tiny_image(size=size)
    batch = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        packed = PackedEfficientNet(backbone, dtype=torch.float32, batch=4, side=size)
        assert close(packed(batch).numpy(), backbone(batch).numpy())


def test_features_are_those_of_the_backbone(image_backbone):
    images = photos(11)
    array = features(images, image_backbone, cache=False).array
    assert array.shape == (11, 40)
    assert array.dtype == np.float32
    # resampling only what is seen rounds to another grey value here and there
    assert cosine(array, plain(image_backbone, images)) >= 0.9999


def test_company_and_threads_do_not_matter(image_backbone, two_threads):
    images = photos(13)
    together = features(images, image_backbone, cache=False).array
    assert torch.get_num_threads() == 2
    alone = np.concatenate(
        [features([image], image_backbone, cache=False).array for image in images[:3]]
    )
    assert close(alone, together[:3])
    turned = features(images[::-1], image_backbone, cache=False).array
    assert close(turned[::-1], together)


def test_without_private_operations_the_module_is_used(monkeypatch, image_backbone):
    def gone(*args, **kwargs):
        raise AttributeError("no such operation")

    images = photos(9)
    packed = features(images, image_backbone, cache=False).array
    monkeypatch.setattr(image_module, "PackedEfficientNet", _Gone)
    assert close(features(images, image_backbone, cache=False).array, packed)


class _Gone(PackedEfficientNet):
    def __init__(self, *args, **kwargs):
        raise AttributeError("no such operation")


def test_a_packed_network_that_strays_is_refused_and_said(monkeypatch, image_backbone, recorder):
    images = photos(9)
    whole = features(images, image_backbone, cache=False).array
    monkeypatch.setattr(PackedEfficientNet, "__call__", lambda self, batch: torch.ones(1, 40))
    found = features(images, image_backbone, cache=False, reporter=recorder).array
    assert close(found, whole)
    assert any("strays" in line for line in recorder.said)


def test_every_way_to_give_an_image_gives_the_same(tmp_path, image_backbone):
    array = photos(1)[0]
    path = tmp_path / "a.png"
    Image.fromarray(array).save(path)
    given = [array, Image.fromarray(array), path, str(path)]
    found = features(given, image_backbone, cache=False).array
    assert close(found, np.repeat(found[:1], 4, axis=0))


def test_odd_images_are_images(image_backbone):
    rgba = np.zeros((30, 20, 4), np.uint8)
    odd = [
        rgba,
        np.zeros((30, 20, 1), np.uint8),
        np.zeros((1, 1), np.uint8),
        np.full((3, 200), 9, np.uint8),
        np.linspace(0, 1, 600).reshape(30, 20),
        np.zeros((30, 20), np.uint16),
        Image.new("CMYK", (20, 30)),
    ]
    found = features(odd, image_backbone, cache=False).array
    assert np.isfinite(found).all()
    white = features([np.full((30, 20, 3), 255, np.uint8)], image_backbone, cache=False).array
    assert close(found[:1], white)  # what is transparent lies on white


@pytest.mark.parametrize("cache", [True, False])
def test_an_unreadable_image_is_named(tmp_path, own_cache, image_backbone, cache):
    good = tmp_path / "good.png"
    Image.fromarray(photos(1)[0]).save(good)
    bad = tmp_path / "bad.png"
    bad.write_bytes(good.read_bytes()[:60])
    with pytest.raises(DataError, match=r"items\[3\] \(.*bad\.png\)"):
        features([good, good, str(good), bad, good], image_backbone, cache=cache)
    with pytest.raises(DataError, match=r"items\[1\] \(.*none\.png\)"):
        features([good, tmp_path / "none.png"], image_backbone, cache=cache)


def test_what_was_made_before_an_error_is_kept(tmp_path, own_cache, image_backbone):
    from headstart.encode import cache_info

    images = photos(20)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    with pytest.raises(DataError):
        features([*images, bad], image_backbone)
    assert cache_info().entries >= 12


def test_gpu_path_gives_the_same(monkeypatch, image_backbone):
    """The path of a GPU, run on the CPU: decoded ahead, large batches, a plain module."""
    images = photos(7)
    expected = features(images, image_backbone, cache=False).array
    encoder = image_module.ImageEncoder(
        image_backbone, device="cpu", precision="float32", reporter=SILENT
    )
    encoder._run = Module(image_backbone, torch.device("cpu"), "float32", SILENT)
    monkeypatch.setattr(image_module, "_GPU_BATCH", 3)
    parts = list(encoder._on_gpu(images, range(7)))
    assert close(np.concatenate([rows for _, rows in parts]), expected)
    assert np.concatenate([index for index, _ in parts]).tolist() == list(range(7))


def test_out_of_memory_halves_the_batch_and_says_so(monkeypatch, image_backbone, recorder):
    module = Module(image_backbone, torch.device("cpu"), "float32", recorder)
    whole = module._forward
    sizes = []

    def small(batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("no memory")
        return whole(batch)

    monkeypatch.setattr(module, "_forward", small)
    batch = torch.randn(7, 3, 32, 32)
    found = module(batch)
    assert close(found.numpy(), whole(batch).numpy())
    assert sizes == [7, 4, 2, 2, 3, 2, 1]
    assert len(recorder.said) == 1
    monkeypatch.setattr(module, "_forward", _never)
    with pytest.raises(torch.OutOfMemoryError):
        module(batch[:1])


def _never(batch):
    raise torch.OutOfMemoryError("no memory")


@pytest.mark.weights
def test_lite0_keeps_its_features():
    from headstart import sources

    backbone = sources.load("efficientnet-lite0", install_missing=False)
    images = photos(10, seed=3)
    found = features(images, backbone, cache=False).array
    prepare = image_module.Prepare(backbone.card.input)
    batch = prepare.normalise([prepare(Image.fromarray(image)) for image in images])
    with torch.inference_mode():
        assert cosine(found, backbone(batch).numpy()) >= 0.99999


def test_a_source_that_squashes_sees_the_whole_image():
    spec = {"size": 24, "crop": 1.0, "mean": [0.5] * 3, "std": [0.5] * 3, "squash": True}
    wide = np.zeros((30, 90, 3), dtype=np.uint8)
    wide[:, :30] = 255  # white on the left, which a centre crop would cut away
    seen = image_module.Prepare(spec)(Image.fromarray(wide))
    assert seen.shape == (24, 24, 3)
    assert seen[:, :6].mean() > 240
    assert image_module.Prepare(spec | {"squash": False})(Image.fromarray(wide)).mean() < 30
