"""Heterogeneous transfer: source and target have different features.

The classes are attributes of this package and are imported when first asked for:
``headstart.strategies.heterogeneous.CrossDomainStructure().fit(X, y, X_target, y_target)``.
"""

from __future__ import annotations

from typing import Any

from headstart.strategies.heterogeneous.catalogue import (
    HETEROGENEOUS,
    HeterogeneousSpec,
    make,
    resolve,
)

_PATHS = {spec.path.split(":")[1]: spec.path for spec in HETEROGENEOUS.values()}

__all__ = ["HETEROGENEOUS", "HeterogeneousSpec", "make", *_PATHS]


def __getattr__(name: str) -> Any:
    if name in _PATHS:
        return resolve(_PATHS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PATHS])
