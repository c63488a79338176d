"""One fit from end to end: network, cached prefix, loop, and what validation decides after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headstart import encode
from headstart.core.types import SILENT, AnyArray, Decision, FloatArray, IntArray, subset
from headstart.encode import device as devices
from headstart.strategies import base as dictionary
from headstart.strategies.temper import sharpness
from headstart.strategies.tuned import tuned_backbone
from headstart.strategies.tuning.augment import Augment, SpecAugment
from headstart.strategies.tuning.contrast import Pairs, head_of
from headstart.strategies.tuning.flips import mirrored_are_alike
from headstart.strategies.tuning.items import ImageItems, Items, TextItems
from headstart.strategies.tuning.loop import Loop
from headstart.strategies.tuning.memory import Memory, memory_of
from headstart.strategies.tuning.network import Network
from headstart.strategies.tuning.objective import Objective, clearly_better
from headstart.strategies.tuning.prefix import cached_prefix
from headstart.strategies.tuning.rules import FEWEST_TO_TEMPER
from headstart.strategies.tuning.search import search
from headstart.strategies.tuning.settings import Settings, Target
from headstart.strategies.tuning.sound_prefix import cached_sounds
from headstart.strategies.tuning.sounds import SoundItems

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone

ENOUGH = 512  # items whose frozen features tell mean and spread
WISE = (0.75, 0.5, 0.25, 0.0)  # beside 1, the tuned model itself


class Session:
    """Tunes a source once.

    Parameters
    ----------
    base : Backbone
        It is not changed.
    X : sequence of length n
    truth : ndarray
    target : {"classes", "numbers", "sets"}
    outputs : int
    settings : Settings
    weights : ndarray of shape (n,)
    valid : ndarray of int
        Places of the validation part.
    options : Tuned
        The estimator with its parameters.
    seed : int

    Attributes
    ----------
    coef, intercept : ndarray
        The head on raw features.
    changed : dict of str to ndarray
    given : dict
        What differs in the source's input.
    history, memory, wise, decisions
    """

    def __init__(
        self,
        base: Backbone,
        X: Any,
        truth: AnyArray,
        target: Target,
        outputs: int,
        settings: Settings,
        *,
        weights: FloatArray,
        valid: IntArray,
        options: Any,
        seed: int,
    ) -> None:
        self.base, self.X, self.truth, self.target, self.outputs = base, X, truth, target, outputs
        self.settings, self.weights, self.valid = settings, weights, valid
        self.train = np.setdiff1d(np.arange(len(truth)), valid)
        self.options, self.seed, self.reporter = options, seed, options.reporter
        self.device = devices.pick_device(options.device)
        self.half = _half(self.device, options.precision)
        self.objective = self._objective()
        self.history: list[dict[str, float]] = []
        self.memory: Memory | None = None
        self.wise = 1.0
        self.decisions: list[Decision] = []
        self.given: dict[str, Any] = {"size": settings.size} if settings.size else {}
        if settings.pooling == "attentive":
            self.given["attentive"] = True
        self.features: FloatArray = np.zeros((0, 0))

    def _objective(self) -> Objective:
        settings = self.settings
        if settings.contrast:
            return Pairs(
                self.truth, self.outputs, weights=self.weights, temperature=settings.contrast
            )
        return Objective(
            self.target,
            self.truth,
            self.outputs,
            weights=self.weights,
            smoothing=settings.smoothing,
        )

    def run(self, checkpoint: Callable[..., Any]) -> None:
        """Tune: afterwards the attributes hold the result."""
        self._read()
        items = self._items()
        plans = self._plans()
        settings, number = next(plans), 0
        best: tuple[float, float] | None = None
        while True:
            network, ready = self._network(items, settings)
            kept = checkpoint(items, number)
            loop = self._loop(network, ready, settings, kept)
            loop.run()
            self._refit(loop)
            score, share = self._finish(loop)
            if best is None or score > best:
                best = score
                self._keep(loop, share)
            try:
                settings, number = plans.send(score), number + 1
            except StopIteration:
                return

    def seconds(self) -> float:
        """Return about how long ``run`` would take, from two steps on a few items drawn at random.

        What a cached prefix saves is not known before; evaluation costs a third of training.
        """
        settings, n = self.settings, len(self.train)
        few = min(n, 2 * settings.batch)
        drawn = np.random.default_rng(self.seed).permutation(self.train)[:few]
        trial = Session(
            self.base,
            subset(self.X, drawn),
            self.truth[drawn],
            self.target,
            self.outputs,
            replace(settings, epochs=1, head_first=False, wise=False, flip=False),
            weights=self.weights[drawn],
            valid=drawn[:0],
            options=self.options,
            seed=self.seed,
        )
        trial.features = np.zeros((few, self.base.card.dim))
        network, ready = trial._network(trial._items(), trial.settings)
        loop = trial._loop(network, ready, trial.settings, None, quiet=True)
        loop.run()  # the first step prepares memory and threads
        started = time.perf_counter()
        loop.again()
        each = (time.perf_counter() - started) / few
        looked = len(self.valid) * (min(settings.epochs, 10) + (len(WISE) * settings.wise + 1))
        return each * (n * settings.epochs + looked / 3) * (1 + self.options.trials)

    def _plans(self) -> Generator[Settings, tuple[float, float], None]:
        """Yield the settings to try: the rules' own, then those that a search draws."""
        if self.options.trials and len(self.valid):
            yield from search(self.settings, self.options.trials, self.seed)
            return
        if self.options.trials:
            self.reporter.say("Too few items to judge other settings on: none are tried.")
        yield self.settings

    def _read(self) -> None:
        """Get the frozen features, on which the head starts, and decide whether to mirror."""
        base = self.base
        frozen = base
        if self.given.get("size") != base.card.input.get("size"):
            frozen = tuned_backbone(base, {}, self.given)
        undecided = base.card.modality == "image" and self.options.flip == "auto"
        if self.settings.contrast and not undecided:
            self.features = np.zeros((len(self.truth), base.card.dim))  # no head starts on them
            return
        seen = self.X
        if not (undecided or self.settings.head_first) and len(self.train) > ENOUGH:
            drawn = np.random.default_rng(self.seed).permutation(self.train)[:ENOUGH]
            seen = subset(self.X, np.sort(drawn))  # a head of zeros needs mean and spread alone
        self.features = encode.features(
            seen, frozen, device=self.options.device, reporter=self.reporter
        ).array
        if not undecided:
            return
        flip = self.target == "classes" and mirrored_are_alike(
            self.X, frozen, self.features, self.truth, seed=self.seed
        )
        self.settings = replace(self.settings, flip=flip)
        why = "a probe knows mirrored images as well as plain ones"
        self.decisions.append(
            Decision(
                f"images are {'' if flip else 'not '}mirrored",
                why if flip else "a probe does not know mirrored images as well as plain ones",
                "flip=True or False",
            )
        )

    def _items(self) -> Items:
        settings, base = self.settings, self.base
        if base.card.modality == "text":
            return TextItems(self.X, base, mask_share=settings.mask_tokens)
        fixed = settings.views if self._prefix_length(settings) else 0
        if base.card.modality == "audio":
            hidden = SpecAugment(settings.strength)
            return SoundItems(
                self.X, base, augment=hidden, fixed=fixed, seed=self.seed, reporter=self.reporter
            )
        augment = Augment(crop=settings.crop, flip=settings.flip, strength=settings.strength)
        return ImageItems(
            self.X,
            base,
            size=settings.size,
            augment=augment,
            fixed=fixed,
            seed=self.seed,
            reporter=self.reporter,
        )

    def _prefix_length(self, settings: Settings) -> int:
        """Return how many first blocks stay frozen from beginning to end."""
        return 0 if settings.depth is None else len(self.base.blocks) - settings.depth

    def _network(self, items: Items, settings: Settings) -> tuple[Network, Items]:
        """Return the network ready to train, and the items after its frozen blocks."""
        generator = torch.Generator().manual_seed(self.seed)
        whole = len(self.features) == len(self.truth)
        found = self.features[self.train] if whole else self.features
        train = np.asarray(found, dtype=np.float64)
        mean = train.mean(axis=0)
        # features that hardly differ are not blown up to differences of their rounding
        least = 1e-4 * float(np.sqrt(np.square(train).mean()))
        scale = max(float(np.sqrt(np.square(train - mean).mean())), least) or 1.0
        own = tuned_backbone(self.base, {}, self.given)
        network = Network(own, self.outputs, mean, scale)
        if settings.head_first:
            coef, intercept = self._probe()
            network.start_head(coef, intercept)
        used = items.used() if isinstance(items, TextItems) else None
        stop = network.prepare(settings, used, generator)
        network.to(self.device)
        if self.base.card.modality == "image":
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        ready = items
        anew = settings.mask_tokens or (settings.mixup and isinstance(items, ImageItems))
        if stop and self.options.cache_prefix is not False and not anew:
            how: dict[str, Any] = {"device": self.device, "reporter": self.reporter}
            # the head of contrastive tuning is fitted to plain views
            how["valid"] = None if settings.contrast else self.valid
            if isinstance(items, SoundItems):
                views = settings.views if settings.strength else 0
                ready = cached_sounds(items, network, stop, views=views, **how)
            else:
                views = settings.views if isinstance(items, ImageItems) else 0
                ready = cached_prefix(items, network, stop, views=views, **how)
        return network, ready

    def _probe(self) -> tuple[FloatArray, FloatArray]:
        """Return the probe's solution on the training part: coef (d, k), intercept (k,)."""
        X, y = np.asarray(self.features[self.train]), self.truth[self.train]
        kind: Any = "classification" if self.target == "classes" else "regression"
        columns = [y] if y.ndim == 1 else list(y.T)
        parts = []
        for column in columns:
            probe = dictionary.make("probe", kind=kind, modality="text", random_state=self.seed)
            state = probe.fit(X, column).to_state()
            intercept = state.arrays.get("intercept", state.meta.get("intercept"))
            parts.append((state.arrays["coef"], np.atleast_1d(intercept)))
        coef = np.concatenate([part.reshape(X.shape[1], -1) for part, _ in parts], axis=1)
        intercept = np.concatenate([part for _, part in parts])
        if self.target == "sets":  # of 0 and 1, so that 0.5 is where the classes meet
            coef, intercept = 4.0 * coef, 4.0 * (intercept - 0.5)
        return coef, intercept

    def _loop(
        self,
        network: Network,
        items: Items,
        settings: Settings,
        checkpoint: Any,
        *,
        quiet: bool = False,
    ) -> Loop:
        copies = 5 + int(settings.ema > 0) + int(settings.l2_sp > 0)
        self.memory = memory_of(
            network, items, self.train, batch=settings.batch, copies=copies, device=self.device
        )
        name = self.base.card.name
        if not quiet:
            self.reporter.say(f"Tuning {name} ({self.options.strategy}) takes {self.memory}.")
        return Loop(
            network,
            items,
            self.objective,
            settings,
            train=self.train,
            valid=self.valid,
            device=self.device,
            half=self.half,
            micro=self.memory.micro,
            seed=self.seed,
            checkpoint=checkpoint,
            resume=self.options.resume,
            refit=self._refit,
            reporter=SILENT if quiet else self.reporter,
            name=name,
        )

    def _refit(self, loop: Loop, *, every: bool = False) -> None:
        """Fit the head of contrastive tuning anew, on the training part or on every item."""
        if not isinstance(self.objective, Pairs):
            return
        own = np.arange(len(self.truth)) if every else self.train
        features = loop.features(own).numpy()
        found = head_of(features, self.truth[own], self.outputs, self.weights[own])
        loop.network.start_head(*found)

    def _finish(self, loop: Loop) -> tuple[tuple[float, float], float]:
        """Interpolate with the start as validation prefers; return what it says, and the share."""
        if not len(self.valid):
            return (0.0, 0.0), 1.0
        end = {name: tensor.detach().clone() for name, tensor in loop.named.items()}
        best, kept = 1.0, self._each(loop)
        for share in WISE if loop.settings.wise else ():
            _blend(loop, end, share)
            other = self._each(loop)
            if clearly_better(other, kept):
                best, kept = share, other
        _blend(loop, end, best)
        return (float(kept[0].mean()), -float(kept[1].mean())), best

    def _each(self, loop: Loop) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores and losses of the validation items, weighted, the outputs tempered."""
        outputs = loop.outputs(self.valid)
        scores, losses = self.objective.each(self._factor(outputs) * outputs, self.valid)
        weights = torch.from_numpy(self.weights[self.valid] / self.weights[self.valid].mean())
        return scores * weights, losses * weights

    def _factor(self, outputs: torch.Tensor) -> float:
        """Return what the outputs for the validation part are best multiplied by."""
        if self.target != "classes" or len(self.valid) < FEWEST_TO_TEMPER:
            return 1.0
        scores = outputs.double().numpy()
        return sharpness(scores, self.truth[self.valid], self.weights[self.valid])

    def _keep(self, loop: Loop, share: float) -> None:
        """Take the result out of the network."""
        network = loop.network
        factor = self._factor(loop.outputs(self.valid))
        if len(self.valid):
            self._refit(loop, every=True)  # what has judged is known to the head, too
        self.settings, self.history, self.wise = loop.settings, loop.progress.history, share
        coef, intercept = network.linear()
        self.coef, self.intercept = coef * factor, intercept * factor
        self.changed = network.changed()


def _blend(loop: Loop, end: dict[str, torch.Tensor], share: float) -> None:
    """Put ``start + share * (end - start)`` into the network.

    Of LoRA's two factors only B moves, from zero: the merged weights then move on a line.
    """
    with torch.no_grad():
        for name, tensor in loop.named.items():
            if share == 1.0 or name.endswith("parametrizations.weight.0.A"):
                tensor.copy_(end[name])
            else:
                tensor.copy_(torch.lerp(loop.start[name], end[name], share))


def _half(device: torch.device, precision: str) -> torch.dtype | None:
    """Return the type of autocast: bfloat16 where it pays, else none."""
    if precision == "float32":
        return None
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    if device.type == "cpu" and devices.native_bf16():
        return torch.bfloat16
    return None
