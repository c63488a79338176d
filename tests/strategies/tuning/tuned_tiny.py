"""Tiny random backbones, items and labels on which a fit of any strategy takes a moment."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from headstart import sources, strategies
from headstart.core.types import AnyArray, State
from headstart.sources import SourceCard, bert, efficientnet_lite, ge2e, mpnet, musicnn, whisper

DIM = 16
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
N_WORDS = 400  # many more than occur, so that only the rows in use are trained
LAYERS = "weighted-layers"  # takes items and trains no block: test_weighted_layers.py
NAMES = [name for name, spec in strategies.STRATEGIES.items() if spec.tunes and name != LAYERS]
KINDS = ("classes", "numbers", "sets")
MODALITIES = ("text", "image", "audio")
FAST: dict[str, Any] = {
    "epochs": 2,
    "batch": 8,
    "device": "cpu",
    "precision": "float32",
    "random_state": 3,
    "flip": False,
}
_TEXT = {"max_tokens": 24, "pooling": "mean", "normalise": True, "prefix": "", "pad_id": 0}
_BERT = {"hidden": DIM, "heads": 2, "intermediate": 24, "positions": 40, "eps": 1e-12}
_BERT |= {"vocab_size": len(SPECIAL) + N_WORDS, "dropout": 0.1}
_IMAGE = {"size": 64, "interpolation": "bicubic", "crop": 0.875}
_IMAGE |= {"mean": [0.5] * 3, "std": [0.5] * 3}


RATE = 8000
_HEARD = {"rate": RATE, "seconds": 0.5, "normalise": False}
_AUDIO: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "whisper": (
        {"mels": 16, "hidden": DIM, "layers": 2, "heads": 2, "intermediate": 24, "positions": 40},
        _HEARD | {"front": "whisper", "mels": 16, "silence": [0.02, 0.04], "floor": 40},
    ),
    "ge2e": (
        {"mels": 8, "hidden": 12, "layers": 3, "dim": DIM},
        _HEARD | {"front": "ge2e", "mels": 8, "seconds": 30.0, "normalise": True},
    ),
    "musicnn": (
        {"timbre": 2, "rhythm": 2, "mid": 3, "dim": DIM, "classes": 3},
        _HEARD | {"front": "musicnn", "mels": 96, "seconds": 30.0},
    ),
}


class Told:
    """A reporter that keeps what it is told, and calls back on progress."""

    def __init__(self, watch: Any = None) -> None:
        self.lines: list[str] = []
        self.watch = watch

    def say(self, text: str) -> None:
        self.lines.append(text)

    def progress(
        self, stage: str, done: int, total: int | None, unit: str = "items", detail: str = ""
    ) -> None:
        if self.watch is not None and stage.startswith("tuning"):
            self.watch(done)

    def __contains__(self, text: str) -> bool:
        return any(text in line for line in self.lines)


def tokenizer_json(special: bool = True) -> str:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = [*SPECIAL, *(f"w{i}" for i in range(N_WORDS))]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if special:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return made.to_str()


def card_of(family: str, **changes: Any) -> SourceCard:
    config: dict[str, Any] = {
        "bert": _BERT | {"layers": 3, "types": 2},
        "mpnet": _BERT | {"layers": 2, "buckets": 8},
        "lite": {"stem": 4, "widths": [6] * 7, "depths": [1] * 7, "classes": 3},
    }.get(family) or _AUDIO[family][0]
    image = family == "lite"
    modality = "audio" if family in _AUDIO else "image" if image else "text"
    spec = _AUDIO[family][1] if family in _AUDIO else _IMAGE if image else _TEXT
    fields: dict[str, Any] = {
        "name": f"tiny-{family}",
        "modality": modality,
        "title": "random weights",
        "pretrained_on": "nothing",
        "parameters": 1,
        "dim": DIM,
        "input": spec,
        "licence": "CC0-1.0",
        "permissive": True,
        "family": "efficientnet-lite" if image else family,
        "config": config,
        "weights_sha256": "0" * 64,
        "size_mb": 0.1,
    }
    return SourceCard(**(fields | changes))


def _weights(shape: Any) -> dict[str, AnyArray]:
    rng = np.random.default_rng(0)
    found: dict[str, AnyArray] = {}
    for name, tensor in sorted(shape.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        fan = max(1, int(np.prod(tensor.shape[1:])))
        values = rng.normal(0, 1 / np.sqrt(fan) if tensor.ndim > 1 else 0.1, tuple(tensor.shape))
        if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            values = 1 + np.abs(values)
        found[name] = values.astype(np.float32)
    return found


def backbone_of(family: str, *, special: bool = True, **changes: Any) -> Any:
    """Make a backbone: "bert" and "mpnet" (or "text"), "lite" (or "image"), or of sounds.

    These are "whisper" (or "audio"), "ge2e" and "musicnn".
    """
    family = {"text": "bert", "image": "lite", "audio": "whisper"}.get(family, family)
    card = card_of(family, **changes)
    rooms: dict[str, Any] = {"bert": bert, "mpnet": mpnet, "lite": efficientnet_lite}
    build = (rooms | {"whisper": whisper, "ge2e": ge2e, "musicnn": musicnn})[family].build
    text = tokenizer_json(special) if card.modality == "text" else None
    weights = _weights(build(card))
    if family == "ge2e":  # mel power is small: it would hear nothing
        weights["blocks.0.lstm.weight_ih_l0"] *= 100
    return sources.from_state(card, weights, text)


@functools.cache
def source(family: str) -> Any:
    """Return a backbone that all tests share: no fit changes it."""
    return backbone_of(family)


def items_of(modality: str, n: int = 24, seed: int = 0) -> Any:
    """Items whose class, of three, is what place modulo 3 says."""
    rng = np.random.default_rng(seed)
    if modality == "text":
        texts = []
        for i in range(n):
            own = [f"w{10 * (i % 3) + j}" for j in rng.integers(0, 6, 3)]
            other = [f"w{40 + j}" for j in rng.integers(0, 10, int(rng.integers(1, 8)))]
            texts.append(" ".join(rng.permutation([*own, *other])))
        return texts
    if modality == "audio":
        return [(sound(i % 3, rng), RATE) for i in range(n)]
    images = rng.integers(0, 120, (n, 36, 44, 3))
    for i in range(n):
        images[i, ..., i % 3] += 90
    return list(images.astype(np.uint8))


def sound(code: int, rng: np.random.Generator) -> AnyArray:
    """Make a tone, noise or clicks of 0.1 to 0.3 s, of 16 bits."""
    time = np.arange(int(RATE * rng.uniform(0.1, 0.3))) / RATE
    pitch = rng.uniform(300, 500)
    wave = (
        np.sin(2 * np.pi * pitch * time),
        0.3 * rng.normal(size=len(time)),
        np.exp(-40 * (time * 19 % 1)) * np.sin(8 * np.pi * pitch * time),
    )[code]
    noisy = wave * rng.uniform(0.2, 0.6) + 0.005 * rng.normal(size=len(time))
    return (np.clip(noisy, -1, 1) * 32000).astype(np.int16)


def labels_of(kind: str, n: int = 24) -> Any:
    codes = np.arange(n) % 3
    if kind == "classes":
        return np.array(["ant", "bee", "cat"])[codes]
    if kind == "numbers":
        return codes * 2.0 + np.random.default_rng(1).normal(0, 0.1, n)
    return np.stack([codes == 0, codes != 1], axis=1).astype(int)


def make(name: str, modality: str, kind: str = "classes", **params: Any) -> Any:
    """Return an unfitted estimator on the tiny source of a modality."""
    given = FAST | {"source": source(modality), **params}
    if modality == "image":
        given = {"size": 32, **given}
    return strategies.make(
        name,
        kind="regression" if kind == "numbers" else "classification",
        modality=modality,  # type: ignore[arg-type]
        **given,
    )


@functools.cache
def fitted(name: str, modality: str, kind: str) -> Any:
    """Return a fit that tests share; nobody changes it."""
    return make(name, modality, kind).fit(items_of(modality), labels_of(kind))


def output(model: Any, X: Any) -> Any:
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def as_bytes(state: State) -> dict[str, Any]:
    """Return a state as something that compares by every bit."""
    arrays = {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in state.arrays.items()}
    return arrays | {"meta": repr(sorted(state.meta.items(), key=lambda pair: pair[0]))}


def whole(model: Any) -> dict[str, AnyArray]:
    """Return all weights of the tuned source, and the head."""
    made = model.backbone()
    named = dict(made.named_parameters()) | dict(made.named_buffers())
    found = {name: tensor.detach().numpy() for name, tensor in named.items()}
    return found | {"coef": model.coef_, "intercept": model.intercept_}


def close(first: Any, second: Any, tolerance: float) -> None:
    """Compare two fits by all their weights."""
    one, other = whole(first), whole(second)
    assert one.keys() == other.keys()
    for name in one:
        if name.endswith(("key.bias", "k_lin.bias")):
            continue  # attention does not depend on it: its gradient is the noise of rounding
        np.testing.assert_allclose(
            one[name], other[name], rtol=tolerance, atol=tolerance, err_msg=name
        )


def named(module: torch.nn.Module) -> dict[str, AnyArray]:
    """Return copies of all tensors of a module by name."""
    return {name: tensor.detach().numpy().copy() for name, tensor in module.state_dict().items()}
