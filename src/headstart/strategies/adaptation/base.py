"""What adapters share: ``fit(X, y, X_target, y_target)``, scaling, the learner, saving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, Decision, FloatArray, IntArray, State
from headstart.strategies.adaptation.domains import (
    SINGLE,
    Domains,
    Scale,
    origins,
    pooled_scale,
    target_labels,
)
from headstart.strategies.adaptation.forms import FORMS, Form, LinearForm
from headstart.strategies.frozen import encode_classes, pack_classes
from headstart.strategies.logistic import LogisticFit, fit_logistic
from headstart.strategies.ridge import decompose
from headstart.strategies.saved_classes import unpack_classes


class Adapter(ClassifierMixin, BaseEstimator):
    """Base of classifiers that learn from a source domain for a target domain.

    A subclass has ``_adapt``, and may have parameters of its own beside ``scale``.
    """

    scale: bool
    classes_: AnyArray
    form_: Form
    decisions_: tuple[Decision, ...]

    def fit(
        self,
        X: Any,
        y: Any,
        X_target: Any = None,
        y_target: Any = None,
        *,
        domain: Sequence[Any] | AnyArray | None = None,
    ) -> Self:
        """Fit to labelled rows of the source and rows of the target.

        Parameters
        ----------
        X : array of shape (n, d)
        y : sequence of n labels
        X_target : array of shape (m, d), optional
            Rows of the target; without them the source is its own target.
        y_target : sequence of length m, optional
            Labels of the target; None or NaN where there is none.
        domain : sequence of length n, optional
            The name of the source domain of each row, where there are several.

        Raises
        ------
        DataError
            The target has other features, or labels that the source does not have.
        ValueError
            X or y hold NaN or infinity or do not match (scikit-learn's own message).
        """
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], order="C")
        self.classes_, codes = encode_classes(y)
        target = X if X_target is None else target_rows(X_target, X)
        known = target_labels(y_target, len(target), self.classes_)
        place = Scale(np.zeros(X.shape[1], X.dtype), np.ones(X.shape[1], X.dtype))
        if self.scale:
            place = pooled_scale(X, target)
            X, target = place(X), place(target)
        self.decisions_ = ()
        domains = Domains(X, codes, target, known, len(self.classes_), origins(domain, len(X)))
        if len(self.classes_) == 1:
            form: Any = LinearForm(np.zeros((X.shape[1], 1)), np.zeros(1))
        else:
            form = self._adapt(domains)
        self.form_ = form.scaled(place.mean, place.spread) if hasattr(form, "scaled") else form
        if not hasattr(form, "scaled") and self.scale:
            self.form_ = _Scaled(form, place)
        return self

    def _adapt(self, domains: Domains) -> Any:
        """Return the form that predicts for rows of the target."""
        raise NotImplementedError

    def predict_proba(self, X: Any) -> FloatArray:
        """Return (n, k) probabilities for rows of the target, in the order of ``classes_``."""
        check_is_fitted(self, "form_")
        rows = validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=False)
        return self.form_.probabilities(rows)

    def predict(self, X: Any) -> AnyArray:
        """Return the n most probable labels of rows of the target."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: AnyArray = self.classes_[best]
        return labels

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data.

        Raises
        ------
        OptionError
            The learner is one of the user's own, which cannot be written as data.
        """
        check_is_fitted(self, "form_")
        if self.form_.name not in FORMS:
            raise OptionError(
                "a learner of your own cannot be saved",
                where="estimator",
                hint="leave it out: the built-in linear learner can",
            )
        meta: dict[str, Any] = {"form": self.form_.name, "n_features": int(self.n_features_in_)}
        return State(self.form_.arrays(), meta | pack_classes(self.classes_))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`; it predicts bit-identically."""
        model = cls()
        model.n_features_in_ = int(state.meta["n_features"])
        model.classes_ = unpack_classes(state.meta)
        model.form_ = FORMS[state.meta["form"]].from_arrays(state.arrays)
        model.decisions_ = ()
        return model


def target_rows(X_target: Any, X: FloatArray) -> FloatArray:
    """Return the rows of the target, checked to have the features of the source."""
    target = check_array(X_target, dtype=X.dtype, order="C", input_name="X_target")
    if target.shape[1] != X.shape[1]:
        raise DataError(
            "the target has other features than the source",
            where="X_target",
            got=f"{target.shape[1]} features",
            allowed=f"{X.shape[1]}",
            hint="the heterogeneous adapters take different features",
        )
    return target


class _Scaled:
    """A form that takes scaled rows, given rows as they are: for learners of the user's own."""

    name = "own"

    def __init__(self, form: Any, scale: Scale) -> None:
        self._form, self._scale = form, scale

    def probabilities(self, X: FloatArray) -> FloatArray:
        return self._form.probabilities(self._scale(X))

    def arrays(self) -> dict[str, AnyArray]:
        return {}


class _Own:
    """A learner of the user's own as a form."""

    name = "own"

    def __init__(self, estimator: Any, n_classes: int, mapping: Mapped | None = None) -> None:
        self._estimator, self._n_classes, self._mapping = estimator, n_classes, mapping

    def probabilities(self, X: FloatArray) -> FloatArray:
        if self._mapping is not None:
            X = self._mapping.target_rows(X)
        found = np.zeros((len(X), self._n_classes))
        found[:, self._estimator.classes_] = self._estimator.predict_proba(X)
        return found

    def arrays(self) -> dict[str, AnyArray]:
        return {}


def linear_form(
    X: FloatArray,
    codes: IntArray,
    n_classes: int,
    *,
    weights: FloatArray | None = None,
    C: float = 1.0,
    start: LinearForm | None = None,
) -> LinearForm:
    """Fit multinomial logistic regression, as scikit-learn's ``LogisticRegression(C=C)`` does.

    Parameters
    ----------
    X : array of shape (n, d)
    codes : int array of shape (n,)
        0 to k - 1; a class may have no row.
    n_classes : int
    weights : array of shape (n,), optional
        Non-negative; rows of weight 0 count for nothing.
    C : float, > 0
        Inverse strength of the penalty.
    start : LinearForm, optional
        Where to start: a fit to most of these rows. It steers the speed, not the result.
    """
    if weights is not None:
        used = weights > 0
        X, codes, weights = X[used], codes[used], weights[used]
    dtype = np.float64 if X.size < SINGLE else np.float32
    spectrum = decompose(X, weights, dtype=dtype)
    if not len(spectrum.values):  # no feature varies: what is left are the shares of the classes
        shares = np.bincount(codes, weights, n_classes)
        lowest = 0.1 * float(shares.sum()) / len(codes)
        return LinearForm(np.zeros((X.shape[1], n_classes)), np.log(np.maximum(shares, lowest)))
    near = None
    if start is not None:
        offset = start.intercept + spectrum.mean @ start.coef
        near = LogisticFit(spectrum.axes.T @ start.coef, offset, 0, False)
    fit = fit_logistic(
        spectrum.rotated,
        spectrum.values,
        codes,
        n_classes,
        C,
        weights=weights,
        start=near,
        tol=1e-5,
        dtype=dtype,
    )
    return LinearForm(*spectrum.linear(fit.slopes, fit.offset))


@dataclass(frozen=True, eq=False)
class Mapped:
    """The source after mapping, and how rows of the target are mapped.

    Parameters
    ----------
    X : array of shape (n, d')
        Rows of the source where they meet the target.
    weights : array of shape (n,), optional
        What each row counts, with mean about 1.
    matrix : array of shape (d, d'), optional
    offset : array of shape (d',), optional
        A row x of the target becomes ``x @ matrix + offset``; without them it stays as it is.
    """

    X: FloatArray
    weights: FloatArray | None = None
    matrix: FloatArray | None = None
    offset: FloatArray | None = None

    def target_rows(self, X: FloatArray) -> FloatArray:
        """Return rows of the target where they meet the source."""
        if self.matrix is not None:
            X = X @ self.matrix
        return X if self.offset is None else X + self.offset


class MappingAdapter(Adapter):
    """Base of adapters that map or weigh the source and then fit a learner.

    A subclass has ``_map``. Target rows that have a label are learnt from, too.
    """

    estimator: Any
    C: float

    def _map(self, domains: Domains) -> Mapped:
        raise NotImplementedError

    def _adapt(self, domains: Domains) -> Any:
        mapped = self._map(domains)
        X, codes, weights = mapped.X, domains.codes, mapped.weights
        known = domains.known
        if len(known):
            X = np.vstack([X, mapped.target_rows(domains.target[known])])
            codes = np.concatenate([codes, domains.target_codes[known]])
            if weights is not None:
                weights = np.concatenate([weights, np.ones(len(known))])
        return learn(
            X, codes, domains.n_classes, weights, estimator=self.estimator, C=self.C, mapped=mapped
        )


def learn(
    X: FloatArray,
    codes: IntArray,
    n_classes: int,
    weights: FloatArray | None = None,
    *,
    estimator: Any = None,
    C: float = 1.0,
    mapped: Mapped | None = None,
    start: Any = None,
) -> Any:
    """Fit the learner to mapped rows; return the form that takes rows of the target.

    Parameters
    ----------
    X, codes, n_classes, weights, C
        As for :func:`linear_form`.
    estimator : scikit-learn classifier, optional
        Used instead of logistic regression.
    mapped : Mapped, optional
        How rows of the target become such rows.
    start : form, optional
        Where logistic regression starts, if it is a linear one.

    Raises
    ------
    OptionError
        C is not positive.
    """
    if not C > 0:
        raise OptionError("the inverse penalty must be positive", where="C", got=C)
    if estimator is None:
        near = start if isinstance(start, LinearForm) else None
        form = linear_form(X, codes, n_classes, weights=weights, C=C, start=near)
        return form if mapped is None else form.after(mapped.matrix, mapped.offset)
    own = clone(estimator)
    own.fit(X, codes) if weights is None else own.fit(X, codes, sample_weight=weights)
    return _Own(own, n_classes, mapped)
