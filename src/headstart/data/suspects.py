"""Labels that are probably wrong, by confident learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, FloatArray, IntArray

_TIE = 1e-6
_NEVER = 2.0  # above any probability: the threshold of a class without items


def suspects(
    labels: AnyArray | Sequence[Any], probabilities: FloatArray, classes: Sequence[Any]
) -> IntArray:
    """Return the items whose labels are probably wrong, most suspect first.

    An item is suspect if the model is confident that it belongs to another class: its probability
    there is at least the mean probability that items labelled with that class get for it. Of
    several such classes the most probable counts. Most suspect is the item whose own label gets
    the least probability. These are the off-diagonal items of the confident joint of Northcutt,
    Jiang & Chuang (JAIR 2021), as cleanlab's ``find_label_issues(filter_by="confident_learning",
    return_indices_ranked_by="self_confidence")`` gives them.

    Parameters
    ----------
    labels : array of shape (n,)
        The given labels, each one of ``classes``.
    probabilities : ndarray of shape (n, k)
        Out-of-fold class probabilities, 0..1: from models that have not seen the item.
    classes : sequence of length k
        What each column stands for.

    Returns
    -------
    ndarray of int64
        Indexes into ``labels``.

    Raises
    ------
    OptionError
        The shapes do not fit, a label is not among the classes, or the probabilities are no
        finite numbers of 0..1.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.data import suspects
    >>> p = np.array([[.9, .1], [.8, .2], [.1, .9], [.2, .8], [.95, .05]])
    >>> suspects(["cat", "cat", "dog", "dog", "dog"], p, ["cat", "dog"]).tolist()
    [4]
    """
    chances = np.asarray(probabilities, np.float64)
    codes = _codes(labels, classes)
    _check(chances, len(codes), len(classes))
    if not len(codes):
        return np.zeros(0, np.int64)
    own = chances[np.arange(len(codes)), codes]
    counts = np.bincount(codes, minlength=len(classes))
    means = np.array(
        [chances[codes == k, k].mean() if counts[k] else _NEVER for k in range(len(classes))]
    )
    confident = chances >= np.maximum(means, 2 * _TIE) - _TIE
    several = confident.sum(axis=1) > 1
    guess = np.where(several, chances.argmax(axis=1), confident.argmax(axis=1))
    nudged = chances.copy()
    nudged[np.arange(len(codes)), codes] += _TIE
    wrong = confident.any(axis=1) & (guess != codes) & (nudged.argmax(axis=1) != codes)
    found = np.flatnonzero(wrong)
    order: IntArray = found[np.argsort(own[found], kind="stable")]
    return order


def _codes(labels: AnyArray | Sequence[Any], classes: Sequence[Any]) -> IntArray:
    place = {name: k for k, name in enumerate(classes)}
    try:
        return np.array([place[label] for label in labels], np.int64)
    except KeyError as error:
        raise OptionError(
            "a label is not among the classes", got=error.args[0], allowed=tuple(classes)
        ) from None


def _check(chances: FloatArray, n: int, k: int) -> None:
    if chances.shape != (n, k):
        raise OptionError(
            "the probabilities do not fit the labels and classes",
            got=f"shape {chances.shape}",
            allowed=f"({n}, {k})",
        )
    if not (np.isfinite(chances).all() and (chances >= 0).all() and (chances <= 1 + _TIE).all()):
        raise OptionError("the probabilities must be finite numbers of 0..1")
