"""Several views of one source as one network: blocks run once, each view pooled where it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from headstart.sources.backbone import Backbone, Step


def _as_is(state: Any) -> Any:
    return state


class Together(Backbone):
    """Views of one source that share its blocks; the features of all, side by side.

    Parameters
    ----------
    views : sequence of Backbone
        Those of one of `shared`.
    """

    def __init__(self, views: Sequence[Backbone]) -> None:
        deepest = max(views, key=lambda view: len(view.blocks))
        card = replace(deepest.card, dim=sum(view.card.dim for view in views))
        blocks = zip(deepest.block_names, deepest.blocks, strict=True)
        super().__init__(card, list(blocks), weights_sha256=deepest.weights_sha256)
        self._views = tuple(views)
        self.train(deepest.training)

    def start(self, batch: Any) -> Any:
        """Return the state that the first block takes, the same for all views."""
        return self._views[0].start(batch)

    def through(self, state: Any, steps: Iterable[Step], *, read: Step = _as_is) -> Tensor:
        """Return the features of all views, of shape (n, sum of their dims), in their order."""
        pooled: dict[int, Tensor] = {}
        for done, step in enumerate(steps, start=1):
            state = step(state)
            for place, view in enumerate(self._views):
                if len(view.blocks) == done:
                    pooled[place] = view.pool(read(state))
        return torch.cat([pooled[place] for place in range(len(self._views))], dim=1)

    @property
    def parts(self) -> tuple[slice, ...]:
        """The columns of each view."""
        return columns([view.card.dim for view in self._views])


def columns(dims: Sequence[int]) -> tuple[slice, ...]:
    """Return where each of several rows lies in all of them side by side.

    Examples
    --------
    >>> columns([2, 3])
    (slice(0, 2, None), slice(2, 5, None))
    """
    ends = [sum(dims[: place + 1]) for place in range(len(dims))]
    return tuple(slice(end - dim, end) for dim, end in zip(dims, ends, strict=True))


def shared(backbones: Sequence[Backbone]) -> list[list[int]]:
    """Return the places of backbones that can run together; texts' and strangers' run alone.

    Those can whose blocks are the very same modules, as ``sources.load_together`` makes them.
    """
    groups: list[list[int]] = []
    for place, backbone in enumerate(backbones):
        for group in groups:
            if _alike(backbones[group[0]], backbone):
                group.append(place)
                break
        else:
            groups.append([place])
    return groups


def _alike(first: Backbone, second: Backbone) -> bool:
    pairs = zip(first.blocks, second.blocks, strict=False)
    return (
        first.card.modality == second.card.modality != "text"
        and first.card.input == second.card.input
        and len(first.blocks) > 0 < len(second.blocks)
        and all(one is other for one, other in pairs)
    )
