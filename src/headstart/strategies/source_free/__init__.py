"""A fitted model and unlabelled items of a target, when the data it learnt from are gone.

The classes are attributes of this package and are imported when first asked for:
``headstart.strategies.source_free.T3A().fit(model, X_target)`` returns a new linear head.
None of them looks at a label, and none can know whether it helps: see ``SOURCE_FREE``.
"""

from __future__ import annotations

from typing import Any

from headstart.strategies.source_free.catalogue import (
    SOURCE_FREE,
    SourceFreeSpec,
    make,
    resolve,
)

_PATHS = {spec.path.split(":")[1]: spec.path for spec in SOURCE_FREE.values()}

__all__ = ["SOURCE_FREE", "SourceFreeSpec", "make", *_PATHS]


def __getattr__(name: str) -> Any:
    if name in _PATHS:
        return resolve(_PATHS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PATHS])
