"""What changes batch norm for a target shares: batches, statistics, stepping back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.errors import OptionError
from headstart.core.types import SILENT, AnyArray, Decision, FloatArray, IntArray, Reporter
from headstart.sources.backbone import Backbone
from headstart.strategies.adaptation.collapse import collapsed
from headstart.strategies.heads import TunedHead, linear_probabilities
from headstart.strategies.source_free.base import FEWEST_TARGET, STAYS, Fitted
from headstart.strategies.tuned import tuned_backbone
from headstart.strategies.tuning.augment import Augment
from headstart.strategies.tuning.items import ImageItems

Norm = nn.modules.batchnorm._BatchNorm


def norms_of(backbone: Backbone) -> dict[str, Any]:
    """Return the batch norm layers that keep statistics, by name."""
    return {
        name: module
        for name, module in backbone.named_modules()
        if isinstance(module, Norm) and module.running_mean is not None
    }


class BackboneChange:
    """Base of what changes the batch norm of a source; a subclass has ``_adapt``.

    Attributes
    ----------
    decisions_ : tuple of Decision
        Among them whether the model was left as it was, and why.
    """

    batch_size: int
    reporter: Reporter = SILENT
    decisions_: tuple[Decision, ...] = ()

    def fit(self, model: Fitted, items: Sequence[Any], backbone: Backbone) -> TunedHead:
        """Return the model for the target: the same head on a changed source.

        Parameters
        ----------
        model : LinearHead or TunedHead
            Fitted on features of the source, tuned or as it came.
        items : sequence of length m
            Images of the target, without labels.
        backbone : Backbone
            The source as it came; it is not changed.

        Raises
        ------
        OptionError
            The source has no batch norm, or a parameter cannot be used.
        """
        self._check()
        self.decisions_ = ()
        tuned = dict(getattr(model, "tuned", {}))
        given = dict(getattr(model, "given", {}))
        same = TunedHead(model.coef_, model.intercept_, model.classes_, tuned, given)
        work = tuned_backbone(backbone, tuned, given)
        if backbone.card.modality != "image" or not norms_of(work):
            raise OptionError(
                "this source has no batch norm",
                where="backbone",
                got=backbone.card.name,
                hint="what changes the head works with every source",
            )
        if len(items) < FEWEST_TARGET:
            return self._stay(same, f"{len(items)} items are too few to adapt by")
        ready = ImageItems(
            items,
            work,
            size=int(work.card.input["size"]),
            augment=Augment(crop=1.0, flip=False, strength=0.0),
            reporter=self.reporter,
        )
        before = probabilities_of(work, ready, model, self.batch_size)
        changed, why = self._adapt(work, ready, model, before)
        if not why:
            after = probabilities_of(work, ready, model, self.batch_size)
            why = collapsed(before, after)
        if why:
            return self._stay(same, why)
        return TunedHead(model.coef_, model.intercept_, model.classes_, tuned | changed, given)

    def _check(self) -> None:
        if self.batch_size < 2:
            raise OptionError(
                "too small", where="batch_size", got=self.batch_size, allowed="2 or more"
            )

    def _adapt(
        self, work: Backbone, items: ImageItems, model: Fitted, before: FloatArray
    ) -> tuple[dict[str, AnyArray], str]:
        """Change ``work`` in place; return what changed, and why it must not be used if so."""
        raise NotImplementedError

    def _stay(self, model: TunedHead, why: str) -> TunedHead:
        self.decisions_ = (
            *self.decisions_,
            Decision(STAYS, why, "another way, or labels of the target"),
        )
        return model


def batches(items: ImageItems, order: IntArray, size: int) -> Iterator[Tensor]:
    """Yield images (at least 2 where there are so many) in an order, without anything random."""
    for part in np.array_split(order, max(1, round(len(order) / size))):
        yield items.load(part, 0, None)


def probabilities_of(backbone: Backbone, items: ImageItems, model: Fitted, size: int) -> FloatArray:
    """Return the (m, k) probabilities of items as the backbone now is."""
    backbone.eval()
    with torch.no_grad():
        parts = [backbone(part).float() for part in batches(items, np.arange(len(items)), size)]
    features = torch.cat(parts).double().numpy()
    return linear_probabilities(features, model.coef_, model.intercept_)


def by_batch(backbone: Backbone) -> None:
    """Let batch norm normalise by the batch it sees, and keep its statistics as they are."""
    backbone.eval()
    for module in norms_of(backbone).values():
        module.train()
        module.momentum = 0.0


def target_statistics(
    backbone: Backbone, items: ImageItems, size: int, *, prior: float = 0.0
) -> dict[str, AnyArray]:
    """Put the target's statistics into every batch norm; return them by name.

    Mean and variance over all items and places of what each layer is given, while the layers before
    it normalise by the batch.

    Parameters
    ----------
    backbone : Backbone
        Changed in place.
    items : ImageItems
    size : int
        Items of a batch.
    prior : float
        How many items the statistics that were there before count for.
    """
    sums: dict[str, list[Any]] = {}
    handles = []
    for name, module in norms_of(backbone).items():

        def note(_: Any, given: tuple[Tensor, ...], name: str = name) -> None:
            x = given[0].detach().double().transpose(0, 1).flatten(1)
            total, square, count = sums.get(name, (0.0, 0.0, 0))
            sums[name] = [total + x.sum(1), square + x.square().sum(1), count + x.shape[1]]

        handles.append(module.register_forward_pre_hook(note))
    by_batch(backbone)
    try:
        with torch.no_grad():
            for part in batches(items, np.arange(len(items)), size):
                backbone(part)
    finally:
        for handle in handles:
            handle.remove()
        backbone.eval()
    found: dict[str, AnyArray] = {}
    own = len(items) / (len(items) + prior)
    for name, module in norms_of(backbone).items():
        total, square, count = sums[name]
        mean = total / count
        variance = (square - count * mean.square()).clamp(min=0.0) / max(1, count - 1)
        with torch.no_grad():
            module.running_mean.copy_(own * mean + (1 - own) * module.running_mean.double())
            module.running_var.copy_(own * variance + (1 - own) * module.running_var.double())
        found[f"{name}.running_mean"] = module.running_mean.numpy().copy()
        found[f"{name}.running_var"] = module.running_var.numpy().copy()
    return found
