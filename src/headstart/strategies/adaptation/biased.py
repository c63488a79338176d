"""Fine-tuning of a linear model: a penalty pulls towards the source's coefficients, not to zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import Adapter, learn
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.held_out import better, row_losses, splits
from headstart.strategies.logistic import fit_logistic

FREEDOMS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


class BiasedRegularization(Adapter):
    """Fine-tune the source's linear model on labelled rows of the target, as far as they say.

    The penalty is ``|W - W_source|^2 / (2 freedom)`` in place of ``|W|^2``, intercepts included.
    The freedom is chosen by the log loss of target rows held out; freedom 0, the source's model as
    it is, takes part and stays unless another is better by a t test at 10 %.

    Parameters
    ----------
    C : float, > 0
        Inverse strength of the penalty of the source's model.
    freedoms : sequence of float, > 0
        What is tried; a single one is taken as it is.
    scale : bool
        Standardise features by both domains together.
    random_state : int or None
        Deals the labelled rows to folds.

    Attributes
    ----------
    freedom_ : float
        The one chosen; 0 where the source's model stayed.

    References
    ----------
    Chelba & Acero, EMNLP 2004; Yang, Yan & Hauptmann (adaptive SVM), ACM Multimedia 2007; Li,
    Grandvalet & Davoine (L2-SP), ICML 2018.

    Examples
    --------
    >>> from headstart.strategies.adaptation import BiasedRegularization
    >>> X, y = [[0.0], [1.0], [4.0], [5.0]] * 5, ["a", "a", "b", "b"] * 5
    >>> there, known = [[3.0], [4.0], [7.0], [8.0]] * 5, ["a", "a", "b", "b"] * 5
    >>> BiasedRegularization().fit(X, y, there, known).predict([[3.5], [7.5]]).tolist()
    ['a', 'b']
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        freedoms: Sequence[float] = FREEDOMS,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.C = C
        self.freedoms = freedoms
        self.scale = scale
        self.random_state = random_state

    def _adapt(self, domains: Domains) -> Any:
        freedoms = sorted(float(one) for one in self.freedoms)
        if not freedoms or not freedoms[0] > 0:
            raise OptionError(
                "freedoms must be positive", where="freedoms", got=self.freedoms, allowed="> 0"
            )
        source = learn(domains.X, domains.codes, domains.n_classes, C=self.C)
        rows, codes = domains.target[domains.known], domains.target_codes[domains.known]
        self.freedom_ = 0.0
        if not len(rows):
            self.decisions_ = (Decision("source-only", "no row of the target has a label"),)
            return source
        if len(freedoms) == 1:
            self.freedom_ = freedoms[0]
        else:
            self._choose(source, rows, codes, freedoms)
        if self.freedom_ == 0.0:
            return source
        return moved(source, rows, codes, [self.freedom_])[0]

    def _choose(
        self, source: LinearForm, rows: FloatArray, codes: IntArray, freedoms: list[float]
    ) -> None:
        base = row_losses(source.probabilities(rows), codes)
        losses = np.empty((len(freedoms), len(rows)))
        for train, test in splits(codes, self.random_state or 0):
            if not len(train):
                losses[:, test] = base[test]
                continue
            forms = moved(source, rows[train], codes[train], freedoms)
            for place, form in enumerate(forms):
                losses[place, test] = row_losses(form.probabilities(rows[test]), codes[test])
        best = int(losses.mean(axis=1).argmin())
        found = f"log loss of {len(rows)} held-out target rows {losses[best].mean():.3f}"
        if better(losses[best], base):
            self.freedom_ = freedoms[best]
            why = f"{found} against {base.mean():.3f} of the source's model"
            self.decisions_ = (Decision(f"freedom {self.freedom_:g}", why, "freedoms=[...]"),)
        else:
            why = f"{found} is not below {base.mean():.3f} by a t test at 10 %"
            self.decisions_ = (Decision("source-only", why, "freedoms=[...]"),)


def moved(
    source: LinearForm, rows: FloatArray, codes: IntArray, freedoms: Sequence[float]
) -> list[LinearForm]:
    """Return minimisers of ``sum(log loss) + |W - W_source|^2 / (2 freedom)``, one a freedom.

    Parameters
    ----------
    source : LinearForm
    rows : array of shape (m, d)
    codes : int array of shape (m,)
    freedoms : sequence of float, > 0
        In rising order.
    """
    wide = np.hstack([rows.astype(np.float64), np.ones((len(rows), 1))])
    left, lengths, right = np.linalg.svd(wide, full_matrices=False)
    keep = lengths > lengths[0] * 1e-10
    rotated, axes = left[:, keep] * lengths[keep], right[keep].T
    base = rows @ source.coef + source.intercept
    forms, start = [], None
    for freedom in freedoms:
        start = fit_logistic(
            rotated,
            lengths[keep] ** 2,
            codes,
            source.coef.shape[1],
            freedom,
            base=base,
            tol=1e-6,
            dtype=np.float64,
        )
        change = axes @ start.slopes
        forms.append(LinearForm(source.coef + change[:-1], source.intercept + change[-1]))
    return forms
