"""Cross-domain structure preserving projection: one space in which equal classes lie together."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from headstart.core.errors import OptionError
from headstart.core.types import FloatArray, IntArray
from headstart.strategies.adaptation.domains import UNLABELLED
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.frozen import one_hot
from headstart.strategies.heterogeneous.base import HeterogeneousAdapter
from headstart.strategies.heterogeneous.sides import Sides

SHARPNESS = 5.0


class CrossDomainStructure(HeterogeneousAdapter):
    """Project both domains, each by its own matrix, to where rows of one class lie together.

    The projections solve the generalised eigenproblem of the paper; a row belongs to the class mean
    of the largest cosine. With ``pseudo_rounds``, unlabelled target rows join in with the class
    they are given, the surest first.

    Parameters
    ----------
    alpha : float, > 0
        Ridge added to the scatter matrices, in units of their mean diagonal if ``balanced``.
    pseudo_rounds : int, >= 0
        Rounds in which unlabelled rows join; 0 is the supervised method.
    balanced : bool
        Rows count one over the size of their class in their domain, so that few labels of the
        target weigh as much as many of the source. False is the paper's weighting.
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
    Wang & Breckon, Cross-domain structure preserving projection for heterogeneous domain
    adaptation, Pattern Recognition 123, 2022 (arXiv 2004.12427).

    Examples
    --------
    >>> from headstart.strategies.heterogeneous import CrossDomainStructure
    >>> X, y = [[0.0, 1.0], [1.0, 1.2], [4.0, 0.9], [5.0, 1.1]] * 3, ["a", "a", "b", "b"] * 3
    >>> there, known = [[9.0], [8.0], [2.0], [1.0]], ["a", "a", "b", "b"]
    >>> model = CrossDomainStructure(guarded=False).fit(X, y, there, known)
    >>> model.predict([[8.5], [1.5]]).tolist()
    ['a', 'b']
    """

    needs_labels = True

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        pseudo_rounds: int = 5,
        balanced: bool = True,
        guarded: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.alpha = alpha
        self.pseudo_rounds = pseudo_rounds
        self.balanced = balanced
        self.guarded = guarded
        self.random_state = random_state

    def _adapt(self, sides: Sides) -> LinearForm:
        if not self.alpha > 0:
            raise OptionError("must be positive", where="alpha", got=self.alpha)
        rows, codes = sides.labelled
        form = self._projected(sides, rows, codes)
        free = sides.target[sides.target_codes == UNLABELLED]
        for done in range(self.pseudo_rounds if len(free) else 0):
            sure = form.probabilities(free)
            taken = surest(sure, (done + 1) / self.pseudo_rounds)
            form = self._projected(
                sides,
                np.vstack([rows, free[taken]]),
                np.concatenate([codes, sure.argmax(axis=1)[taken]]),
            )
        return form

    def _projected(self, sides: Sides, rows: FloatArray, codes: IntArray) -> LinearForm:
        return projected(
            (sides.X, sides.codes),
            (rows, codes),
            sides.n_classes,
            alpha=self.alpha,
            balanced=self.balanced,
        )


def surest(probabilities: FloatArray, share: float) -> IntArray:
    """Return the places of the surest share of the rows of each predicted class, at least one."""
    found, top = probabilities.argmax(axis=1), probabilities.max(axis=1)
    taken = []
    for code in np.unique(found):
        rows = np.flatnonzero(found == code)
        order = rows[np.argsort(-top[rows], kind="stable")]
        taken.append(order[: max(1, int(np.ceil(share * len(rows))))])
    return np.sort(np.concatenate(taken))


def projections(
    source: tuple[FloatArray, IntArray],
    target: tuple[FloatArray, IntArray],
    n_classes: int,
    *,
    alpha: float,
    balanced: bool = True,
) -> tuple[FloatArray, FloatArray]:
    """Return the matrices (d_s, r) and (d_t, r) that project rows of the two domains.

    With ``W = 1`` for rows of one class, within the source, within the target and across, and ``D``
    its row sums, they are the leading eigenvectors of ``A p = lambda (B + alpha I) p``, A with the
    blocks ``Xs' Wc Xt`` off its diagonal, B with ``Xs' (Ds - Ws + Dc / 2) Xs`` and the like of the
    target on it. Rows of one class are summed first, so no matrix is larger than d_s + d_t.

    Parameters
    ----------
    source, target : (rows, codes)
    n_classes : int
    alpha : float, > 0
    balanced : bool
        A row of a class of n rows counts 1 / n.
    """
    sizes = [np.bincount(codes, minlength=n_classes).astype(float) for _, codes in (source, target)]
    counts = [np.where(size > 0, 1.0 / np.maximum(size, 1.0), 0.0) for size in sizes]
    if not balanced:
        counts = [(size > 0).astype(float) for size in sizes]
    masses = [size * count for size, count in zip(sizes, counts, strict=True)]
    sums, scatters = [], []
    for place, (rows, codes) in enumerate((source, target)):
        indicator = one_hot(codes, n_classes)
        total = indicator.T @ rows
        middle = total / np.maximum(sizes[place], 1.0)[:, None]
        away = rows - middle[codes]
        inner = (counts[place] * masses[place])[codes]
        cross = 0.5 * (counts[place] * masses[1 - place])[codes]
        scatter = (away * inner[:, None]).T @ away + (rows * cross[:, None]).T @ rows
        size = max(float(np.trace(scatter)) / len(scatter), 1e-12) if balanced else 1.0
        scatter[np.diag_indices_from(scatter)] += alpha * size
        sums.append(total * counts[place][:, None])
        scatters.append(scatter)
    return _leading(sums[0].T @ sums[1], scatters[0], scatters[1])


def _leading(
    cross: FloatArray, first: FloatArray, second: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the eigenvectors of positive eigenvalues, through the whitened cross matrix."""
    roots = []
    for scatter in (first, second):
        values, axes = eigh(scatter)
        roots.append((axes / np.sqrt(np.maximum(values, values[-1] * 1e-14))) @ axes.T)
    left, values, right = np.linalg.svd(roots[0] @ cross @ roots[1], full_matrices=False)
    keep = values > values[0] * 1e-10
    half = np.sqrt(0.5)
    return half * roots[0] @ left[:, keep], half * roots[1] @ right[keep].T


def projected(
    source: tuple[FloatArray, IntArray],
    target: tuple[FloatArray, IntArray],
    n_classes: int,
    *,
    alpha: float,
    balanced: bool = True,
) -> LinearForm:
    """Return the class means of projected rows of length 1 as a linear form on the target.

    The nearest mean of length 1 to a row of length 1 is that of the largest product, which the
    row's own length does not change: hence linear.
    """
    ways = projections(source, target, n_classes, alpha=alpha, balanced=balanced)
    moved = [rows @ way for (rows, _), way in zip((source, target), ways, strict=True)]
    if balanced:
        centre = 0.5 * (moved[0].mean(axis=0) + moved[1].mean(axis=0))
    else:
        centre = np.vstack(moved).mean(axis=0)
    means = np.zeros((n_classes, len(centre)))
    for part, (_, codes) in zip(moved, (source, target), strict=True):
        unit = part - centre
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-300)
        total = one_hot(codes, n_classes).T @ unit
        size = np.maximum(np.bincount(codes, minlength=n_classes), 1.0)
        means += total / size[:, None] if balanced else total
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-300)
    spread = max(float(np.linalg.norm(moved[1] - centre, axis=1).mean()), 1e-300)
    coef = SHARPNESS / spread * means.T
    return LinearForm(ways[1] @ coef, -centre @ coef)
