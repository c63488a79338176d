"""Which adapters take part in a transfer between two domains, and why the others do not."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from headstart.core.errors import OptionError, UnknownNameError
from headstart.core.types import Decision, Modality
from headstart.strategies import STRATEGIES, adaptation, heterogeneous
from headstart.strategies.adaptation import ADAPTERS, NUMBER_ADAPTERS
from headstart.strategies.heterogeneous import HETEROGENEOUS

SOURCE_ONLY, TARGET_ONLY = "source-only", "target-only"
BASELINES = (SOURCE_ONLY, TARGET_ONLY, "pooled")
_PACKAGES = {"POT": "ot"}  # what is imported, where it is called otherwise
EXTRAS = {"POT": "ot", "skada": "skada"}
"""The extra of headstart that brings a package."""


@dataclass(frozen=True, eq=False)
class DomainPlan:
    """The adapters that take part.

    Parameters
    ----------
    candidates : mapping of name to unfitted adapter
    wanted : str or None
        What is handed back whatever the guard says: the single one that was named.
    alike : bool
        Whether both domains have the same features.
    decisions : tuple of Decision
    """

    candidates: Mapping[str, Any]
    wanted: str | None
    alike: bool
    decisions: tuple[Decision, ...] = ()

    @property
    def guarded(self) -> bool:
        """Whether the guard decides."""
        return self.wanted is None


def plan_domains(
    strategy: str | Sequence[str] | None,
    *,
    n_labels: int,
    several: bool,
    alike: bool,
    modality: Modality = "table",
    scale: bool = True,
    seed: int = 0,
) -> DomainPlan:
    """Return the adapters that take part.

    Parameters
    ----------
    strategy : str or sequence of str, optional
        What the user named.
    n_labels : int
        Items of the target that have a label.
    several : bool
        Whether the source consists of several domains.
    alike : bool
        Whether both domains have the same features.
    modality : {"image", "text", "audio", "table"}
        Of the items: only some have a source that can be tuned.
    scale : bool
        Whether features are brought to the same spread before an adapter learns from them.
    seed : int

    Raises
    ------
    UnknownNameError
        A name that does not exist.
    OptionError
        What was named needs what there is not: labels, several domains, a package, or the same
        features.
    """
    named = (strategy,) if isinstance(strategy, str) else tuple(dict.fromkeys(strategy or ()))
    if not alike:
        return _different(named, n_labels, seed)
    for name in named:
        if name in NUMBER_ADAPTERS and name not in ADAPTERS:
            raise OptionError(
                f"{name} carries numbers over, and these labels are classes", where="--strategy"
            )
        if name not in ADAPTERS:
            raise UnknownNameError("strategy", name, ADAPTERS)
        lacking = _lacking(name, n_labels, several) or _untunable(name, modality)
        if lacking:
            raise OptionError(f"{name} needs {lacking}", where="--strategy")
    decisions = []
    baselines = tuple(name for name in BASELINES if not _lacking(name, n_labels, several))
    wanted = named[0] if len(named) == 1 and named[0] != SOURCE_ONLY else None
    alone = named == (SOURCE_ONLY,)
    if wanted is not None:
        decisions.append(freely(wanted))
    if not named:
        named = tuple(
            name
            for name, spec in ADAPTERS.items()
            if (spec.raced or spec.several) and not _lacking(name, n_labels, several)
        )
        if not n_labels:
            decisions.append(
                Decision(
                    "adapters that learn from target labels take no part",
                    "the target has none",
                    "--target-labels FILE",
                )
            )
    every = named if alone else dict.fromkeys((SOURCE_ONLY, *named, *baselines))
    made = {name: adaptation.make(name, random_state=seed) for name in every}
    for adapter in made.values():
        if not scale and "scale" in adapter.get_params(deep=False):
            adapter.set_params(scale=False)
    return DomainPlan(made, wanted, True, tuple(decisions))


def check_adapters(strategy: str | Sequence[str] | None) -> None:
    """Refuse names that no adapter has, before any work is done.

    Raises
    ------
    UnknownNameError
    """
    for name in (strategy,) if isinstance(strategy, str) else strategy or ():
        every = {**ADAPTERS, **HETEROGENEOUS, **NUMBER_ADAPTERS}
        if name not in every:
            raise UnknownNameError("strategy", name, every)


def freely(wanted: str) -> Decision:
    """Say that what was named is handed back whatever the guard says."""
    return Decision(
        f"{wanted} will be handed back",
        "named with --strategy, so the guard only advises",
        "add --strategy source-only, or name none, and the guard decides",
    )


def _lacking(name: str, n_labels: int, several: bool) -> str:
    """Return what an adapter needs and has not; empty if it can take part."""
    spec = ADAPTERS[name]
    if spec.needs_labels and not n_labels:
        return "labels of some target items: --target-labels FILE"
    if spec.several and not several:
        return "several source domains: --domain COL"
    elsewhere = spec.family == "skada" and bool(os.environ.get("HEADSTART_SKADA_PYTHON"))
    package = _PACKAGES.get(spec.requires, spec.requires)
    if spec.requires and not elsewhere and find_spec(package) is None:
        return f"{spec.requires}: pip install 'headstart[{EXTRAS[spec.requires]}]'"
    return ""


def _untunable(name: str, modality: Modality) -> str:
    """Return what an adapter that tunes a source lacks where items have none to tune."""
    able = STRATEGIES["finetune"].modalities
    if not ADAPTERS[name].tunes or modality in able:
        return ""
    plain = name.removeprefix("tuned-")
    return f"a source that can be tuned, of {' or '.join(able)} data: {plain} takes {modality} data"


def _different(named: Sequence[str], n_labels: int, seed: int) -> DomainPlan:
    """Return what takes part where the domains have no feature in common."""
    for name in named:
        if name not in HETEROGENEOUS:
            raise UnknownNameError("strategy", name, HETEROGENEOUS)
        if HETEROGENEOUS[name].needs == "pairs":
            raise OptionError(
                f"{name} needs rows that are known in both domains",
                where="--strategy",
                hint="in Python: headstart.strategies.heterogeneous, fit(..., pairs=...)",
            )
        if HETEROGENEOUS[name].needs == "labels" and not n_labels:
            raise OptionError(
                f"{name} needs labels of some target items",
                where="--strategy",
                hint="--target-labels FILE",
            )
    if not named:
        if not n_labels:
            raise OptionError(
                "the tables have no column in common, and the target has no label",
                where="TARGET_DATA",
                hint="label some rows (--target-labels FILE), or name columns alike; "
                "--strategy gromov-wasserstein tries without either, and often fails",
            )
        named = [name for name, spec in HETEROGENEOUS.items() if spec.needs == "labels"]
        made = {name: heterogeneous.make(name, random_state=seed) for name in named}
        return DomainPlan(made, None, False)
    made = {name: heterogeneous.make(name, random_state=seed) for name in named}
    return DomainPlan(made, named[0] if len(named) == 1 else None, False)
