"""A committee of adapters: whether methods that assume different things agree where it matters.

Scores of networks adapted without labels say little (arXiv 2407.11676: entropy and its kin rank
worse than chance), and going back and forth with each costs too much. What can be seen is where
several of them move a row of the target away from what the source alone says: errors of methods
with different assumptions scatter over the other classes, corrections meet in one.

It is weak evidence: methods that share an assumption agree in their errors, too. On seven real
pairs of domains with shallow members (``benchmarks/results/adaptation.md``) agreement did not tell
where the committee gained from where it harmed. So its members should assume different things, and
it is no substitute for circular validation or for labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import AnyArray
from headstart.select.circular import collapse

AGREE = 0.5
"""Of the rows that a member moves, the share that others move to the same class."""
MOVED = 0.01
"""Share of the target's rows below which moving them does not matter."""
MEMBERS = 2


@dataclass(frozen=True)
class Committee:
    """What a committee of adapters found.

    Parameters
    ----------
    name : str or None
        The member that the others agree with most; None where the committee does not agree.
    agreement : dict of str to float
        Of each member's moved rows, the mean share that another member moves to the same class.
    moved : dict of str to float
        Share of the target's rows that each member predicts otherwise than source-only.
    collapsed : dict of str to str
        Members that were sent out, and why.
    why : str
    """

    name: str | None
    agreement: dict[str, float]
    moved: dict[str, float]
    collapsed: dict[str, str]
    why: str


def committee(
    predictions_by_name: Mapping[str, Sequence[Any] | AnyArray],
    source_only: Sequence[Any] | AnyArray,
    y: Sequence[Any] | AnyArray,
    *,
    agree: float = AGREE,
) -> Committee:
    """Ask several adapters whether they agree against the source alone.

    Parameters
    ----------
    predictions_by_name : dict of str to sequence of m labels
        What each member says of the target's rows.
    source_only : sequence of m labels
        What the same learner says without adaptation.
    y : sequence of n labels
        Of the source: a member that loses one of its classes has collapsed.
    agree : float, 0 to 1
        Of the rows that a member moves, so many must be moved to the same class by the others on
        average. Members that move rows at random agree on less than 1 / (k - 1) of them.

    Raises
    ------
    DataError
        Members and source-only predict different numbers of rows.

    Examples
    --------
    >>> plain = np.array(["a"] * 30 + ["b"] * 30)
    >>> moved = np.array(["a"] * 20 + ["b"] * 40)
    >>> committee({"mcc": moved, "deep-jdot": moved.copy()}, plain, ["a", "b"]).name
    'mcc'
    """
    plain, labels = np.asarray(source_only), np.asarray(y)
    said = {name: np.asarray(one) for name, one in predictions_by_name.items()}
    for name, one in said.items():
        if one.shape != plain.shape:
            raise DataError(
                "members of a committee must predict the same rows",
                where=name,
                got=one.shape,
                allowed=f"{plain.shape}",
            )
    collapsed = {name: collapse(one, labels) for name, one in said.items()}
    collapsed = {name: why for name, why in collapsed.items() if why}
    members = [name for name in said if name not in collapsed]
    moved = {name: float((said[name] != plain).mean()) for name in said}
    agreement = {
        one: float(np.mean([_shared(said[one], said[two], plain) for two in members if two != one]))
        for one in members
        if len(members) > 1
    }

    def ends(name: str | None, why: str) -> Committee:
        return Committee(name, agreement, moved, collapsed, why)

    if len(members) < MEMBERS:
        return ends(None, f"only {len(members)} of {len(said)} methods did not collapse")
    movers = [name for name in members if moved[name] >= MOVED]
    if len(movers) < MEMBERS:
        return ends(None, "the methods say what the source alone says")
    best = max(movers, key=lambda name: agreement[name])
    words = (
        f"of the {moved[best]:.0%} of rows that {best} moves, the others move {agreement[best]:.0%}"
        " to the same class"
    )
    if agreement[best] < agree:
        return ends(None, f"{words}, less than {agree:.0%}")
    return ends(best, words)


def _shared(one: AnyArray, two: AnyArray, plain: AnyArray) -> float:
    moves = one != plain
    return float((one == two)[moves].mean()) if moves.any() else 1.0
