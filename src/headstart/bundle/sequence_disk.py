"""A model of a sequence task on disk: its bytes when it is saved, and opened from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart._version import __version__
from headstart.bundle.codec import from_json, from_safetensors, plain, to_json, to_safetensors
from headstart.bundle.manifest import (
    GOLDEN_ARRAYS,
    MANIFEST,
    MODEL,
    README,
    STATE,
    SourceRecord,
    file_records,
)
from headstart.bundle.model_card import card_of
from headstart.bundle.sequence import SequenceBundle
from headstart.bundle.sequence_manifest import SequenceManifest, dump_sequence
from headstart.bundle.store import check_target, put
from headstart.core.errors import BundleCorruptError
from headstart.core.types import SILENT, AnyArray, Modality, Reporter, State
from headstart.sequences import Model, kind_of


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


def save_sequence(
    path: str | Path, contents: SequenceContents, model: Model, *, overwrite: bool = False
) -> Path:
    """Save a fitted model of a sequence task; as ``bundle.save``.

    Raises
    ------
    OptionError
        Something is there that may not be replaced.
    BundleError
        Writing failed, or the model holds what cannot be saved.
    """
    where = check_target(path, overwrite=overwrite)
    state, golden = model.to_state(), np.asarray(model.golden(), dtype=np.float64)
    raw = {
        MODEL: to_safetensors(state.arrays, MODEL),
        STATE: to_json(plain(dict(state.meta), STATE)),
        GOLDEN_ARRAYS: to_safetensors({"outputs": golden}, GOLDEN_ARRAYS),
    }
    raw[README] = card_of(_manifest(contents, model, {})).encode()
    raw[MANIFEST] = dump_sequence(_manifest(contents, model, raw))
    return put(where, raw)


def sequence_in_memory(
    contents: SequenceContents, model: Model, *, reporter: Reporter = SILENT
) -> SequenceBundle:
    """Return a fitted model as a bundle that was never saved: it answers just the same."""
    return SequenceBundle(_manifest(contents, model, {}), model=model, reporter=reporter)


def open_sequence(
    manifest: SequenceManifest, raw: Mapping[str, bytes], path: Path, reporter: Reporter
) -> SequenceBundle:
    """Open a saved model of a sequence task from its verified files.

    Raises
    ------
    BundleCorruptError
        As ``bundle.load``.
    """
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
        files=file_records(raw),
    )
