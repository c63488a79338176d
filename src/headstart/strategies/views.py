"""Linear models on views of the items (TF-IDF of words, HOG, ...), tuned by cross-validation.

A view is a matrix of n rows. With fewer rows than columns the model is fitted on a basis of the row
space, which gives the same model: for X = L Q with orthonormal rows of Q, a penalised linear model
on L (n x n, the Cholesky factor of the Gram matrix) has the coefficients of the one on X, rotated.
So tuning costs n x n products, however wide the views are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from scipy import linalg, sparse

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.softmax import Solution, fit_softmax, probabilities

DUAL = 2000  # up to so many rows the Gram matrix is used; above, tuning uses a sample of so many
STRENGTHS = (0.5, 4.0, 32.0, 256.0)  # C of the logistic regressions tried
MIDDLE = 32.0  # C at which views are compared, and where no cross-validation is possible
JITTER = 1e-7  # on the diagonal of a Gram matrix, whose mean diagonal is about 1

Views = Mapping[str, Any]
Candidates = Mapping[str, Sequence[str]]
Key = TypeVar("Key")


@dataclass(frozen=True)
class Tuned:
    """What tuning found: the candidate, its strength, and every candidate's best inner score."""

    name: str
    strength: float
    scores: dict[str, float]
    note: str


def stratified_folds(codes: IntArray, n_folds: int, seed: int) -> IntArray:
    """Deal items to folds, class by class; tolerates classes of one member.

    Returns
    -------
    ndarray of shape (n,), int
        The fold of each item, 0 ... n_folds - 1.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(codes))
    order = shuffled[np.argsort(codes[shuffled], kind="stable")]
    folds = np.empty(len(codes), dtype=np.int64)
    folds[order] = np.arange(len(codes)) % n_folds
    return folds


def stratified_sample(codes: IntArray, size: int, seed: int) -> IntArray:
    """Return sorted indices of ``size`` items, classes in proportion, every class kept."""
    if len(codes) <= size:
        return np.arange(len(codes))
    parts = stratified_folds(codes, int(np.ceil(len(codes) / size)), seed)
    chosen = np.flatnonzero(parts == 0)
    lacking = np.setdiff1d(codes, codes[chosen])
    first = np.array([int(np.argmax(codes == code)) for code in lacking], dtype=np.int64)
    return np.sort(np.concatenate([chosen, first]))


def gram(X: Any, other: Any | None = None) -> FloatArray:
    """Return ``X @ other.T`` as a dense float64 array."""
    left = X.astype(np.float64)
    product = left @ (left if other is None else other.astype(np.float64)).T
    dense = product.toarray() if sparse.issparse(product) else product
    result: FloatArray = np.asarray(dense, dtype=np.float64)
    return result


def _factor(K: FloatArray) -> FloatArray:
    """Return L with L L^T = K + JITTER (duplicated rows make K singular)."""
    scale = max(float(np.trace(K)) / len(K), 1e-12)
    result: FloatArray = linalg.cholesky(K + JITTER * scale * np.eye(len(K)), lower=True)
    return result


def join(views: Views, names: Sequence[str]) -> Any:
    """Put views side by side, each scaled so that the rows keep their mean squared norm."""
    scale = np.float32(1.0 / np.sqrt(len(names)))
    parts = [views[name] for name in names]
    if len(parts) == 1:
        return parts[0]
    if sparse.issparse(parts[0]):
        return sparse.hstack([part * scale for part in parts], format="csr")
    return np.hstack(parts) * scale


# ---------------------------------------------------------------- classification


def out_of_fold(
    K: FloatArray, codes: IntArray, n_classes: int, folds: IntArray, strengths: Sequence[float]
) -> FloatArray:
    """Probabilities (strengths, n, k) of each item by the models of the other folds.

    ``K`` is the Gram matrix (n, n) of the rows.
    """

    def basis(train: IntArray, test: IntArray) -> tuple[FloatArray, FloatArray]:
        L = _factor(K[np.ix_(train, train)])
        away = linalg.solve_triangular(L, K[np.ix_(train, test)], lower=True).T
        return L.astype(np.float32), away.astype(np.float32)

    return _across(basis, codes, n_classes, folds, strengths)


def out_of_fold_rows(
    X: FloatArray, codes: IntArray, n_classes: int, folds: IntArray, strengths: Sequence[float]
) -> FloatArray:
    """As :func:`out_of_fold`, from the rows themselves (n, d): for d < n."""
    return _across(lambda train, test: (X[train], X[test]), codes, n_classes, folds, strengths)


def _across(
    basis: Callable[[IntArray, IntArray], tuple[FloatArray, FloatArray]],
    codes: IntArray,
    n_classes: int,
    folds: IntArray,
    strengths: Sequence[float],
) -> FloatArray:
    result = np.zeros((len(strengths), len(codes), n_classes))
    for fold in range(int(folds.max()) + 1):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        present, local = np.unique(codes[train], return_inverse=True)
        if len(present) < 2:
            result[:, test, present[0]] = 1.0
            continue
        rows, away = basis(train, test)
        found: Solution | None = None
        for place, strength in enumerate(strengths):
            found = fit_softmax(
                rows, local, len(present), strength, start=found, tol=2e-3, max_iter=60
            )
            scores = (away @ found.coef + found.intercept).astype(np.float64)
            result[place][np.ix_(test, present)] = probabilities(scores)
    return result


def accuracy_and_loss(p: FloatArray, codes: IntArray) -> tuple[float, float]:
    """Return accuracy and mean log loss (probabilities clipped at 1e-6)."""
    truth = p[np.arange(len(codes)), codes]
    accuracy = float((p.argmax(axis=1) == codes).mean())
    return accuracy, float(-np.log(np.clip(truth, 1e-6, 1.0)).mean())


def best_of(found: Mapping[Key, tuple[float, float]], n: int) -> Key:
    """Return the key of the best (accuracy, log loss) measured on n items.

    That is the lowest log loss among those whose accuracy is at most half a standard error below
    the highest: accuracy alone is coarse on few items.
    """
    top = max(accuracy for accuracy, _ in found.values())
    p = min(max(top, 1.0 / n), 1.0 - 1.0 / n)
    floor = top - 0.5 * float(np.sqrt(p * (1.0 - p) / n))
    near = {key: loss for key, (accuracy, loss) in found.items() if accuracy >= floor}
    return min(near, key=lambda key: near[key])


def tune_classifier(
    views: Views,
    candidates: Candidates,
    codes: IntArray,
    n_classes: int,
    *,
    n_folds: int,
    seed: int,
    strengths: Sequence[float] = STRENGTHS,
) -> tuple[Tuned, FloatArray, IntArray]:
    """Choose the views at C = MIDDLE, then C, by :func:`best_of` out of fold.

    Above DUAL rows a stratified sample of DUAL rows chooses. Returns the choice, its out-of-fold
    probabilities and the rows they are of. Fewer than two members in every class: no
    cross-validation, the last candidate with MIDDLE.
    """
    rows = stratified_sample(codes, DUAL, seed)
    y = codes[rows]
    largest = int(np.bincount(y).max())
    if largest < 2 or len(rows) < 4:
        name = list(candidates)[-1]
        empty = np.zeros((0, n_classes))
        return Tuned(name, MIDDLE, {}, "too few items to tune"), empty, rows[:0]
    folds = stratified_folds(y, min(n_folds, len(rows)), seed)
    needed = sorted({view for names in candidates.values() for view in names})
    grams = {view: gram(views[view][rows]) for view in needed}
    found = {}
    for name, parts in candidates.items():
        K = np.mean([grams[part] for part in parts], axis=0)
        p = out_of_fold(K, y, n_classes, folds, (MIDDLE,))[0]
        found[name] = accuracy_and_loss(p, y)
    name = best_of(found, len(y))
    K = np.mean([grams[part] for part in candidates[name]], axis=0)
    paths = out_of_fold(K, y, n_classes, folds, strengths)
    along = {place: accuracy_and_loss(p, y) for place, p in enumerate(paths)}
    place = best_of(along, len(y))
    scores = {other: pair[0] for other, pair in found.items()} | {name: along[place][0]}
    note = f"{int(folds.max()) + 1}-fold on {len(rows)} items"
    return Tuned(name, strengths[place], scores, note), paths[place], rows


@dataclass(frozen=True, eq=False)
class Linear:
    """A fitted linear model: scores are ``X @ coef + intercept``.

    ``rows`` is None, or the training rows whose combinations the coefficients are:
    then scores are ``(X @ rows.T) @ coef + intercept``, which takes less room when n << d.
    """

    coef: FloatArray
    intercept: FloatArray
    rows: Any | None = None

    def scores(self, X: Any) -> FloatArray:
        """Return the scores of shape (n, k)."""
        inner = X if self.rows is None else X @ self.rows.T
        result: FloatArray = np.asarray(inner @ self.coef, dtype=np.float64) + self.intercept
        return result

    def row_scores(self, X: FloatArray) -> FloatArray:
        """Return the scores of dense rows, each summed alone: the batch does not change a bit."""
        inner = np.einsum("nd,dk->nk", X, self.coef, dtype=np.float64, optimize=False)
        result: FloatArray = inner + self.intercept
        return result

    def arrays(self) -> dict[str, AnyArray]:
        """Return the model as named arrays."""
        held: dict[str, AnyArray] = {"coef": self.coef, "intercept": self.intercept}
        if self.rows is not None:
            held |= {
                "rows.data": self.rows.data,
                "rows.indices": self.rows.indices,
                "rows.indptr": self.rows.indptr,
                "rows.shape": np.array(self.rows.shape, dtype=np.int64),
            }
        return held

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Linear:
        """Rebuild a model from :meth:`arrays`."""
        rows = None
        if "rows.data" in arrays:
            rows = sparse.csr_matrix(
                (arrays["rows.data"], arrays["rows.indices"], arrays["rows.indptr"]),
                shape=tuple(int(side) for side in arrays["rows.shape"]),
            )
        return cls(arrays["coef"], arrays["intercept"], rows)


def fit_classifier(
    X: Any, codes: IntArray, n_classes: int, strength: float, *, tol: float = 3e-4
) -> Linear:
    """Fit logistic regression on all rows, through the row space where that is smaller."""
    if len(codes) <= min(DUAL + n_classes, X.shape[1]):
        L = _factor(gram(X))
        found = fit_softmax(L.astype(np.float32), codes, n_classes, strength, tol=tol)
        return _back(X, L, found.coef, found.intercept)
    found = fit_softmax(X, codes, n_classes, strength, tol=tol, max_iter=150)
    return Linear(found.coef.astype(np.float32), found.intercept.astype(np.float64))


def _back(X: Any, L: FloatArray, coef: FloatArray, intercept: FloatArray) -> Linear:
    """Express a model on the Cholesky rows as one on X; the smaller of its two forms."""
    A = linalg.solve_triangular(L, coef.astype(np.float64), lower=True, trans="T")
    bias = np.asarray(intercept, dtype=np.float64)
    if sparse.issparse(X) and 2 * X.nnz + A.size < X.shape[1] * A.shape[1]:
        return Linear(A.astype(np.float32), bias, X)
    return Linear(np.asarray(X.T @ A, dtype=np.float32), bias)


# ---------------------------------------------------------------- regression


def leave_one_out(
    K: FloatArray, y: FloatArray, strengths: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """Exact leave-one-out predictions (strengths, n) of ridge with an intercept, and K centred."""
    mean = K.mean(axis=0)
    centred = K - mean - mean[:, None] + mean.mean()
    values, vectors = linalg.eigh(centred)
    values = np.maximum(values, 0.0)
    target = y - y.mean()
    inner = vectors.T @ target
    result = np.empty((len(strengths), len(y)))
    for place, strength in enumerate(strengths):
        shrink = values / (values + 1.0 / strength)
        fitted = vectors @ (shrink * inner)
        leverage = (vectors**2) @ shrink + 1.0 / len(y)
        result[place] = y - (target - fitted) / np.maximum(1.0 - leverage, 1e-9)
    return result, centred


def ridge_out_of_fold(
    X: FloatArray, y: FloatArray, folds: IntArray, strengths: Sequence[float]
) -> FloatArray:
    """Predictions (strengths, n) of each row by the ridge models of the other folds (d < n)."""
    result = np.empty((len(strengths), len(y)))
    for fold in range(int(folds.max()) + 1):
        train, test = folds != fold, folds == fold
        mean, target = X[train].mean(axis=0), y[train].mean()
        _, s, Vt = linalg.svd(X[train] - mean, full_matrices=False)
        inner = Vt @ ((X[train] - mean).T @ (y[train] - target))
        away = (X[test] - mean) @ Vt.T
        for place, strength in enumerate(strengths):
            result[place, test] = away @ (inner / (s**2 + 1.0 / strength)) + target
    return result


def tune_regressor(
    views: Views,
    candidates: Candidates,
    y: FloatArray,
    *,
    seed: int,
    strengths: Sequence[float] = STRENGTHS,
) -> tuple[Tuned, FloatArray, IntArray]:
    """Choose views and strength (1 / alpha) by exact leave-one-out squared error.

    Above DUAL rows a sample of DUAL rows chooses. Scores are R2 (out of sample).
    """
    rows = stratified_sample(np.zeros(len(y), dtype=np.int64), DUAL, seed)
    target = y[rows]
    spread = float(((target - target.mean()) ** 2).mean())
    if len(rows) < 3 or spread == 0.0:
        name = list(candidates)[-1]
        return Tuned(name, 1.0, {}, "too few items to tune"), np.zeros(0), rows[:0]
    needed = sorted({view for names in candidates.values() for view in names})
    grams = {view: gram(views[view][rows]) for view in needed}
    scores: dict[str, float] = {}
    best: tuple[float, str, float, FloatArray] | None = None
    for name, parts in candidates.items():
        K = np.mean([grams[part] for part in parts], axis=0)
        predicted, _ = leave_one_out(K, target, strengths)
        errors = ((predicted - target) ** 2).mean(axis=1)
        place = int(errors.argmin())
        scores[name] = 1.0 - float(errors[place]) / spread
        if best is None or errors[place] < best[0]:
            best = float(errors[place]), name, strengths[place], predicted[place]
    assert best is not None
    note = f"leave-one-out on {len(rows)} items"
    return Tuned(best[1], best[2], scores, note), best[3], rows


def fit_regressor(X: Any, y: FloatArray, strength: float) -> Linear:
    """Fit ridge with an intercept and alpha = 1 / strength on all rows."""
    if len(y) <= min(DUAL + 1, X.shape[1]):
        K = gram(X)
        mean = K.mean(axis=0)
        centred = K - mean - mean[:, None] + mean.mean()
        alpha = np.eye(len(y)) / strength
        A = linalg.solve(centred + alpha, y - y.mean(), assume_a="pos")[:, None]
        A = A - A.mean()  # the combination of centred rows, as one of the rows themselves
        bias = np.array([y.mean()]) - mean @ A
        if sparse.issparse(X) and 2 * X.nnz + A.size < X.shape[1]:
            return Linear(A, bias, X)
        return Linear(np.asarray(X.T @ A, dtype=np.float64), bias)
    from sklearn.linear_model import Ridge

    solver = "sparse_cg" if sparse.issparse(X) else "cholesky"
    model = Ridge(alpha=1.0 / strength, solver=solver, tol=1e-5, max_iter=1000)
    model.fit(X.astype(np.float64), y)
    return Linear(model.coef_.reshape(-1, 1), np.array([float(model.intercept_)]))
