"""What candidates see of the training and the judging part: the items, and their features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart import encode, select, sources
from headstart.core.types import FloatArray, IntArray, Reporter, Task, subset
from headstart.select import Entry, Field
from headstart.strategies.plain import plain_inputs


class View:
    """The inputs of candidates, encoded source by source, each once.

    Parameters
    ----------
    train : Task
    judge : Task or None
        The part that judges.
    seed : int
    tuning : mapping
        What strategies that tune a source share.
    reporter : Reporter
    given : mapping of Entry to mapping, optional
        Parameters of single candidates.

    Attributes
    ----------
    field : Field
        What the race needs; its inputs grow with each source.
    judged : dict
        The inputs of the judging part, by source.
    """

    def __init__(
        self,
        train: Task,
        judge: Task | None,
        seed: int,
        tuning: Mapping[str, Any],
        reporter: Reporter,
        given: Mapping[Entry, Mapping[str, Any]] | None = None,
    ) -> None:
        self.train, self.judge, self.reporter = train, judge, reporter
        self._backbones: dict[str, Any] = {}
        self.inputs: dict[str | None, Any] = {}
        self.judged: dict[str | None, Any] = {None: None}
        self.inputs[None] = plain_inputs(train.items, train.modality, reporter=reporter)
        if judge is not None:
            self.judged[None] = plain_inputs(judge.items, judge.modality, reporter=reporter)
        assert train.labels is not None
        self.field = Field(
            self.inputs,
            train.labels,
            train.classes,
            train.kind,
            train.modality,
            seed,
            train.items,
            tuning,
            train.groups,
            given or {},
        )

    def encode(self, name: str, among: Sequence[str] = ()) -> None:
        """Encode all items with a source, which may then take part.

        Parameters
        ----------
        name : str
        among : sequence of str
            Those of them that are views of the same source are encoded in the same run.
        """
        if name in self.inputs:
            return
        base = sources.base_of(name)
        names = [name]
        names += [one for one in among if one != name and sources.base_of(one) == base]
        backbones = [self._loaded(one) for one in names]
        for items, kept in (
            (self.train.items, self.inputs),
            (self.judge.items if self.judge else None, self.judged),
        ):
            if items is not None:
                made = encode.features_together(items, backbones, reporter=self.reporter)
                kept.update(zip(names, (one.array for one in made), strict=True))

    def look(self, name: str, places: IntArray, reporter: Reporter) -> FloatArray:
        """Return the features of some training items."""
        some = subset(self.train.items, places)
        return encode.features(some, self._loaded(name), reporter=reporter).array

    def timed(self, name: str, places: IntArray) -> None:
        """Encode some training items although they may be cached."""
        encode.features(subset(self.train.items, places), self._loaded(name), cache=False)

    def identity(self, name: str) -> str:
        """Return what the weights of a source are known by."""
        return str(self._loaded(name).weights_sha256)

    def _loaded(self, name: str) -> Any:
        """Return a source, loaded once; a view of one shares its weights."""
        if name not in self._backbones:
            base = sources.base_of(name)
            if base != name:
                whole, card = self._loaded(base), sources.card(name)
                self._backbones[name] = sources.part_of(whole, card)
            else:
                self._backbones[name] = sources.load(name, reporter=self.reporter)
        return self._backbones[name]

    def judging(self, entry: Entry) -> Any:
        """Return what a candidate takes of the judging part."""
        assert self.judge is not None
        if entry.member:
            return select.pair_of(entry, self.judged, self.judge.items)
        return select.input_of(entry, self.judged, self.judge.items)
