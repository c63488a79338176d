"""Which source suits the data: cross-validation on frozen features, weighed against what is known.

**The rule.** A source is measured by the out-of-fold scores of a probe and of k-NN on its features,
on the same folds as every other source; ``measured`` is the mean of the two. Its published quality
(the prior of its card) says how far it should lie above or below the mean of the field: a point of
published quality counts as a point of the metric; where that is an error in units of its own (rmse,
mae, log_loss), as a hundredth of the mean error. Measured on n items,

    score = (n * measured + 80 * expected) / (n + 80)
    expected = mean of measured over the sources + (prior - mean prior)

so the prior counts as much as 80 items (``select.prior``). The number is reasoned, not fitted: two
sources that disagree on a fifth of the items have, on n of them, a difference of variance 0.2 / n;
published quality that predicts the difference to 5 points has a variance of 0.05 ** 2, which is
that of 80 items. With 20 labels the order is mostly the published one, with 400 mostly the measured
one. A source without a published number is expected to be as good as the mean.

The highest score ranks first; equal ones are told apart by size (the smaller first), then by name.
Transferability scores are computed beside and decide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import (
    SILENT,
    AnyArray,
    FloatArray,
    Gain,
    IntArray,
    Kind,
    Modality,
    Reporter,
    Score,
)
from headstart.evaluate import METRICS
from headstart.select.averaged import Judge, Several
from headstart.select.heat import race
from headstart.select.prior import weighed
from headstart.select.race import Entry, Field, held_rows
from headstart.select.transferability import gbc, h_score, leep, logme, nce

MEASURES = ("probe", "knn")
"""The strategies whose out-of-fold scores measure a source."""


@dataclass(frozen=True, eq=False)
class Contender:
    """A source that is ranked.

    Parameters
    ----------
    name : str
    features : ndarray of shape (n, d)
        What it makes of the n items.
    prior : float, optional
        Published quality, 0 to 1; None where there is none.
    size_mb : float
        Decides between equal scores.
    probabilities : ndarray of shape (n, z), optional
        What its own classifier says of the items, where it brought one.
    """

    name: str
    features: FloatArray
    prior: float | None = None
    size_mb: float = 0.0
    probabilities: FloatArray | None = None


@dataclass(frozen=True)
class Ranked:
    """A source in the ranking.

    Parameters
    ----------
    name : str
    score : float
        What ranks: ``measured``, weighed against the prior.
    measured : Score
        Mean of the out-of-fold scores of probe and k-NN, with its interval.
    parts : mapping of str to float
        The out-of-fold score of each of them.
    lead : Gain or None
        How much better the first of the ranking was measured; None for the first itself.
    prior : float or None
    transferability : mapping of str to float
        ``logme``, ``h_score``, ``gbc``, and ``leep``, ``nce`` where the source brought a
        classifier; for regression ``logme`` alone.
    """

    name: str
    score: float
    measured: Score
    parts: Mapping[str, float]
    lead: Gain | None
    prior: float | None
    transferability: Mapping[str, float]

    @property
    def tied(self) -> bool:
        """Whether it is too close to the first to call: the interval of the lead contains zero."""
        return self.lead is not None and self.lead.low <= 0


@dataclass(frozen=True)
class Ranks:
    """The ranking.

    Parameters
    ----------
    rows : tuple of Ranked
        Best first.
    failed : mapping of str to str
        Sources that could not be measured, and why.
    guess : float
        Out-of-fold score of the constant guess on the same folds.
    n : int
        Items measured on.
    metric : str
    """

    rows: tuple[Ranked, ...]
    failed: Mapping[str, str]
    guess: float
    n: int
    metric: str

    @property
    def tied(self) -> tuple[str, ...]:
        """The sources that are too close to the first to call."""
        return tuple(row.name for row in self.rows if row.tied)


def rank(
    contenders: Sequence[Contender],
    labels: AnyArray,
    folds: Sequence[tuple[IntArray, IntArray]],
    *,
    metric: str,
    modality: Modality,
    kind: Kind = "classification",
    groups: AnyArray | None = None,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> Ranks:
    """Rank sources on labelled items; the rule is at the head of this file.

    Parameters
    ----------
    contenders : sequence of Contender
        Their features are of the same n items.
    labels : ndarray of shape (n,)
        ``str`` objects, or float64 for regression.
    folds : sequence of (train, test) index arrays
        As ``data.split`` makes them; no group straddles one.
    metric : str
        A key of ``METRICS``.
    modality : {"image", "text"}
    kind : {"classification", "regression"}
    groups : array of shape (n,), optional
        Groups for the intervals.
    seed : int
    reporter : Reporter

    Returns
    -------
    Ranks

    Raises
    ------
    OptionError
        There is no contender, or two of one name.
    DataError
        There is no fold, or features are not of as many items as there are labels.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> codes = np.arange(60) % 2
    >>> noise = rng.normal(size=(60, 4)).astype(np.float32)
    >>> found = rank(
    ...     [Contender("noise", noise), Contender("signal", noise + 3 * codes[:, None])],
    ...     np.array(["a", "b"], dtype=object)[codes],
    ...     [(np.arange(30, 60), np.arange(30)), (np.arange(30), np.arange(30, 60))],
    ...     metric="accuracy",
    ...     modality="text",
    ... )
    >>> [row.name for row in found.rows], found.tied
    (['signal', 'noise'], ())
    """
    _refuse(contenders, labels, folds)
    classes = tuple(np.unique(labels.astype(str)).tolist()) if kind == "classification" else ()
    usable = {one.name: one for one in contenders if np.isfinite(one.features).all()}
    failed = {
        one.name: "its features are not finite numbers"
        for one in contenders
        if one.name not in usable
    }
    inputs: dict[str | None, Any] = {name: one.features for name, one in usable.items()}
    field_ = Field({None: np.zeros(len(labels)), **inputs}, labels, classes, kind, modality, seed)
    entries = [Entry("majority"), *(Entry(way, name) for name in usable for way in MEASURES)]
    outcomes = race(entries, field_, folds, reporter=reporter)
    order = held_rows(folds)
    judge = Judge(metric, labels[order], None if groups is None else groups[order], seed)
    measured: dict[str, Several] = {}
    for name in usable:
        found = [outcome for outcome in outcomes if outcome.entry.source == name]
        broken = [outcome.failure for outcome in found if outcome.predictions is None]
        if broken:
            failed[name] = broken[0]
        else:
            measured[name] = Several([o.predictions for o in found if o.predictions is not None])
    guess = outcomes[0].predictions
    assert guess is not None
    rows = _rows([usable[name] for name in measured], measured, judge, labels, kind)
    return Ranks(rows, failed, judge.value(Several([guess])), len(order), metric)


def _refuse(
    contenders: Sequence[Contender],
    labels: AnyArray,
    folds: Sequence[tuple[IntArray, IntArray]],
) -> None:
    names = [one.name for one in contenders]
    if not names:
        raise OptionError("there is no source to rank", got=0, allowed="at least 1")
    if len(set(names)) < len(names):
        raise OptionError("two sources have the same name", got=names)
    if not folds:
        raise DataError("nothing was held out, so nothing can be measured", got="no folds")
    for one in contenders:
        if len(one.features) != len(labels):
            raise DataError(
                "features need a row for each label",
                where=one.name,
                got=len(one.features),
                allowed=[len(labels)],
            )


def _rows(
    contenders: Sequence[Contender],
    measured: Mapping[str, Several],
    judge: Judge,
    labels: AnyArray,
    kind: Kind,
) -> tuple[Ranked, ...]:
    """Return the ranking, best first."""
    values = np.array([judge.value(measured[one.name]) for one in contenders])
    found = METRICS[judge.metric]
    size = 1.0 if found.bounded or judge.metric == "r2" else abs(float(values.mean()))
    unit = found.sign * size
    priors = [one.prior for one in contenders]
    scores = [float(one) for one in weighed(values, priors, len(judge.truth), unit=unit)]
    places = sorted(
        range(len(contenders)),
        key=lambda i: (
            -round(found.sign * scores[i], 9),
            contenders[i].size_mb,
            contenders[i].name,
        ),
    )
    first = measured[contenders[places[0]].name] if places else None
    rows = []
    for i in places:
        one, pair = contenders[i], measured[contenders[i].name]
        assert first is not None
        rows.append(
            Ranked(
                one.name,
                scores[i],
                judge.score(pair),
                dict(zip(MEASURES, judge.values(pair), strict=True)),
                None if i == places[0] else judge.lead(first, pair, one.name),
                one.prior,
                _transferability(one, labels, kind),
            )
        )
    return tuple(rows)


def _transferability(one: Contender, labels: AnyArray, kind: Kind) -> dict[str, float]:
    """Return the scores that need no cross-validation."""
    found = {"logme": logme(one.features, labels, kind=kind)}
    if kind == "regression":
        return found
    found |= {"h_score": h_score(one.features, labels), "gbc": gbc(one.features, labels)}
    if one.probabilities is not None:
        found["leep"] = leep(one.probabilities, labels)
        found["nce"] = nce(one.probabilities.argmax(axis=1), labels)
    return found
