"""Source predictions as features of a learner on the labelled rows of the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import Adapter, learn, linear_form
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.held_out import better, row_losses, splits

STRENGTHS = (0.01, 0.1, 1.0, 10.0)


class SourcePredictions(Adapter):
    """Learn on labelled rows of the target with the source's class scores as further features.

    The scores are log-probabilities less their mean over classes, which is linear in the features:
    the whole is saved as one linear model. The source's model has seen none of these rows, so its
    scores need no cross-fitting. The source's model itself stays unless the log loss of target
    rows held out is better by a t test at 10 %.

    Parameters
    ----------
    C : float, > 0
        Inverse strength of the penalty of the source's model.
    strengths : sequence of float, > 0
        Values of C tried for the learner on the target.
    guarded : bool
        False keeps the learner on the target, whatever the held-out rows say.
    scale : bool
        Standardise features by both domains together.
    random_state : int or None
        Deals the labelled rows to folds.

    References
    ----------
    Wolpert, Neural Networks 1992 (stacking); Daume III, ACL 2007 (the baseline PRED).

    Examples
    --------
    >>> from headstart.strategies.adaptation import SourcePredictions
    >>> X, y = [[0.0], [1.0], [4.0], [5.0]], ["a", "a", "b", "b"]
    >>> model = SourcePredictions().fit(X, y, [[3.0], [7.0]] * 8, ["a", "b"] * 8)
    >>> model.predict([[3.5], [7.5]]).tolist()
    ['a', 'b']
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        strengths: Sequence[float] = STRENGTHS,
        guarded: bool = True,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.C = C
        self.strengths = strengths
        self.guarded = guarded
        self.scale = scale
        self.random_state = random_state

    def _adapt(self, domains: Domains) -> Any:
        strengths = sorted(float(one) for one in self.strengths)
        if not strengths or not strengths[0] > 0:
            raise OptionError(
                "strengths must be positive", where="strengths", got=self.strengths, allowed="> 0"
            )
        source = learn(domains.X, domains.codes, domains.n_classes, C=self.C)
        rows, codes = domains.target[domains.known], domains.target_codes[domains.known]
        if len(np.unique(codes)) < 2:
            why = f"labels of {len(np.unique(codes))} class in the target: nothing to learn from"
            self.decisions_ = (Decision("source-only", why),)
            return source
        base = row_losses(source.probabilities(rows), codes)
        losses = self._held_out(source, rows, codes, strengths)
        best = int(losses.mean(axis=1).argmin())
        found = (
            f"log loss of {len(rows)} held-out target rows {losses[best].mean():.3f}, "
            f"of the source's model {base.mean():.3f}"
        )
        if self.guarded and not better(losses[best], base):
            self.decisions_ = (Decision("source-only", found, "guarded=False"),)
            return source
        self.decisions_ = (Decision(f"stacked with C={strengths[best]:g}", found),)
        return stacked(source, rows, codes, strengths[best])

    def _held_out(
        self, source: LinearForm, rows: FloatArray, codes: IntArray, strengths: list[float]
    ) -> FloatArray:
        losses = np.empty((len(strengths), len(rows)))
        for train, test in splits(codes, self.random_state or 0):
            for place, strength in enumerate(strengths):
                form = stacked(source, rows[train], codes[train], strength)
                losses[place, test] = row_losses(form.probabilities(rows[test]), codes[test])
        return losses


def stacked(source: LinearForm, rows: FloatArray, codes: IntArray, C: float) -> LinearForm:
    """Fit a linear model to [features, centred scores of the source]; return it on features.

    Parameters
    ----------
    source : LinearForm
    rows : array of shape (m, d)
    codes : int array of shape (m,)
    C : float, > 0
    """
    d = rows.shape[1]
    coef = source.coef - source.coef.mean(axis=1, keepdims=True)
    intercept = source.intercept - source.intercept.mean()
    wide = np.hstack([rows, rows @ coef + intercept])
    form = linear_form(wide, codes, coef.shape[1], C=C)
    upper = form.coef[d:]
    return LinearForm(form.coef[:d] + coef @ upper, form.intercept + intercept @ upper)
