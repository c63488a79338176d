"""The metrics: what each measures, which kind of task it fits, and which one is the default.

Names only: the computing is in ``compiled.py``, so that the command line can list the metrics
without loading anything heavy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.core.types import AnyArray, Decision, Kind

Needs = Literal["labels", "probabilities", "values"]


@dataclass(frozen=True)
class Metric:
    """A way to score predictions.

    Parameters
    ----------
    name : str
    kinds : tuple of {"classification", "regression"}
        The kinds of task it fits.
    greater_is_better : bool
    needs : {"labels", "probabilities", "values"}
        What it reads of the predictions.
    summary : str
        One line for people.
    bounded : bool
        True where the metric lies between 0 and 1.
    rate : bool
        True for an error rate: as a share, though it may exceed 1.
    """

    name: str
    kinds: tuple[Kind, ...]
    greater_is_better: bool
    needs: Needs
    summary: str
    bounded: bool = False
    rate: bool = False

    @property
    def share(self) -> bool:
        """Whether differences are told in points: the metric is a share, or nearly one."""
        return self.bounded or self.rate

    @property
    def sign(self) -> float:
        """+1.0 where more is better, -1.0 where less is."""
        return 1.0 if self.greater_is_better else -1.0


_CLASSES: tuple[Kind, ...] = ("classification",)
_VALUES: tuple[Kind, ...] = ("regression",)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _CLASSES, True, "labels", "share of items that are right", True),
        Metric(
            "balanced_accuracy",
            _CLASSES,
            True,
            "labels",
            "accuracy within each class, averaged over the classes",
            True,
        ),
        Metric(
            "macro_f1",
            _CLASSES,
            True,
            "labels",
            "F1 of each class, averaged over the classes: every class counts the same",
            True,
        ),
        Metric(
            "log_loss",
            _CLASSES,
            False,
            "probabilities",
            "mean of -log(probability given to the true class); less is better",
        ),
        Metric(
            "roc_auc",
            _CLASSES,
            True,
            "probabilities",
            "area under the ROC curve; with several classes each against the rest, averaged",
            True,
        ),
        Metric(
            "rmse",
            _VALUES,
            False,
            "values",
            "root of the mean squared error, in units of the label; less is better",
        ),
        Metric(
            "mae",
            _VALUES,
            False,
            "values",
            "mean absolute error, in units of the label; less is better",
        ),
        Metric("r2", _VALUES, True, "values", "share of the label's variance that is explained"),
    )
}

SEQUENCE_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("wer", (), False, "labels", "word error rate: wrong words a true word", rate=True),
        Metric("cer", (), False, "labels", "wrong characters a true one", rate=True),
        Metric("exact_match", (), True, "labels", "share of answers that are exactly right", True),
        Metric("answer_f1", (), True, "labels", "overlap of answers in words, averaged", True),
        Metric("span_f1", (), True, "labels", "F1 of whole spans, of all types together", True),
        Metric("token_accuracy", (), True, "labels", "share of words with the right tag", True),
        Metric("chrf", (), True, "labels", "F score of character n-grams", True),
        Metric(
            "bleu", (), True, "labels", "precision of word n-grams, short output punished", True
        ),
        Metric("rouge_1", (), True, "labels", "F1 of words, averaged over texts", True),
        Metric("rouge_2", (), True, "labels", "F1 of pairs of words, averaged over texts", True),
        Metric("rouge_l", (), True, "labels", "F1 of the longest common part, averaged", True),
    )
}


IMBALANCE_RATIO = 3
IMBALANCE_ITEMS = 10


def known_metric(name: str) -> Metric:
    """Return the metric of a name that is known to be one, of any kind of task."""
    return METRICS[name] if name in METRICS else SEQUENCE_METRICS[name]


def find_metric(name: str, kind: Kind | None = None) -> Metric:
    """Return the metric of this name, making sure that it fits the kind of task.

    Parameters
    ----------
    name : str
        A key of ``METRICS``.
    kind : {"classification", "regression"}, optional
        The kind of task it has to fit.

    Raises
    ------
    UnknownNameError
        If there is no such metric.
    OptionError
        If the metric is one for the other kind of task.

    Examples
    --------
    >>> find_metric("rmse").greater_is_better
    False
    """
    if name not in METRICS:
        raise UnknownNameError("metric", name, METRICS)
    metric = METRICS[name]
    if kind is not None and kind not in metric.kinds:
        raise OptionError(
            f"the metric {name!r} is for {metric.kinds[0]}, but this task is {kind}",
            where="--metric",
            got=name,
            allowed=[other.name for other in METRICS.values() if kind in other.kinds],
        )
    return metric


def metric_of(
    name: str | None, kind: Kind, labels: AnyArray | None
) -> tuple[str, tuple[Decision, ...]]:
    """Return the metric that was named, or the one that suits the task and why.

    Parameters
    ----------
    name : str or None
        What the user named.
    kind : {"classification", "regression"}
    labels : ndarray of shape (n,)
        Of the task; not looked at where a metric is named.

    Raises
    ------
    UnknownNameError, OptionError
        There is no such metric, or it does not fit the task.
    DataError
        There are no labels to choose one for.
    """
    if name is not None:
        return find_metric(name, kind).name, ()
    found, decision = default_metric(kind, [] if labels is None else labels)
    return found, (decision,)


def default_metric(kind: Kind, labels: Sequence[str] | AnyArray) -> tuple[str, Decision]:
    """Choose the metric of a task, and say why.

    Accuracy for classification; macro F1 where the classes are imbalanced, that is where the
    largest class has more than 3 times the items of the smallest and at least 10 items more
    (so that chance among a few labels a class does not decide); RMSE for regression.

    Parameters
    ----------
    kind : {"classification", "regression"}
    labels : array of shape (n,)
        The labels of the task; only the classes that occur are counted.

    Returns
    -------
    name : str
    decision : Decision

    Raises
    ------
    DataError
        If there are no labels.

    Examples
    --------
    >>> default_metric("classification", ["cat"] * 90 + ["dog"] * 10)[0]
    'macro_f1'
    """
    override = "--metric NAME uses another"
    if len(labels) == 0:
        raise DataError("there are no labels to choose a metric for", got=0, allowed="at least 1")
    if kind == "regression":
        why = "the usual one for numbers, in the units of the label; less is better"
        return "rmse", Decision("metric rmse", why, override)
    names, counts = np.unique(np.asarray(labels, dtype=str), return_counts=True)
    top, low = int(counts.argmax()), int(counts.argmin())
    most, least = int(counts[top]), int(counts[low])
    if most > IMBALANCE_RATIO * least and most - least >= IMBALANCE_ITEMS:
        why = (
            f"the classes are imbalanced ({most} items of {str(names[top])!r}, {least} of "
            f"{str(names[low])!r}), and macro F1 counts every class the same"
        )
        return "macro_f1", Decision("metric macro_f1", why, override)
    why = "the classes are of similar size" if len(names) > 1 else "there is only one class"
    return "accuracy", Decision("metric accuracy", why, override)


def in_units(value: float, *, signed: bool = False) -> str:
    """Return an error as people read it: three digits, or whole numbers from a thousand on.

    Parameters
    ----------
    value : float
    signed : bool
        Write a plus where it is positive.

    Examples
    --------
    >>> in_units(0.51234), in_units(27812.4, signed=True)
    ('0.512', '+27,812')
    """
    form = ",.0f" if abs(value) >= 1000 else ".3g"
    return f"{value:{'+' * signed}{form}}"
