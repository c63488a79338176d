"""Scratch and a transfer strategy, weighted: an ensemble that learns two numbers, no more.

Members are stacked on their out-of-fold predictions with non-negative weights (Wolpert 1992;
Breiman 1996). How they are pooled, and how the weights are learnt, is in ``pooling``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from headstart.core.errors import DataError, OptionError
from headstart.core.types import (
    AnyArray,
    Decision,
    FloatArray,
    IntArray,
    Kind,
    Modality,
    Pair,
    State,
    subset,
)
from headstart.strategies import base
from headstart.strategies.frozen import encode_classes, stratified_folds
from headstart.strategies.pooling import EQUAL, learn_shares, learn_weights, mixed, pooled, share_of
from headstart.strategies.targets import labels_of, seed_of, targets_of

_HOISTED = ("given", "history")  # what a bundle looks for in the meta of a tuned source


def _transferring(name: str) -> str:
    """Return the name of a strategy that a blend can have as its transfer member.

    Raises
    ------
    OptionError
        It is none.
    """
    able = [one for one, spec in base.STRATEGIES.items() if spec.uses_source and not spec.combines]
    if name not in able:
        raise OptionError(
            "a blend needs a strategy that transfers", where="transfer", got=name, allowed=able
        )
    return name


def _checked(X: Any) -> Pair:
    """Return a pair whose members have as many items.

    Raises
    ------
    DataError
        It is none.
    """
    if not isinstance(X, Pair):
        raise DataError(
            "a blend takes a pair: what scratch takes, and what its transfer member takes",
            where="X",
            got=type(X).__name__,
            allowed="core.types.Pair",
        )
    if len(X.scratch) != len(X.transfer):
        raise DataError(
            "the members of a blend were given different numbers of items",
            where="X",
            got=[len(X.scratch), len(X.transfer)],
        )
    return X


def _names(member: Any) -> list[str]:
    return [str(name) for name in getattr(member, "classes_", ())]


def _aligned(member: Any, inputs: Any, classes: AnyArray) -> FloatArray:
    """Return a member's (n, k) probabilities, columns in the order of ``classes``."""
    place = {name: column for column, name in enumerate(_names(member))}
    columns = [place[str(name)] for name in classes]
    return np.asarray(member.predict_proba(inputs), dtype=np.float64)[:, columns]


class _Blended(BaseEstimator):
    """Two fitted members and their weights."""

    kind: ClassVar[Kind]
    _open: ClassVar[Callable[..., Any]] = staticmethod(base.from_state)
    scratch_: Any
    transfer_: Any
    transfer_name_: str
    source_name_: str | None
    weights_: FloatArray
    tuned: dict[str, AnyArray]
    given: dict[str, Any]

    def __init__(
        self,
        *,
        transfer: str = "probe",
        modality: Modality = "text",
        n_folds: int = 5,
        scratch_params: Mapping[str, Any] | None = None,
        transfer_params: Mapping[str, Any] | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.transfer = transfer
        self.modality = modality
        self.n_folds = n_folds
        self.scratch_params = scratch_params
        self.transfer_params = transfer_params
        self.random_state = random_state

    @classmethod
    def of(
        cls,
        scratch: Any,
        transfer: Any,
        weights: Any,
        *,
        name: str,
        modality: Modality,
        source: str | None = None,
    ) -> Self:
        """Put two fitted members together.

        Parameters
        ----------
        scratch, transfer : fitted estimators
            Of the same classes.
        weights : pair of float, >= 0
            From :func:`learn_weights` or :func:`learn_shares`.
        name : str
            The strategy of ``transfer``.
        modality : {"image", "text"}
        source : str, optional
            What it transfers from, for people to read.

        Raises
        ------
        OptionError
            ``name`` is no strategy that transfers by itself.
        DataError
            The members know different classes, or the weights are not two numbers >= 0.
        """
        model = cls(transfer=name, modality=modality)
        model._put(scratch, transfer, weights, _transferring(name))
        model.source_name_ = source
        return model

    def _put(self, scratch: Any, transfer: Any, weights: Any, name: str) -> None:
        found = np.asarray(weights, dtype=np.float64)
        if found.shape != (2,) or not (np.isfinite(found) & (found >= 0)).all():
            raise DataError(
                "not the weights of a blend", where="weights", allowed="two numbers, 0 or more"
            )
        one, other = (_names(member) for member in (scratch, transfer))
        if sorted(one) != sorted(other):
            raise DataError("the members of a blend know different classes", got=one, allowed=other)
        self.scratch_, self.transfer_, self.weights_ = scratch, transfer, found
        self.transfer_name_, self.source_name_ = name, None

    @property
    def decisions_(self) -> list[Decision]:
        """What the blend is made of."""
        check_is_fitted(self, "weights_")
        share, other = share_of(self.weights_), self.transfer_name_
        if self.source_name_:
            other = f"{self.source_name_} + {other}"
        what = f"blend of scratch (weight {share:.2f}) and {other} ({1 - share:.2f})"
        return [Decision(what, "what predicted best out of fold, pulled towards equal weights")]

    def fit(self, X: Pair, y: Any) -> Self:
        """Fit both members on all items, after their weights were learnt out of fold.

        Parameters
        ----------
        X : Pair of length n
        y : sequence of length n

        Raises
        ------
        DataError
            X is no pair of equal length, or y does not fit.
        OptionError
            ``transfer`` is no strategy that transfers by itself, or there are fewer than 2 folds.
        """
        name = _transferring(self.transfer)
        if self.n_folds < 2:
            raise OptionError("too few folds", where="n_folds", got=self.n_folds, allowed="2, ...")
        n = len(_checked(X))
        seed = seed_of(self.random_state)
        truth = self._truth(y, n)
        weights = self._learn(X, truth, self._folds(truth, seed), seed)
        self._put(*self._members(X, truth, seed), weights, name)
        return self

    def _members(self, X: Pair, y: AnyArray, seed: int) -> tuple[Any, Any]:
        shared: dict[str, Any] = {
            "kind": self.kind,
            "modality": self.modality,
            "random_state": seed,
        }
        scratch = base.make("scratch", **shared, **(self.scratch_params or {}))
        transfer = base.make(self.transfer, **shared, **(self.transfer_params or {}))
        return scratch.fit(X.scratch, y), transfer.fit(X.transfer, y)

    def _truth(self, y: Any, n: int) -> AnyArray:
        raise NotImplementedError

    def _folds(self, truth: AnyArray, seed: int) -> IntArray:
        """Return the fold of each row; -1 where it is in none."""
        raise NotImplementedError

    def _learn(self, X: Pair, truth: AnyArray, folds: IntArray, seed: int) -> FloatArray:
        """Return the weights, from predictions of members that did not see the row."""
        raise NotImplementedError

    def _out_of_fold(
        self, X: Pair, truth: AnyArray, folds: IntArray, seed: int, predict: Callable[..., Any]
    ) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return what both members predict for the rows held out, and which rows those are."""
        parts: tuple[list[Any], list[Any], list[IntArray]] = ([], [], [])
        for fold in np.unique(folds[folds >= 0]):
            test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
            if not len(train):
                continue
            seen, held_out = subset(X, train), subset(X, test)
            scratch, transfer = self._members(seen, truth[train], seed)
            parts[0].append(predict(scratch, held_out.scratch))
            parts[1].append(predict(transfer, held_out.transfer))
            parts[2].append(test)
        if not parts[2]:
            return np.empty((0, 2)), np.empty((0, 2)), np.empty(0, dtype=np.int64)
        one, other, rows = (np.concatenate(part) for part in parts)
        return one, other, rows

    def to_state(self) -> State:
        """Return both members as arrays and plain data."""
        check_is_fitted(self, "weights_")
        arrays: dict[str, AnyArray] = {"weights": self.weights_}
        members: dict[str, Any] = {}
        for part in ("scratch", "transfer"):
            state = getattr(self, f"{part}_").to_state()
            arrays |= {f"{part}.{name}": array for name, array in state.arrays.items()}
            members[part] = dict(state.meta)
        lifted = {
            key: members["transfer"].pop(key) for key in _HOISTED if key in members["transfer"]
        }
        meta: dict[str, Any] = {"transfer": self.transfer_name_, "source": self.source_name_}
        meta |= {"modality": self.modality, "members": members}
        return State(arrays, meta | lifted)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted blend from :meth:`to_state`.

        Raises
        ------
        OptionError, DataError
            The state is none of a blend.
        """
        meta = state.meta
        name = _transferring(meta["transfer"])
        members: list[Any] = []
        for part, strategy in (("scratch", "scratch"), ("transfer", name)):
            own = {
                key.removeprefix(f"{part}."): array
                for key, array in state.arrays.items()
                if key.startswith(f"{part}.")
            }
            lifted = {key: meta[key] for key in _HOISTED if key in meta and part == "transfer"}
            whole = State(own, dict(meta["members"][part]) | lifted)
            members.append(
                cls._open(strategy, kind=cls.kind, modality=meta["modality"], state=whole)
            )
        scratch, transfer = members
        model = cls.of(
            scratch,
            transfer,
            state.arrays["weights"],
            name=name,
            modality=meta["modality"],
            source=meta["source"],
        )
        if hasattr(model.transfer_, "tuned"):  # the source below needs what was tuned in it
            model.tuned, model.given = model.transfer_.tuned, model.transfer_.given
        return model


class Blend(ClassifierMixin, _Blended):
    """The logarithmic pool of scratch and one transfer strategy.

    ``fit`` learns the weights out of fold and then fits both members; :meth:`of` puts members
    together that are fitted already, with weights from :func:`learn_weights`.

    Parameters
    ----------
    transfer : str
        The strategy of the other member.
    modality : {"image", "text"}
    n_folds : int, >= 2
        Folds whose held-out predictions give the weights.
    scratch_params, transfer_params : mapping, optional
        Parameters of the members.
    random_state : int or None

    Attributes
    ----------
    scratch_, transfer_ : fitted estimators
    weights_ : ndarray of shape (2,)
        Exponents of scratch and of the transfer member.
    classes_ : ndarray of shape (k,)

    References
    ----------
    Wolpert, Neural Networks 1992; Breiman, Machine Learning 1996.

    Examples
    --------
    >>> texts = ["good film", "a good one", "bad film", "a bad one"] * 3
    >>> both = Pair(texts, np.array([[2.0, 0], [2, 1], [-2, 0], [-2, 1]] * 3))
    >>> model = Blend(transfer="prototypes").fit(both, ["+", "+", "-", "-"] * 3)
    >>> model.predict(Pair(["good", "bad"], np.array([[2.0, 0], [-2, 0]]))).tolist()
    ['+', '-']
    """

    kind = "classification"

    @property
    def classes_(self) -> AnyArray:
        """The classes, in the order of the columns of ``predict_proba``."""
        classes: AnyArray = self.transfer_.classes_
        return classes

    def predict_proba(self, X: Pair) -> FloatArray:
        """Return (n, k) probabilities; columns in the order of ``classes_``.

        Raises
        ------
        DataError
            X is no pair of equal length.
        """
        check_is_fitted(self, "weights_")
        X = _checked(X)
        scratch = _aligned(self.scratch_, X.scratch, self.classes_)
        transfer = _aligned(self.transfer_, X.transfer, self.classes_)
        return pooled(scratch, transfer, self.weights_)

    def predict(self, X: Pair) -> AnyArray:
        """Return the n most probable labels."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: AnyArray = self.classes_[best]
        return labels

    def _truth(self, y: Any, n: int) -> AnyArray:
        return labels_of(y, n)

    def _folds(self, truth: AnyArray, seed: int) -> IntArray:
        return stratified_folds(encode_classes(truth)[1], self.n_folds, seed)

    def _learn(self, X: Pair, truth: AnyArray, folds: IntArray, seed: int) -> FloatArray:
        classes, codes = encode_classes(truth)
        scratch, transfer, rows = self._out_of_fold(
            X, truth, folds, seed, lambda member, inputs: _aligned(member, inputs, classes)
        )
        return learn_weights(scratch, transfer, codes[rows])


class BlendRegressor(RegressorMixin, _Blended):
    """The weighted mean of the numbers that scratch and one transfer strategy predict.

    Parameters
    ----------
    transfer, modality, n_folds, scratch_params, transfer_params, random_state
        As for :class:`Blend`.

    Attributes
    ----------
    scratch_, transfer_ : fitted estimators
    weights_ : ndarray of shape (2,)
        Of scratch and of the transfer member; they sum to 1.

    References
    ----------
    Breiman, Stacked regressions, Machine Learning 1996.

    Examples
    --------
    >>> texts = ["one star", "two stars", "nine stars", "ten stars"]
    >>> both = Pair(texts, np.array([[1.0], [2.0], [9.0], [10.0]]))
    >>> model = BlendRegressor(n_folds=2).fit(both, [1.0, 2.0, 9.0, 10.0])
    >>> model.predict(Pair(["nine"], np.array([[9.0]]))).shape
    (1,)
    """

    kind = "regression"

    def predict(self, X: Pair) -> FloatArray:
        """Return n numbers.

        Raises
        ------
        DataError
            X is no pair of equal length.
        """
        check_is_fitted(self, "weights_")
        X = _checked(X)
        scratch = np.asarray(self.scratch_.predict(X.scratch), dtype=np.float64)
        transfer = np.asarray(self.transfer_.predict(X.transfer), dtype=np.float64)
        return mixed(scratch, transfer, self.weights_)

    def _truth(self, y: Any, n: int) -> AnyArray:
        return targets_of(y, n)

    def _folds(self, truth: AnyArray, seed: int) -> IntArray:
        return np.random.default_rng(seed).permutation(len(truth)) % self.n_folds

    def _learn(self, X: Pair, truth: AnyArray, folds: IntArray, seed: int) -> FloatArray:
        scratch, transfer, rows = self._out_of_fold(
            X, truth, folds, seed, lambda member, inputs: member.predict(inputs)
        )
        if not len(rows):
            return np.array(EQUAL)
        return learn_shares(scratch, transfer, truth[rows])


class BlendHead(Blend):
    """A blend as a bundle holds it: a tuned member takes features of its tuned source."""

    _open = staticmethod(base.open_state)


class BlendRegressorHead(BlendRegressor):
    """As :class:`BlendHead`, for numbers."""

    _open = staticmethod(base.open_state)
