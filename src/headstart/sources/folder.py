"""A directory in Hugging Face layout, read without transformers: what is in it, and how to use it.

``config.json`` and ``model.safetensors``; for texts ``tokenizer.json`` and, where
sentence-transformers wrote the directory, ``modules.json`` with its pooling; for images
``preprocessor_config.json``.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.core.errors import SourceError
from headstart.fetch import sha256_of

_PERMISSIVE = ("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "unlicense")
_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_POSITIONS_AFTER_PADDING = ("camembert", "mpnet", "roberta", "xlm-roberta")
_IDENTITY = ("tokenizer.json", "modules.json", "preprocessor_config.json", "config.json")


@dataclass(frozen=True, eq=False)
class Folder:
    """A directory in Hugging Face layout.

    Parameters
    ----------
    path : Path
    config : dict
        Of ``config.json``.
    weights : tuple of Path
        The safetensors files.
    """

    path: Path
    config: dict[str, Any]
    weights: tuple[Path, ...]

    @property
    def model_type(self) -> str:
        """What the architecture is called in ``config.json``."""
        return str(self.config.get("model_type", ""))

    def json(self, name: str) -> dict[str, Any]:
        """Return one of its JSON files as a dict; empty where there is none."""
        return _json(self.path / name) if (self.path / name).is_file() else {}


def open_folder(path: Path) -> Folder:
    """Return what a directory in Hugging Face layout holds.

    Raises
    ------
    SourceError
        It is not such a directory, or its weights are not safetensors.
    """
    if not (path / "config.json").is_file():
        raise SourceError(
            "not a model directory in Hugging Face layout: it has no config.json",
            where=str(path),
            allowed="config.json, model.safetensors and, for texts, tokenizer.json",
        )
    weights = sorted(path.glob("model*.safetensors"))
    if not weights:
        pickled = sorted(entry.name for entry in path.glob("*.bin"))
        raise SourceError(
            "the weights must be in the safetensors format",
            where=str(path),
            got=pickled or "no weights",
            hint="pickle files can run code and are not opened. On a machine where you trust the "
            "file, convert it with transformers: "
            "AutoModel.from_pretrained(DIR).save_pretrained(NEW_DIR)",
        )
    return Folder(path, _json(path / "config.json"), tuple(weights))


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError("cannot be read as JSON", where=str(path), got=str(error)) from error
    if not isinstance(data, dict):
        raise SourceError("must hold a JSON object", where=str(path), got=type(data).__name__)
    return data


def identity(folder: Folder) -> str:
    """Return the sha256 over the weights and everything that changes what they compute."""
    digest = hashlib.sha256()
    files = [*folder.weights, *(folder.path / name for name in _IDENTITY)]
    files += sorted(folder.path.glob("*_Pooling/config.json"))
    for file in files:
        if file.is_file():
            relative = file.relative_to(folder.path).as_posix()
            digest.update(f"{relative} {sha256_of(file)}\n".encode())
    return digest.hexdigest()


def header(folder: Folder) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of all tensors, read from the heads of the weight files."""
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for file in folder.weights:
        try:
            with safe_open(file, framework="numpy") as opened:
                for name in opened.keys():  # noqa: SIM118 (not a mapping)
                    shapes[name] = tuple(opened.get_slice(name).get_shape())
        except SafetensorError as error:
            raise SourceError("the weights are damaged", where=str(file), got=str(error)) from error
    return shapes


def licence(folder: Folder) -> tuple[str, bool]:
    """Return the licence that the model card names, and whether it is a permissive one."""
    readme = folder.path / "README.md"
    text = readme.read_text("utf-8", errors="replace")[:20_000] if readme.is_file() else ""
    found = re.search(r"^license:\s*[\"']?([\w.-]+)", text, flags=re.MULTILINE)
    name = found.group(1) if found else "unknown"
    return name, name.lower() in _PERMISSIVE


def text_input(folder: Folder) -> dict[str, Any]:
    """Return the input spec of a text encoder: length, pooling, prefix.

    Raises
    ------
    SourceError
        Its sentence-transformers pooling is one that is not supported.
    """
    pooling, normalise = _pooling(folder)
    prompts = folder.json("config_sentence_transformers.json")
    prefix = (prompts.get("prompts") or {}).get(prompts.get("default_prompt_name") or "", "")
    return {
        "max_tokens": _max_tokens(folder),
        "pooling": pooling,
        "normalise": normalise,
        "prefix": prefix,
        "pad_id": int(folder.config.get("pad_token_id") or 0),
    }


def _pooling(folder: Folder) -> tuple[str, bool]:
    listing = folder.path / "modules.json"
    if not listing.is_file():
        return "mean", False
    pooling, normalise = "mean", False
    for module in json.loads(listing.read_text("utf-8")):
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind == "Pooling":
            pooling = _pooling_mode(folder, str(module.get("path", "")))
        elif kind == "Normalize":
            normalise = True
        elif kind != "Transformer":
            raise SourceError(
                "the model has a sentence-transformers module that is not supported",
                where=str(listing),
                got=kind,
                allowed=("Transformer", "Pooling", "Normalize"),
            )
    return pooling, normalise


def _pooling_mode(folder: Folder, path: str) -> str:
    config = folder.json(f"{path}/config.json")
    modes = {
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_cls_token": "cls",
        "pooling_mode_max_tokens": "max",
    }
    on = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    named = config.get("pooling_mode")
    chosen = [modes.get(key, key) for key in on] or ([str(named)] if named else ["mean"])
    if len(chosen) != 1 or chosen[0] not in modes.values():
        raise SourceError(
            "this pooling is not supported",
            where=str(folder.path / path / "config.json"),
            got=chosen,
            allowed=sorted(modes.values()),
        )
    return chosen[0]


def _max_tokens(folder: Folder) -> int:
    limits = []
    if own := folder.json("sentence_bert_config.json").get("max_seq_length"):
        limits.append(int(own))
    stated = folder.json("tokenizer_config.json").get("model_max_length")
    if stated and stated < 1_000_000:
        limits.append(int(stated))
    if positions := folder.config.get("max_position_embeddings"):
        after = folder.model_type in _POSITIONS_AFTER_PADDING
        spare = int(folder.config.get("pad_token_id") or 0) + 1 if after else 0
        limits.append(int(positions) - spare)
    return min(limits, default=512)


def image_input(folder: Folder) -> dict[str, Any]:
    """Return the input spec of an image encoder from its ``preprocessor_config.json``.

    ``squash`` is True where the model was trained on images resized to a square without keeping
    their proportions.

    Raises
    ------
    SourceError
        It asks for something that is not supported.
    """
    name = "preprocessor_config.json"
    spec = folder.json(name)
    where = str(folder.path / name)
    if not spec:
        raise SourceError("an image model needs its preprocessor_config.json", where=where)
    size, keeps = _size(spec.get("size", 224), where)
    cropped = bool(spec.get("do_center_crop", "crop_pct" in spec and keeps))
    side = _size(spec["crop_size"], where)[0] if cropped and "crop_size" in spec else size
    crop = 1.0
    if spec.get("crop_pct"):  # ConvNeXt: resized to size / crop_pct first
        crop = float(spec["crop_pct"]) if size < 384 else 1.0
    elif cropped and keeps:
        crop = side / size
    resample = spec.get("resample", 2)
    if resample not in _RESAMPLE:
        raise SourceError("unknown resampling", where=where, got=resample, allowed=_RESAMPLE)
    return {
        "size": side,
        "mean": _channels(spec, "image_mean", 0.0, where),
        "std": _channels(spec, "image_std", 1.0, where),
        "interpolation": _RESAMPLE[resample],
        "crop": crop,
        "squash": not keeps and not cropped,
    }


def _size(size: Any, where: str) -> tuple[int, bool]:
    """Return the side, and whether resizing to it keeps the proportions."""
    if isinstance(size, int):
        return size, False
    if isinstance(size, dict) and "shortest_edge" in size:
        return int(size["shortest_edge"]), True
    if isinstance(size, dict) and size.get("height") and size.get("height") == size.get("width"):
        return int(size["height"]), False
    raise SourceError(
        "this image size is not supported",
        where=where,
        got=size,
        allowed='a square: {"height": 224, "width": 224} or {"shortest_edge": 224}',
    )


def _channels(spec: dict[str, Any], key: str, default: float, where: str) -> list[float]:
    values = spec.get(key) if spec.get("do_normalize", True) else None
    if values is None:
        return [default] * 3
    if not isinstance(values, list) or len(values) != 3:
        raise SourceError("must be three numbers, for RGB", where=f"{where}: {key}", got=values)
    return [float(value) for value in values]
