"""Feature augmentation: a general, a source and a target copy of every feature."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import Adapter, learn, linear_form
from headstart.strategies.adaptation.domains import UNLABELLED, Domains
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.held_out import better, row_losses, splits
from headstart.strategies.views import stratified_sample

UNLABELLED_ROWS = 1000


class FeatureAugmentation(Adapter):
    """Learn what domains share and what only one of them shows, in one linear model.

    A row x of the source becomes (x, x, 0), a row of the target (x, 0, x): general, source,
    target. The model for rows of the target is the sum of the general and the target part.

    Parameters
    ----------
    C : float, > 0
        Inverse strength of the penalty on all three parts.
    agreement : float, >= 0
        Weight of each unlabelled row of the target (EA++): they ask both domains' models to agree
        where the target is. 0 leaves them out; of more than 1,000 rows 1,000 take part.
    target_share : float, between 0 and 1, optional
        The share of the total weight that labelled target rows get; by default each row counts 1.
    guarded : bool
        Keep the source's model unless the log loss of target rows held out is better by a t test at
        10 %.
    scale : bool
        Standardise features by both domains together.
    random_state : int or None
        Picks the unlabelled rows that take part.

    References
    ----------
    Daume III, ACL 2007; Daume III, Kumar & Saha (EA++), DANLP 2010.

    Examples
    --------
    >>> from headstart.strategies.adaptation import FeatureAugmentation
    >>> X, y = [[0.0], [1.0], [4.0], [5.0]], ["a", "a", "b", "b"]
    >>> model = FeatureAugmentation().fit(X, y, [[3.0], [7.0]] * 8, ["a", "b"] * 8)
    >>> model.predict([[3.5], [7.5]]).tolist()
    ['a', 'b']
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        agreement: float = 0.0,
        target_share: float | None = None,
        guarded: bool = True,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.C = C
        self.agreement = agreement
        self.target_share = target_share
        self.guarded = guarded
        self.scale = scale
        self.random_state = random_state

    def _adapt(self, domains: Domains) -> Any:
        self._check()
        source = learn(domains.X, domains.codes, domains.n_classes, C=self.C)
        rows, codes = domains.target[domains.known], domains.target_codes[domains.known]
        if not len(rows):
            self.decisions_ = (Decision("source-only", "no row of the target has a label"),)
            return source
        if self.guarded:
            base, losses = row_losses(source.probabilities(rows), codes), np.empty(len(rows))
            for train, test in splits(codes, self.random_state or 0):
                form = self._fitted(domains, rows[train], codes[train]) if len(train) else source
                losses[test] = row_losses(form.probabilities(rows[test]), codes[test])
            why = (
                f"log loss of {len(rows)} held-out target rows {losses.mean():.3f}, "
                f"of the source's model {base.mean():.3f}"
            )
            passed = better(losses, base)
            what = "augmented" if passed else "source-only"
            self.decisions_ = (Decision(what, why, "guarded=False"),)
            if not passed:
                return source
        return self._fitted(domains, rows, codes)

    def _fitted(self, domains: Domains, rows: FloatArray, codes: IntArray) -> LinearForm:
        """Return the model of the source and of these labelled rows of the target."""
        n, m, d, k = len(domains.X), len(rows), rows.shape[1], domains.n_classes
        source = 1.0
        if self.target_share is not None:
            source = m * (1.0 - self.target_share) / (self.target_share * n)
        parts = [augmented(domains.X, "source"), augmented(rows, "target")]
        labels, weights = [domains.codes, codes], [np.full(n, source), np.ones(m)]
        free = domains.target[domains.target_codes == UNLABELLED]
        if self.agreement > 0 and len(free):
            seed = self.random_state or 0
            free = free[stratified_sample(np.zeros(len(free), int), UNLABELLED_ROWS, seed)]
            parts.append(np.tile(augmented(free, "both"), (k, 1)))
            labels.append(np.repeat(np.arange(k), len(free)))
            weights.append(np.full(k * len(free), self.agreement / k))
        form = linear_form(
            np.vstack(parts), np.concatenate(labels), k, weights=np.concatenate(weights), C=self.C
        )
        general, special = form.coef[:d], form.coef[2 * d + 1 :]
        return LinearForm(general + special[:d], form.intercept + special[d])

    def _check(self) -> None:
        if not self.agreement >= 0:
            raise OptionError("must not be negative", where="agreement", got=self.agreement)
        if self.target_share is not None and not 0.0 < self.target_share < 1.0:
            raise OptionError(
                "a share lies between 0 and 1", where="target_share", got=self.target_share
            )


def augmented(X: FloatArray, domain: str) -> FloatArray:
    """Return rows (n, d) as (n, 3 d + 2): general, source and target copy.

    The copies of a domain have a constant, too, so that domains may differ in their offset; the
    general offset is the intercept of the model.

    Parameters
    ----------
    X : array of shape (n, d)
    domain : {"source", "target", "both"}
        "both" is (0, x, -x): what the models of the two domains differ by.
    """
    wide = np.hstack([X, np.ones((len(X), 1), X.dtype)])
    zero = np.zeros_like(wide)
    if domain == "both":
        return np.hstack([np.zeros_like(X), wide, -wide])
    return np.hstack([X, *((wide, zero) if domain == "source" else (zero, wide))])
