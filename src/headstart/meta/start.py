"""What meta-training starts from, and what its result is held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from headstart import encode, sources
from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray, Reporter, subset
from headstart.meta.collection import Collection
from headstart.sources import view
from headstart.sources.backbone import Backbone
from headstart.sources.conv4 import untrained
from headstart.strategies.tuning.rules import depth_for

SIZES = (32, 64)  # pixels of a side of what Conv-4 sees
SMALL = 40  # images whose median side is at most this are seen in the smaller size
LOOKED_AT = 200
PIXELS = 16  # a side of the picture that the baseline of plain pixels compares
MOST_BESIDE = 3000  # items that a frozen source encodes to be reported beside


def start_from(
    collection: Collection, source: str | None, *, size: int | None, width: int, seed: int
) -> tuple[Backbone, list[Decision]]:
    """Return the backbone that training starts from, and what was decided about it.

    Raises
    ------
    OptionError
        A source of another modality; a part of a source; a size for a source.
    """
    if source is None and collection.modality == "text":
        source = sources.default_source("text")
        why = "meta-training from random weights is for images"
        decision = [Decision(f"starts from {source}", why, "--source NAME")]
        return sources.load(str(source)), decision
    if source is not None:
        card = sources.card(source)
        if size is not None:
            raise OptionError(
                "the size belongs to a network from random weights; a source has its own",
                where="--size",
                got=size,
            )
        if card.modality != collection.modality:
            raise OptionError(
                f"this source is for {card.modality}s, and the items are {collection.modality}s",
                where="--source",
                got=source,
            )
        if view.of(card) is not None:
            raise OptionError(
                "meta-training starts from a whole source; a part of one cannot be written",
                where="--source",
                got=source,
                hint=f"--source {sources.base_of(source)}",
            )
        return sources.load(card), []
    found = size or _size_of(collection.items)
    base = untrained(size=found, width=width, generator=torch.Generator().manual_seed(seed))
    why = "no source is named, so a small network is trained from random weights"
    return base, [Decision(f"{base.card.title}", why, "--source NAME starts from a source")]


def depth_of(base: Backbone, depth: int | None, *, scratch: bool) -> int | None:
    """Return how many blocks train: as asked, else all from random weights, a third of a source.

    Raises
    ------
    OptionError
        The source has not so many.
    """
    n = len(base.blocks)
    if depth is None:
        return None if scratch else depth_for(n, 1)
    if not 1 <= depth <= n:
        raise OptionError(
            "the source has not so many blocks", where="--depth", got=depth, allowed=f"1 to {n}"
        )
    return depth


def _size_of(items: Sequence[Any]) -> int:
    from headstart.data.images import read_image

    places = np.linspace(0, len(items) - 1, min(len(items), LOOKED_AT)).astype(int)
    sides = [min(read_image(items[int(place)], max_side=SIZES[-1]).size) for place in places]
    return SIZES[0] if float(np.median(sides)) <= SMALL else SIZES[1]


def beside(
    collection: Collection, places: IntArray, *, scratch: bool, reporter: Reporter
) -> tuple[dict[str, FloatArray], list[Decision]]:
    """Return features of items that training did not make: pixels, and the default source as it is.

    Parameters
    ----------
    collection : Collection
    places : ndarray of int
        The items of the episodes that choose and judge.
    scratch : bool
        Whether training started from random weights: then both are of interest.
    reporter : Reporter
    """
    if not scratch:
        return {}, []
    items = subset(collection.items, places)
    squares = encode.pixels(items, side=PIXELS, reporter=reporter)
    found: dict[str, FloatArray] = {
        "pixels": np.asarray(squares, dtype=np.float32).reshape(len(items), -1) / 255
    }
    name = sources.default_source(collection.modality)
    if name is None or not sources.installed(name):
        return found, []
    if len(items) > MOST_BESIDE:
        why = f"it would encode {len(items)} items"
        return found, [Decision(f"{name} as it is is not reported beside", why)]
    backbone = sources.load(name)
    features = encode.features(items, backbone, reporter=reporter).array
    return found | {f"{name} as it is": np.array(features)}, []
