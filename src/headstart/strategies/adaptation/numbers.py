"""Adapters of numbers: ridge regression that learns from a source domain for a target domain.

All of them leave weighted medians of lines, mostly of a single one, and take rows as they are:
scaling and mapping are folded in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.core.errors import DataError
from headstart.core.missing import is_missing
from headstart.core.types import AnyArray, Decision, FloatArray, IntArray, State
from headstart.strategies.adaptation.align import few_rows
from headstart.strategies.adaptation.augmentation import augmented
from headstart.strategies.adaptation.base import target_rows
from headstart.strategies.adaptation.domains import pooled_scale
from headstart.strategies.adaptation.gaussian import gaussian_map, moments, moved
from headstart.strategies.adaptation.medians import LineMedian
from headstart.strategies.adaptation.number_head import FORM
from headstart.strategies.adaptation.tradaboost_r2 import TrAdaBoostR2
from headstart.strategies.ridge import Ridge, decompose, default_alphas


@dataclass(frozen=True, eq=False)
class NumberDomains:
    """Both domains, checked and scaled.

    Parameters
    ----------
    X : array of shape (n, d)
    y : float64 array of shape (n,)
    target : array of shape (m, d)
    known : int array of shape (k,)
        Places of the target rows that have a number.
    numbers : float64 array of shape (k,)
        Those numbers.
    """

    X: FloatArray
    y: FloatArray
    target: FloatArray
    known: IntArray
    numbers: FloatArray

    @property
    def labelled(self) -> FloatArray:
        """The rows of the target that have a number."""
        return self.target[self.known]


class NumberAdapter(RegressorMixin, BaseEstimator):
    """Base of regressors that learn from a source domain for a target domain.

    A subclass has ``_adapt``. The penalty of every ridge regression is chosen by exact
    leave-one-out.

    Parameters
    ----------
    scale : bool
        Standardise features by both domains together.
    """

    scale: bool
    line_: LineMedian
    decisions_: tuple[Decision, ...]

    def __init__(self, *, scale: bool = True) -> None:
        self.scale = scale

    def fit(self, X: Any, y: Any, X_target: Any = None, y_target: Any = None) -> Self:
        """Fit to rows of the source with their numbers, and rows of the target.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array of n numbers
        X_target : array of shape (m, d), optional
            Rows of the target; without them the source is its own target.
        y_target : sequence of length m, optional
            Numbers of the target; None or NaN where there is none.

        Raises
        ------
        DataError
            The target has other features, or numbers that are none or do not match its rows.
        ValueError
            X or y hold NaN or infinity or do not match (scikit-learn's own message).
        """
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], y_numeric=True)
        target = X if X_target is None else target_rows(X_target, X)
        known, numbers = target_numbers(y_target, len(target))
        self.decisions_ = ()
        scale = pooled_scale(X, target) if self.scale else None
        if scale is not None:
            X, target = scale(X), scale(target)
        domains = NumberDomains(X, np.asarray(y, np.float64), target, known, numbers)
        line = self._adapt(domains)
        self.line_ = line if scale is None else line.scaled(scale.mean, scale.spread)
        return self

    def _adapt(self, domains: NumberDomains) -> LineMedian:
        """Return what predicts for scaled rows of the target."""
        raise NotImplementedError

    def predict(self, X: Any) -> FloatArray:
        """Return a number for each row of the target."""
        check_is_fitted(self, "line_")
        rows = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return self.line_(rows)

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        check_is_fitted(self, "line_")
        return State(self.line_.arrays(), {"form": FORM, "n_features": int(self.n_features_in_)})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`; it predicts bit-identically."""
        model = cls()
        model.n_features_in_ = int(state.meta["n_features"])
        model.line_ = LineMedian.from_arrays(state.arrays)
        model.decisions_ = ()
        return model


class SourceOnlyRegressor(NumberAdapter):
    """Learn numbers from the source alone and hope that it holds in the target.

    Parameters
    ----------
    scale : bool
        Standardise features by both domains together.

    Examples
    --------
    >>> from headstart.strategies.adaptation import SourceOnlyRegressor
    >>> X = [[float(i)] for i in range(20)]
    >>> model = SourceOnlyRegressor().fit(X, [2.0 * i for i in range(20)], [[30.0]])
    >>> [round(one) for one in model.predict([[30.0]])]
    [60]
    """

    def _adapt(self, domains: NumberDomains) -> LineMedian:
        return ridge_line(domains.X, domains.y)


class TargetOnlyRegressor(NumberAdapter):
    """Learn numbers from the labelled rows of the target alone.

    Parameters
    ----------
    scale : bool
        Standardise features by both domains together.

    Raises
    ------
    DataError
        No row of the target has a number.
    """

    def _adapt(self, domains: NumberDomains) -> LineMedian:
        if not len(domains.known):
            raise DataError(
                "no row of the target has a number",
                where="y_target",
                hint="give numbers of some rows of the target",
            )
        return ridge_line(domains.labelled, domains.numbers)


class PooledRegressor(NumberAdapter):
    """Learn numbers from the source and the labelled rows of the target together.

    Parameters
    ----------
    scale : bool
        Standardise features by both domains together.
    """

    def _adapt(self, domains: NumberDomains) -> LineMedian:
        rows = np.vstack([domains.X, domains.labelled])
        return ridge_line(rows, np.concatenate([domains.y, domains.numbers]))


class LinearOTRegressor(NumberAdapter):
    """Map the source to the target by mean and covariance; labelled target rows join it.

    With fewer than 10 rows in a domain the source is taken as it is.

    Parameters
    ----------
    scale : bool
        Standardise features by both domains together.

    References
    ----------
    Flamary, Lounici & Ferrari, arXiv:1905.10155, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import LinearOTRegressor
    >>> X = np.linspace(0, 1, 50)[:, None]
    >>> model = LinearOTRegressor().fit(X, 3 * X[:, 0], 10 * X + 5)
    >>> [round(one, 2) for one in model.predict([[5.0], [15.0]]).tolist()]
    [0.0, 3.0]
    """

    def _adapt(self, domains: NumberDomains) -> LineMedian:
        few = few_rows("linear-ot", len(domains.X), len(domains.target))
        source = domains.X
        if few is not None:
            self.decisions_ = (few,)
        else:
            source = moved(source, *gaussian_map(moments(source), moments(domains.target)))
        rows = np.vstack([source, domains.labelled])
        return ridge_line(rows, np.concatenate([domains.y, domains.numbers]))


class FeatureAugmentationRegressor(NumberAdapter):
    """Learn what domains share and what only one of them shows, in one ridge regression.

    A row x of the source becomes (x, x, 0), a row of the target (x, 0, x); each copy has a
    constant. The line for the target is the sum of its general and its target part.

    Parameters
    ----------
    scale : bool
        Standardise features by both domains together.

    References
    ----------
    Daume III, ACL 2007.
    """

    def _adapt(self, domains: NumberDomains) -> LineMedian:
        rows, d = domains.labelled, domains.X.shape[1]
        wide = np.vstack([augmented(domains.X, "source"), augmented(rows, "target")])
        line = ridge_line(wide, np.concatenate([domains.y, domains.numbers]))
        general, special = line.coefs[:, :d], line.coefs[:, 2 * d + 1 :]
        return LineMedian(general + special[:, :d], line.intercepts + special[:, d], line.weights)


class BiasedRegressor(NumberAdapter):
    """Fine-tune the source's line: ridge regression of what it leaves on the target.

    The penalty is on the change of the slopes, so that few rows move the intercept only.

    Parameters
    ----------
    scale : bool
        Standardise features by both domains together.

    References
    ----------
    Chelba & Acero, EMNLP 2004; Li, Grandvalet & Davoine (L2-SP), ICML 2018.

    Examples
    --------
    >>> from headstart.strategies.adaptation import BiasedRegressor
    >>> X = [[float(i)] for i in range(20)]
    >>> model = BiasedRegressor().fit(X, [2.0 * i for i in range(20)], X[:6], [7.0 + 2 * i
    ...     for i in range(6)])
    >>> [round(one) for one in model.predict([[30.0]])]
    [67]
    """

    def _adapt(self, domains: NumberDomains) -> LineMedian:
        source = ridge_line(domains.X, domains.y)
        rows = domains.labelled
        if not len(rows):
            self.decisions_ = (Decision("source-only", "no row of the target has a number"),)
            return source
        change = ridge_line(rows, domains.numbers - source(rows))
        return LineMedian(
            source.coefs + change.coefs, source.intercepts + change.intercepts, source.weights
        )


class TrAdaBoostRegressor(NumberAdapter):
    """Two-stage TrAdaBoost.R2 of ridge regressions on scaled features.

    Parameters
    ----------
    steps, rounds, folds
        As for :class:`~headstart.strategies.adaptation.TrAdaBoostR2`; fewer by default, for here it
        is fitted anew for each fifth of the labels.
    scale : bool
        Standardise features by both domains together.
    random_state : int or None
        Deals the labelled rows to folds.

    References
    ----------
    Pardoe & Stone, Boosting for regression transfer, ICML 2010, algorithm 3.
    """

    def __init__(
        self,
        *,
        steps: int = 5,
        rounds: int = 5,
        folds: int = 3,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        super().__init__(scale=scale)
        self.steps = steps
        self.rounds = rounds
        self.folds = folds
        self.random_state = random_state

    def _adapt(self, domains: NumberDomains) -> LineMedian:
        model = TrAdaBoostR2(
            steps=self.steps,
            rounds=self.rounds,
            folds=self.folds,
            random_state=self.random_state,
        )
        model.fit(domains.X, domains.y, domains.labelled, domains.numbers)
        self.decisions_ = model.decisions_
        assert isinstance(model.model_, LineMedian)
        return model.model_


def ridge_line(X: FloatArray, y: FloatArray) -> LineMedian:
    """Return the line of ridge regression, its penalty chosen by exact leave-one-out.

    Parameters
    ----------
    X : array of shape (n, d)
    y : array of shape (n,)
    """
    spectrum = decompose(X)
    ridge = Ridge(spectrum, y[:, None])
    coef, intercept = ridge.linear(ridge.best_alpha(default_alphas(spectrum)))
    return LineMedian(coef.T, intercept, np.ones(1))


def target_numbers(y: Sequence[Any] | AnyArray | None, m: int) -> tuple[IntArray, FloatArray]:
    """Return which rows of the target have a number, and the numbers.

    Parameters
    ----------
    y : sequence of length m, or None
        None, NaN or pandas' NA where there is no number.
    m : int

    Raises
    ------
    DataError
        Another count than of rows, or something that is no finite number.
    """
    if y is None:
        return np.zeros(0, np.int64), np.zeros(0)
    if len(y) != m:
        raise DataError(
            "numbers of the target and its rows differ in count",
            where="y_target",
            got=f"{len(y)} numbers for {m} rows",
            hint="give None for a row without a number",
        )
    known, numbers = [], []
    for row, one in enumerate(y):
        if is_missing(one):
            continue
        try:
            number = float(one)
        except (TypeError, ValueError):
            number = np.inf
        if not np.isfinite(number):
            raise DataError("not a number", where=f"y_target, row {row + 1}", got=one)
        known.append(row)
        numbers.append(number)
    return np.array(known, dtype=np.int64), np.array(numbers, dtype=np.float64)
