"""The source of a model as an ONNX graph: our own families by hand, all others by torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from headstart.core.errors import BundleError, HeadstartError, MissingExtraError

if TYPE_CHECKING:
    from headstart.sources import Backbone

_BY_HAND = {
    "bert": "texts:bert_graph",
    "mpnet": "texts:bert_graph",
    "efficientnet-lite": "pictures:lite_graph",
    "conv4": "pictures:conv4_graph",
}


def source_graph(backbone: Backbone) -> bytes:
    """Return the ONNX bytes of a source, tuned or not.

    Parameters
    ----------
    backbone : Backbone
        Of texts or pictures.

    Raises
    ------
    MissingExtraError
        onnx is not installed.
    BundleError
        Torch cannot export this source.
    """
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise MissingExtraError("onnx", "onnx", "exporting a model") from None
    home = _BY_HAND.get(backbone.card.family)
    if home is None or backbone.card.provider in ("local", "huggingface"):
        return _by_torch(backbone)
    from importlib import import_module

    module, name = home.split(":")
    build: Callable[[Any], bytes] = getattr(
        import_module(f"headstart.bundle.exporting.{module}"), name
    )
    return build(backbone)


def _by_torch(backbone: Backbone) -> bytes:
    """Return the graph that torch makes of a source that headstart has no graph of.

    Raises
    ------
    MissingExtraError
        onnxscript is not installed.
    BundleError
        Torch cannot.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtraError("onnxscript", "onnx", "exporting this source") from None
    module, inputs, shapes = _wrapped(backbone)
    import torch

    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                dynamo=True,
                input_names=list(inputs),
                output_names=["features"],
                dynamic_shapes=shapes,
                verbose=False,
            )
            assert made is not None
            raw: bytes = made.model_proto.SerializeToString()
    except HeadstartError:
        raise
    except Exception as error:  # the exporter of torch fails in its own many ways
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BundleError(
            f"the source cannot be exported by torch: {reason[:200]}",
            where=backbone.card.name,
            hint="serve the saved model itself: headstart serve MODEL",
        ) from None
    finally:
        logger.setLevel(before)
    return raw


def _wrapped(backbone: Backbone) -> tuple[Any, Mapping[str, Any], Any]:
    """Return a plain module, inputs to trace it with, and which of their sides are free."""
    import torch
    from torch import nn

    side = torch.export.Dim
    if backbone.card.modality == "image":
        from headstart.encode.image import Prepare

        prepare = Prepare(backbone.card.input)

        class Pictures(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.backbone = backbone

            def forward(self, pixels: Any) -> Any:
                values = pixels.permute(0, 3, 1, 2).to(torch.float32)
                return self.backbone(prepare.normalise_tensor(values))

        pixels = torch.zeros(2, prepare.side, prepare.side, 3, dtype=torch.uint8)
        return Pictures(), {"pixels": pixels}, ({0: side("n")},)

    class Texts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, ids: Any, mask: Any) -> Any:
            return self.backbone((ids, mask))

    ids = torch.ones(2, 7, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    free = {0: side("n"), 1: side("t", min=2, max=int(backbone.card.input["max_tokens"]))}
    return Texts(), {"ids": ids, "mask": mask}, (dict(free), dict(free))
