"""Pretrained sources: the catalogue, the cache of weights, and backbones to run.

Asking the catalogue imports no torch; loading does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone, ImageBackbone, TextBackbone
    from headstart.sources.cards import SourceCard
    from headstart.sources.dual import reads_both, text_features
    from headstart.sources.loading import from_state, load, load_together
    from headstart.sources.names import (
        base_of,
        card,
        catalogue,
        default_source,
        default_views,
        install,
        installed,
        installed_path,
        search,
        usual_source,
    )
    from headstart.sources.view import part_of

_WHERE = {
    "Backbone": "backbone",
    "ImageBackbone": "backbone",
    "SourceCard": "cards",
    "TextBackbone": "backbone",
    "base_of": "names",
    "card": "names",
    "catalogue": "names",
    "default_source": "names",
    "default_views": "names",
    "from_state": "loading",
    "install": "names",
    "installed": "names",
    "installed_path": "names",
    "load": "loading",
    "load_together": "loading",
    "part_of": "view",
    "reads_both": "dual",
    "search": "names",
    "text_features": "dual",
    "usual_source": "names",
}

__all__ = [
    "Backbone",
    "ImageBackbone",
    "SourceCard",
    "TextBackbone",
    "base_of",
    "card",
    "catalogue",
    "default_source",
    "default_views",
    "from_state",
    "install",
    "installed",
    "installed_path",
    "load",
    "load_together",
    "part_of",
    "reads_both",
    "search",
    "text_features",
    "usual_source",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"headstart.sources.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'headstart.sources' has no attribute {name!r}")
