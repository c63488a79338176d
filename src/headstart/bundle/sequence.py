"""A model of a sequence task on disk: saved, verified, opened, asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.bundle.manifest import (
    GOLDEN_ARRAYS,
    STATE,
)
from headstart.bundle.sequence_manifest import SequenceManifest
from headstart.core.errors import (
    BundleCorruptError,
    DataError,
    HeadstartError,
    OptionError,
)
from headstart.core.types import SILENT, FloatArray, Modality, Reporter, State
from headstart.evaluate import labels_to_settle
from headstart.evaluate.additive import Measure, additive_gain, additive_score
from headstart.sequences import Answer, Examples, Model, SequenceKind, kind_of

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 0.05
"""Largest difference of golden numbers, as a share of the largest of them."""


class SequenceBundle:
    """A saved model of a sequence task, opened by ``headstart.load``.

    Parameters
    ----------
    manifest : SequenceManifest
    model : Model or None
        None: it is opened, with its source, when it is first asked.
    state : State
    golden : ndarray or None
        What it made of the golden inputs when it was saved; None for a model just fitted.
    path : Path or None
    reporter : Reporter

    Examples
    --------
    >>> import headstart as hs
    >>> hs.load("model").predict(["call.wav"])                  # doctest: +SKIP
    ['please hold the line']
    """

    def __init__(
        self,
        manifest: SequenceManifest,
        *,
        model: Model | None = None,
        state: State | None = None,
        golden: FloatArray | None = None,
        path: Path | None = None,
        reporter: Reporter = SILENT,
    ) -> None:
        self.manifest, self.path, self.reporter = manifest, path, reporter
        self.kind: SequenceKind = kind_of(manifest.task)
        self._model, self._state, self._golden = model, state or State(), golden
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        m = self.manifest
        name = f"{m.source.name} + {m.strategy}" if m.source else m.strategy
        return f"<headstart bundle: {name}, {m.task}>"

    @property
    def modality(self) -> Modality:
        """What the items are."""
        return self.manifest.modality

    @property
    def info(self) -> dict[str, Any]:
        """All that the bundle says of itself: task, source, licence, scores, versions."""
        m = self.manifest
        return {
            "path": None if self.path is None else str(self.path),
            "digest": m.digest,
            "headstart": m.headstart,
            "modality": m.modality,
            "kind": m.task,
            "strategy": m.strategy,
            "metric": m.metric,
            "label": m.label_name,
            "classes": [],
            "columns": dict(m.columns),
            "source": None if m.source is None else dict(vars(m.source)),
            **m.result,
            "fingerprint": m.fingerprint,
            "n": m.n,
            "versions": dict(m.versions),
            "bytes": sum(record.size for record in m.files.values()),
        }

    def model(self) -> Model:
        """Return the model; its source is loaded at first use, and the golden numbers compared.

        Raises
        ------
        SourceError, IntegrityError
            The source is not here, or has other weights.
        BundleCorruptError
            What was saved is none of this task's, or does not do what it did.
        """
        with self._lock:
            if self._model is None:
                self._model = self._opened()
            return self._model

    def answers(self, items: Any) -> list[Answer]:
        """Return the answer to each item, with its confidence.

        Parameters
        ----------
        items : sequence of length n
            What this task takes: paths or samples of sounds, texts, questions with contexts.

        Raises
        ------
        OptionError, DataError
            An item is not what this task takes; its position is named.
        SourceError, IntegrityError, BundleCorruptError
            As ``model``.
        """
        return self.model().predict(self.kind.items(items), reporter=self.reporter)

    def predict(self, items: Any) -> list[Any]:
        """Return the answer to each item: a text, or a tuple of tags.

        Raises
        ------
        OptionError, DataError, SourceError, IntegrityError, BundleCorruptError
            As ``answers``.
        """
        return [one.value for one in self.answers(items)]

    def predict_frame(self, inputs: Sequence[Any], ids: Sequence[str]) -> pd.DataFrame:
        """Answer as a table: ``input``, ``label``, ``confidence``, ``abstained``, and more.

        Parameters
        ----------
        inputs : sequence of length n
            As ``read_inputs`` of the task gives them.
        ids : sequence of str, length n

        Returns
        -------
        DataFrame with n rows
            A model of a sequence task always answers: ``abstained`` is False.
        """
        import pandas as pd

        made = self.model().predict(inputs, reporter=self.reporter)
        frame = pd.DataFrame(
            {
                "input": pd.Series(list(ids), dtype=object),
                "label": pd.Series([self.kind.shown(one.value) for one in made], dtype=object),
                "confidence": [float(one.confidence) for one in made],
                "abstained": np.zeros(len(made), dtype=bool),
            }
        )
        names = list(made[0].more) if made else []
        for name in names:
            frame[name] = pd.Series([one.more[name] for one in made], dtype=object)
        return frame

    def evaluate(self, examples: Examples, *, seed: int = 0) -> dict[str, Any]:
        """Judge the model on examples with what should be answered.

        Parameters
        ----------
        examples : Examples
        seed : int
            Of the bootstrap behind the intervals.

        Returns
        -------
        dict
            ``metric``, ``estimate``, ``low``, ``high``, ``n``; then every measure of the task by
            its name.

        Raises
        ------
        DataError
            There is no example.
        SourceError, IntegrityError, BundleCorruptError
            As ``model``.
        """
        return self._measured(examples, self._said(examples), seed)

    def compare(
        self, other: SequenceBundle, examples: Examples, *, seed: int = 0
    ) -> dict[str, Any]:
        """Judge the model against another one of the same task, on the same examples.

        Returns
        -------
        dict
            As ``evaluate``; ``against``, the same of the other; ``gain``, positive where this
            model is better; ``warnings``.

        Raises
        ------
        OptionError
            The other is of another task.
        DataError, SourceError, IntegrityError, BundleCorruptError
            As ``evaluate``.
        """
        if not isinstance(other, SequenceBundle) or other.manifest.task != self.manifest.task:
            raise OptionError(
                "models of different tasks cannot be compared",
                where="--against",
                got=repr(other),
                allowed=self.manifest.task,
            )
        mine, theirs = self._said(examples), other._said(examples)
        measure, groups = self._measure(), examples.groups if examples.grouped else None
        name = str(other.path or repr(other))
        gain = additive_gain(
            measure,
            measure.of(examples.targets, mine),
            measure.of(examples.targets, theirs),
            groups=groups,
            seed=seed,
            name=name,
        )
        return {
            **self._measured(examples, mine, seed),
            "against": {"model": name, **other._measured(examples, theirs, seed)},
            "gain": {**asdict(gain), "labels_to_settle": labels_to_settle(gain)},
            "warnings": [],
        }

    def _said(self, examples: Examples) -> list[Any]:
        made = self.model().predict(examples.inputs, reporter=self.reporter)
        return [one.value for one in made]

    def _measure(self) -> Measure:
        return next(one for one in self.kind.measures if one.name == self.manifest.metric)

    def _measured(self, examples: Examples, said: Sequence[Any], seed: int) -> dict[str, Any]:
        if not examples.targets:
            raise DataError("there is nothing to judge by", hint="name the column with --label")
        groups = examples.groups if examples.grouped else None
        scores = {
            one.name: additive_score(one, one.of(examples.targets, said), groups=groups, seed=seed)
            for one in self.kind.measures
        }
        told = asdict(scores[self.manifest.metric])
        return {**told, **{name: score.estimate for name, score in scores.items()}}

    def _opened(self) -> Model:
        m = self.manifest
        try:
            card = None
            if m.source is not None:
                from headstart import sources

                card = sources.SourceCard.from_json(dict(m.source.card))
            sha256 = m.source.weights_sha256 if m.source else ""
            model = self.kind.open(m.strategy, card, sha256, self._state)
            made = np.asarray(model.golden(), dtype=np.float64)
        except HeadstartError:
            raise
        except Exception as error:  # a state that is not the task's own can fail anywhere
            raise BundleCorruptError(
                f"the state is none of {m.task}: {error}", where=STATE
            ) from error
        want = self._golden
        if want is not None and not _alike(made, want):
            raise BundleCorruptError(
                "the model does not answer what it answered when it was saved",
                where=GOLDEN_ARRAYS,
                hint="the versions of libraries it was made with are in its manifest",
            )
        self._state = State()
        return model


def _alike(made: FloatArray, want: FloatArray) -> bool:
    if made.shape != want.shape:
        return False
    largest = float(np.abs(want).max(initial=0.0))
    return bool((np.abs(made - want) <= TOLERANCE * largest + 1e-9).all())
