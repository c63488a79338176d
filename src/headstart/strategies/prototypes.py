"""The nearest class mean of centred, normalised features (SimpleShot's CL2N)."""

from __future__ import annotations

from typing import Any, Self

from scipy.special import softmax

from headstart.core.types import FloatArray, IntArray, State
from headstart.strategies.frozen import FrozenClassifier, pack_classes
from headstart.strategies.temper import means_sharpness
from headstart.strategies.unit import closeness, unit_means, unit_rows


class Prototypes(FrozenClassifier):
    """Classify by the nearest class mean of centred features scaled to length 1.

    The centre is the mean of the class means: on balanced data SimpleShot's training mean, and on
    unbalanced data not the mean of the largest class, whose rows would then have no direction.

    Probabilities are the softmax of minus the squared distances, at the temperature that makes
    the leave-one-out log loss least (a row left out of its own class mean; the centre stays).

    Parameters
    ----------
    source : str or Backbone, optional
        Encode raw items with this source; None: X is (n, d) features.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    centre_ : ndarray of shape (d,)
    prototypes_ : ndarray of shape (k, d)
    sharpness_ : float

    References
    ----------
    SimpleShot: Wang, Chao, Weinberger & van der Maaten, arXiv:1911.04623 (2019).

    Examples
    --------
    >>> from headstart.strategies import Prototypes
    >>> X = [[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.1]]
    >>> Prototypes().fit(X, ["up", "up", "right", "right"]).predict([[0.2, 2.0]]).tolist()
    ['up']
    """

    def __init__(self, *, source: Any = None) -> None:
        self.source = source

    def _fit(self, X: FloatArray, codes: IntArray) -> None:
        found = unit_means(X, codes, len(self.classes_))
        self.centre_, self.prototypes_ = found.centre, found.means
        self.sharpness_ = means_sharpness(found)

    def _probabilities(self, X: FloatArray) -> FloatArray:
        rows = unit_rows(X, self.centre_)
        return softmax(self.sharpness_ * closeness(rows, self.prototypes_), axis=1)

    def to_state(self) -> State:
        """Return the fitted model as arrays and plain data."""
        meta = self._base_meta() | pack_classes(self.classes_) | {"sharpness": self.sharpness_}
        return State({"prototypes": self.prototypes_, "centre": self.centre_}, meta)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Rebuild the fitted model from :meth:`to_state`."""
        model = cls._opened(state)
        model.prototypes_, model.centre_ = state.arrays["prototypes"], state.arrays["centre"]
        model.sharpness_ = float(state.meta["sharpness"])
        return model
