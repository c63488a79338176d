"""What keeps fine-tuning on few labels near what was learned before, and from fitting by heart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.errors import OptionError


class L2SP:
    """Pulls parameters back to where they started: ``strength / 2 * ||w - w0||^2``.

    The penalty on a new head is left to weight decay.

    Parameters
    ----------
    parameters : sequence of nn.Parameter
        Those of the pretrained part; their values now are the starting point.
    strength : float
        At least 0; Li et al. search 0.001 to 1, most often 0.01 to 0.1.

    Raises
    ------
    OptionError
        A negative or infinite strength.

    References
    ----------
    Li, Grandvalet and Davoine, "Explicit inductive bias for transfer learning with convolutional
    networks", ICML 2018.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], strength: float) -> None:
        if not 0 <= strength < math.inf:
            raise OptionError(
                "the pull must be at least 0 and finite", where="strength", got=strength
            )
        self.parameters = list(parameters)
        self.strength = strength
        self.start = [parameter.detach().clone() for parameter in self.parameters]

    def add_gradients(self) -> None:
        """Add ``strength * (w - w0)`` to the gradient of every parameter that is trained.

        To be called after the backward pass (and after a scaled loss was unscaled), before the
        gradient is clipped. A parameter without a gradient gets this one; a frozen parameter,
        which has not moved, gets none.
        """
        for parameter, start in zip(self.parameters, self.start, strict=True):
            if not parameter.requires_grad:
                continue
            pull = (parameter.detach() - start.to(parameter.device)).mul_(self.strength)
            if parameter.grad is None:
                parameter.grad = pull
            else:
                parameter.grad.add_(pull)

    def penalty(self) -> float:
        """Return ``strength / 2 * ||w - w0||^2`` as it is now."""
        with torch.no_grad():
            parts = [
                (parameter - start.to(parameter.device)).float().square().sum()
                for parameter, start in zip(self.parameters, self.start, strict=True)
            ]
        return self.strength / 2 * sum(part.item() for part in parts)


def bss(features: Tensor, k: int = 1) -> Tensor:
    """Return the sum of the squares of the k smallest singular values of a batch of features.

    Batch Spectral Shrinkage: directions with small singular values carry what does not transfer.
    The squares are eigenvalues of the smaller Gram matrix, whose gradient is finite also where
    singular values coincide or are 0.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        As pooled, not centred.
    k : int
        At least 1; of a batch with fewer singular values, min(n, d), all are summed.

    Returns
    -------
    Tensor
        A number, at least 0, in float32 (float64 for such features); nan if the features are
        not finite.

    Raises
    ------
    OptionError
        A k below 1, or features that are not a matrix of floats.

    References
    ----------
    Chen, Wang, Fu, Long and Wang, "Catastrophic forgetting meets negative transfer: batch
    spectral shrinkage for safe transfer learning", NeurIPS 2019.

    Examples
    --------
    >>> bss(torch.diag(torch.tensor([3.0, 2.0, 1.0])), k=2)
    tensor(5.)
    """
    if k < 1:
        raise OptionError("at least 1 singular value must shrink", where="k", got=k)
    if features.ndim != 2 or not features.is_floating_point():
        raise OptionError(
            "the features must be a matrix of floats",
            where="features",
            got=f"{features.dtype} {tuple(features.shape)}",
            allowed="(n, d)",
        )
    wanted = torch.promote_types(features.dtype, torch.float32)
    # squaring halves the digits: float64 wherever the device has it
    exact = torch.float32 if features.device.type == "mps" else torch.float64
    with torch.autocast(features.device.type, enabled=False):
        wide = features.to(exact)
        gram = wide @ wide.T if wide.shape[0] <= wide.shape[1] else wide.T @ wide
        if not torch.isfinite(gram.detach()).all():  # which eigvalsh would refuse
            return (gram.sum() * math.nan).to(wanted)
        smallest = torch.linalg.eigvalsh(gram)[:k]
        return smallest.clamp(min=0).sum().to(wanted)


def mixup(
    x: Tensor, target: Tensor, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return a batch mixed with itself in another order, and its targets mixed alike.

    One share is drawn a batch, from Beta(alpha, alpha).

    Parameters
    ----------
    x : Tensor of shape (n, ...)
        Floats.
    target : Tensor of shape (n, k)
        Floats: one-hot or soft classes, or values.
    alpha : float
        At least 0; 0 changes (and draws) nothing. 0.1 to 0.4 are usual.
    generator : torch.Generator

    Returns
    -------
    tuple of Tensor
        In the shapes and dtypes given.

    Raises
    ------
    OptionError
        A negative alpha, integers, or another number of targets than inputs.

    References
    ----------
    Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018.
    """
    if not 0 <= alpha < math.inf:
        raise OptionError("alpha must be at least 0 and finite", where="alpha", got=alpha)
    if not (x.is_floating_point() and target.is_floating_point()):
        raise OptionError(
            "only floats can be mixed", where="mixup", got=f"{x.dtype}, {target.dtype}"
        )
    if len(x) != len(target):
        raise OptionError(
            "every input needs one target", where="mixup", got=f"{len(x)}, {len(target)}"
        )
    if alpha == 0:
        return x, target
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    other = 1 - float(np.random.default_rng(seed).beta(alpha, alpha))
    order = torch.randperm(len(x), generator=generator, device=generator.device)
    mixed = torch.lerp(x, x[order.to(x.device)], other)
    return mixed, torch.lerp(target, target[order.to(target.device)], other)


def mask_tokens(
    ids: Tensor,
    mask: Tensor,
    share: float,
    mask_id: int,
    special: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Return token ids of which a random share is replaced by the mask token.

    Every token that is neither special nor padding is replaced with probability `share`, each on
    its own; the ids given are left as they are.

    Parameters
    ----------
    ids : Tensor of shape (n, t)
        int64.
    mask : Tensor of shape (n, t)
        1 (or True) for tokens, 0 for padding.
    share : float
        0 to 1.
    mask_id : int
        The id of the mask token.
    special : Tensor of shape (s,)
        The ids, integers, that are never replaced, such as those of [CLS] and [SEP].
    generator : torch.Generator

    Raises
    ------
    OptionError
        A share outside 0 to 1, a mask of another shape, or special tokens given as booleans.
    """
    if not 0 <= share <= 1:
        raise OptionError("the share is out of range", where="share", got=share, allowed="0 to 1")
    if ids.shape != mask.shape:
        raise OptionError(
            "ids and mask must have the same shape",
            where="mask",
            got=tuple(mask.shape),
            allowed=str(tuple(ids.shape)),
        )
    if special.dtype == torch.bool:
        raise OptionError(
            "special tokens are given by their ids", where="special", got=str(special.dtype)
        )
    drawn = torch.rand(ids.shape, generator=generator, device=generator.device).to(ids.device)
    free = mask.to(torch.bool) & ~torch.isin(ids, special.to(ids.device))
    return ids.masked_fill(free & (drawn < share), mask_id)
