"""Paired rows: what the source's features would be is read off the target's."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray
from headstart.strategies.adaptation.base import learn, linear_form
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.heterogeneous.base import HeterogeneousAdapter
from headstart.strategies.heterogeneous.sides import Sides
from headstart.strategies.ridge import Ridge, decompose, default_alphas

WAYS = ("distil", "ridge", "cca")


class PairedMap(HeterogeneousAdapter):
    """Carry what the source's labels say over to the target's features by items known in both.

    The pairs need no labels. Labelled rows of the target are learnt from, too.

    Parameters
    ----------
    method : {"distil", "ridge", "cca"}
        The source's model names the classes of the pairs, with its doubt, and the target's learns
        from those; or a map of the target's features to the source's: ridge regression, its penalty
        chosen by leave-one-out, or canonical correlations, in which both domains meet.
    shrinkage : float, 0 to 1
        For "cca": how far covariances are drawn towards a multiple of the identity.
    C : float, > 0
        Inverse strength of the penalty of the learner.
    guarded : bool
        Where the target has labels: hand back a model of them alone unless held-out labels speak
        for transfer.
    random_state : int or None
        Deals the labelled rows to folds.

    Attributes
    ----------
    adapted_ : bool
        Whether the transfer passed the guard.
    fit_ : float
        "distil": the mean probability of the class that the source's model names. "ridge": the
        share of the variance of the source's features that the map gets right on pairs held out.
        "cca": the largest canonical correlation on half of the pairs, held out.

    References
    ----------
    Hoerl & Kennard, Technometrics 1970; Hotelling, Biometrika 1936; Vinod (canonical ridge),
    Journal of Econometrics 1976; Gupta, Hoffman & Malik (cross-modal distillation), CVPR 2016.

    Examples
    --------
    >>> from headstart.strategies.heterogeneous import PairedMap
    >>> X, y = [[0.0], [1.0], [4.0], [5.0]], ["a", "a", "b", "b"]
    >>> both = [[0.0], [2.0], [3.0], [5.0]], [[10.0, 0.0], [6.0, 1.0], [4.0, 1.0], [0.0, 0.0]]
    >>> model = PairedMap().fit(X, y, [[9.0, 0.5], [1.0, 0.5]], pairs=both)
    >>> model.predict([[9.0, 0.0], [1.0, 1.0]]).tolist()
    ['a', 'b']
    """

    needs_pairs = True

    def __init__(
        self,
        *,
        method: Literal["distil", "ridge", "cca"] = "distil",
        shrinkage: float = 0.05,
        C: float = 1.0,
        guarded: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.method = method
        self.shrinkage = shrinkage
        self.C = C
        self.guarded = guarded
        self.random_state = random_state

    def _adapt(self, sides: Sides) -> LinearForm:
        if self.method not in WAYS:
            raise OptionError("unknown way", where="method", got=self.method, allowed=WAYS)
        if not 0.0 <= self.shrinkage <= 1.0:
            raise OptionError(
                "a shrinkage lies between 0 and 1", where="shrinkage", got=self.shrinkage
            )
        assert sides.pairs is not None
        here, there = sides.pairs
        if self.method == "distil":
            return self._distil(sides, here, there)
        if len(here) < 3:
            self.fit_ = 0.0
            raised = LinearForm(np.zeros((there.shape[1], here.shape[1])), np.zeros(here.shape[1]))
            source, note = sides.X, f"{len(here)} pairs: too few for a map"
        elif self.method == "ridge":
            source, raised, note = self._ridge(sides.X, here, there)
        else:
            source, raised, note = self._cca(sides.X, here, there)
        self.decisions_ = (Decision(f"mapped by {len(here)} pairs", note),)
        rows, codes = sides.labelled
        form = learn(
            np.vstack([source, rows @ raised.coef + raised.intercept]),
            np.concatenate([sides.codes, codes]),
            sides.n_classes,
            C=self.C,
        )
        found: LinearForm = form.after(raised.coef, raised.intercept)
        return found

    def _distil(self, sides: Sides, here: FloatArray, there: FloatArray) -> LinearForm:
        """Return a model of the target's features that learns from the source's model on pairs."""
        k = sides.n_classes
        source: LinearForm = self._once("source", lambda: learn(sides.X, sides.codes, k, C=self.C))
        shares = source.probabilities(here)
        self.fit_ = float(shares.max(axis=1).mean())
        rows, codes = sides.labelled
        weights = np.concatenate([shares.T.ravel(), np.ones(len(rows))])
        weights[weights < 1e-3] = 0.0
        why = f"the source's model is sure of them by {self.fit_:.0%}"
        self.decisions_ = (Decision(f"learnt from {len(here)} pairs", why),)
        return linear_form(
            np.vstack([np.tile(there, (k, 1)), rows]),
            np.concatenate([np.repeat(np.arange(k), len(there)), codes]),
            k,
            weights=weights,
            C=self.C,
        )

    def _ridge(
        self, X: FloatArray, here: FloatArray, there: FloatArray
    ) -> tuple[FloatArray, LinearForm, str]:
        spectrum = decompose(there)
        fit = Ridge(spectrum, here)
        alpha = fit.best_alpha(default_alphas(spectrum))
        total = float(((here - here.mean(axis=0)) ** 2).sum(axis=1).mean())
        self.fit_ = 1.0 - fit.loo_error(alpha) / max(total, 1e-300)
        note = f"{self.fit_:.0%} of the variance of the source's features, on pairs held out"
        return X, LinearForm(*fit.linear(alpha)), note

    def _cca(
        self, X: FloatArray, here: FloatArray, there: FloatArray
    ) -> tuple[FloatArray, LinearForm, str]:
        kept, self.fit_ = shared_directions(here, there, self.shrinkage)
        first, second, correlations = canonical(here, there, self.shrinkage)
        first, second = first[:, :kept], second[:, :kept] * correlations[:kept]
        note = f"{kept} canonical pairs, the first correlates by {self.fit_:.2f} where held out"
        form = LinearForm(second, -there.mean(axis=0) @ second)
        return (X - here.mean(axis=0)) @ first, form, note


def canonical(
    first: FloatArray, second: FloatArray, shrinkage: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the canonical directions (d, r) of two sets of paired rows and their correlations.

    Parameters
    ----------
    first, second : array of shape (p, d)
    shrinkage : float, 0 to 1
        Covariances become ``(1 - s) S + s mean(diag S) I``.
    """
    parts: list[Any] = []
    for rows in (first, second):
        away = rows - rows.mean(axis=0)
        cov = away.T @ away / len(away)
        size = float(np.trace(cov)) / len(cov)
        values, axes = np.linalg.eigh((1.0 - shrinkage) * cov + shrinkage * size * np.eye(len(cov)))
        keep = values > max(float(values[-1]), 1e-300) * 1e-10
        parts.append((away, axes[:, keep] / np.sqrt(values[keep])))
    cross = parts[0][1].T @ (parts[0][0].T @ parts[1][0] / len(first)) @ parts[1][1]
    left, correlations, right = np.linalg.svd(cross, full_matrices=False)
    return parts[0][1] @ left, parts[1][1] @ right.T, correlations


def shared_directions(first: FloatArray, second: FloatArray, shrinkage: float) -> tuple[int, float]:
    """Return how many canonical pairs correlate where held out, at least 1, and the best of them.

    Every other pair of rows fits, the rest judges: a correlation counts above two standard errors.
    """
    train, test = np.arange(len(first)) % 2 == 0, np.arange(len(first)) % 2 == 1
    one, two, _ = canonical(first[train], second[train], shrinkage)
    a = (first[test] - first[test].mean(axis=0)) @ one
    b = (second[test] - second[test].mean(axis=0)) @ two
    norms = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    found = (a * b).sum(axis=0) / np.where(norms > 0, norms, 1.0)
    low = found < 2.0 / np.sqrt(test.sum())
    count = int(np.argmax(low)) if low.any() else len(found)
    return max(count, 1), float(found.max(initial=0.0))
