"""What people read at the end of ``transfer`` and ``adapt``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from headstart.cli.tables import new_table

if TYPE_CHECKING:
    from headstart.adapt_result import AdaptResult
    from headstart.core.types import Score
    from headstart.domain_result import DomainResult


def domain_table(result: DomainResult, model: str) -> Iterator[RenderableType]:
    """Yield the candidates, what was measured on the target, and what is handed back."""
    yield ""
    yield Text(
        f"{result.source.n:,} source items, {result.target.n:,} target items "
        f"({result.n_labels:,} with a label), {_labels(result)}"
    )
    rows = [one for one in result.candidates if one.score or one.status == "chosen" or one.reason]
    told = [one for one in rows if one.score is not None]
    if told:
        yield Text(f"Compared by {result.chose_by}")
        spread = any(one.score.low == one.score.low for one in told if one.score)
        columns = [f">{result.metric.replace('_', ' ')}", *([">95 % interval"] * spread)]
        table = new_table("candidate", *columns, "")
        for one in rows:
            chosen = one.status == "chosen"
            cells = _cells(one.score)[: 1 + spread]
            note = "chosen" if chosen else one.reason
            table.add_row(escape(one.strategy), *cells, escape(note), style="bold" * chosen)
        yield table
    if result.why:
        yield Text(result.why)
    yield ""
    colour = "green" if result.gain is not None and result.gain.verdict == "positive" else "yellow"
    for sentence in result.sentences():
        yield Text(sentence, style=f"bold {colour}")
    yield Text(f"model: {model}    took {result.seconds:.0f} s    seed {result.seed}", style="dim")


def _labels(result: DomainResult) -> str:
    if result.source.kind == "regression":
        return "labels are numbers"
    return f"{len(result.source.classes)} classes"


def adapt_table(result: AdaptResult, model: str) -> Iterator[RenderableType]:
    """Yield what each way would change, what was measured, and what is handed back."""
    yield ""
    yield Text(f"{result.target.n:,} items of the target ({result.n_labels:,} with a label)")
    measured = [">accuracy", ">95 % interval"] if result.gain is not None else []
    table = new_table("the model changed by", ">other labels", *measured, "")
    for way in result.ways:
        cells = [f"{100 * way.changed:.1f} %", *(_cells(way.score) if measured else ())]
        chosen = way.name == result.chosen
        note = "chosen" if chosen else way.refused
        table.add_row(escape(way.name), *cells, escape(note), style="bold" if chosen else "")
    yield table
    yield ""
    colour = "green" if result.gain is not None and result.gain.verdict == "positive" else "yellow"
    for sentence in result.sentences():
        yield Text(sentence, style=f"bold {colour}")
    yield Text(f"model: {model}    took {result.seconds:.0f} s    seed {result.seed}", style="dim")


def _cells(score: Score | None) -> tuple[str, str]:
    if score is None:
        return "-", "-"
    if score.low != score.low:
        return f"{score.estimate:.3f}", "-"
    return f"{score.estimate:.3f}", f"\\[{score.low:.3f}, {score.high:.3f}]"
