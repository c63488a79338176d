"""A classifier on frozen features that takes in new classes from one example each."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import FloatArray, IntArray, Modality, State
from headstart.strategies import base as known
from headstart.strategies.enrolled_head import EnrolledHead, with_class, wrapped
from headstart.strategies.frozen import FrozenClassifier
from headstart.strategies.gallery_fit import gallery_of


class Enrolled(FrozenClassifier):
    """Classify with another strategy, and take in new classes without being trained again.

    ``fit`` fits the strategy named by ``base`` and keeps the class means; :meth:`enrol` adds a
    class from one or a few examples. A softmax over the distances to all class means, each freed
    of the noise of its few rows, gives a new class its probability; the old classes share the rest
    as the fitted strategy does. Where no old class had two rows, all share by distances.

    Parameters
    ----------
    base : str, default "probe"
        A strategy that takes features.
    modality : {"image", "text", "audio"}
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.
    random_state : int or None, default 0
        The seed of the strategy.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
        With the classes taken in since ``fit``.

    Raises
    ------
    OptionError
        ``base`` is no classifier that takes features.

    References
    ----------
    Imprinted weights: Qi et al., CVPR 2018; SimpleShot: Wang et al., arXiv:1911.04623 (2019).

    Examples
    --------
    >>> from headstart.strategies import Enrolled
    >>> X = [[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.1]]
    >>> model = Enrolled().fit(X, ["up", "up", "right", "right"]).enrol("down", [[0.0, -1.0]])
    >>> model.predict([[0.1, -2.0], [0.1, 2.0]]).tolist()
    ['down', 'up']
    """

    def __init__(
        self,
        *,
        base: str = "probe",
        modality: Modality = "text",
        source: Any = None,
        random_state: int | None = 0,
    ) -> None:
        self.base = base
        self.modality = modality
        self.source = source
        self.random_state = random_state

    def _fit(self, X: FloatArray, codes: IntArray) -> None:
        able = [
            name
            for name, spec in known.STRATEGIES.items()
            if spec.input == "features" and "classification" in spec.classes and name != "enrolled"
        ]
        if self.base not in able:
            raise OptionError("not a base to enrol on", where="base", got=self.base, allowed=able)
        model = known.make(
            self.base,
            kind="classification",
            modality=self.modality,
            random_state=self.random_state,
        ).fit(X, self.classes_[codes])
        gallery = gallery_of(X, codes, len(self.classes_))
        names = self.classes_.tolist()
        state = wrapped(self.base, model.to_state(), gallery, modality=self.modality, names=names)
        self._put(state)

    def _put(self, state: State) -> None:
        self._state, self.head_ = state, EnrolledHead.from_state(state)
        self.classes_ = self.head_.classes_

    def enrol(self, name: str, X: Any) -> Self:
        """Take in a class from its examples, in place.

        Parameters
        ----------
        name : str
        X : ndarray of shape (n, d), or items where ``source`` is set

        Raises
        ------
        OptionError
            The class is known already.
        ValueError
            X holds NaN or infinity, or is of another width (scikit-learn's own message).
        """
        self._put(with_class(self._state, name, self._check_new(X)))
        return self

    def _probabilities(self, X: FloatArray) -> FloatArray:
        return self.head_.predict_proba(X)

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta()
        return State(dict(self._state.arrays), dict(self._state.meta) | meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls(
            base=state.meta["base"],
            modality=state.meta["modality"],
            source=state.meta.get("source"),
        )
        model._put(state)
        model.n_features_in_ = int(np.shape(state.arrays["gallery.centre"])[0])
        return model
