"""What a saved model of a sequence task says of itself, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from headstart.bundle.fields import Fields
from headstart.bundle.manifest import (
    GOLDEN_ARRAYS,
    MANIFEST,
    MODEL,
    README,
    RESERVED,
    STATE,
    FileRecord,
    SourceRecord,
    file_record,
    sealed,
    source_record,
    unsealed,
)
from headstart.core.errors import BundleCorruptError
from headstart.core.types import Modality
from headstart.evaluate.metrics import SEQUENCE_METRICS
from headstart.sequences import SEQUENCE_TASKS

SEQUENCE_FORMAT = "headstart-sequence"
SEQUENCE_SCHEMA = 1
FILES = frozenset([MODEL, STATE, GOLDEN_ARRAYS])
MAYBE = frozenset([README])
"""What newer models have, and older ones lack."""


@dataclass(frozen=True)
class SequenceManifest:
    """What a saved model of a sequence task says of itself.

    Parameters
    ----------
    headstart : str
        The version that wrote it.
    task, modality, strategy, metric, label_name : str
    columns : mapping of role to name
        Of the table it learnt from.
    source : SourceRecord or None
    result : mapping
        What was measured, for people and reports.
    fingerprint : str
    n : int
        Number of training examples.
    versions : mapping
        Of the libraries that made it.
    files : mapping of name to FileRecord
    digest : str
        sha256 of the manifest before this field.
    """

    headstart: str
    task: str
    modality: Modality
    strategy: str
    metric: str
    label_name: str
    columns: Mapping[str, str]
    source: SourceRecord | None
    result: Mapping[str, Any]
    fingerprint: str
    n: int
    versions: Mapping[str, str]
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    digest: str = ""


def dump_sequence(manifest: SequenceManifest) -> bytes:
    """Write a manifest; its digest is computed here.

    Raises
    ------
    BundleError
        When it would be larger than 1 MB.
    """
    fields = asdict(manifest)
    del fields["digest"]
    told = f"{len(manifest.columns)} columns"
    return sealed(fields, SEQUENCE_FORMAT, SEQUENCE_SCHEMA, told=told)


def parse_sequence(raw: bytes) -> SequenceManifest:
    """Read a manifest, strictly.

    Raises
    ------
    BundleVersionError
        A newer headstart wrote it.
    BundleCorruptError
        It is not exactly what ``dump_sequence`` writes.
    """
    reader = unsealed(raw, SEQUENCE_FORMAT, SEQUENCE_SCHEMA)
    reader.take("schema", int)
    files = reader.take("files", dict)
    manifest = SequenceManifest(
        headstart=reader.take("headstart", str),
        task=reader.choice("task", SEQUENCE_TASKS),
        modality=reader.choice("modality", get_args(Modality)),
        strategy=reader.take("strategy", str),
        metric=reader.choice("metric", tuple(SEQUENCE_METRICS)),
        label_name=reader.take("label_name", str),
        columns=_texts(reader, "columns"),
        source=source_record(reader.rest.pop("source", False)),
        result=reader.take("result", dict),
        fingerprint=reader.take("fingerprint", str),
        n=reader.count("n"),
        versions=_texts(reader, "versions"),
        files={name: file_record(name, record, FILES | MAYBE) for name, record in files.items()},
        digest=reader.sha256("digest"),
    )
    reader.done()
    if set(manifest.files) - MAYBE != FILES:
        raise BundleCorruptError(
            "the manifest lists other files than such a model has",
            where=MANIFEST,
            got=sorted(manifest.files),
            allowed=sorted(FILES),
        )
    if RESERVED & set(manifest.result):
        raise BundleCorruptError(
            "something is told as measured that was not",
            where=MANIFEST,
            got=sorted(RESERVED & set(manifest.result)),
        )
    return manifest


def _texts(reader: Fields, name: str) -> dict[str, str]:
    inner = Fields(reader.take(name, dict), f"{MANIFEST}: {name}")
    return {key: inner.take(key, str) for key in tuple(inner.rest)}
