"""The Hugging Face door, on tiny random models that the tests save themselves."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from headstart import sources
from headstart.core.errors import (
    FetchError,
    IntegrityError,
    MissingExtraError,
    NotInstalledError,
    SourceError,
)
from headstart.sources import hf

transformers = pytest.importorskip("transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "a", "the"]
SMALL = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
}
VISION = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": 32,
    "patch_size": 16,
}
PREPROCESSOR = {
    "size": {"height": 32, "width": 32},
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
    "resample": 3,
}


def save_tokenizer(path: Path) -> None:
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(path / "tokenizer.json"))


def save_text(path: Path, config: Any) -> Any:
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config).eval()
    model.save_pretrained(path)
    save_tokenizer(path)
    return model


def save_image(path: Path, config: Any, **preprocessor: Any) -> Any:
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config).eval()
    model.save_pretrained(path)
    (path / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR | preprocessor))
    return model


def text_batch() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([[2, 4, 6, 3], [2, 5, 3, 0]])
    return ids, torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


def mean_of(model: Any, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    ids, mask = batch
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).float()
    return (hidden * weights).sum(1) / weights.sum(1)


TEXT_CONFIGS = {
    "bert": lambda: transformers.BertConfig(**SMALL),
    "mpnet": lambda: transformers.MPNetConfig(**SMALL | {"max_position_embeddings": 42}),
    "roberta": lambda: transformers.RobertaConfig(**SMALL, pad_token_id=0),
    "distilbert": lambda: transformers.DistilBertConfig(
        vocab_size=len(WORDS), dim=16, n_layers=3, n_heads=2, hidden_dim=24
    ),
}


@pytest.mark.parametrize("kind", TEXT_CONFIGS)
def test_text_encoder_gives_what_transformers_gives(kind: str, tmp_path: Path) -> None:
    model = save_text(tmp_path, TEXT_CONFIGS[kind]())
    card = sources.card(str(tmp_path))
    backbone = sources.load(card)
    with torch.no_grad():
        torch.testing.assert_close(
            backbone(text_batch()), mean_of(model, text_batch()), atol=1e-6, rtol=1e-5
        )
    assert card.family == (kind if kind in ("bert", "mpnet") else "hf")
    assert (card.modality, card.dim, card.provider) == ("text", 16, "local")
    assert [name for name in backbone.block_names if name.startswith("layer")] == [
        "layer1",
        "layer2",
        "layer3",
    ]
    assert backbone.tokenizer is not None
    assert backbone.tokenizer.encode("Good film").ids == [2, 4, 6, 3]


IMAGE_CONFIGS = {
    "vit": lambda: transformers.ViTConfig(**VISION),
    "dinov2": lambda: transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16
    ),
    "resnet": lambda: transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic"
    ),
    "convnext": lambda: transformers.ConvNextConfig(
        num_stages=2, hidden_sizes=[8, 16], depths=[1, 1]
    ),
    "mobilenet_v2": lambda: transformers.MobileNetV2Config(depth_multiplier=0.1, image_size=32),
}


@pytest.mark.parametrize("kind", IMAGE_CONFIGS)
def test_image_encoder_gives_what_transformers_gives(kind: str, tmp_path: Path) -> None:
    model = save_image(tmp_path, IMAGE_CONFIGS[kind]())
    backbone = sources.load(str(tmp_path))
    batch = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model(pixel_values=batch).pooler_output.flatten(1)
        torch.testing.assert_close(backbone(batch), expected, atol=1e-6, rtol=1e-5)
    assert backbone.card.dim == expected.shape[1]
    assert backbone.card.modality == "image"
    assert backbone.card.input["interpolation"] == "bicubic"
    assert backbone.card.input["mean"] == [0.5, 0.4, 0.3]
    layers = tuple(name for name in backbone.block_names if name.startswith("layer"))
    assert backbone.block_names == ("embeddings", *layers, "output")
    assert len(layers) == (2 if kind != "mobilenet_v2" else 16)


def test_clip_is_an_image_encoder_by_its_projected_vision_tower(tmp_path: Path) -> None:
    config = transformers.CLIPConfig(
        text_config={**SMALL, "projection_dim": 8},
        vision_config={**VISION, "projection_dim": 8},
        projection_dim=8,
    )
    model = save_image(tmp_path, config, size={"shortest_edge": 32}, crop_size=32)
    backbone = sources.load(str(tmp_path))
    batch = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        pooled = model.vision_model(pixel_values=batch).pooler_output
        torch.testing.assert_close(backbone(batch), model.visual_projection(pooled))
    assert backbone.card.dim == 8
    assert backbone.card.input["squash"] is False
    rebuilt = sources.from_state(backbone.card, backbone.tensors(), None)
    with torch.no_grad():
        assert torch.equal(rebuilt(batch), backbone(batch))


def test_vit_saved_without_its_pooler_uses_the_class_token_every_time(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = transformers.ViTModel(transformers.ViTConfig(**VISION), add_pooling_layer=False).eval()
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    batch = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    backbone = sources.load(str(tmp_path))
    with torch.no_grad():
        expected = model(pixel_values=batch).last_hidden_state[:, 0]
        torch.testing.assert_close(backbone(batch), expected)
    assert backbone.card.input["pooling"] == "cls"


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_blocks_own_every_weight_once_and_freeze_alone(kind: str, tmp_path: Path) -> None:
    save_text(tmp_path, TEXT_CONFIGS[kind]())
    backbone = sources.load(str(tmp_path))
    owners = [{id(p) for p in block.parameters()} for block in backbone.blocks]
    assert len(set.union(*owners)) == sum(len(owned) for owned in owners)
    assert set.union(*owners) == {id(p) for p in backbone.parameters()}
    for block in backbone.blocks[:-2]:
        block.requires_grad_(False)
    backbone(text_batch()).sum().backward()
    frozen = [p.grad is None for block in backbone.blocks[:-2] for p in block.parameters()]
    assert all(frozen)
    trained = next(name for name in reversed(range(len(owners))) if owners[name])
    assert any(p.grad is not None for p in backbone.blocks[trained].parameters())


@pytest.mark.parametrize("kind", ["bert", "mpnet", "roberta", "distilbert"])
def test_state_round_trip_and_copy_give_the_same_bits(kind: str, tmp_path: Path) -> None:
    save_text(tmp_path, TEXT_CONFIGS[kind]())
    backbone = sources.load(str(tmp_path))
    assert backbone.tokenizer is not None
    card = sources.SourceCard.from_json(json.loads(json.dumps(backbone.card.to_json())))
    rebuilt = sources.from_state(card, backbone.tensors(), backbone.tokenizer.to_str())
    copied = copy.deepcopy(backbone)
    with torch.no_grad():
        assert torch.equal(rebuilt(text_batch()), backbone(text_batch()))
        assert torch.equal(copied(text_batch()), backbone(text_batch()))
        for parameter in copied.parameters():
            parameter.zero_()
        assert torch.equal(rebuilt(text_batch()), backbone(text_batch()))


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode": "mean"}, "mean"),
    ],
)
def test_pooling_of_sentence_transformers_is_honoured(
    config: dict[str, Any], pooling: str, tmp_path: Path
) -> None:
    model = save_text(tmp_path, TEXT_CONFIGS["bert"]())
    write_modules(tmp_path, "Transformer", "Pooling", "Normalize")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(config))
    backbone = sources.load(str(tmp_path))
    ids, mask = text_batch()
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        expected = {
            "cls": hidden[:, 0],
            "max": torch.stack([hidden[0].amax(0), hidden[1, :3].amax(0)]),
            "mean": mean_of(model, (ids, mask)),
        }[pooling]
        expected = expected / expected.norm(dim=1, keepdim=True)
        torch.testing.assert_close(backbone((ids, mask)), expected, atol=1e-6, rtol=1e-5)


def write_modules(path: Path, *kinds: str) -> None:
    listing = [
        {"path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (path / "modules.json").write_text(json.dumps(listing))


def test_lengths_and_prompts_come_from_the_directory(tmp_path: Path) -> None:
    save_text(tmp_path, TEXT_CONFIGS["roberta"]())
    assert sources.card(str(tmp_path)).input["max_tokens"] == 39  # 40 places, the padding's spared
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 12}')
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 7}')
    (tmp_path / "config_sentence_transformers.json").write_text(
        '{"prompts": {"query": "query: "}, "default_prompt_name": "query"}'
    )
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    card = sources.card(str(tmp_path))
    assert card.input["max_tokens"] == 7
    assert card.input["prefix"] == "query: "
    assert (card.licence, card.permissive) == ("mit", True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"size": {"shortest_edge": 40}, "crop_size": 32, "do_center_crop": True},
            (32, 0.8, False),
        ),
        ({"size": {"height": 32, "width": 32}}, (32, 1.0, True)),
        ({"size": 32}, (32, 1.0, True)),
        ({"size": {"shortest_edge": 32}, "crop_pct": 0.875}, (32, 0.875, False)),
        (
            {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}},
            (40, 1.0, False),
        ),
    ],
)
def test_preprocessing_is_read(
    changes: dict[str, Any], expected: tuple[int, float, bool], tmp_path: Path
) -> None:
    save_image(tmp_path, IMAGE_CONFIGS["resnet"](), **changes)
    spec = sources.card(str(tmp_path)).input
    assert (spec["size"], spec["crop"], spec["squash"]) == expected


def test_no_normalisation_means_none(tmp_path: Path) -> None:
    save_image(tmp_path, IMAGE_CONFIGS["resnet"](), do_normalize=False)
    spec = sources.card(str(tmp_path)).input
    assert (spec["mean"], spec["std"]) == ([0.0] * 3, [1.0] * 3)


def test_identity_follows_weights_and_tokenizer(tmp_path: Path) -> None:
    save_text(tmp_path, TEXT_CONFIGS["bert"]())
    first = sources.card(str(tmp_path))
    assert sources.load(first).weights_sha256 == first.weights_sha256
    text = (tmp_path / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(text.replace("good", "nice"))
    assert sources.card(str(tmp_path)).weights_sha256 != first.weights_sha256
    with pytest.raises(IntegrityError, match="not the one that its card describes"):
        sources.load(first)


def break_nothing(path: Path) -> None:
    save_text(path, TEXT_CONFIGS["roberta"]())


def edit_config(path: Path, **changes: Any) -> None:
    config = json.loads((path / "config.json").read_text())
    config.update(changes)
    (path / "config.json").write_text(json.dumps(config))


def only_pickle(path: Path) -> None:
    (path / "model.safetensors").rename(path / "pytorch_model.bin")


def damage(path: Path) -> None:
    (path / "model.safetensors").write_bytes(b"\x00" * 100)


BROKEN = {
    "no config": (lambda path: (path / "config.json").unlink(), "no config.json"),
    "config is no JSON": (lambda path: (path / "config.json").write_text("{"), "read as JSON"),
    "config is a list": (lambda path: (path / "config.json").write_text("[]"), "JSON object"),
    "pickle": (only_pickle, "safetensors format.*pytorch_model.bin.*save_pretrained"),
    "damaged": (damage, "damaged"),
    "unknown type": (lambda path: edit_config(path, model_type="mine"), "never run"),
    "decoder": (lambda path: edit_config(path, is_decoder=True), "only encoders"),
    "generates": (lambda path: edit_config(path, architectures=["XForCausalLM"]), "only encoders"),
    "no tokenizer": (lambda path: (path / "tokenizer.json").unlink(), "neither an image"),
    "dense": (lambda path: write_modules(path, "Transformer", "Dense"), "not supported.*Dense"),
    "weighted": (
        lambda path: (
            write_modules(path, "Pooling"),
            (path / "tokenizer_config.json").write_text("{}"),
            (path / "config.json").read_text(),
            pooling(path, pooling_mode_weightedmean_tokens=True),
        ),
        "this pooling is not supported",
    ),
}


def pooling(path: Path, **modes: bool) -> None:
    listing = [{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (path / "modules.json").write_text(json.dumps(listing))
    (path / "1_Pooling").mkdir()
    (path / "1_Pooling" / "config.json").write_text(json.dumps(modes))


@pytest.mark.parametrize("how", BROKEN)
def test_unusable_directories_say_why(how: str, tmp_path: Path) -> None:
    breaking, message = BROKEN[how]
    save_text(tmp_path, TEXT_CONFIGS["roberta"]())
    breaking(tmp_path)
    with pytest.raises(SourceError, match=message):
        sources.load(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": {"height": 32, "width": 16}}, "image size"),
        ({"resample": 9}, "resampling"),
        ({"image_mean": [0.5]}, "three numbers"),
    ],
)
def test_unusable_preprocessing_says_why(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    save_image(tmp_path, IMAGE_CONFIGS["vit"](), **changes)
    with pytest.raises(SourceError, match=message):
        sources.card(str(tmp_path))


def test_vision_tower_without_preprocessor_says_why(tmp_path: Path) -> None:
    config = transformers.CLIPConfig(text_config=SMALL, vision_config=VISION)
    save_image(tmp_path, config)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(SourceError, match=r"needs its preprocessor_config\.json"):
        sources.card(str(tmp_path))


def test_lacking_dimension_says_why(tmp_path: Path) -> None:
    save_text(tmp_path, TEXT_CONFIGS["bert"]())
    config = json.loads((tmp_path / "config.json").read_text())
    del config["vocab_size"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match=r"lacks a dimension.*vocab_size"):
        sources.card(str(tmp_path))


def test_dimension_that_cannot_be_told_says_why(tmp_path: Path) -> None:
    save_text(tmp_path, TEXT_CONFIGS["roberta"]())
    folder = hf.folders.open_folder(tmp_path)
    with pytest.raises(SourceError, match="cannot be told"):
        hf._dim(object(), folder, {})


def test_missing_weights_are_not_made_up(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_text(tmp_path, TEXT_CONFIGS["roberta"]())
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SourceError, match="weights are missing"):
        sources.load(str(tmp_path))


def test_wrong_shapes_are_refused(tmp_path: Path) -> None:
    save_text(tmp_path, TEXT_CONFIGS["roberta"]())
    edit_config(tmp_path, intermediate_size=32)
    with pytest.raises(SourceError, match="cannot load this model"):
        sources.load(str(tmp_path))


def test_from_state_refuses_other_tensors(tmp_path: Path) -> None:
    save_text(tmp_path, TEXT_CONFIGS["roberta"]())
    card = sources.card(str(tmp_path))
    with pytest.raises(SourceError, match="do not fit"):
        sources.from_state(card, {"x": np.zeros(3, np.float32)}, None)


def test_unrunnable_and_wrong_features_are_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    save_image(tmp_path, IMAGE_CONFIGS["vit"]())
    card = sources.card(str(tmp_path))
    with pytest.raises(SourceError, match="not of the length"):
        sources.load(replace(card, dim=99))
    spec = {**card.input, "size": 48}  # a ViT takes one size only
    with pytest.raises(SourceError, match="does not run as an encoder"):
        sources.load(replace(card, input=spec))


class Hub:
    """Stands in for the hub: a function that answers with a directory or an error."""

    def __init__(self, answer: Path | Exception) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def __call__(self, repo_id: str, **options: Any) -> str:
        self.asked.append({"repo_id": repo_id, **options})
        if isinstance(self.answer, Exception):
            raise self.answer
        return str(self.answer)


def test_hub_ids_are_downloaded_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = save_text(tmp_path, TEXT_CONFIGS["bert"]())
    hub = Hub(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    monkeypatch.delenv("HEADSTART_OFFLINE", raising=False)
    for name in ("org/tiny", "hf:org/tiny"):
        backbone = sources.load(name)
        assert backbone.card.name == "org/tiny"
        assert backbone.card.provider == "huggingface"
        with torch.no_grad():
            torch.testing.assert_close(
                backbone(text_batch()), mean_of(model, text_batch()), atol=1e-6, rtol=1e-5
            )
    assert {call["repo_id"] for call in hub.asked} == {"org/tiny"}
    assert not any(call["local_files_only"] for call in hub.asked)


def test_hub_errors_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    monkeypatch.setattr("huggingface_hub.snapshot_download", Hub(OSError("no route")))
    with pytest.raises(FetchError, match=r"did not send org/tiny.*no route"):
        sources.card("org/tiny")
    hub = Hub(LocalEntryNotFoundError("not here"))
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    monkeypatch.delenv("HEADSTART_OFFLINE", raising=False)
    with pytest.raises(FetchError, match="did not send"):
        sources.card("org/tiny")
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    with pytest.raises(NotInstalledError, match="HEADSTART_OFFLINE"):
        sources.card("org/tiny")
    assert hub.asked[-1]["local_files_only"] is True


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_text(tmp_path, TEXT_CONFIGS["roberta"]())
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"transformers.*headstart\[hf\]"):
        sources.card(str(tmp_path))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match="huggingface_hub"):
        sources.card("org/tiny")


def test_a_bert_directory_needs_no_transformers(tmp_path: Path) -> None:
    save_text(tmp_path, TEXT_CONFIGS["bert"]())
    code = (
        "import sys; from headstart import sources; "
        f"sources.load({str(tmp_path)!r}); assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_slow_tokenizer_is_made_fast(tmp_path: Path) -> None:
    save_text(tmp_path, TEXT_CONFIGS["distilbert"]())
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    backbone = sources.load(str(tmp_path))
    assert backbone.tokenizer is not None
    assert backbone.tokenizer.encode("good film").ids == [2, 4, 6, 3]


def test_a_tokenizer_that_cannot_be_had_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_text(tmp_path, TEXT_CONFIGS["distilbert"]())
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))

    class Slow:
        is_fast = False

    def slow(*args: Any, **options: Any) -> Slow:
        return Slow()

    def broken(*args: Any, **options: Any) -> Slow:
        raise ValueError("no such class")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", slow)
    with pytest.raises(SourceError, match="no fast tokenizer"):
        sources.load(str(tmp_path))
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", broken)
    with pytest.raises(SourceError, match="tokenizer cannot be loaded"):
        sources.load(str(tmp_path))


class Output:
    def __init__(self, hidden: torch.Tensor) -> None:
        self.last_hidden_state = hidden


class OddLayer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 4, 1)

    def forward(self, hidden: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        return self.conv(hidden) + which


class Odd(torch.nn.Module):
    """An encoder that cannot be taken apart: each layer is told which one it is."""

    def __init__(self, *, own_weight: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.front = torch.nn.Conv2d(3, 4, 4, 4)
        self.layers = torch.nn.ModuleList([OddLayer() for _ in range(3)])
        if own_weight:
            self.scale = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, pixel_values: torch.Tensor) -> Output:
        hidden = self.front(pixel_values)
        for i, layer in enumerate(self.layers):
            hidden = layer(hidden, torch.tensor(float(i)))
        return Output(hidden)


@pytest.mark.parametrize("own_weight", [False, True])
def test_what_cannot_be_taken_apart_rightly_is_one_block(own_weight: bool) -> None:
    from dataclasses import replace

    from headstart.sources.staged import HubBackbone

    spec = {"size": 16, "pooling": "pooler"}  # it has no pooler: the mean over places
    card = replace(sources.card("efficientnet-lite0"), input=spec, dim=4)
    model = Odd(own_weight=own_weight).eval()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    backbone = HubBackbone(card, model, x)
    assert backbone.block_names == ("model",)
    assert len(backbone.blocks) == 1
    with torch.no_grad():
        assert torch.equal(backbone(x), model(x).last_hidden_state.mean(dim=(2, 3)))
    assert {id(p) for p in backbone.parameters()} == {id(p) for p in model.parameters()}
