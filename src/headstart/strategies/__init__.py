"""Ways to transfer: scikit-learn style estimators, and the dict that lists them.

The classes are attributes of this package and are imported when first asked for:
``headstart.strategies.LinearProbe(source="minilm").fit(texts, labels)``.
"""

from __future__ import annotations

from typing import Any

from headstart.strategies.base import (
    STRATEGIES,
    StrategySpec,
    from_state,
    make,
    open_state,
    resolve,
)

_PATHS = {
    path.split(":")[1]: path for spec in STRATEGIES.values() for path in spec.classes.values()
} | {"lr_find": "tuning.lr_find:lr_find"}

__all__ = ["STRATEGIES", "StrategySpec", "from_state", "make", "open_state", *_PATHS]


def __getattr__(name: str) -> Any:
    if name in _PATHS:
        return resolve(_PATHS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PATHS])
