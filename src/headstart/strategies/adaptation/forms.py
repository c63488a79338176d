"""Fitted adapters as plain data: what they predict with, without what they were fitted by.

Whatever the method, what is left after fitting is one of a few forms. All of them take rows of the
target as they are: scaling and mapping are folded in.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np

from headstart.core.types import AnyArray, FloatArray, State
from headstart.strategies.adaptation.boosted_forms import TreesForm, VoteForm
from headstart.strategies.adaptation.nearest_form import NearestForm
from headstart.strategies.heads import linear_probabilities
from headstart.strategies.saved_classes import unpack_classes


class Form(Protocol):
    """What a fitted adapter predicts with."""

    name: str

    def probabilities(self, X: FloatArray) -> FloatArray:
        """Return (n, k) class probabilities of rows (n, d)."""

    def arrays(self) -> dict[str, AnyArray]:
        """Return all there is to keep."""


class LinearForm:
    """``softmax(X @ coef + intercept)``.

    Parameters
    ----------
    coef : ndarray of shape (d, k)
    intercept : ndarray of shape (k,)
    """

    name = "linear"

    def __init__(self, coef: FloatArray, intercept: FloatArray) -> None:
        self.coef, self.intercept = coef, intercept

    def probabilities(self, X: FloatArray) -> FloatArray:
        """Return (n, k) class probabilities."""
        return linear_probabilities(X, self.coef, self.intercept)

    def arrays(self) -> dict[str, AnyArray]:
        """Return the coefficients."""
        return {"coef": self.coef, "intercept": self.intercept}

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray]) -> Self:
        """Rebuild from :meth:`arrays`."""
        return cls(arrays["coef"], arrays["intercept"])

    def after(self, matrix: FloatArray | None, offset: FloatArray | None) -> LinearForm:
        """Return the form that takes rows x where this one takes ``x @ matrix + offset``."""
        coef, intercept = self.coef, self.intercept
        if offset is not None:
            intercept = intercept + offset @ coef
        if matrix is not None:
            coef = matrix @ coef
        return LinearForm(coef, intercept)

    def scaled(self, mean: FloatArray, spread: FloatArray) -> LinearForm:
        """Return the form that takes rows x where this one takes ``(x - mean) / spread``."""
        coef = self.coef / spread[:, None]
        return LinearForm(coef, self.intercept - mean @ coef)

    def tilted(self, ratio: FloatArray, sharpness: float = 1.0) -> LinearForm:
        """Return the form of which odds are multiplied by a ratio a class, shape (k,).

        ``sharpness`` multiplies the scores before that.
        """
        return LinearForm(self.coef * sharpness, self.intercept * sharpness + np.log(ratio))


class MixtureForm:
    """A weighted mean of the probabilities of linear forms.

    Parameters
    ----------
    coefs : ndarray of shape (t, d, k)
    intercepts : ndarray of shape (t, k)
    weights : ndarray of shape (t,)
        They sum to 1.
    """

    name = "mixture"

    def __init__(self, coefs: FloatArray, intercepts: FloatArray, weights: FloatArray) -> None:
        self.coefs, self.intercepts, self.weights = coefs, intercepts, weights

    def probabilities(self, X: FloatArray) -> FloatArray:
        """Return (n, k) class probabilities."""
        total = np.zeros((len(X), self.intercepts.shape[1]))
        for coef, intercept, weight in zip(self.coefs, self.intercepts, self.weights, strict=True):
            total += weight * linear_probabilities(X, coef, intercept)
        return total

    def arrays(self) -> dict[str, AnyArray]:
        """Return coefficients and weights."""
        return {"coefs": self.coefs, "intercepts": self.intercepts, "weights": self.weights}

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray]) -> Self:
        """Rebuild from :meth:`arrays`."""
        return cls(arrays["coefs"], arrays["intercepts"], arrays["weights"])

    def scaled(self, mean: FloatArray, spread: FloatArray) -> MixtureForm:
        """Return the form that takes rows x where this one takes ``(x - mean) / spread``."""
        coefs = self.coefs / spread[:, None]
        return MixtureForm(coefs, self.intercepts - mean @ coefs, self.weights)


class LayersForm:
    """Layers with rectified units between them, and a softmax at the end.

    Parameters
    ----------
    weights : list of ndarray of shape (d_in, d_out)
    biases : list of ndarray of shape (d_out,)
    """

    name = "layers"

    def __init__(self, weights: list[FloatArray], biases: list[FloatArray]) -> None:
        self.weights, self.biases = weights, biases

    def probabilities(self, X: FloatArray) -> FloatArray:
        """Return (n, k) class probabilities."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            X = np.maximum(np.ascontiguousarray(X) @ weight + bias, 0.0)
        return linear_probabilities(X, self.weights[-1], self.biases[-1])

    def arrays(self) -> dict[str, AnyArray]:
        """Return weights and biases by the number of their layer."""
        pairs = enumerate(zip(self.weights, self.biases, strict=True))
        return {
            f"{name}.{place}": array
            for place, both in pairs
            for name, array in zip(("weight", "bias"), both, strict=True)
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray]) -> Self:
        """Rebuild from :meth:`arrays`."""
        layers = range(len(arrays) // 2)
        weights = [arrays[f"weight.{place}"] for place in layers]
        return cls(weights, [arrays[f"bias.{place}"] for place in layers])

    def scaled(self, mean: FloatArray, spread: FloatArray) -> LayersForm:
        """Return the form that takes rows x where this one takes ``(x - mean) / spread``."""
        first = self.weights[0] / spread[:, None]
        return LayersForm(
            [first, *self.weights[1:]], [self.biases[0] - mean @ first, *self.biases[1:]]
        )


FORMS: dict[str, Any] = {
    form.name: form
    for form in (LinearForm, MixtureForm, LayersForm, VoteForm, TreesForm, NearestForm)
}


class AdaptedHead:
    """A fitted adapter as a bundle holds it, without scikit-learn.

    Parameters
    ----------
    form : Form
    classes : ndarray of shape (k,)
    """

    def __init__(self, form: Form, classes: AnyArray) -> None:
        self.form_, self.classes_ = form, classes

    def predict_proba(self, X: Any) -> FloatArray:
        """Return (n, k) probabilities; columns in the order of ``classes_``."""
        return self.form_.probabilities(np.asarray(X))

    def predict(self, X: Any) -> AnyArray:
        """Return the n most probable labels."""
        labels: AnyArray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what the ``to_state`` of an adapter returned."""
        classes = unpack_classes(state.meta)
        return cls(FORMS[state.meta["form"]].from_arrays(state.arrays), classes)
