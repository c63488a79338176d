"""Self-training: unlabelled items move the class directions to where items are.

Soft k-means on the sphere that starts from, and is pulled to, the described directions; how
frequent the classes are is estimated by EM (Saerens, Latinne & Decaestecker, Neural Computation
2002) with a Dirichlet prior that keeps it near equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.core.types import FloatArray
from headstart.strategies.class_features import unit_length
from headstart.strategies.heads import softmax_rows
from headstart.strategies.unit import unit_rows

SHARPNESS = 25.0
"""Times the cosine: how softly items are shared between classes."""
ROUNDS = 6
PULL = 0.3
"""The described direction counts for so many times the items of an average class."""
EVEN = 3.0
"""Equal shares count for so many times the items."""
FEWEST, FEWEST_A_CLASS = 30, 5
"""Items, and items a class, below which nothing is learnt from them."""


@dataclass(frozen=True, eq=False)
class SelfTrained:
    """Directions that unlabelled items have moved.

    Parameters
    ----------
    directions : ndarray of shape (k, d)
        Of length 1, for features less ``centre``.
    centre : ndarray of shape (d,)
        The mean of the items.
    shares : ndarray of shape (k,)
        How frequent the classes are, as estimated; they sum to 1.
    offsets : ndarray of shape (k,)
        What the shares add to the cosines.
    agreement : float
        Share of the items that keep their class.
    largest : tuple of float
        Share of the items in the largest class, before and after.
    """

    directions: FloatArray
    centre: FloatArray
    shares: FloatArray
    offsets: FloatArray
    agreement: float
    largest: tuple[float, float]


def enough(n: int, k: int) -> bool:
    """Say whether n items can teach something of k classes."""
    return n >= max(FEWEST, FEWEST_A_CLASS * k)


def self_train(X: FloatArray, directions: FloatArray) -> SelfTrained:
    """Move class directions to where unlabelled items are.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features of unlabelled items.
    directions : ndarray of shape (k, d)
        What describes the classes.

    Examples
    --------
    >>> X = np.array([[1.0, 0.3], [1.0, 0.4], [0.3, 1.0], [0.2, 1.0]] * 10)
    >>> found = self_train(X, np.eye(2))
    >>> found.agreement, found.shares.round(2).tolist()
    (1.0, [0.5, 0.5])
    """
    n, k = len(X), len(directions)
    centre = np.asarray(X, dtype=np.float64).mean(axis=0)
    rows = unit_rows(X, centre)
    start = unit_length(directions)
    described = unit_length(start - start.mean(axis=0))
    moved, shares = described, np.full(k, 1.0 / k)
    for _ in range(ROUNDS):
        members, shares = with_shares(softmax_rows(SHARPNESS * rows @ moved.T))
        moved = unit_length(PULL * n / k * described + members.T @ rows)
    offsets = np.log(k * shares) / SHARPNESS
    before = (unit_rows(X, np.zeros(X.shape[1])) @ start.T).argmax(axis=1)
    after = (rows @ moved.T + offsets).argmax(axis=1)
    largest = [float(np.bincount(codes, minlength=k).max()) / n for codes in (before, after)]
    kept = float((before == after).mean())
    return SelfTrained(moved, centre, shares, offsets, kept, (largest[0], largest[1]))


def with_shares(chances: FloatArray, *, rounds: int = 10) -> tuple[FloatArray, FloatArray]:
    """Return chances given how frequent the classes are, and that, by EM.

    Parameters
    ----------
    chances : ndarray of shape (n, k)
        For classes that are equally frequent; rows sum to 1.
    rounds : int

    Returns
    -------
    tuple of ndarray of shape (n, k) and ndarray of shape (k,)

    References
    ----------
    Saerens, Latinne & Decaestecker, Neural Computation 14 (2002).
    """
    n, k = chances.shape
    shares, members = np.full(k, 1.0 / k), chances
    for _ in range(rounds):
        members = chances * shares
        members = members / members.sum(axis=1, keepdims=True)
        shares = (members.sum(axis=0) + EVEN * n / k) / ((1.0 + EVEN) * n)
    return members, shares
