"""What a service asks: a saved model behind one small protocol, whatever it was saved as."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from headstart.core.errors import OptionError
from headstart.core.types import SILENT, FloatArray, Reporter

EXPORT = "export.json"
"""The file that tells an exported model from a bundle."""

if TYPE_CHECKING:
    from headstart.serve.drift import Reference


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one item.

    Parameters
    ----------
    label : str or float
        A class, a value, or the text that a model of a sequence task writes.
    confidence : float or None
        The calibrated probability of the label; None for values.
    abstained : bool
        The model does not know.
    probabilities : sequence of float
        In the order of the model's classes; empty where it has none.
    features : ndarray of shape (d,), optional
        What the drift watch looks at.
    """

    label: str | float
    confidence: float | None = None
    abstained: bool = False
    probabilities: Sequence[float] = ()
    features: FloatArray | None = None


class Predictor(Protocol):
    """A model that a service can ask. Its methods are called from one thread, one at a time."""

    modality: str
    kind: str
    classes: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    digest: str
    examples: bool

    def predict(self, items: Sequence[Any]) -> list[Answer]:
        """Answer items: texts, rows (dict), or the bytes of picture and sound files.

        Raises
        ------
        DataError
            An item cannot be read; ``where`` names it as ``item 3`` or the like.
        """

    def explain(self, item: Any) -> dict[str, Any] | None:
        """Return what in an item speaks for the answer, or None where the model cannot say."""

    def nearest(self, item: Any) -> list[dict[str, Any]]:
        """Return the training examples most like an item; none where the model keeps none."""

    def info(self) -> dict[str, Any]:
        """Return what ``/info`` tells of the model, without what the service itself adds."""

    def reference(self) -> Reference:
        """Return what is known of the items that judged the model, for the drift watch."""


def open_predictor(path: str | Path, *, reporter: Reporter = SILENT) -> Predictor:
    """Open a bundle, or the directory that ``headstart export`` wrote.

    Raises
    ------
    BundleError
        There is neither, or it is damaged.
    """
    where = Path(path)
    if (where / EXPORT).is_file():
        from headstart.bundle.runner import open_export

        return ExportPredictor(open_export(where))
    from headstart import bundle

    loaded = bundle.load(where, reporter=reporter)
    if isinstance(loaded, bundle.SequenceBundle):
        return SequencePredictor(loaded)
    return BundlePredictor(loaded)


@dataclass
class BundlePredictor:
    """A bundle of classes or numbers.

    Parameters
    ----------
    bundle : Bundle
    """

    bundle: Any
    modality: str = field(init=False)
    kind: str = field(init=False)
    classes: tuple[str, ...] = field(init=False)
    columns: tuple[tuple[str, str], ...] = field(init=False)
    digest: str = field(init=False)
    examples: bool = field(init=False)

    def __post_init__(self) -> None:
        m, kept = self.bundle.manifest, self.bundle.kept
        self.examples = kept is not None and len(kept.places) > 0
        self.modality, self.kind, self.classes = m.modality, m.kind, m.classes
        self.columns = tuple((column.name, column.type) for column in m.columns)
        self.digest = str(m.digest)[:12]

    def predict(self, items: Sequence[Any]) -> list[Answer]:
        """Answer items."""
        found = self.bundle.answered(list(items))
        labels = found.labels.tolist()
        features = found.features
        kept = [None] * len(labels) if features is None else list(features)
        if not self.classes:
            return [
                Answer(float(label), features=own) for label, own in zip(labels, kept, strict=True)
            ]
        return [
            Answer(*parts)
            for parts in zip(
                labels,
                found.confidence.tolist(),
                found.abstained.tolist(),
                found.probabilities.tolist(),
                kept,
                strict=True,
            )
        ]

    def explain(self, item: Any) -> dict[str, Any] | None:
        """Return what in an item speaks for the answer."""
        found: dict[str, Any] = self.bundle.explain([item])[0]
        return found

    def nearest(self, item: Any) -> list[dict[str, Any]]:
        """Return the training examples most like an item."""
        found: list[dict[str, Any]] = self.bundle.nearest([item])[0]
        return found

    def info(self) -> dict[str, Any]:
        """Return what is told of the model."""
        return told(self.bundle.info)

    def reference(self) -> Reference:
        """Return what is known of the items that judged the model."""
        from headstart.serve.drift import reference_of

        return reference_of(self.bundle)


@dataclass
class SequencePredictor:
    """A bundle of a sequence task: it takes texts or recordings, or questions as rows.

    Parameters
    ----------
    bundle : SequenceBundle

    Raises
    ------
    OptionError
        The task is none that is served.
    """

    bundle: Any
    modality: str = field(init=False)
    kind: str = field(init=False)
    classes: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    digest: str = field(init=False)
    examples: bool = False

    def __post_init__(self) -> None:
        m = self.bundle.manifest
        if m.task not in SERVED:
            raise OptionError(
                f"models of the task {m.task} cannot be served",
                allowed=[*SERVED, "classes", "numbers"],
                hint="`headstart predict` takes them",
            )
        self.modality, self.kind = m.modality, m.task
        if m.task == "question-answering":
            self.modality, self.columns = "table", _QUESTION
        self.digest = str(m.digest)[:12]

    def predict(self, items: Sequence[Any]) -> list[Answer]:
        """Answer items."""
        made = self.bundle.answers(list(items))
        show = self.bundle.kind.shown
        return [
            Answer(show(one.value), float(c) if math.isfinite(c := one.confidence) else None)
            for one in made
        ]

    def explain(self, item: Any) -> dict[str, Any] | None:
        """Say nothing: models of sequence tasks do not tell what speaks for an answer."""
        return None

    def nearest(self, item: Any) -> list[dict[str, Any]]:
        """Return none: these models keep no examples."""
        return []

    def info(self) -> dict[str, Any]:
        """Return what is told of the model."""
        return told(self.bundle.info)

    def reference(self) -> Reference:
        """Return nothing: these models keep nothing of what judged them."""
        from headstart.serve.drift import Reference

        return Reference()


@dataclass
class ExportPredictor:
    """An exported model: onnxruntime and numpy, no torch.

    Parameters
    ----------
    model : headstart.bundle.runner.Model
    """

    model: Any
    modality: str = field(init=False)
    kind: str = field(init=False)
    classes: tuple[str, ...] = field(init=False)
    columns: tuple[tuple[str, str], ...] = field(init=False)
    digest: str = field(init=False)
    examples: bool = False

    def __post_init__(self) -> None:
        m = self.model
        self.modality, self.kind, self.classes = m.modality, m.kind, m.classes
        self.columns = tuple((one["name"], one["type"]) for one in m.columns)
        self.digest = str(m.digest)[:12]

    def predict(self, items: Sequence[Any]) -> list[Answer]:
        """Answer items."""
        labels, shares, confidence, silent = self.model.answer(list(items))
        if not self.classes:
            return [Answer(float(label)) for label in labels.tolist()]
        parts = (labels.tolist(), confidence.tolist(), silent.tolist(), shares.tolist())
        return [Answer(*one) for one in zip(*parts, strict=True)]

    def explain(self, item: Any) -> dict[str, Any] | None:
        """Say nothing: an export holds what predicts, and no more."""
        return None

    def nearest(self, item: Any) -> list[dict[str, Any]]:
        """Return none: an export keeps no examples."""
        return []

    def info(self) -> dict[str, Any]:
        """Return what is told of the model."""
        m = self.model
        known = {"modality": m.modality, "kind": m.kind, "classes": list(m.classes)}
        return told({**m.info, **known, "columns": list(m.columns)})

    def reference(self) -> Reference:
        """Return nothing: an export keeps nothing of what judged the model."""
        from headstart.serve.drift import Reference

        return Reference()


SERVED = (
    "speech-to-text",
    "question-answering",
    "token-classification",
    "translation",
    "summarization",
)
"""The sequence tasks that are served; the items of question answering are rows."""

_QUESTION = (("question", "text"), ("context", "text"))


def told(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a bundle's ``info`` what everyone may know: no paths, no counts of files."""
    source = info.get("source")
    score, gain = info.get("score"), info.get("gain")
    columns = info.get("columns")
    rows = columns if isinstance(columns, list) else []
    return {
        "task": {
            "modality": info["modality"],
            "kind": info["kind"],
            "classes": list(info.get("classes") or []),
            "columns": [{"name": one["name"], "type": one["type"]} for one in rows],
            "label": info.get("label"),
        },
        "headline": headline(info),
        "source": None if not source else source.get("name"),
        "licence": None if not source else source.get("licence"),
        "strategy": info.get("strategy"),
        "score": score,
        "gain": gain,
        "headstart": info.get("headstart"),
    }


def headline(info: Mapping[str, Any]) -> str:
    """Return one sentence on what the model does and how well it was measured."""
    what = {"image": "pictures", "text": "texts", "audio": "recordings", "table": "rows"}
    items = what.get(str(info["modality"]), "items")
    classes = info.get("classes") or []
    score = info.get("score") or {}
    if classes:
        does = f"Tells {items} apart by {len(classes)} classes"
    elif info["kind"] == "regression":
        does = f"Estimates {info.get('label') or 'a number'} of {items}"
    else:
        does = f"Answers {items} ({info['kind']})"
    if score.get("estimate") is None:
        return f"{does}."
    metric = str(score.get("metric", "score")).replace("_", " ")
    said = f"{does}: {metric} {score['estimate']:.3f}"
    low, high, n = score.get("low"), score.get("high"), score.get("n")
    if low is not None and high is not None:
        said += f" [{low:.3f}, {high:.3f}]"
    return f"{said}{f', measured on {n:,} items' if n else ''}."
