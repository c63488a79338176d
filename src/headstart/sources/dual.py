"""Sources that read images and texts into one space (CLIP, SigLIP): what their text side says.

The image side is a source like any other (`headstart.sources.hf`). The text side is used once, to
turn sentences about classes into directions; a saved model does not need it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from headstart.core.errors import MissingExtraError, SourceError
from headstart.core.types import FloatArray
from headstart.sources import folder as folders
from headstart.sources.cards import SourceCard
from headstart.sources.hf import has_tokenizer, located

BATCH = 64
MOST_SHARPNESS = 100.0
"""CLIP's own limit."""


class ProjectedVision(nn.Module):
    """The image side of a CLIP with its projection into the space that texts share.

    Parameters
    ----------
    vision_model : nn.Module
    projection : nn.Linear
    """

    def __init__(self, vision_model: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.vision_model = vision_model
        self.visual_projection = projection

    def forward(self, pixel_values: Tensor) -> Any:
        """Return hidden states (n, t, width) and the projected features (n, d) of images."""
        out = self.vision_model(pixel_values=pixel_values)
        return SimpleNamespace(
            last_hidden_state=out.last_hidden_state,
            pooler_output=self.visual_projection(out.pooler_output),
        )


def reads_both(card: SourceCard) -> bool:
    """Say whether a source of images reads texts, too."""
    if card.family != "hf" or card.modality != "image":
        return False
    config = folders.open_folder(located(card)).config
    return "text_config" in config and "vision_config" in config


def text_features(card: SourceCard, texts: Sequence[str]) -> tuple[FloatArray, float]:
    """Return what the text side of a source makes of texts, and its own temperature.

    Parameters
    ----------
    card : SourceCard
        Of a source for which `reads_both` holds.
    texts : sequence of str, length n

    Returns
    -------
    tuple of ndarray of shape (n, d), float32, and float
        Features in the space of the image side; how many times their cosine is the logit.

    Raises
    ------
    MissingExtraError
        transformers is not installed.
    SourceError
        Its text side cannot be used, or is of another length than its image side.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "hf", f"the source {card.name!r}") from error
    path = located(card)
    if not has_tokenizer(folders.open_folder(path)):  # transformers would make one up
        raise SourceError(
            "this source has no tokenizer, so that it cannot read texts",
            where=card.name,
            allowed="tokenizer.json beside the weights",
        )
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, **options)
        model = transformers.AutoModel.from_pretrained(path, use_safetensors=True, **options)
        found = _features(model.float().eval(), tokenizer, texts)
    except Exception as error:  # code of many architectures can fail anywhere
        raise SourceError(
            "the text side of this source cannot be used",
            where=card.name,
            got=f"{type(error).__name__}: {str(error)[:200]}",
            allowed="a CLIP or SigLIP with its tokenizer beside it",
        ) from error
    if found.shape != (len(texts), card.dim):
        raise SourceError(
            "the text side and the image side do not share a space",
            where=card.name,
            got=tuple(found.shape),
            allowed=f"({len(texts)}, {card.dim})",
        )
    scale = getattr(model, "logit_scale", None)
    sharp = MOST_SHARPNESS if scale is None else float(scale.detach().float().exp())
    return found.numpy(), min(sharp, MOST_SHARPNESS) if math.isfinite(sharp) else MOST_SHARPNESS


@torch.inference_mode()
def _features(model: Any, tokenizer: Any, texts: Sequence[str]) -> Tensor:
    limit = int(model.config.text_config.max_position_embeddings)
    # SigLIP was trained on texts padded to the full length, and CLIP is blind to padding
    options = {"padding": "max_length", "truncation": True, "max_length": limit}
    parts = []
    for first in range(0, len(texts), BATCH):
        batch = tokenizer(list(texts[first : first + BATCH]), return_tensors="pt", **options)
        known = {name: batch[name] for name in ("input_ids", "attention_mask") if name in batch}
        out = model.get_text_features(**known)
        parts.append(out if isinstance(out, Tensor) else out.pooler_output)
    return torch.cat(parts)
