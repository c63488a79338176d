"""Tiny lively backbones with other inputs than those of the shared ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from tiny_models import card_of, tokenizer_json

from headstart import sources
from headstart.sources import bert, efficientnet_lite


def lively_tensors(backbone: Any, seed: int) -> dict[str, np.ndarray]:
    """Weights with which features differ from item to item."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, tensor in sorted(backbone.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        shape = tuple(tensor.shape)
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 0
        values = rng.normal(0, 1.5 / np.sqrt(fan_in) if fan_in else 0.1, shape)
        if name.endswith(("running_var", "norm.weight", "bn.weight")):
            values = 1.0 + np.abs(values)
        found[name] = values.astype(np.float32)
    return found


def tiny(modality: str, **input_: Any) -> Any:
    """Return a tiny backbone whose card's input is changed."""
    card = card_of(modality)
    card = replace(card, input={**card.input, **input_})
    shape = (bert if modality == "text" else efficientnet_lite).build(card)
    text = tokenizer_json() if modality == "text" else None
    return sources.from_state(card, lively_tensors(shape, 0), text)
