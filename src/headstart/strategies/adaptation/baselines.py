"""Without adaptation: what an adapter must beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.strategies.adaptation.base import Adapter, Mapped, MappingAdapter, learn
from headstart.strategies.adaptation.domains import Domains


class SourceOnly(MappingAdapter):
    """Learn from the source alone and hope that it holds in the target.

    Parameters
    ----------
    estimator : scikit-learn classifier, optional
        The learner; multinomial logistic regression by default.
    C : float, > 0
        Inverse strength of the penalty of the default learner.
    scale : bool
        Standardise features by both domains together.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
        What predicts.

    Examples
    --------
    >>> from headstart.strategies.adaptation import SourceOnly
    >>> model = SourceOnly().fit([[0.0], [1.0], [4.0], [5.0]], ["a", "a", "b", "b"], [[2.0], [9.0]])
    >>> model.predict([[0.5], [9.0]]).tolist()
    ['a', 'b']
    """

    def __init__(self, *, estimator: Any = None, C: float = 1.0, scale: bool = True) -> None:
        self.estimator = estimator
        self.C = C
        self.scale = scale

    def _map(self, domains: Domains) -> Mapped:
        return Mapped(domains.X)

    def _adapt(self, domains: Domains) -> Any:
        return learn(
            domains.X, domains.codes, domains.n_classes, estimator=self.estimator, C=self.C
        )


class TargetOnly(Adapter):
    """Learn from the labelled rows of the target alone.

    Parameters
    ----------
    estimator, C, scale
        As for :class:`SourceOnly`.

    Raises
    ------
    DataError
        No row of the target has a label.

    Examples
    --------
    >>> from headstart.strategies.adaptation import TargetOnly
    >>> model = TargetOnly().fit([[0.0], [9.0]], ["a", "b"], [[8.0], [1.0]], ["a", "b"])
    >>> model.predict([[7.0]]).tolist()
    ['a']
    """

    def __init__(self, *, estimator: Any = None, C: float = 1.0, scale: bool = True) -> None:
        self.estimator = estimator
        self.C = C
        self.scale = scale

    def _adapt(self, domains: Domains) -> Any:
        known = domains.known
        if not len(known):
            raise DataError(
                "no row of the target has a label",
                where="y_target",
                hint="give labels of some rows of the target",
            )
        return learn(
            domains.target[known],
            domains.target_codes[known],
            domains.n_classes,
            estimator=self.estimator,
            C=self.C,
        )


class Pooled(MappingAdapter):
    """Learn from the source and the labelled rows of the target together.

    Parameters
    ----------
    estimator, C, scale
        As for :class:`SourceOnly`.
    target_share : float, 0 to 1, optional
        The share of the total weight that labelled target rows get; by default each row counts 1.

    Examples
    --------
    >>> from headstart.strategies.adaptation import Pooled
    >>> model = Pooled().fit([[0.0], [9.0]], ["a", "b"], [[8.0], [1.0]], ["b", None])
    >>> model.predict([[7.0]]).tolist()
    ['b']
    """

    def __init__(
        self,
        *,
        estimator: Any = None,
        C: float = 1.0,
        scale: bool = True,
        target_share: float | None = None,
    ) -> None:
        self.estimator = estimator
        self.C = C
        self.scale = scale
        self.target_share = target_share

    def _map(self, domains: Domains) -> Mapped:
        n, m = len(domains.X), len(domains.known)
        if self.target_share is None or not m:
            return Mapped(domains.X)
        # target rows count 1 each; those of the source what leaves them their share
        weight = m * (1.0 - self.target_share) / (self.target_share * n)
        return Mapped(domains.X, np.full(n, weight))
