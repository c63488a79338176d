"""A backbone ready to be meta-trained: what trains, its items, and calls as pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.types import AnyArray, FloatArray, IntArray, Reporter
from headstart.meta.adapt import Parameters
from headstart.sources.backbone import Backbone
from headstart.strategies.tuned import tuned_backbone
from headstart.strategies.tuning.augment import Augment
from headstart.strategies.tuning.items import ImageItems, Items, TextItems
from headstart.strategies.tuning.network import Network
from headstart.strategies.tuning.prefix import cached_prefix
from headstart.strategies.tuning.settings import Settings

AT_ONCE = 128  # items that are embedded together
SPREAD = 512  # items whose features tell mean and spread
TEMPERATURE = 10.0  # mean squared distance to the mean, over two, that a source's features get
_CPU = torch.device("cpu")


class Turned:
    """Images in four orientations: place ``i + n * k`` is image i turned k quarters to the left.

    Parameters
    ----------
    items : Items
        n images.
    """

    first = 0

    def __init__(self, items: Items) -> None:
        self._items = items
        self.sizes: IntArray = np.tile(items.sizes, 4)

    def __len__(self) -> int:
        return len(self.sizes)

    def load(self, index: IntArray, epoch: int, generator: torch.Generator | None) -> Tensor:
        """Return normalised images (m, 3, size, size)."""
        quarters, places = np.divmod(np.asarray(index), len(self._items))
        batch: Tensor = self._items.load(places, epoch, generator)
        for quarter in range(1, 4):
            rows = torch.from_numpy(np.flatnonzero(quarters == quarter))
            if len(rows):
                batch[rows] = torch.rot90(batch[rows], quarter, dims=(2, 3))
        return batch

    def identity(self) -> bytes:
        """Return a hash of the pixels."""
        return b"turned" + self._items.identity()


def prepared(items: list[Any], backbone: Backbone, *, turned: bool, reporter: Reporter) -> Items:
    """Return items as a backbone takes them; images as they are, and turned if so asked."""
    if backbone.card.modality == "text":
        return TextItems(items, backbone)
    images = ImageItems(
        items,
        backbone,
        size=int(backbone.card.input["size"]),
        augment=Augment(crop=1.0, strength=0.0),
        reporter=reporter,
    )
    return Turned(images) if turned else images


class Body:
    """A backbone with a head, its last blocks (or all) to be trained.

    Batch norm: the statistics of a backbone that trains from random weights move; those of a
    pretrained source stay as they are. Measuring always takes the stored statistics, so that no
    item is told anything by those beside it.

    Parameters
    ----------
    base : Backbone
        Not changed.
    items : Items
    outputs : int
        Of the head.
    depth : int or None
        How many blocks train, counted from the last; None: all.
    scratch : bool
        The weights are random.
    ready : Items, optional
        The items after the frozen blocks, where another body has run them.
    spread : (ndarray, float), optional
        Mean and scale of the features; measured on ``sample`` otherwise.
    sample : ndarray of int
        Places of items that train.
    reporter : Reporter
    """

    def __init__(
        self,
        base: Backbone,
        items: Items,
        *,
        outputs: int,
        depth: int | None,
        scratch: bool,
        sample: IntArray,
        ready: Items | None = None,
        spread: tuple[FloatArray, float] | None = None,
        reporter: Reporter,
    ) -> None:
        self.scratch, self.base = scratch, base
        dim = base.card.dim
        mean, scale = spread or (np.zeros(dim), 1.0)
        self.network = Network(tuned_backbone(base, {}, {}), outputs, mean, scale)
        settings = Settings(
            train="all", depth=depth, batch_norm="train" if scratch else "frozen", dropout=0.0
        )
        used = items.used() if isinstance(items, TextItems) else None
        stop = self.network.prepare(settings, used, torch.Generator())
        if base.card.modality == "image":
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if ready is None:
            ready = items
            if stop:
                ready = cached_prefix(
                    items, self.network, stop, views=0, device=_CPU, reporter=reporter
                )
        self.items = ready
        if spread is None and not scratch:
            found = self.embed(sample[:SPREAD]).astype(np.float64)
            mean = found.mean(axis=0)
            scale = max(float(np.sqrt(np.square(found - mean).mean())), 1e-6)
            self.network.mean.copy_(torch.tensor(mean.astype(np.float32)))
            self.network.scale = scale
        self.spread = (np.asarray(mean, dtype=np.float64), float(scale))
        self.temperature = 1.0 if scratch else TEMPERATURE / dim

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """What trains, by name, the head with it."""
        return {n: p for n, p in self.network.named_parameters() if p.requires_grad}

    @property
    def constants(self) -> Parameters:
        """The values of what trains, cut off from autograd."""
        return {name: p.detach() for name, p in self.parameters.items()}

    def load(self, places: IntArray) -> Any:
        """Return items as the first block that trains takes them."""
        return self.items.load(places.ravel(), 0, None)

    def forward(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return standardised features (n, d) and outputs of the head (n, k)."""
        features, outputs = self.network(batch, self.items.first)
        return self._standard(features), outputs

    def pure(self, params: Parameters, batch: Any) -> tuple[Tensor, Tensor]:
        """Return features and outputs as a function of what trains."""
        arguments = (batch, self.items.first)
        features, outputs = torch.func.functional_call(self.network, params, arguments)
        return self._standard(features), outputs

    def _standard(self, features: Tensor) -> Tensor:
        return (features - self.network.mean) / self.network.scale

    def move_statistics(self, batch: Any) -> None:
        """Let the statistics of batch norm move towards those of a batch, where they may."""
        if self.scratch:
            with torch.no_grad(), self.network.training_mode():
                self.network(batch, self.items.first)

    def embed(self, places: IntArray) -> FloatArray:
        """Return the features (n, d) of items, float32, nothing moving."""
        self.network.eval()
        found = np.empty((len(places), self.base.card.dim), dtype=np.float32)
        with torch.inference_mode():
            for part in _parts(len(places)):
                features, _ = self.network(self.load(places[part]), self.items.first)
                found[part] = features.numpy()
        return found

    def copy(self) -> dict[str, Tensor]:
        """Return the values of all that training may change."""
        return {n: t.detach().clone() for n, t in self.network.named_trained().items()}

    def restore(self, kept: dict[str, Tensor]) -> None:
        """Put the values of `copy` back."""
        with torch.no_grad():
            for name, tensor in self.network.named_trained().items():
                tensor.copy_(kept[name])

    def changed(self) -> dict[str, AnyArray]:
        """Return what training changed in the backbone, by the backbone's own names."""
        return self.network.changed()


def _parts(n: int) -> Iterator[slice]:
    for start in range(0, n, AT_ONCE):
        yield slice(start, min(start + AT_ONCE, n))
