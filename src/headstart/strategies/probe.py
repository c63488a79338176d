"""The linear probe: a linear model on frozen features, of the kind the data choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, Decision, FloatArray, IntArray, State
from headstart.strategies.frozen import (
    FrozenClassifier,
    FrozenEstimator,
    one_hot,
    pack_classes,
    pack_decision,
    positive_list,
    row_weights,
    stratified_folds,
)
from headstart.strategies.heads import linear_probabilities
from headstart.strategies.logistic import LogisticFit, fit_logistic
from headstart.strategies.ridge import Ridge, Spectrum, decompose, default_alphas
from headstart.strategies.temper import log_loss, sharpness

HEADS = ("auto", "ridge", "logistic")
FOLDS = 5
ENOUGH_HELD_OUT = 2000  # held-out rows after which further folds tell nothing new
LOGISTIC_LIMIT = 50_000_000  # n * k above which "auto" takes ridge without trying logistic
EQUAL_LOSS = 1.01
USUAL_C = 3.0  # relative C where few rows cannot tell
DECADES = 1.0  # how far from the usual a penalty is expected to lie, in powers of ten
LONE_C = 1.0  # relative C where no class has two rows, so nothing can be held out
RELATIVE_CS = (0.01, 0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


@dataclass(frozen=True, eq=False)
class _Tried:
    """A model that was tried: what it is, its held-out scores tempered, how it did."""

    head: str
    penalty: float
    factor: float
    right: AnyArray
    loss: float
    unlikely: float = 0.0  # what the prior says against the penalty, as log loss of a row


@dataclass(frozen=True, eq=False)
class _Rows:
    """The training rows as every head sees them."""

    spectrum: Spectrum
    codes: IntArray
    n_classes: int
    folds: IntArray
    tried_folds: int

    @property
    def judged(self) -> AnyArray:
        """The rows that are held out in one of the tried folds."""
        return (self.folds >= 0) & (self.folds < self.tried_folds)

    @property
    def unit_c(self) -> float:
        """The C that is 1 relative to the mean squared norm of the centred rows."""
        total = float(self.spectrum.values.sum()) / float(self.spectrum.weights.sum())
        return 1.0 / total if total > 0.0 else 1.0

    def judge(self, head: str, penalty: float, scores: FloatArray) -> _Tried:
        """Temper the held-out scores of the judged rows and count what they get right."""
        codes, weights = self.codes[self.judged], self.spectrum.weights[self.judged]
        factor = sharpness(scores, codes, weights)
        right = scores.argmax(axis=1) == codes
        loss, unlikely = log_loss(factor * scores, codes, weights), 0.0
        if head == "logistic":
            away = np.log10(penalty / (USUAL_C * self.unit_c)) / DECADES
            unlikely = 0.5 * float(away) ** 2 / len(codes)
        return _Tried(head, penalty, factor, right, loss, unlikely)


class LinearProbe(FrozenClassifier):
    """Classify with a linear model on frozen features: ridge or logistic, as the data choose.

    Ridge regression on class indicators takes the penalty with the least exact leave-one-out
    error. Multinomial logistic regression goes along a path of C and takes the largest whose
    held-out log loss is within 1 % of the least. Few held-out rows tell little: a normal prior
    (one power of ten wide, on the logarithm of the penalty) then speaks for the usual one. Both
    predict the same held-out rows (five stratified folds, and only as many of them as give 2000
    rows): the more accurate wins, and where they are within two standard errors of each other, the
    one with less log loss. Held-out scores set one temperature, so that ``predict_proba`` is
    calibrated. Not tried: logistic where n x classes exceeds 5e7, or where ridge errs on no
    left-out row; ridge where every class has a single row (a fixed C then).

    Parameters
    ----------
    head : {"auto", "ridge", "logistic"}, default "auto"
        Leave the choice to the data, or force one.
    alphas : sequence of float > 0, optional
        Ridge penalties; by default 15 from 1e-4 to 1e3 times the mean eigenvalue of the scatter.
    Cs : sequence of float > 0, optional
        Inverse penalties of logistic regression as in scikit-learn; by default 9 from 0.01 to
        1000 over the mean squared norm of the centred rows.
    class_weight : {None, "balanced"} or dict, default None
        "balanced" gives every class the same total weight; a dict maps classes to weights.
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.
    random_state : int or None, default 0
        The seed of the folds.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    coef_ : ndarray of shape (d, k)
    intercept_ : ndarray of shape (k,)
        ``softmax(X @ coef_ + intercept_)`` are the probabilities.
    head_ : {"ridge", "logistic"}
    penalty_ : float
        The alpha of ridge or the C of logistic regression.
    decision_ : Decision
        What was chosen and why.

    Raises
    ------
    OptionError
        A parameter is not among the allowed ones.
    DataError
        The labels cannot be sorted.
    ValueError
        X or y hold NaN or infinity or do not match (scikit-learn's own message).

    References
    ----------
    Alain & Bengio, ICLR workshop 2017 (linear probes); Rifkin & Lippert, MIT 2007 (leave-one-out);
    Guo et al., ICML 2017 (temperature).

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies import LinearProbe
    >>> X = np.array([[0.0, 1.0], [0.2, 0.9], [1.0, 0.1], [0.9, 0.0]])
    >>> LinearProbe().fit(X, ["cat", "cat", "dog", "dog"]).predict([[0.1, 1.1]]).tolist()
    ['cat']
    """

    def __init__(
        self,
        *,
        head: str = "auto",
        alphas: Sequence[float] | None = None,
        Cs: Sequence[float] | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        source: Any = None,
        random_state: int | None = 0,
    ) -> None:
        self.head = head
        self.alphas = alphas
        self.Cs = Cs
        self.class_weight = class_weight
        self.source = source
        self.random_state = random_state

    def _fit(self, X: FloatArray, codes: IntArray) -> None:
        if self.head not in HEADS:
            raise OptionError("unknown head", where="head", got=self.head, allowed=HEADS)
        k = len(self.classes_)
        spectrum = decompose(X, row_weights(codes, self.classes_, self.class_weight))
        folds = stratified_folds(codes, FOLDS, self.random_state)
        enough = int(np.clip(np.ceil(ENOUGH_HELD_OUT * FOLDS / len(codes)), 1, FOLDS))
        rows = _Rows(spectrum, codes, k, folds, enough)
        ridge = Ridge(spectrum, one_hot(codes, k))
        tried = self._try_all(rows, ridge)
        chosen = _choose(tried)
        self.head_, self.penalty_ = chosen.head, chosen.penalty
        if chosen.head == "ridge":
            coef, offset = ridge.linear(chosen.penalty)
            factor = sharpness(ridge.held_out(chosen.penalty), codes, spectrum.weights)
        else:
            fit = _logistic(rows, chosen.penalty)
            coef, offset = spectrum.linear(fit.slopes, fit.offset)
            factor = chosen.factor
        self.coef_, self.intercept_ = coef * factor, offset * factor
        self.decision_ = _explain(tried, chosen)

    def _try_all(self, rows: _Rows, ridge: Ridge) -> list[_Tried]:
        spectrum = rows.spectrum
        alphas = default_alphas(spectrum)
        if self.alphas is not None:
            alphas = positive_list(self.alphas, "alphas")
        Cs = np.array(RELATIVE_CS) * rows.unit_c
        if self.Cs is not None:
            Cs = np.sort(positive_list(self.Cs, "Cs"))
        if not rows.judged.any():
            return [_blind(self.head, rows, alphas, Cs, fixed=self.Cs is not None)]
        tried = []
        if self.head != "logistic":
            alpha = ridge.best_alpha(alphas, decades=DECADES)
            scores = np.empty((len(rows.codes), rows.n_classes))
            for fold in range(rows.tried_folds):
                out = rows.folds == fold
                scores[out] = ridge.left_out(alpha, out)
            tried.append(rows.judge("ridge", alpha, scores[rows.judged]))
            if self.head == "ridge" or _settled(ridge, alpha, rows):
                return tried
        return tried + _climb(rows, Cs, 0 if self.Cs is not None else RELATIVE_CS.index(LONE_C))

    def _probabilities(self, X: FloatArray) -> FloatArray:
        return linear_probabilities(X, self.coef_, self.intercept_)

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | pack_classes(self.classes_)
        meta |= {"head": self.head_, "penalty": self.penalty_}
        meta |= pack_decision(self.decision_)
        return State({"coef": self.coef_, "intercept": self.intercept_}, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls._opened(state)
        model.coef_, model.intercept_ = state.arrays["coef"], state.arrays["intercept"]
        model.head_, model.penalty_ = state.meta["head"], float(state.meta["penalty"])
        return model


def _settled(ridge: Ridge, alpha: float, rows: _Rows) -> bool:
    """Say whether logistic regression cannot pay: too large to run, or no error is left."""
    if rows.n_classes < 2 or len(rows.codes) * rows.n_classes > LOGISTIC_LIMIT:
        return True
    return bool((ridge.held_out(alpha).argmax(axis=1) == rows.codes).all())


def _blind(head: str, rows: _Rows, alphas: FloatArray, Cs: FloatArray, *, fixed: bool) -> _Tried:
    """Return the model for rows of which none can be held out: one row a class."""
    nothing = np.zeros(0, dtype=bool)
    if head == "ridge" or rows.n_classes < 2:
        return _Tried("ridge", float(np.max(alphas)), 1.0, nothing, np.nan)
    C = Cs[len(Cs) // 2] if fixed else Cs[RELATIVE_CS.index(LONE_C)]
    return _Tried("logistic", float(C), 1.0, nothing, np.nan)


def _logistic(rows: _Rows, C: float) -> LogisticFit:
    """Fit logistic regression to all rows."""
    s = rows.spectrum
    return fit_logistic(
        s.rotated, s.values, rows.codes, rows.n_classes, C, weights=s.weights, tol=1e-3
    )


def _climb(rows: _Rows, Cs: FloatArray, start: int) -> list[_Tried]:
    """Try logistic regression up the path of C from ``start``, then down if that was the best.

    Either way ends after two steps that do not lower the held-out log loss.
    """
    tried = _walk(rows, Cs[start:])
    if start and tried[0].loss <= min(model.loss for model in tried):
        tried = _walk(rows, Cs[start - 1 :: -1])[::-1] + tried
    return tried


def _walk(rows: _Rows, Cs: FloatArray) -> list[_Tried]:
    s = rows.spectrum
    tried: list[_Tried] = []
    fits: list[LogisticFit | None] = [None] * rows.tried_folds
    scores = np.empty((len(rows.codes), rows.n_classes), dtype=np.float32)
    for C in Cs:
        for fold in range(rows.tried_folds):
            out = rows.folds == fold
            fit = fit_logistic(
                s.rotated[~out],
                s.values,
                rows.codes[~out],
                rows.n_classes,
                float(C),
                weights=s.weights[~out],
                start=fits[fold],
                tol=5e-3,
            )
            fits[fold] = fit
            scores[out] = s.rotated[out] @ fit.slopes + fit.offset
        tried.append(rows.judge("logistic", float(C), scores[rows.judged]))
        if int(np.argmin([model.loss for model in tried])) < len(tried) - 2:
            break
    return tried


def _choose(tried: list[_Tried]) -> _Tried:
    """Take the more accurate head; within two standard errors, the one with less log loss.

    Before that logistic regression takes the largest C whose log loss is within 1 % of the least:
    of equals the one that is pulled least to the constant guess, so rare classes keep a voice.
    """
    best = []
    for head in sorted({model.head for model in tried}):
        path = [model for model in tried if model.head == head]
        loss = [model.loss + model.unlikely for model in path]
        equal = EQUAL_LOSS * min(loss)
        best.append([one for one, its in zip(path, loss, strict=True) if not its > equal][-1])
    if len(best) == 1:
        return best[0]
    lead = best[0].right.astype(float) - best[1].right
    if abs(lead.mean()) > 2.0 * lead.std() / np.sqrt(len(lead)):
        return best[0] if lead.mean() > 0 else best[1]
    return min(best, key=lambda model: model.loss)


def _explain(tried: list[_Tried], chosen: _Tried) -> Decision:
    names = {"ridge": "ridge", "logistic": "logistic regression"}
    letter = {"ridge": "alpha", "logistic": "C"}[chosen.head]
    what = f"probe: {names[chosen.head]}, {letter} = {chosen.penalty:.3g}"
    other = "logistic" if chosen.head == "ridge" else "ridge"
    override = f'LinearProbe(head="{other}") forces the other'
    if not len(chosen.right):
        return Decision(what, "one row a class: nothing can be held out", override)
    why = f"{chosen.right.mean():.3f} of {len(chosen.right)} held-out rows right"
    rivals = [model for model in tried if model.head == other]
    if rivals:
        rival = min(rivals, key=lambda model: model.loss)
        why += f" (log loss {chosen.loss:.3f}), {names[other]} {rival.right.mean():.3f}"
        why += f" ({rival.loss:.3f})"
    else:
        why += f"; {names[other]} was not tried"
    return Decision(what, why, override)


class LinearProbeRegressor(RegressorMixin, FrozenEstimator):
    """Predict a number with ridge regression, its penalty chosen by exact leave-one-out.

    Parameters
    ----------
    alphas : sequence of float > 0, optional
        Penalties; by default 15 from 1e-4 to 1e3 times the mean eigenvalue of the scatter.
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.

    Attributes
    ----------
    coef_ : ndarray of shape (d,)
    intercept_ : float
    alpha_ : float

    Raises
    ------
    OptionError
        A penalty is not a positive number.
    ValueError
        X or y hold NaN or infinity or do not match (scikit-learn's own message).

    References
    ----------
    Rifkin & Lippert, MIT-CSAIL-TR-2007-025.

    Examples
    --------
    >>> from headstart.strategies import LinearProbeRegressor
    >>> model = LinearProbeRegressor().fit([[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0])
    >>> model.predict([[4.0]]).round(2).tolist()
    [9.0]
    """

    def __init__(self, *, alphas: Sequence[float] | None = None, source: Any = None) -> None:
        self.alphas = alphas
        self.source = source

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to features (n, d), or items where ``source`` is set, and n numbers."""
        X, y = self._check(X, y)
        spectrum = decompose(X)
        alphas = default_alphas(spectrum)
        if self.alphas is not None:
            alphas = positive_list(self.alphas, "alphas")
        ridge = Ridge(spectrum, np.asarray(y, dtype=np.float64)[:, None])
        self.alpha_ = ridge.best_alpha(alphas)
        coef, intercept = ridge.linear(self.alpha_)
        self.coef_, self.intercept_ = coef[:, 0], float(intercept[0])
        return self

    def predict(self, X: Any) -> AnyArray:
        """Return n numbers."""
        return self._check_new(X) @ self.coef_ + self.intercept_

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | {"alpha": self.alpha_, "intercept": self.intercept_}
        return State({"coef": self.coef_}, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls._opened(state)
        model.coef_, model.intercept_ = state.arrays["coef"], float(state.meta["intercept"])
        model.alpha_ = float(state.meta["alpha"])
        return model
