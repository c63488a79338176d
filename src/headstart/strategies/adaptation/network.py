"""A small network on features, trained on both domains at once.

First it learns from the source alone; from there adaptation starts, so that what was before it is
at hand where adaptation fails. All that is random comes from one generator made of the seed, and
one thread computes: the same seed gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from headstart.core.types import FloatArray, IntArray
from headstart.encode.lanes import one_thread
from headstart.strategies.adaptation.deep_methods import Batch, Method, drawn
from headstart.strategies.adaptation.forms import LayersForm

FEWEST_STEPS, MOST_STEPS = 8, 64  # of a pass, however few or many rows there are
WEIGHT_DECAY = 1e-3
CLIP = 5.0


@dataclass(frozen=True)
class Plan:
    """How the network is trained.

    Parameters
    ----------
    hidden : int
        Units of the hidden layer.
    epochs : int
        Passes over the larger domain while adapting; half as many before, on the source alone.
    learning_rate : float
        Peak rate of AdamW; it falls along half a cosine.
    batch_size : int
        Rows of each domain in a batch.
    seed : int
    """

    hidden: int
    epochs: int
    learning_rate: float
    batch_size: int
    seed: int


class Layers:
    """One hidden layer of rectified units and a linear layer on it, as four tensors.

    Parameters
    ----------
    inputs, hidden, outputs : int
    generator : torch.Generator
        Draws the weights.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, generator: torch.Generator) -> None:
        self.tensors = [
            drawn(inputs, hidden, generator),
            torch.zeros(hidden),
            0.1 * drawn(hidden, outputs, generator),
            torch.zeros(outputs),
        ]
        for tensor in self.tensors:
            tensor.requires_grad_(True)

    def features(self, rows: Tensor) -> Tensor:
        """Return the hidden layer (n, hidden)."""
        return functional.relu(torch.addmm(self.tensors[1], rows, self.tensors[0]))

    def head(self, features: Tensor) -> Tensor:
        """Return the scores (n, outputs) of hidden layers."""
        return torch.addmm(self.tensors[3], features, self.tensors[2])

    def form(self, dtype: np.dtype[np.floating]) -> LayersForm:
        """Return what predicts, as a copy."""
        first, bias, second, offset = (t.detach().numpy().astype(dtype) for t in self.tensors)
        return LayersForm([first, second], [bias, offset])


def train(
    X: FloatArray,
    codes: IntArray,
    target: FloatArray,
    outputs: int,
    method: Method | None,
    plan: Plan,
) -> tuple[LayersForm, LayersForm]:
    """Train on the source, then on both domains; return what predicted before and what does after.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows with a class.
    codes : int array of shape (n,)
    target : array of shape (m, d)
        Rows of the target, whose classes are not looked at.
    outputs : int
    method : Method, optional
        Without one both results are the same.
    plan : Plan

    Returns
    -------
    (LayersForm, LayersForm)
    """
    with one_thread():  # batches are too small to share
        generator = torch.Generator().manual_seed(plan.seed)
        layers = Layers(X.shape[1], plan.hidden, outputs, generator)
        rows = torch.from_numpy(np.ascontiguousarray(X, dtype=np.float32))
        others = torch.from_numpy(np.ascontiguousarray(target, dtype=np.float32))
        truth = torch.from_numpy(np.ascontiguousarray(codes, dtype=np.int64))
        balanced = method is not None and method.balanced
        turns = draws(truth, plan.batch_size, generator, balanced=balanced)
        first = max(1, plan.epochs // 2) * steps_of(len(rows), plan.batch_size)
        _descend(
            layers, layers.tensors, _source_losses(layers, rows, truth, turns, first), first, plan
        )
        before = layers.form(X.dtype)
        if method is None:
            return before, before
        own = [p.data.requires_grad_(True) for p in method.start(plan.hidden, outputs, generator)]
        total = plan.epochs * steps_of(max(len(rows), len(others)), plan.batch_size)
        drawn_others = draws(torch.zeros(len(others)).long(), plan.batch_size, generator)
        both = _both_losses(layers, method, (rows, truth, others), (turns, drawn_others), total)
        _descend(layers, [*layers.tensors, *own], both, total, plan)
        return before, layers.form(X.dtype)


def steps_of(n: int, batch: int) -> int:
    """Return the steps of a pass over n rows: 8 of few, 64 of many.

    Examples
    --------
    >>> [steps_of(n, 64) for n in (10, 2_000, 100_000)]
    [8, 32, 64]
    """
    return min(max(math.ceil(n / batch), FEWEST_STEPS), MOST_STEPS)


def draws(
    codes: Tensor, batch: int, generator: torch.Generator, *, balanced: bool = False
) -> Iterator[Tensor]:
    """Yield places of rows without end: all rows in turn, in an order drawn anew each time.

    Parameters
    ----------
    codes : int64 Tensor of shape (n,)
    batch : int
        At most n are yielded at a time.
    generator : torch.Generator
    balanced : bool
        Every class comes as often as any other, and the rows of a class in turn.
    """
    size = min(batch, len(codes))
    if not balanced:
        yield from _parts(torch.arange(len(codes)), size, generator)
    classes = torch.unique(codes)
    own = [_parts(torch.nonzero(codes == code)[:, 0], 1, generator) for code in classes]
    turn = _parts(torch.arange(len(classes)), 1, generator)
    while True:
        yield torch.cat([next(own[int(next(turn))]) for _ in range(size)])


def _parts(places: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        order = places[torch.randperm(len(places), generator=generator)]
        for start in range(0, len(order) - size + 1, size):
            yield order[start : start + size]


def _source_losses(
    layers: Layers, rows: Tensor, truth: Tensor, turns: Iterator[Tensor], total: int
) -> Iterator[Tensor]:
    for _ in range(total):
        picked = next(turns)
        scores = layers.head(layers.features(rows[picked]))
        yield functional.cross_entropy(scores, truth[picked])


def _both_losses(
    layers: Layers,
    method: Method,
    data: tuple[Tensor, Tensor, Tensor],
    turns: tuple[Iterator[Tensor], Iterator[Tensor]],
    total: int,
) -> Iterator[Tensor]:
    rows, truth, others = data
    for step in range(total):
        picked, aside = next(turns[0]), next(turns[1])
        features = layers.features(torch.cat([rows[picked], others[aside]]))
        scores = layers.head(features)
        n = len(picked)
        batch = Batch(
            features[:n],
            features[n:],
            scores[:n],
            scores[n:],
            truth[picked],
            layers.head,
            step / total,
        )
        yield method.total(batch)


def _descend(
    layers: Layers, tensors: list[Tensor], found: Iterator[Tensor], total: int, plan: Plan
) -> None:
    """Take a step for each loss."""
    optimiser = torch.optim.AdamW(
        tensors, lr=plan.learning_rate, weight_decay=WEIGHT_DECAY, fused=True
    )
    for step, loss in enumerate(found):
        if not torch.isfinite(loss):
            with torch.no_grad():  # told by whoever looks at what it predicts
                layers.tensors[3].fill_(float("nan"))
            return
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tensors, CLIP)
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * 0.5 * (1.0 + math.cos(math.pi * step / total))
        optimiser.step()
