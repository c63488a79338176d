"""Every option out of its range, every label that is none, every source that cannot be tuned."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tuned_tiny import (
    Told,
    as_bytes,
    backbone_of,
    fitted,
    items_of,
    labels_of,
    make,
    output,
    source,
)

from headstart import encode, strategies
from headstart.core.errors import DataError, MissingExtraError, OptionError, SourceError
from headstart.strategies.tuned import split_state, tuned_backbone
from headstart.strategies.tuning.rules import _CHOICES, _RANGES, epochs_for, size_for

X, Y = items_of("text"), labels_of("classes")
BAD: list[tuple[str, Any]] = [
    *((name, low - 1) for name, (low, _) in _RANGES.items()),
    *((name, high + 1) for name, (_, high) in _RANGES.items()),
    *((name, "much") for name in _RANGES),
    *((name, True) for name in _RANGES),
    *((name, "other") for name in _CHOICES),
    *((name, 2.5) for name in ("epochs", "batch", "depth", "rank", "patience", "trials")),
    ("rate", float("nan")),
    ("warmup", None),
    ("ema", None),
    ("flip", 1),
    ("wise", 0),
    ("cache_prefix", 0),
    ("size", 48),
    ("class_weight", "heavy"),
    ("class_weight", {"ant": -1.0}),
    ("device", "abacus"),
    ("depth", 5),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=lambda value: str(value))
def test_options_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(OptionError) as raised:
        make("lora", "text", **{name: value}).fit(X, Y)
    where = str(raised.value)
    assert name in where
    assert raised.value.allowed is not None or name == "device"


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "epochs": np.int64(1),
        "batch": np.int32(8),
        "rate": np.float32(2.0**-12),
        "decay": np.float64(0.5),
        "trials": np.int64(0),
        "checkpoint": tmp_path,
    }
    model = make("finetune", "text", **given).fit(X, Y)
    plain = {name: value.item() for name, value in given.items() if name != "checkpoint"}
    expected = make("finetune", "text", **plain).fit(X, Y)
    assert as_bytes(model.to_state()) == as_bytes(expected.to_state())
    assert {type(value) for value in model.settings_.values()} <= {
        int, float, str, bool, type(None),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("y", "what"),
    [
        (["a"] * 24, "only one class"),
        (["a", "b"] * 11, "differ in length"),
        ([None, "b"] * 12, "missing label"),
        ([["a"], ["a", "b"]] * 12, "labels of different lengths"),
        (np.full((24, 2), 2), "not indicators"),
        (np.zeros((24, 0)), "not indicators"),
        (np.zeros((23, 2)), "differ in length"),
        (np.array([["a", "b"]] * 24), "not indicators"),
        (np.zeros((24, 2, 1)), "one-dimensional"),
        (np.full((24, 1), np.nan), "not indicators"),
    ],
)
def test_labels_that_are_none(y: Any, what: str) -> None:
    with pytest.raises(DataError, match=what) as raised:
        make("finetune", "text").fit(X, y)
    assert "y" in str(raised.value.where)


def test_numbers_that_are_none_and_nothing_to_fit_on() -> None:
    with pytest.raises(DataError, match="labels are not numbers"):
        make("finetune", "text", "numbers").fit(X, ["a"] * 24)
    with pytest.raises(DataError, match="not a finite number"):
        make("finetune", "text", "numbers").fit(X, [1.0] * 23 + [float("inf")])
    with pytest.raises(ValueError, match="Unknown label type"):
        make("finetune", "text").fit(X, np.linspace(0, 1, 24))
    for empty in ([], np.zeros((0, 2))):
        with pytest.raises(DataError, match=r"no items to fit on|differ in length"):
            make("finetune", "text").fit([], empty)


def test_items_of_another_modality_and_sources_that_cannot_be_tuned() -> None:
    with pytest.raises(DataError, match="not a text"):
        make("finetune", "text").fit(items_of("image"), Y)
    with pytest.raises(DataError, match=r"items\[0\]"):
        make("finetune", "image").fit(X, Y)
    other = backbone_of("bert")
    other.card = replace(other.card, modality="table")
    with pytest.raises(OptionError, match="cannot be tuned") as raised:
        make("finetune", "text", source=other).fit(X, Y)
    assert raised.value.allowed == ["text", "image", "audio"]
    from headstart.strategies.tuning.items import TextItems

    with pytest.raises(DataError, match="not a text") as where:
        TextItems(["w1", 2], source("text"))  # type: ignore[list-item]
    assert where.value.where == "X, item 1"


def test_masking_needs_a_mask_token() -> None:
    backbone = backbone_of("bert")
    words = backbone.tokenizer.to_str().replace("[MASK]", "[OTHER]")
    from headstart import sources

    bare = sources.from_state(backbone.card, backbone.tensors(), words)
    with pytest.raises(DataError, match="no mask token") as raised:
        make("finetune", "text", source=bare, mask_tokens=0.2).fit(X, Y)
    assert raised.value.where == "mask_tokens"
    assert make("finetune", "text", source=bare).fit(X, Y).predict(X).shape == (24,)


def test_weights_of_another_source_are_refused() -> None:
    tuned, base = fitted("finetune", "text", "classes").tuned_, source("text")
    word = "blocks.0.word.weight"
    rows, index = tuned[f"rows.{word}"], tuned[f"index.{word}"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"blocks.9.up.weight": np.zeros((2, 2))}, "not those of this source"),
        ({"blocks.1.up.weight": np.zeros((2, 2))}, "not those of this source"),
        ({f"rows.{word}": rows[:, :3], f"index.{word}": index}, "not those of this source"),
        ({"rows.blocks.9.word": rows, f"index.{word}": index}, "not those|not said"),
        ({f"rows.{word}": rows}, "not said which rows"),
        ({f"rows.{word}": rows, f"index.{word}": index[1:]}, "not said which rows"),
        ({f"rows.{word}": rows, f"index.{word}": index + 400}, "not said which rows"),
        ({f"rows.{word}": rows, f"index.{word}": index - 1}, "not said which rows"),
        ({f"rows.{word}": rows, f"index.{word}": index.astype(float)}, "not said which rows"),
    ]
    for changed, what in wrong:
        with pytest.raises(SourceError, match=what):
            tuned_backbone(base, changed, {})
        assert base.tokenizer is not None
    assert split_state({"coef": rows, "tuned.x": rows}).keys() == {"x"}


def test_a_search_is_deterministic_and_keeps_the_best(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    params: dict[str, Any] = {"trials": 2, "validation": 0.25, "decay": 0.4, "epochs": 2}
    models = [make("lora", "text", **params).fit(X, Y) for _ in range(2)]
    assert as_bytes(models[0].to_state()) == as_bytes(models[1].to_state())
    assert "study" not in capfd.readouterr().err
    told = Told()
    plain = make("lora", "text", trials=2, reporter=told).fit(X, Y)  # nothing is spared to judge
    assert "Too few items to judge other settings on" in told
    assert as_bytes(plain.to_state()) == as_bytes(fitted("lora", "text", "classes").to_state())


def test_a_search_needs_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match="optuna"):
        make("lora", "text", trials=2, validation=0.25).fit(X, Y)


@pytest.mark.parametrize("name", strategies.STRATEGIES)
def test_strategies_that_tune_take_texts_images_and_sounds(name: str) -> None:
    spec = strategies.STRATEGIES[name]
    if spec.tunes and name != "weighted-layers":
        assert spec.modalities == ("image", "text", "audio")
        assert spec.supports("regression", "image") or name == "contrastive"


@pytest.mark.parametrize("modality", ["text", "image"])
def test_seconds_are_told_and_nothing_is_changed(modality: str) -> None:
    model = make("lp-ft", modality, validation=0.25, ema=0.1, reporter=Told())
    before = {k: v.clone() for k, v in source(modality).state_dict().items()}
    params = model.get_params()
    seconds = model.seconds_to_fit(items_of(modality), Y)
    assert 0 < seconds < 600
    assert np.isfinite(seconds)
    assert all((before[k] == v).all() for k, v in source(modality).state_dict().items())
    assert model.get_params() == params
    assert not hasattr(model, "coef_")
    more = make("lp-ft", modality, epochs=200).seconds_to_fit(items_of(modality), Y)
    assert more > seconds
    assert make("partial", modality).seconds_to_fit(items_of(modality, 2), ["a", "b"]) > 0


def test_small_and_odd_tasks() -> None:
    for name in ("finetune", "lp-ft", "partial", "lora"):
        for n in (2, 4, 5):  # 5: one item in a batch of its own, with batches of 4
            y = ["a", "b", "b", "a", "b"][:n]
            model = make(name, "text", batch=4).fit(X[:n], y)
            assert set(model.predict(X)) <= {"a", "b"}
    lonely = np.array(["a", "b"] * 11 + ["c"])
    model = make("lp-ft", "text", validation=0.5).fit(X[:23], lonely)
    assert model.classes_.tolist() == ["a", "b", "c"]
    for labels in ([0, 5, 7], [True, False, True], ["x", "ö", ""]):
        y = np.array(labels)[np.arange(24) % 3]
        model = make("finetune", "text").fit(X, y)
        assert model.predict(X).dtype == y.dtype
        assert model.classes_.tolist() == sorted(set(labels))
        state = model.to_state()
        again = strategies.from_state(
            "finetune", kind="classification", modality="text", state=state
        )
        assert np.array_equal(again.classes_, model.classes_)
        assert again.classes_.dtype == model.classes_.dtype
    for kind, y1 in (("numbers", [3.5]), ("sets", [[0, 1]]), ("sets", [[1, 1]])):
        for name in ("finetune", "lp-ft"):
            found = make(name, "text", kind).fit(X[:1], y1).predict(X[:2])
            assert np.isfinite(found).all()
    constant = make("lp-ft", "text", "numbers").fit(X, np.full(24, 7.0))
    np.testing.assert_allclose(constant.predict(X), 7.0, atol=0.2)
    never = make("lp-ft", "text", "sets").fit(X, np.zeros((24, 2), dtype=int))
    assert never.predict(X).shape == (24, 2)


def test_odd_texts() -> None:
    texts = [*X[:20], "", "   ", "w1 " * 500, "ü" * 3000]
    model = make("finetune", "text").fit(texts, Y)
    found = output(model, texts)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[20], found[21], rtol=1e-5)
    assert list(model.predict([texts[22]])) == [model.predict(texts)[22]]


def test_series_of_pandas_are_items_by_their_place() -> None:
    shuffled = pd.Series(X, index=np.arange(24)[::-1] + 100)
    labels = pd.Series(Y, index=shuffled.index)
    model = make("finetune", "text").fit(shuffled, labels)
    expected = fitted("finetune", "text", "classes")
    assert as_bytes(model.to_state()) == as_bytes(expected.to_state())
    assert np.array_equal(output(model, shuffled), output(expected, X))
    assert np.array_equal(output(model, shuffled[5:7]), output(expected, X[5:7]))


def test_odd_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (30, 50), dtype=np.uint8)
    colour = rng.integers(0, 256, (120, 33, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "a.png")
    Image.fromarray(grey).save(tmp_path / "b.jpg")
    items = [grey, colour, str(tmp_path / "a.png"), tmp_path / "b.jpg", Image.fromarray(grey)] * 3
    y = np.arange(15) % 5 == 0
    model = make("finetune", "image", size=None).fit(items, y)
    assert model.given_ == {"size": 64}
    assert model.backbone().card.input["size"] == 64
    found = output(model, items)
    np.testing.assert_allclose(found[0], found[4], rtol=1e-5)
    np.testing.assert_allclose(found[1], found[2], rtol=1e-5)
    (tmp_path / "c.png").write_text("no image")
    with pytest.raises(DataError, match=r"items\[2\]"):
        make("finetune", "image", size=None).fit([grey, colour, str(tmp_path / "c.png")], [0, 1, 0])
    default = strategies.FineTune(device="cpu", epochs=1)  # type: ignore[attr-defined]
    assert default.get_params()["source"] is None
    assert size_for([np.zeros((200, 300, 3), np.uint8)] * 3, 224) == 224
    assert size_for([np.zeros((70, 300, 3), np.uint8)] * 3, 224) == 96
    assert size_for([tmp_path / "none.png"], 224) == 224
    assert [epochs_for("image", n) for n in (1, 1000, 10**6)] == [25, 10, 5]


def test_a_text_that_is_a_path_of_an_image_asks_for_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart import sources

    asked: list[str] = []

    def load(name: str, **_: Any) -> Any:
        asked.append(name)
        return source("text" if name == "minilm" else "image")

    monkeypatch.setattr(sources, "load", load)
    model = make("finetune", "text", source=None).fit(X, Y)
    again = strategies.from_state(
        "finetune", kind="classification", modality="text", state=model.to_state()
    )
    monkeypatch.setattr(sources, "load", lambda name, **_: asked.append(name) or source("text"))
    again.set_params(device="cpu")
    assert np.array_equal(output(again, X), output(model, X))
    paths = []
    for i, image in enumerate(items_of("image", 6)):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(image).save(paths[-1])
    monkeypatch.setattr(sources, "load", load)
    make("finetune", "image", source=None, size=32).fit(paths, [0, 1, 2] * 2)
    assert asked == ["minilm", "tiny-bert", "efficientnet-lite0"]
    assert encode.features(paths, source("image"), cache=False, device="cpu").array.shape == (6, 16)
