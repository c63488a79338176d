"""The manifest: what a bundle says of itself, checked field by field.

The last field, ``digest``, is the sha256 of all bytes before it. It catches damage to the manifest
as ``files`` catches damage to everything else; it is no signature and stops no forger.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from headstart.bundle.codec import from_json, plain, to_json
from headstart.bundle.columns import COLUMN_TYPES, Column
from headstart.bundle.fields import Fields
from headstart.core.errors import BundleCorruptError, BundleError, BundleVersionError
from headstart.core.types import Kind, Modality

SCHEMA = 1
FORMAT = "headstart-bundle"
MANIFEST = "manifest.json"
MODEL = "model.safetensors"
STATE = "state.json"
GOLDEN = "golden.json"
GOLDEN_ARRAYS = "golden.safetensors"
SOURCE = "source.safetensors"
TOKENIZER = "tokenizer.json"
TRAINING = "training.jsonl"
ANSWERS = "answers.json"
ANSWERS_ARRAYS = "answers.safetensors"
GALLERY = "gallery.safetensors"
README = "README.md"
EVIDENCE = "evidence.json"
EXAMPLES = "examples.safetensors"
SIGNATURE = "manifest.sig"
REQUIRED = frozenset([MODEL, STATE, GOLDEN, GOLDEN_ARRAYS])
OPTIONAL = frozenset(
    [SOURCE, TOKENIZER, TRAINING, ANSWERS, ANSWERS_ARRAYS, GALLERY, README, EVIDENCE, EXAMPLES]
)
BESIDE = frozenset([SIGNATURE, ".gitattributes"])
"""What may lie beside the files that the manifest lists: a signature of the manifest, which cannot
list it, and what a hub puts into every repository. A reader never parses either of them."""
RESERVED = frozenset(
    [
        "path",
        "digest",
        "headstart",
        "modality",
        "kind",
        "strategy",
        "metric",
        "label",
        "classes",
        "columns",
        "input",
        "source",
        "verification",
        "fingerprint",
        "n",
        "versions",
        "bytes",
    ]
)
"""What ``info`` says of a model by itself: nothing that was measured may go by such a name."""
MAX_MANIFEST = 1_000_000  # bytes
MAX_BYTES = 8_000_000_000
"""Of all files of a model together, unless the caller allows more."""
MAX_BESIDE = 1_000_000
SIZES = {
    MANIFEST: MAX_MANIFEST,
    STATE: 64_000_000,
    GOLDEN: 4_000_000,
    TOKENIZER: 64_000_000,
    TRAINING: 64_000_000,
    ANSWERS: 4_000_000,
    EVIDENCE: 16_000_000,
    README: 1_000_000,
}
"""The most bytes that a file of text may have, whatever the manifest says of it."""

_TAIL = re.compile(rb'\A(?P<body>.*"digest": ")(?P<digest>[0-9a-f]{64})"\n\}\n\Z', re.DOTALL)


@dataclass(frozen=True)
class FileRecord:
    """What the manifest says of a file: its size in bytes and its sha256."""

    size: int
    sha256: str


def file_records(files: Mapping[str, bytes]) -> dict[str, FileRecord]:
    """Return what a manifest says of files, by name."""
    return {
        name: FileRecord(len(raw), hashlib.sha256(raw).hexdigest()) for name, raw in files.items()
    }


@dataclass(frozen=True)
class SourceRecord:
    """The source a bundle was made with: its card, and whether its weights lie in the bundle."""

    name: str
    weights_sha256: str
    licence: str
    standalone: bool
    card: Mapping[str, Any]


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself.

    Parameters
    ----------
    headstart : str
        The version that wrote it.
    kind, modality, strategy, metric, label_name : str
    classes : tuple of str
        Sorted; empty for regression.
    columns : tuple of Column
        The feature columns of a table; empty otherwise.
    input : mapping
        How an item is read: the source's input, or ``side`` for images without a source.
    source : SourceRecord or None
    result : mapping
        Score, gain, baselines, decisions and candidates as measured, for people and reports.
    fingerprint : str
        sha256 over the training items and labels.
    n : int
        Number of training items.
    versions : mapping
        Of the libraries that made it.
    files : mapping of name to FileRecord
    digest : str
        sha256 of the manifest before this field: the identity of the whole bundle.
    """

    headstart: str
    kind: Kind
    modality: Modality
    strategy: str
    metric: str
    label_name: str
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    input: Mapping[str, Any]
    source: SourceRecord | None
    result: Mapping[str, Any]
    fingerprint: str
    n: int
    versions: Mapping[str, str]
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    digest: str = ""


def dump(manifest: Manifest) -> bytes:
    """Write a manifest; its digest is computed here.

    Raises
    ------
    BundleError
        When it would be larger than 1 MB.
    """
    fields = asdict(manifest)
    del fields["digest"]
    told = f"{len(manifest.classes)} classes and {len(manifest.columns)} columns"
    return sealed(fields, FORMAT, SCHEMA, told=told)


def sealed(fields: Mapping[str, Any], form: str, schema: int, *, told: str) -> bytes:
    """Write the fields of a manifest of some format, and their digest.

    Parameters
    ----------
    fields : mapping
        What JSON can hold.
    form, schema : str, int
        The format and its version.
    told : str
        What there is much of, for the message.

    Raises
    ------
    BundleError
        When it would be larger than 1 MB.
    """
    whole = {"format": form, "schema": schema, **plain(fields, MANIFEST), "digest": "0" * 64}
    match = _TAIL.match(to_json(whole))
    assert match is not None
    body = match["body"]
    raw = body + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'
    if len(raw) > MAX_MANIFEST:
        raise BundleError(
            "too much to say about this model: its manifest is larger than 1 MB",
            got=f"{len(raw)} bytes for {told}",
            hint="use fewer or shorter class and column names",
        )
    return raw


def parse(raw: bytes) -> Manifest:
    """Read a manifest, strictly.

    Raises
    ------
    BundleVersionError
        A newer headstart wrote it.
    BundleCorruptError
        It is not exactly what ``dump`` writes.
    """
    manifest = _manifest(unsealed(raw, FORMAT, SCHEMA))
    _agree(manifest)
    return manifest


def format_of(raw: bytes) -> Any:
    """Return the format that a manifest says it is of, nothing of it trusted yet.

    Raises
    ------
    BundleCorruptError
        It is larger than 1 MB, or no JSON object.
    """
    if len(raw) > MAX_MANIFEST:
        raise BundleCorruptError("larger than 1 MB", where=MANIFEST, got=len(raw))
    return from_json(raw, MANIFEST).get("format")


def unsealed(raw: bytes, form: str, newest: int) -> Fields:
    """Check the format, the schema and the digest of a manifest; return its fields.

    Parameters
    ----------
    raw : bytes
    form, newest : str, int
        The format it must be of, and the schema this headstart writes.

    Raises
    ------
    BundleVersionError
        A newer headstart wrote it.
    BundleCorruptError
        It is not exactly what ``sealed`` writes.
    """
    if format_of(raw) != form:
        raise BundleCorruptError("not the manifest of a headstart bundle", where=MANIFEST)
    top = from_json(raw, MANIFEST)
    del top["format"]
    schema = Fields(top, MANIFEST).take("schema", int)
    if schema > newest:
        raise BundleVersionError(
            "written by a newer headstart",
            where=MANIFEST,
            got=f"schema {schema}",
            allowed=f"schema {newest}",
            hint="pip install --upgrade headstart",
        )
    match = _TAIL.match(raw)
    if match is None or hashlib.sha256(match["body"]).hexdigest().encode() != match["digest"]:
        raise BundleCorruptError("the manifest was changed after it was written", where=MANIFEST)
    if schema != newest:
        raise BundleCorruptError("no such schema", where=MANIFEST, got=schema, allowed=f"{newest}")
    return Fields(top, MANIFEST)


def _manifest(reader: Fields) -> Manifest:
    reader.take("schema", int)
    versions = Fields(reader.take("versions", dict), f"{MANIFEST}: versions")
    manifest = Manifest(
        headstart=reader.take("headstart", str),
        kind=reader.choice("kind", get_args(Kind)),
        modality=reader.choice("modality", get_args(Modality)),
        strategy=reader.take("strategy", str),
        metric=reader.take("metric", str),
        label_name=reader.take("label_name", str),
        classes=reader.texts("classes"),
        columns=tuple(_column(part) for part in reader.take("columns", list)),
        input=reader.take("input", dict),
        source=source_record(reader.rest.pop("source", False)),
        result=reader.take("result", dict),
        fingerprint=reader.take("fingerprint", str),
        n=reader.count("n"),
        versions={name: versions.take(name, str) for name in tuple(versions.rest)},
        files={
            name: file_record(name, record) for name, record in reader.take("files", dict).items()
        },
        digest=reader.sha256("digest"),
    )
    reader.done()
    return manifest


def _object(value: Any, where: str) -> Fields:
    if not isinstance(value, dict):
        raise BundleCorruptError("not a JSON object", where=where, got=type(value).__name__)
    return Fields(value, where)


def _column(value: Any) -> Column:
    reader = _object(value, f"{MANIFEST}: columns")
    column = Column(
        reader.take("name", str),
        reader.choice("type", COLUMN_TYPES),
        reader.take("mean", float),
        reader.take("spread", float),
    )
    reader.done()
    return column


def file_record(name: str, value: Any, known: frozenset[str] = REQUIRED | OPTIONAL) -> FileRecord:
    """Read what a manifest says of a file.

    Raises
    ------
    BundleCorruptError
        It is none of the files that such a bundle has, or not described as one.
    """
    if name not in known:
        raise BundleCorruptError("a file that no bundle has", where=MANIFEST, got=name)
    reader = _object(value, f"{MANIFEST}: {name}")
    record = FileRecord(reader.count("size"), reader.sha256("sha256"))
    reader.done()
    if record.size > SIZES.get(name, record.size):
        raise BundleCorruptError(
            "larger than such a file may be",
            where=f"{MANIFEST}: {name}",
            got=f"{record.size:,} bytes",
            allowed=f"at most {SIZES[name]:,} bytes",
        )
    return record


def source_record(value: Any) -> SourceRecord | None:
    """Read what a manifest says of the source; None where there is none.

    Raises
    ------
    BundleCorruptError
    """
    if value is None:
        return None
    reader = _object(value, f"{MANIFEST}: source")
    record = SourceRecord(
        reader.take("name", str),
        reader.sha256("weights_sha256"),
        reader.take("licence", str),
        reader.take("standalone", bool),
        reader.take("card", dict),
    )
    reader.done()
    return record


def _agree(manifest: Manifest) -> None:
    """Check what fields demand of one another."""
    names = set(manifest.files)
    standalone = manifest.source is not None and manifest.source.standalone
    wrong = ""
    if not names >= REQUIRED:
        wrong = f"it lists no {', '.join(sorted(REQUIRED - names))}"
    elif (SOURCE in names) != standalone or (TOKENIZER in names and not standalone):
        wrong = "the weights of the source are listed exactly when it is standalone"
    elif (ANSWERS in names) != (ANSWERS_ARRAYS in names):
        wrong = f"{ANSWERS} and {ANSWERS_ARRAYS} are listed together, or neither is"
    elif GALLERY in names and (manifest.source is None or not manifest.classes):
        wrong = f"{GALLERY} belongs to a classifier that uses a source"
    elif EXAMPLES in names and (manifest.source is None or EVIDENCE not in names):
        wrong = f"{EXAMPLES} belongs to {EVIDENCE} of a model that uses a source"
    elif bool(manifest.classes) != (manifest.kind == "classification"):
        wrong = "classes belong to classification, and only to it"
    elif len(set(manifest.classes)) != len(manifest.classes):
        wrong = "a class stands twice"
    elif manifest.columns and manifest.modality != "table":
        wrong = "columns belong to tables only"
    elif RESERVED & set(manifest.result):
        wrong = f"{', '.join(sorted(RESERVED & set(manifest.result)))} was not measured"
    elif len({column.name for column in manifest.columns}) != len(manifest.columns):
        wrong = "a column stands twice"
    if wrong:
        raise BundleCorruptError(f"the manifest contradicts itself: {wrong}", where=MANIFEST)
