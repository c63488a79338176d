"""The methods: what one step of each does, and how each answers an episode of its own.

Batch norm. ProtoNet and RFS see one large batch a step, whose statistics normalise it and move the
stored ones. The methods that adapt by gradients run on the stored statistics, inside and outside
of the inner loop, which move with the items of the step's episodes before it: they are trained the
way they are measured, and no query is told anything by the queries beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from headstart.core.types import FloatArray, IntArray
from headstart.meta.adapt import (
    Loss,
    Memory,
    Parameters,
    adapt,
    fomaml_gradient,
    maml_gradient,
    reptile_gradient,
)
from headstart.meta.body import Body
from headstart.meta.episodes import Episodes, Pool
from headstart.meta.heads import logistic, prototypes
from headstart.meta.plan import Plan

TRAIN_WAYS = 20  # of ProtoNet, which is the better for training on more ways than it is used with
TRAIN_QUERIES = 5
AT_ONCE = 50  # episodes answered together
CLIP = 10.0  # largest norm of a gradient


class Learner:
    """One method on one body.

    Parameters
    ----------
    body : Body
    pool : Pool
        The classes that train.
    plan : Plan
    rng : numpy.random.Generator
        Draws the episodes, and nothing else draws from it.
    """

    name = ""
    adapts = False  # the whole network to each episode
    rate = 1e-3  # of a backbone from random weights
    tuning_rate = 1e-4  # of a pretrained one

    def __init__(self, body: Body, pool: Pool, plan: Plan, rng: np.random.Generator) -> None:
        self.body, self.pool, self.plan, self.rng = body, pool, plan, rng
        self.queries = max(1, pool.queries(plan.shots, min(plan.queries, TRAIN_QUERIES)))

    @staticmethod
    def outputs(plan: Plan, pool: Pool) -> int:
        """Return how many outputs the head has."""
        return plan.ways

    def optimiser(self) -> torch.optim.Optimizer:
        """Return what steps."""
        rate = self.rate if self.body.scratch else self.tuning_rate
        return torch.optim.Adam(self.body.parameters.values(), lr=rate)

    def factor(self, progress: float) -> float:
        """Return what the rate is multiplied by, of the share of the steps that is done."""
        return 0.5 * (1 + float(np.cos(np.pi * progress)))

    def step(self) -> float:
        """Set the gradients of one step; return its loss."""
        raise NotImplementedError

    def accuracies(self, episodes: Episodes, features: FloatArray) -> FloatArray:
        """Return the accuracy of each episode, answered in the method's own way.

        Parameters
        ----------
        episodes : Episodes
        features : ndarray of shape (n, d)
            Of the items that the places of the episodes point at. Where a method ``adapts`` the
            whole network, it is not looked at, and the places are those of the pool.
        """
        raise NotImplementedError

    def draw(self, count: int, ways: int) -> Episodes:
        """Return episodes to train on."""
        return self.pool.draw(
            count, ways=ways, shots=self.plan.shots, queries=self.queries, rng=self.rng
        )


class ProtoNet(Learner):
    """Prototypical networks: the nearest class mean, trained episode by episode."""

    name = "protonet"

    @staticmethod
    def outputs(plan: Plan, pool: Pool) -> int:
        """Return how many outputs the head has."""
        return 1  # no head: it stays as it is

    def step(self) -> float:
        """Set the gradients of one step; return its loss."""
        ways = max(self.plan.ways, min(TRAIN_WAYS, self.pool.most_ways))
        drawn = self.draw(1, ways)
        batch = self.body.load(np.concatenate([drawn.support[0], drawn.query[0]], axis=1))
        with self.body.network.training_mode():
            features, _ = self.body.forward(batch)
        shaped = features.view(1, ways, self.plan.shots + self.queries, -1)
        support, query = shaped[:, :, : self.plan.shots], shaped[:, :, self.plan.shots :]
        scores = self.body.temperature * prototypes(support, query.flatten(1, 2))
        loss = _cross_entropy(scores, self.queries)
        loss.backward()
        return float(loss.detach())

    def accuracies(self, episodes: Episodes, features: FloatArray) -> FloatArray:
        """Return the accuracy of each episode, answered in the method's own way."""
        return answered(episodes, features, prototypes)


class RFS(Learner):
    """A plain classifier of all classes that train; then a logistic head on its features.

    ``teacher``: a trained RFS whose outputs are learned from as well (self-distillation).
    """

    name = "rfs"
    batch = 64
    warmth = 4.0  # the temperature of distillation
    rate = 0.05

    def __init__(self, body: Body, pool: Pool, plan: Plan, rng: np.random.Generator) -> None:
        super().__init__(body, pool, plan, rng)
        self.teacher: Body | None = None
        self._places, self._codes = pool.places, pool.codes
        self._waiting: IntArray = np.empty(0, dtype=np.int64)

    @staticmethod
    def outputs(plan: Plan, pool: Pool) -> int:
        """Return how many outputs the head has."""
        return len(pool.classes)

    def optimiser(self) -> torch.optim.Optimizer:
        """Return what steps: from random weights as in the paper."""
        parameters = list(self.body.parameters.values())
        if not self.body.scratch:
            return torch.optim.Adam(parameters, lr=self.tuning_rate)
        return torch.optim.SGD(
            parameters, lr=self.rate, momentum=0.9, weight_decay=5e-4, nesterov=True
        )

    def step(self) -> float:
        """Set the gradients of one step; return its loss."""
        rows = self._next()
        batch = self.body.load(self._places[rows])
        truth = torch.from_numpy(self._codes[rows])
        with self.body.network.training_mode():
            _, scores = self.body.forward(batch)
        loss = functional.cross_entropy(scores, truth)
        if self.teacher is not None:
            with torch.no_grad():
                _, told = self.teacher.forward(self.teacher.load(self._places[rows]))
            soft = functional.kl_div(
                torch.log_softmax(scores / self.warmth, dim=1),
                torch.softmax(told / self.warmth, dim=1),
                reduction="batchmean",
            )
            loss = 0.5 * loss + 0.5 * self.warmth**2 * soft
        loss.backward()
        return float(loss.detach())

    def _next(self) -> IntArray:
        """Return the rows of the next batch of an endless shuffled row of them."""
        size = min(self.batch, len(self._places))
        while len(self._waiting) < size:
            more = self.rng.permutation(len(self._places))
            self._waiting = np.concatenate([self._waiting, more])
        found, self._waiting = self._waiting[:size], self._waiting[size:]
        return found

    def accuracies(self, episodes: Episodes, features: FloatArray) -> FloatArray:
        """Return the accuracy of each episode, answered in the method's own way."""
        return answered(episodes, features, logistic)


class Distilled(RFS):
    """RFS that learns from an RFS before it."""

    name = "rfs-distill"


class ANIL(Learner):
    """Almost no inner loop: the inner loop adapts the head, the outer loop trains everything.

    The meta-gradient is exact: only a linear head stands between.
    """

    name = "anil"
    inner_rate, inner_steps, test_steps = 0.1, 5, 10

    def step(self) -> float:
        """Set the gradients of one step; return its loss."""
        plan, body = self.plan, self.body
        drawn = self.draw(plan.meta_batch, plan.ways)
        batch = body.load(np.concatenate([drawn.support, drawn.query], axis=2))
        body.move_statistics(batch)
        body.network.eval()

        def outer(params: Parameters) -> Tensor:
            features, _ = body.pure(params, batch)
            shape = (len(drawn), plan.ways, plan.shots + self.queries, -1)
            support, query = features.view(shape).split([plan.shots, self.queries], dim=2)
            head = {"weight": params["head.weight"], "bias": params["head.bias"]}
            scores = self._answer(head, support, query.flatten(1, 2), self.inner_steps)
            return _cross_entropy(scores, self.queries)

        grads, loss = torch.func.grad_and_value(outer)(body.constants)
        _set(body, grads)
        return float(loss)

    def _answer(self, head: Parameters, support: Tensor, query: Tensor, steps: int) -> Tensor:
        """Return the scores (B, m, ways) after adapting the head to each episode."""
        ways, shots = support.shape[1:3]
        truth = torch.arange(ways).repeat_interleave(shots)

        def one(items: Tensor, asked: Tensor) -> Tensor:
            def inner(own: Parameters) -> Tensor:
                scores = functional.linear(items.flatten(0, 1), own["weight"], own["bias"])
                return functional.cross_entropy(scores, truth)

            losses = [inner] * steps
            own = adapt(head, losses, rate=self.inner_rate, second_order=True)
            return functional.linear(asked, own["weight"], own["bias"])

        return torch.func.vmap(one)(support, query)

    def accuracies(self, episodes: Episodes, features: FloatArray) -> FloatArray:
        """Return the accuracy of each episode, answered in the method's own way."""
        constants, network = self.body.constants, self.body.network
        head = {"weight": constants["head.weight"], "bias": constants["head.bias"]}
        mean = network.mean.numpy()

        def answer(support: Tensor, query: Tensor) -> Tensor:
            with torch.no_grad():
                return self._answer(head, support, query, self.test_steps)

        standard = ((features - mean) / network.scale).astype(np.float32)
        return answered(episodes, standard, answer)


class FOMAML(Learner):
    """MAML with the first-order meta-gradient: the inner loop adapts everything."""

    name = "fomaml"
    adapts = True
    inner_rate, inner_steps, test_steps = 0.05, 5, 5
    gradient = staticmethod(fomaml_gradient)

    def step(self) -> float:
        """Set the gradients of one step; return its loss."""
        plan, body = self.plan, self.body
        drawn = self.draw(plan.meta_batch, plan.ways)
        body.move_statistics(body.load(np.concatenate([drawn.support, drawn.query], axis=2)))
        body.network.eval()
        params = body.constants
        total = {name: torch.zeros_like(tensor) for name, tensor in params.items()}
        losses = []
        for support, query in zip(drawn.support, drawn.query, strict=True):
            inner = _loss(body, support)
            outer = _loss(body, query)
            grads, loss = self.gradient(
                params, [inner] * self.inner_steps, outer, rate=self.inner_rate
            )
            for name, grad in grads.items():
                total[name] += grad.detach() / len(drawn)
            losses.append(float(loss))
        _set(body, total)
        return float(np.mean(losses))

    def accuracies(self, episodes: Episodes, features: FloatArray) -> FloatArray:
        """Return the accuracy of each episode, answered in the method's own way."""
        return np.array(list(self._each(episodes)))

    def _each(self, episodes: Episodes) -> Iterator[float]:
        body = self.body
        body.network.eval()
        params = body.constants
        for support, query in zip(episodes.support, episodes.query, strict=True):
            own = self._adapted(params, support)
            with torch.no_grad():
                _, scores = body.pure(own, body.load(query))
            truth = np.repeat(np.arange(len(query)), query.shape[1])
            yield float((scores.argmax(dim=1).numpy() == truth).mean())

    def _adapted(self, params: Parameters, support: IntArray) -> Parameters:
        losses = [_loss(self.body, support)] * self.test_steps
        return adapt(params, losses, rate=self.inner_rate)


class MAML(FOMAML):
    """MAML with its exact meta-gradient, second derivatives and all."""

    name = "maml"
    gradient = staticmethod(maml_gradient)


class Reptile(FOMAML):
    """Reptile: adapt to a task by Adam without momentum, then move towards where that ended.

    Adam remembers its mean squares from one task to the next, as in the authors' code.
    """

    name = "reptile"
    inner_rate, inner_steps, test_steps = 1e-3, 8, 5
    batch = 10
    rate = tuning_rate = 1.0  # how far towards the end, falling to nothing

    def __init__(self, body: Body, pool: Pool, plan: Plan, rng: np.random.Generator) -> None:
        super().__init__(body, pool, plan, rng)
        self._memory = Memory()

    def optimiser(self) -> torch.optim.Optimizer:
        """Return what steps."""
        return torch.optim.SGD(self.body.parameters.values(), lr=self.rate)

    def factor(self, progress: float) -> float:
        """Return what the rate is multiplied by."""
        return 1 - progress

    def step(self) -> float:
        """Set the gradients of one step; return its loss."""
        plan, body = self.plan, self.body
        drawn = self.draw(plan.meta_batch, plan.ways)
        items = np.concatenate([drawn.support, drawn.query], axis=2)
        body.move_statistics(body.load(items))
        body.network.eval()
        params = body.constants
        total = {name: torch.zeros_like(tensor) for name, tensor in params.items()}
        losses = []
        for episode in items:
            batches = [_loss(body, episode, rows) for rows in self._batches(episode.size)]
            moved = reptile_gradient(
                params, batches, rate=self.inner_rate, rule="adam", memory=self._memory
            )
            for name, way in moved.items():
                total[name] += way / len(drawn)
            with torch.no_grad():  # where adaptation ended
                end = {name: tensor - moved[name] for name, tensor in params.items()}
                losses.append(float(batches[-1](end)))
        _set(body, total)
        return float(np.mean(losses))

    def _batches(self, n: int) -> list[IntArray]:
        """Return the items of each inner step: shuffled, one batch after the other."""
        size = min(self.batch, n)
        row = np.concatenate(
            [self.rng.permutation(n) for _ in range(-(-self.inner_steps * size // n) + 1)]
        )
        return [row[at * size : (at + 1) * size] for at in range(self.inner_steps)]

    def _adapted(self, params: Parameters, support: IntArray) -> Parameters:
        losses = [_loss(self.body, support)] * self.test_steps
        return adapt(params, losses, rate=self.inner_rate, rule="adam", memory=self._memory.copy())


LEARNERS: dict[str, type[Learner]] = {
    one.name: one for one in (ProtoNet, ANIL, FOMAML, MAML, Reptile, RFS, Distilled)
}


def answered(episodes: Episodes, features: FloatArray, head: Any) -> FloatArray:
    """Return the accuracy of each episode by a head that learns from the support set alone.

    Parameters
    ----------
    episodes : Episodes
    features : ndarray of shape (n, d)
    head : callable
        From support (B, ways, shots, d) and query (B, m, d) to scores (B, m, ways).
    """
    found = []
    for start in range(0, len(episodes), AT_ONCE):
        part = episodes.take(slice(start, start + AT_ONCE))
        support = torch.from_numpy(features[part.support])
        query = torch.from_numpy(features[part.query])
        scores = head(support, query.flatten(1, 2))
        found.append(_hits(scores, part.query.shape[2]).mean(dim=1).numpy())
    return np.concatenate(found).astype(np.float64)


def _hits(scores: Tensor, queries: int) -> Tensor:
    """Return which queries are right, (B, m) float; they lie class by class."""
    truth = torch.arange(scores.shape[2]).repeat_interleave(queries)
    return (scores.argmax(dim=2) == truth).float()


def _cross_entropy(scores: Tensor, queries: int) -> Tensor:
    truth = torch.arange(scores.shape[2]).repeat_interleave(queries)
    return functional.cross_entropy(scores.flatten(0, 1), truth.repeat(len(scores)))


def _loss(body: Body, items: IntArray, rows: IntArray | None = None) -> Loss:
    """Return the loss of the head on items (ways, m), or some of them, as a pure function."""
    truth = np.repeat(np.arange(len(items)), items.shape[1])
    places = items.ravel()
    if rows is not None:
        truth, places = truth[rows], places[rows]
    batch, target = body.load(places), torch.from_numpy(truth)

    def loss(params: Parameters) -> Tensor:
        return functional.cross_entropy(body.pure(params, batch)[1], target)

    return loss


def _set(body: Body, grads: Parameters) -> None:
    for name, parameter in body.parameters.items():
        parameter.grad = grads[name].detach()
