"""The timm door, in an environment of its own (`make test-timm`); skipped where timm is not."""

from __future__ import annotations

import builtins
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart import sources
from headstart.core.errors import (
    FetchError,
    MissingExtraError,
    NotInstalledError,
    SourceError,
    UnknownNameError,
)

HERE = importlib.util.find_spec("timm") is not None
needs_timm = pytest.mark.skipif(not HERE, reason="timm is not in this environment")


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return timm, its pretrained weights replaced by random ones saved in a file."""
    import timm
    from safetensors.torch import save_file

    monkeypatch.delenv("HEADSTART_OFFLINE", raising=False)
    create = timm.create_model

    def local(name: str, *, pretrained: bool = False, num_classes: int = 0) -> Any:
        torch.manual_seed(0)
        model = create(name, pretrained=False, num_classes=1000)
        path = tmp_path / f"{name}.safetensors"
        if not path.is_file():
            state = {key: value.contiguous() for key, value in model.state_dict().items()}
            save_file(state, path)
        if not pretrained:
            return create(name, pretrained=False, num_classes=num_classes)
        return create(
            name,
            pretrained=True,
            num_classes=num_classes,
            pretrained_cfg_overlay={"file": str(path), "hf_hub_id": None},
        )

    monkeypatch.setattr(timm, "create_model", local)
    return timm


@needs_timm
@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "mobilenetv3_small_050"])
def test_a_timm_model_gives_timms_features(name: str, timm: Any) -> None:
    backbone = sources.load(f"timm:{name}")
    card = backbone.card
    size = card.input["size"]
    oracle = timm.create_model(name, pretrained=True, num_classes=0).eval()
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = oracle(x)
        assert torch.equal(backbone(x), expected)
    assert expected.shape == (2, card.dim)
    assert (card.provider, card.family, card.modality) == ("timm", "timm", "image")
    again = sources.SourceCard.from_json(json.loads(json.dumps(card.to_json())))
    rebuilt = sources.from_state(again, backbone.tensors(), None)
    with torch.no_grad():
        assert torch.equal(rebuilt(x), expected)
    with pytest.raises(SourceError, match="do not fit"):
        sources.from_state(again, {}, None)


@needs_timm
def test_unknown_names_and_failed_downloads(timm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'resnet10t'"):
        sources.card("timm:resnet10tt")

    def failing(name: str, **options: Any) -> Any:
        raise OSError("no route")

    monkeypatch.setattr(timm, "create_model", failing)
    with pytest.raises(FetchError, match=r"could not bring.*no route"):
        sources.card("timm:resnet10t")
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    with pytest.raises(NotInstalledError, match="HEADSTART_OFFLINE"):
        sources.card("timm:resnet10t")


@needs_timm
def test_only_square_inputs(timm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        timm.data, "resolve_model_data_config", lambda model: {"input_size": (3, 10, 20)}
    )
    with pytest.raises(SourceError, match="square"):
        sources.card("timm:resnet10t")


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (ModuleNotFoundError("no timm", name="timm"), MissingExtraError, r"headstart\[timm\]"),
        (ModuleNotFoundError("no tv", name="torchvision"), SourceError, "torchvision that belongs"),
        (RuntimeError("operator torchvision::nms does not exist"), SourceError, "torchvision::nms"),
    ],
)
def test_timm_that_cannot_be_imported_says_why(
    error: Exception, expected: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def failing(name: str, *rest: Any, **options: Any) -> Any:
        if name == "timm":
            raise error
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", failing)
    with pytest.raises(expected, match=message):
        sources.card("timm:resnet10t")
