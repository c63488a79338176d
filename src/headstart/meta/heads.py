"""Heads that learn from the support set alone, of many episodes at once.

Arrays have the shape (B, ways, shots, d) for support features and (B, m, d) for queries; scores
come as (B, m, ways).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

PENALTY = 1.0  # C of the logistic head, as scikit-learn counts it
PRECISION = 20.0  # the error falls by exp(-PRECISION)


def prototypes(support: Tensor, query: Tensor) -> Tensor:
    """Return minus the squared distance to the mean of each class (Snell et al. 2017).

    Parameters
    ----------
    support : Tensor of shape (B, ways, shots, d)
    query : Tensor of shape (B, m, d)

    Returns
    -------
    Tensor of shape (B, m, ways)
    """
    means = support.mean(dim=2)
    cross = query @ means.transpose(1, 2)
    lengths = means.square().sum(dim=2).unsqueeze(1)
    return 2 * cross - lengths - query.square().sum(dim=2, keepdim=True)


def logistic(support: Tensor, query: Tensor, *, C: float = PENALTY) -> Tensor:
    """Return the scores of a logistic regression on features of length 1 (Tian et al. 2020).

    The objective is scikit-learn's ``LogisticRegression(C=C, fit_intercept=False)``, solved for
    all episodes at once in the span of the support set by Nesterov's method.

    Parameters
    ----------
    support : Tensor of shape (B, ways, shots, d)
    query : Tensor of shape (B, m, d)
    C : float, > 0

    Returns
    -------
    Tensor of shape (B, m, ways)
    """
    episodes, ways, shots, _ = support.shape
    items = functional.normalize(support.flatten(1, 2).double(), dim=2)
    asked = functional.normalize(query.double(), dim=2)
    gram = items @ items.transpose(1, 2)
    truth = torch.eye(ways, dtype=items.dtype).repeat_interleave(shots, dim=0)
    # in the weights the curvature lies between 1 and 1 + C L / 2, L the largest eigenvalue
    steepest = 1 + 0.5 * C * gram.diagonal(dim1=1, dim2=2).sum(1).view(-1, 1, 1)
    momentum = (steepest.sqrt() - 1) / (steepest.sqrt() + 1)
    dual = torch.zeros(episodes, ways * shots, ways, dtype=items.dtype)
    ahead = dual
    for _ in range(math.ceil(PRECISION * float(steepest.max()) ** 0.5)):
        slope = C * (torch.softmax(gram @ ahead, dim=2) - truth) + ahead
        moved = ahead - slope / steepest
        ahead = moved + momentum * (moved - dual)
        dual = moved
    return asked @ items.transpose(1, 2) @ dual


HEADS = {"logistic": logistic, "prototypes": prototypes}
