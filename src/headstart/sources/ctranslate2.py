"""Reader of CTranslate2's file of a Whisper: its tensors by their Hugging Face names.

The file (little-endian): a version, the name of its kind, a revision, the tensors one after
another (name, shape, a code for the type of number, bytes), then names that stand for others'
tensors. Query, key and value of self-attention lie in one matrix, as do key and value of the
attention to the encoder; the key's bias, which Whisper does not have, is there as zeros.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from headstart.core.errors import IntegrityError
from headstart.core.types import AnyArray

_VERSION, _KIND = 6, "WhisperSpec"
_TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}
_ATTENTION = {
    "self_attention": ("self_attn", ("q_proj", "k_proj", "v_proj"), "self_attn_layer_norm"),
    "attention": ("encoder_attn", ("q_proj",), "encoder_attn_layer_norm"),
}


def read(raw: bytes) -> dict[str, AnyArray]:
    """Return the tensors of a file by CTranslate2's own names.

    Parameters
    ----------
    raw : bytes
        A ``model.bin``.

    Raises
    ------
    IntegrityError
        It is not such a file, or it is cut off.

    Examples
    --------
    >>> read(b"GGUF")
    Traceback (most recent call last):
        ...
    headstart.core.errors.IntegrityError: not a whole CTranslate2 file of a Whisper
    """
    reader = _Reader(raw)
    found: dict[str, AnyArray] = {}
    try:
        version, kind, _ = reader.number("I"), reader.text(), reader.number("I")
        if (version, kind) != (_VERSION, _KIND):
            raise ValueError
        for _ in range(reader.number("I")):
            name, rank = reader.text(), reader.number("B")
            shape = [reader.number("I") for _ in range(rank)]
            code, size = reader.number("B"), reader.number("I")
            found[name] = reader.array(_TYPES[code], size).reshape(shape)
    except (struct.error, ValueError, KeyError, UnicodeDecodeError) as error:
        raise IntegrityError("not a whole CTranslate2 file of a Whisper") from error
    return found


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from("<" + form, self.raw, self.at)
        self.at += struct.calcsize("<" + form)
        return int(value)

    def text(self) -> str:
        count = self.number("H")
        taken = self.raw[self.at : self.at + count]
        self.at += count
        return taken.rstrip(b"\0").decode()

    def array(self, kind: str, size: int) -> AnyArray:
        values = np.frombuffer(self.raw, kind, size // np.dtype(kind).itemsize, self.at)
        self.at += size
        return values


def whisper(raw: bytes) -> dict[str, AnyArray]:
    """Return encoder and decoder of a Whisper by the names that transformers gives them.

    ``WhisperForConditionalGeneration`` of transformers loads them; its output matrix is the
    embedding of tokens.

    Parameters
    ----------
    raw : bytes
        A ``model.bin`` of CTranslate2.

    Raises
    ------
    IntegrityError
        It is not such a file, or lacks a tensor.
    """
    tensors = read(raw)
    try:
        return _renamed(tensors)
    except (KeyError, ValueError) as error:
        raise IntegrityError("not the tensors of a Whisper", got=str(error)) from error


def _renamed(tensors: dict[str, AnyArray]) -> dict[str, AnyArray]:
    made: dict[str, AnyArray] = {}

    def affine(name: str, theirs: str, parts: tuple[str, str] = ("weight", "bias")) -> None:
        for ours, part in zip(("weight", "bias"), parts, strict=True):
            made[f"model.{name}.{ours}"] = tensors[f"{theirs}/{part}"]

    def norm(name: str, theirs: str) -> None:
        affine(name, theirs, ("gamma", "beta"))

    for i in (1, 2):
        affine(f"encoder.conv{i}", f"encoder/conv{i}")
    made["model.decoder.embed_tokens.weight"] = tensors["decoder/embeddings/weight"]
    for side in ("encoder", "decoder"):
        positions = f"model.{side}.embed_positions.weight"
        made[positions] = tensors[f"{side}/position_encodings/encodings"]
        norm(f"{side}.layer_norm", f"{side}/layer_norm")
        for i in range(_layers(tensors, side)):
            ours, theirs = f"{side}.layers.{i}", f"{side}/layer_{i}"
            for kind in ("self_attention", "attention")[: 1 if side == "encoder" else 2]:
                made |= _attention(tensors, f"{theirs}/{kind}", f"model.{ours}", kind)
            affine(f"{ours}.fc1", f"{theirs}/ffn/linear_0")
            affine(f"{ours}.fc2", f"{theirs}/ffn/linear_1")
            norm(f"{ours}.final_layer_norm", f"{theirs}/ffn/layer_norm")
    return made


def _layers(tensors: dict[str, AnyArray], side: str) -> int:
    return len(
        {name.split("/")[1] for name in tensors if name.startswith(f"{side}/layer_")}
        - {"layer_norm"}
    )


def _attention(
    tensors: dict[str, AnyArray], theirs: str, layer: str, kind: str
) -> dict[str, AnyArray]:
    name, first, norm = _ATTENTION[kind]
    groups: list[tuple[str, ...]] = [first, ("out_proj",)]
    if kind == "attention":
        groups.insert(1, ("k_proj", "v_proj"))
    made: dict[str, Any] = {}
    for i, group in enumerate(groups):
        weights = np.split(tensors[f"{theirs}/linear_{i}/weight"], len(group))
        biases = np.split(tensors[f"{theirs}/linear_{i}/bias"], len(group))
        for part, weight, bias in zip(group, weights, biases, strict=True):
            made[f"{layer}.{name}.{part}.weight"] = weight
            if part != "k_proj":
                made[f"{layer}.{name}.{part}.bias"] = bias
            elif bias.any():
                raise ValueError("a key of attention with a bias")
    for ours, part in (("weight", "gamma"), ("bias", "beta")):
        made[f"{layer}.{norm}.{ours}"] = tensors[f"{theirs}/layer_norm/{part}"]
    return made
