"""The model on disk: a directory of JSON and safetensors. No pickle, no training, no code in files.

``save`` writes one, ``load`` verifies and opens one; a ``Bundle`` predicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.bundle.columns import Column, columns_of
    from headstart.bundle.contents import BundleContents
    from headstart.bundle.enrol import with_gallery
    from headstart.bundle.examples import Evidence
    from headstart.bundle.exporting.write import export
    from headstart.bundle.model import Bundle
    from headstart.bundle.model_card import card
    from headstart.bundle.pushing import Pushed, push
    from headstart.bundle.read import load, load_predictor
    from headstart.bundle.sequence import SequenceBundle
    from headstart.bundle.signing import sign, verify
    from headstart.bundle.store import check_target
    from headstart.bundle.write import in_memory, save

__all__ = [
    "Bundle",
    "BundleContents",
    "Column",
    "Evidence",
    "Pushed",
    "SequenceBundle",
    "card",
    "check_target",
    "columns_of",
    "export",
    "in_memory",
    "load",
    "load_predictor",
    "push",
    "save",
    "sign",
    "verify",
    "with_gallery",
]

_HOMES = {
    "Bundle": "model",
    "BundleContents": "contents",
    "Column": "columns",
    "Evidence": "examples",
    "SequenceBundle": "sequence",
    "card": "model_card",
    "check_target": "store",
    "columns_of": "columns",
    "export": "exporting.write",
    "in_memory": "write",
    "load": "read",
    "load_predictor": "read",
    "Pushed": "pushing",
    "push": "pushing",
    "save": "write",
    "sign": "signing",
    "verify": "signing",
    "with_gallery": "enrol",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"headstart.bundle.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'headstart.bundle' has no attribute {name!r}")
