"""The real packaged weights: golden values that were made once with independent oracles agreeing.

EfficientNet-Lite: geffnet 1.0.2 gave the same numbers to the last bit; MiniLM: transformers'
BertModel on the same file; palace is what both say of scikit-learn's photograph of one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart import sources

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("weights")]

LITE0_MEAN = 0.122865
LITE0 = {897: 5.19760, 71: 5.01821, 113: 4.97503, 1260: 4.34324, 2: 1.16762, 640: 0.00000}


def waves(size: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    return torch.stack([torch.sin(7 * x + 3 * y), torch.cos(5 * y - 2 * x), torch.sin(9 * x * y)])


def test_efficientnet_lite0_gives_golden_features() -> None:
    backbone = sources.load("efficientnet-lite0")
    with torch.no_grad():
        features = backbone(waves(224)[None])[0]
    assert features.shape == (1280,)
    assert features.mean().item() == pytest.approx(LITE0_MEAN, abs=1e-5)
    for index, expected in LITE0.items():
        assert features[index].item() == pytest.approx(expected, abs=1e-4)


def photo(name: str, spec: dict[str, float]) -> torch.Tensor:
    from PIL import Image
    from sklearn.datasets import load_sample_image

    image = Image.fromarray(load_sample_image(name))
    side = int(spec["size"])
    scale = int(side / spec["crop"]) / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), 3)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    pixels = np.array(image.crop((left, top, left + side, top + side)), np.float32)
    return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None]


def test_the_classifier_that_came_along_knows_a_palace_and_a_flower() -> None:
    backbone = sources.load("efficientnet-lite0")
    assert backbone.head is not None
    assert backbone.head_classes is not None
    said = []
    for name in ("china.jpg", "flower.jpg"):
        with torch.no_grad():
            logits = backbone.head(backbone(photo(name, backbone.card.input)))
        said.append(backbone.head_classes[int(logits.argmax())])
    assert said == ["palace", "daisy"]


def embed(backbone: sources.Backbone, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    assert backbone.tokenizer is not None
    encoded = [backbone.tokenizer.encode(text).ids for text in texts]
    ids = torch.zeros(len(texts), max(map(len, encoded)), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, one in enumerate(encoded):
        ids[row, : len(one)] = torch.tensor(one)
        mask[row, : len(one)] = 1
    return ids, mask


def test_minilm_gives_golden_embeddings() -> None:
    backbone = sources.load("minilm")
    ids, mask = embed(backbone, ["A cat sits on the sofa.", "Hi"])
    assert ids[0].tolist() == [101, 1037, 4937, 7719, 2006, 1996, 10682, 1012, 102]
    with torch.no_grad():
        features = backbone((ids, mask))
    golden = [0.16599, -0.09948, -0.02790, 0.02447, -0.04465]
    assert features[0, :5].tolist() == pytest.approx(golden, abs=2e-5)
    assert features.norm(dim=1).tolist() == pytest.approx([1.0, 1.0])


def test_minilm_equals_transformers_on_the_same_file(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from safetensors.torch import load_file

    backbone = sources.load("minilm")
    config = transformers.BertConfig(
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    oracle = transformers.BertModel(config).eval()
    state = load_file(sources.installed_path("minilm") / "model.safetensors")
    state.pop("embeddings.position_ids", None)
    oracle.load_state_dict(state)
    ids, mask = embed(backbone, ["Transfer learning, measured.", "Is it worth it?", "No"])
    with torch.no_grad():
        hidden = oracle(input_ids=ids, attention_mask=mask).last_hidden_state
        mean = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        expected = torch.nn.functional.normalize(mean, dim=1)
        torch.testing.assert_close(backbone((ids, mask)), expected, atol=1e-6, rtol=1e-5)


def test_minilm_loads_without_transformers_and_the_like() -> None:
    code = (
        "import sys; from headstart import sources; b = sources.load('minilm'); "
        "heavy = {'transformers', 'sentence_transformers', 'sklearn', 'pandas', 'huggingface_hub',"
        " 'torch._dynamo', 'sympy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "minilm"])
def test_the_catalogue_tells_the_truth(name: str) -> None:
    backbone = sources.load(name)
    card = backbone.card
    assert sum(p.numel() for p in backbone.blocks.parameters()) == card.parameters
    folder = sources.installed_path(name)
    size = sum(
        (folder / file).stat().st_size
        for file in ("model.safetensors", "tokenizer.json")
        if (folder / file).is_file()
    )
    assert size / 1e6 == pytest.approx(card.size_mb, abs=0.1)
    assert all(p.requires_grad for p in backbone.parameters())
    assert all(p.dtype == torch.float32 for p in backbone.parameters())
