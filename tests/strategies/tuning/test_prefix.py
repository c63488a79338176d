"""A cached prefix trains what the same blocks train uncached; what does not fit is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tuned_tiny import Told, backbone_of, close, items_of, labels_of, make, output, tokenizer_json

from headstart import encode, sources
from headstart.encode import output as files
from headstart.strategies.tuning.augment import Augment
from headstart.strategies.tuning.items import ImageItems, Midway, TextItems
from headstart.strategies.tuning.network import Network
from headstart.strategies.tuning.prefix import PrefixItems, cached_prefix

CPU = torch.device("cpu")


def curve(model: Any) -> list[list[float]]:
    return [list(row.values()) for row in model.history_]


def both(name: str, modality: str, **params: Any) -> tuple[Any, Any]:
    X, y = items_of(modality), labels_of("classes")
    given = {"validation": 0.25, "epochs": 3, "dropout": 0.0, "rate": 1e-4, **params}
    return tuple(
        make(name, modality, cache_prefix=cached, **given).fit(X, y) for cached in ("auto", False)
    )  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("name", "modality", "params"),
    [
        ("partial", "text", {"depth": 2}),
        ("partial", "text", {"depth": 0}),
        ("partial", "image", {"ema": 0.2}),
        ("partial", "image", {"depth": 0}),
        ("lora", "text", {"depth": 1}),
        ("gradual", "image", {"depth": 4}),
    ],
)
def test_cached_and_uncached_train_the_same(
    name: str, modality: str, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    plain = PrefixItems.__init__

    def note(self: PrefixItems, *args: Any, **named: Any) -> None:
        made.append(self)
        plain(self, *args, **named)

    monkeypatch.setattr(PrefixItems, "__init__", note)
    cached, uncached = both(name, modality, **params)
    assert len(made) == 1
    np.testing.assert_allclose(curve(cached), curve(uncached), rtol=1e-5, atol=1e-5)
    close(cached, uncached, 1e-5)


@pytest.mark.parametrize(("modality", "name"), [("text", "mask_tokens"), ("image", "mixup")])
def test_what_changes_the_first_blocks_anew_each_time_is_not_cached(
    modality: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(PrefixItems, "__init__")
    first, second = both("partial", modality, **{name: 0.2})
    close(first, second, 1e-7)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_what_is_more_than_the_cache_may_hold_is_said(
    modality: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached, uncached = both("partial", modality)
    monkeypatch.setenv("HEADSTART_CACHE_GB", "0")
    told = Told()
    again, _ = both("partial", modality, reporter=told)
    assert "is more than the cache may hold ($HEADSTART_CACHE_GB, now 0.0 GB)" in told
    close(again, uncached, 1e-7)
    close(again, cached, 1e-5)


def test_a_large_prefix_lies_in_a_file_that_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = both("partial", "image")[0]
    monkeypatch.setattr(files, "IN_MEMORY_BYTES", 100)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    close(both("partial", "image")[0], expected, 1e-7)
    assert list(tmp_path.iterdir()) == []


def _network(backbone: Any, stop: int) -> Network:
    network = Network(backbone, 2, np.zeros(16), 1.0).eval()
    network.first_trained = stop
    return network


def test_text_states_are_kept_without_padding_for_both_families() -> None:
    for family, stop in (("bert", 2), ("mpnet", 1)):
        backbone = backbone_of(family)
        items, network = TextItems(items_of("text"), backbone), _network(backbone, stop)
        ready = cached_prefix(items, network, stop, views=0, device=CPU, reporter=Told())
        assert isinstance(ready, PrefixItems)
        assert ready.arrays.shape == (items.sizes.sum(), 16)
        assert (len(ready), ready.first) == (24, stop)
        assert ready.identity() == items.identity()
        index = np.array([3, 17, 4])
        with torch.no_grad():
            found = network(ready.load(index, 0, None), stop)[0]
            expected = network(items.load(index, 0, None))[0]
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_views_of_an_image_are_fixed_and_taken_in_turn() -> None:
    backbone = backbone_of("lite")
    items = ImageItems(
        items_of("image", 6), backbone, size=32, augment=Augment(), fixed=2, reporter=Told()
    )
    network = _network(backbone, 3)
    ready = cached_prefix(items, network, 3, views=2, device=CPU, reporter=Told())
    index, generator = np.array([5, 0]), torch.Generator()
    before = generator.get_state()
    states = [ready.load(index, epoch, generator) for epoch in range(4)]
    assert torch.equal(states[0], states[2])
    assert torch.equal(states[1], states[3])
    assert not torch.equal(states[0], states[1])
    assert not torch.equal(states[0], ready.load(index, 0, None))
    assert torch.equal(generator.get_state(), before)
    with torch.no_grad():
        for epoch in range(2):
            seen = network.run_prefix(items.load(index, epoch, generator), 3)
            torch.testing.assert_close(states[epoch], seen, atol=1e-5, rtol=1e-5)


def test_of_images_what_trains_has_views_and_what_validates_a_plain_one() -> None:
    backbone = backbone_of("lite")
    items = ImageItems(
        items_of("image", 6), backbone, size=32, augment=Augment(), fixed=2, reporter=Told()
    )
    network = _network(backbone, 3)
    given: dict[str, Any] = {"views": 2, "device": CPU, "reporter": Told()}
    every = cached_prefix(items, network, 3, **given)
    told = Told()
    valid = np.array([4, 1])
    ready = cached_prefix(items, network, 3, **given | {"valid": valid, "reporter": told})
    assert isinstance(ready, PrefixItems)
    assert len(ready.arrays) == 2 * 4 + 2
    generator = torch.Generator()
    assert torch.equal(ready.load(valid, 0, None), every.load(valid, 0, None))
    train = np.array([5, 0, 3])
    for epoch in range(3):
        found = ready.load(train, epoch, generator)
        assert torch.equal(found, every.load(train, epoch, generator))
    for index, drawn in ((train, None), (valid, generator)):
        with pytest.raises(AssertionError, match="not asked for"):
            ready.load(index, 0, drawn)


VISION = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
VISION |= {"intermediate_size": 24, "image_size": 32, "patch_size": 16}
PREPARED = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.3] * 3}


def hub_image(folder: Path, kind: str) -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = {
        "vit": lambda: transformers.ViTConfig(**VISION),
        "resnet": lambda: transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 12, 16], depths=[1, 1, 1], layer_type="basic"
        ),
    }[kind]()
    transformers.AutoModel.from_config(config).eval().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPARED | {"resample": 3}))
    return sources.load(str(folder))


def hub_text(folder: Path, kind: str) -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = {
        "distilbert": lambda: transformers.DistilBertConfig(
            vocab_size=405, dim=16, n_layers=3, n_heads=2, hidden_dim=24, max_position_embeddings=40
        ),
        "roberta": lambda: transformers.RobertaConfig(
            vocab_size=405,
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=24,
            max_position_embeddings=40,
            pad_token_id=0,
        ),
    }[kind]()
    transformers.AutoModel.from_config(config).eval().save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer_json())
    return sources.load(str(folder))


@pytest.mark.parametrize(
    ("kind", "depth"), [("vit", 2), ("vit", 0), ("resnet", 2), ("distilbert", 2), ("roberta", 3)]
)
def test_encoders_through_the_door_are_cached_too(kind: str, depth: int, tmp_path: Path) -> None:
    modality = "image" if kind in ("vit", "resnet") else "text"
    backbone = (hub_image if modality == "image" else hub_text)(tmp_path, kind)
    assert len(backbone.blocks) >= 4
    params: dict[str, Any] = {"source": backbone, "depth": depth}
    if modality == "image":
        params["size"] = None
    cached, uncached = both("partial", modality, **params)
    np.testing.assert_allclose(curve(cached), curve(uncached), rtol=1e-5, atol=2e-5)
    close(cached, uncached, 1e-5)
    X = items_of(modality)
    np.testing.assert_allclose(output(cached, X), output(uncached, X), rtol=1e-3, atol=1e-4)
    stop = len(backbone.blocks) - 2
    prepared: Any
    if modality == "image":
        prepared = ImageItems(X, backbone, size=32, augment=Augment(), fixed=1, reporter=Told())
    else:
        prepared = TextItems(X, backbone)
    network = _network(backbone, stop)
    views = int(modality == "image")
    ready = cached_prefix(prepared, network, stop, views=views, device=CPU, reporter=Told())
    assert isinstance(ready.load(np.array([0, 1]), 0, None), Midway)


@pytest.mark.parametrize("name", ["finetune", "lora", "bitfit", "gradual"])
@pytest.mark.parametrize("kind", ["vit", "distilbert"])
def test_encoders_through_the_door_are_tuned(name: str, kind: str, tmp_path: Path) -> None:
    modality = "image" if kind == "vit" else "text"
    backbone = (hub_image if modality == "image" else hub_text)(tmp_path, kind)
    before = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
    params: dict[str, Any] = {"size": None} if modality == "image" else {}
    X, y = items_of(modality), labels_of("classes")
    model = make(name, modality, source=backbone, rate=1e-3, **params).fit(X, y)
    assert all(torch.equal(before[key], tensor) for key, tensor in backbone.state_dict().items())
    made = model.backbone().state_dict()
    moved = {key for key in before if not torch.equal(before[key], made[key])}
    assert {key for key in moved if "layer" in key or "blocks.2" in key}
    if name == "bitfit":
        assert all(key.endswith("bias") for key in moved)
    assert output(model, X).shape == (24, 3)


def test_what_is_squashed_when_encoded_is_squashed_when_tuned(tmp_path: Path) -> None:
    backbone = hub_image(tmp_path, "vit")
    assert backbone.card.input["squash"]
    wide = np.zeros((32, 96, 3), dtype=np.uint8)
    wide[:, :20] = 250  # a crop of the middle would not show it
    path = tmp_path / "wide.png"
    Image.fromarray(wide).save(path)
    items = ImageItems([wide, str(path)], backbone, size=32, augment=Augment(), reporter=Told())
    assert items.pixels[0, 16, 2].tolist() == [250, 250, 250]
    assert np.array_equal(items.pixels[0], items.pixels[1])
    network = _network(backbone, 0)
    with torch.no_grad():
        found = network(items.load(np.arange(2), 0, None))[0].numpy()
    expected = encode.features([wide, str(path)], backbone, cache=False, device="cpu").array
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
