"""Reweighting: source rows count as much as they look like the target."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray
from headstart.strategies.adaptation.base import Mapped, MappingAdapter
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.gaussian import FEWEST
from headstart.strategies.adaptation.ratio import (
    effective,
    flattened,
    logistic_ratio,
    relative_ratio,
)

HOPELESS = 0.01
"""Share of effective rows below which weights say only that the domains do not overlap."""


class _Weighted(MappingAdapter):
    """Base of adapters that weigh the source."""

    min_ess: float
    random_state: int | None

    def _ratio(self, domains: Domains) -> tuple[FloatArray | None, str]:
        """Return the density ratio of source rows, and what was seen; None: no shift was seen."""
        raise NotImplementedError

    def _map(self, domains: Domains) -> Mapped:
        if not 0 < self.min_ess <= 1:
            raise OptionError(
                "a share of the rows", where="min_ess", got=self.min_ess, allowed="above 0, up to 1"
            )
        n, m = len(domains.X), len(domains.target)
        self.weights_: FloatArray = np.ones(n)
        self.ess_ = float(n)
        if domains.same:
            self._say("all rows weigh the same", "the target is the source")
            return Mapped(domains.X)
        if min(n, m) < FEWEST:
            self._say("all rows weigh the same", f"a domain has {min(n, m)} rows, under {FEWEST}")
            return Mapped(domains.X)
        ratio, seen = self._ratio(domains)
        if ratio is None:
            self._say("all rows weigh the same", seen)
            return Mapped(domains.X)
        raw = effective(ratio)
        if not raw >= max(HOPELESS * n, 2.0):
            self._say(
                "all rows weigh the same",
                f"weights would leave {raw:.1f} effective rows of {n}: the domains hardly overlap",
            )
            return Mapped(domains.X)
        weights, power = flattened(ratio, domains.codes, self.min_ess * n)
        self.weights_, self.ess_ = weights, effective(weights)
        what = f"source rows weighted, {self.ess_:.0f} effective of {n}"
        if power < 1:
            why = f"{seen}; flattened to the power {power:.2f}, as they are {raw:.0f} are left"
            self._say(what, why, "min_ess=")
        else:
            self._say(what, seen)
        return Mapped(domains.X, weights)

    def _say(self, what: str, why: str, override: str = "") -> None:
        self.decisions_ += (Decision(what, why, override),)


class LogisticWeights(_Weighted):
    """Weigh source rows by the odds that a domain classifier gives them.

    A logistic regression tells target rows from source rows; each row is weighed by one that has
    not seen it, ``p(target | x) / p(source | x) * n / m``. Where it tells nothing on held-out
    rows, all rows weigh the same.

    Parameters
    ----------
    domain_C : float, > 0, optional
        Inverse penalty of the domain classifier; by default the one with the least held-out loss.
    min_ess : float, above 0, up to 1
        Share of effective rows, ``sum(w)^2 / sum(w^2) / n``, to which weights are flattened.
    estimator, C, scale
        As for :class:`~headstart.strategies.adaptation.SourceOnly`; the estimator takes
        ``sample_weight``.
    random_state : int, optional
        Which rows are held out.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
    weights_ : ndarray of shape (n,)
        Of the source rows, mean 1.
    ess_ : float
        Effective number of source rows.
    decisions_ : tuple of Decision

    Raises
    ------
    OptionError
        ``min_ess`` is no share, or ``domain_C`` or C is not positive.

    References
    ----------
    Bickel, Brueckner & Scheffer, "Discriminative learning under covariate shift", JMLR 10, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import LogisticWeights
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 1))
    >>> y = np.where(np.abs(X[:, 0]) > 0.5, "far", "near")
    >>> target = rng.normal(1, 0.5, size=(400, 1))
    >>> model = LogisticWeights().fit(X, y, target)
    >>> round(model.score(target, np.where(np.abs(target[:, 0]) > 0.5, "far", "near")), 2)
    0.88
    """

    def __init__(
        self,
        *,
        domain_C: float | None = None,
        min_ess: float = 0.1,
        estimator: Any = None,
        C: float = 1.0,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.domain_C = domain_C
        self.min_ess = min_ess
        self.estimator = estimator
        self.C = C
        self.scale = scale
        self.random_state = random_state

    def _ratio(self, domains: Domains) -> tuple[FloatArray | None, str]:
        if self.domain_C is not None and not self.domain_C > 0:
            raise OptionError(
                "the inverse penalty must be positive", where="domain_C", got=self.domain_C
            )
        found = logistic_ratio(domains.X, domains.target, self.domain_C, self.random_state)
        seen = f"held-out log loss of the domain {found.loss:.3f}, by guessing {found.constant:.3f}"
        return (found.ratio if found.loss < found.constant else None), seen


class RuLSIF(_Weighted):
    """Weigh source rows by a relative density ratio, fitted by least squares.

    ``p_t / (alpha p_t + (1 - alpha) p_s)`` is fitted with Gaussian kernels in closed form; it is
    at most ``1 / alpha``, so no row can take over. Where it does no better than 1 everywhere on
    held-out rows, all rows weigh the same.

    Parameters
    ----------
    alpha : float, from 0 to below 1
        0 is the plain density ratio.
    n_centres : int, >= 1
        Kernels sit on so many target rows.
    width, ridge : float, > 0, optional
        Width of the kernels and penalty; by default chosen by cross-validation of the divergence.
    min_ess, estimator, C, scale, random_state
        As for :class:`LogisticWeights`.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
    weights_ : ndarray of shape (n,)
        Of the source rows, mean 1.
    ess_ : float
        Effective number of source rows.
    decisions_ : tuple of Decision

    Raises
    ------
    OptionError
        ``alpha``, ``n_centres``, ``width``, ``ridge``, ``min_ess`` or C is out of range.

    References
    ----------
    Yamada, Suzuki, Kanamori, Hachiya & Sugiyama, "Relative density-ratio estimation for robust
    distribution comparison", NeurIPS 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import RuLSIF
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 1))
    >>> y = np.where(np.abs(X[:, 0]) > 0.5, "far", "near")
    >>> target = rng.normal(1, 0.5, size=(400, 1))
    >>> model = RuLSIF().fit(X, y, target)
    >>> round(model.score(target, np.where(np.abs(target[:, 0]) > 0.5, "far", "near")), 2)
    0.95
    """

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        n_centres: int = 100,
        width: float | None = None,
        ridge: float | None = None,
        min_ess: float = 0.1,
        estimator: Any = None,
        C: float = 1.0,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.alpha = alpha
        self.n_centres = n_centres
        self.width = width
        self.ridge = ridge
        self.min_ess = min_ess
        self.estimator = estimator
        self.C = C
        self.scale = scale
        self.random_state = random_state

    def _ratio(self, domains: Domains) -> tuple[FloatArray | None, str]:
        for where, good, allowed in (
            ("alpha", 0 <= self.alpha < 1, "from 0 to below 1"),
            ("n_centres", self.n_centres >= 1, "1 or more"),
            ("width", self.width is None or self.width > 0, "above 0"),
            ("ridge", self.ridge is None or self.ridge > 0, "above 0"),
        ):
            if not good:
                value = getattr(self, where)
                raise OptionError("out of range", where=where, got=value, allowed=allowed)
        found = relative_ratio(
            domains.X,
            domains.target,
            alpha=self.alpha,
            n_centres=self.n_centres,
            width=self.width,
            ridge=self.ridge,
            random_state=self.random_state,
        )
        seen = (
            f"held-out objective {found.objective:.3f} (1 everywhere: -0.500), "
            f"width {found.width:.3g}, ridge {found.ridge:g}"
        )
        return (found(domains.X) if found.objective < -0.5 else None), seen
