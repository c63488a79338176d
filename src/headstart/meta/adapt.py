"""The algebra of learning to adapt, on ``torch.func``: pure functions of parameters.

Parameters are dicts of tensors; a loss is a function of such a dict. Nothing here knows of
networks or items, so that every rule can be checked against a numerical derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

Parameters = dict[str, Tensor]
Loss = Callable[[Parameters], Tensor]
Rule = Literal["sgd", "adam"]

_SECOND, _EPS = 0.999, 1e-8  # of Adam without momentum, as Reptile adapts


@dataclass
class Memory:
    """What Adam remembers from one task to the next: mean squares of gradients, and of how many."""

    squares: Parameters = field(default_factory=dict)
    steps: int = 0

    def copy(self) -> Memory:
        """Return a memory that goes on from here on its own."""
        return Memory(dict(self.squares), self.steps)

    def scaled(self, grads: Parameters) -> Parameters:
        """Take gradients in; return them over the root of their mean squares."""
        self.steps += 1
        found = {}
        for name, grad in grads.items():
            before = self.squares.get(name, torch.zeros_like(grad))
            self.squares[name] = _SECOND * before + (1 - _SECOND) * grad.square()
            spread = (self.squares[name] / (1 - _SECOND**self.steps)).sqrt()
            found[name] = grad / (spread + _EPS)
        return found


def adapt(
    params: Mapping[str, Tensor],
    losses: Sequence[Loss],
    *,
    rate: float,
    rule: Rule = "sgd",
    memory: Memory | None = None,
    second_order: bool = False,
) -> Parameters:
    """Return the parameters after one gradient step on each of ``losses`` in turn.

    Parameters
    ----------
    params : mapping of str to Tensor
    losses : sequence of callables
        The inner loop: the same loss several times, or that of several small batches.
    rate : float, > 0
    rule : {"sgd", "adam"}
        Adam without momentum (beta1 = 0) is what Reptile's authors adapt with.
    memory : Memory, optional
        What Adam remembers; it is changed. None: nothing.
    second_order : bool
        Let later derivatives see how the steps depend on the parameters (MAML's exact
        meta-gradient); otherwise each step's gradient counts as a constant (first order).
    """
    fast = dict(params)
    memory = Memory() if memory is None else memory
    for loss in losses:
        grads = torch.func.grad(loss)(fast)
        if not second_order:
            grads = {name: grad.detach() for name, grad in grads.items()}
        if rule == "adam":
            grads = memory.scaled(grads)
        fast = {name: tensor - rate * grads[name] for name, tensor in fast.items()}
    return fast


def maml_gradient(
    params: Parameters, inner: Sequence[Loss], outer: Loss, *, rate: float
) -> tuple[Parameters, Tensor]:
    """Return MAML's exact meta-gradient, second derivatives and all, and the outer loss.

    The derivative of ``outer(adapt(params, inner))`` in ``params`` (Finn et al. 2017, eq. 1).
    """

    def after(start: Parameters) -> Tensor:
        return outer(adapt(start, inner, rate=rate, second_order=True))

    grads, value = torch.func.grad_and_value(after)(params)
    return grads, value


def fomaml_gradient(
    params: Parameters, inner: Sequence[Loss], outer: Loss, *, rate: float
) -> tuple[Parameters, Tensor]:
    """Return the gradient of ``outer`` where adaptation ends (first order), and the outer loss."""
    fast = adapt(params, inner, rate=rate)
    grads, value = torch.func.grad_and_value(outer)(fast)
    return grads, value


def reptile_gradient(
    params: Parameters,
    inner: Sequence[Loss],
    *,
    rate: float,
    rule: Rule = "sgd",
    memory: Memory | None = None,
) -> Parameters:
    """Return where adaptation started minus where it ended: the direction Reptile steps against.

    Nichol et al. 2018, eq. 2: ``params - epsilon * (params - adapted)``.
    """
    fast = adapt(params, inner, rate=rate, rule=rule, memory=memory)
    return {name: tensor - fast[name] for name, tensor in params.items()}
