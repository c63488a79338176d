"""ESZSL: from features to classes by way of attributes, in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import scipy.linalg

from headstart.core.errors import DataError, OptionError
from headstart.core.types import Decision, FloatArray, IntArray, State
from headstart.strategies.class_features import class_rows, codes_of
from headstart.strategies.frozen import (
    FrozenClassifier,
    pack_classes,
    pack_decision,
)
from headstart.strategies.heads import linear_probabilities
from headstart.strategies.temper import sharpness

PENALTIES = tuple(10.0**power for power in range(-3, 4))
"""Tried for both regularisers, in units of the mean eigenvalue of what they are added to."""
FOLDS = 5
OVER = ("all", "unseen")
PLAIN = 1.0
"""Both regularisers where too few classes have labels to hold any out."""


class ESZSL(FrozenClassifier):
    """Predict classes without a label by their attributes, learnt from classes that have labels.

    ``V = (X'X + gamma I)^-1 X' Y S (S'S + lam I)^-1`` is the closed form of the paper, X the rows
    less their mean, Y +1 for a row's class and -1 for the others, S the attributes of the classes
    that have labels; the score of a class is ``x' V s``. Attributes are standardised over all
    classes, with a constant beside them (not in the paper; without, none of them is neutral). Both
    regularisers are chosen by cross-validation that holds out whole classes, which the rest must
    recognise by their attributes alone.

    Parameters
    ----------
    class_features : mapping of label to (a,) numbers
        The attributes of all classes, with labels and without.
    over : {"all", "unseen"}, default "all"
        What may be predicted: every class, or only those that no label names.
    gamma, lam : float > 0, optional
        The regularisers, times the mean eigenvalue; by default cross-validated.
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.
    random_state : int or None, default 0
        The seed of the folds of classes.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
        What may be predicted.
    seen_ : ndarray of shape (z,)
        The classes that labels name.
    coef_ : ndarray of shape (d, k)
    intercept_ : ndarray of shape (k,)
    gamma_, lam_ : float
    decision_ : Decision
        How the regularisers were found.

    Raises
    ------
    OptionError
        A parameter is not among the allowed ones.
    DataError
        A label is not among the classes, or fewer than two classes may be predicted.
    ValueError
        X or y hold NaN or infinity or do not match (scikit-learn's own message).

    References
    ----------
    Romera-Paredes & Torr, An embarrassingly simple approach to zero-shot learning, ICML 2015.

    Examples
    --------
    >>> from headstart.strategies import ESZSL
    >>> kinds = {"cat": [1, 0], "whale": [0, 1], "seal": [1, 1], "bat": [1, -1]}
    >>> X = [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9], [0.9, 1.0], [1.0, 0.9]]
    >>> y = ["cat", "cat", "whale", "whale", "seal", "seal"]
    >>> model = ESZSL(class_features=kinds).fit(X, y)
    >>> model.seen_.tolist(), model.predict([[1.5, -0.9]]).tolist()
    (['cat', 'seal', 'whale'], ['bat'])
    """

    def __init__(
        self,
        *,
        class_features: Mapping[Any, Any] | None = None,
        over: str = "all",
        gamma: float | None = None,
        lam: float | None = None,
        source: Any = None,
        random_state: int | None = 0,
    ) -> None:
        self.class_features = class_features
        self.over = over
        self.gamma = gamma
        self.lam = lam
        self.source = source
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to features (n, d), or items where ``source`` is set, and n labels."""
        X, y = self._check(X, y)
        if self.over not in OVER:
            raise OptionError("unknown choice", where="over", got=self.over, allowed=OVER)
        names, attributes = class_rows(self.class_features)
        attributes = _standardised(attributes)
        codes = codes_of(y, names)
        seen = np.unique(codes)
        wanted = np.arange(len(names))
        if self.over == "unseen":
            wanted = np.setdiff1d(wanted, seen)
        if len(seen) < 2 or not len(wanted):
            raise DataError(
                "two classes at least need labels, and one more where only unseen ones are wanted",
                got=f"{len(seen)} with labels of {len(names)}",
            )
        mean = X.mean(axis=0, dtype=np.float64)
        rows = X.astype(np.float64) - mean
        self.seen_ = names[seen]
        fitted = self._chosen(rows, codes, attributes, seen)
        coef = fitted @ attributes[wanted].T
        self.classes_, self.coef_ = names[wanted], coef * self._factor
        self.intercept_ = -mean @ self.coef_
        return self

    def _chosen(
        self, rows: FloatArray, codes: IntArray, attributes: FloatArray, seen: IntArray
    ) -> FloatArray:
        """Return V (d, a) with the regularisers that recognise held-out classes best."""
        gammas = [_positive(self.gamma, "gamma")] if self.gamma is not None else list(PENALTIES)
        lams = [_positive(self.lam, "lam")] if self.lam is not None else list(PENALTIES)
        folds = _class_folds(seen, self.random_state)
        self._factor = 1.0
        if (len(gammas) > 1 or len(lams) > 1) and not folds:
            gammas = gammas if len(gammas) == 1 else [PLAIN]
            lams = lams if len(lams) == 1 else [PLAIN]
        pairs = [(gamma, lam) for gamma in gammas for lam in lams]
        right = np.zeros(len(pairs))
        held: list[list[tuple[FloatArray, IntArray]]] = [[] for _ in pairs]
        for out in folds:
            inside = ~np.isin(codes, out)
            known = np.setdiff1d(seen, out)
            solver = _Solver(rows[inside], codes[inside], attributes[known], known)
            where = np.searchsorted(out, codes[~inside])
            for place, (gamma, lam) in enumerate(pairs):
                scores = rows[~inside] @ (solver.solve(gamma, lam) @ attributes[out].T)
                held[place].append((scores, where))
                hits = scores.argmax(axis=1) == where
                right[place] += np.mean([hits[where == c].mean() for c in np.unique(where)])
        best = int(right.argmax())
        self.gamma_, self.lam_ = pairs[best]
        self._explain(len(pairs), right[best], folds, seen)
        solver = _Solver(rows, codes, attributes[seen], seen)
        fitted = solver.solve(self.gamma_, self.lam_)
        own = rows @ (fitted @ attributes[seen].T)
        self._factor = sharpness(own, np.searchsorted(seen, codes))
        if folds:
            factors = [sharpness(scores, where) for scores, where in held[best]]
            self._factor = min(self._factor, float(np.median(factors)))
        return fitted

    def _explain(self, tried: int, right: float, folds: list[IntArray], seen: IntArray) -> None:
        what = f"eszsl: gamma = {self.gamma_:.3g}, lambda = {self.lam_:.3g}"
        if not folds or tried == 1:
            why = (
                "as given" if tried == 1 and folds else f"{len(seen)} classes: none can be held out"
            )
            self.decision_ = Decision(what, why)
            return
        size = np.mean([len(out) for out in folds])
        why = (
            f"{right / len(folds):.3f} of the rows of held-out classes right, by attributes alone "
            f"among {size:.3g} of them; best of {tried} pairs"
        )
        self.decision_ = Decision(what, why, "ESZSL(gamma=..., lam=...) forces others")

    def _probabilities(self, X: FloatArray) -> FloatArray:
        return linear_probabilities(X, self.coef_, self.intercept_)

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | pack_classes(self.classes_)
        meta |= {"gamma": self.gamma_, "lam": self.lam_, "seen": self.seen_.tolist()}
        meta |= pack_decision(self.decision_)
        return State({"coef": self.coef_, "intercept": self.intercept_}, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls._opened(state)
        model.seen_ = np.array(state.meta["seen"], dtype=model.classes_.dtype)
        model.coef_, model.intercept_ = state.arrays["coef"], state.arrays["intercept"]
        model.gamma_, model.lam_ = float(state.meta["gamma"]), float(state.meta["lam"])
        return model


def _standardised(attributes: FloatArray) -> FloatArray:
    """Return attributes (k, a) of mean 0 and variance 1 over the classes, and a constant."""
    spread = attributes.std(axis=0)
    scaled = (attributes - attributes.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    whole: FloatArray = np.hstack([scaled, np.ones((len(attributes), 1))])
    return whole


def _positive(value: float, where: str) -> float:
    if not 0.0 < value < np.inf:
        raise OptionError("must be a positive number", where=where, got=value)
    return float(value)


def _class_folds(seen: IntArray, random_state: int | None) -> list[IntArray]:
    """Return the classes that each fold holds out, sorted, at least two, at least two left."""
    n_folds = min(FOLDS, len(seen) // 2)
    if n_folds < 2:
        return []
    order = np.random.default_rng(random_state).permutation(seen)
    return [np.sort(order[fold::n_folds]) for fold in range(n_folds)]


class _Solver:
    """The closed form for one set of rows, decomposed once for all regularisers."""

    def __init__(
        self, rows: FloatArray, codes: IntArray, attributes: FloatArray, known: IntArray
    ) -> None:
        target = np.full((len(rows), len(known)), -1.0)
        target[np.arange(len(rows)), np.searchsorted(known, codes)] = 1.0
        self.left = _decomposed(rows.T @ rows)
        self.right = _decomposed(attributes.T @ attributes)
        middle = rows.T @ target @ attributes
        self.middle: FloatArray = self.left[1].T @ middle @ self.right[1]

    def solve(self, gamma: float, lam: float) -> FloatArray:
        """Return V of shape (d, a)."""
        (values, vectors), (others, turned) = self.left, self.right
        down = values + gamma * _unit(values)
        across = others + lam * _unit(others)
        solved: FloatArray = vectors @ (self.middle / np.outer(down, across)) @ turned.T
        return solved


def _decomposed(scatter: FloatArray) -> tuple[FloatArray, FloatArray]:
    values, vectors = scipy.linalg.eigh(scatter)
    return np.maximum(values, 0.0), vectors


def _unit(values: FloatArray) -> float:
    """Return the mean eigenvalue; 1 where there is no scatter at all."""
    mean = float(values.mean())
    return mean if mean > 0.0 else 1.0
