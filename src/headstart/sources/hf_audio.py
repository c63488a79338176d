"""The Hugging Face door for sounds: wav2vec 2.0, HuBERT, WavLM, AST, CLAP, Whisper and the like.

Whisper's encoder runs on headstart's own code, without transformers. What other models are given
is their samples, or what their own feature extractor of transformers makes of them; what that needs
is on the card, so that a saved model needs nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import MissingExtraError, SourceError
from headstart.core.types import AnyArray, FloatArray
from headstart.sources.folder import Folder

if TYPE_CHECKING:
    from torch import Tensor

_SAMPLES = "Wav2Vec2FeatureExtractor"
_SECONDS = 20.0  # heard at once where the model states no length
_HOP = 0.01  # s between two frames of AST and Whisper
_SHORTEST = 0.1  # s: no convolution of these models is longer
_NO_SPEC_AUGMENT = ("mask_time_prob", "mask_feature_prob")
_MASKED = "masked_spec_embed"
_MEMBER = {"clap": "audio_model"}
_CONFIG = {"clap": "audio_config"}
_CLASS = {"clap_audio_model": "ClapAudioModel"}


def extractor_of(folder: Folder) -> dict[str, Any]:
    """Return the settings of a directory's feature extractor; empty where it reads no sounds."""
    spec = folder.json("preprocessor_config.json")
    if not spec:
        spec = folder.json("processor_config.json").get("feature_extractor") or {}
    return spec if "sampling_rate" in spec else {}


def whisper_facts(folder: Folder, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return what a card says of the encoder of a Whisper that transformers saved.

    Raises
    ------
    SourceError
        ``config.json`` lacks a dimension.
    """
    from math import prod

    config, extractor = folder.config, extractor_of(folder)
    try:
        own = {
            "mels": config["num_mel_bins"],
            "hidden": config["d_model"],
            "layers": config["encoder_layers"],
            "heads": config["encoder_attention_heads"],
            "intermediate": config["encoder_ffn_dim"],
            "positions": config["max_source_positions"],
        }
    except KeyError as error:
        raise SourceError(
            "config.json lacks a dimension", where=str(folder.path), got=str(error)
        ) from error
    encoder = [shape for name, shape in shapes.items() if "encoder." in name]
    spec = {
        "rate": int(extractor.get("sampling_rate", 16000)),
        "seconds": 2 * _HOP * own["positions"],
        "front": "whisper",
        "mels": own["mels"],
        "silence": [0.5, 0.5],
        "floor": 40,
        "normalise": False,
    }
    return {
        "modality": "audio",
        "family": "whisper",
        "config": own,
        "dim": own["hidden"],
        "input": spec,
        "parameters": sum(prod(shape) for shape in encoder),
    }


def facts(folder: Folder, config: Any) -> dict[str, Any]:
    """Return what a card says of any other encoder of sounds.

    Parameters
    ----------
    folder : Folder
    config : transformers.PretrainedConfig

    Raises
    ------
    SourceError
        Its feature extractor has no name, or the length of its features cannot be told.
    """
    extractor = extractor_of(folder)
    used = getattr(config, _CONFIG.get(config.model_type, ""), config)
    for name in _NO_SPEC_AUGMENT:  # SpecAugment masks in training, with weights of its own
        if hasattr(used, name):
            setattr(used, name, 0.0)
    kind = str(extractor.get("feature_extractor_type", ""))
    dim = getattr(used, "hidden_size", None)
    if not kind or not isinstance(dim, int):
        raise SourceError(
            "this encoder of sounds does not say what it is given or how long its features are",
            where=str(folder.path),
            got={"feature_extractor_type": kind, "hidden_size": dim},
        )
    samples = kind == _SAMPLES
    spec = {
        "rate": int(extractor["sampling_rate"]),
        "seconds": _seconds(extractor),
        "front": "samples" if samples else "transformers",
        "mels": 0,
        "normalise": False,
        "extractor": extractor,
        # a model that was not trained with a mask hears what pads a batch
        "same_length": not (samples and extractor.get("return_attention_mask")),
        "pooling": "mean" if samples else "pooler",
    }
    return {
        "modality": "audio",
        "family": "hf",
        "config": {"model_type": used.model_type, **json.loads(used.to_json_string())},
        "dim": dim,
        "input": spec,
    }


def _seconds(extractor: Mapping[str, Any]) -> float:
    stated = extractor.get("max_length_s") or extractor.get("chunk_length")
    if stated:
        return float(stated)
    frames = extractor.get("max_length")
    return float(frames) * _HOP if frames else _SECONDS


def encoder_of(model: Any) -> Any:
    """Return the part of a transformers model that hears, without what only training needs."""
    found = getattr(model, _MEMBER.get(model.config.model_type, ""), model)
    if getattr(found, _MASKED, None) is not None:
        setattr(found, _MASKED, None)
    for name in _NO_SPEC_AUGMENT:
        if hasattr(found.config, name):
            setattr(found.config, name, 0.0)
    return found


def empty(config: Any) -> Any:
    """Return the network of an encoder's configuration, its weights not yet of any use."""
    transformers = _transformers(f"a model of the kind {config.model_type}")
    name = _CLASS.get(config.model_type)
    if name is not None:
        return getattr(transformers, name)(config)
    return transformers.AutoModel.from_config(config)


def named(model: Any, batch: tuple[Tensor, Tensor], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a batch as the arguments of a transformers model."""
    import torch

    values, mask = batch
    arguments: dict[str, Any] = {model.main_input_name: values}
    if not spec["same_length"]:
        arguments["attention_mask"] = (mask != 0).to(torch.int64)
    if getattr(model.config, "enable_fusion", False):
        arguments["is_longer"] = torch.zeros(len(values), 1, dtype=torch.bool)
    return arguments


def pooled(model: Any, output: Any, batch: Mapping[str, Any], spec: Mapping[str, Any]) -> Tensor:
    """Return the features (n, dim) of what a transformers model gives."""
    hidden: Tensor = output.last_hidden_state
    found: Tensor | None = getattr(output, "pooler_output", None)
    if spec["pooling"] == "pooler" and found is not None:
        return found.flatten(1)
    if hidden.ndim > 3:
        return hidden.flatten(2).mean(dim=2)
    mask = batch.get("attention_mask")
    if mask is None:
        return hidden.mean(dim=1)
    kept = model._get_feature_vector_attention_mask(hidden.shape[1], mask).to(hidden.dtype)
    return (hidden * kept[..., None]).sum(dim=1) / kept.sum(dim=1, keepdim=True).clamp(min=1)


def probe(spec: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Return a small batch of two sounds, the same every time."""
    import torch

    rate = int(spec["rate"])
    time = np.arange(rate // 4) / rate
    waves = [np.sin(2 * np.pi * hertz * time).astype(np.float32) / 4 for hertz in (220, 660)]
    made = [front(spec)(wave) for wave in waves]
    values = torch.from_numpy(np.stack(made))
    return values, torch.ones(values.shape[:2], dtype=torch.int64)


def front(spec: Mapping[str, Any]) -> Callable[[FloatArray], AnyArray]:
    """Return what turns samples (n,) into what the model takes of one sound, float32.

    Raises
    ------
    SourceError
        transformers has no such feature extractor, or it does not run.
    MissingExtraError
        It needs transformers.
    """
    extractor = dict(spec["extractor"])
    rate = int(spec["rate"])
    if spec["front"] == "samples":
        normalise = bool(extractor.get("do_normalize", True))
        return lambda samples: _level(samples, round(_SHORTEST * rate), normalise=normalise)
    kind = str(extractor.pop("feature_extractor_type"))
    transformers = _transformers(f"the feature extractor {kind}")
    base = transformers.SequenceFeatureExtractor
    found = getattr(transformers, kind, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise SourceError("transformers has no such feature extractor of sounds", got=kind)
    made = found(**extractor)

    def run(samples: FloatArray) -> AnyArray:
        given = made(samples, sampling_rate=rate, return_tensors="np")
        name = next(key for key in ("input_features", "input_values") if key in given)
        return np.asarray(given[name][0], dtype=np.float32)

    return run


def _level(samples: FloatArray, shortest: int, *, normalise: bool) -> FloatArray:
    if normalise:
        samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    return np.pad(samples, (0, max(0, shortest - len(samples)))).astype(np.float32)


def _transformers(purpose: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "hf", purpose) from error
    return transformers
