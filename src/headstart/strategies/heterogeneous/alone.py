"""Learning from the labelled rows of the target alone: what heterogeneous transfer must beat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.adaptation.base import linear_form
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.held_out import splits
from headstart.strategies.frozen import one_hot
from headstart.strategies.ridge import Ridge, decompose, default_alphas

Learner = Callable[[FloatArray, IntArray, int], LinearForm]
NEVER = -1e6  # the score of a class that has no row


def logistic(rows: FloatArray, codes: IntArray, n_classes: int) -> LinearForm:
    """Return logistic regression with C = 1."""
    return without_absent(linear_form(rows, codes, n_classes), codes)


def ridge(rows: FloatArray, codes: IntArray, n_classes: int) -> LinearForm:
    """Return ridge regression onto indicators, five times as sharp, with its best penalty."""
    spectrum = decompose(rows)
    fit = Ridge(spectrum, one_hot(codes, n_classes))
    coef, intercept = fit.linear(fit.best_alpha(default_alphas(spectrum)))
    return without_absent(LinearForm(5.0 * coef, 5.0 * intercept), codes)


def class_means(rows: FloatArray, codes: IntArray, n_classes: int) -> LinearForm:
    """Return the nearest class mean; of one row a class, the nearest neighbour."""
    indicator = one_hot(codes, n_classes)
    means = indicator.T @ rows / np.maximum(indicator.sum(axis=0), 1.0)[:, None]
    sharpness = 1.0 / np.sqrt(rows.shape[1])
    form = LinearForm(sharpness * means.T, -0.5 * sharpness * (means**2).sum(axis=1))
    return without_absent(form, codes)


def without_absent(form: LinearForm, codes: IntArray) -> LinearForm:
    """Return a form that never names a class without a row."""
    absent = np.bincount(codes, minlength=len(form.intercept)) == 0
    coef = np.where(absent, 0.0, form.coef)
    return LinearForm(coef, np.where(absent, NEVER, form.intercept))


LEARNERS: dict[str, Learner] = {"logistic": logistic, "ridge": ridge, "class means": class_means}


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
) -> tuple[str, LinearForm, AnyArray]:
    """Return the learner that does best on held-out rows: its name, its fit, its hits (m,)."""
    hits = held_out_hits(rows, codes, n_classes, seed)
    at = judged(codes)
    best = max(LEARNERS, key=lambda name: hits[name][at].sum())
    return best, LEARNERS[best](rows, codes, n_classes), hits[best]
