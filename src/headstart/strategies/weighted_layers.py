"""A weighted sum of all layers of a frozen source, and a linear model on it.

The layer that suits a task best is often not the last. Its weights are learnt, not chosen: see
``layer_weights``. All layers come of one run through the source, and stay in the cache.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from headstart.core.errors import OptionError
from headstart.core.types import SILENT, Decision, FloatArray, Reporter, subset
from headstart.strategies import base as dictionary
from headstart.strategies.frozen import positive_list
from headstart.strategies.layer_weights import STRENGTHS, learn_layers
from headstart.strategies.tuned import tuned_backbone
from headstart.strategies.tuning.estimator import (
    Tuned,
    TunedClassifierMixin,
    TunedRegressorMixin,
    _by_place,
)

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone

MODALITIES = ("text", "audio")
_TIMED = 8  # items that tell how long all take


class _Weighted(Tuned):
    """What classifier and regressor share.

    Parameters
    ----------
    source, Cs, device, reporter, random_state
        See :class:`WeightedLayers`.
    """

    strategy = "weighted-layers"

    def __init__(
        self,
        *,
        source: Any = None,
        Cs: Sequence[float] | None = None,
        device: str | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        validation: Any = None,
        reporter: Reporter = SILENT,
        random_state: int | None = 0,
    ) -> None:
        self.source, self.Cs = source, Cs
        self.device, self.checkpoint, self.resume = device, checkpoint, resume
        self.validation = validation
        self.reporter, self.random_state = reporter, random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the weights and the linear model from n items and their labels.

        Parameters
        ----------
        X : sequence of length n
            Texts; or paths of sounds, or ``(samples, rate)``.
        y : sequence of length n
            Labels; numbers for a regressor.

        Raises
        ------
        DataError, OptionError, SourceError
            Each names what is wrong, where, and what to do next.
        """
        from headstart import encode

        X = _by_place(X)
        target, truth, n_outputs = self._targets(X, y)
        if target == "sets":
            raise OptionError(
                "weighted-layers takes one label an item",
                where="y",
                got="an (n, k) array",
                hint="a strategy that tunes, as lp-ft, takes sets of labels",
            )
        strengths = STRENGTHS if self.Cs is None else positive_list(self.Cs, "Cs")
        source = self._load(X)
        places = _places(source, X)
        each = _each(source, places)
        found = encode.features(X, each, device=self.device, reporter=self.reporter).array
        rows = found.reshape(len(X), len(places), -1)
        n_classes = n_outputs if target == "classes" else 0
        learnt = learn_layers(
            rows,
            truth,
            n_classes,
            seed=self.random_state_,
            strengths=[float(one) for one in strengths],
        )
        weights = np.zeros(len(source.blocks))
        weights[places] = learnt.factors
        mixed = np.einsum("nld,l->nd", rows, learnt.factors.astype(np.float32))
        self._head(mixed, truth)
        self.given_ = _given(source, weights.tolist())
        self.tuned_: dict[str, Any] = {}
        self._base, self._made, self.target_ = source, None, target
        self.history_: list[dict[str, float]] = []
        self.wise_ = 1.0
        names = [source.block_names[place] for place in places]
        shares = {name: float(w) for name, w in zip(names, learnt.weights, strict=True)}
        self.settings_ = {"layers": shares, "C": learnt.strength}
        self.decisions_ = [_explain(shares, learnt.losses, learnt.strength)]
        return self

    def seconds_to_fit(self, X: Any, y: Any) -> float:
        """Return about how many seconds ``fit`` would take, from a few items."""
        from headstart import encode

        X = _by_place(X)
        few = min(_TIMED, len(X))
        backbone = self._load(X)
        part = subset(X, np.linspace(0, len(X) - 1, few).astype(int))
        started = time.perf_counter()
        encode.features(part, backbone, cache=False, device=self.device)
        return (time.perf_counter() - started) / few * len(X) + 1.0

    def _session(self, X: Any, y: Any) -> Any:
        raise OptionError(
            "weighted-layers has no learning rate", where="estimator", got=type(self).__name__
        )

    def _head(self, mixed: FloatArray, truth: Any) -> None:
        """Fit the linear model on the weighted sum: a probe."""
        kind: Any = "regression" if self.regression else "classification"
        probe = dictionary.make("probe", kind=kind, modality="text", random_state=0)
        state = probe.fit(mixed, truth).to_state()
        intercept = state.arrays.get("intercept", state.meta.get("intercept"))
        coef = state.arrays["coef"].reshape(mixed.shape[1], -1)
        intercept = np.atleast_1d(np.asarray(intercept, dtype=np.float64))
        if self.regression:
            coef, intercept = coef * self.spread_, intercept * self.spread_ + self.centre_
        self.coef_, self.intercept_ = coef, intercept


class WeightedLayers(TunedClassifierMixin, ClassifierMixin, _Weighted):
    """Learn how much each layer of a frozen source counts, and a linear model on their sum.

    Parameters
    ----------
    source : str, Backbone or None
        As for :class:`headstart.strategies.FineTune`. It is not changed; its blocks must be
        layers: two or more that give features as long as the source's own.
    Cs : sequence of float > 0, optional
        Inverse penalties with which the weights are learnt; by default 1, 10, 100 and 1,000. Of
        several the one with the least log loss on held-out items.
    device : str, optional
    checkpoint, resume, validation
        As for the strategies that tune; they change nothing: a fit takes seconds.
    reporter : Reporter
    random_state : int or None
        Draws the folds that choose C; and the 2,000 items that learn the weights, of more.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    coef_, intercept_ : ndarray of shape (d, k) and (k,)
        A probe on the weighted sum.
    settings_ : dict
        ``layers``, the weight of each by name, and ``C``.
    decisions_ : list of Decision

    Raises
    ------
    OptionError
        The source's blocks are no such layers, or an item has several labels.

    References
    ----------
    Yang et al., SUPERB: Speech processing universal performance benchmark, Interspeech 2021.

    Examples
    --------
    >>> import headstart as hs
    >>> texts, labels = ["good", "bad", "fine", "awful"] * 8, ["+", "-", "+", "-"] * 8
    >>> model = hs.strategies.WeightedLayers(source="minilm")         # doctest: +SKIP
    >>> model.fit(texts, labels).predict(["great"]).tolist()          # doctest: +SKIP
    ['+']
    """


class WeightedLayersRegressor(TunedRegressorMixin, RegressorMixin, _Weighted):
    """Weigh the layers of a frozen source to predict numbers; see :class:`WeightedLayers`."""

    regression = True


def _given(source: Backbone, weights: Sequence[float], **more: Any) -> dict[str, Any]:
    """Return what differs in the source's input where its layers are weighed."""
    given: dict[str, Any] = {"layers": list(weights), **more}
    if source.card.modality == "audio":  # parts of a sound are averaged as they are
        given["normalise"] = False
    return given


def _each(source: Backbone, places: Sequence[int]) -> Backbone:
    """Return the source with the features of all its layers side by side."""
    weights = [1.0 if place in places else 0.0 for place in range(len(source.blocks))]
    made = tuned_backbone(source, {}, _given(source, weights, beside=True))
    made.card = replace(made.card, dim=source.card.dim * len(places))
    return made


def _places(source: Backbone, X: Any) -> list[int]:
    """Return the places of the blocks whose features are as long as the source's own.

    Raises
    ------
    OptionError
        There are not two, or the source is of images.
    """
    import torch

    modality = source.card.modality
    widths: Mapping[str, int] = {}
    if modality in MODALITIES:
        state = source.start(_first(source, X))
        found = {}
        with torch.inference_mode():
            for name, block in zip(source.block_names, source.blocks, strict=True):
                state = block(state)
                found[name] = int(source.pool_layer(state).shape[1])
        widths = found
    places = [i for i, width in enumerate(widths.values()) if width == source.card.dim]
    if len(places) < 2:
        raise OptionError(
            "the blocks of this source are no layers that can be summed",
            where=f"the source {source.card.name}",
            got=str(dict(widths)) if widths else modality,
            allowed="two blocks or more of texts or sounds, their features equally long",
            hint="another source, or a view of it at one block with --strategy probe",
        )
    return places


def _first(source: Backbone, X: Any) -> Any:
    """Return a batch of the first item."""
    from headstart.strategies.tuning.augment import SpecAugment
    from headstart.strategies.tuning.items import TextItems
    from headstart.strategies.tuning.sounds import SoundItems

    one = [X[0]]
    place = np.zeros(1, dtype=np.int64)
    if source.card.modality == "text":
        return TextItems(one, source).load(place, 0, None)
    items = SoundItems(one, source, augment=SpecAugment(0.0), reporter=SILENT)
    return items.load(place, 0, None).parts[0]


def _explain(
    shares: Mapping[str, float], losses: Mapping[float, float], strength: float
) -> Decision:
    top = sorted(shares, key=lambda name: -shares[name])[:3]
    what = ", ".join(f"{name} {shares[name]:.2f}" for name in top)
    why = f"learnt with C = {strength:g}"
    if losses:
        tried = ", ".join(f"{loss:.3f} at {C:g}" for C, loss in losses.items())
        why += f", whose held-out loss is the least: {tried}"
    return Decision(f"layers weigh: {what}", why, "--source NAME@BLOCK takes one layer alone")
