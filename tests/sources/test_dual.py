"""A source that reads images and texts, from its directory to a saved model: a tiny CLIP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

import headstart as hs
from headstart import sources
from headstart.core.errors import OptionError, SourceError
from headstart.sources import dual

transformers = pytest.importorskip("transformers")

WORDS = ["[PAD]", "[UNK]", "[BOS]", "[EOS]", "a", "photo", "picture", "image", "of", "an", "."]
WORDS += ["red", "green", "blue", "square"]
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
TEXT = SMALL | {
    "vocab_size": len(WORDS),
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
VISION = SMALL | {"image_size": 32, "patch_size": 16}


def save_tokenizer(path: Path) -> None:
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 2), ("[EOS]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", eos_token="[EOS]"
    ).save_pretrained(path)


def save(path: Path, kind: str = "clip") -> Any:
    """Save a tiny dual encoder whose image side sees colours, and its text side the words."""
    torch.manual_seed(0)
    if kind == "clip":
        config = transformers.CLIPConfig(
            text_config=TEXT, vision_config=VISION, projection_dim=8, logit_scale_init_value=2.0
        )
    else:
        config = transformers.SiglipConfig(text_config=TEXT, vision_config=VISION)
    model = transformers.AutoModel.from_config(config).eval()
    with torch.no_grad():
        if kind == "siglip":
            model.logit_scale.fill_(1.0)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8.0)
    model.save_pretrained(path)
    save_tokenizer(path)
    said = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (path / "preprocessor_config.json").write_text(json.dumps(said | {"resample": 3}))
    return model


@pytest.fixture(params=["clip", "siglip"])
def tiny(request, tmp_path) -> tuple[Path, Any]:
    place = tmp_path / request.param
    return place, save(place, request.param)


def squares(n: int = 3) -> list[np.ndarray]:
    made = np.zeros((n, 32, 32, 3), dtype=np.uint8)
    for i in range(n):
        made[i, ..., i % 3] = 255 - 20 * (i // 3)
    return list(made)


def embeds(out: Any) -> torch.Tensor:
    return out if isinstance(out, torch.Tensor) else out.pooler_output


def test_both_sides_are_those_of_transformers(tiny):
    place, model = tiny
    card = sources.card(str(place))
    assert sources.reads_both(card)
    texts = ["a photo of a red square.", "blue"]
    found, scale = sources.text_features(card, texts)
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    batch = tokenizer(texts, padding="max_length", max_length=16, return_tensors="pt")
    with torch.no_grad():
        known = {key: batch[key] for key in ("input_ids", "attention_mask")}
        expected = embeds(model.get_text_features(**known))
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)
        assert scale == pytest.approx(float(model.logit_scale.exp()), rel=1e-5)
        pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        image = embeds(model.get_image_features(pixel_values=pixels))
        torch.testing.assert_close(sources.load(card)(pixels), image, rtol=1e-4, atol=1e-5)


def test_zero_shot_is_the_models_own_end_to_end(tiny, tmp_path):
    place, model = tiny
    images = squares()
    result = hs.zero_shot(["red square", "green square", "blue square"], modality="image",
                          source=str(place), templates=["a photo of a {}."])  # fmt: skip
    assert (result.chosen.source, result.chosen.strategy) == (str(place), "zero-shot")
    saved = result.save(tmp_path / "model")
    loaded = hs.load(saved)
    found = loaded.predict_proba(images)
    assert np.array_equal(found, result.predict_proba(images))
    texts = [f"a photo of a {name}." for name in loaded.classes]
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    batch = tokenizer(texts, padding="max_length", max_length=16, return_tensors="pt")
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        known = {key: batch[key] for key in ("input_ids", "attention_mask")}
        words = torch.nn.functional.normalize(embeds(model.get_text_features(**known)))
        seen = torch.nn.functional.normalize(embeds(model.get_image_features(pixel_values=pixels)))
        expected = (model.logit_scale.exp() * seen @ words.T).softmax(dim=1)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)
    assert np.ptp(expected.numpy(), axis=0).max() > 0.01  # the images are told apart


def test_a_standalone_model_needs_no_text_side(tiny, tmp_path):
    place, _ = tiny
    result = hs.zero_shot("red, blue", modality="image", source=str(place))
    saved = result.save(tmp_path / "model", standalone=True)
    expected = result.predict_proba(squares())
    for file in place.iterdir():
        file.unlink()
    assert np.array_equal(hs.load(saved).predict_proba(squares()), expected)


def test_a_source_of_images_alone_reads_no_texts(tmp_path):
    vit = transformers.ViTModel(transformers.ViTConfig(**VISION))
    vit.save_pretrained(tmp_path)
    said = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    assert not sources.reads_both(sources.card(str(tmp_path)))
    with pytest.raises(OptionError, match="reads no texts, and names no classes"):
        hs.zero_shot("red, blue", modality="image", source=str(tmp_path))


def test_a_text_side_without_a_tokenizer_says_so(tmp_path):
    save(tmp_path)
    for file in tmp_path.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(SourceError, match="has no tokenizer"):
        sources.text_features(sources.card(str(tmp_path)), ["red"])


def test_a_damaged_tokenizer_says_so(tmp_path):
    save(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(SourceError, match="text side of this source cannot be used"):
        sources.text_features(sources.card(str(tmp_path)), ["red"])


def test_sides_of_other_lengths_are_refused(tmp_path, monkeypatch):
    save(tmp_path)
    monkeypatch.setattr(dual, "_features", lambda *_: torch.zeros(1, 5))
    with pytest.raises(SourceError, match="do not share a space"):
        sources.text_features(sources.card(str(tmp_path)), ["red"])


def test_transformers_is_named_where_it_is_missing(tmp_path, monkeypatch):
    from headstart.core.errors import MissingExtraError

    save(tmp_path)
    card = sources.card(str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match="transformers"):
        sources.text_features(card, ["red"])
