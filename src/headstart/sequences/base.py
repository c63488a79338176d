"""What every kind of sequence task is made of: examples in, models that answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import (
    SILENT,
    AnyArray,
    Decision,
    FloatArray,
    IntArray,
    Modality,
    Reporter,
    Skipped,
    State,
)

if TYPE_CHECKING:
    from headstart.evaluate.additive import Measure
    from headstart.sources import SourceCard


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs with what should be answered.

    Parameters
    ----------
    inputs : tuple of length n
        What a model of this kind takes: the path of a sound, a text, the words of a sentence, a
        question with its context.
    targets : tuple of length n
        What it should answer; empty where nothing is known.
    ids : tuple of str
        What each is called in messages: a path, or ``row 17``.
    groups : ndarray of shape (n,), int64
        Examples of one group (a speaker, a document, a copy) never straddle a split.
    grouped : bool
        True where the user named groups: intervals are then over groups.
    """

    inputs: tuple[Any, ...]
    targets: tuple[Any, ...]
    ids: tuple[str, ...]
    groups: IntArray
    grouped: bool = False

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.inputs)

    def take(self, index: Sequence[int] | IntArray) -> Examples:
        """Return the examples at ``index``."""
        at = np.asarray(index, dtype=np.int64)
        return replace(
            self,
            inputs=tuple(self.inputs[i] for i in at),
            targets=tuple(self.targets[i] for i in at) if self.targets else (),
            ids=tuple(self.ids[i] for i in at),
            groups=self.groups[at],
        )


@dataclass(frozen=True, eq=False)
class Reading:
    """DATA as examples.

    Parameters
    ----------
    train : Examples
    test : Examples or None
        The part that judges, if there is one.
    origin : str
        What the user gave, for messages.
    label_name : str
        The column of what should be answered.
    columns : mapping of role to column name
        Kept in the bundle, so that ``predict`` and ``evaluate`` find the same columns.
    fingerprint : str
        sha256 over inputs and targets, hexadecimal.
    decisions : tuple of Decision
    skipped : tuple of Skipped
        What could not be read, each with its reason.
    """

    train: Examples
    test: Examples | None
    origin: str
    label_name: str
    columns: Mapping[str, str]
    fingerprint: str
    decisions: tuple[Decision, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model answers to one input.

    Parameters
    ----------
    value : object
        A text, a tuple of tags: what a target of this kind is.
    confidence : float
        0 to 1; NaN where the model has none.
    more : mapping of column name to value
        Further columns of ``predict``, the same for every answer of a kind.
    """

    value: Any
    confidence: float = float("nan")
    more: Mapping[str, Any] = field(default_factory=dict)


class Model(ABC):
    """A fitted model of a sequence task.

    Attributes
    ----------
    strategy : str
    source : SourceCard or None
    weights_sha256 : str
        Of the source as it came, empty without one.
    decisions : tuple of Decision
        What was decided while it was fitted.
    """

    strategy: str
    source: SourceCard | None = None
    weights_sha256: str = ""
    decisions: tuple[Decision, ...] = ()

    @abstractmethod
    def predict(self, inputs: Sequence[Any], *, reporter: Reporter = SILENT) -> list[Answer]:
        """Answer each of n inputs, in order; a batch changes nothing about an answer."""

    @abstractmethod
    def to_state(self) -> State:
        """Return what was learnt as arrays and JSON; the source's own weights are not in it."""

    @abstractmethod
    def golden(self) -> FloatArray:
        """Return numbers that the model makes of inputs of headstart's own: same model, same ones.

        Returns
        -------
        ndarray of shape (m,), float64
            At most a few hundred; compared (5 % of the largest) where a saved model is opened.
        """


@dataclass(frozen=True, eq=False)
class Contender:
    """One way to solve the task, not fitted.

    Parameters
    ----------
    strategy : str
    source : str or None
    fit : callable
        ``fit(train, seed=..., reporter=...) -> Model``. It sets apart what it needs for early
        stopping from ``train`` itself, by group; the same train and seed give the same model.
    """

    strategy: str
    source: str | None
    fit: Callable[..., Model]

    @property
    def name(self) -> str:
        """``source + strategy`` or ``strategy``, as people see it."""
        return f"{self.source} + {self.strategy}" if self.source else self.strategy


@dataclass(frozen=True, eq=False)
class Plan:
    """Who takes part.

    Parameters
    ----------
    baseline : Contender
        What the user gets where transfer does not help: scratch, or the untouched source.
    transfers : tuple of Contender
        Cheapest first.
    guarded : bool
        False where the user named the strategies: then a named one is handed back in any case.
    decisions : tuple of Decision
    """

    baseline: Contender
    transfers: tuple[Contender, ...]
    guarded: bool
    decisions: tuple[Decision, ...] = ()


class SequenceKind(ABC):
    """A kind of sequence task: what ``--task`` names.

    Attributes
    ----------
    name : str
    modality : {"text", "audio"}
        Of the inputs.
    measures : tuple of Measure
        The first is the one that counts; all are told.
    strategies : tuple of str
        What ``--strategy`` takes, the baseline's among them.
    """

    name: ClassVar[str]
    modality: ClassVar[Modality]
    measures: ClassVar[tuple[Measure, ...]]
    strategies: ClassVar[tuple[str, ...]]

    @abstractmethod
    def read(
        self,
        data: Any,
        *,
        label: str | None = None,
        text: str | None = None,
        path: str | None = None,
        group: str | None = None,
        test: Any = None,
        columns: Mapping[str, str] | None = None,
        allow_unreadable: float = 0.05,
        reporter: Reporter = SILENT,
    ) -> Reading:
        """Read DATA of this kind of task, with what should be answered.

        Parameters
        ----------
        data : path or DataFrame
        label, text, path, group : str, optional
            Columns; what is not named is found by its usual names, with a decision.
        test : like ``data``, optional
        columns : mapping of role to name, optional
            The columns a model was trained with: they are taken where they are present.
        allow_unreadable : float in [0, 1]
            Share of unreadable examples above which reading fails.
        reporter : Reporter

        Raises
        ------
        DataError, UnreadableError, UnknownNameError
            Each names the file and the row.
        """

    @abstractmethod
    def read_inputs(
        self,
        inputs: Sequence[str],
        *,
        text: str | None = None,
        path: str | None = None,
        columns: Mapping[str, str] | None = None,
        reporter: Reporter = SILENT,
    ) -> tuple[tuple[Any, ...], tuple[str, ...], tuple[Skipped, ...]]:
        """Read what ``predict`` is given: (inputs, ids, skipped).

        Raises
        ------
        DataError
        """

    @abstractmethod
    def items(self, items: Any) -> tuple[Any, ...]:
        """Return inputs given in Python as this kind's models take them.

        Raises
        ------
        DataError, OptionError
            One is not what this kind takes; its position is named.
        """

    @abstractmethod
    def plan(
        self,
        train: Examples,
        *,
        source: Sequence[str] = (),
        strategy: Sequence[str] = (),
        budget: float = 600.0,
    ) -> Plan:
        """Say who takes part.

        Parameters
        ----------
        train : Examples
        source, strategy : sequence of str
            What the user named; empty: the defaults.
        budget : float
            Seconds for all of it: rules may leave out what cannot fit.

        Raises
        ------
        UnknownNameError, OptionError, SourceError, MissingExtraError
        """

    @abstractmethod
    def open(
        self, strategy: str, source: SourceCard | None, weights_sha256: str, state: State
    ) -> Model:
        """Open what ``Model.to_state`` returned. No code in it is run.

        Raises
        ------
        BundleCorruptError
            It is no state of this kind and strategy.
        NotInstalledError, IntegrityError
            The source is not here, or not the same.
        """

    def shown(self, value: Any) -> str:
        """Return an answer as it stands in the column ``label`` of predictions."""
        return str(value)


def fingerprint(inputs: Sequence[bytes], targets: Sequence[str]) -> str:
    """Return the sha256 over the content of inputs, and over targets.

    Parameters
    ----------
    inputs : sequence of bytes
        The content of each, or a hash of it.
    targets : sequence of str
    """
    import hashlib

    digest = hashlib.sha256()
    for part in (*inputs, *(one.encode("utf-8", "replace") for one in targets)):
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()


def without_judged(
    train: Examples,
    held: Examples,
    *,
    noun: str,
    because: str = "they",
    key: Callable[[Any], Any] = lambda one: one,
) -> tuple[Examples, tuple[Decision, ...]]:
    """Leave out of what is learnt from what the test part holds as well, and say so.

    Parameters
    ----------
    train, held : Examples
        What is learnt from, and what judges.
    noun : str
        What an example is called, in the plural: ``sentences``.
    because : str
        What stands in the test part: ``they``, or ``their contexts``.
    key : callable
        What of an input must not stand in both.

    Raises
    ------
    DataError
        Nothing is left to learn from.
    """
    seen = {key(one) for one in held.inputs}
    kept = [i for i, one in enumerate(train.inputs) if key(one) not in seen]
    lost = train.n - len(kept)
    if not lost:
        return train, ()
    if not kept:
        raise DataError(f"all {noun} are in the test part as well", got=train.n)
    why = f"{because} are in the test part as well, which judges"
    return train.take(kept), (Decision(f"{lost} {noun} are not learnt from", why),)


def copies(keys: Sequence[Any], groups: AnyArray | None = None) -> IntArray:
    """Return groups in which examples of equal key are together.

    Parameters
    ----------
    keys : sequence of length n
        Equal where two examples are copies of one another; hashable. Case and blanks of texts do
        not matter, nor do those of the parts of a tuple.
    groups : array of shape (n,), optional
        The user's own: those that share a copy become one.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(keys)
    numbers: dict[Any, int] = {}
    at = [numbers.setdefault(_alike(key), len(numbers)) for key in keys]
    own = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    size = len(numbers) + (int(own.max(initial=-1)) + 1)
    ends = np.asarray(own, dtype=np.int64) + len(numbers)
    graph = coo_array((np.ones(n), (np.asarray(at, dtype=np.int64), ends)), shape=(size, size))
    _, part = connected_components(graph, directed=False)
    return np.asarray(part[ends], dtype=np.int64)


def _alike(key: Any) -> Any:
    """Return a key without what does not make two texts different."""
    if isinstance(key, str):
        return " ".join(key.casefold().split())
    return tuple(map(_alike, key)) if isinstance(key, tuple) else key
