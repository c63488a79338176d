"""Small fitted models of every strategy, and tiny random backbones to go with them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from headstart import bundle, strategies
from headstart.core.types import Candidate, Decision, Gain, Pair, Score
from headstart.strategies import adaptation
from headstart.strategies.adaptation.tables import Numbers, table_state

DIM = 16
CLASSES = ("birnen", "q,uitten", "äpfel")
SENTENCE = "the quick brown fox would like to cancel my order a warm film stays with you"
WORDS = SENTENCE.split()
CASES = [
    (name, kind, modality)
    for name, spec in strategies.STRATEGIES.items()
    for kind in ("classification", "regression")
    for modality in ("text", "image", "table")
    # those that must be told what the classes are like: tests/test_zero_shot.py
    if spec.opens(kind, modality) and modality in spec.modalities and not spec.by_classes
]


def case_name(case: tuple[str, str, str]) -> str:
    return "-".join(case)


def random_tensors(backbone: Any, seed: int) -> dict[str, np.ndarray]:
    """Weights of the right shapes; variances of batch norm positive."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, tensor in sorted(backbone.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        values = rng.normal(0, 0.3, tuple(tensor.shape)).astype(np.float32)
        found[name] = np.abs(values) + 0.5 if name.endswith(("var", "norm.weight")) else values
    return found


def card_of(modality: str) -> Any:
    from headstart.sources import SourceCard

    text = {"max_tokens": 32, "pooling": "mean", "normalise": True, "prefix": "", "pad_id": 0}
    image = {
        "size": 32,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "crop": 0.875,
    }
    bert = {"vocab_size": len(WORDS) + 2, "hidden": DIM, "layers": 1, "heads": 2}
    bert |= {"intermediate": 16, "positions": 32, "types": 1, "eps": 1e-12, "dropout": 0.1}
    lite = {"stem": 4, "widths": [4] * 7, "depths": [1] * 7, "classes": 3}
    return SourceCard(
        name=f"tiny-{modality}",
        modality=modality,
        title="random weights",
        pretrained_on="nothing",
        parameters=1,
        dim=DIM,
        input=text if modality == "text" else image,
        licence="CC0-1.0",
        permissive=True,
        family="bert" if modality == "text" else "efficientnet-lite",
        config=bert if modality == "text" else lite,
        weights_sha256="0" * 64,
        size_mb=0.1,
    )


def tokenizer_json() -> str:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace

    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer.to_str()


def tiny_backbone(modality: str, seed: int = 0) -> Any:
    from headstart import sources
    from headstart.sources import bert, efficientnet_lite

    card = card_of(modality)
    shape = (bert if modality == "text" else efficientnet_lite).build(card)
    text = tokenizer_json() if modality == "text" else None
    return sources.from_state(card, random_tensors(shape, seed), text)


def items_of(modality: str, n: int, seed: int) -> Any:
    """Items as users give them."""
    rng = np.random.default_rng(seed)
    if modality == "text":
        return [" ".join(rng.choice(WORDS, rng.integers(2, 9))) for _ in range(n)]
    if modality == "image":
        return list(rng.integers(0, 256, (n, 40, 52, 3), dtype=np.uint8))
    import pandas as pd

    return pd.DataFrame(
        {
            "width": rng.normal(10, 3, n),
            "weight": np.where(rng.random(n) < 0.1, np.nan, rng.normal(200, 40, n)),
            "colour": rng.choice(["red", "green"], n).astype(object),
        }
    )


def adapted(inputs: Any, labels: Any) -> Any:
    """Return the state of an adapter fitted from the first half of the items to the second."""
    half = len(labels) // 2
    numbers_told = labels.dtype.kind == "f"
    make = adaptation.make_for_numbers if numbers_told else adaptation.make
    if not hasattr(inputs, "iloc"):
        model = make("linear-ot").fit(inputs[:half], labels[:half], inputs[half:])
        return model.to_state()
    numbers = Numbers.learnt(inputs[:half], inputs[half:])
    X = numbers(inputs)
    model = make("linear-ot").fit(X[:half], labels[:half], X[half:])
    return table_state(model.to_state(), numbers)


@functools.cache
def known(case: tuple[str, str, str]) -> Any:
    """Contents of a case, fitted once; nobody changes them."""
    return contents_of(case)


def contents_of(
    case: tuple[str, str, str], *, seed: int = 0, member: str = "probe", **changes: Any
) -> Any:
    """Fit a strategy on a few items and put it into BundleContents; ``member`` is a blend's."""
    from headstart import encode

    name, kind, modality = case
    spec = strategies.STRATEGIES[name]
    rng = np.random.default_rng(seed)
    n = 12 if (name, modality) == ("scratch", "image") else 36
    items = items_of(modality, n, seed)
    labels: Any = rng.normal(3, 1, n)
    if kind == "classification":
        labels = np.array([CLASSES[i % 3] for i in range(n)], dtype=object)
    source = backbone = None
    inputs: Any = items
    given: dict[str, Any] = {}
    if spec.uses_source:
        backbone = tiny_backbone(modality)
        source = backbone.card
    tuning = {"source": backbone, "epochs": 2, "flip": False}
    if spec.combines:
        plain = encode.pixels(items) if modality == "image" else items
        tunes = strategies.STRATEGIES[member].tunes
        other = items if tunes else encode.features(items, backbone, cache=False).array
        inputs = Pair(plain, other)
        given = {"transfer": member, "n_folds": 2, "transfer_params": tuning if tunes else {}}
        given["scratch_params"] = {"network": False} if modality == "image" else {}
    elif spec.tunes:  # weighted-layers trains no block
        given = {"source": backbone} if name == "weighted-layers" else tuning
    elif spec.uses_source:
        inputs = encode.features(items, backbone, cache=False).array
    elif modality == "image":
        inputs = encode.pixels(items)
    if spec.classes:
        estimator = strategies.make(name, kind=kind, modality=modality, random_state=0, **given)
        state = estimator.fit(inputs, labels).to_state()
    else:
        state = adapted(inputs, labels)
    fields = {
        "modality": modality,
        "kind": kind,
        "strategy": name,
        "state": state,
        "metric": "accuracy" if kind == "classification" else "rmse",
        "classes": CLASSES if kind == "classification" else (),
        "label_name": "fruit",
        "columns": bundle.columns_of(items) if modality == "table" else (),
        "source": source,
        "backbone": backbone,
        "standalone": source is not None,
        "score": Score("accuracy", 0.8, 0.7, 0.9, n),
        "gain": Gain(0.1, -0.1, 0.3, n),
        "baselines": {"majority": Score("accuracy", 0.3, 0.2, float("nan"), n)},
        "decisions": (Decision("modality is text", "the items are strings", "--modality"),),
        "candidates": (Candidate(name, None, None, 1.5, "failed", "no time"),),
        "extra": {"seed": np.int64(3)},
        "fingerprint": "f" * 64,
        "n": n,
    }
    return bundle.BundleContents(**(fields | changes))
