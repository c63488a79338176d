"""What deep adaptation minimises, as functions of torch tensors: no state, no random numbers.

Scores are logits, features are what the last linear layer sees; ``s`` stands for the source, ``t``
for the target. Each function returns a scalar and is checked against values computed by hand.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from headstart.strategies.adaptation.plan import optimal_transport

TEMPERATURE = 2.5


def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy (n,) in nats of rows of probabilities (n, k)."""
    return -torch.xlogy(probabilities, probabilities).sum(dim=1)


def mcc(scores: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return the minimum class confusion of scores (n, k) of the target.

    Rows of which the class is certain count more; what two classes share in the batch is confused.

    Parameters
    ----------
    scores : Tensor of shape (n, k)
    temperature : float
        Scores are divided by it, 2.5 in the paper.

    References
    ----------
    Jin et al., Minimum class confusion for versatile domain adaptation, ECCV 2020.

    Examples
    --------
    >>> import torch
    >>> round(float(mcc(torch.zeros(3, 2))), 6)
    0.5
    """
    shares = functional.softmax(scores / temperature, dim=1)
    certain = 1.0 + torch.exp(-entropy(shares.detach()))
    weights = certain * (len(shares) / certain.sum())
    joint = (shares * weights[:, None]).T @ shares
    confusion = joint / joint.sum(dim=1, keepdim=True)
    return (confusion.sum() - confusion.diagonal().sum()) / confusion.shape[0]


def covariance(features: Tensor) -> Tensor:
    """Return the covariance (d, d) of n rows, over n - 1; zeros for one row."""
    centred = features - features.mean(dim=0)
    return centred.T @ centred / max(1, len(features) - 1)


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Return the squared distance of covariances over ``4 d**2``, of features (n, d) and (m, d).

    References
    ----------
    Sun & Saenko, Deep CORAL, ECCV workshops 2016.

    Examples
    --------
    >>> import torch
    >>> float(coral(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [4.0]])))
    9.0
    """
    apart = covariance(source) - covariance(target)
    return apart.square().sum() / (4 * source.shape[1] ** 2)


def transport_plan(cost: Tensor) -> Tensor:
    """Return the plan (n, m) of least cost between uniform weights, without gradient.

    Raises
    ------
    MissingExtraError
        POT is not installed.
    """
    ot = optimal_transport()
    table = cost.detach().double().cpu().numpy()
    n, m = table.shape
    plan: Any = ot.emd([1.0 / n] * n, [1.0 / m] * m, table, check_marginals=False)
    return torch.from_numpy(plan).to(cost)


def deepjdot(
    features_s: Tensor,
    features_t: Tensor,
    codes_s: Tensor,
    scores_t: Tensor,
    *,
    distance: float = 1.0,
    label: float = 1.0,
) -> Tensor:
    """Return what it costs to carry features and labels of the source to the target.

    The cost of a pair is ``distance`` times the mean squared difference of the features plus
    ``label`` times the cross-entropy of the target row's scores against the source row's class;
    the plan is the exact one of the batch, held fixed for the gradient.

    Parameters
    ----------
    features_s, features_t : Tensor of shape (n, d) and (m, d)
    codes_s : int64 Tensor of shape (n,)
    scores_t : Tensor of shape (m, k)
    distance, label : float

    Raises
    ------
    MissingExtraError
        POT is not installed.

    References
    ----------
    Damodaran et al., DeepJDOT: deep joint distribution optimal transport, ECCV 2018.
    """
    square_s, square_t = (x.square().sum(dim=1) for x in (features_s, features_t))
    apart = square_s[:, None] + square_t[None, :] - 2.0 * features_s @ features_t.T
    wrong = -functional.log_softmax(scores_t, dim=1).T[codes_s]
    cost = distance * apart.clamp(min=0.0) / features_s.shape[1] + label * wrong
    return (transport_plan(cost) * cost).sum()


class _Reversed(torch.autograd.Function):
    """The identity, whose gradient is turned round."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Return ``x``; on the way back its gradient is multiplied with ``-strength``.

    References
    ----------
    Ganin et al., Domain-adversarial training of neural networks, JMLR 2016.
    """
    found: Tensor = _Reversed.apply(x, strength)
    return found


def ramp(progress: float, gamma: float = 10.0) -> float:
    """Return ``2 / (1 + exp(-gamma p)) - 1``: from 0 at the start to about 1 at the end.

    The schedule of Ganin et al. (JMLR 2016); ``progress`` is 0 to 1.

    Examples
    --------
    >>> round(ramp(0.1), 4)
    0.4621
    """
    return 2.0 / (1.0 + math.exp(-gamma * progress)) - 1.0


def domain_confusion(
    scores_s: Tensor,
    scores_t: Tensor,
    weights_s: Tensor | None = None,
    weights_t: Tensor | None = None,
) -> Tensor:
    """Return the binary cross-entropy of telling the domains apart, both counting alike.

    With :func:`reverse_gradient` before the judge this is DANN's loss, and with weights and
    :func:`multilinear` CDAN's.

    Parameters
    ----------
    scores_s, scores_t : Tensor of shape (n,) and (m,)
        The judge's logits; positive says source.
    weights_s, weights_t : Tensor of shape (n,) and (m,), optional
        Of any sum.
    """
    losses = (functional.softplus(-scores_s), functional.softplus(scores_t))
    means = [
        each.mean() if weights is None else (each * weights).sum() / weights.sum()
        for each, weights in zip(losses, (weights_s, weights_t), strict=True)
    ]
    return (means[0] + means[1]) / 2


def multilinear(features: Tensor, probabilities: Tensor) -> Tensor:
    """Return the products of every feature with every probability, of shape (n, d k).

    References
    ----------
    Long et al., Conditional adversarial domain adaptation, NeurIPS 2018.
    """
    return (probabilities[:, :, None] * features[:, None, :]).flatten(1)


def randomised(features: Tensor, probabilities: Tensor, map_f: Tensor, map_p: Tensor) -> Tensor:
    """Return ``(features @ map_f) * (probabilities @ map_p) / sqrt(r)``, of shape (n, r).

    What stands for :func:`multilinear` where there are too many products (Long et al. 2018).
    """
    return (features @ map_f) * (probabilities @ map_p) / math.sqrt(map_f.shape[1])


def certainty(probabilities: Tensor) -> Tensor:
    """Return ``1 + exp(-entropy)`` of rows (n, k), without gradient: CDAN's weights (n,)."""
    return 1.0 + torch.exp(-entropy(probabilities.detach()))


def stepwise_norm(features: Tensor, step: float = 1.0) -> Tensor:
    """Return the mean squared lack of the norms of features (n, d): each shall grow by ``step``.

    The value is always ``step**2``; what it does is in the gradient.

    References
    ----------
    Xu et al., Larger norm more transferable (adaptive feature norm), ICCV 2019.
    """
    norms = features.square().sum(dim=1).clamp(min=1e-12).sqrt()
    return (norms - (norms.detach() + step)).square().mean()


def open_set(scores: Tensor, share: float = 0.5) -> Tensor:
    """Return the cross-entropy of the last of the k + 1 classes, unknown, against ``share``.

    The classifier wants its probability to be ``share``; the features, behind
    :func:`reverse_gradient`, want it to be anything else.

    References
    ----------
    Saito et al., Open set domain adaptation by backpropagation, ECCV 2018.
    """
    logs = functional.log_softmax(scores, dim=1)
    unknown, known = logs[:, -1], logs[:, :-1].logsumexp(dim=1)
    return -(share * unknown + (1.0 - share) * known).mean()
