"""The estimator that every fine-tuning strategy is: which settings, is all that differs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from headstart.core.errors import DataError, OptionError
from headstart.core.types import (
    SILENT,
    AnyArray,
    FloatArray,
    IntArray,
    Modality,
    Reporter,
    State,
)
from headstart.strategies.frozen import (
    encode_classes,
    pack_classes,
    row_weights,
    stratified_folds,
)
from headstart.strategies.heads import sigmoid, softmax_rows
from headstart.strategies.saved_classes import unpack_classes
from headstart.strategies.targets import labels_of, seed_of, targets_of
from headstart.strategies.tuned import PREFIX, split_state, tuned_backbone
from headstart.strategies.tuning.checkpoint import remembered
from headstart.strategies.tuning.rules import RULES, settings_for
from headstart.strategies.tuning.settings import Settings, Target

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone
    from headstart.strategies.tuning.items import Items
    from headstart.strategies.tuning.session import Session


class Tuned(BaseEstimator):
    """Base of the estimators that tune a source; a subclass says ``strategy`` and how.

    Parameters
    ----------
    source : str, Backbone or None
        A name for ``headstart.sources.load``, or a loaded backbone (it is not changed); None takes
        the default for texts, images or sounds.
    rate, head_rate : float, optional
        Peak learning rates of the last block and of the head.
    decay : float, optional
        Factor on the rate from each block to the one before it, 0 to 1 (discriminative rates).
    epochs, batch : int, optional
        Passes over the items; items an optimiser step.
    schedule : {"cosine", "one-cycle", "constant", "linear"}
    warmup : float
        Share of the steps over which the rate rises.
    head : {"probe", "zero"}, optional
        Where the head starts: from the probe's solution, or from zeros.
    depth : int, optional
        How many blocks train, counted from the last one; None: as the strategy says.
    weight_decay : float
        Of matrices and kernels.
    smoothing : float
        Of the labels, 0 to 1.
    dropout : float, optional
        In the blocks that train; None: the source's own.
    class_weight : None, "balanced" or dict
    augment : float, optional
        Strength of the augmentation of images and sounds, 0 to 1; by default as the rules say. Of
        images 0 still crops (see ``crop``); of sounds stripes of time and frequency are hidden
        (SpecAugment).
    crop : float
        Least share of an image that a random crop keeps, above 0 to 1; 1 crops nothing.
    flip : bool or "auto"
        Mirror images left to right; "auto" if a probe knows mirrored images as well as plain ones.
    mixup, mask_tokens : float
        Mixing of images (the alpha of its Beta distribution); share of masked tokens. 0: none.
    size : int, optional
        Pixels of a side of the images, a multiple of 32; by default as large as the images are,
        at most what the source wants.
    l2_sp, bss : float
        Strength of the pull to the source's weights, and of batch spectral shrinkage.
    ema : float
        Averages the weights over about this share of the steps; 0 does not.
    wise : bool, optional
        Interpolate between the frozen and the tuned model as validation prefers (WiSE-FT).
    pooling : {"mean", "attentive"}
        How the frames of a sound become one row: their mean, or weighted by attention to a query
        that is learnt. Of sources whose last block gives frames, as Whisper.
    batch_norm : {"frozen", "train"}
        Whether the statistics of batch norm move, in blocks that train.
    validation : float or ndarray of int, optional
        Share of the items that validates, 0 to 0.5, or the places of those items, as where groups
        must not be split; by default a tenth, or none of few.
    patience : int
        Evaluations without a better one before training stops.
    cache_prefix : bool or "auto"
        Run the frozen first blocks once and keep their output.
    trials : int
        Settings that Optuna tries beside the default ones, judged on the validation part.
    precision : {"auto", "float32", "bf16"}
    device : str, optional
        "cpu", "cuda", "mps"; the best there is.
    checkpoint : path, optional
        A folder for checkpoints: one a minute, and one when SIGTERM or Ctrl-C asks to stop.
    resume : bool
        Go on from the checkpoint of the same data, labels, settings and seed.
    reporter : Reporter
    random_state : int or None

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
        Of a classifier.
    coef_, intercept_ : ndarray of shape (d, k) and (k,)
        The head, on the features of the tuned source.
    tuned_ : dict of str to ndarray
        What training changed in the source.
    history_ : list of dict
        Loss and validation curves: ``step``, ``epoch``, ``rate``, ``loss``; and ``step``,
        ``epoch``, ``validation_score``, ``validation_loss``.
    settings_ : dict
        Every setting that was used.
    decisions_ : list of Decision
        What was decided on the way, and why.
    """

    strategy: ClassVar[str] = ""
    regression: ClassVar[bool] = False

    def __init__(
        self,
        *,
        source: Any = None,
        rate: float | None = None,
        head_rate: float | None = None,
        decay: float | None = None,
        epochs: int | None = None,
        batch: int | None = None,
        schedule: Literal["cosine", "one-cycle", "constant", "linear"] = "cosine",
        warmup: float = 0.1,
        head: Literal["probe", "zero"] | None = None,
        depth: int | None = None,
        weight_decay: float = 0.01,
        smoothing: float = 0.1,
        dropout: float | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        augment: float | None = None,
        crop: float = 0.5,
        flip: bool | Literal["auto"] = "auto",
        mixup: float = 0.0,
        mask_tokens: float = 0.0,
        size: int | None = None,
        l2_sp: float = 0.0,
        bss: float = 0.0,
        ema: float = 0.0,
        wise: bool | None = None,
        rank: int = 8,
        alpha: float = 16.0,
        pooling: Literal["mean", "attentive"] = "mean",
        batch_norm: Literal["frozen", "train"] = "frozen",
        validation: float | IntArray | None = None,
        patience: int = 3,
        cache_prefix: bool | Literal["auto"] = "auto",
        trials: int = 0,
        precision: Literal["auto", "float32", "bf16"] = "auto",
        device: str | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        reporter: Reporter = SILENT,
        random_state: int | None = 0,
    ) -> None:
        self.source = source
        self.rate, self.head_rate, self.decay = rate, head_rate, decay
        self.epochs, self.batch = epochs, batch
        self.schedule, self.warmup = schedule, warmup
        self.head, self.depth = head, depth
        self.weight_decay, self.smoothing, self.dropout = weight_decay, smoothing, dropout
        self.class_weight = class_weight
        self.augment, self.crop, self.flip, self.mixup = augment, crop, flip, mixup
        self.mask_tokens, self.size = mask_tokens, size
        self.l2_sp, self.bss, self.ema, self.wise = l2_sp, bss, ema, wise
        self.rank, self.alpha, self.pooling = rank, alpha, pooling
        self.batch_norm = batch_norm
        self.validation, self.patience = validation, patience
        self.cache_prefix, self.trials = cache_prefix, trials
        self.precision, self.device = precision, device
        self.checkpoint, self.resume = checkpoint, resume
        self.reporter, self.random_state = reporter, random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Tune the source on n items and their labels.

        Parameters
        ----------
        X : sequence of length n
            Texts; paths, PIL images or (H, W[, C]) uint8 arrays; paths of sounds, or
            ``(samples, rate)``.
        y : sequence of length n, or array of shape (n, k)
            Labels; numbers for a regressor; for a classifier also indicators of shape (n, k),
            0 or 1: any number of the k labels at once.

        Raises
        ------
        DataError, OptionError, SourceError
            Each names what is wrong, where, and what to do next.
        Interrupted
            SIGTERM or Ctrl-C asked to stop; only with ``checkpoint``.
        OutOfMemoryError
            Not even one item at a time fits into memory.
        """
        session = self._session(X, y)
        session.run(self._checkpoint(session))
        self._keep(session)
        return self

    def seconds_to_fit(self, X: Any, y: Any) -> float:
        """Return about how many seconds ``fit`` would take, from a few steps on a few items.

        With ``checkpoint`` they are written there, and ``resume`` reads them: what is decided by
        them is decided the same way again.

        Parameters
        ----------
        X, y
            As for :meth:`fit`.
        """
        if self.checkpoint is None:
            return self._session(X, y).seconds()
        names = json.dumps([str(self.source), len(X), np.asarray(y).tolist()], default=str)
        key = blake2b(names.encode(), digest_size=8).hexdigest()
        return remembered(
            Path(self.checkpoint) / f"{self.strategy}-{key}.seconds.json",
            [str(self.source), len(X)],
            lambda: self._session(X, y).seconds(),
            resume=self.resume,
        )

    def _session(self, X: Any, y: Any) -> Session:
        """Check everything and return the fit, ready to run."""
        from headstart.strategies.tuning.session import Session

        X = _by_place(X)
        target, truth, n_outputs = self._targets(X, y)
        base = self._load(X)
        settings = settings_for(self, base, X, truth, target, n_outputs)
        return Session(
            base,
            X,
            truth,
            target,
            n_outputs,
            settings,
            weights=self._weights(target, truth),
            valid=self._validation(target, truth, settings),
            options=self,
            seed=self.random_state_,
        )

    def _targets(self, X: Any, y: Any) -> tuple[Target, AnyArray, int]:
        """Check the labels; return their kind, the truth and the number of outputs."""
        n = len(X)
        self.random_state_ = seed_of(self.random_state)
        if self.regression:
            numbers = targets_of(y, n)
            self.centre_, spread = float(numbers.mean()), float(numbers.std())
            self.spread_ = spread if spread > 0 else 1.0
            return "numbers", (numbers - self.centre_) / self.spread_, 1
        try:
            indicators = np.asarray(y)
        except ValueError as error:
            raise DataError(
                "labels of different lengths",
                where="y",
                allowed="one label an item, or an (n, k) array of 0 and 1",
            ) from error
        if indicators.ndim == 2:
            if len(indicators) != n or n == 0:
                raise DataError(
                    "X and y differ in length", where="y", got=len(indicators), allowed=n
                )
            if indicators.shape[1] == 0 or not np.isin(indicators, (0, 1)).all():
                raise DataError(
                    "not indicators of labels", where="y", allowed="an (n, k) array of 0 and 1"
                )
            self.classes_ = np.arange(indicators.shape[1])
            return "sets", indicators.astype(np.float32), indicators.shape[1]
        self.classes_, codes = encode_classes(labels_of(y, n))
        if len(self.classes_) < 2:
            raise DataError(
                "only one class", where="y", got=self.classes_.tolist(), allowed="2 or more"
            )
        return "classes", codes, len(self.classes_)

    def _weights(self, target: Target, truth: AnyArray) -> FloatArray:
        if target != "classes":
            return np.ones(len(truth))
        return row_weights(truth, self.classes_, self.class_weight)

    def _load(self, X: Any) -> Backbone:
        from headstart import sources

        name = self.source
        if name is None:
            name = sources.default_source(_modality_of(X[0]))
        base = sources.load(name, reporter=self.reporter) if isinstance(name, str) else name
        if base.card.modality not in RULES:
            raise OptionError(
                "this source cannot be tuned",
                where="source",
                got=f"{base.card.name} ({base.card.modality})",
                allowed=list(RULES),
            )
        self.source_name_ = base.card.name
        return base

    def _validation(self, target: Target, truth: AnyArray, settings: Settings) -> IntArray:
        """Return the places of the validation part: those given, else each class spread evenly."""
        if isinstance(self.validation, np.ndarray):
            places = np.unique(self.validation)
            if not (places.dtype.kind in "iu" and set(places.tolist()) <= set(range(len(truth)))):
                raise OptionError(
                    "not places of items", where="validation", allowed=f"0 to {len(truth) - 1}"
                )
            return places
        if not settings.validation:
            return np.zeros(0, dtype=np.int64)
        n = len(truth)
        codes = truth if target == "classes" else np.zeros(n, dtype=np.int64)
        folds = stratified_folds(codes, max(2, round(1 / settings.validation)), self.random_state_)
        return np.flatnonzero(folds == 0)

    def _checkpoint(self, session: Session) -> Callable[..., Any]:
        """Return what makes the checkpoint of a run from its items and its number."""
        from headstart.strategies.tuning.checkpoint import Checkpoint

        def make(items: Items, number: int) -> Checkpoint | None:
            if self.checkpoint is None:
                return None
            digest = blake2b(items.identity(), digest_size=16)
            digest.update(np.ascontiguousarray(session.truth).data)
            digest.update(session.valid.tobytes())
            facts = [
                session.base.weights_sha256,
                asdict(session.settings),
                self.random_state_,
                str(self.class_weight),
                self.precision,
                str(self.device),
                int(self.trials),
                number,
            ]
            digest.update(json.dumps(facts, sort_keys=True).encode())
            return Checkpoint(Path(self.checkpoint), f"{self.strategy}-{digest.hexdigest()}")

        return make

    def _keep(self, session: Session) -> None:
        coef, intercept = session.coef, session.intercept
        if self.regression:
            coef, intercept = coef * self.spread_, intercept * self.spread_ + self.centre_
        self.coef_, self.intercept_ = coef, intercept
        self.tuned_, self.given_ = session.changed, session.given
        self.history_, self.settings_ = session.history, asdict(session.settings)
        self.memory_ = session.memory
        self.wise_ = session.wise
        self.target_ = session.target
        self.decisions_ = session.decisions
        self._base: Backbone | None = session.base
        self._made: Backbone | None = None

    def backbone(self) -> Backbone:
        """Return the tuned source."""
        check_is_fitted(self, "coef_")
        if self._made is None:
            base = self._base
            if base is None:
                from headstart import sources

                base = self.source if hasattr(self.source, "blocks") else None
                base = sources.load(self.source_name_) if base is None else base
            self._made = tuned_backbone(base, self.tuned_, self.given_)
        return self._made

    def _scores(self, X: Any) -> FloatArray:
        """Return (n, k) scores of items: the head on the features of the tuned source."""
        from headstart import encode

        backbone = self.backbone()
        if not len(X):
            return np.zeros((0, len(self.intercept_)))
        features = encode.features(_by_place(X), backbone, cache=False, device=self.device).array
        scores: FloatArray = np.ascontiguousarray(features) @ self.coef_ + self.intercept_
        return scores

    def to_state(self) -> State:
        """Return what was learned as arrays and JSON."""
        check_is_fitted(self, "coef_")
        arrays = {"coef": self.coef_, "intercept": self.intercept_}
        arrays |= {f"{PREFIX}{name}": array for name, array in self.tuned_.items()}
        meta: dict[str, Any] = {
            "source": self.source_name_,
            "given": self.given_,
            "history": self.history_,
            "settings": self.settings_,
            "wise": self.wise_,
            "target": self.target_,
        }
        if not self.regression:
            meta |= pack_classes(self.classes_)
        return State(arrays, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`; its source is loaded when needed."""
        meta = state.meta
        model = cls(source=meta["source"])
        model.source_name_, model.given_ = meta["source"], dict(meta["given"])
        model.coef_, model.intercept_ = state.arrays["coef"], state.arrays["intercept"]
        model.tuned_ = split_state(state.arrays)
        model.history_, model.settings_ = list(meta.get("history", ())), dict(meta["settings"])
        model.wise_, model.target_ = meta["wise"], meta["target"]
        model.decisions_ = []
        model._base = model._made = None
        if not cls.regression:
            model.classes_ = unpack_classes(meta)
        return model

    def __sklearn_tags__(self) -> Any:
        """Say that items are no rows of numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.multi_output = True
        return tags


class TunedClassifierMixin:
    """What classifiers predict: one class an item, or any set of labels."""

    classes_: AnyArray
    target_: Target
    _scores: Any

    def predict_proba(self, X: Any) -> FloatArray:
        """Return (n, k) probabilities; those of sets do not sum to 1."""
        scores = self._scores(X)
        if self.target_ == "sets":
            return sigmoid(scores)
        return softmax_rows(scores)

    def predict(self, X: Any) -> AnyArray:
        """Return n labels; for sets indicators (n, k), 1 where a label is more likely than not."""
        found = self.predict_proba(X)
        if self.target_ == "sets":
            return (found > 0.5).astype(np.int64)
        labels: AnyArray = self.classes_[found.argmax(axis=1)]
        return labels


class TunedRegressorMixin:
    """What regressors predict: numbers."""

    _scores: Any

    def predict(self, X: Any) -> FloatArray:
        """Return n numbers."""
        numbers: FloatArray = self._scores(X)[:, 0]
        return numbers


def _by_place(X: Any) -> Any:
    """Return items so that X[i] is the one at place i: a Series of pandas looks up its index."""
    return list(X) if hasattr(X, "iloc") else X


def _modality_of(item: Any) -> Modality:
    """Return what an item is: a text, an image or a sound; a file by its name."""
    from headstart.data import images
    from headstart.data.content import is_sound
    from headstart.data.sound_file import SUFFIXES

    if is_sound(item):
        return "audio"
    if not isinstance(item, str | Path):
        return "image"
    suffix = Path(item).suffix.lower() if len(str(item)) < 1000 else ""
    if suffix in SUFFIXES:
        return "audio"
    return "image" if isinstance(item, Path) or suffix in images.SUFFIXES else "text"
