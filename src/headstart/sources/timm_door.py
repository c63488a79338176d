"""The timm door: any image encoder of PyTorch Image Models, where a sound timm is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from headstart.core.errors import (
    FetchError,
    MissingExtraError,
    NotInstalledError,
    SourceError,
    UnknownNameError,
)
from headstart.core.types import AnyArray
from headstart.fetch import offline
from headstart.sources.backbone import Backbone, tensors_sha256
from headstart.sources.cards import SourceCard

_PERMISSIVE = ("apache-2.0", "mit", "bsd-3-clause")
_PRIOR = 0.5


class TimmBackbone(Backbone):
    """A timm model without its classifier, as one block.

    ``forward_features`` of timm is one block, ``model``: its parts differ too much from model to
    model to be run one by one.
    """

    def __init__(self, card: SourceCard, model: nn.Module) -> None:
        super().__init__(card, [("model", _Features(model))])
        self._model: tuple[Any] = (model,)

    def pool(self, state: Any) -> Tensor:
        """Return the features of shape (n, dim)."""
        return self._model[0].forward_head(state, pre_logits=True)

    def tensors(self) -> dict[str, AnyArray]:
        """Return all weights and statistics by the names that timm gives them."""
        state = self._model[0].state_dict()
        return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}


class _Features(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.forward_features(x)


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "timm":
            raise MissingExtraError("timm", "timm", "a source of timm") from error
        raise _broken(error) from error
    except RuntimeError as error:  # a torchvision built for another torch
        raise _broken(error) from error
    return timm


def _broken(error: Exception) -> SourceError:
    return SourceError(
        "timm is installed but cannot be imported, most often for want of a torchvision "
        "that fits this torch",
        got=str(error).splitlines()[0] if str(error) else type(error).__name__,
        hint="install the torchvision that belongs to your torch "
        "(https://github.com/pytorch/vision#installation), or use another source",
    )


def describe(name: str) -> SourceCard:
    """Return the card of a timm model; its weights are fetched for it.

    Raises
    ------
    UnknownNameError
        timm has no model of that name.
    MissingExtraError, SourceError
        timm is not installed, or cannot be imported.
    """
    timm = _timm()
    if not timm.is_model(name.partition(".")[0]):
        raise UnknownNameError("timm model", name, timm.list_models())
    return _describe(timm, name, _create(timm, name))


def _create(timm: Any, name: str) -> nn.Module:
    config = timm.get_pretrained_cfg(name, allow_unregistered=False)
    if offline() and not getattr(config, "file", None):
        raise NotInstalledError(
            f"HEADSTART_OFFLINE forbids asking timm for the weights of {name}",
            hint="unset HEADSTART_OFFLINE once, or use a local directory as source",
        )
    try:
        return timm.create_model(name, pretrained=True, num_classes=0).float().eval()
    except Exception as error:
        raise FetchError(
            f"timm could not bring the weights of {name}",
            got=f"{type(error).__name__}: {str(error)[:200]}",
        ) from error


def _describe(timm: Any, name: str, model: Any) -> SourceCard:
    data = timm.data.resolve_model_data_config(model)
    cfg = model.pretrained_cfg
    licence = str(cfg.get("license") or "unknown")
    tensors = {key: value.numpy() for key, value in model.state_dict().items()}
    _, height, width = data["input_size"]
    if height != width:
        raise SourceError("only square inputs are supported", where=name, got=data["input_size"])
    return SourceCard(
        name=f"timm:{name}",
        modality="image",
        title=f"timm {name}",
        pretrained_on=str(cfg.get("tag") or "see timm"),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        dim=int(getattr(model, "head_hidden_size", model.num_features)),
        input={
            "size": int(height),
            "mean": [float(value) for value in data["mean"]],
            "std": [float(value) for value in data["std"]],
            "interpolation": str(data["interpolation"]),
            "crop": float(data["crop_pct"]),
            "squash": data.get("crop_mode") == "squash",
        },
        licence=licence,
        permissive=licence.lower() in _PERMISSIVE,
        licence_package="Apache-2.0",
        family="timm",
        config={"model": name},
        origin={"timm": name},
        weights_sha256=tensors_sha256(tensors),
        size_mb=round(sum(array.nbytes for array in tensors.values()) / 1e6, 1),
        prior=_PRIOR,
        prior_source="none: not in the catalogue",
        paper=str(cfg.get("paper_name") or ""),
        provider="timm",
    )


def load(card: SourceCard) -> Backbone:
    """Return the backbone of a card that `describe` made."""
    return TimmBackbone(card, _create(_timm(), card.config["model"])).eval()


def from_state(card: SourceCard, tensors: Mapping[str, AnyArray]) -> Backbone:
    """Return a backbone from the tensors of another; see `headstart.sources.from_state`."""
    timm = _timm()
    try:
        model = timm.create_model(card.config["model"], pretrained=False, num_classes=0)
        model.load_state_dict({name: torch.tensor(array) for name, array in tensors.items()})
    except (KeyError, RuntimeError) as error:
        raise SourceError(
            "the saved weights do not fit the model of the card",
            where=card.name,
            got=str(error)[:200],
        ) from error
    backbone = TimmBackbone(card, model.float()).eval()
    backbone.weights_sha256 = tensors_sha256(tensors)
    return backbone
