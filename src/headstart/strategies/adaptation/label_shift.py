"""Label shift: the classes look as they did, but are differently frequent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import Adapter, Mapped, MappingAdapter, learn
from headstart.strategies.adaptation.domains import UNLABELLED, Domains
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.gaussian import FEWEST
from headstart.strategies.adaptation.priors import (
    HeldOut,
    bbse_weights,
    calibrate,
    confusion,
    em_prior,
    held_out,
    label_shift_p,
    likelihood_p,
    logs,
    on_sample,
)
from headstart.strategies.heads import softmax_rows

LEVEL = 0.05


class Tilted:
    """A form of which calibrated odds are multiplied: for learners of the user's own."""

    name = "own"

    def __init__(self, form: Any, ratio: FloatArray, sharpness: float) -> None:
        self._form, self._log, self._sharpness = form, np.log(ratio), sharpness

    def probabilities(self, X: FloatArray) -> FloatArray:
        """Return (n, k) class probabilities."""
        return softmax_rows(self._sharpness * logs(self._form.probabilities(X)) + self._log)

    def arrays(self) -> dict[str, AnyArray]:
        """Return nothing: it cannot be saved."""
        return {}


def learner(n_classes: int, estimator: Any, C: float) -> Callable[[FloatArray, IntArray], Any]:
    """Return what fits a form to rows and classes."""
    return lambda X, codes: learn(X, codes, n_classes, estimator=estimator, C=C)


def not_label_shift(
    scores: HeldOut | None, domains: Domains, level: float, random_state: int | None
) -> str:
    """Say why the frequencies of the classes are no explanation of the target; "" if they are."""
    if domains.same:
        return "the target is the source"
    if scores is None:
        fewest = min(len(domains.X), len(domains.target))
        return f"too few rows to tell ({fewest} in a domain)"
    p = label_shift_p(scores, domains.X, domains.codes, domains.target, random_state)
    if p < level:
        return (
            f"this is not label shift alone: the target is no mixture of the classes of the "
            f"source (p = {p:.3f})"
        )
    return ""


def check_level(level: float) -> None:
    """Refuse a level that is no probability.

    Raises
    ------
    OptionError
        It is not from 0 to below 1.
    """
    if not 0 <= level < 1:
        raise OptionError(
            "no level of a test", where="level", got=level, allowed="from 0 to below 1"
        )


def _scores(domains: Domains, fit: Any, random_state: int | None) -> HeldOut | None:
    if domains.same or min(len(domains.X), len(domains.target)) < FEWEST:
        return None
    found = held_out(domains.X, domains.codes, domains.target, fit, random_state)
    return found if len(found.source) >= FEWEST else None


class LabelShiftEM(Adapter):
    """Correct the model of the source for how frequent the classes are in the target.

    The frequencies are those with the greatest likelihood, found by EM on the calibrated
    probabilities that the model of the source gives to rows of the target; of more than 10,000 rows
    of the source so many are drawn for that. Two tests guard it: the
    model is left as it is where the target is no mixture of the classes of the source
    (then something else has changed, and the correction would do harm), and where the frequencies
    do not differ more than by chance.

    Parameters
    ----------
    level : float, from 0 to below 1
        Of both tests; 0 switches the first off, and 0.05 is used for the second.
    estimator, C, scale
        As for :class:`~headstart.strategies.adaptation.SourceOnly`.
    random_state : int, optional
        Of the folds and the resampling.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
    source_prior_, target_prior_ : ndarray of shape (k,)
        How frequent the classes are; equal where the model was left as it is.
    decisions_ : tuple of Decision

    Raises
    ------
    OptionError
        ``level`` is no level, or C is not positive.

    References
    ----------
    Saerens, Latinne & Decaestecker, Neural Computation 14, 2002; bias-corrected temperature
    scaling: Alexandari, Kundaje & Shrikumar, ICML 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import LabelShiftEM, SourceOnly
    >>> rng = np.random.default_rng(0)
    >>> y, y_target = np.repeat([0, 1], [300, 100]), np.repeat([0, 1], [40, 360])
    >>> X, target = rng.normal(size=(400, 1)) + 2 * y[:, None], rng.normal(size=(400, 1))
    >>> target += 2 * y_target[:, None]
    >>> SourceOnly().fit(X, y, target).score(target, y_target)
    0.6975
    >>> model = LabelShiftEM().fit(X, y, target)
    >>> model.score(target, y_target), model.target_prior_.round(2).tolist()
    (0.935, [0.1, 0.9])
    """

    def __init__(
        self,
        *,
        level: float = LEVEL,
        estimator: Any = None,
        C: float = 1.0,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.level = level
        self.estimator = estimator
        self.C = C
        self.scale = scale
        self.random_state = random_state

    def _adapt(self, domains: Domains) -> Any:
        check_level(self.level)
        n, m, k = len(domains.X), len(domains.target), domains.n_classes
        fit = learner(k, self.estimator, self.C)
        form = fit(domains.X, domains.codes)
        self.source_prior_: FloatArray = np.bincount(domains.codes, minlength=k) / n
        self.target_prior_: FloatArray = self.source_prior_
        found = _scores(domains, fit, self.random_state)
        self.decisions_ += on_sample(0 if found is None else n)
        reason = not_label_shift(found, domains, self.level, self.random_state)
        if reason or found is None:
            return self._as_it_is(form, reason)
        calibration = calibrate(found.source, found.codes)
        before = np.maximum(calibration(found.source).mean(axis=0), 0.1 / n)
        known = np.bincount(domains.target_codes[domains.known], minlength=k).astype(np.float64)
        chances = calibration(found.target[domains.target_codes == UNLABELLED])
        prior = em_prior(chances, before, known=known)
        p = likelihood_p(chances, before, prior, known, len(found.source))
        if not p < (self.level or LEVEL):
            return self._as_it_is(form, f"the classes are as frequent as before (p = {p:.3f})")
        self.source_prior_, self.target_prior_ = before / before.sum(), prior
        shown = ", ".join(f"{share:.2f}" for share in prior[:10])
        self.decisions_ += (
            Decision(
                "corrected for how frequent the classes are",
                f"they differ (p = {p:.1g}): {shown}{', ...' if k > 10 else ''}",
            ),
        )
        ratio = np.exp(calibration.bias) * np.maximum(prior, 0.1 / m) / before
        if isinstance(form, LinearForm):
            return form.tilted(ratio, calibration.sharpness)
        return Tilted(form, ratio, calibration.sharpness)

    def _as_it_is(self, form: Any, reason: str) -> Any:
        self.decisions_ += (Decision("the model of the source as it is", reason, "level="),)
        return form


class BBSE(MappingAdapter):
    """Weigh the classes of the source by how much more frequent they are in the target.

    The ratios solve ``confusion @ w = mean prediction on the target`` with w >= 0, the soft
    confusion being that of held-out rows. All rows weigh the same where the classes cannot be told
    apart well enough (smallest singular value), where the target is no mixture of the classes of
    the source, and where the model says the same of both domains.

    Parameters
    ----------
    max_weight : float, > 1
        Ratios are kept between its inverse and it.
    min_singular : float, from 0 to below 1
        Smallest singular value of the confusion (columns sum to 1) that is trusted.
    level : float, from 0 to below 1
        Of both tests; 0 switches the first off, and 0.05 is used for the second.
    estimator, C, scale
        As for :class:`~headstart.strategies.adaptation.SourceOnly`; the estimator takes
        ``sample_weight``.
    random_state : int, optional
        Of the folds and the resampling.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
    class_weights_ : ndarray of shape (k,)
        Ratio of the frequencies of each class, target over source.
    target_prior_ : ndarray of shape (k,)
    decisions_ : tuple of Decision

    Raises
    ------
    OptionError
        ``max_weight``, ``min_singular``, ``level`` or C is out of range.

    References
    ----------
    Lipton, Wang & Smola, "Detecting and correcting for label shift with black box predictors",
    ICML 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import BBSE
    >>> rng = np.random.default_rng(0)
    >>> y, y_target = np.repeat([0, 1], [300, 100]), np.repeat([0, 1], [40, 360])
    >>> X, target = rng.normal(size=(400, 1)) + 2 * y[:, None], rng.normal(size=(400, 1))
    >>> target += 2 * y_target[:, None]
    >>> model = BBSE().fit(X, y, target)
    >>> model.score(target, y_target), model.target_prior_.round(2).tolist()
    (0.9275, [0.1, 0.9])
    """

    def __init__(
        self,
        *,
        max_weight: float = 20.0,
        min_singular: float = 0.1,
        level: float = LEVEL,
        estimator: Any = None,
        C: float = 1.0,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.max_weight = max_weight
        self.min_singular = min_singular
        self.level = level
        self.estimator = estimator
        self.C = C
        self.scale = scale
        self.random_state = random_state

    def _map(self, domains: Domains) -> Mapped:
        check_level(self.level)
        if not self.max_weight > 1:
            raise OptionError("must be above 1", where="max_weight", got=self.max_weight)
        if not 0 <= self.min_singular < 1:
            raise OptionError("from 0 to below 1", where="min_singular", got=self.min_singular)
        k = domains.n_classes
        prior: FloatArray = np.bincount(domains.codes, minlength=k) / len(domains.codes)
        self.class_weights_: FloatArray = np.ones(k)
        self.target_prior_ = prior
        weights, why = self._weights(domains)
        if weights is None:
            self.decisions_ += (Decision("all classes weigh as they are", why, "level="),)
            return Mapped(domains.X)
        bounded = np.clip(weights, 1.0 / self.max_weight, self.max_weight)
        bounded = bounded / float(bounded @ prior)
        if not np.allclose(bounded, weights):
            why += f"; ratios kept within 1/{self.max_weight:g} and {self.max_weight:g}"
        self.class_weights_, self.target_prior_ = bounded, bounded * prior
        self.decisions_ += (Decision("classes weighted", why, "max_weight="),)
        return Mapped(domains.X, bounded[domains.codes])

    def _weights(self, domains: Domains) -> tuple[FloatArray | None, str]:
        fit = learner(domains.n_classes, self.estimator, self.C)
        found = _scores(domains, fit, self.random_state)
        self.decisions_ += on_sample(0 if found is None else len(domains.X))
        reason = not_label_shift(found, domains, self.level, self.random_state)
        if reason or found is None:
            return None, reason
        table = confusion(softmax_rows(found.source), found.codes, softmax_rows(found.target))
        if table.smallest < self.min_singular:
            return None, (
                f"the model cannot tell the classes apart: smallest singular value of its "
                f"confusion {table.smallest:.3f}, under {self.min_singular:g}"
            )
        if not table.p < (self.level or LEVEL):
            return None, f"the model says the same of both domains (p = {table.p:.3f})"
        return bbse_weights(
            table
        ), f"the model says something else of the target (p = {table.p:.1g})"
