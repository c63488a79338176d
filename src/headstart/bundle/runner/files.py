"""The files of an export: each of its size and sha256 before anything is made of it."""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.bundle.codec import from_json
from headstart.core.errors import BundleCorruptError, BundleError, BundleVersionError
from headstart.core.types import AnyArray

FORMAT = "headstart-export"
SCHEMA = 1
MANIFEST = "export.json"
NETWORK = "model.onnx"
PICTURES = "pictures.onnx"
ARRAYS = "arrays.safetensors"
TOKENIZER = "tokenizer.json"
MAX_MANIFEST = 8_000_000  # bytes
LIMITS = {NETWORK: 2**31 - 1, PICTURES: 2**26, ARRAYS: 2**32, TOKENIZER: 2**28}
"""The files that are read, and the most bytes of each; export.json names no other."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_KINDS = {
    "BOOL": "?",
    **{f"U{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"I{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}
_OUTSIDE = b"location"  # a graph that points at another file says this; none of ours does


@dataclass(frozen=True, eq=False)
class Files:
    """What ``export.json`` says, and the bytes of the other files.

    Parameters
    ----------
    manifest : dict
    raw : mapping of name to bytes
    """

    manifest: dict[str, Any]
    raw: Mapping[str, bytes]


def read(path: str | Path) -> Files:
    """Read an export and verify each byte of it.

    Raises
    ------
    BundleError
        There is none.
    BundleVersionError
        A newer headstart wrote it.
    BundleCorruptError
        It is damaged, or was changed.
    """
    where = Path(path)
    if not (where / MANIFEST).is_file():
        raise BundleError(
            "there is no exported model here",
            where=str(where),
            hint=f"a directory that `headstart export` wrote holds {MANIFEST}",
        )
    manifest = from_json(_read(where / MANIFEST, at_most=MAX_MANIFEST), MANIFEST)
    if manifest.get("format") != FORMAT or not isinstance(manifest.get("schema"), int):
        raise BundleCorruptError("not an exported model", where=MANIFEST)
    if manifest["schema"] > SCHEMA:
        raise BundleVersionError(
            "this model was exported by a newer headstart",
            where=MANIFEST,
            got=manifest["schema"],
            allowed=f"{SCHEMA} or less",
            hint="upgrade headstart, or export the model again",
        )
    listed = manifest.get("files")
    if not isinstance(listed, dict) or set(listed) - set(LIMITS):
        raise BundleCorruptError("not a list of files", where=MANIFEST, allowed=list(LIMITS))
    return Files(manifest, {name: _verified(where, name, listed[name]) for name in sorted(listed)})


def _verified(where: Path, name: str, record: Any) -> bytes:
    """Return the bytes of a file that are those that ``export.json`` promises."""
    size, digest = (record.get(key) if isinstance(record, dict) else None for key in _PROMISED)
    if type(size) is not int or not 0 <= size <= LIMITS[name] or not _is_digest(digest):
        raise BundleCorruptError("not the size and sha256 of a file", where=f"{MANIFEST}: {name}")
    raw = _read(where / name, at_most=size)
    if len(raw) != size:
        raise BundleCorruptError("of the wrong size", where=name, got=len(raw), allowed=[size])
    if hashlib.sha256(raw).hexdigest() != digest:
        raise BundleCorruptError(
            "the file is damaged or was changed: its sha256 is another",
            where=name,
            hint="export the model again",
        )
    if name.endswith(".onnx") and _OUTSIDE in raw:
        raise BundleCorruptError("this network would read other files", where=name)
    return raw


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


_PROMISED = ("bytes", "sha256")


def _read(path: Path, *, at_most: int) -> bytes:
    """Read a regular file once: never through a link, and hardly more than expected."""
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise BundleCorruptError("not a regular file", where=path.name)
        with os.fdopen(os.open(path, flags), "rb") as file:
            raw = file.read(at_most + 1)
    except OSError as error:
        raise BundleCorruptError(f"cannot be read: {error.strerror}", where=path.name) from None
    if len(raw) > at_most:
        raise BundleCorruptError(
            "of the wrong size", where=path.name, allowed=f"at most {at_most} bytes"
        )
    return raw


def arrays(raw: bytes) -> dict[str, AnyArray]:
    """Return the arrays of safetensors bytes, as read-only views of them.

    Raises
    ------
    BundleCorruptError
        The bytes are not exactly that.
    """
    try:
        (length,) = struct.unpack_from("<Q", raw)
        if not 2 <= length <= len(raw) - 8:
            raise ValueError("the header is cut off")
        head = from_json(raw[8 : 8 + length], ARRAYS)
        head.pop("__metadata__", None)
        data = memoryview(raw)[8 + length :]
        found = {name: _array(entry, data) for name, entry in head.items()}
        spans = sorted(entry["data_offsets"] for entry in head.values())
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleCorruptError(f"not valid safetensors: {error}", where=ARRAYS) from None
    ends = [0, *(end for _, end in spans)]
    if ends[:-1] != [start for start, _ in spans] or ends[-1] != len(data):
        raise BundleCorruptError("arrays overlap, or bytes belong to none", where=ARRAYS)
    return found


def _array(entry: dict[str, Any], data: memoryview) -> AnyArray:
    kind, shape = np.dtype(_KINDS[entry["dtype"]]), tuple(entry["shape"])
    start, end = entry["data_offsets"]
    if any(not isinstance(side, int) or side < 0 for side in (*shape, start, end)):
        raise ValueError("not a shape")
    if end - start != math.prod(shape) * kind.itemsize:
        raise ValueError("an array of another size than its shape")
    array: AnyArray = np.frombuffer(data[start:end], dtype=kind).reshape(shape)
    return array
