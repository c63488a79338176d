"""A loaded bundle: it predicts, judges itself on labelled data, and tells what it is."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.bundle.answered import Answered
from headstart.bundle.enrol import verification
from headstart.bundle.examples import Evidence
from headstart.bundle.golden import Golden, check_source, outputs
from headstart.bundle.growing import Growing
from headstart.bundle.inputs import prepared, shown
from headstart.bundle.manifest import Manifest
from headstart.bundle.showing import Showing
from headstart.core.errors import OptionError
from headstart.core.types import SILENT, AnyArray, FloatArray, Modality, Pair, Reporter, State
from headstart.strategies import STRATEGIES
from headstart.strategies.answers import Answers
from headstart.strategies.plain import SIDE, plain_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from headstart.sources import Backbone
    from headstart.strategies.gallery import Gallery


class Bundle(Growing, Showing):
    """A saved model, opened by ``headstart.load``.

    Parameters
    ----------
    manifest : Manifest
    estimator : fitted estimator
    golden : Golden or None
        Checked when the source is first used; None for a model just fitted.
    weights : dict of arrays, or None
        Of the source, where the bundle carries them.
    tokenizer : str or None
        ``tokenizer.json`` of a text source that the bundle carries.
    backbone : Backbone or None
        The source, where it is loaded already.
    path : Path or None
        None for a model that was not saved.
    reporter : Reporter
        Told when weights are fetched, and the progress of encoding.
    training : tuple of dict
        Loss and validation curves of a model that was tuned.
    answers : Answers, optional
        What calibrates the probabilities, and when the model abstains.
    state : State, optional
        The estimator as data: needed to save the model again and to enrol classes.
    gallery : Gallery, optional
        The means of the classes.
    evidence : Evidence, optional
        What judged the model, and examples to compare new items with.
    origin : Backbone, optional
        The source as it was before the model tuned it, where it is at hand.

    Examples
    --------
    >>> import headstart as hs
    >>> bundle = hs.load("model")                              # doctest: +SKIP
    >>> bundle.predict(["Where is my parcel?"])                # doctest: +SKIP
    array(['order status'], dtype=object)
    """

    def __init__(
        self,
        manifest: Manifest,
        estimator: Any,
        golden: Golden | None,
        *,
        weights: dict[str, AnyArray] | None = None,
        tokenizer: str | None = None,
        backbone: Backbone | None = None,
        path: Path | None = None,
        reporter: Reporter = SILENT,
        training: tuple[dict[str, Any], ...] = (),
        answers: Answers | None = None,
        state: State | None = None,
        gallery: Gallery | None = None,
        evidence: Evidence | None = None,
        origin: Backbone | None = None,
    ) -> None:
        self.manifest, self.estimator, self.path = manifest, estimator, path
        self.reporter, self.training = reporter, training
        self.answers = answers or Answers()
        self.state, self.origin, self.home = state or State(), origin, path
        self.gallery: Gallery | None = gallery or getattr(estimator, "gallery", None)
        self.kept: Evidence | None = evidence
        self._golden, self._weights, self._tokenizer = golden, weights, tokenizer
        self._backbone = backbone
        self._proven = False
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        m = self.manifest
        name = f"{m.source.name} + {m.strategy}" if m.source else m.strategy
        return f"<headstart bundle: {name}, {m.modality} {m.kind}>"

    @property
    def modality(self) -> Modality:
        """What the items are."""
        return self.manifest.modality

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the columns of ``predict_proba``; empty for regression."""
        return self.manifest.classes

    @property
    def info(self) -> dict[str, Any]:
        """All that the bundle says of itself: task, input, source, licence, scores, versions."""
        m = self.manifest
        return {
            "path": None if self.path is None else str(self.path),
            "digest": m.digest,
            "headstart": m.headstart,
            "modality": m.modality,
            "kind": m.kind,
            "strategy": m.strategy,
            "metric": m.metric,
            "label": m.label_name,
            "classes": list(m.classes),
            "columns": [{"name": column.name, "type": column.type} for column in m.columns],
            "input": dict(m.input),
            "source": None if m.source is None else dict(vars(m.source)),
            **m.result,
            "verification": verification(self.gallery),
            "fingerprint": m.fingerprint,
            "n": m.n,
            "versions": dict(m.versions),
            "bytes": sum(record.size for record in m.files.values()),
        }

    def predict(self, items: Any) -> AnyArray:
        """Predict the label of each item.

        Parameters
        ----------
        items : sequence of length n, or DataFrame
            Texts; paths, PIL images or (H, W[, C]) uint8 arrays; a DataFrame or a list of dicts
            with the model's feature columns.

        Returns
        -------
        ndarray of shape (n,)
            Classes as ``str`` objects, or float64 values.

        Raises
        ------
        OptionError
            A single item was given.
        DataError
            An item is not of the model's modality or cannot be read; names its position.
        IntegrityError, BundleCorruptError
            The source is not the one the model was made with.
        """
        inputs = self._inputs(prepared(items, self.modality, self.manifest.columns))
        return self._labels(inputs)

    def predict_proba(self, items: Any) -> FloatArray:
        """Predict the probability of each class.

        Parameters
        ----------
        items
            As for ``predict``.

        Returns
        -------
        ndarray of shape (n, k), float64
            Columns in the order of ``classes``; rows sum to 1. Calibrated, where that was found
            to help.

        Raises
        ------
        OptionError
            The model predicts values, not classes.
        DataError, IntegrityError, BundleCorruptError
            As for ``predict``.
        """
        if not self.classes:
            raise OptionError("a regression model has no classes", hint="use predict")
        inputs = self._inputs(prepared(items, self.modality, self.manifest.columns))
        return self._outputs(inputs)

    def abstains(self, items: Any, *, cache: bool = False) -> AnyArray:
        """Say for which items the model does not know: not sure enough, or out of scope.

        Parameters
        ----------
        items
            As for ``predict``.
        cache : bool
            Keep the features of the items in the cache on disk.

        Returns
        -------
        ndarray of shape (n,), bool
            All False for a model that was made without ``max_risk``.

        Raises
        ------
        OptionError, DataError, IntegrityError, BundleCorruptError
            As for ``predict``.
        """
        return self._answered(prepared(items, self.modality, self.manifest.columns), cache=cache)[3]

    def predict_frame(self, items: Any, ids: Sequence[str] | None = None) -> pd.DataFrame:
        """Predict as a table: ``input``, ``label``, ``confidence``, ``abstained``, ``p_<class>``.

        Parameters
        ----------
        items
            As for ``predict``.
        ids : sequence of str, length n, optional
            What to call the items in the column ``input``.

        Returns
        -------
        DataFrame with n rows
            ``confidence`` is the calibrated probability of the label, and missing for regression;
            ``abstained`` is True where the model does not know: see ``abstains``.

        Raises
        ------
        OptionError, DataError, IntegrityError, BundleCorruptError
            As for ``predict``; also when ``ids`` are not as many as the items.
        """
        import pandas as pd

        ready = prepared(items, self.modality, self.manifest.columns)
        names = shown(ready) if ids is None else list(ids)
        if len(names) != len(ready):
            raise OptionError(
                "there must be an id for each item", got=len(names), allowed=[len(ready)]
            )
        labels, made, confidence, silent = self._answered(ready)
        frame = pd.DataFrame(
            {
                "input": pd.Series(names, dtype=object),
                "label": labels,
                "confidence": confidence,
                "abstained": silent,
            }
        )
        shares = pd.DataFrame(
            made if self.classes else np.empty((len(names), 0)),
            columns=[f"p_{name}" for name in self.classes],
        )
        return pd.concat([frame, shares], axis=1)

    def evaluate(self, data: Any, *, seed: int = 0) -> dict[str, Any]:
        """Judge the model on labelled data.

        Parameters
        ----------
        data : Task, or (items, labels)
        seed : int
            Of the bootstrap behind the interval.

        Returns
        -------
        dict
            ``metric``, ``estimate``, ``low``, ``high``, ``n``; then ``accuracy`` and
            ``macro_f1``, or ``rmse`` and ``r2``.

        Raises
        ------
        DataError
            There are no labels, or one that the model does not know.
        OptionError, IntegrityError, BundleCorruptError
            As for ``predict``.
        """
        from headstart.bundle.judge import judged

        return judged(self, data, seed)

    def compare(self, other: Bundle | str | Path, data: Any, *, seed: int = 0) -> dict[str, Any]:
        """Judge the model against another one on the same labelled data.

        Parameters
        ----------
        other : Bundle or path
            Its metric and its classes may be others; the labels of the data must be known to both,
            and this model's metric judges.
        data : Task, or (items, labels)
        seed : int
            Of the bootstrap behind the intervals.

        Returns
        -------
        dict
            As ``evaluate``; ``against``, the same of the other model; ``gain``, the paired
            difference with its interval and verdict: positive where this model is better;
            ``warnings``, what may be misleading.

        Raises
        ------
        OptionError
            The two take other kinds of items or of labels, or the other answers in sequences.
        DataError, IntegrityError, BundleError
            As for ``evaluate`` and ``headstart.load``.
        """
        from headstart.bundle.judge import compared
        from headstart.bundle.read import load_predictor

        rival = (
            other if isinstance(other, Bundle) else load_predictor(other, reporter=self.reporter)
        )
        return compared(self, rival, data, seed)

    def predictions(self, items: Any, *, cache: bool = False) -> Any:
        """Predict labels and probabilities at once, as ``evaluate.Predictions``.

        Parameters
        ----------
        items
            As for ``predict``.
        cache : bool
            Keep the features of the items in the cache on disk.

        Raises
        ------
        OptionError, DataError, IntegrityError, BundleCorruptError
            As for ``predict``.
        """
        from headstart.evaluate import Predictions

        ready = prepared(items, self.modality, self.manifest.columns)
        labels, made, _, _ = self._answered(ready, cache=cache)
        return Predictions(labels, made if self.classes else None, self.classes)

    def answered(self, items: Any) -> Answered:
        """Answer items in one pass: labels, probabilities, confidence, abstentions, features.

        Parameters
        ----------
        items
            As for ``predict``; images may also be the bytes of files.

        Raises
        ------
        OptionError, DataError, IntegrityError, BundleCorruptError
            As for ``predict``.
        """
        return self._in_one(prepared(items, self.modality, self.manifest.columns))

    def export(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the model as a directory that runs with onnxruntime and numpy, without torch.

        Parameters
        ----------
        path : str or Path
            The directory to make.
        overwrite : bool
            Replace an export that is there.

        Returns
        -------
        Path

        Raises
        ------
        OptionError
            Something is there that may not be replaced.
        BundleError
            The model cannot be exported; nothing is left behind.
        MissingExtraError
            onnx is not installed.
        """
        from headstart.bundle.exporting.write import export

        return export(self, path, overwrite=overwrite, reporter=self.reporter)

    def changed(self, manifest: Manifest, estimator: Any, state: State) -> Bundle:
        """Return a bundle with another head on the same source, not saved yet."""
        made = Bundle(
            manifest,
            estimator,
            None,
            backbone=self.backbone(),
            reporter=self.reporter,
            training=self.training,
            state=state,
            origin=self.origin,
        )
        made.home = self.home
        return made

    def features(self, items: Any) -> FloatArray:
        """Return the (n, d) float32 features of prepared items, of the (tuned) source."""
        return self._features(items, False)

    def backbone(self) -> Backbone:
        """Return the source's backbone, tuned if the strategy tunes; loaded at first use.

        Raises
        ------
        OptionError
            The model uses no source.
        SourceError
            The source is not installed and cannot be fetched.
        IntegrityError
            The source of that name has other weights.
        BundleCorruptError
            What was tuned is not of this source.
        """
        record = self.manifest.source
        if record is None:
            raise OptionError(f"strategy {self.manifest.strategy!r} uses no source")
        with self._lock:
            if self._backbone is None:
                from headstart.bundle.origin import from_bundle, from_catalogue, with_tuned

                if record.standalone:
                    assert self._weights is not None
                    self._backbone = from_bundle(record, self._weights, self._tokenizer)
                    self._weights = self._tokenizer = None
                else:
                    self._backbone = from_catalogue(record, self.reporter)
                self._backbone = with_tuned(self.estimator, self._backbone)
            return self._backbone

    def _answered(
        self, items: Any, *, cache: bool = False
    ) -> tuple[AnyArray, FloatArray, FloatArray, AnyArray]:
        """Return labels, outputs, confidence, and where the model abstains."""
        return self._in_one(items, cache=cache)[:4]

    def _in_one(self, items: Any, *, cache: bool = False) -> Answered:
        inputs = self._inputs(items, cache=cache)
        labels, made = self._labels(inputs), self._outputs(inputs)
        n = len(labels)
        features = inputs.transfer if isinstance(inputs, Pair) else inputs
        kept = features if self.manifest.source is not None else None
        if not self.classes:
            return Answered(labels, made, np.full(n, np.nan), np.zeros(n, dtype=bool), kept)
        column = {name: j for j, name in enumerate(self.classes)}
        own = np.array([column[label] for label in labels], dtype=np.int64)
        confidence = made[np.arange(n), own]
        scope = self.answers.scope is not None
        silent = self.answers.abstains(confidence, features if scope else None)
        return Answered(labels, made, confidence, silent, kept)

    def _inputs(self, items: Any, *, cache: bool = False) -> Any:
        """Return what the estimator takes: features, pixels or the items, or a pair for a blend."""
        if self.manifest.source is None:
            return self._plain(items)
        features = self._features(items, cache)
        blend = STRATEGIES[self.manifest.strategy].combines
        return Pair(self._plain(items), features) if blend else features

    def _plain(self, items: Any) -> Any:
        """Return what a strategy without a source takes."""
        side = self.manifest.input.get("side", SIDE)
        return plain_inputs(items, self.modality, side=side, reporter=self.reporter)

    def _features(self, items: Any, cache: bool) -> FloatArray:
        from headstart import encode

        backbone = self.backbone()
        if self._golden is not None and not self._proven:
            check_source(self._golden, backbone, self.manifest)
            self._proven = True
        if not len(items):
            return np.empty((0, backbone.card.dim), dtype=np.float32)
        return encode.features(items, backbone, cache=cache, reporter=self.reporter).array

    def _labels(self, inputs: Any) -> AnyArray:
        if not len(inputs):
            return np.empty(0, dtype=object if self.classes else np.float64)
        labels = np.asarray(self.estimator.predict(inputs))
        return labels.astype(object if self.classes else np.float64)

    def _outputs(self, inputs: Any) -> FloatArray:
        if not len(inputs):
            return np.empty((0, len(self.classes)) if self.classes else 0)
        made = outputs(self.estimator, self.manifest.kind, inputs)
        return self.answers.probabilities(made) if self.classes else made
