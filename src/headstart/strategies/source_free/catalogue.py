"""The ways to adapt a fitted model without its source data, as data: what each assumes.

A new way is one new file and one line in ``SOURCE_FREE``. Importing this module imports none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from headstart.core.errors import UnknownNameError
from headstart.strategies import base

Needs = Literal["head", "backbone"]


@dataclass(frozen=True)
class SourceFreeSpec:
    """One way to adapt a fitted model.

    Parameters
    ----------
    name : str
        What users type.
    summary : str
        One line for lists and reports.
    assumes : str
        What must hold between source and target for it to help.
    paper : str
    path : str
        ``"module:Class"`` in this room.
    needs : {"head", "backbone"}
        What it changes: the linear head, given features; or the source, given items.
    """

    name: str
    summary: str
    assumes: str
    paper: str
    path: str
    needs: Needs


_SPECS: tuple[SourceFreeSpec, ...] = (
    SourceFreeSpec(
        "t3a",
        "class means of the target rows that the model is most certain of",
        "most certain predictions are right",
        "Iwasawa & Matsuo, NeurIPS 2021",
        "t3a:T3A",
        "head",
    ),
    SourceFreeSpec(
        "shot",
        "an affine change of the features after which predictions are certain and diverse",
        "classes are about as frequent as one another in the target",
        "Liang et al., ICML 2020",
        "shot:SHOT",
        "head",
    ),
    SourceFreeSpec(
        "prior-em",
        "the frequencies of the classes in the target, by expectation maximisation",
        "only the frequencies of the classes changed, and probabilities are calibrated",
        "Saerens et al., Neural Computation 2002",
        "prior:PriorEM",
        "head",
    ),
    SourceFreeSpec(
        "adabn",
        "the statistics of batch norm are those of the target",
        "the model learnt with the source's own statistics, and classes are as frequent",
        "Li et al., Pattern Recognition 2018",
        "adabn:AdaBN",
        "backbone",
    ),
    SourceFreeSpec(
        "tent",
        "scales and offsets of batch norm that make predictions certain; reset where they collapse",
        "most predictions are right with the target's statistics",
        "Wang et al., ICLR 2021",
        "tent:Tent",
        "backbone",
    ),
)

SOURCE_FREE: dict[str, SourceFreeSpec] = {spec.name: spec for spec in _SPECS}


def resolve(path: str) -> Any:
    """Import the class that ``"module:Class"`` names in this room."""
    return base.resolve(f"source_free.{path}")


def make(name: str, *, random_state: int | None = 0, **params: Any) -> Any:
    """Make what adapts a fitted model.

    Parameters
    ----------
    name : str
        A name in ``SOURCE_FREE``.
    random_state : int or None
        The seed; what has no randomness does not take it.
    **params
        Parameters of the class.

    Raises
    ------
    UnknownNameError
        It, or a parameter, does not exist.

    Examples
    --------
    >>> from headstart.strategies import source_free
    >>> source_free.make("t3a", support=5).support
    5
    """
    if name not in SOURCE_FREE:
        raise UnknownNameError("way to adapt a model", name, SOURCE_FREE)
    cls = resolve(SOURCE_FREE[name].path)
    return base.built(cls, params, f"parameter of {name!r}", random_state)
