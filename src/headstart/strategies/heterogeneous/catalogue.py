"""The ways to transfer between feature spaces, as data. Importing this imports no estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from headstart.core.errors import UnknownNameError
from headstart.strategies import base


@dataclass(frozen=True)
class HeterogeneousSpec:
    """One way to transfer where source and target have different features.

    Parameters
    ----------
    name : str
        What users type.
    summary : str
        One line for lists and reports.
    assumes : str
        What must hold for it to help.
    paper : str
    path : str
        ``"module:Class"`` in this room.
    needs : {"pairs", "labels", "nothing"}
        Rows known in both feature spaces, some labels in the target, or neither.
    experimental : bool
        Whether it is known to fail often.
    """

    name: str
    summary: str
    assumes: str
    paper: str
    path: str
    needs: Literal["pairs", "labels", "nothing"]
    experimental: bool = False


_SPECS = (
    HeterogeneousSpec(
        "paired-map",
        "carry the source's labels over by rows known in both feature spaces",
        "what the source's features say of the class, the target's say, too",
        "Gupta et al. 2016; Hoerl & Kennard 1970; Hotelling 1936",
        "paired:PairedMap",
        "pairs",
    ),
    HeterogeneousSpec(
        "cross-domain-structure",
        "project both domains to where the same class lies together",
        "classes are apart in a linear projection of either domain",
        "Wang & Breckon 2022",
        "structure:CrossDomainStructure",
        "labels",
    ),
    HeterogeneousSpec(
        "shared-label-space",
        "meet in the space of class scores",
        "classes that the source confuses are near each other in the target, too",
        "Shi et al. 2010; Breiman & Friedman 1997",
        "label_space:SharedLabelSpace",
        "labels",
    ),
    HeterogeneousSpec(
        "gromov-wasserstein",
        "match principal axes by their variance",
        "both domains have one shape: the same variances along corresponding axes",
        "Delon, Desolneux & Salmona 2022",
        "gromov:GromovWasserstein",
        "nothing",
        experimental=True,
    ),
)

HETEROGENEOUS: dict[str, HeterogeneousSpec] = {spec.name: spec for spec in _SPECS}


def resolve(path: str) -> Any:
    """Import the class that ``"module:Class"`` names in this room."""
    return base.resolve(f"heterogeneous.{path}")


def make(name: str, *, random_state: int | None = 0, **params: Any) -> Any:
    """Make an unfitted heterogeneous adapter.

    Parameters
    ----------
    name : str
        A name in ``HETEROGENEOUS``.
    random_state : int or None
    **params
        Parameters of the adapter.

    Raises
    ------
    UnknownNameError
        The adapter, or a parameter, does not exist.

    Examples
    --------
    >>> from headstart.strategies import heterogeneous
    >>> heterogeneous.make("paired-map", method="cca")
    PairedMap(method='cca')
    """
    if name not in HETEROGENEOUS:
        raise UnknownNameError("heterogeneous adapter", name, HETEROGENEOUS)
    cls = resolve(HETEROGENEOUS[name].path)
    return base.built(cls, params, f"parameter of heterogeneous adapter {name!r}", random_state)
