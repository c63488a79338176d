"""A model of a sequence task on disk: saved, verified, opened, asked."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart._version import __version__
from headstart.bundle import disk
from headstart.bundle.codec import from_json, from_safetensors, plain, to_json, to_safetensors
from headstart.bundle.manifest import (
    GOLDEN_ARRAYS,
    MANIFEST,
    MODEL,
    README,
    STATE,
    FileRecord,
    SourceRecord,
)
from headstart.bundle.model_card import card_of
from headstart.bundle.sequence_manifest import SequenceManifest, dump_sequence, parse_sequence
from headstart.core.errors import (
    BundleCorruptError,
    BundleError,
    DataError,
    HeadstartError,
    OptionError,
)
from headstart.core.types import SILENT, AnyArray, FloatArray, Modality, Reporter, State
from headstart.evaluate import labels_to_settle
from headstart.evaluate.additive import Measure, additive_gain, additive_score
from headstart.sequences import Answer, Examples, Model, SequenceKind, kind_of

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 0.05
"""Largest difference of golden numbers, as a share of the largest of them."""


@dataclass(frozen=True, eq=False)
class SequenceContents:
    """The facts about a fitted model of a sequence task, ready to be saved with it.

    Parameters
    ----------
    task, modality, metric, label_name, columns, result, fingerprint, n
        As ``SequenceManifest``.
    """

    task: str
    modality: Modality
    metric: str
    label_name: str
    columns: Mapping[str, str]
    result: Mapping[str, Any]
    fingerprint: str
    n: int


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


def save_sequence(
    path: str | Path, contents: SequenceContents, model: Model, *, overwrite: bool = False
) -> Path:
    """Save a fitted model of a sequence task as a directory; as ``bundle.save``.

    Raises
    ------
    OptionError
        Something is there that may not be replaced.
    BundleError
        Writing failed, or the model holds what cannot be saved.
    """
    from headstart.bundle.write import check_target

    where = check_target(path, overwrite=overwrite)
    state, golden = model.to_state(), np.asarray(model.golden(), dtype=np.float64)
    raw = {
        MODEL: to_safetensors(state.arrays, MODEL),
        STATE: to_json(plain(dict(state.meta), STATE)),
        GOLDEN_ARRAYS: to_safetensors({"outputs": golden}, GOLDEN_ARRAYS),
    }
    raw[README] = card_of(_manifest(contents, model, {})).encode()
    raw[MANIFEST] = dump_sequence(_manifest(contents, model, raw))
    try:
        with disk.staged(where) as fresh:
            for name, content in raw.items():
                disk.write(fresh / name, content)
    except OSError as error:
        raise BundleError(
            f"the model could not be saved: {error.strerror or error}", where=str(where)
        ) from error
    return where


def sequence_in_memory(
    contents: SequenceContents, model: Model, *, reporter: Reporter = SILENT
) -> SequenceBundle:
    """Return a fitted model as a bundle that was never saved: it answers just the same."""
    return SequenceBundle(_manifest(contents, model, {}), model=model, reporter=reporter)


def load_sequence(
    path: Path, manifest_raw: bytes, present: set[str], verify: bool, reporter: Reporter
) -> SequenceBundle:
    """Open a saved model of a sequence task; every file is verified before it is parsed.

    Raises
    ------
    BundleVersionError, BundleCorruptError
        As ``bundle.load``.
    """
    from headstart.bundle.read import same_files, verified

    manifest = parse_sequence(manifest_raw)
    same_files(present, set(manifest.files))
    raw = {name: verified(path / name, manifest.files, verify) for name in sorted(manifest.files)}
    state = State(from_safetensors(raw[MODEL], MODEL), from_json(raw[STATE], STATE))
    golden = from_safetensors(raw[GOLDEN_ARRAYS], GOLDEN_ARRAYS)
    if not _sound_golden(golden):
        raise BundleCorruptError("not golden numbers", where=GOLDEN_ARRAYS)
    kind = kind_of(manifest.task)
    for what, got, known in (
        ("strategy", manifest.strategy, kind.strategies),
        ("measure", manifest.metric, [one.name for one in kind.measures]),
        ("modality", manifest.modality, [kind.modality]),
    ):
        if got not in known:
            raise BundleCorruptError(
                f"no {what} {got!r} does {manifest.task}", where=MANIFEST, allowed=sorted(known)
            )
    return SequenceBundle(
        manifest, state=state, golden=golden["outputs"], path=path, reporter=reporter
    )


def _sound_golden(arrays: Mapping[str, AnyArray]) -> bool:
    made = arrays.get("outputs")
    return (
        set(arrays) == {"outputs"}
        and made is not None
        and made.ndim == 1
        and made.dtype == np.float64
        and bool(np.isfinite(made).all())
    )


def _manifest(
    contents: SequenceContents, model: Model, raw: Mapping[str, bytes]
) -> SequenceManifest:
    from headstart.bundle.write import versions

    source = None
    if model.source is not None:
        card = model.source
        source = SourceRecord(card.name, model.weights_sha256, card.licence, False, card.to_json())
    return SequenceManifest(
        headstart=__version__,
        task=contents.task,
        modality=contents.modality,
        strategy=model.strategy,
        metric=contents.metric,
        label_name=contents.label_name,
        columns=dict(contents.columns),
        source=source,
        result=contents.result,
        fingerprint=contents.fingerprint,
        n=contents.n,
        versions=versions(),
        files={
            name: FileRecord(len(content), hashlib.sha256(content).hexdigest())
            for name, content in raw.items()
        },
    )
