"""Adapters: classifiers and regressors that learn from a source domain for a target domain.

The classes are attributes of this package and are imported when first asked for:
``headstart.strategies.adaptation.SourceOnly().fit(X, y, X_target)``.
"""

from __future__ import annotations

from typing import Any

from headstart.strategies.adaptation.catalogue import ADAPTERS, AdapterSpec, make, resolve
from headstart.strategies.adaptation.number_catalogue import NUMBER_ADAPTERS, make_for_numbers

_PATHS = {
    spec.path.split(":")[1]: spec.path for spec in (*ADAPTERS.values(), *NUMBER_ADAPTERS.values())
}
_PATHS["TrAdaBoostR2"] = "tradaboost_r2:TrAdaBoostR2"  # what TrAdaBoostRegressor scales for

__all__ = ["ADAPTERS", "NUMBER_ADAPTERS", "AdapterSpec", "make", "make_for_numbers", *_PATHS]


def __getattr__(name: str) -> Any:
    if name in _PATHS:
        return resolve(_PATHS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PATHS])
