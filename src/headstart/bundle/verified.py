"""The files of a bundle as bytes, each verified before anybody parses it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headstart.bundle.manifest import (
    BESIDE,
    MANIFEST,
    MAX_BESIDE,
    MAX_BYTES,
    MAX_MANIFEST,
    SIGNATURE,
    FileRecord,
    Manifest,
    format_of,
    parse,
)
from headstart.bundle.place import Place, opened
from headstart.bundle.sequence_manifest import (
    SEQUENCE_FORMAT,
    SequenceManifest,
    parse_sequence,
)
from headstart.core.errors import BundleCorruptError, BundleError

SHOWN = 10
"""Names that a message lists."""


@dataclass(frozen=True, eq=False)
class Verified:
    """A bundle as bytes.

    Parameters
    ----------
    manifest : Manifest or SequenceManifest
    raw : mapping of name to bytes
        Of every file that the manifest lists.
    said : bytes
        The manifest itself.
    signature : bytes or None
        What lies beside it as its signature.
    """

    manifest: Manifest | SequenceManifest
    raw: Mapping[str, bytes]
    said: bytes
    signature: bytes | None = None

    def files(self) -> dict[str, bytes]:
        """Return every file of the model, with its manifest and its signature."""
        beside = {} if self.signature is None else {SIGNATURE: self.signature}
        return {**self.raw, MANIFEST: self.said, **beside}


def verified_files(
    path: Path, *, verify: bool = True, max_bytes: int = MAX_BYTES, key: Path | None = None
) -> Verified:
    """Read a directory or an archive: manifest, set of files, kind of each, size, sha256.

    Parameters
    ----------
    path : Path
    verify : bool
        False leaves out the sha256.
    max_bytes : int
        Of all files together.
    key : Path, optional
        The public key that the signature must fit.

    Raises
    ------
    BundleError, BundleVersionError, BundleCorruptError
        As ``headstart.load``.
    """
    with opened(path, max_bytes) as place:
        present = place.names()
        if MANIFEST not in present:
            raise BundleError(
                "not a model: there is no manifest.json",
                where=str(path),
                hint="a model is the directory, or the .zip, that fit -o wrote",
            )
        said = place.read(MANIFEST, at_most=MAX_MANIFEST)
        signature = _signed(place, present, said, key)
        of_sequences = format_of(said) == SEQUENCE_FORMAT
        manifest = parse_sequence(said) if of_sequences else parse(said)
        _same(present - {MANIFEST} - BESIDE, set(manifest.files))
        _regular(place, manifest.files, present & BESIDE, max_bytes)
        raw = {name: _read(place, name, manifest.files[name], verify) for name in _order(manifest)}
    return Verified(manifest, raw, said, signature)


def _order(manifest: Manifest | SequenceManifest) -> list[str]:
    """Return the names of the files, small ones first: what is wrong is found early."""
    return sorted(manifest.files, key=lambda name: (manifest.files[name].size, name))


def _signed(place: Place, present: set[str], said: bytes, key: Path | None) -> bytes | None:
    """Return the signature of the manifest, checked where a key is given."""
    if SIGNATURE not in present:
        if key is not None:
            raise BundleCorruptError("it is not signed", where=SIGNATURE)
        return None
    signature = place.read(SIGNATURE, at_most=MAX_BESIDE)
    if key is not None:
        from headstart.bundle.signing import check_signature

        check_signature(said, signature, key)
    return signature


def _same(present: set[str], listed: set[str]) -> None:
    """Check that there are the files that the manifest lists, and no other."""
    if present - listed:
        raise BundleCorruptError(
            "there are files that do not belong to the model",
            got=sorted(present - listed)[:SHOWN],
            hint="remove them if you put them there",
        )
    if listed - present:
        raise BundleCorruptError("files are missing", got=sorted(listed - present))


def _regular(
    place: Place, files: Mapping[str, FileRecord], beside: set[str], max_bytes: int
) -> None:
    """Check that every file is a regular one of its size, before the first is read."""
    whole = sum(record.size for record in files.values())
    if whole > max_bytes:
        raise BundleCorruptError(
            "larger than what is read",
            where=MANIFEST,
            got=f"{whole:,} bytes",
            allowed=f"at most {max_bytes:,} bytes",
            hint="load it with a larger max_bytes if you trust it",
        )
    for name in sorted(beside):
        if place.size(name) > MAX_BESIDE:
            raise BundleCorruptError("of the wrong size", where=name)
    for name, record in sorted(files.items()):
        if (size := place.size(name)) != record.size:
            raise BundleCorruptError(
                "of the wrong size",
                where=name,
                got=f"{size} bytes",
                allowed=f"{record.size} bytes",
            )


def _read(place: Place, name: str, record: FileRecord, verify: bool) -> bytes:
    """Read a file of its size and its sha256."""
    raw = place.read(name, at_most=record.size, exactly=record.size)
    if verify and hashlib.sha256(raw).hexdigest() != record.sha256:
        raise BundleCorruptError("the content was changed: its sha256 differs", where=name)
    return raw
