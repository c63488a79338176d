"""Reader of a TensorFlow 1 checkpoint, without TensorFlow.

The index is a table of LevelDB's kind: blocks of keys that leave out what they share with the one
before, a block that says where the blocks are, and a foot of 48 bytes that says where that one is.
Its values are protocol buffers: type, shape, and the place of a tensor in the data file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from headstart.core.errors import IntegrityError
from headstart.core.types import FloatArray

_FOOT, _MAGIC = 48, 0xDB4775248B80FB57
_FLOAT = 1  # TensorFlow's number for float32


def read(index: bytes, data: bytes) -> dict[str, FloatArray]:
    """Return the float32 tensors of a checkpoint by name.

    Parameters
    ----------
    index : bytes
        The ``.index`` file.
    data : bytes
        The ``.data-00000-of-00001`` file.

    Raises
    ------
    IntegrityError
        These are not the two files of an uncompressed checkpoint in one part.

    Examples
    --------
    >>> read(b"", b"")
    Traceback (most recent call last):
        ...
    headstart.core.errors.IntegrityError: not a TensorFlow checkpoint in one uncompressed part
    """
    found: dict[str, FloatArray] = {}
    try:
        foot = index[-_FOOT:]
        if struct.unpack("<Q", foot[-8:]) != (_MAGIC,):
            raise ValueError
        at = 0
        for _ in range(2):  # of the block of properties
            _, at = _varint(foot, at)
        for _, handle in _entries(index, *_handle(foot, at)):
            for key, value in _entries(index, *_handle(handle, 0)):
                if key and (tensor := _tensor(value, data)) is not None:
                    found[key.decode()] = tensor
    except (struct.error, ValueError, IndexError, KeyError) as error:
        raise IntegrityError("not a TensorFlow checkpoint in one uncompressed part") from error
    return found


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _handle(raw: bytes, at: int) -> tuple[int, int]:
    offset, at = _varint(raw, at)
    size, _ = _varint(raw, at)
    return offset, size


def _entries(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    if index[offset + size] != 0:  # the kind of compression
        raise ValueError("compressed")
    block = index[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    at, key = 0, b""
    while at < size - 4 - 4 * restarts:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        at += own
        yield key, block[at : at + length]
        at += length


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (number, value) of the fields of a protocol buffer."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == 0:
            value, at = _varint(raw, at)
        elif kind == 2:
            length, at = _varint(raw, at)
            value = raw[at : at + length]
            at += length
        else:
            width = {1: 8, 5: 4}[kind]
            value = raw[at : at + width]
            at += width
        yield number, value


def _tensor(entry: bytes, data: bytes) -> FloatArray | None:
    values: dict[int, int | bytes] = {}
    shape: list[int] = []
    for number, value in _fields(entry):
        values[number] = value
        if number == 2 and isinstance(value, bytes):  # the shape: fields 2 hold a field 1 each
            for part, dim in _fields(value):
                if part == 2 and isinstance(dim, bytes):
                    shape.append(next((int(v) for k, v in _fields(dim) if k == 1), 0))
    if values.get(1) != _FLOAT:
        return None
    offset, size = int(values.get(4, 0)), int(values[5])
    return np.frombuffer(data, "<f4", size // 4, offset).reshape(shape)
