"""Images without transfer: a linear model on hand-made descriptors, or a small network.

Which of the two, on which descriptors and how strongly penalised, is chosen by cross-validation
within the training images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from headstart.core.types import AnyArray, FloatArray, IntArray, State
from headstart.strategies.descriptors import DESCRIBE, Scale, fit_scale, images_of, in_batches
from headstart.strategies.heads import softmax_rows
from headstart.strategies.saved_classes import SavedClasses
from headstart.strategies.softmax import probabilities
from headstart.strategies.targets import labels_of, seed_of, targets_of
from headstart.strategies.views import (
    Linear,
    Tuned,
    accuracy_and_loss,
    best_of,
    fit_classifier,
    fit_regressor,
    join,
    stratified_folds,
    tune_classifier,
    tune_regressor,
)

if TYPE_CHECKING:
    from headstart.strategies.small_cnn import Network

CANDIDATES: dict[str, tuple[str, ...]] = {
    "pixels": ("pixels",),
    "HOG": ("HOG",),
    "HOG and pixels": ("HOG", "pixels"),
    "HOG and colours": ("HOG", "colours"),
    "HOG, colours and pixels": ("HOG", "colours", "pixels"),
}
FEWEST = 2  # images a class (the median class) below which nothing can judge a network
SURE = 0.995  # inner accuracy of the linear model from which no network is trained ...
SURE_IMAGES = 300  # ... where it was measured on at least so many images
CLEAR = 2.5  # standard errors of the paired difference from which one fold is enough
SMALL = 300  # up to so many images two inner folds judge the network, above one
PAPER = "Dalal & Triggs, CVPR 2005"


class _ScratchImage(BaseEstimator):
    """What both kinds share: descriptors, and one of two models."""

    _scales: dict[str, Scale]
    _linear: Linear | None
    _network: Network | None
    _score_name: str
    _model_name: str

    def __init__(
        self, *, random_state: int | None = 0, cv: int = 3, network: bool = True, flip: bool = False
    ) -> None:
        self.random_state = random_state
        self.cv = cv
        self.network = network
        self.flip = flip

    def _views(self, images: npt.NDArray[np.uint8]) -> dict[str, FloatArray]:
        views = {}
        self._scales = {}
        for name, describe in DESCRIBE.items():
            rows = in_batches(images, describe)
            self._scales[name] = fit_scale(name, rows)
            views[name] = self._scales[name](rows)
        return views

    def _judges(self, codes: IntArray, n_folds: int, seed: int) -> list[IntArray]:
        """Held-out places (into ``codes``) on which the network is judged."""
        folds = stratified_folds(codes, min(n_folds, len(codes)), seed)
        used = 2 if len(codes) <= SMALL else 1
        return [np.flatnonzero(folds == fold) for fold in range(used)]

    def _say(self, tuned: Tuned, network: bool, remark: str) -> None:
        inner = ", ".join(f"{name} {score:.3f}" for name, score in tuned.scores.items())
        detail = f"inner {self._score_name} {inner}; {tuned.note}" if inner else tuned.note
        won = (
            "small convolutional network"
            if network
            else f"{tuned.name} with {self._model_name} C={tuned.strength:g}"
        )
        self.chosen_ = f"{won} ({detail}; {remark})"

    def _raw(self, X: Any) -> FloatArray:
        check_is_fitted(self, "chosen_")
        images = images_of(X)
        if self._network is not None:
            return self._network.scores(images)
        assert self._linear is not None
        if len(images) == 0:
            return np.zeros((0, len(self._linear.intercept)))
        views = {name: scale(in_batches(images, DESCRIBE[name])) for name, scale in self._items()}
        return self._linear.row_scores(join(views, list(views)))

    def _items(self) -> list[tuple[str, Scale]]:
        return list(self._scales.items())

    def _keep(self, linear: Linear | None, names: tuple[str, ...], network: Network | None) -> None:
        self._linear, self._network = linear, network
        self._scales = {name: self._scales[name] for name in names} if linear else {}

    def to_state(self) -> State:
        """Return what was learned as arrays and JSON."""
        check_is_fitted(self, "chosen_")
        arrays: dict[str, AnyArray] = {}
        outputs = 0
        if self._network is not None:
            arrays |= {f"network.{name}": part for name, part in self._network.arrays().items()}
            outputs = self._network.n_outputs
        if self._linear is not None:
            arrays |= {f"linear.{name}": part for name, part in self._linear.arrays().items()}
        for name, scale in self._items():
            arrays |= {f"{name}.mean": scale.mean, f"{name}.spread": scale.spread}
        meta = {
            "params": self.get_params(),
            "descriptors": [name for name, _ in self._items()],
            "outputs": outputs,
            "chosen": self.chosen_,
        }
        return State(arrays, meta)

    def _restore(self, state: State) -> None:
        def part(prefix: str) -> Mapping[str, AnyArray]:
            return {
                name.removeprefix(prefix): array
                for name, array in state.arrays.items()
                if name.startswith(prefix)
            }

        linear, network = part("linear."), part("network.")
        self._linear = Linear.from_arrays(linear) if linear else None
        self._network = None
        if network:
            from headstart.strategies.small_cnn import Network

            self._network = Network.from_arrays(network, state.meta["outputs"])
        self._scales = {
            name: Scale(state.arrays[f"{name}.mean"], state.arrays[f"{name}.spread"])
            for name in state.meta["descriptors"]
        }
        self.chosen_ = state.meta["chosen"]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = False
        return tags


class ScratchImage(SavedClasses, ClassifierMixin, _ScratchImage):
    """HOG, colours and pixels with logistic regression, or a small CNN: what the images prefer.

    Parameters
    ----------
    random_state : int or None
        Deals the images to inner folds, and starts the network.
    cv : int, >= 2
        Inner folds.
    network : bool
        Whether the network may compete.
    flip : bool
        Whether augmentation mirrors images; off, as mirrored digits and hands are others.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    chosen_ : str
        Which model won, with the inner scores.

    Notes
    -----
    The network (four convolutions on 32 x 32 pixels) is trained with shifts, rotations, scaling and
    brightness, for at most 1,200 steps however many images there are. It is judged on the same
    held-out images as the linear model. It does not compete below 2 images a class (nothing could
    judge it), nor where the linear model reaches 0.995 on 300 images or more. Above 2,000 images a
    stratified sample of 2,000 tunes the linear model.

    References
    ----------
    Dalal & Triggs, Histograms of oriented gradients, CVPR 2005.

    Examples
    --------
    >>> import numpy as np
    >>> dark, light = np.zeros((4, 32, 32, 3), np.uint8), np.full((4, 32, 32, 3), 200, np.uint8)
    >>> model = ScratchImage(network=False)
    >>> model = model.fit(np.concatenate([dark, light]), ["dark"] * 4 + ["light"] * 4)
    >>> model.predict(light[:1]).tolist()
    ['light']
    """

    _score_name = "accuracy"
    _model_name = "logistic regression"

    def fit(self, X: Any, y: Any) -> ScratchImage:
        """Fit on images X (n, side, side, 3) uint8 and labels y.

        Raises
        ------
        DataError
            X is no such array, or labels are missing or of another number.
        """
        images = images_of(X)
        labels = labels_of(y, len(images))
        self.classes_, codes = np.unique(labels, return_inverse=True)
        k = len(self.classes_)
        if k == 1:
            self._scales = {}
            self._linear = self._network = None
            self.chosen_ = "the only class"
            return self
        views, seed = self._views(images), seed_of(self.random_state)
        tuned, p, rows = tune_classifier(views, CANDIDATES, codes, k, n_folds=self.cv, seed=seed)
        wins, remark = self._network_wins(images, codes, p, rows, seed)
        network = None
        if wins:
            from headstart.strategies.small_cnn import train

            network = train(images, codes, k, seed=seed, flip=self.flip)
        names = CANDIDATES[tuned.name]
        linear = None if wins else fit_classifier(join(views, names), codes, k, tuned.strength)
        self._keep(linear, names, network)
        self._say(tuned, wins, remark)
        return self

    def _network_wins(
        self,
        images: npt.NDArray[np.uint8],
        codes: IntArray,
        p: FloatArray,
        rows: IntArray,
        seed: int,
    ) -> tuple[bool, str]:
        """Judge the network on held-out images, beside the linear model's probabilities p there."""
        typical = float(np.median(np.bincount(codes)))
        if not self.network:
            return False, "no network: network=False"
        if typical < FEWEST or len(rows) == 0:
            return False, f"no network: fewer than {FEWEST} images a class"
        sure = len(rows) >= SURE_IMAGES and accuracy_and_loss(p, codes[rows])[0] >= SURE
        if sure:
            return False, f"no network: nothing left to win above {SURE}"
        from headstart.strategies.small_cnn import train

        held, parts = np.zeros(0, dtype=np.int64), []
        for fold in self._judges(codes[rows], self.cv, seed):
            kept = np.setdiff1d(np.arange(len(codes)), rows[fold])
            model = train(images[kept], codes[kept], p.shape[1], seed=seed, flip=self.flip)
            parts.append(softmax_rows(model.scores(images[rows[fold]])))
            held = np.concatenate([held, fold])
            truth, guess = codes[rows[held]], np.concatenate(parts)
            lead = (guess.argmax(1) == truth) * 1.0 - (p[held].argmax(1) == truth)
            if abs(lead.mean()) > CLEAR * lead.std() / np.sqrt(len(lead)):
                break
        found = {"linear": accuracy_and_loss(p[held], truth)}
        found["network"] = accuracy_and_loss(guess, truth)
        remark = f"network {found['network'][0]:.3f} against {found['linear'][0]:.3f}"
        return best_of(found, len(held)) == "network", f"{remark} on {len(held)} held-out images"

    def predict_proba(self, X: Any) -> FloatArray:
        """Return class probabilities of shape (n, k), columns in the order of ``classes_``."""
        check_is_fitted(self, "chosen_")
        if len(self.classes_) == 1:
            return np.ones((len(images_of(X)), 1))
        raw = self._raw(X)
        return softmax_rows(raw) if self._network is not None else probabilities(raw)


class ScratchImageRegressor(RegressorMixin, _ScratchImage):
    """HOG, colours and pixels with ridge regression, or a small CNN: what the images prefer.

    Parameters
    ----------
    random_state : int or None
        Starts the network, deals the images that judge it.
    cv : int, >= 2
        One image in ``cv`` judges the network.
    network : bool
        Whether the network may compete (from 30 images on).
    flip : bool
        Whether augmentation mirrors images.

    Attributes
    ----------
    chosen_ : str
        Which model won, with the inner R2.

    References
    ----------
    Dalal & Triggs, Histograms of oriented gradients, CVPR 2005.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.stack([np.full((16, 16, 3), level, np.uint8) for level in range(0, 200, 20)])
    >>> round(float(ScratchImageRegressor().fit(X, np.arange(10.0)).predict(X[4:5])[0]), 1)
    4.0
    """

    _score_name = "R2"
    _model_name = "ridge"
    _fewest = 30

    def fit(self, X: Any, y: Any) -> ScratchImageRegressor:
        """Fit on images X (n, side, side, 3) uint8 and numbers y.

        Raises
        ------
        DataError
            X is no such array, or y is not n finite numbers.
        """
        images = images_of(X)
        target = targets_of(y, len(images))
        views, seed = self._views(images), seed_of(self.random_state)
        tuned, predicted, rows = tune_regressor(views, CANDIDATES, target, seed=seed)
        self._centre, self._spread = 0.0, 1.0
        wins, remark = self._network_wins(images, target, predicted, rows, seed)
        names, network = CANDIDATES[tuned.name], None
        if wins:
            from headstart.strategies.small_cnn import train

            self._centre, self._spread = float(target.mean()), float(target.std())
            network = train(
                images, (target - self._centre) / self._spread, None, seed=seed, flip=self.flip
            )
        linear = None if wins else fit_regressor(join(views, names), target, tuned.strength)
        self._keep(linear, names, network)
        self._say(tuned, wins, remark)
        return self

    def _network_wins(
        self,
        images: npt.NDArray[np.uint8],
        y: FloatArray,
        predicted: FloatArray,
        rows: IntArray,
        seed: int,
    ) -> tuple[bool, str]:
        if not self.network:
            return False, "no network: network=False"
        if len(rows) < self._fewest:
            return False, f"no network: fewer than {self._fewest} images to compare on"
        from headstart.strategies.small_cnn import train

        errors, linear = 0.0, 0.0
        for held in self._judges(np.zeros(len(rows), dtype=np.int64), self.cv, seed):
            kept = np.setdiff1d(np.arange(len(y)), rows[held])
            centre, spread = float(y[kept].mean()), max(float(y[kept].std()), 1e-12)
            model = train(
                images[kept], (y[kept] - centre) / spread, None, seed=seed, flip=self.flip
            )
            guess = model.scores(images[rows[held]])[:, 0] * spread + centre
            errors += float(((guess - y[rows[held]]) ** 2).sum())
            linear += float(((predicted[held] - y[rows[held]]) ** 2).sum())
        ratio = errors / max(linear, 1e-300)
        return errors < linear, f"network's squared error {ratio:.2f} of the linear model's"

    def predict(self, X: Any) -> FloatArray:
        """Return the predicted number of each image."""
        result: FloatArray = self._raw(X)[:, 0] * self._spread + self._centre
        return result

    def to_state(self) -> State:
        """Return what was learned as arrays and JSON."""
        state = super().to_state()
        state.meta.update(centre=self._centre, spread=self._spread)
        return state

    @classmethod
    def from_state(cls, state: State) -> ScratchImageRegressor:
        """Rebuild a fitted estimator; it predicts bit-identically."""
        self = cls(**state.meta["params"])
        self._centre, self._spread = state.meta["centre"], state.meta["spread"]
        self._restore(state)
        return self
