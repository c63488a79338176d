"""Optimal transport through POT: source rows go where a plan of least cost sends them."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import Mapped, MappingAdapter
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.gaussian import FEWEST
from headstart.strategies.adaptation.plan import (
    barycentres,
    carried,
    class_plan,
    cost,
    entropic_plan,
    optimal_transport,
    sampled,
)

COLLAPSED = 0.05
"""Share of the target's variance below which mapped rows have run into one point."""


class _Planned(MappingAdapter):
    """Base of adapters that map the source by a transport plan."""

    reg_e: float
    max_rows: int
    random_state: int | None

    def _plan(self, costs: FloatArray, codes: IntArray) -> FloatArray:
        raise NotImplementedError

    def _map(self, domains: Domains) -> Mapped:
        optimal_transport()
        if not self.reg_e > 0:
            raise OptionError("must be above 0", where="reg_e", got=self.reg_e)
        if not self.max_rows >= 2:
            raise OptionError("must be 2 or more", where="max_rows", got=self.max_rows)
        n, m = len(domains.X), len(domains.target)
        if domains.same:
            return self._as_it_is(domains, "the target is the source")
        if min(n, m) < FEWEST:
            return self._as_it_is(domains, f"a domain has {min(n, m)} rows, under {FEWEST}")
        rng = np.random.default_rng(self.random_state)
        mine = sampled(domains.codes, n, self.max_rows, rng)
        theirs = sampled(None, m, self.max_rows, rng)
        target = domains.target[theirs].astype(np.float64)
        codes = domains.codes[mine]
        costs = cost(domains.X[mine], target, codes, domains.target_codes[theirs])
        plan = self._plan(costs, codes)
        images = barycentres(plan, target)
        wide = float(target.var(axis=0).sum())
        left = float(images.var(axis=0).sum()) / wide if wide > 0 else 1.0
        if not np.isfinite(images).all() or not plan.sum() > 0.5 or left < COLLAPSED:
            return self._as_it_is(
                domains, f"the plan sends all rows to one place ({left:.0%} of the variance left)"
            )
        if len(mine) < n or len(theirs) < m:
            self.decisions_ += (
                Decision(
                    f"the plan is of {len(mine)} source and {len(theirs)} target rows",
                    "its memory grows with their product; other rows move like the nearest",
                    "max_rows=",
                ),
            )
        return Mapped(carried(domains.X, mine, images.astype(domains.X.dtype)))

    def _as_it_is(self, domains: Domains, why: str) -> Mapped:
        self.decisions_ += (Decision("the source as it is", why, "reg_e="),)
        return Mapped(domains.X)


class EntropicOT(_Planned):
    """Map the source by an optimal transport plan with an entropic penalty.

    Each source row goes to the mean of the target rows that the plan sends it to. Where all rows
    would go to one place, the source is taken as it is.

    Parameters
    ----------
    reg_e : float, > 0
        Strength of the penalty, relative to the largest squared distance.
    max_rows : int, >= 2
        At most so many rows of either domain make the plan, drawn by class; the rest of the source
        moves like the nearest of them. Memory is about ``24 * max_rows**2`` bytes.
    estimator, C, scale
        As for :class:`~headstart.strategies.adaptation.SourceOnly`.
    random_state : int, optional
        Of the drawing.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
    decisions_ : tuple of Decision

    Raises
    ------
    OptionError
        ``reg_e``, ``max_rows`` or C is out of range.
    MissingExtraError
        POT is not installed.

    References
    ----------
    Courty, Flamary, Tuia & Rakotomamonjy, "Optimal transport for domain adaptation", IEEE TPAMI 39,
    2017; rows outside the plan: Ferradans et al., SIAM Journal on Imaging Sciences 7, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import EntropicOT, SourceOnly
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(200, 2)), np.repeat(["a", "b"], 100)
    >>> X[:100] -= 3
    >>> target = X + [4, 0]
    >>> SourceOnly().fit(X, y, target).score(target, y)
    0.67
    >>> EntropicOT().fit(X, y, target).score(target, y)
    0.98
    """

    def __init__(
        self,
        *,
        reg_e: float = 0.05,
        max_rows: int = 2000,
        estimator: Any = None,
        C: float = 1.0,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.reg_e = reg_e
        self.max_rows = max_rows
        self.estimator = estimator
        self.C = C
        self.scale = scale
        self.random_state = random_state

    def _plan(self, costs: FloatArray, codes: IntArray) -> FloatArray:
        return entropic_plan(costs, self.reg_e)


class ClassRegularizedOT(_Planned):
    """Map the source by an entropic plan in which a target row draws from few classes.

    Parameters
    ----------
    reg_e : float, > 0
        Strength of the entropic penalty, relative to the largest squared distance.
    reg_class : float, >= 0
        Strength of the penalty on mixing classes.
    max_rows, estimator, C, scale, random_state
        As for :class:`EntropicOT`.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
    decisions_ : tuple of Decision

    Raises
    ------
    OptionError
        ``reg_e``, ``reg_class``, ``max_rows`` or C is out of range.
    MissingExtraError
        POT is not installed.

    References
    ----------
    Courty, Flamary & Tuia, "Domain adaptation with regularized optimal transport", ECML PKDD 2014
    (the penalty with p = 1/2, by majorisation).

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import ClassRegularizedOT
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(200, 2)), np.repeat(["a", "b"], 100)
    >>> X[:100] -= 3
    >>> ClassRegularizedOT().fit(X, y, X + [4, 0]).score(X + [4, 0], y)
    0.975
    """

    def __init__(
        self,
        *,
        reg_e: float = 0.02,
        reg_class: float = 0.1,
        max_rows: int = 2000,
        estimator: Any = None,
        C: float = 1.0,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.reg_e = reg_e
        self.reg_class = reg_class
        self.max_rows = max_rows
        self.estimator = estimator
        self.C = C
        self.scale = scale
        self.random_state = random_state

    def _plan(self, costs: FloatArray, codes: IntArray) -> FloatArray:
        if not self.reg_class >= 0:
            raise OptionError("must not be negative", where="reg_class", got=self.reg_class)
        return class_plan(costs, codes, self.reg_e, self.reg_class)
