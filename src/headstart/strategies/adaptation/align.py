"""Alignment: the source is mapped to where the target is, and the learner lives there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import Mapped, MappingAdapter, linear_form
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.gaussian import (
    FEWEST,
    Moments,
    gaussian_map,
    moments,
    moved,
    recolouring,
)
from headstart.strategies.frozen import stratified_folds


def few_rows(name: str, n: int, m: int) -> Decision | None:
    """Return the decision not to map where a domain has too few rows, else None."""
    if min(n, m) >= FEWEST:
        return None
    which = f"the target has {m} rows" if m < FEWEST else f"the source has {n} rows"
    return Decision(
        f"{name}: the source as it is",
        f"{which}, and below {FEWEST} they do not say where a domain lies",
    )


class _Affine(MappingAdapter):
    """Base of the two maps by means and covariances; a subclass says how they meet."""

    _between: Callable[[Moments, Moments], tuple[FloatArray, FloatArray]]

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
        if self.reg is not None and not self.reg >= 0:
            raise OptionError("the regularisation must not be negative", where="reg", got=self.reg)
        few = few_rows(type(self).__name__, len(domains.X), len(domains.target))
        if few is not None:
            self.decisions_ += (few,)
            return Mapped(domains.X)
        source, target = moments(domains.X, self.reg), moments(domains.target, self.reg)
        return Mapped(moved(domains.X, *self._between(source, target)))


class LinearOT(_Affine):
    """Map the source to the target by optimal transport between two normal distributions.

    Parameters
    ----------
    reg : float, >= 0, optional
        Added to the diagonal of both covariances; by default they are shrunk (Ledoit & Wolf 2004).
    estimator, C, scale
        As for :class:`~headstart.strategies.adaptation.SourceOnly`.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
        What predicts, for rows of the target as they are.
    decisions_ : tuple of Decision
        With fewer than 10 rows in a domain the source is taken as it is.

    Raises
    ------
    OptionError
        ``reg`` is negative, or C is not positive.

    References
    ----------
    Flamary, Lounici & Ferrari, "Concentration bounds for linear Monge mapping estimation and
    optimal transport domain adaptation", arXiv:1905.10155, 2019; Peyre & Cuturi, Computational
    Optimal Transport, 2019, remark 2.31.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import LinearOT, SourceOnly
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(200, 2)), np.repeat(["a", "b"], 100)
    >>> X[:100] -= 2
    >>> moved = 3 * X + 10  # the target: another unit and another zero
    >>> SourceOnly().fit(X, y, moved).score(moved, y)
    0.505
    >>> LinearOT().fit(X, y, moved).score(moved, y)
    0.895
    """

    _between = staticmethod(gaussian_map)


class Coral(_Affine):
    """Map the source by whitening it and giving it the covariance and the mean of the target.

    Parameters
    ----------
    reg : float, >= 0, optional
        Added to the diagonal of both covariances (the paper has 1); by default they are shrunk
        (Ledoit & Wolf 2004).
    estimator, C, scale
        As for :class:`~headstart.strategies.adaptation.SourceOnly`.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
        What predicts, for rows of the target as they are.
    decisions_ : tuple of Decision
        With fewer than 10 rows in a domain the source is taken as it is.

    Raises
    ------
    OptionError
        ``reg`` is negative, or C is not positive.

    References
    ----------
    Sun, Feng & Saenko, "Return of frustratingly easy domain adaptation", AAAI 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import Coral
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(200, 2)), np.repeat(["a", "b"], 100)
    >>> X[:100] -= 2
    >>> Coral().fit(X, y, 3 * X + 10).score(3 * X + 10, y)
    0.895
    """

    _between = staticmethod(recolouring)


class SubspaceAlignment(MappingAdapter):
    """Rotate the principal axes of the source onto those of the target, and learn there.

    Parameters
    ----------
    n_components : int, >= 1, optional
        How many axes are kept, at most the rank of either domain; by default the number with
        which held-out rows of the source are predicted best.
    estimator, C, scale
        As for :class:`~headstart.strategies.adaptation.SourceOnly`.
    random_state : int, optional
        Which rows are held out.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
        What predicts, for rows of the target as they are.
    n_components_ : int
        How many axes were kept; 0 where the source was taken as it is.
    decisions_ : tuple of Decision

    Raises
    ------
    OptionError
        ``n_components`` is below 1, or C is not positive.

    References
    ----------
    Fernando, Habrard, Sebban & Tuytelaars, "Unsupervised visual domain adaptation using subspace
    alignment", ICCV 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import SubspaceAlignment
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(200, 2)), np.repeat(["a", "b"], 100)
    >>> X[:100] -= 2
    >>> SubspaceAlignment(n_components=1).fit(X, y, X + 10).score(X + 10, y)
    0.885
    """

    def __init__(
        self,
        *,
        n_components: int | None = None,
        estimator: Any = None,
        C: float = 1.0,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.n_components = n_components
        self.estimator = estimator
        self.C = C
        self.scale = scale
        self.random_state = random_state

    def _map(self, domains: Domains) -> Mapped:
        if self.n_components is not None and self.n_components < 1:
            raise OptionError(
                "at least one axis is needed", where="n_components", got=self.n_components
            )
        self.n_components_ = 0
        few = few_rows("SubspaceAlignment", len(domains.X), len(domains.target))
        mine, own = principal_axes(domains.X)
        theirs, other = principal_axes(domains.target)
        most = min(mine.shape[1], theirs.shape[1])
        if few is not None or most == 0:
            self.decisions_ += (few or Decision("the source as it is", "a domain never varies"),)
            return Mapped(domains.X)
        kept = min(self.n_components, most) if self.n_components else self._chosen(domains, mine)
        kept = min(kept, most)
        self.n_components_ = kept
        matrix = theirs[:, :kept]
        onto = (mine[:, :kept] @ (mine[:, :kept].T @ matrix)).astype(domains.X.dtype)
        source = moved(domains.X, onto, -own @ onto)
        return Mapped(source, matrix=matrix, offset=-other @ matrix)

    def _chosen(self, domains: Domains, axes: FloatArray) -> int:
        """Return the number of axes with which held-out rows are predicted best; of a tie, most."""
        most = axes.shape[1]
        sizes = sorted({max(1, round(most * share)) for share in (1.0, 0.6, 0.35, 0.2, 0.1)})
        rng = np.random.default_rng(self.random_state)
        some = np.sort(rng.permutation(len(domains.X))[:2000])
        rows, codes = domains.X[some] @ axes, domains.codes[some]
        folds = stratified_folds(codes, 3, self.random_state)
        right = [_held_out(rows[:, :size], codes, folds, domains.n_classes) for size in sizes]
        best = max(zip(right, sizes, strict=True))[1]
        self.decisions_ += (
            Decision(
                f"{best} of {most} axes kept",
                f"{max(right)} of {len(some)} held-out rows of the source are right with them",
                "n_components=",
            ),
        )
        return best


def principal_axes(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the axes (d, r) of rows, widest first, and their mean; r is the rank."""
    found = moments(X, 0.0)
    values, axes = np.linalg.eigh(found.covariance)
    floor = max(float(values[-1]), 0.0) * max(X.shape) * np.finfo(X.dtype).eps
    keep = np.flatnonzero(values > max(floor, 1e-300))[::-1][: len(X) - 1]
    return np.ascontiguousarray(axes[:, keep]), found.mean


def _held_out(rows: FloatArray, codes: IntArray, folds: IntArray, n_classes: int) -> int:
    """Return how many held-out rows are predicted right."""
    right = 0
    for fold in range(3):
        out = folds == fold
        if out.any() and (~out).any():
            form = linear_form(rows[~out], codes[~out], n_classes)
            right += int((form.probabilities(rows[out]).argmax(axis=1) == codes[out]).sum())
    return right
