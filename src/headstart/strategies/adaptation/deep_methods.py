"""Deep methods as objects: what each adds to the cross-entropy of the source.

A method sees features and scores of one batch of both domains and returns a loss. It does not know
what made the features: a small network on frozen ones, or a source whose weights change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.core.errors import OptionError, UnknownNameError
from headstart.core.types import Decision
from headstart.strategies.adaptation import losses

MOST_PRODUCTS = 4096  # of features and classes, from which on CDAN draws random ones
JUDGE = 256  # hidden units of what tells the domains apart


@dataclass(frozen=True)
class Batch:
    """One batch of both domains.

    Parameters
    ----------
    features_s, features_t : Tensor of shape (n, d) and (m, d)
    scores_s, scores_t : Tensor of shape (n, k) and (m, k)
    codes_s : int64 Tensor of shape (n,)
    head : callable
        From features to scores.
    progress : float
        How far training is, 0 to 1.
    """

    features_s: Tensor
    features_t: Tensor
    scores_s: Tensor
    scores_t: Tensor
    codes_s: Tensor
    head: Callable[[Tensor], Tensor]
    progress: float


@dataclass
class Method:
    """Base of the methods.

    Parameters
    ----------
    weight : float, >= 0
        Of the method's loss beside the cross-entropy.
    """

    weight: float = 1.0
    name: ClassVar[str] = ""
    extra: ClassVar[int] = 0  # outputs beside the classes
    balanced: ClassVar[bool] = False  # whether classes come alike in a batch of the source
    record: ClassVar[Decision | None] = None  # what a user must know before using it

    def start(self, width: int, outputs: int, generator: torch.Generator) -> list[nn.Parameter]:
        """Draw what only training needs; return its parameters."""
        return []

    def loss(self, batch: Batch) -> Tensor:
        """Return the method's own loss."""
        raise NotImplementedError

    def total(self, batch: Batch) -> Tensor:
        """Return the cross-entropy of the source plus the method's weighted loss."""
        own = functional.cross_entropy(batch.scores_s, batch.codes_s)
        return own + self.weight * losses.ramp(batch.progress) * self.loss(batch)


@dataclass
class Confusion(Method):
    """Minimum class confusion."""

    temperature: float = losses.TEMPERATURE
    name: ClassVar[str] = "mcc"

    def loss(self, batch: Batch) -> Tensor:
        """Return :func:`losses.mcc` of the target."""
        return losses.mcc(batch.scores_t, self.temperature)


@dataclass
class Covariances(Method):
    """Deep CORAL: covariances of features."""

    name: ClassVar[str] = "deep-coral"

    def loss(self, batch: Batch) -> Tensor:
        """Return :func:`losses.coral` of the features."""
        return losses.coral(batch.features_s, batch.features_t)


@dataclass
class Transport(Method):
    """DeepJDOT: joint transport of features and labels; batches hold all classes alike."""

    distance: float = 1.0
    name: ClassVar[str] = "deep-jdot"
    balanced: ClassVar[bool] = True

    def loss(self, batch: Batch) -> Tensor:
        """Return :func:`losses.deepjdot`."""
        return losses.deepjdot(
            batch.features_s,
            batch.features_t,
            batch.codes_s,
            batch.scores_t,
            distance=self.distance,
        )


@dataclass
class Judged(Method):
    """Base of those that confuse a judge of domains: two layers, trained along."""

    layers: list[nn.Parameter] = field(default_factory=list)

    def _judge(self, width: int, generator: torch.Generator) -> list[nn.Parameter]:
        self.layers = [
            nn.Parameter(drawn(width, JUDGE, generator)),
            nn.Parameter(torch.zeros(JUDGE)),
            nn.Parameter(drawn(JUDGE, 1, generator)),
            nn.Parameter(torch.zeros(1)),
        ]
        return self.layers

    def judged(self, rows: Tensor, strength: float) -> Tensor:
        """Return the judge's logits (n,); what made the rows learns to confuse it."""
        first, bias, second, offset = self.layers
        hidden = functional.relu(losses.reverse_gradient(rows, strength) @ first + bias)
        return (hidden @ second + offset)[:, 0]

    def total(self, batch: Batch) -> Tensor:
        """Return the cross-entropy plus the judge's; the ramp is in the reversal alone."""
        own = functional.cross_entropy(batch.scores_s, batch.codes_s)
        return own + self.loss(batch)


@dataclass
class DomainAdversarial(Judged):
    """DANN: features that do not tell the domain."""

    name: ClassVar[str] = "dann"
    record: ClassVar[Decision | None] = Decision(
        "DANN has a poor record",
        "over 51 real shifts it lost 1.0 point of accuracy on average: domains may be confused "
        "while classes are mixed up; from MNIST to digits it lost 8 points (one run), and its own "
        "guard did not see it",
        "mcc or linear optimal transport did better",
    )

    def start(self, width: int, outputs: int, generator: torch.Generator) -> list[nn.Parameter]:
        """Draw the judge."""
        return self._judge(width, generator)

    def loss(self, batch: Batch) -> Tensor:
        """Return :func:`losses.domain_confusion` behind the reversal."""
        strength = self.weight * losses.ramp(batch.progress)
        source, target = (self.judged(x, strength) for x in (batch.features_s, batch.features_t))
        return losses.domain_confusion(source, target)


@dataclass
class Conditional(Judged):
    """CDAN+E: features together with predictions do not tell the domain."""

    maps: list[Tensor] = field(default_factory=list)
    name: ClassVar[str] = "cdan"
    record: ClassVar[Decision | None] = Decision(
        "CDAN has a poor record",
        "from MNIST to digits it lost 14 points of accuracy against the same network without it "
        "(one run), and its own guard did not see it",
        "mcc or linear optimal transport did better",
    )

    def start(self, width: int, outputs: int, generator: torch.Generator) -> list[nn.Parameter]:
        """Draw the judge, and where there are too many products the random maps."""
        self.maps = []
        if width * outputs <= MOST_PRODUCTS:
            return self._judge(width * outputs, generator)
        self.maps = [
            torch.randn(size, MOST_PRODUCTS // 4, generator=generator) for size in (width, outputs)
        ]
        return self._judge(MOST_PRODUCTS // 4, generator)

    def loss(self, batch: Batch) -> Tensor:
        """Return the weighted :func:`losses.domain_confusion` of products."""
        strength = self.weight * losses.ramp(batch.progress)
        found, weights = [], []
        for features, scores in (
            (batch.features_s, batch.scores_s),
            (batch.features_t, batch.scores_t),
        ):
            shares = functional.softmax(scores, dim=1).detach()
            if self.maps:
                maps = [each.to(features) for each in self.maps]
                rows = losses.randomised(features, shares, *maps)
            else:
                rows = losses.multilinear(features, shares)
            found.append(self.judged(rows, strength))
            weights.append(losses.certainty(shares))
        return losses.domain_confusion(*found, *weights)


@dataclass
class FeatureNorm(Method):
    """AFN: the norms of the features of both domains grow step by step."""

    step: float = 1.0
    name: ClassVar[str] = "afn"

    def loss(self, batch: Batch) -> Tensor:
        """Return :func:`losses.stepwise_norm` of both domains."""
        source = losses.stepwise_norm(batch.features_s, self.step)
        return source + losses.stepwise_norm(batch.features_t, self.step)


@dataclass
class OpenSet(Method):
    """OSBP: one class more, for what the source does not know."""

    share: float = 0.5
    name: ClassVar[str] = "osbp"
    extra: ClassVar[int] = 1

    def loss(self, batch: Batch) -> Tensor:
        """Return :func:`losses.open_set` of the target behind the reversal."""
        return losses.open_set(
            batch.head(losses.reverse_gradient(batch.features_t, 1.0)), self.share
        )


METHODS: dict[str, type[Method]] = {
    each.name: each
    for each in (
        Confusion,
        Covariances,
        Transport,
        Conditional,
        DomainAdversarial,
        FeatureNorm,
        OpenSet,
    )
}


def method_of(name: str, **options: Any) -> Method:
    """Return a method by its name.

    Raises
    ------
    UnknownNameError
        There is none of that name.
    OptionError
        An option is no number from 0 on.
    """
    if name not in METHODS:
        raise UnknownNameError("method", name, METHODS, where="method")
    for option, value in options.items():
        if not (math.isfinite(value) and value >= 0):
            raise OptionError("not a number from 0 on", where=option, got=value)
    return METHODS[name](**options)


def drawn(inputs: int, outputs: int, generator: torch.Generator) -> Tensor:
    """Return a weight (inputs, outputs) from a normal distribution (He et al. 2015)."""
    spread = math.sqrt(2.0 / max(1, inputs))
    return torch.randn(inputs, outputs, generator=generator) * spread
