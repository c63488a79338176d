"""Two-stage TrAdaBoost.R2: regression that moves weight from the source to the target in steps."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from headstart.core.errors import DataError, OptionError
from headstart.core.types import Decision, FloatArray, IntArray, State
from headstart.strategies.adaptation.medians import LineMedian, Median, TreeMedian
from headstart.strategies.ridge import Ridge, decompose, default_alphas


class TrAdaBoostR2(RegressorMixin, BaseEstimator):
    """Boosted regression for the target, with as much weight on the source as held-out rows like.

    Each step fits AdaBoost.R2 to both domains, in which the source's weights stay; then the weights
    of source rows that a single learner gets wrong are lowered until the target has its share of
    the total, from ``m / (n + m)`` at first to 1 at last. The step of the least squared error on
    target rows held out predicts.

    Parameters
    ----------
    estimator : {"ridge", "tree"}
        Ridge regression with its penalty chosen by leave-one-out, or a regression tree.
    steps : int, >= 1
    rounds : int, >= 1
        Rounds of boosting at most in a step.
    folds : int, >= 2
        Parts of the target's labelled rows that are held out in turn.
    max_depth : int, >= 1
        Of a tree.
    random_state : int or None
        Deals the rows to folds.

    Attributes
    ----------
    errors_ : ndarray of shape (steps,)
        Mean squared error on held-out rows of the target.
    step_ : int
        The step chosen, 0 for the first: both domains by number of rows.
    decisions_ : tuple of Decision

    References
    ----------
    Pardoe & Stone, Boosting for regression transfer, ICML 2010, algorithm 3; Drucker, Improving
    regressors using boosting techniques, ICML 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import TrAdaBoostR2
    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> model = TrAdaBoostR2().fit(X, 2 * X[:, 0], X[::4], 2 * X[::4, 0] + 5)
    >>> bool(abs(model.predict([[10.0]])[0] - 25.0) < 0.5)
    True
    """

    model_: Median

    def __init__(
        self,
        *,
        estimator: Literal["ridge", "tree"] = "ridge",
        steps: int = 10,
        rounds: int = 10,
        folds: int = 5,
        max_depth: int = 4,
        random_state: int | None = 0,
    ) -> None:
        self.estimator = estimator
        self.steps = steps
        self.rounds = rounds
        self.folds = folds
        self.max_depth = max_depth
        self.random_state = random_state

    def fit(self, X: Any, y: Any, X_target: Any = None, y_target: Any = None) -> Self:
        """Fit to the source and to labelled rows of the target.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array of n numbers
        X_target : array of shape (m, d), optional
        y_target : sequence of length m, optional
            None or NaN where there is no number; without any the source alone is learnt.

        Raises
        ------
        OptionError
            An unknown estimator, or a number below its range.
        DataError
            The target has other features, or its numbers differ from its rows in count.
        """
        self._check()
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        rows, numbers = _labelled(X, X_target, y_target)
        self.decisions_: tuple[Decision, ...] = ()
        both, truth, n = np.vstack([X, rows]), np.concatenate([y, numbers]), len(X)
        if not len(rows):
            self.decisions_ = (Decision("source-only", "no row of the target has a number"),)
            self.errors_, self.step_ = np.zeros(0), 0
            self.model_ = self._boosted(both, truth, np.ones(n), n)
            return self
        errors, kept = [], []
        weights = np.full(len(both), 1.0 / len(both))
        for step in range(self.steps):
            errors.append(self._held_out(both, truth, weights, n))
            kept.append(weights)
            if step < self.steps - 1:
                missed = np.abs(truth - self._learner(both, truth, weights)(both))
                share = len(rows) / len(both)
                share += (step + 1) / (self.steps - 1) * (1.0 - share)
                weights = step_weights(weights, missed, n, share)
        self.errors_ = np.array(errors)
        self.step_ = int(self.errors_.argmin())
        self.model_ = self._boosted(both, truth, kept[self.step_], n)
        why = (
            f"mean squared error on held-out target rows {self.errors_[self.step_]:.4g}, "
            f"at the first step {self.errors_[0]:.4g}"
        )
        share = float(kept[self.step_][n:].sum())
        self.decisions_ = (Decision(f"{share:.0%} of the weight on the target", why),)
        return self

    def predict(self, X: Any) -> FloatArray:
        """Return a number for each row of the target."""
        check_is_fitted(self, "model_")
        return self.model_(validate_data(self, X, dtype=np.float64, reset=False))

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        check_is_fitted(self, "model_")
        meta = {"estimator": self.model_.name, "n_features": int(self.n_features_in_)}
        return State(self.model_.arrays(), meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`; it predicts bit-identically."""
        model = cls(estimator=state.meta["estimator"])
        model.n_features_in_ = int(state.meta["n_features"])
        kind = LineMedian if state.meta["estimator"] == "ridge" else TreeMedian
        model.model_ = kind.from_arrays(state.arrays)
        model.decisions_ = ()
        return model

    def _check(self) -> None:
        if self.estimator not in ("ridge", "tree"):
            raise OptionError(
                "unknown learner", where="estimator", got=self.estimator, allowed="ridge, tree"
            )
        least = {"steps": 1, "rounds": 1, "folds": 2, "max_depth": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise OptionError(f"at least {low}", where=name, got=getattr(self, name))

    def _learner(self, X: FloatArray, y: FloatArray, weights: FloatArray) -> Any:
        used = weights > 0
        X, y, weights = X[used], y[used], weights[used] / weights[used].mean()
        if self.estimator == "ridge":
            spectrum = decompose(X, weights)
            ridge = Ridge(spectrum, y[:, None])
            coef, intercept = ridge.linear(ridge.best_alpha(default_alphas(spectrum)))
            return LineMedian(coef.T, intercept, np.ones(1))
        from sklearn.tree import DecisionTreeRegressor

        tree = DecisionTreeRegressor(max_depth=self.max_depth, random_state=0)
        return TreeMedian.of([tree.fit(X, y, sample_weight=weights)], np.ones(1))

    def _boosted(self, X: FloatArray, y: FloatArray, weights: FloatArray, n: int) -> Median:
        """Return AdaBoost.R2 in which the weights of the first n rows stay."""
        weights = weights / weights.sum()
        learners: list[Any] = []
        votes: list[float] = []
        total = weights[n:].sum()
        for _ in range(self.rounds):
            learner = self._learner(X, y, weights)
            missed = np.abs(y - learner(X))
            missed /= max(float(missed.max()), 1e-300)
            error = float(weights @ missed)
            if error >= 0.5 and learners:
                break
            learners.append(learner)
            beta = max(error, 1e-10) / max(1.0 - error, 1e-10)
            votes.append(max(-float(np.log(beta)), 1e-10))
            if not 1e-10 < error < 0.5 or not total > 0:
                break
            weights = weights.copy()
            weights[n:] *= beta ** (1.0 - missed[n:])
            weights[n:] *= total / weights[n:].sum()
        return type(learners[0]).joined(learners, np.array(votes))

    def _held_out(self, X: FloatArray, y: FloatArray, weights: FloatArray, n: int) -> float:
        """Return the mean squared error on rows of the target, each part held out in turn."""
        m = len(X) - n
        folds = _dealt(m, min(self.folds, m), self.random_state)
        found = np.empty(m)
        for fold in range(int(folds.max()) + 1):
            train = np.concatenate([np.arange(n), n + np.flatnonzero(folds != fold)])
            test = n + np.flatnonzero(folds == fold)
            given = weights[train].copy()
            if given[n:].sum() > 0:  # the target keeps its share
                given[n:] *= weights[n:].sum() / given[n:].sum()
            if not given.sum() > 0:  # one row, and all weight is on it
                found[test - n] = y[:n].mean()
                continue
            found[test - n] = self._boosted(X[train], y[train], given, n)(X[test])
        return float(((found - y[n:]) ** 2).mean())


def _dealt(m: int, n_folds: int, random_state: int | None) -> IntArray:
    order = np.random.default_rng(random_state).permutation(m)
    folds = np.empty(m, dtype=np.int64)
    folds[order] = np.arange(m) % n_folds
    return folds


def _labelled(X: FloatArray, X_target: Any, y_target: Any) -> tuple[FloatArray, FloatArray]:
    """Return the rows of the target that have a number, and the numbers."""
    if X_target is None or y_target is None:
        return X[:0], np.zeros(0)
    rows = check_array(X_target, dtype=np.float64, input_name="X_target")
    if rows.shape[1] != X.shape[1]:
        raise DataError(
            "the target has other features than the source",
            where="X_target",
            got=f"{rows.shape[1]} features",
            allowed=f"{X.shape[1]}",
        )
    numbers = np.array([np.nan if one is None else float(one) for one in y_target])
    if len(numbers) != len(rows):
        raise DataError(
            "numbers of the target and its rows differ in count",
            where="y_target",
            got=f"{len(numbers)} numbers for {len(rows)} rows",
        )
    given = ~np.isnan(numbers)
    return rows[given], numbers[given]


def step_weights(weights: FloatArray, missed: FloatArray, n: int, share: float) -> FloatArray:
    """Return weights, sum 1, of which those of the target make up a share.

    Those of the source are multiplied by ``beta ** e``, e the error over the largest error of all
    rows, and beta is found by bisection. Rows of the source without any error cannot be lowered:
    the share is then the nearest that can be had.

    Parameters
    ----------
    weights, missed : array of shape (n + m,)
        Weights and absolute errors, first of the source's n rows.
    n : int
    share : float, 0 to 1
    """
    missed = missed / max(float(missed.max()), 1e-300)
    target = float(weights[n:].sum())
    low, high = -700.0, 0.0  # of ln beta
    if share < 1.0:
        for _ in range(100):
            middle = 0.5 * (low + high)
            source = float(weights[:n] @ np.exp(middle * missed[:n]))
            low, high = (middle, high) if target / (target + source) > share else (low, middle)
        factors = np.exp(0.5 * (low + high) * missed[:n])
    else:
        factors = np.where(missed[:n] > 0, 0.0, 1.0)
    result = np.concatenate([weights[:n] * factors, weights[n:]])
    return result / result.sum()
