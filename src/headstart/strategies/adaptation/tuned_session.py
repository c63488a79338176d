"""A fit on items of both domains: the parts of every fine-tuning, with a method's loss added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.types import AnyArray, Decision, FloatArray, IntArray
from headstart.strategies.adaptation.collapse import STAYED, all_unknown, collapsed, forgotten
from headstart.strategies.adaptation.deep_methods import Batch, Method
from headstart.strategies.heads import softmax_rows
from headstart.strategies.tuning.contrast import Pairs
from headstart.strategies.tuning.items import Items, count_batches
from headstart.strategies.tuning.loop import Loop
from headstart.strategies.tuning.memory import memory_of
from headstart.strategies.tuning.network import Network
from headstart.strategies.tuning.session import Session
from headstart.strategies.tuning.settings import Settings

FEWEST_TARGET = 10  # items of the target from which on adaptation is tried


class Both(Pairs):
    """The loss of a batch of which the first part has labels and the second is of the target.

    What compares all of a batch at once goes through the network in pieces, as contrastive tuning
    does, so that any batch fits into memory.

    Parameters
    ----------
    truth : ndarray of shape (n,)
    outputs : int
    method : Method
    network : Network
    labelled, others : ndarray of int
        Places of items with a class, and of items of the target.
    seed : int
    """

    def __init__(
        self,
        truth: AnyArray,
        outputs: int,
        *,
        method: Method,
        network: Network,
        labelled: IntArray,
        others: IntArray,
        seed: int,
    ) -> None:
        super().__init__(truth, outputs, temperature=1.0)
        self.method, self.network = method, network
        self.labelled, self.others = labelled, others
        self.progress = 0.0
        self._first = 0
        device = network.head.weight.device
        generator = torch.Generator().manual_seed(seed)
        self.own: list[nn.Parameter] = method.start(network.head.in_features, outputs, generator)
        for parameter in self.own:
            parameter.data = parameter.data.to(device)

    def order(
        self, sizes: IntArray, index: IntArray, batch: int, generator: torch.Generator
    ) -> list[IntArray]:
        """Return the batches of an epoch: in each as many items with a class as of the target."""
        half = max(1, batch // 2)
        self._first = min(half, len(self.labelled))
        turns = [
            _turns(places, min(half, len(places)), sizes, generator)
            for places in (self.labelled, self.others)
        ]
        count = count_batches(len(index), batch)
        return [np.concatenate([next(turn) for turn in turns]) for _ in range(count)]

    def loss(self, features: Tensor, index: IntArray) -> Tensor:
        """Return the cross-entropy of the first part plus the method's loss of both."""
        network, n = self.network, self._first
        features = (features.float() - network.mean) / network.scale
        scores = network.head(features)
        codes = self.truth[torch.from_numpy(index[:n])].to(features.device)
        batch = Batch(
            features[:n],
            features[n:],
            scores[:n],
            scores[n:],
            codes,
            network.head,
            self.progress,
        )
        return self.method.total(batch)


def _turns(
    places: IntArray, size: int, sizes: IntArray, generator: torch.Generator
) -> Iterator[IntArray]:
    """Yield parts of places without end, each sorted by what items cost."""
    while True:
        order = places[torch.randperm(len(places), generator=generator).numpy()]
        for start in range(0, len(order) - size + 1, size):
            part = order[start : start + size]
            yield part[np.argsort(sizes[part], kind="stable")]


class AdaptingLoop(Loop):
    """The loop of every fine-tuning; it also trains what the method has of its own."""

    objective: Both

    def _optimiser(self) -> torch.optim.AdamW:
        optimiser = super()._optimiser()
        if self.objective.own:
            rate = self.settings.head_rate
            optimiser.add_param_group({"params": self.objective.own, "lr": rate, "peak": rate})
        return optimiser

    def _step(self, index: IntArray) -> float:
        self.objective.progress = self.progress.step / self.total
        return super()._step(index)


class AdaptingSession(Session):
    """Tunes a source on labelled items, then on both domains."""

    method: Method
    labelled: IntArray
    others: IntArray
    n_known: int

    def adapt_by(self, method: Method, labelled: IntArray, others: IntArray, n_known: int) -> None:
        """Say how: the method, places of items with a class and of the target, and the classes."""
        self.method, self.labelled, self.others = method, labelled, others
        self.n_known = n_known

    def run_both(self) -> None:
        """Tune: afterwards the attributes hold the result, as after ``run``."""
        self._read()
        if self.method.record is not None:
            self.decisions.append(self.method.record)
        network, items = self._network(self._items(), self.settings)
        half = replace(self.settings, epochs=max(1, self.settings.epochs // 2))
        first = self._one(Loop, network, items, half, self.objective, self.labelled)
        before = self._kept(first)
        self._take(first)
        if len(self.others) < FEWEST_TARGET:
            return self._stay(f"{len(self.others)} items of the target are too few to adapt to")
        both = Both(
            self.truth,
            self.outputs,
            method=self.method,
            network=network,
            labelled=self.labelled,
            others=self.others,
            seed=self.seed,
        )
        every = np.arange(len(self.truth))
        second = self._one(AdaptingLoop, network, items, self.settings, both, every)
        why = self._failure(before, self._kept(second))
        return self._stay(why) if why else self._take(second)

    def _one(
        self,
        kind: type[Loop],
        network: Network,
        items: Items,
        settings: Settings,
        objective: Any,
        places: IntArray,
    ) -> Loop:
        """Run a loop over items at places."""
        self.memory = memory_of(
            network, items, places, batch=settings.batch, copies=5, device=self.device
        )
        name = self.base.card.name
        self.reporter.say(f"Tuning {name} on {len(places)} items takes {self.memory}.")
        loop = kind(
            network,
            items,
            objective,
            settings,
            train=places,
            valid=self.valid,
            device=self.device,
            half=self.half,
            micro=self.memory.micro,
            seed=self.seed,
            reporter=self.reporter,
            name=name,
        )
        loop.run()
        return loop

    def _kept(self, loop: Loop) -> tuple[FloatArray, FloatArray]:
        """Return the probabilities of the labelled items and of the target's."""
        places = (self.labelled, self.others)
        known, found = (softmax_rows(loop.outputs(part).double().numpy()) for part in places)
        return known, found

    def _failure(
        self, before: tuple[FloatArray, FloatArray], after: tuple[FloatArray, FloatArray]
    ) -> str:
        """Say what went wrong; empty where nothing did."""
        k = self.n_known
        if self.outputs > k:
            why = all_unknown(float((after[1].argmax(axis=1) == k).mean()))
            if why:
                return why
        target = [
            part[:, :k] / np.maximum(part[:, :k].sum(axis=1, keepdims=True), 1e-300)
            for part in (before[1], after[1])
        ]
        truth = self.truth[self.labelled]
        right = [float((part.argmax(axis=1) == truth).mean()) for part in (before[0], after[0])]
        return collapsed(*target) or forgotten(*right)

    def _stay(self, why: str) -> None:
        self.decisions.append(Decision(STAYED, why, "another method or weight"))

    def _take(self, loop: Loop) -> None:
        """Take the result out of the network."""
        self.history = [*self.history, *loop.progress.history]
        self.coef, self.intercept = loop.network.linear()
        self.changed = loop.network.changed()
