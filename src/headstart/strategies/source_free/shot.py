"""SHOT on frozen features: an affine change of the features in front of a frozen head."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import FloatArray, IntArray
from headstart.strategies.heads import softmax_rows
from headstart.strategies.source_free.base import Fitted, HeadChange
from headstart.strategies.targets import seed_of

if TYPE_CHECKING:
    from torch import Tensor

ROUNDS = 5  # pseudo-labels are found anew so often
MOST_ROWS = 4096  # of a step


class SHOT(HeadChange):
    """Change features so that the frozen head is certain of each row and of all classes alike.

    Information maximisation, and pseudo-labels of the nearest class mean. The change ``x A + b``
    stays close to the identity; it is folded into the head. Of A only what the head sees can
    matter, so that d k numbers stand for its d**2.

    Parameters
    ----------
    labels : float, >= 0
        What the pseudo-labels count, 0.3 in the paper.
    closeness : float, >= 0
        The penalty on ``A - 1`` and b, on standardised features.
    steps : int
        Of Adam.
    learning_rate : float
    random_state : int or None
        Draws rows where there are more than 4096.

    References
    ----------
    Liang, Hu & Feng, Do we really need to access the source data? Source hypothesis transfer,
    ICML 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.heads import LinearHead
    >>> model = LinearHead(np.array([[-4.0, 4.0]]), np.zeros(2), np.array(["a", "b"]))
    >>> rows = np.r_[np.linspace(-2, -1, 20), np.linspace(-0.2, 1, 20)][:, None]
    >>> SHOT().fit(model, rows).predict(np.array([[-1.0], [-0.2]])).tolist()
    ['a', 'b']
    """

    def __init__(
        self,
        *,
        labels: float = 0.3,
        closeness: float = 0.01,
        steps: int = 200,
        learning_rate: float = 0.01,
        random_state: int | None = 0,
    ) -> None:
        self.labels, self.closeness = labels, closeness
        self.steps, self.learning_rate = steps, learning_rate
        self.random_state = random_state

    def _adapt(self, model: Fitted, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        for name in ("labels", "closeness", "steps", "learning_rate"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise OptionError("not a number from 0 on", where=name, got=value)
        mean, spread = X.mean(axis=0), X.std(axis=0)
        spread = np.where(spread > 1e-12 * np.maximum(np.abs(mean), 1.0), spread, 1.0)
        rows = (X - mean) / spread
        coef = model.coef_ * spread[:, None]
        change = self._descend(rows, coef, model.intercept_ + mean @ model.coef_)
        new = model.coef_ + change[0] / spread[:, None]
        return new, model.intercept_ + change[1] - (mean / spread) @ change[0]

    def _descend(
        self, rows: FloatArray, coef: FloatArray, intercept: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return what is added to coef (d, k) and intercept (k,) on standardised rows."""
        import torch

        from headstart.encode.lanes import one_thread

        root = matrix_root(coef.T @ coef)
        generator = torch.Generator().manual_seed(seed_of(self.random_state))
        with one_thread():
            X, W, c, R = (torch.from_numpy(np.ascontiguousarray(a, dtype=np.float64))
                          for a in (rows, coef, intercept, root))  # fmt: skip
            A = torch.zeros_like(W, requires_grad=True)
            b = torch.zeros_like(c, requires_grad=True)
            optimiser = torch.optim.Adam([A, b], lr=self.learning_rate)
            base = X @ W + c
            pseudo = torch.zeros(len(X), dtype=torch.int64)
            for step in range(int(self.steps)):
                if step % max(1, int(self.steps) // ROUNDS) == 0:
                    now = (base + (X @ A + b) @ R).detach().numpy()
                    pseudo = torch.from_numpy(pseudo_labels(rows, softmax_rows(now)))
                picked = torch.arange(len(X))
                if len(X) > MOST_ROWS:
                    picked = torch.randperm(len(X), generator=generator)[:MOST_ROWS]
                scores = base[picked] + (X[picked] @ A + b) @ R
                loss = information_loss(scores)
                loss = loss + self.labels * torch.nn.functional.cross_entropy(
                    scores, pseudo[picked]
                )
                loss = loss + self.closeness * (A.square().sum() + b.square().sum())
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
            return (A @ R).detach().numpy(), (b @ R).detach().numpy()


def information_loss(scores: Tensor) -> Tensor:
    """Return the mean entropy of rows of scores (n, k) less the entropy of their mean.

    Examples
    --------
    >>> import torch
    >>> round(float(information_loss(torch.tensor([[99.0, 0.0], [0.0, 99.0]]))), 4)
    -0.6931
    """
    import torch

    from headstart.strategies.adaptation.losses import entropy

    shares = torch.nn.functional.softmax(scores, dim=1)
    return entropy(shares).mean() - entropy(shares.mean(dim=0, keepdim=True))[0]


def matrix_root(gram: FloatArray) -> FloatArray:
    """Return the symmetric root of a symmetric matrix (k, k) without negative eigenvalues."""
    values, vectors = np.linalg.eigh(gram)
    root: FloatArray = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


def pseudo_labels(rows: FloatArray, probabilities: FloatArray) -> IntArray:
    """Return the class of the nearest mean, by the cosine, for rows (m, d): SHOT's pseudo-labels.

    Means are weighted by probabilities (m, k) first, then by the labels that follow from them. A
    class that no row is of has no second mean.
    """
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    weights = probabilities
    labels = probabilities.argmax(axis=1)
    for _ in range(2):
        sums = weights.T @ unit
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        nearness = unit @ (sums / np.maximum(lengths, 1e-12)).T
        nearness[:, weights.sum(axis=0) < 1e-9] = -np.inf
        labels = nearness.argmax(axis=1)
        weights = np.eye(probabilities.shape[1])[labels]
    return labels.astype(np.int64)
