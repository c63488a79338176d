"""Bytes <-> values: strict JSON and safetensors. What cannot be read exactly is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from headstart.core.errors import BundleCorruptError, BundleError
from headstart.core.types import AnyArray

_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_KEPT = frozenset(["bool", "float16", "float32", "float64", *_INTEGERS])
_FLOAT = "$float"
DEEPEST = 64
"""Brackets of JSON that may be open at once."""
MOST_VALUES = 4_000_000
"""Commas and brackets that a JSON file may hold."""
MOST_HEADER = 10_000_000
MOST_DIMENSIONS = 8
MOST_EMPTY = 10_000_000
"""Numbers that an array with an empty axis would hold without it."""
_BITS = {
    **{f"{sign}{bits}": bits for sign in "IU" for bits in (8, 16, 32, 64)},
    **{"BOOL": 8, "F16": 16, "F32": 32, "F64": 64},
}
_QUOTE = ord('"')
_OPENING, _CLOSING = np.frombuffer(b"[{", np.uint8), np.frombuffer(b"]}", np.uint8)
_MARKS = np.frombuffer(b"[]{},", np.uint8)
_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def plain(value: Any, where: str) -> Any:
    """Return a value as what JSON can hold: numpy scalars, tuples and infinities translated.

    Parameters
    ----------
    value : object
        Text, numbers, booleans, None, and lists, tuples or dicts (text keys) of them.
    where : str
        Where the value stands, for the message.

    Raises
    ------
    BundleError
        For anything else.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT: str(value)}
    if isinstance(value, list | tuple):
        return [plain(part, f"{where}[{i}]") for i, part in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key == _FLOAT:
                raise BundleError("a key cannot be saved", where=where, got=key, allowed="text")
        return {str(key): plain(part, f"{where}.{key}") for key, part in value.items()}
    raise BundleError(
        "a value cannot be saved",
        where=where,
        got=type(value).__name__,
        allowed="text, numbers, true/false, None, lists and dicts",
    )


def _revived(value: Any, where: str) -> Any:
    """Undo ``plain``: what stood for an infinity or not-a-number becomes the float again."""
    if isinstance(value, list):
        return [_revived(part, where) for part in value]
    if not isinstance(value, dict):
        return value
    if _FLOAT not in value:
        return {key: _revived(part, where) for key, part in value.items()}
    name = value[_FLOAT]
    if len(value) != 1 or not isinstance(name, str) or name not in _SPECIAL:
        raise BundleCorruptError("not a special number", where=where, got=value)
    return _SPECIAL[name]


def to_json(value: Any) -> bytes:
    """Write JSON in UTF-8, readable by people; the same value always gives the same bytes."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    try:
        return (text + "\n").encode()
    except UnicodeEncodeError:  # a name that was not valid UTF-8 on disk: keep it, escaped
        return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def bounded(raw: bytes) -> str:
    """Say what makes JSON too much to be parsed; the empty text where nothing does.

    It is counted before anything is parsed: brackets that are open at once, and values.
    """
    data = np.frombuffer(raw.replace(b"\\\\", b"").replace(b'\\"', b""), dtype=np.uint8)
    outside = ~np.bitwise_xor.accumulate(data == _QUOTE)
    marks = data[outside & np.isin(data, _MARKS)]
    values = int(marks.size)
    if values > MOST_VALUES:
        return f"more than {MOST_VALUES:,} values"
    steps = np.isin(marks, _OPENING).astype(np.int32) - np.isin(marks, _CLOSING)
    if int(steps.cumsum().max(initial=0)) > DEEPEST:
        return f"nested deeper than {DEEPEST}"
    return ""


def from_json(raw: bytes, where: str) -> dict[str, Any]:
    """Read a JSON object strictly: UTF-8, no key twice, no NaN, no number out of range.

    How deep it is nested and how many values it holds is limited, and no whole number is longer
    than 64 bits.

    Floats that JSON cannot hold come back as ``plain`` wrote them.

    Raises
    ------
    BundleCorruptError
        When the bytes are anything else.
    """

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(found)
        if len(result) != len(found):
            raise BundleCorruptError("a key stands twice in one JSON object", where=where)
        return result

    def constant(name: str) -> NoReturn:
        raise BundleCorruptError("not a JSON number", where=where, got=name)

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise BundleCorruptError("a number is out of range", where=where, got=digits)
        return value

    def whole(digits: str) -> int:
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
            raise BundleCorruptError("a number is out of range", where=where, got=digits[:40])
        return int(digits)

    if wrong := bounded(raw):
        raise BundleCorruptError(f"not JSON that is read here: {wrong}", where=where)
    try:
        found = json.loads(
            raw.decode(),
            object_pairs_hook=pairs,
            parse_constant=constant,
            parse_float=number,
            parse_int=whole,
        )
        value = _revived(found, where)
    except (ValueError, RecursionError) as error:
        raise BundleCorruptError(f"not valid JSON: {error}", where=where) from None
    if not isinstance(value, dict):
        raise BundleCorruptError("not a JSON object", where=where, got=type(value).__name__)
    return value


def to_safetensors(arrays: Mapping[str, AnyArray], where: str) -> bytes:
    """Write named arrays as safetensors; the same arrays always give the same bytes.

    Raises
    ------
    BundleError
        For an array of text or objects: those belong into JSON.
    """
    from safetensors.numpy import save

    ready = {}
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        if array.dtype.name not in _KEPT or name == "__metadata__":
            raise BundleError(
                "an array cannot be saved",
                where=f"{where}: {name}",
                got=str(array.dtype),
                allowed=sorted(_KEPT),
            )
        ready[name] = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    return bytes(save(ready))


def _unsound(raw: bytes, where: str) -> str:
    """Say what is wrong with the header of safetensors; the empty text where nothing is.

    Looked at before anything is allocated: that every tensor is of a known type, has a shape that
    its bytes fill, and that tensors lie one behind another, from the first byte to the last.
    """
    if len(raw) < 8:
        return "there is no header"
    length = int.from_bytes(raw[:8], "little")
    if length > min(MOST_HEADER, len(raw) - 8):
        return f"its header would be {length} bytes"
    header = from_json(raw[8 : 8 + length], where)
    spans = []
    for name, told in header.items():
        if not isinstance(told, dict) or set(told) != {"dtype", "shape", "data_offsets"}:
            return "a tensor is not described as one"
        bits, shape, span = _BITS.get(str(told["dtype"])), told["shape"], told["data_offsets"]
        if bits is None:
            return f"tensor {name[:80]!r} is of a kind that is never saved"
        lists = [isinstance(part, list) for part in (shape, span)]
        if not all(lists) or len(shape) > MOST_DIMENSIONS or len(span) != 2:
            return f"tensor {name[:80]!r} has no sound shape"
        if not all(type(part) is int and 0 <= part < 2**48 for part in (*shape, *span)):
            return f"tensor {name[:80]!r} has no sound shape"
        if math.prod(part for part in shape if part) > max(len(raw), MOST_EMPTY):
            return f"tensor {name[:80]!r} is larger than the file"
        if span[1] - span[0] != math.prod(shape) * bits // 8:
            return f"tensor {name[:80]!r} does not fill its place"
        spans.append((span[0], span[1]))
    at = 0
    for start, end in sorted(spans):
        if start != at:
            return "tensors overlap, or leave a gap"
        at = end
    return "" if at == len(raw) - 8 - length else "there are bytes of no tensor"


def from_safetensors(raw: bytes, where: str) -> dict[str, AnyArray]:
    """Read named arrays (writable, in memory of their own) from safetensors bytes.

    Raises
    ------
    BundleCorruptError
        When the bytes are not exactly that.
    """
    from safetensors.numpy import load

    if wrong := _unsound(raw, where):
        raise BundleCorruptError(f"not valid safetensors: {wrong}", where=where)
    try:
        arrays: dict[str, AnyArray] = {
            name: array if array.flags.writeable else array.copy()
            for name, array in load(raw).items()
        }
    except Exception as error:  # whatever a parser in another language makes of hostile bytes
        raise BundleCorruptError(f"not valid safetensors: {error}", where=where) from None
    for name, array in arrays.items():
        if array.dtype.name not in _KEPT:
            raise BundleCorruptError(
                "an array of a kind that is never saved",
                where=f"{where}: {name}",
                got=str(array.dtype),
            )
    return arrays
