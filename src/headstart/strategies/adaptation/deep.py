"""Deep adapters: a small network on features, trained on both domains at once.

What they share is :class:`DeepAdapter`; they differ in one loss. All fall back to the network that
learnt from the source alone where their predictions collapse, and say so in ``decisions_``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import Adapter
from headstart.strategies.adaptation.collapse import all_unknown, collapsed, forgotten
from headstart.strategies.adaptation.domains import Domains, Scale
from headstart.strategies.targets import seed_of

FEWEST_TARGET = 10  # rows of the target from which on adaptation is tried


class DeepAdapter(Adapter):
    """Base of the deep adapters; a subclass says ``method`` and may have options of its own.

    Parameters
    ----------
    hidden : int
        Units of the hidden layer.
    epochs : int
        Passes over the larger domain, of at most 64 batches each; half as many are made before on
        the source alone.
    learning_rate : float
        Peak rate of AdamW.
    weight : float, >= 0
        Of the method's loss beside the cross-entropy of the source; it rises from 0.
    batch_size : int, >= 2
        Rows of each domain in a batch.
    scale : bool
        Standardise features by both domains together.
    own_scale : bool
        Then give each feature mean 0 and spread 1 in each domain by itself, as batch norm of each
        domain's own does (Chang et al., CVPR 2019). It helps where features moved or were
        stretched, and harms where only the frequencies of the classes changed much.
    random_state : int or None

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : LayersForm
    decisions_ : tuple of Decision
        Among them whether adaptation was taken back.
    """

    method: ClassVar[str] = ""
    options: ClassVar[tuple[str, ...]] = ()
    hidden: int
    epochs: int
    learning_rate: float
    weight: float
    batch_size: int
    own_scale: bool
    random_state: int | None

    def _adapt(self, domains: Domains) -> Any:
        from headstart.strategies.adaptation.deep_methods import method_of
        from headstart.strategies.adaptation.network import Plan, train

        self._check()
        own = {name: getattr(self, name) for name in self.options}
        method = method_of(self.method, weight=self.weight, **own)
        enough = len(domains.target) >= FEWEST_TARGET
        if method.record is not None:
            self._decide(method.record)
        outputs = domains.n_classes + method.extra
        plan = Plan(
            self.hidden,
            self.epochs,
            self.learning_rate,
            self.batch_size,
            seed_of(self.random_state),
        )
        why = f"{len(domains.target)} rows of the target are too few to adapt to"
        alone = None
        if enough:
            seen, place = apart(domains) if self.own_scale else (domains, None)
            alone, after = train(*_labelled(seen), seen.target, outputs, method, plan)
            why = self._failure(seen, alone.probabilities, after.probabilities)
            if not why:
                return after if place is None else after.scaled(place.mean, place.spread)
        self._decide(Decision("the source alone was learnt from", why, "another adapter"))
        if alone is None or self.own_scale:  # what was before was scaled to the target
            alone, _ = train(*_labelled(domains), domains.target, outputs, None, plan)
        return alone

    def _check(self) -> None:
        """Raise OptionError where a parameter cannot be used."""
        least = {"hidden": 1, "epochs": 1, "batch_size": 2}
        for name, low in least.items():
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < low:
                raise OptionError("too small", where=name, got=value, allowed=f"{low} or more")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise OptionError("not a rate above 0", where="learning_rate", got=self.learning_rate)

    def _decide(self, decision: Decision) -> None:
        self.decisions_ = (*self.decisions_, decision)

    def _failure(self, domains: Domains, before: Any, after: Any) -> str:
        """Say what went wrong; empty where nothing did."""
        k = domains.n_classes
        known, found = before(domains.target), after(domains.target)
        if np.isfinite(found).all() and found.shape[1] > k:
            why = all_unknown(float((found.argmax(axis=1) == k).mean()))
            if why:
                return why
            known, found = _among(known, k), _among(found, k)
        right = [
            float((p(domains.X).argmax(axis=1) == domains.codes).mean()) for p in (before, after)
        ]
        return collapsed(known, found) or forgotten(*right)


def _labelled(domains: Domains) -> tuple[FloatArray, IntArray]:
    """Return all rows that have a label, of both domains, and their classes."""
    known = domains.known
    if not len(known):
        return domains.X, domains.codes
    return (
        np.vstack([domains.X, domains.target[known]]),
        np.concatenate([domains.codes, domains.target_codes[known]]),
    )


def apart(domains: Domains) -> tuple[Domains, Scale]:
    """Return both domains standardised each by itself, and how rows of the target were.

    A feature that is constant in one of them stays as it is in both.
    """
    means = [rows.mean(axis=0) for rows in (domains.X, domains.target)]
    spreads = [rows.std(axis=0) for rows in (domains.X, domains.target)]
    usable = np.minimum(*spreads) > 1e-6 * np.maximum(np.maximum(*spreads), 1e-300)
    source, target = (
        Scale(
            np.where(usable, mean, 0.0).astype(domains.X.dtype),
            np.where(usable, spread, 1.0).astype(domains.X.dtype),
        )
        for mean, spread in zip(means, spreads, strict=True)
    )
    seen = replace(domains, X=source(domains.X), target=target(domains.target))
    return seen, target


def _among(probabilities: FloatArray, k: int) -> FloatArray:
    """Return the probabilities of the first k classes, given that it is one of them."""
    total = probabilities[:, :k].sum(axis=1, keepdims=True)
    result: FloatArray = probabilities[:, :k] / np.maximum(total, 1e-300)
    return result
