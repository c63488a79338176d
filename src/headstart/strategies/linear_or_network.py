"""A linear model on views of the items, or a small network: the better by cross-validation.

What models without a source share where items are pictures of some kind: photographs, or mels of
recordings. How the items are described is each modality's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from headstart.core.types import AnyArray, Decision, FloatArray, IntArray, State
from headstart.strategies.descriptors import Scale, fit_scale
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

SURE = 0.995  # inner accuracy of the linear model from which no network is trained
CLEAR = 2.5  # standard errors of the paired difference from which one fold is enough
SMALL = 300  # up to so many items two inner folds judge the network, above one
FEWEST_NUMBERS = 30  # items below which nothing can judge a network that predicts numbers


class LinearOrNetwork(BaseEstimator):
    """What both kinds of task share: views of the items, and one of two models."""

    _candidates: ClassVar[Mapping[str, tuple[str, ...]]]
    _names: ClassVar[tuple[str, ...]]
    _noun: ClassVar[str]
    _sure: ClassVar[int] = 300  # items on which SURE must have been measured
    _fewest: ClassVar[int]  # items a class (the median class) below which no network is trained
    _below: ClassVar[str] = ""  # why not, where it is to be said as a decision
    _score_name: ClassVar[str]
    _model_name: ClassVar[str]
    decisions_: tuple[Decision, ...]
    _scales: dict[str, Scale]
    _linear: Linear | None
    _network: Network | None

    random_state: int | None
    cv: int
    network: bool

    # ------------------------------------------------------------ what a modality fills in

    def _checked(self, X: Any) -> AnyArray:
        """Return X as an array of items, or raise DataError."""
        raise NotImplementedError

    def _rows(self, name: str, items: AnyArray) -> FloatArray:
        """Return a view of the items, not yet scaled."""
        raise NotImplementedError

    def _pictures(self, items: AnyArray) -> npt.NDArray[np.uint8]:
        """Return the items as the network sees them: (n, side, side, 3)."""
        raise NotImplementedError

    def _trained(self, items: AnyArray, target: AnyArray, n_classes: int | None) -> Network:
        """Train the network."""
        raise NotImplementedError

    # ------------------------------------------------------------ the rest is shared

    def _views(self, items: AnyArray) -> dict[str, FloatArray]:
        views = {}
        self._scales = {}
        for name in self._names:
            rows = self._rows(name, items)
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
        items = self._checked(X)
        if self._network is not None:
            return self._network.scores(self._pictures(items))
        assert self._linear is not None
        if len(items) == 0:
            return np.zeros((0, len(self._linear.intercept)))
        views = {name: scale(self._rows(name, items)) for name, scale in self._scales.items()}
        return self._linear.row_scores(join(views, list(views)))

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
        for name, scale in self._scales.items():
            arrays |= {f"{name}.mean": scale.mean, f"{name}.spread": scale.spread}
        meta = {
            "params": self.get_params(),
            "descriptors": list(self._scales),
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


class LinearOrNetworkClassifier(SavedClasses, ClassifierMixin, LinearOrNetwork):
    """Logistic regression on views of the items, or the network."""

    _score_name = "accuracy"
    _model_name = "logistic regression"

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on items X and labels y.

        Raises
        ------
        DataError
            X is no array of such items, or labels are missing or of another number.
        """
        items = self._checked(X)
        labels = labels_of(y, len(items))
        self.classes_, codes = np.unique(labels, return_inverse=True)
        k, self.decisions_ = len(self.classes_), ()
        if k == 1:
            self._scales = {}
            self._linear = self._network = None
            self.chosen_ = "the only class"
            return self
        views, seed = self._views(items), seed_of(self.random_state)
        candidates = self._candidates
        tuned, p, rows = tune_classifier(views, candidates, codes, k, n_folds=self.cv, seed=seed)
        wins, remark = self._network_wins(items, codes, p, rows, seed)
        network = self._trained(items, codes, k) if wins else None
        names = candidates[tuned.name]
        linear = None if wins else fit_classifier(join(views, names), codes, k, tuned.strength)
        self._keep(linear, names, network)
        self._say(tuned, wins, remark)
        return self

    def _network_wins(
        self, items: AnyArray, codes: IntArray, p: FloatArray, rows: IntArray, seed: int
    ) -> tuple[bool, str]:
        """Judge the network on held-out items, beside the linear model's probabilities p there."""
        typical = float(np.median(np.bincount(codes)))
        if not self.network:
            return False, "no network: network=False"
        if typical < self._fewest or len(rows) == 0:
            if self._below:
                few = f"{typical:g} labels a class, below {self._fewest}: {self._below}"
                self.decisions_ = (Decision("scratch tries no network", few, "label more"),)
            return False, f"no network: fewer than {self._fewest} {self._noun} a class"
        sure = len(rows) >= self._sure and accuracy_and_loss(p, codes[rows])[0] >= SURE
        if sure:
            return False, f"no network: nothing left to win above {SURE}"
        held, parts = np.zeros(0, dtype=np.int64), []
        for fold in self._judges(codes[rows], self.cv, seed):
            kept = np.setdiff1d(np.arange(len(codes)), rows[fold])
            model = self._trained(items[kept], codes[kept], p.shape[1])
            parts.append(softmax_rows(model.scores(self._pictures(items[rows[fold]]))))
            held = np.concatenate([held, fold])
            truth, guess = codes[rows[held]], np.concatenate(parts)
            lead = (guess.argmax(1) == truth) * 1.0 - (p[held].argmax(1) == truth)
            if abs(lead.mean()) > CLEAR * lead.std() / np.sqrt(len(lead)):
                break
        found = {"linear": accuracy_and_loss(p[held], truth)}
        found["network"] = accuracy_and_loss(guess, truth)
        remark = f"network {found['network'][0]:.3f} against {found['linear'][0]:.3f}"
        return best_of(found, len(held)) == "network", (
            f"{remark} on {len(held)} held-out {self._noun}"
        )

    def predict_proba(self, X: Any) -> FloatArray:
        """Return class probabilities of shape (n, k), columns in the order of ``classes_``."""
        check_is_fitted(self, "chosen_")
        if len(self.classes_) == 1:
            return np.ones((len(self._checked(X)), 1))
        raw = self._raw(X)
        return softmax_rows(raw) if self._network is not None else probabilities(raw)


class LinearOrNetworkRegressor(RegressorMixin, LinearOrNetwork):
    """Ridge regression on views of the items, or the network."""

    _score_name = "R2"
    _model_name = "ridge"

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on items X and numbers y.

        Raises
        ------
        DataError
            X is no array of such items, or y is not n finite numbers.
        """
        items = self._checked(X)
        target = targets_of(y, len(items))
        views, seed = self._views(items), seed_of(self.random_state)
        tuned, predicted, rows = tune_regressor(views, self._candidates, target, seed=seed)
        self._centre, self._spread = 0.0, 1.0
        wins, remark = self._network_wins(items, target, predicted, rows, seed)
        names, network = self._candidates[tuned.name], None
        if wins:
            self._centre, self._spread = float(target.mean()), float(target.std())
            network = self._trained(items, (target - self._centre) / self._spread, None)
        linear = None if wins else fit_regressor(join(views, names), target, tuned.strength)
        self._keep(linear, names, network)
        self._say(tuned, wins, remark)
        return self

    def _network_wins(
        self, items: AnyArray, y: FloatArray, predicted: FloatArray, rows: IntArray, seed: int
    ) -> tuple[bool, str]:
        if not self.network:
            return False, "no network: network=False"
        if len(rows) < FEWEST_NUMBERS:
            return False, f"no network: fewer than {FEWEST_NUMBERS} {self._noun} to compare on"
        errors, linear = 0.0, 0.0
        for held in self._judges(np.zeros(len(rows), dtype=np.int64), self.cv, seed):
            kept = np.setdiff1d(np.arange(len(y)), rows[held])
            centre, spread = float(y[kept].mean()), max(float(y[kept].std()), 1e-12)
            model = self._trained(items[kept], (y[kept] - centre) / spread, None)
            scores = model.scores(self._pictures(items[rows[held]]))
            guess = scores[:, 0] * spread + centre
            errors += float(((guess - y[rows[held]]) ** 2).sum())
            linear += float(((predicted[held] - y[rows[held]]) ** 2).sum())
        ratio = errors / max(linear, 1e-300)
        return errors < linear, f"network's squared error {ratio:.2f} of the linear model's"

    def predict(self, X: Any) -> FloatArray:
        """Return the predicted number of each item."""
        result: FloatArray = self._raw(X)[:, 0] * self._spread + self._centre
        return result

    def to_state(self) -> State:
        """Return what was learned as arrays and JSON."""
        state = super().to_state()
        state.meta.update(centre=self._centre, spread=self._spread)
        return state

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild a fitted estimator; it predicts bit-identically."""
        self = cls(**state.meta["params"])
        self._centre, self._spread = state.meta["centre"], state.meta["spread"]
        self._restore(state)
        return self
