"""The Hugging Face door: a local directory, or a model on the hub.

BERT, MPNet and Whisper run on headstart's own code, without transformers; every other encoder of
texts, images or sounds (see ``hf_audio``) through it. Code that comes with a model is never run,
and only safetensors are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.core.errors import (
    FetchError,
    IntegrityError,
    MissingExtraError,
    NotInstalledError,
    SourceError,
)
from headstart.core.types import AnyArray
from headstart.fetch import offline
from headstart.sources import folder as folders
from headstart.sources import hf_audio
from headstart.sources.cards import SourceCard
from headstart.sources.folder import Folder

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone

_WANTED = ["*.json", "*_Pooling/*.json", "model*.safetensors", "README.md", "*.spm", "*.model"]
_OWN = {"bert": "bert", "mpnet": "mpnet"}
_OWN_FAMILIES = (*_OWN.values(), "whisper")
_PROJECTION = "visual_projection.weight"
_PRIOR = 0.5

MOST_ABSENT = 200_000_000
"""Weights of parts of a network that are built and not used, as the text half of CLIP."""


def describe(name: str) -> SourceCard:
    """Return the card of a local directory, ``org/name`` or ``hf:org/name``.

    A model on the hub is downloaded for it.

    Raises
    ------
    SourceError
        It is of a kind that cannot be used, and why.
    MissingExtraError
        It needs transformers or huggingface_hub.
    NotInstalledError, FetchError
        It is not on this machine and may not, or could not, be fetched.
    """
    folder = folders.open_folder(_locate(name))
    shapes = folders.header(folder)
    named, permissive = folders.licence(folder)
    facts = _facts(folder, shapes)
    local = Path(name).is_dir()
    return SourceCard(
        name=str(folder.path) if local else name.removeprefix("hf:"),
        title=folder.path.name if local else name.removeprefix("hf:"),
        pretrained_on="see its model card",
        parameters=facts.pop("parameters", None) or sum(map(prod, shapes.values())),
        licence=named,
        permissive=permissive,
        licence_package="none",
        origin={"directory": str(folder.path)} if local else {"hub": {"id": name}},
        weights_sha256=folders.identity(folder),
        size_mb=round(sum(file.stat().st_size for file in folder.weights) / 1e6, 1),
        prior=_PRIOR,
        prior_source="none: not in the catalogue",
        provider="local" if local else "huggingface",
        **facts,
    )


def located(card: SourceCard) -> Path:
    """Return the directory of a source that `describe` made the card of."""
    return _locate(card.origin.get("directory") or card.name)


def place_of(name: str) -> Path:
    """Return the directory of a model; one on the hub is downloaded for it.

    Raises
    ------
    MissingExtraError, NotInstalledError, FetchError
        See `describe`.
    """
    return _locate(name)


def _locate(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name).resolve()
    hub_id = name.removeprefix("hf:")
    try:
        import huggingface_hub
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "hf", f"the source {name!r}") from error
    try:
        found = huggingface_hub.snapshot_download(
            hub_id, allow_patterns=_WANTED, local_files_only=offline()
        )
    except LocalEntryNotFoundError as error:
        if not offline():
            raise _not_sent(hub_id, error) from error
        raise NotInstalledError(
            f"{hub_id} is not on this machine, and HEADSTART_OFFLINE forbids fetching it",
            hint="unset HEADSTART_OFFLINE once, or give the path of a local directory",
        ) from error
    except Exception as error:
        raise _not_sent(hub_id, error) from error
    return Path(found)


def _not_sent(hub_id: str, error: Exception) -> FetchError:
    return FetchError(
        f"the Hugging Face hub did not send {hub_id}",
        got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        hint="check the name and the connection, or give the path of a local directory",
    )


def _facts(folder: Folder, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    if own := _own_config(folder):
        return {
            "modality": "text",
            "family": _OWN[folder.model_type],
            "config": own,
            "dim": own["hidden"],
            "input": folders.text_input(folder),
        }
    if folder.model_type == "whisper":
        return hf_audio.whisper_facts(folder, shapes)
    config = _config(folder)
    if hf_audio.extractor_of(folder):
        return hf_audio.facts(folder, config)
    vision = getattr(config, "vision_config", None)
    used = vision if vision is not None else config
    image = vision is not None or folder.json("preprocessor_config.json").get("image_mean")
    if config.is_encoder_decoder or getattr(config, "is_decoder", False) or _generates(folder):
        raise SourceError(
            "only encoders can be used as sources",
            where=str(folder.path),
            got=folder.config.get("architectures") or folder.model_type,
        )
    if not image and not has_tokenizer(folder):
        raise SourceError(
            "neither an image or audio encoder (no preprocessor_config.json) nor a text encoder "
            "(no tokenizer.json)",
            where=str(folder.path),
            got=folder.model_type,
        )
    spec = folders.image_input(folder) if image else folders.text_input(folder)
    if image:
        spec["pooling"] = _image_pooling(used, shapes)
    if _PROJECTION in shapes:  # a CLIP: what its text side is compared with
        spec["projection"] = shapes[_PROJECTION][0]
    return {
        "modality": "image" if image else "text",
        "family": "hf",
        "config": {"model_type": used.model_type, **json.loads(used.to_json_string())},
        "dim": spec.get("projection") or _dim(used, folder, spec),
        "input": spec,
    }


def _own_config(folder: Folder) -> dict[str, Any] | None:
    """Return the dimensions of a BERT or MPNet that our own code runs; None for any other model."""
    config = folder.config
    usual = (
        folder.model_type in _OWN
        and config.get("hidden_act", "gelu") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder", False)
        and (folder.path / "tokenizer.json").is_file()
    )
    if not usual:
        return None
    mpnet = folder.model_type == "mpnet"
    try:
        made = {
            "vocab_size": config["vocab_size"],
            "hidden": config["hidden_size"],
            "layers": config["num_hidden_layers"],
            "heads": config["num_attention_heads"],
            "intermediate": config["intermediate_size"],
            "positions": config["max_position_embeddings"],
            "eps": config.get("layer_norm_eps", 1e-12),
            "dropout": config.get("hidden_dropout_prob", 0.1),
        }
    except KeyError as error:
        raise SourceError(
            "config.json lacks a dimension", where=str(folder.path), got=str(error)
        ) from error
    if mpnet:
        return {**made, "buckets": config.get("relative_attention_num_buckets", 32)}
    return {**made, "types": config.get("type_vocab_size", 2)}


def _transformers(purpose: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "hf", purpose) from error
    return transformers


def _config(folder: Folder) -> Any:
    transformers = _transformers(f"the source {folder.path.name!r} ({folder.model_type})")
    try:
        return transformers.AutoConfig.from_pretrained(folder.path, trust_remote_code=False)
    except (ValueError, KeyError, OSError) as error:
        raise SourceError(
            "transformers does not know this model; code that comes with a model is never run",
            where=str(folder.path),
            got=folder.model_type or "no model_type",
        ) from error


def _generates(folder: Folder) -> bool:
    architectures = folder.config.get("architectures") or []
    return any("CausalLM" in str(name) or "LMHeadModel" in str(name) for name in architectures)


def has_tokenizer(folder: Folder) -> bool:
    """Say whether a directory holds a tokenizer of some kind."""
    names = ("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model")
    return any((folder.path / name).is_file() for name in names)


def _dim(config: Any, folder: Folder, spec: Mapping[str, Any]) -> int:
    sizes = getattr(config, "hidden_sizes", None)
    dim = sizes[-1] if sizes else getattr(config, "hidden_size", None)
    if isinstance(dim, int):
        return dim
    if "pooling" in spec and "size" in spec:  # ask the network itself, its weights not yet set
        import torch

        model = _transformers("an image encoder").AutoModel.from_config(config).eval()
        with torch.no_grad():
            output = model(pixel_values=torch.zeros(1, 3, spec["size"], spec["size"]))
        if getattr(output, "pooler_output", None) is not None:
            return int(output.pooler_output.flatten(1).shape[1])
    raise SourceError(
        "the length of this model's features cannot be told from its config.json",
        where=str(folder.path),
        got=folder.model_type,
    )


def _image_pooling(config: Any, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return "pooler", or "cls" where its weights were not saved (they would be random)."""
    dense = config.model_type in ("data2vec-vision", "deit", "vit", "vit_msn", "ijepa")
    saved = any("pooler." in name for name in shapes)
    return "cls" if dense and not saved else "pooler"


def load(card: SourceCard) -> Backbone:
    """Return the backbone of a card that `describe` made.

    Raises
    ------
    IntegrityError
        The directory has changed since.
    SourceError
        The model does not run as an encoder, and why.
    """
    folder = folders.open_folder(located(card))
    if (found := folders.identity(folder)) != card.weights_sha256:
        raise IntegrityError(
            "the model is not the one that its card describes",
            where=str(folder.path),
            got=found,
            allowed=card.weights_sha256,
            hint="ask for its card again",
        )
    if card.family in _OWN_FAMILIES:
        return _load_own(card, folder)
    transformers = _transformers(f"the source {card.name!r}")
    try:
        model, info = transformers.AutoModel.from_pretrained(
            folder.path,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except (ValueError, OSError, RuntimeError) as error:
        raise SourceError(
            "transformers cannot load this model", where=str(folder.path), got=str(error)[:200]
        ) from error
    missing = [name for name in info["missing_keys"] if "pooler" not in name]
    if missing:
        raise SourceError(
            "weights are missing from the model's files",
            where=str(folder.path),
            got=sorted(missing)[:5],
        )
    tokenizer = _tokenizer(folder) if card.modality == "text" else None
    if card.input.get("projection"):
        model = _projected(model, model.visual_projection)
    elif card.modality == "audio":
        model = hf_audio.encoder_of(model)
    else:
        model = getattr(model, "vision_model", model)
    return _backbone(card, model, tokenizer)


def _load_own(card: SourceCard, folder: Folder) -> Backbone:
    from safetensors.torch import load_file

    from headstart.sources.loading import assemble_renamed

    tensors: dict[str, Any] = {}
    for file in folder.weights:
        tensors |= load_file(file)
    reads = card.modality == "text"
    text = (folder.path / "tokenizer.json").read_text("utf-8") if reads else None
    return assemble_renamed(card, tensors, text, where=str(folder.path))


def _tokenizer(folder: Folder) -> str:
    if (folder.path / "tokenizer.json").is_file():
        return (folder.path / "tokenizer.json").read_text("utf-8")
    transformers = _transformers("a tokenizer without tokenizer.json")
    try:
        made = transformers.AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    except (ValueError, OSError, ImportError) as error:
        raise SourceError(
            "its tokenizer cannot be loaded", where=str(folder.path), got=str(error)[:200]
        ) from error
    if not getattr(made, "is_fast", False):
        raise SourceError(
            "it has no fast tokenizer", where=str(folder.path), got=type(made).__name__
        )
    return str(made.backend_tokenizer.to_str())


def _backbone(card: SourceCard, model: Any, tokenizer_json: str | None) -> Backbone:
    import torch

    from headstart.sources.loading import read_tokenizer
    from headstart.sources.staged import HubBackbone, probe

    model = model.float().eval()
    if card.input.get("pooling") != "pooler" and hasattr(model, "pooler"):
        model.pooler = None  # unused, and its weights may be random
    try:
        backbone = HubBackbone(card, model, probe(card))
        with torch.no_grad():
            shape = tuple(backbone(probe(card)).shape)
    except Exception as error:
        raise SourceError(
            "this model does not run as an encoder",
            where=card.name,
            got=f"{type(error).__name__}: {str(error)[:200]}",
        ) from error
    if shape != (2, card.dim):
        raise SourceError(
            "its features are not of the length its config.json tells",
            where=card.name,
            got=shape[1:],
            allowed=str(card.dim),
        )
    if tokenizer_json is not None:
        backbone.tokenizer = read_tokenizer(tokenizer_json, card.input)
    return backbone


def _projected(model: Any, projection: Any) -> Any:
    from headstart.sources.dual import ProjectedVision

    return ProjectedVision(getattr(model, "vision_model", model), projection)


def _fits(model: Any, tensors: Mapping[str, AnyArray]) -> None:
    """Check that a network is not far larger than the weights that it came with."""
    held = sum(array.size for array in tensors.values())
    asked = sum(tensor.numel() for tensor in model.state_dict().values())
    if asked > 2 * held + MOST_ABSENT:
        raise ValueError(f"the card asks for {asked:,} weights, and there are {held:,}")


def from_state(
    card: SourceCard, tensors: Mapping[str, AnyArray], tokenizer_json: str | None
) -> Backbone:
    """Return a backbone from the tensors of another; see `headstart.sources.from_state`."""
    import torch

    from headstart.sources.backbone import tensors_sha256

    transformers = _transformers(f"the source {card.name!r}")
    kind = str(card.config.get("model_type", ""))
    try:
        config = transformers.CONFIG_MAPPING[kind].from_dict(dict(card.config))
        with torch.device("meta"):
            _fits(hf_audio.empty(config), tensors)
        model = hf_audio.empty(config)
        if dim := card.input.get("projection"):
            model = _projected(model, torch.nn.Linear(config.hidden_size, int(dim), bias=False))
        else:
            model = getattr(model, "vision_model", model)
        if card.input.get("pooling") != "pooler" and hasattr(model, "pooler"):
            model.pooler = None
        model.load_state_dict({name: torch.tensor(array) for name, array in tensors.items()})
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise SourceError(
            "the saved weights do not fit the model of the card",
            where=card.name,
            got=str(error)[:200],
        ) from error
    backbone = _backbone(card, model, tokenizer_json)
    backbone.weights_sha256 = tensors_sha256(tensors)
    return backbone
