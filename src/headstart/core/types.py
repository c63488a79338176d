"""The nouns that pass between rooms: frozen value objects without behaviour of their own.

Nothing here reads a file or imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Modality = Literal["image", "text", "audio", "table"]
Kind = Literal["classification", "regression"]
Verdict = Literal["positive", "none", "negative", "inconclusive"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
AnyArray = npt.NDArray[Any]


@dataclass(frozen=True)
class Decision:
    """One automatic decision: what was decided, why, and how the user overrides it."""

    what: str
    why: str
    override: str = ""

    def __str__(self) -> str:
        text = f"{self.what}: {self.why}"
        return f"{text} ({self.override})" if self.override else text


@dataclass(frozen=True)
class Skipped:
    """An item that was left out, and why."""

    item: str
    reason: str


@dataclass(frozen=True, eq=False)
class Task:
    """The user's task and its data.

    Parameters
    ----------
    modality : {"image", "text", "audio", "table"}
    kind : {"classification", "regression"}
    items : sequence of length n
        Texts: ``list[str]``. Images: a list of paths, PIL images or (H, W[, C]) uint8 arrays.
        Tables: a ``pandas.DataFrame`` of the feature columns.
    labels : ndarray of shape (n,) or None
        ``str`` objects for classification, float64 for regression; None when unlabelled.
    ids : tuple of str, length n
        A name for each item: its path within DATA, or ``row 17`` (1-based, header not counted).
    groups : ndarray of shape (n,), int64
        Items of one group (duplicates, the user's own groups) never straddle a split.
    classes : tuple of str
        Sorted class names; empty for regression.
    domains : ndarray of shape (n,) or None
    test : Task or None
        The part that judges, if DATA brought one.
    label_name : str
        What the label is called in DATA (a column, or "folder").
    origin : str
        What the user gave, for messages.
    fingerprint : str
        sha256 over items and labels, hexadecimal.
    decisions : tuple of Decision
        What reading the data decided.
    skipped : tuple of Skipped
        What could not be read, each with its reason.
    grouped : bool
        True where the user named groups (``--group``): intervals are then over groups.
    unlabelled : Task or None
        Items that came with DATA without a label: the pool of what to label next.
    """

    modality: Modality
    kind: Kind
    items: Any
    labels: AnyArray | None
    ids: tuple[str, ...]
    groups: IntArray
    classes: tuple[str, ...] = ()
    domains: AnyArray | None = None
    test: Task | None = None
    label_name: str = "label"
    origin: str = ""
    fingerprint: str = ""
    decisions: tuple[Decision, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    grouped: bool = False
    unlabelled: Task | None = None

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.ids)

    def take(self, index: Sequence[int] | IntArray) -> Task:
        """Return the items at ``index`` as a task of its own, without test part and pool."""
        at = np.asarray(index, dtype=np.int64)
        return replace(
            self,
            items=subset(self.items, at),
            labels=None if self.labels is None else self.labels[at],
            ids=tuple(self.ids[i] for i in at),
            groups=self.groups[at],
            domains=None if self.domains is None else self.domains[at],
            test=None,
            unlabelled=None,
        )


@dataclass(frozen=True, eq=False)
class Features:
    """Features of items: a float32 array of shape (n, d), in memory or mapped from disk."""

    array: FloatArray
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.array)


@dataclass(frozen=True)
class Score:
    """A measured score with its 95 % interval."""

    metric: str
    estimate: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Gain:
    """Transfer gain: how much better than a baseline, paired on the same held-out items.

    Positive always means better, also for metrics of which less is better (rmse, mae).
    """

    estimate: float
    low: float
    high: float
    n: int
    baseline: str = "scratch"
    metric: str = "accuracy"
    verdict: Verdict = "inconclusive"

    def __str__(self) -> str:
        words = {
            "positive": "positive transfer",
            "none": "no difference that matters",
            "negative": "negative transfer",
            "inconclusive": "inconclusive",
        }
        return (
            f"{self.estimate:+.3f} [{self.low:.3f}, {self.high:.3f}] over {self.baseline}: "
            f"{words[self.verdict]}"
        )


CandidateStatus = Literal["chosen", "lost", "left out", "failed"]


@dataclass(frozen=True)
class Candidate:
    """A source with a strategy, and what the race measured of it.

    ``source`` is None for strategies that use none (majority, scratch). ``score`` is None for a
    candidate that was left out or failed; ``reason`` then says why. ``member`` is the strategy that
    a blend combines with scratch.
    """

    strategy: str
    source: str | None = None
    score: Score | None = None
    seconds: float = 0.0
    status: CandidateStatus = "lost"
    reason: str = ""
    member: str | None = None

    @property
    def name(self) -> str:
        """``strategy`` or ``source + strategy``, as people see it."""
        return f"{self.source} + {self.strategy}" if self.source else self.strategy


@dataclass(frozen=True, eq=False)
class State:
    """A fitted estimator as plain data: named arrays, and what JSON can hold."""

    arrays: dict[str, AnyArray] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Pair:
    """The same n items as the two members of a blend take them.

    Parameters
    ----------
    scratch : items of length n
        What the strategy without a source takes.
    transfer : items or features of length n
        What the strategy with a source takes.
    """

    scratch: Any
    transfer: Any

    def __len__(self) -> int:
        return len(self.scratch)


class Reporter(Protocol):
    """Where rooms say things: a line of text, or how far a stage has come."""

    def say(self, text: str) -> None:
        """Say one line to the user."""

    def progress(
        self, stage: str, done: int, total: int | None, unit: str = "items", detail: str = ""
    ) -> None:
        """Report that ``done`` of ``total`` units of a stage are complete (total None: unknown).

        ``detail`` is what else is worth knowing now, as the loss.
        """


class SilentReporter:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Drop the line."""

    def progress(
        self, stage: str, done: int, total: int | None, unit: str = "items", detail: str = ""
    ) -> None:
        """Drop the report."""


SILENT: Reporter = SilentReporter()


def subset(items: Any, index: Sequence[int] | IntArray) -> Any:
    """Return the items at ``index``, whatever holds them: list, array, data frame or pair."""
    if isinstance(items, Pair):
        return Pair(subset(items.scratch, index), subset(items.transfer, index))
    if hasattr(items, "iloc"):
        return items.iloc[np.asarray(index)].reset_index(drop=True)
    if isinstance(items, np.ndarray):
        return items[np.asarray(index)]
    return [items[int(i)] for i in index]
