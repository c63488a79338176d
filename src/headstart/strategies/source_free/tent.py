"""TENT: scales and offsets of batch norm that make predictions certain."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import torch

from headstart.core.errors import OptionError
from headstart.core.types import SILENT, AnyArray, FloatArray, Reporter
from headstart.sources.backbone import Backbone
from headstart.strategies.adaptation.collapse import collapsed
from headstart.strategies.adaptation.losses import entropy
from headstart.strategies.source_free.backbones import (
    BackboneChange,
    batches,
    by_batch,
    norms_of,
    probabilities_of,
    target_statistics,
)
from headstart.strategies.source_free.base import Fitted
from headstart.strategies.targets import seed_of
from headstart.strategies.tuning.items import ImageItems

Statistics = Literal["target", "source"]


class Tent(BackboneChange):
    """Train scales and offsets of batch norm, nothing else, until predictions are certain.

    After each pass the predictions for the target are looked at: where they collapse, all is reset
    to the model as it was.

    Parameters
    ----------
    epochs : int, >= 1
        Passes over the target; one in the paper.
    learning_rate : float
        Of Adam.
    statistics : {"target", "source"}
        Normalise by each batch and keep the target's statistics, as in the paper; or leave the
        statistics as they are.
    batch_size : int, >= 2
    reporter : Reporter
    random_state : int or None

    References
    ----------
    Wang et al., Tent: fully test-time adaptation by entropy minimization, ICLR 2021.

    Examples
    --------
    >>> import headstart as hs
    >>> source = hs.sources.load("efficientnet-lite0")                  # doctest: +SKIP
    >>> new = Tent(epochs=2).fit(head, images, source)                  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        epochs: int = 1,
        learning_rate: float = 1e-3,
        statistics: Statistics = "target",
        batch_size: int = 64,
        reporter: Reporter = SILENT,
        random_state: int | None = 0,
    ) -> None:
        self.epochs, self.learning_rate, self.statistics = epochs, learning_rate, statistics
        self.batch_size, self.reporter, self.random_state = batch_size, reporter, random_state

    def _check(self) -> None:
        super()._check()
        if self.statistics not in get_args(Statistics):
            raise OptionError(
                "unknown statistics",
                where="statistics",
                got=self.statistics,
                allowed=get_args(Statistics),
            )
        if self.epochs < 1:
            raise OptionError("too small", where="epochs", got=self.epochs, allowed="1 or more")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise OptionError("not a rate above 0", where="learning_rate", got=self.learning_rate)

    def _adapt(
        self, work: Backbone, items: ImageItems, model: Fitted, before: FloatArray
    ) -> tuple[dict[str, AnyArray], str]:
        W, c = (torch.tensor(np.asarray(a), dtype=torch.float32)
                for a in (model.coef_, model.intercept_))  # fmt: skip
        affine = {
            f"{name}.{part}": getattr(module, part)
            for name, module in norms_of(work).items()
            for part in ("weight", "bias")
            if getattr(module, part) is not None
        }
        for parameter in work.parameters():
            parameter.requires_grad_(False)
        for parameter in affine.values():
            parameter.requires_grad_(True)
        optimiser = torch.optim.Adam(list(affine.values()), lr=self.learning_rate)
        generator = torch.Generator().manual_seed(seed_of(self.random_state))
        found: dict[str, AnyArray] = {}
        for epoch in range(1, self.epochs + 1):
            work.eval()
            if self.statistics == "target":
                by_batch(work)
            order = torch.randperm(len(items), generator=generator).numpy()
            for part in batches(items, order, self.batch_size):
                scores = work(part).float() @ W + c
                loss = entropy(torch.nn.functional.softmax(scores, dim=1)).mean()
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
            if self.statistics == "target":
                found = target_statistics(work, items, self.batch_size)
            why = collapsed(before, probabilities_of(work, items, model, self.batch_size))
            if why:
                return {}, f"reset after pass {epoch}: {why}"
        return found | {n: p.detach().numpy().copy() for n, p in affine.items()}, ""
