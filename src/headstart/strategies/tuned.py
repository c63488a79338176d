"""A tuned source as data: what training changed in a backbone, and how to put it back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import OptionError, SourceError
from headstart.core.types import AnyArray

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone

PREFIX = "tuned."
_WITHOUT_TIME = ("embedding", "features")  # last blocks of GE2E and musicnn


def tuned_backbone(
    base: Backbone, changed: Mapping[str, AnyArray], given: Mapping[str, Any]
) -> Backbone:
    """Return a copy of a source's backbone with what training changed put into it.

    Parameters
    ----------
    base : Backbone
        As it came; it is not changed.
    changed : mapping of str to ndarray
        Tensors by the backbone's own names; or some rows of one, ``rows.NAME``, together with
        which rows they are, ``index.NAME``.
    given : mapping
        What differs in the card's ``input``, as the ``size`` of images; with ``attentive`` sounds
        are pooled by attention.

    Raises
    ------
    SourceError
        The tensors are none of this source.
    OptionError
        Its frames cannot be pooled by attention.
    """
    import torch

    from headstart.sources.backbone import tensors_sha256

    tokenizer, base.tokenizer = base.tokenizer, None
    try:
        made = copy.deepcopy(base)
    finally:
        base.tokenizer = tokenizer
    made.tokenizer = tokenizer
    if given.get("attentive"):
        _attend(made)
    own = dict(made.named_parameters()) | dict(made.named_buffers())
    with torch.no_grad():
        for key, array in changed.items():
            kind, _, rest = key.partition(".")
            if kind == "index":
                continue
            name = rest if kind == "rows" else key
            target = own.get(name)
            value = torch.from_numpy(np.ascontiguousarray(array))
            if target is not None and kind == "rows":
                rows = _rows(changed, name, array, len(target))
                if target.shape[1:] == value.shape[1:]:
                    target[rows] = value
                    continue
            elif target is not None and target.shape == value.shape:
                target.copy_(value)
                continue
            raise SourceError(
                "the tuned weights are not those of this source",
                where=base.card.name,
                got=f"{name} {tuple(array.shape)}",
                allowed="none" if target is None else str(tuple(target.shape)),
            )
    made.card = replace(base.card, input=dict(base.card.input) | dict(given))
    known_by = f"{base.weights_sha256} {tensors_sha256(changed)}"  # for caches
    made.weights_sha256 = sha256(known_by.encode()).hexdigest()
    return made.eval()


def _attend(backbone: Backbone) -> None:
    """Let a source of sounds pool by attention.

    Raises
    ------
    OptionError
        What its last block gives are no frames in time.
    """
    from headstart.sources.backbone import AudioBackbone

    if (
        not isinstance(backbone, AudioBackbone)
        or backbone.grid > 1
        or backbone.block_names[-1] in _WITHOUT_TIME
    ):
        raise OptionError(
            "this source gives no frames that could be pooled by attention",
            where="pooling",
            got=backbone.card.name,
            allowed="Whisper, or a part of a source of sounds that ends in frames",
            hint='pooling="mean"',
        )
    backbone.attend()


def _rows(changed: Mapping[str, AnyArray], name: str, array: AnyArray, n: int) -> Any:
    """Return which rows of a tensor of n rows an array holds.

    Raises
    ------
    SourceError
        They are not said, or not among the n.
    """
    import torch

    rows = changed.get(f"index.{name}")
    if (
        rows is None
        or rows.shape != array.shape[:1]
        or rows.dtype.kind != "i"
        or (len(rows) and not (rows.min() >= 0 and rows.max() < n))
    ):
        raise SourceError("it is not said which rows were tuned", where=f"index.{name}")
    return torch.from_numpy(np.ascontiguousarray(rows))


def split_state(arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Return the tuned tensors among the arrays of a saved state, by the backbone's names."""
    return {
        name.removeprefix(PREFIX): array
        for name, array in arrays.items()
        if name.startswith(PREFIX)
    }
