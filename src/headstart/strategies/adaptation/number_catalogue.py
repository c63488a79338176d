"""Every adapter of numbers by its name; nothing heavy is imported to list them."""

from __future__ import annotations

from typing import Any

from headstart.core.errors import UnknownNameError
from headstart.strategies import base
from headstart.strategies.adaptation.catalogue import AdapterSpec, resolve

_SPECS: tuple[AdapterSpec, ...] = (
    AdapterSpec(
        "source-only",
        "learn from the source alone",
        "baseline",
        "no shift that matters",
        "",
        "numbers:SourceOnlyRegressor",
        raced=True,
    ),
    AdapterSpec(
        "target-only",
        "learn from the labelled rows of the target alone",
        "baseline",
        "labels enough in the target",
        "",
        "numbers:TargetOnlyRegressor",
        needs_labels=True,
        raced=True,
    ),
    AdapterSpec(
        "pooled",
        "learn from the source and the labelled rows of the target together",
        "baseline",
        "both domains are nearly one",
        "",
        "numbers:PooledRegressor",
        needs_labels=True,
        raced=True,
    ),
    AdapterSpec(
        "biased-regularization",
        "ridge regression of what the source's line leaves on the target",
        "inductive",
        "the target's line is near the source's",
        "Chelba & Acero, EMNLP 2004",
        "numbers:BiasedRegressor",
        needs_labels=True,
        raced=True,
    ),
    AdapterSpec(
        "tradaboost-r2",
        "boosting that lowers the weight of source rows that disagree with the target",
        "inductive",
        "some rows of the source follow the target's rule",
        "Pardoe & Stone, ICML 2010",
        "numbers:TrAdaBoostRegressor",
        needs_labels=True,
        raced=True,
    ),
    AdapterSpec(
        "feature-augmentation",
        "a general, a source and a target copy of every feature",
        "inductive",
        "both domains share a part of their rule",
        "Daume III, ACL 2007",
        "numbers:FeatureAugmentationRegressor",
        needs_labels=True,
    ),
    AdapterSpec(
        "linear-ot",
        "map the source to the target by mean and covariance, moving it least",
        "alignment",
        "the target is the source, moved and stretched; its numbers are distributed alike",
        "Flamary, Lounici & Ferrari 2019",
        "numbers:LinearOTRegressor",
        raced=True,
    ),
)
NUMBER_ADAPTERS: dict[str, AdapterSpec] = {spec.name: spec for spec in _SPECS}
"""What carries numbers over to another domain, by name."""


def make_for_numbers(name: str, *, random_state: int | None = 0, **params: Any) -> Any:
    """Return an unfitted adapter of numbers.

    Parameters
    ----------
    name : str
    random_state : int or None
        Given to adapters that have one.
    **params
        Parameters of the class.

    Raises
    ------
    UnknownNameError
        If there is no such adapter.

    Examples
    --------
    >>> make_for_numbers("tradaboost-r2", random_state=3).random_state
    3
    """
    if name not in NUMBER_ADAPTERS:
        raise UnknownNameError("adapter of numbers", name, NUMBER_ADAPTERS)
    cls = resolve(NUMBER_ADAPTERS[name].path)
    return base.built(cls, params, f"parameter of adapter {name!r}", random_state)
