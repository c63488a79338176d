"""Lets timm be imported beside a torchvision that was built for another torch.

timm needs torchvision only for image transforms, which headstart does not use; its import fails
where the compiled operators are missing, unless their schemas are defined first.
"""

from __future__ import annotations

import contextlib
import importlib.util

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_LIBRARY = []

if importlib.util.find_spec("timm") and importlib.util.find_spec("torchvision"):
    for schema in _SCHEMAS:
        with contextlib.suppress(RuntimeError):  # a sound torchvision has defined it
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(schema)
            _LIBRARY.append(library)  # kept, or the definition would go with it
