"""Several source domains: each is mapped to the target by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import Adapter, Mapped, MappingAdapter, linear_form
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.forms import MixtureForm
from headstart.strategies.adaptation.gaussian import FEWEST, gaussian_map, moments, moved
from headstart.strategies.frozen import stratified_folds

MOST_ROWS = 1000
"""Rows a side from which the distance of two domains is taken."""


def mmd(X: FloatArray, target: FloatArray, random_state: int | None) -> float:
    """Return the distance of kernel means of two domains.

    Gaussian kernel of the median distance; the square is unbiased, so it may fall below 0, and is 0
    then (Gretton et al., JMLR 13, 2012).
    """
    rng = np.random.default_rng(random_state)
    X = X[rng.permutation(len(X))[:MOST_ROWS]]
    target = target[rng.permutation(len(target))[:MOST_ROWS]]
    both = np.vstack([X, target]).astype(np.float64)
    square = cdist(both, both, "sqeuclidean")
    width = float(np.median(square[square > 0])) if (square > 0).any() else 1.0
    values = np.exp(-square / width)
    n, m = len(X), len(target)
    if min(n, m) < 2:
        return 0.0
    own = (values[:n, :n].sum() - n) / (n * (n - 1))
    other = (values[n:, n:].sum() - m) / (m * (m - 1))
    return float(np.sqrt(max(own + other - 2.0 * values[:n, n:].mean(), 0.0)))


class PerSourceMapping(MappingAdapter):
    """Map each source domain to the target by optimal transport, then learn from all together.

    Source domains that differ from one another differ from the target in different ways: one map
    for all would fit none.

    Parameters
    ----------
    reg : float, >= 0, optional
        Added to the diagonal of all covariances; by default they are shrunk (Ledoit & Wolf 2004).
    estimator, C, scale
        As for :class:`~headstart.strategies.adaptation.SourceOnly`.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
    decisions_ : tuple of Decision
        Domains of fewer than 10 rows are taken as they are.

    Raises
    ------
    OptionError
        ``reg`` is negative, or C is not positive.

    References
    ----------
    Montesuma & Mboula, "Wasserstein barycenter for multi-source domain adaptation", CVPR 2021,
    maps several sources by optimal transport; the map is that of
    :class:`~headstart.strategies.adaptation.LinearOT`.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import PerSourceMapping
    >>> rng = np.random.default_rng(0)
    >>> y = np.tile(["a", "b"], 150)
    >>> X = rng.normal(size=(300, 2)) + 4.0 * (y == "b")[:, None]
    >>> shop = np.repeat(["north", "south", "here"], 100)
    >>> X[shop == "north"] *= 3
    >>> X[shop == "south"] += [9, -9]
    >>> there = shop != "here"
    >>> model = PerSourceMapping().fit(X[there], y[there], X[~there], domain=shop[there])
    >>> model.score(X[~there], y[~there])
    1.0
    """

    def __init__(
        self,
        *,
        reg: float | None = None,
        estimator: Any = None,
        C: float = 1.0,
        scale: bool = True,
    ) -> None:
        self.reg = reg
        self.estimator = estimator
        self.C = C
        self.scale = scale

    def _map(self, domains: Domains) -> Mapped:
        images, decisions = mapped_domains(domains, self.reg)
        self.decisions_ += decisions
        result = np.empty_like(domains.X)
        for place, rows in enumerate(images):
            result[domains.origin == place] = rows
        return Mapped(result)


def mapped_domains(
    domains: Domains, reg: float | None
) -> tuple[list[FloatArray], tuple[Decision, ...]]:
    """Return the rows of each source domain mapped to the target, and what was decided.

    Raises
    ------
    OptionError
        ``reg`` is negative.
    """
    if reg is not None and not reg >= 0:
        raise OptionError("the regularisation must not be negative", where="reg", got=reg)
    target = moments(domains.target, reg)
    decisions: tuple[Decision, ...] = ()
    images = []
    for place in range(int(domains.origin.max()) + 1):
        rows = domains.X[domains.origin == place]
        fewest = min(len(rows), target.n)
        if fewest >= FEWEST:
            rows = moved(rows, *gaussian_map(moments(rows, reg), target))
        else:
            decisions += (
                Decision(
                    f"source domain {place + 1} as it is",
                    f"it or the target has {fewest} rows, under {FEWEST}",
                ),
            )
        images.append(rows)
    return images, decisions


class WeightedSources(Adapter):
    """Learn a model from each mapped source domain; their mean is weighted by transferability.

    The risk of a source's model in the target is at most its risk at home plus the distance of the
    two domains plus what no one can know. So a domain weighs ``rows ** 0.5 * exp(-(error +
    distance) / temperature)``: held-out error of its model, and kernel distance of its mapped rows
    to the target. The error is the mean over all classes, and a class that the domain lacks counts
    as wrong: else a domain of one class would never err at home, and get the most weight. Labelled
    rows of the target, where there are, judge in place of both.

    Parameters
    ----------
    reg : float, >= 0, optional
        As for :class:`PerSourceMapping`.
    temperature : float, > 0
        How much worse a domain must be to weigh less by a factor of e.
    C, scale
        As for :class:`~headstart.strategies.adaptation.SourceOnly`.
    random_state : int, optional
        Which rows are held out, and from which the distance is taken.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
    source_weights_ : ndarray of shape (t,)
        Of the source domains in the order of their names; they sum to 1.
    decisions_ : tuple of Decision

    Raises
    ------
    OptionError
        ``reg``, ``temperature`` or C is out of range.

    References
    ----------
    Mansour, Mohri & Rostamizadeh, "Domain adaptation with multiple sources", NeurIPS 2008
    (weighted mean of the models of the sources); the bound: Ben-David et al., Machine Learning 79,
    2010, with the kernel distance as Redko et al., "Advances in domain adaptation theory", 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import WeightedSources
    >>> rng = np.random.default_rng(0)
    >>> y = np.tile(["a", "b"], 150)
    >>> X = rng.normal(size=(300, 2)) + 4.0 * (y == "b")[:, None]
    >>> shop = np.repeat(["north", "south", "here"], 100)
    >>> y[shop == "north"] = rng.permutation(y[shop == "north"])  # labels that say nothing
    >>> there = shop != "here"
    >>> model = WeightedSources().fit(X[there], y[there], X[~there], domain=shop[there])
    >>> model.source_weights_.round(3).tolist(), model.score(X[~there], y[~there])
    ([0.016, 0.984], 1.0)
    """

    def __init__(
        self,
        *,
        reg: float | None = None,
        temperature: float = 0.1,
        C: float = 1.0,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.reg = reg
        self.temperature = temperature
        self.C = C
        self.scale = scale
        self.random_state = random_state

    def _adapt(self, domains: Domains) -> Any:
        for where, value in (("C", self.C), ("temperature", self.temperature)):
            if not value > 0:
                raise OptionError("must be above 0", where=where, got=value)
        images, self.decisions_ = mapped_domains(domains, self.reg)
        known, k = domains.known, domains.n_classes
        truth = domains.target_codes[known]
        forms, risks, sizes = [], [], []
        for place, rows in enumerate(images):
            codes = domains.codes[domains.origin == place]
            form = linear_form(rows, codes, k, C=self.C)
            forms.append(form)
            sizes.append(len(rows))
            if len(known) >= FEWEST:
                said = form.probabilities(domains.target[known]).argmax(axis=1)
                risks.append(float((said != truth).mean()))
            else:
                apart = mmd(rows, domains.target, self.random_state)
                risks.append(self._error(rows, codes, k) + apart)
        scores = 0.5 * np.log(sizes) - np.array(risks) / self.temperature
        weights = np.exp(scores - scores.max())
        self.source_weights_ = weights / weights.sum()
        self.decisions_ += self._lacking(domains)
        how = "error on labelled target rows" if len(known) >= FEWEST else "error and distance"
        shown = zip(self.source_weights_, risks, strict=True)
        self.decisions_ += (
            Decision(
                "source domains weigh " + ", ".join(f"{w:.2f}" for w in self.source_weights_[:10]),
                f"{how}: " + ", ".join(f"{risk:.2f}" for _, risk in list(shown)[:10]),
                "temperature=",
            ),
        )
        return MixtureForm(
            np.stack([form.coef for form in forms]),
            np.stack([form.intercept for form in forms]),
            self.source_weights_,
        )

    def _error(self, rows: FloatArray, codes: IntArray, k: int) -> float:
        """Return the mean over all classes of the share of held-out rows that are predicted wrong.

        A class of which no row can be held out counts as wrong.
        """
        folds = stratified_folds(codes, 5, self.random_state)
        right, judged = np.zeros(k), np.zeros(k)
        for fold in range(5):
            out = folds == fold
            if out.any() and (~out).any():
                form = linear_form(rows[~out], codes[~out], k, C=self.C)
                hit = form.probabilities(rows[out]).argmax(axis=1) == codes[out]
                right += np.bincount(codes[out], weights=hit, minlength=k)
                judged += np.bincount(codes[out], minlength=k)
        return float(1.0 - (right / np.maximum(judged, 1.0)).mean())

    def _lacking(self, domains: Domains) -> tuple[Decision, ...]:
        """Say which source domains lack classes."""
        k = domains.n_classes
        found = []
        for place in range(int(domains.origin.max()) + 1):
            there = len(np.unique(domains.codes[domains.origin == place]))
            if there < k:
                found.append(f"source domain {place + 1} has {there} of {k} classes")
        if not found:
            return ()
        return (
            Decision("a class that a source domain lacks weighs against it", ", ".join(found[:10])),
        )
