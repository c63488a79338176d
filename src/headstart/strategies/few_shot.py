"""A head for few labels: linear models tried on held-out shots, averaged where none is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray, State
from headstart.strategies.frozen import (
    FrozenClassifier,
    pack_classes,
    pack_decision,
)
from headstart.strategies.heads import linear_probabilities
from headstart.strategies.shots import Line, PriorOf, Shots, Tried, class_means_prior
from headstart.strategies.temper import sharpness
from headstart.strategies.unit import unit_means, unit_rows

HEADS = ("prototypes", "ridge", "logistic", "anchored")
RELATIVE_CS = {"logistic": (1.0, 10.0, 100.0), "anchored": (1.0, 10.0, 100.0, 1000.0)}
LONE_C = 1.0  # relative C of logistic regression, the head where no class has two rows
ERRORS = 2.0  # standard errors of the paired log losses within which heads are averaged


class FewShot(FrozenClassifier):
    """Classify with the linear heads that do best on held-out shots, averaged if near.

    Rows are centred and scaled to length 1. Prototypes, ridge regression, logistic regression and
    logistic regression pulled towards the prototypes predict the same held-out rows, in five
    stratified folds; the penalty of ridge comes from exact leave-one-out. The head with the least
    log loss is taken, and with it all whose paired log loss is within two standard errors of it:
    their tempered scores are averaged, which is again one linear head. With one row a class
    nothing can be held out: then it is logistic regression with a fixed penalty.

    Parameters
    ----------
    heads : sequence of {"prototypes", "ridge", "logistic", "anchored"}, optional
        Those that take part; by default all.
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
    heads_ : tuple of str
        The heads that were averaged.
    decision_ : Decision
        What was chosen and why.

    Raises
    ------
    OptionError
        An unknown head, or none.
    DataError
        The labels cannot be sorted.

    References
    ----------
    SimpleShot: Wang et al., arXiv:1911.04623 (2019); RFS: Tian et al., ECCV 2020; LP++: Huang et
    al., CVPR 2024.

    Examples
    --------
    >>> from headstart.strategies import FewShot
    >>> X = [[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.1]]
    >>> FewShot().fit(X, ["up", "up", "right", "right"]).predict([[0.2, 2.0]]).tolist()
    ['up']
    """

    def __init__(
        self,
        *,
        heads: Sequence[str] | None = None,
        source: Any = None,
        random_state: int | None = 0,
    ) -> None:
        self.heads = heads
        self.source = source
        self.random_state = random_state

    def _fit(self, X: FloatArray, codes: IntArray) -> None:
        names = HEADS if self.heads is None else tuple(self.heads)
        if not names or any(name not in HEADS for name in names):
            raise OptionError("not heads to choose from", where="heads", got=names, allowed=HEADS)
        k = len(self.classes_)
        means = unit_means(X, codes, k)
        self.centre_, prior_of = means.centre, class_means_prior(means)
        shots = Shots(means.rows, codes, k, random_state=self.random_state)
        every = np.ones(len(codes), dtype=bool)
        if shots.settled:
            line, self.heads_, why = _blind(names, shots, prior_of(every))
        else:
            tried = [_best(name, shots, prior_of) for name in names]
            near = _near(tried)
            self.heads_, why = tuple(one.name for one in near), _reason(tried, len(codes))
            lines = [_line(one, shots, prior_of(every)) for one in near]
            line = lines[0]
            for other in lines[1:]:
                line = line.plus(other)
            mean = np.mean([one.scores for one in near], axis=0)
            line = line.times(sharpness(mean, codes[shots.judged]) / len(near))
        self.coef_, self.intercept_ = line.coef, line.intercept
        what = f"few-shot: {' and '.join(self.heads_)}"
        self.decision_ = Decision(what, why, "FewShot(heads=[...]) forces others")

    def _probabilities(self, X: FloatArray) -> FloatArray:
        return linear_probabilities(unit_rows(X, self.centre_), self.coef_, self.intercept_)

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | pack_classes(self.classes_) | {"heads": list(self.heads_)}
        meta |= pack_decision(self.decision_)
        arrays = {"coef": self.coef_, "intercept": self.intercept_, "centre": self.centre_}
        return State(arrays, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls._opened(state)
        model.coef_, model.intercept_ = state.arrays["coef"], state.arrays["intercept"]
        model.centre_, model.heads_ = state.arrays["centre"], tuple(state.meta["heads"])
        return model


def _blind(names: Sequence[str], shots: Shots, prior: Line) -> tuple[Line, tuple[str, ...], str]:
    """Return the head where nothing can be compared: the fixed one, or the first that is named."""
    why = "nothing can be held out" if shots.k > 1 else "there is one class"
    name = "logistic" if "logistic" in names else names[0]
    if shots.k < 2 or name == "prototypes" or shots.too_many:
        return prior, ("prototypes",), "too many rows to compare" if shots.too_many else why
    if name == "ridge":
        return shots.ridge_line(shots.best_alpha()), (name,), why
    start = prior if name == "anchored" else None
    return shots.line(LONE_C * shots.unit_c, start), (name,), why


def _best(name: str, shots: Shots, prior_of: PriorOf) -> Tried:
    """Return a head with its best penalty, as tried on held-out rows."""
    if name == "prototypes":
        return shots.try_prior(name, prior_of)
    if name == "ridge":
        return shots.try_ridge(name)
    Cs = np.array(RELATIVE_CS[name]) * shots.unit_c
    path = shots.try_path(name, Cs, prior_of if name == "anchored" else None)
    return min(path, key=lambda one: one.loss)


def _near(tried: Sequence[Tried]) -> list[Tried]:
    """Return the head with the least log loss, and those that cannot be told apart from it."""
    best = min(tried, key=lambda one: one.loss)
    return [one for one in tried if not one.surely_behind(best, ERRORS)]


def _line(one: Tried, shots: Shots, prior: Line) -> Line:
    """Fit a head to all rows, tempered as it was when tried."""
    if one.name == "prototypes":
        line = prior
    elif one.name == "ridge":
        line = shots.ridge_line(one.penalty)
    else:
        line = shots.line(one.penalty, prior if one.name == "anchored" else None)
    return line.times(one.factor)


def _reason(tried: Sequence[Tried], n: int) -> str:
    said = ", ".join(f"{one.name} {one.loss:.3f} ({one.right.mean():.3f} right)" for one in tried)
    return f"log loss on {len(tried[0].right)} held-out of {n} rows: {said}"
