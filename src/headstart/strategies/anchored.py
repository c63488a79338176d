"""Logistic regression that is pulled towards a prior solution in place of zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from headstart.core.types import Decision, FloatArray, IntArray, State
from headstart.strategies.class_rows import rows_of
from headstart.strategies.frozen import (
    FrozenClassifier,
    pack_classes,
    pack_decision,
    positive_list,
)
from headstart.strategies.heads import linear_probabilities
from headstart.strategies.shots import Line, PriorOf, Shots, class_means_prior
from headstart.strategies.temper import sharpness
from headstart.strategies.unit import unit_means, unit_rows

RELATIVE_CS = (1.0, 10.0, 100.0, 1000.0)
ERRORS = 1.0  # standard errors of the paired log losses by which the prior must be beaten


def _fixed(line: Line, rows: FloatArray, codes: IntArray) -> PriorOf:
    """Return the prior that is the same whatever rows are known, tempered on all of them."""
    known = line.times(sharpness(line.scores(rows), codes))
    return lambda _: known


class Anchored(FrozenClassifier):
    """Classify with logistic regression that is pulled towards a prior solution, not to zero.

    The prior is the nearest class mean of centred features scaled to length 1 (as in
    ``Prototypes``), or, where ``class_features`` are given, the zero-shot solution: the cosine to
    the features of the class (rows are then not centred). How hard it is pulled is chosen on
    held-out rows, in five stratified folds. The prior itself remains where its log loss is not
    beaten by a standard error, or nothing can be held out. Held-out scores set the temperature.

    Parameters
    ----------
    class_features : mapping of label to ndarray of shape (d,), optional
        The features of each class, as embeddings of its name.
    Cs : sequence of float > 0, optional
        Inverse strengths of the pull, over the mean squared length of the rows: by default 1, 10,
        100 and 1000. The prior itself always takes part.
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.
    random_state : int or None, default 0
        The seed of the folds.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    centre_ : ndarray of shape (d,)
    coef_ : ndarray of shape (d, k)
    intercept_ : ndarray of shape (k,)
        On rows less ``centre_``, scaled to length 1.
    C_ : float
        The chosen inverse strength; 0: the prior itself.
    decision_ : Decision
        What was chosen and why.

    Raises
    ------
    OptionError
        A class without features, or penalties that are not positive.
    DataError
        The labels cannot be sorted.

    References
    ----------
    LP++: Huang et al., CVPR 2024; CLAP: Silva-Rodriguez et al., CVPR 2024.

    Examples
    --------
    >>> from headstart.strategies import Anchored
    >>> X = [[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.1]]
    >>> Anchored().fit(X, ["up", "up", "right", "right"]).predict([[0.2, 2.0]]).tolist()
    ['up']
    """

    def __init__(
        self,
        *,
        class_features: Mapping[Any, Any] | None = None,
        Cs: Sequence[float] | None = None,
        source: Any = None,
        random_state: int | None = 0,
    ) -> None:
        self.class_features = class_features
        self.Cs = Cs
        self.source = source
        self.random_state = random_state

    def _fit(self, X: FloatArray, codes: IntArray) -> None:
        k = len(self.classes_)
        relative = positive_list(RELATIVE_CS if self.Cs is None else self.Cs, "Cs")
        known = self.class_features is not None
        if self.class_features is None:
            means = unit_means(X, codes, k)
            self.centre_, rows, prior_of = means.centre, means.rows, class_means_prior(means)
        else:
            self.centre_ = np.zeros(X.shape[1])
            rows = unit_rows(X, self.centre_)
            named = rows_of(self.class_features, self.classes_, X.shape[1])
            prior_of = _fixed(Line(named.T, np.zeros(k)), rows, codes)
        shots = Shots(rows, codes, k, random_state=self.random_state, lone=known)
        prior = prior_of(np.ones(len(codes), dtype=bool))
        self.C_, factor, why = 0.0, 1.0, "nothing can be held out"
        if not shots.settled:
            alone = shots.try_prior("prior", prior_of)
            path = shots.try_path("anchored", np.sort(relative) * shots.unit_c, prior_of)
            best = min(path, key=lambda one: one.loss)
            chosen = best if alone.surely_behind(best, ERRORS) else alone
            self.C_, factor = chosen.penalty, chosen.factor
            why = f"log loss {best.loss:.3f} at C = {best.penalty:.3g} on {len(best.right)} "
            why += f"held-out rows, the prior {alone.loss:.3f}"
        line = shots.line(self.C_, prior).times(factor)
        self.coef_, self.intercept_ = line.coef, line.intercept
        what = f"pulled towards the prior, C = {self.C_:.3g}" if self.C_ else "the prior itself"
        self.decision_ = Decision(f"anchored: {what}", why, "Anchored(Cs=[...]) tries others")

    def _probabilities(self, X: FloatArray) -> FloatArray:
        return linear_probabilities(unit_rows(X, self.centre_), self.coef_, self.intercept_)

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | pack_classes(self.classes_) | {"C": self.C_}
        meta |= pack_decision(self.decision_)
        arrays = {"coef": self.coef_, "intercept": self.intercept_, "centre": self.centre_}
        return State(arrays, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls._opened(state)
        model.coef_, model.intercept_ = state.arrays["coef"], state.arrays["intercept"]
        model.centre_, model.C_ = state.arrays["centre"], float(state.meta["C"])
        return model
