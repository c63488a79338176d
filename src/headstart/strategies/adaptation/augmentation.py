"""Feature augmentation: a general, a source and a target copy of every feature."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray
from headstart.strategies.adaptation.base import Adapter, learn
from headstart.strategies.adaptation.domains import UNLABELLED, Domains
from headstart.strategies.adaptation.forms import LinearForm
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
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.C = C
        self.agreement = agreement
        self.target_share = target_share
        self.scale = scale
        self.random_state = random_state

    def _adapt(self, domains: Domains) -> Any:
        self._check()
        known = domains.known
        if not len(known):
            self.decisions_ = (Decision("source-only", "no row of the target has a label"),)
            return learn(domains.X, domains.codes, domains.n_classes, C=self.C)
        n, m, d = len(domains.X), len(known), domains.X.shape[1]
        source = 1.0
        if self.target_share is not None:
            source = m * (1.0 - self.target_share) / (self.target_share * n)
        parts = [augmented(domains.X, "source"), augmented(domains.target[known], "target")]
        codes = [domains.codes, domains.target_codes[known]]
        weights = [np.full(n, source), np.ones(m)]
        free = np.flatnonzero(domains.target_codes == UNLABELLED)
        if self.agreement > 0 and len(free):
            free = free[
                stratified_sample(np.zeros_like(free), UNLABELLED_ROWS, self.random_state or 0)
            ]
            k = domains.n_classes
            parts.append(np.tile(augmented(domains.target[free], "both"), (k, 1)))
            codes.append(np.repeat(np.arange(k), len(free)))
            weights.append(np.full(k * len(free), self.agreement / k))
            self.decisions_ = (
                Decision("agreement of both domains", f"asked for on {len(free)} unlabelled rows"),
            )
        form = learn(
            np.vstack(parts),
            np.concatenate(codes),
            domains.n_classes,
            np.concatenate(weights),
            C=self.C,
        )
        wide = d + 1
        general, special = form.coef[:d], form.coef[2 * wide - 1 : 2 * wide - 1 + wide]
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
