"""Items of two domains as numbers: features of a frozen source, or the columns of two tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart import bundle, encode, sources
from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, Reporter, State, Task
from headstart.data.matching import match_columns
from headstart.strategies.adaptation.tables import Numbers, table_state
from headstart.strategies.tuned import PREFIX


@dataclass(frozen=True, eq=False)
class DomainView:
    """Both domains as candidates see them.

    Parameters
    ----------
    X : array of shape (n, d)
        The source.
    target : array of shape (m, e)
        The target; e is d unless the features are different ones.
    backbone : Backbone or None
        What made the features; None for tables.
    numbers : Numbers or None
        How rows of the target's table become numbers.
    items : sequence or DataFrame of length m
        The target's items, as the model takes them.
    alike : bool
        Whether both domains have the same features.
    columns : (DataFrame, DataFrame), or None
        Both tables before they became numbers, each column once; None unless they have the same.
    decisions : tuple of Decision
    """

    X: FloatArray
    target: FloatArray
    backbone: Any
    numbers: Numbers | None
    items: Any
    alike: bool = True
    columns: tuple[Any, Any] | None = None
    decisions: tuple[Decision, ...] = ()

    def packed(self, state: State) -> dict[str, Any]:
        """Return what a bundle needs of a fitted adapter: strategy, state, source, columns."""
        if self.numbers is None:
            card = self.backbone.card
            tuned = any(name.startswith(PREFIX) for name in state.arrays)
            return {
                "strategy": "finetune" if tuned else "adapted",
                "state": state,
                "source": card,
                "backbone": self.backbone,
            }
        return {
            "strategy": "adapted-table",
            "state": table_state(state, self.numbers),
            "columns": bundle.columns_of(self.items),
        }


def domain_view(
    source: Task, target: Task, *, name: str | None, reporter: Reporter, why: str = "as named"
) -> DomainView:
    """Turn the items of both domains into numbers, each once.

    Parameters
    ----------
    source, target : Task
    name : str, optional
        The pretrained source that encodes what is no table; by default that of the modality.
    reporter : Reporter
    why : str
        Why that source.

    Raises
    ------
    DataError
        Tables without a usable column.
    SourceError
        The source cannot be had.
    """
    if source.modality == "table":
        return _tables(source, target)
    usual, usually = sources.usual_source(source.modality)
    chosen = name or usual or sources.default_source(source.modality)
    assert chosen is not None  # all but tables have one
    card = sources.card(chosen)
    if card.modality != source.modality:
        raise OptionError(
            f"the source {chosen!r} is for {card.modality} data, this is {source.modality} data",
            where="--source",
            allowed=[one.name for one in sources.search(modality=source.modality)],
        )
    backbone = sources.load(chosen, reporter=reporter)
    X, theirs = (
        encode.features(task.items, backbone, reporter=reporter).array for task in (source, target)
    )
    said = Decision(f"{chosen} encodes both domains", why if name else usually, "--source NAME")
    return DomainView(X, theirs, backbone, None, target.items, decisions=(said,))


def _tables(source: Task, target: Task) -> DomainView:
    matching = match_columns(source.items, target.items)
    if not matching.shared:
        ours, theirs = (Numbers.learnt(task.items, task.items) for task in (source, target))
        return DomainView(
            ours(source.items),
            theirs(target.items),
            None,
            theirs,
            target.items,
            alike=False,
            decisions=tuple(matching.decisions),
        )
    left, right = matching.apply(source.items, target.items)
    numbers = Numbers.learnt(left, right)
    return DomainView(
        numbers(left),
        numbers(right),
        None,
        numbers,
        right,
        columns=(numbers.plain(left), numbers.plain(right)),
        decisions=tuple(matching.decisions),
    )
