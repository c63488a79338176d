"""LoRA (Hu et al., ICLR 2022): a frozen weight plus a trainable update of low rank.

The update is a parametrization of the layer's own weight, so it reaches every linear layer and
every 1x1 convolution of any backbone, and no module is replaced.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from headstart.core.errors import OptionError

Targets = Callable[[str, nn.Module], bool]


class LowRank(nn.Module):
    """Maps a weight W to ``W + alpha / rank * B @ A``, shaped as W.

    Parameters
    ----------
    weight : Tensor of shape (outputs, inputs) or (outputs, inputs, 1, 1)
        What is added to; only its shape, dtype and device are used.
    rank : int
        From 1 to ``min(outputs, inputs)``.
    alpha : float
        More than 0.
    generator : torch.Generator
        Draws A, of shape (rank, inputs), uniformly from +-1 / sqrt(inputs); B, of shape
        (outputs, rank), is zero.
    """

    def __init__(
        self, weight: Tensor, *, rank: int, alpha: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        outputs, inputs = weight.shape[:2]
        # half precision cannot hold the small steps of training: such weights learn in float32
        dtype = torch.promote_types(weight.dtype, torch.float32)
        down = torch.empty(rank, inputs, dtype=dtype, device=generator.device)
        nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=generator)
        self.A = nn.Parameter(down.to(weight.device))
        self.B = nn.Parameter(torch.zeros(outputs, rank, dtype=dtype, device=weight.device))
        self.scale = alpha / rank

    def forward(self, weight: Tensor) -> Tensor:
        """Return the adapted weight, of the shape and dtype of the weight."""
        # exact also under autocast, so that merging changes as little as it can
        with torch.autocast(weight.device.type, enabled=False):
            delta = (self.B @ self.A) * self.scale
            return weight + delta.reshape(weight.shape).to(weight.dtype)


def adapt(
    module: nn.Module,
    *,
    rank: int,
    alpha: float,
    generator: torch.Generator,
    targets: Targets | None = None,
) -> list[nn.Parameter]:
    """Add a trainable low-rank update to the layers of a module and freeze their weights.

    Nothing that the module computes changes yet, since B is zero. Biases and layers that are not
    adapted are left as they are: freezing those is the caller's choice.

    Parameters
    ----------
    module : nn.Module
        Changed in place. Linear layers and ungrouped 1x1 convolutions whose weight has no
        parametrization yet can be adapted.
    rank : int
        At least 1; a layer with fewer inputs or outputs gets the smaller number, and the scale
        ``alpha / rank`` of the rank that it got.
    alpha : float
        More than 0: the update is scaled by ``alpha / rank``.
    generator : torch.Generator
        Draws A as in Hu et al.'s code (and PEFT): uniform in +-1 / sqrt(inputs). B is zero.
    targets : callable(name, layer) -> bool, optional
        Which of the layers that can be adapted are; all, if not given.

    Returns
    -------
    list of nn.Parameter
        A and B of every adapted layer, in the order of the layers.

    Raises
    ------
    OptionError
        A rank below 1, an alpha that is not above 0, or no layer to adapt.

    References
    ----------
    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022.

    Examples
    --------
    >>> layer = nn.Linear(6, 4)
    >>> new = adapt(layer, rank=2, alpha=4.0, generator=torch.Generator().manual_seed(0))
    >>> [tuple(parameter.shape) for parameter in new]
    [(2, 6), (4, 2)]
    """
    if rank < 1:
        raise OptionError("the rank must be at least 1", where="rank", got=rank)
    if not 0 < alpha < math.inf:
        raise OptionError("alpha must be more than 0 and finite", where="alpha", got=alpha)
    chosen: list[Any] = [
        layer
        for name, layer in module.named_modules()
        if _adaptable(layer) and (targets is None or targets(name, layer))
    ]
    if not chosen:
        raise OptionError(
            "the module has no layer to adapt",
            where="targets",
            got=type(module).__name__,
            allowed="linear layers and ungrouped 1x1 convolutions that are not adapted yet",
            hint="name other targets, or merge the earlier update first",
        )
    new: list[nn.Parameter] = []
    for layer in chosen:
        weight: nn.Parameter = layer.weight
        weight.requires_grad_(False)
        capped = min(rank, weight.shape[0], weight.shape[1])
        update = LowRank(weight, rank=capped, alpha=alpha, generator=generator)
        parametrize.register_parametrization(layer, "weight", update)
        new += [update.A, update.B]
    return new


def merge(module: nn.Module) -> None:
    """Fold every update into its weight, in place; names and classes are as before `adapt`.

    The weights stay frozen. They are new tensors: other modules that shared the old ones, and
    copies of the module, keep what they had. A module that is not adapted is left alone.
    """
    for layer in list(module.modules()):
        if _is_adapted(layer):
            _merge_layer(layer)


def adapted(module: nn.Module) -> bool:
    """Return whether any layer inside the module carries an update that is not merged."""
    return any(_is_adapted(layer) for layer in module.modules())


def _merge_layer(layer: Any) -> None:
    weight = layer.weight.detach().clone()
    # A deep copy shares the class that the parametrization made, and removing the parametrization
    # would strip that class: take it off a class of this layer's own.
    shared = type(layer)
    own = {k: v for k, v in vars(shared).items() if k not in ("__dict__", "__weakref__")}
    layer.__class__ = type(shared.__name__, shared.__bases__, own)
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    bias = layer.bias
    del layer.bias  # registered again, to stand after the weight as it did
    layer.register_parameter("bias", bias)


def _adaptable(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        if layer.kernel_size != (1, 1) or layer.groups != 1:
            return False
    elif not isinstance(layer, nn.Linear):
        return False
    return not parametrize.is_parametrized(layer, "weight") and layer.weight.is_floating_point()


def _is_adapted(layer: Any) -> bool:
    if not parametrize.is_parametrized(layer, "weight"):
        return False
    return any(isinstance(update, LowRank) for update in layer.parametrizations.weight)
