"""The front door of ``sources DATA``: read -> draw a sample -> encode -> rank every source on it.

No algorithm lives here: what ranks is in ``select.rank``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart import data as data_room
from headstart import encode, evaluate, select, sources
from headstart.core.errors import OptionError
from headstart.core.types import (
    SILENT,
    Decision,
    FloatArray,
    Modality,
    Reporter,
    Skipped,
    Task,
    subset,
)
from headstart.select import Contender, Ranked, Ranks
from headstart.select.prior import PRIOR_ITEMS, prior_of
from headstart.sources import Backbone, SourceCard

TIMED = 32  # items that are encoded once more, without the cache, to tell what encoding costs
MOST_TAKEN = 3  # sources that are proposed to race where the ranking is too close to call


@dataclass(frozen=True)
class RankedSource:
    """A source with its place, what it costs and its licence.

    Parameters
    ----------
    card : SourceCard
    ranked : Ranked
        Its score, what it is made of, and the first source's lead over it.
    seconds_per_1000 : float
        To encode 1,000 of these items, on this machine now.
    """

    card: SourceCard
    ranked: Ranked
    seconds_per_1000: float

    def to_json(self, place: int) -> dict[str, Any]:
        """Return what JSON can hold; ``place`` is 1 for the first."""
        one = self.ranked
        scores = ("logme", "h_score", "gbc", "leep", "nce")
        lead = one.lead
        return {
            "rank": place,
            "source": one.name,
            "score": one.score,
            "measured": one.measured.estimate,
            "low": one.measured.low,
            "high": one.measured.high,
            **one.parts,
            "prior": one.prior,
            "lead": lead and {"estimate": lead.estimate, "low": lead.low, "high": lead.high},
            "too_close": one.tied,
            **{name: one.transferability.get(name) for name in scores},
            "seconds_per_1000": self.seconds_per_1000,
            "size_mb": self.card.size_mb,
            "memory_mb": round(4e-6 * self.card.parameters, 1),
            "licence": self.card.licence,
        }


@dataclass(frozen=True)
class Unmeasured:
    """A source that was not measured, and why; ``absent`` where it is not on this machine."""

    card: SourceCard
    why: str
    absent: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "source": self.card.name,
            "prior": prior_of(self.card),
            "size_mb": self.card.size_mb,
            "licence": self.card.licence,
            "why": self.why,
        }


@dataclass(frozen=True, eq=False)
class Ranking:
    """The sources that suit the data, best first.

    Parameters
    ----------
    task : Task
        The data, without its test part.
    metric : str
    measured_on : int
        Items that the sources were measured on.
    sources : tuple of RankedSource
        Best first.
    unmeasured : tuple of Unmeasured
        What else is there for this modality, the best prior first.
    guess : float or None
        Score of the constant guess on the same items; None where nothing was measured.
    decisions : tuple of Decision
    seed : int
    seconds : float
    skipped : tuple of Skipped
        Items that could not be read.
    """

    task: Task
    metric: str
    measured_on: int
    sources: tuple[RankedSource, ...]
    unmeasured: tuple[Unmeasured, ...]
    guess: float | None
    decisions: tuple[Decision, ...]
    seed: int
    seconds: float
    skipped: tuple[Skipped, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The ranked sources, best first."""
        return tuple(one.card.name for one in self.sources)

    @property
    def too_close(self) -> tuple[str, ...]:
        """The sources whose distance to the first has an interval with zero in it."""
        return tuple(one.card.name for one in self.sources if one.ranked.tied)

    @property
    def take(self) -> tuple[str, ...]:
        """What to fit with: the first, and up to two that are too close to it to call."""
        return (*self.names[:1], *self.too_close[: MOST_TAKEN - 1])

    def sentences(self) -> list[str]:
        """Return the ranking in words: what to take, how sure that is, what else there is."""
        if not self.sources:
            return [self._nothing()]
        first = self.sources[0]
        place = "first" if len(self.sources) > 1 else "the only one measured"
        said = [
            f"{first.card.name} is {place}: {self.metric} {first.ranked.measured}, the mean of "
            f"probe and k-NN out of fold on {self.measured_on:,} items"
        ]
        sign = evaluate.METRICS[self.metric].sign
        best = max(self.sources, key=lambda one: sign * one.ranked.measured.estimate)
        if sign * (best.ranked.measured.estimate - first.ranked.measured.estimate) > 0:
            said.append(
                f"{best.card.name} was measured better; on {self.measured_on:,} items that weighs "
                f"less than its published quality, which counts as {PRIOR_ITEMS}"
            )
        behind = [one for one in self.sources[1:] if not one.ranked.tied]
        if behind:
            said.append(f"surely ahead of {_listed([_led(one) for one in behind])}")
        if self.too_close:
            others = [_led(one) for one in self.sources if one.ranked.tied]
            among = [one for one in self.sources if one.card.name in self.take]
            small = min(among, key=lambda one: one.card.size_mb)
            said += [
                f"too close to call on {self.measured_on:,} items: {first.card.name} and "
                f"{_listed(others)}",
                f"{small.card.name} is the smallest of them ({small.card.size_mb:.0f} MB, "
                f"{small.seconds_per_1000:.1f} s for 1,000 items); `fit` can race "
                f"{_count(len(self.take), len(self.too_close) + 1)}",
            ]
        if self._no_better_than_a_guess():
            said.append(
                f"no source is surely better than the constant guess ({self.guess:.3f}): "
                "the labels may have little to do with these items, or there are too few of them"
            )
        return said

    def _no_better_than_a_guess(self) -> bool:
        sign = evaluate.METRICS[self.metric].sign
        measured = [one.ranked.measured for one in self.sources]
        surely = max(one.low if sign > 0 else -one.high for one in measured)
        return self.guess is not None and surely <= sign * self.guess

    def _nothing(self) -> str:
        if self.unmeasured and all(one.absent for one in self.unmeasured):
            return (
                "no source that fits is on this machine, so nothing was measured; the list is in "
                "the order of published quality"
            )
        if self.unmeasured:
            return "no source could be measured"
        if sources.search(modality=self.task.modality):
            return "no source of the catalogue is like that"
        return (
            f"headstart has no pretrained source for {self.task.modality} data: there is nothing "
            "to rank; `headstart fit` trains from scratch on your labels"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the ranking as a dict of what JSON can hold."""
        return {
            "task": {
                "modality": self.task.modality,
                "kind": self.task.kind,
                "n": self.task.n,
                "classes": list(self.task.classes),
                "label": self.task.label_name,
                "skipped": [{"item": one.item, "reason": one.reason} for one in self.skipped],
            },
            "metric": self.metric,
            "measured_on": self.measured_on,
            "guess": self.guess,
            "sources": [one.to_json(place) for place, one in enumerate(self.sources, 1)],
            "not_measured": [one.to_json() for one in self.unmeasured],
            "too_close": list(self.too_close),
            "take": list(self.take),
            "decisions": [str(decision) for decision in self.decisions],
            "seed": self.seed,
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        rows = [
            f"{place}. {one.card.name}  {one.ranked.measured}"
            for place, one in enumerate(self.sources, 1)
        ]
        return "\n".join([*rows, *self.sentences()])


def rank_sources(
    data: Any,
    *,
    label: Any = None,
    text: str | None = None,
    path: str | None = None,
    group: str | None = None,
    modality: Modality | None = None,
    source: str | Sequence[str] | None = None,
    licence: str | None = None,
    max_size_mb: float | None = None,
    metric: str | None = None,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> Ranking:
    """Rank the pretrained sources on this data: by cross-validation, weighed against what is known.

    Every source that is on this machine makes features of the same few hundred items; a probe and
    k-NN on them are cross-validated; published quality counts as much as 80 items
    (``headstart.select.rank`` states the rule). A test part is not looked at.

    Parameters
    ----------
    data, label, text, path, group, modality
        As for ``fit``.
    source : str or sequence of str, optional
        Measure these, and install what is not on this machine. By default those of the catalogue
        that are installed; the others are listed with their published quality.
    licence : str, optional
        Only these: ``permissive``, or a part of a licence's name.
    max_size_mb : float, optional
        Only these: at most so large on disk.
    metric : str, optional
        One of ``headstart.evaluate.METRICS``.
    seed : int
        Draws the items and the folds.
    reporter : Reporter
        Where progress and messages go.

    Returns
    -------
    Ranking
        Print it, or look at ``names``, ``too_close``, ``take``, ``sources``.

    Raises
    ------
    DataError, OptionError, SourceError
        Each names what is wrong, where, and what to do next.

    Examples
    --------
    >>> import headstart as hs
    >>> ranking = hs.rank_sources("reviews.csv")           # doctest: +SKIP
    >>> ranking.names, ranking.too_close                   # doctest: +SKIP
    (('mpnet', 'minilm', 'e5-small'), ('minilm',))
    """
    started = time.perf_counter()
    if source is not None and (licence is not None or max_size_mb is not None):
        what = "named sources are not searched for"
        raise OptionError(what, where="--source", hint="leave out --licence and --max-size")

    # Read the data, and draw the items that sources are measured on.
    task = data_room.read(
        data,
        label=label,
        text=text,
        path=path,
        group=group,
        modality=modality,
        allow_unreadable=1.0,
        reporter=reporter,
    )
    assert task.labels is not None
    decisions = list(task.decisions)
    index, drawn = select.sample(task.labels, task.kind, seed=seed)
    metric, chosen = evaluate.metric_of(metric, task.kind, task.labels)
    decisions += [*drawn, *chosen]

    # Who takes part: what was named, or what is on this machine.
    cards, others = _field(task, source, licence, max_size_mb)
    for decision in decisions:
        reporter.say(str(decision))

    # Measure them on the same items and folds.
    ranks = Ranks((), {}, float("nan"), 0, metric)
    costs: dict[str, float] = {}
    if cards:
        ranks, costs = _measure(cards, task, index, metric, seed, reporter)
    by_name = {card.name: card for card in cards}
    ranked = tuple(RankedSource(by_name[one.name], one, costs[one.name]) for one in ranks.rows)
    failed = tuple(Unmeasured(by_name[name], why) for name, why in ranks.failed.items())
    return Ranking(
        task=task,
        metric=metric,
        measured_on=ranks.n,
        sources=ranked,
        unmeasured=(*failed, *others),
        guess=ranks.guess if cards else None,
        decisions=tuple(decisions),
        seed=seed,
        seconds=time.perf_counter() - started,
        skipped=task.skipped,
    )


def _field(
    task: Task, source: str | Sequence[str] | None, licence: str | None, max_size_mb: float | None
) -> tuple[list[SourceCard], tuple[Unmeasured, ...]]:
    """Return the sources to measure, and those that are only listed."""
    if source is not None:
        named = select.plan(task.modality, task.kind, source=source).sources
        return [sources.card(name) for name in named], ()
    known = sources.search(modality=task.modality, licence=licence, max_size_mb=max_size_mb)
    here = [card for card in known if sources.installed(card.name)]
    return here, tuple(
        Unmeasured(card, "not installed", True) for card in known if card not in here
    )


def _measure(
    cards: Sequence[SourceCard],
    task: Task,
    index: Any,
    metric: str,
    seed: int,
    reporter: Reporter,
) -> tuple[Ranks, dict[str, float]]:
    """Return the ranking, and the seconds that each source takes for 1,000 items."""
    part = task.take(index)
    assert part.labels is not None
    folds = data_room.split(part, seed=seed)
    contenders, costs = [], dict[str, float]()
    for card in cards:
        backbone = sources.load(card, reporter=reporter)
        features = encode.features(part.items, backbone, reporter=reporter).array
        costs[card.name] = _seconds(part.items, backbone)
        said = _said(features, backbone)
        contenders.append(Contender(card.name, features, prior_of(card), card.size_mb, said))
    ranks = select.rank(
        contenders,
        part.labels,
        folds,
        metric=metric,
        modality=part.modality,
        kind=part.kind,
        groups=select.groups_of(part),
        seed=seed,
        reporter=reporter,
    )
    return ranks, costs


def _seconds(items: Any, backbone: Backbone) -> float:
    """Return how many seconds 1,000 such items take to encode; measured on some, uncached."""
    places = np.unique(np.linspace(0, len(items) - 1, TIMED).astype(int))
    few = subset(items, places)
    started = time.perf_counter()
    encode.features(few, backbone, cache=False)
    return (time.perf_counter() - started) / len(few) * 1000


def _said(features: FloatArray, backbone: Backbone) -> FloatArray | None:
    """Return what the source's own classifier says of features (n, d): (n, classes), or None."""
    if backbone.head is None:
        return None
    import torch

    with torch.inference_mode():
        logits = backbone.head(torch.from_numpy(np.array(features)))
        said: FloatArray = torch.softmax(logits.double(), dim=1).numpy()
    return said


def _led(one: RankedSource) -> str:
    """Return a source with the lead of the first over it."""
    lead = one.ranked.lead
    assert lead is not None
    return f"{one.card.name} (lead {lead.estimate:+.3f} [{lead.low:.3f}, {lead.high:.3f}])"


def _count(taken: int, close: int) -> str:
    """Return how many of those that are close are proposed, in words."""
    if taken < close:
        return f"the first {taken} of them"
    return "both" if taken == 2 else f"all {taken}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
