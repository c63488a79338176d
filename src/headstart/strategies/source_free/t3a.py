"""T3A: class means of the target rows that the model is most certain of take the head's place."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from headstart.core.errors import OptionError
from headstart.core.types import FloatArray, IntArray
from headstart.strategies.heads import softmax_rows
from headstart.strategies.source_free.base import Fitted, HeadChange, mean_entropy


class T3A(HeadChange):
    """Let each class be the mean of the target rows that are most certainly of it.

    The head's own weights are one member of each class; with them the ``support`` members of least
    entropy are kept, scaled to length 1, and summed. Scores are scaled so that the new head is as
    certain on average as the model was: the paper leaves that open, and it changes no label.

    Parameters
    ----------
    support : int, >= 1
        Members of a class that are kept.
    centre : bool
        Features are centred at the target's mean first; the paper takes them as they are, which
        suits a model without intercept.

    References
    ----------
    Iwasawa & Matsuo, Test-time classifier adjustment module for model-agnostic domain
    generalization, NeurIPS 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.heads import LinearHead
    >>> model = LinearHead(np.array([[-4.0, 4.0]]), np.zeros(2), np.array(["a", "b"]))
    >>> rows = np.r_[np.linspace(-2, -1, 20), np.linspace(0.2, 1, 20)][:, None]
    >>> T3A(support=10).fit(model, rows).predict(np.array([[-1.0], [0.5]])).tolist()
    ['a', 'b']
    """

    def __init__(self, *, support: int = 20, centre: bool = True) -> None:
        self.support, self.centre = support, centre

    def _adapt(self, model: Fitted, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        if self.support < 1:
            raise OptionError("too small", where="support", got=self.support, allowed="1 or more")
        mean = X.mean(axis=0) if self.centre else np.zeros(X.shape[1])
        rows = X - mean
        scores = X @ model.coef_ + model.intercept_
        members, labels, entropies = _members(model, rows, scores, mean)
        kept = kept_places(labels, entropies, self.support)
        unit = members[kept] / np.maximum(np.linalg.norm(members[kept], axis=1), 1e-12)[:, None]
        k = len(model.intercept_)
        sums = np.stack([unit[labels[kept] == code].sum(axis=0) for code in range(k)], axis=1)
        sums /= np.maximum(np.linalg.norm(sums, axis=0), 1e-12)
        factor = sharpness_for(rows @ sums, mean_entropy(softmax_rows(scores)))
        return sums * factor, -(mean @ sums) * factor


def _members(
    model: Fitted, rows: FloatArray, scores: FloatArray, mean: FloatArray
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return all that may stand for a class, of which class it is, and its entropy."""
    own = model.coef_.T
    own_scores = (own + mean) @ model.coef_ + model.intercept_
    every = softmax_rows(np.vstack([own_scores, scores]))
    entropies = np.array([mean_entropy(row[None]) for row in every])
    labels = np.concatenate([np.arange(len(own)), scores.argmax(axis=1)])
    return np.vstack([own, rows]), labels, entropies


def kept_places(labels: IntArray, entropies: FloatArray, support: int) -> IntArray:
    """Return the places of the ``support`` members of least entropy of each label.

    Of equals the first are kept.

    Examples
    --------
    >>> kept_places(np.array([0, 0, 1]), np.array([0.5, 0.1, 0.9]), 1).tolist()
    [1, 2]
    """
    order = np.argsort(entropies, kind="stable")
    chosen = [order[labels[order] == code][:support] for code in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def sharpness_for(scores: FloatArray, entropy: float) -> float:
    """Return the factor on scores (m, k) at which their softmax has a mean entropy, in nats.

    1 where all scores are equal; at most 1e6 over their spread.
    """
    spread = float(np.ptp(scores, axis=1).max())
    if not spread > 0:
        return 1.0

    def apart(log_factor: float) -> float:
        return mean_entropy(softmax_rows(np.exp(log_factor) / spread * scores)) - entropy

    low, high = np.log(1e-3), np.log(1e6)
    if apart(low) <= 0:
        return float(np.exp(low) / spread)
    if apart(high) >= 0:
        return float(np.exp(high) / spread)
    return float(np.exp(brentq(apart, low, high, xtol=1e-6)) / spread)
