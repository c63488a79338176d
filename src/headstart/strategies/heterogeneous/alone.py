"""Learning from the labelled rows of the target alone: what heterogeneous transfer must beat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.adaptation.base import linear_form
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.held_out import splits
from headstart.strategies.adaptation.nearest_form import NEVER, NearestForm
from headstart.strategies.frozen import one_hot
from headstart.strategies.ridge import Ridge, decompose, default_alphas

Learner = Callable[[FloatArray, IntArray, int], LinearForm | NearestForm]


def logistic(rows: FloatArray, codes: IntArray, n_classes: int) -> LinearForm:
    """Return logistic regression with C = 1."""
    return without_absent(linear_form(rows, codes, n_classes), codes)


def ridge(rows: FloatArray, codes: IntArray, n_classes: int) -> LinearForm:
    """Return ridge regression onto indicators, five times as sharp, with its best penalty."""
    spectrum = decompose(rows)
    fit = Ridge(spectrum, one_hot(codes, n_classes))
    coef, intercept = fit.linear(fit.best_alpha(default_alphas(spectrum)))
    return without_absent(LinearForm(5.0 * coef, 5.0 * intercept), codes)


def nearest(rows: FloatArray, codes: IntArray, n_classes: int) -> NearestForm:
    """Return the nearest neighbour."""
    return NearestForm(rows, codes, n_classes, np.ones(rows.shape[1]))


def without_absent(form: LinearForm, codes: IntArray) -> LinearForm:
    """Return a form that never names a class without a row."""
    absent = np.bincount(codes, minlength=len(form.intercept)) == 0
    coef = np.where(absent, 0.0, form.coef)
    return LinearForm(coef, np.where(absent, NEVER, form.intercept))


LEARNERS: dict[str, Learner] = {"logistic": logistic, "nearest": nearest, "ridge": ridge}


def judged(codes: IntArray) -> AnyArray:
    """Return a mask of the rows that can be judged: another row has their class, too."""
    mask: AnyArray = np.bincount(codes)[codes] > 1
    return mask


def held_out_hits(
    rows: FloatArray, codes: IntArray, n_classes: int, seed: int
) -> dict[str, AnyArray]:
    """Return for each learner which rows it gets right when they are held out.

    Parameters
    ----------
    rows : array of shape (m, d)
    codes : int array of shape (m,)
    n_classes : int
    seed : int
    """
    hits = {name: np.zeros(len(rows), dtype=bool) for name in LEARNERS}
    for train, test in splits(codes, seed):
        for name, learner in LEARNERS.items():
            if len(train):
                form = learner(rows[train], codes[train], n_classes)
                hits[name][test] = form.probabilities(rows[test]).argmax(axis=1) == codes[test]
    return hits


def target_only(
    rows: FloatArray, codes: IntArray, n_classes: int, seed: int
) -> tuple[str, LinearForm | NearestForm, AnyArray]:
    """Return the learner to use on the target alone: its name, its fit, its hits (m,).

    It is logistic regression unless another is right on more held-out rows by a standard error.
    """
    hits = held_out_hits(rows, codes, n_classes, seed)
    at = judged(codes)
    best = "logistic"
    for name in LEARNERS:
        if ahead(hits[name][at], hits[best][at]):
            best = name
    return best, LEARNERS[best](rows, codes, n_classes), hits[best]


def ahead(hits: AnyArray, base: AnyArray) -> bool:
    """Return whether hits are more than those of a base by over a standard error, row by row."""
    won, lost = int((hits & ~base).sum()), int((base & ~hits).sum())
    return bool(won - lost > np.sqrt(won + lost))
