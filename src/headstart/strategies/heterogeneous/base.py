"""What heterogeneous adapters share: checks, scaling, the guard against target-only, saving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, Decision, FloatArray, State
from headstart.strategies.adaptation.domains import target_labels
from headstart.strategies.adaptation.forms import FORMS, Form, LinearForm
from headstart.strategies.adaptation.held_out import splits
from headstart.strategies.adaptation.nearest_form import NearestForm
from headstart.strategies.frozen import encode_classes, pack_classes
from headstart.strategies.heterogeneous.alone import ahead, judged, target_only
from headstart.strategies.heterogeneous.sides import Sides, checked_pairs, own_scale
from headstart.strategies.saved_classes import unpack_classes

T = TypeVar("T")


class HeterogeneousAdapter(ClassifierMixin, BaseEstimator):
    """Base of classifiers for a target that has other features than the labelled source.

    A subclass has ``_adapt``, which returns a linear form on the target's scaled features. The
    guard may hand back the nearest neighbour among the target's labels instead.
    """

    guarded: bool
    random_state: int | None
    needs_labels: bool = False
    needs_pairs: bool = False
    classes_: AnyArray
    form_: Form
    adapted_: bool
    decisions_: tuple[Decision, ...]

    def fit(
        self,
        X: Any,
        y: Any,
        X_target: Any = None,
        y_target: Any = None,
        *,
        pairs: Sequence[Any] | None = None,
    ) -> Self:
        """Fit to labelled rows of the source and rows of the target.

        Parameters
        ----------
        X : array of shape (n, d_s)
        y : sequence of n labels
        X_target : array of shape (m, d_t), optional
            Rows of the target; without them the source is its own target.
        y_target : sequence of length m, optional
            Labels of the target; None or NaN where there is none.
        pairs : (p, d_s) and (p, d_t) arrays, optional
            The same p items in the features of both domains; they need no label.

        Raises
        ------
        DataError
            Labels or pairs that the method needs are missing, or do not fit.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        self.classes_, codes = encode_classes(y)
        if X_target is None:
            target, y_target, pairs = X, y, (X, X)
        else:
            target = validate_data(self, X_target, dtype=np.float64)
        known = target_labels(y_target, len(target), self.classes_)
        self.decisions_, self.adapted_ = (), True
        self._made: dict[str, Any] = {}  # what folds share; gone after fit
        both = checked_pairs(pairs, X.shape[1], target.shape[1])
        self._lacks(known.max() < 0, both is None)
        here, there = own_scale(X), own_scale(target)
        if both is not None:
            both = here(both[0]), there(both[1])
        sides = Sides(here(X), codes, there(target), known, len(self.classes_), both)
        if len(self.classes_) == 1:
            form: LinearForm | NearestForm = LinearForm(np.zeros((target.shape[1], 1)), np.zeros(1))
        else:
            form = self._guard(sides)
        self.form_ = form.scaled(there.mean, there.spread)
        del self._made
        return self

    def _adapt(self, sides: Sides) -> LinearForm:
        """Return the form that predicts for scaled rows of the target."""
        raise NotImplementedError

    def _once(self, name: str, make: Callable[[], T]) -> T:
        """Return what ``make`` returns, called once a fit: what no label of the target changes."""
        if name not in self._made:
            self._made[name] = make()
        found: T = self._made[name]
        return found

    def _lacks(self, labels: bool, pairs: bool) -> None:
        if self.needs_labels and labels:
            raise DataError(
                "no row of the target has a label",
                where="y_target",
                hint="give labels of some rows of the target",
            )
        if self.needs_pairs and pairs:
            raise DataError(
                "no rows that are known in the features of both domains",
                where="pairs",
                hint="fit(..., pairs=(rows of the source, the same items as rows of the target))",
            )

    def _guard(self, sides: Sides) -> LinearForm | NearestForm:
        """Return the adapted form, or that of the target's labels alone where it does no worse."""
        adapted = self._adapt(sides)
        said = self.decisions_
        rows, codes = sides.labelled
        if not len(rows):
            why = "no label of the target: whether it helps cannot be known"
            self.decisions_ = (*said, Decision("adapted unjudged", why))
            return adapted
        if not self.guarded:
            return adapted
        seed = self.random_state or 0
        name, alone, base = target_only(rows, codes, sides.n_classes, seed)
        at = judged(codes)
        if not at.any():
            self.adapted_ = False
            why = "one label a class at most: nothing can be held out to show that transfer helps"
            self.decisions_ = (*said, Decision(f"target-only ({name})", why, "guarded=False"))
            return alone
        hits = self._held_out_hits(sides)
        self.adapted_ = ahead(hits[at], base[at])
        why = (
            f"right on {int((hits & at).sum())} of {int(at.sum())} held-out target rows, "
            f"{name} on the target alone on {int((base & at).sum())}"
        )
        what = "adapted" if self.adapted_ else f"target-only ({name})"
        self.decisions_ = (*said, Decision(what, why, "guarded=False"))
        return adapted if self.adapted_ else alone

    def _held_out_hits(self, sides: Sides) -> AnyArray:
        """Return which labelled target rows are right when their label is held out."""
        known = sides.known
        codes = sides.target_codes[known]
        hits = np.zeros(len(known), dtype=bool)
        for train, test in splits(codes, self.random_state or 0):
            if not len(train) and self.needs_labels:
                continue
            form = self._adapt(sides.hiding(known[test]))
            hits[test] = form.probabilities(sides.target[known[test]]).argmax(axis=1) == codes[test]
        return hits

    def predict_proba(self, X: Any) -> FloatArray:
        """Return (n, k) probabilities for rows of the target, in the order of ``classes_``."""
        check_is_fitted(self, "form_")
        return self.form_.probabilities(validate_data(self, X, dtype=np.float64, reset=False))

    def predict(self, X: Any) -> AnyArray:
        """Return the n most probable labels of rows of the target."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: AnyArray = self.classes_[best]
        return labels

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        check_is_fitted(self, "form_")
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
