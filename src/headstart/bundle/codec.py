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


def from_json(raw: bytes, where: str) -> dict[str, Any]:
    """Read a JSON object strictly: UTF-8, no key twice, no NaN, no number out of range.

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

    try:
        value = _revived(
            json.loads(
                raw.decode(), object_pairs_hook=pairs, parse_constant=constant, parse_float=number
            ),
            where,
        )
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


def from_safetensors(raw: bytes, where: str) -> dict[str, AnyArray]:
    """Read named arrays (writable, in memory of their own) from safetensors bytes.

    Raises
    ------
    BundleCorruptError
        When the bytes are not exactly that.
    """
    from safetensors.numpy import load

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
