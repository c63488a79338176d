"""Self-training: the model's surest labels of the target teach the next model."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import Adapter, learn
from headstart.strategies.adaptation.domains import UNLABELLED, Domains
from headstart.strategies.adaptation.gaussian import FEWEST
from headstart.strategies.adaptation.priors import (
    MOST,
    HeldOut,
    calibrate,
    em_prior,
    held_out,
    label_shift_p,
    logs,
    on_sample,
    sampled,
)

LEVEL = 0.05
LEAST_SHARE = 0.2
"""Share of its expected rows below which a class has vanished from the predictions."""


class PseudoLabels(Adapter):
    """Learn from the source, then in rounds also from the target rows it is surest of.

    Each round takes more target rows, of each class its share by an estimate of how frequent the
    classes are in the target: by EM where frequencies explain the target, else what the model
    says. Where a class all but vanishes from the predictions, the model of the source is handed
    back. Of more than 10,000 rows a domain all but the last round learn from so many, drawn.

    Parameters
    ----------
    n_rounds : int, >= 1
    most : float, above 0, up to 1
        Share of the target rows of each class that the last round takes.
    weight : float, > 0
        What such a row counts beside one of the source.
    estimator, C, scale
        As for :class:`~headstart.strategies.adaptation.SourceOnly`; the estimator takes
        ``sample_weight``.
    random_state : int, optional
        Of the folds and the resampling behind the estimate.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : Form
    target_prior_ : ndarray of shape (k,)
    n_taken_ : int
        Target rows without a label that the last model learnt from; 0 where it was handed back.
    decisions_ : tuple of Decision

    Raises
    ------
    OptionError
        ``n_rounds``, ``most``, ``weight`` or C is out of range.

    References
    ----------
    Lee, "Pseudo-label", ICML workshop, 2013; a quota for each class: Zou, Yu, Kumar & Wang,
    "Unsupervised domain adaptation for semantic segmentation via class-balanced self-training",
    ECCV 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.strategies.adaptation import PseudoLabels, SourceOnly
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 150)
    >>> X, target = rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
    >>> X[:, 0] += 4 * y
    >>> target += np.outer(y, [3, 3]) + [1.5, 0]
    >>> round(SourceOnly().fit(X, y, target).score(target, y), 3)
    0.833
    >>> round(PseudoLabels().fit(X, y, target).score(target, y), 3)
    0.857
    """

    def __init__(
        self,
        *,
        n_rounds: int = 5,
        most: float = 0.8,
        weight: float = 1.0,
        estimator: Any = None,
        C: float = 1.0,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.n_rounds = n_rounds
        self.most = most
        self.weight = weight
        self.estimator = estimator
        self.C = C
        self.scale = scale
        self.random_state = random_state

    def _adapt(self, domains: Domains) -> Any:
        self._check()
        self.n_taken_ = 0
        known, free = domains.known, np.flatnonzero(domains.target_codes == UNLABELLED)
        rows, codes, target = domains.X, domains.codes, domains.target
        if len(known):  # no copies of a large table where there is nothing to add
            rows = np.vstack([rows, target[known]])
            codes = np.concatenate([codes, domains.target_codes[known]])
            target = target[free]
        k = domains.n_classes
        self.target_prior_: FloatArray = np.bincount(domains.codes, minlength=k) / len(
            domains.codes
        )
        first: Any = self._fit(rows, codes, k, None)
        form = first
        if domains.same:
            return self._handed_back(first, "the target is the source")
        if len(free) < FEWEST or len(domains.X) < FEWEST:
            return self._handed_back(first, f"{len(free)} target rows have no label")
        found = self._held_out(domains, target)
        if len(found.source) < FEWEST:
            reason = f"{len(found.source)} rows of the source can be held out, under {FEWEST}"
            return self._handed_back(first, reason)
        self.decisions_ += on_sample(len(domains.X))
        self.target_prior_ = self._prior(domains, found, form, target)
        form, reason = self._rounds(rows, codes, k, target, form)
        if reason:
            return self._handed_back(first, reason)
        changed = (
            first.probabilities(target).argmax(axis=1) != form.probabilities(target).argmax(axis=1)
        ).mean()
        self.decisions_ += (
            Decision(
                f"{self.n_taken_} rows of the target learnt with labels of the model",
                f"the surest of each class; {changed:.0%} of the labels have changed by it",
                "most=, n_rounds=",
            ),
        )
        return form

    def _rounds(
        self, rows: FloatArray, codes: IntArray, k: int, target: FloatArray, form: Any
    ) -> tuple[Any, str]:
        """Return the form of the last round, and why it cannot be used, if so.

        The rounds before the last find the labels that the last one learns: a sample is enough.
        """
        some = sampled(codes, MOST, self.random_state)
        theirs = sampled(np.zeros(len(target), np.int64), MOST, self.random_state)
        if len(some) < len(rows) or len(theirs) < len(target):
            self.decisions_ += (
                Decision(
                    f"all rounds but the last learn from {len(some):,} rows of the source and "
                    f"choose among {len(theirs):,} of the target",
                    f"of {len(rows):,} and {len(target):,}: they only find labels for the last",
                ),
            )
        mine, own, seen = rows[some], codes[some], target[theirs]
        for done in range(1, self.n_rounds + 1):
            if done == self.n_rounds:
                mine, own, seen = rows, codes, target
            share = self.most * done / self.n_rounds
            taken, labels = surest(form.probabilities(seen), self.target_prior_, share)
            form = self._fit(
                np.vstack([mine, seen[taken]]),
                np.concatenate([own, labels]),
                k,
                np.concatenate([np.ones(len(mine)), np.full(len(taken), float(self.weight))]),
                start=form,
            )
            reason = self._collapsed(form.probabilities(seen), k)
            if reason:
                return form, f"{reason} in round {done}"
            self.n_taken_ = len(taken)
        return form, ""

    def _check(self) -> None:
        for where, good, allowed in (
            ("n_rounds", self.n_rounds >= 1, "1 or more"),
            ("most", 0 < self.most <= 1, "above 0, up to 1"),
            ("weight", self.weight > 0, "above 0"),
        ):
            if not good:
                value = getattr(self, where)
                raise OptionError("out of range", where=where, got=value, allowed=allowed)

    def _fit(
        self,
        X: FloatArray,
        codes: IntArray,
        k: int,
        weights: FloatArray | None,
        start: Any = None,
    ) -> Any:
        return learn(X, codes, k, weights, estimator=self.estimator, C=self.C, start=start)

    def _handed_back(self, form: Any, reason: str) -> Any:
        self.n_taken_ = 0
        self.decisions_ += (Decision("the model of the source as it is", reason),)
        return form

    def _held_out(self, domains: Domains, target: FloatArray) -> HeldOut:
        k = domains.n_classes
        return held_out(
            domains.X,
            domains.codes,
            target,
            lambda X, codes: self._fit(X, codes, k, None),
            self.random_state,
        )

    def _prior(self, domains: Domains, found: HeldOut, form: Any, target: FloatArray) -> FloatArray:
        """Return how frequent the classes are in the target, as well as can be told."""
        p = label_shift_p(found, domains.X, domains.codes, target, self.random_state)
        calibration = calibrate(found.source, found.codes)
        if p >= LEVEL:
            before = np.maximum(calibration(found.source).mean(axis=0), 0.1 / len(domains.X))
            prior, how = em_prior(calibration(found.target), before), "by EM"
        else:
            prior = calibration(logs(form.probabilities(target))).mean(axis=0)
            how = f"as the model says, for more than frequencies has changed (p = {p:.3f})"
        shown = ", ".join(f"{share:.2f}" for share in prior[:10])
        self.decisions_ += (
            Decision("frequencies of the classes in the target", f"{how}: {shown}"),
        )
        return prior

    def _collapsed(self, chances: FloatArray, k: int) -> str:
        """Say which class has all but vanished from the predictions; "" if none."""
        counts = np.bincount(chances.argmax(axis=1), minlength=k)
        expected = self.target_prior_ * len(chances)
        gone = np.flatnonzero((expected >= 5) & (counts < LEAST_SHARE * expected))
        if not len(gone):
            return ""
        code = int(gone[0])
        return (
            f"{counts[code]} rows of class {self.classes_[code]!s} left where "
            f"{expected[code]:.0f} are expected"
        )


def surest(chances: FloatArray, prior: FloatArray, share: float) -> tuple[IntArray, IntArray]:
    """Return the surest rows of each class, at most its share of all rows, and their classes.

    Parameters
    ----------
    chances : ndarray of shape (m, k)
    prior : ndarray of shape (k,)
    share : float
        Of the rows that are expected of each class.
    """
    labels = chances.argmax(axis=1)
    sure = chances[np.arange(len(chances)), labels]
    taken = []
    for code in range(len(prior)):
        rows = np.flatnonzero(labels == code)
        quota = int(np.ceil(share * prior[code] * len(chances)))
        taken.append(rows[np.argsort(-sure[rows], kind="stable")[:quota]])
    places = np.sort(np.concatenate(taken))
    return places, labels[places]
