"""A view of a source: its first blocks alone, and what they see kept apart by place.

``efficientnet-lite0@stage6.1:3`` ends after the block ``stage6.1``, and pools what that block sees
in 3 x 3 parts of the image; ``whisper-base@layer4:3`` pools what ``layer4`` hears in three parts of
the time. The last layers of a source know the classes it was trained on; earlier
ones know shapes and textures, which can be worth more where the target is far from those classes
(Yosinski et al., NeurIPS 2014); and where a thing is can tell as much as what it is.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from headstart.core.errors import OptionError, SourceError, UnknownNameError
from headstart.sources.cards import SourceCard

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone

OWN = ("bert", "conv4", "efficientnet-lite", "ge2e", "mpnet", "musicnn", "whisper")
"""Families that can be cut: their blocks all end in what can be pooled."""
MOST = 7
_NAME = re.compile(r"(?P<base>.+)@(?P<until>[A-Za-z0-9_.]+)(:(?P<grid>\d+))?")


class View(NamedTuple):
    """What is looked at: a source, the last of its blocks that runs, and the parts of a side."""

    base: str
    until: str
    grid: int


def parse(name: str) -> View | None:
    """Return what ``SOURCE@BLOCK`` or ``SOURCE@BLOCK:PARTS`` names; None for any other name.

    Examples
    --------
    >>> parse("minilm@layer4")
    View(base='minilm', until='layer4', grid=1)
    >>> parse("efficientnet-lite0@stage6.1:3").grid
    3
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return View(found["base"], found["until"], int(found["grid"] or 1))


def describe(name: str, view: View, base: SourceCard) -> SourceCard:
    """Return the card of a view.

    Parameters
    ----------
    name : str
        What the user called it.
    view : View
    base : SourceCard

    Raises
    ------
    SourceError
        The source is of a family that cannot be cut, or a text is to be parted.
    UnknownNameError
        It has no such block.
    OptionError
        So many parts a side are not possible, or nothing is left of the time to be parted.
    """
    import torch

    from headstart.sources.backbone import blank
    from headstart.sources.loading import unfilled

    if base.family not in OWN:
        raise SourceError(
            "this source cannot be cut at a block", where=name, got=base.family, allowed=OWN
        )
    if view.grid > 1 and base.modality not in ("image", "audio"):
        raise SourceError(f"{base.modality} has no parts to be pooled apart", where=name)
    if not 1 <= view.grid <= MOST:
        raise OptionError(
            "not a number of parts a side", where=name, got=view.grid, allowed=f"1 to {MOST}"
        )
    card = replace(
        base, name=name, config={**base.config, "view": [*view, base.dim]}, prior_source="none"
    )
    backbone = unfilled(card).eval()
    dim = base.dim
    if base.modality != "text":
        with torch.no_grad():
            seen: list[Any] = []
            state = backbone.start(blank(base, device="meta"))
            dim = int(backbone.through(state, backbone.blocks, read=_noted(seen)).shape[1])
        if base.modality == "audio" and view.grid > 1 and seen[0][0].shape[1] == 1:
            raise OptionError(
                f"{view.until} gives one vector for all of the time: it has no parts",
                where=name,
                got=view.grid,
                hint=f"{view.base}@{view.until}, or an earlier block, as "
                f"{view.base}@{unfilled(whole(card)).block_names[0]}:{view.grid}",
            )
    return replace(
        card,
        dim=dim,
        title=f"{base.title}, up to {view.until}",
        parameters=sum(tensor.numel() for tensor in backbone.parameters()),
    )


def _noted(seen: list[Any]) -> Callable[[Any], Any]:
    """Return what keeps the states that are pooled, and passes them on."""

    def note(state: Any) -> Any:
        seen.append(state)
        return state

    return note


def of(card: SourceCard) -> View | None:
    """Return the view that a card describes; None for a whole source."""
    found = card.config.get("view")
    return None if found is None else View(*found[:3])


def whole(card: SourceCard) -> SourceCard:
    """Return the card of the whole source: its name, where it is stored, and its own width."""
    found = card.config.get("view")
    if found is None:
        return card
    config = {key: value for key, value in card.config.items() if key != "view"}
    return replace(card, name=str(found[0]), dim=int(found[3]), config=config)


def part_of(backbone: Backbone, card: SourceCard) -> Backbone:
    """Return the view of a whole backbone that a card describes; both share their weights.

    Raises
    ------
    UnknownNameError
        It has no such block.
    """
    part = copy.copy(backbone)
    part._modules = dict(backbone._modules)
    return cut(part, card)


def cut(backbone: Backbone, card: SourceCard) -> Backbone:
    """Make a whole backbone the view that a card describes, in place.

    Raises
    ------
    UnknownNameError
        It has no such block.
    """
    from torch import nn

    view = of(card)
    if view is None:
        return backbone
    names = backbone.block_names
    if view.until not in names:
        raise UnknownNameError(f"block of {view.base}", view.until, names)
    last = names.index(view.until) + 1
    backbone.blocks = nn.ModuleList(list(backbone.blocks)[:last])
    backbone.block_names = names[:last]
    backbone.head = backbone.head_classes = None
    backbone.card, backbone.grid = card, view.grid
    known_by = f"{backbone.weights_sha256}@{view.until}:{view.grid}"
    backbone.weights_sha256 = hashlib.sha256(known_by.encode()).hexdigest()
    return backbone
