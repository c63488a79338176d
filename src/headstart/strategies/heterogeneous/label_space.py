"""Shared label space: both domains meet in the space of class scores."""

from __future__ import annotations

import numpy as np

from headstart.core.types import FloatArray
from headstart.strategies.adaptation.base import linear_form
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.frozen import one_hot
from headstart.strategies.heterogeneous.alone import judged
from headstart.strategies.heterogeneous.base import HeterogeneousAdapter
from headstart.strategies.heterogeneous.sides import Sides
from headstart.strategies.ridge import Ridge, decompose, default_alphas


class SharedLabelSpace(HeterogeneousAdapter):
    """Regress rows of the target onto the scores that the source gives to their class.

    A ridge regression of the source onto class indicators gives each class a mean of held-out
    scores: which classes look alike. Rows of the target are regressed onto the means of their
    class, and the learner is fitted to the held-out scores of both domains, in balance.

    Parameters
    ----------
    C : float, > 0
        Inverse strength of the penalty of the learner.
    guarded : bool
        Hand back a model of the target's labels alone unless held-out labels speak for transfer.
    random_state : int or None
        Deals the labelled rows to folds.

    Attributes
    ----------
    adapted_ : bool
        Whether the transfer passed the guard.

    References
    ----------
    Breiman & Friedman (curds and whey), JRSS B 1997, for scores as a space that other responses
    help in; Shi et al. (HeMap), ICDM 2010, for a common space of two domains.

    Examples
    --------
    >>> from headstart.strategies.heterogeneous import SharedLabelSpace
    >>> X, y = [[0.0, 1.0], [1.0, 1.2], [4.0, 0.9], [5.0, 1.1]] * 3, ["a", "a", "b", "b"] * 3
    >>> there, known = [[9.0], [8.0], [2.0], [1.0]], ["a", "a", "b", "b"]
    >>> model = SharedLabelSpace(guarded=False).fit(X, y, there, known)
    >>> model.predict([[8.5], [1.5]]).tolist()
    ['a', 'b']
    """

    needs_labels = True

    def __init__(
        self, *, C: float = 1.0, guarded: bool = True, random_state: int | None = 0
    ) -> None:
        self.C = C
        self.guarded = guarded
        self.random_state = random_state

    def _adapt(self, sides: Sides) -> LinearForm:
        rows, codes = sides.labelled
        k = sides.n_classes
        indicator = one_hot(sides.codes, k)
        here = self._once("scores", lambda: _best(sides.X, indicator, held_out=True)[1])
        means = indicator.T @ here / np.maximum(indicator.sum(axis=0), 1.0)[:, None]
        several = bool(judged(codes).all())  # else a row held out takes its class along
        form, there = _best(rows, means[codes], held_out=several)
        share = np.concatenate([np.full(len(here), len(rows) / len(here)), np.ones(len(rows))])
        learner = linear_form(
            np.vstack([here, there]),
            np.concatenate([sides.codes, codes]),
            k,
            weights=share,
            C=10.0 * self.C,  # scores of classes are small numbers
        )
        return learner.after(form.coef, form.intercept)


def _best(rows: FloatArray, scores: FloatArray, *, held_out: bool) -> tuple[LinearForm, FloatArray]:
    """Return ridge regression and its predictions of its own rows.

    With ``held_out`` the penalty is the best by leave-one-out and so are the predictions; else the
    penalty is a tenth of the mean eigenvalue.
    """
    spectrum = decompose(rows)
    fit = Ridge(spectrum, scores)
    alphas = default_alphas(spectrum)
    if held_out:
        alpha = fit.best_alpha(alphas)
        return LinearForm(*fit.linear(alpha)), fit.held_out(alpha)
    form = LinearForm(*fit.linear(float(alphas[6])))  # of 1e-4 to 1e3, half decades apart: 1e-1
    return form, rows @ form.coef + form.intercept
