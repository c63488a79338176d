"""Meta-learning: from many small tasks to a source that learns a new one from few labels."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.meta.collection import Collection, read_collection
    from headstart.meta.plan import DEFAULT_METHODS, METHODS, Plan
    from headstart.meta.report import MetaResult
    from headstart.meta.run import Run

_WHERE = {
    "Collection": "collection",
    "DEFAULT_METHODS": "plan",
    "METHODS": "plan",
    "MetaResult": "report",
    "Plan": "plan",
    "read_collection": "collection",
    "Run": "run",
}

__all__ = [
    "DEFAULT_METHODS",
    "METHODS",
    "Collection",
    "MetaResult",
    "Plan",
    "Run",
    "read_collection",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"headstart.meta.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'headstart.meta' has no attribute {name!r}")
