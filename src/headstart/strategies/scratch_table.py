"""Tables without transfer: gradient-boosted trees or a regularised linear model.

Which of the two, and their settings, is chosen by cross-validation within the training rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from headstart.core.types import AnyArray, FloatArray, IntArray, State
from headstart.strategies.columns import (
    Scaling,
    as_frame,
    fit_scaling,
    for_linear,
    for_trees,
    from_json,
    learn,
    to_json,
)
from headstart.strategies.saved_classes import SavedClasses
from headstart.strategies.softmax import probabilities
from headstart.strategies.targets import labels_of, seed_of, targets_of
from headstart.strategies.trees import Forest, export
from headstart.strategies.views import (
    Linear,
    accuracy_and_loss,
    best_of,
    fit_classifier,
    fit_regressor,
    out_of_fold_rows,
    ridge_out_of_fold,
    stratified_folds,
    stratified_sample,
)

TUNING_ROWS = 20_000  # above, a stratified sample of so many rows does the tuning
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
CHECKPOINTS = (10, 20, 40, 70, 100, 150, 200, 300)  # numbers of trees compared
TREES = {
    "shallow": {"learning_rate": 0.05, "max_leaf_nodes": 6, "min_samples_leaf": 5},
    "medium": {"learning_rate": 0.1, "max_leaf_nodes": 15, "min_samples_leaf": 10},
    "deep": {"learning_rate": 0.05, "max_leaf_nodes": 31, "min_samples_leaf": 20},
}


@dataclass(frozen=True)
class _Choice:
    """What the inner cross-validation found."""

    variant: str  # "linear", or a name in TREES
    setting: float  # C, or the number of trees
    scores: dict[str, float]
    note: str


class _ScratchTable(BaseEstimator):
    """What both kinds share: the columns, and one of two models."""

    _forest: Forest | None
    _linear: Linear | None
    _scaling: Scaling | None
    _score_name: str
    _regression: bool

    def __init__(self, *, random_state: int | None = 0, cv: int = 5) -> None:
        self.random_state = random_state
        self.cv = cv

    def _fit(self, X: Any, y: AnyArray, n_classes: int) -> None:
        frame = as_frame(X)
        self._columns = learn(frame)
        self.n_features_in_ = frame.shape[1]
        scaling = fit_scaling(frame, self._columns)
        linear = for_linear(frame, self._columns, scaling)
        trees = for_trees(frame, self._columns)
        seed = seed_of(self.random_state)
        choice = self._choose(linear, trees, y, n_classes, seed)
        self._forest = self._linear = self._scaling = None
        if choice.variant == "linear":
            self._scaling = scaling
            self._linear = (
                fit_regressor(linear, y, choice.setting)
                if self._regression
                else fit_classifier(linear, y, n_classes, choice.setting)
            )
            won = f"linear model, C={choice.setting:g}"
        else:
            model = _booster(choice.variant, int(choice.setting), self._regression)
            self._forest = export(model.fit(trees, y))
            won = f"{choice.variant} gradient boosting, {int(choice.setting)} iterations"
        inner = ", ".join(f"{name} {score:.3f}" for name, score in choice.scores.items())
        detail = f"inner {self._score_name} {inner}; {choice.note}" if inner else choice.note
        self.chosen_ = f"{won} ({detail})"

    def _choose(
        self, linear: FloatArray, trees: FloatArray, y: AnyArray, n_classes: int, seed: int
    ) -> _Choice:
        codes = np.zeros(len(y), dtype=np.int64) if self._regression else y
        rows = stratified_sample(codes, TUNING_ROWS, seed)
        if len(rows) < 4 or (not self._regression and int(np.bincount(codes).max()) < 2):
            return _Choice("linear", 10.0, {}, "too few rows to tune")
        folds = stratified_folds(codes[rows], min(self.cv, len(rows)), seed)
        tune = _tune_regression if self._regression else _tune_classes
        return tune(linear[rows], trees[rows], y[rows], n_classes, folds)

    def _raw(self, X: Any) -> FloatArray:
        check_is_fitted(self, "chosen_")
        frame = as_frame(X)
        if self._forest is not None:
            return self._forest.raw(for_trees(frame, self._columns))
        assert self._linear is not None
        assert self._scaling is not None
        return self._linear.row_scores(for_linear(frame, self._columns, self._scaling))

    def to_state(self) -> State:
        """Return what was learned as arrays and JSON."""
        check_is_fitted(self, "chosen_")
        arrays: dict[str, AnyArray] = {}
        if self._forest is not None:
            arrays |= {f"trees.{name}": array for name, array in self._forest.arrays().items()}
        if self._linear is not None:
            arrays |= {f"linear.{name}": array for name, array in self._linear.arrays().items()}
        if self._scaling is not None:
            arrays |= {f"scaling.{name}": array for name, array in vars(self._scaling).items()}
        meta = {
            "params": self.get_params(),
            "columns": to_json(self._columns),
            "n_features": self.n_features_in_,
            "chosen": self.chosen_,
        }
        return State(arrays, meta)

    def _restore(self, state: State) -> None:
        def part(prefix: str) -> dict[str, AnyArray]:
            return {
                name.removeprefix(prefix): array
                for name, array in state.arrays.items()
                if name.startswith(prefix)
            }

        trees, linear, scaling = part("trees."), part("linear."), part("scaling.")
        self._forest = Forest.from_arrays(trees) if trees else None
        self._linear = Linear.from_arrays(linear) if linear else None
        self._scaling = Scaling(**scaling) if scaling else None
        self._columns = from_json(state.meta["columns"])
        self.n_features_in_ = state.meta["n_features"]
        self.chosen_ = state.meta["chosen"]


def _booster(variant: str, iterations: int, regression: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    cls = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    return cls(
        **TREES[variant],
        max_iter=iterations,
        early_stopping=False,
        categorical_features=None,
        random_state=0,
    )


def _checkpoints(n_classes: int) -> list[int]:
    """Numbers of iterations to compare: fewer where an iteration grows a tree for many classes."""
    most = 300 if n_classes <= 3 else max(1000 // n_classes, 20)
    return [point for point in CHECKPOINTS if point <= most]


def _tune_classes(
    linear: FloatArray, trees: FloatArray, codes: IntArray, n_classes: int, folds: IntArray
) -> _Choice:
    n = len(codes)
    note = f"{int(folds.max()) + 1}-fold on {n} rows"
    p = out_of_fold_rows(linear.astype(np.float32), codes, n_classes, folds, STRENGTHS)
    found: dict[tuple[str, float], tuple[float, float]] = {
        ("linear", strength): accuracy_and_loss(p[place], codes)
        for place, strength in enumerate(STRENGTHS)
    }
    points = _checkpoints(n_classes)
    for variant in TREES:
        p = np.zeros((len(points), n, n_classes))
        for fold in range(int(folds.max()) + 1):
            train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            present = np.unique(codes[train])
            if len(present) < 2:
                p[:, test, present[0]] = 1.0
                continue
            model = _booster(variant, points[-1], False).fit(trees[train], codes[train])
            for done, staged in enumerate(model.staged_predict_proba(trees[test]), start=1):
                if done in points:
                    p[points.index(done)][np.ix_(test, present)] = staged
        for place, point in enumerate(points):
            found[variant, float(point)] = accuracy_and_loss(p[place], codes)
    variant, setting = best_of(found, n)
    return _Choice(variant, setting, _tops(found, (variant, setting)), note)


def _tops(
    found: dict[tuple[str, float], tuple[float, float]], won: tuple[str, float]
) -> dict[str, float]:
    """Return the score of each variant: of the winner its own, of the others their best."""
    tops: dict[str, float] = {}
    for (variant, _), (score, _) in found.items():
        tops[variant] = max(score, tops.get(variant, -np.inf))
    return tops | {won[0]: found[won][0]}


def _tune_regression(
    linear: FloatArray, trees: FloatArray, y: FloatArray, n_classes: int, folds: IntArray
) -> _Choice:
    spread = float(y.var())
    note = f"{int(folds.max()) + 1}-fold on {len(y)} rows"
    if spread == 0.0:
        return _Choice("linear", 1.0, {}, "the target is constant")
    found: dict[tuple[str, float], float] = {}
    predicted = ridge_out_of_fold(linear, y, folds, STRENGTHS)
    for place, strength in enumerate(STRENGTHS):
        found["linear", strength] = float(((predicted[place] - y) ** 2).mean())
    points = _checkpoints(n_classes)
    for variant in TREES:
        errors = np.zeros(len(points))
        for fold in range(int(folds.max()) + 1):
            train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            model = _booster(variant, points[-1], True).fit(trees[train], y[train])
            for done, staged in enumerate(model.staged_predict(trees[test]), start=1):
                if done in points:
                    errors[points.index(done)] += float(((staged - y[test]) ** 2).sum())
        for place, point in enumerate(points):
            found[variant, float(point)] = float(errors[place]) / len(y)
    won = min(found, key=lambda key: found[key])
    scores: dict[str, float] = {}
    for (variant, _), error in found.items():
        scores[variant] = max(1.0 - error / spread, scores.get(variant, -np.inf))
    return _Choice(*won, scores, note)


class ScratchTable(SavedClasses, ClassifierMixin, _ScratchTable):
    """Gradient boosting or logistic regression on a table, whichever cross-validation prefers.

    Parameters
    ----------
    random_state : int or None
        Deals the rows to inner folds.
    cv : int, >= 2
        Inner folds.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    chosen_ : str
        Which model and setting won, with the inner scores.

    Notes
    -----
    Numbers, booleans, dates (ISO) and categories, each with missing values. The linear model gets
    medians for missing numbers with an indicator, standardised, and one-hot columns of the 50 most
    frequent categories; trees get NaN as it is, and rank and frequency of more than 10 categories.
    A category that was not seen in fit counts as missing. Above 20,000 rows a stratified sample of
    20,000 does the tuning. Extra columns are ignored at prediction.

    References
    ----------
    Friedman, Annals of Statistics 2001; Ke et al. (LightGBM), NeurIPS 2017.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"size": [1, 2, 8, 9] * 5, "kind": ["a", "b", None, "a"] * 5})
    >>> model = ScratchTable().fit(table, ["small", "small", "large", "large"] * 5)
    >>> model.predict(table[:4]).tolist()
    ['small', 'small', 'large', 'large']
    """

    _score_name = "accuracy"
    _regression = False

    def fit(self, X: Any, y: Any) -> ScratchTable:
        """Fit on a table X (data frame or 2-D array) and labels y.

        Raises
        ------
        DataError
            X is no table, no column varies, or labels are missing or of another number.
        """
        frame = as_frame(X)
        labels = labels_of(y, len(frame))
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) == 1:
            self._columns, self.n_features_in_ = [], frame.shape[1]
            self._forest = self._linear = self._scaling = None
            self.chosen_ = "the only class"
            return self
        self._fit(frame, codes, len(self.classes_))
        return self

    def predict_proba(self, X: Any) -> FloatArray:
        """Return class probabilities of shape (n, k), columns in the order of ``classes_``."""
        check_is_fitted(self, "chosen_")
        if len(self.classes_) == 1:
            return np.ones((len(as_frame(X)), 1))
        return probabilities(self._raw(X))


class ScratchTableRegressor(RegressorMixin, _ScratchTable):
    """Gradient boosting or ridge regression on a table, whichever cross-validation prefers.

    Parameters
    ----------
    random_state : int or None
        Deals the rows to inner folds.
    cv : int, >= 2
        Inner folds.

    Attributes
    ----------
    chosen_ : str
        Which model and setting won, with the inner R2.

    References
    ----------
    Friedman, Annals of Statistics 2001; Ke et al. (LightGBM), NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> bool(abs(ScratchTableRegressor().fit(X, 3 * X[:, 0]).predict([[10.0]])[0] - 30) < 0.1)
    True
    """

    _score_name = "R2"
    _regression = True

    def fit(self, X: Any, y: Any) -> ScratchTableRegressor:
        """Fit on a table X (data frame or 2-D array) and numbers y.

        Raises
        ------
        DataError
            X is no table, no column varies, or y is not n finite numbers.
        """
        frame = as_frame(X)
        self._fit(frame, targets_of(y, len(frame)), 1)
        return self

    def predict(self, X: Any) -> FloatArray:
        """Return the predicted number of each row."""
        return self._raw(X)[:, 0]

    @classmethod
    def from_state(cls, state: State) -> ScratchTableRegressor:
        """Rebuild a fitted estimator; it predicts bit-identically."""
        self = cls(**state.meta["params"])
        self._restore(state)
        return self
