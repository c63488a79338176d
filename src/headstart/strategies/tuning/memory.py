"""How much memory training takes, found out before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headstart.core.errors import OutOfMemoryError
from headstart.core.types import IntArray
from headstart.strategies.tuning.items import Items, moved
from headstart.strategies.tuning.network import Network
from headstart.strategies.tuning.objective import no_memory, out_of_memory

CPU_ACTIVATIONS = 1_000_000_000  # bytes that the activations of a piece of a batch may take


@dataclass(frozen=True)
class Memory:
    """Bytes that training takes.

    Parameters
    ----------
    weights : int
        Of the whole network.
    optimiser : int
        Gradients, both moments, the start and the best weights.
    activations : int
        Of one piece of a batch, kept for the backward pass.
    micro : int
        Items of such a piece.
    """

    weights: int
    optimiser: int
    activations: int
    micro: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.optimiser + self.activations

    def __str__(self) -> str:
        """Return it in words."""
        parts = [
            f"weights {_mb(self.weights)}",
            f"optimiser {_mb(self.optimiser)}",
            f"activations of {self.micro} items {_mb(self.activations)}",
        ]
        return f"about {_mb(self.total)} MB beside what is loaded ({', '.join(parts)})"


def _mb(size: int) -> str:
    return f"{max(1, round(size / 1e6)):,}"


def memory_of(
    network: Network,
    items: Items,
    train: IntArray,
    *,
    batch: int,
    copies: int,
    device: torch.device,
) -> Memory:
    """Return what training takes, measured on the largest item.

    Parameters
    ----------
    network : Network
        Prepared, on the device.
    items : Items
    train : ndarray of int
        Places of the items that train.
    batch : int
        Items of a batch; a piece is as many of them as fit the activations' share.
    copies : int
        Float32 copies of what trains: gradient, two moments, start, best.
    device : torch.device

    Raises
    ------
    OutOfMemoryError
        Not even one item fits.
    """
    weights = sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers()))
    trained = sum(t.numel() for t in network.named_trained().values())
    largest = int(train[items.sizes[train].argmax()])
    one = _activations(network, items, np.full(1, largest), device)
    try:
        two = _activations(network, items, np.full(2, largest), device)
    except OutOfMemoryError:
        return Memory(weights, 4 * copies * trained, one, 1)
    each, fixed = max(1, two - one), max(0, 2 * one - two)
    allowed = CPU_ACTIVATIONS
    if device.type == "cuda":
        allowed = int(0.6 * torch.cuda.mem_get_info(device)[0])
    micro = int(min(max(1, (allowed - fixed) // each), batch))
    return Memory(weights, 4 * copies * trained, fixed + each * micro, micro)


def _activations(network: Network, items: Items, index: IntArray, device: torch.device) -> int:
    """Return the bytes that a forward pass keeps for the backward pass, weights left out."""
    own = {t.untyped_storage().data_ptr() for t in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> None:  # nothing goes back: a tensor kept here would keep its graph
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()

    devices = [device] if device.type == "cuda" else []
    try:
        batch = moved(items.load(index, 0, torch.Generator()), device)
        # as it trains: dropout of attention keeps what is not kept without it
        with torch.random.fork_rng(devices=devices), network.training_mode():
            network.hold_statistics()
            with torch.autograd.graph.saved_tensors_hooks(note, lambda nothing: nothing):
                features, outputs = network(batch, items.first)
                del features, outputs
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise no_memory(network.backbone.card.name) from error
    return sum(kept.values())
