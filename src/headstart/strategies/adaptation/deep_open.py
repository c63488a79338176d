"""The deep adapter for a target that has classes which the source does not have."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, Decision
from headstart.strategies.adaptation.deep import DeepAdapter
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.forms import LayersForm


class OSBP(DeepAdapter):
    """Find rows of the target that are of no class of the source: one class more, ``unknown``.

    Where a target is given, ``classes_`` ends with the label of what is unknown, in no order with
    the others, and ``predict_proba`` has a column for it.

    Parameters
    ----------
    hidden, epochs, learning_rate, weight, batch_size, scale, own_scale, random_state
        As for :class:`DeepAdapter`.
    share : float, 0 to 1
        The probability of unknown that the classifier is held at: the border to the known.
    unknown : label, optional
        By default "unknown" where labels are text; where they are numbers -1, or if that is a
        class one less than the least.

    Raises
    ------
    OptionError
        ``unknown`` is a class of the source, or ``share`` is not between 0 and 1.

    References
    ----------
    Saito et al., Open set domain adaptation by backpropagation, ECCV 2018.

    Examples
    --------
    >>> from headstart.strategies.adaptation import OSBP
    >>> X = [[0.1 * i] for i in range(10)] + [[5.0 + 0.1 * i] for i in range(10)]
    >>> model = OSBP(epochs=4).fit(X, ["a"] * 10 + ["b"] * 10, [[x[0] + 0.5] for x in X])
    >>> model.classes_.tolist()
    ['a', 'b', 'unknown']
    """

    method = "osbp"
    options = ("share",)

    def __init__(
        self,
        *,
        hidden: int = 256,
        epochs: int = 20,
        learning_rate: float = 1e-3,
        weight: float = 1.0,
        batch_size: int = 64,
        share: float = 0.5,
        unknown: Any = None,
        scale: bool = True,
        own_scale: bool = False,
        random_state: int | None = 0,
    ) -> None:
        self.hidden, self.epochs, self.learning_rate = hidden, epochs, learning_rate
        self.weight, self.batch_size = weight, batch_size
        self.share, self.unknown = share, unknown
        self.scale, self.own_scale, self.random_state = scale, own_scale, random_state

    def _adapt(self, domains: Domains) -> Any:
        if not 0.0 < self.share < 1.0:
            raise OptionError("not between 0 and 1", where="share", got=self.share)
        if np.array_equal(domains.X, domains.target):
            form = super()._adapt(domains)
            self._decide(Decision("no class is unknown", "the source is its own target"))
            return LayersForm(
                [form.weights[0], form.weights[1][:, :-1]], [form.biases[0], form.biases[1][:-1]]
            )
        classes = with_unknown(self.classes_, self.unknown)
        form = super()._adapt(domains)
        self.classes_ = classes
        return form


def with_unknown(classes: AnyArray, unknown: Any) -> AnyArray:
    """Return classes with one more at the end: what is none of them.

    Raises
    ------
    OptionError
        It is one of them.

    Examples
    --------
    >>> with_unknown(np.array([0, 1]), None).tolist()
    [0, 1, -1]
    """
    numbers = classes.dtype.kind in "iuf"
    label: Any = "unknown" if unknown is None else unknown
    if numbers and unknown is None:
        label = -1 if -1 not in classes else int(classes.min()) - 1
    if label in classes.tolist():
        raise OptionError(
            "the label of what is unknown is a class of the source",
            where="unknown",
            got=label,
            hint="give another label",
        )
    alike = (
        isinstance(label, str)
        if classes.dtype.kind == "U"
        else (numbers and isinstance(label, int | float | np.number))
    )
    if not alike:
        found = np.empty(len(classes) + 1, dtype=object)
        found[:] = [*classes.tolist(), label]
        return found
    return np.concatenate([classes, np.array([label])])
