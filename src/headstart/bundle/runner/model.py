"""An exported model, opened: it predicts as the bundle did that it was made of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from headstart.bundle.runner import files
from headstart.bundle.runner.given import Given
from headstart.bundle.runner.heads import outputs, part
from headstart.bundle.runner.network import Network
from headstart.core.errors import BundleCorruptError, BundleError, OptionError
from headstart.core.types import AnyArray, FloatArray, State
from headstart.strategies.answers import Answers

_KINDS = ("classification", "regression")
_MODALITIES = ("text", "image", "table")
_TYPES = ("number", "flag", "date", "category")


class Model:
    """A model that runs without torch.

    Parameters
    ----------
    path : str or Path
        A directory that ``headstart export`` wrote. All of it is verified; none of it is run as
        code.
    threads : int
        Of the networks; 0 takes as many as there are cores.

    Attributes
    ----------
    modality : {"text", "image", "table"}
    kind : {"classification", "regression"}
    classes : tuple of str
        In the order of the columns of ``predict_proba``; empty for regression.
    columns : tuple of dict
        ``name`` and ``type`` of each column of a table; empty otherwise.
    digest : str
        Of the saved model that was exported: its identity.
    info : dict
        What is known of the model: source, licence, score, gain, versions.

    Raises
    ------
    BundleError
        There is no export.
    BundleVersionError
        A newer headstart wrote it.
    BundleCorruptError
        It is damaged, or was changed.
    """

    def __init__(self, path: str | Path, *, threads: int = 0) -> None:
        self.path = Path(path)
        found = files.read(self.path)
        self._manifest, self._raw, self._threads = _checked(found.manifest), found.raw, threads
        m = self._manifest
        self.modality: str = m["modality"]
        self.kind: str = m["kind"]
        self.classes: tuple[str, ...] = tuple(m["classes"])
        self.columns: tuple[dict[str, str], ...] = tuple(m["columns"])
        self.digest: str = m["digest"]
        self.info: dict[str, Any] = m["info"]
        self._arrays = files.arrays(found.raw[files.ARRAYS]) if files.ARRAYS in found.raw else {}
        self._head = part(self._arrays, "head")
        self._answers = _answers(m["answers"], part(self._arrays, "answers"))
        self._lock = threading.Lock()
        self._networks: dict[str, Network] = {}

    def __repr__(self) -> str:
        return f"<headstart export: {self._manifest['strategy']}, {self.modality} {self.kind}>"

    def predict(self, items: Any) -> AnyArray:
        """Return the n labels of items: classes as ``str`` objects, or float64 numbers.

        Parameters
        ----------
        items : sequence of length n
            Texts; pictures as paths, bytes of files, PIL images or (H, W[, C]) arrays; or rows of
            a table as dicts of column: value.

        Raises
        ------
        OptionError, DataError
            Something is no item of this model; says which.
        BundleCorruptError
            The model cannot run.
        """
        return self.answer(items)[0]

    def predict_proba(self, items: Any) -> FloatArray:
        """Return the (n, k) calibrated probabilities, columns in the order of ``classes``.

        Raises
        ------
        OptionError
            The model predicts numbers; or as ``predict``.
        DataError, BundleCorruptError
            As ``predict``.
        """
        if not self.classes:
            raise OptionError("this model predicts numbers, not classes", hint="use predict")
        return self.answer(items)[1]

    def answer(self, items: Any) -> tuple[AnyArray, FloatArray, FloatArray, AnyArray]:
        """Return labels, probabilities, confidence, and where the model says "I don't know".

        Returns
        -------
        labels : ndarray of shape (n,)
            As ``predict``.
        probabilities : ndarray of shape (n, k), float64
            Of shape (n, 0) where the model predicts numbers.
        confidence : ndarray of shape (n,), float64
            The probability of the label; NaN where the model predicts numbers.
        abstained : ndarray of shape (n,), bool

        Raises
        ------
        OptionError, DataError, BundleCorruptError
            As ``predict``.
        """
        given = self._given(items)
        made = self._outputs(given)
        if not self.classes:
            empty = np.empty((given.n, 0))
            return made, empty, np.full(given.n, np.nan), np.zeros(given.n, dtype=bool)
        picked = made.argmax(axis=1)
        shares = self._answers.probabilities(made)
        confidence = shares[np.arange(given.n), picked]
        scoped = self._answers.scope is not None and given.n > 0
        silent = self._answers.abstains(confidence, given.features if scoped else None)
        labels: AnyArray = np.array(self.classes, dtype=object)[picked]
        return labels, shares, confidence, silent

    def features(self, items: Any) -> FloatArray:
        """Return the (n, d) float32 features of the source.

        Raises
        ------
        OptionError
            The model uses no source.
        DataError, BundleCorruptError
            As ``predict``.
        """
        if not self._manifest["dim"]:
            raise OptionError("this model uses no source")
        return self._given(items).features

    @property
    def golden(self) -> tuple[Any, FloatArray]:
        """The items on which the export was compared with the model, and what that made of them."""
        kept = part(self._arrays, "golden")
        said = self._manifest["golden"]
        want = kept.pop("outputs", np.empty(0))
        items: Any = said["texts"] or said["rows"] or [kept[name] for name in sorted(kept)]
        if not len(items) or len(items) != len(want):
            raise BundleCorruptError("golden inputs are missing", where=files.ARRAYS)
        return items, want

    def check(self) -> float:
        """Return the largest difference from what the model made when it was exported.

        Of probabilities; of numbers relative to their size.
        """
        items, want = self.golden
        labels, shares, _, _ = self.answer(items)
        if self.classes:
            return float(np.abs(shares - want).max())
        return float((np.abs(labels - want) / (1.0 + np.abs(want))).max())

    def _given(self, items: Any) -> Given:
        return Given(items, self._manifest, self._openers, lambda: self._tokenizer)

    def _outputs(self, given: Given) -> FloatArray:
        made = outputs(self._manifest["head"], self._head, given)
        shape = (given.n, len(self.classes)) if self.classes else (given.n,)
        if made.shape != shape or not bool(np.isfinite(made).all()):
            raise BundleCorruptError(
                "the model makes something that is no prediction",
                where=str(self.path),
                got=made.shape,
                allowed=str(shape),
            )
        return made

    @cached_property
    def _openers(self) -> dict[str, Callable[[], Network]]:
        named = {"source": files.NETWORK, "pictures": files.PICTURES}
        return {
            name: lambda file=file: self._opened(file)  # type: ignore[misc]
            for name, file in named.items()
            if file in self._raw
        }

    def _opened(self, name: str) -> Network:
        with self._lock:
            if name not in self._networks:
                self._networks[name] = Network(self._raw[name], name, threads=self._threads)
            return self._networks[name]

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise BundleError(
                "running this model needs the package tokenizers, which is not installed",
                hint="pip install tokenizers",
            ) from None
        if files.TOKENIZER not in self._raw:
            raise BundleCorruptError("the tokenizer is missing", where=files.TOKENIZER)
        try:
            return Tokenizer.from_str(self._raw[files.TOKENIZER].decode())
        except Exception as error:  # whatever a parser in another language makes of hostile bytes
            raise BundleCorruptError(f"not a tokenizer: {error}", where=files.TOKENIZER) from None


def _answers(said: Any, arrays: dict[str, AnyArray]) -> Answers:
    if said is None:
        return Answers()
    try:
        return Answers.from_state(State(arrays, said))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise BundleCorruptError(f"not a calibration: {error}", where=files.MANIFEST) from error


def _checked(m: dict[str, Any]) -> dict[str, Any]:
    """Return what export.json says, once each field is of its kind.

    Raises
    ------
    BundleCorruptError
        One is not.
    """
    columns = m.get("columns")
    golden = m.get("golden")
    rules = {
        "modality": m.get("modality") in _MODALITIES,
        "kind": m.get("kind") in _KINDS,
        "strategy": isinstance(m.get("strategy"), str),
        "digest": isinstance(m.get("digest"), str),
        "classes": _texts(m.get("classes"))
        and bool(m["classes"]) == (m.get("kind") == "classification"),
        "columns": isinstance(columns, list)
        and all(
            isinstance(one, dict) and isinstance(one.get("name"), str) and one.get("type") in _TYPES
            for one in columns
        ),
        "dim": type(m.get("dim")) is int and 0 <= m["dim"] <= 2**20,
        "input": isinstance(m.get("input"), dict),
        "head": isinstance(m.get("head"), dict),
        "info": isinstance(m.get("info"), dict),
        "golden": isinstance(golden, dict) and set(golden) == {"texts", "rows"},
    }
    for name, sound in rules.items():
        if not sound:
            raise BundleCorruptError("not what an export says", where=f"{files.MANIFEST}: {name}")
    return m


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
