"""TrAdaBoost: boosting that trusts the target's rows and drops the source's that disagree."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import Adapter, learn, linear_form
from headstart.strategies.adaptation.boosted_forms import VoteForm
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.forms import LinearForm

PERFECT = 1e-6  # the weighted error that a round without any counts as: its vote stays finite


class TrAdaBoost(Adapter):
    """Boost on both domains: rows of the target that are wrong gain weight, of the source lose it.

    A round fits a linear model to all rows by their weights. With its weighted error ``e`` on the
    target's labelled rows, those it gets wrong are multiplied by ``(1 - e) / e``; rows of the
    source that it gets wrong by ``1 / (1 + sqrt(2 ln n / rounds))``. The later half of the rounds
    votes, each with ``ln((1 - e) / e)``. More than two classes: wrong is wrong (0/1 loss).

    Parameters
    ----------
    rounds : int, >= 1
        Boosting stops before where a round is wrong on half of the target's weight.
    C : float, > 0
        Inverse strength of the penalty of the linear models, whose weights have mean 1.
    scale : bool
        Standardise features by both domains together.

    Attributes
    ----------
    errors_ : ndarray of shape (t,)
        The weighted error of each round on the target's labelled rows.

    References
    ----------
    Dai, Yang, Xue & Yu, Boosting for transfer learning, ICML 2007.

    Examples
    --------
    >>> from headstart.strategies.adaptation import TrAdaBoost
    >>> X, y = [[0.0], [1.0], [4.0], [5.0]], ["a", "a", "b", "b"]
    >>> model = TrAdaBoost().fit(X, y, [[3.0], [4.0], [7.0], [8.0]], ["a", "a", "b", "b"])
    >>> model.predict([[3.5], [7.5]]).tolist()
    ['a', 'b']
    """

    def __init__(self, *, rounds: int = 20, C: float = 1.0, scale: bool = True) -> None:
        self.rounds = rounds
        self.C = C
        self.scale = scale

    def _adapt(self, domains: Domains) -> Any:
        if not self.rounds >= 1:
            raise OptionError("at least one round", where="rounds", got=self.rounds)
        known = domains.known
        self.errors_ = np.zeros(0)
        if not len(known):
            self.decisions_ = (Decision("source-only", "no row of the target has a label"),)
            return learn(domains.X, domains.codes, domains.n_classes, C=self.C)
        form = self._boost(
            np.vstack([domains.X, domains.target[known]]),
            np.concatenate([domains.codes, domains.target_codes[known]]),
            len(domains.X),
            domains.n_classes,
        )
        if form is None:
            why = "the first round was wrong on half of the target's weight: no boosting from there"
            self.decisions_ = (Decision("source-only", why),)
            return learn(domains.X, domains.codes, domains.n_classes, C=self.C)
        return form

    def _boost(self, X: FloatArray, codes: IntArray, n: int, n_classes: int) -> VoteForm | None:
        weights: FloatArray = np.ones(len(X))
        forms: list[LinearForm] = []
        errors: list[float] = []
        for done in range(self.rounds):
            form = linear_form(X, codes, n_classes, weights=weights / weights.mean(), C=self.C)
            wrong = (X @ form.coef + form.intercept).argmax(axis=1) != codes
            error = float(weights[n:] @ wrong[n:] / weights[n:].sum())
            if error >= 0.5:
                why = f"it was wrong on {error:.0%} of the target's weight"
                self.decisions_ = (Decision(f"stopped before round {done + 1}", why),)
                break
            forms.append(form)
            errors.append(max(error, PERFECT))
            weights = next_weights(weights, wrong, n, errors[-1], self.rounds)
        self.errors_ = np.array(errors)
        if not forms:
            return None
        later = slice(int(np.ceil(len(forms) / 2)) - 1, None)  # rounds ceil(N / 2) to N, from 1
        votes = np.log((1.0 - self.errors_[later]) / self.errors_[later])
        return VoteForm(
            np.stack([form.coef for form in forms[later]]),
            np.stack([form.intercept for form in forms[later]]),
            votes / votes.sum(),
        )


def next_weights(
    weights: FloatArray, wrong: FloatArray, n: int, error: float, rounds: int
) -> FloatArray:
    """Return the weights of the next round.

    Parameters
    ----------
    weights : array of shape (n + m,)
        First the source's rows.
    wrong : bool array of shape (n + m,)
    n : int
        Rows of the source.
    error : float, between 0 and 0.5
        Weighted error on the target's rows.
    rounds : int
        Rounds in all.
    """
    fixed = 1.0 / (1.0 + np.sqrt(2.0 * np.log(n) / rounds))
    factors = np.ones(len(weights))
    factors[:n][wrong[:n]] = fixed
    factors[n:][wrong[n:]] = (1.0 - error) / error
    result: FloatArray = weights * factors
    return result
